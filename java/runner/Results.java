package distributedmarket;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.URI;
import java.nio.file.FileVisitOption;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;

import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.CreateFlag;
import org.apache.hadoop.fs.FileContext;
import org.apache.hadoop.fs.Options;

/**
 * The folder of the driver's container that a program writes its results into (MARKET_RESULTS): what is new or
 * changed there is copied into the job's folder in HDFS, while the program runs and once more at its end.
 *
 * <p>A program that takes the address in MARKET_OUTPUT for a folder's name makes a folder `hdfs:` in its
 * working folder. What it puts there below that address is saved in the same way.
 */
final class Results {
    private static final String PLACE = "spark.market.results";
    private static final String UNFINISHED = "spark.market.unfinished";
    private static final String FOLDER = "MARKET_RESULTS";
    private static final String OUTPUT = "MARKET_OUTPUT";
    private static final Path MISTAKEN = Path.of("hdfs:");
    private static final long PAUSE_MS = 2_000;
    private static final long QUIET_MS = 1_000; // a file that was written since then is perhaps not whole
    private static final long RESTLESS_MS = 10_000; // but one that is written all the time is saved as well
    private static final int TIMES = 10; // a file that grows is copied a tenth of the time at most
    private static final int CHUNK = 1 << 18;
    private static final int DEPTH = 64;
    private static final int NAMED = 5;

    private final Path folder;
    private final Path rescued;
    private final org.apache.hadoop.fs.Path place;
    private final org.apache.hadoop.fs.Path unfinished;
    private final Map<Path, Copy> copies = new HashMap<>();
    private final Map<String, String> lost = new TreeMap<>();
    private final Set<org.apache.hadoop.fs.Path> made = new HashSet<>();
    private FileContext files;
    private boolean told;
    private boolean finished;

    /** A file as it was when it was copied, when that was (or when it was first seen), and how long it took. */
    private record Copy(long size, long modified, long at, long took) {}

    /** A file that is new or has changed. */
    private record Changed(Path path, long size, long modified) {}

    private Results(Path folder, Path rescued, String place, String unfinished) {
        this.folder = folder;
        this.rescued = rescued;
        this.place = new org.apache.hadoop.fs.Path(place);
        this.unfinished = new org.apache.hadoop.fs.Path(unfinished);
    }

    /** Makes the folder, and copies from it until the end; does nothing where a job has no place for results. */
    static Results start() {
        String place = System.getProperty(PLACE);
        String folder = System.getenv(FOLDER);
        if (place == null || folder == null) {
            return new Results(null, null, "file:/", "file:/");
        }
        Path rescued = MISTAKEN;
        String output = System.getenv(OUTPUT);
        if (output != null) {
            URI address = URI.create(output.replace(" ", "%20"));
            rescued = MISTAKEN.resolve(address.getAuthority() + address.getPath());
        }
        Results results = new Results(Path.of(folder), rescued, place, System.getProperty(UNFINISHED));
        try {
            Files.createDirectories(results.folder);
        } catch (IOException error) {
            System.out.println("market: " + folder + " could not be made: " + error);
        }
        Thread copying = new Thread(results::copyAlways, "market-results");
        copying.setDaemon(true);
        copying.start();
        return results;
    }

    private void copyAlways() {
        while (true) {
            try {
                Thread.sleep(PAUSE_MS);
                if (!copyAgain()) {
                    return;
                }
            } catch (InterruptedException ended) {
                return;
            } catch (RuntimeException error) {
                System.out.println("market: results could not be saved yet: " + error);
            }
        }
    }

    /** Copy all that is left, and return what could not be saved, in words. */
    synchronized String finish() {
        if (folder == null) {
            return "";
        }
        lost.clear();
        finished = true;
        copy(true);
        String notes = (unsaved() + mistaken()).strip();
        if (!notes.isEmpty()) {
            System.out.println("market: " + notes);
        }
        return notes;
    }

    /** Say which files could not be saved: a few by name, and why the first could not. */
    private String unsaved() {
        if (lost.isEmpty()) {
            return "";
        }
        String more = lost.size() > NAMED ? " and " + (lost.size() - NAMED) + " more" : "";
        String names = lost.keySet().stream().limit(NAMED).collect(Collectors.joining(", "));
        return "Not saved: " + names + more + " (" + lost.values().iterator().next() + "). ";
    }

    /** Copy what is due; tell whether there will be more. */
    private synchronized boolean copyAgain() {
        if (!finished) {
            copy(false);
        }
        return !finished;
    }

    private void copy(boolean last) {
        copyFrom(folder, last);
        if (Files.isDirectory(rescued)) {
            copyFrom(rescued, last);
            if (!told) {
                told = true;
                System.out.println(
                        "market: MARKET_OUTPUT is an address in HDFS. A file that was written to a folder of that"
                                + " name with open() is saved as a result all the same; MARKET_RESULTS names the"
                                + " folder that is meant for it.");
            }
        }
        if (last && files != null) {
            try {
                files.delete(unfinished, true);
            } catch (IOException away) {
                System.out.println("market: " + unfinished + " is left: " + away);
            }
        }
    }

