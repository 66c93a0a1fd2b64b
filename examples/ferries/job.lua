-- Schema-validated input: a report is checked where it enters, and every expression below is checked
-- against the schema when the job is loaded. Reports that do not fit wait in ferries.rejected.
job "ferries" { version = 1, errors = { dead = "ferries.rejected" } }

local vehicle = schema "vehicle" { plate = "text?", metres = "number" }

local report = schema "report" {
  vessel   = { name = "text", lane_metres = "number" },
  departed = "time",                 -- milliseconds or ISO text; an integer from here on
  people   = "integer",
  vehicles = { vehicle },            -- a list
  note     = "text?",                -- may be missing or null
}

local departure = schema "departure" { vessel = "text", at = "text", people = "integer", vehicles = "integer" }

local reports = from "ferries.reports" { time = "departed", schema = report }

reports
  :select { vessel = "vessel.name", at = "iso(departed)", people = "people", vehicles = "#vehicles" }
  :to     ("ferries.departures", { key = "vessel", schema = departure })

reports
  :explode ("vehicles", "vehicle")
  :where   "vehicle.metres > vessel.lane_metres"      -- too long for any lane
  :select  { vessel = "vessel.name", plate = "vehicle.plate", metres = "vehicle.metres" }
  :to      "ferries.oversize"

test("a report that does not fit is parked and published, the next one goes on", function(t)
  local function report(people, metres)
    return { vessel = { name = "Vega", lane_metres = 120 }, departed = "2026-05-02T08:00:00Z",
             people = people, vehicles = { { plate = "AB 1", metres = metres } } }
  end
  t:send("ferries.reports", report("many", 4.5), { key = "vega" })
  t:send("ferries.reports", report(212, "long"), { key = "vega" })
  t:send("ferries.reports", report(212, 4.5), { key = "vega" })
  t:expect("ferries.departures", {
    { ["$key"] = "Vega", vessel = "Vega", at = "2026-05-02T08:00:00.000Z", people = 212, vehicles = 1 },
  })
  t:parked { { key = "vega", class = "schema" }, { key = "vega", class = "schema" } }
  t:expect("ferries.oversize", {})
end)

test("fields that the schema does not name come along, optional ones may be null", function(t)
  t:send("ferries.reports", {
    vessel = { name = "Vega", lane_metres = 12 }, departed = 1777708800000, people = 3, note = null,
    vehicles = { { metres = 18.75, axles = 5 } }, crew = 9,
  })
  t:expect("ferries.oversize", { { vessel = "Vega", metres = 18.75 } })
end)
