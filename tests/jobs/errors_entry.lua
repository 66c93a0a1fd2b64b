-- A record is parked where it entered: from a topic at its source, born inside the job at the
-- operator that made it; and it is all or nothing across every branch behind that.
job "errors-entry" { version = 1, errors = { retry = { "1s", "10s" }, dead = "dead" } }

local t0 = 1767225600000
local flags = table "flags" [[ id text primary key, bad integer not null default 0 ]]
from "flags" { changelog = true } :into(flags)

-- Fails while the flag "x" is set; a missing flag is something that time cures.
local function guarded(v, ctx)
  local flag = ctx.db.flags:get "x" or ctx:retry "no flag yet"
  assert(flag.bad == 0, "the flag is bad")
  return v
end

local readings = from "readings" { time = "at", idle = false }

-- one source, three branches: a table, a topic, a function that may fail
local seen = table "seen" [[ id text primary key, n integer not null ]]
local all = from "all"
all :into(seen, { id = "id", n = "n" })
all :to "all.alerts"
all :by "id" :aggregate { n = count(), total = sum "n" } :into "all_totals"
all :map(guarded) :to "all.out"

-- a closed window
readings :by "k" :window { size = "10s" } :aggregate { n = count() } :final()
  :map(guarded) :to "windows"

-- a change of a table
local stock = table "stock" [[ id text primary key, n integer not null ]]
from "stock" :match "type" {
  Put = stock:put { id = "id", n = "n" },
  Pop = stock:delete("id"),
}
stock:changes() :map(guarded) :to "changes"

-- the last change of a key in a step
local levels = table "levels" [[ id text primary key, n integer not null ]]
from "levels" { changelog = true } :into(levels)
levels:changes { latest = true } :map(guarded) :to "levels.out"

-- a timer
from "timers" { time = "at", idle = false } :process {
  state = { n = 0 },
  on = function(v, ctx)
    ctx.state.n = ctx.state.n + 1
    ctx:timer("late", ctx.time + 5000)
  end,
  timer = function(name, ctx) return guarded({ timer = name, n = ctx.state.n }, ctx) end,
} :to "timers.out"

-- an unmatched row of a join
local left  = from "left"  { time = "at", idle = false } :by "k"
local right = from "right" { time = "at", idle = false } :by "k"
left :join(right, { as = "r", within = { "0s", "10s" }, kind = "left" })
  :map(guarded) :to "joined"

-- a tick
every "1h" :map(guarded) :to "ticks"

local function flag(t, bad) t:send("flags", { bad = bad }, { key = "x" }) end
local function entries(t, want)
  t:rows("select entry, class from _leat_parked order by id", want)
end

test("all or nothing: a failing branch holds back rows, alert and aggregate", function(t)
  flag(t, 1)
  t:send("all", { id = "a", n = 5 }, { key = "a" })
  t:rows("select count(*) n from seen", { { n = 0 } })
  t:rows("select count(*) n from all_totals", { { n = 0 } })
  t:expect("all.alerts", {})
  t:expect("dead", { { id = "a" } })
  entries(t, { { entry = "from[all]", class = "lua" } })
end)

test("a source record is parked at its source and runs again whole", function(t)
  t:send("all", { id = "a", n = 5 }, { key = "a" })
  t:expect("all.alerts", {})
  flag(t, 0)
  t:advance "1s"
  t:parked {}
  t:rows("select id, n from seen", { { id = "a", n = 5 } })
  t:rows("select n, total from all_totals", { { n = 1, total = 5 } })
  t:expect("all.alerts", { { id = "a" } })
  t:expect("all.out", { { id = "a" } })
end)

test("a closed window is parked at its aggregate, its key's next one behind it", function(t)
  t:batch(function()
    t:send("readings", { k = "a", at = t0 })
    t:send("readings", { k = "a", at = t0 + 10000 })
    t:send("readings", { k = "b", at = t0 + 20000 })
  end)
  t:parked { { key = "a", class = "missing" }, { key = "a", class = "sequence" } }
  entries(t, { { entry = "from[readings]/by/window/aggregate/final", class = "missing" },
               { entry = "from[readings]/by/window/aggregate/final" } })
  flag(t, 0)
  t:advance "1s"
  t:parked {}
  t:expect("windows", { { k = "a", n = 1, window_start = t0 },
                        { k = "a", n = 1, window_start = t0 + 10000 } })
end)

test("a timer is parked at its processor", function(t)
  t:send("timers", { at = t0 }, { key = "a" })
  t:send("timers", { at = t0 + 6000 }, { key = "b" })
  t:parked { { key = "a", class = "missing" } }
  entries(t, { { entry = "from[timers]/process/timer", class = "missing" } })
  flag(t, 0)
  t:advance "1s"
  t:parked {}
  t:expect("timers.out", { { timer = "late", n = 1 } })
end)

test("an unmatched row is parked at the join", function(t)
  t:send("left", { k = "a", at = t0 })
  t:send("right", { k = "b", at = t0 + 30000 })
  t:send("left", { k = "c", at = t0 + 30000 })
  t:parked { { key = "a", class = "missing" } }
  entries(t, { { entry = "from[left]/by/join", class = "missing" } })
  flag(t, 0)
  t:advance "1s"
  t:parked {}
  t:expect("joined", { { k = "a" } })
end)

test("a tick is parked at its clock", function(t)
  t:advance "1h"
  entries(t, { { entry = "every[3600000ms]", class = "missing" } })
  flag(t, 0)
  t:advance "1s"
  t:parked {}
  t:expect("ticks", { {} })
end)

test("a change belongs to the record that made it, and fails with it", function(t)
  flag(t, 1)
  t:send("stock", { type = "Put", id = "s1", n = 1 }, { key = "s1" })
  entries(t, { { entry = "from[stock]", class = "lua" } })
  t:rows("select count(*) n from stock", { { n = 0 } })
end)

test("a latest change is parked at changes", function(t)
  t:send("levels", { n = 1 }, { key = "s1" })
  entries(t, { { entry = "changes[levels]", class = "missing" } })
  t:rows("select n from levels", { { n = 1 } })
  flag(t, 0)
  t:advance "1s"
  t:parked {}
  t:expect("levels.out", { { n = 1 } })
end)
