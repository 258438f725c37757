package distributedmarket.hadoop;

import java.io.IOException;
import java.util.Properties;

import javax.servlet.ServletException;
import javax.servlet.http.HttpServletRequest;
import javax.servlet.http.HttpServletResponse;

import org.apache.hadoop.security.authentication.client.AuthenticationException;
import org.apache.hadoop.security.authentication.server.AuthenticationHandler;
import org.apache.hadoop.security.authentication.server.AuthenticationToken;

/**
 * How Hadoop's web pages and REST interfaces know who asks: by a {@link Ticket} in each request.
 *
 * <p>It is named in {@code hadoop.http.authentication.type}, and {@code hadoop.http.authentication.market.key} names
 * the file of the market's public key.
 */
public final class TicketHandler implements AuthenticationHandler {
    private static final String TYPE = "market";

    private Ticket tickets;

    @Override
    public String getType() {
        return TYPE;
    }

    @Override
    public void init(Properties config) throws ServletException {
        try {
            tickets = Ticket.reader(config.getProperty(TYPE + ".key"));
        } catch (IOException e) {
            throw new ServletException(e); // a server that can check nobody does not start
        }
    }

    @Override
    public void destroy() {}

    @Override
    public boolean managementOperation(
            AuthenticationToken token, HttpServletRequest request, HttpServletResponse response) {
        return true; // there is none: the request goes its way
    }

    @Override
    public AuthenticationToken authenticate(HttpServletRequest request, HttpServletResponse response)
            throws AuthenticationException {
        String header = request.getHeader("Authorization");
        if (!Ticket.offered(header)) {
            response.setHeader(WWW_AUTHENTICATE, Ticket.SCHEME);
            response.setStatus(HttpServletResponse.SC_UNAUTHORIZED);
            return null;
        }
        try {
            String user = tickets.user(header);
            AuthenticationToken token = new AuthenticationToken(user, user, TYPE);
            token.setExpires(0); // so the filter makes no cookie of it: each request proves itself
            return token;
        } catch (Ticket.Refused e) {
            throw new AuthenticationException(e.getMessage());
        }
    }
}
