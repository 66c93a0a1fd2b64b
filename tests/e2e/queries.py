#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Read models: the query command, HTTP, positions."""
import contextlib
import json
import socket
import sqlite3
import sys
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.support.server import Server, main  # noqa: E402

SHOP = str(Path(__file__).resolve().parent / "jobs/shop.lua")


class Shop(unittest.TestCase):
    """A server with the shop and three records, one of which is parked."""

    @classmethod
    def setUpClass(cls):
        cls.server = Server(SHOP, "--topic", "in=1").start()
        cls.position = cls.server.produce("in", {"id": "a", "n": 6, "at": 1700000000000},
                                          {"id": "b", "n": 3}, {"id": "c", "n": "many"})
        cls.server.leat("query", "shop", "by_n", "--min-position", cls.position)

    @classmethod
    def tearDownClass(cls):
        cls.server.close()


class Query(Shop):
    def query(self, *args, code=0):
        return self.server.leat("query", "shop", *args, code=code)

    def refused(self, message, *args):
        self.assertEqual(self.query(*args, code=1).err, f"leat query: {message}\n")

    def test_named(self):
        out = self.query("by_n", "-p", "n=4").out
        self.assertEqual([line.split() for line in out.splitlines()],
                         [["id", "n", "at"], ["a", "6", "2023-11-14T22:13:20.000Z"]])

    def test_json(self):
        self.assertEqual(json.loads(self.query("by_n", "--json").out),
                         [{"id": "b", "n": 3, "at": None},
                          {"id": "a", "n": 6, "at": "2023-11-14T22:13:20.000Z"}])
        self.assertEqual(json.loads(self.query("one", "-p", "id=a", "--json").out),
                         {"id": "a", "n": 6})

    def test_csv(self):
        self.assertEqual(self.query("by_n", "--csv").out,
                         "id,n,at\nb,3,\na,6,2023-11-14T22:13:20.000Z\n")

    def test_sql(self):
        self.assertEqual(self.query("select count(*) as n from orders", "--csv").out, "n\n2\n")
        self.assertEqual(self.query("select class from _leat_parked", "--csv").out, "class\ntype\n")

    def test_numbers_are_the_shortest_text_that_reads_back(self):
        sql = "select 0.1 + 0.2 as a, 1.0 as b, 0.1 as c, 1e300 as d, 9223372036854775807 as e"
        self.assertEqual(self.query(sql, "--csv").out, "a,b,c,d,e\n0.30000000000000004,1.0,0.1,"
                                                       "1e+300,9223372036854775807\n")
        self.assertIn('"a":0.30000000000000004,"b":1.0,"c":0.1,"d":1e+300,"e":9223372036854775807',
                      self.query(sql, "--json").out.replace(" ", ""))

    def test_plot(self):
        self.assertIn("6.00 ┤", self.query("by_n", "--plot", "n").out)

    def test_sql_that_writes_is_refused(self):
        for sql in ("delete from orders", "select 1; delete from orders", "pragma user_version",
                    "attach 'x' as y"):
            self.query(sql, code=1)
        self.assertEqual(self.query("select count(*) as n from orders", "--csv").out, "n\n2\n")

    def test_that_is_slow_is_ended(self):
        start = time.monotonic()
        self.refused("the query ran longer than 1000 ms", "slow")
        self.assertLess(time.monotonic() - start, 10)

    def test_unknown_name(self):
        self.refused('job shop has no query "nope"; it has: by_n, one, slow; SQL starts with '
                     'select', "nope")

    def test_unknown_table(self):
        self.refused("no such table: nope", "select * from nope")

    def test_parameters(self):
        self.refused("there is no parameter x", "by_n", "-p", "x=1")
        self.refused('parameter n wants integer, not "abc"', "by_n", "-p", "n=abc")

    def test_position_that_is_not_reached(self):
        self.refused("the job has not reached in:0@99 within 100 ms; `leat status` says what it is "
                     "doing", "by_n", "--min-position", "in:0@99", "--wait", "100")
        self.refused('"garbage" is no position: it reads topic:partition@offset', "by_n",
                     "--min-position", "garbage")

    def test_position_of_a_topic_that_is_not_read(self):
        """It would never be reached."""
        self.refused("job shop does not read big", "by_n", "--min-position", "big:0@1")

    def test_wrong_number(self):
        """It is told once, also where it would not be used."""
        r = self.query("by_n", "--wait", "soon", code=2)
        self.assertEqual(r.err, 'leat query: --wait wants a whole number from 0 to 86400000, not '
                         '"soon"\n')

    def test_unknown_job(self):
        r = self.server.leat("query", "nojob", "x", code=1)
        self.assertIn('no job "nojob" has run in', r.err)

    def test_of_a_stopped_server(self):
        with Server(SHOP, "--topic", "in=1") as other:
            position = other.produce("in", {"id": "a", "n": 6})
            other.leat("query", "shop", "by_n", "--min-position", position)
            other.terminate()
            self.assertEqual(other.leat("query", "shop", "by_n", "--csv").out, "id,n,at\na,6,\n")


