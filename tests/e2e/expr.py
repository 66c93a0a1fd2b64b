#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""leat expr: an expression over sample records, one JSON value a line."""
import json
import os
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.support.server import leat, main  # noqa: E402

BOILERS = ('{"bar":9.5,"at":{"hall":"north"},"n":2}\n'
           '{"bar":7}\n')
MIXED = ('{"bar":9.5}\n'
         '{"bar":"high"}\n'
         '\n'
         '{"bar":\n'
         '{"other":1}\n'
         '[1]\n')


def rows(text):
    return [json.loads(line) for line in text.splitlines()]


class Values(unittest.TestCase):
    def test_one_line_for_each_record_of_standard_input(self):
        r = leat("expr", "bar > 8.5", stdin=BOILERS)
        self.assertEqual((r.out, r.err), ("true\nfalse\n", ""))

    def test_a_last_line_without_its_end_and_lines_that_end_as_on_windows(self):
        self.assertEqual(leat("expr", "a", stdin='{"a":1}\r\n{"a":2}').out, "1\n2\n")

    def test_a_file_instead_of_standard_input(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "sample.jsonl")
            Path(path).write_text(BOILERS)
            self.assertEqual(leat("expr", "bar + 1", path, stdin="").out, "10.5\n8\n")

    def test_json_says_of_which_line_a_value_is(self):
        r = leat("expr", "at.hall", "--json", stdin=BOILERS)
        self.assertEqual(rows(r.out), [{"line": 1, "value": "north"}, {"line": 2, "value": None}])

    def test_a_constant_needs_no_records(self):
        self.assertEqual(leat("expr", "dec'0.1' + dec'0.2'").out, '"0.3"\n')
        self.assertEqual(leat("expr", "nil").out, "nil\n")

    def test_a_record_longer_than_what_is_read_at_once(self):
        long = json.dumps({"a": "x" * 200000})
        self.assertEqual(leat("expr", "#a", stdin=f"{long}\n{long}\n").out, "200000\n200000\n")


class Errors(unittest.TestCase):
    def test_of_a_record_name_its_line_and_the_others_go_on(self):
        r = leat("expr", "bar > 8.5", stdin=MIXED, code=1)
        self.assertEqual(r.out, "true\nnil\n")
        self.assertEqual(r.err, """\
line 2: type: bar > 8.5: cannot compare text with number
line 4: decode: invalid JSON: it ends after byte 7: expected a value
line 6: type: bar: array has no field bar
""")

    def test_as_json_stand_among_the_values(self):
        r = leat("expr", "bar > 8.5", "--json", stdin=MIXED, code=1)
        self.assertEqual([(x["line"], x.get("class"), x.get("value")) for x in rows(r.out)],
                         [(1, None, True), (2, "type", None), (4, "decode", None), (5, None, None),
                          (6, "type", None)])
        self.assertEqual(r.err, "")

    def test_of_the_expression_name_the_column_and_are_wrong_usage(self):
        for text, said in (("bar >", "unexpected 'end of expression' near column 6"),
                           ("bar + ) 1", "near column 7"),
                           ("rond(bar)", "near column 1 (did you mean 'round'?)"),
                           ("", "near column 1")):
            r = leat("expr", text, stdin=BOILERS, code=2)
            self.assertIn(f'leat expr: expression "{text}": ', r.err)
            self.assertIn(said, r.err)
            self.assertEqual(r.out, "")
        self.assertIn("near column 6",
                      json.loads(leat("expr", "bar >", "--json", code=2).err)["error"])

    def test_of_usage_and_of_the_file(self):
        self.assertIn("it wants EXPR [FILE]", leat("expr", code=2).err)
        self.assertIn("cannot open /nowhere/x: ", leat("expr", "a", "/nowhere/x", code=1).err)
        self.assertIn("cannot read the records: ", leat("expr", "a", "/", code=1).err)


class MissingFields(unittest.TestCase):
    """nil is no error, so a misspelt field would pass for a condition that is never true."""

    def test_one_that_no_record_has_is_named_with_what_may_be_meant(self):
        r = leat("expr", "barr > 8.5 and at.hall ~= nil", stdin=BOILERS)
        self.assertEqual(r.out, "nil\nnil\n")
        self.assertEqual(r.err, "leat expr: no record has a field 'barr' (did you mean 'bar'?)\n")

    def test_one_that_some_record_has_is_not(self):
        self.assertEqual(leat("expr", "at.hall == 'north' or n", stdin=BOILERS).err, "")

    def test_one_that_resembles_nothing_is_named_alone(self):
        self.assertEqual(leat("expr", "pressure", "--json", stdin=BOILERS).err,
                         "leat expr: no record has a field 'pressure'\n")

    def test_without_records_nothing_is_said(self):
        r = leat("expr", "barr", stdin="")
        self.assertEqual((r.out, r.err), ("", ""))


if __name__ == "__main__":
    main()
