-- Event time: where it comes from, what is no time, and which time an output has.
job "event_time" { version = 1 }

local seen = function(s, topic) return s :select { "id", at = "$time" } :to(topic) end

seen(from "stamped", "stamped.out")
seen(from "field" { time = "at" }, "field.out")
seen(from "seconds" { time = "at * 1000" }, "field.out")
seen(from "ahead" { time = "at", ahead = "10m" }, "ahead.out")

local events = from "events" { time = "at", disorder = "0s" }
seen(events :where "id ~= nil" :set { x = "1" }, "events.stateless")
seen(events :by "k" :window { size = "10s" } :aggregate { n = count(), id = last "id" } :final(),
  "events.closed")
seen(events :by "k" :window { size = "10s" } :aggregate { id = last "id" } :changes(),
  "events.changed")
seen(events :by "k" :window { last = "10s" } :aggregate { n = count() }, "events.readings")
seen(events :by "k" :process {
  on = function(v, ctx) ctx:timer("later", ctx.time + 5000) end,
  timer = function(name, ctx) return { id = name } end,
}, "events.timers")

local left, right = from "left" { time = "at" } :by "k", from "right" { time = "at" } :by "k"
seen(left :join(right, { as = "r", within = { "-10s", "10s" } }), "joined.out")

seen(events :by "k" :window { gap = "10s" } :aggregate { n = count(), id = last "id" } :final(),
  "events.session")
seen(events :by "k" :window { size = "10s", every = "5s" } :aggregate { id = last "id" } :final(),
  "events.hopping")
seen(left :join(right, { as = "r", within = { "0s", "1s" }, kind = "left" }) :where "r == nil",
  "unmatched.out")
local names = table "names" [[ k text primary key ]]
from "names" { changelog = true, time = "at" } :into(names)
seen(left :join(names, { as = "name", on = "k" }), "named.out")
every "1h" :select { at = "$time" } :to "ticks"

-- The record's timestamp in the topic, which is what others see.
from "events.closed" :select { "id", "at", stamp = "$time" } :to "stamps"

local t0 = 1767225600000

