package distributedmarket.hadoop;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;

import org.apache.hadoop.yarn.api.records.DecommissionType;
import org.apache.hadoop.yarn.server.api.protocolrecords.RefreshNodesRequest;

import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Has the ResourceManager read its lists of hosts again when a file beside them asks for it.
 *
 * <p>YARN offers that to its command line only, which starts a JVM each time: two seconds of a processor for each
 * machine that joins or leaves, and many more seconds where machines have little to give. The file {@code refresh} holds
 * {@code ID SECONDS}: an id that was not seen before, and what a host that leaves may take. What came of it stands in
 * {@code refreshed}: the id, and {@code done} or what is wrong.
 */
final class HostLists extends Thread {
    /** What reads the lists. */
    interface Reader {
        void read(RefreshNodesRequest request) throws Exception;
    }

    private static final Logger LOG = LoggerFactory.getLogger(HostLists.class);
    private static final int EVERY_MS = 50;
    private static final int MOST_CHARACTERS = 300;

    private final Path folder;
    private final Reader reader;
    private String seen = "";

    HostLists(Path folder, Reader reader) {
        super("host-lists");
        this.folder = folder;
        this.reader = reader;
        setDaemon(true);
    }

    @Override
    public void run() {
        while (true) {
            try {
                Thread.sleep(EVERY_MS);
                look();
            } catch (InterruptedException e) {
                return;
            } catch (IOException | RuntimeException e) {
                LOG.warn("the lists of hosts: {}", e.toString());
            }
        }
    }

    private void look() throws IOException {
        String[] words;
        try {
            words = Files.readString(folder.resolve("refresh")).trim().split(" ");
        } catch (NoSuchFileException e) {
            return;
        }
        if (words.length != 2 || words[0].equals(seen)) {
            return;
        }
        seen = words[0];
        answer(seen, outcome(words[1]));
    }

    private String outcome(String seconds) {
        try {
            reader.read(RefreshNodesRequest.newInstance(DecommissionType.GRACEFUL, Integer.valueOf(seconds)));
            return "done";
        } catch (Exception e) {
            LOG.warn("the lists of hosts are not read", e);
            String why = String.valueOf(e.getMessage()).replaceAll("\\s+", " ").trim();
            return why.substring(0, Math.min(why.length(), MOST_CHARACTERS));
        }
    }

    private void answer(String id, String text) throws IOException {
        Path fresh = folder.resolve(".refreshed.new");
        Files.write(fresh, (id + " " + text + "\n").getBytes(StandardCharsets.UTF_8));
        Files.move(fresh, folder.resolve("refreshed"), StandardCopyOption.ATOMIC_MOVE);
    }
}
