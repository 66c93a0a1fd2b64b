-- Emission: what comes out when, of streams, tables, closed windows and clocks.
job "emission" { version = 1 }

local sales = from "sales" { time = "at" } :by "sku"
local days = sales :window { size = "1d" } :aggregate { n = count(), total = sum "price" }
days:into "days"
days:final() :to "days.closed"
days:changes() :select { "sku", "n", was = "$old.n" } :to "days.changed"
days:changes { latest = true } :select { "sku", "n" } :to "days.latest"

local visits = from "clicks" { time = "at", disorder = "1m" } :by "who" :window { gap = "10s" }
  :aggregate { n = count() }
visits:into "visits"
visits:changes() :set { start = "coalesce(window_start, $old.window_start)" }
  :select { who = "$key", at = "(start - 1767225600000) // 1000", "n", was = "$old.n",
            gone = "n == nil" }
  :to "visits.changed"

local stock = table "stock" [[ sku text primary key, n integer not null default 0, place text ]]
from "moves" :match "type" {
  Move = stock:add("sku", { n = "n" }),
  Place = stock:patch("sku", { place = "place" }),
  Out = stock:delete "sku",
  Twice = { stock:add("sku", { n = "1" }), stock:add("sku", { n = "2" }) },
}
stock:changes() :select { sku = "$key", "n", was = "$old.n", gone = "n == nil" } :to "stock.changed"

from "plain" :to "plain.out"
every "1h" :select { at = "$time", now = "$now" } :to "ticks"

local t0 = 1767225600000
local function sale(t, sku, price, at)
  t:send("sales", { sku = sku, price = price, at = t0 + (at or 0) })
end

test("emission: a stream gives its records as they are processed", function(t)
  t:send("plain", { n = 1 })
  t:expect("plain.out", { { n = 1 } })
  t:batch(function() t:send("plain", { n = 2 }) t:send("plain", { n = 3 }) end)
  t:expect("plain.out", { { n = 2 }, { n = 3 } })
end)

test("emission: a table of an aggregate shows open windows", function(t)
  sale(t, "a", 5)
  t:rows("select sku, n, total from days", { { sku = "a", n = 1, total = 5 } })
  sale(t, "a", 6)
  t:rows("select sku, n, total from days", { { sku = "a", n = 2, total = 11 } })
  t:expect("days.closed", {})
end)

test("emission: final gives a closed window once, and nothing of an open one", function(t)
  sale(t, "a", 5)
  sale(t, "a", 6, 86400000)
  t:expect("days.closed", { { sku = "a", n = 1, total = 5, window_start = t0 } })
  t:advance "5d"
  t:expect("days.closed", { { sku = "a", n = 1, total = 6 } })
  t:advance "5d"
  t:expect("days.closed", {})
end)

test("changes: one for each change of a row, in order, with the row before", function(t)
  t:batch(function() sale(t, "a", 5) sale(t, "b", 1) sale(t, "a", 6) end)
  t:expect("days.changed", { { sku = "a", n = 1, was = null }, { sku = "b", n = 1, was = null },
                             { sku = "a", n = 2, was = 1 } })
end)

test("changes: they do not depend on where commits are", function(t)
  local want = { { n = 1, was = null }, { n = 2, was = 1 }, { n = 3, was = 2 } }
  t:batch(function() for _ = 1, 3 do sale(t, "a", 5) end end)
  t:expect("days.changed", want)
  for _ = 1, 3 do sale(t, "b", 5) end
  t:expect("days.changed", want)
end)

test("changes: latest gives one for each key and commit, by what it is at the end", function(t)
  t:batch(function() sale(t, "a", 5) sale(t, "b", 1) sale(t, "a", 6) end)
  t:expect("days.latest", { { sku = "a", n = 2 }, { sku = "b", n = 1 } })
end)

test("changes: a delete is nil with the row before", function(t)
  t:send("moves", { type = "Move", sku = "a", n = 5 })
  t:send("moves", { type = "Out", sku = "a" })
  t:expect("stock.changed", { { sku = "a", n = 5, was = null, gone = false },
                              { sku = "a", was = 5, gone = true } })
end)

test("changes: a write that changes nothing says nothing", function(t)
  t:send("moves", { type = "Move", sku = "a", n = 5 })
  t:send("moves", { type = "Move", sku = "a", n = 0 })
  t:send("moves", { type = "Out", sku = "never" })
  t:expect("stock.changed", { { sku = "a", n = 5 } })
end)

test("changes: a record that writes twice gives both", function(t)
  t:send("moves", { type = "Twice", sku = "a" })
  t:expect("stock.changed", { { n = 1, was = null }, { n = 3, was = 1 } })
end)

local function click(t, at) t:send("clicks", { who = "ann", at = t0 + at * 1000 }) end

test("changes: a session's row changes with each of its records", function(t)
  click(t, 0)
  click(t, 5)
  click(t, 30)
  t:expect("visits.changed", {
    { who = "ann", at = 0, n = 1, was = null }, { at = 0, n = 2, was = 1 },
    { at = 30, n = 1, was = null },
  })
end)

test("changes: rows of sessions that a record joins go, one of them grows", function(t)
  t:batch(function() click(t, 15) click(t, 0) click(t, 9) end)
  t:rows("select n from visits", { { n = 3 } })
  t:expect("visits.changed", {
    { at = 15, n = 1, was = null }, { at = 0, n = 1, was = null },
    { at = 15, gone = true, was = 1 }, { at = 0, n = 3, was = 1 },
  })
end)

test("changes: a session that begins earlier than it did is another row", function(t)
  click(t, 30)
  t:restart()
  click(t, 25)
  t:expect("visits.changed", {
    { at = 30, n = 1, was = null },
    { at = 30, gone = true, was = 1 }, { at = 25, n = 2, was = null },
  })
end)

test("every: ticks at the multiples of its interval, by the clock", function(t)
  t:advance "2h"
  t:expect("ticks", { { at = t0 + 3600000 }, { at = t0 + 7200000 } })
end)

test("every: one tick each, also when the job starts again", function(t)
  t:advance "1h"
  t:restart()
  t:advance "59m"
  t:expect("ticks", { { at = t0 + 3600000 } })
  t:restart()
  t:advance "1m"
  t:expect("ticks", { { at = t0 + 7200000 } })
end)

test("every: ticks missed while the job was down are one", function(t)
  t:advance "1h"
  t:expect("ticks", { { at = t0 + 3600000 } })
  t:send("plain", { n = 1 }, { time = t0 + 9 * 3600000 + 5 })   -- nothing ran in between
  t:expect("ticks", { { at = t0 + 9 * 3600000, now = t0 + 9 * 3600000 + 5 } })
end)
