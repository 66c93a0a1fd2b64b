# SPDX-License-Identifier: Apache-2.0
"""The server under test. LEAT in the environment is its command, with {data} and {port}:

    LEAT="build/dev/tests/support/broker_main {data} {port} auto delay=0 session-min=1000"
"""
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

DEFAULT = ("build/dev/tests/support/broker_main {data} {port}"
           " auto delay=0 session-min=1000 partitions=6")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    def __init__(self):
        self.data = tempfile.mkdtemp(prefix="leat-interop-")
        self.port = free_port()
        self.process = None
        self.start()

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def start(self):
        command = os.environ.get("LEAT", DEFAULT).format(data=self.data, port=self.port).split()
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise AssertionError(f"the server ended with {self.process.returncode}")
            with socket.socket() as s:
                if s.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        raise AssertionError("the server does not listen")

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        code = self.process.wait(30)
        if how == signal.SIGTERM and code != 0:
            raise AssertionError(f"the server ended with {code}")

    def close(self):
        try:
            if self.process.poll() is None:
                self.stop()
        finally:
            shutil.rmtree(self.data, ignore_errors=True)


class ServerTest(unittest.TestCase):
    """One server for the tests of a class."""

    @classmethod
    def setUpClass(cls):
        cls.server = Server()

    @classmethod
    def tearDownClass(cls):
        cls.server.close()


def main():
    runner = unittest.TextTestRunner(stream=sys.stdout, descriptions=False, verbosity=2,
                                     warnings="ignore")
    unittest.main(module="__main__", testRunner=runner)
