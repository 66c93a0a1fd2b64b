#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The same input gives the same rows and the same records, byte for byte.

    determinism.py [--brief] [EXAMPLE...]
    determinism.py --control

For each example: a data folder is filled with its input once, in batches and with times that come
from a seed. Then its job runs over copies of that folder: as it is, again, with other batch sizes,
and killed at each failpoint that it passes, in the middle of its work, and started again. What is
parked then is tried once more, as a person would (`leat dlq retry`), and parked again or cured.
Afterwards all folders must hold the same:

    tables     every row of every table of the job, hidden columns of state included, by primary key
    inside     parked and late records, state of operators, numbers, offsets and watermarks
    topics     every record of every output topic: offset, timestamp, key, value, headers

Left out, since they say when and how often and not what: commits, wall clocks of parked rows and
of `every`'s watermark, the file's incarnation, the outbox (its rows have gone) and where the relay
stands, which partitions are idle, the rows and columns by which operators find keys by time
(timers, ttl, sessions that end), which may name a time that is earlier than due, ids that :dedupe
no longer knows, whose rows go in slices, and the time with which a step ended early because many
rows were due (number `expiring`).

What the wall clock decides is put out of reach, in the copy of the job that runs: `every` and
`retry` are given spans that no run lasts. A row of an outbox has no time of its own and gets that
of the moment it is read; whether it was read again after a kill is no concern of what is made of
it, so where an outbox is the input the times of records are left out, and with them watermarks.
How far its rows are cleaned follows behind the commits, and is no result.

Each example has an input here: a new one without is a failure, and so is a failpoint at which no
example was killed. --brief takes one passage of each failpoint instead of two.

