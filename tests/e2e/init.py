#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""`leat init`: a project that works as made, and words for editors that are all the words."""
import json
import os
import re
import shutil
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.support.server import ROOT, Server, leat, main  # noqa: E402

FILES = ["jobs/pageviews.lua", "leat.lua", "README.md", ".luarc.json", ".leat/words.lua",
         ".gitignore"]


class Init(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="leat-test-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.project = os.path.join(self.folder, "new/shop")

    def test_the_project_passes_its_test_and_check(self):
        out = leat("init", self.project).out
        for name in FILES:
            self.assertTrue(os.path.isfile(os.path.join(self.project, name)), name)
            self.assertIn(os.path.join(self.project, name), out)
        self.assertIn("1 passed, 0 failed",
                      leat("test", "jobs/pageviews.lua", cwd=self.project).out)
        leat("check", "--strict", "jobs/pageviews.lua", cwd=self.project)
        json.loads(Path(self.project, ".luarc.json").read_text())

    def test_its_server_runs_and_answers(self):
        """leat.lua is good, and what the README says works."""
        leat("init", self.project)
        data = os.path.join(self.project, "data")
        with Server(os.path.join(self.project, "leat.lua"), data=data) as server:
            position = server.produce("pageviews", {"page": "/", "visitor": "ann",
                                                    "at": "2026-01-01T12:00:10Z"})
            out = server.leat("query", "pageviews", "page", "-p", "page=/", "--min-position",
                              position, "--json").out
            self.assertEqual(json.loads(out)[0]["n"], 1)
            self.assertEqual(len(server.get("/q/pageviews/page?page=/").json), 1)

    def test_nothing_is_written_over(self):
        """Either all is made or nothing; what a folder may have already is kept."""
        os.makedirs(self.project)
        Path(self.project, "README.md").write_text("mine\n")
        made = json.loads(leat("init", "--json", cwd=self.project).out)
        self.assertEqual(made, {"folder": ".", "files": FILES})
        self.assertEqual(Path(self.project, "README.md").read_text(), "mine\n")
        Path(self.project, "leat.lua").unlink()
        r = leat("init", ".", cwd=self.project, code=1)
        self.assertIn("jobs/pageviews.lua is there already; nothing was written", r.err)
        self.assertFalse(Path(self.project, "leat.lua").exists())

    def test_a_folder_that_cannot_be_made(self):
        Path(self.folder, "file").write_text("")
        self.assertIn("/file", leat("init", os.path.join(self.folder, "file", "x"), code=1).err)


class Words(unittest.TestCase):
    """Every word, method, option and field that the program knows stands in words.lua."""

    words = (ROOT / "runtime/app/project/words.lua").read_text()
    prelude = "".join((ROOT / "scripts/lua" / n).read_text()
                      for n in ("prelude.lua", "streams.lua", "declare.lua"))

    def names_in(self, pattern, text):
        found = set(re.findall(pattern, text, re.M))
        self.assertGreater(len(found), 0, pattern)
        return found

    def check(self, names, form):
        missing = [n for n in sorted(names) if not re.search(form % re.escape(n), self.words, re.M)]
        self.assertEqual(missing, [], form)

    def test_words(self):
        names = self.names_in(r"^function words\.(\w+)", self.prelude)
        names |= self.names_in(r"^words\.(\w+) = agg", self.prelude)
        listed = re.search(r"for _, kind in ipairs \{([^}]*)\} do\s+words\[kind\]", self.prelude)
        names |= set(re.findall(r'"(\w+)"', listed.group(1)))
        self.assertIn("quantile", names)
        self.check(names, r"^function %s\(")
        self.check({"from", "null"}, r"^%s = ")

    def test_methods(self):
        for handle, kind in (("S", "Stream"), ("W", "Window"), ("A", "Aggregated")):
            names = self.names_in(rf"^function {handle}\.(\w+)", self.prelude)
            if kind != "Stream":
                names -= {"changes"} if kind == "Window" else set()
            else:
                names -= {"changes"}  # says that it is for tables
            self.check(names, rf"^function {kind}:%s\(")
        self.check({"into", "to", "name"}, r"^function Stream:%s\(")
        self.check(self.names_in(r"^  (\w+) = action", self.prelude) | {"changes"},
                   r"^function Table:%s\(")

    def test_options(self):
        """Of every word that takes a table of options."""
        given = re.findall(r"options\(line, \"\w+\", \w+, \{(.*?)\}\)", self.prelude, re.S)
        given += re.findall(r"^local \w+_options = \{(.*?)\}", self.prelude, re.S | re.M)
        names = {n for text in given for n in re.findall(r"(\w+) = \"", text)}
        self.assertIn("disorder", names)
        self.check(names, r"\b%s\??[: ]")

    def test_context_and_tests(self):
        context = (ROOT / "scripts/host/context.c").read_text()
        fields = self.names_in(r'^    \{"(\w+)", CTX_', context)
        self.check(fields, r"(@field |Ctx:)%s\b")
        verbs = self.names_in(r'\{"(\w+)", verb_', context)
        self.check(verbs, r"^function DbTable:%s\(")
        tests = "".join((ROOT / "scripts/host" / n).read_text()
                        for n in ("test_words.c", "test_expect.c"))
        self.check(self.names_in(r'\{"(\w+)", test_', tests), r"^function Test:%s\(")


if __name__ == "__main__":
    main()
