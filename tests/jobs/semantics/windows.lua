-- Windows: tumbling, hopping, sessions, look-back; when they close and what is late.
job "windows" { version = 1 }

local function windows(source, name, spec)
  local w = source :by "k" :window(spec)
  local sums = w:aggregate { n = count(), ids = collect "id" }
  sums:into(name)
  sums:final() :select { "k", start = "window_start", stop = "window_end", "n" }
    :to(name .. ".closed")
  w:late() :select { "id" } :to(name .. ".late")
end

windows(from "minutes" { time = "at" }, "minutes", { size = "1m" })
windows(from "graced" { time = "at" }, "graced", { size = "1m", grace = "30s" })
windows(from "hops" { time = "at" }, "hops", { size = "3m", every = "1m" })
windows(from "uneven" { time = "at" }, "uneven", { size = "5s", every = "2s" })
windows(from "visits" { time = "at" }, "visits", { gap = "10s" })
windows(from "long_visits" { time = "at" }, "long_visits", { gap = "10s", grace = "1m" })

local parts = from "parts" { time = "at" } :by("k", "id // 10")
  :window { gap = "10s", grace = "5s" }
local part_visits = parts:aggregate { n = count(), ids = collect "id" }
part_visits:into "part_visits"
part_visits:final() :select { key = "$key", "n", "ids", at = "$time" } :to "parts.closed"
parts:late() :select { "id", key = "$key" } :to "parts.late"

-- Windows of windows: they need as much grace, or what comes out of the first is late.
local lower = from "levels" { time = "at" } :by "k" :window { size = "1m", grace = "10s" }
  :aggregate { n = count() } :final() :by "k"
lower:window { size = "2m", grace = "10s" } :aggregate { n = sum "n", minutes = count() } :final()
  :select { "n", "minutes", at = "$time" } :to "levels.closed"
local short = lower:window { size = "2m" }
short:aggregate { n = sum "n", minutes = count() } :final() :select { "n", "minutes" }
  :to "short.closed"
short:late() :select { "n" } :to "short.late"

local readings = from "readings" { time = "at", disorder = "5s" }
local last = readings :by "k" :window { last = "10s" }
last:aggregate { n = count(), sum = sum "x", oldest = first "id" }
  :select { "id", "n", "sum", "oldest", "note" } :to "readings.out"
last:late() :select { "id" } :to "readings.late"
local newest = table "newest" [[ id integer, k text primary key, n integer ]]
from "kept" { time = "at", disorder = "5s" } :by "k" :window { last = "10s" }
  :aggregate { n = count() } :into(newest)
newest:changes() :select { "id", "n", was = "$old.n", at = "$time" } :to "newest.changed"

-- Several operators that close at once.
local both = from "both" { time = "at", disorder = "5s" } :by "k"
both:window { size = "2s" } :aggregate { n = count() } :final()
  :select { op = "'first'", "k", stop = "window_end" } :to "both.closed"
both:window { size = "1s" } :aggregate { n = count() } :final()
  :select { op = "'second'", "k", stop = "window_end" } :to "both.closed"

local t0 = 1767225600000
local function send(t, topic, id, at, k)
  t:send(topic, { id = id, k = k or "k", at = t0 + at }, { time = t0 + 3600000 })
end

test("windows: they are aligned to the epoch, and hold [start, start + size)", function(t)
  send(t, "minutes", 1, 0)
  send(t, "minutes", 2, 59999)
  send(t, "minutes", 3, 60000)
  t:rows("select window_start, window_end, n from minutes order by window_start", {
    { window_start = t0, window_end = t0 + 60000, n = 2 },
    { window_start = t0 + 60000, window_end = t0 + 120000, n = 1 },
  })
end)

test("windows: hopping ones start at multiples of every, and overlap", function(t)
  send(t, "hops", 1, 150000)
  t:rows("select window_start, n from hops order by window_start",
    { { window_start = t0, n = 1 }, { window_start = t0 + 60000, n = 1 },
      { window_start = t0 + 120000, n = 1 } })
  send(t, "uneven", 2, 4500)               -- every does not divide size: 2 or 3 windows
  send(t, "uneven", 3, 5500)
  t:rows("select window_start - " .. t0 .. " s, n from uneven order by s",
    { { s = 0, n = 1 }, { s = 2000, n = 2 }, { s = 4000, n = 2 } })
end)

test("windows: one closes when W reaches its end, and its row stays", function(t)
  send(t, "minutes", 1, 30000)
  send(t, "minutes", 2, 119999)
  t:expect("minutes.closed", { { start = t0, stop = t0 + 60000, n = 1 } })
  send(t, "minutes", 3, 120000)
  t:expect("minutes.closed", { { start = t0 + 60000, n = 1 } })
  t:rows("select count(*) c from minutes", { { c = 3 } })
end)

test("windows: grace keeps one open; what comes in it counts", function(t)
  send(t, "graced", 1, 30000)
  send(t, "graced", 2, 89999)
  t:expect("graced.closed", {})
  send(t, "graced", 3, 59000)
  send(t, "graced", 4, 90000)
  t:expect("graced.closed", { { start = t0, n = 2 } })
  t:expect("graced.late", {})
end)

