-- Pass through: every bid goes on as it came.
job "q0" { version = 1 }

from "nexmark" { time = "dateTime" } :where "kind == 'bid'" :to "q0"

test("bids pass, others do not", function(t)
  t:send("nexmark", { kind = "bid", auction = 1, dateTime = 1767225600000 })
  t:send("nexmark", { kind = "person", id = 1, dateTime = 1767225600000 })
  t:expect("q0", { { auction = 1 } })
end)
