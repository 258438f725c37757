package distributedmarket;

import java.io.IOException;
import java.lang.reflect.Constructor;
import java.lang.reflect.Field;
import java.lang.reflect.Method;
import java.util.Arrays;
import java.util.concurrent.TimeoutException;

import org.apache.hadoop.yarn.api.records.FinalApplicationStatus;
import org.apache.hadoop.yarn.conf.YarnConfiguration;
import org.apache.hadoop.yarn.exceptions.YarnException;
import org.apache.spark.SparkConf;
import org.apache.spark.SparkContext;
import org.apache.spark.deploy.yarn.ApplicationMaster;
import org.apache.spark.deploy.yarn.ApplicationMaster$;
import org.apache.spark.deploy.yarn.YarnAllocator;
import org.apache.spark.deploy.yarn.YarnRMClient;
import org.apache.spark.rpc.RpcAddress;
import org.apache.spark.rpc.RpcEndpoint;
import org.apache.spark.rpc.RpcEndpointRef;
import org.apache.spark.rpc.RpcEnv;

import scala.concurrent.Await;
import scala.concurrent.Promise;
import scala.concurrent.Promise$;
import scala.concurrent.duration.Duration;

/**
 * Spark's own master of this application, where it does less than programs need.
 *
 * <p>It reports nothing of a program that made no session, and serves one session only. What is private in it
 * is reached by its name: Spark's version is pinned, and tests/system/programs would notice its going.
 */
final class Master {
    private static final int FAILED = 15; // Spark's own exit code for a program that threw an exception
    private static final long LEAVING_MS = 10_000;
    private static final long LOOK_MS = 100;

    private static Presence presence;

    private final ApplicationMaster master;

    private Master(ApplicationMaster master) {
        this.master = master;
    }

    private static Master here() {
        ApplicationMaster master =
                ApplicationMaster$.MODULE$.org$apache$spark$deploy$yarn$ApplicationMaster$$master();
        return master == null ? null : new Master(master);
    }

    /** Tell YARN that the program runs. */
    static void begin() {
        Master master = here();
        if (master == null) {
            return;
        }
        try {
            String host = System.getenv("NM_HOST");
            YarnConfiguration conf = (YarnConfiguration) master.field("yarnConf").get(master.master);
            presence = Presence.begin(conf, host == null ? "localhost" : host);
            master.field("client").set(master.master, presence);
        } catch (ReflectiveOperationException | IOException | YarnException | RuntimeException failed) {
            System.err.println("market: YARN does not know yet that this program runs: " + failed);
        }
    }

    /** Tell YARN how the program ended; return whether this process has nothing left to do. */
    static boolean report(Ending ending) {
        Master master = here();
        if (master == null) { // not on YARN: in a test
            System.out.println(ending.text());
            if (!ending.well()) {
                throw new IllegalStateException(ending.text());
            }
            return false;
        }
        FinalApplicationStatus status =
                ending.well() ? FinalApplicationStatus.SUCCEEDED : FinalApplicationStatus.FAILED;
        boolean registered = master.registered();
        if (!registered) {
            leave(status, ending.text());
            master.countAsRegistered();
        }
        master.master.finish(status, ending.well() ? 0 : FAILED, ending.text());
        return !registered;
    }

    /** Have Spark's master end, and write into the log, with the program's status: otherwise it has failed. */
    private void countAsRegistered() {
        try {
            call("registered_$eq", true);
        } catch (ReflectiveOperationException other) {
            System.err.println("market: Spark's master has another end: " + other);
        }
    }

    /** Leave it to YARN to tell why it ends this driver: Spark's master would report a failure of the program. */
    static void sayNothing() {
        Master master = here();
        try {
            if (master != null) {
                master.call("unregistered_$eq", true);
            }
        } catch (ReflectiveOperationException other) {
            System.err.println("market: Spark reports this end: " + other);
        }
    }

    /** Report the end of a program that has made no session. */
    private static void leave(FinalApplicationStatus status, String text) {
        try {
            if (presence == null) {
                throw new IOException("it does not know of it");
            }
            presence.leave(status, text);
        } catch (IOException | YarnException failed) {
            System.err.println("market: YARN did not take the end of this program: " + failed);
            System.err.println(text);
        }
    }

