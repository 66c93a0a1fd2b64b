-- dedupe: the first wins, and is forgotten when the watermark is past its time + within.
job "dedupe" { version = 1 }

from "in" { time = "at", disorder = "1m" } :dedupe { by = "id", within = "1h" } :to "out"
from "pairs" { time = "at" } :dedupe { by = { "a", "b" }, within = "10s" } :to "pairs.out"

local t0 = 1767225600000
local function send(t, id, minute, n)
  t:send("in", { id = id, at = t0 + minute * 60000, n = n })
end

test("the first wins, across batches and restarts", function(t)
  t:batch(function() send(t, "a", 0, 1) send(t, "a", 0, 2) send(t, 7, 0, 3) send(t, 7.0, 0, 4) end)
  t:restart()
  send(t, "a", 30, 5)
  send(t, "b", 59, 6)
  t:expect("out", { { n = 1 }, { n = 3 }, { n = 6 } })
end)

test("an id is forgotten at W > t + within, not before", function(t)
  send(t, "a", 0, 1)
  send(t, "x", 61, 2)                       -- W = 60
  send(t, "a", 61, 3)
  t:expect("out", { { n = 1 }, { n = 2 } })
  send(t, "y", 62, 4)                       -- W = 61
  send(t, "a", 62, 5)
  send(t, "a", 62, 6)
  t:expect("out", { { n = 4 }, { n = 5 } })
end)

test("several parts are one id; nil is an error of the record", function(t)
  t:send("pairs", { a = 1, b = "x", at = t0 })
  t:send("pairs", { a = 1, b = "x", at = t0 })
  t:send("pairs", { a = 1, b = "y", at = t0 })
  t:send("pairs", { a = 1, at = t0 }, { key = "k" })
  t:expect("pairs.out", { { a = 1, b = "x" }, { a = 1, b = "y" } })
  t:parked { { key = "k", class = "key" } }
end)
