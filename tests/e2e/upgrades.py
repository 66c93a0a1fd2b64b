#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Jobs that change: `leat plan`, and `leat run` that reloads what is saved."""
import fcntl
import json
import os
import pty
import re
import select
import sqlite3
import struct
import subprocess
import sys
import termios
import threading
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.support.server import Server, leat, main, until  # noqa: E402

JOB = """job "shop" { version = 1 }

local orders = table "orders" [[
  id    text primary key,
  total integer not null
]]

local events = from "events"

events:into(orders, { id = "id", total = "price * qty" })
events:by "id" :select { "id" } :to "seen"

query "all" { sql = "select * from orders" }
"""


class Changing(unittest.TestCase):
    """A running server with one job, in a folder where the job is edited."""

    def setUp(self):
        self.server = Server(command="run")
        self.path = self.save(JOB)
        self.server.args.append(self.path)
        self.server.start()

    def tearDown(self):
        self.server.close()

    def save(self, text):
        """As an editor does: another file, renamed."""
        path = self.server.file("job.lua.new", text)
        os.replace(path, path[:-4])
        return path[:-4]

    def edit(self, old, new):
        text = Path(self.path).read_text()
        self.assertIn(old, text)
        return self.save(text.replace(old, new))

    def fill(self, first=0, n=10):
        position = self.server.produce("events", *({"id": f"r{i}", "price": 2, "qty": i}
                                                   for i in range(first, first + n)))
        self.server.leat("query", "shop", "all", "--min-position", position)

    def rows(self, sql):
        return self.server.leat("query", "shop", sql, "--csv").out.splitlines()[1:]

    def job(self):
        return self.server.get("/status").json["jobs"][0]


class Plan(Changing):
    def plan(self, *args, code):
        return leat("plan", self.path, "--data", self.server.data, *args, code=code).out

    def setUp(self):
        super().setUp()
        self.fill()
        self.server.terminate()  # or it would reload

    def test_nothing_has_changed(self):
        self.assertEqual(self.plan(code=0), " shop 1: nothing has changed\n")
        self.edit('job "shop"', '-- a comment\njob "shop"')
        self.assertEqual(self.plan(code=0), " shop 1: nothing has changed\n")

    def test_a_job_that_has_not_run(self):
        self.edit('"shop"', '"other"')
        self.assertEqual(self.plan(code=0), " other 1: new; it reads events\n")

    def test_in_place(self):
        self.edit("integer not null\n", "integer not null,\n  note  text default 'none'\n")
        self.edit("select * from orders", "select id from orders")
        self.assertEqual(self.plan(code=0), """\
 shop 1
   table orders   + column note text default 'none'                        in place
   query all      ~ sql "select * from orders" → "select id from orders"   in place
""")

    def test_rebuild(self):
        self.edit("integer not null\n", "integer not null,\n  tax   decimal(14,2) not null\n")
        self.edit('"price * qty"', '"price * qty + tax", tax = "tax"')
        self.assertEqual(self.plan(code=2), """\
 shop 1
   table orders                         + column tax decimal(14,2) not null                       \
      REBUILD (no default)
   operator from[events]/into[orders]   ~ tax none → "tax"; total "price * qty" → "price * qty + ta\
x"   REBUILD (what it keeps has the old meaning)
 A rebuild reads events from the start: up to 10 records.
 Set version = 2 to build it anew beside version 1 (and rebuild = { outputs = "publish" }: its outp\
uts are published again).
""")

    def test_from_now_and_yes_are_named(self):
        self.edit('"price * qty"', '"price + qty"')
        self.assertIn('Set version = 2 to build it anew beside version 1 (and rebuild = { outputs '
                      '= "publish" }: its outputs are published again), or start it with '
                      "--from-now: what is there keeps the old meaning.", self.plan(code=2))
        self.save('job "shop" {}\nfrom "events" :to "seen"\n')
        out = self.plan(code=0)
        self.assertIn("table orders                         - is gone", out)
        self.assertIn("Start it with --yes: what the removed ones keep is dropped.", out)

    def test_advice_can_be_taken(self):
        """What it says to write is not refused in its turn."""
        self.edit('"price * qty"', '"price + qty"')
        self.plan(code=2)
        self.edit("version = 1", 'version = 2, rebuild = { outputs = "publish" }')
        out = self.plan(code=2)
        self.assertIn(" Version 2 begins at the start of its inputs", out)
        self.assertNotIn("Refused", out)

    def test_another_version(self):
        self.edit("version = 1", "version = 2")
        out = self.plan(code=2)
        self.assertIn(" shop 1 → 2\n", out)
        self.assertIn("Refused: version 2 of job shop would publish again what version 1 has "
                      "published", out)

    def test_json_beside_a_running_server(self):
        """The file is read while the server has it open."""
        self.server.start()
        self.save(Path(self.path).read_text())
        path = self.server.file("other.lua", JOB.replace("price * qty", "price"))
        r = json.loads(leat("plan", path, "--data", self.server.data, "--json", code=2).out)
        self.assertEqual((r["job"], r["version"], r["against"], r["start"], r["class"],
                          r["rebuild"], r["records"]),
                         ("shop", 1, 1, "goes on", "rebuild", True, 10))
        self.assertEqual(r["differences"], [{
            "class": "rebuild", "what": "operator", "name": "from[events]/into[orders]",
            "sign": "~", "text": 'total "price * qty" → "price"',
            "why": "what it keeps has the old meaning", "from_now": True, "line": 10}])
        self.assertEqual(self.job()["state"], "running")

    def test_a_job_that_does_not_load(self):
        self.save("job 'shop' {}\nfrm 'x'\n")
        self.plan(code=1)


