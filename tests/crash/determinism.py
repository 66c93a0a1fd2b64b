#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The same input gives the same rows and the same records, byte for byte.

    determinism.py [EXAMPLE...]

For each example: a data folder is filled with its input once. Then its job runs over copies of that
folder: as it is, again, with other batch sizes, and killed at each failpoint that it passes, in the
middle of its work, and started again. Afterwards all folders must hold the same:

    tables     every row of every table of the job, hidden columns of state included, by primary key
    inside     parked and late records, state of operators, numbers, offsets and watermarks
    topics     every record of every output topic: offset, timestamp, key, value, headers

Left out, since they say when and how often and not what: commits, wall clocks of parked rows, the
file's incarnation, the outbox (its rows have gone) and where the relay stands, which partitions are
idle, and the rows by which operators find keys by time (timers, ttl, sessions that end), which may
name a time that is earlier than due. A failpoint at which no example was killed is a failure too.
"""
import os
import random
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.support.raw_kafka import parse_batches  # noqa: E402
from tests.support.server import ROOT, Server, binary, free_port  # noqa: E402

FAILPOINTS = ["before_begin", "after_lua", "before_commit", "db_before_commit", "db_after_commit",
              "after_commit", "after_append", "before_log_fsync", "after_publish", "before_mark",
              "after_mark"]
PASSAGES = (1, 5)
SKIPPED_TABLES = {"_leat_commits", "_leat_meta", "_leat_outbox", "_leat_relay", "_leat_upgrades"}
SKIPPED_COLUMNS = {"_leat_parked": {"parked_at", "next_at", "retried_at", "wall"},
                   "_leat_offsets": {"idle", "topic_id"}}
RECORDS = 400
T0 = 1767225600000


# --- what happens: topic -> (partitions, key field, records) ---

def disordered(rnd, i, step, slack):
    return T0 + i * step - rnd.randrange(slack + 1)


def alerts(rnd):
    return {"boilers": (3, "boiler", [
        {"boiler": f"b{rnd.randrange(7)}", "kind": rnd.choice(["pressure", "heat"]),
         "bar": rnd.choice([rnd.uniform(7, 10), "high"]) if i % 40 == 0 else rnd.uniform(7, 10),
         "at": T0 + i * 1000} for i in range(RECORDS)])}


def freight(rnd):
    return {"cargo": (1, "container", [
        {"container": f"c{i}", "goods": "fish", "coldest": -25.0, "warmest": -18.0}
        for i in range(8)]),
        "containers.readings": (2, "container", [
            {"container": f"c{rnd.randrange(10)}", "celsius": rnd.uniform(-30, -10),
             "at": int(time.time()) * 1000 + i * 1000} for i in range(RECORDS)])}


def greenhouse(rnd):
    return {"greenhouse.moisture": (3, "bed", [
        {"bed": f"bed{rnd.randrange(6)}", "moisture": rnd.randrange(5, 45),
         "at": disordered(rnd, i, 120000, 4000)} for i in range(RECORDS)])}


def intersections(rnd):
    return {"cars.passed": (3, "crossing", [
        {"crossing": f"c{rnd.randrange(4)}", "plate": f"p{rnd.randrange(99)}",
         "speed": rnd.uniform(20, 90), "at": disordered(rnd, i, 3000, 5000)}
        for i in range(RECORDS)])}


def library(rnd):
    events = [{"type": "MemberJoined", "member": f"m{i}", "name": f"Name {i}"} for i in range(9)]
    events += [{"type": "CopyBought", "copy": f"c{i}", "title": f"Title {i % 5}"}
               for i in range(30)]
    for _ in range(RECORDS - 39):
        events.append({"type": rnd.choice(["Lent", "CopyBought", "Unknown"]), "title": "Again",
                       "copy": f"c{rnd.randrange(30)}", "member": f"m{rnd.randrange(9)}"})
    return {"library.events": (1, None, [
        {**e, "at": T0 + i * 3600000} for i, e in enumerate(events)])}


def logs(rnd):
    return {"mail.sent": (2, None, [
        {"recipients": [f"a@mail{rnd.randrange(50)}.example.com", "b@example.org"],
         "bytes": rnd.randrange(9999)} for _ in range(RECORDS)]),
            "mail.raw": (2, None, [
                f"{rnd.choice(['INFO', 'warn', 'ERROR', '?'])} mx{rnd.randrange(4)}: line {i}"
                for i in range(RECORDS)])}


def menus(rnd):
    return {"restaurants": (1, "id", [{"id": f"r{i}", "name": f"R {i}"} for i in range(5)]),
            "dishes": (2, "id", [
                {"id": f"d{rnd.randrange(40)}", "restaurant": f"r{rnd.randrange(6)}",
                 "name": rnd.choice(["Soup", "Stew"]), "price": rnd.randrange(-1, 2000)}
                for _ in range(RECORDS)])}


def parcels(rnd):
    handed = [{"parcel": f"p{i}", "city": rnd.choice(["Bergen", "Oslo"]), "at": T0 + i * 3600000}
              for i in range(RECORDS // 2)]
    delivered = [{"parcel": x["parcel"], "at": x["at"] + rnd.randrange(3 * 10**8)}
                 for x in handed if rnd.random() < 0.7]
    return {"parcels.handed_over": (2, "parcel", handed),
            "parcels.delivered": (2, "parcel", sorted(delivered, key=lambda x: x["at"]))}


def rides(rnd):
    return {"bikes.pings": (3, "bike", [
        {"bike": f"b{rnd.randrange(12)}", "stop": f"s{rnd.randrange(30)}",
         "at": disordered(rnd, i, 20000, 60000)} for i in range(RECORDS)])}


def tickets(rnd):
    return {"bookings.paid": (2, "booking", [
        {"booking": f"b{rnd.randrange(350)}", "seats": rnd.randrange(0, 10),
         "paid_at": T0 + i * 1000} for i in range(RECORDS)])}


def weather(_):
    with open(ROOT / "examples/weather/readings.csv", encoding="utf-8") as f:
        names = f.readline().strip().split(",")
        rows = [dict(zip(names, line.strip().split(","))) for _, line in zip(range(1500), f)]
    return {"weather.readings": (1, "station", [
        {n: float(v) if re.fullmatch(r"-?[0-9.]+", v) else v for n, v in r.items() if v}
        for r in rows])}


INPUTS = {f.__name__: f for f in (alerts, freight, greenhouse, intersections, library, logs, menus,
                                  parcels, rides, tickets, weather)}


# --- a run ---

def fill(example, data, outputs):
    """Makes the topics and sends the input. What the job publishes has the times of long ago, which
    retention would end."""
    topics = INPUTS[example](random.Random(example))
    sizes = {**{name: 3 for name in outputs}, **{name: n for name, (n, _, _) in topics.items()}}
    settings = "".join(f'["{name}"] = {{ partitions = {n}, retention = "forever" }},'
                       for name, n in sizes.items())
    with Server(data=data, settings=f"return {{ topics = {{ {settings} }} }}") as server:
        for name, (_, key, records) in topics.items():
            if isinstance(records[0], str):
                server.leat("produce", name, "--lines", stdin="\n".join(records) + "\n")
            else:
                server.produce(name, *records, key=key)


def job_of(example, folder, records):
    """The job, with another size of its batches."""
    text = (ROOT / "examples" / example / "job.lua").read_text()
    if records:
        text, n = re.subn(r"version\s*=\s*1", rf"version = 1, commit = {{ records = {records} }}",
                          text, count=1)
        assert n == 1
    path = os.path.join(folder, "job.lua")
    Path(path).write_text(text)
    return path


def run(job, data, fail=None):
    """Whether it was killed. Without a kill it must reach the end."""
    command = [binary(), "run", job, "--data", data, "--until", "end",
               "--kafka-listen", f"127.0.0.1:{free_port()}",
               "--http-listen", f"127.0.0.1:{free_port()}"]
    done = subprocess.run(command, env={**os.environ, "LEAT_FAIL": fail or ""}, timeout=120,
                          capture_output=True, text=True, check=False)
    if done.returncode == -9 and fail:
        return True
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(command)}\n{fail}: exit {done.returncode}\n{done.stderr}")
    return False


# --- what there is ---

def rows(db, table, has_sessions):
    """In the order of the primary key, or of all columns."""
    info = db.execute(f'pragma table_xinfo("{table}")').fetchall()
    skipped = SKIPPED_COLUMNS.get(table, set())
    names = [f'"{c[1]}"' for c in info if c[1] not in skipped]
    key = [f'"{c[1]}"' for c in sorted(info, key=lambda c: c[5]) if c[5] and c[1] not in skipped]
    order = ", ".join(key or names)
    found = db.execute(f'select {", ".join(names)} from "{table}" order by {order}')
    if re.match("_leat_state_.*process", table):  # first the two times of the rows left out
        found = [[c[16:] if isinstance(c, bytes) else c for c in r] for r in found]
    if has_sessions:
        found = [[without_due(c) if isinstance(c, bytes) else c for c in r] for r in found]
    return [repr(r) for r in found]


def without_due(blob):
    """An open session's state (operators/session_rows.c) without where its row of the due index
    stands: version 4, the session's end, that place, and the rest."""
    if blob[:1] != b"\4":
        return blob
    end = next((i for i in range(1, len(blob)) if blob[i] < 128), None)
    due = next((i for i in range((end or 0) + 1, len(blob)) if blob[i] < 128), None)
    return blob if end is None or due is None else blob[:end + 1] + blob[due + 1:]


