-- W6: windows and timers with late records. A record is in one window or late; a window closes
-- once; each timer fires once.
job "windows" { version = 1 }

local input = from "in" { time = "t", disorder = "2s", idle = false } :by "k"

local window = input:window { size = "10s" }
local counts = window:aggregate { n = count(), total = sum "v" }
counts:into "counts"
counts:final():to "windows.final"
window:late():to "windows.late"

input:process {
  on = function(e, ctx)
    if e.v % 10 == 0 then ctx:timer("t" .. e.v, ctx.time + 5000) end
  end,
  timer = function(name, ctx) return { k = ctx.key, name = name, at = ctx.time } end,
}
  :to "timers.out"
