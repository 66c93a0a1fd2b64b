-- A year of hourly temperatures from two stations: daily statistics as a table, hot days as a topic.
job "weather" { version = 1 }

local hot = param("hot", 75)

local readings = from "weather.readings" { time = "time" }

local days = readings
  :by        "station"
  :window    { size = "1d" }
  :aggregate { n = count(), low = min "temp", high = max "temp", avg = avg "temp" }

days:into "daily"                                  -- open days are visible and still change

days:final()                                       -- a day is over: told once, never again
  :where  ("high >= ?", hot)
  :select { "station", "high", day = "iso(window_start)" }
  :to     ("weather.hot_days", { key = "station" })

readings
  :where  "temp < 38"
  :select { "station", "temp", at = "iso($time)" }
  :to     ("weather.frost", { key = "station" })

query "warmest" {
  params = { station = "text", n = "integer = 5" },
  sql    = [[
    select window_start as day, low, avg, high from daily
    where station = :station order by high desc, day limit :n
  ]],
}

query "days" {
  path   = "/weather/:station",
  params = { station = "text", from = "time = '2010-01-01'", to = "time = '2011-01-01'" },
  sql    = [[
    select window_start as day, n, low, avg, high from daily
    where station = :station and window_start >= :from and window_start < :to order by day
  ]],
}

test("a day is counted in the table at once and told when it is over", function(t)
  t:send("weather.readings", { station = "oslo", temp = 60.0, time = "2010-07-01 06:00" })
  t:send("weather.readings", { station = "oslo", temp = 80.0, time = "2010-07-01 15:00" })
  t:rows("select n, low, high from daily", { { n = 2, low = 60.0, high = 80.0 } })
  t:expect("weather.hot_days", {})
  t:send("weather.readings", { station = "oslo", temp = 55.0, time = "2010-07-02 00:00" })
  t:expect("weather.hot_days", { { station = "oslo", high = 80.0, day = "2010-07-01T00:00:00.000Z" } })
end)

test("frost is told per reading, a missing temperature is not frost", function(t)
  t:send("weather.readings", { station = "oslo", temp = 31.5, time = "2010-01-01 06:00" })
  t:send("weather.readings", { station = "oslo", time = "2010-01-01 07:00" })
  t:expect("weather.frost", { { ["$key"] = "oslo", temp = 31.5, at = "2010-01-01T06:00:00.000Z" } })
end)
