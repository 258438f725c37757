package distributedmarket;

import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Pattern;

import org.apache.spark.SparkConf;

import scala.Tuple2;

/** What a job holds was settled when it was submitted: settings of its program that would change it. */
final class Sizes {
    private static final Pattern SETTLED =
            Pattern.compile(
                    "spark\\.(master|submit\\.deployMode"
                            + "|executor\\.(memory|memoryOverhead|memoryOverheadFactor|minMemoryOverhead|cores"
                            + "|instances|pyspark\\.memory|resource\\..*)"
                            + "|memory\\.offHeap\\..*|dynamicAllocation\\..*|cores\\.max"
                            + "|yarn\\.(executor|am|queue|tags)\\b.*)");
    private static final Map<String, String> FIELDS =
            Map.of(
                    "spark.executor.memory", "executor_memory",
                    "spark.executor.cores", "executor_cores",
                    "spark.executor.instances", "core_num",
                    "spark.cores.max", "core_num");
    private static final Map<String, String> submitted = new TreeMap<>();

    private Sizes() {}

    /** Remember what was submitted, before the program can change it. */
    static void remember() {
        System.getProperties()
                .stringPropertyNames()
                .forEach(
                        name -> {
                            if (SETTLED.matcher(name).matches()) {
                                submitted.put(name, System.getProperty(name));
                            }
                        });
    }

    /** Set a session's settings back to what was submitted, with a line in the log for each. */
    static void settle(SparkConf conf) {
        Map<String, String> wanted = new TreeMap<>(submitted);
        wanted.replaceAll((name, value) -> null);
        for (Tuple2<String, String> setting : conf.getAll()) {
            if (SETTLED.matcher(setting._1()).matches()) {
                wanted.put(setting._1(), setting._2());
            }
        }
        wanted.forEach((name, value) -> settle(conf, name, value));
    }

    private static void settle(SparkConf conf, String name, String wanted) {
        String settled = submitted.get(name);
        if (settled == null) {
            conf.remove(name);
        } else {
            conf.set(name, settled);
        }
        if (wanted == null || wanted.equals(settled)) {
            return;
        }
        String field = FIELDS.get(name);
        System.out.println(
                "market: the program's "
                        + name + "=" + wanted
                        + (settled == null ? " is ignored" : " is ignored, it stays " + settled)
                        + (field == null
                                ? ": a job's size and place are settled when it is submitted."
                                : ": ask for it with " + field + " when you submit the job."));
    }
}
