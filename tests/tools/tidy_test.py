#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Each rule of tests/tools/tidy fires on a tiny tree that breaks it, and on nothing else.

A case is a good tree plus a few files; it names what the output must say. SPDX lines are added.
"""

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

TIDY = Path(__file__).with_name("tidy")
SPDX = "// SPDX-License-Identifier: Apache-2.0\n"
HEADERS = ["runtime/log/log.h", "runtime/engine/step.h", "runtime/engine/source.h",
           "runtime/io/fs.h", "runtime/io/loop.h", "runtime/record/batch.h",
           "runtime/broker/broker.h", "operators/map.h"]


def good_tree():
    """Headers of some layers, and runtime/app, which includes them all."""
    app = "".join(f'#include "{h}"\n' for h in HEADERS) + "#include <stdio.h>\n"
    tree = {h: "" for h in HEADERS}
    tree |= {"runtime/app/main.c": app, "runtime/app/CMakeLists.txt": "add_executable(x main.c)\n",
             "CMakeLists.txt": "# ${CMAKE_SOURCE_DIR}\n"}
    for folder in ("base", "log", "io", "wire", "kafka", "http", "record", "engine"):
        tree[f"runtime/{folder}/CMakeLists.txt"] = "add_library(y a.c)\n"
    tree["operators/CMakeLists.txt"] = "add_library(o a.c)\n"
    tree["tests/CMakeLists.txt"] = "add_library(t a.c)\n"
    return tree


def function(lines, signature="int f(void)"):
    return f"{signature}\n{{\n" + "    g();\n" * (lines - 3) + "}\n"


def run(tree, *options):
    with tempfile.TemporaryDirectory() as root:
        for path, text in tree.items():
            file = Path(root, path)
            file.parent.mkdir(parents=True, exist_ok=True)
            bare = path.endswith((".c", ".h")) and not text.startswith("//")
            file.write_text(SPDX + text if bare else text)
        done = subprocess.run([sys.executable, "-S", TIDY, "--root", root, *options],
                              capture_output=True, text=True, check=False)
        ratchet = Path(root, "tests/tools/tidy.ratchet")
        kept = ratchet.read_text() if ratchet.exists() else ""
        return done.returncode, done.stdout + done.stderr, kept


TO_DO = "TO" + "DO"
SWITCH = ("    switch (x) {\n" + "".join(f"    case {i}:\n        return {i};\n" for i in range(40))
          + "    }\n    return 0;\n")
LONG_CASE = "    switch (x) {\n    case 0:\n" + "        g();\n" * 80 + "    }\n    return 0;\n"

# name: (files added to the good tree, what the one finding must say; None: there must be none)
LOG, WIRE, TEST = "runtime/log/a.c", "runtime/wire/a.c", "tests/a.c"
MORE = function(9) * 20  # so that one long function does not make the p90

CASES = {
    "a layer includes what its row allows":
        ({LOG: '#include "runtime/record/batch.h"\n#include "runtime/io/fs.h"\n'}, None),
    "a layer includes another":
        ({WIRE: '#include "runtime/log/log.h"\n'},
         'a.c:2: runtime/wire includes "runtime/log/log.h": its row does not allow it'),
    "base includes a layer":
        ({"runtime/base/a.c": '#include "runtime/io/fs.h"\n'}, "runtime/base/a.c:2: "),
    "one header is allowed, its neighbour is not":
        ({LOG: '#include "runtime/io/loop.h"\n'}, '"runtime/io/loop.h"'),
    "a single header of the engine":
        ({"runtime/kafka/a.c": '#include "runtime/engine/source.h"\n'}, None),
    "another header of the engine":
        ({"runtime/kafka/a.c": '#include "runtime/engine/step.h"\n'}, '"runtime/engine/step.h"'),
    "the top layer is included":
        ({"runtime/engine/a.c": '#include "operators/map.h"\n'}, "only runtime/app includes"),
    "the top layer includes its neighbour":
        ({"operators/a.c": '#include "runtime/broker/broker.h"\n'}, "only runtime/app includes"),
    "an include in a comment is none":
        ({WIRE: 'int x; // #include "runtime/log/log.h"\n/*\n#include "no.h"\n*/\n'}, None),
    "a header that does not exist":
        ({LOG: '#include "log.h"\n'}, "is no file"),
    "a generated header":
        ({WIRE: '#include "runtime/wire/made.h"\n',
          "runtime/wire/CMakeLists.txt": "add_library(y a.c made.h)\n"}, None),
    "a folder without a row":
        ({"runtime/new/a.c": '#include "runtime/io/fs.h"\n',
          "runtime/new/CMakeLists.txt": "add_library(n a.c)\n"}, "without a row in LAYERS"),
    "tests include everything":
        ({TEST: '#include "runtime/log/log.h"\n#include <cmocka.h>\n#include <uv.h>\n'}, None),
    "its own header comes first":
        ({LOG: '#include <stdio.h>\n#include "runtime/log/a.h"\n',
          "runtime/log/a.h": ""}, "does not include its own header first"),
    "include cycle":
        ({"runtime/io/fs.h": '#include "runtime/io/loop.h"\n',
          "runtime/io/loop.h": '#include "runtime/io/fs.h"\n'}, "include cycle: "),
    "a library's header out of place":
        ({LOG: "#include <uv.h>\n"}, "libuv is for runtime/io and runtime/app only"),
    "a library's header in its place": ({"runtime/io/a.c": "#include <uv.h>\n"}, None),
    "a library's name out of place":
        ({LOG: "int x = sqlite3_step;\n"}, "uses sqlite3_step; SQLite is for"),
    "our own name that begins like a library's": ({LOG: "int ZSTD_SINCE;\n"}, None),
    "Lua's auxiliary names": ({LOG: "int x = luaL_error;\n"}, "uses luaL_error"),
    "a library's name in a string or comment":
        ({LOG: 'char *x = "uv_run"; // uv_run\n'}, None),
    "an unknown library":
        ({LOG: "#include <jansson.h>\n"}, "a library that tests/tools/tidy does not"),
    "system headers":
        ({LOG: "#include <sys/stat.h>\n#include <stdint.h>\n"}, None),
    "banned call": ({LOG: "int x = f(sprintf(b, c));\n"}, "calls sprintf; use snprintf"),
    "malloc": ({LOG: "void *p = malloc(3);\n"}, "calls malloc; use heap_*"),
    "the heap's seam":
        ({"runtime/base/heap.c": "void *p = malloc(3);\n",
          "runtime/base/CMakeLists.txt": "add_library(y heap.c)\n"}, None),
    "a member of that name": ({LOG: "int x = v->free(p) + v.free(p);\n"}, None),
    "malloc in a test": ({TEST: "void *p = malloc(3);\n"}, None),
    "SPDX": ({LOG: "// no licence\n"}, "first line is not // SPDX"),
    "a file in no target": ({"runtime/log/b.c": ""}, "is in no CMake target"),
    "a file in a target of another folder":
        ({"runtime/log/b.c": "",
          "CMakeLists.txt": "add_library(z ${CMAKE_SOURCE_DIR}/runtime/log/b.c)"},
         None),
    "a file that is only in a comment of CMake":
        ({"runtime/log/b.c": "", "runtime/log/CMakeLists.txt": "# b.c\n"}, "is in no CMake target"),
    "a header that nobody includes": ({"runtime/log/b.h": ""}, "is included by nobody"),
    "a word to be rid of": ({"README.md": "x\nFIX" + "ME y\n"}, "README.md:2: FIX" + "ME"),
    "a wish without a trigger": ({"README.md": TO_DO + ": write more\n"}, "without a trigger"),
    "a wish with a trigger": ({"README.md": TO_DO + " when compaction exists: more\n"}, None),
    "somebody's path": ({"README.md": "see /ho" + "me/me/x\n"}, "a path of somebody's machine"),
    "a path that only looks like it":
        ({"README.md": "see a/ho" + "me/x, https://x.y/ho" + "me/\n"}, None),
    "a long file": ({LOG: "int x;\n" * 800}, "file-lines 801: more than 800"),
    "the longest file": ({LOG: "int x;\n" * 799}, None),
    "a wide line": ({LOG: "int " + "x" * 97 + "\n"}, "runtime/log/a.c:2: wide-lines 1"),
    "the widest line": ({LOG: "int x; // " + "ä" * 90 + "\n"}, None),
    "a long function": ({LOG: function(71) + MORE}, "f has more than 70 lines"),
    "the longest function": ({LOG: function(70) + MORE}, None),
    "a long function of a test": ({TEST: function(120)}, None),
    "a longer function of a test": ({TEST: function(121)}, "f has more than 120 lines"),
    "too many long functions": ({LOG: function(51) * 5}, "50 at most"),
    "a table of contents":
        ({LOG: "int f(int x)\n{\n" + SWITCH + "}\n" + MORE}, None),
    "a switch with work in it":
        ({LOG: "int f(int x)\n{\n" + LONG_CASE + "}\n" + MORE},
         "f has more than 70 lines"),
    "six parameters":
        ({LOG: function(9, "int f(int a, int b, int c,\n      int d, int e, int (*g)(int, int))")},
         None),
    "seven parameters of a hook":
        ({LOG: function(9, "int f(int a, int b, int c, int d, int e, int g, int h)")
          + "struct ops ops = {.f = f};\n"}, None),
    "seven parameters":
        ({LOG: function(9, "int f(int a, int b, int c, int d, int e, int g, int h)")},
         "f takes more than 6 parameters"),
}


class Rules(unittest.TestCase):
    def test_good_tree_is_clean(self):
        code, out, _ = run(good_tree())
        self.assertEqual(code, 0, out)

    def test_each_rule(self):
        for name, (files, want) in CASES.items():
            with self.subTest(name):
                code, out, _ = run(good_tree() | files)
                self.assertEqual(code, 0 if want is None else 1, out)
                self.assertIn("; 0 findings" if want is None else want, out)
                self.assertIn("; 0 findings" if want is None else "; 1 findings", out)

    def ratchet(self, lines, entry, *options):
        tree = good_tree() | {LOG: function(lines) + MORE,
                              "tests/tools/tidy.ratchet": f"# known\n{entry}\n"}
        return run(tree, *options)

    def test_ratchet_tolerates_what_it_says(self):
        code, out, _ = self.ratchet(90, "90 function-lines runtime/log/a.c:f")
        self.assertEqual(code, 0, out)

    def test_ratchet_does_not_grow(self):
        code, out, _ = self.ratchet(91, "90 function-lines runtime/log/a.c:f")
        self.assertEqual(code, 1)
        self.assertIn("function-lines grew to 91 (tolerated: 90)", out)

    def test_ratchet_must_follow_down(self):
        for lines, present in ((80, 80), (20, 0)):
            code, out, _ = self.ratchet(lines, "90 function-lines runtime/log/a.c:f")
            self.assertEqual(code, 1)
            self.assertIn(f"has function-lines {present} now, not 90", out)

    def test_ratchet_is_updated_downwards_only(self):
        for lines, code_want, text in ((80, 0, "# known\n80 function-lines runtime/log/a.c:f\n"),
                                       (20, 0, "# known\n"),
                                       (95, 1, "# known\n90 function-lines runtime/log/a.c:f\n")):
            entry = "90 function-lines runtime/log/a.c:f"
            code, out, ratchet = self.ratchet(lines, entry, "--update")
            self.assertEqual((code, ratchet), (code_want, text), out)

    def test_ratchet_line_is_malformed(self):
        code, out, _ = self.ratchet(20, "some words")
        self.assertEqual(code, 1)
        self.assertIn("is not `number rule path`", out)


if __name__ == "__main__":
    unittest.main()
