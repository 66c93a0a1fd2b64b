#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""examples/demo, and its figures computed again from the readings without leat."""
import csv
import os
import subprocess
import sys
import tempfile
import unittest
from collections import defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.support.server import ROOT, binary, main  # noqa: E402


def expected():
    """Per station: days, readings, low, mean, high; and how many hot days and frosty hours."""
    by_station, by_day, frost = defaultdict(list), defaultdict(list), 0
    last = ""
    with open(ROOT / "examples/weather/readings.csv", encoding="utf-8") as f:
        for r in csv.DictReader(f):
            last = max(last, r["time"][:10])
            by_day[r["station"], r["time"][:10]] += [float(r["temp"])] if r["temp"] else []
            by_station[r["station"]] += [float(r["temp"])] if r["temp"] else []
            frost += bool(r["temp"]) and float(r["temp"]) < 38
    rows = {}
    for station, temps in by_station.items():
        days = sum(1 for s, _ in by_day if s == station)
        mean = round(sum(temps) / len(temps), 3)
        rows[station] = [days, len(temps), min(temps), mean, max(temps)]
    # the last day is not over: nothing came after it
    hot = sum(1 for (_, day), temps in by_day.items() if day < last and temps and max(temps) >= 75)
    return rows, hot, frost


class Demo(unittest.TestCase):
    def test_its_figures_are_those_of_the_readings(self):
        with tempfile.TemporaryDirectory(prefix="leat-demo-") as folder:
            done = subprocess.run(
                [str(ROOT / "examples/demo"), folder], capture_output=True, text=True, timeout=250,
                env={**os.environ, "LEAT": binary(), "RATE": "20000"})
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        rows, hot, frost = expected()
        for station, figures in rows.items():
            line = next(x for x in done.stdout.splitlines() if x.split()[:1] == [station])
            self.assertEqual([float(x) for x in line.split()[1:]], figures, line)
        self.assertIn(f"{hot} hot days, {frost} frosty hours", done.stdout)
        self.assertEqual(done.stderr, "")


if __name__ == "__main__":
    main()
