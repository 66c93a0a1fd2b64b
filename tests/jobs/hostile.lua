-- What a hostile or broken function does through ctx ends as a parked record with its class, in
-- time, with nothing written; records before and after it are processed.
job "hostile" { version = 1 }

local rows = table "rows" [[
  id text primary key, n integer not null default 0 check (n < 100), body text
]]

local endless = "with recursive r(i) as (select 1 union all select i + 1 from r) "
  .. "select count(*) from r"

local cases = {
  -- memory beside Lua's own: what is emitted, written, read
  { "emits", "budget", "more than 64 MiB", function(v, ctx)
    local s = ("x"):rep(4 << 20)
    for _ = 1, 1000 do ctx:emit { s = s } end
  end },
  { "emit keys", "budget", "more than 64 MiB", function(v, ctx)
    local s = ("k"):rep(10 << 20)
    for _ = 1, 100 do ctx:emit({ a = 1 }, { key = s }) end
  end },
  { "many emits", "budget", "emits more than", function(v, ctx)
    for _ = 1, 1 << 40 do ctx:emit(1) end
  end },
  { "large rows", "budget", "more than 64 MiB", function(v, ctx)
    local s = ("x"):rep(4 << 20)
    for i = 1, 1000 do ctx.db.rows:put { id = "a" .. i % 3, body = s } end
  end },
  { "one value too large", "type", "larger than", function(v, ctx)
    local s = ("x"):rep(9 << 20)
    ctx:emit { a = s, b = s }
  end },
  { "reads again and again", "budget", nil, function(v, ctx)
    ctx.db.rows:put { id = "fat", body = ("x"):rep(4 << 20) }
    local kept
    for i = 1, 1 << 40 do kept = ctx.db.rows:get "fat" end
  end },
  { "rows of a select", "budget", "64 MiB", function(v, ctx)
    ctx.db.rows:put { id = "fat", body = ("x"):rep(4 << 20) }
    return ctx.db:sql "with n(i) as (values (1),(2),(3),(4),(5)) select body from rows, n a, n b"
  end },
  { "a view read for ever", "budget", nil, function(v, ctx)
    local s for _ = 1, 1 << 40 do s = v.list[1].text .. v.list[2].text end
  end },
  { "headers for ever", "budget", nil, function(v, ctx)
    local h for _ = 1, 1 << 40 do h = ctx.headers end
  end },
  { "with for ever", "budget", nil, function(v, ctx)
    local x = v for i = 1, 1 << 40 do x = with(x, { ["f" .. i] = i }) end
  end },
  -- time that Lua's hook does not see
  { "endless rows", "budget", "time limit", function(v, ctx)
    for i = 1, 1 << 40 do ctx.db.rows:put { id = "r" .. i } end
  end },
  { "endless select", "budget", "longer than", function(v, ctx) return ctx.db:sql(endless) end },
  { "endless select, caught", "budget", nil, function(v, ctx)
    while true do pcall(ctx.db.sql, ctx.db, endless) end
  end },
  { "endless update", "budget", "longer than", function(v, ctx)
    ctx.db:sql("update rows set n = (" .. endless .. ")")
  end },
  { "endless update, caught", "budget", "longer than", function(v, ctx)
    pcall(ctx.db.sql, ctx.db, "update rows set n = (" .. endless .. ")")
    return { after = true }
  end },
  { "a new statement each time", "budget", "time limit", function(v, ctx)
    for i = 1, 1 << 40 do ctx.db:sql("select " .. i) end
  end },
  -- SQL that reaches out
  { "zeroblob", "lua", "function: zeroblob", function(v, ctx)
    ctx.db:sql "select hex(zeroblob(400000000))"
  end },
  { "printf", "lua", "function: printf", function(v, ctx)
    ctx.db:sql "select printf('%.*c', 400000000, 'x')"
  end },
  { "attach", "lua", "not authorized", function(v, ctx) ctx.db:sql "attach 'evil.db' as e" end },
  { "vacuum into", "lua", "VACUUM", function(v, ctx) ctx.db:sql "vacuum into 'evil.db'" end },
  { "pragma", "lua", "not authorized", function(v, ctx) ctx.db:sql "pragma synchronous = off" end },
  { "create", "lua", "not authorized", function(v, ctx) ctx.db:sql "create temp table x(a)" end },
  { "commit", "lua", "not authorized", function(v, ctx) ctx.db:sql "commit" end },
  { "rollback", "lua", "could end the step", function(v, ctx) ctx.db:sql "rollback" end },
  { "release", "lua", "not authorized", function(v, ctx) ctx.db:sql "release record" end },
  { "or rollback", "lua", "could end the step", function(v, ctx)
    ctx.db:sql "insert or rollback into rows(id) values ('a')"
  end },
  { "two statements", "lua", "one statement", function(v, ctx)
    ctx.db:sql "select 1; delete from rows"
  end },
  { "offsets", "lua", "only the job's own tables", function(v, ctx)
    ctx.db:sql "delete from _leat_offsets"
  end },
  { "schema", "lua", "may not be modified", function(v, ctx)
    ctx.db:sql "update sqlite_schema set sql = 'x'"
  end },
  -- the host's functions with the wrong arguments
  { "a table that is not there", "lua", "unknown table 'orders'", function(v, ctx)
    ctx.db.orders:put { id = "a" }
  end },
  { "a column that is not there", "lua", "no column 'idd'", function(v, ctx)
    ctx.db.rows:put { idd = "a" }
  end },
  { "no self", "lua", nil, function(v, ctx) ctx.db.rows.get("a") end },
  { "another self", "lua", nil, function(v, ctx) ctx.db.rows.put(ctx, { id = "a" }) end },
  { "emit nothing", "lua", "a value to emit", function(v, ctx) ctx:emit(nil) end },
  { "an error that is a table", "lua", "takes a text", function(v, ctx) error { code = 5 } end },
  { "emit a function", "type", "function", function(v, ctx) ctx:emit(error) end },
  { "emit itself", "type", "nested deeper", function(v, ctx)
    local t = {} t.t = t ctx:emit(t)
  end },
  { "a key that is a table of tables", nil, nil, function(v, ctx)
    ctx:emit({ a = 1 }, { key = { { {} } } })
  end },
  { "a check that fails, caught", "lua", "second", function(v, ctx)
    pcall(function() ctx.db.rows:put { id = "a", n = 1000 } end)
    error "second"
  end },
  { "metatables of host objects", "lua", nil, function(v, ctx)
    getmetatable(ctx).__index = function() end
  end },
  { "a method replaced", "lua", nil, function(v, ctx) ctx.db.rows.put = error end },
  { "a word inside a function", "lua", "cannot be used inside a function", function(v, ctx)
    from "other"
  end },
}

local run = {}
for _, c in ipairs(cases) do run[c[1]] = c[4] end

from "in"
  :map(function(v, ctx)
    if v.good then ctx.db.rows:put { id = v.good, n = 1 } return { good = v.good } end
    return run[v.case](v, ctx)
  end)
  :to "out"

for _, c in ipairs(cases) do
  test(c[1], function(t)
    t:send("in", { good = "before" }, { key = "b" })
    t:send("in", { case = c[1], list = { { text = "one" }, { text = "two" } } },
      { key = "evil", headers = { a = "1" } })
    t:send("in", { good = "after" }, { key = "a" })
    if c[2] == nil then return end
    local part = (c[3] or ""):gsub("'", "''")
    t:rows("select key, class, case when instr(message, '" .. part .. "') > 0 then '' else message "
      .. "end as unlike from _leat_parked", { { key = "evil", class = c[2], unlike = "" } })
    t:rows("select id from rows order by id", { { id = "after" }, { id = "before" } })
    t:expect("out", { { good = "before" }, { good = "after" } })
  end)
end
