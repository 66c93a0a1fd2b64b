# SPDX-License-Identifier: Apache-2.0
"""The servers that the benchmarks measure, each for the length of a `with`, and what they cost."""
import os
import signal
import socket
import subprocess
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAMS = os.path.join(ROOT, "build/release/tests/bench")
LEAT = os.environ.get("LEAT", os.path.join(ROOT, "build/leat"))


def program(name):
    return os.path.join(PROGRAMS, "bench_" + name)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def rss_mib(pid, field="VmRSS"):
    with open(f"/proc/{pid}/status") as f:
        for line in f:
            if line.startswith(field + ":"):
                return int(line.split()[1]) / 1024
    return 0.0


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Process:
    """A server for the length of a `with`; its output goes to a file that a failure shows."""

    def __init__(self, bench, command):
        self.bench, self.command = bench, [str(c) for c in command]

    def __enter__(self):
        self.bench.saw(self.command)
        self.output = open(os.path.join(self.bench.dir, "server.txt"), "w+")
        self.process = subprocess.Popen(self.command, stdout=self.output, stderr=self.output)
        self.pid = self.process.pid
        try:
            self.await_ready()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.process.wait()
        self.output.close()

    def ready(self):
        return False

    def await_ready(self):
        limit = time.monotonic() + 30
        while not self.ready():
            if self.process.poll() is not None or time.monotonic() > limit:
                self.output.seek(0)
                raise SystemExit("bench: the server did not start: %s\n%s"
                                 % (" ".join(self.command), self.output.read()))
            time.sleep(0.002)


class Probe(Process):
    def __init__(self, bench, mode):
        self.port = free_port()
        super().__init__(bench, [program("kprobe"), self.port, bench.fresh("probe"), 1, mode])
        self.kafka = f"127.0.0.1:{self.port}"

    def ready(self):
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", self.port)) == 0


class Leat(Process):
    def __init__(self, bench, data, *more):
        self.ready_file = os.path.join(bench.dir, "ready")
        if os.path.exists(self.ready_file):
            os.unlink(self.ready_file)
        super().__init__(bench, [LEAT, "serve", *more, "--data", data, "--ready-file",
                                 self.ready_file, "--kafka-listen", "127.0.0.1:0",
                                 "--http-listen", "127.0.0.1:0"])

    def ready(self):
        if not os.path.exists(self.ready_file):
            return False
        with open(self.ready_file) as f:
            lines = dict(line.strip().split("=", 1) for line in f)
        self.kafka, self.http = lines["kafka"], lines["http"]
        return True


def client(table, verb, server, count, size, topic):
    """The command of the client program, noted in the table."""
    command = [program("client"), verb, server.kafka, topic, str(count), str(size)]
    table.saw([*command[:2], "HOST:PORT", *command[3:]])
    return command


def build_programs():
    subprocess.run(["cmake", "--build", os.path.join(ROOT, "build/release"), "--target",
                    "bench_programs"], check=True, stdout=subprocess.DEVNULL)
