-- SPDX-License-Identifier: Apache-2.0
--
-- What a clock makes due is due at its time, and does not wait for the clock's next tick.
job "clocks-due" { version = 1 }

local days = every "1d" :by "'all'"
days:window { size = "1h", grace = "1m" } :aggregate { n = count() } :final()
  :select { "n", behind = "$now - window_end" } :to "closed"
days:process {
  on = function(_, ctx) ctx:timer("soon", ctx.time + dur "10m") end,
  timer = function(_, ctx) return { behind = ctx.now - ctx.time } end,
} :to "soon"

test("windows and timers come between the ticks", function(t)
  t:advance "47h"
  t:expect("soon", { { behind = 0 } })
  t:expect("closed", { { n = 1, behind = dur "1m" } })
end)
