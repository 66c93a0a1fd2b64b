-- What becomes of a record that fails, by class: JSON that cannot be read parks the record alone,
-- what time cures is tried again, the rest holds its key.
job "errors" {
  version = 1,
  errors  = { retry = { "1s", "10s", "1m" }, park = "key", dead = "errors.dead" },
}

local people = table "people" [[ id text primary key, name text ]]
local money  = table "money"  [[
  id     text primary key,
  owner  text not null references people,
  amount integer not null check (amount >= 0),
  code   text unique
]]

from "people" { changelog = true } :into(people)

from "money" :match "type" {
  Insert = money:insert { id = "id", owner = "owner", amount = "amount", code = "code" },
  Patch  = money:patch ("id", { amount = "amount" }),
  Wait   = function(e, ctx) return ctx.db.people:get(e.owner) or ctx:retry "who is that?" end,
} :to "money.out"

local raw = from "raw" { time = "at" }
raw :select { "id", x = "n + 1" }      :to "raw.out"
raw :where  "big * 1e308 * 10 > 0"      :to "raw.big"
raw :by     "key"                       :to "raw.keyed"

from "code" :map(function(v, ctx)
  if v.what == "error" then error "no such thing" end
  if v.what == "assert" then assert(v.n, "n is missing") end
  return v
end) :to "code.out"

from "state" :process {
  state = { text = "" },
  on = function(v, ctx)
    ctx.state.text = ("x"):rep(v.n)
    return { n = v.n }
  end,
} :to "state.out"

from "joined" :join(people, { as = "person", on = "owner", wait = "1m" })
  :select { "id", name = "person.name" } :to "joined.out"

from.outbox { name = "rows", sqlite = "unused.db", table = "outbox" } :to "rows.out"

-- Everything a record may leave behind, and then it fails.
local counts = table "counts" [[ id text primary key, n integer not null ]]
local whole = from "whole" { time = "at", idle = false }
whole :into(counts, { id = "id", n = "n" })
whole :by "id" :dedupe { by = "id", within = "1h" } :to "whole.first"
whole :by "id" :window { size = "1m" } :aggregate { n = count() } :into "whole_minutes"
whole :process {
  state = { n = 0 },
  on = function(v, ctx)
    ctx.state.n = ctx.state.n + 1
    ctx:timer("later", ctx.time + 1000)
    ctx:emit { id = v.id, emitted = ctx.state.n }
    ctx.db.counts:add(v.id, { n = 10 })
  end,
  timer = function(name, ctx) return { timer = name, n = ctx.state.n } end,
} :to "whole.out"
whole :match "kind" { Known = function(v) return v end } :to "whole.known"
whole :where "fail ~= nil" :map(function(v, ctx) error "at the very end" end) :to "whole.never"

local t0 = 1767225600000
local function keyed(t, topic, key, value) t:send(topic, value, { key = key }) end

-- Sends a bad record and a good one under its key, and a good one under another.
local function fails(t, topic, out, bad, good, class, follower)
  keyed(t, topic, "k", bad)
  keyed(t, topic, "k", good)
  keyed(t, topic, "other", good)
  if follower then
    t:parked { { key = "k", class = class }, { key = "k", class = "sequence" } }
    t:expect(out, { {} })
  else
    t:parked { { key = "k", class = class } }
    t:expect(out, { {}, {} })
  end
end

test("decode: parks the record, followers of its key go on", function(t)
  local function row(key, payload)
    t:send("rows", { id = "e", aggregatetype = "t", aggregateid = key, type = "T",
                     payload = payload })
  end
  row("k", "{broken")
  row("k", { n = 1 })
  t:parked { { key = "k", class = "decode" } }
  t:expect("rows.out", { { payload = { n = 1 } } })
end)

test("number: parks the record, followers of its key go on", function(t)
  fails(t, "raw", "raw.keyed", { id = 1, n = 1, key = "a", at = t0, big = 10 },
      { id = 1, n = 1, key = "a", at = t0 }, "number", false)
end)

