-- W8: no record to fifty of them, in three topics.
job "fan" { version = 1 }

local out = from "in" { idle = false } :flatmap(function(e, ctx)
  local list = {}
  for i = 1, e.v % 51 do list[i] = { v = e.v, i = i, to = (e.v + i) % 3 } end
  return list
end)
local a, b, c = out:split("to == 0", "to == 1")
a:to "fan.a"
b:to "fan.b"
c:to "fan.c"
