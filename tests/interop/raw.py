#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Bytes that no client library sends: pipelining, hostile frames, hand-made batches."""
import random
import socket
import struct
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.support.server import Server, ServerTest, main, until  # noqa: E402


def crc32c(data):
    table = crc32c.table
    if not table:
        for n in range(256):
            for _ in range(8):
                n = (n >> 1) ^ (0x82F63B78 if n & 1 else 0)
            table.append(n)
    c = 0xFFFFFFFF
    for byte in data:
        c = table[(c ^ byte) & 255] ^ (c >> 8)
    return c ^ 0xFFFFFFFF


crc32c.table = []


def varint(n):
    n = (n << 1) ^ (n >> 63)
    out = b""
    while True:
        out += bytes([n & 127 | (128 if n > 127 else 0)])
        n >>= 7
        if not n:
            return out


def batch(values, producer=-1, epoch=-1, sequence=-1, attributes=0, time_ms=None, n=None):
    records = b""
    for i, v in enumerate(values):
        body = b"\0" + varint(0) + varint(i) + varint(-1) + varint(len(v)) + v + varint(0)
        records += varint(len(body)) + body
    ms = int(time.time() * 1000) if time_ms is None else time_ms
    tail = struct.pack(">hiqqqhii", attributes, len(values) - 1, ms, ms, producer, epoch, sequence,
                       len(values) if n is None else n) + records
    return struct.pack(">qiibI", 0, 9 + len(tail), -1, 2, crc32c(tail)) + tail


def string(s):
    return struct.pack(">h", len(s)) + s.encode()