    /** Prepare the master for a session after the first one, which it would refuse. */
    static void expectAnother() {
        Master master = here();
        if (master == null) {
            return;
        }
        try {
            master.awaitLeaving();
            Promise<SparkContext> promise = Promise$.MODULE$.apply();
            master.field("org$apache$spark$deploy$yarn$ApplicationMaster$$sparkContextPromise")
                    .set(master.master, promise);
            Thread serving = new Thread(() -> master.serve(promise), "market-next-session");
            serving.setDaemon(true);
            serving.start();
        } catch (ReflectiveOperationException other) {
            throw new IllegalStateException("a second session cannot be served: " + other, other);
        }
    }

    /** Wait for the executors of the session before: both together would be more than the job holds. */
    private void awaitLeaving() throws ReflectiveOperationException {
        YarnAllocator before = (YarnAllocator) field(
                "org$apache$spark$deploy$yarn$ApplicationMaster$$allocator").get(master);
        long until = System.currentTimeMillis() + LEAVING_MS;
        while (before != null
                && before.getNumExecutorsRunning() > 0
                && System.currentTimeMillis() < until) {
            try {
                Thread.sleep(LOOK_MS);
            } catch (InterruptedException ended) {
                Thread.currentThread().interrupt();
                return;
            }
        }
    }

    /** Do for this session what Spark's master does for the first: have containers for its executors. */
    private void serve(Promise<SparkContext> promise) {
        try {
            SparkContext session = Await.result(promise.future(), Duration.Inf());
            SparkConf conf = session.getConf();
            RpcEnv environment = session.env().rpcEnv();
            RpcEndpointRef driver =
                    environment.setupEndpointRef(
                            new RpcAddress(
                                    conf.get("spark.driver.host"),
                                    Integer.parseInt(conf.get("spark.driver.port"))),
                            "YarnScheduler");
            Object attempt = call("org$apache$spark$deploy$yarn$ApplicationMaster$$appAttemptId");
            Object resources = call("prepareLocalResources", call("distCacheConf"));
            YarnRMClient client = (YarnRMClient) call("client");
            Method create =
                    Arrays.stream(YarnRMClient.class.getMethods())
                            .filter(method -> method.getName().equals("createAllocator"))
                            .findFirst()
                            .orElseThrow();
            String address =
                    "spark://CoarseGrainedScheduler@" + driver.address().host() + ":" + driver.address().port();
            YarnAllocator allocator =
                    (YarnAllocator)
                            create.invoke(
                                    client,
                                    field("yarnConf").get(master),
                                    conf,
                                    attempt,
                                    address,
                                    driver,
                                    call("securityMgr"),
                                    resources);
            call("allocator_$eq", allocator);
            Constructor<?> endpoint =
                    Class.forName(ApplicationMaster.class.getName() + "$AMEndpoint")
                            .getDeclaredConstructors()[0];
            endpoint.setAccessible(true);
            environment.setupEndpoint(
                    "YarnAM", (RpcEndpoint) endpoint.newInstance(master, environment, driver));
            if (presence != null) {
                presence.show(session.uiWebUrl());
            }
            allocator.allocateResources();
        } catch (ReflectiveOperationException | InterruptedException | TimeoutException | RuntimeException failed) {
            failed.printStackTrace();
            Program.end(new Ending(1, "error", "a second session could not be served: " + failed, ""));
        } finally {
            synchronized (promise) {
                promise.notifyAll();
            }
        }
    }

    private boolean registered() {
        try {
            return (Boolean) call("registered");
        } catch (ReflectiveOperationException other) {
            return true;
        }
    }

    private Field field(String name) throws ReflectiveOperationException {
        Field field = ApplicationMaster.class.getDeclaredField(name);
        field.setAccessible(true);
        return field;
    }

    private Object call(String name, Object... values) throws ReflectiveOperationException {
        Method method =
                Arrays.stream(ApplicationMaster.class.getDeclaredMethods())
                        .filter(one -> one.getName().equals(name) && one.getParameterCount() == values.length)
                        .findFirst()
                        .orElseThrow(() -> new NoSuchMethodException(name));
        method.setAccessible(true);
        return method.invoke(master, values);
    }
}
