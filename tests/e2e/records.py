#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Records in and out by hand: produce, consume, topics."""
import json
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.support.server import ServerTest, main  # noqa: E402


class Records(ServerTest):
    def setUp(self):
        self.topic = self.id().rsplit(".", 1)[1]
        self.server.leat("topics", "create", self.topic)

    def send(self, text, *args, code=0):
        return self.server.leat("produce", self.topic, *args, stdin=text, code=code)

    def read(self, *args):
        return self.server.leat("consume", self.topic, *args).out

    def values(self, *args):
        return [json.loads(line) for line in self.read(*args).splitlines()]

    def keys(self):
        return [json.loads(line)["key"] for line in self.read("--json").splitlines()]

    def refused(self, message, name, text, *args):
        """Nothing of the file is sent."""
        path = self.server.file(name, text)
        r = self.server.leat("produce", self.topic, path, *args, code=1)
        self.assertEqual(r.err, f"leat produce: {path}:{message}; nothing was sent: mend it and "
                                "run the command again\n")
        self.assertEqual(self.read(), "")


class Produce(Records):
    def test_ndjson_from_stdin_with_key_and_added_field(self):
        r = self.send('{"a":"x","n":1}\n\n{"a":"y"}\n', "--key", "a", "--set", "s=up", "--set",
                      "k=2")
        self.assertRegex(r.out, rf"^2 records to {self.topic} in .* at {self.topic}:0@1\n$")
        self.assertEqual(self.values(), [{"a": "x", "n": 1, "s": "up", "k": 2},
                                         {"a": "y", "s": "up", "k": 2}])
        self.assertEqual(self.keys(), ["x", "y"])

    def test_csv_cells_become_numbers_text_and_absent(self):
        path = self.server.file("cells.csv", 'id,n,zip,note\r\n1,2.50,00501,"a ""b"", c"\r\n'
                                             '2,,10115,\r\n')
        self.server.leat("produce", self.topic, path, "--text", "id")
        self.assertEqual(self.read().splitlines(),
                         ['{"id":"1","n":2.50,"zip":"00501","note":"a \\"b\\", c"}',
                          '{"id":"2","zip":10115}'])

    def test_csv_from_stdin(self):
        self.send("a,b\n1,x\n", "--csv")
        self.assertEqual(self.values(), [{"a": 1, "b": "x"}])

    def test_plain_lines(self):
        self.send("one\ntwo\n", "--lines")
        self.assertEqual(self.read(), "one\ntwo\n")

    def test_json_report_names_the_position(self):
        r = json.loads(self.send('{"a":1}\n{"a":2}\n', "--json").out)
        self.assertEqual((r["topic"], r["records"], r["position"]),
                         (self.topic, 2, f"{self.topic}:0@1"))

    def test_creates_the_topic_when_asked(self):
        self.server.leat("produce", "made", "--create", "3", stdin='{"a":1}\n')
        self.assertEqual(len(json.loads(self.server.leat("topics", "made", "--json").out)[0]
                             ["partitions"]), 3)

    def test_partition_that_is_chosen(self):
        self.server.leat("topics", "create", "chosen", "--partitions", "3")
        r = self.server.leat("produce", "chosen", "--partition", "2", "--json", stdin='{"a":1}\n')
        self.assertEqual(json.loads(r.out)["position"], "chosen:2@0")

    def test_broken_csv_line(self):
        self.refused("3: 1 cells where the header has 2 columns", "broken.csv",
                     "a,b\n1,2\n3\n4,5\n")

    def test_broken_csv_quote(self):
        self.refused("3: a quote is not closed", "quote.csv", 'a,b\n1,2\n"3,4\n')

    def test_broken_json_line(self):
        path = self.server.file("broken.ndjson", '{"a":1}\n{"a":\n')
        r = self.server.leat("produce", self.topic, path, code=1)
        self.assertIn(f"leat produce: {path}:2: ", r.err)
        self.assertIn("nothing was sent", r.err)
        self.assertEqual(self.read(), "")

    def test_record_without_its_key(self):
        self.refused("2: there is no field k to take the key from", "keyless.ndjson",
                     '{"k":1}\n{"a":1}\n', "--key", "k")

    def test_broken_stdin_says_what_was_sent(self):
        r = self.send('{"a":1}\n{"a":2}\nnope\n', code=1)
        self.assertIn("leat produce: stdin:3: ", r.err)
        self.assertIn("the 2 records before it were sent", r.err)
        self.assertEqual(len(self.values()), 2)

    def test_file_that_is_not_there(self):
        r = self.server.leat("produce", self.topic, "/nowhere.csv", code=1)
        self.assertIn("/nowhere.csv: No such file or directory", r.err)


