#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Records that end the server's process. It is started again and again, as a supervisor
would; after the third time each, they are parked and everything else has been done once."""
import json
import sqlite3
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.support.server import Server, leat, main, until  # noqa: E402

# Two jobs over the same topic: only one of them calls the function that ends the process.
GUILTY = """
job "guilty" { version = 1, errors = { dead = "guilty.dead" } }
local input = from "in"
input :map(function(v) return { n = v.n, key = v.key } end) :to ("guilty.out", { key = "key" })
"""
INNOCENT = """
job "innocent" { version = 1 }
from "in" :by "key" :aggregate { n = count(), total = sum "n" } :into "totals"
from "also" :to "innocent.out"
"""
RECORDS = 3000
POISON = (700, 701, 2222)


class Poison(unittest.TestCase):
    def setUp(self):
        self.server = Server("--topic", "in=2", "--topic", "also=1")

    def tearDown(self):
        self.server.env = {}
        self.server.close()

    def given_records(self):
        """In the log before there is any job."""
        self.server.start()
        for at in range(0, RECORDS, 500):
            self.server.produce("in", *({"n": n, "key": f"k{n}",
                                         "kind": "deadly" if n in POISON else "good"}
                                        for n in range(at, at + 500)), key="key")
        self.server.terminate()
        self.server.args[:0] = [self.server.file("guilty.lua", GUILTY),
                                self.server.file("innocent.lua", INNOCENT)]

    def at_the_end(self, name):
        """Whether all is read and published, as far as the job's file says."""
        try:
            db = sqlite3.connect(f"file:{self.server.data}/jobs/{name}/1.db?mode=ro", uri=True)
            read, waiting, due = db.execute(
                "select (select sum(next) from _leat_offsets where topic = 'in'),"
                " (select count(*) from _leat_outbox),"
                " (select count(*) from _leat_parked where state = 'retry')").fetchone()
            db.close()
        except sqlite3.Error:
            return False  # not made yet
        return read == RECORDS and waiting == 0 and due == 0

    def lives_through(self):
        """Whether this life of the server does all there is to do."""
        self.server.launch()

        def over():
            if self.server.process.poll() is not None:
                return "dead"
            listens = Path(self.server.folder, "ready").exists()
            return listens and self.at_the_end("guilty") and self.at_the_end("innocent") and "done"
        return until(self.server.trace, over) == "done"

    def deaths(self):
        n = 0
        while not self.lives_through():
            self.assertEqual(self.server.process.returncode, -9)
            n += 1
            self.assertLess(n, 30, self.server.trace())
        self.server.wait_job("guilty", lambda j: j["state"] == "running")
        return n

    def numbers(self, topic):
        return sorted(r["n"] for r in self.server.consume(topic))

    def dlq(self, verb, *args):
        return leat("dlq", verb, "guilty", *args, "--data", self.server.data).out

    def test_each_ends_the_process_three_times(self):
        self.given_records()
        self.server.env = {"LEAT_FAIL": "lua_call=kill#deadly"}
        self.assertEqual(self.deaths(), 3 * len(POISON))
        rows = json.loads(self.dlq("list", "--json"))
        self.assertEqual(sorted((r["value"]["n"], r["class"]) for r in rows),
                         [(n, "crash") for n in POISON])
        self.assertIn("the process has ended 3 times while this record ran", rows[0]["message"])
        self.assertEqual(self.numbers("guilty.out"),
                         [n for n in range(RECORDS) if n not in POISON])
        self.assertEqual(self.numbers("guilty.dead"), list(POISON))
        out = self.server.leat("query", "innocent", "select count(*), sum(total) from totals",
                               "--csv").out
        self.assertEqual(out.split()[1], f"{RECORDS},{sum(range(RECORDS))}")
        self.assertEqual(self.server.job("innocent")["parked"], 0)

        # The defect is mended: what was parked runs, once.
        self.server.terminate()
        self.server.env = {}
        self.dlq("retry", "--class", "crash")
        self.assertEqual(self.deaths(), 0)
        self.assertEqual(self.numbers("guilty.out"), list(range(RECORDS)))
        self.assertEqual(json.loads(self.dlq("list", "--json")), [])


if __name__ == "__main__":
    main()