test("type: parks the key", function(t)
  fails(t, "raw", "raw.keyed", { id = 1, n = "one", key = "a", at = t0 },
      { id = 1, n = 1, key = "a", at = t0 }, "type", true)
end)

test("time: parks the key", function(t)
  fails(t, "raw", "raw.keyed", { id = 1, n = 1, key = "a", at = "noon" },
      { id = 1, n = 1, key = "a", at = t0 }, "time", true)
end)

test("ahead: parks the key", function(t)
  keyed(t, "raw", "k", { id = 1, n = 1, key = "a", at = t0 })
  t:expect("raw.keyed", { {} })
  t:batch(function()
    t:send("raw", { id = 1, n = 1, key = "a", at = t0 + 2 * 3600000 }, { key = "k", time = t0 })
    t:send("raw", { id = 1, n = 1, key = "a", at = t0 }, { key = "k", time = t0 })
  end)
  t:parked { { key = "k", class = "ahead" }, { key = "k", class = "sequence" } }
end)

test("key: a nil part of a key parks the key of the source", function(t)
  fails(t, "raw", "raw.keyed", { id = 1, n = 1, at = t0 },
      { id = 1, n = 1, key = "a", at = t0 }, "key", true)
end)

test("lua: error() and assert() park the key", function(t)
  fails(t, "code", "code.out", { what = "error" }, { what = "x" }, "lua", true)
  keyed(t, "code", "k2", { what = "assert" })
  t:rows("select substr(message, -12) text from _leat_parked where key = cast('k2' as blob)",
    { { text = "n is missing" } })
end)

test("constraint: NOT NULL, CHECK and UNIQUE park the key", function(t)
  keyed(t, "people", "ann", {})
  keyed(t, "money", "k0", { type = "Insert", id = "m0", owner = "ann", amount = 1, code = "c" })
  keyed(t, "money", "k1", { type = "Insert", id = "m1", owner = "ann", amount = null })
  keyed(t, "money", "k2", { type = "Insert", id = "m2", owner = "ann", amount = -1 })
  keyed(t, "money", "k3", { type = "Insert", id = "m3", owner = "ann", amount = 1, code = "c" })
  keyed(t, "money", "k3", { type = "Insert", id = "m4", owner = "ann", amount = 1 })
  t:parked { { key = "k1", class = "constraint" }, { key = "k2", class = "constraint" },
             { key = "k3", class = "constraint" }, { key = "k3", class = "sequence" } }
end)

test("missing: foreign key, patch of no row, ctx:retry() and wait are tried again", function(t)
  keyed(t, "money", "k1", { type = "Insert", id = "m1", owner = "bob", amount = 1 })
  keyed(t, "money", "k2", { type = "Patch", id = "m1", amount = 2 })
  keyed(t, "money", "k3", { type = "Wait", owner = "bob" })
  keyed(t, "joined", "k4", { id = 1, owner = "bob" })
  t:parked { { key = "k1", class = "missing", tries = 1 }, { key = "k2", class = "missing" },
             { key = "k3", class = "missing" }, { key = "k4", class = "missing" } }
  keyed(t, "people", "bob", { name = "Bob" })
  t:advance "1s"
  t:parked {}
  t:rows("select amount from money", { { amount = 2 } })
  t:expect("joined.out", { { id = 1, name = "Bob" } })
  t:expect("errors.dead", {})
end)

test("missing: after 1 s, 10 s, 1 m it is parked for good and a dead letter, once", function(t)
  keyed(t, "money", "k", { type = "Patch", id = "m1", amount = 2 })
  for _, step in ipairs { { "999ms", 1 }, { "1ms", 2 }, { "9999ms", 2 }, { "1ms", 3 },
                          { "59999ms", 3 } } do
    t:advance(step[1])
    t:parked { { class = "missing", tries = step[2] } }
  end
  t:expect("errors.dead", {})
  t:advance "1ms"
  t:parked { { class = "missing", tries = 4 } }
  t:rows("select state from _leat_parked", { { state = "final" } })
  t:expect("errors.dead", { { type = "Patch", id = "m1" } })
  t:advance "1d"
  t:parked { { class = "missing", tries = 4 } }
  t:expect("errors.dead", {})
end)

