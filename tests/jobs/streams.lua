-- flatmap, explode, split and merge: what goes on, in which order, and what is dropped.
job "streams" { version = 1 }

from "words"
  :flatmap(function(v, ctx)
    if v.text == nil then return nil end
    local list = {}
    for w in v.text:gmatch "%a+" do list[#list + 1] = { word = w, n = #list + 1 } end
    if v.more then ctx:emit({ word = "more" }, { key = "other" }) end
    if v.single then return { word = "single" } end
    return list
  end)
  :to "words.out"

from "carts"
  :explode("items", "item")
  :select { "cart", sku = "item.sku", n = "item.n or 1" }
  :to "skus"

from "tags" :explode "tags" :to "tags.out"

local hot, cold, rest = from "readings" :split("t > 30", function(v) return v.t < 0 end)
hot :to "hot"
cold:to "cold"
rest:select { "t" } :to "mild"
cold:merge(hot:set { hot = true }) :to "extremes"

test("flatmap sends each element; nil and an empty list nothing; one value is an error", function(t)
  t:send("words", { text = "a bc" }, { key = "k" })
  t:send("words", { text = "" })
  t:send("words", { other = 1 })
  t:send("words", { text = "x", more = true }, { key = "k" })
  t:expect("words.out", { { ["$key"] = "k", word = "a", n = 1 }, { word = "bc", n = 2 },
                          { ["$key"] = "other", word = "more" }, { ["$key"] = "k", word = "x" } })
  t:send("words", { text = "x", single = true }, { key = "s" })
  t:expect("words.out", {})
  t:parked { { key = "s", class = "type" } }
end)

test("explode keeps the record around each element", function(t)
  t:send("carts", { cart = 1, items = { { sku = "a", n = 2 }, { sku = "b" } } })
  t:send("carts", { cart = 2 })
  t:send("carts", { cart = 3, items = {} })
  t:expect("skus", { { cart = 1, sku = "a", n = 2 }, { cart = 1, sku = "b", n = 1 } })
  t:send("carts", { cart = 4, items = 7 }, { key = "c4" })
  t:parked { { key = "c4", class = "type" } }
  t:send("tags", { id = 1, tags = { "x", "y" } })
  t:expect("tags.out", { { id = 1, tags = "x" }, { id = 1, tags = "y" } })
end)

test("split sends a record one way only, nil to the rest; merge keeps the order", function(t)
  for _, x in ipairs { 40, -5, 10, 31 } do t:send("readings", { t = x }) end
  t:send("readings", { t = 0, note = "n" })
  t:expect("hot", { { t = 40 }, { t = 31 } })
  t:expect("cold", { { t = -5 } })
  t:expect("mild", { { t = 10 }, { t = 0 } })
  t:expect("extremes", { { t = 40, hot = true }, { t = -5 }, { t = 31, hot = true } })
end)
