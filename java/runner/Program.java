package distributedmarket;

import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;

import org.apache.hadoop.util.ShutdownHookManager;
import org.apache.spark.SparkUserAppException;
import org.apache.spark.deploy.PythonRunner;

/**
 * Runs a job's program in its driver, with its parameters exactly as they were submitted, saves what it puts
 * into its folder of results, and tells YARN how it ended.
 *
 * <p>The only argument holds the program's file, the main class (of a .jar; empty: the one that the manifest
 * names) and the parameters, encoded.
 */
public final class Program {
    private static final String RUNNER = "market_program.py";
    // Before Spark's own hooks, which end the file system's connections.
    private static final int HOOK_PRIORITY = 1000;
    private static final long OUTPUT_MS = 3_000;
    private static final int SIGTERM = 15;
    private static final long SIGNAL_MS = 500;

    private static Results results;
    private static boolean over;

    private Program() {}

    /** Runs the program, and returns when it has ended and all that it left is saved. */
    public static void main(String[] arguments) throws Exception {
        byte[] decoded = Base64.getUrlDecoder().decode(arguments[0]);
        String[] words = new String(decoded, StandardCharsets.UTF_8).split("\0", -1);
        Sizes.remember();
        Master.begin();
        results = Results.start();
        ShutdownHookManager.get().addShutdownHook(Program::killed, HOOK_PRIORITY);
        Ending ending =
                words[0].toLowerCase().endsWith(".jar") ? java(words) : python(words[0], arguments[0]);
        if (end(ending)) {
            // Spark's master still waits for a session. Not within `end`: the hook below waits for that.
            System.exit(0);
        }
    }

    /** Save what is left, and report: once, whoever comes first. Tells whether nothing is left to do. */
    static synchronized boolean end(Ending ending) {
        if (over) {
            return false;
        }
        over = true;
        if (isFromOutside(ending)) {
            Master.sayNothing();
            results.finish();
            return false;
        }
        return Master.report(ending.with(results.finish()));
    }

    /** YARN ends this process: there is a moment left to save the last files. */
    private static synchronized void killed() {
        if (!over) {
            over = true;
            Master.sayNothing();
            results.finish();
        }
    }

    /** Tells whether it was YARN that ended Python: its signal goes to all processes of a container. */
    private static boolean isFromOutside(Ending ending) {
        if (ending.kind().equals("signal") && ending.code() == SIGTERM) {
            try {
                Thread.sleep(SIGNAL_MS);
            } catch (InterruptedException ended) {
                Thread.currentThread().interrupt();
            }
        }
        return ShutdownHookManager.get().isShutdownInProgress();
    }

    private static Ending python(String file, String call) throws Exception {
        Path record = Files.createTempFile(Path.of(""), ".market-end-", ".json").toAbsolutePath();
        int code = 0;
        try {
            PythonRunner.main(new String[] {RUNNER, "", call, record.toString()});
        } catch (Exception ended) { // Scala declares none
            if (!(ended instanceof SparkUserAppException application)) {
                throw ended;
            }
            code = application.exitCode();
        }
        awaitOutput();
        return Ending.ofPython(code, record);
    }

    /** Wait for the thread that copies Python's last words into the log. */
    private static void awaitOutput() throws InterruptedException {
        List<Thread> copying = new ArrayList<>(Thread.getAllStackTraces().keySet());
        copying.removeIf(thread -> !thread.getName().equals("redirect output"));
        for (Thread thread : copying) {
            thread.join(OUTPUT_MS);
        }
    }

    private static Ending java(String[] words) {
        System.setIn(InputStream.nullInputStream());
        ExitWatch.start(status -> end(Ending.ofExit(status)));
        try {
            Surroundings.prepare();
            JavaMain.of(words[0], words[1]).run(Arrays.copyOfRange(words, 2, words.length));
            return Ending.WELL;
        } catch (Throwable error) {
            error.printStackTrace();
            return Ending.ofJava(error);
        }
    }
}
