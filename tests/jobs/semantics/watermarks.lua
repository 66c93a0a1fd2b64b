-- Watermarks. W of a job is seen by which windows are closed and what is late.
job "watermarks" { version = 1 }

-- Closes windows of one second; with disorder and idle as given.
local function closing(source, name)
  local w = source :by "'all'" :window { size = "1s" }
  w:aggregate { n = count() } :final()
    :select { start = "window_start", "n" } :to(name .. ".closed")
  w:late() :select { "id" } :to(name .. ".late")
end

closing(from "plain"  { time = "at" }, "plain")
closing(from "slack"  { time = "at", disorder = "2s", idle = "10s" }, "slack")
closing(from "bursts" { time = "at", idle = false }, "bursts")
local one, two = from "one" { time = "at" }, from "two" { time = "at" }
closing(one :merge(two), "merged")
closing(from "mixed" { time = "at", idle = "10s" }
  :merge(from "mixed.bursts" { time = "at", idle = false }), "mixed")

closing(from "failing" { time = "at" } :map(function(v) return v.id ~= 2 and v or error "no" end),
  "failing")

local rates = table "rates" [[ k text primary key ]]
from "rates" { changelog = true, time = "at" } :into(rates)
closing(from "rated" { time = "at", idle = "10s" }
  :join(rates, { as = "rate", on = "k", kind = "left" }), "rated")

local met, other = from "met" { time = "at" } :by "k", from "other" { time = "at" } :by "k"
met :join(other, { as = "o", within = { "0s", "1s" }, kind = "left" })
  :select { "id" } :to "met.out"

-- An operator behind an operator: windows of closed windows.
local inner = from "nested" { time = "at" }
  :by "k" :window { size = "1s" } :aggregate { n = count() }
inner:final() :by "'all'" :window { size = "1s" } :aggregate { n = sum "n" }
  :final() :to "nested.out"

local t0 = 1767225600000
-- time is the record's timestamp and the clock; at its event time.
local function send(t, topic, id, at, partition, clock)
  t:send(topic, { id = id, at = t0 + at, k = "k" .. id },
    { partition = partition or 0, time = t0 + (clock or at) })
end

test("watermark: it is the newest event time minus disorder", function(t)
  send(t, "slack", 1, 0)
  send(t, "slack", 2, 2999)
  t:expect("slack.closed", {})            -- W = 999
  send(t, "slack", 3, 3000)
  t:expect("slack.closed", { { start = t0, n = 1 } })
end)

test("watermark: it never goes back", function(t)
  send(t, "plain", 1, 0)
  send(t, "plain", 2, 5000)
  send(t, "plain", 3, 1500, 0, 5000)
  send(t, "plain", 4, 999, 0, 5000)
  t:expect("plain.late", { { id = 3 }, { id = 4 } })
  t:expect("plain.closed", { { start = t0 } })
end)

test("watermark: it is stored with the offsets", function(t)
  send(t, "plain", 1, 5000)
  t:restart()
  send(t, "plain", 2, 3999, 0, 5000)
  t:expect("plain.late", { { id = 2 } })
end)

test("watermark: it moves with every record, not with every batch", function(t)
  t:batch(function()
    send(t, "plain", 1, 0)
    send(t, "plain", 2, 1000)
    send(t, "plain", 3, 999, 0, 1000)      -- late within its batch
    send(t, "plain", 4, 2000)
  end)
  t:expect("plain.closed", { { start = t0, n = 1 }, { start = t0 + 1000, n = 1 } })
  t:expect("plain.late", { { id = 3 } })
end)

test("watermark: it moves after the record that moves it has been processed", function(t)
  send(t, "plain", 1, 0)
  send(t, "plain", 2, 1500)               -- counts in its own window before the first one closes
  send(t, "plain", 3, 1600)
  send(t, "plain", 4, 2000)
  t:expect("plain.closed", { { start = t0, n = 1 }, { start = t0 + 1000, n = 2 } })
  t:expect("plain.late", {})
end)

test("watermark: a source stands where the slowest of its partitions stands", function(t)
  t:batch(function() send(t, "plain", 1, 0, 0) send(t, "plain", 2, 100, 1) end)
  send(t, "plain", 3, 5000, 0)
  t:expect("plain.closed", {})
  send(t, "plain", 4, 900, 1, 5000)
  t:expect("plain.closed", {})
  send(t, "plain", 5, 1000, 1, 5000)
  t:expect("plain.closed", { { start = t0, n = 3 } })
end)

test("watermark: a partition that is drained for idle leaves the minimum", function(t)
  t:batch(function() send(t, "plain", 1, 0, 0) send(t, "plain", 2, 100, 1) end)
  t:advance "29999ms"
  send(t, "plain", 3, 29999, 0)
  t:expect("plain.closed", {})
  t:advance "1ms"
  send(t, "plain", 4, 30000, 0)
  t:expect("plain.closed", { { start = t0, n = 2 }, { start = t0 + 29000, n = 1 } })
end)

