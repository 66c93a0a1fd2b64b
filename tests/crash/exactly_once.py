#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Exactly-once effects of jobs, with the server killed at every failpoint.

    exactly_once.py [N] [--rounds R] [--seed S] [--control]

N records (unique v, one of fifty keys) go into a topic of four partitions while eight jobs of
tests/crash/jobs read it, and the server dies at one failpoint after the other, R times each. The
oracle is a fold of the input topic, which is read back at the end; it knows nothing of leat.

    W1 copy     W2 sums and their changes     W3 bank     W4 hash chain     W5 poison
    W6 windows, late records, timers     W7 a processor whose code changes half-way     W8 fan-out

    E1   tables equal the fold of the input up to the offsets of the same snapshot; snapshots are
         taken after each death, from the files as they lie there
    E2   offsets never pass the durable end of the input
    E3   each output partition holds what the fold says, once and in order
    E4   records = outputs + dead letters + dropped ones
    E5   the dead letters are the poison, with their headers
    E7   a job built again from the start has the same tables

With --control the server commits offsets in a transaction of their own, and the run must end in a
violation: a harness that cannot see that proves nothing. Exit codes: 0 held, 1 violated.
"""
import argparse
import collections
import contextlib
import os
import random
import shutil
import sqlite3
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import campaign  # noqa: E402
from campaign import Load, Violation, messages  # noqa: E402
from tests.support.server import Server, until  # noqa: E402

import json  # noqa: E402

JOBS = Path(__file__).resolve().parent / "jobs"
NAMES = ["copy", "sums", "bank", "chain", "poison", "windows", "growing", "fan"]
OUTPUTS = ["copy.out", "sums.out", "bank.refused", "chain.out", "poison.out", "poison.dead",
           "windows.final", "windows.late", "timers.out", "growing.out", "fan.a", "fan.b", "fan.c"]
PARTITIONS = 4
START_MS = int(time.time()) * 1000 - 2 * 24 * 3600 * 1000  # retention must not take it
WINDOW_MS, TIMER_MS, STEP_MS, JITTER_MS = 10000, 5000, 20, 3000
LONG_MS = 24 * 3600 * 1000

# Where it dies: a point, and how often the point is passed before at most, or whose job file.
POINTS = [("before_begin", 30), ("after_lua", 2000), ("before_commit", 30), ("after_commit", 30),
          ("db_before_commit", 30), ("db_after_commit", 30), ("after_publish", 30),
          ("before_mark", 20), ("after_mark", 20), ("after_append", 50),
          ("before_log_fsync", 20)]
OUTSIDE = "offsets_outside"  # a commit of their own for offsets, and a death between the two
CONTROL_POINTS = [("between_commits", job) for job in ("copy", "sums", "chain", "growing")]


class Input(Load):
    """Sends as many records as it is allowed to."""

    def __init__(self, address, seed, total):
        super().__init__(address, seed)
        self.total, self.allowed = total, 0

    def record(self, v, t):
        key = f"k{self.random.randrange(campaign.KEYS)}" if v <= self.total else f"k{v % 50}"
        self.producer.produce("in", json.dumps({"k": key, "v": v, "t": t}), key,
                              on_delivery=self.delivered)

    def run(self):
        while not self.stopping and self.sent < self.total:
            if self.sent < min(self.allowed, self.total) and len(self.producer) < 5000:
                for _ in range(min(100, self.allowed - self.sent, self.total - self.sent)):
                    self.sent += 1
                    jitter = self.random.randrange(-JITTER_MS, JITTER_MS)
                    self.record(self.sent, START_MS + self.sent * STEP_MS + jitter)
            self.producer.poll(0.01)

    def close_windows(self):
        """One late-most record per key, so that every partition's watermark passes everything."""
        for i in range(50):
            self.record(self.total + 1 + i, START_MS + self.total * STEP_MS + LONG_MS)


# --- what lies in the job files ---