test("windows: a record whose window has closed is late, and changes nothing", function(t)
  send(t, "minutes", 1, 30000)
  send(t, "minutes", 2, 60000)
  send(t, "minutes", 3, 59999)
  t:expect("minutes.late", { { id = 3 } })
  t:rows("select n from minutes order by window_start", { { n = 1 }, { n = 1 } })
end)

test("windows: a record may be late where there has never been a window", function(t)
  send(t, "minutes", 1, 300000)
  send(t, "minutes", 2, 0)
  t:expect("minutes.late", { { id = 2 } })
  t:rows("select count(*) c from minutes", { { c = 1 } })
end)

test("windows: late for some hopping windows, it counts in the others and is late once", function(t)
  send(t, "hops", 1, 240000)               -- W = 4m
  send(t, "hops", 2, 150000)               -- [0, 3m) and [1m, 4m) have closed, [2m, 5m) has not
  t:expect("hops.late", { { id = 2 } })
  t:rows("select window_start - " .. t0 .. " s, n from hops order by s",
    { { s = 120000, n = 2 }, { s = 180000, n = 1 }, { s = 240000, n = 1 } })
end)

test("windows: they close in the order of operators, then their ends, then key bytes", function(t)
  send(t, "both", 1, 500, "b")
  send(t, "both", 2, 600, "a")
  send(t, "both", 3, 1500, "aa")
  send(t, "both", 4, 9000, "z")
  t:expect("both.closed", {
    { op = "first", k = "a" }, { op = "first", k = "aa" }, { op = "first", k = "b" },
    { op = "second", k = "a" }, { op = "second", k = "b" },
    { op = "second", k = "aa", stop = t0 + 2000 },
  })
end)

test("windows: closed once, ever, also across restarts", function(t)
  send(t, "minutes", 1, 30000)
  t:restart()
  send(t, "minutes", 2, 60000)
  t:restart()
  t:advance "1h"
  t:restart()
  t:advance "1h"
  t:expect("minutes.closed", { { start = t0 }, { start = t0 + 60000 } })
end)

test("windows: what is kept to work on one goes when it closes; its row stays", function(t)
  local working = "select window_start - " .. t0 .. " s from minutes where _leat_state is not null"
  send(t, "minutes", 1, 30000)
  t:rows(working, { { s = 0 } })
  send(t, "minutes", 2, 60000)
  t:rows(working, { { s = 60000 } })
  t:rows("select n, ids from minutes order by window_start",
    { { n = 1, ids = { 1 } }, { n = 1, ids = { 2 } } })
end)

test("sessions: records less than a gap apart are one, its end a gap behind the last", function(t)
  send(t, "visits", 1, 0)
  send(t, "visits", 2, 9999)
  send(t, "visits", 3, 19998)
  t:rows("select window_start, window_end, n from visits",
    { { window_start = t0, window_end = t0 + 29998, n = 3 } })
end)

test("sessions: a record exactly a gap later begins another", function(t)
  send(t, "long_visits", 1, 0)
  send(t, "long_visits", 2, 10000)
  t:rows("select count(*) c from long_visits", { { c = 2 } })
end)

test("sessions: a record between two joins them; the row of the absorbed one is gone", function(t)
  send(t, "long_visits", 1, 0)
  send(t, "long_visits", 2, 15000)
  t:rows("select count(*) c from long_visits", { { c = 2 } })
  send(t, "long_visits", 3, 8000)
  t:rows("select window_start, window_end, n from long_visits",
    { { window_start = t0, window_end = t0 + 25000, n = 3 } })
end)

test("sessions: an older record moves the start of its session", function(t)
  send(t, "long_visits", 1, 15000)
  send(t, "long_visits", 2, 8000)
  t:rows("select window_start, window_end, n from long_visits",
    { { window_start = t0 + 8000, window_end = t0 + 25000, n = 2 } })
end)

test("sessions: keys do not share them", function(t)
  send(t, "visits", 1, 0, "a")
  send(t, "visits", 2, 1000, "b")
  t:rows("select k, n from visits order by k", { { k = "a", n = 1 }, { k = "b", n = 1 } })
end)

test("sessions: a key of several parts is one key, in rows, closed and late ones", function(t)
  send(t, "parts", 1, 0)
  send(t, "parts", 11, 0)                  -- the same k, another part
  send(t, "parts", 2, 12000)
  send(t, "parts", 3, 5000)                -- joins 1 and 2
  t:rows("select k, key, n, window_start, window_end from part_visits order by key", {
    { k = "k", key = 0, n = 3, window_start = t0, window_end = t0 + 22000 },
    { k = "k", key = 1, n = 1, window_start = t0, window_end = t0 + 10000 },
  })
  send(t, "parts", 4, 27000, "other")
  t:expect("parts.closed", { { key = { "k", 1 }, n = 1, at = t0 + 9999 },
                             { key = { "k", 0 }, n = 3, ids = { 1, 3, 2 }, at = t0 + 21999 } })
  send(t, "parts", 5, 11999)               -- its own session's grace ended at 26,999
  send(t, "parts", 6, 12001)
  t:expect("parts.late", { { id = 5, key = { "k", 0 } } })
  t:rows("select n, window_start - " .. t0 .. " s from part_visits where k = 'k' and key = 0"
      .. " order by s", { { n = 3, s = 0 }, { n = 1, s = 12001 } })
end)

