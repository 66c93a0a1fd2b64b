-- SPDX-License-Identifier: Apache-2.0
--
-- Records of several partitions, as they may arrive in any order: what a job makes of them is the
-- same, because a key stays in its partition and windows wait for the slowest one.
job "meters" { version = 1 }

local prices = table "prices" [[ zone text primary key, cents integer not null ]]
from "prices" { changelog = true } :into(prices)

local readings = from "readings" { time = "at", disorder = "10s" }

local minutes = readings:by "meter" :window { size = "1m" }
local usage = minutes:aggregate {
  n = count(), kwh = sum "kwh", first = first "kwh", last = last "kwh",
}
usage:into "minutes"
usage:final():to "minutes.closed"
minutes:late():to "readings.late"

local sessions = readings:by "meter" :window { gap = "30s" } :aggregate { n = count() }
sessions:into "sessions"
sessions:final():to "sessions.closed"

readings:join(prices, { on = "zone", as = "price", kind = "left" })
  :select { "meter", cost = "kwh * (price.cents or 0)" }
  :to("costs", { key = "meter" })

readings:by "zone" :window { size = "1m" } :aggregate { kwh = sum "kwh", peak = max "kwh" }
  :into "zones"

local alarms = from "alarms" { time = "at" } :by "meter"
readings:by "meter"
  :join(alarms, { as = "alarm", within = { "-20s", "20s" }, kind = "left" })
  :select { "meter", "at", alarm = "alarm.what" }
  :to("explained", { key = "meter" })

readings:by "meter" :process {
  state = { high = 0 },
  on = function(v, ctx)
    if v.kwh > ctx.state.high then
      ctx.state.high = v.kwh
      ctx:emit { meter = ctx.key, high = v.kwh }
    end
    ctx:timer("silent", ctx.time + dur "1m")
  end,
  timer = function(name, ctx) return { meter = ctx.key, silent = true } end,
} :to("highs", { key = "meter" })

-- Each meter has its partition, as a producer would choose it.
local partition_of = { a = 0, b = 1, c = 2 }

local function read(t, meter, kwh, ms, zone, clock)
  t:send("readings", { meter = meter, kwh = kwh, at = "2026-01-01T12:0" .. ms .. "Z", zone = zone },
      { key = meter, partition = partition_of[meter], time = clock })
end

test("windows and sessions of keys that share nothing", function(t)
  t:send("prices", { cents = 20 }, { key = "north" })
  read(t, "a", 1.1, "0:10", "north")
  read(t, "b", 2.2, "0:05", "north")
  read(t, "a", 3.3, "0:20", "north")
  read(t, "c", 4.4, "0:50", "south")
  read(t, "b", 5.5, "1:30", "south")
  read(t, "a", 6.6, "1:20", "north")
  t:rows("select meter, n from minutes order by window_start, meter",
      { { meter = "a", n = 2 }, { meter = "b", n = 1 }, { meter = "c", n = 1 },
        { meter = "a", n = 1 }, { meter = "b", n = 1 } })
  t:advance "5m"
  t:rows("select count(*) n from sessions", { { n = 5 } })
end)

test("a partition that lags behind is waited for", function(t)
  local now = "12:00:00"                      -- the readings come all at once, in any order
  read(t, "a", 1, "0:10", "north", now)
  read(t, "b", 1, "0:00", "north", now)
  read(t, "a", 2, "2:00", "north", now)
  read(t, "a", 2, "4:00", "north", now)
  t:expect("minutes.closed", {})
  read(t, "b", 1, "0:30", "north", now)
  read(t, "b", 1, "4:00", "north", now)
  t:expect("readings.late", {})
  t:expect("minutes.closed",
      { { meter = "a", n = 1 }, { meter = "b", n = 2 }, { meter = "a", n = 1 } })
  t:advance "10m"
  t:expect("minutes.closed", { { meter = "a", n = 1 }, { meter = "b", n = 1 } })
end)

test("two streams that meet", function(t)
  read(t, "a", 1, "0:10", "north")
  t:send("alarms", { meter = "a", what = "door", at = "2026-01-01T12:00:15Z" },
      { key = "a", partition = 0 })
  t:send("alarms", { meter = "b", what = "fuse", at = "2026-01-01T12:00:40Z" },
      { key = "b", partition = 1 })
  read(t, "b", 1, "0:30", "north")
  read(t, "c", 1, "0:30", "north")
  t:advance "5m"
  t:rows("select count(*) n from minutes", { { n = 3 } })
end)
