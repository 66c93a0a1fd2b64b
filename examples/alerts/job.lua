-- Stateless alerts: every operator here is native, no Lua runs per record.
job "pressure-alerts" { version = 1 }

local limit = param("limit", 8.5)

from "boilers" { time = "at" }
  :where  ("kind == 'pressure' and bar > ?", limit)
  :select { "boiler", "bar", limit = limit, at = "iso($time)" }
  :to     ("boilers.alarms", { key = "boiler" })

test("only a pressure above the limit raises an alarm", function(t)
  local function read(kind, bar, s)
    t:send("boilers", { boiler = "b-3", kind = kind, bar = bar, at = "2026-03-01T06:00:0" .. s .. "Z" })
  end
  read("pressure", 9.1, 0)
  read("pressure", 8.5, 1)          -- at the limit is not above it
  read("flow", 12.0, 2)
  read("pressure", nil, 3)          -- a reading without a value is nil, and nil > 8.5 is nil
  t:expect("boilers.alarms", {
    { ["$key"] = "b-3", boiler = "b-3", bar = 9.1, limit = 8.5, at = "2026-03-01T06:00:00.000Z" },
  })
end)

test("text where a number belongs parks the record's key, and says so", function(t)
  t:send("boilers", { boiler = "b-4", kind = "pressure", bar = "high", at = "2026-03-01T06:00:00Z" }, { key = "b-4" })
  t:parked { { key = "b-4", class = "type" } }
  t:expect("boilers.alarms", {})
end)
