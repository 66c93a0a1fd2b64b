#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A server's life: starts, ends, crashes, and what it refuses to start on."""
import os
import socket
import sqlite3
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.crash.campaign import Load, check, ledger_server  # noqa: E402
from tests.support.server import Server, leat, main, until  # noqa: E402

SHOP = Path(__file__).resolve().parent / "jobs/shop.lua"
ANY_PORTS = ("--kafka-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0")

FIRST = """
job "first" { version = 1 }
from "in" :to "between"
"""
SECOND = """
job "second" { version = 1 }
local seen = table "seen" [[ id text primary key, n integer not null ]]
from "between" :into(seen)
"""

OLD = """
job "old" { version = 1 }
from "past" { time = "at" } :to("told", { key = "n" })
"""


class Lifecycle(unittest.TestCase):
    def setUp(self):
        self.server = Server(str(SHOP), "--topic", "in=1").start()

    def tearDown(self):
        self.server.close()

    def fill(self, n=10):
        """Records that the job has committed."""
        position = self.server.produce("in", *({"id": f"r{i}", "n": i} for i in range(n)))
        self.server.leat("query", "shop", "by_n", "--min-position", position)

    def rows(self, sql="select count(*) from orders"):
        return self.server.leat("query", "shop", sql, "--csv").out.splitlines()[1:]

    def job_file(self):
        return f"{self.server.data}/jobs/shop/1.db"

    def edit(self, sql):
        """As somebody with another SQLite tool."""
        db = sqlite3.connect(self.job_file())
        db.execute(sql)
        db.commit()
        db.close()

    def start_refused(self, message, job=None):
        """The server does not start; the data are as before."""
        other = Server(job or str(SHOP), "--topic", "in=1", data=self.server.data)
        try:
            self.assertIn(message, other.refused())
        finally:
            other.close()

    def start_stopped(self, message, job=None):
        """The server starts, the job does not: it is there with its reason."""
        with Server(job or str(SHOP), "--topic", "in=1", data=self.server.data) as other:
            job = other.job("shop")
            self.assertEqual(job["state"], "stopped")
            self.assertIn(message, job["why"])
            self.assertEqual(other.get("/healthz").status, 503)
            self.assertIn(message, other.leat("status").out)
            self.assertIn(message, other.trace())

    def changed(self, old, new):
        text = SHOP.read_text()
        self.assertIn(old, text)
        return self.server.file("changed.lua", text.replace(old, new))


