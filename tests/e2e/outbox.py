#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The outbox of an application: its own program commits rows while the server runs and dies."""
import json
import sqlite3
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.support.server import Server, main, until  # noqa: E402

JOB = """
job "relay" { version = 1 }
from.outbox { name = "shop", sqlite = "%s", table = "outbox", after = "%s" }
  :where  "aggregatetype == 'order'"
  :select { id = "$header.id", n = "payload.n", aggregateid = "aggregateid" }
  :to     ("orders", { key = "aggregateid" })
"""
TABLE = """create table outbox(seq integer primary key autoincrement, id text not null unique,
           aggregatetype text, aggregateid text, type text, payload text, published_at integer)"""


class Outbox(unittest.TestCase):
    after = "delete"

    def setUp(self):
        self.server = Server("--topic", "orders=3")
        self.path = self.server.folder + "/app.db"
        self.server.args.insert(0, self.server.file("job.lua", JOB % (self.path, self.after)))

    def tearDown(self):
        self.server.close()

    def application(self, journal="wal"):
        db = sqlite3.connect(self.path, timeout=30)
        db.execute(f"pragma journal_mode={journal}")
        db.execute(TABLE)
        db.commit()
        return db

    def insert(self, db, first, n):
        for i in range(first, first + n):
            kind = "user" if i % 10 == 7 else "order"
            db.execute("insert into outbox(id, aggregatetype, aggregateid, type, payload)"
                       " values (?, ?, ?, 'T', ?)",
                       (f"e{i}", kind, f"o{i % 13}", json.dumps({"n": i})))
        db.commit()

    def left(self, db):
        return db.execute("select count(*) from outbox where published_at is null").fetchone()[0]

    def check_all_once(self, n):
        """Every order once, and those of one aggregate in order."""
        got = self.server.consume("orders")
        self.assertEqual(sorted(r["n"] for r in got), [i for i in range(n) if i % 10 != 7])
        for key in range(13):
            mine = [r["n"] for r in got if r["aggregateid"] == f"o{key}"]
            self.assertEqual(mine, sorted(mine))

    def kill_while_it_runs(self, journal):
        db, total = self.application(journal), 0
        for _ in range(6):
            self.server.start()
            for _ in range(25):
                self.insert(db, total, 3)
                total += 3
            self.server.wait_job("relay", lambda j: j["records_out"] > 0)
            self.server.kill()
        self.server.start()
        until("nothing is left", lambda: self.left(db) == 0)
        self.server.wait_job("relay", lambda j: j["lag"] == 0 and j["outbox_waiting"] == 0)
        self.check_all_once(total)
        db.close()


class Deleting(Outbox):
    def test_exactly_once_while_the_server_is_killed(self):
        self.kill_while_it_runs("wal")

    def test_exactly_once_with_a_rollback_journal(self):
        self.kill_while_it_runs("delete")

    def test_what_is_not_there_is_waited_for(self):
        self.server.start()
        job = self.server.wait_job("relay", lambda j: j["state"] == "waiting")
        self.assertIn(f"waits for outbox shop: {self.path}: No such file", job["why"])
        db = sqlite3.connect(self.path)
        db.execute("create table other(x)")
        db.commit()
        self.server.wait_job("relay", lambda j: "has no table outbox yet" in j["why"])
        db.execute(TABLE)
        self.insert(db, 0, 5)
        until("it is read", lambda: self.left(db) == 0)
        self.check_all_once(5)
        db.close()

    def test_a_table_that_is_no_outbox_stops_the_job(self):
        db = sqlite3.connect(self.path)
        db.execute("create table outbox(id text primary key, payload text)")
        db.commit()
        db.close()
        self.server.start()
        job = self.server.wait_job("relay", lambda j: j["state"] == "stopped")
        self.assertIn("seq integer primary key autoincrement", job["why"])


    def test_two_jobs_do_not_take_each_others_rows(self):
        other = JOB.replace('"relay"', '"second"').replace('"orders"', '"orders2"')
        self.server.args.insert(1, self.server.file("second.lua", other % (self.path, "keep")))
        db = self.application()
        self.insert(db, 0, 5)
        self.server.start()
        job = next(j for j in self.server.get("/status").json["jobs"]
                   if j["file"].endswith("second.lua"))
        self.assertEqual(job["state"], "stopped")
        self.assertIn(f"job relay reads table outbox of {self.path} too", job["why"])
        until("the first one reads", lambda: self.left(db) == 0)
        db.close()


class Marking(Outbox):
    after = "mark"

    def test_exactly_once_while_the_server_is_killed(self):
        self.kill_while_it_runs("wal")


if __name__ == "__main__":
    main()
