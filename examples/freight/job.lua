-- A stream joined with a table: each container's temperature is judged by the limits of what it carries. The table is
-- fed by a changelog topic: the newest record of a key is its row, a record without a value deletes it.
job "freight" { version = 1 }

local cargo = table "cargo" [[
  container text primary key,
  goods     text not null,
  coldest   real not null,
  warmest   real not null
]]

from "cargo" { changelog = true } :into(cargo)          -- columns by name, the key into container

from "containers.readings" { time = "at" }
  :join(cargo, { on = "container", as = "cargo", kind = "left" })
  :where  "cargo == nil or celsius < cargo.coldest or celsius > cargo.warmest"
  :select { "container", "celsius", goods = "cargo.goods",
            why = "cargo == nil and 'unknown cargo' or celsius > cargo.warmest and 'too warm' or 'too cold'" }
  :to("containers.alarms", { key = "container" })

local function reading(t, container, celsius)
  t:send("containers.readings", { container = container, celsius = celsius, at = "2026-05-01T06:00:00Z" })
end

test("each reading is judged by the row as it is then", function(t)
  t:send("cargo", { goods = "bananas", coldest = 13.0, warmest = 15.0 }, { key = "c1" })
  reading(t, "c1", 14.0)
  reading(t, "c1", 16.5)
  reading(t, "c9", 4.0)
  t:expect("containers.alarms", {
    { ["$key"] = "c1", goods = "bananas", why = "too warm" },
    { ["$key"] = "c9", why = "unknown cargo" },
  })
  t:send("cargo", { goods = "fish", coldest = -25.0, warmest = -18.0 }, { key = "c1" })
  reading(t, "c1", 14.0)                                -- the same container, other goods
  t:expect("containers.alarms", { { goods = "fish", why = "too warm" } })
  t:send("cargo", nil, { key = "c1" })
  reading(t, "c1", 14.0)
  t:expect("containers.alarms", { { ["$key"] = "c1", why = "unknown cargo" } })
end)
