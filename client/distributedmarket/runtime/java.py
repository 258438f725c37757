"""Java on this host, and its options for servers on small machines."""

from __future__ import annotations

import re
import subprocess

VERSIONS = (17, 21)
REMEDY = "install Java 17 (Debian: sudo apt-get install openjdk-17-jre-headless)"

SERVER = [
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Xss512k",
    "-XX:ReservedCodeCacheSize=48m",
    "-XX:-UsePerfData",  # else each leaves a file in the system's temporary folder
    "-XX:+ExitOnOutOfMemoryError",  # whoever watches starts it again; a server without memory only hangs
]
HADOOP_SERVER = [
    *SERVER,
    "-XX:MaxMetaspaceSize=128m",
    # Most of what they allocate is garbage at once: a small young generation keeps it off fresh pages, and
    # the old one grows with what lives.
    "-Xms16m",
    "-Xmn8m",
    "-XX:MinHeapFreeRatio=10",
    "-XX:MaxHeapFreeRatio=25",
    # Without this Java 17 keeps Guice in the NodeManager and the ResourceManager from working.
    "--add-opens=java.base/java.lang=ALL-UNNAMED",
]


def build(program: str = "java") -> str:
    """Return what tells one build of Java from another; empty if there is none."""
    try:
        return subprocess.run([program, "-version"], capture_output=True, text=True, check=True).stderr
    except (FileNotFoundError, subprocess.CalledProcessError):
        return ""


def version(program: str = "java") -> int | None:
    """Return the major version of a Java, by default of the one on the PATH; None if there is none."""
    match = re.search(r'version "(\d+)', build(program))
    return int(match.group(1)) if match else None
