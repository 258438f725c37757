package distributedmarket;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.regex.Pattern;

/**
 * How a program ended, as the market reads it: jobs/life/ending.py has the other end.
 *
 * @param code the exit code; for a program of Java that threw an exception, 1
 * @param kind `well`, `exit` (it named its code), `error`, `signal`, `out_of_memory`
 * @param words what the program said: an error with its message
 * @param notes what the market did to it: files that could not be saved
 */
record Ending(int code, String kind, String words, String notes) {
    static final Ending WELL = new Ending(0, "well", "", "");
    private static final String MARK = "MARKET-END ";
    // jobs/life/bounds.py knows them, too: YARN's code, and that of the machine's guard.
    private static final Pattern BOUND = Pattern.compile("Exit status: (-109|153)\\b");
    private static final int RECORD_BYTES = 16 << 10;
    private static final int WORDS = 1_000;
    private static final int SIGNALS = 128;
    private static final int LAST_SIGNAL = 64;
    private static final ObjectMapper JSON = new ObjectMapper();

    /** Returns the end of a Python program: its record counts if the process ended with the code in it. */
    static Ending ofPython(int code, Path record) {
        JsonNode said = read(record);
        if (said.isObject() && said.path("code").asInt(-1) == code) {
            return new Ending(code, said.path("kind").asText("error"), said.path("words").asText(), "");
        }
        if (code == 0) {
            return WELL;
        }
        if (code > SIGNALS && code <= SIGNALS + LAST_SIGNAL) {
            return new Ending(code - SIGNALS, "signal", "", "");
        }
        return new Ending(code, "exit", "", "");
    }

    /** Returns the end of a Java program that threw what nothing caught. */
    static Ending ofJava(Throwable error) {
        Throwable cause = error;
        while (cause.getCause() != null && cause.getCause() != cause) {
            cause = cause.getCause();
        }
        String whole = error + (cause == error ? "" : "; caused by " + cause);
        if (error instanceof OutOfMemoryError || cause instanceof OutOfMemoryError) {
            return new Ending(1, "out_of_memory", whole, "");
        }
        if (error instanceof JavaMain.Refused) {
            return new Ending(1, "error", error.getMessage(), "");
        }
        return new Ending(1, "error", whole, "");
    }

    /** Returns the end of a program whose executor was stopped by a bound, if this is the reason of one. */
    static Optional<Ending> ofExecutor(String reason) {
        return BOUND.matcher(reason).find()
                ? Optional.of(new Ending(1, "error", "ExecutorLostFailure: " + reason, ""))
                : Optional.empty();
    }

    static Ending ofExit(int status) {
        return status == 0 ? WELL : new Ending(status, "exit", "", "");
    }

    Ending with(String more) {
        return new Ending(code, kind, words, more);
    }

    boolean well() {
        return kind.equals("well");
    }

    /** Returns it as one line of ASCII without an end; nothing where there is nothing to tell. */
    String text() {
        if (well() && notes.isEmpty()) {
            return "";
        }
        ObjectNode said = JSON.createObjectNode();
        said.put("code", code).put("kind", kind).put("words", bounded(words)).put("notes", bounded(notes));
        try {
            return MARK + ascii(JSON.writeValueAsString(said));
        } catch (JsonProcessingException impossible) {
            return MARK + "{}";
        }
    }

    private static String bounded(String text) {
        return text.length() <= WORDS ? text : text.substring(0, WORDS);
    }

    private static String ascii(String json) {
        StringBuilder plain = new StringBuilder();
        json.chars()
                .forEach(
                        letter -> {
                            if (letter < 0x7f) {
                                plain.append((char) letter);
                            } else {
                                plain.append(String.format("\\u%04x", letter));
                            }
                        });
        return plain.toString();
    }

    private static JsonNode read(Path record) {
        try (InputStream file = Files.newInputStream(record)) {
            return JSON.readTree(file.readNBytes(RECORD_BYTES));
        } catch (IOException nothing) {
            return JSON.missingNode();
        }
    }
}
