#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Parked records: looked at, tried again, mended and skipped; by a server, without one, and across
its deaths."""
import json
import os
import stat
import sys
import unittest
import urllib.error
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.support.server import Answer, Server, leat, main, until  # noqa: E402

JOB = """
job "bookings" { version = 1, errors = { retry = { "1h" }, dead = "bookings.dead" } }
local accounts = table "accounts" [[ id text primary key, balance integer not null default 0 ]]
local moves = table "moves" [[
  id text primary key, account text not null references accounts,
  amount integer not null check (amount < 100)
]]
from "accounts" { changelog = true } :into(accounts)
from "moves" :match "type" {
  Booked = { moves:insert { id = "id", account = "account", amount = "amount" },
             accounts:add("account", { balance = "amount" }) },
  Reversed = function(e, ctx)
    local m = ctx.db.moves:get(e.id) or ctx:retry "no such move yet"
    ctx.db.moves:delete(e.id)
    ctx.db.accounts:add(m.account, { balance = -m.amount })
  end,
}
"""


class Parked(unittest.TestCase):
    def setUp(self):
        self.server = Server("--topic", "accounts=1", "--topic", "moves=1")
        self.server.args.insert(0, self.server.file("job.lua", JOB))
        self.server.start()

    def tearDown(self):
        self.server.close()

    def dlq(self, verb, *args, **more):
        return leat("dlq", verb, "bookings", *args, "--data", self.server.data, **more)

    def parked(self, *args):
        return json.loads(self.dlq("list", *args, "--json").out)

    def move(self, kind, id, account="ann", amount=10):
        return self.server.produce("moves", {"type": kind, "id": id, "account": account,
                                             "amount": amount}, key="id")

    def account(self, id):
        return self.server.produce("accounts", {"id": id}, key="id")

    def committed(self, position):
        self.server.leat("query", "bookings", "select 1", "--min-position", position)

    def balances(self):
        out = self.server.leat("query", "bookings", "select id, balance from accounts order by id",
                               "--csv").out
        return dict(line.split(",") for line in out.split()[1:])

    def wait_parked(self, n):
        until(lambda: f"{n} parked: {self.parked()}", lambda: len(self.parked()) == n)

    def given_a_sequence(self):
        """m1 misses its account and has one behind it; m2 is not allowed."""
        self.move("Booked", "m1")
        self.move("Reversed", "m1")
        self.committed(self.move("Booked", "m2", amount=1000))


class Looking(Parked):
    def test_list_says_who_waits_behind_whom(self):
        self.given_a_sequence()
        out = self.dlq("list").out
        self.assertRegex(out, r"moves/0@0 +m1 +Booked +missing +1 try, next in \d+ min +"
                              r"1 behind, types: Reversed")
        self.assertRegex(out, r"moves/0@2 +m2 +Booked +constraint +1 try ")
        self.assertIn("1 waits behind these", out)
        self.assertEqual([r["id"] for r in self.parked("--class", "missing")], [1])
        self.assertEqual([r["id"] for r in self.parked("--key", "m2")], [3])
        self.assertEqual([r["id"] for r in self.parked("--id", "2")], [2])
        self.assertEqual(self.parked("--key", "m9"), [])

    def test_show_has_everything(self):
        self.given_a_sequence()
        out = self.dlq("show", 1).out
        for part in ("1  moves/0@0  key m1  Booked  parked ", "1 behind, types: Reversed",
                     "missing: ", "at ", '"account": "ann", "amount": 10}',
                     "behind it: 2  moves/0@1  Reversed"):
            self.assertIn(part, out)
        one = json.loads(self.dlq("show", 3, "--json").out)
        self.assertEqual(one["value"]["amount"], 1000)
        self.assertEqual((one["class"], one["topic"], one["offset"]), ("constraint", "moves", 2))

    def test_export_has_one_line_each(self):
        self.given_a_sequence()
        rows = [json.loads(x) for x in self.dlq("export").out.splitlines()]
        self.assertEqual([(r["id"], r["state"]) for r in rows],
                         [(1, "retry"), (2, "sequence"), (3, "final")])
        path = self.server.folder + "/parked.ndjson"
        self.assertIn(f"1 record to {path}", self.dlq("export", path, "--key", "m2").out)
        self.assertEqual(json.loads(Path(path).read_text())["id"], 3)

    def test_wrong_usage_is_told(self):
        for args, code, message in (
                (("retry", "bookings"), 2, "retry wants ids, --key, --class, or --all"),
                (("skip", "bookings", "1"), 1, "no parked record of bookings has the id 1"),
                (("skip", "bookings", "--all"), 2, "skip wants --reason TEXT"),
                (("show", "bookings"), 2, "show wants ids"),
                (("edit", "bookings"), 2, "edit wants an id"),
                (("frob", "bookings"), 2, '"frob" is none of list, show'),
                (("list", "bookings", "--class", "odd"), 2, 'there is no class "odd"'),
                (("list", "other"), 1, 'no job "other" has run')):
            r = leat("dlq", *args, "--data", self.server.data, code=code)
            self.assertIn(message, r.err)


class Deciding(Parked):
    def test_retry_cures_and_lets_the_others_go_on(self):
        self.given_a_sequence()
        self.committed(self.account("ann"))
        self.assertIn("1 record is tried again by the running job", self.dlq("retry", 1).out)
        self.wait_parked(1)
        self.assertEqual(self.balances(), {"ann": "0"})
        self.assertEqual(self.server.job("bookings")["parked"], 1)

    def test_a_follower_is_not_tried_out_of_turn(self):
        self.given_a_sequence()
        self.assertIn("record 2 waits behind another of its key", self.dlq("retry", 2, code=1).err)

    def test_edit_keeps_the_original(self):
        self.given_a_sequence()
        self.committed(self.account("ann"))
        r = self.dlq("edit", 3, stdin='{"type":"Booked","id":"m2","account":"ann"', code=1)
        self.assertIn("the amended value (--bytes takes any): invalid JSON", r.err)
        self.dlq("edit", 3, stdin='{"type":"Booked","id":"m2","account":"bob","amount":7}\n')
        shown = self.dlq("show", 3).out
        self.assertIn('"amount": 1000}\n amended: {"type":"Booked","id":"m2","account":"bob"',
                      shown)
        self.dlq("retry", 3)
        until("it fails for another reason",
              lambda: [r["class"] for r in self.parked("--key", "m2")] == ["missing"])
        self.assertEqual(self.parked("--key", "m2")[0]["value"]["amount"], 1000)
        amended = self.server.file("amended.json",
                                   '{"type":"Booked","id":"m2","account":"ann","amount":7}\n')
        self.dlq("edit", 3, amended, "--retry")
        until("it is cured", lambda: self.parked("--key", "m2") == [])
        self.assertEqual(self.balances(), {"ann": "7"})

    def test_skip_keeps_the_reason(self):
        self.given_a_sequence()
        self.dlq("skip", "--key", "m1", "--reason", "a test order")
        until("the next one has its turn",
              lambda: [r["id"] for r in self.parked("--key", "m1")] == [2])
        skipped = self.parked("--skipped")
        self.assertEqual([(r["id"], r["reason"]) for r in skipped], [(1, "a test order")])
        self.assertEqual(self.server.job("bookings")["parked"], 2)
        self.server.kill()
        self.server.start()
        self.server.wait_job("bookings", lambda j: j["parked"] == 2)

    def test_without_a_server(self):
        self.given_a_sequence()
        self.committed(self.account("ann"))
        self.server.terminate()
        out = self.dlq("edit", 3, "--retry",
                       stdin='{"type":"Booked","id":"m2","account":"ann","amount":7}').out
        self.assertIn("tried again when the job runs", out)
        self.assertIn("when the job runs again", self.dlq("retry", 1).out)
        self.server.start()
        self.wait_parked(0)
        self.assertEqual(self.balances(), {"ann": "7"})

    def test_a_job_that_has_stopped_is_helped(self):
        """At the limit of parked records the job stops, and goes on when there is room."""
        self.server.terminate()
        self.server.file("job.lua", JOB.replace("retry = ", "limit = 2, retry = "))
        self.server.start()
        self.move("Booked", "m1", amount=1000)
        self.move("Booked", "m2", amount=1000)
        job = self.server.wait_job("bookings", lambda j: j["state"] == "stopped")
        self.assertIn("2 records are parked, the limit: look at them (leat dlq list bookings)",
                      job["why"])
        self.account("ann")
        self.move("Booked", "m3")
        self.dlq("skip", 1, "--reason", "nobody has that much")
        self.server.wait_job("bookings", lambda j: j["state"] == "running" and j["lag"] == 0)
        self.assertEqual(self.balances(), {"ann": "10"})


class Guarded(Parked):
    """Nothing is changed for a page in somebody's browser, nor for anybody without the
    token of the data folder."""

    def post(self, body=b'{"decisions":[{"skip":1,"reason":"x"}]}', path="/jobs/bookings/parked",
             **headers):
        headers = {k.replace("_", "-"): v for k, v in headers.items()}
        request = urllib.request.Request(f"http://{self.server.http}{path}", data=body,
                                         headers=headers, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return Answer(response)
        except urllib.error.HTTPError as response:
            return Answer(response)

    def test_who_may(self):
        self.given_a_sequence()
        with open(self.server.data + "/admin.json") as f:
            token = json.load(f)["token"]
        good = {"Authorization": f"Bearer {token}", "Content_Type": "application/json"}
        wrong = f"Bearer {token[:-1]}{'0' if token[-1] != '0' else '1'}"
        for status, headers in (
                (401, {**good, "Authorization": ""}),
                (401, {**good, "Authorization": "Bearer "}),
                (401, {**good, "Authorization": token}),
                (401, {**good, "Authorization": wrong}),
                (401, {**good, "Authorization": f"Bearer {token}0"}),
                (415, {**good, "Content_Type": "application/x-www-form-urlencoded"}),
                (415, {**good, "Content_Type": "text/plain"}),
                (403, {**good, "Origin": "http://evil.example"}),
                (403, {**good, "Origin": f"http://{self.server.http}"}),
                (403, {**good, "Sec_Fetch_Site": "cross-site"}),
                (421, {**good, "Host": "evil.example"})):
            self.assertEqual(self.post(**headers).status, status, headers)
        self.assertEqual(self.post(path="/jobs/other/parked", **good).status, 404)
        self.assertEqual(self.post(path="/status", **good).status, 405)
        self.assertEqual(self.server.get("/jobs/bookings/parked").status, 404)
        self.assertEqual(self.server.get("/jobs/bookings/parked", method="PUT").status, 405)
        self.assertEqual(len(self.parked()), 2)
        self.assertEqual(self.post(**good).status, 200)
        self.wait_parked(2)  # the next of its key
        self.assertEqual([r["id"] for r in self.parked("--skipped")], [1])

    def test_bad_decisions_are_told(self):
        self.given_a_sequence()
        with open(self.server.data + "/admin.json") as f:
            token = json.load(f)["token"]
        good = {"Authorization": f"Bearer {token}", "Content_Type": "application/json"}
        for status, body, message in (
                (400, b"{", "JSON"), (400, b"[]", ""), (400, b'{"decisions":5}', "is a list"),
                (400, b'{"decisions":[{"eat":1}]}', "a decision is"),
                (400, b'{"decisions":[{"skip":1}]}', "for a reason"),
                (400, b'{"decisions":[{"edit":1}]}', 'needs a \\"value\\"'),
                (400, b'{"decisions":[{"edit":1,"hex":"f"}]}', "hexadecimal"),
                (404, b'{"decisions":[{"retry":99}]}', "no parked record has the id 99")):
            answer = self.post(body, **good)
            self.assertEqual(answer.status, status, (body, answer.body))
            self.assertIn(message, answer.body)
        self.assertEqual(len(self.parked()), 2)

    def test_the_token_is_its_users_and_new_each_time(self):
        path = self.server.data + "/admin.json"
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        before = Path(path).read_text()
        self.server.kill()
        self.server.start()
        self.assertNotEqual(Path(path).read_text(), before)
        self.server.terminate()
        self.assertFalse(os.path.exists(path))

    def test_a_token_of_a_dead_server_is_told(self):
        """The file is in use by a process that is no server of this folder."""
        self.given_a_sequence()
        os.unlink(self.server.data + "/admin.json")
        self.assertIn("is in use, but not by a server of this data folder",
                      self.dlq("retry", 1, code=1).err)


COPY = """
job "copy" { version = 1, errors = { dead = "copy.dead" } }
from "in" :map(function(v)
  if v.n %% 97 == 0 then %s end
  return { n = v.n, key = v.key }
end) :to ("out", { key = "key" })
"""


class Poison(unittest.TestCase):
    """Every 97th record raises. Each is parked once and a dead letter once; the
    others are in the output once; replayed twice with a kill in between, each is replayed once."""

    RECORDS = 2000

    def setUp(self):
        self.server = Server("--topic", "in=3", "--topic", "out=3")
        self.server.args.insert(0, self.job('error "poison"'))
        self.poison = [n for n in range(self.RECORDS) if n % 97 == 0]

    def tearDown(self):
        self.server.close()

    def job(self, bad):
        return self.server.file("copy.lua", COPY % bad)

    def produce(self):
        for at in range(0, self.RECORDS, 500):
            # As many keys as records: a key that is held would hold back good ones too.
            self.server.produce("in", *({"n": n, "key": f"k{n}"} for n in range(at, at + 500)),
                                key="key")

    def numbers(self, topic):
        return sorted(r["n"] for r in self.server.consume(topic))

    def drained(self):
        self.server.wait_job("copy", lambda j: j["lag"] == 0 and j["outbox_waiting"] == 0)

    def test_replayed_once_each(self):
        self.server.start()
        self.produce()
        self.server.kill()
        self.server.start()
        self.drained()
        good = [n for n in range(self.RECORDS) if n % 97]
        self.assertEqual(self.numbers("out"), good)
        self.assertEqual(self.numbers("copy.dead"), self.poison)
        parked = json.loads(leat("dlq", "list", "copy", "--json", "--data", self.server.data).out)
        self.assertEqual(sorted(r["value"]["n"] for r in parked), self.poison)
        self.server.terminate()
        self.job("v = v")  # mended
        self.server.start()
        leat("dlq", "retry", "copy", "--all", "--data", self.server.data)
        self.server.kill()
        self.server.start()
        leat("dlq", "retry", "copy", "--all", "--data", self.server.data)
        self.server.wait_job("copy", lambda j: j["parked"] == 0)
        self.drained()
        self.assertEqual(self.numbers("out"), list(range(self.RECORDS)))
        self.assertEqual(self.numbers("copy.dead"), self.poison)


if __name__ == "__main__":
    main()
