#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Kills and power cuts under load, and what must be true afterwards.

    campaign.py kill  N [--seed S]                 kill -9 of the server, N times
    campaign.py power N [--fs ext4] [--control]    power cuts on a file system in a file, N times

A client outside the server produces unique records with acks=all and notes what was acknowledged;
the job in ledger.lua counts them twice, natively and in Lua, and copies them out. A power cut is:
first kill -9, then shut the file system down without flushing its journal, then mount it again.
(The other order lets fdatasync return success on a dead disk.) At the end, and after each power
cut:

    C1   no acknowledged record is missing from the input topic
    C2   no record is in it twice
    C13  each stands at the offset that was acknowledged
    E1   both tables equal the fold of the input topic
    E3   the output topic is the input topic: each record once, in order per partition

With --control syncing is switched off (LEAT_FAIL=nosync), and the run must find lost records: a
harness that cannot lose proves nothing. Exit codes: 0 held, 1 violated, 77 cannot run here.
"""
import argparse
import collections
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.support.disk import Disk, no_disk_here  # noqa: E402
from tests.support.server import Server, until  # noqa: E402

LEDGER = Path(__file__).resolve().parent / "ledger.lua"
PARTITIONS = 3
KEYS = 50


class Violation(Exception):
    """Something that must never happen has happened."""


def ledger_server(data, fail=None):
    server = Server(str(LEDGER), "--topic", f"in={PARTITIONS}", "--topic", f"out={PARTITIONS}",
                    data=data)
    if fail:
        server.env["LEAT_FAIL"] = fail
    return server


class Load:
    """Produces unique records from a thread of its own until told to stop."""

    def __init__(self, address, seed, first=0):
        self.random = random.Random(seed)
        self.acked, self.sent, self.stopping = {}, first, False
        # murmur2, as jobs use: a key's input and output partition are then the same
        self.producer = Producer({
            "bootstrap.servers": address, "enable.idempotence": True, "acks": "all",
            "partitioner": "murmur2_random", "linger.ms": 2, "message.timeout.ms": 300000,
            "reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 200, "log_level": 0})
        self.thread = threading.Thread(target=self.run)

    def delivered(self, error, message):
        if error is None:
            self.acked[json.loads(message.value())["v"]] = (message.partition(), message.offset())

    def run(self):
        while not self.stopping:
            for _ in range(self.random.randrange(1, 200)):
                self.sent += 1
                key = f"k{self.random.randrange(KEYS)}"
                value = json.dumps({"k": key, "v": self.sent})
                self.producer.produce("in", value, key, on_delivery=self.delivered)
            self.producer.poll(0.002)
            while len(self.producer) > 5000 and not self.stopping:
                self.producer.poll(0.01)

    def start(self):
        self.thread.start()

    def wait_progress(self):
        """Until one more record is acknowledged."""
        before = len(self.acked)
        until("another record is acknowledged", lambda: len(self.acked) > before)

    def stop(self):
        """Leaves unsaid what was not acknowledged."""
        self.stopping = True
        self.thread.join()
        self.producer.purge(in_queue=True, in_flight=True)
        self.producer.flush(1)

    def finish(self):
        """Waits until everything that was sent is acknowledged."""
        self.stopping = True
        self.thread.join()
        left = self.producer.flush(120)
        if left:
            raise Violation(f"C19: {left} records were never acknowledged")


def ends(address, topic, partitions=PARTITIONS):
    """The offset behind the last record of each partition."""
    consumer = Consumer({"bootstrap.servers": address, "group.id": "check", "log_level": 0})
    try:
        return {p: consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=10)[1]
                for p in range(partitions)}
    finally:
        consumer.close()


def messages(address, topic, partitions=PARTITIONS):
    """Every message, as {partition: [message, ...]}."""
    consumer = Consumer({"bootstrap.servers": address, "group.id": "check", "log_level": 0,
                         "enable.auto.commit": False, "auto.offset.reset": "earliest"})
    try:
        end = ends(address, topic, partitions)
        consumer.assign([TopicPartition(topic, p, 0) for p in range(partitions)])
        got = {p: [] for p in range(partitions)}
        deadline = time.monotonic() + 60
        while any(len(got[p]) < end[p] for p in got):
            if time.monotonic() > deadline:
                sizes = [len(v) for v in got.values()]
                raise Violation(f"C19: {topic} cannot be read to its end: {sizes} of {end}")
            for m in consumer.consume(5000, 0.2):
                if m.error() is not None:
                    continue
                if m.offset() != len(got[m.partition()]):
                    raise Violation(f"C11: {topic}/{m.partition()}: a hole before {m.offset()}")
                got[m.partition()].append(m)
        return got
    finally:
        consumer.close()


def read_topic(address, topic):
    """Every record's value, as {partition: [value, ...]}."""
    return {p: [json.loads(m.value()) for m in ms] for p, ms in messages(address, topic).items()}


def rows(data, sql):
    db = sqlite3.connect(f"file:{data}/jobs/ledger/1.db?mode=ro", uri=True)
    try:
        return db.execute(sql).fetchall()
    finally:
        db.close()


def job_drained(data, ends):
    try:
        sql = "select partition, next from _leat_offsets where topic = 'in'"
        committed = dict(rows(data, sql))
        waiting = rows(data, "select count(*) from _leat_outbox")[0][0]
    except sqlite3.Error:
        return False
    return waiting == 0 and all(committed.get(p, 0) == end for p, end in ends.items())


