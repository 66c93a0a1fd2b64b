-- The last bid of each bidder on each auction.
job "q18" { version = 1 }

from "nexmark" { time = "dateTime" }
  :where     "kind == 'bid'"
  :by        ("bidder", "auction")
  :aggregate {
    price    = last "price",
    channel  = last "channel",
    url      = last "url",
    dateTime = last "dateTime",
    extra    = last "extra",
  }
  :into      "q18"

test("the later bid stays", function(t)
  local t0 = 1767225600000
  t:send("nexmark", { kind = "bid", bidder = 1, auction = 2, price = 5, dateTime = t0 })
  t:send("nexmark", { kind = "bid", bidder = 1, auction = 2, price = 7, dateTime = t0 + 1 })
  t:send("nexmark", { kind = "bid", bidder = 1, auction = 3, price = 1, dateTime = t0 + 2 })
  t:rows("select auction, price from q18 order by auction",
    { { auction = 2, price = 7 }, { auction = 3, price = 1 } })
end)