class Snapshot:
    """Offsets and tables of one job's file, read in one transaction."""

    TABLES = {"sums": "select k, n, total, low, high, recent from sums",
              "chain": "select k, n, h from heads",
              "bank": "select id, balance from accounts"}

    def __init__(self, data, job):
        self.job, self.rows, self.offsets = job, [], {}
        path = f"{data}/jobs/{job}/1.db"
        if not os.path.exists(path):
            return
        # As a reader beside a writer: the WAL of a killed server is part of the file.
        db = sqlite3.connect(path, isolation_level=None)
        try:
            db.execute("begin")
            self.offsets = dict(db.execute("select partition, next from _leat_offsets "
                                           "where topic = 'in'").fetchall())
            self.rows = db.execute(self.TABLES[job]).fetchall()
            if job == "bank":
                self.moves = db.execute("select source, target, amount from moves").fetchall()
        except sqlite3.OperationalError as e:
            if "no such table" not in str(e):  # it died before its first commit
                raise
        finally:
            db.close()


def fold_of(job, records):
    """The rows that a table must have after these records, in the order of each key."""
    rows = {}
    for r in records:
        k, v = r["k"], r["v"]
        if job == "sums":
            _, n, total, low, high, _ = rows.get(k, (k, 0, 0, v, v, v))
            rows[k] = (k, n + 1, total + v, min(low, v), max(high, v), None)
        else:
            _, n, h = rows.get(k, (k, 0, 7))
            rows[k] = (k, n + 1, (h * 31 + r["offset"] * 7 + v) % 2147483647)
    return sorted(rows.values())


def check_bank(snapshot):
    if sum(b for _, b in snapshot.rows) != 100 * len(snapshot.rows):
        raise Violation(f"E1: bank: money was made or lost: {snapshot.rows}")
    balances = collections.Counter({i: 100 for i, _ in snapshot.rows})
    for source, target, amount in snapshot.moves:
        balances[source] -= amount
        balances[target] += amount
    if any(balances[i] != b or b < 0 for i, b in snapshot.rows):
        raise Violation("E1: bank: the moves do not explain the balances")


def check_snapshot(snapshot, records):
    for p, offset in snapshot.offsets.items():
        if offset > len(records[p]):
            raise Violation(f"E2: {snapshot.job}: next is {offset}, but in/{p} ends at "
                            f"{len(records[p])}")
    if snapshot.job == "bank":
        return check_bank(snapshot) if snapshot.offsets else None
    seen = [r for p, offset in snapshot.offsets.items() for r in records[p][:offset]]
    rows = sorted(snapshot.rows)
    if snapshot.job == "sums":  # the newest by arrival is not part of the fold
        rows = [row[:5] + (None,) for row in rows]
    want = fold_of(snapshot.job, seen)
    if rows != want:
        odd = next((a, b) for a, b in zip(rows + [None], want + [None]) if a != b)
        raise Violation(f"E1: {snapshot.job} at {snapshot.offsets}: has {odd[0]}, should be "
                        f"{odd[1]}")
    return None


# --- what lies in the topics ---

def expect_equal(what, got, want):
    if got == want:
        return
    n = next((i for i, (a, b) in enumerate(zip(got, want)) if a != b), min(len(got), len(want)))
    raise Violation(f"E3: {what}: {len(got)} records, should be {len(want)}; the first difference "
                    f"is at {n}: {got[n:n + 2]} instead of {want[n:n + 2]}")


def is_poison(v):
    return v % 97 == 0 or v % 9973 == 0


def check_copies(records, out):
    for p in range(PARTITIONS):
        expect_equal(f"copy.out/{p}", [m["v"] for m in out["copy.out"][p]],
                     [r["v"] for r in records[p]])
        expect_equal(f"poison.out/{p}", [m["v"] for m in out["poison.out"][p]],
                     [r["v"] for r in records[p] if not is_poison(r["v"])])


