-- An as-of join: what a meter counted is billed at the tariff that held when it was counted, however
-- late the reading comes in.
job "tariffs" { version = 1 }

local tariffs = table "tariffs" [[
  zone      text primary key,
  cents_kwh real not null,
  currency  text not null default 'EUR'
]] { history = "60d" }                            -- versions of each zone, in tariffs__history

from "grid.tariffs" { changelog = true, time = "since" } :into(tariffs)

from "grid.usage" { time = "counted", disorder = "1h" }
  :join(tariffs, { on = "zone", as = "tariff", at = "$time", kind = "left" })
  :select { "meter", "zone", "kwh", cents = "round(kwh * tariff.cents_kwh, 1)", currency = "tariff.currency" }
  :to ("grid.billed", { key = "meter" })

query "tariff_at" {                               -- the same question, asked by a person
  params = { zone = "text", at = "time" },
  one = true,
  sql = [[select zone, cents_kwh, valid_from, valid_to from tariffs__history
          where zone = :zone and :at >= valid_from and :at < valid_to]],
}

local function at(day, hour) return string.format("2026-03-%02dT%02d:00:00Z", day, hour or 0) end
local function tariff(t, day, zone, cents)
  t:send("grid.tariffs", cents and { cents_kwh = cents, since = at(day) }, { key = zone, time = at(day) })
end
local function usage(t, meter, zone, kwh, day, hour)
  t:send("grid.usage", { meter = meter, zone = zone, kwh = kwh, counted = at(day, hour) })
end

test("a reading gets the tariff of its own hour", function(t)
  tariff(t, 1, "north", 30.0)
  tariff(t, 2, "north", 20.0)
  usage(t, "m1", "north", 10, 2, 1)
  usage(t, "m2", "north", 10, 1, 23)              -- comes late, and is billed as of then
  usage(t, "m3", "north", 10, 2, 0)               -- the new tariff holds from its first moment on
  usage(t, "m4", "south", 10, 2, 2)               -- nobody has said what that costs
  t:expect("grid.billed", { { meter = "m1", cents = 200.0, currency = "EUR" },
                            { meter = "m2", cents = 300.0 }, { meter = "m3", cents = 200.0 },
                            { meter = "m4", zone = "south" } })
  t:query("tariff_at", { zone = "north", at = at(1, 12) }, { { cents_kwh = 30.0 } })
end)

test("a tariff that has ended is none; readings older than the history are parked, not guessed", function(t)
  tariff(t, 1, "north", 30.0)
  tariff(t, 3, "north", nil)
  usage(t, "m1", "north", 10, 3, 0)
  usage(t, "m2", "north", 10, 2, 23)
  t:expect("grid.billed", { { meter = "m1" }, { meter = "m2", cents = 300.0 } })
  t:advance "90d"
  usage(t, "m3", "north", 10, 2, 23)
  t:parked { { class = "history" } }
end)
