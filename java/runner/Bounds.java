package distributedmarket;

import org.apache.spark.scheduler.SparkListener;
import org.apache.spark.scheduler.SparkListenerExecutorRemoved;

/**
 * Ends a program whose executor was stopped for what it printed or stored: Spark would have another one do the
 * same, several times, at its owner's cost.
 */
final class Bounds extends SparkListener {
    @Override
    public void onExecutorRemoved(SparkListenerExecutorRemoved removed) {
        Ending.ofExecutor(removed.reason()).ifPresent(Bounds::end);
    }

    private static void end(Ending ending) {
        System.err.println("market: " + ending.words());
        // Not in Spark's thread: what is left is saved first.
        Thread thread =
                new Thread(
                        () -> {
                            Program.end(ending);
                            System.exit(1);
                        },
                        "market-bounds");
        thread.setDaemon(true);
        thread.start();
    }
}