def tables(data):
    path, = Path(data).glob("jobs/*/1.db")
    db = sqlite3.connect(path)
    every = [n for n, in db.execute("select name from sqlite_schema where type = 'table'")]
    names = [n for n in every if n not in SKIPPED_TABLES
             and not re.search("^sqlite_|process_(timers|ttl)_|_due_", n)]
    has_sessions = any("_window_aggregate_due_" in n for n in every)
    out = {f"table {n}": rows(db, n, has_sessions) for n in names}
    db.close()
    return out


def topics(data, wanted):
    db = sqlite3.connect(os.path.join(data, "meta.db"))
    ids = {n: i for n, i in db.execute("select name, lower(hex(id)) from topics")}
    db.close()
    out = {}
    for name in wanted:
        folders = [p for p in Path(data, "topics").iterdir()
                   if p.name.replace("-", "") == ids[name]]
        for partition in sorted(p for f in folders for p in f.iterdir() if p.is_dir()):
            records = []
            for segment in sorted(partition.glob("*.log")):
                records += [repr(r) for b in parse_batches(segment.read_bytes()) for r in b.records]
            out[f"topic {name}/{partition.name}"] = records
    return out


def compare(what, reference, seen):
    for name in sorted(reference.keys() | seen.keys()):
        a, b = reference.get(name), seen.get(name)
        if a == b:
            continue
        for i in range(max(len(a or []), len(b or []))):
            x, y = (z[i] if z and i < len(z) else "nothing" for z in (a, b))
            if x != y:
                raise AssertionError(f"{what}: {name} differs at {i}\n  was {x}\n  is  {y}")


