#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""`leat test` as a job's author and a CI server use it."""
import json
import os
import re
import select
import subprocess
import sys
import tempfile
import time
import unittest
import xml.etree.ElementTree as ET
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.support.server import binary, leat, main  # noqa: E402

JOB = """job "prices" { version = 1 }
local money = require "money"
local prices = table "prices" [[ sku text primary key, cents integer not null ]]
from "prices" :map(function(v) return { sku = v.sku, cents = money.cents(v.price) } end)
  :into(prices)
"""
MONEY = "return { cents = function(x) return x * 100 end }\n"
TESTS = """local money = require "money"
test("a price in cents", function(t)
  t:send("prices", { sku = "a", price = 3 })
  t:rows("select cents from prices", { { cents = money.cents(3) } })
end)
test("the <last> & only \\"price\\"", function(t)
  t:send("prices", { sku = "a", price = 3 })
  t:send("prices", { sku = "a", price = 5 })
  t:rows("select * from prices", { { sku = "a", cents = WANTED } })
end)
"""
ARRIVAL = """
test("the price that came last", function(t)
  t:send("prices", { sku = "a", price = 3 })
  t:send("prices", { sku = "a", price = 5 }, { partition = 1 })
  t:rows("select cents from prices", { { cents = 500 } })
end)
"""


class Project(unittest.TestCase):
    """A folder with jobs/, tests/ and lib/."""

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.root = Path(self.folder.name)
        self.write("jobs/prices.lua", JOB)
        self.write("lib/money.lua", MONEY)
        self.write("tests/prices_test.lua", TESTS.replace("WANTED", "500"))

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    def run_tests(self, *args, code=0):
        return leat("test", *args, cwd=self.root, code=code)


class Files(Project):
    def test_a_file_of_tests_finds_its_job(self):
        out = self.run_tests("tests/prices_test.lua").out
        self.assertIn("tests/prices_test.lua   2 tests   2 passed", out)

    def test_from_any_folder(self):
        leat("test", "prices_test.lua", cwd=self.root / "tests")
        leat("test", str(self.root / "tests/prices_test.lua"))

    def test_without_arguments_all_are_run(self):
        out = self.run_tests().out
        self.assertIn("jobs/prices.lua   0 tests", out)
        self.assertIn("tests/prices_test.lua   2 tests   2 passed", out)

    def test_a_job_that_is_elsewhere_is_named(self):
        (self.root / "jobs/prices.lua").rename(self.root / "jobs/old.lua")
        err = self.run_tests("tests/prices_test.lua", code=1).err
        self.assertIn("no jobs/prices.lua, tests/prices.lua or prices.lua. Name it with --job", err)
        self.run_tests("tests/prices_test.lua", "--job", "jobs/old.lua")

    def test_nothing_there(self):
        with tempfile.TemporaryDirectory() as empty:
            err = leat("test", cwd=empty, code=1).err
        self.assertIn("there is no jobs/*.lua and no tests/*_test.lua here", err)

    def test_a_file_of_tests_declares_no_job(self):
        self.write("tests/prices_test.lua", 'job "x" {}\n' + TESTS)
        err = self.run_tests("tests/prices_test.lua", code=1).err
        self.assertIn("tests/prices_test.lua:1: a file of tests holds nothing else: its job is "
                      "jobs/prices.lua", err)

    def test_failures_stand_at_the_line_of_the_test(self):
        self.write("tests/prices_test.lua", TESTS.replace("WANTED", "501"))
        out = self.run_tests("tests/prices_test.lua", code=1).out
        self.assertIn("tests/prices_test.lua:9: rows: expected 1, got 1: 1 differs", out)
        self.assertIn("cents: want 501, got 500", out)


    def test_topics_that_are_not_the_jobs(self):
        """A slip in a name would make a test pass that looks for what must not happen."""
        self.write("tests/prices_test.lua",
                   'test("a", function(t)\n  t:send("pricse", { sku = "a" })\n  t:parked {}\nend)\n'
                   'test("b", function(t)\n  t:expect("alarms", {})\nend)\n')
        out = self.run_tests("tests/prices_test.lua", code=1).out
        self.assertIn('tests/prices_test.lua:2: t:send: the job does not read "pricse" '
                      "(did you mean 'prices'?)", out)
        self.assertIn('tests/prices_test.lua:6: t:expect: the job does not publish to "alarms"',
                      out)


class Choosing(Project):
    def test_by_name(self):
        out = self.run_tests("tests/prices_test.lua", "-k", "cents").out
        self.assertIn("1 test   1 passed", out)
        err = self.run_tests("tests/prices_test.lua", "-k", "nothing", code=1).err
        self.assertIn("no test ran; is -k right?", err)

    def test_wrong_usage(self):
        self.assertIn("--variation wants split:N, crash:N or order:N",
                      self.run_tests("tests/prices_test.lua", "--variation", "crash", code=2).err)
        self.assertIn("name them", self.run_tests("--job", "jobs/prices.lua", code=2).err)


