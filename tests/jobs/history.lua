-- A table's history: versions of its rows in event time, what they are joined with, when they go.
job "history" { version = 1 }

local prices = table "prices" [[
  shop text, sku text, price integer not null, since time, note text default 'new',
  twice integer generated always as (price * 2), primary key (sku, shop)
]] { history = "10d", ttl = "30d after since" }

from "prices" { time = "ts" } :match "type" {
  Set = prices:put { shop = "shop", sku = "sku", price = "price", since = "$time" },
  Note = prices:patch({ shop = "shop", sku = "sku" }, { note = "note" }),
  Raise = prices:add({ shop = "shop", sku = "sku" }, { price = "by" }),
  Gone = prices:delete { shop = "shop", sku = "sku" },
  Sql = function(e, ctx)
    ctx.db:sql("update prices set price = price + :by, shop = :to"
        .. " where sku = :sku and shop = :shop",
        { by = e.by, to = e.to, sku = e.sku, shop = e.shop })
  end,
  Forge = function(_, ctx) ctx.db:sql "delete from prices__history" end,
  Read = function(_, ctx)
    local n = ctx.db:sql("select count(*) as n from prices__history")[1].n
    ctx.db.prices:put { shop = "counted", sku = "x", price = n }
  end,
  Half = function(e, ctx)
    ctx.db.prices:put { shop = e.shop, sku = e.sku, price = 1 }
    error "no"
  end,
}

local sales = from "sales" { time = "ts" }
sales:join(prices, { on = { sku = "sku", shop = "shop" }, as = "p", at = "$time" })
  :select { "id", price = "p.price", note = "p.note", twice = "p.twice" } :to "sales.priced"
sales:join(prices, { on = { sku = "sku", shop = "shop" }, as = "p", at = "sold or $time",
                     kind = "left" })
  :select { "id", price = "p.price or 'none'" } :to "sales.all"

local t0, h, d = 1767225600000, 3600000, 86400000

local function set(t, at, price, shop) t:send("prices",
    { type = "Set", shop = shop or "s", sku = "a", price = price, ts = at }) end
local function sale(t, id, at, more)
  local s = { id = id, shop = "s", sku = "a", ts = at }
  for k, v in pairs(more or {}) do s[k] = v end
  t:send("sales", s)
end
local function versions(t, want)
  t:rows("select shop, price, note, (valid_from - 1767225600000) / 3600000.0 as a, "
      .. "case valid_to when 253402300799999 then 0 "
      .. "else (valid_to - 1767225600000) / 3600000.0 end as b "
      .. "from prices__history order by shop, valid_from", want)
end

test("sales get the price of their own time, whatever order they come in", function(t)
  set(t, t0, 10)
  set(t, t0 + 2 * h, 12)
  set(t, t0 + 4 * h, 14)
  sale(t, 1, t0 + 5 * h)
  sale(t, 2, t0 + 2 * h)
  sale(t, 3, t0 + 2 * h - 1)
  sale(t, 4, t0 + 4 * h - 1)
  sale(t, 5, t0)
  sale(t, 6, t0 - 1)
  t:expect("sales.priced", { { id = 1, price = 14, twice = 28 }, { id = 2, price = 12 },
                             { id = 3, price = 10 }, { id = 4, price = 12 },
                             { id = 5, price = 10 } })
  t:expect("sales.all", { { id = 1, price = 14 }, { id = 2, price = 12 }, { id = 3, price = 10 },
                          { id = 4, price = 12 }, { id = 5, price = 10 },
                          { id = 6, price = "none" } })
  versions(t, { { shop = "s", price = 10, note = "new", a = 0.0, b = 2.0 },
                { shop = "s", price = 12, note = "new", a = 2.0, b = 4.0 },
                { shop = "s", price = 14, note = "new", a = 4.0, b = 0 } })
end)

