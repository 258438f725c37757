import org.apache.hadoop.yarn.client.api.YarnClient;
import org.apache.hadoop.yarn.conf.YarnConfiguration;

/** Asks the ResourceManager for a new application, as whoever submits does first, with whatever key it is given. */
public final class Submits {
    public static void main(String[] arguments) throws Exception {
        YarnClient client = YarnClient.createYarnClient();
        client.init(new YarnConfiguration());
        client.start();
        try {
            System.out.println("MADE " + client.createApplication().getNewApplicationResponse().getApplicationId());
            System.exit(0);
        } catch (Exception e) {
            System.out.println("REFUSED " + e.getMessage());
            System.exit(1);
        }
    }
}
