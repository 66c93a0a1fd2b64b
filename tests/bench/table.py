# SPDX-License-Identifier: Apache-2.0
"""The table of a benchmark: rows with medians, spread and pairwise ratios, gates, commands."""
import datetime
import json
import os
import platform
import re
import shutil
import statistics
import subprocess

from servers import ROOT

ROW_FORMAT = "%-58s %-9s %-26s %-26s %-18s %s"


class Table:
    def __init__(self, directory, against):
        self.dir, self.rows, self.commands = directory, [], []
        os.makedirs(self.dir, exist_ok=True)
        m = self.machine = machine()
        print("%(date)s  commit %(commit)s  %(cpu)s, %(cores)s cores, %(memory_gib)s GiB, "
              "Linux %(kernel)s, load %(load)s" % m)
        print(against + "\n")
        print(ROW_FORMAT % ("what", "unit", "leat", "the other", "leat / other", ""))

    def saw(self, command):
        line = " ".join(str(c) for c in command).replace(self.dir, "DIR").replace(ROOT + "/", "")
        if "kprobe" in line or "coldstart" in line:
            line = re.sub(r"\b\d{5}\b", "PORT", line)
        if line not in self.commands:
            self.commands.append(line)

    def fresh(self, name):
        path = os.path.join(self.dir, name)
        shutil.rmtree(path, ignore_errors=True)
        os.makedirs(path)
        return path

    def numbers(self, command):
        """Runs a program that prints lines of a name and a number."""
        out = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True, timeout=600)
        return {k: float(v) for k, v in (line.split() for line in out.stdout.splitlines())}

    def row(self, name, unit, ours, other=None, less=False, gate=None, gate_on="ratio", note=""):
        """`ours` and `other` are paired runs. The gate is on the ratio, or on what leat does."""
        r = {"name": name, "unit": unit, "leat": spread(ours), "note": note, "gate": gate}
        held = statistics.median(ours)
        if other:
            r["other"] = spread(other)
            r["ratio"] = spread([a / b for a, b in zip(ours, other)])
            if gate_on == "ratio":
                held = r["ratio"]["median"]
        if gate is not None:
            r["held"] = held <= gate if less else held >= gate
        self.rows.append(r)
        print(line_of(r), flush=True)

    def finish(self, file):
        """Commands and verdict; everything measured goes into build/. 1 when a gate is missed."""
        print("\nCommands, DIR = %s:" % self.dir)
        for line in self.commands:
            print("  " + line)
        with open(os.path.join(ROOT, "build", file), "w") as f:
            json.dump({"machine": self.machine, "rows": self.rows, "commands": self.commands}, f,
                      indent=1)
        missed = [r["name"] for r in self.rows if r.get("held") is False]
        print("\nwritten to build/%s; " % file +
              ("every gate holds" if not missed else "MISSED: " + ", ".join(missed)))
        return 1 if missed else 0


def spread(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values),
            "runs": values}


def figure(v):
    if v >= 1e6:
        return f"{v / 1e6:.2f} M"
    if v >= 10_000:
        return f"{v / 1e3:.0f} k"
    return f"{v:.0f}" if v >= 100 else f"{v:.2g}" if v < 1 else f"{v:.1f}"


def spread_text(s):
    if len(s["runs"]) == 1:
        return figure(s["median"])
    return "%s (%s-%s)" % tuple(figure(s[k]) for k in ("median", "min", "max"))


def line_of(r):
    other = spread_text(r["other"]) if "other" in r else ""
    ratio = "%.2f (%.2f-%.2f)" % tuple(r["ratio"][k] for k in ("median", "min", "max")) \
        if "ratio" in r else ""
    verdict = "" if "held" not in r else \
        ("holds %s" if r["held"] else "MISSES %s") % figure(r["gate"])
    return ROW_FORMAT % (r["name"], r["unit"], spread_text(r["leat"]), other, ratio,
                         "; ".join(x for x in (verdict, r["note"]) if x))


def machine():
    model = "?"
    with open("/proc/cpuinfo") as f:
        for line in f:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
    mem = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    commit = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"],
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return {"cpu": model, "cores": os.cpu_count(), "memory_gib": round(mem, 1),
            "kernel": platform.release(), "load": list(os.getloadavg()),
            "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            "commit": commit.stdout.strip()}
