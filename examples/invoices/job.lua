-- Money without rounding errors: decimals are exact from the record to the table, in expressions and
-- in functions. 0.10 three times is 0.30.
job "invoices" { version = 1 }

local position = schema "position" {
  invoice = "text", customer = "text", article = "text",
  price   = "decimal(10,2)",                        -- from text or a number; 19.9 reads as 19.90
  qty     = "integer",
  rate    = "decimal(5,4)?",                        -- VAT; missing means the usual one
}

local invoices = table "invoices" [[
  invoice  text primary key,
  customer text not null,
  net      decimal(12,2) not null default 0,
  vat      decimal(12,2) not null default 0
]]

local positions = from "invoice.positions" { schema = position }
  :set { net = "price * qty", vat = "round(price * qty * coalesce(rate, dec'0.2500'), 2)" }

positions:match "'position'" {
  ["position"] = {
    invoices:put { invoice = "invoice", customer = "customer" },
    invoices:add("invoice", { net = "net", vat = "vat" }),
  },
}

positions
  :by        "customer"
  :aggregate { positions = count(), net = sum "net", dearest = max "price" }
  :into      "customers"                            -- its columns are decimals as well

-- The same in a function: a decimal behaves like a number, and stays exact.
local limit = dec "1000"

invoices:changes()
  :map(function(v, ctx)
    local gross = v.net + v.vat
    if gross > limit then return { invoice = v.invoice, gross = gross } end
  end)
  :to("invoices.large", { key = "invoice" })

query "total" { params = { invoice = "text" }, one = true,
  sql = "select net, vat from invoices where invoice = :invoice" }

test("sums are exact, and shown with all their digits", function(t)
  for _, article in ipairs { "pen", "ink", "pad" } do
    t:send("invoice.positions", { invoice = "i1", customer = "c1", article = article, price = "0.10", qty = 1 })
  end
  t:query("total", { invoice = "i1" }, { { net = "0.30", vat = "0.09" } })     -- three times 0.025, each rounded
  t:query("total", { invoice = "i2" }, {})
  t:rows("select customer, positions, net, dearest from customers",
         { { customer = "c1", positions = 3, net = 30, dearest = 10 } })       -- stored in cents
end)

test("what cannot be had exactly is refused, not rounded", function(t)
  t:send("invoice.positions", { invoice = "i1", customer = "c1", article = "x", price = "1.005", qty = 1 }, { key = "k" })
  t:parked { { key = "k", class = "schema" } }
end)

test("a function sees decimals", function(t)
  t:send("invoice.positions", { invoice = "i3", customer = "c2", article = "desk", price = 799.99, qty = 1, rate = 0.25 })
  t:expect("invoices.large", {})
  t:send("invoice.positions", { invoice = "i3", customer = "c2", article = "lamp", price = 0.02, qty = 1 })
  t:expect("invoices.large", { { ["$key"] = "i3", invoice = "i3", gross = "1000.02" } })
end)
