-- What was found is kept for 90 days after it was found, then it goes, and everything that hangs on
-- it. Whoever follows the changes is told. A desk that is quiet for a week is forgotten.
job "lost-property" { version = 1 }

local found = table "found" [[
  id      text primary key,
  what    text not null,
  desk    text not null,
  found   time not null,
  claimed text
]] { ttl = "90d after found", history = "1d", index = { "desk" } }

local calls = table "calls" [[
  item text not null references found on delete cascade,
  n    integer not null,
  who  text not null,
  primary key (item, n)
]]

local events = from "desk.events" { time = "at" }

events:match "type" {
  Found = found:insert { id = "id", what = "what", desk = "desk", found = "$time" },
  Moved = found:patch("id", { desk = "desk" }),
  Call = function(e, ctx)
    local n = ctx.db:sql("select coalesce(max(n), 0) as n from calls where item = ?", { e.id })[1].n
    ctx.db.calls:insert { item = e.id, n = n + 1, who = e.who }
  end,
  Claimed = found:patch("id", { claimed = "who" }),
  Fetched = found:delete "id",
}

-- A deletion is a record without a value; $old is the row that was there.
found:changes()
  :where "what == nil and $old.claimed == nil and $time > $old.found + dur'90d'"
  :select { item = "$old.what", desk = "$old.desk" }
  :to ("desk.auction", { key = "desk" })

events:where "desk ~= nil" :by "desk" :aggregate({ n = count(), last = max "at" }, { ttl = "7d" }) :into "busy"

local function day(n) return 1772323200000 + n * 86400000 end   -- from 2026-03-01 on
local function send(t, type, n, e)
  e.type, e.at = type, day(n)
  t:send("desk.events", e, { key = e.id })
end

test("after 90 days it goes to auction, with the calls about it", function(t)
  send(t, "Found", 0, { id = "umbrella", what = "an umbrella", desk = "north" })
  send(t, "Found", 1, { id = "violin", what = "a violin", desk = "north" })
  send(t, "Call", 2, { id = "umbrella", who = "ann" })
  send(t, "Moved", 3, { id = "umbrella", desk = "depot" })
  send(t, "Fetched", 4, { id = "violin" })
  send(t, "Found", 90, { id = "hat", what = "a hat", desk = "north" })
  t:rows("select id from found order by id", { { id = "hat" }, { id = "umbrella" } })
  t:expect("desk.auction", {})
  send(t, "Found", 91, { id = "scarf", what = "a scarf", desk = "north" })
  t:expect("desk.auction", { { item = "an umbrella", desk = "depot" } })
  t:rows("select count(*) as n from calls", { { n = 0 } })
  send(t, "Call", 92, { id = "umbrella", who = "ann" })
  t:parked { { key = "umbrella", class = "missing" } }        -- nothing is known of it any more
end)

test("nobody has to come for a day to pass; a quiet desk is forgotten", function(t)
  send(t, "Found", 0, { id = "cap", what = "a cap", desk = "north" })
  t:rows("select desk, n from busy", { { desk = "north", n = 1 } })
  t:advance "8d"
  t:rows("select count(*) as n from busy", { { n = 0 } })
  t:advance "90d"
  t:expect("desk.auction", { { item = "a cap" } })
  t:rows("select count(*) as n from found", { { n = 0 } })
end)
