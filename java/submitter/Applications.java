package distributedmarket.submitter;

import java.util.Comparator;
import java.util.Set;

import org.apache.hadoop.yarn.api.protocolrecords.ApplicationsRequestScope;
import org.apache.hadoop.yarn.api.protocolrecords.GetApplicationsRequest;
import org.apache.hadoop.yarn.api.records.ApplicationReport;
import org.apache.hadoop.yarn.client.api.YarnClient;
import org.apache.hadoop.yarn.conf.YarnConfiguration;

/** What the ResourceManager knows of a tag. */
final class Applications {
    private static final String PATIENCE_MS = "10000";

    private final YarnClient yarn = YarnClient.createYarnClient();

    Applications() {
        YarnConfiguration settings = new YarnConfiguration();
        settings.set(YarnConfiguration.RESOURCEMANAGER_CONNECT_MAX_WAIT_MS, PATIENCE_MS);
        settings.set(YarnConfiguration.RESOURCEMANAGER_CONNECT_RETRY_INTERVAL_MS, "1000");
        yarn.init(settings);
        yarn.start();
    }

    /** Return the id of the newest application with a tag, or null. */
    String tagged(String tag) throws Exception {
        GetApplicationsRequest request = GetApplicationsRequest.newInstance();
        request.setScope(ApplicationsRequestScope.ALL);
        request.setApplicationTags(Set.of(tag));
        return yarn.getApplications(request).stream()
                .max(Comparator.comparingLong(ApplicationReport::getStartTime))
                .map(report -> report.getApplicationId().toString())
                .orElse(null);
    }
}