class Http(Shop):
    def error(self, status, message, path, headers=None, method="GET"):
        a = self.server.get(path, headers, method)
        self.assertEqual((a.status, a.json), (status, {"error": message}))

    def test_named_query_by_job_and_by_path(self):
        for path in ("/q/shop/by_n?n=4", "/orders/4"):
            a = self.server.get(path)
            self.assertEqual((a.status, a.headers["Content-Type"]), (200, "application/json"))
            self.assertEqual(a.json, [{"id": "a", "n": 6, "at": "2023-11-14T22:13:20.000Z"}])
            self.assertEqual(a.headers["Leat-Position"], "in:0@2")
            self.assertEqual(a.headers["ETag"], '"in:0@2"')

    def test_types(self):
        b = self.server.get("/q/shop/by_n?most=1").json
        self.assertEqual(b, [{"id": "b", "n": 3, "at": None}])

    def test_one_row_or_404(self):
        self.assertEqual(self.server.get("/q/shop/one?id=a").json, {"id": "a", "n": 6})
        self.error(404, "one: no row", "/q/shop/one?id=zz")

    def test_unknown_parameter(self):
        self.error(400, "there is no parameter x", "/q/shop/by_n?x=1")

    def test_parameter_of_another_type(self):
        self.error(400, 'parameter n wants integer, not "abc"', "/q/shop/by_n?n=abc")

    def test_unknown_path(self):
        for path in ("/nope", "/q/shop", "/q/shop/nope", "/orders/1/2"):
            self.error(404, f"nothing is at {path}; /status lists the jobs and their queries", path)

    def test_other_methods(self):
        for method in ("POST", "PUT", "DELETE"):
            self.error(405, "only GET and HEAD are served", "/q/shop/by_n", method=method)
        self.assertEqual(self.server.get("/q/shop/by_n", method="HEAD").body, "")

    def test_host_of_somebody_else(self):
        self.error(421, "this server does not answer for that Host; allow it with --http-host",
                   "/q/shop/by_n", {"Host": "evil.example"})

    def test_min_position(self):
        for headers, path in (({"Leat-Min-Position": self.position}, "/q/shop/by_n"),
                              ({}, f"/q/shop/by_n?min_position={self.position}")):
            self.assertEqual(self.server.get(path, headers).status, 200)
        self.error(504, "job shop has not reached in:0@99 within 5000 ms",
                   "/q/shop/by_n?min_position=in:0@99")
        self.error(400, "job shop does not read big", "/q/shop/by_n?min_position=big:0@1")
        self.error(400, '"zz" is no position: it reads topic:partition@offset',
                   "/q/shop/by_n?min_position=zz")

    def test_reads_its_own_writes(self):
        with Server(SHOP, "--topic", "in=1") as other:
            for i in range(20):
                position = other.produce("in", {"id": f"w{i}", "n": i})
                path = f"/q/shop/one?id=w{i}&min_position={position}"
                self.assertEqual(other.get(path).json, {"id": f"w{i}", "n": i})

    def test_slow_query_is_ended(self):
        self.error(408, "the query ran longer than 1000 ms", "/q/shop/slow")

    def test_status_metrics_and_health(self):
        a = self.server.get("/healthz")
        self.assertEqual((a.status, a.body), (200, "ok\n"))
        metrics = self.server.get("/metrics").body
        for line in ('leat_job_running{job="shop"} 1', 'leat_job_records_in_total{job="shop"} 3',
                     'leat_job_parked_records{job="shop"} 1'):
            self.assertIn(line, metrics.splitlines())
        job = self.server.job("shop")
        self.assertEqual((job["state"], job["version"], job["records_in"], job["parked"],
                          job["lag"]), ("running", 1, 3, 1, 0))

    def test_status_command(self):
        out = self.server.leat("status").out
        self.assertRegex(out, r"(?m)^ shop +running +1 +3 +1 +0 +1 +0 ")
        job, = json.loads(self.server.leat("status", "--json").out)["jobs"]
        self.assertEqual(job["job"], "shop")


