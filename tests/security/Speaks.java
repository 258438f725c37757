import java.io.IOException;
import java.util.List;
import java.util.Set;

import org.apache.hadoop.yarn.api.records.NodeId;
import org.apache.hadoop.yarn.api.records.Resource;
import org.apache.hadoop.yarn.conf.YarnConfiguration;
import org.apache.hadoop.yarn.exceptions.YarnException;
import org.apache.hadoop.yarn.server.api.ResourceTracker;
import org.apache.hadoop.yarn.server.api.ServerRMProxy;
import org.apache.hadoop.yarn.server.api.protocolrecords.NodeHeartbeatRequest;
import org.apache.hadoop.yarn.server.api.protocolrecords.RegisterNodeManagerRequest;
import org.apache.hadoop.yarn.server.api.protocolrecords.UnRegisterNodeManagerRequest;
import org.apache.hadoop.yarn.server.api.records.NodeHealthStatus;
import org.apache.hadoop.yarn.server.api.records.NodeStatus;

/** Says to the ResourceManager, with whatever key it is given, what a NodeManager HOST:PORT would say. */
public final class Speaks {
    private interface Word {
        Object say() throws YarnException, IOException;
    }

    public static void main(String[] arguments) throws Exception {
        YarnConfiguration conf = new YarnConfiguration();
        conf.setLong(YarnConfiguration.RESOURCEMANAGER_CONNECT_MAX_WAIT_MS, 5000);
        ResourceTracker tracker = ServerRMProxy.createRMProxy(conf, ResourceTracker.class);
        for (String node : arguments) {
            String[] parts = node.split(":");
            NodeId id = NodeId.newInstance(parts[0], Integer.parseInt(parts[1]));
            NodeStatus status =
                    NodeStatus.newInstance(
                            id,
                            0,
                            List.of(),
                            List.of(),
                            NodeHealthStatus.newInstance(true, "", System.currentTimeMillis()),
                            null,
                            null,
                            null);
            Resource size = Resource.newInstance(1024, 1);
            say("register", node, () -> tracker.registerNodeManager(
                    RegisterNodeManagerRequest.newInstance(
                            id, 1, size, "3.5.0", List.of(), List.of(), Set.of())));
            say("report", node, () -> tracker.nodeHeartbeat(
                    NodeHeartbeatRequest.newInstance(status, null, null, null)));
            say("leave", node, () -> tracker.unRegisterNodeManager(
                    UnRegisterNodeManagerRequest.newInstance(id)));
        }
        System.exit(0);
    }

    private static void say(String what, String node, Word word) {
        try {
            word.say();
            System.out.println(what + " " + node + " DONE");
        } catch (Exception e) {
            System.out.println(what + " " + node + " REFUSED " + e.getMessage());
        }
    }
}
