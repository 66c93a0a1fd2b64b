-- Records: keys, headers, partitions, tombstones.
job "keys" { version = 1 }

local rows = table "rows" [[ id text primary key, n integer ]]

from "in" :select { key = "$key", topic = "$topic", partition = "$partition", offset = "$offset",
                    sent = "$time", trace = "$header.trace" } :to "in.out"
from "lua" :map(function(v, ctx)
  return { key = ctx.key, topic = ctx.topic, partition = ctx.partition, offset = ctx.offset,
           sent = ctx.time, trace = ctx.headers.trace }
end) :to "lua.out"

local born = from "born" { time = "at" } :by "name" :window { size = "1s" }
  :aggregate { n = count() } :final()
born :select { place = "coalesce($topic, $partition, $offset, 'nowhere')", at = "$time" }
  :to "born.out"
born :map(function(_, ctx)
  return { place = ctx.topic or ctx.partition or ctx.offset or "nowhere" }
end) :to "born.lua"

from "by" :by "name" :select { "n" } :to "by.out"
local composite = from "composite" :by("a", "b")
composite :select { "n" } :to "composite.out"
composite :into(table "pairs" [[ a any, b any, n integer, primary key (a, b) ]])
from "rekeyed" :to("rekeyed.out", { key = "name" })

local headed = from "headed" { time = "at" }
headed :where "n > 0" :set { m = "n" } :map(function(v) return v end) :to "headed.stateless"
headed :to("headed.more", { headers = { kind = "'k'", n = "n" } })
headed :to("headed.over", { headers = { trace = "'mine'", none = "x" } })
headed :flatmap(function(v) return { v, { n = 2 } } end) :to "headed.flat"
headed :explode("items", "item") :to "headed.exploded"
local odd, even = headed :split "n % 2 == 1"
odd :merge(even) :by "name" :dedupe { by = "n", within = "1h" } :to "headed.split"
headed :match "type" { T = function(v, ctx)
  ctx:emit { n = ctx.headers.trace }
  return v
end } :to "headed.matched"
headed :by "name" :aggregate { n = count() } :changes() :to "headed.changed"
headed :join(table "tags" [[ name text primary key, n integer ]], { on = "name", as = "tag",
  kind = "left" }) :to "headed.tagged"
headed :by "name" :window { size = "1s" } :aggregate { n = count() } :final() :to "headed.final"
headed :by "name" :join(from "others" { time = "at" } :by "name", { within = { "0s", "1s" },
  as = "other" }) :to "headed.joined"

from "log" { changelog = true } :into(rows)
from "gone" :map(function(v, ctx) return { key = ctx.key, nothing = v == nil } end) :to "gone.out"
from "gone.expr" { time = "at" } :select { key = "$key", x = "coalesce(x, 'nil')", at = "$time" }
  :to "gone.out"

local t0 = 1767225600000

test("records: expressions and functions see key, place, time and headers", function(t)
  for _, topic in ipairs { "in", "lua" } do
    t:send(topic, { n = 1 }, { key = "k", time = t0 + 5, headers = { trace = "t1" } })
    t:send(topic, { n = 2 }, { partition = 1, time = t0 + 6 })
    t:send(topic, { n = 3 }, { key = "k", time = t0 + 7 })
    t:expect(topic .. ".out", {
      { key = "k", topic = topic, partition = 0, offset = 0, sent = t0 + 5, trace = "t1" },
      { key = null, topic = topic, partition = 1, offset = 0, sent = t0 + 6, trace = null },
      { key = "k", topic = topic, partition = 0, offset = 1, sent = t0 + 7, trace = null },
    })
  end
end)

test("records: one that is born in the job has no topic, partition or offset", function(t)
  t:send("born", { name = "a", at = t0 })
  t:send("born", { name = "a", at = t0 + 1000 })
  t:expect("born.out", { { place = "nowhere", at = t0 + 999 } })
  t:expect("born.lua", { { place = "nowhere" } })
end)

test("keys: by is the key of everything behind it", function(t)
  t:send("by", { name = "ann", n = 1 }, { key = "k" })
  t:send("by", { name = 7, n = 2 }, { key = "k" })
  t:expect("by.out", { { ["$key"] = "ann", n = 1 }, { ["$key"] = "7", n = 2 } })
end)

