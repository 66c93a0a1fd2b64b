-- park = "record": a hole is better than a held key.
job "errors-record" { version = 1, errors = { park = "record", retry = { "1s" }, dead = "dead" } }

from "in" :map(function(v, ctx)
  if v.wait then ctx:retry "not yet" end
  assert(v.n, "n is missing")
  return v
end) :to "out"

test("a record is parked alone, whatever its class; its key goes on", function(t)
  local function send(v) t:send("in", v, { key = "k" }) end
  send {}
  send { n = 1 }
  send { wait = true }
  send { n = 2 }
  t:parked { { key = "k", class = "lua" }, { key = "k", class = "missing" } }
  t:expect("out", { { n = 1 }, { n = 2 } })
  t:expect("dead", { {} })
  t:advance "1s"
  t:parked { { key = "k", class = "lua" }, { key = "k", class = "missing", tries = 2 } }
  t:expect("dead", { { wait = true } })
  send { n = 3 }
  t:expect("out", { { n = 3 } })
end)
