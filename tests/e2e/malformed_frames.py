#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Frames that no client sends. Whatever arrives, the server closes that connection at most, appends
nothing that was not a whole valid request, and keeps serving the others within its memory.

    malformed_frames.py [SEED]
"""

import random
import struct
import sys
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.support.raw_kafka import (  # noqa: E402
    API_VERSIONS, FETCH, HEARTBEAT, METADATA, PRODUCE, batch, i8, i16, i32, produce_body, request,
    string)
from tests.support.server import Server, main  # noqa: E402

SEED = int(sys.argv.pop(1)) if len(sys.argv) > 1 and sys.argv[1].isdigit() else time.time_ns()


def frame(body):
    return i32(len(body)) + body


def produce(version, topic):
    body = produce_body(topic, 0, batch([(b"key", b"value")]), version=version)
    return request(PRODUCE, version, 1, body)


class MalformedFrames(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.server.start()

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def setUp(self):
        with self.server.connect() as c:
            self.topic = self.id().rsplit(".", 1)[1]
            self.assertEqual(c.create_topics({self.topic: 1}), {self.topic: 0})

    def tearDown(self):
        self.assertTrue(self.server.is_running(), self.server.trace())
        with self.server.connect() as c:
            self.assertEqual(c.api_versions()[0], 0)

    def records(self):
        with self.server.connect() as c:
            return len(c.records(self.topic, 0))

    def expect_closed(self, data, why):
        with self.server.connect() as c:
            c.send_raw(data)
            self.assertTrue(c.is_closed(), f"connection stays open: {why}")

    def memory(self):
        status = Path(f"/proc/{self.server.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) * 1024

    def test_lengths_that_cannot_be(self):
        """A length of zero, below zero or beyond the limit closes the connection, at no cost."""
        before = self.memory()
        for length in (0, 1, 7, -1, -2**31, 2**31 - 1, 2**30, 200 << 20):
            tail = b"\0" * max(0, min(length, 100))
            self.expect_closed(i32(length) + tail, f"length {length}")
        self.assertLess(self.memory() - before, 64 << 20)

    def test_a_large_length_without_its_bytes(self):
        """A frame within the limit that never comes does not reserve its memory."""
        before = self.memory()
        connections = [self.server.connect() for _ in range(20)]
        for c in connections:
            c.send_raw(i32(16 << 20) + b"\0\0")
        with self.server.connect() as c:
            self.assertEqual(c.api_versions()[0], 0)
        self.assertLess(self.memory() - before, 128 << 20)
        for c in connections:
            c.close()

    def test_produce_cut_at_every_byte(self):
        """A request whose frame ends early is malformed: closed, and nothing appended."""
        for version in (3, 7, 9):
            whole = produce(version, self.topic)
            for n in range(len(whole)):
                self.expect_closed(frame(whole[:n]), f"v{version} cut to {n} of {len(whole)} bytes")
        self.assertEqual(self.records(), 0)

    def test_client_dies_at_every_byte(self):
        """A request that stops in the middle of its frame is dropped with its connection."""
        for version in (7, 9):
            whole = frame(produce(version, self.topic))
            for n in range(len(whole)):
                with self.server.connect() as c:
                    c.send_raw(whole[:n])
        self.assertEqual(self.records(), 0)

    def test_bytes_behind_the_end(self):
        """A frame longer than its request is malformed too."""
        for version in (3, 7, 9):
            data = frame(produce(version, self.topic) + b"\0")
            self.expect_closed(data, f"v{version} plus a byte")
        self.assertEqual(self.records(), 0)

    def test_counts_that_lie(self):
        """Counts and lengths beyond the frame are refused before memory is asked for."""
        before = self.memory()
        head = string(None) + i16(-1) + i32(1000)
        for count in (2**31 - 1, 2**24, -2, -2**31):
            body = head + i32(count) + b"\0" * 40
            self.expect_closed(frame(request(PRODUCE, 7, 1, body)), f"{count} topics")
            body = head + i32(1) + string(self.topic) + i32(count) + b"\0" * 40
            self.expect_closed(frame(request(PRODUCE, 7, 1, body)), f"{count} partitions")
            body = head + i32(1) + string(self.topic) + i32(1) + i32(0) + i32(count) + b"\0" * 40
            self.expect_closed(frame(request(PRODUCE, 7, 1, body)), f"{count} bytes of records")
            self.expect_closed(frame(request(METADATA, 1, 1, i32(count))), f"{count} names")
        body = head[1:] + b"\xff\xff\xff\xff\xff\xff" + b"\0" * 40
        self.expect_closed(frame(request(PRODUCE, 9, 1, body)), "a varint of six bytes")
        self.assertLess(self.memory() - before, 64 << 20)

    def test_unknown_keys_and_versions(self):
        """What has no layout has no answer; but ApiVersions: layout 0, error 35, its own range."""
        for key, version in ((-1, 0), (99, 0), (32767, 0), (PRODUCE, 99), (FETCH, -1),
                             (HEARTBEAT, 50)):
            self.expect_closed(frame(request(key, version, 1, b"\0" * 20)), f"key {key} v{version}")
        with self.server.connect() as c:
            error, apis = c.api_versions(99)
            self.assertEqual((error, list(apis)), (35, [API_VERSIONS]))
            self.assertEqual(c.api_versions(apis[API_VERSIONS][1])[0], 0)

    def test_random_bytes(self):
        """Noise in a frame, and damaged requests, close the connection or get an answer."""
        rng = random.Random(SEED)
        for _ in range(300):
            body = bytearray(produce(rng.choice((3, 7, 9)), self.topic))
            for _ in range(rng.randrange(1, 6)):
                evil = (0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256))
                body[rng.randrange(len(body))] = rng.choice(evil)
            with self.server.connect(timeout=0.5) as c:
                c.send_raw(frame(bytes(body)))
                c.is_closed(0.01)
            self.assertTrue(self.server.is_running(), f"seed {SEED}")

    def test_one_byte_at_a_time(self):
        """Where the network cuts a request does not matter."""
        with self.server.connect() as c:
            for byte in frame(produce(7, self.topic)):
                c.send_raw(bytes([byte]))
            self.assertEqual(c.produced(c.receive(1)), (0, 0))
        self.assertEqual(self.records(), 1)

    def test_answers_come_in_order(self):
        """Requests that are sent at once are answered one by one, slow ones before fast ones."""
        with self.server.connect() as c:
            wait = (i32(-1) + i32(300) + i32(1) + i32(1 << 20) + i8(0) + i32(1) + string(self.topic)
                    + i32(1) + struct.pack(">iqi", 0, 0, 1 << 20))
            ids = [c.send(FETCH, 4, wait)]
            ids += [c.send(METADATA, 1, i32(0)) for _ in range(10)]
            for correlation_id in ids:
                c.receive(correlation_id)

    def test_acks_zero_has_no_answer(self):
        """acks=0 is not answered; the next answer belongs to the next request."""
        with self.server.connect() as c:
            c.send(PRODUCE, 7, produce_body(self.topic, 0, batch([(None, b"v")]), acks=0))
            self.assertEqual(c.api_versions()[0], 0)
        self.assertEqual(self.records(), 1)


if __name__ == "__main__":
    print(f"seed {SEED}", file=sys.stderr)
    main()