# --- variations ---

def variations(example):
    """(name, batch size, what fails)"""
    yield "again", 0, None
    for n in (1, 7, 50):
        yield f"batches of {n}", n, None
    for name in FAILPOINTS:
        for n in PASSAGES:
            yield f"killed at {name}, passage {n}", 20, f"{name}=kill@{n}"


def check(example, folder, killed):
    source = (ROOT / "examples" / example / "job.lua").read_text()
    source = source.split("\ntest(", 1)[0]
    outputs = sorted(set(re.findall(r':to\s*\(?\s*"([^"]+)"', source) +
                         re.findall(r'dead\s*=\s*"([^"]+)"', source)))
    template = os.path.join(folder, "template")
    fill(example, template, outputs)
    reference, n = None, 0
    for name, records, fail in [("first", 0, None), *variations(example)]:
        data = os.path.join(folder, "data")
        shutil.copytree(template, data)
        job = job_of(example, folder, records)
        if run(job, data, fail):
            killed.add(fail.split("=")[0])
            n += 1
            run(job, data)
        seen = {**tables(data), **topics(data, outputs)}
        if reference is None:
            reference = seen
        compare(f"{example}, {name}", reference, seen)
        shutil.rmtree(data)
    n_rows = sum(len(v) for k, v in reference.items() if k.startswith("table"))
    n_records = sum(len(v) for k, v in reference.items() if k.startswith("topic"))
    print(f"{example}: {n_rows} rows and {n_records} records, the same after {n} kills", flush=True)
    assert n_rows > 5 and n > len(FAILPOINTS) / 2, f"{example}: too little happened"


def main():
    killed, examples = set(), sys.argv[1:] or sorted(INPUTS)
    for example in examples:
        folder = tempfile.mkdtemp(prefix="leat-determinism-")
        try:
            check(example, folder, killed)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    missed = [name for name in FAILPOINTS if name not in killed]
    if missed and not sys.argv[1:]:
        raise AssertionError(f"no example was killed at {', '.join(missed)}")


if __name__ == "__main__":
    try:
        main()
    except AssertionError as e:
        print(f"FAILED: {e}")
        sys.exit(1)