class Reload(Changing):
    def reloaded(self, seconds=20):
        until(lambda: f"it is reloaded:\n{self.server.trace()}",
              lambda: "shop: reloaded" in self.server.trace(), seconds)

    def refused(self, *parts):
        """The old one goes on, and why is told on the terminal and in the status."""
        job = until(lambda: f"it is refused:\n{self.server.trace()}",
                    lambda: self.job() if self.job()["note"] else None)
        for part in parts:
            self.assertIn(part, job["note"])
            self.assertIn(part, self.server.trace())
        self.assertEqual(job["state"], "running")
        self.fill(first=100)
        self.assertEqual(self.rows("select count(*) from orders"), ["20"])

    def test_in_place(self):
        self.fill()
        began = time.monotonic()
        self.edit("integer not null\n", "integer not null,\n  note  text default 'none'\n")
        self.reloaded()
        took = time.monotonic() - began
        self.fill(first=10)
        self.assertEqual(self.rows("select count(*), min(note) from orders"), ["20,none"])
        self.assertEqual(self.server.get("/q/shop/all").json[0]["note"], "none")
        self.assertEqual(len(self.server.consume("seen")), 20)
        self.assertLess(took, 10)  # a second, where nothing else runs

    def test_error_is_told_with_its_line_and_a_good_file_is_taken(self):
        self.fill()
        self.edit("events:by", "event:by")
        self.refused(f"{self.path}:11: unknown name 'event'")
        self.edit("event:by", "events:by")
        self.edit("select * from orders", "select count(*) as n from orders")
        self.reloaded()
        self.assertEqual(self.job()["note"], "")
        self.assertEqual(self.server.get("/q/shop/all").json, [{"n": 20}])

    def test_rebuild_is_refused(self):
        self.fill()
        self.edit('"price * qty"', '"price + qty"')
        self.refused("the job has changed since its file was made", 'total "price * qty"',
                     "Set version = 2")

    def test_what_only_its_operators_know_is_refused(self):
        """Found before the old one is ended."""
        self.fill()
        self.edit('events:by "id"', 'events:by "id" :aggregate { n = count() } :into(table "x" '
                                    '[[id text primary key]])\nevents:by "id"')
        self.refused("table x has no column n")

    def test_a_job_that_could_not_start(self):
        self.server.terminate()
        self.edit("events:by", "event:by")
        self.server.start()
        self.assertEqual(self.job()["state"], "stopped")
        self.edit("event:by", "events:by")
        self.reloaded()
        self.fill()
        self.assertEqual(self.job()["state"], "running")

    def test_new_version_of_a_job_without_outputs(self):
        """It begins at the start of its inputs, in a file of its own."""
        silent = JOB.replace(':to "seen"', ':into(orders, { id = "id", total = "0" })') \
                    .replace('events:into(orders, { id = "id", total = "price * qty" })\n', "")
        self.server.terminate()
        self.save(silent)
        self.server.start()
        self.fill()
        self.save(silent.replace("version = 1", "version = 2"))
        self.reloaded()
        self.server.wait_job("shop", lambda j: j["version"] == 2 and j["records_in"] == 10)
        self.assertTrue(os.path.exists(f"{self.server.data}/jobs/shop/1.db"))

    def test_old_one_goes_on_when_the_new_one_cannot_start(self):
        """What cannot be found before the old one is ended: somebody else has the new file."""
        silent = "\n".join(x for x in JOB.splitlines() if ":to" not in x) + "\n"
        self.server.terminate()
        self.save(silent)
        self.server.start()
        self.fill()
        with open(f"{self.server.data}/jobs/shop/2.lock", "w") as lock:
            fcntl.lockf(lock, fcntl.LOCK_EX)
            self.save(silent.replace("version = 1", "version = 2"))
            self.refused("2.lock: another process")
            self.assertEqual(self.job()["version"], 1)
        self.save(silent.replace("version = 1", "version = 2") + "-- again\n")
        self.reloaded()
        self.server.wait_job("shop", lambda j: j["version"] == 2 and j["records_in"] == 20)

    def test_what_a_locked_file_holds_up_is_taken_when_it_is_free(self):
        """Nobody has to save the job again."""
        self.fill()
        db = sqlite3.connect(f"{self.server.data}/jobs/shop/1.db", isolation_level=None)
        db.execute("begin immediate")
        self.edit("select * from orders", "select count(*) as n from orders")
        until("it is held up", lambda: self.job()["state"] == "waiting")
        self.assertIn("another program has locked", self.job()["why"])
        db.execute("rollback")
        db.close()
        self.reloaded(60)
        self.assertEqual((self.job()["note"], self.job()["why"]), ("", ""))
        self.assertEqual(self.server.get("/q/shop/all").json, [{"n": 10}])

    def test_who_waits_for_a_position_is_told(self):
        self.fill()
        answers = []
        waiting = threading.Thread(target=lambda: answers.append(
            self.server.get("/q/shop/all?min_position=events:0@1000")))
        waiting.start()
        self.edit("select * from orders", "select id from orders")
        self.reloaded()
        waiting.join()
        self.assertIn(answers[0].status, (503, 504))  # 504: it had not waited so long
        if answers[0].status == 503:
            self.assertIn("job shop is being restarted: ask again", answers[0].body)

    def test_who_waits_on_another_job_holds_nobody_up(self):
        """Somebody always waits for a position: a reload has its turn all the same, and the wait
        goes on behind it."""
        self.server.terminate()
        other = JOB.replace('"shop"', '"other"').replace(':to "seen"', ':to "seen2"')
        self.server.args.append(self.server.file("other.lua", other))
        self.server.start()

        def first_was(n):
            answers = []
            waiting = threading.Thread(target=lambda: answers.append(
                self.server.get("/q/other/all?min_position=events:0@1000").status))
            waiting.start()
            self.save(JOB.replace("select *", f"select {n} as n{n}, *"))
            until(lambda: f"reload {n}:\n{self.server.trace()}",
                  lambda: self.server.trace().count("shop: reloaded") == n)
            reload_was = waiting.is_alive()
            waiting.join()
            self.assertEqual(answers, [504])
            return reload_was
        # On a machine that is busy a reload may take longer than the wait.
        self.assertTrue(any(first_was(n) for n in range(1, 6)))

    def test_modules_are_watched(self):
        os.makedirs(os.path.join(os.path.dirname(self.path), "lib"), exist_ok=True)
        self.server.file("lib/x.lua", "return 1\n")
        self.reloaded()

    def test_under_load(self):
        """Nothing is lost or doubled by reloads between any two records, and queries are answered
        all the time."""
        total, batch, answers = 6000, 100, []
        done = threading.Event()

        def ask():
            while not done.is_set():
                answers.append(self.server.get("/q/shop/all?").status)

        def send():
            for first in range(0, total, batch):
                self.server.produce("events", *({"id": f"r{i}", "price": 1, "qty": 1}
                                                for i in range(first, first + batch)))

        self.save(JOB.replace("select * from orders", "select count(*) as n0 from orders"))
        sender, asker = threading.Thread(target=send), threading.Thread(target=ask)
        sender.start(), asker.start()
        try:
            n = 0
            while sender.is_alive() or n < 3:
                n += 1
                self.save(JOB.replace("select * from orders",
                                      f"select count(*) as n{n} from orders"))
                until(lambda: f"reload {n}:\n{self.server.trace()}",
                      lambda: f'"n{n}":' in self.server.get("/q/shop/all").body)
        finally:
            sender.join()
            done.set()
            asker.join()
        self.server.wait_job("shop", lambda j: j["lag"] == 0 and j["outbox_waiting"] == 0)
        self.assertEqual(self.server.get("/q/shop/all").json, [{f"n{n}": total}])
        seen = [r["id"] for r in self.server.consume("seen")]
        self.assertEqual((len(seen), len(set(seen))), (total, total))
        self.assertEqual(set(answers), {200})


