package distributedmarket.submitter;

import java.io.IOException;

import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.security.UserGroupInformation;

/**
 * Who this process is to Hadoop: where keys are asked for, the principal of {@code market.principal}, with its key
 * in the file {@code market.keytab}; else whatever name the environment says.
 */
final class Login {
    private Login() {}

    /** Log in, once, before anything speaks to Hadoop. */
    static void begin() throws IOException {
        String principal = System.getProperty("market.principal");
        if (principal != null) {
            UserGroupInformation.setConfiguration(new Configuration());
            UserGroupInformation.loginUserFromKeytab(principal, System.getProperty("market.keytab"));
        }
    }

    /** Log in again where the ticket has not much longer to live: it lives a day, this process longer. */
    static void renew() throws IOException {
        UserGroupInformation.getLoginUser().checkTGTAndReloginFromKeytab();
    }
}
