"""What Hadoop's files say as well with `[security] mode = "kerberos"`: who must prove what to whom."""

from __future__ import annotations

from market.hadoop import kerberos
from market.kit.settings import Settings

# The class that lets in who holds one of the market's tickets (java/hadoop).
TICKET_HANDLER = "distributedmarket.hadoop.TicketHandler"

# SASL's own ciphers take ten times as long as Java's AES, which the processor has instructions for.
_AES = "AES/CTR/NoPadding"

Files = dict[str, dict[str, str]]

# Between the market's own servers only; the others are open to whoever has a key or a token, and ask ACLs.
_OWN_PROTOCOLS = (
    "security.datanode.protocol.acl",
    "security.datanode.lifeline.protocol.acl",
    "security.namenode.protocol.acl",
    "security.inter.datanode.protocol.acl",
    "security.reconfiguration.protocol.acl",
    "security.ha.service.protocol.acl",
    "security.refresh.policy.protocol.acl",
    "security.refresh.user.mappings.protocol.acl",
    "security.refresh.callqueue.protocol.acl",
    "security.refresh.generic.protocol.acl",
    "security.get.user.mappings.protocol.acl",
    "security.resourcemanager-administration.protocol.acl",
)


def files(settings: Settings) -> Files:
    """Return the properties for the market's servers and for whoever submits; none of them is secret."""
    keytab = str(settings.keytab)
    lives = settings.security
    return {
        "core-site.xml": _core(settings)
        | {
            f"{_HTTP}.market.key": str(settings.paths.ticket_key_public),
            # What cookies are signed by. As shipped it lies in the account's home, where a job of a stack
            # that is not root's may put a secret that it knows; without such a file each server makes one up.
            f"{_HTTP}.signature.secret.file": str(settings.paths.secrets / "none"),
        },
        "hdfs-site.xml": _data(settings)
        | {
            "dfs.block.access.token.enable": "true",
            # The name is of a test, the check that it turns off is of ports below 1024, which want root. SASL
            # on the data port proves more than a low port, and pages ask for tickets.
            "ignore.secure.ports.for.testing": "true",
            "dfs.namenode.keytab.file": keytab,
            "dfs.datanode.kerberos.principal": kerberos.principal(settings, kerberos.DATANODE),
            "dfs.datanode.keytab.file": keytab,
            # The ResourceManager renews a job's token while the job lives, and cancels it at the end: so a
            # long life is not that of a secret that was lost, but must be longer than any job.
            "dfs.namenode.delegation.token.renew-interval": str(lives.token_renewal_s * 1000),
            "dfs.namenode.delegation.token.max-lifetime": str(lives.token_lifetime_s * 1000),
        },
        # Not here: yarn.nodemanager.principal. The ResourceManager would take its host from where a
        # connection comes from, and refuse machines that have several addresses.
        "yarn-site.xml": _resourcemanager(settings) | {"yarn.resourcemanager.keytab": keytab},
        "mapred-site.xml": {
            "mapreduce.jobhistory.principal": kerberos.principal(settings, kerberos.JOBHISTORY),
            "mapreduce.jobhistory.keytab": keytab,
        },
        "hadoop-policy.xml": _policy(settings),
    }


def machine_files(settings: Settings) -> Files:
    """Return the properties for a machine; its agent adds the machine's principal and where its key lies."""
    return {
        "core-site.xml": _core(settings),
        "hdfs-site.xml": _data(settings),
        "yarn-site.xml": _resourcemanager(settings),
    }


_HTTP = "hadoop.http.authentication"


def _core(settings: Settings) -> dict[str, str]:
    return {
        "hadoop.security.authentication": "kerberos",
        "hadoop.security.authorization": "true",
        "hadoop.rpc.protection": _protection(settings),
        # Without these, pages and REST go on believing the name that is typed into an address.
        "hadoop.http.filter.initializers": "org.apache.hadoop.security.AuthenticationFilterInitializer",
        f"{_HTTP}.type": TICKET_HANDLER,
    }


def _protection(settings: Settings) -> str:
    """Return what of a connection is protected: who speaks at either end, or all that is said as well."""
    return "privacy" if settings.wire_encryption else "authentication"


def _data(settings: Settings) -> dict[str, str]:
    found = {
        "dfs.namenode.kerberos.principal": kerberos.principal(settings, kerberos.NAMENODE),
        "dfs.data.transfer.protection": _protection(settings),
    }
    if settings.wire_encryption:
        found["dfs.encrypt.data.transfer.cipher.suites"] = _AES
    return found


def _resourcemanager(settings: Settings) -> dict[str, str]:
    return {"yarn.resourcemanager.principal": kerberos.principal(settings, kerberos.RESOURCEMANAGER)}


def _policy(settings: Settings) -> dict[str, str]:
    """Return who may use which protocol of the servers at all; by short names, then groups (none)."""
    return {
        **dict.fromkeys(_OWN_PROTOCOLS, settings.service.account),
        "security.resourcetracker.protocol.acl": kerberos.MACHINES,
        # With a machine's key nobody lists, submits or ends applications.
        "security.applicationclient.protocol.acl.blocked": kerberos.MACHINES,
    }
