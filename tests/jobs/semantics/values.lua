-- Values: numbers, nil, booleans, text, time, tables; in expressions, in Lua, and as written.
job "values" { version = 1 }

local kinds = table "kinds" [[
  id text primary key, i integer, f real, s text, b bool, at time, j json
]]

-- What a topic holds, byte for byte.
local function written(topic)
  from(topic) { format = "text" } :select { is = "text" } :to "written"
end

from "write" :select { "v" } :to "write.out"
written "write.out"

from "numbers" :select {
  "id", sum = "a + b", product = "a * b", less = "a - b", quotient = "a / b",
  floored = "a // b", rest = "a % b",
} :to "numbers.out"
written "numbers.out"
from "lua" :map(function(v) return { id = v.id, sum = v.a + v.b } end) :to "lua.out"
from "skipping" :by "k" :aggregate {
  total = sum "n", mean = avg "n", least = min "n", most = max "n", one = first "n",
  newest = last "n", dev = stddev "n", median = quantile(0.5, "n"), kinds = distinct "n",
  best = top(2, "n", { "n" }), list = collect "n", some = count "n",
} :into(table "skipping" [[
  k text primary key, total integer, mean real, least integer, most integer, one integer,
  newest integer, dev real, median real, kinds integer, best json, list json, some integer
]])
from "totals" :by "k" :aggregate {
  total = sum "n", all = count(), some = count "n > 0", mean = avg "n", least = min "n",
} :into "totals"

from "nil" :select {
  "id", missing = "x == nil", there = "x ~= nil",
  less = "(x < 1) == nil", plus = "(x + 1) == nil", joined = "(x .. 'a') == nil",
  field = "x.y == nil", call = "lower(x) == nil", inverted = "(not x) == nil",
  fallback = "coalesce(x, 7)", other = "x or 8", both = "(x and true) == nil",
} :to "nil.out"
from "where"  :where "x"             :to "where.out"
from "hot"    :where "not (c > 90)"  :to "hot.out"
from "has" :map(function(v)
  return { has = has(v, "x"), nothing = v.x == nil }
end) :to "has.out"
from "named" :map(function(v)
  return { method = v.has, has = has(v, "has"), with = v.with, len = has(v, "len") }
end) :to "named.out"
from "null" :map(function(v) return { a = null, b = nil } end) :to "null.out"
written "null.out"
from "left"   :select { "id", gone = "x", kept = "id" } :to "left.out"
written "left.out"

from "compare" :where "a < b"   :to "compare.out"
from "add"     :where "a + 1 > 0" :to "add.out"
from "blame"   :select { "a", total = "a + 1" } :to "blame.out"
from "concat"  :select { text = "a .. b" } :to "concat.out"

from "text" :select { bytes = "len(s)", chars = "utf8len(s)" } :to "text.out"
from "times" { time = "at" } :select { at = "$time" } :to "times.out"
from "durations" :select {
  m = "dur'5m'", mixed = "dur'1h30m'", day = "trunc(at, '1d')", text = "iso(at)",
} :to "durations.out"
from "lua.durations" :map(function(v) return { m = dur "5m" } end) :to "durations.out"

from "kinds" :into(kinds)
query "kinds" { sql = "select b, at, j, f, i from kinds order by id" }
from "raw.bool" :map(function(v, ctx)
  ctx.db:sql("insert into kinds (id, b) values (:id, :b)", { id = v.id, b = v.b })
end)
from "kinds.patch" :match "op" { Patch = kinds:patch("id", { s = "s", i = "i" }) }
kinds:changes() :select { "b", "at", "j" } :to "kinds.changed"
written "kinds.changed"

from "tables" :map(function(v)
  return { object = {}, list = array {}, decoded = v.list, copied = copy(v.list) }
end) :to "tables.out"
written "tables.out"
from "assign" :map(function(v) v.x = 1 return v end) :to "assign.out"
from "arrays" :map(function(v)
  return { v.list, array { v.list }, array {}, {}, { {} }, array { {}, array {} } }
end) :to "arrays.out"
from "arrays.out" { format = "text" } :select { is = "text" } :to "written"
from "with" :map(function(v)
  local w, c = with(v, { x = 2 }), copy(v)
  c.y = 3
  return { w = w.x, old = v.x, c = c.y, v = v.y }
end) :to "with.out"

local max = 9223372036854775807
local function send(t, topic, value) t:send(topic, value, { key = "k" }) end

