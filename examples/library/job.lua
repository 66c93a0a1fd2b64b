-- A library's loans: events in, normalised tables out, in one transaction with the offsets.
job "library" {
  version = 1,
  errors  = { retry = { "1s", "10s" }, park = "key", dead = "library.dead" },
}

local members = table "members" [[
  id    text primary key,
  name  text not null,
  loans integer not null default 0 check (loans between 0 and 5),
  fines integer not null default 0             -- cents
]]

local copies = table "copies" [[
  id     text primary key,
  title  text not null,
  status text not null check (status in ('in', 'out', 'lost'))
]] { index = { "title" } }

local loans = table "loans" [[
  copy   text primary key references copies,
  member text not null references members,
  since  time not null,
  due    time not null
]] { index = { "member, due" } }

from "library.events" { time = "at" } :match "type" {
  MemberJoined = members:put { id = "member", name = "name" },
  CopyBought   = copies:insert { id = "copy", title = "title", status = "'in'" },

  Lent = {
    loans:insert  { copy = "copy", member = "member", since = "$time", due = "$time + dur'28d'" },
    copies:patch  ("copy", { status = "'out'" }),
    members:add   ("member", { loans = 1 }),
  },

  -- what needs a decision is a function: the same verbs, with values
  Returned = function(e, ctx)
    local loan = ctx.db.loans:get(e.copy) or ctx:retry "that copy is not lent (yet)"
    ctx.db.loans:delete(e.copy)
    ctx.db.copies:patch(e.copy, { status = "in" })
    ctx.db.members:add(loan.member, { loans = -1 })
    if ctx.time <= loan.due then return end
    local days = (ctx.time - loan.due) // dur "1d" + 1
    ctx.db.members:add(loan.member, { fines = 20 * days })
    return { type = "FineDue", member = loan.member, copy = e.copy, cents = 20 * days }
  end,
}
  :to("library.letters", { key = "member" })

query "loans_of_member" {
  path   = "/members/:member/loans",
  params = { member = "text" },
  sql    = [[
    select title, since, due from loans join copies on copies.id = loans.copy
    where member = :member order by due
  ]],
}

local function ev(t, key, at, e)
  e.at = "2026-03-" .. at .. "T10:00:00Z"
  t:send("library.events", e, { key = key })
end

test("a late return costs a fine, which is posted once", function(t)
  ev(t, "m1", "01", { type = "MemberJoined", member = "m1", name = "Ida" })
  ev(t, "c1", "01", { type = "CopyBought", copy = "c1", title = "Kristin Lavransdatter" })
  ev(t, "c1", "01", { type = "Lent", copy = "c1", member = "m1" })
  t:rows("select status from copies", { { status = "out" } })
  t:query("loans_of_member", { member = "m1" }, { { title = "Kristin Lavransdatter" } })
  ev(t, "c1", "31", { type = "Returned", copy = "c1" })
  t:rows("select loans, fines from members", { { loans = 0, fines = 60 } })
  t:expect("library.letters", { { ["$key"] = "m1", type = "FineDue", cents = 60 } })
end)

test("what comes too early waits for its cause; an unknown type is only counted", function(t)
  ev(t, "c2", "01", { type = "Lent", copy = "c2", member = "m2" })
  ev(t, "c2", "02", { type = "Repainted", copy = "c2" })
  t:parked { { key = "c2", class = "missing" }, { key = "c2", class = "sequence" } }
  ev(t, "m2", "02", { type = "MemberJoined", member = "m2", name = "Per" })
  ev(t, "x", "02", { type = "CopyBought", copy = "c2", title = "Sult" })
  t:advance "20s"                               -- the clock followed the dates: one try has passed
  t:parked {}
  t:rows("select count(*) n from loans", { { n = 1 } })
  t:skipped(1)
end)
