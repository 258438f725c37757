package org.apache.hadoop.io;

import java.io.File;
import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.RandomAccessFile;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.OpenOption;
import java.nio.file.Path;
import java.nio.file.SecureDirectoryStream;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributeView;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.Set;

import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.yarn.conf.YarnConfiguration;

/**
 * How a NodeManager opens the log files of containers, in the place of Hadoop's class of this name.
 *
 * <p>Hadoop's own needs a native library, and asks that a file belong to the user of its job. Here all containers of a
 * machine run under the NodeManager's account, and what they could do is put a link among their logs: the NodeManager
 * sees more of the machine than they do. So a file is reached from the folder for logs step by step, each step from
 * the folder that the last one opened, and no step follows a link.
 */
public class SecureIOUtils {
    /** A file was to be made that is there. */
    public static class AlreadyExistsException extends IOException {
        private static final long serialVersionUID = 1L;

        public AlreadyExistsException(String message) {
            super(message);
        }

        public AlreadyExistsException(Throwable cause) {
            super(cause);
        }
    }

    private static final Set<OpenOption> READ = Set.of(StandardOpenOption.READ, LinkOption.NOFOLLOW_LINKS);

    /** The folders of which the configuration says that containers write their logs there. */
    private static final class Rooms {
        static final List<Path> PATHS =
                Arrays.stream(
                                new YarnConfiguration()
                                        .getTrimmedStrings(
                                                YarnConfiguration.NM_LOG_DIRS,
                                                YarnConfiguration.DEFAULT_NM_LOG_DIRS))
                        .map(name -> Path.of(name.replaceFirst("^file:(//)?", "")))
                        .toList();
    }

    /** Open a container's log. Owner and group are not asked: every container's are the same. */
    public static FileInputStream openForRead(File file, String owner, String group) throws IOException {
        return new ChannelStream(open(Rooms.PATHS, file.toPath()));
    }

    /** Refused: only MapReduce's shuffle service and its tasks call it, and no machine here runs them. */
    public static RandomAccessFile openForRandomRead(File file, String mode, String owner, String group)
            throws IOException {
        throw new IOException("not opened: " + file);
    }

    /** Refused, as {@link #openForRandomRead}. */
    public static FSDataInputStream openFSDataInputStream(File file, String owner, String group)
            throws IOException {
        throw new IOException("not opened: " + file);
    }

    /** Refused, as {@link #openForRandomRead}. */
    public static FileOutputStream createForWrite(File file, int permissions) throws IOException {
        throw new IOException("not made: " + file);
    }

    /** Open a plain file below one of the rooms, to which no link leads. */
    static FileChannel open(List<Path> rooms, Path file) throws IOException {
        Path room =
                rooms.stream()
                        .filter(file::startsWith)
                        .findFirst()
                        .orElseThrow(() -> new IOException("not in a folder for logs: " + file));
        if (!file.equals(file.normalize()) || file.equals(room)) {
            throw new IOException("not a plain way: " + file);
        }
        try (SecureDirectoryStream<Path> folder = opened(room)) {
            return open(folder, room.relativize(file).iterator(), file);
        }
    }

    private static FileChannel open(SecureDirectoryStream<Path> folder, Iterator<Path> way, Path file)
            throws IOException {
        Path name = way.next();
        if (way.hasNext()) {
            try (SecureDirectoryStream<Path> next = folder.newDirectoryStream(name, LinkOption.NOFOLLOW_LINKS)) {
                return open(next, way, file);
            }
        }
        // Asked first: to open a pipe would wait for whoever writes into it.
        BasicFileAttributes attributes =
                folder.getFileAttributeView(name, BasicFileAttributeView.class, LinkOption.NOFOLLOW_LINKS)
                        .readAttributes();
        if (!attributes.isRegularFile()) {
            throw new IOException("not a plain file: " + file);
        }
        return (FileChannel) folder.newByteChannel(name, READ);
    }

    private static SecureDirectoryStream<Path> opened(Path room) throws IOException {
        DirectoryStream<Path> folder = Files.newDirectoryStream(room);
        if (!(folder instanceof SecureDirectoryStream)) {
            folder.close();
            throw new IOException("this system cannot open files without following links");
        }
        SecureDirectoryStream<Path> secure = (SecureDirectoryStream<Path>) folder;
        // Its name may have been a link when it was opened; what it names now must be the same folder, and none.
        Object key = secure.getFileAttributeView(BasicFileAttributeView.class).readAttributes().fileKey();
        BasicFileAttributes named =
                Files.readAttributes(room, BasicFileAttributes.class, LinkOption.NOFOLLOW_LINKS);
        if (!named.isDirectory() || !named.fileKey().equals(key)) {
            secure.close();
            throw new NoSuchFileException(room.toString(), null, "the folder for logs was replaced");
        }
        return secure;
    }

    /** A stream over an open file: the streams of Java open their files by name. */
    private static final class ChannelStream extends FileInputStream {
        private final FileChannel channel;
        private final InputStream stream;

        ChannelStream(FileChannel channel) {
            super(new FileDescriptor());
            this.channel = channel;
            this.stream = Channels.newInputStream(channel);
        }

        @Override
        public int read() throws IOException {
            return stream.read();
        }

        @Override
        public int read(byte[] bytes) throws IOException {
            return stream.read(bytes);
        }

        @Override
        public int read(byte[] bytes, int offset, int length) throws IOException {
            return stream.read(bytes, offset, length);
        }

        @Override
        public byte[] readAllBytes() throws IOException {
            return stream.readAllBytes();
        }

        @Override
        public byte[] readNBytes(int length) throws IOException {
            return stream.readNBytes(length);
        }

        @Override
        public long skip(long count) throws IOException {
            return stream.skip(count);
        }

        @Override
        public int available() throws IOException {
            return stream.available();
        }

        @Override
        public FileChannel getChannel() {
            return channel;
        }

        @Override
        public void close() throws IOException {
            channel.close();
            super.close();
        }
    }
}
