#!/usr/bin/python3
"""Kills and power cuts under load, and what must be true afterwards.

  campaign.py kill  N [--seed S]                 N times kill -9 of the server, under produce and job load
  campaign.py power N [--fs ext4] [--control]    N power cuts on a loop file system; --control switches syncing off

A client outside the server produces unique records with acks=all and notes what was acknowledged. A power cut is: kill -9
first, then shut the file system down without flushing its journal, then mount it again. (The other order lets fdatasync
return success on a dead disk.) At the end, and for power cuts after each one:

  C1  no acknowledged record is missing from the input topic
  C2  no record is in it twice
  E1  both tables equal the fold of the input topic
  E3  the output topic holds each input record once, in order per partition

With --control the run must find lost records: a harness that cannot lose proves nothing.
"""
import argparse
import collections
import json
import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time

from confluent_kafka import Consumer, Producer, TopicPartition

HERE = os.path.dirname(os.path.abspath(__file__))
PARTITIONS = 3
KEYS = 50


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(what, seconds, condition):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.02)
    raise SystemExit(f"FAILED: {what} within {seconds} s")


class Server:
    """One `leat serve` on a data directory; killed and started again on the same port."""

    def __init__(self, leat, data, fail=None):
        self.leat, self.data, self.fail = leat, data, fail
        self.port, self.process = free_port(), None

    def start(self):
        ready = os.path.join(tempfile.gettempdir(), f"leat-ready-{os.getpid()}")
        if os.path.exists(ready):
            os.unlink(ready)
        env = dict(os.environ)
        if self.fail:
            env["LEAT_FAIL"] = self.fail
        self.process = subprocess.Popen(
            [self.leat, "serve", os.path.join(HERE, "ledger.lua"), "--data", self.data, "--kafka-listen",
             f"127.0.0.1:{self.port}", "--http-listen", "127.0.0.1:0", "--ready-file", ready,
             "--topic", f"in={PARTITIONS}", "--topic", f"out={PARTITIONS}"],
            env=env)
        wait_for("the server is ready", 30, lambda: os.path.exists(ready) or self.dead())

    def dead(self):
        if self.process.poll() is not None:
            raise SystemExit(f"FAILED: the server ended with {self.process.returncode}")
        return False

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)


class Load:
    """Produces unique records from a thread of its own until told to stop."""

    def __init__(self, port, seed):
        self.random = random.Random(seed)
        self.acked, self.sent, self.stopping = {}, 0, False
        self.producer = Producer({
            "bootstrap.servers": f"127.0.0.1:{port}", "enable.idempotence": True, "acks": "all", "linger.ms": 2,
            "message.timeout.ms": 120000, "reconnect.backoff.max.ms": 200, "log_level": 0})
        self.thread = threading.Thread(target=self.run)

    def delivered(self, error, message):
        if error is None:
            value = json.loads(message.value())["v"]
            self.acked[value] = (message.partition(), message.offset())

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

    def stop(self, flush):
        self.stopping = True
        self.thread.join()
        if flush:
            left = self.producer.flush(60)
            if left:
                raise SystemExit(f"FAILED: {left} records were never acknowledged")
        else:
            self.producer.purge(in_queue=True, in_flight=True)
            self.producer.flush(1)


def read_topic(port, topic):
    """Every record, as {partition: [value, ...]}."""
    consumer = Consumer({"bootstrap.servers": f"127.0.0.1:{port}", "group.id": "check", "enable.auto.commit": False,
                         "auto.offset.reset": "earliest", "log_level": 0})
    ends = {p: consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=10)[1] for p in range(PARTITIONS)}
    consumer.assign([TopicPartition(topic, p, 0) for p in range(PARTITIONS)])
    got = {p: [] for p in range(PARTITIONS)}
    wait = time.monotonic() + 60
    while any(len(got[p]) < ends[p] for p in got):
        if time.monotonic() > wait:
            raise SystemExit(f"FAILED: {topic} cannot be read to its end: {[len(v) for v in got.values()]} of {ends}")
        for message in consumer.consume(5000, 0.2):
            if message.error() is None:
                if message.offset() != len(got[message.partition()]):
                    raise SystemExit(f"FAILED: {topic}/{message.partition()} has a hole before {message.offset()}")
                got[message.partition()].append(json.loads(message.value()))
    consumer.close()
    return got


def rows(data, sql):
    db = sqlite3.connect(f"file:{data}/jobs/ledger/1.db?mode=ro", uri=True)
    try:
        return db.execute(sql).fetchall()
    finally:
        db.close()


def job_drained(data, ends):
    try:
        committed = dict(rows(data, "select partition, next from _leat_offsets where topic = 'in'"))
        waiting = rows(data, "select count(*) from _leat_outbox")[0][0]
    except sqlite3.Error:
        return False
    return waiting == 0 and all(committed.get(p, 0) == end for p, end in ends.items())


def lost_acks(got, acked):
    present = {r["v"] for records in got.values() for r in records}
    return [v for v in acked if v not in present]