def check_dead(records, out, heads):
    want = {(p, r["offset"]): r for p in range(PARTITIONS) for r in records[p]
            if is_poison(r["v"])}
    seen = set()
    for (topic, partition, offset, kind), value in heads:
        at = int(partition), int(offset)
        if topic != "in" or at in seen or at not in want:
            raise Violation(f"E5: the dead letter of {topic}/{partition}@{offset} is there twice "
                            "or is no poison")
        # One that runs for a second may be what runs at three deaths in a row, and is suspected.
        if kind not in (("budget", "crash") if value["v"] % 9973 == 0 else ("lua",)):
            raise Violation(f"E5: v={value['v']} has class {kind}")
        if value["v"] != want[at]["v"]:
            raise Violation(f"E5: the dead letter of {at} holds v={value['v']}")
        seen.add(at)
    if len(seen) != len(want):
        raise Violation(f"E5: {len(seen)} dead letters for {len(want)} poisoned records")
    n_out = sum(map(len, out["poison.out"].values()))
    if n_out + len(seen) != sum(map(len, records.values())):
        raise Violation("E4: outputs and dead letters are not the input")


def by_key(partitions):
    keys = collections.defaultdict(list)
    for messages_ in partitions.values():
        for m in messages_:
            keys[m["k"]].append(m)
    return keys


def check_per_key(records, out):
    """W2, W4 and W7: what is said of each record of a key, in order."""
    sums, chain = by_key(out["sums.out"]), by_key(out["chain.out"])
    growing = by_key(out["growing.out"])
    for key, rows in by_key(records).items():
        n, total, h, want_sums, want_chain = 0, 0, 7, [], []
        for r in rows:
            n, total = n + 1, total + r["v"]
            h = (h * 31 + r["offset"] * 7 + r["v"]) % 2147483647
            want_sums.append((n, total))
            want_chain.append((n, h))
        expect_equal(f"sums.out of {key}", [(m["n"], m["total"]) for m in sums[key]], want_sums)
        expect_equal(f"growing.out of {key}", [(m["n"], m["total"]) for m in growing[key]],
                     want_sums)
        expect_equal(f"chain.out of {key}", [(m["n"], m["h"]) for m in chain[key]], want_chain)


def check_fan(records, out):
    want = collections.defaultdict(list)
    for p in range(PARTITIONS):
        for r in records[p]:
            for i in range(1, r["v"] % 51 + 1):
                want["fan." + "abc"[(r["v"] + i) % 3], p].append((r["v"], i))
    for topic in ("fan.a", "fan.b", "fan.c"):
        for p in range(PARTITIONS):
            expect_equal(f"{topic}/{p}", [(m["v"], m["i"]) for m in out[topic][p]],
                         want[topic, p])


