-- Highest bid of each 10 s.
job "q7" { version = 1 }

from "nexmark" { time = "dateTime" }
  :where     "kind == 'bid'"
  :by        "kind"
  :window    { size = "10s" }
  :aggregate { best = top(1, "price", { "auction", "bidder", "price", "dateTime" }) }
  :into      "q7"

test("the dearest bid of a window", function(t)
  local t0 = 1767225600000
  for i, price in ipairs { 3, 9, 5 } do
    t:send("nexmark", { kind = "bid", auction = i, bidder = i, price = price, dateTime = t0 + i })
  end
  t:rows("select best ->> '$[0].auction' as auction, best ->> '$[0].price' as price from q7",
    { { auction = 2, price = 9 } })
end)
