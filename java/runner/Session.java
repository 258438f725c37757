package distributedmarket;

import java.util.Collections;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;

import org.apache.spark.SparkContext;
import org.apache.spark.api.plugin.DriverPlugin;
import org.apache.spark.api.plugin.ExecutorPlugin;
import org.apache.spark.api.plugin.PluginContext;
import org.apache.spark.api.plugin.SparkPlugin;

/** What the market does when a program makes a session, before Spark asks for anything: see Sizes, Master. */
public final class Session implements SparkPlugin {
    private static final AtomicInteger made = new AtomicInteger();

    @Override
    public DriverPlugin driverPlugin() {
        return new DriverPlugin() {
            @Override
            public Map<String, String> init(SparkContext context, PluginContext plugin) {
                Sizes.settle(context.conf());
                context.addSparkListener(new Bounds());
                if (made.getAndIncrement() > 0) {
                    // There is one event log for an application, and it has one.
                    context.conf().set("spark.eventLog.enabled", "false");
                    Master.expectAnother();
                }
                return Collections.emptyMap();
            }
        };
    }

    @Override
    public ExecutorPlugin executorPlugin() {
        return null;
    }
}