class OnATerminal(unittest.TestCase):
    """The live view: a table that redraws itself, and below it what is wrong, as long as it is."""

    def setUp(self):
        self.server = Server(command="run")
        self.path = self.server.file("job.lua", JOB)
        self.server.args.append(self.path)
        self.output, self.ours = b"", -1

    def tearDown(self):
        self.server.close()
        if self.ours >= 0:
            os.close(self.ours)

    def start(self):
        self.ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
        self.server.process = subprocess.Popen(self.server.command(), stdin=theirs, stdout=theirs,
                                               stderr=theirs)
        os.close(theirs)

    def screen(self):
        """What stands on the terminal since it was last drawn."""
        while select.select([self.ours], [], [], 0.05)[0]:
            self.output += os.read(self.ours, 65536)
        return self.output.decode(errors="replace").split("\x1b[J")[-1]

    def wait(self, condition):
        until(lambda: f"on the terminal:\n{self.output.decode(errors='replace')[-3000:]}",
              lambda: condition(self.screen()))

    def test_an_error_stands_there_until_it_is_mended(self):
        self.start()
        self.wait(lambda s: re.search(r"shop +0 .*none yet", s))
        Path(self.path).write_text(JOB.replace("events:by", "event:by"))
        self.wait(lambda s: "! not reloaded: shop: " in s and ":11: unknown name 'event'" in s)
        Path(self.path).write_text(JOB)
        self.wait(lambda s: "shop: reloaded" in s and "not reloaded" not in s)
        for line in self.screen().splitlines():
            self.assertLessEqual(len(line), 100)


