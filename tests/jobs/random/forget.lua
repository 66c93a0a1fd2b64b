-- Groups that are forgotten: records with times in any order, against a list of groups, of what
-- each has counted and when it was touched last. Long: not among the jobs whose tests are varied.
job "random-forget" { version = 1 }

local people = from "visits" { time = "at" }
  :by "who" :aggregate({ n = count() }, { ttl = "1h" })
people:into "people"
people:changes():select { "$key", "n", was = "$old.n" } :to "people.changed"

test("any order of records", function(t)
  local seed, now, w, groups, want = 7, 0, -1e9, {}, {}
  local function random(n)
    seed = (seed * 1103515245 + 12345) % 2147483648
    return seed // 65536 % n
  end
  for i = 1, 600 do
    local who, at = "w" .. random(9), now - random(90)
    local g = groups[who]
    if g and w > g.touched + 60 then g = nil end
    want[i] = { ["$key"] = who, n = g and g.n + 1 or 1, was = g and g.n or nil }
    groups[who] = { n = want[i].n, touched = g and math.max(g.touched, at) or at }
    t:send("visits", { who = who, at = 1767225600000 + at * 60000 })
    w = math.max(w, at)
    now = now + random(12)
    if random(15) == 0 then t:restart() end
  end
  t:expect("people.changed", want)
  local rows = {}
  for i = 0, 8 do
    local g = groups["w" .. i]
    if g and w <= g.touched + 60 then rows[#rows + 1] = { who = "w" .. i, n = g.n } end
  end
  t:rows("select who, n from people order by who", rows)
end)
