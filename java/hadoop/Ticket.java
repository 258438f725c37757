package distributedmarket.hadoop;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.PublicKey;
import java.security.Signature;
import java.security.spec.X509EncodedKeySpec;
import java.util.Base64;

/**
 * What the market says with each request to a server of the cluster: who asks which server, and until when.
 *
 * <p>A header {@code Authorization: Market USER|AUDIENCE|EXPIRY|SIGNATURE}: the expiry is in seconds since 1970, the
 * signature is Ed25519 over what stands before it, in the URL's alphabet of base 64. Servers hold the public key only,
 * so a lent machine may have it. The audience is what the server was started as ({@code -Dmarket.audience}): neither
 * the address of the connection, which an inner server of the same program has for itself, nor the Host header, which
 * the caller writes.
 */
public final class Ticket {
    /** What stands before a ticket in the header, and what a server answers whom it does not know. */
    public static final String SCHEME = "Market";

    private static final int MAX_LENGTH = 1024;
    private static final int PARTS = 4;

    private final PublicKey key;
    private final String audience;

    /** A ticket was not good for this server; the message says why, and nothing of the ticket's own text. */
    public static final class Refused extends Exception {
        private static final long serialVersionUID = 1L;

        Refused(String message) {
            super(message);
        }
    }

    private Ticket(PublicKey key, String audience) {
        this.key = key;
        this.audience = audience;
    }

    /**
     * Return what checks tickets in this process.
     *
     * @param file a public key as PEM
     * @throws IOException if there is no such key, or the process was not told who it is
     */
    public static Ticket reader(String file) throws IOException {
        String audience = System.getProperty("market.audience", "");
        if (file == null || audience.isEmpty()) {
            throw new IOException("tickets need a key's file, and -Dmarket.audience");
        }
        String pem = Files.readString(Path.of(file)).replaceAll("-----[A-Z ]+-----", "");
        try {
            byte[] der = Base64.getMimeDecoder().decode(pem);
            return new Ticket(
                    KeyFactory.getInstance("Ed25519").generatePublic(new X509EncodedKeySpec(der)),
                    audience);
        } catch (GeneralSecurityException | IllegalArgumentException e) {
            throw new IOException(file + " is no public key of Ed25519", e);
        }
    }

    /** Tell whether a header offers a ticket at all. */
    public static boolean offered(String header) {
        return header != null && header.startsWith(SCHEME + " ");
    }

    /**
     * Return who asks.
     *
     * @param header the header, with what {@link #offered} looks for
     */
    public String user(String header) throws Refused {
        if (header.length() > MAX_LENGTH) {
            throw new Refused("the ticket is too long");
        }
        String[] parts = header.substring(SCHEME.length() + 1).split("\\|", -1);
        if (parts.length != PARTS || parts[0].isEmpty()) {
            throw new Refused("the ticket has another form");
        }
        String said = parts[0] + "|" + parts[1] + "|" + parts[2];
        if (!signed(said, parts[3])) {
            throw new Refused("the ticket was not signed by the market");
        }
        if (!parts[1].equals(audience)) {
            throw new Refused("the ticket is for another server than " + audience);
        }
        if (expired(parts[2])) {
            throw new Refused("the ticket is too old");
        }
        return parts[0];
    }

    private boolean signed(String said, String signature) throws Refused {
        try {
            Signature check = Signature.getInstance("Ed25519");
            check.initVerify(key);
            check.update(said.getBytes(StandardCharsets.UTF_8));
            return check.verify(Base64.getUrlDecoder().decode(signature));
        } catch (GeneralSecurityException | IllegalArgumentException e) {
            return false; // no signature at all
        }
    }

    private static boolean expired(String expiry) {
        try {
            return Long.parseLong(expiry) <= System.currentTimeMillis() / 1000;
        } catch (NumberFormatException e) {
            return true;
        }
    }
}