def check(server, acked, seen_output=True):
    """Raises on any violation; returns a line of figures."""
    got = read_topic(server.port, "in")
    lost = lost_acks(got, acked)
    if lost:
        raise SystemExit(f"FAILED C1: {len(lost)} acknowledged records are missing, for instance v={lost[0]}")
    values = [r["v"] for records in got.values() for r in records]
    if len(values) != len(set(values)):
        twice = [v for v, n in collections.Counter(values).items() if n > 1]
        raise SystemExit(f"FAILED C2: {len(twice)} records are there twice, for instance v={twice[0]}")
    for value, (partition, offset) in acked.items():
        if got[partition][offset]["v"] != value:
            raise SystemExit(f"FAILED C13: v={value} was acknowledged at {partition}@{offset}")
    wait_for("the job has read everything", 60,
             lambda: job_drained(server.data, {p: len(r) for p, r in got.items() if r}))
    fold = {}
    for records in got.values():
        for r in records:
            n, total = fold.get(r["k"], (0, 0))
            fold[r["k"]] = (n + 1, total + r["v"])
    for table in ("totals", "native_totals"):
        model = {k: (n, s) for k, n, s in rows(server.data, f"select k, n, sum from {table}")}
        if model != fold:
            wrong = [k for k in fold if model.get(k) != fold[k]]
            raise SystemExit(f"FAILED E1: {table} differs from the fold of the input, for instance "
                             f"{wrong[0]}: {model.get(wrong[0])} instead of {fold[wrong[0]]}")
    out = read_topic(server.port, "out")
    if {p: [r["v"] for r in v] for p, v in out.items()} != {p: [r["v"] for r in v] for p, v in got.items()}:
        raise SystemExit("FAILED E3: the output topic is not the input, each record once and in order")
    return f"{len(values)} records in the topic, {len(acked)} acknowledged, {len(fold)} keys, all equal"


def campaign_kill(args):
    rng = random.Random(args.seed)
    with tempfile.TemporaryDirectory() as data:
        server = Server(args.leat, data)
        server.start()
        load = Load(server.port, args.seed)
        load.start()
        for i in range(args.n):
            time.sleep(rng.uniform(0.05, 0.6))
            server.kill()
            server.start()
        load.stop(flush=True)
        figures = check(server, load.acked)
        server.stop()
    print(f"kill -9 x {args.n}: 0 lost, 0 doubled; {figures}")


class Disk:
    """An ext4 or XFS file system in a file, whose power can be cut."""

    def __init__(self, fs):
        self.dir = tempfile.mkdtemp(dir="/var/tmp")
        self.image, self.mount = f"{self.dir}/disk.img", f"{self.dir}/mnt"
        os.mkdir(self.mount)
        subprocess.check_call(["truncate", "-s", "400M", self.image])
        subprocess.check_call(["mkfs." + fs, "-q", *(["-f"] if fs == "xfs" else ["-F"]), self.image])
        self.attach()

    def attach(self):
        subprocess.check_call(["mount", "-o", "loop", self.image, self.mount])

    def cut(self):
        subprocess.check_call(["xfs_io", "-x", "-c", "shutdown", self.mount])
        subprocess.check_call(["umount", self.mount])
        self.attach()

    def close(self):
        subprocess.call(["umount", self.mount])
        subprocess.call(["rm", "-rf", self.dir])


def campaign_power(args):
    rng = random.Random(args.seed)
    disk = Disk(args.fs)
    cuts_with_loss = lost_total = acked_total = 0
    try:
        for i in range(args.n):
            data = f"{disk.mount}/data{i}" if args.control else f"{disk.mount}/data"
            server = Server(args.leat, data, fail="nosync" if args.control else None)
            server.start()
            load = Load(server.port, args.seed + i)
            load.sent = i * 10_000_000
            load.start()
            wait_for("something is acknowledged", 20, lambda: load.acked)
            time.sleep(rng.uniform(0.1, 0.9))
            server.kill()
            load.stop(flush=False)
            disk.cut()
            acked_total += len(load.acked)
            server.fail = None
            if args.control:
                try:
                    server.start()
                    lost = len(lost_acks(read_topic(server.port, "in"), load.acked))
                    server.kill()
                except SystemExit:  # not even the topic survived
                    lost = len(load.acked)
                cuts_with_loss += lost > 0
                lost_total += lost
            else:
                server.start()
                check(server, load.acked)
                server.kill()
    finally:
        disk.close()
    if args.control:
        print(f"control without syncing, {args.n} cuts: {cuts_with_loss} lost {lost_total} acknowledged records")
        if cuts_with_loss == 0:
            raise SystemExit("FAILED: the harness is blind: nothing was lost without syncing")
    else:
        print(f"power cuts on {args.fs} x {args.n}: 0 of {acked_total} acknowledged records lost, "
              "tables and output equal the input after each")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mode", choices=["kill", "power"])
    parser.add_argument("n", type=int)
    parser.add_argument("--fs", default="ext4", choices=["ext4", "xfs"])
    parser.add_argument("--control", action="store_true")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--leat", default=os.environ.get("LEAT", "build/crash/runtime/app/leat"))
    args = parser.parse_args()
    args.leat = os.path.abspath(args.leat)
    print(f"seed {args.seed}", flush=True)
    if args.mode == "kill":
        campaign_kill(args)
    elif os.geteuid() != 0:
        print("0 passed, 0 failed, 1 skipped: power cuts need root (loop mounts)")
        sys.exit(77)
    else:
        campaign_power(args)


if __name__ == "__main__":
    main()