--control: jobs that must differ, or this program sees nothing. One publishes the last change of
each key and commit, which is a question of batch sizes; the other keeps its offsets outside of its
transactions and is killed between the two.
"""
import argparse
import json
import os
import random
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import zlib
from collections import namedtuple
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.support.raw_kafka import batch, parse_batches  # noqa: E402
from tests.support.server import ROOT, Server, binary, free_port, leat  # noqa: E402

FAILPOINTS = ["before_begin", "after_lua", "before_commit", "db_before_commit", "db_after_commit",
              "after_commit", "after_append", "before_log_fsync", "after_publish", "before_mark",
              "after_mark"]
OUTBOX_FAILPOINTS = ["outbox_clean", "outbox_cleaning", "db_settle"]
PASSAGES = (1, 5)
SKIPPED_TABLES = {"_leat_commits", "_leat_meta", "_leat_outbox", "_leat_relay", "_leat_upgrades"}
SKIPPED_COLUMNS = {"_leat_parked": {"parked_at", "next_at"}, "_leat_offsets": {"idle", "topic_id"}}
TIME_COLUMNS = {"_leat_parked": {"timestamp", "time"}, "_leat_offsets": {"watermark", "last_time"}}
RECORDS = 400
T0 = 1767225600000
DAY = 24 * 3600 * 1000

# Of a record whose key or headers are no field of its value; value None is a tombstone.
Sent = namedtuple("Sent", "key value headers", defaults=((),))


# --- what happens: topic -> (partitions, key field, records) ---

def disordered(rnd, i, step, slack):
    return T0 + i * step - rnd.randrange(slack + 1)


def alerts(rnd):
    def reading(i):
        boiler, bar = f"b{rnd.randrange(7)}", rnd.uniform(7, 10)
        if i % 40 == 20:
            boiler, bar = f"b{7 + i % 3}", "high"
        return {"boiler": boiler, "kind": rnd.choice(["pressure", "heat"]), "bar": bar,
                "at": T0 + i * 1000}
    return {"boilers": (3, "boiler", [reading(i) for i in range(RECORDS)])}


def charts(rnd):
    """A player that is not sure sends a play again, at once or hours later, to any partition."""
    plays = [{"country": rnd.choice(["no", "se"]), "song": f"s{rnd.randrange(6)}",
              "listener": f"l{rnd.randrange(20)}", "at": disordered(rnd, i, 180000, 50000)}
             for i in range(RECORDS)]
    ids = [i if rnd.random() < 0.8 else max(0, i - rnd.choice([1, 3, 30, 200]))
           for i in range(RECORDS)]
    return {"plays": (3, None, [
        Sent(None, {**plays[n], "at": plays[i]["at"]}, [("play", f"p{n}")])
        for i, n in enumerate(ids)])}


def ferries(rnd):
    def report(i):
        vehicles = [{"plate": f"AB {n}", "metres": rnd.choice([4.5, 12.0, 31.5, "long"])
                     if i % 20 == 0 else rnd.choice([4.5, 12.0, 31.5])}
                    for n in range(rnd.randrange(4))]
        return {"vessel": {"name": f"Vega {i % 5}", "lane_metres": rnd.choice([18, 120.5])},
                "departed": T0 + i * 60000, "people": "many" if i % 33 == 0 else rnd.randrange(300),
                "vehicles": vehicles, **({"note": None} if i % 3 else {}), "crew": 9}
    return {"ferries.reports": (2, None, [
        Sent(f"vega{rnd.randrange(30)}", report(i)) for i in range(RECORDS)])}


def freight(rnd):
    def cargo(i):
        goods = {"goods": rnd.choice(["fish", "peas"]), "coldest": -25.0, "warmest": -18.0}
        return Sent(f"c{rnd.randrange(8)}", goods if i < 8 or rnd.random() < 0.7 else None)

    return {"cargo": (2, None, [cargo(i) for i in range(RECORDS // 4)]),
        "containers.readings": (2, "container", [
            {"container": f"c{rnd.randrange(10)}", "celsius": rnd.uniform(-30, -10),
             "at": T0 + i * 1000} for i in range(RECORDS)])}


def greenhouse(rnd):
    return {"greenhouse.moisture": (3, "bed", [
        {"bed": f"bed{rnd.randrange(6)}", "moisture": rnd.randrange(5, 45),
         "at": disordered(rnd, i, 120000, 4000)} for i in range(RECORDS)])}


def intersections(rnd):
    return {"cars.passed": (3, "crossing", [
        {"crossing": f"c{rnd.randrange(4)}", "plate": f"p{rnd.randrange(99)}",
         "speed": rnd.uniform(20, 90), "at": disordered(rnd, i, 3000, 5000)}
        for i in range(RECORDS)])}


def invoices(rnd):
    def price():
        return rnd.choice(["0.10", "19.9", 7, 799.99, f"{rnd.randrange(100000) / 100}", "1.005"])
    return {"invoice.positions": (2, "invoice", [
        {"invoice": f"i{rnd.randrange(60)}", "customer": f"c{rnd.randrange(9)}", "article": f"a{i}",
         "price": price(), "qty": rnd.randrange(1, 9),
         **({"rate": "0.125"} if rnd.random() < 0.3 else {})} for i in range(RECORDS)])}


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


def lostproperty(rnd):
    """Over most of a year; a few ask for what has gone or was never found."""
    def event(i, known):
        kind = rnd.choice(["Moved", "Call", "Call", "Claimed", "Fetched"])
        more = {"Moved": {"desk": f"d{rnd.randrange(5)}"}, "Call": {"who": "ann"},
                "Claimed": {"who": "bo"}, "Fetched": {}}[kind]
        item = rnd.choice(known[-25:])
        if not known or i % 2 == 0:
            item, kind = f"i{i}", "Found"
            more = {"what": f"thing {i}", "desk": f"d{rnd.randrange(5)}"}
            known.append(item)
        elif kind == "Fetched" and i % 7:
            known.remove(item)
        at = T0 + i * DAY * 3 // 4 - rnd.randrange(60000)
        return {"type": kind, "id": item, "at": at, **more}
    known = ["never"]
    return {"desk.events": (2, "id", [event(i, known) for i in range(RECORDS)])}


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


def repairs(rnd):
    """Some orders come before their bike; some forget a step or write too many minutes."""
    events = []
    for i in range(RECORDS // 4):
        frame = f"f{rnd.randrange(i + 3)}"
        life = [{"type": "Accepted", "frame": frame}, {"type": "Worked", "minutes": 30},
                {"type": "Worked", "minutes": 3000 if i % 15 == 7 else 45}, {"type": "Done"}]
        if i % 20 == 3:
            del life[0 if i % 40 == 3 else slice(1, 3)]
        events += [{**e, "id": f"o{i}", "at": T0 + (4 * i + rnd.randrange(20) + n * 20) * 1000}
                   for n, e in enumerate(life)]
    events.sort(key=lambda e: e["at"])
    bikes = [Sent(f"f{i}", {"owner": f"Ida {i}"}) for i in range(80)]
    rnd.shuffle(bikes)
    return {"workshop.bikes": (2, None, bikes), "workshop.orders": (3, "id", events)}


def rides(rnd):
    return {"bikes.pings": (3, "bike", [
        {"bike": f"b{rnd.randrange(12)}", "stop": f"s{rnd.randrange(30)}",
         "at": disordered(rnd, i, 20000, 60000)} for i in range(RECORDS)])}


def tariffs(rnd):
    """Half a year: readings come late, some later than the history of tariffs goes back."""
    def tariff(i):
        value = {"cents_kwh": float(rnd.randrange(10, 40)), "since": T0 + i * DAY}
        return Sent(f"z{rnd.randrange(5)}", value if i < 5 or rnd.random() < 0.9 else None)

    def usage(i):
        late = 70 * DAY if rnd.random() < 0.02 else rnd.choice([0, 0, 1800000, 3 * DAY])
        return {"meter": f"m{rnd.randrange(20)}", "zone": f"z{rnd.randrange(6)}",
                "kwh": rnd.randrange(1, 90), "counted": T0 + i * DAY // 2 - late}
    return {"grid.tariffs": (2, None, [tariff(i) for i in range(RECORDS // 2)]),
            "grid.usage": (3, "meter", [usage(i) for i in range(RECORDS)])}


def tickets(rnd):
    return {"bookings.paid": (2, "booking", [
        {"booking": f"b{rnd.randrange(350)}", "seats": rnd.randrange(0, 10),
         "paid_at": T0 + i * 1000} for i in range(RECORDS)])}


def weather(_):
    """Every ninth reading: both stations, all year round."""
    with open(ROOT / "examples/weather/readings.csv", encoding="utf-8") as f:
        names = f.readline().strip().split(",")
        rows = [dict(zip(names, line.strip().split(","))) for line in f][::9]
    return {"weather.readings": (1, "station", [
        {n: float(v) if re.fullmatch(r"-?[0-9.]+", v) else v for n, v in r.items() if v}
        for r in rows])}


def bakery(rnd, path):
    """The till's own database, as its program leaves it."""
    db = sqlite3.connect(path)
    db.executescript((ROOT / "examples/bakery/till.sql").read_text())
    for i in range(RECORDS):
        items = [{"sku": rnd.choice(["rye", "bun", "oat"]), "n": rnd.randrange(1, 20)}
                 for _ in range(rnd.randrange(4))]
        payload = json.dumps({"items": items}) if i % 50 else '{"items":[{"sku":"rye"'
        db.execute("insert into outbox (id, aggregatetype, aggregateid, type, payload)"
                   " values (?, ?, ?, ?, ?)",
                   (f"x{i}", rnd.choice(["order", "order", "staff"]), f"o{i // 3}",
                    rnd.choice(["OrderPlaced", "OrderPlaced", "OrderCancelled"]), payload))
    db.commit()
    db.close()