class Starts(Lifecycle):
    def test_second_server_on_one_folder_is_refused(self):
        self.start_refused(f"the data directory {self.server.data} is in use by another leat")
        self.assertEqual(self.server.get("/healthz").status, 200)

    def test_the_ready_file_is_there_while_the_server_is(self):
        ready = os.path.join(self.server.folder, "ready")
        leat("serve", "--data", self.server.data, "--ready-file", ready, code=1)
        self.assertTrue(os.path.exists(ready), "the one that was refused took it away")
        self.server.terminate()
        self.assertFalse(os.path.exists(ready))

    def test_ports_in_use_are_told(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            r = leat("serve", "--data", self.server.folder + "/other", "--kafka-listen",
                     f"127.0.0.1:{port}", "--http-listen", "127.0.0.1:0", code=1)
            self.assertIn(f"127.0.0.1:{port}", r.err)
            r = leat("serve", "--data", self.server.folder + "/other", "--kafka-listen",
                     "127.0.0.1:0", "--http-listen", f"127.0.0.1:{port}", code=1)
            self.assertIn(f"cannot listen for HTTP on 127.0.0.1:{port}", r.err)

    def test_job_runs_once(self):
        """The job's lock holds even where the server's does not."""
        os.makedirs(self.server.folder + "/other")
        os.symlink(self.server.data + "/jobs", self.server.folder + "/other/jobs")
        with Server(str(SHOP), "--topic", "in=1", data=self.server.folder + "/other") as other:
            job = other.job("shop")
            self.assertEqual(job["state"], "stopped")
            self.assertIn("jobs/shop/1.lock: another process", job["why"])

    def test_jobs_that_cannot_start_do_not_keep_others(self):
        """A file with an error, a name that is taken, a path that is taken: each is there as
        stopped, with its reason, and the job beside them runs."""
        self.server.terminate()
        broken = self.server.file("broken.lua", 'job "broken" { version = 1 }\n\nfrm "in"\n')
        again = self.server.file("again.lua", SHOP.read_text())
        path = self.server.file("path.lua", SHOP.read_text().replace('"shop"', '"path"'))
        self.server.args[1:1] = [broken, again, path]
        self.server.start()
        self.fill()
        self.assertEqual(self.rows(), ["10"])
        jobs = {j["file"]: j for j in self.server.get("/status").json["jobs"]}
        self.assertEqual(jobs[broken]["job"], broken)
        for file, why in ((broken, f"{broken}:3: unknown name 'frm'"),
                          (again, f'{SHOP} and {again} are both named job "shop"'),
                          (path, "both claim /orders/:n")):
            self.assertEqual(jobs[file]["state"], "stopped")
            self.assertIn(why, jobs[file]["why"])
            self.assertIn(why, self.server.leat("status").out)
        self.assertEqual(jobs[str(SHOP)]["state"], "running")
        self.assertIn(f"{broken}:3: unknown name 'frm'", self.server.get("/healthz").body)
        self.assertIn('leat_job_running{job="shop"} 1', self.server.get("/metrics").body)

    def test_a_job_file_that_is_not_there_is_refused(self):
        self.server.terminate()
        r = leat("serve", SHOP, "/nowhere/job.lua", "--data", self.server.data, *ANY_PORTS, code=1)
        self.assertIn("/nowhere/job.lua", r.err)

    def test_changed_table_needs_a_version(self):
        self.fill()
        self.server.terminate()
        changed = self.changed("n  integer not null", "n  integer")
        self.start_stopped("the job has changed since its file was made: table orders: column n "
                           "integer: its constraints are others. Set version = 2 to build it anew "
                           "beside version 1", changed)
        self.server.start()
        self.assertEqual(self.rows(), ["10"])

    def test_changed_meaning_of_a_table_needs_a_version_or_holds_from_now(self):
        self.fill()
        self.server.terminate()
        changed = self.changed('input:into(orders, { id = "id", n = "n"',
                               'input:into(orders, { id = "id", n = "n * 2"')
        self.start_stopped('n "n" → "n * 2"', changed)
        self.server.args[:] = [changed, "--topic", "in=1", "--from-now"]
        self.server.start()
        position = self.server.produce("in", {"id": "x", "n": 100})
        self.server.leat("query", "shop", "by_n", "--min-position", position)
        self.assertEqual(self.rows("select max(n) from orders"), ["200"])
        self.assertEqual(self.rows("select count(*) from orders where n < 10"), ["10"])

    def test_what_is_removed_goes_with_yes(self):
        self.fill()
        self.server.terminate()
        gone = self.server.file("gone.lua", 'job "shop" { version = 1 }\nfrom "in" :to "copy"\n')
        self.start_stopped("table orders is gone from the job: start it with --yes", gone)
        self.server.args[:] = [gone, "--topic", "in=1", "--yes"]
        self.server.start()
        self.server.terminate()
        db = sqlite3.connect(self.job_file())
        names = [r[0] for r in db.execute("select name from sqlite_schema")]
        db.close()
        self.assertNotIn("orders", names)

    def test_new_version_of_a_job_without_outputs_begins_at_the_start(self):
        self.fill()
        self.server.terminate()
        silent = SHOP.read_text().replace(':to("big", { key = "id" })', "")
        self.server.args[0] = self.server.file("silent.lua", silent)
        self.server.start()
        self.server.terminate()
        self.server.args[0] = self.server.file("two.lua",
                                               silent.replace("version = 1", "version = 2"))
        self.server.start()
        self.server.wait_job("shop", lambda j: j["version"] == 2 and j["records_in"] == 10)
        self.assertEqual(len(self.server.get("/q/shop/by_n").json), 10)
        self.assertTrue(os.path.exists(self.job_file()))

    def test_new_version_does_not_publish_again(self):
        """Outputs would be there twice: the version is refused, going back to one too."""
        self.fill()
        self.server.terminate()
        two = self.changed("version = 1", "version = 2")
        self.start_stopped("version 2 of job shop would publish again what version 1 has published",
                           two)
        again = self.server.file("again.lua", Path(two).read_text().replace(
            "version = 2", 'version = 2, rebuild = { outputs = "publish" }'))
        with Server(again, "--topic", "in=1", data=self.server.data) as other:
            other.wait_job("shop", lambda j: j["records_in"] == 10 and j["lag"] == 0)
            until("both versions have published", lambda: len(other.consume("big")) == 8)
        self.start_stopped("version 1 of job shop would publish again what version 2 has "
                           "published: going back to a version is not supported yet")

    def test_comments_queries_and_sinks_may_change(self):
        self.fill()
        self.server.terminate()
        self.server.args[0] = self.changed('input:where "n > 5"', '-- more\ninput:where "n > 4"')
        self.server.start()
        self.assertEqual(self.rows(), ["10"])

    def test_lowered_durability_is_refused(self):
        """A job file whose durability was lowered is refused."""
        self.fill()
        self.server.terminate()
        self.edit("pragma journal_mode=delete")
        self.start_stopped("PRAGMA journal_mode is not 'wal': somebody changed it")

    def test_foreign_write_stops_the_job(self):
        self.fill()
        self.edit("update orders set n = 99 where id = 'r1'")
        self.server.produce("in", {"id": "x", "n": 1})
        job = self.server.wait_job("shop", lambda j: j["state"] == "stopped")
        self.assertIn("another program has written to the job's file", job["why"])
        a = self.server.get("/healthz")
        self.assertEqual(a.status, 503)
        self.assertIn("job shop has stopped: another program has written", a.body)


    def test_foreign_checkpoint_does_not(self):
        """It copies what the job has written, and the WAL starts over."""
        self.fill()
        self.edit("pragma wal_checkpoint(truncate)")
        self.fill(11)
        self.assertEqual(self.rows(), ["11"])
        self.assertEqual(self.server.job("shop")["state"], "running")

    def test_file_that_is_locked_at_the_start_is_waited_for(self):
        """The job is there as waiting, and starts when the other program lets go; its queries
        are answered then."""
        self.fill()
        self.server.terminate()
        db = sqlite3.connect(self.job_file(), isolation_level=None)
        db.execute("begin immediate")
        self.server.start()
        job = self.server.job("shop")
        self.assertEqual(job["state"], "waiting")
        self.assertIn("another program has locked", job["why"])
        self.assertIn("jobs/shop/1.db: the job goes on when it lets go", job["why"])
        db.execute("rollback")
        db.close()
        self.server.wait_job("shop", lambda j: j["state"] == "running")
        self.fill(11)
        self.assertEqual(self.rows(), ["11"])

    def test_file_that_is_locked_later_is_waited_for(self):
        """The reason names the file; nothing is lost."""
        self.fill()
        db = sqlite3.connect(self.job_file(), isolation_level=None)
        db.execute("begin immediate")
        position = self.server.produce("in", {"id": "x", "n": 1})
        job = self.server.wait_job("shop", lambda j: j["state"] == "waiting")
        self.assertIn("another program has locked", job["why"])
        db.execute("rollback")
        db.close()
        self.server.leat("query", "shop", "by_n", "--min-position", position)
        self.assertEqual(self.rows(), ["11"])


    def test_lag_is_not_known_before_the_job_has_looked(self):
        """Whoever waits after a restart until the lag is 0 must not be told so at once."""
        self.fill()
        self.server.terminate()
        with Server("--topic", "in=1", data=self.server.data) as other:
            other.produce("in", *({"id": f"s{i}", "n": i} for i in range(10)))
        self.server.env = {"LEAT_FAIL": "before_begin=sleep"}
        self.server.start()
        self.assertIsNone(self.server.job("shop")["lag"])
        metrics = self.server.get("/metrics").body
        self.assertNotIn("leat_job_lag_records{", metrics)
        self.assertNotIn("leat_job_watermark_ms{", metrics)
        self.assertRegex(self.server.leat("status").out, r"(?m)^ shop +running +1 +0 +0 +0 +0 *$")
        self.server.kill()
        self.server.env = {}
        self.server.start()
        self.server.wait_job("shop", lambda j: j["lag"] == 0)
        self.assertEqual(self.rows(), ["20"])


class Ends(Lifecycle):
    def test_run_until_end(self):
        with Server("--topic", "in=1", data=self.server.folder + "/plain") as plain:
            plain.produce("in", *({"id": f"r{i}", "n": i} for i in range(3000)))
            plain.terminate()
            leat("run", SHOP, "--data", plain.data, "--until", "end", *ANY_PORTS)
            self.assertEqual(plain.leat("query", "shop", "select count(*) as n from orders",
                                        "--csv").out, "n\n3000\n")
            plain.start()
            self.assertEqual(len(plain.consume("big")), 2994)

    def test_run_until_end_leaves_open_windows_open(self):
        with Server("--topic", "in=1", data=self.server.folder + "/hours") as plain:
            job = Path(self.server.folder) / "hours.lua"
            job.write_text("""job "hours" { version = 1 }
                from "in" { time = "t" } :by "k" :window { size = "1h" }
                  :aggregate { n = count() } :into "hours"
                """)
            plain.produce("in", {"k": "a", "t": "2026-01-01T12:10:00Z"},
                          {"k": "a", "t": "2026-01-01T13:10:00Z"})
            plain.terminate()
            leat("run", str(job), "--data", plain.data, "--until", "end", *ANY_PORTS)
            self.assertEqual(plain.leat("query", "hours", "select n, _leat_state is null closed "
                                        "from hours order by window_start", "--csv").out,
                             "n,closed\n1,1\n1,0\n")

    def test_run_until_end_fails_when_a_job_has_stopped(self):
        self.fill()
        self.server.leat("topics", "delete", "in")
        self.server.leat("topics", "create", "in")
        self.server.terminate()
        r = leat("run", SHOP, "--data", self.server.data, "--until", "end", *ANY_PORTS, code=1)
        self.assertIn("a job has stopped; the line above says why", r.err)

    def test_run_until_end_names_an_input_that_is_not_there(self):
        """Such a job waits for ever, and has not come to any end."""
        r = leat("run", SHOP, "--data", self.server.folder + "/fresh", "--until", "end", *ANY_PORTS,
                 code=1)
        self.assertIn("job shop waits for topic in to exist: without it there is no end", r.err)

    def test_run_until_end_waits_for_what_another_job_makes(self):
        """The topic between them is not there when the second begins to look for it."""
        first = self.server.file("first.lua", FIRST)
        second = self.server.file("second.lua", SECOND)
        with Server("--topic", "in=1", data=self.server.folder + "/chain") as chain:
            chain.produce("in", *({"id": f"r{i}", "n": i} for i in range(500)))
            chain.terminate()
            leat("run", second, first, "--data", chain.data, "--until", "end", *ANY_PORTS)
            self.assertEqual(chain.leat("query", "second", "select count(*) as n from seen",
                                        "--csv").out, "n\n500\n")

    def published(self, settings):
        """What the server says when a job publishes to two partitions what happened in 2020."""
        job = self.server.file("old.lua", OLD)
        with Server(job, settings=settings) as server:
            server.produce("past", *({"at": f"2020-01-0{i + 1}", "n": i} for i in range(9)))
            server.wait_job("old", lambda j: j["lag"] == 0 and j["outbox_waiting"] == 0 and
                            j["records_out"] == 9)
            return server.trace()

    def test_records_older_than_their_topic_keeps_them_are_no_surprise(self):
        """They have their event's time, and would be gone one day without a word."""
        topics = "past = { partitions = 1, retention = 'forever' }, told = { partitions = 2%s }"
        said = self.published("return { topics = { %s } }" % (topics % ""))
        self.assertEqual(said.count("topic told keeps records for 7d, and what is published to it "
                                    "now has older times"), 1, said)
        said = self.published("return { topics = { %s } }" % (topics % ", retention = 'forever'"))
        self.assertNotIn("keeps records for", said)

    def test_restart_goes_on_where_it_was(self):
        self.fill(10)
        self.server.terminate()
        self.server.start()
        position = self.server.produce("in", {"id": "new", "n": 100})
        self.server.leat("query", "shop", "by_n", "--min-position", position)
        self.assertEqual(self.rows(), ["11"])
        self.assertEqual(self.server.job("shop")["records_in"], 1)

    def test_topic_made_again_stops_the_job(self):
        """A topic that was made anew stops its job."""
        self.fill()
        self.server.leat("topics", "delete", "in")
        self.server.leat("topics", "create", "in")
        self.server.produce("in", *({"id": f"s{i}", "n": i} for i in range(20)))
        job = self.server.wait_job("shop", lambda j: j["state"] == "stopped")
        self.assertIn("input in/0: the topic was deleted and made anew", job["why"])
        self.assertEqual(self.rows(), ["10"])

    def test_topic_that_is_gone_is_told_at_once(self):
        """Nothing else happens on the broker that would wake the job."""
        self.fill()
        self.server.leat("topics", "delete", "in")
        job = self.server.wait_job("shop", lambda j: j["state"] == "waiting", 10)
        self.assertIn("waits for topic in again: it is gone", job["why"])
        self.assertIn("it is gone", self.server.leat("status").out)


class UnderLoad(unittest.TestCase):
    """Nothing that was acknowledged is lost, nothing happens twice."""

    def interrupted(self, end, times):
        folder = Server()  # only for its folder
        server, load = ledger_server(folder.data), None
        try:
            server.start()
            load = Load(server.address, 1)
            load.start()
            for _ in range(times):
                load.wait_progress()
                end(server)
                server.start()
            load.wait_progress()
            load.finish()
            check(server, load.acked)
        finally:
            if load is not None and not load.stopping:
                load.stop()
            server.close()
            folder.close()

    def test_sigterm(self):
        """SIGTERM ends in order; what was acknowledged is there."""
        self.interrupted(lambda s: s.terminate(10), 3)

    def test_kill(self):
        """After kill -9 everything acknowledged is there, once."""
        self.interrupted(lambda s: s.kill(), 3)


del Lifecycle  # has no tests of its own

if __name__ == "__main__":
    main()
