-- Hot items: which auction had the most bids in the last 10 s, every 2 s. The published query
-- tells all auctions of equal count, this one the first of them.
job "q5" { version = 1 }

from "nexmark" { time = "dateTime" }
  :where     "kind == 'bid'"
  :by        "auction"
  :window    { size = "10s", every = "2s" }
  :aggregate { num = count() }
  :final()                            -- a window's last millisecond: one slide apart
  :select    { "auction", "num", slide = "window_end" }
  :by        "slide"
  :window    { size = "2s" }
  :aggregate { hot = top(1, "num", { "auction", "num" }) }
  :into      "q5"

test("the auction with the most bids of each window", function(t)
  local t0 = 1767225600000
  for _, auction in ipairs { 7, 8, 7 } do
    t:send("nexmark", { kind = "bid", auction = auction, dateTime = t0 })
  end
  t:send("nexmark", { kind = "bid", auction = 9, dateTime = t0 + 30000 })
  t:rows([[select count(*) as windows, min(hot ->> '$[0].auction') as auction,
                  max(hot ->> '$[0].num') as num from q5]],
    { { windows = 5, auction = 7, num = 2 } })
end)
