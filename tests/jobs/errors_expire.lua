-- A row that goes by its table's ttl is gone, also when what follows from that fails: then the
-- change is parked and tried again, and the next end of a row with its key waits behind it.
job "errors-expire" { version = 1, errors = { retry = { "1s", "1h" }, dead = "dead" } }

local gate = table "gate" [[ id text primary key ]]
local leases = table "leases" [[ id text primary key, seen time ]] { ttl = "10s after seen" }

from "in" { time = "at", idle = false } :match "type" {
  Lease = leases:put { id = "id", seen = "at" },
  Open = gate:put { id = "'open'" },
}
leases:changes() :where "seen == nil"
  :select { id = "$key", was = "$old.seen", at = "$time" }
  :map(function(v, ctx)
    if not ctx.db.gate:get "open" then ctx:retry "the gate is closed" end
    return v
  end) :to "ended"

local t0 = 1767225600000
local function send(t, what, id, at)
  t:send("in", { type = what, id = id, at = t0 + at }, { key = "s", time = t0 + 60000 })
end

test("an end that fails is parked at changes; the row has gone", function(t)
  send(t, "Lease", "a", 0)
  send(t, "Lease", "b", 20000)
  t:parked { { key = "a", class = "missing" } }
  t:rows("select entry, state from _leat_parked",
    { { entry = "changes[leases]/expired", state = "retry" } })
  t:rows("select id from leases", { { id = "b" } })
  t:expect("ended", {})
end)

test("it is tried again, as it was, also by a job that has started again", function(t)
  send(t, "Lease", "a", 0)
  send(t, "Lease", "b", 20000)
  t:restart()
  send(t, "Open", "x", 20000)
  t:expect("ended", {})
  t:advance "1s"
  t:parked {}
  t:expect("ended", { { ["$key"] = "a", id = "a", was = t0, at = t0 + 10001 } })
  t:expect("dead", {})
end)

test("a row of its key that goes meanwhile waits behind it, others do not", function(t)
  send(t, "Lease", "a", 0)
  send(t, "Lease", "b", 15000)
  send(t, "Lease", "a", 20000)
  send(t, "Lease", "c", 40000)
  t:parked { { key = "a", class = "missing" }, { key = "b", class = "missing" },
             { key = "a", class = "sequence" } }
  send(t, "Open", "x", 40000)
  send(t, "Lease", "d", 60000)
  t:expect("ended", { { id = "c" } })
  t:advance "1s"
  t:parked {}
  t:expect("ended", { { id = "a", was = t0 }, { id = "a", was = t0 + 20000 },
                         { id = "b", was = t0 + 15000 } })
end)

test("when its retries are spent it is a dead letter, and the row does not come back", function(t)
  send(t, "Lease", "a", 0)
  send(t, "Lease", "b", 20000)
  t:advance "2h"
  t:rows("select state, tries from _leat_parked", { { state = "final", tries = 3 } })
  t:expect("dead", { { ["$key"] = "a", ["$header.__connect.errors.topic"] = "changes[leases]" } })
  t:rows("select id from leases", { { id = "b" } })
end)