INPUTS = {f.__name__: f for f in (alerts, charts, ferries, freight, greenhouse, intersections,
                                  invoices, library, logs, lostproperty, menus, parcels, repairs,
                                  rides, tariffs, tickets, weather)}
OUTBOXES = {"bakery": ("till", bakery)}  # the parameter that names the file


# --- jobs ---

Job = namedtuple("Job", "name source inputs outbox outputs")


def outputs_of(source):
    body = source.split("\ntest(", 1)[0]
    return sorted(set(re.findall(r':to\s*\(?\s*"([^"]+)"', body) +
                      re.findall(r'dead\s*=\s*"([^"]+)"', body)))


def without_clock(source):
    """What is due by the wall clock is due in years."""
    head, tests = source.split("\ntest(", 1)
    head = re.sub(r'every "[^"]+"', 'every "3650d"', head)
    head = re.sub(r"retry *= *{[^}]*},?", "", head)
    retry = 'retry = { "3650d" }'
    head, n = re.subn(r"errors *= *{", f"errors = {{ {retry}, ", head)
    if n == 0:
        head = re.sub(r"version *= *1", f"version = 1, errors = {{ {retry} }}", head, count=1)
    return f"{head}\ntest({tests}"


def example(name):
    source = without_clock((ROOT / "examples" / name / "job.lua").read_text())
    inputs = INPUTS[name](random.Random(name)) if name in INPUTS else {}
    return Job(name, source, inputs, OUTBOXES.get(name), outputs_of(source))


