-- Sessions: pings of a shared bicycle that are less than five minutes apart are one ride.
job "rides" { version = 1 }

local rides = from "bikes.pings" { time = "at", disorder = "10s" }
  :by        "bike"
  :window    { gap = "5m", grace = "10m" }           -- grace: a late ping may still join two rides
  :aggregate { pings = count(), from_stop = first "stop", to_stop = last "stop",
               stops = distinct "stop", route = collect "stop" }

rides:into "rides"                                   -- rides that go on are visible and still grow
rides:final():to "rides.ended"                       -- a ride is told once, when it is over

test("a late ping makes one ride of two", function(t)
  local function ping(stop, hm)
    t:send("bikes.pings", { bike = "b7", stop = stop, at = "2026-05-01T" .. hm .. ":00Z" })
  end
  ping("harbour", "08:00") ping("museum", "08:07")
  t:rows("select pings, from_stop from rides order by window_start",
    { { pings = 1, from_stop = "harbour" }, { pings = 1, from_stop = "museum" } })
  ping("market", "08:04")
  t:rows("select pings, from_stop, to_stop, stops from rides",
    { { pings = 3, from_stop = "harbour", to_stop = "museum", stops = 3 } })
  ping("harbour", "09:00")
  t:expect("rides.ended", { { bike = "b7", pings = 3, route = { "harbour", "market", "museum" } } })
end)
