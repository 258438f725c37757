package distributedmarket.hadoop;

import java.io.IOException;
import java.nio.file.Path;
import java.nio.file.Paths;

import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.security.UserGroupInformation;
import org.apache.hadoop.service.CompositeService.CompositeServiceShutdownHook;
import org.apache.hadoop.util.ShutdownHookManager;
import org.apache.hadoop.util.StringUtils;
import org.apache.hadoop.yarn.YarnUncaughtExceptionHandler;
import org.apache.hadoop.yarn.api.records.NodeId;
import org.apache.hadoop.yarn.conf.YarnConfiguration;
import org.apache.hadoop.yarn.exceptions.YarnException;
import org.apache.hadoop.yarn.server.api.protocolrecords.NodeHeartbeatRequest;
import org.apache.hadoop.yarn.server.api.protocolrecords.NodeHeartbeatResponse;
import org.apache.hadoop.yarn.server.api.protocolrecords.RegisterNodeManagerRequest;
import org.apache.hadoop.yarn.server.api.protocolrecords.RegisterNodeManagerResponse;
import org.apache.hadoop.yarn.server.api.protocolrecords.UnRegisterNodeManagerRequest;
import org.apache.hadoop.yarn.server.api.protocolrecords.UnRegisterNodeManagerResponse;
import org.apache.hadoop.yarn.server.resourcemanager.RMContext;
import org.apache.hadoop.yarn.server.resourcemanager.ResourceManager;
import org.apache.hadoop.yarn.server.resourcemanager.ResourceTrackerService;

import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A ResourceManager that takes a node's word under the node's own key only: {@code nm/HOST@REALM} speaks for HOST.
 *
 * <p>YARN's own asks whether the caller is some NodeManager, and never whose: any machine's key could register,
 * report and sign off any other machine. Where names are believed there is no key to ask for. It reads its lists of
 * hosts when a file asks for it ({@link HostLists}).
 */
public final class MarketResourceManager extends ResourceManager {
    private static final Logger LOG = LoggerFactory.getLogger(MarketResourceManager.class);

    /** Start it; the same steps as those of YARN's own, which makes no other class than itself. */
    public static void main(String[] arguments) {
        Thread.setDefaultUncaughtExceptionHandler(new YarnUncaughtExceptionHandler());
        StringUtils.startupShutdownMessage(ResourceManager.class, arguments, LOG);
        Configuration conf = new YarnConfiguration();
        ResourceManager manager = new MarketResourceManager();
        ShutdownHookManager.get()
                .addShutdownHook(new CompositeServiceShutdownHook(manager), SHUTDOWN_HOOK_PRIORITY);
        try {
            manager.init(conf);
            manager.start();
        } catch (RuntimeException e) {
            LOG.error("the ResourceManager does not start", e);
            System.exit(-1);
        }
    }

    @Override
    protected ResourceTrackerService createResourceTrackerService() {
        return UserGroupInformation.isSecurityEnabled()
                ? new Tracker(this)
                : super.createResourceTrackerService();
    }

    @Override
    protected void serviceStart() throws Exception {
        super.serviceStart();
        Path lists = Paths.get(getConfig().get(YarnConfiguration.RM_NODES_INCLUDE_FILE_PATH)).getParent();
        new HostLists(lists, adminService::refreshNodes).start();
    }

    /** Refuse a caller who speaks for another node than his own. */
    static void check(String caller, NodeId node) throws IOException {
        if (node == null || !caller.startsWith("nm/" + node.getHost() + "@")) {
            throw new IOException(caller + " may not speak for " + node);
        }
    }

    private static void check(NodeId node) throws IOException {
        try {
            check(UserGroupInformation.getCurrentUser().getUserName(), node);
        } catch (IOException e) {
            LOG.warn("refused: {}", e.getMessage());
            throw e;
        }
    }

    private static final class Tracker extends ResourceTrackerService {
        Tracker(MarketResourceManager manager) {
            this(manager, manager.rmContext);
        }

        private Tracker(MarketResourceManager manager, RMContext context) {
            super(
                    context,
                    manager.nodesListManager,
                    manager.nmLivelinessMonitor,
                    context.getContainerTokenSecretManager(),
                    context.getNMTokenSecretManager());
        }

        @Override
        public RegisterNodeManagerResponse registerNodeManager(RegisterNodeManagerRequest request)
                throws YarnException, IOException {
            check(request.getNodeId());
            return super.registerNodeManager(request);
        }

        @Override
        public NodeHeartbeatResponse nodeHeartbeat(NodeHeartbeatRequest request)
                throws YarnException, IOException {
            check(request.getNodeStatus().getNodeId());
            return super.nodeHeartbeat(request);
        }

        @Override
        public UnRegisterNodeManagerResponse unRegisterNodeManager(UnRegisterNodeManagerRequest request)
                throws YarnException, IOException {
            check(request.getNodeId());
            return super.unRegisterNodeManager(request);
        }
    }
}