class Outbox(Changing):
    """What waits, since when, behind which topic: read from the file."""

    def outbox(self, *args, code=0):
        return leat("outbox", "--data", self.server.data, *args, code=code)

    def test_nothing_waits(self):
        self.fill()
        self.assertEqual(self.outbox().out, "nothing waits\n")
        self.assertEqual(self.outbox("shop", "--json").out, "")

    def test_rows_of_a_deleted_topic_wait(self):
        """They stay in the outbox, one destination does not hold up another, and a topic of the
        same name is another topic."""
        self.edit(':to "seen"\n', ':to "seen"\nevents:select { "qty" } :to "other"\n')
        until("it is reloaded", lambda: "shop: reloaded" in self.server.trace())
        self.fill()
        self.server.wait_job("shop", lambda j: j["outbox_waiting"] == 0)
        self.server.leat("topics", "delete", "seen")
        self.fill(first=10, n=3)
        self.server.wait_job("shop", lambda j: j["outbox_waiting"] == 3)
        self.assertEqual(len(self.server.consume("other")), 13)
        row = json.loads(self.outbox("--json").out)
        self.assertEqual((row["job"], row["topic"], row["partition"], row["rows"], row["why"]),
                         ("shop", "seen", 0, 3, "the topic has been deleted"))
        self.assertGreater(row["bytes"], 0)
        self.assertRegex(row["since"], r"^20\d\d-\d\d-\d\dT")
        self.server.terminate()
        self.assertIn("the topic has been deleted", self.outbox("shop").out)
        self.server.start()  # makes the topics that it writes and does not find
        self.server.wait_job("shop", lambda j: j["outbox_waiting"] == 3)
        self.assertIn("made anew; these are for the one before", self.outbox().out)

    def test_no_such_job(self):
        self.assertIn('no job "nope" has run in', self.outbox("nope", code=1).err)
        self.assertIn("no job has run in /nowhere",
                      leat("outbox", "--data", "/nowhere", code=1).err)


del Changing  # has no tests of its own

if __name__ == "__main__":
    main()
