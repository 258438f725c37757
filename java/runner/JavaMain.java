package distributedmarket;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.util.jar.JarFile;

/** The main method of the class that a job's .jar runs. */
final class JavaMain {
    private final Method method;

    private JavaMain(Method method) {
        this.method = method;
    }

    /** Returns the main method of a class, or of the one that the file's manifest names. */
    static JavaMain of(String file, String mainClass) throws Exception {
        String name = mainClass.isEmpty() ? named(file) : mainClass;
        ClassLoader loader = Thread.currentThread().getContextClassLoader();
        Class<?> program;
        try {
            program = Class.forName(name, false, loader);
        } catch (ClassNotFoundException error) {
            throw new Refused("there is no class " + name + " in " + file);
        }
        try {
            Method main = program.getMethod("main", String[].class);
            if (!Modifier.isStatic(main.getModifiers())) {
                throw new Refused("the method main of " + name + " is not static");
            }
            return new JavaMain(main);
        } catch (NoSuchMethodException error) {
            throw new Refused("the class " + name + " has no public static void main(String[])");
        }
    }

    void run(String[] parameters) throws Throwable {
        try {
            method.invoke(null, (Object) parameters);
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
                throw new Refused(file + " names no Main-Class: submit the job with main_class");
            }
            return name;
        }
    }

    /** A program that cannot start; its message says all. */
    static final class Refused extends Exception {
        private static final long serialVersionUID = 1;

        Refused(String message) {
            super(message, null, false, false);
        }
    }
}
