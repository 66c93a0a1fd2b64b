-- Selection: the bids on every 123rd auction.
job "q2" { version = 1 }

from "nexmark" { time = "dateTime" }
  :where  "kind == 'bid' and auction % 123 == 0"
  :select { "auction", "price" }
  :to     "q2"

test("one auction in 123", function(t)
  for auction = 1, 250 do
    t:send("nexmark",
      { kind = "bid", auction = auction, price = auction, dateTime = 1767225600000 })
  end
  t:expect("q2", { { auction = 123, price = 123 }, { auction = 246, price = 246 } })
end)