test("budget: a megabyte of state parks the key", function(t)    -- time and memory: hostile.lua
  keyed(t, "state", "k2", { n = 2 * 1024 * 1024 })
  keyed(t, "state", "k2", { n = 1 })
  keyed(t, "state", "k3", { n = 1 })
  t:parked { { key = "k2", class = "budget" }, { key = "k2", class = "sequence" } }
  t:expect("state.out", { { n = 1 } })
end)

test("keyless records have no sequence: parked alone, nobody is held", function(t)
  t:send("code", { what = "error" })
  t:send("code", { what = "x" })
  t:parked { { class = "lua" } }
  t:expect("code.out", { { what = "x" } })
end)

test("a cure under the same key cannot overtake", function(t)
  keyed(t, "money", "k", { type = "Patch", id = "m1", amount = 2 })
  keyed(t, "people", "ann", {})
  keyed(t, "money", "k", { type = "Insert", id = "m1", owner = "ann", amount = 1 })
  t:parked { { key = "k", class = "missing" }, { key = "k", class = "sequence" } }
  t:rows("select count(*) n from money", { { n = 0 } })
end)

test("nothing of a record that fails remains", function(t)
  keyed(t, "whole", "k", { id = "a", n = 1, at = t0, kind = "Unknown", fail = true })
  t:parked { { key = "k", class = "lua" } }
  t:skipped(0)
  for _, name in ipairs { "counts", "whole_minutes", "_leat_timers" } do
    t:rows("select count(*) n from " .. name, { { n = 0 } })
  end
  keyed(t, "whole", "other", { id = "a", n = 5, at = t0, kind = "Known" })
  t:expect("whole.first", { { id = "a", n = 5 } })                  -- not seen before
  t:expect("whole.out", { { id = "a", emitted = 1 } })               -- the first of its key
  t:expect("whole.known", { {} })
  t:rows("select n from counts", { { n = 15 } })
  t:rows("select n from whole_minutes", { { n = 1 } })
end)

test("a parked record moves the watermark, unless its class is time or ahead", function(t)
  keyed(t, "whole", "k", { id = "a", n = 1, at = t0, kind = "Known" })
  t:expect("whole.out", { {} })
  keyed(t, "whole", "x", { id = "b", n = 1, at = "noon" })            -- class time: W stays
  t:expect("whole.out", {})
  keyed(t, "whole", "y", { id = "b", n = 1, at = t0 + 5000, fail = true })
  t:expect("whole.out", { { timer = "later", n = 1 } })               -- W has passed t0 + 1 s
end)

test("a record that waited runs with its own event time; a closed window does not open", function(t)
  keyed(t, "money", "k", { type = "Patch", id = "none", amount = 1 })
  keyed(t, "whole", "w", { id = "a", n = 1, at = t0, fail = true })
  keyed(t, "whole", "w", { id = "b", n = 2, at = t0 + 1000 })         -- waits behind it
  keyed(t, "whole", "x", { id = "c", n = 3, at = t0 + 3600000 })      -- closes their minute
  t:parked { { class = "missing" }, { key = "w", class = "lua" },
             { key = "w", class = "sequence" } }
  t:rows("select id, n from counts", { { id = "c", n = 13 } })
end)

test("dead letters: for the record that failed, not for those that wait behind it", function(t)
  keyed(t, "code", "k", { what = "error" })
  keyed(t, "code", "k", { what = "x" })
  t:parked { { key = "k", class = "lua" }, { key = "k", class = "sequence" } }
  t:expect("errors.dead", { { what = "error" } })
  t:advance "1d"
  t:expect("errors.dead", {})
end)
