# SPDX-License-Identifier: Apache-2.0
"""A Kafka client for tests that need what no client offers: any bytes, any producer id, epoch,
sequence or acks, one connection that is cut where the test wants, and answers as they came.

    with Connection("127.0.0.1", port) as c:
        c.create_topics({"t": 1})
        error, offset = c.produce("t", 0, batch([(b"k", b"v")], producer_id=7, epoch=0, sequence=0))

The codec is written by hand, and on purpose not from the schema of runtime/wire, so that a mistake
there is seen here. Calls return what the broker said, error codes included: nothing is raised for
them, nothing is retried. Old versions of each API, where every field stands at a fixed place;
`produce_body` can also make the flexible version 9.
"""

import socket
import struct
import time
from collections import namedtuple

PRODUCE, FETCH, LIST_OFFSETS, METADATA, OFFSET_COMMIT, OFFSET_FETCH = 0, 1, 2, 3, 8, 9
FIND_COORDINATOR, JOIN_GROUP, HEARTBEAT, LEAVE_GROUP, SYNC_GROUP = 10, 11, 12, 13, 14
API_VERSIONS, CREATE_TOPICS, DELETE_TOPICS, INIT_PRODUCER_ID = 18, 19, 20, 22
ADD_PARTITIONS_TO_TXN, ADD_OFFSETS_TO_TXN, END_TXN, TXN_OFFSET_COMMIT = 24, 25, 26, 28
FLEXIBLE_FROM = {PRODUCE: 9, API_VERSIONS: 3}

TRANSACTIONAL, CONTROL, LOG_APPEND_TIME = 0x10, 0x20, 0x08
EARLIEST, LATEST = -2, -1

Record = namedtuple("Record", "offset timestamp key value headers")
Batch = namedtuple("Batch", "base_offset leader_epoch attributes last_offset_delta base_timestamp "
                            "max_timestamp producer_id epoch sequence records")
Fetched = namedtuple("Fetched", "error high_watermark last_stable_offset aborted data")


class Closed(Exception):
    """The server closed the connection."""


# --- bytes ----------------------------------------------------------------------------------------

def crc32c_table():
    table = []
    for n in range(256):
        for _ in range(8):
            n = (n >> 1) ^ (0x82F63B78 if n & 1 else 0)
        table.append(n)
    return table


CRC_TABLE = crc32c_table()


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = CRC_TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def i8(v):
    return struct.pack(">b", v)


def i16(v):
    return struct.pack(">h", v)


def i32(v):
    return struct.pack(">i", v)


def i64(v):
    return struct.pack(">q", v)


def string(s):
    data = s.encode() if isinstance(s, str) else s
    return i16(-1) if data is None else i16(len(data)) + data


def data32(b):
    return i32(-1) if b is None else i32(len(b)) + b


def array(items, encode):
    return i32(-1) if items is None else i32(len(items)) + b"".join(map(encode, items))


def uvarint(v):
    out = b""
    while v >= 0x80:
        out += bytes([v & 0x7F | 0x80])
        v >>= 7
    return out + bytes([v])


def varint(v):
    return uvarint((v << 1) ^ (v >> 63) if v >= 0 else ((-v) << 1) - 1)


def compact(s):
    data = s.encode() if isinstance(s, str) else s
    return uvarint(0) if data is None else uvarint(len(data) + 1) + data


