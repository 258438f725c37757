"""What a machine's owner, root on his host, has in his hands: its key, and Hadoop's tools to use it."""

from __future__ import annotations

import io
import os
import secrets
import subprocess
import zipfile
from pathlib import Path

from people import Person

from distributedmarket.agent.api import AgentApi
from distributedmarket.agent.identity import KEYS, Identity, shown
from distributedmarket.runtime.release import Release
from market.cluster.kdc import program
from market.kit.settings import Settings

TOOL_S = 120
_KEYTAB = "machine.keytab"


def identity_of(machine: Path) -> Identity | None:
    """Return the identity in the folder of a machine; None where names are believed, or while it starts."""
    keytab, conf = machine / KEYS / _KEYTAB, machine / "conf"
    try:
        (line,) = [
            line
            for line in (conf / "yarn-site.xml").read_text().splitlines()
            if "nodemanager.principal" in line
        ]
        realm, ticket_key = (shown(machine) / "krb5.conf").read_text(), (conf / "ticket_key.pub").read_text()
        key = keytab.read_bytes()
    except (FileNotFoundError, ValueError):
        return None
    classes = io.BytesIO()
    with zipfile.ZipFile(classes, "w") as archive:
        for path in (conf / "classes").rglob("*.class"):
            archive.write(path, path.relative_to(conf / "classes"))
    principal = line.partition("<value>")[2].partition("</value>")[0]
    return Identity(principal, realm, key, ticket_key, classes.getvalue())


def issued(owner: Person, machine_id: str) -> Identity | None:
    """Return the identity that the market gives to the agent of a machine that has joined."""
    return AgentApi(owner.rest, Release("", "")).identity(machine_id)


def hadoop(
    stack: Settings, who: Identity, folder: Path, main: str, *words: str, **variables: str
) -> tuple[int, str]:
    """Run one of Hadoop's own programs with a machine's key; return its exit code and all that it says."""
    keytab = folder / f"{secrets.token_hex(4)}.keytab"
    keytab.write_bytes(who.keytab)
    hadoop = stack.paths.hadoop
    java = [
        "java",
        "-Xmx128m",
        "-XX:TieredStopAtLevel=1",
        f"-Djava.security.krb5.conf={stack.paths.krb5_conf}",
    ]
    java += ["-cp", f"{stack.paths.hadoop_conf}:{hadoop}/classes:{hadoop}/jars/*", main]
    environment = os.environ | {"KRB5PRINCIPAL": who.principal, "KRB5KEYTAB": str(keytab), **variables}
    done = subprocess.run(
        [*java, *words],
        env=environment,
        capture_output=True,
        text=True,
        timeout=TOOL_S,
        stdin=subprocess.DEVNULL,
    )
    return done.returncode, done.stdout + done.stderr


def login(stack: Settings, principal: str, folder: Path, keytab: bytes = b"", word: str = "") -> str:
    """Log in at the realm with a key, or with a word; return what was wrong, empty when nothing was."""
    kinit = program("kinit")
    assert kinit, "setup installs it for tests"
    file = folder / f"{secrets.token_hex(4)}.keytab"
    file.write_bytes(keytab)
    way = ["-k", "-t", str(file)] if keytab else []
    done = subprocess.run(
        [kinit, "-c", f"{file}.tickets", *way, principal],
        env=os.environ | {"KRB5_CONFIG": str(stack.paths.krb5_conf)},
        input=f"{word}\n",
        capture_output=True,
        text=True,
        start_new_session=True,
        timeout=30,
    )
    return done.stderr.strip() if done.returncode else ""
