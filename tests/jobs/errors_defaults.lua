-- What holds when a job says nothing of errors: the retries, and whom a failure holds.
job "errors-defaults" { version = 1 }

local rows = table "rows" [[ id text primary key, n integer ]]
from "moves" :match "type" {
  Put = rows:put { id = "id", n = "n" },
  Set = rows:patch("id", { n = "n" }),
}
from "bad" :map(function(v) error "a bug" end) :to "out"

local order = schema "order" { id = "text", amount = "integer" }
from "orders" { schema = order } :by "'one'" :to "orders.out"

local function move(t, key, value) t:send("moves", value, { key = key }) end

test("defaults: retries are 1 s, 10 s, 1 m and 10 m apart, then it is final", function(t)
  move(t, "k", { type = "Set", id = "a", n = 1 })
  for tries, wait in ipairs { 1000, 10000, 60000, 600000 } do
    t:advance(wait - 1 .. "ms")
    t:rows("select state, tries from _leat_parked", { { state = "retry", tries = tries } })
    t:advance "1ms"
  end
  t:rows("select state, class, tries from _leat_parked",
    { { state = "final", class = "missing", tries = 5 } })
  t:advance "1d"
  t:rows("select tries from _leat_parked", { { tries = 5 } })
end)

test("defaults: what is final holds its key on, and no other", function(t)
  move(t, "k", { type = "Set", id = "a", n = 1 })
  t:advance "20m"
  move(t, "k", { type = "Put", id = "a", n = 2 })
  move(t, "other", { type = "Put", id = "b", n = 3 })
  t:advance "1d"
  t:parked { { key = "k", class = "missing" }, { key = "k", class = "sequence" } }
  t:rows("select id from rows", { { id = "b" } })
end)

test("defaults: a sequence is of its source: the key goes on in others", function(t)
  t:send("bad", { n = 1 }, { key = "k" })
  move(t, "k", { type = "Put", id = "a", n = 1 })
  t:parked { { key = "k", class = "lua" } }
  t:rows("select id from rows", { { id = "a" } })
end)

test("defaults: what does not fit its schema is parked alone", function(t)
  t:send("orders", { id = "a" }, { key = "k" })
  t:send("orders", { id = "b", amount = 1 }, { key = "k" })
  t:parked { { key = "k", class = "schema" } }
  t:expect("orders.out", { { id = "b" } })
end)
