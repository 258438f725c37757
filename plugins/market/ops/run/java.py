"""Java's options for servers on small machines."""

from __future__ import annotations

_ANY = [
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Xss512k",
    "-XX:ReservedCodeCacheSize=48m",
    "-XX:-UsePerfData",  # else each leaves a file in the system's temporary folder
    "-XX:+ExitOnOutOfMemoryError",  # whoever watches starts it again; a server without memory only hangs
]
SPARK_SERVER = _ANY
HADOOP_SERVER = [
    *_ANY,
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
