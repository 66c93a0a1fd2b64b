-- A history and what is joined with it: writes and sales with times in any order, against the list
-- of all writes. Long: not among the jobs whose tests are varied.
job "random-history" { version = 1 }

local prices = table "prices" [[
  sku text primary key, price integer not null, since time
]] { history = "60d" }

from "prices" { time = "ts" } :match "type" {
  Set = prices:put { sku = "sku", price = "price", since = "$time" },
  Raise = prices:add("sku", { price = "by" }),
  Gone = prices:delete "sku",
}

from "sales" { time = "ts" }
  :join(prices, { on = "sku", as = "p", at = "$time", kind = "left" })
  :select { "id", price = "p.price or 'none'" } :to "sales.all"

local t0, h = 1767225600000, 3600000

test("any order of writes and sales", function(t)
  local seed, now, writes, row, since, want = 11, 100, {}, nil, nil, {}
  local function random(n)
    seed = (seed * 1103515245 + 12345) % 2147483648
    return seed // 65536 % n
  end
  local function write(at, value, time)
    if value ~= row or time ~= since then writes[#writes + 1] = { at = at, value = value } end
    row, since = value, time
  end
  for i = 1, 400 do
    local at = now - random(3) * random(20)
    local what = random(6)
    if what == 0 then
      t:send("prices", { type = "Gone", sku = "a", ts = t0 + at * h })
      write(at, nil)
    elseif what == 1 and row then
      t:send("prices", { type = "Raise", sku = "a", by = 1, ts = t0 + at * h })
      write(at, row + 1, since)
    elseif what < 4 then
      local price = random(4)
      t:send("prices", { type = "Set", sku = "a", price = price, ts = t0 + at * h })
      write(at, price, at)
    else
      local value = "none"
      for k = #writes, 1, -1 do
        if writes[k].at <= at then value = writes[k].value or "none" break end
      end
      want[#want + 1] = { id = i, price = value }
      t:send("sales", { id = i, sku = "a", ts = t0 + at * h })
    end
    now = now + random(4)
    if random(20) == 0 then t:restart() end
  end
  t:expect("sales.all", want)
end)
