-- A processor with keyed state and timers: a bed that is dry for twenty minutes gets water, and a probe that says
-- nothing for an hour is reported. Timers are event time, so a replay gives the same orders.
job "greenhouse" { version = 1 }

from "greenhouse.moisture" { time = "at", disorder = "5s" }
  :by "bed"
  :process {
    state = { waterings = 0 },                          -- of a bed seen for the first time; a row in SQLite
    ttl   = "30d",

    on = function(v, ctx)
      local bed = ctx.state
      ctx:timer("silent", ctx.time + dur "1h")          -- setting a timer again moves it
      if v.moisture < 20 then
        if not bed.dry_since then
          bed.dry_since = ctx.time
          ctx:timer("dry", ctx.time + dur "20m")
        end
      elseif v.moisture > 30 then
        bed.dry_since = nil
        ctx:cancel "dry"
      end
    end,

    timer = function(name, ctx)
      local bed = ctx.state
      if name == "silent" then return { probe = "silent", bed = ctx.key } end
      bed.waterings = bed.waterings + 1
      ctx:timer("dry", ctx.time + dur "20m")            -- still dry then: again
      return { water = "on", bed = ctx.key, since = bed.dry_since, waterings = bed.waterings }
    end,
  }
  :to("greenhouse.orders", { key = "bed" })

every "1d" :select { day = "iso(trunc($time, '1d'))" } :to "greenhouse.days"

local function read(t, hm, moisture)
  t:send("greenhouse.moisture", { bed = "tomatoes", moisture = moisture, at = "2026-01-01T" .. hm .. ":00Z" },
    { time = hm .. ":00" })
end

test("twenty dry minutes turn the water on, again while it stays dry, and not once it is wet", function(t)
  read(t, "08:00", 18) read(t, "08:10", 25)             -- between the limits nothing changes
  t:expect("greenhouse.orders", {})
  read(t, "08:21", 15)
  t:expect("greenhouse.orders", { { water = "on", bed = "tomatoes", waterings = 1 } })
  read(t, "08:41", 15)
  t:expect("greenhouse.orders", { { water = "on", waterings = 2 } })
  read(t, "08:45", 60)
  read(t, "09:30", 55)
  t:expect("greenhouse.orders", {})
end)

test("a probe that is silent for an hour is told once, over a restart", function(t)
  read(t, "08:00", 50)
  t:restart()
  t:advance "3h"
  t:expect("greenhouse.orders", { { probe = "silent", bed = "tomatoes" } })
end)
