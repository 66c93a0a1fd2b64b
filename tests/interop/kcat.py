#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""kcat (librdkafka) against the server."""
import signal
import subprocess

from server import ServerTest, main


class Kcat(ServerTest):
    def kcat(self, *args, stdin=None, timeout=60):
        return subprocess.run(["kcat", "-b", self.server.address, *args], input=stdin,
                              timeout=timeout, check=True, capture_output=True, text=True).stdout

    def test_lists_the_broker(self):
        self.assertIn("broker 1 at " + self.server.address, self.kcat("-L"))

    def test_100000_records_come_back_in_order(self):
        lines = "".join(f"{i}\n" for i in range(100000))
        self.kcat("-P", "-t", "order", "-p", "0", stdin=lines)
        self.assertEqual(self.kcat("-C", "-t", "order", "-p", "0", "-e", "-q"), lines)

    def test_records_survive_kill_9(self):
        lines = "".join(f"{i}\n" for i in range(1000))
        self.kcat("-P", "-t", "killed", "-p", "0", "-X", "acks=all", stdin=lines)
        self.server.stop(signal.SIGKILL)
        self.server.start()
        self.assertEqual(self.kcat("-C", "-t", "killed", "-p", "0", "-e", "-q"), lines)

    def test_every_codec_comes_back(self):
        lines = "".join(f"{'x' * 100}{i}\n" for i in range(2000))
        for codec in ("gzip", "snappy", "lz4", "zstd"):
            with self.subTest(codec):
                self.kcat("-P", "-t", "z-" + codec, "-p", "0", "-z", codec, stdin=lines)
                self.assertEqual(self.kcat("-C", "-t", "z-" + codec, "-p", "0", "-e", "-q"), lines)

    def test_keys_headers_and_offsets(self):
        self.kcat("-P", "-t", "keys", "-p", "0", "-K:", "-H", "h=1", stdin="a:x\nb:y\n")
        out = self.kcat("-C", "-t", "keys", "-p", "0", "-e", "-q", "-f", "%o %k %s %h\n")
        self.assertEqual(out, "0 a x h=1\n1 b y h=1\n")
        self.assertEqual(self.kcat("-C", "-t", "keys", "-p", "0", "-o", "1", "-e", "-q"), "y\n")

    def test_seeks_by_time(self):
        self.kcat("-P", "-t", "times", "-p", "0", stdin="a\nb\n")
        out = self.kcat("-Q", "-t", "times:0:1")
        self.assertIn("times [0] offset 0", out)

    def test_group_reads_all_partitions(self):
        lines = [f"{i}" for i in range(600)]
        for p in range(6):
            mine = "".join(f"{x}\n" for x in lines[p::6])
            self.kcat("-P", "-t", "grouped", "-p", str(p), stdin=mine)
        out = self.kcat("-G", "readers", "-X", "auto.offset.reset=earliest", "-e", "-q", "grouped")
        self.assertEqual(sorted(out.split(), key=int), lines)


if __name__ == "__main__":
    main()