class Raw(ServerTest):
    def setUp(self):
        if hasattr(self, "s"):
            self.s.close()
        self.s = socket.create_connection(("127.0.0.1", self.server.kafka_port), 10)
        self.correlation = 0

    def tearDown(self):
        self.s.close()

    def frame(self, key, version, body):
        self.correlation += 1
        head = struct.pack(">hhi", key, version, self.correlation) + string("raw")
        return struct.pack(">i", len(head) + len(body)) + head + body

    def receive(self, n):
        out = b""
        while len(out) < n:
            more = self.s.recv(n - len(out))
            if not more:
                raise EOFError
            out += more
        return out

    def response(self):
        n, correlation = struct.unpack(">ii", self.receive(8))
        return correlation, self.receive(n - 4)

    def call(self, key, version, body):
        self.s.sendall(self.frame(key, version, body))
        correlation, answer = self.response()
        self.assertEqual(correlation, self.correlation)
        return answer

    def create(self, topic, partitions=1):
        self.call(19, 2, struct.pack(">i", 1) + string(topic) +
                  struct.pack(">ihii", partitions, 1, 0, 0) + struct.pack(">ib", 10000, 0))

    def produce_body(self, topic, records, acks=-1):
        return (struct.pack(">hhii", -1, acks, 10000, 1) + string(topic) +
                struct.pack(">iii", 1, 0, len(records)) + records)

    def end_body(self, topic):
        return struct.pack(">ii", -1, 1) + string(topic) + struct.pack(">iiq", 1, 0, -1)

    def fetch_body(self, topic, wait_ms):
        return (struct.pack(">iiiibi", -1, wait_ms, 1, 1000, 0, 1) + string(topic) +
                struct.pack(">iiqi", 1, 0, 0, 1000))

    def produce(self, topic, records):
        """(error, base offset)"""
        answer = self.call(0, 3, self.produce_body(topic, records))
        return struct.unpack_from(">hq", answer, 4 + 2 + len(topic) + 4 + 4)

    def end(self, topic):
        answer = self.call(2, 1, self.end_body(topic))
        error, _, offset = struct.unpack_from(">hqq", answer, 4 + 2 + len(topic) + 4 + 4)
        return offset if error == 0 else -error

    def expect_closed(self):
        try:
            self.assertEqual(self.s.recv(1), b"")
        except ConnectionResetError:
            pass

    def test_pipelined_requests_are_answered_in_order(self):
        """Fifty in flight, mixed apis."""
        self.create("pipe")
        rng, data = random.Random(7), b""
        first = self.correlation + 1
        for i in range(50):
            data += rng.choice((
                lambda: self.frame(18, 0, b""),
                lambda: self.frame(3, 1, struct.pack(">i", -1)),
                lambda: self.frame(0, 3, self.produce_body("pipe", batch([b"v"]))),
                lambda: self.frame(2, 1, self.end_body("pipe")),
                lambda: self.frame(1, 4, self.fetch_body("pipe", 20))))()
        self.s.sendall(data)
        self.assertEqual([self.response()[0] for _ in range(50)], list(range(first, first + 50)))

    def test_cut_at_every_byte(self):
        """Nothing happens until a request is whole; a cut one leaves nothing behind."""
        self.create("cut")
        request = self.frame(0, 3, self.produce_body("cut", batch([b"x" * 20])))
        for n in range(0, len(request), 3):
            with socket.create_connection(("127.0.0.1", self.server.kafka_port)) as s:
                s.sendall(request[:n])
        self.assertEqual(self.end("cut"), 0)
        for n in range(1, len(request), 7):
            self.s.sendall(request[:n])
            time.sleep(0.001)
            self.s.sendall(request[n:])
            self.response()
        self.assertEqual(self.end("cut"), len(range(1, len(request), 7)))

    def test_hostile_lengths(self):
        for n in (0, -1, -2**31, 2**31 - 1, 7, 600 * 1024):
            with self.subTest(n):
                self.setUp()
                self.s.sendall(struct.pack(">i", n) + b"\0" * 16)
                self.expect_closed()
        self.setUp()
        self.assertEqual(self.call(18, 0, b"")[:2], b"\0\0")

    def test_unknown_apis_close(self):
        for key, version in ((99, 0), (26, 0), (0, 2), (1, 3), (3, 99), (-1, 0)):
            with self.subTest((key, version)):
                self.setUp()
                self.s.sendall(self.frame(key, version, b"\0" * 32))
                self.expect_closed()

    def test_api_versions_falls_back(self):
        expected = struct.pack(">hi", 35, 1) + struct.pack(">hhh", 18, 0, 4)
        self.assertEqual(self.call(18, 77, b"\0\1x"), expected)

    def test_garbage_bodies_close(self):
        rng = random.Random(11)
        for i in range(200):
            self.setUp()
            key = rng.choice((0, 1, 2, 3, 8, 9, 10, 11, 12, 13, 14, 15, 16, 19, 20, 22, 32, 37, 42))
            garbage = rng.randbytes(rng.randrange(1, 100))
            self.s.sendall(self.frame(key, rng.randrange(3, 12), garbage))
            self.s.shutdown(socket.SHUT_WR)
            self.s.settimeout(10)
            while self.s.recv(65536):
                pass
            self.s.close()
        self.setUp()
        self.assertEqual(self.call(18, 0, b"")[:2], b"\0\0")

    def test_acks_0_says_nothing(self):
        self.create("zero")
        self.s.sendall(self.frame(0, 3, self.produce_body("zero", batch([b"v"]), 0)))
        until("it is readable, which is when it is on disk", lambda: self.end("zero") == 1)
        self.s.sendall(self.frame(0, 3, self.produce_body("no-such-topic", batch([b"v"]), 0)))
        self.expect_closed()

    def test_bad_batches_are_refused(self):
        """The right error, the connection stays, nothing is appended."""
        self.create("bad")
        good = batch([b"v"])
        hour = 3600 * 1000
        now = int(time.time() * 1000)
        for name, records, error in (
                ("crc", good[:-1] + b"?", 2),
                ("magic", good[:16] + b"\1" + good[17:], 87),
                ("two batches", good + good, 87),
                ("cut", good[:-3], 87),
                ("count", batch([b"v"], n=2), 87),
                ("control", batch([b"v"], attributes=0x20), 87),
                ("transactional", batch([b"v"], 1, 0, 0, attributes=0x10), 48),
                ("reserved producer", batch([b"v"], 2**62, 0, 0), 49),
                ("no sequence", batch([b"v"], 5, 0, -1), 87),
                ("future", batch([b"v"], time_ms=now + 2 * hour), 32),
                ("large", batch([b"v" * 1100000]), 10)):
            with self.subTest(name):
                got, offset = self.produce("bad", records)
                self.assertEqual(got, error)
                self.assertEqual(offset, -1)
        self.assertEqual(self.end("bad"), 0)
        self.assertEqual(self.produce("bad", good), (0, 0))

    def test_idempotence(self):
        """Repeats are recognised; gaps, other bounds and older epochs are refused."""
        self.create("once")
        def send(sequence, n=1, producer=7, epoch=0):
            return self.produce("once", batch([b"v"] * n, producer, epoch, sequence, time_ms=1000))
        self.assertEqual(send(0, 10), (0, 0))
        self.assertEqual(send(0, 10), (0, 0))       # 31: the same again
        self.assertEqual(send(0, 20)[0], 45)        # 33: other boundaries
        self.assertEqual(send(12)[0], 45)           # 34: a gap
        for i in range(6):
            self.assertEqual(send(10 + i), (0, 10 + i))
        self.assertEqual(send(0, 10)[0], 45)        # 32: older than the last five
        self.assertEqual(send(12), (0, 12))
        self.assertEqual(send(0, 1, epoch=1), (0, 16))
        self.assertEqual(send(16, 1)[0], 47)        # 38: a lower epoch
        self.assertEqual(self.end("once"), 17)
        wrap = self.produce("once", batch([b"v"] * 2, 8, 0, 2**31 - 2))
        self.assertEqual(wrap, (0, 17))             # 35: 2^31-2, 2^31-1, then 0
        self.assertEqual(self.produce("once", batch([b"v"], 8, 0, 0)), (0, 19))

    def test_a_fetch_within_a_batch_gets_all_of_it(self):
        self.create("within")
        self.produce("within", batch([b"v"] * 10))
        body = (struct.pack(">iiiibi", -1, 0, 1, 1 << 20, 0, 1) + string("within") +
                struct.pack(">iiqi", 1, 0, 5, 1 << 20))
        answer = self.call(1, 4, body)
        at = 4 + 4 + 2 + len("within") + 4
        _, error, hw, _, aborted, n = struct.unpack_from(">ihqqii", answer, at)
        self.assertEqual((error, hw, aborted), (0, 10, -1))
        self.assertEqual(struct.unpack_from(">q", answer, at + 30)[0], 0)
        self.assertEqual(n, len(answer) - at - 30)

    def test_a_closed_long_poll_is_forgotten(self):
        self.create("gone")
        for _ in range(20):
            with socket.create_connection(("127.0.0.1", self.server.kafka_port)) as s:
                s.sendall(self.frame(1, 4, self.fetch_body("gone", 60000)))
                time.sleep(0.005)
        self.assertEqual(self.produce("gone", batch([b"v"])), (0, 0))

    def test_internal_topics_are_read_only(self):
        self.call(10, 0, string("g"))
        self.assertEqual(self.produce("__consumer_offsets", batch([b"v"]))[0], 17)

    def test_a_second_server_is_refused(self):
        """One data folder has one server."""
        second = Server(data=self.server.data)
        self.assertIn("in use by another", second.refused(10))
        second.close()


if __name__ == "__main__":
    main()