    /** Say what lies in a folder called `hdfs:` and is no result. */
    private String mistaken() {
        if (!Files.isDirectory(MISTAKEN)) {
            return "";
        }
        Set<Path> elsewhere = new HashSet<>();
        visit(MISTAKEN, (path, about) -> {
            if (!path.startsWith(rescued)) {
                elsewhere.add(path);
            }
        });
        if (elsewhere.isEmpty()) {
            return "";
        }
        return "Not saved: " + elsewhere.size() + (elsewhere.size() == 1 ? " file" : " files")
                + " in a folder called hdfs: in the driver's container; open() does not write to HDFS.";
    }

    private void copyFrom(Path root, boolean last) {
        List<Changed> changed = new ArrayList<>();
        visit(root, (path, about) -> {
            long modified = about.lastModifiedTime().toMillis();
            if (last ? !isSaved(path, about.size(), modified) : isDue(path, about.size(), modified)) {
                changed.add(new Changed(path, about.size(), modified));
            }
        });
        // Where there is little time, the small ones are safe.
        changed.sort(Comparator.comparingLong(Changed::size));
        for (Changed file : changed) {
            copy(file, named(root.relativize(file.path)));
        }
    }

    private boolean isSaved(Path path, long size, long modified) {
        Copy before = copies.get(path);
        return before != null && before.size == size && before.modified == modified;
    }

    private boolean isDue(Path path, long size, long modified) {
        long now = System.currentTimeMillis();
        Copy before = copies.computeIfAbsent(path, unseen -> new Copy(-1, 0, now, 0));
        boolean restless = now - modified < QUIET_MS && now - before.at < RESTLESS_MS;
        return !isSaved(path, size, modified) && !restless && now - before.at >= TIMES * before.took;
    }

    private void copy(Changed file, String name) {
        long began = System.currentTimeMillis();
        boolean saved = false;
        try {
            save(file.path, name);
            saved = true;
            lost.remove(name);
        } catch (IOException | RuntimeException error) {
            if (lost.put(name, reason(error)) == null && lost.size() <= NAMED) {
                System.out.println("market: " + name + " is not saved: " + reason(error));
            }
        }
        long now = System.currentTimeMillis();
        copies.put(file.path, new Copy(saved ? file.size : -1, file.modified, now, now - began));
    }

    private void save(Path path, String name) throws IOException {
        if (files == null) {
            files = FileContext.getFileContext(place.toUri(), new Configuration());
        }
        org.apache.hadoop.fs.Path part = new org.apache.hadoop.fs.Path(unfinished, "part");
        org.apache.hadoop.fs.Path target = new org.apache.hadoop.fs.Path(place, name);
        try (InputStream in = Files.newInputStream(path);
                OutputStream out =
                        files.create(
                                part,
                                EnumSet.of(CreateFlag.CREATE, CreateFlag.OVERWRITE),
                                Options.CreateOpts.createParent())) {
            byte[] chunk = new byte[CHUNK];
            for (int size = in.read(chunk); size >= 0; size = in.read(chunk)) {
                out.write(chunk, 0, size);
            }
        }
        if (made.add(target.getParent())) {
            files.mkdir(target.getParent(), null, true);
        }
        files.rename(part, target, Options.Rename.OVERWRITE);
    }

    /** Returns a file's name in HDFS, which has no colon in names, and by which it can be asked for. */
    private static String named(Path relative) {
        return relative.toString().replaceAll("[:\\p{Cntrl}]", "_");
    }

    private static String reason(Exception error) {
        String words = String.valueOf(error.getMessage()).lines().findFirst().orElse("");
        return error.getClass().getSimpleName() + (words.isEmpty() ? "" : ": " + words);
    }

    private interface Seen {
        void file(Path path, BasicFileAttributes about);
    }

    private static void visit(Path root, Seen seen) {
        try {
            Files.walkFileTree(
                    root,
                    EnumSet.of(FileVisitOption.FOLLOW_LINKS),
                    DEPTH,
                    new SimpleFileVisitor<>() {
                        @Override
                        public FileVisitResult visitFile(Path path, BasicFileAttributes about) {
                            if (about.isRegularFile()) {
                                seen.file(path, about);
                            }
                            return FileVisitResult.CONTINUE;
                        }

                        @Override
                        public FileVisitResult visitFileFailed(Path path, IOException error) {
                            return FileVisitResult.CONTINUE;
                        }

                        @Override
                        public FileVisitResult postVisitDirectory(Path path, IOException error) {
                            return FileVisitResult.CONTINUE;
                        }
                    });
        } catch (IOException gone) {
            System.out.println("market: " + root + " cannot be read: " + gone);
        }
    }
}
