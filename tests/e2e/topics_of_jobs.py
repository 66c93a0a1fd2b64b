#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Jobs and their topics: who makes them, which partition a record goes to, where reading starts."""
import json
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.support.server import Server, main  # noqa: E402

COPY = 'job "copy" { version = 1 }\nlocal s = from "in"\ns :to "out"\ns :to "wide"\n'


class Topics(unittest.TestCase):
    def serve(self, job, *args, settings=None):
        server = Server(*args, settings=settings)
        self.addCleanup(server.close)
        server.args.append(server.file("job.lua", job))
        return server.start()

    @staticmethod
    def partitions(server, topic):
        described, = json.loads(server.leat("topics", topic, "--json").out)
        return len(described["partitions"])

    @staticmethod
    def placed(server, topic):
        """Key -> partition of every record."""
        lines = server.leat("consume", topic, "--json").out.splitlines()
        return {r["key"]: r["partition"] for r in map(json.loads, lines)}

    def test_outputs_are_made_before_there_is_a_record_with_one_partition(self):
        server = self.serve(COPY, "--topic", "in=3")
        server.wait_job("copy", lambda job: job["state"] == "running")
        self.assertEqual([self.partitions(server, t) for t in ("in", "out", "wide")], [3, 1, 1])

    def test_outputs_have_as_many_partitions_as_the_settings_say(self):
        server = self.serve(COPY, settings="return { partitions = 4, topics = { "
                            "['in'] = { partitions = 3 }, wide = { partitions = 7 }, "
                            "kept = { retention = 'forever' } } }")
        server.wait_job("copy", lambda job: job["state"] == "running")
        self.assertEqual([self.partitions(server, t) for t in ("in", "out", "wide", "kept")],
                         [3, 4, 7, 4])

    def test_a_key_has_the_partition_that_another_client_gives_it(self):
        """librdkafka chose the partitions of `in`, by murmur2; the job those of the others."""
        server = self.serve(COPY, "--topic", "in=7", "--topic", "out=7", "--topic", "wide=5")
        keys = [f"key-{i}" for i in range(40)] + ["", "å", "x" * 200]
        lines = "".join(json.dumps({"k": k}) + "\n" for k in keys)
        server.leat("produce", "in", "--key", "k", stdin=lines)
        server.wait_job("copy", lambda job: job["records_out"] == 2 * len(keys))
        chosen = self.placed(server, "in")
        self.assertGreater(len(set(chosen.values())), 5)
        self.assertEqual(self.placed(server, "out"), chosen)
        other = self.placed(server, "wide")
        server.leat("topics", "create", "five", "--partitions", "5")
        server.leat("produce", "five", "--key", "k", stdin=lines)
        self.assertEqual(other, self.placed(server, "five"))

    def test_an_input_that_is_not_there_is_waited_for_and_named(self):
        server = self.serve(COPY)
        job = server.wait_job("copy", lambda job: job["state"] == "waiting")
        self.assertIn("in", job["why"])
        self.assertIn(job["why"], server.leat("status").out)
        server.leat("topics", "create", "in")
        server.produce("in", {"a": 1})
        server.wait_job("copy", lambda job: job["records_in"] == 1)

    def test_a_topic_that_is_not_there_is_told_to_who_produces(self):
        """Not that the broker could not be reached."""
        server = self.serve(COPY)
        out = server.leat("produce", "inn", stdin='{"a":1}\n', code=1)
        self.assertIn("there is no topic inn; --create 1 makes it, with one partition", out.err)

    def test_reading_starts_with_the_first_record_unless_from_says_latest(self):
        server = self.serve('job "first" { version = 1 }\nfrom "in" :to "all"\n', "--topic", "in=1")
        server.produce("in", {"a": 1}, {"a": 2})
        server.wait_job("first", lambda job: job["records_in"] == 2)
        server.terminate()
        server.args.append(server.file("late.lua", 'job "late" { version = 1 }\n'
                                       'from "in" { from = "latest" } :to "new"\n'))
        server.args.append(server.file("early.lua", 'job "early" { version = 1 }\n'
                                       'from "in" :to "again"\n'))
        server.start()
        server.wait_job("late", lambda job: job["state"] == "running" and job["lag"] == 0)
        server.produce("in", {"a": 3})
        server.wait_job("early", lambda job: job["records_in"] == 3)
        server.wait_job("late", lambda job: job["records_in"] == 1)
        self.assertEqual(server.consume("new"), [{"a": 3}])

    def test_a_reserved_path_stops_the_job_that_claims_it(self):
        server = self.serve('job "r" { version = 1 }\nfrom "in" :to "out"\nquery "q" { '
                            'sql = "select 1 as x", path = "/status" }\n', "--topic", "in=1")
        job, = server.get("/status").json["jobs"]
        self.assertEqual(job["state"], "stopped")
        self.assertIn("/status is reserved", job["why"])


if __name__ == "__main__":
    main()