class Consume(Records):
    def setUp(self):
        super().setUp()
        self.send("".join(json.dumps({"id": f"r{i}", "n": i, "o": {"x": i}}) + "\n"
                          for i in range(20)), "--key", "id")

    def test_where(self):
        self.assertEqual([v["n"] for v in self.values("--where", "n >= 5 and o.x < 8")], [5, 6, 7])

    def test_select(self):
        self.assertEqual(self.values("--select", "id", "--select", "n * 2", "-n", "2"),
                         [{"id": "r0", "n * 2": 0}, {"id": "r1", "n * 2": 2}])

    def test_json_shows_where_a_record_stands(self):
        r = json.loads(self.read("--json", "-n", "1"))
        self.assertEqual((r["topic"], r["partition"], r["offset"], r["key"], r["headers"]),
                         (self.topic, 0, 0, "r0", {}))
        self.assertEqual(r["value"]["n"], 0)

    def test_from(self):
        for where, first in (("earliest", 0), ("15", 15), ("-3", 17)):
            self.assertEqual(self.values("--from", where)[0]["n"], first)
        self.assertEqual(self.values("--from", "latest"), [])

    def test_plot(self):
        out = self.read("--plot", "n")
        self.assertIn("19.00 ┤", out)
        self.assertIn("0.00 ┤", out)

    def test_metadata_in_expressions(self):
        self.assertEqual([v["n"] for v in self.values("--where", "$offset == 3 or $key == 'r4'")],
                         [3, 4])

    def test_expression_that_fails_names_the_record(self):
        r = self.server.leat("consume", self.topic, "--where", "id > 5", code=1)
        self.assertIn(f"leat consume: {self.topic}/0@0: id > 5: cannot compare text with number",
                      r.err)

    def test_topic_that_is_not_there(self):
        r = self.server.leat("consume", "nope", code=1)
        self.assertEqual(r.err, "leat consume: there is no topic nope; `leat topics` lists them\n")


class Topics(ServerTest):
    def test_life_of_a_topic(self):
        leat = self.server.leat
        self.assertEqual(leat("topics", "create", "t", "--partitions", "2", "--config",
                              "retention.ms=60000").out, "created t with 2 partitions\n")
        self.assertIn("the topic t exists already", leat("topics", "create", "t", code=1).err)
        leat("produce", "t", "--partition", "1", stdin='{"a":1}\n')
        self.assertRegex(leat("topics").out, r"(?m)^ t +2 +1$")
        self.assertRegex(leat("topics", "t").out, r"(?m)^ +0 +0 +0\n +1 +0 +1$")
        topic, = json.loads(leat("topics", "t", "--json").out)
        self.assertEqual(topic["partitions"][1], {"partition": 1, "start": 0, "end": 1})
        self.assertEqual(leat("topics", "delete", "t").out, "deleted t\n")
        self.assertIn("there is no topic t;", leat("topics", "t", code=1).err)
        self.assertIn("t", leat("topics", "delete", "t", code=1).err)

    def test_name_that_is_none(self):
        r = self.server.leat("topics", "create", "a b", code=1)
        self.assertIn("a topic name consists of ASCII letters, digits, '.', '_' and '-'", r.err)

    def test_setting_that_is_none(self):
        r = self.server.leat("topics", "create", "c", "--config", "no.such=1", code=1)
        self.assertIn("no.such", r.err)


if __name__ == "__main__":
    main()
