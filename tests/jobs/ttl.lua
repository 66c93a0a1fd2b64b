-- A table's ttl: rows go when the watermark passes column + ttl, before the next record is read;
-- what references them goes too, and changes() tell of it.
job "ttl" { version = 1 }

local parcels = table "parcels" [[
  id text primary key, seen time, state text not null
]] { ttl = "1h after seen" }
local scans = table "scans" [[
  parcel text not null references parcels on delete cascade, n integer not null,
  place text not null, primary key (parcel, n)
]]
local claims = table "claims" [[
  id integer primary key, parcel text references parcels on delete set null
]]

from "parcels" { time = "at" } :match "type" {
  Seen = {
    parcels:put { id = "id", seen = "at", state = "'seen'" },
  },
  Scan = scans:insert { parcel = "id", n = "n", place = "place" },
  Claim = claims:insert { id = "claim", parcel = "id" },
  Lost = parcels:patch("id", { state = "'lost'" }),
  Keep = parcels:put { id = "id", seen = "null", state = "'kept'" },
  Ask = function(e, ctx)
    local p = ctx.db.parcels:get(e.id)
    local n = ctx.db:sql("select count(*) as n from parcels")[1].n
    ctx.db.parcels:put { id = "asked", seen = ctx.time, state = (p and p.state or "gone") .. n }
  end,
}

local changes = parcels:changes()
changes:select { "$key", "state", was = "$old.state", at = "$time" } :to "parcels.changed"
changes:by "$old.state or 'new'" :window { size = "10m" } :aggregate { n = count() } :final()
  :select { "$key", "n", "window_start" } :to "parcels.per_10m"
scans:changes():select { "$key", was = "$old.place", at = "$time" } :to "scans.changed"
claims:changes { latest = true } :select { "$key", "parcel", was = "$old.parcel" }
  :to "claims.changed"

local t0, min = 1767225600000, 60000

test("a row is there until the watermark is past its column + ttl", function(t)
  t:send("parcels", { type = "Seen", id = "a", at = t0 })
  t:send("parcels", { type = "Scan", id = "a", n = 1, place = "oslo", at = t0 })
  t:send("parcels", { type = "Scan", id = "a", n = 2, place = "bergen", at = t0 })
  t:send("parcels", { type = "Claim", id = "a", claim = 9, at = t0 })
  t:expect("parcels.changed", { { ["$key"] = "a", state = "seen", at = t0 } })
  t:expect("scans.changed", { { key = { "a", 1 }, at = t0 }, { key = { "a", 2 }, at = t0 } })
  t:expect("claims.changed", { { ["$key"] = "9", parcel = "a" } })
  t:send("parcels", { type = "Seen", id = "b", at = t0 + 60 * min })
  t:rows("select id from parcels", { { id = "a" }, { id = "b" } })
  t:send("parcels", { type = "Ask", id = "a", at = t0 + 60 * min + 1 })
  t:rows("select id, state from parcels", { { id = "asked", state = "seen2" },
                                            { id = "b", state = "seen" } })
  t:rows("select count(*) as n from scans", { { n = 0 } })
  t:rows("select id, parcel from claims", { { id = 9 } })
  t:expect("parcels.changed", { { ["$key"] = "b" }, { ["$key"] = "asked" },
                                { ["$key"] = "a", was = "seen", at = t0 + 60 * min + 1 } })
  t:expect("scans.changed", { { was = "oslo", at = t0 + 60 * min + 1 }, { was = "bergen" } })
  t:expect("claims.changed", { { ["$key"] = "9", was = "a" } })
end)

test("what goes is gone for the next record", function(t)
  t:send("parcels", { type = "Seen", id = "a", at = t0 })
  t:batch(function()
    t:send("parcels", { type = "Keep", id = "k", at = t0 + 61 * min })
    t:send("parcels", { type = "Ask", id = "a", at = t0 + 62 * min })
  end)
  t:rows("select state from parcels where id = 'asked'", { { state = "gone1" } })
  t:send("parcels", { type = "Lost", id = "a", at = t0 + 63 * min }, { key = "a" })
  t:send("parcels", { type = "Scan", id = "a", n = 1, place = "x", at = t0 }, { key = "a" })
  t:parked { { key = "a", class = "missing" }, { key = "a" } }
end)

test("without records the clock moves the watermark; rows without a time stay", function(t)
  t:send("parcels", { type = "Seen", id = "a", at = t0 })
  t:send("parcels", { type = "Keep", id = "k", at = t0 })
  t:advance "59m"
  t:rows("select count(*) as n from parcels", { { n = 2 } })
  t:advance "2m"
  t:rows("select id from parcels", { { id = "k" } })
  t:advance "9000d"
  t:rows("select id from parcels", { { id = "k" } })
end)

test("many rows go in several commits, and a record waits for all of them", function(t)
  t:batch(function()
    for i = 1, 40 do t:send("parcels", { type = "Seen", id = "p" .. i, at = t0 + i % 7 }) end
  end)
  t:restart()
  t:batch(function()
    t:send("parcels", { type = "Keep", id = "k", at = t0 + 61 * min })
    t:send("parcels", { type = "Ask", id = "p1", at = t0 + 61 * min })
  end)
  t:rows("select id, state from parcels", { { id = "asked", state = "gone1" },
                                            { id = "k", state = "kept" } })
end)

test("windows behind changes() see the deletions in time", function(t)
  t:send("parcels", { type = "Seen", id = "a", at = t0 })
  t:send("parcels", { type = "Seen", id = "b", at = t0 + 11 * min })
  t:send("parcels", { type = "Keep", id = "k", at = t0 + 100 * min })
  t:expect("parcels.per_10m", { { ["$key"] = "new", n = 1, window_start = t0 },
                                { ["$key"] = "new", n = 1, window_start = t0 + 10 * min },
                                { ["$key"] = "seen", n = 1, window_start = t0 + 60 * min },
                                { ["$key"] = "seen", n = 1, window_start = t0 + 70 * min } })
end)

test("a row that is too old when it comes goes at once", function(t)
  t:send("parcels", { type = "Keep", id = "k", at = t0 + 100 * min })
  t:send("parcels", { type = "Seen", id = "old", at = t0 })
  t:rows("select id from parcels", { { id = "k" } })
  t:expect("parcels.changed", { { ["$key"] = "k" }, { ["$key"] = "old" },
                                { ["$key"] = "old", was = "seen" } })
end)
