package distributedmarket.history;

import java.io.IOException;

import distributedmarket.hadoop.Ticket;

import jakarta.servlet.Filter;
import jakarta.servlet.FilterChain;
import jakarta.servlet.FilterConfig;
import jakarta.servlet.ServletException;
import jakarta.servlet.ServletRequest;
import jakarta.servlet.ServletResponse;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;

/**
 * Lets the market alone look at Spark's History Server: it shows every job's events, and knows no owners.
 *
 * <p>Named in {@code spark.ui.filters}; its parameters are {@code key}, a file with the public key of tickets, and
 * {@code user}, the market's own account. What Hadoop's servers ask is asked in the same way by TicketHandler.
 */
public final class TicketFilter implements Filter {
    private Ticket tickets;
    private String only;

    @Override
    public void init(FilterConfig config) throws ServletException {
        only = config.getInitParameter("user");
        if (only == null) {
            throw new ServletException("nobody is named who may look");
        }
        try {
            tickets = Ticket.reader(config.getInitParameter("key"));
        } catch (IOException e) {
            throw new ServletException(e);
        }
    }

    @Override
    public void doFilter(ServletRequest request, ServletResponse response, FilterChain chain)
            throws IOException, ServletException {
        HttpServletResponse answer = (HttpServletResponse) response;
        String header = ((HttpServletRequest) request).getHeader("Authorization");
        if (!Ticket.offered(header)) {
            answer.setHeader("WWW-Authenticate", Ticket.SCHEME);
            answer.sendError(HttpServletResponse.SC_UNAUTHORIZED);
            return;
        }
        try {
            if (!tickets.user(header).equals(only)) {
                answer.sendError(HttpServletResponse.SC_FORBIDDEN, "this is for the market");
                return;
            }
        } catch (Ticket.Refused e) {
            answer.sendError(HttpServletResponse.SC_FORBIDDEN, e.getMessage());
            return;
        }
        chain.doFilter(request, response);
    }
}
