-- Windows of local days: a day of a time zone is a day, be it 23, 24 or 25 hours long.
job "zones" { version = 1 }

local input = from "in" { idle = false } :by "k"
local function days(name, spec)
  local w = input:window(spec)
  local counts = w:aggregate { n = count(), ids = collect "id" }
  counts:into(name)
  counts:final() :select { start = "iso(window_start)", stop = "iso(window_end)", "n" }
    :to(name .. ".closed")
  w:late() :select { "id" } :to(name .. ".late")
end
days("oslo", { size = "1d", tz = "Europe/Oslo" })
days("graced", { size = "1d", tz = "Europe/Oslo", grace = "2h" })
days("pairs", { size = "2d", every = "1d", tz = "Europe/Oslo" })
days("apia", { size = "1d", tz = "Pacific/Apia" })

local function send(t, id, time) t:send("in", { id = id, k = "k" }, { time = time }) end

test("zones: a day begins at local midnight, in winter and in summer", function(t)
  send(t, 1, "2026-01-14T22:59:59.999Z")
  send(t, 2, "2026-01-14T23:00:00Z")
  send(t, 3, "2026-07-14T21:59:59.999Z")
  send(t, 4, "2026-07-14T22:00:00Z")
  t:rows("select window_start as at, ids from oslo order by 1", {
    { at = 1768345200000, ids = "[1]" }, { at = 1768431600000, ids = "[2]" },
    { at = 1783980000000, ids = "[3]" }, { at = 1784066400000, ids = "[4]" },
  })
end)

test("zones: the day on which the clocks go forward has 23 hours", function(t)
  send(t, 1, "2026-03-28T23:00:00Z")
  send(t, 2, "2026-03-29T21:59:59Z")
  send(t, 3, "2026-03-29T22:00:00Z")
  t:expect("oslo.closed", {
    { start = "2026-03-28T23:00:00.000Z", stop = "2026-03-29T22:00:00.000Z", n = 2 },
  })
end)

test("zones: the day on which they go back has 25, its last hour in it", function(t)
  send(t, 1, "2026-10-24T22:00:00Z")
  send(t, 2, "2026-10-25T22:30:00Z")
  t:expect("oslo.closed", {})
  send(t, 3, "2026-10-25T23:00:00Z")
  t:expect("oslo.closed", {
    { start = "2026-10-24T22:00:00.000Z", stop = "2026-10-25T23:00:00.000Z", n = 2 },
  })
end)

test("zones: grace and late are counted from the local end", function(t)
  send(t, 1, "2026-03-29T12:00:00Z")
  send(t, 2, "2026-03-29T23:59:59Z")
  send(t, 3, "2026-03-29T21:00:00Z")
  t:expect("graced.late", {})
  send(t, 4, "2026-03-30T00:00:00Z")
  send(t, 5, "2026-03-29T21:00:00Z")
  t:expect("graced.closed", {
    { start = "2026-03-28T23:00:00.000Z", stop = "2026-03-29T22:00:00.000Z", n = 2 },
  })
  t:expect("graced.late", { { id = 5 } })
end)

test("zones: hopping windows of local days overlap by local days", function(t)
  send(t, 1, "2026-03-29T12:00:00Z")
  send(t, 2, "2026-03-30T12:00:00Z")
  send(t, 3, "2026-04-02T12:00:00Z")
  t:expect("pairs.closed", {
    { start = "2026-03-27T23:00:00.000Z", stop = "2026-03-29T22:00:00.000Z", n = 1 },
    { start = "2026-03-28T23:00:00.000Z", stop = "2026-03-30T22:00:00.000Z", n = 2 },
    { start = "2026-03-29T22:00:00.000Z", stop = "2026-03-31T22:00:00.000Z", n = 1 },
  })
end)

test("zones: a day that a zone left out has no window", function(t)
  send(t, 1, "2011-12-30T09:59:59Z") -- the 29th; the 31st comes next
  send(t, 2, "2011-12-30T10:00:00Z")
  send(t, 3, "2011-12-31T10:00:00Z")
  t:expect("apia.closed", {
    { start = "2011-12-29T10:00:00.000Z", stop = "2011-12-30T10:00:00.000Z", n = 1 },
    { start = "2011-12-30T10:00:00.000Z", stop = "2011-12-31T10:00:00.000Z", n = 1 },
  })
end)

test("zones: open days are found again by a restart", function(t)
  send(t, 1, "2026-10-25T12:00:00Z")
  t:restart()
  send(t, 2, "2026-10-25T22:30:00Z")
  send(t, 3, "2026-10-25T23:00:00Z")
  t:expect("oslo.closed", {
    { start = "2026-10-24T22:00:00.000Z", stop = "2026-10-25T23:00:00.000Z", n = 2 },
  })
end)
