-- Plays of songs, counted once however often a player sends them, and the two most played songs per country and hour.
job "charts" { version = 1 }

local plays = from "plays" { time = "at", disorder = "1m" }
  :dedupe { by = "$header.play", within = "6h" }        -- the first wins; ids are forgotten after six hours

local songs = plays:by("country", "song")
  :window { size = "1h" }
  :aggregate { plays = count(), listeners = distinct "listener" }

songs:into "songs_hourly"

query "chart" {                                         -- the chart of an hour that may still be running
  params = { country = "text", hour = "time", n = "integer = 10" },
  sql = [[
    select song, plays, listeners from songs_hourly
    where country = :country and window_start = :hour
    order by plays desc, song limit :n
  ]],
}

songs:final()                                           -- of hours that are over: published once
  :by "country"
  :window { size = "1h" }
  :aggregate { best = top(2, "plays", { "song", "plays" }) }
  :final()
  :to("charts.hourly", { key = "country" })

test("a repeated play counts once; the chart of an hour is published once", function(t)
  local function play(id, song, listener, hm)
    t:send("plays", { country = "no", song = song, listener = listener, at = "2026-01-01T" .. hm .. ":00Z" },
      { headers = { play = id }, time = hm .. ":00" })
  end
  play("1", "Tide", "ann", "20:00") play("1", "Tide", "ann", "20:00") play("2", "Tide", "bo", "20:10")
  play("3", "Moss", "ann", "20:20") play("4", "Moss", "ann", "20:30") play("5", "Moss", "cy", "20:31")
  play("6", "Fern", "ann", "20:40")
  t:query("chart", { country = "no", hour = "2026-01-01T20:00:00Z", n = 2 },
    { { song = "Moss", plays = 3, listeners = 2 }, { song = "Tide", plays = 2, listeners = 2 } })
  t:advance "3h"
  t:expect("charts.hourly", { { country = "no", best = { { song = "Moss", plays = 3 }, { song = "Tide", plays = 2 } } } })
end)
