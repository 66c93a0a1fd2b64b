#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What `leat explain` and `leat check` say of whole jobs.

`python3 tests/e2e/explain.py --update` writes the trees down as they are now: look at the diff.
"""
import json
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.support.server import ROOT, leat, main  # noqa: E402

GOLDEN = ROOT / "tests/golden/explain"
WEATHER = ROOT / "examples/weather/job.lua"
READINGS = ROOT / "examples/weather/readings.csv"


def jobs():
    """The examples, and jobs with every kind of stream, by the name of their tree."""
    found = [*sorted((ROOT / "examples").glob("*/job.lua")),
             *(ROOT / f"tests/jobs/{name}.lua" for name in ("changes", "dedupe", "streams"))]
    return {"_".join(p.relative_to(ROOT).with_suffix("").parts): p for p in found}


def tree(path):
    return leat("explain", path).out


class Trees(unittest.TestCase):
    def test_trees_are_as_written_down(self):
        """The tree, its marks and its words, of each job that has one in tests/golden/explain."""
        self.maxDiff = None
        written = sorted(GOLDEN.glob("*.txt"))
        self.assertGreater(len(written), 5)
        for path in written:
            with self.subTest(path.stem):
                self.assertEqual(tree(jobs()[path.stem]), path.read_text())


class Cost(unittest.TestCase):
    def sample(self, text):
        f = tempfile.NamedTemporaryFile("w", suffix=".jsonl")
        self.addCleanup(f.close)
        f.write(text)
        f.flush()
        return f.name

    def test_records_and_time_of_each_operator(self):
        """As many records as reach it: all behind the source, a part behind a condition."""
        out = json.loads(leat("explain", WEATHER, "--cost", READINGS, "--json").out)
        cost, nodes = out["cost"], out["nodes"]
        n = len(READINGS.read_text().splitlines()) - 1
        self.assertEqual((cost["records"], cost["parked"]), (n, 0))
        by_kind = {}
        for c in cost["nodes"]:
            by_kind.setdefault(nodes[c["node"]]["kind"], []).append(c)
        self.assertEqual(by_kind["by"][0]["records"], n)
        self.assertEqual(by_kind["aggregate"][0]["records"], n)
        self.assertGreater(by_kind["aggregate"][0]["ns"], 0)
        self.assertLess(by_kind["select"][0]["records"], n)
        self.assertGreater(by_kind["select"][0]["records"], 0)

    def test_figures_stand_in_the_tree(self):
        out = leat("explain", WEATHER, "--cost", READINGS).out
        self.assertRegex(out, r"by station +native +\d+ ns\n")
        self.assertRegex(out, r"aggregate avg high low n +native +\d+ ns  state: 1 row per key")
        self.assertRegex(out, r"\n\d+ records, the least of \d+ runs; \d+ ns per record go into")
        self.assertNotIn("failed", out)

    def test_a_sample_that_does_not_fit_is_told(self):
        out = leat("explain", WEATHER, "--cost", self.sample('{"time":"never"}\n')).out
        self.assertIn("1 of them failed and were parked: is the sample the right one?", out)
        self.assertIn("the sample is small", out)
        path = self.sample('{"a":1}\nnope\n')
        self.assertIn(f"{path}:2:", leat("explain", WEATHER, "--cost", path, code=1).err)
        self.assertIn("there is no record in it",
                      leat("explain", WEATHER, "--cost", self.sample(""), code=1).err)
        self.assertIn("/nowhere", leat("explain", WEATHER, "--cost", "/nowhere", code=1).err)

    def test_which_topic(self):
        job = self.sample('job "two" {}\nfrom "a" :to "x"\nfrom "b" :where "n > 1" :to "x"\n')
        sample = self.sample('{"n":1}\n{"n":2}\n')
        r = leat("explain", job, "--cost", sample, code=2)
        self.assertIn("the job reads a, b: say with --topic of which of them the sample is", r.err)
        r = leat("explain", job, "--cost", sample, "--topic", "c", code=2)
        self.assertIn("the job does not read c; it reads a, b", r.err)
        out = leat("explain", job, "--cost", sample, "--topic", "b", "--json").out
        records = [c["records"] for c in json.loads(out)["cost"]["nodes"]]
        self.assertEqual(sorted(records), [0, 0, 0, 1, 2])


class Check(unittest.TestCase):
    def test_warnings_and_exit_codes(self):
        """Warnings do not fail, but with --strict; in JSON they are a member of the plan."""
        with tempfile.NamedTemporaryFile("w", suffix=".lua") as f:
            f.write('job "c" {}\nfrom "a" :by "k" :aggregate { n = count() } :into "counts"\n')
            f.flush()
            warning = f"{f.name}:2: in aggregate: without a window its state grows with the " \
                      "number of keys; a ttl forgets those that have gone quiet: " \
                      ":aggregate({...}, {ttl = \"30d\"})"
            out = leat("check", f.name).out
            self.assertIn(f"warning: {warning}\n", out)
            self.assertIn("ok, 1 warning\n", out)
            self.assertEqual(leat("check", f.name, "--strict", code=1).out, out)
            plan = json.loads(leat("check", f.name, "--json").out)
            self.assertEqual((plan["job"], plan["file"], plan["warnings"]),
                             ("c", f.name, [warning]))
        leat("check", WEATHER.parent.parent / "alerts/job.lua", "--strict")

    def test_what_operators_find_when_they_are_opened(self):
        with tempfile.NamedTemporaryFile("w", suffix=".lua") as f:
            f.write('job "c" {}\nlocal t = table "t" [[k text primary key]]\n'
                    'from "a" :by "k" :aggregate { n = count() } :into(t)\n')
            f.flush()
            self.assertIn("table t has no column n", leat("check", f.name, code=1).err)
        for columns, told in (("k = 'k', m = 'n'", "3: table t has no column m"),
                              ("k = 'k', twice = 'n'", "3: in into: column twice of table t is "
                                                       "computed: it cannot be written")):
            with self.subTest(told), tempfile.NamedTemporaryFile("w", suffix=".lua") as f:
                f.write('job "c" {}\nlocal t = table "t" [[k text primary key, n integer,'
                        ' twice integer as (n * 2)]]\nfrom "a" :into(t, { ' + columns + " })\n")
                f.flush()
                self.assertEqual(leat("check", f.name, code=1).err,
                                 f"leat check: {f.name}:{told}\n")

    def test_paths_of_queries(self):
        """A path that the server would refuse, or whose parameter nobody declared."""
        def query(name, path):
            return (f'query "{name}" {{ path = "{path}", params = {{ who = "text" }},'
                    ' sql = "select :who as who" }\n')

        for queries, told in (
                (query("a", "/metrics"), '3: query a: path "/metrics": /metrics is reserved'),
                (query("a", "/of/:whom"),
                 '3: query a: path "/of/:whom": :whom is not declared in params'),
                (query("a", "/of/:who") + query("b", "/of/ann"),
                 "4: query b: query a claims /of/ann too (line 3)"),
                (query("a", "/of/:who") + query("b", "/from/:who"), None)):
            with self.subTest(told), tempfile.NamedTemporaryFile("w", suffix=".lua") as f:
                f.write(f'job "c" {{}}\nfrom "a" :to "b"\n{queries}')
                f.flush()
                err = leat("check", f.name, code=1 if told else 0).err
                self.assertEqual(err, f"leat check: {f.name}:{told}\n" if told else "")


def update():
    GOLDEN.mkdir(parents=True, exist_ok=True)
    for name, path in jobs().items():
        (GOLDEN / f"{name}.txt").write_text(tree(path))


if __name__ == "__main__":
    if "--update" in sys.argv:
        update()
    else:
        main()