def examples():
    """All there are: none may be without an input."""
    found = sorted(p.parent.name for p in (ROOT / "examples").glob("*/job.lua"))
    missing = set(found) - INPUTS.keys() - OUTBOXES.keys()
    assert not missing, f"there is no input for {', '.join(sorted(missing))}"
    return found


# --- a run ---

def sent(record, key):
    """(key, value, headers) in bytes"""
    if isinstance(record, str):
        return None, record.encode(), []
    if not isinstance(record, Sent):
        record = Sent(record[key] if key else None, record)
    return (record.key.encode() if record.key is not None else None,
            json.dumps(record.value).encode() if record.value is not None else None,
            [(name.encode(), value.encode()) for name, value in record.headers])


def send(connection, rnd, topic, n, records):
    """By key, in batches of any size, one second from record to record."""
    partitions = [[] for _ in range(n)]
    for i, r in enumerate(records):
        where = rnd.randrange(n) if r[0] is None else zlib.crc32(r[0]) % n
        partitions[where].append((i, r))
    for partition, found in enumerate(partitions):
        while found:
            size = rnd.randrange(1, 20)
            data = batch([r for _, r in found[:size]], timestamp=T0 + found[0][0] * 1000)
            error, _ = connection.produce(topic, partition, data)
            assert error == 0, f"{topic}/{partition}: error {error}"
            found = found[size:]


def fill(job, data):
    """Makes the topics and sends the input. What the job publishes has the times of long ago, which
    retention would end."""
    sizes = {**{name: 3 for name in job.outputs}, **{t: n for t, (n, _, _) in job.inputs.items()}}
    settings = "".join(f'["{name}"] = {{ partitions = {n}, retention = "forever" }},'
                       for name, n in sizes.items())
    rnd = random.Random(job.name)
    with Server(data=data, settings=f"return {{ topics = {{ {settings} }} }}") as server:
        with server.connect() as connection:
            for topic, (n, key, records) in job.inputs.items():
                send(connection, rnd, topic, n, [sent(r, key) for r in records])
    if job.outbox:
        job.outbox[1](rnd, os.path.join(data, "application.db"))


def job_file(job, folder, records):
    """The job, with another size of its batches."""
    text = job.source
    if records:
        text, n = re.subn(r"version\s*=\s*1", rf"version = 1, commit = {{ records = {records} }}",
                          text, count=1)
        assert n == 1
    path = os.path.join(folder, "job.lua")
    Path(path).write_text(text)
    return path


def run(job, path, data, fail=None):
    """Whether it was killed. Without a kill it must reach the end."""
    command = [binary(), "run", path, "--data", data, "--until", "end",
               "--kafka-listen", f"127.0.0.1:{free_port()}",
               "--http-listen", f"127.0.0.1:{free_port()}"]
    if job.outbox:
        command += ["-p", f"{job.outbox[0]}={data}/application.db"]
    done = subprocess.run(command, env={**os.environ, "LEAT_FAIL": fail or ""}, timeout=120,
                          capture_output=True, text=True, check=False)
    if done.returncode == -9 and fail:
        return True
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(command)}\n{fail}: exit {done.returncode}\n{done.stderr}")
    return False


