package distributedmarket.hadoop;

import java.util.ArrayList;
import java.util.List;

import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.yarn.api.records.Resource;
import org.apache.hadoop.yarn.server.nodemanager.DefaultContainerExecutor;

/**
 * Says to a container's first process how much memory was allocated, so that the machine's guard has the kernel hold
 * it to that. What says so runs before anything of the job does.
 */
public final class AllocatedExecutor extends DefaultContainerExecutor {
    /** The variable that says it, in MiB; the agent reads it (enclose.py). */
    static final String VARIABLE = "MARKET_ALLOCATED_MIB";

    @Override
    protected String[] getRunCommand(
            String command, String groupId, String userName, Path pidFile, Configuration config, Resource resource) {
        List<String> words =
                new ArrayList<>(List.of(super.getRunCommand(command, groupId, userName, pidFile, config, resource)));
        if (resource != null) {
            // Behind `nice`, which empties the environment (enclosure.py), and before the shell with its script.
            words.addAll(words.size() - 2, List.of("/usr/bin/env", VARIABLE + "=" + resource.getMemorySize()));
        }
        return words.toArray(new String[0]);
    }
}