test("event time: the record's timestamp, unless time says otherwise", function(t)
  t:send("stamped", { id = 1, at = 5 }, { time = t0 + 1000 })
  t:expect("stamped.out", { { id = 1, at = t0 + 1000 } })
  t:send("field", { id = 2, at = t0 + 7 }, { time = t0 + 1000 })
  t:send("seconds", { id = 3, at = t0 // 1000 }, { time = t0 + 1000 })
  t:expect("field.out", { { id = 2, at = t0 + 7 }, { id = 3, at = t0 } })
end)

test("event time: what is not a time parks the record with class time", function(t)
  t:send("field", { id = 1 }, { key = "missing" })
  t:send("field", { id = 2, at = "noon" }, { key = "text" })
  t:send("field", { id = 3, at = 1 << 60 }, { key = "far" })
  t:parked { { key = "missing", class = "time" }, { key = "text", class = "time" },
             { key = "far", class = "time" } }
  t:expect("field.out", {})
end)

test("event time: a record without a time waits for nobody and holds its key", function(t)
  t:send("field", { id = 1, at = "noon" }, { key = "k" })
  t:send("field", { id = 2, at = t0 }, { key = "k" })
  t:send("field", { id = 3, at = t0 }, { key = "other" })
  t:parked { { key = "k", class = "time" }, { key = "k", class = "sequence" } }
  t:expect("field.out", { { id = 3 } })
end)

test("event time: the clock that ahead is measured by is the step's", function(t)
  t:advance "30m"
  t:send("field", { id = 1, at = t0 + 5400000 }, { key = "a" })
  t:parked {}
  t:send("field", { id = 2, at = t0 + 9000001 }, { key = "b", time = t0 + 5400000 })
  t:parked { { key = "b", class = "ahead" } }
  t:expect("field.out", { { id = 1 } })
end)

test("event time: ahead is a verdict; it stays, whatever the clock says later", function(t)
  t:send("ahead", { id = 1, at = t0 + 600001 }, { key = "a", time = t0 })
  t:send("ahead", { id = 2, at = t0 }, { key = "a", time = t0 })
  t:advance "1h"
  t:restart()
  t:parked { { key = "a", class = "ahead" }, { key = "a", class = "sequence" } }
  t:expect("ahead.out", {})
end)

test("event time: more than ahead after the clock is class ahead, an hour unless set", function(t)
  t:send("field", { id = 1, at = t0 + 3600000 }, { key = "a", time = t0 })
  t:send("field", { id = 2, at = t0 + 3600001 }, { key = "b", time = t0 })
  t:send("ahead", { id = 3, at = t0 + 600000 }, { key = "c", time = t0 })
  t:send("ahead", { id = 4, at = t0 + 600001 }, { key = "d", time = t0 })
  t:parked { { key = "b", class = "ahead" }, { key = "d", class = "ahead" } }
  t:expect("field.out", { { id = 1 } })
  t:expect("ahead.out", { { id = 3 } })
end)

test("output time: a stateless operator keeps the input's", function(t)
  t:send("events", { id = 1, k = "a", at = t0 + 3000 })
  t:expect("events.stateless", { { id = 1, at = t0 + 3000 } })
end)

test("output time: a closed window's is its last millisecond", function(t)
  t:send("events", { id = 1, k = "a", at = t0 + 3000 })
  t:send("events", { id = 2, k = "a", at = t0 + 10000 })
  t:expect("events.closed", { { id = 1, at = t0 + 9999 } })
  t:expect("stamps", { { at = t0 + 9999, stamp = t0 + 9999 } })
end)

test("output time: a change has the time of what caused it", function(t)
  t:send("events", { id = 1, k = "a", at = t0 + 3000 })
  t:expect("events.changed", { { id = 1, at = t0 + 3000 } })
end)

test("output time: a look-back result has its reading's", function(t)
  t:send("events", { id = 1, k = "a", at = t0 + 3000 })
  t:send("events", { id = 2, k = "a", at = t0 + 4000 })
  t:expect("events.readings", { { id = 1, at = t0 + 3000 }, { id = 2, at = t0 + 4000 } })
end)

test("output time: a timer's is the time it was set for, however late it fires", function(t)
  t:send("events", { id = 1, k = "a", at = t0 + 3000 })
  t:send("events", { id = 2, k = "b", at = t0 + 60000 })
  t:expect("events.timers", { { id = "later", at = t0 + 8000 } })
end)

test("output time: a closed session's is its last millisecond, a gap behind its last record",
  function(t)
    t:send("events", { id = 1, k = "a", at = t0 + 3000 })
    t:send("events", { id = 2, k = "a", at = t0 + 7000 })
    t:send("events", { id = 3, k = "b", at = t0 + 60000 })
    t:expect("events.session", { { id = 2, at = t0 + 16999 } })
  end)

test("output time: each of the windows that overlap has its own", function(t)
  t:send("events", { id = 1, k = "a", at = t0 + 3000 })
  t:send("events", { id = 2, k = "b", at = t0 + 10000 })
  t:expect("events.hopping", { { id = 1, at = t0 + 4999 }, { id = 1, at = t0 + 9999 } })
end)

test("output time: a record that met nobody has the time when that was certain", function(t)
  t:send("left", { id = 1, k = "a", at = t0 + 5000 })
  t:send("left", { id = 2, k = "b", at = t0 + 9000 })
  t:send("right", { k = "b", at = t0 + 9000 })
  t:expect("unmatched.out", { { id = 1, at = t0 + 6000 } })
end)

test("output time: joined with a table it is the stream's, however new the row", function(t)
  t:send("names", { at = t0 + 8000 }, { key = "a" })
  t:send("left", { id = 1, k = "a", at = t0 + 5000 })
  t:expect("named.out", { { id = 1, at = t0 + 5000 } })
end)

test("output time: a tick's is the multiple of its interval", function(t)
  t:advance "1h"
  t:expect("ticks", { { at = t0 + 3600000 } })
end)

test("output time: a joined pair's is the later of the two", function(t)
  t:batch(function()
    t:send("left", { id = 1, k = "a", at = t0 + 5000 })
    t:send("right", { k = "a", at = t0 + 2000 })
    t:send("right", { k = "a", at = t0 + 9000 })
  end)
  t:expect("joined.out", { { id = 1, at = t0 + 5000 }, { id = 1, at = t0 + 9000 } })
end)