def try_parked(data):
    """All that is parked, when there is a next run: what can be cured is, with what waits behind
    it. Whether there was anything."""
    job_db, = Path(data).glob("jobs/*/1.db")
    db = sqlite3.connect(job_db)
    n, = db.execute("select count(*) from _leat_parked").fetchone()
    db.close()
    if n:
        leat("dlq", "retry", job_db.parent.name, "--all", "--data", data)
    return n > 0


# --- what there is ---

def rows(job, db, table, has_sessions):
    """In the order of the primary key, or of all columns."""
    info = db.execute(f'pragma table_xinfo("{table}")').fetchall()
    skipped = SKIPPED_COLUMNS.get(table, set()) | {"_leat_due"}
    if table.startswith("_leat_"):
        skipped.add("due")
    if job.outbox:
        skipped = skipped | TIME_COLUMNS.get(table, set())
    names = [f'"{c[1]}"' for c in info if c[1] not in skipped]
    key = [f'"{c[1]}"' for c in sorted(info, key=lambda c: c[5]) if c[5] and c[1] not in skipped]
    order = ", ".join(key or names)
    found = list(db.execute(f'select {", ".join(names)} from "{table}" order by {order}'))
    if "dedupe" in table:
        over, = db.execute("select min(watermark) from _leat_offsets").fetchone()
        found = [r for r in found if int.from_bytes(r[-1], "big") + remembered(job) >= over]
    if table == "_leat_numbers":
        found = [r for r in found if not re.match("expiring$|every-watermark:", r[0])]
    if re.match("_leat_state_.*process", table):  # first the two times of the rows left out
        found = [[c[16:] if isinstance(c, bytes) else c for c in r] for r in found]
    if has_sessions:
        found = [[without_due(c) if isinstance(c, bytes) else c for c in r] for r in found]
    return [repr(r) for r in found]


def remembered(job):
    """For how many ms ids of :dedupe are."""
    hours, = re.findall(r'within = "(\d+)h"', job.source)
    return int(hours) * 3600 * 1000


def without_due(blob):
    """An open session's state (operators/session_rows.c) without where its row of the due index
    stands: version 5, the session's end, that place, and the rest."""
    if blob[:1] != b"\5":
        return blob
    end = next((i for i in range(1, len(blob)) if blob[i] < 128), None)
    due = next((i for i in range((end or 0) + 1, len(blob)) if blob[i] < 128), None)
    return blob if end is None or due is None else blob[:end + 1] + blob[due + 1:]


def tables(job, data):
    path, = Path(data).glob("jobs/*/1.db")
    db = sqlite3.connect(path)
    every = [n for n, in db.execute("select name from sqlite_schema where type = 'table'")]
    names = [n for n in every if n not in SKIPPED_TABLES
             and not re.search("^sqlite_|process_(timers|ttl)_|_due_", n)]
    has_sessions = any("_window_aggregate_due_" in n for n in every)
    out = {f"table {n}": rows(job, db, n, has_sessions) for n in names}
    db.close()
    return out


def topics(job, data):
    db = sqlite3.connect(os.path.join(data, "meta.db"))
    ids = {n: i for n, i in db.execute("select name, lower(hex(id)) from topics")}
    db.close()
    out = {}
    for name in job.outputs:
        folders = [p for p in Path(data, "topics").iterdir()
                   if p.name.replace("-", "") == ids[name]]
        for partition in sorted(p for f in folders for p in f.iterdir() if p.is_dir()):
            records = []
            for segment in sorted(partition.glob("*.log")):
                records += [repr(r._replace(timestamp=None) if job.outbox else r)
                            for b in parse_batches(segment.read_bytes()) for r in b.records]
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

def variations(job, brief):
    """(name, batch size, what fails)"""
    yield "again", 0, None
    for n in (1, 7, 50):
        yield f"batches of {n}", n, None
    for name in FAILPOINTS + (OUTBOX_FAILPOINTS if job.outbox else []):
        for n in PASSAGES[:1 if brief else None]:
            yield f"killed at {name}, passage {n}", 20, f"{name}=kill@{n}"


