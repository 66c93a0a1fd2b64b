#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The raw client against the mock broker that librdkafka brings along: neither is ours."""

import socket
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from confluent_kafka import Producer  # noqa: E402

from tests.support.raw_kafka import (  # noqa: E402
    API_VERSIONS, EARLIEST, METADATA, PRODUCE, Closed, Connection, batch, crc32c, parse_batches)


class RawKafka(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.mock = Producer({"test.mock.num.brokers": 1, "bootstrap.servers": "x", "log_level": 0})
        cls.broker = next(iter(cls.mock.list_topics(timeout=10).brokers.values()))

    def setUp(self):
        self.c = Connection(self.broker.host, self.broker.port)
        self.c.metadata(["r", "x"])  # creates them

    def tearDown(self):
        self.c.close()

    def test_crc32c_is_castagnoli(self):
        self.assertEqual(crc32c(b"123456789"), 0xE3069283)

    def test_batch_survives_its_own_reading(self):
        data = batch([(b"k", b"v", [(b"h", None)]), (None, b"")], timestamp=5, producer_id=9,
                     epoch=2, sequence=3, base_offset=40)
        parsed, = parse_batches(data + data[:30])
        self.assertEqual((parsed.producer_id, parsed.epoch, parsed.sequence), (9, 2, 3))
        self.assertEqual(parsed.records, [(40, 5, b"k", b"v", [(b"h", None)]),
                                          (41, 5, None, b"", [])])
        with self.assertRaises(ValueError):
            parse_batches(data[:-1] + b"x")

    def test_versions_and_metadata(self):
        error, apis = self.c.api_versions()
        self.assertEqual(error, 0)
        self.assertTrue({PRODUCE, METADATA, API_VERSIONS} <= set(apis))
        brokers, topics = self.c.metadata(["m"])
        self.assertEqual(list(brokers.values()), [(self.broker.host, self.broker.port)])
        self.assertEqual(topics["m"][0], 0)

    def test_records_come_back(self):
        for value in (b"1", b"2", b"3"):
            error, _ = self.c.produce("r", 0, batch([(b"k", value)]))
            self.assertEqual(error, 0)
        self.assertEqual([r.value for r in self.c.records("r", 0)], [b"1", b"2", b"3"])
        self.assertEqual(self.c.list_offsets("r", 0)[2], 3)
        self.assertEqual(self.c.list_offsets("r", 0, EARLIEST)[2], 0)

    def test_group(self):
        error, _, _, port = self.c.find_coordinator("g")
        self.assertEqual((error, port), (0, self.broker.port))
        error, generation, protocol, leader, member, members = self.c.join_group("g")
        self.assertEqual((error, protocol, list(members)), (0, "range", [member]))
        self.assertEqual(leader, member)
        self.assertEqual(self.c.sync_group("g", generation, member, {member: b"all"}), (0, b"all"))
        self.assertEqual(self.c.heartbeat("g", generation, member), 0)
        self.assertEqual(self.c.offset_commit("g", "r", 0, 2, generation, member), 0)
        self.assertEqual(self.c.offset_fetch("g", "r", 0)[:2], (0, 2))
        self.assertEqual(self.c.leave_group("g", member), 0)

    def test_transaction(self):
        error, producer_id, epoch = self.c.init_producer_id("tx")
        self.assertEqual(error, 0)
        identity = ("tx", producer_id, epoch)
        self.assertEqual(self.c.add_partitions_to_txn(*identity, "x", [0, 1]), {0: 0, 1: 0})
        self.assertEqual(self.c.add_offsets_to_txn(*identity, "g"), 0)
        self.assertEqual(self.c.txn_offset_commit("tx", "g", producer_id, epoch, "x", 0, 3), 0)
        self.assertEqual(self.c.end_txn(*identity, True), 0)

    def test_a_closed_connection_is_seen(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            with Connection(*listener.getsockname()) as c:
                self.assertFalse(c.is_closed(0.05))
                listener.accept()[0].close()
                self.assertTrue(c.is_closed())
                with self.assertRaises(Closed):
                    c.receive_exactly(4)


if __name__ == "__main__":
    unittest.main()
