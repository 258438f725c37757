package distributedmarket;

import java.io.DataInputStream;
import java.io.IOException;
import java.lang.reflect.Field;
import java.lang.reflect.Method;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.Base64;
import java.util.HashMap;
import java.util.Map;

import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FileSystem;

/**
 * What a program finds: the files of its folder, relative paths below that folder, its secrets.
 *
 * <p>The same as market_folder.py and market_secrets.py do for Python.
 */
final class Surroundings {
    private static final Path LINK = Path.of("__root_path__");
    private static final String SECRETS = "MARKET_SECRETS_FILE";

    private Surroundings() {}

    static void prepare() throws IOException, ReflectiveOperationException {
        if (Files.isDirectory(LINK)) {
            copy(LINK.toRealPath(), Path.of(""));
        }
        String copies = System.getenv("MARKET_COPIES");
        if (copies != null) {
            String names = new String(Base64.getUrlDecoder().decode(copies), StandardCharsets.UTF_8);
            for (String name : names.split("\0")) {
                makeOwn(Path.of(name));
            }
        }
        String root = System.getenv("MARKET_INPUT");
        if (root != null) {
            org.apache.hadoop.fs.Path folder = new org.apache.hadoop.fs.Path(root);
            folder.getFileSystem(new Configuration()).setWorkingDirectory(folder);
        }
        String secrets = System.getenv(SECRETS);
        if (secrets != null) {
            take(new org.apache.hadoop.fs.Path(secrets));
        }
    }

    /** Put a copy in the place of a link to a file that YARN has brought. */
    private static void makeOwn(Path name) throws IOException {
        if (Files.isSymbolicLink(name)) {
            Path fresh = name.resolveSibling(name + "." + ProcessHandle.current().pid());
            try (var content = Files.newInputStream(name)) {
                Files.copy(content, fresh);
            }
            Files.move(fresh, name, StandardCopyOption.REPLACE_EXISTING);
        }
    }

    /** Copy what a folder holds: what is there stays. */
    private static void copy(Path source, Path target) throws IOException {
        Files.walkFileTree(
                source,
                new SimpleFileVisitor<>() {
                    @Override
                    public FileVisitResult preVisitDirectory(Path folder, BasicFileAttributes attributes)
                            throws IOException {
                        Path place = target.resolve(source.relativize(folder));
                        if (Files.isDirectory(place)) {
                            return FileVisitResult.CONTINUE;
                        }
                        try {
                            Files.createDirectory(place);
                            return FileVisitResult.CONTINUE;
                        } catch (FileAlreadyExistsException taken) {
                            return FileVisitResult.SKIP_SUBTREE;
                        }
                    }

                    @Override
                    public FileVisitResult visitFile(Path file, BasicFileAttributes attributes)
                            throws IOException {
                        Path place = target.resolve(source.relativize(file));
                        try (var content = Files.newInputStream(file)) {
                            Files.copy(content, place);
                        } catch (FileAlreadyExistsException taken) {
                            return FileVisitResult.CONTINUE;
                        }
                        Files.setLastModifiedTime(place, attributes.lastModifiedTime());
                        return FileVisitResult.CONTINUE;
                    }
                });
    }

    /** Read the secrets' file, delete it, and hand its values to this process, what it starts, and executors. */
    private static void take(org.apache.hadoop.fs.Path file) throws IOException, ReflectiveOperationException {
        FileSystem files = file.getFileSystem(new Configuration());
        String[] words;
        try (FSDataInputStream stream = files.open(file)) {
            words = new String(((DataInputStream) stream).readAllBytes(), StandardCharsets.UTF_8).split("\0", -1);
        }
        files.delete(file, false);
        Map<String, String> values = new HashMap<>();
        for (int at = 0; at + 2 < words.length; at += 3) {
            values.put(words[at], words[at + 1]);
            System.setProperty("spark.executorEnv." + words[at], words[at + 2]);
        }
        Map<String, String> environment = environment();
        environment.putAll(values);
        environment.remove(SECRETS);
        Inherited.put(values);
    }

    /**
     * Return the map behind System.getenv, which Java gives for reading only.
     *
     * <p>Spark opens both packages to its drivers.
     */
    @SuppressWarnings("unchecked")
    private static Map<String, String> environment() throws ReflectiveOperationException {
        Class<?> process = Class.forName("java.lang.ProcessEnvironment");
        Method getter = process.getDeclaredMethod("getenv");
        getter.setAccessible(true);
        Object shown = getter.invoke(null);
        Field inner = shown.getClass().getDeclaredField("m");
        inner.setAccessible(true);
        return (Map<String, String>) inner.get(shown);
    }
}