class Limits(unittest.TestCase):
    """What would keep the server from answering, or has no answer."""

    JOB = """job "j" { version = 1 }
        from "in" :to "out"
        query "endless" { sql = "select 1 as a, 9e999 as far" }
        query "one" { sql = "select 1 as n" }
        query "text" { params = { v = "text" }, sql = "select :v as v" }
        query "many" { sql = [[ with recursive c(x) as (select 1 union all select x + 1 from c
                                limit 1200), w(y) as (select 'xxxxxxxxxxxxxxxx' union all
                                select y || y from w limit 11)
                                select x, (select max(y) from w) as y from c ]] }
        """

    def setUp(self):
        self.server = Server("--topic", "in=1")
        self.addCleanup(self.server.close)
        self.server.args.append(self.server.file("j.lua", self.JOB))
        self.server.start()

    def test_those_who_wait_leave_connections_for_others(self):
        """Not every connection may wait for a position: who is too many is told at once."""
        request = (f"GET /q/j/one?min_position=in:0@9 HTTP/1.1\r\nHost: {self.server.http}\r\n"
                   "Connection: close\r\n\r\n").encode()
        answers = []
        with contextlib.ExitStack() as open_ones:
            for _ in range(200):
                one = socket.create_connection(("127.0.0.1", self.server.http_port), timeout=30)
                open_ones.enter_context(one)
                one.sendall(request)
                answers.append(one)
            self.assertEqual(self.server.get("/healthz").status, 200)
            said = [one.makefile("rb").read() for one in answers]
        self.assertEqual({text[9:12] for text in said}, {b"503", b"504"})
        self.assertTrue(any(b"192 requests wait for positions already: ask again" in text
                            for text in said))

    def test_rows_that_are_cut_are_told(self):
        """1000 of 1200 rows must not look like all of them; --all has all, be they 19 MB."""
        answer = self.server.get("/q/j/many")
        self.assertEqual((len(answer.json), answer.headers["Leat-Truncated"]), (1000, "1"))
        self.assertIsNone(self.server.get("/q/j/one").headers["Leat-Truncated"])
        for form in ("--json", "--csv"):
            r = self.server.leat("query", "j", "many", form)
            self.assertEqual(r.err, "leat query: cut at 1000 rows; --all has them all\n")
        r = self.server.leat("query", "j", "many", "--json", "--all")
        self.assertEqual((len(json.loads(r.out)), r.err), (1200, ""))

    def test_a_parameter_that_is_no_text_is_refused(self):
        """It was cut at a NUL, and then it was another one."""
        for value in ("a%00b", "%ff", "%e2%82"):
            answer = self.server.get(f"/q/j/text?v={value}")
            self.assertEqual((answer.status, answer.json["error"]),
                             (400, "parameter v is no text: it is not UTF-8, or has a NUL"))
        self.assertEqual(self.server.get("/q/j/text?v=%e2%82%ac+1").json, [{"v": "\u20ac 1"}])

    def test_a_number_without_json_is_named(self):
        answer = self.server.get("/q/j/endless")
        self.assertEqual((answer.status, answer.json["error"]),
                         (400, "column far: a number that is not finite has no JSON"))


class ReadModelIsAFile(Shop):
    def test_any_sqlite_tool_reads_it(self):
        db = sqlite3.connect(f"file:{self.server.data}/jobs/shop/1.db?mode=ro", uri=True)
        self.assertEqual(db.execute("select id, n from orders order by id").fetchall(),
                         [("a", 6), ("b", 3)])
        self.assertEqual(db.execute("select topic, partition, next from _leat_offsets").fetchall(),
                         [("in", 0, 3)])
        db.close()


del Shop  # has no tests of its own

if __name__ == "__main__":
    main()