test("numbers: a float stays one; each is written as the shortest text that reads back", function(t)
  local texts = { "1", "1.0", "-0.5", "0.1", "1e+21", "1e+300", "100000.0", "3.14159",
                  "9223372036854775807" }
  local seen = {}
  for i, v in ipairs { 1, 1.0, -0.5, 0.1, 1e21, 1e300, 100000.0, 3.14159, max } do
    send(t, "write", { v = v })
    seen[i] = { is = '{"v":' .. texts[i] .. '}' }
  end
  t:expect("written", seen)
end)

test("numbers: integers stay integers, / gives a float, // and % are Lua's", function(t)
  send(t, "numbers", { id = 1, a = 7, b = 2 })
  send(t, "numbers", { id = 2, a = -7, b = 2 })
  t:expect("written", {
    { is = '{"id":1,"floored":3,"less":5,"product":14,"quotient":3.5,"rest":1,"sum":9}' },
    { is = '{"id":2,"floored":-4,"less":-9,"product":-14,"quotient":-3.5,"rest":1,"sum":-5}' },
  })
end)

test("numbers: integer arithmetic that overflows is an error of class type", function(t)
  t:send("numbers", { id = 1, a = max, b = 1 }, { key = "sum" })
  t:send("numbers", { id = 2, a = -max, b = 2 }, { key = "product" })
  t:send("numbers", { id = 3, a = -max, b = 3 }, { key = "less" })
  t:parked { { key = "sum", class = "type" }, { key = "product", class = "type" },
             { key = "less", class = "type" } }
  t:expect("numbers.out", {})
end)

test("numbers: an integer // or % zero is an error of class type", function(t)
  send(t, "numbers", { id = 1, a = 1, b = 0 })
  t:parked { { class = "type" } }
end)

test("numbers: a result that is not finite is an error of class number", function(t)
  t:send("numbers", { id = 1, a = 1.0, b = 0.0 }, { key = "infinite" })
  t:send("numbers", { id = 2, a = 1e308, b = 1e308 }, { key = "sum" })
  t:parked { { key = "infinite", class = "number" }, { key = "sum", class = "number" } }
end)

test("numbers: a sum of integers is checked", function(t)
  send(t, "totals", { k = "a", n = max })
  send(t, "totals", { k = "a", n = 1 })
  t:parked { { class = "type" } }
  t:rows("select total, \"all\" from totals", { { total = max, all = 1 } })
end)

test("numbers: functions keep Lua's own rules", function(t)
  send(t, "lua", { id = 1, a = max, b = 1 })
  t:expect("lua.out", { { id = 1, sum = -max - 1 } })
end)

test("nil: missing and null read the same, and has tells them apart", function(t)
  send(t, "has", {})
  send(t, "has", { x = null })
  send(t, "has", { x = false })
  t:expect("has.out", { { has = false, nothing = true }, { has = true, nothing = true },
                        { has = true, nothing = false } })
end)

test("nil: has is a function, so that fields may have any name", function(t)
  send(t, "named", { has = 1, with = 2 })
  t:expect("named.out", { { method = 1, has = true, with = 2, len = false } })
end)

test("nil: null is written where it is asked for", function(t)
  send(t, "null", {})
  t:expect("written", { { is = '{"a":null}' } })
end)

test("nil: == asks for it; comparisons, arithmetic, fields, functions and not give nil", function(t)
  send(t, "nil", { id = 1 })
  send(t, "nil", { id = 2, x = null })
  local row = { missing = true, less = true, plus = true, joined = true, field = true, call = true,
                inverted = true, fallback = 7, other = 8, both = true, there = false }
  t:expect("nil.out", { row, row })
end)

test("nil: where keeps what is true, and drops false and nil", function(t)
  for _, x in ipairs { true, 0, "" } do send(t, "where", { x = x }) end
  send(t, "where", { x = false })
  send(t, "where", { x = null })
  send(t, "where", {})
  t:expect("where.out", { { x = true }, { x = 0 }, { x = "" } })
end)

test("nil: not (c > 90) does not let through what has no c", function(t)
  send(t, "hot", {})
  send(t, "hot", { c = 91 })
  send(t, "hot", { c = 90 })
  t:expect("hot.out", { { c = 90 } })
end)

test("nil: a selected field that is nil is left out", function(t)
  send(t, "left", { id = 1 })
  send(t, "left", { id = 2, x = null })
  send(t, "left", { id = 3, x = false })
  t:expect("written", { { is = '{"id":1,"kept":1}' }, { is = '{"id":2,"kept":2}' },
                        { is = '{"id":3,"gone":false,"kept":3}' } })
end)

