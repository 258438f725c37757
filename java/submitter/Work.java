package distributedmarket.submitter;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.lang.reflect.UndeclaredThrowableException;
import java.util.HashSet;
import java.util.Set;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Consumer;

import org.apache.spark.deploy.InProcessSparkSubmit;

/**
 * The submissions of this process: a few at once, one at a time for each tag, none without an end.
 *
 * <p>What InProcessLauncher starts is called directly: the launcher keeps a thread for each application
 * until that has ended, which asks the ResourceManager once a second.
 */
final class Work {
    private static final int AT_ONCE = 4;
    private static final long LONGEST_S = 120;
    private static final long UNHEARD_S = 15;

    private final ScheduledExecutorService clock;
    private final Applications applications;
    private final Consumer<Boolean> clear;
    private final Semaphore places = new Semaphore(AT_ONCE, true);
    private final Set<String> tags = new HashSet<>();
    private long submitted;
    private long failed;
    private String rehearsed = "";

    Work(ScheduledExecutorService clock, Applications applications, Consumer<Boolean> clear) {
        this.clock = clock;
        this.applications = applications;
        this.clear = clear;
    }

    /** Wait for a place; what waits has not begun. */
    void enter() {
        places.acquireUninterruptibly();
    }

    void leave() {
        places.release();
    }

    /**
     * Submit, unless there is an application with the tag, and answer.
     *
     * <p>An earlier submission with the same tag, whose caller may have died, is waited for first: between
     * its beginning and its end nobody can tell whether there will be an application.
     */
    void submit(String tag, String[] arguments, Caller caller) throws IOException {
        begin(tag);
        AtomicBoolean done = limit();
        try {
            Login.renew();
            String found = applications.tagged(tag);
            if (found == null) {
                found = run(arguments, caller::line);
            }
            count(true);
            caller.answer('D', found);
        } catch (Exception refused) {
            count(false);
            caller.line(trace(refused));
            caller.answer('F', firstLine(refused));
        } catch (LinkageError broken) {
            count(false);
            caller.line(trace(broken));
            caller.answer(handBack(tag), firstLine(broken));
        } finally {
            done.set(true);
            Thread.interrupted();
            end(tag);
        }
    }

    /** Tell whether another process may do what this one, lacking a class, could not: N, else F. */
    private char handBack(String tag) {
        try {
            return applications.tagged(tag) == null ? 'N' : 'F';
        } catch (Exception unknown) {
            return 'F';
        }
    }

    /**
     * Load and compile all that a submission needs, with one that the ResourceManager refuses: it goes to a
     * queue where nobody may submit, and leaves nothing.
     */
    void rehearse(String[] arguments) {
        enter();
        begin("rehearsal");
        AtomicBoolean done = limit();
        long started = System.currentTimeMillis();
        try {
            applications.tagged("rehearsal");
            run(arguments, line -> {});
            rehearsed = "the rehearsal was not refused";
        } catch (Exception refused) {
            rehearsed = "rehearsed in " + (System.currentTimeMillis() - started) + " ms";
            System.err.println(rehearsed + ": " + firstLine(refused));
        } finally {
            done.set(true);
            end("rehearsal");
            leave();
        }
    }

    synchronized String status() {
        Runtime memory = Runtime.getRuntime();
        long used = memory.totalMemory() - memory.freeMemory() >> 20;
        return "submitted " + submitted + ", failed " + failed + ", on their way " + tags.size() + ", heap " + used
                + " MiB, threads " + Thread.activeCount() + ", " + rehearsed;
    }

    private static String run(String[] arguments, SubmissionLog.Sink sink) {
        Thread thread = Thread.currentThread();
        ClassLoader loader = thread.getContextClassLoader();
        SubmissionLog.Listener listener = SubmissionLog.listen(sink);
        try {
            InProcessSparkSubmit.main(arguments);
            return listener.application();
        } finally {
            listener.end();
            thread.setContextClassLoader(loader);
        }
    }

    /** Interrupt this thread when it takes too long; what does not hear of it ends with the whole process. */
    private AtomicBoolean limit() {
        AtomicBoolean done = new AtomicBoolean();
        Thread thread = Thread.currentThread();
        clock.schedule(
                () -> {
                    if (!done.get()) {
                        System.err.println("a submission takes more than " + LONGEST_S + " s: interrupted");
                        thread.interrupt();
                        clock.schedule(() -> halt(done), UNHEARD_S, TimeUnit.SECONDS);
                    }
                },
                LONGEST_S,
                TimeUnit.SECONDS);
        return done;
    }

    private static void halt(AtomicBoolean done) {
        if (!done.get()) {
            System.err.println("it did not end: this process does");
            Runtime.getRuntime().halt(1);
        }
    }

    private synchronized void begin(String tag) {
        boolean interrupted = false;
        while (!tags.add(tag)) {
            try {
                wait();
            } catch (InterruptedException later) {
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    private synchronized void end(String tag) {
        tags.remove(tag);
        notifyAll();
        clear.accept(tags.isEmpty());
    }

    private synchronized void count(boolean well) {
        if (well) {
            submitted++;
        } else {
            failed++;
        }
    }

    private static String firstLine(Throwable error) {
        // Acting for a user wraps what the ResourceManager said.
        Throwable said = error instanceof UndeclaredThrowableException ? error.getCause() : error;
        return String.valueOf(said).lines().findFirst().orElse("");
    }

    private static String trace(Throwable error) {
        StringWriter text = new StringWriter();
        error.printStackTrace(new PrintWriter(text, true));
        return text.toString().stripTrailing();
    }
}
