-- A table that an aggregate feeds may refuse its result. Rows are written for many records at once;
-- the error is that of the one record all the same.
job "errors-aggregates" { version = 1 }

local groups = from "in" :by "g"
groups :aggregate { n = count() }
  :into(table "few" [[ g text primary key, n integer not null check (n < 3) ]])
groups :aggregate { total = sum "x", best = max "x" }
  :into(table "sums" [[ g text primary key, total integer not null, best integer unique ]])

local function send(t, key, value) t:send("in", value, { key = key }) end

test("what the table of an aggregate refuses is the error of one record of the batch", function(t)
  t:batch(function()
    for i = 1, 4 do send(t, "a" .. i, { g = "a", x = i }) end    -- two too many
    send(t, "b1", { g = "b", x = 7 })
    send(t, "c1", { g = "c" })                                   -- a sum of nothing
    send(t, "d1", { g = "d", x = 7 })                            -- b's best
    send(t, "e1", { g = "e", x = 8 })
  end)
  t:parked { { key = "a3", class = "constraint" }, { key = "a4", class = "constraint" },
             { key = "c1", class = "constraint" }, { key = "d1", class = "constraint" } }
  t:rows("select g, n from few order by g", { { g = "a", n = 2 }, { g = "b", n = 1 },
                                              { g = "e", n = 1 } })
  t:rows("select g, total from sums order by g", { { g = "a", total = 3 }, { g = "b", total = 7 },
                                                   { g = "e", total = 8 } })
end)
