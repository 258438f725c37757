package distributedmarket.submitter;

import java.io.Closeable;
import java.io.DataInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.TimeUnit;

import jdk.net.ExtendedSocketOptions;
import jdk.net.UnixDomainPrincipal;

/**
 * One connection: of `spark-submit` (warm_submitter.py has the other end and the reasons), or of who wants
 * files listed (cluster/listing.py).
 *
 * <p>A question is a length (4 bytes, big-endian) and words parted by NUL. An answer is a letter, a length
 * and a text: R ready, then one byte G is awaited; L a line of the log; D done, with the application's id;
 * F failed; N refused, and nothing was or will be submitted; S the status. {@link Listing} has its own.
 */
final class Caller implements Closeable {
    private static final int LONGEST = 4 << 20;
    private static final long PATIENCE_MS = 3_000;

    private final SocketChannel channel;
    private final ScheduledExecutorService clock;
    private final DataInputStream in;
    private boolean gone;

    Caller(SocketChannel channel, ScheduledExecutorService clock) {
        this.channel = channel;
        this.clock = clock;
        this.in = new DataInputStream(Channels.newInputStream(channel));
    }

    void attend(Work work) throws IOException {
        UnixDomainPrincipal peer = channel.getOption(ExtendedSocketOptions.SO_PEERCRED);
        if (!peer.user().getName().equals(System.getProperty("user.name"))) {
            return;
        }
        String[] words = withinPatience(this::question);
        switch (words[0]) {
            case "status" -> answer('S', work.status());
            case "submit" -> submit(work, words);
            case "list" -> Listing.answer(this, words[1], words[2], Integer.parseInt(words[3]));
            default -> answer('N', "unknown question: " + words[0]);
        }
    }

    private void submit(Work work, String[] words) throws IOException {
        int variables = Integer.parseInt(words[2]);
        String other = otherSetting(Arrays.copyOfRange(words, 3, 3 + variables));
        if (other != null) {
            answer('N', "the warm submitter runs with another " + other);
            return;
        }
        String[] arguments = Arrays.copyOfRange(words, 3 + variables, words.length);
        work.enter();
        try {
            // Whoever has gone away by now gets nothing submitted: he, or his successor, does it himself.
            answer('R', "");
            if (withinPatience(in::read) != 'G') {
                throw new EOFException("it did not say go");
            }
            work.submit(words[1], arguments, this);
        } finally {
            work.leave();
        }
    }

    /** Return the variable of NAME=value words that is not what this process was started with, or null. */
    private static String otherSetting(String[] variables) {
        for (String variable : variables) {
            String[] parts = variable.split("=", 2);
            if (!parts[1].equals(System.getenv(parts[0]))) {
                return parts[0];
            }
        }
        return null;
    }

    private String[] question() throws IOException {
        int length = in.readInt();
        if (length < 1 || length > LONGEST) {
            throw new IOException("a question of " + length + " bytes");
        }
        byte[] text = new byte[length];
        in.readFully(text);
        return new String(text, StandardCharsets.UTF_8).split("\0", -1);
    }

    /** Read, or close the connection: a caller that stands still must not hold a place. */
    private <T> T withinPatience(Reading<T> reading) throws IOException {
        ScheduledFuture<?> end = clock.schedule(this::close, PATIENCE_MS, TimeUnit.MILLISECONDS);
        try {
            return reading.read();
        } finally {
            end.cancel(false);
        }
    }

    /** Send an answer; raise if the caller has gone. */
    synchronized void answer(char kind, String text) throws IOException {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        ByteBuffer frame = ByteBuffer.allocate(5 + bytes.length);
        frame.put((byte) kind).putInt(bytes.length).put(bytes).flip();
        while (frame.hasRemaining()) {
            channel.write(frame);
        }
    }

    /**
     * Send a line of the log; a caller who has gone does not stop what he began.
     *
     * <p>Not when interrupted: writing would close the channel, which says that the submission has ended.
     */
    void line(String text) {
        if (!gone && !Thread.currentThread().isInterrupted()) {
            try {
                answer('L', text);
            } catch (IOException closed) {
                gone = true;
            }
        }
    }

    @Override
    public void close() {
        try {
            channel.close();
        } catch (IOException closed) {
            gone = true;
        }
    }

    private interface Reading<T> {
        T read() throws IOException;
    }
}
