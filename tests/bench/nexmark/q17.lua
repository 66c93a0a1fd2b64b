-- Statistics of each auction and day.
job "q17" { version = 1 }

from "nexmark" { time = "dateTime" }
  :where     "kind == 'bid'"
  :by        "auction"
  :window    { size = "1d" }
  :aggregate {
    total_bids = count(),
    rank1_bids = count "price < 10000",
    rank2_bids = count "price >= 10000 and price < 1000000",
    rank3_bids = count "price >= 1000000",
    min_price  = min "price",
    max_price  = max "price",
    avg_price  = avg "price",
    sum_price  = sum "price",
  }
  :into      "q17"

test("ranks and prices of a day", function(t)
  for _, price in ipairs { 1, 10000, 1000000 } do
    t:send("nexmark", { kind = "bid", auction = 3, price = price, dateTime = 1767225600000 })
  end
  t:rows("select total_bids, rank1_bids, rank2_bids, rank3_bids from q17",
    { { total_bids = 3, rank1_bids = 1, rank2_bids = 1, rank3_bids = 1 } })
  t:rows("select min_price, max_price, avg_price, sum_price from q17",
    { { min_price = 1, max_price = 1000000, avg_price = 1010001 / 3, sum_price = 1010001 } })
end)