def lost_acks(got, acked):
    present = {r["v"] for records in got.values() for r in records}
    return [v for v in acked if v not in present]


def check_input(got, acked):
    lost = lost_acks(got, acked)
    if lost:
        raise Violation(f"C1: {len(lost)} acknowledged records are missing, such as v={lost[0]}")
    counts = collections.Counter(r["v"] for records in got.values() for r in records)
    twice = [v for v, n in counts.items() if n > 1]
    if twice:
        raise Violation(f"C2: {len(twice)} records are there twice, such as v={twice[0]}")
    for value, (partition, offset) in acked.items():
        if got[partition][offset]["v"] != value:
            raise Violation(f"C13: v={value} was acknowledged at {partition}@{offset}")


def check_tables(data, got):
    fold = {}
    for records in got.values():
        for r in records:
            n, total = fold.get(r["k"], (0, 0))
            fold[r["k"]] = (n + 1, total + r["v"])
    for table in ("totals", "native_totals"):
        model = {k: (n, s) for k, n, s in rows(data, f"select k, n, sum from {table}")}
        for k in fold.keys() | model.keys():
            if model.get(k) != fold.get(k):
                raise Violation(f"E1: {table} has {model.get(k)} for {k} instead of {fold.get(k)}")
    return fold


def check(server, acked):
    """Raises Violation; returns a line of figures."""
    got = read_topic(server.address, "in")
    check_input(got, acked)
    ends = {p: len(r) for p, r in got.items() if r}
    until(lambda: f"the job has read everything: {server.job('ledger')}",
          lambda: job_drained(server.data, ends))
    fold = check_tables(server.data, got)
    out = read_topic(server.address, "out")
    for p, records in got.items():
        if [r["v"] for r in out[p]] != [r["v"] for r in records]:
            raise Violation(f"E3: out/{p} has {len(out[p])} records, in/{p} has {len(records)}: "
                            "not each of them once and in order")
    n = sum(map(len, got.values()))
    return f"{n} records, {len(acked)} acknowledged; {len(fold)} keys and {n} outputs equal them"


def campaign_kill(args):
    rng = random.Random(args.seed)
    folder = tempfile.mkdtemp(prefix="leat-kill-")
    server, load = ledger_server(os.path.join(folder, "data")), None
    try:
        server.start()
        load = Load(server.address, args.seed)
        load.start()
        for _ in range(args.n):
            time.sleep(rng.uniform(0.05, 0.6))  # the moment is the point
            server.kill()
            server.start()
        load.wait_progress()
        load.finish()
        figures = check(server, load.acked)
        server.terminate()
    finally:
        if load is not None and not load.stopping:
            load.stop()
        server.kill()
        server.close()
        shutil.rmtree(folder, ignore_errors=True)
    print(f"kill -9 x {args.n}: 0 lost, 0 doubled: {figures}")


def one_cut(disk, server, seed, first, pause):
    """Load, kill, cut; what was acknowledged before."""
    load = None
    try:
        server.start()
        load = Load(server.address, seed, first)
        load.start()
        load.wait_progress()
        time.sleep(pause)
        server.kill()
    finally:
        if load is not None:
            load.stop()
        server.kill()
    disk.cut()
    return load.acked


def power_cuts(args, disk):
    rng, total, server = random.Random(args.seed), {}, ledger_server(f"{disk.mount}/data")
    try:
        for i in range(args.n):
            total.update(one_cut(disk, server, args.seed + i, i * 10**7, rng.uniform(0.05, 0.9)))
            server.start()
            figures = check(server, total)
            server.kill()
    finally:
        server.kill()
        server.close()
    print(f"power cuts on {args.fs} x {args.n}: 0 lost, 0 doubled: {figures}")


def control_cuts(args, disk):
    rng, with_loss, lost_total = random.Random(args.seed), 0, 0
    for i in range(args.n):
        server = ledger_server(f"{disk.mount}/data{i}", fail="nosync")
        try:
            acked = one_cut(disk, server, args.seed + i, 0, rng.uniform(0.05, 0.9))
            del server.env["LEAT_FAIL"]
            try:
                server.start()
                lost = len(lost_acks(read_topic(server.address, "in"), acked))
            except (AssertionError, KafkaException, Violation):  # not even the topic survived
                lost = len(acked)
        finally:
            server.kill()
            server.close()
            shutil.rmtree(f"{disk.mount}/data{i}", ignore_errors=True)
        with_loss += lost > 0
        lost_total += lost
    print(f"control without syncing on {args.fs}: {with_loss} of {args.n} cuts lost "
          f"{lost_total} acknowledged records")
    if with_loss == 0:
        raise Violation("the harness is blind: nothing was lost without syncing")


def campaign_power(args):
    why = no_disk_here(args.fs)
    if why:
        print(f"skipped: {why}")
        return 77
    with Disk(args.fs, 400) as disk:
        (control_cuts if args.control else power_cuts)(args, disk)
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mode", choices=["kill", "power"])
    parser.add_argument("n", type=int)
    parser.add_argument("--fs", default="ext4", choices=["ext4", "xfs"])
    parser.add_argument("--control", action="store_true", help="without syncing: it must lose")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 10**9)
    args = parser.parse_args()
    print(f"seed {args.seed}", flush=True)
    try:
        return campaign_kill(args) if args.mode == "kill" else campaign_power(args)
    except (Violation, AssertionError) as e:
        print(f"FAILED, seed {args.seed}: {e}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
