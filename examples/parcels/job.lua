-- An interval join: a parcel should be delivered within three days of being handed over. Both streams are keyed by
-- the parcel; the right side arrives nested, and a parcel without a delivery comes out once, when its time is over.
job "parcels" { version = 1 }

local handed    = from "parcels.handed_over" { time = "at" } :by "parcel"
local delivered = from "parcels.delivered"   { time = "at" } :by "parcel"

local both = handed:join(delivered, {
  as     = "delivery",
  within = { "0s", "3d" },                             -- delivery time - hand-over time
  kind   = "left",
})

local arrived, missing = both:split "delivery ~= nil"
arrived:select { "parcel", "city", signed = "delivery.signed_by or 'letterbox'", at = "iso($time)" } :to "parcels.arrived"
missing:select { "parcel", "city" } :to "parcels.missing"

arrived:by "city" :window { size = "1d" } :aggregate { parcels = count() } :into "arrivals"

test("a parcel arrives, or is reported once when three days have passed", function(t)
  t:send("parcels.handed_over", { parcel = "p1", city = "Bergen", at = "2026-01-01T08:00:00Z" })
  t:send("parcels.handed_over", { parcel = "p2", city = "Oslo", at = "2026-01-01T09:00:00Z" })
  t:send("parcels.delivered", { parcel = "p1", signed_by = "Ida", at = "2026-01-02T10:00:00Z" })
  t:expect("parcels.arrived", { { parcel = "p1", city = "Bergen", signed = "Ida", at = "2026-01-02T10:00:00.000Z" } })
  t:expect("parcels.missing", {})
  t:advance "5d"
  t:expect("parcels.missing", { { parcel = "p2", city = "Oslo" } })
  t:expect("parcels.arrived", {})
  t:rows("select city, parcels from arrivals", { { city = "Bergen", parcels = 1 } })
end)

test("a delivery that is read before its hand-over finds it all the same", function(t)
  t:batch(function()
    t:send("parcels.delivered", { parcel = "p1", at = "2026-01-01T12:00:00Z" })
    t:send("parcels.handed_over", { parcel = "p1", city = "Oslo", at = "2026-01-01T10:00:00Z" })
  end)
  t:expect("parcels.arrived", { { parcel = "p1", signed = "letterbox" } })
end)