test("every write makes a version, one that changes nothing does not", function(t)
  set(t, t0, 10)
  t:send("prices", { type = "Note", shop = "s", sku = "a", note = "x", ts = t0 + h })
  t:send("prices", { type = "Note", shop = "s", sku = "a", note = "x", ts = t0 + 2 * h })
  t:send("prices", { type = "Raise", shop = "s", sku = "a", by = 5, ts = t0 + 3 * h })
  t:send("prices", { type = "Sql", shop = "s", sku = "a", by = 1, to = "s", ts = t0 + 4 * h })
  t:send("prices", { type = "Sql", shop = "s", sku = "a", by = 1, to = "t", ts = t0 + 5 * h })
  t:send("prices", { type = "Half", shop = "t", sku = "a", ts = t0 + 6 * h }, { key = "half" })
  t:send("prices", { type = "Gone", shop = "t", sku = "a", ts = t0 + 7 * h })
  versions(t, { { shop = "s", price = 10, note = "new", a = 0.0, b = 1.0 },
                { shop = "s", price = 10, note = "x", a = 1.0, b = 3.0 },
                { shop = "s", price = 15, note = "x", a = 3.0, b = 4.0 },
                { shop = "s", price = 16, note = "x", a = 4.0, b = 5.0 },
                { shop = "t", price = 17, note = "x", a = 5.0, b = 7.0 } })
  sale(t, 1, t0 + 5 * h - 1)
  sale(t, 2, t0 + 5 * h)
  sale(t, 3, t0 + 7 * h - 1, { shop = "t" })
  sale(t, 4, t0 + 7 * h, { shop = "t" })
  t:expect("sales.priced", { { id = 1, price = 16, note = "x" }, { id = 3, price = 17 } })
  t:parked { { key = "half", class = "lua" } }
end)

test("a write that comes late replaces what is behind its time", function(t)
  set(t, t0, 10)
  set(t, t0 + 4 * h, 14)
  set(t, t0 + 2 * h, 12)
  versions(t, { { shop = "s", price = 10, note = "new", a = 0.0, b = 2.0 },
                { shop = "s", price = 12, note = "new", a = 2.0, b = 0 } })
  t:send("prices", { type = "Gone", shop = "s", sku = "a", ts = t0 + h })
  versions(t, { { shop = "s", price = 10, note = "new", a = 0.0, b = 1.0 } })
  set(t, t0 + h // 2, 11)
  versions(t, { { shop = "s", price = 10, note = "new", a = 0.0, b = 0.5 },
                { shop = "s", price = 11, note = "new", a = 0.5, b = 0 } })
  set(t, t0 + h // 2, 13)
  versions(t, { { shop = "s", price = 10, note = "new", a = 0.0, b = 0.5 },
                { shop = "s", price = 13, note = "new", a = 0.5, b = 0 } })
  t:rows("select price from prices", { { price = 13 } })
end)

test("a time that the history does not reach back to is an error, not a missing row", function(t)
  set(t, t0, 10)
  set(t, t0 + 5 * d, 12)
  set(t, t0 + 20 * d, 14)
  sale(t, 1, t0 + 20 * d)
  sale(t, 2, t0 + 20 * d, { sold = t0 + 10 * d })
  sale(t, 3, t0 + 20 * d, { sold = "2026-01-10T23:59:59.999Z" })
  t:expect("sales.all", { { id = 1, price = 14 }, { id = 2, price = 12 } })
  t:parked { { class = "history" } }
  versions(t, { { shop = "s", price = 12, note = "new", a = 120.0, b = 480.0 },
                { shop = "s", price = 14, note = "new", a = 480.0, b = 0 } })
  sale(t, 4, t0 + 20 * d, { sold = "yesterday" })
  t:parked { { class = "history" }, { class = "time" } }
end)

test("versions go when nobody may ask for them, before the next record", function(t)
  for i = 0, 30 do set(t, t0 + i * h, i) end
  sale(t, 1, t0 + h)
  t:batch(function()
    sale(t, 2, t0 + 12 * d - 1)
    set(t, t0 + 12 * d, 99)
    t:send("prices", { type = "Read", ts = t0 + 12 * d })
  end)
  t:rows("select price from prices where shop = 'counted'", { { price = 2 } })
  t:rows("select price from prices__history where shop = 's' and price < 99", { { price = 30 } })
end)

test("a row past its ttl has ended then, also before it has gone", function(t)
  set(t, t0, 10)
  sale(t, 1, t0 + 30 * d)
  sale(t, 2, t0 + 30 * d + 1)
  t:expect("sales.all", { { id = 1, price = 10 }, { id = 2, price = "none" } })
  t:rows("select count(*) as n from prices", { { n = 1 } })
  set(t, t0 + 31 * d, 11, "other")
  t:rows("select shop from prices", { { shop = "other" } })
  t:rows("select valid_to - valid_from as ms from prices__history where shop = 's'",
      { { ms = 30 * d + 1 } })
  sale(t, 3, t0 + 30 * d)
  t:expect("sales.all", { { id = 3, price = 10 } })
end)

test("the history is not for writing", function(t)
  set(t, t0, 10)
  t:send("prices", { type = "Forge", ts = t0 })
  t:parked { { class = "lua" } }
  versions(t, { { shop = "s", price = 10, note = "new", a = 0.0, b = 0 } })
end)
