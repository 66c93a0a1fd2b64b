-- W5: every 97th record raises, every 9973rd never ends: they go to the dead letters, once, the
-- others to the output, once.
job "poison" {
  version = 1, errors = { park = "record", dead = "poison.dead", limit = 1000000 },
}

from "in" { idle = false } :map(function(e, ctx)
  if e.v % 9973 == 0 then while true do end end
  if e.v % 97 == 0 then error("poison " .. e.v) end
  return { v = e.v }
end)
  :to "poison.out"
