-- Tumbling, hopping and look-back windows over the speeds of cars at intersections.
job "intersections" { version = 1 }

local cars = from "cars.passed" { time = "at" } :by "crossing"

cars:window { size = "5m" }
  :aggregate { cars = count(), p90 = quantile(0.9, "speed"), spread = stddev "speed",
               fastest = top(2, "speed", { "plate", "speed" }) }
  :into "speeds"

cars:window { size = "10m", every = "5m" }
  :aggregate { cars = count() }
  :final()
  :to "crossings.load"

cars:window { last = "1m" }                          -- each car, with what the last minute saw
  :aggregate { mean = avg "speed", seen = count() }
  :where "seen >= 3 and speed > 1.5 * mean"
  :to "crossings.speeders"

test("statistics per five minutes, load per ten, speeders at once", function(t)
  for i, speed in ipairs { 40.0, 42.0, 38.0, 90.0 } do
    t:send("cars.passed", { crossing = "c1", plate = "p" .. i, speed = speed,
                            at = "2026-05-01T08:00:" .. 10 * i .. "Z" })
  end
  t:rows("select cars, p90 from speeds", { { cars = 4, p90 = 90.0 } })
  t:expect("crossings.speeders", { { plate = "p4", speed = 90.0, seen = 4 } })
  t:send("cars.passed", { crossing = "c1", plate = "p5", speed = 41.0, at = "2026-05-01T08:05:00Z" })
  t:expect("crossings.load", { { crossing = "c1", cars = 4 } })
end)