test("watermark: a partition that comes back with older records moves nothing back", function(t)
  t:batch(function() send(t, "plain", 1, 0, 0) send(t, "plain", 2, 100, 1) end)
  t:advance "40s"
  send(t, "plain", 3, 40500, 0)
  send(t, "plain", 4, 2000, 1, 40500)
  send(t, "plain", 5, 40100, 1, 40500)
  t:expect("plain.late", { { id = 4 } })   -- in a window that has closed; 5 is in one that has not
end)

test("watermark: when everything is drained for idle, it follows the clock", function(t)
  send(t, "slack", 1, 0)
  t:advance "12999ms"                      -- W = clock - disorder - idle
  t:expect("slack.closed", {})
  t:advance "1ms"
  t:expect("slack.closed", { { start = t0, n = 1 } })
end)

test("watermark: idle = false turns both off", function(t)
  t:batch(function() send(t, "bursts", 1, 0, 0) send(t, "bursts", 2, 100, 1) end)
  t:advance "10h"
  t:expect("bursts.closed", {})
  send(t, "bursts", 3, 5000, 0, 36000000)
  t:expect("bursts.closed", {})
  send(t, "bursts", 4, 5000, 1, 36000000)
  t:expect("bursts.closed", { { start = t0, n = 2 } })
end)

test("watermark: a backlog is not late for having waited while the job was down", function(t)
  send(t, "slack", 1, 0)
  t:advance "1m"
  t:expect("slack.closed", { { start = t0, n = 1 } })
  t:batch(function()                       -- produced a minute ago, read now
    send(t, "slack", 2, 60000, 0, 120000)
    send(t, "slack", 3, 61000, 0, 120000)
  end)
  t:expect("slack.late", {})
end)

test("watermark: an operator's is the least of its inputs'", function(t)
  send(t, "one", 1, 0)
  send(t, "one", 2, 5000)
  t:expect("merged.closed", {})
  send(t, "two", 3, 1000, 0, 5000)
  t:expect("merged.closed", { { start = t0, n = 1 } })
end)

test("watermark: a join's is the least of its sides'", function(t)
  send(t, "met", 1, 0)
  send(t, "met", 2, 9000)
  t:expect("met.out", {})                  -- its other half may still come
  send(t, "other", 3, 1000, 0, 9000)
  t:expect("met.out", {})
  send(t, "other", 4, 1001, 0, 9000)
  t:expect("met.out", { { id = 1 } })
  send(t, "other", 5, 20000)               -- now the left side is behind
  t:expect("met.out", {})
  send(t, "met", 6, 10001, 0, 20000)
  t:expect("met.out", { { id = 2 } })
end)

test("watermark: a changelog holds nobody back, and keeps nothing from following the clock",
  function(t)
    local function rate(clock)
      t:send("rates", { at = t0 }, { key = "k", time = t0 + clock })
    end
    rate(0)
    send(t, "rated", 2, 0)
    send(t, "rated", 3, 1000)
    t:expect("rated.closed", { { start = t0, n = 1 } })
    t:advance "10999ms"
    rate(11999)
    t:expect("rated.closed", {})
    t:advance "1ms"
    t:expect("rated.closed", { { start = t0 + 1000, n = 1 } })
  end)

test("idle: it counts for each source by itself", function(t)
  send(t, "mixed", 1, 0)
  send(t, "mixed.bursts", 2, 2500, 0, 0)
  t:advance "10500ms"                      -- mixed follows the clock: W = 500
  t:expect("mixed.closed", {})
  t:advance "500ms"
  t:expect("mixed.closed", { { start = t0, n = 1 } })
  t:advance "1h"                           -- and mixed.bursts holds it at 2.5 s
  t:expect("mixed.closed", {})
end)

test("watermark: an operator handles what is due, emits, and only then passes it on", function(t)
  for i = 1, 3 do send(t, "nested", i, 100 * i) end
  send(t, "nested", 4, 1000)               -- closes three windows and the one over them, none late
  t:expect("nested.out", { { n = 3 } })
end)

test("watermark: parked records move it, unless it is their time that is wrong", function(t)
  send(t, "plain", 1, 0)
  t:send("plain", { id = 2, at = t0 + 3601000 }, { time = t0, key = "ahead" })
  t:expect("plain.closed", {})
  send(t, "failing", 1, 0)
  send(t, "failing", 2, 1000)
  t:expect("failing.closed", { { start = t0, n = 1 } })
  t:parked { { key = "ahead", class = "ahead" }, { class = "lua" } }
end)
