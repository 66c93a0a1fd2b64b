# SPDX-License-Identifier: Apache-2.0
"""A leat server of a test: its own data folder, free ports, and ends that the test chooses.

    with Server() as server:
        with server.connect() as c:
            ...
        server.kill()           # kill -9
        server.start()          # the same ports, the same data

The environment variable LEAT is the binary, or a whole command with {data} and {port} where they
belong; without it the newest build/**/leat is taken.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.support.raw_kafka import Connection  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]


def binary():
    if "LEAT" in os.environ:
        return os.environ["LEAT"]
    found = [p for p in (ROOT / "build").glob("**/leat") if p.is_file() and os.access(p, os.X_OK)]
    if not found:
        raise SystemExit("no leat in build/: run make, or set LEAT to the binary")
    return str(max(found, key=lambda p: p.stat().st_mtime))


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    def __init__(self, *args, data=None, env=None, ready_s=30):
        self.args, self.env, self.ready_s = args, env or {}, ready_s
        self.temporary = None if data else tempfile.mkdtemp(prefix="leat-e2e-")
        self.data = data or os.path.join(self.temporary, "data")
        self.kafka_port, self.http_port = free_port(), free_port()
        self.trace_path = os.path.join(self.temporary or tempfile.gettempdir(),
                                       f"server-{self.kafka_port}.txt")
        self.process = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.terminate()
        if self.temporary:
            shutil.rmtree(self.temporary, ignore_errors=True)

    def start(self):
        with open(self.trace_path, "ab") as trace:
            self.process = subprocess.Popen(self.command(), env={**os.environ, **self.env},
                                            stdout=trace, stderr=trace)
        self.wait_ready()

    def command(self):
        leat = binary()
        if "{data}" in leat:
            return leat.format(data=self.data, port=self.kafka_port).split() + list(self.args)
        return [leat, "serve", *self.args, "--data", self.data,
                "--kafka-listen", f"127.0.0.1:{self.kafka_port}",
                "--http-listen", f"127.0.0.1:{self.http_port}"]

    def wait_ready(self):
        """Ready is: it answers ApiVersions."""
        deadline = time.monotonic() + self.ready_s
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                code = self.process.returncode
                raise AssertionError(f"server ended with {code}:\n{self.trace()}")
            try:
                with self.connect(timeout=5) as c:
                    c.api_versions()
                return
            except OSError:
                time.sleep(0.02)
        self.kill()
        raise AssertionError(f"server is not ready after {self.ready_s} s:\n{self.trace()}")

    def connect(self, timeout=10):
        return Connection("127.0.0.1", self.kafka_port, timeout)

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

    def terminate(self, seconds=30):
        """As an operator does; the exit code."""
        if self.process is None:
            return None
        if self.is_running():
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.kill()
                raise AssertionError(f"server ignores SIGTERM:\n{self.trace()}") from None
        return self.process.returncode
