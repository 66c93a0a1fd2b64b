-- A bakery's till writes what happened into its own database; here that becomes a topic.
job "bakery" { version = 1 }

local events = from.outbox {
  name   = "till",
  sqlite = param("till", "till.db"),            -- leat run job.lua -p till=/var/lib/till/till.db
  table  = "outbox",
  after  = "delete",                            -- a row goes when what it led to is committed
}

-- Every event, for whoever wants to know; the key keeps those of one order together.
events
  :where  "aggregatetype == 'order'"
  :set    { event = "$header.id" }
  :to     "bakery.orders"

-- What the ovens have to do.
events
  :where  "type == 'OrderPlaced'"
  :explode("payload.items", "item")
  :select { sku = "item.sku", n = "item.n", order = "aggregateid" }
  :to     ("bakery.ovens", { key = "sku" })

local function placed(id, order, ...)
  return { id = id, aggregatetype = "order", aggregateid = order, type = "OrderPlaced",
           payload = { items = array { ... } } }
end

test("a row becomes a record with its order as key", function(t)
  t:send("till", placed("e1", "o7", { sku = "rye", n = 2 }, { sku = "bun", n = 12 }))
  t:send("till", { id = "e2", aggregatetype = "staff", aggregateid = "s1", type = "ShiftBegan" })
  t:expect("bakery.orders", { { ["$key"] = "o7", type = "OrderPlaced", event = "e1" } })
  t:expect("bakery.ovens", { { ["$key"] = "rye", n = 2, order = "o7" }, { ["$key"] = "bun" } })
end)

test("a payload that is no JSON is parked, the rest goes on", function(t)
  local torn = placed("e1", "o1")
  torn.payload = '{"items":[{"sku":"rye"'
  t:send("till", torn)
  t:send("till", placed("e2", "o2", { sku = "bun", n = 1 }))
  t:parked { { key = "o1", class = "decode" } }
  t:expect("bakery.ovens", { { sku = "bun" } })
end)
