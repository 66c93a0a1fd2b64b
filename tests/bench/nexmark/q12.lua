-- Bids per bidder in windows of 10 s of the time at which they were produced: the record's own
-- timestamp stands for processing time, so that the result can be repeated.
job "q12" { version = 1 }

from "nexmark"
  :where     "kind == 'bid'"
  :by        "bidder"
  :window    { size = "10s" }
  :aggregate { bids = count() }
  :into      "q12"

test("counted per bidder", function(t)
  for _, bidder in ipairs { 1, 2, 1 } do
    t:send("nexmark", { kind = "bid", bidder = bidder, dateTime = 1767225600000 })
  end
  t:rows("select bidder, sum(bids) as bids from q12 group by bidder order by bidder",
    { { bidder = 1, bids = 2 }, { bidder = 2, bids = 1 } })
end)