def check_windows(data, records, out, closing):
    late = collections.Counter(m["v"] for ms in out["windows.late"].values() for m in ms)
    if late and max(late.values()) > 1:
        raise Violation(f"E3: windows.late has {late.most_common(1)} more than once")
    want = collections.defaultdict(lambda: [0, 0])
    for rows in records.values():
        for r in rows:
            if r["v"] not in late:
                w = want[r["k"], r["t"] // WINDOW_MS * WINDOW_MS]
                w[0], w[1] = w[0] + 1, w[1] + r["v"]
    db = sqlite3.connect(f"file:{data}/jobs/windows/1.db?mode=ro", uri=True)
    table = {(k, s): [n, t] for k, s, n, t in
             db.execute("select k, window_start, n, total from counts")}
    db.close()
    if table != dict(want):
        raise Violation("E1: counts is not the records less the late ones")
    final = collections.defaultdict(list)
    for ms in out["windows.final"].values():
        for m in ms:
            final[m["k"], m["window_start"]].append([m["n"], m["total"]])
    for at, w in want.items():
        closed = at[1] < closing - LONG_MS // 2
        if final.get(at, []) != ([w] if closed else []):
            raise Violation(f"E3: the window {at} was told as {final.get(at)}, should be {w} once")


def check_timers(records, out):
    want = collections.Counter((r["k"], f"t{r['v']}", r["t"] + TIMER_MS)
                               for rows in records.values() for r in rows if r["v"] % 10 == 0)
    got = collections.Counter((m["k"], m["name"], m["at"])
                              for ms in out["timers.out"].values() for m in ms)
    for timer in got:
        if got[timer] > 1 or timer not in want:
            raise Violation(f"E3: the timer {timer} fired {got[timer]} times")
    last = max(r["t"] for rows in records.values() for r in rows)
    missing = [t for t in want if t not in got and t[2] < last - LONG_MS // 2]
    if missing:
        raise Violation(f"E3: {len(missing)} timers never fired, such as {missing[0]}")


# --- a run ---

class Run:
    def __init__(self, args):
        self.args, self.rng, self.snapshots = args, random.Random(args.seed), []
        self.deaths, self.missed = 0, 0
        self.folder = tempfile.mkdtemp(prefix="leat-once-")
        self.jobs = os.path.join(self.folder, "jobs")
        shutil.copytree(JOBS, self.jobs)
        topics = [a for t in ["in", *OUTPUTS] for a in ("--topic", f"{t}={PARTITIONS}")]
        files = [os.path.join(self.jobs, f"{name}.lua") for name in NAMES]
        self.server = Server(*files, *topics, data=os.path.join(self.folder, "data"))
        self.switch = OUTSIDE if args.control else None
        self.points = CONTROL_POINTS if args.control else POINTS
        self.input = None

    def close(self):
        if self.input is not None and not self.input.stopping:
            self.input.stop()
        self.server.kill()
        self.server.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def fail(self, spec):
        parts = [s for s in (self.switch, spec) if s]
        self.server.env["LEAT_FAIL"] = ",".join(parts)

    def grow(self):
        """W7: the second version of the processor."""
        path = os.path.join(self.jobs, "growing.lua")
        text = Path(path).read_text()
        text = text.replace("s.n, s.total = s.n + 1, (s.total or 0) + e.v",
                            "s.total = (s.total or 0) + e.v\n    s.n, s.seen = s.n + 1, ctx.offset")
        Path(path).write_text(text)

    def die_at(self, point, most):
        """Starts the server and lets it die at the n-th passage of a point, or at the first one of
        a job that has read something."""
        self.fail(f"{point}=kill#/{most}/" if isinstance(most, str) else
                  f"{point}=kill@{self.rng.randrange(1, most)}")
        self.server.launch()
        deadline = time.monotonic() + 10
        while self.server.is_running() and time.monotonic() < deadline:
            time.sleep(0.005)
        self.missed += self.server.is_running()
        self.server.kill()  # where the point was not passed so often
        self.deaths += 1
        self.snapshots += [Snapshot(self.server.data, job) for job in Snapshot.TABLES]

    def deaths_under_load(self):
        schedule = self.points * self.args.rounds
        self.rng.shuffle(schedule)
        self.input = Input(self.server.address, self.args.seed, self.args.n)
        self.input.start()
        for i, (point, most) in enumerate(schedule):
            self.input.allowed += self.args.n // len(schedule) + 1
            self.die_at(point, most)
            if i == len(schedule) // 2:
                self.grow()

    def settle(self):
        """Everything is sent, everything is processed, everything is published."""
        self.fail(None)
        self.server.start()
        self.server.terminate()  # a job that stopped after three deaths in a row is started again
        self.server.start()
        self.input.allowed = self.input.total
        self.input.thread.join()
        until("all is acknowledged", lambda: self.input.producer.flush(1) == 0, 120)
        self.input.close_windows()
        self.input.stopping = True
        if self.input.producer.flush(60) != 0:
            raise Violation("C19: records were never acknowledged")
        self.drained()

    def drained(self):
        """Every job has committed all of the input and published all of its outputs. The files are
        asked and not the status, which may be that of the turn before."""
        ends = campaign.ends(self.server.address, "in", PARTITIONS)
        for name in NAMES:
            until(lambda: f"{name} is done: {self.server.job(name)}",
                  lambda: self.has_done(name, ends), 300)

    def has_done(self, name, ends):
        try:
            db = sqlite3.connect(f"file:{self.server.data}/jobs/{name}/1.db?mode=ro", uri=True)
            with contextlib.closing(db):
                offsets = dict(db.execute("select partition, next from _leat_offsets "
                                          "where topic = 'in'").fetchall())
                waiting = db.execute("select count(*) from _leat_outbox").fetchone()[0]
        except sqlite3.Error:
            return False
        return waiting == 0 and all(offsets.get(p, 0) == end for p, end in ends.items())

    def read(self):
        everything = {}
        for topic in ["in", *OUTPUTS]:
            everything[topic] = {p: [dict(json.loads(m.value()), offset=m.offset()) for m in ms]
                                 for p, ms in messages(self.server.address, topic,
                                                       PARTITIONS).items()}
        return everything.pop("in"), everything

    def dead_heads(self):
        heads = []
        for ms in messages(self.server.address, "poison.dead", PARTITIONS).values():
            for m in ms:
                h = {k: v.decode() for k, v in m.headers()}
                heads.append((tuple(h[f"__connect.errors.{x}"] for x in
                                    ("topic", "partition", "offset", "exception.class.name")),
                              json.loads(m.value())))
        return heads

    def check(self):
        records, out = self.read()
        campaign.check_input(records, self.input.acked)
        self.snapshots += [Snapshot(self.server.data, job) for job in Snapshot.TABLES]
        for snapshot in self.snapshots:
            check_snapshot(snapshot, records)
        check_copies(records, out)
        check_dead(records, out, self.dead_heads())
        check_per_key(records, out)
        check_fan(records, out)
        check_windows(self.server.data, records, out,
                      START_MS + self.args.n * STEP_MS + LONG_MS)
        check_timers(records, out)
        n_out = sum(len(ms) for t in out.values() for ms in t.values())
        return sum(map(len, records.values())), n_out

    def rebuilt(self):
        """E7: the same tables from the start, for jobs whose result does not depend on how the
        partitions met."""
        jobs = ["sums", "chain"]
        before = {job: sorted(Snapshot(self.server.data, job).rows) for job in jobs}
        self.server.terminate()
        for job in jobs:
            shutil.move(f"{self.server.data}/jobs/{job}", f"{self.folder}/old-{job}")
        self.server.start()
        self.drained()
        for job in jobs:
            if sorted(Snapshot(self.server.data, job).rows) != before[job]:
                raise Violation(f"E7: {job} built again differs")

    def go(self):
        self.deaths_under_load()
        self.settle()
        n_in, n_out = self.check()
        self.rebuilt()
        self.server.terminate()
        print(f"exactly once: {n_in} records in, {n_out} out of eight jobs, {self.deaths} deaths, "
              f"{self.deaths - self.missed} of them at {len(self.points)} failpoints, "
              f"{len(self.snapshots)} snapshots: all hold")


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("n", type=int, nargs="?", default=10000)
    parser.add_argument("--rounds", type=int, default=1, help="deaths per failpoint")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 10**9)
    parser.add_argument("--control", action="store_true",
                        help="offsets outside of the step's transaction: it must be noticed")
    args = parser.parse_args()
    print(f"seed {args.seed}", flush=True)
    run = Run(args)
    try:
        run.go()
    except (Violation, AssertionError) as e:
        print(f"{'control: ' if args.control else 'FAILED, '}seed {args.seed}: {e}")
        return 0 if args.control and isinstance(e, Violation) else 1
    finally:
        run.close()
    if args.control:
        print("FAILED: with the guarantee switched off everything held: the harness is blind")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
