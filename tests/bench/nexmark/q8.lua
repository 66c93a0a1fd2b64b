-- New users: who registered and opened an auction in the same 10 s, once.
job "q8" { version = 1 }

local events = from "nexmark" { time = "dateTime" }
local persons = events
  :where  "kind == 'person'"
  :select { "id", "name", part = "$time // 10000" }
  :by     ("id", "part")
local auctions = events
  :where  "kind == 'auction'"
  :select { "seller", part = "$time // 10000" }
  :by     ("seller", "part")

persons
  :join   (auctions, { as = "auction", within = { "-10s", "10s" } })
  :dedupe { by = { "id", "part" }, within = "10s" }
  :select { "id", "name", starttime = "part * 10000" }
  :to     "q8"

test("a seller who is new in the window, once", function(t)
  local t0 = 1767225600000
  t:send("nexmark", { kind = "person", id = 1, name = "ann", dateTime = t0 + 1000 })
  t:send("nexmark", { kind = "person", id = 2, name = "bob", dateTime = t0 + 1000 })
  t:send("nexmark", { kind = "auction", id = 5, seller = 1, dateTime = t0 + 2000 })
  t:send("nexmark", { kind = "auction", id = 6, seller = 1, dateTime = t0 + 3000 })
  t:send("nexmark", { kind = "auction", id = 7, seller = 2, dateTime = t0 + 10000 })
  t:expect("q8", { { id = 1, name = "ann", starttime = t0 } })
end)
