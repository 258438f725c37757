package distributedmarket;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Base64;
import java.util.jar.JarFile;

/**
 * Runs the program in a job's .jar with its parameters exactly as they were submitted.
 *
 * <p>The only argument holds the file, the main class (empty: the one that the manifest names) and the
 * parameters, encoded.
 */
public final class Program {
    private Program() {}

    /** Calls the main method of the job's class. */
    public static void main(String[] arguments) throws Throwable {
        byte[] decoded = Base64.getUrlDecoder().decode(arguments[0]);
        String[] words = new String(decoded, StandardCharsets.UTF_8).split("\0", -1);
        String name = words[1].isEmpty() ? named(words[0]) : words[1];
        Method main;
        try {
            ClassLoader loader = Thread.currentThread().getContextClassLoader();
            main = Class.forName(name, true, loader).getMethod("main", String[].class);
        } catch (ClassNotFoundException error) {
            throw new IllegalArgumentException("There is no class " + name + " in " + words[0], error);
        }
        try {
            main.invoke(null, (Object) Arrays.copyOfRange(words, 2, words.length));
        } catch (InvocationTargetException error) {
            throw error.getCause();
        }
    }

    private static String named(String file) throws Exception {
        try (JarFile jar = new JarFile(file)) {
            String name =
                    jar.getManifest() == null
                            ? null
                            : jar.getManifest().getMainAttributes().getValue("Main-Class");
            if (name == null) {
                throw new IllegalArgumentException(
                        file + " names no Main-Class: submit the job with main_class");
            }
            return name;
        }
    }
}