test("keys: several expressions make one key of parts, whose names into knows", function(t)
  t:send("composite", { a = "x", b = 1, n = 5 }, { key = "k" })
  t:send("composite", { a = "x", b = 2, n = 6 }, { key = "k" })
  t:rows("select a, b, n from pairs order by b",
    { { a = "x", b = 1, n = 5 }, { a = "x", b = 2, n = 6 } })
  t:expect("composite.out", { { n = 5 }, { n = 6 } })
end)

test("keys: a part that is nil is an error of class key", function(t)
  t:send("by", { n = 1 }, { key = "none" })
  t:send("by", { name = null, n = 1 }, { key = "null" })
  t:send("composite", { a = "x", n = 1 }, { key = "half" })
  t:parked { { key = "none", class = "key" }, { key = "null", class = "key" },
             { key = "half", class = "key" } }
  t:expect("by.out", {})
end)

test("keys: to takes the record's key, or an expression", function(t)
  t:send("rekeyed", { name = "ann" }, { key = "k" })
  t:send("by", { name = "bob" }, { key = "k" })
  t:expect("rekeyed.out", { { ["$key"] = "ann" } })
  t:expect("by.out", { { ["$key"] = "bob" } })
end)

test("headers: they survive stateless operators and to, which adds its own", function(t)
  t:send("headed", { n = 1, name = "a", at = t0 }, { headers = { trace = "t1" } })
  t:expect("headed.stateless", { { m = 1, ["$header.trace"] = "t1" } })
  t:expect("headed.more", { { n = 1, ["$header.trace"] = "t1", ["$header.kind"] = "k",
                              ["$header.n"] = "1" } })
end)

test("headers: to's own replace those of the same name; one that is nil is left out", function(t)
  t:send("headed", { n = 1, name = "a", at = t0 }, { headers = { trace = "t1" } })
  t:expect("headed.over", { { n = 1, ["$header.trace"] = "mine", ["$header.none"] = null } })
end)

test("headers: they survive flatmap, explode, split, merge, by, dedupe and match", function(t)
  t:send("headed", { n = 1, name = "a", at = t0, items = { 1, 2 }, type = "T" },
    { headers = { trace = "t1" } })
  local trace = { ["$header.trace"] = "t1" }
  t:expect("headed.flat", { trace, trace })
  t:expect("headed.exploded", { trace, trace })
  t:expect("headed.split", { trace })
  t:expect("headed.matched", { { n = "t1", ["$header.trace"] = "t1" }, trace })
end)

test("headers: changes of an aggregate have none, joins with a table neither", function(t)
  t:send("headed", { n = 1, name = "a", at = t0 }, { headers = { trace = "t1" } })
  t:expect("headed.changed", { { n = 1, ["$header.trace"] = null } })
  t:expect("headed.tagged", { { n = 1, ["$header.trace"] = null } })
end)

test("headers: they do not survive aggregates and joins", function(t)
  t:send("headed", { n = 1, name = "a", at = t0 }, { headers = { trace = "t1" } })
  t:send("others", { name = "a", at = t0 + 500 }, { headers = { trace = "t2" } })
  t:send("headed", { n = 1, name = "a", at = t0 + 1000 })
  t:expect("headed.joined", { { name = "a", other = { name = "a" }, ["$header.trace"] = null } })
  t:expect("headed.final", { { n = 1, ["$header.trace"] = null } })
end)

test("tombstones: a nil value deletes on a changelog", function(t)
  t:send("log", { n = 1 }, { key = "a" })
  t:send("log", { n = 2 }, { key = "b" })
  t:send("log", nil, { key = "a" })
  t:rows("select id, n from rows", { { id = "b", n = 2 } })
  t:send("log", nil, { key = "never" })
  t:parked {}
end)

test("changelog: a record replaces the whole row", function(t)
  t:send("log", { n = 1 }, { key = "a" })
  t:send("log", {}, { key = "a" })
  t:rows("select id, n from rows", { { id = "a" } })
end)

test("tombstones: elsewhere they reach the operators, and paths read nil", function(t)
  t:send("gone", nil, { key = "k" })
  t:expect("gone.out", { { key = "k", nothing = true } })
end)

test("tombstones: they have no fields to take a time from, so the record's own counts", function(t)
  t:send("gone.expr", nil, { key = "k", time = t0 + 7 })
  t:expect("gone.out", { { key = "k", x = "nil", at = t0 + 7 } })
  t:parked {}
end)
