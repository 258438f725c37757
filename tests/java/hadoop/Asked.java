package distributedmarket.hadoop;

import java.io.BufferedReader;
import java.io.File;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.URI;
import java.nio.charset.StandardCharsets;

import javax.servlet.http.HttpServlet;
import javax.servlet.http.HttpServletRequest;
import javax.servlet.http.HttpServletResponse;

import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.http.HttpServer2;
import org.apache.hadoop.io.SecureIOUtils;
import org.apache.hadoop.yarn.api.records.NodeId;
import org.apache.hadoop.yarn.api.records.Resource;

/**
 * Hadoop's own web server with the market's classes, for tests: its port on the first line of the output, then a line
 * for each of the input: {@code open FILE}, {@code skip FILE}, {@code node CALLER HOST},
 * {@code allocated MIB}.
 */
public final class Asked {
    private Asked() {}

    /** Says who asks, as Hadoop's pages see it. */
    public static final class Who extends HttpServlet {
        private static final long serialVersionUID = 1L;

        @Override
        protected void doGet(HttpServletRequest request, HttpServletResponse response) throws IOException {
            response.getWriter().print(request.getRemoteUser() + " " + request.getUserPrincipal().getName());
        }
    }

    public static void main(String[] arguments) throws Exception {
        HttpServer2 server =
                new HttpServer2.Builder()
                        .setName("test")
                        .setConf(new Configuration())
                        .addEndpoint(URI.create("http://127.0.0.1:0"))
                        .build();
        server.addServlet("who", "/who", Who.class);
        server.start();
        System.out.println(server.getConnectorAddress(0).getPort());
        BufferedReader input =
                new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            System.out.println(answer(line.split(" ")));
        }
        server.stop();
    }

    private static String answer(String[] words) {
        try {
            if (words[0].equals("node")) {
                MarketResourceManager.check(words[1], NodeId.newInstance(words[2], 8041));
                return "allowed";
            }
            if (words[0].equals("allocated")) {
                Configuration nice = new Configuration();
                nice.setInt("yarn.nodemanager.container-executor.os.sched.priority.adjustment", 5);
                AllocatedExecutor executor = new AllocatedExecutor();
                executor.setConf(nice);
                Resource allocated = Resource.newInstance(Long.parseLong(words[1]), 1);
                return String.join(" ", executor.getRunCommand("script.sh", "", "alice", null, nice, allocated));
            }
            try (FileInputStream opened = SecureIOUtils.openForRead(new File(words[1]), "alice", null)) {
                if (words[0].equals("skip")) {
                    opened.skip(2);
                    opened.getChannel(); // by which the log pages send without a copy
                }
                String rest = new String(opened.readAllBytes(), StandardCharsets.UTF_8);
                return "read " + rest + ", " + opened.read() + " after it";
            }
        } catch (IOException e) {
            return "refused " + e.getClass().getSimpleName();
        }
    }
}
