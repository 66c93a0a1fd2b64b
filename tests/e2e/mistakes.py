#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""examples/mistakes/README.md prints what leat prints, to the letter.

    mistakes.py [--update]

Each section of the page is a job with a mistake, a command with what it answers, and the job as it
should be. The test writes the first to job.lua, runs the command there and compares; the second
must pass the same command. --update writes what leat answers into the page.
"""
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.support.server import ROOT, binary, main  # noqa: E402

PAGE = ROOT / "examples/mistakes/README.md"
SECTION = re.compile(r"(?ms)^## (.+?)\n(.*?)(?=^## |\Z)")
BLOCK = re.compile(r"(?ms)^```(lua|text)\n(.*?)^```\n")


def sections():
    for name, body in SECTION.findall(PAGE.read_text()):
        yield name, [text for _, text in BLOCK.findall(body)]


def answer(job, command):
    """What the command says about the job, as a terminal shows it, and its exit code."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "job.lua").write_text(job)
        done = subprocess.run([binary(), *command.split()[1:]], cwd=folder, text=True, timeout=60,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return done.stdout.strip("\n") + "\n", done.returncode


def command_of(shown):
    return shown.splitlines()[0].removeprefix("$ ")


class Mistakes(unittest.TestCase):
    def test_each_mistake_is_answered_as_the_page_says(self):
        self.assertGreaterEqual(len(list(sections())), 10)
        for name, (wrong, shown, _) in sections():
            with self.subTest(name):
                text, code = answer(wrong, command_of(shown))
                self.assertEqual(shown.split("\n", 1)[1], text)
                self.assertEqual(code, 1)

    def test_what_the_page_advises_works(self):
        for name, (_, shown, right) in sections():
            with self.subTest(name):
                text, code = answer(right, command_of(shown))
                self.assertEqual(code, 0, text)


def update():
    page = PAGE.read_text()
    for _, (wrong, shown, _) in sections():
        command = command_of(shown)
        page = page.replace(f"```lua\n{wrong}```\n```text\n{shown}```",
                            f"```lua\n{wrong}```\n```text\n$ {command}\n"
                            f"{answer(wrong, command)[0]}```")
    PAGE.write_text(page)


if __name__ == "__main__":
    if "--update" in sys.argv:
        update()
    else:
        main()
