#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""kcat (librdkafka) against the server."""
import signal
import subprocess
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.support.server import ServerTest, main, until  # noqa: E402


class Kcat(ServerTest):
    def kcat(self, *args, stdin=None, timeout=60):
        return subprocess.run(["kcat", "-b", self.server.address, *args], input=stdin,
                              timeout=timeout, check=True, capture_output=True, text=True).stdout

    def test_lists_the_broker(self):
        self.assertIn("broker 1 at " + self.server.address, self.kcat("-L"))

    def test_a_topic_made_on_the_way_is_in_the_answer_that_made_it(self):
        self.assertIn("partition 0, leader 1", self.kcat("-L", "-t", "fresh"))

    def test_100000_records_come_back_in_order(self):
        lines = "".join(f"{i}\n" for i in range(100000))
        self.kcat("-P", "-t", "order", "-p", "0", stdin=lines)
        self.assertEqual(self.kcat("-C", "-t", "order", "-p", "0", "-e", "-q"), lines)

    def test_records_survive_kill_9(self):
        lines = "".join(f"{i}\n" for i in range(1000))
        self.kcat("-P", "-t", "killed", "-p", "0", "-X", "acks=all", stdin=lines)
        self.server.kill()
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

    def test_two_members_share_six_partitions(self):
        lines = [f"{i}" for i in range(6000)]
        for p in range(6):
            mine = "".join(f"{x}\n" for x in lines[p::6])
            self.kcat("-P", "-t", "halves", "-p", str(p), stdin=mine)
        command = ["kcat", "-b", self.server.address, "-G", "pair", "-u", "-f", "%p %s\n",
                   "-X", "auto.offset.reset=earliest", "-X", "auto.commit.interval.ms=100",
                   "-X", "session.timeout.ms=6000", "-X", "heartbeat.interval.ms=300", "halves"]
        members = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                    text=True) for _ in range(2)]
        said = [[], []]
        readers = [threading.Thread(target=said[i].extend, args=(members[i].stderr,))
                   for i in range(2)]
        out = [[], []]
        readers += [threading.Thread(target=out[i].extend, args=(members[i].stdout,))
                    for i in range(2)]
        for r in readers:
            r.start()
        # kcat tells after each rebalance: "% Group pair rebalanced (...): assigned: halves [0]"
        until(lambda: f"each member has three partitions: {said}",
              lambda: all(s and s[-1].count("halves [") == 3 for s in said))
        until("everything was read", lambda: len({x for o in out for x in o}) == 6000)
        for p in range(6):
            self.kcat("-P", "-t", "halves", "-p", str(p), stdin=f"late-{p}\n")
        until("the late ones were read", lambda: len({x for o in out for x in o}) == 6006)
        for m in members:
            m.send_signal(signal.SIGTERM)
            m.wait(30)
        for r in readers:
            r.join()
        late = [{x.split()[0] for x in o if "late" in x} for o in out]
        self.assertEqual([len(x) for x in late], [3, 3])
        self.assertEqual(late[0] & late[1], set())

    def test_a_groups_offsets_survive_a_restart(self):
        def read():
            return self.kcat("-G", "kept", "-X", "auto.offset.reset=earliest", "-e", "-q", "kept")
        self.kcat("-P", "-t", "kept", "-p", "0", stdin="a\nb\n")
        self.assertEqual(read(), "a\nb\n")
        self.server.terminate()
        self.server.start()
        self.kcat("-P", "-t", "kept", "-p", "0", stdin="c\n")
        self.assertEqual(read(), "c\n")
        self.server.kill()
        self.server.start()
        self.kcat("-P", "-t", "kept", "-p", "0", stdin="d\n")
        self.assertEqual(read(), "d\n")


if __name__ == "__main__":
    main()
