-- An outbox in: rows of another application's table are records.
job "outbox-in" { version = 1, errors = { dead = "dead" } }

local rows = from.outbox {
  name = "app", sqlite = "unused.db", table = "outbox", time = "created_at",
}

rows
  :where  "aggregatetype == 'order'"
  :select { "type", "payload", id = "$header.id", kind = "$header.eventType",
            trace = "$header.trace", at = "$time", tenant = "tenant" }
  :to     "orders"

rows
  :where  "aggregatetype == 'invoice'"
  :select { total = "payload.total", lines = "len(payload.lines[1])" }
  :to     "invoices"

local function row(id, kind, key, more)
  local r = { id = id, aggregatetype = kind, aggregateid = key, type = "T", payload = { n = 1 },
              created_at = "2026-01-01 00:00:01" }
  for k, v in pairs(more or {}) do r[k] = v end
  return r
end

test("aggregateid is the key, id and type are headers, the row is the value", function(t)
  t:send("app", row("e1", "order", "o1", { type = "Placed", tenant = "blue" }))
  t:expect("orders", { { ["$key"] = "o1", type = "Placed", id = "e1", kind = "Placed",
    payload = { n = 1 }, at = 1767225601000, tenant = "blue", ["$header.id"] = "e1" } })
end)

test("a number as aggregateid is its digits; none is no key", function(t)
  t:send("app", row(7, "order", 42))
  t:send("app", row(8, "order", null))
  t:expect("orders", { { ["$key"] = "42", id = "7" }, { ["$key"] = null, id = "8" } })
end)

test("payload as text is JSON, as in the database", function(t)
  t:send("app", row("e1", "invoice", "i1", { payload = '{"total": 1.50, "lines": ["abc"]}' }))
  t:expect("invoices", { { total = 1.5, lines = 3 } })
end)

test("the headers column is headers", function(t)
  t:send("app", row("e1", "order", "o1", { headers = { trace = "t-1", n = 3 } }))
  t:send("app", row("e2", "order", "o1", { headers = '{"trace":"t-2"}' }))
  t:expect("orders", {
    { id = "e1", trace = "t-1", ["$header.n"] = "3" },
    { id = "e2", trace = "t-2" },
  })
end)

test("what is not JSON is parked whole, whatever it would be beside its neighbours", function(t)
  t:send("app", row("e1", "order", "o1", { payload = 'total=5' }))
  t:send("app", row("e2", "order", "o1", { payload = '1,"aggregatetype":"user"' }))
  t:send("app", row("e3", "order", "o1", { payload = '' }))
  t:send("app", row("e4", "order", "o1", { headers = '["trace"]' }))
  t:send("app", row("e5", "order", "o1"))
  t:parked { { key = "o1", class = "decode" }, { key = "o1", class = "decode" },
             { key = "o1", class = "decode" }, { key = "o1", class = "decode" } }
  t:rows("select count(*) n from _leat_parked where instr(value, '\"payload\":<not JSON> total=5')",
    { { n = 1 } })
  t:expect("orders", { { id = "e5" } })
end)

test("its own time expression works as for a topic", function(t)
  t:send("app", row("e1", "order", "o1", { created_at = "yesterday" }))
  t:parked { { key = "o1", class = "time" } }
end)

local strict = schema "row" { id = "text", aggregateid = "text", payload = { n = "integer" } }
from.outbox { name = "strict", sqlite = "unused.db", table = "outbox", schema = strict }
  :to "strict.out"

test("a schema holds for rows too", function(t)
  t:send("strict", row("e1", "order", "o1"))
  t:send("strict", row("e2", "order", "o2", { payload = { n = "many" } }))
  t:parked { { key = "o2", class = "schema" } }
  t:expect("strict.out", { { id = "e1" } })
end)

test("the key and the headers are the row's", function(t)
  local ok, why = pcall(function() t:send("app", row("e1", "order", "o1"), { key = "x" }) end)
  assert(not ok and why:find "come from its row", why)
end)