test("nil: aggregates skip it; count() counts records, count(e) those where e is true", function(t)
  send(t, "totals", { k = "a", n = 2 })
  send(t, "totals", { k = "a" })
  send(t, "totals", { k = "a", n = -4 })
  send(t, "totals", { k = "b", n = null })
  t:rows("select k, total, \"all\", some, mean, least from totals order by k", {
    { k = "a", total = -2, all = 3, some = 1, mean = -1.0, least = -4 },
    { k = "b", all = 1, some = 0 },
  })
end)

test("nil: every aggregate skips it, and gives nil of nothing", function(t)
  for _, n in ipairs { 4, 2 } do send(t, "skipping", { k = "a", n = n }) end
  send(t, "skipping", { k = "a" })
  send(t, "skipping", { k = "a", n = null })
  send(t, "skipping", { k = "b" })
  t:rows("select * from skipping order by k", {
    { k = "a", total = 6, mean = 3.0, least = 2, most = 4, one = 4, newest = 2,
      dev = 1.4142135623730951, median = 2.0, kinds = 2, best = '[{"n":4},{"n":2}]',
      list = "[4,2]", some = 2 },
    { k = "b", kinds = 0, best = "[]", list = "[]", some = 0 },
  })
end)

test("aggregates: stddev is the sample's, quantile takes the nearest rank", function(t)
  for _, n in ipairs { 2, 4, 4, 4, 5, 5, 7, 9 } do send(t, "skipping", { k = "a", n = n }) end
  t:rows("select dev, median from skipping", { { dev = 2.138089935299395, median = 4.0 } })
  send(t, "skipping", { k = "b", n = 3 })
  t:rows("select dev, median from skipping where k = 'b'", { { median = 3.0 } })
end)

test("nil: in patch an absent column is kept, null clears it", function(t)
  send(t, "kinds", { id = "a", i = 1, s = "s" })
  send(t, "kinds.patch", { op = "Patch", id = "a", i = 2 })
  t:rows("select i, s from kinds", { { i = 2, s = "s" } })
  send(t, "kinds.patch", { op = "Patch", id = "a", s = null })
  t:rows("select i, s from kinds", { { i = 2 } })
end)

test("types: what does not compare or add is an error of class type, never coerced", function(t)
  t:send("compare", { a = "5", b = 6 }, { key = "text and number" })
  t:send("compare", { a = true, b = 1 }, { key = "boolean and number" })
  t:send("add", { a = "5" }, { key = "text" })
  t:send("compare", { a = 5, b = 6.5 }, { key = "numbers" })
  t:parked { { key = "text and number", class = "type" },
             { key = "boolean and number", class = "type" }, { key = "text", class = "type" } }
  t:expect("compare.out", { { a = 5 } })
end)

test("types: the message has the field's name once, and the expression", function(t)
  t:send("blame", 5)
  t:send("blame", { a = "x" })
  t:rows("select message from _leat_parked order by id", {
    { message = "a: number has no field a" },
    { message = "total: a + 1: cannot apply '+' to text and number" },
  })
end)

test("types: .. takes numbers, and nothing else but text", function(t)
  send(t, "concat", { a = 1, b = "x" })
  send(t, "concat", { a = 1.5, b = 2 })
  t:send("concat", { a = true, b = "x" }, { key = "bool" })
  t:expect("concat.out", { { text = "1x" }, { text = "1.52" } })
  t:parked { { key = "bool", class = "type" } }
end)

test("text: len counts bytes, utf8len characters", function(t)
  send(t, "text", { s = "bl\u{e5}" })
  t:expect("text.out", { { bytes = 4, chars = 3 } })
end)

test("time: milliseconds, or a date with or without a time of day and zone", function(t)
  local day = 1767225600000
  for _, at in ipairs { day, "2026-01-01", "2026/01/01", "2026-01-01T00:00", "2026-01-01 00:00:00",
                        "2026-01-01T00:00:00.000Z", "2026-01-01T01:00:00+01:00" } do
    send(t, "times", { at = at })
  end
  local all = {}
  for i = 1, 7 do all[i] = { at = day } end
  t:expect("times.out", all)
end)

