-- What waited runs later, in its key's order, with its own event time.
job "errors-replay" { version = 1, errors = { retry = { "1h", "1h" } } }

local t0 = 1767225600000
local gate = table "gate" [[ id text primary key ]]
from "gate" { changelog = true } :into(gate)

local input = from "in" { time = "at", idle = false, disorder = "1s" }

local w = input
  :map(function(v, ctx)
    if v.wait and not ctx.db.gate:get "open" then ctx:retry "not yet" end
    return v
  end)
  :by "k"
  :window { size = "10s" }
w:late() :to "late"
w:aggregate { n = count(), last = last "n" } :final() :to "closed"

input
  :map(function(v, ctx)
    if v.wait and not ctx.db.gate:get "open" then ctx:retry "not yet" end
    assert(v.wait ~= "bad", "this one is bad")
    return { n = v.n, at = ctx.time }
  end)
  :to "out"

local function send(t, n, second, wait)
  t:send("in", { k = "a", n = n, at = t0 + second * 1000, wait = wait }, { key = "a" })
end

test("those behind a cured record run in order, each with its own event time", function(t)
  send(t, 1, 1, true)
  send(t, 2, 3)
  send(t, 3, 2)
  t:expect("out", {})
  t:send("gate", {}, { key = "open" })
  t:advance "1h"
  t:parked {}
  t:expect("out", { { n = 1, at = t0 + 1000 }, { n = 2, at = t0 + 3000 },
                    { n = 3, at = t0 + 2000 } })
end)

test("a window that has closed meanwhile does not open again: the record is late", function(t)
  send(t, 1, 1, true)
  t:send("in", { k = "b", n = 9, at = t0 + 30000 }, { key = "b" })     -- W passes its window
  t:send("gate", {}, { key = "open" })
  t:expect("late", {})
  t:advance "1h"
  t:parked {}
  t:expect("late", { { k = "a", n = 1 } })
  t:expect("closed", {})
  t:expect("out", { { n = 9 }, { n = 1, at = t0 + 1000 } })
end)

test("the first of those behind that fails is the new head, with its own class", function(t)
  send(t, 1, 1, true)
  send(t, 2, 2)
  send(t, 3, 3, "bad")
  send(t, 4, 4)
  t:parked { { class = "missing" }, { class = "sequence" }, { class = "sequence" },
             { class = "sequence" } }
  t:send("gate", {}, { key = "open" })
  t:advance "1h"
  t:parked { { class = "lua", offset = 2 }, { class = "sequence", offset = 3 } }
  t:expect("out", { { n = 1 }, { n = 2 } })
  send(t, 5, 5)
  t:parked { { class = "lua" }, { class = "sequence" }, { class = "sequence" } }
end)
