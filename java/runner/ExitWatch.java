package distributedmarket;

import java.lang.StackWalker.StackFrame;
import java.lang.reflect.Field;
import java.lang.reflect.Method;
import java.util.List;
import java.util.OptionalInt;
import java.util.function.IntConsumer;

/**
 * Hears of a Java program's System.exit(n) before anything of this process is shut down, and of its n.
 *
 * <p>Java tells the n to nobody (a security manager heard it, which is no more since Java 24). It runs the
 * hooks of applications in the thread that called, so the n stands in a frame below: there it is read. A
 * program that ends so ends as one that returns: what it left is saved first, and 0 is success. Spark opens the
 * package to its drivers.
 */
final class ExitWatch {
    private static final String SHUTDOWN = "java.lang.Shutdown";
    private static final int OF_APPLICATIONS = 1; // the place of their hooks among Java's own

    private final StackWalker walker;
    private final Method locals;

    private ExitWatch() throws ReflectiveOperationException {
        Class<?> live = Class.forName("java.lang.LiveStackFrame");
        Method getter = live.getDeclaredMethod("getStackWalker");
        getter.setAccessible(true);
        walker = (StackWalker) getter.invoke(null);
        locals = live.getDeclaredMethod("getLocals");
        locals.setAccessible(true);
    }

    /** Tell `heard` of the program's exit; a hook must have been added by then. */
    static void start(IntConsumer heard) {
        try {
            ExitWatch watch = new ExitWatch();
            Field field = Class.forName(SHUTDOWN).getDeclaredField("hooks");
            field.setAccessible(true);
            Runnable[] hooks = (Runnable[]) field.get(null);
            Runnable own = hooks[OF_APPLICATIONS];
            hooks[OF_APPLICATIONS] =
                    () -> {
                        try {
                            watch.status().ifPresent(heard);
                        } finally {
                            own.run();
                        }
                    };
        } catch (ReflectiveOperationException | RuntimeException other) {
            System.err.println("market: this Java does not tell of System.exit: " + other);
        }
    }

    /** Return what this thread has called System.exit with; nothing where a signal ends the process. */
    private OptionalInt status() {
        List<StackFrame> frames = walker.walk(all -> all.toList());
        for (int at = 0; at + 1 < frames.size(); at++) {
            StackFrame frame = frames.get(at);
            boolean exits = frame.getClassName().equals(SHUTDOWN) && frame.getMethodName().equals("exit");
            if (exits && frames.get(at + 1).getClassName().equals("java.lang.Runtime")) {
                return first(frame);
            }
        }
        return OptionalInt.empty();
    }

    private OptionalInt first(StackFrame frame) {
        try {
            // A number of 64 bits, of which those of an `int` are the lower ones.
            Object[] values = (Object[]) locals.invoke(frame);
            return OptionalInt.of((int) Long.parseLong(values[0].toString()));
        } catch (ReflectiveOperationException | RuntimeException other) {
            System.err.println("market: this Java does not tell what System.exit was given: " + other);
            return OptionalInt.empty();
        }
    }
}
