# SPDX-License-Identifier: Apache-2.0
"""A real Apache Kafka and a Kafka Streams program beside leat.

The jars come from Maven Central when the benchmark runs: tests/bench/kafka/pom.xml names them and
compiles StreamsBench.java. Everything is built and kept below build/kafka. Nothing listens beyond
this machine; what is started is stopped.
"""
import os
import re
import shutil
import socket
import subprocess

from servers import ROOT, Process, free_port

SOURCE = os.path.join(ROOT, "tests/bench/kafka")
BUILT = os.path.join(ROOT, "build/kafka")
# What Kafka's own start script gives to the JVM.
JVM = ("-server -XX:+UseG1GC -XX:MaxGCPauseMillis=20 -XX:InitiatingHeapOccupancyPercent=35 "
       "-XX:+ExplicitGCInvokesConcurrent -Djava.awt.headless=true -Xmx1G -Xms1G").split()
API_VERSIONS = b"\0\0\0\x0a\0\x12\0\0\0\0\0\1\xff\xff"


def why_not():
    """What is missing to run it, or None."""
    for tool in ("java", "mvn"):
        if shutil.which(tool) is None:
            return f"there is no {tool}"
    return None


def build():
    """None, or why it could not be built."""
    shutil.copytree(SOURCE, BUILT, dirs_exist_ok=True)
    done = subprocess.run(["mvn", "-q", "package"], cwd=BUILT, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    lines = [line for line in done.stdout.splitlines() if "ERROR" in line]
    return None if done.returncode == 0 else "mvn failed: " + (lines or ["?"])[0]


def java(*args):
    classes = os.path.join(BUILT, "target/lib/*") + ":" + os.path.join(BUILT, "target/classes")
    log = "-Dlog4j2.configurationFile=" + os.path.join(BUILT, "log4j2.properties")
    return ["java", *JVM, log, "-cp", classes, *args]


class Kafka(Process):
    """One node that is broker and controller, stock settings."""

    def __init__(self, bench):
        self.port, self.where = free_port(), bench.fresh("kafka")
        self.kafka = f"127.0.0.1:{self.port}"
        settings = os.path.join(self.where, "server.properties")
        with open(os.path.join(BUILT, "server.properties")) as f:
            text = f.read()
        for word, value in (("@DATA@", os.path.join(self.where, "log")),
                            ("@PORT@", str(self.port)), ("@CONTROLLER@", str(free_port()))):
            text = text.replace(word, value)
        with open(settings, "w") as f:
            f.write(text)
        identity = self.tool("random-uuid").strip()
        self.tool("format", "--standalone", "-t", identity, "-c", settings)
        super().__init__(bench, java("kafka.Kafka", settings))

    def tool(self, *args):
        done = subprocess.run(java("kafka.tools.StorageTool", *args), stdout=subprocess.PIPE,
                              text=True, check=True)
        return done.stdout

    def ready(self):
        """It answers which versions it speaks."""
        with socket.socket() as s:
            s.settimeout(5)
            try:
                s.connect(("127.0.0.1", self.port))
                s.sendall(API_VERSIONS)
                return len(s.recv(4)) == 4
            except OSError:
                return False

    def streams(self, mode, topic, n, guarantee="exactly_once_v2"):
        """Records per second of a fresh Kafka Streams application over the filled topic, from its
        first commit on: neither the JVM's start nor joining the group counts against it."""
        state = self.bench.fresh("streams")
        command = java("leatbench.StreamsBench", self.kafka, topic, mode, guarantee, str(n), state)
        self.bench.saw(["java", "leatbench.StreamsBench", "HOST:PORT", *command[-5:]])
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=1200)
        found = re.search(r"warm (\d+)", done.stdout)
        if found is None:
            raise SystemExit("bench: Kafka Streams did not finish: " + done.stdout)
        return float(found.group(1))