test("sessions: one closes at end + grace, and then it does not grow", function(t)
  send(t, "visits", 1, 0)
  send(t, "visits", 2, 9999)
  send(t, "visits", 3, 19999, "other")
  t:expect("visits.closed", { { k = "k", start = t0, stop = t0 + 19999, n = 2 } })
  send(t, "visits", 4, 15000)              -- its own session is open still: a new one
  t:rows("select window_start - " .. t0 .. " s, n from visits where k = 'k' order by s",
    { { s = 0, n = 2 }, { s = 15000, n = 1 } })
end)

test("sessions: a record whose own session would have closed is late", function(t)
  send(t, "visits", 1, 60000, "other")
  send(t, "visits", 2, 50000)
  t:expect("visits.late", { { id = 2 } })
end)

test("sessions: but one that overlaps an open session joins it", function(t)
  send(t, "visits", 1, 60000)
  send(t, "visits", 2, 50001)
  t:expect("visits.late", {})
  t:rows("select window_start - " .. t0 .. " s, n from visits", { { s = 50001, n = 2 } })
end)

test("look-back: a reading comes out once, with those from last before up to itself", function(t)
  for i = 1, 4 do send(t, "readings", i, i * 4000) end
  send(t, "readings", 9, 60000, "other")
  t:expect("readings.out", { { id = 1, n = 1, oldest = 1 }, { id = 2, n = 2, oldest = 1 },
                             { id = 3, n = 3, oldest = 1 }, { id = 4, n = 3, oldest = 2 } })
end)

test("look-back: both ends are in, and readings of the same time see each other", function(t)
  send(t, "readings", 1, 0)
  send(t, "readings", 2, 10000)
  send(t, "readings", 3, 10000)
  send(t, "readings", 9, 60000, "other")
  t:expect("readings.out", { { id = 1, n = 1 }, { id = 2, n = 3 }, { id = 3, n = 3 } })
end)

test("look-back: with disorder they wait for W, and come out in order of their times", function(t)
  send(t, "readings", 1, 10000)
  send(t, "readings", 2, 7000)
  t:expect("readings.out", {})
  send(t, "readings", 3, 14999)
  t:expect("readings.out", { { id = 2, n = 1 } })
  send(t, "readings", 4, 15000)
  t:expect("readings.out", { { id = 1, n = 2 } })
end)

test("look-back: the order of times holds over all keys", function(t)
  for id, at in ipairs { 4000, 1000, 3000, 2000 } do
    send(t, "readings", id, at, "k" .. id)
  end
  send(t, "readings", 9, 60000, "other")
  t:expect("readings.out", { { id = 2 }, { id = 4 }, { id = 3 }, { id = 1 } })
end)

test("look-back: a reading keeps its own fields", function(t)
  t:send("readings", { id = 1, k = "k", at = t0, x = 5, note = "own" }, { time = t0 + 3600000 })
  send(t, "readings", 9, 60000, "other")
  t:expect("readings.out", { { id = 1, note = "own", sum = 5 } })
end)

test("look-back: one that W has passed is late, and others look back to it", function(t)
  send(t, "readings", 1, 20000)            -- W = 15 s
  send(t, "readings", 2, 14999)
  t:expect("readings.late", { { id = 2 } })
  send(t, "readings", 9, 60000, "other")
  t:expect("readings.out", { { id = 1, n = 2 } })
end)

test("look-back: what comes out is a stream, which a table takes as it takes others", function(t)
  send(t, "kept", 1, 4000)
  send(t, "kept", 2, 3000)
  send(t, "kept", 3, 9000)                 -- W = 4 s
  t:rows("select id, k, n from newest", { { id = 1, k = "k", n = 2 } })
  t:expect("newest.changed",
    { { id = 2, n = 1, was = null, at = t0 + 3000 }, { id = 1, n = 2, was = 1, at = t0 + 4000 } })
end)

test("windows of windows: with as much grace nothing is lost, with less the last part is late",
  function(t)
    for i = 0, 3 do send(t, "levels", i, i * 30000) end
    send(t, "levels", 9, 120000, "other")  -- W = 2m: the minute at its end is in grace still
    t:expect("short.closed", { { n = 2, minutes = 1 } })
    t:expect("levels.closed", {})
    send(t, "levels", 9, 130000, "other")
    t:expect("short.late", { { n = 2 } })
    t:expect("levels.closed", { { n = 4, minutes = 2, at = t0 + 119999 } })
  end)
