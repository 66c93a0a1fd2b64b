#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Commands that need no server: what they say, and their exit codes."""
import json
import os
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.support.server import free_port, leat, main  # noqa: E402

SHOP = str(Path(__file__).resolve().parent / "jobs/shop.lua")
COMMANDS = ("run", "serve", "test", "check", "explain", "produce", "consume", "topics", "query",
            "status", "plan", "outbox", "init", "expr", "dlq")


class Help(unittest.TestCase):
    def test_of_everything_names_every_command(self):
        out = leat("--help").out
        for name in COMMANDS:
            self.assertIn(f"\n  {name} ", out)
        self.assertEqual(leat("help").out, out)

    def test_of_every_command_has_usage_examples_and_exit_codes(self):
        for name in COMMANDS:
            out = leat(name, "--help").out
            self.assertIn(f"Usage: leat {name}", out)
            self.assertIn(f"  leat {name}", out.split("Examples:")[1])
            self.assertRegex(out, r"(?s)\nExit codes: 0 .*\b1 .*\b2\b.*wrong\s+usage")
            self.assertEqual(leat("help", name).out, out)
            self.assertEqual(leat(name, "-h").out, out)

    def test_version(self):
        self.assertRegex(leat("--version").out, r"^leat \d+\.\d+\.\d+\n$")


class WrongUsage(unittest.TestCase):
    """Exit code 2, and a sentence on stderr that says what is wrong."""

    def expect(self, sentence, *args):
        r = leat(*args, code=2)
        self.assertIn(sentence, r.err)
        self.assertEqual(r.out, "")

    def test_unknown_command(self):
        self.expect('leat: unknown command "brew"; `leat --help` lists them', "brew")

    def test_unknown_option(self):
        self.expect("leat consume: unknown option --nope\nTry `leat consume --help`.", "consume",
                    "t", "--nope")

    def test_missing_argument(self):
        self.expect("leat produce: it wants TOPIC [FILE...]", "produce")

    def test_argument_too_many(self):
        self.expect('leat status: unexpected argument "x"', "status", "x")

    def test_option_without_its_value(self):
        self.expect("--brokers wants HOST:PORT", "consume", "t", "--brokers")

    def test_flag_with_a_value(self):
        self.expect("--follow takes no value", "consume", "t", "--follow=1")

    def test_number_that_is_none(self):
        self.expect('--max wants a whole number from 1 to 9223372036854775807, not "x"', "consume",
                    "t", "-n", "x")

    def test_topic_option(self):
        self.expect('--topic wants NAME=PARTITIONS, not "t=0"', "serve", "--topic", "t=0")

    def test_listening_beyond_this_machine(self):
        self.expect("listening on 0.0.0.0 would let everyone who reaches it in", "serve",
                    "--kafka-listen", "0.0.0.0:0")

    def test_file_that_is_no_job(self):
        self.expect('"x.txt" is neither leat.lua nor a job file (*.lua)', "serve", "x.txt")

    def test_until(self):
        self.expect('--until wants "end", not "noon"', "run", SHOP, "--until", "noon")

    def test_expression(self):
        self.expect("expression \"n >\": unexpected 'end of expression' near column 4", "consume",
                    "t", "--where", "n >")

    def test_key_of_plain_lines(self):
        self.expect("--lines sends text as it is: --key and --set need fields", "produce", "t",
                    "--lines", "--key", "k")


class Unreachable(unittest.TestCase):
    """Exit code 3, the address, and what to look at."""

    def test_broker(self):
        port = free_port()
        for args in (("topics",), ("consume", "t"), ("produce", "t")):
            r = leat(*args, "--brokers", f"127.0.0.1:{port}", stdin="{}\n", code=3)
            self.assertIn(f"cannot reach a Kafka broker at 127.0.0.1:{port}", r.err)
            self.assertIn("is the server running?", r.err)

    def test_http(self):
        port = free_port()
        r = leat("status", "--http", f"127.0.0.1:{port}", code=3)
        self.assertIn(f"nobody answers at http://127.0.0.1:{port}", r.err)