class Trial:
    """A job over copies of one input."""

    def __init__(self, job, folder):
        self.job, self.folder, self.n_kills = job, folder, 0
        self.template = os.path.join(folder, "template")
        fill(job, self.template)

    def outcome(self, records, fail):
        """What there is at the end, and whether it was killed on the way."""
        data = os.path.join(self.folder, "data")
        shutil.copytree(self.template, data)
        path = job_file(self.job, self.folder, records)
        killed = run(self.job, path, data, fail)
        if killed:
            self.n_kills += 1
            run(self.job, path, data)
        if try_parked(data):
            run(self.job, path, data)
        seen = {**tables(self.job, data), **topics(self.job, data)}
        shutil.rmtree(data)
        return seen, killed


def check(job, folder, brief, killed):
    trial = Trial(job, folder)
    reference, _ = trial.outcome(0, None)
    for name, records, fail in variations(job, brief):
        seen, was_killed = trial.outcome(records, fail)
        if was_killed:
            killed.add(fail.split("=")[0])
        compare(f"{job.name}, {name}", reference, seen)
    n_rows = sum(len(v) for k, v in reference.items() if k.startswith("table"))
    n_records = sum(len(v) for k, v in reference.items() if k.startswith("topic"))
    n_parked = len(reference["table _leat_parked"])
    print(f"{job.name}: {n_rows} rows, {n_parked} of them parked, and {n_records} records, "
          f"the same after {trial.n_kills} kills", flush=True)
    assert n_rows > 5 and n_records > 0, f"{job.name}: too little happened"
    assert trial.n_kills > len(FAILPOINTS) / 2, f"{job.name}: it was hardly ever killed"


def in_folder(body, *args):
    folder = tempfile.mkdtemp(prefix="leat-determinism-")
    try:
        return body(*args[:1], folder, *args[1:])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


# --- jobs that must differ ---

LATEST = """
job "latest" { version = 1 }
local t = table "t" [[ k text primary key, v integer not null ]]
from "control.in" :into(t)
t:changes { latest = true } :to("control.out", { key = "k" })
"""
SUMS = """
job "sums" { version = 1 }
from "control.in" :by "k" :aggregate { n = count(), v = sum "v" } :into "sums"
"""


def must_differ(job, folder, records, fail):
    trial = Trial(job, folder)
    reference, _ = trial.outcome(0, None)
    seen, killed = trial.outcome(records, fail)
    assert killed == (fail is not None), f"{job.name}: {fail} is not where it was"
    try:
        compare(job.name, reference, seen)
    except AssertionError as e:
        print(f"noticed: {e}", flush=True)
        return
    raise AssertionError(f"{job.name} must differ, and nothing was noticed")


def control():
    inputs = {"control.in": (2, "k", [{"k": f"k{i % 5}", "v": i} for i in range(RECORDS)])}
    for name, source, records, fail in (
            ("latest", LATEST, 7, None),
            ("sums", SUMS, 20, "offsets_outside,between_commits=kill@3")):
        in_folder(must_differ, Job(name, source, inputs, None, outputs_of(source)), records, fail)


def main():
    p = argparse.ArgumentParser(description="examples over the same input, killed everywhere")
    p.add_argument("examples", nargs="*", metavar="EXAMPLE")
    p.add_argument("--brief", action="store_true", help="one passage of each failpoint")
    p.add_argument("--control", action="store_true", help="jobs that must differ")
    args = p.parse_args()
    if args.control:
        return control()
    killed, every = set(), examples()
    for name in args.examples or every:
        in_folder(check, example(name), args.brief, killed)
    missed = [name for name in FAILPOINTS + OUTBOX_FAILPOINTS if name not in killed]
    if missed and not args.examples:
        raise AssertionError(f"no example was killed at {', '.join(missed)}")
    return None


if __name__ == "__main__":
    try:
        main()
    except AssertionError as e:
        print(f"FAILED: {e}")
        sys.exit(1)
