#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A disk without space: errors and waiting while it is full, and no restart when it is not."""
import os
import random
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.support.disk import Disk, no_disk_here  # noqa: E402
from tests.support.raw_kafka import batch  # noqa: E402
from tests.support.server import Server, main, until  # noqa: E402

SHOP = str(Path(__file__).resolve().parent / "jobs/shop.lua")
KAFKA_STORAGE_ERROR = 56
MIB = 1 << 20


class Ballast:
    """Space that is taken, to be given back."""

    def __init__(self, folder, mib):
        self.path = f"{folder}/ballast"
        with open(self.path, "wb") as f:
            os.posix_fallocate(f.fileno(), 0, mib * MIB)

    def drop(self):
        os.unlink(self.path)


class FullDisk(unittest.TestCase):
    def setUp(self):
        self.disk = Disk("ext4", 64)
        self.server = None

    def tearDown(self):
        if self.server is not None:
            self.server.close()
        self.disk.__exit__()

    def test_topics(self):
        """A full disk fails producers, and heals without a restart."""
        ballast = Ballast(self.disk.mount, 44)
        self.server = Server("--topic", "t=1", data=f"{self.disk.mount}/data").start()
        acked, rng = {}, random.Random(5)

        def send(connection):
            value = rng.randbytes(400_000)
            error, offset = connection.produce("t", 0, batch([(b"k", value)]))
            if error == 0:
                acked[offset] = value
            return error

        def stored(connection):
            return {r.offset: r.value for r in connection.records("t", 0)}

        with self.server.connect() as c:
            while (error := send(c)) == 0:
                self.assertLess(len(acked), 200)
            self.assertEqual(error, KAFKA_STORAGE_ERROR)
            self.assertGreater(len(acked), 10)
            self.assertEqual(stored(c), acked)
            self.assertNotEqual(send(c), 0)
            ballast.drop()
            until("produce works again", lambda: send(c) == 0)
            self.assertEqual(stored(c), acked)
        self.server.kill()
        self.server.start()
        with self.server.connect() as c:
            self.assertEqual(stored(c), acked)
            self.assertEqual(c.list_offsets("t", 0)[2], max(acked) + 1)

    def test_file_of_a_job(self):
        """The step is undone, the job waits, and goes on by itself."""
        ballast = Ballast(self.disk.mount, 24)
        self.server = Server(SHOP, "--topic", "in=1")
        os.makedirs(self.server.data)
        os.makedirs(f"{self.disk.mount}/jobs")
        os.symlink(f"{self.disk.mount}/jobs", f"{self.server.data}/jobs")
        self.server.start()
        n, state = 0, "running"
        while state != "waiting":
            self.server.produce("in", *({"id": f"{n + i:07}" + "x" * 20000, "n": n + i}
                                        for i in range(100)))
            n += 100
            state = self.server.wait_job(
                "shop", lambda j: j["state"] != "running" or j["lag"] == 0)["state"]
            self.assertLess(n, 10000)
        job = self.server.job("shop")
        self.assertIn("full", job["why"])
        before = self.server.get("/q/shop/by_n?most=1")
        self.assertEqual((before.status, before.json[0]["n"]), (200, 0))
        ballast.drop()
        self.server.wait_job("shop", lambda j: j["state"] == "running" and j["lag"] == 0)
        out = self.server.leat("query", "shop", "select count(*) as n, count(distinct n) as d, "
                               "max(n) as m from orders", "--csv").out
        self.assertEqual(out, f"n,d,m\n{n},{n},{n - 1}\n")


if __name__ == "__main__":
    why = no_disk_here()
    if why:
        print(f"skipped: {why}")
        sys.exit(77)
    main()