class JobFiles(unittest.TestCase):
    """A mistake in a job file is told with its line, by check as by run; the job does not run."""

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="leat-test-")

    def tearDown(self):
        self.folder.cleanup()

    def refused(self, message, text, job='job "bad" { version = 1 }\n'):
        path = os.path.join(self.folder.name, "bad.lua")
        Path(path).write_text(job + text)
        told = f"{path}:{message}" if message[0].isdigit() else message
        self.assertEqual(leat("check", path, code=1).err, f"leat check: {told}\n")
        data = os.path.join(self.folder.name, "data")
        r = leat("run", path, "--data", data, "--kafka-listen", "127.0.0.1:0", "--http-listen",
                 "127.0.0.1:0", "--until", "end", code=1, timeout=30)
        self.assertIn(told, r.err)

    def test_misspelt_word(self):
        self.refused("2: unknown name 'frm' (did you mean 'from'?)", 'frm "t" :to "u"')

    def test_misspelt_method(self):
        self.refused("2: a stream has no method 'wher' (did you mean 'where'?)",
                     'from "t" :wher "a > 1" :to "u"')

    def test_expression(self):
        self.refused("2: in where: expression \"temperature >\": unexpected 'end of expression' "
                     "near column 14", 'from "t" :where "temperature >" :to "u"')

    def test_column_of_an_action(self):
        self.refused("3: table o has no column idd",
                     'local o = table "o" [[ id text primary key ]]\n'
                     'from "t" :match "type" { A = o:put { idd = "id" } }')

    def test_column_of_into(self):
        self.refused("3: table o has no column idd",
                     'local o = table "o" [[ id text primary key ]]\n'
                     'from "t" :into(o, { idd = "id" })')

    def test_body_of_a_table(self):
        self.refused('2: table o: near "kee": syntax error',
                     'local o = table "o" [[ id text primary kee ]]\nfrom "t" :into(o, {id="id"})')

    def test_query(self):
        self.refused('4: query q: near "selec": syntax error',
                     'local o = table "o" [[ id text primary key ]]\n'
                     'from "t" :into(o, { id = "id" })\nquery "q" { sql = "selec 1" }')

    def test_query_that_writes(self):
        self.refused("4: query q: not authorized",
                     'local o = table "o" [[ id text primary key ]]\n'
                     'from "t" :into(o, { id = "id" })\nquery "q" { sql = "delete from o" }')

    def test_lua_syntax(self):
        self.refused("2: '}' expected (to close '{' at line 1) near 'from'",
                     'from "t" :to "u"', 'job "bad" { version = 1\n')

    def test_memory_of_its_own(self):
        self.refused("3: 'n' is changed here but is lost on restart: keep it in a table of the job",
                     'local n = 0\nfrom "t" :map(function(v) n = n + 1 return v end) :to "u"')

    def test_topic_that_is_read_twice(self):
        self.refused('3: from "t" stands on line 2 already: keep that stream in a local and use it '
                     'twice', 'from "t" :to "u"\nfrom "t" :where "n > 1" :to "v"')

    def test_file_that_is_not_there(self):
        r = leat("check", "/nowhere/job.lua", code=1)
        self.assertIn("cannot open /nowhere/job.lua: No such file or directory", r.err)

    def test_check_counts_what_there_is(self):
        self.assertEqual(leat("check", SHOP).out, f"{SHOP}: job shop version 1: 5 operators, "
                         "1 tables, 3 queries: ok\n")
        self.assertEqual(json.loads(leat("check", SHOP, "--json").out)["job"], "shop")

    def test_explain_draws_the_operators(self):
        out = leat("explain", SHOP).out
        for line in ("from in ", "into orders", "where n > 5", "select id n", "to big",
                     "no Lua runs per record"):
            self.assertIn(line, out)


class JobTests(unittest.TestCase):
    def test_pass(self):
        self.assertIn("1 test   1 passed", leat("test", SHOP).out)

    def test_fail_with_line_and_difference(self):
        with tempfile.NamedTemporaryFile("w", suffix=".lua") as f:
            f.write(Path(SHOP).read_text().replace("n = 6 } })", "n = 7 } })"))
            f.flush()
            out = leat("test", f.name, code=1).out
            self.assertIn("1 FAILED", out)
            self.assertRegex(out, r"a large order is announced\n +\S+\.lua:\d+: ")
            told = json.loads(leat("test", f.name, "--json", code=1).out)
            self.assertEqual((told["passed"], told["test"]), (False, "a large order is announced"))

    def test_of_a_job_that_does_not_load(self):
        with tempfile.NamedTemporaryFile("w", suffix=".lua") as f:
            f.write("frm()")
            f.flush()
            self.assertIn("unknown name 'frm'", leat("test", f.name, code=1).err)

    def test_only_some(self):
        leat("test", SHOP, "-k", "large")
        self.assertIn("no test ran; is -k right?", leat("test", SHOP, "-k", "nope", code=1).err)

    def test_of_every_example_passes(self):
        jobs = sorted((Path(__file__).resolve().parents[2] / "examples").glob("*/*.lua"))
        self.assertGreater(len(jobs), 3)
        for job in jobs:
            self.assertRegex(leat("test", job).out, r"\n[1-9]\d* passed, 0 failed\n$")
            leat("check", job)


if __name__ == "__main__":
    main()
