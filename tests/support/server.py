# SPDX-License-Identifier: Apache-2.0
"""The real binary under test: a server with its own data folder and free ports, and commands.

    with Server("jobs/shop.lua", "--topic", "shop.events=6") as server:
        server.leat("produce", "shop.events", stdin='{"a":1}\n')
        with server.connect() as c:
            ...                 # a raw Kafka connection
        server.kill()           # kill -9
        server.start()          # the same ports, the same data

The environment variable LEAT names the binary; without it the newest build/**/leat is taken.
Everything that waits has a deadline; nothing waits for a fixed time.
"""

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.support.raw_kafka import Connection  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
READY_S = 60


def binary():
    """The program to test, as an absolute path."""
    if "LEAT" in os.environ:
        return os.path.abspath(os.environ["LEAT"])
    found = [p for p in (ROOT / "build").glob("**/leat") if p.is_file() and os.access(p, os.X_OK)]
    if not found:
        raise SystemExit("no leat in build/: run make, or set LEAT to the binary")
    return str(max(found, key=lambda p: p.stat().st_mtime))


def free_port():
    """Below the range that the kernel gives to clients: while a server is down, a client that tries
    to reach it again and again could otherwise connect to itself and so take the port."""
    while True:
        port = random.SystemRandom().randrange(12000, 32000)
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass


def until(what, condition, seconds=60):
    """The first true value of condition()."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what() if callable(what) else what}")
        time.sleep(0.02)


class Result:
    """What a command did."""

    def __init__(self, command, done):
        self.command, self.code = command, done.returncode
        self.out, self.err = done.stdout, done.stderr

    def __str__(self):
        return f"{' '.join(self.command)}\nexit {self.code}\n{self.out}\n{self.err}"


def leat(*args, stdin="", code=0, cwd=None, timeout=120, env=None):
    """Runs one command; any other exit code than `code` is a failure (None: any will do)."""
    command = [binary(), *map(str, args)]
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=timeout,
                          cwd=cwd, env={**os.environ, **(env or {})})
    result = Result(["leat", *command[1:]], done)
    if code is not None and result.code != code:
        raise AssertionError(f"exit code {result.code} instead of {code}: {result}")
    return result


class Answer:
    """Of HTTP: status, headers, body."""

    def __init__(self, response):
        self.status, self.headers = response.status, response.headers
        self.body = response.read().decode()

    @property
    def json(self):
        return json.loads(self.body)


class Server:
    def __init__(self, *args, command="serve", data=None, env=None, settings=None):
        self.args, self.verb, self.env = list(args), command, env or {}
        self.folder = tempfile.mkdtemp(prefix="leat-test-")
        self.data = data or os.path.join(self.folder, "data")
        self.kafka_port, self.http_port = free_port(), free_port()
        self.trace_path = os.path.join(self.folder, "trace")
        self.process = None
        if settings is not None:
            self.args.insert(0, self.file("leat.lua", settings))

    def file(self, name, text):
        """Writes a file of the test; its path."""
        path = os.path.join(self.folder, name)
        Path(path).write_text(text)
        return path

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        try:
            self.terminate()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def address(self):
        return f"127.0.0.1:{self.kafka_port}"

    @property
    def http(self):
        return f"127.0.0.1:{self.http_port}"

    # --- life ---

    def command(self):
        return [binary(), self.verb, *self.args, "--data", self.data,
                "--kafka-listen", self.address, "--http-listen", self.http,
                "--ready-file", os.path.join(self.folder, "ready")]

    def start(self):
        self.launch()
        ready = os.path.join(self.folder, "ready")
        until(lambda: f"the server is ready:\n{self.trace()}",
              lambda: os.path.exists(ready) or self.ended(), READY_S)
        return self

    def launch(self):
        """Starts it and does not wait until it is ready."""
        ready = os.path.join(self.folder, "ready")
        if os.path.exists(ready):
            os.unlink(ready)
        with open(self.trace_path, "ab") as trace:
            self.process = subprocess.Popen(self.command(), env={**os.environ, **self.env},
                                            stdin=subprocess.DEVNULL, stdout=trace, stderr=trace)

    def ended(self):
        if self.process.poll() is not None:
            code = self.process.returncode
            raise AssertionError(f"the server ended with {code}:\n{self.trace()}")
        return False

    def refused(self, seconds=READY_S):
        """Starts it and expects that it says no: what it said."""
        self.launch()
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the server runs:\n{self.trace()}") from None
        if code != 1:
            raise AssertionError(f"exit code {code} instead of 1:\n{self.trace()}")
        return self.trace()

    def trace(self):
        """What the server wrote, the end of it."""
        return Path(self.trace_path).read_text(errors="replace")[-10000:]

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        """As a crash does."""
        if self.is_running():
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    def terminate(self, seconds=60):
        """As an operator does; it must end in order."""
        if not self.is_running():
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the server ignores SIGTERM:\n{self.trace()}") from None
        if code != 0:
            raise AssertionError(f"the server ended with {code}:\n{self.trace()}")

    # --- talking to it ---

    def connect(self, timeout=10):
        return Connection("127.0.0.1", self.kafka_port, timeout)

    def leat(self, name, *args, **more):
        """A command, with where this server is."""
        where = {"produce": ("--brokers", self.address), "consume": ("--brokers", self.address),
                 "topics": ("--brokers", self.address), "query": ("--data", self.data),
                 "status": ("--http", self.http)}[name]
        return leat(name, *args, *where, **more)

    def produce(self, topic, *records, key=None):
        """Objects, as JSON; the position behind which they are read."""
        lines = "".join(json.dumps(r) + "\n" for r in records)
        keyed = ["--key", key] if key else []
        done = self.leat("produce", topic, *keyed, "--json", stdin=lines)
        return json.loads(done.out)["position"]

    def consume(self, topic, *args):
        """The values of a topic that are JSON."""
        return [json.loads(x) for x in self.leat("consume", topic, *args).out.splitlines()]

    def get(self, path, headers=None, method="GET"):
        request = urllib.request.Request(f"http://{self.http}{path}", headers=headers or {},
                                         method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return Answer(response)
        except urllib.error.HTTPError as response:
            return Answer(response)

    def job(self, name):
        """The status of a job."""
        return next(j for j in self.get("/status").json["jobs"] if j["job"] == name)

    def wait_job(self, name, condition, seconds=60):
        """Its first status for which condition(status) is true."""
        def fits():
            job = self.job(name)
            return job if condition(job) else None
        return until(lambda: f"job {name}: {self.job(name)}\n{self.trace()}", fits, seconds)


class ServerTest(unittest.TestCase):
    """One server for the tests of a class: topics on first use, six partitions, groups at once."""

    @classmethod
    def setUpClass(cls):
        cls.server = Server(command="run", settings="return { partitions = 6 }")
        cls.server.start()

    @classmethod
    def tearDownClass(cls):
        cls.server.close()


def main():
    """One line per test."""
    runner = unittest.TextTestRunner(stream=sys.stdout, descriptions=False, verbosity=2,
                                     warnings="ignore")
    unittest.main(module="__main__", testRunner=runner)
