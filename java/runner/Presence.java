package distributedmarket;

import java.io.IOException;
import java.lang.reflect.Field;
import java.util.concurrent.TimeUnit;

import org.apache.hadoop.yarn.api.records.FinalApplicationStatus;
import org.apache.hadoop.yarn.client.api.AMRMClient;
import org.apache.hadoop.yarn.conf.YarnConfiguration;
import org.apache.hadoop.yarn.exceptions.YarnException;
import org.apache.spark.SparkConf;
import org.apache.spark.deploy.yarn.YarnRMClient;

import scala.Option;

/**
 * This driver as the ResourceManager knows it: there since the program has begun, not since its first session.
 *
 * <p>Spark registers when a session is made. Until then YARN would take the program for one that waits, and
 * give it up after a minute. When Spark registers it takes over what is here.
 */
final class Presence extends YarnRMClient {
    private static final long BEAT_S = 5;

    private final AMRMClient<AMRMClient.ContainerRequest> yarn = AMRMClient.createAMRMClient();
    private boolean taken;

    private Presence() {}

    /** Registers with the ResourceManager, and tells it now and then that the program runs. */
    static Presence begin(YarnConfiguration conf, String host) throws YarnException, IOException {
        Presence presence = new Presence();
        presence.yarn.init(conf);
        presence.yarn.start();
        presence.yarn.registerApplicationMaster(host, 0, "");
        Thread beating = new Thread(presence::beat, "market-presence");
        beating.setDaemon(true);
        beating.start();
        return presence;
    }

    private void beat() {
        try {
            while (beatOnce()) {
                TimeUnit.SECONDS.sleep(BEAT_S);
            }
        } catch (InterruptedException ended) {
            Thread.currentThread().interrupt();
        }
    }

    private synchronized boolean beatOnce() {
        if (!taken) {
            try {
                yarn.allocate(0);
            } catch (YarnException | IOException away) {
                System.err.println("market: the ResourceManager does not answer: " + away);
            }
        }
        return !taken;
    }

    @Override
    public synchronized void register(
            String host,
            int port,
            YarnConfiguration conf,
            SparkConf sparkConf,
            Option<String> pages,
            String history) {
        taken = true;
        set("amClient", yarn);
        set("uiHistoryAddress", history);
        set("registered", true);
        show(pages);
    }

    /** Let YARN lead to a session's pages. */
    void show(Option<String> pages) {
        if (pages.isDefined()) {
            yarn.updateTrackingUrl(pages.get());
        }
    }

    /** Report the end of a program that has made no session. */
    synchronized void leave(FinalApplicationStatus status, String text) throws YarnException, IOException {
        taken = true;
        yarn.unregisterApplicationMaster(status, text, "");
        yarn.stop();
    }

    private void set(String name, Object value) {
        try {
            Field field = YarnRMClient.class.getDeclaredField(name);
            field.setAccessible(true);
            field.set(this, value);
        } catch (ReflectiveOperationException other) {
            throw new IllegalStateException("Spark's client of YARN has no " + name, other);
        }
    }
}
