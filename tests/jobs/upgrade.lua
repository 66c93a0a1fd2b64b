-- SPDX-License-Identifier: Apache-2.0
--
-- A job that is changed while it runs: what the change asks for, and what stays.
job "parcels" { version = 1 }

local parcels = table "parcels" [[ id text primary key, place text not null ]]

local scans = from "scans" { time = "at" }
scans:into(parcels, { id = "id", place = "place" })
scans:by "place" :aggregate { n = count() } :into "places"
scans:where "place == 'lost'" :to "lost"

local function scan(t, id, place)
  t:send("scans", { id = id, place = place, at = "2026-01-01T12:00:00Z" }, { key = id })
end

test("a column more is taken up in place", function(t)
  scan(t, "p1", "Oslo")
  t:upgrade "upgrade/column.lua"
  t:rows("select * from parcels", { { id = "p1", place = "Oslo", note = "seen" } })
  scan(t, "p1", "Bergen")
  scan(t, "p2", "Oslo")
  t:rows("select id, place, note from parcels order by id",
      { { id = "p1", place = "Bergen", note = "seen" },
        { id = "p2", place = "Oslo", note = "seen" } })
  t:rows("select place, n from places order by place",
      { { place = "Bergen", n = 1 }, { place = "Oslo", n = 2 } })
  t:query("at", { place = "Oslo" }, { { id = "p2" } })
end)

test("another meaning of what is stored is refused, or taken from now on", function(t)
  scan(t, "p1", "Oslo")
  t:upgrade("upgrade/meaning.lua", { refused = "kept the old meaning.*version = 2" })
  t:rows("select place, n from places", { { place = "Oslo", n = 1 } })
  scan(t, "p2", "Oslo")
  t:rows("select place, n from places", { { place = "Oslo", n = 2 } })
  t:upgrade("upgrade/meaning.lua", { from_now = true })
  scan(t, "p3", "Oslo")
  t:rows("select place, n from places order by place",
      { { place = "Oslo", n = 2 }, { place = "oslo", n = 1 } })
end)

test("what is gone has to be given up", function(t)
  scan(t, "p1", "Oslo")
  t:upgrade("upgrade/gone.lua", { refused = "gone from the job" })
  t:rows("select count(*) n from places", { { n = 1 } })
  t:upgrade("upgrade/gone.lua", { drop = true })
  scan(t, "p1", "lost")
  t:expect("lost", { { id = "p1" } })
  t:rows("select id, place from parcels", { { id = "p1", place = "lost" } })
end)
