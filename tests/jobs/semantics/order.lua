-- Order and determinism: in which order records are taken and go on; what functions may depend on.
job "order" { version = 1 }

local a = from "a" { time = "at", disorder = "1h" }
local b = from "b" { time = "at", disorder = "1h" }
a:merge(b) :select { "id" } :to "merged"
local later, earlier = from "later" { time = "at" }, from "earlier" { time = "at" }
earlier:merge(later) :select { "id" } :to "files"
from "log" { changelog = true, time = "at" }
  :select { "id" } :to "files"

-- One record goes through all branches before the next one does.
local deep = from "deep"
deep :select { "id", step = "1" } :to "deep.out"
deep :where "id > 1" :select { "id", step = "2" } :to "deep.out"
deep :by "'k'" :process { on = function(v) return { id = v.id, step = 3 } end } :to "deep.out"

-- Every operator that hands records on, one behind the other.
from "chain" { time = "at", disorder = "1h" }
  :where "id > 0" :set { seen = "true" } :map(function(v) return v end)
  :explode("parts", "part")
  :flatmap(function(v) return { v, with(v, { part = v.part .. "'" }) } end)
  :by "k" :dedupe { by = { "id", "part" }, within = "1h" }
  :process { on = function(v, ctx) ctx:emit(v) end }
  :select { "id", "part" } :to "chain.out"

from "clocks" { time = "at", idle = false } :by "k" :process {
  on = function(v, ctx)
    if ctx.now < v.not_before then ctx:retry "too early" end
    ctx:timer("later", ctx.time + 1000)
    return { what = "record", now = ctx.now }
  end,
  timer = function(name, ctx) return { what = "timer", at = ctx.time, now = ctx.now } end,
} :to "clocks.out"

from "pairs" :map(function(v)
  local names, sorted = {}, { 3, 1, 2 }
  for name in pairs { z = 1, [9] = 0, a = 2, "first", "second", [-1] = 0, [0] = 0, m = 3 } do
    names[#names + 1] = tostring(name)
  end
  for name in pairs(v.fields) do names[#names + 1] = name end
  table.sort(sorted)
  return { names = table.concat(names, " "), sorted = table.concat(sorted, " ") }
end) :to "pairs.out"
from "random" :map(function(v)
  return { a = math.random(1000000), b = math.random() }
end) :to "random.out"
from "now" { time = "at" } :map(function(v, ctx)
  return { now = ctx.now, at = ctx.time }
end) :to "now.out"
local stamps = table "stamps" [[ id integer primary key, at text, r integer ]]
from "stamps" :map(function(v, ctx)
  ctx.db:sql("insert into stamps values (:id, current_timestamp, random())", { id = v.id })
end)

local t0 = 1767225600000
local function send(t, topic, id, at, partition)
  t:send(topic, { id = id, at = t0 + at }, { partition = partition or 0, time = t0 + 10000 })
end

test("order: of a partition it is kept, whatever the times say", function(t)
  t:batch(function() for id, at in ipairs { 5000, 1000, 9000, 0 } do send(t, "a", id, at) end end)
  t:expect("merged", { { id = 1 }, { id = 2 }, { id = 3 }, { id = 4 } })
end)

test("order: of several partitions the head with the smallest event time goes first", function(t)
  t:batch(function()
    send(t, "a", 1, 3000, 0)
    send(t, "a", 2, 1000, 0)                -- behind 3000 in its partition, so after it
    send(t, "a", 3, 2000, 1)
    send(t, "a", 4, 4000, 1)
    send(t, "b", 5, 2500, 0)
  end)
  t:expect("merged", { { id = 3 }, { id = 5 }, { id = 1 }, { id = 2 }, { id = 4 } })
end)

test("order: at equal times by the order of sources in the file, then by partition", function(t)
  t:batch(function()
    send(t, "b", 1, 1000, 0)
    send(t, "a", 2, 1000, 1)
    send(t, "a", 3, 1000, 0)
  end)
  t:expect("merged", { { id = 3 }, { id = 2 }, { id = 1 } })
end)

test("order: at equal times changelogs before others", function(t)
  t:batch(function()
    send(t, "earlier", 1, 1000)
    send(t, "later", 2, 1000)
    send(t, "log", 3, 1000)
  end)
  t:expect("files", { { id = 3 }, { id = 2 }, { id = 1 } })
end)

test("order: what is read later comes later, however old it is", function(t)
  send(t, "a", 1, 5000, 0)
  send(t, "a", 2, 1000, 1)
  t:expect("merged", { { id = 1 }, { id = 2 } })
end)

test("order: depth first, record by record", function(t)
  t:batch(function() t:send("deep", { id = 1 }) t:send("deep", { id = 2 }) end)
  t:expect("deep.out", { { id = 1, step = 1 }, { id = 1, step = 3 }, { id = 2, step = 1 },
                         { id = 2, step = 2 }, { id = 2, step = 3 } })
end)

test("order: a head without a time stands where its record's timestamp is", function(t)
  t:batch(function()
    t:send("a", { id = 1, at = "noon" }, { partition = 0, time = t0 + 2000 })
    send(t, "a", 2, 500, 0)                 -- behind it
    send(t, "a", 3, 1000, 1)
    send(t, "a", 4, 3000, 1)
  end)
  t:parked { { class = "time" } }
  t:expect("merged", { { id = 3 }, { id = 2 }, { id = 4 } })
end)

test("order: of a key it is kept through every operator", function(t)
  t:batch(function()
    for id, at in ipairs { 5000, 1000, 3000 } do
      t:send("chain", { id = id, k = "k", at = t0 + at, parts = { "a", "b" } },
        { time = t0 + 10000 })
    end
  end)
  local want = {}
  for id = 1, 3 do
    for _, part in ipairs { "a", "a'", "b", "b'" } do want[#want + 1] = { id = id, part = part } end
  end
  t:expect("chain.out", want)
end)

test("functions: pairs goes through the array, then integers, then names in order", function(t)
  t:send("pairs", { fields = { z = 1, a = 2, m = 3 } })
  t:expect("pairs.out", { { names = "1 2 -1 0 9 a m z a m z", sorted = "1 2 3" } })
end)

test("functions: random numbers are the record's own", function(t)
  t:send("random", {})
  t:send("random", {})
  t:send("random", {}, { partition = 1 })
  t:expect("random.out", { { a = 90621, b = 0.3598883092604823 }, { a = 92410 }, { a = 646302 } })
end)

test("functions: now is the clock of the step, not of the machine", function(t)
  t:send("now", { at = t0 + 5 }, { time = t0 + 7000 })
  t:expect("now.out", { { now = t0 + 7000, at = t0 + 5 } })
end)

test("functions: retries and timers too see the clock of the step they run in", function(t)
  t:send("clocks", { k = "k", at = t0, not_before = t0 + 1000 }, { time = t0 })
  t:expect("clocks.out", {})
  t:advance "1s"
  t:expect("clocks.out", { { what = "record", now = t0 + 1000 } })
  t:send("clocks", { k = "x", at = t0 + 5000, not_before = 0 }, { time = t0 + 7000 })
  t:expect("clocks.out", { { what = "record", now = t0 + 7000 },
                           { what = "timer", at = t0 + 1000, now = t0 + 7000 } })
end)

test("functions: SQL has the step's clock and random numbers too", function(t)
  t:send("stamps", { id = 1 }, { time = t0 + 7000 })
  t:rows("select at, r from stamps", { { at = "2026-01-01 00:00:07", r = -7995527694508729151 } })
end)
