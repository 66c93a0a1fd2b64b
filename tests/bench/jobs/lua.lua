-- The job of native.lua with its first half as a function.
job "lua" { version = 1 }

from "bench.readings"
  :map(function(v)
    if v.status == "fault" then return nil end
    return { device = v.device, f = v.temp * 1.8 + 32 }
  end)
  :by        "device"
  :window    { size = "1m" }
  :aggregate { n = count(), total = sum "f", low = min "f", high = max "f" }
  :into      "readings"
