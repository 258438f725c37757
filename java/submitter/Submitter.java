package distributedmarket.submitter;

import java.io.File;
import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Arrays;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.Semaphore;

import org.apache.spark.util.ShutdownHookManager;
import org.apache.spark.util.Utils;

/**
 * The warm submitter: one virtual machine that stays, with Spark's client loaded and compiled.
 *
 * <p>Arguments: the socket to listen at, and those of a rehearsal (see {@link Work#rehearse}). Who may open the socket may submit for anybody: its file and folder belong to the
 * service account, and the other end must, too.
 */
public final class Submitter {
    private static final int CONNECTIONS = 64;
    private static final long OLD_MS = 600_000;

    private Submitter() {}

    public static void main(String[] arguments) throws Exception {
        Path socket = Path.of(arguments[0]);
        SubmissionLog.install();
        Login.begin();
        ScheduledExecutorService clock = Executors.newSingleThreadScheduledExecutor(
                work -> {
                    Thread thread = new Thread(work, "deadlines");
                    thread.setDaemon(true);
                    return thread;
                });
        Work work = new Work(clock, new Applications(), Submitter::clear);
        ServerSocketChannel server = listen(socket);
        String[] rehearsal = Arrays.copyOfRange(arguments, 1, arguments.length);
        Thread rehearsing = new Thread(() -> work.rehearse(rehearsal), "rehearsal");
        rehearsing.setDaemon(true);
        rehearsing.start();
        serve(server, clock, work);
    }

    private static void serve(ServerSocketChannel server, ScheduledExecutorService clock, Work work)
            throws IOException {
        Semaphore places = new Semaphore(CONNECTIONS);
        while (true) {
            SocketChannel channel = server.accept();
            if (!places.tryAcquire()) {
                channel.close(); // before any "ready": the caller runs the ordinary command
                continue;
            }
            Thread thread = new Thread(
                    () -> {
                        try (Caller caller = new Caller(channel, clock)) {
                            caller.attend(work);
                        } catch (IOException gone) {
                            System.err.println("a caller went away: " + gone.getMessage());
                        } finally {
                            places.release();
                        }
                    },
                    "caller");
            thread.setDaemon(true);
            thread.start();
        }
    }

    /** Listen under another name first, so that the socket is never there with a wider mode. */
    private static ServerSocketChannel listen(Path socket) throws IOException {
        Path fresh = socket.resolveSibling(socket.getFileName() + ".new");
        Files.deleteIfExists(fresh);
        ServerSocketChannel server = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
        server.bind(UnixDomainSocketAddress.of(fresh));
        Files.setPosixFilePermissions(fresh, PosixFilePermissions.fromString("rw-------"));
        Files.move(fresh, socket, StandardCopyOption.REPLACE_EXISTING);
        return server;
    }

    /**
     * Delete what Spark makes for each submission and would keep until the end of the process: a folder, and
     * the job's settings in an archive. Only what nothing that is on its way can need.
     */
    private static void clear(boolean idle) {
        long before = System.currentTimeMillis() - (idle ? -1 : OLD_MS);
        for (File folder : within(new File(System.getProperty("java.io.tmpdir")), "spark-")) {
            if (folder.lastModified() < before) {
                Utils.deleteRecursively(folder);
                ShutdownHookManager.removeShutdownDeleteDir(folder);
            }
        }
        for (File folder : within(new File(System.getenv("SPARK_LOCAL_DIRS")), "spark-")) {
            for (File archive : within(folder, "__spark_conf__")) {
                if (archive.lastModified() < before && !archive.delete()) {
                    System.err.println("this could not be deleted: " + archive);
                }
            }
        }
    }

    private static File[] within(File folder, String beginning) {
        File[] found = folder.listFiles((in, name) -> name.startsWith(beginning));
        return found == null ? new File[0] : found;
    }
}
