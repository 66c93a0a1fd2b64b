#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""State that is larger than memory, through the real binary.

    state.py keys    N [--limit MIB]    a row for each of N keys, in order and then at random, by a
                                        server that may use so much memory
    state.py restart GIB [--within S]   a job file of that size: after kill -9 in the middle of its
                                        work, with a cold cache, records are committed again within
                                        so many seconds

`keys` puts the server into a memory cgroup of its own (root, cgroup v1 or v2), where the pages that
it reads and writes count as well; it must not be killed, and every record must be counted. The
figures of a release: `state.py keys 10000000 --limit 256` and `state.py restart 10`, with LEAT
naming the optimised binary. Exit codes: 0 held, 1 violated, 77 cannot run here.
"""
import argparse
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.support.server import Server, until  # noqa: E402

HERE = Path(__file__).resolve().parent
T0 = 1767225600000
FAT_BYTES = 100_000


def cannot(why):
    print(f"cannot run here: {why}")
    sys.exit(77)


# --- a server with little memory ---

class Cgroup:
    """A memory cgroup; version 1 or 2, whichever is mounted."""

    def __init__(self, mib):
        v1 = Path("/sys/fs/cgroup/memory")
        self.is_v1 = (v1 / "memory.limit_in_bytes").exists()
        self.path = (v1 if self.is_v1 else Path("/sys/fs/cgroup")) / f"leat-{os.getpid()}"
        try:
            self.path.mkdir()
            limit = "memory.limit_in_bytes" if self.is_v1 else "memory.max"
            (self.path / limit).write_text(str(mib << 20))
        except OSError as e:
            self.close()
            cannot(f"no memory cgroup: {e}")

    def close(self):
        try:
            self.path.rmdir()
        except OSError:
            pass

    def peak_mib(self):
        for name in ("memory.max_usage_in_bytes", "memory.peak"):
            if (self.path / name).exists():
                return int((self.path / name).read_text()) >> 20
        return 0

    def kills(self):
        name = "memory.oom_control" if self.is_v1 else "memory.events"
        for line in (self.path / name).read_text().splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
        return 0


class SmallServer(Server):
    def __init__(self, cgroup, *args, **more):
        super().__init__(*args, **more)
        self.cgroup = cgroup

    def command(self):
        enter = f'echo $$ > {self.cgroup.path}/cgroup.procs && exec "$@"'
        return ["/bin/sh", "-c", enter, "sh", *super().command()]


# --- records ---

def write_events(path, n, keys):
    """Each key once, neighbours far apart, then keys at random. The sum of v."""
    rnd, total = random.Random(1), 0
    with open(path, "w") as f:
        for start in range(0, n, 100_000):
            lines = []
            for i in range(start, min(n, start + 100_000)):
                key = i * 6180339887 % keys if i < keys else rnd.randrange(keys)
                total += i % 1000
                lines.append(f'{{"k":"key-{key:08d}","t":{T0 + i // 1000},"v":{i % 1000}}}\n')
            f.write("".join(lines))
    return total


def fill(data, path):
    with Server("--page-cache-acks", "--topic", "events=1", data=data) as server:
        server.leat("produce", "events", path, timeout=3600)


# --- many keys ---

def check_totals(data, n, keys, total):
    db = sqlite3.connect(f"file:{data}/jobs/totals/1.db?mode=ro", uri=True)
    got = db.execute("select count(*), sum(n), sum(total) from totals").fetchone()
    db.close()
    if got != (keys, n, total):
        raise SystemExit(f"rows, records and sum are {got}, not {(keys, n, total)}")


def run_keys(args):
    cgroup = Cgroup(args.limit)
    folder = tempfile.mkdtemp(prefix="leat-state-")
    data, n = os.path.join(folder, "data"), args.n + args.n // 5
    try:
        total = write_events(os.path.join(folder, "events"), n, args.n)
        fill(data, os.path.join(folder, "events"))
        os.unlink(os.path.join(folder, "events"))
        with SmallServer(cgroup, str(HERE / "totals.lua"), data=data) as server:
            rates, started = {}, time.monotonic()
            for name, goal in (("each once", args.n), ("at random", n)):
                server.wait_job("totals", lambda j: j["records_in"] >= goal, args.seconds)
                rates[name] = time.monotonic() - started
            server.wait_job("totals", lambda j: j["lag"] == 0, args.seconds)
            server.terminate(300)
            peak, kills = cgroup.peak_mib(), cgroup.kills()
        check_totals(data, n, args.n, total)
        if kills:
            raise SystemExit(f"{kills} times out of memory")
        once, rest = rates["each once"], rates["at random"] - rates["each once"]
        size = os.path.getsize(f"{data}/jobs/totals/1.db") >> 20
        print(f"{args.n} keys in a file of {size} MiB, at most {peak} of {args.limit} MiB used: "
              f"{args.n / once:.0f} records/s new, {(n - args.n) / max(rest, 0.001):.0f} at random")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        cgroup.close()


# --- a large file ---

def drop_caches():
    subprocess.run(["sync"], check=True)
    try:
        Path("/proc/sys/vm/drop_caches").write_text("3")
        return "cold"
    except OSError:
        return "warm"


def run_restart(args):
    folder = tempfile.mkdtemp(prefix="leat-state-")
    data, keys = os.path.join(folder, "data"), int(args.gib * 2**30 / FAT_BYTES)
    job, topics = str(HERE / "fat.lua"), ["--topic", "events=1", "--topic", "seen=1"]
    try:
        write_events(os.path.join(folder, "events"), keys, keys)
        with Server(job, *topics, data=data) as server:
            server.leat("produce", "events", os.path.join(folder, "events"), timeout=3600)
            server.wait_job("fat", lambda j: j["records_in"] >= keys * 95 // 100, args.seconds)
            server.kill()
        size = os.path.getsize(f"{data}/jobs/fat/1.db") / 2**30
        wal = os.path.getsize(f"{data}/jobs/fat/1.db-wal") >> 20
        cache = drop_caches()
        server = Server(job, *topics, data=data)
        started = time.monotonic()
        with server:
            ready = time.monotonic() - started
            until("records are committed", lambda: server.job("fat")["records_in"] >= 1, 120)
            took = time.monotonic() - started
        print(f"{size:.2f} GiB and {wal} MiB of write-ahead log, {cache} cache: ready after "
              f"{ready:.2f} s, the first records committed after {took:.2f} s")
        if took > args.within:
            raise SystemExit(f"that is more than {args.within} s")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--seconds", type=int, default=280, help="the longest wait")
    what = p.add_subparsers(dest="what", required=True)
    keys = what.add_parser("keys")
    keys.add_argument("n", type=int)
    keys.add_argument("--limit", type=int, default=256)
    restart = what.add_parser("restart")
    restart.add_argument("gib", type=float)
    restart.add_argument("--within", type=float, default=2.0)
    args = p.parse_args()
    if args.what == "keys":
        run_keys(args)
    else:
        run_restart(args)


if __name__ == "__main__":
    main()
