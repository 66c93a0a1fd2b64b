-- State: of processors, their timers and ttl; of dedupe; of aggregates without windows.
job "state" { version = 1 }

local t0 = 1767225600000

local counting = from "counting" { time = "at", disorder = "5s" } :by "k" :process {
  state = { n = 0, seen = {} },
  ttl = "1h",
  on = function(v, ctx)
    if v.forget then ctx.state = nil return nil end
    if v.fail then ctx.state.n = 100 error "no" end
    ctx.state.n = ctx.state.n + 1
    ctx.state.seen[#ctx.state.seen + 1] = v.id
    return { k = ctx.key, n = ctx.state.n, seen = ctx.state.seen }
  end,
} :to "counting.out"

from "timers" { time = "at" } :by "k" :process {
  state = { n = 0 },
  on = function(v, ctx)
    ctx.state.n = ctx.state.n + 1
    if v.cancel then ctx:cancel(v.cancel) end
    if v.timer then ctx:timer(v.timer, v.due) end
  end,
  timer = function(name, ctx)
    return { name = name, k = ctx.key, at = ctx.time, n = ctx.state.n }
  end,
} :to "timers.out"

-- Timers that set, move and cancel others of their key.
from "chained" { time = "at" } :by "k" :process {
  state = { n = 0 },
  on = function(v, ctx)
    ctx.state.n = ctx.state.n + 1
    for name, due in pairs(v.set or {}) do ctx:timer(name, t0 + due) end
    if v.again then
      ctx:timer("again", t0 + v.again + 500)
      ctx:cancel "again"
      ctx:timer("again", t0 + v.again)
    end
  end,
  timer = function(name, ctx)
    local s = ctx.state
    if name == "chain" and ctx.time < t0 + 3000 then ctx:timer("chain", ctx.time + 1000) end
    if name == "cancels" then ctx:cancel "other" end
    if name == "moves" then ctx:timer("other", ctx.time + 7000) end
    if name == "forgets" then ctx.state = nil end
    return { name = name, at = ctx.time - t0, n = s.n }
  end,
} :to "chained.out"

from "several" :by "k" :process {
  on = function(v, ctx)
    ctx:emit { n = 1 }
    ctx:emit({ n = 2 }, { key = "other" })
    return { n = 3 }
  end,
} :to "several.out"

from "once" { time = "at" } :dedupe { by = "id", within = "10s" } :to "once.out"
from "keyed" { time = "at" } :by "k" :dedupe { within = "10s" } :to "keyed.out"
from "all" :by "k" :aggregate { n = count(), last = last "id" } :into "alls"

local function send(t, topic, value)
  value.k, value.at = value.k or "k", t0 + (value.at or 0)
  t:send(topic, value, { key = value.k, time = t0 + 86400000 })
end

test("process: each key has a state of its own, from the initial one", function(t)
  send(t, "counting", { k = "a", id = 1 })
  send(t, "counting", { k = "b", id = 2 })
  send(t, "counting", { k = "a", id = 3 })
  t:expect("counting.out", { { k = "a", n = 1, seen = { 1 } }, { k = "b", n = 1, seen = { 2 } },
                             { k = "a", n = 2, seen = { 1, 3 } } })
end)

test("process: state survives restarts and is the same in one batch and in many", function(t)
  send(t, "counting", { id = 1 })
  t:restart()
  t:batch(function() send(t, "counting", { id = 2 }) send(t, "counting", { id = 3 }) end)
  t:restart()
  send(t, "counting", { id = 4 })
  t:expect("counting.out", { { n = 1 }, { n = 2 }, { n = 3 }, { n = 4, seen = { 1, 2, 3, 4 } } })
end)

test("process: ctx.state = nil forgets the key", function(t)
  send(t, "counting", { id = 1 })
  send(t, "counting", { forget = true })
  send(t, "counting", { id = 2 })
  t:expect("counting.out", { { n = 1 }, { n = 1, seen = { 2 } } })
end)

test("process: a record that fails leaves the state as it was", function(t)
  send(t, "counting", { id = 1 })
  t:batch(function()
    send(t, "counting", { id = 2, k = "k" })
    t:send("counting", { fail = true, k = "k", at = t0 }, { key = "failing" })
    send(t, "counting", { id = 3 })
  end)
  t:parked { { key = "failing", class = "lua" } }
  t:expect("counting.out", { { n = 1 }, { n = 2 }, { n = 3 } })
end)

test("process: with ttl a state is absent once W is past its last touch + ttl", function(t)
  send(t, "counting", { id = 1 })
  send(t, "counting", { k = "other", id = 8, at = 3605000 })     -- W = 1 h
  send(t, "counting", { id = 2 })
  t:expect("counting.out", { { n = 1 }, { k = "other" }, { n = 2 } })
  send(t, "counting", { k = "other", id = 9, at = 7205001 })     -- W = 2 h + 1 ms
  send(t, "counting", { id = 3, at = 7205001 })
  t:expect("counting.out", { { k = "other", n = 2 }, { k = "k", n = 1, seen = { 3 } } })
end)

test("timers: they fire at W >= their time, in the order of their times", function(t)
  send(t, "timers", { timer = "b", due = t0 + 2000 })
  send(t, "timers", { timer = "a", due = t0 + 3000, k = "x" })
  send(t, "timers", { timer = "c", due = t0 + 1000 })
  send(t, "timers", { at = 999 })
  t:expect("timers.out", {})
  send(t, "timers", { at = 3000, k = "y" })
  t:expect("timers.out", { { name = "c", at = t0 + 1000 }, { name = "b", at = t0 + 2000 },
                           { name = "a", k = "x", at = t0 + 3000 } })
end)

test("timers: the record that makes them due is processed first", function(t)
  send(t, "timers", { timer = "a", due = t0 + 1000 })
  send(t, "timers", { at = 1000 })
  t:expect("timers.out", { { name = "a", n = 2 } })
end)

test("timers: one of the same name is moved, a cancelled one does not fire", function(t)
  send(t, "timers", { timer = "a", due = t0 + 1000 })
  send(t, "timers", { timer = "a", due = t0 + 5000 })
  send(t, "timers", { timer = "b", due = t0 + 1000 })
  send(t, "timers", { cancel = "b" })
  send(t, "timers", { at = 4999, k = "y" })
  t:expect("timers.out", {})
  send(t, "timers", { at = 5000, k = "y" })
  t:expect("timers.out", { { name = "a", at = t0 + 5000 } })
end)

test("timers: one in the past fires at once", function(t)
  send(t, "timers", { at = 9000 })
  send(t, "timers", { at = 9000, timer = "past", due = t0 + 1000 })
  t:expect("timers.out", { { name = "past", at = t0 + 1000, n = 2 } })
end)

test("timers: one that sets the next fires it as soon as it is due, each at its time", function(t)
  send(t, "chained", { set = { chain = 1000 } })
  send(t, "chained", { set = { x = 2000 }, k = "a" })
  send(t, "chained", { at = 9000, k = "z" })
  t:expect("chained.out", { { name = "chain", at = 1000 }, { name = "x", at = 2000 },
                            { name = "chain", at = 2000 }, { name = "chain", at = 3000 } })
end)

test("timers: one cancels or moves another that is due in the same step", function(t)
  send(t, "chained", { set = { cancels = 1000, other = 2000 } })
  send(t, "chained", { set = { moves = 1000, other = 2000 }, k = "m" })
  send(t, "chained", { again = 1500, k = "n" })
  send(t, "chained", { at = 7999, k = "z" })
  t:expect("chained.out", { { name = "cancels" }, { name = "moves" },
                            { name = "again", at = 1500 } })
  send(t, "chained", { at = 8000, k = "z" })
  t:expect("chained.out", { { name = "other", at = 8000 } })
end)

test("timers: those of a key whose state a timer forgets fire on the initial one", function(t)
  send(t, "chained", { set = { forgets = 1000 } })
  send(t, "chained", { set = { x = 2000 } })
  send(t, "chained", { at = 9000, k = "z" })
  t:expect("chained.out", { { name = "forgets", n = 2 }, { name = "x", n = 0 } })
end)

test("timers: they survive restarts, and a quiet stream's clock fires them", function(t)
  send(t, "timers", { timer = "a", due = t0 + 90000000 })
  t:restart()
  t:advance "3h"
  t:expect("timers.out", { { name = "a", at = t0 + 90000000 } })
end)

test("process: it emits as often as it wants, with the key or another", function(t)
  t:send("several", { k = "k" })
  t:expect("several.out", { { n = 1, ["$key"] = "k" }, { n = 2, ["$key"] = "other" },
                            { n = 3, ["$key"] = "k" } })
end)

test("dedupe: the first wins; an id is forgotten at W > its time + within", function(t)
  send(t, "once", { id = "a" })
  send(t, "once", { id = "a", at = 10000, n = 2 })        -- W = 10 s then: not past it
  send(t, "once", { id = "b", at = 10001 })
  send(t, "once", { id = "a", at = 10001, n = 3 })
  t:expect("once.out", { { id = "a", n = null }, { id = "b" }, { id = "a", n = 3 } })
end)

test("dedupe: by the key unless by says otherwise", function(t)
  send(t, "keyed", { k = "x", n = 1 })
  send(t, "keyed", { k = "y", n = 2 })
  send(t, "keyed", { k = "x", n = 3 })
  t:expect("keyed.out", { { n = 1 }, { n = 2 } })
end)

test("aggregates: without a window a key's row never closes", function(t)
  t:send("all", { k = "a", id = 1 })
  t:advance "10d"
  t:restart()
  t:send("all", { k = "a", id = 2 })
  t:rows("select k, n, last from alls", { { k = "a", n = 2, last = 2 } })
end)