class Chaos(Project):
    def test_what_fails_in_a_variation_can_be_done_again(self):
        self.write("tests/prices_test.lua", TESTS.replace("WANTED", "500") + ARRIVAL)
        self.run_tests("tests/prices_test.lua")
        out = self.run_tests("tests/prices_test.lua", "--chaos", code=1).out
        self.assertIn("3 tests   2 passed   1 FAILED in a variation   + ", out)
        self.assertIn('partition order: "cents" of table "prices" depends on the arrival order of '
                      "prices/0 and prices/1 (prices/1@0 before prices/0@0)   (jobs/prices.lua:5)",
                      out)
        again = re.search(r'again with  leat test (\S+) -k "(.*)" --variation (\S+)', out)
        out = self.run_tests(again[1], "-k", again[2], "--variation", again[3], code=1).out
        self.assertIn("+ 1 variations (batch splits 0, crashes 0, partition orders 1)", out)
        self.assertIn("(prices/1@0 before prices/0@0)", out)


class Reports(Project):
    def setUp(self):
        super().setUp()
        self.write("tests/prices_test.lua", TESTS.replace("WANTED", "501"))

    def test_json_has_a_line_for_each_test(self):
        out = self.run_tests("tests/prices_test.lua", "--json", "--chaos", code=1).out
        lines = [json.loads(line) for line in out.splitlines()]
        self.assertEqual([x["passed"] for x in lines], [True, False])
        self.assertEqual(lines[0]["job"], "jobs/prices.lua")
        self.assertEqual(lines[0]["file"], "tests/prices_test.lua")
        self.assertGreater(lines[0]["variations"]["crash"]["run"], 0)
        self.assertIn("want 501, got 500", lines[1]["message"])
        self.assertEqual(lines[1]["line"], 6)

    def test_junit(self):
        self.write("jobs/broken.lua", "job 'x")
        self.run_tests("--junit", "report.xml", code=1)
        suites = ET.parse(self.root / "report.xml").getroot()
        self.assertEqual(suites.tag, "testsuites")
        self.assertEqual([suites.get(k) for k in ("tests", "failures", "errors")], ["3", "1", "1"])
        broken, job, tests = suites.findall("testsuite")
        self.assertEqual(broken.get("name"), "jobs/broken.lua")
        self.assertIn("jobs/broken.lua:1:", broken.find("testcase/error").get("message"))
        self.assertEqual(len(job.findall("testcase")), 0)
        good, bad = tests.findall("testcase")
        self.assertEqual(good.get("name"), "a price in cents")
        self.assertIsNone(good.find("failure"))
        self.assertEqual(bad.get("name"), 'the <last> & only "price"')
        self.assertEqual(bad.get("classname"), "tests/prices_test.lua")
        self.assertEqual(bad.get("line"), "6")
        self.assertEqual(bad.find("failure").get("message"),
                         "tests/prices_test.lua:9: rows: expected 1, got 1: 1 differs")
        self.assertIn('want  {"cents":501,"sku":"a"}', bad.find("failure").text)
        self.assertGreater(float(suites.get("time")), 0)

    def test_junit_of_texts_that_xml_has_no_place_for(self):
        self.write("tests/prices_test.lua", 'test("bell \\7, \\239\\191\\191", '
                   'function(t) error("no") end)')
        self.run_tests("--junit", "report.xml", code=1)
        case = ET.parse(self.root / "report.xml").getroot().find(".//testcase")
        self.assertEqual(case.get("name"), "bell \ufffd, \ufffd")

    def test_junit_that_cannot_be_written(self):
        self.write("tests/prices_test.lua", TESTS.replace("WANTED", "500"))
        err = self.run_tests("--junit", "nowhere/report.xml", code=1).err
        self.assertIn("cannot write nowhere/report.xml", err)


class Watching(Project):
    def until(self, wanted):
        """Reads what the command says until a line is wanted; a deadline ends it."""
        deadline = time.monotonic() + 60
        while not any(re.search(wanted, line) for line in self.said.split("\n")[:-1]):
            left = deadline - time.monotonic()
            self.assertTrue(left > 0 and select.select([self.out], [], [], left)[0], self.said)
            self.said += os.read(self.out, 65536).decode()
        self.said = ""

    def test_runs_again_when_a_module_is_saved(self):
        process = subprocess.Popen([binary(), "test", "--watch"], cwd=self.root,
                                   stdout=subprocess.PIPE)
        self.addCleanup(process.wait)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.kill)
        self.out, self.said = process.stdout.fileno(), ""
        self.until(r"^2 passed, 0 failed")
        self.write("lib/money.lua", "return { cents = function(x) return x * 10 end }\n")
        self.until(r"^1 passed, 1 failed")
        self.write("lib/money.lua", MONEY)
        self.until(r"^2 passed, 0 failed")


if __name__ == "__main__":
    main()
