-- Currency conversion: the price of every bid in euros.
job "q1" { version = 1 }

from "nexmark" { time = "dateTime" }
  :where  "kind == 'bid'"
  :select { "auction", "bidder", price = "0.908 * price", "dateTime", "extra" }
  :to     "q1"

test("a price is converted", function(t)
  t:send("nexmark",
    { kind = "bid", auction = 1, bidder = 2, price = 100, dateTime = 1767225600000, extra = "" })
  t:expect("q1", { { auction = 1, bidder = 2, price = 90.8 } })
end)