class Reader:
    """Reads a response from the front; running over its end is an IndexError."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        if self.at + n > len(self.data):
            raise IndexError(f"response of {len(self.data)} bytes ends before {self.at + n}")
        self.at += n
        return self.data[self.at - n:self.at]

    def int(self, layout):
        return struct.unpack(">" + layout, self.take(struct.calcsize(layout)))[0]

    def i8(self):
        return self.int("b")

    def i16(self):
        return self.int("h")

    def i32(self):
        return self.int("i")

    def i64(self):
        return self.int("q")

    def string(self):
        n = self.i16()
        return None if n < 0 else self.take(n).decode()

    def data32(self):
        n = self.i32()
        return None if n < 0 else self.take(n)

    def array(self, read):
        n = self.i32()
        return None if n < 0 else [read() for _ in range(n)]

    def uvarint(self):
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    def varint(self):
        v = self.uvarint()
        return (v >> 1) ^ -(v & 1)

    def varbytes(self):
        n = self.varint()
        return None if n < 0 else self.take(n)

    def end(self):
        if self.at != len(self.data):
            raise ValueError(f"{len(self.data) - self.at} bytes behind the end of the response")


# --- record batches -------------------------------------------------------------------------------

def record(delta, timestamp_delta, key, value, headers=()):
    def part(b):
        return varint(-1) if b is None else varint(len(b)) + b

    body = i8(0) + varint(timestamp_delta) + varint(delta) + part(key) + part(value)
    body += varint(len(headers)) + b"".join(part(k) + part(v) for k, v in headers)
    return varint(len(body)) + body


def batch(pairs, *, base_offset=0, leader_epoch=-1, magic=2, attributes=0, timestamp=None,
          producer_id=-1, epoch=-1, sequence=-1, last_offset_delta=None, count=None, crc=None):
    """One batch of (key, value) or (key, value, headers). What is given replaces what is right."""
    now = int(time.time() * 1000) if timestamp is None else timestamp
    records = b"".join(record(i, 0, *pair) for i, pair in enumerate(pairs))
    delta = len(pairs) - 1 if last_offset_delta is None else last_offset_delta
    checked = i16(attributes) + i32(delta) + i64(now) + i64(now) + i64(producer_id) + i16(epoch)
    checked += i32(sequence) + i32(len(pairs) if count is None else count) + records
    sum_ = crc32c(checked) if crc is None else crc
    tail = i32(leader_epoch) + i8(magic) + struct.pack(">I", sum_) + checked
    return i64(base_offset) + i32(len(tail)) + tail


def parse_batches(data):
    """Whole batches of a fetch, without a cut last one. A wrong CRC raises. Uncompressed only."""
    batches = []
    while len(data) >= 12:
        base, length = struct.unpack_from(">qi", data)
        if len(data) < 12 + length:
            break
        batches.append(parse_batch(base, Reader(data[12:12 + length])))
        data = data[12 + length:]
    return batches


def parse_batch(base, r):
    leader_epoch, magic, crc = r.i32(), r.i8(), r.int("I")
    if magic != 2 or crc32c(r.data[r.at:]) != crc:
        raise ValueError(f"batch at {base}: magic {magic}, or a wrong CRC")
    attributes, delta, first, last = r.i16(), r.i32(), r.i64(), r.i64()
    producer_id, epoch, sequence = r.i64(), r.i16(), r.i32()
    count = r.i32()
    records = None if attributes & 7 else [parse_record(base, first, r) for _ in range(count)]
    return Batch(base, leader_epoch, attributes, delta, first, last, producer_id, epoch, sequence,
                 records)


def parse_record(base, first, r):
    r.varint()
    r.i8()
    timestamp, offset = first + r.varint(), base + r.varint()
    key, value = r.varbytes(), r.varbytes()
    headers = [(r.varbytes(), r.varbytes()) for _ in range(r.varint())]
    return Record(offset, timestamp, key, value, headers)


# --- request bodies that tests want to spoil ------------------------------------------------------

def request(key, version, correlation_id, body, client_id="raw"):
    """A request without its length."""
    head = i16(key) + i16(version) + i32(correlation_id) + string(client_id)
    return head + (b"\0" if version >= FLEXIBLE_FROM.get(key, 99) else b"") + body


def produce_body(topic, partition, data, acks=-1, timeout_ms=10000, transactional_id=None,
                 version=7):
    if version >= 9:
        part = i32(partition) + compact(data) + b"\0"
        return (compact(transactional_id) + i16(acks) + i32(timeout_ms) + uvarint(2)
                + compact(topic) + uvarint(2) + part + b"\0" + b"\0")
    return (string(transactional_id) + i16(acks) + i32(timeout_ms) + i32(1) + string(topic) + i32(1)
            + i32(partition) + data32(data))


# --- connection -----------------------------------------------------------------------------------

class Connection:
    def __init__(self, host, port, timeout=10):
        self.socket = socket.create_connection((host, port), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.correlation_id = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send_raw(self, data):
        self.socket.sendall(data)

    def send(self, key, version, body, client_id="raw"):
        """Sends a request and returns its correlation id; does not wait."""
        self.correlation_id += 1
        frame = request(key, version, self.correlation_id, body, client_id)
        self.send_raw(i32(len(frame)) + frame)
        return self.correlation_id

    def receive_exactly(self, n):
        data = b""
        while len(data) < n:
            try:
                more = self.socket.recv(n - len(data))
            except ConnectionResetError:
                more = b""
            if not more:
                raise Closed(f"closed after {len(data)} of {n} bytes")
            data += more
        return data

    def receive(self, correlation_id, flexible=False):
        """The next response, which must be the one to `correlation_id`."""
        r = Reader(self.receive_exactly(struct.unpack(">i", self.receive_exactly(4))[0]))
        got = r.i32()
        if got != correlation_id:
            raise ValueError(f"response to {got} instead of {correlation_id}")
        if flexible and r.take(1) != b"\0":
            raise ValueError("tags in a response header")
        return r

    def call(self, key, version, body):
        flexible = version >= FLEXIBLE_FROM.get(key, 99) and key != API_VERSIONS
        return self.receive(self.send(key, version, body), flexible)

    def is_closed(self, seconds=5):
        """Whether the server closes the connection within this time; answers are skipped."""
        self.socket.settimeout(seconds)
        try:
            while True:
                if not self.socket.recv(65536):
                    return True
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False

    # --- topics

    def api_versions(self, version=0):
        """(error, {key: (min, max)})"""
        flexible = version >= 3
        body = compact("raw") + compact("1") + b"\0" if flexible else b""
        r = self.call(API_VERSIONS, version, body)
        error = r.i16()
        flexible = flexible and error != 35  # the answer to an unknown version is in layout 0
        apis = {}
        for _ in range(r.uvarint() - 1 if flexible else r.i32()):
            key = r.i16()
            apis[key] = r.i16(), r.i16()
            if flexible:
                r.take(1)
        return error, apis

    def metadata(self, topics=None):
        """v1: ({broker id: (host, port)}, {topic: (error, {partition: (error, leader)})})"""
        r = self.call(METADATA, 1, array(topics, string))

        def broker():
            id_, host, port = r.i32(), r.string(), r.i32()
            r.string()
            return id_, (host, port)

        def partition():
            error, index, leader = r.i16(), r.i32(), r.i32()
            r.array(r.i32), r.array(r.i32)
            return index, (error, leader)

        def topic():
            error, name = r.i16(), r.string()
            r.i8()
            return name, (error, dict(r.array(partition)))

        brokers = dict(r.array(broker))
        r.i32()
        return brokers, dict(r.array(topic))

    def create_topics(self, topics, configs=(), timeout_ms=10000):
        """v2, one replica each: {topic: error}"""
        def topic(item):
            settings = array(list(dict(configs).items()), lambda kv: string(kv[0]) + string(kv[1]))
            return string(item[0]) + i32(item[1]) + i16(1) + i32(0) + settings

        body = array(list(topics.items()), topic) + i32(timeout_ms) + i8(0)
        r = self.call(CREATE_TOPICS, 2, body)
        r.i32()
        results = r.array(lambda: (r.string(), r.i16(), r.string()))
        return {name: error for name, error, _ in results}

    def delete_topics(self, names, timeout_ms=10000):
        r = self.call(DELETE_TOPICS, 1, array(names, string) + i32(timeout_ms))
        r.i32()
        return dict(r.array(lambda: (r.string(), r.i16())))

    # --- records

    def produce(self, topic, partition, data, acks=-1, transactional_id=None):
        """v7: (error, base offset)"""
        body = produce_body(topic, partition, data, acks, transactional_id=transactional_id)
        return self.produced(self.call(PRODUCE, 7, body))

    def produced(self, r):
        r.i32(), r.string(), r.i32(), r.i32()
        error, offset = r.i16(), r.i64()
        r.i64(), r.i64(), r.i32()
        r.end()
        return error, offset

    def fetch(self, topic, partition, offset, max_wait_ms=100, min_bytes=1, max_bytes=1 << 20,
              committed=False):
        """v4: Fetched"""
        part = i32(partition) + i64(offset) + i32(max_bytes)
        r = self.call(FETCH, 4, i32(-1) + i32(max_wait_ms) + i32(min_bytes) + i32(max_bytes)
                      + i8(1 if committed else 0) + i32(1) + string(topic) + i32(1) + part)
        r.i32(), r.i32(), r.string(), r.i32(), r.i32()
        error, high, stable = r.i16(), r.i64(), r.i64()
        aborted = r.array(lambda: (r.i64(), r.i64()))
        data = r.data32() or b""
        r.end()
        return Fetched(error, high, stable, aborted, data)

    def records(self, topic, partition, offset=0, committed=False):
        """All records up to the present end, control batches left out."""
        found = []
        while True:
            got = self.fetch(topic, partition, offset, committed=committed)
            batches = parse_batches(got.data)
            if got.error or not batches:
                return found
            found += [x for b in batches if not b.attributes & CONTROL
                      for x in b.records if x.offset >= offset]
            offset = batches[-1].base_offset + batches[-1].last_offset_delta + 1

    def list_offsets(self, topic, partition, timestamp=LATEST):
        """v1: (error, timestamp, offset)"""
        r = self.call(LIST_OFFSETS, 1, i32(-1) + i32(1) + string(topic) + i32(1) + i32(partition)
                      + i64(timestamp))
        r.i32(), r.string(), r.i32(), r.i32()
        return r.i16(), r.i64(), r.i64()

    # --- producers and transactions

    def init_producer_id(self, transactional_id=None, timeout_ms=60000):
        """v1: (error, producer id, epoch)"""
        r = self.call(INIT_PRODUCER_ID, 1, string(transactional_id) + i32(timeout_ms))
        r.i32()
        return r.i16(), r.i64(), r.i16()

    def add_partitions_to_txn(self, transactional_id, producer_id, epoch, topic, partitions):
        """v1: {partition: error}"""
        r = self.call(ADD_PARTITIONS_TO_TXN, 1, string(transactional_id) + i64(producer_id)
                      + i16(epoch) + i32(1) + string(topic) + array(partitions, i32))
        r.i32(), r.i32(), r.string()
        return dict(r.array(lambda: (r.i32(), r.i16())))

    def add_offsets_to_txn(self, transactional_id, producer_id, epoch, group):
        r = self.call(ADD_OFFSETS_TO_TXN, 1, string(transactional_id) + i64(producer_id)
                      + i16(epoch) + string(group))
        r.i32()
        return r.i16()

    def end_txn(self, transactional_id, producer_id, epoch, commit):
        r = self.call(END_TXN, 1, string(transactional_id) + i64(producer_id) + i16(epoch)
                      + i8(1 if commit else 0))
        r.i32()
        return r.i16()

    def txn_offset_commit(self, transactional_id, group, producer_id, epoch, topic, partition,
                          offset):
        r = self.call(TXN_OFFSET_COMMIT, 1, string(transactional_id) + string(group)
                      + i64(producer_id) + i16(epoch) + i32(1) + string(topic) + i32(1)
                      + i32(partition) + i64(offset) + string(""))
        r.i32(), r.i32(), r.string(), r.i32(), r.i32()
        return r.i16()

    # --- groups

    def find_coordinator(self, key, key_type=0):
        """v1: (error, node, host, port)"""
        r = self.call(FIND_COORDINATOR, 1, string(key) + i8(key_type))
        r.i32()
        error = r.i16()
        r.string()
        return error, r.i32(), r.string(), r.i32()

    def join_group(self, group, member="", protocols=(("range", b""),), session_ms=10000,
                   rebalance_ms=10000, kind="consumer"):
        """v2: (error, generation, protocol, leader, member, {member: metadata})"""
        r = self.call(JOIN_GROUP, 2, string(group) + i32(session_ms) + i32(rebalance_ms)
                      + string(member) + string(kind)
                      + array(protocols, lambda p: string(p[0]) + data32(p[1])))
        r.i32()
        head = r.i16(), r.i32(), r.string(), r.string(), r.string()
        return head + (dict(r.array(lambda: (r.string(), r.data32()))),)

    def sync_group(self, group, generation, member, assignments=()):
        """v1: (error, assignment)"""
        shares = list(dict(assignments).items())
        r = self.call(SYNC_GROUP, 1, string(group) + i32(generation) + string(member)
                      + array(shares, lambda a: string(a[0]) + data32(a[1])))
        r.i32()
        return r.i16(), r.data32()

    def heartbeat(self, group, generation, member):
        r = self.call(HEARTBEAT, 1, string(group) + i32(generation) + string(member))
        r.i32()
        return r.i16()

    def leave_group(self, group, member):
        r = self.call(LEAVE_GROUP, 1, string(group) + string(member))
        r.i32()
        return r.i16()

    def offset_commit(self, group, topic, partition, offset, generation=-1, member="", metadata=""):
        """v2: error"""
        r = self.call(OFFSET_COMMIT, 2, string(group) + i32(generation) + string(member) + i64(-1)
                      + i32(1) + string(topic) + i32(1) + i32(partition) + i64(offset)
                      + string(metadata))
        r.i32(), r.string(), r.i32(), r.i32()
        return r.i16()

    def offset_fetch(self, group, topic, partition):
        """v1: (error, offset, metadata)"""
        r = self.call(OFFSET_FETCH, 1, string(group) + i32(1) + string(topic)
                      + array([partition], i32))
        r.i32(), r.string(), r.i32(), r.i32()
        offset, metadata = r.i64(), r.string()
        return r.i16(), offset, metadata
