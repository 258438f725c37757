package distributedmarket.submitter;

import java.io.FileNotFoundException;
import java.io.IOException;
import java.nio.charset.CharsetEncoder;
import java.nio.charset.StandardCharsets;
import java.security.PrivilegedExceptionAction;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Semaphore;

import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.PartialListing;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.RemoteIterator;
import org.apache.hadoop.hdfs.DistributedFileSystem;
import org.apache.hadoop.security.AccessControlException;
import org.apache.hadoop.security.UserGroupInformation;

/**
 * All files below a folder of HDFS, as one of its users sees them.
 *
 * <p>Over HTTP a client asks for each folder by itself. Here all folders of one depth are asked for together, a
 * hundred in one request.
 */
final class Listing {
    private static final int AT_ONCE = 2;
    private static final int FOLDERS = 100; // of one request: dfs.batched.ls.limit
    private static final int LONGEST = 1 << 16; // characters of an answer
    private static final Semaphore PLACES = new Semaphore(AT_ONCE, true);

    private final Caller caller;
    private final CharsetEncoder encoder = StandardCharsets.UTF_8.newEncoder();
    private final StringBuilder waiting = new StringBuilder();
    private int left;

    private Listing(Caller caller, int most) {
        this.caller = caller;
        this.left = most;
    }

    /**
     * Answer with the files: E and words parted by NUL, three for each (size, time of change, path below the
     * folder), then D. A for a folder that may not be read, M for one that is not there, F for anything else.
     */
    static void answer(Caller caller, String user, String folder, int most) throws IOException {
        PLACES.acquireUninterruptibly();
        try {
            Login.renew();
            UserGroupInformation service = UserGroupInformation.getLoginUser();
            UserGroupInformation.createProxyUser(user, service)
                    .doAs((PrivilegedExceptionAction<Void>) () -> {
                        // Not the cached one, which would stay for each user for ever.
                        try (FileSystem files = FileSystem.newInstance(new Configuration())) {
                            new Listing(caller, most).below((DistributedFileSystem) files, folder);
                        }
                        return null;
                    });
            caller.answer('D', "");
        } catch (FileNotFoundException missing) {
            caller.answer('M', "");
        } catch (AccessControlException denied) {
            caller.answer('A', "");
        } catch (InterruptedException | RuntimeException | IOException failed) {
            caller.answer('F', String.valueOf(failed.getMessage()));
        } finally {
            PLACES.release();
        }
    }

    private void below(DistributedFileSystem files, String folder) throws IOException {
        List<String> level = List.of("");
        while (!level.isEmpty()) {
            List<String> next = new ArrayList<>();
            for (int first = 0; first < level.size(); first += FOLDERS) {
                List<String> some = level.subList(first, Math.min(level.size(), first + FOLDERS));
                list(files, folder, some, next);
            }
            level = next;
        }
        flush();
    }

    private void list(DistributedFileSystem files, String top, List<String> folders, List<String> next)
            throws IOException {
        List<Path> paths = new ArrayList<>();
        for (String folder : folders) {
            paths.add(new Path(null, null, top + folder));
        }
        int prefix = top.length() + 1;
        RemoteIterator<PartialListing<FileStatus>> parts = files.batchedListStatusIterator(paths);
        while (parts.hasNext()) {
            for (FileStatus status : listed(parts.next(), folders.get(0).isEmpty())) {
                String path = status.getPath().toUri().getPath();
                if (--left < 0) {
                    throw new IOException("there is too much below it");
                }
                if (path.length() < prefix || path.indexOf('\0') >= 0 || !encoder.canEncode(path)) {
                    continue; // the folder itself was a file, or no address can name it
                }
                if (status.isDirectory()) {
                    next.add(path.substring(prefix - 1));
                } else {
                    add(status, path.substring(prefix));
                }
            }
        }
    }

    /** Return what a folder holds; of those below the first one nothing where it has gone, or is closed. */
    private static List<FileStatus> listed(PartialListing<FileStatus> part, boolean isTop) throws IOException {
        try {
            return part.get();
        } catch (FileNotFoundException | AccessControlException hidden) {
            if (isTop) {
                throw hidden;
            }
            return List.of();
        }
    }

    private void add(FileStatus status, String path) throws IOException {
        waiting.append(status.getLen()).append('\0').append(status.getModificationTime()).append('\0');
        waiting.append(path).append('\0');
        if (waiting.length() > LONGEST) {
            flush();
        }
    }

    private void flush() throws IOException {
        caller.answer('E', waiting.toString()); // fails when the caller has gone: then nobody needs the rest
        waiting.setLength(0);
    }
}
