-- Aggregates without windows that forget: a group whose last touch + ttl the watermark has passed
-- is not there any more. Rows of windows go by the ttl of their table.
job "forget" { version = 1 }

local visits = from "visits" { time = "at" }

local people = visits:by("who")
  :aggregate({ n = count(), places = collect "place", seen = max "at" }, { ttl = "1h" })
people:into "people"
people:changes():select { "$key", "n", was = "$old.n" } :to "people.changed"

local unseen = visits:by("who", "place"):aggregate({ n = count() }, { ttl = "1h" })
unseen:changes { latest = true } :select { "n" } :to "pairs.changed"

local hours = table "hours" [[
  place text, window_start time, window_end time, n integer, primary key (place, window_start)
]] { ttl = "2h after window_end" }
local quarters = table "quarters" [[
  window_start time, place text, n integer, primary key (window_start, place)
]] { ttl = "70m after window_start" }
visits:by("place"):window { size = "1h", grace = "10m" } :aggregate { n = count() } :into(hours)
visits:by("place"):window { size = "1h", grace = "10m", every = "15m" } :aggregate { n = count() }
  :into(quarters)

local t0, min = 1767225600000, 60000

local function visit(t, who, at, place)
  t:send("visits", { who = who, place = place or "x", at = t0 + at * min })
end

test("a group that was not touched for its ttl begins anew", function(t)
  visit(t, "ann", 0)
  visit(t, "ann", 60)
  visit(t, "bob", 120)
  visit(t, "ann", 120, "y")
  t:rows("select who, n, places from people", { { who = "ann", n = 3, places = { "x", "x", "y" } },
                                                { who = "bob", n = 1, places = { "x" } } })
  visit(t, "bob", 181)
  visit(t, "ann", 181, "z")
  t:rows("select who, n, places from people", { { who = "ann", n = 1, places = { "z" } },
                                                { who = "bob", n = 2, places = { "x", "x" } } })
  t:expect("people.changed", { { ["$key"] = "ann", n = 1 }, { n = 2, was = 1 },
                               { ["$key"] = "bob", n = 1 }, { ["$key"] = "ann", n = 3, was = 2 },
                               { ["$key"] = "bob", n = 2, was = 1 }, { ["$key"] = "ann", n = 1 } })
  t:expect("pairs.changed", { { n = 1 }, { n = 2 }, { n = 1 }, { n = 1 }, { n = 2 }, { n = 1 } })
end)

test("the row goes, without records too, and what is over stays over", function(t)
  t:batch(function()
    for i = 1, 20 do visit(t, "p" .. i, i % 3) end
  end)
  visit(t, "late", 50)
  t:rows("select count(*) as n from people", { { n = 21 } })
  t:restart()
  visit(t, "p1", 61)
  t:rows("select who, n from people where who in ('p1', 'p3')", { { who = "p1", n = 2 } })
  t:advance "45m"
  t:rows("select who from people order by who", { { who = "late" }, { who = "p1" } })
  t:advance "1d"
  t:rows("select count(*) as n from people", { { n = 0 } })
end)

test("rows of windows go when their table says", function(t)
  visit(t, "ann", 5)
  visit(t, "ann", 65)
  visit(t, "ann", 180)
  t:rows("select (window_start - 1767225600000) / 60000 as m, n from hours",
      { { m = 0, n = 1 }, { m = 60, n = 1 }, { m = 180, n = 1 } })
  t:rows("select min(window_start - 1767225600000) / 60000 as m from quarters", { { m = 135 } })
  t:send("visits", { who = "bob", place = "y", at = t0 + 180 * min + 1 })
  t:rows("select (window_start - 1767225600000) / 60000 as m, place from hours order by 1, 2",
      { { m = 60, place = "x" }, { m = 180, place = "x" }, { m = 180, place = "y" } })
  t:advance "1d"
  t:rows("select count(*) as n from hours", { { n = 0 } })
  t:rows("select count(*) as n from quarters", { { n = 0 } })
end)
