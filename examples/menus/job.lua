-- Two tables, a view over both, and a topic with each change of a dish beside the restaurant it belongs to. Reading joined
-- tables needs no operator: a view costs no state and is never out of step.
job "menus" { version = 1 }

local restaurants = table "restaurants" [[ id text primary key, name text not null, open bool not null default true ]]
local dishes = table "dishes" [[
  id         text primary key,
  restaurant text not null,
  name       text not null,
  price      integer not null check (price > 0)         -- cents
]] { index = { "restaurant, price" } }

from "restaurants" { changelog = true } :into(restaurants)
from "dishes"      { changelog = true } :into(dishes)

view "menu" [[
  select r.name as restaurant, d.name as dish, d.price
  from dishes d join restaurants r on r.id = d.restaurant
  where r.open
]]

query "cheapest" {
  params = { most = "integer = 1500" },
  sql    = [[ select * from menu where price <= :most order by price, dish ]],
}

dishes:changes()                                        -- $old is the row before; a deleted row has no value
  :join(restaurants, { on = "restaurant", as = "at", kind = "left" })
  :select { dish = "$key", "price", dearer = "price - $old.price", gone = "name == nil", restaurant = "at.name" }
  :to("menus.changed", { key = "dish" })

test("the view follows both tables, the topic tells each change", function(t)
  t:send("restaurants", { name = "Fjord" }, { key = "r1" })
  t:send("dishes", { restaurant = "r1", name = "Soup", price = 900 }, { key = "d1" })
  t:send("dishes", { restaurant = "r1", name = "Soup", price = 950 }, { key = "d1" })
  t:query("cheapest", {}, { { restaurant = "Fjord", dish = "Soup", price = 950 } })
  t:send("restaurants", { name = "Fjord", open = false }, { key = "r1" })
  t:query("cheapest", {}, {})
  t:send("dishes", nil, { key = "d1" })
  t:expect("menus.changed", {
    { dish = "d1", price = 900, restaurant = "Fjord", gone = false },
    { dish = "d1", price = 950, dearer = 50 },
    { dish = "d1", gone = true },
  })
end)
