package distributedmarket.submitter;

import java.nio.charset.StandardCharsets;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

import org.apache.logging.log4j.Level;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.core.LogEvent;
import org.apache.logging.log4j.core.LoggerContext;
import org.apache.logging.log4j.core.appender.AbstractAppender;
import org.apache.logging.log4j.core.config.Configuration;
import org.apache.logging.log4j.core.config.Property;
import org.apache.logging.log4j.core.layout.PatternLayout;

/** Gives each submission the lines of the log that its own thread, and threads made by it, write. */
final class SubmissionLog extends AbstractAppender {
    private static final InheritableThreadLocal<Listener> LISTENER = new InheritableThreadLocal<>();
    private static final Pattern SUBMITTED = Pattern.compile("Submitted application (application_\\d+_\\d+)");

    private SubmissionLog(Configuration configuration) {
        super(
                "submission",
                null,
                PatternLayout.newBuilder()
                        .withConfiguration(configuration)
                        .withPattern("%d{yy/MM/dd HH:mm:ss} %p %c{1}: %m%n%ex")
                        .build(),
                true,
                Property.EMPTY_ARRAY);
    }

    /** Add it to the configured log. */
    static void install() {
        LoggerContext context = (LoggerContext) LogManager.getContext(false);
        SubmissionLog appender = new SubmissionLog(context.getConfiguration());
        appender.start();
        context.getConfiguration().addAppender(appender);
        context.getConfiguration().getRootLogger().addAppender(appender, Level.INFO, null);
        context.updateLoggers();
    }

    /** Send this thread's lines to a sink, until the listener is told to end. */
    static Listener listen(Sink sink) {
        Listener listener = new Listener(sink);
        LISTENER.set(listener);
        return listener;
    }

    @Override
    public void append(LogEvent event) {
        Listener listener = LISTENER.get();
        if (listener != null) {
            byte[] bytes = getLayout().toByteArray(event);
            listener.hear(new String(bytes, StandardCharsets.UTF_8).stripTrailing());
        }
    }

    interface Sink {
        void line(String text);
    }

    /** What one submission says; Hadoop's threads outlive it, so it keeps nothing when it has ended. */
    static final class Listener {
        private Sink sink;
        private String application;

        private Listener(Sink sink) {
            this.sink = sink;
        }

        private synchronized void hear(String text) {
            if (sink == null) {
                return;
            }
            Matcher found = SUBMITTED.matcher(text);
            if (found.find()) {
                application = found.group(1);
            }
            sink.line(text);
        }

        /** Return the id of the application that was submitted, or an empty text. */
        synchronized String application() {
            return application == null ? "" : application;
        }

        synchronized void end() {
            sink = null;
            LISTENER.remove();
        }
    }
}