test("time: seconds, fraction and zone may be there; the fraction is cut to ms", function(t)
  local day, all = 1767225600000, {}
  for i, at in ipairs {
    { "2026-01-01T00:00Z", day }, { "2026/01/01 12:34", day + 45240000 },
    { "2026-01-01T12:34:56", day + 45296000 }, { "2026-01-01T00:00:00.5", day + 500 },
    { "2026-01-01T00:00:00.123999Z", day + 123 }, { "2025-12-31T22:30:00-01:30", day },
    { "2026-01-01 05:45:00.001+05:45", day + 1 }, { "2024-02-29", 1709164800000 },
    { "0001-01-01T00:00:00Z", -62135596800000 }, { -62135596800000, -62135596800000 },
  } do
    t:send("times", { at = at[1] })
    all[i] = { at = at[2] }
  end
  t:expect("times.out", all)
end)

test("time: anything else is an error of class time", function(t)
  local parked = {}
  for i, at in ipairs {
    "yesterday", "2026-13-01", true, "", "12:00", null, "2026-1-1", "2026-02-29", "2026-01/01",
    "2026-01-01T", "2026-01-01T12", "2026-01-01T24:00", "2026-01-01T00:00:60", "2026-01-01Z",
    "2026-01-01T00:00:00.", "2026-01-01T00:00 Z", " 2026-01-01", "2026-01-01T00:00:00Z ",
    "0000-01-01", "10000-01-01", 1.5, "1767225600000", -62135596800001, { at = 1 },
  } do
    t:send("times", { at = at }, { key = "k" .. i })
    parked[i] = { key = "k" .. i, class = "time" }
  end
  t:parked(parked)
end)

test("time: durations are integers of milliseconds, in expressions and in Lua", function(t)
  send(t, "durations", { at = 1767225600001 })
  send(t, "lua.durations", {})
  t:expect("durations.out", { { m = 300000, mixed = 5400000, day = 1767225600000,
                                text = "2026-01-01T00:00:00.001Z" }, { m = 300000 } })
end)

test("columns: bool and time are integers in SQLite, booleans and milliseconds outside", function(t)
  send(t, "kinds", { id = "a", b = true, at = 1767225600000, j = { x = { 1, 2.0 } } })
  t:rows("select b, at, j from kinds", { { b = 1, at = 1767225600000, j = '{"x":[1,2.0]}' } })
  t:expect("written", { { is = '{"b":true,"at":1767225600000,"j":{"x":[1,2.0]}}' } })
end)

test("columns: a query gives booleans, json, and times, which HTTP shows as text", function(t)
  send(t, "kinds", { id = "a", b = true, at = 1767225600001, j = { x = array {} }, f = 1, i = 2.0 })
  send(t, "kinds", { id = "b", b = false, at = "2026-01-01T01:00:00+01:00", j = 5 })
  t:query("kinds", {}, {
    { b = true, at = 1767225600001, j = { x = array {} }, f = 1.0, i = 2 },
    { b = false, at = 1767225600000, j = 5 },
  })
end)

test("columns: nothing but 0 and 1 gets into a bool, by SQL neither", function(t)
  t:send("raw.bool", { id = "a", b = 1 }, { key = "one" })
  t:send("raw.bool", { id = "b", b = 2 }, { key = "two" })
  t:rows("select id, b from kinds", { { id = "a", b = 1 } })
  t:parked { { key = "two", class = "constraint" } }
end)

test("columns: a value of another type is an error of class type", function(t)
  t:send("kinds", { id = "a", i = "text" }, { key = "integer" })
  t:send("kinds", { id = "a", i = 1.5 }, { key = "fraction" })
  t:send("kinds", { id = "a", b = 1 }, { key = "bool" })
  t:send("kinds", { id = "a", s = 7 }, { key = "text" })
  t:parked { { key = "integer", class = "type" }, { key = "fraction", class = "type" },
             { key = "bool", class = "type" }, { key = "text", class = "type" } }
  t:rows("select * from kinds", {})
end)

test("tables: {} is an object, array {} a list; what was decoded as a list stays one", function(t)
  send(t, "tables", { list = array {} })
  t:expect("written", { { is = '{"copied":[],"decoded":[],"list":[],"object":{}}' } })
end)

test("tables: in lists too, and in each other", function(t)
  send(t, "arrays", { list = array {} })
  t:expect("written", { { is = "[[],[[]],[],{},[{}],[{},[]]]" } })
end)

test("records: a value is read only; with and copy make another", function(t)
  send(t, "assign", { x = 1 })
  t:parked { { class = "lua" } }
  t:rows("select instr(message, 'with(v, {') > 0 told from _leat_parked", { { told = 1 } })
  send(t, "with", { x = 1 })
  t:expect("with.out", { { w = 2, old = 1, c = 3 } })
end)
