-- SPDX-License-Identifier: Apache-2.0
--
-- Clocks in front of what waits for time: their watermark is the clock of the steps that were
-- committed, so what has become due while a job was down is there when it is back.
job "clocks" { version = 1 }

local ticks = every "15m" :by "'all'"
local hours = ticks:window { size = "1h" } :aggregate { n = count() }
hours:into "hours"
hours:final() :select { "n", start = "window_start" } :to "hours.closed"
ticks:window { last = "30m" } :aggregate { n = count() } :select { at = "$time", "n" } :to "last"
ticks:process {
  state = { n = 0 },
  on = function(_, ctx)
    ctx.state.n = ctx.state.n + 1
    ctx:timer("after", ctx.time + dur "10m")
  end,
  timer = function(_, ctx) return { at = ctx.time, n = ctx.state.n } end,
} :to "after"

from "in" :to "out"

local t0, min = 1767225600000, 60000

test("a window of ticks closes once, however the job was stopped", function(t)
  t:advance "70m"
  t:expect("hours.closed", { { n = 3, start = t0 } })
  t:rows("select n from hours order by window_start", { { n = 3 }, { n = 1 } })
  t:restart()
  t:advance "2h"
  t:expect("hours.closed", { { n = 4, start = t0 + 60 * min }, { n = 4 } })
end)

test("what waits for the clock is there after a pause", function(t)
  t:advance "35m"
  t:expect("last", { { at = t0 + 15 * min, n = 1 }, { at = t0 + 30 * min, n = 2 } })
  t:expect("after", { { at = t0 + 25 * min, n = 1 } })
  t:send("in", {}, { time = t0 + 95 * min })      -- nothing ran in between
  t:expect("hours.closed", { { n = 2, start = t0 } })
  t:expect("last", { { at = t0 + 90 * min, n = 1 } })
  t:expect("after", {})                           -- the tick came first and moved it
  t:advance "5m"
  t:expect("after", { { at = t0 + 100 * min, n = 3 } })
end)
