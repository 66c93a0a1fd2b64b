-- SPDX-License-Identifier: Apache-2.0
--
-- Sources, tables, views, queries, aggregates, the job and its tests; the end of the file. Goes on
-- where streams.lua ends.

-- ---------------------------------------------------------------- sources

local source_options = {
  time = "any", disorder = "any", idle = "any", ahead = "any", format = "string", schema = "any",
  changelog = "boolean", from = "string", on_gap = "later",
}

local function set_source(n, line, o)
  options(line, "from", o, source_options)
  if o.time ~= nil then n.time = expression(line, "from", o.time) end
  if o.disorder ~= nil then n.disorder = duration(line, "from", o.disorder) end
  if o.ahead ~= nil then n.ahead = duration(line, "from", o.ahead) end
  if o.idle == false then n.idle = -1
  elseif o.idle ~= nil then n.idle = duration(line, "from", o.idle) end
  n.format, n.changelog = format_of(line, "from", o.format), o.changelog
  n.schema = schema_of(line, "from", o.schema)
  if o.from and o.from ~= "earliest" and o.from ~= "latest" then
    fail(line, "in from: from is \"earliest\" or \"latest\", not \"%s\"", o.from)
  end
  n.latest = o.from == "latest"
end

-- from "topic" is a stream that can still be given its options.
local source = {}
for k, v in pairs { __metatable = false } do source[k] = v end
source.__index = function(h, name) return stream.__index(h, name) end
source.__newindex = function() error("a stream cannot be assigned to", 2) end
source.__call = function(h, o)
  local d = data[h]
  if d.done then fail(d.line, "from \"%s\" has its options already", plan.nodes[d.node].topic) end
  d.done = true
  set_source(plan.nodes[d.node], d.line, o)
  return h
end

local outbox_options = {
  name = "string", sqlite = "string", postgres = "any", table = "string", after = "string",
  time = "any", disorder = "any", idle = "any", ahead = "any", schema = "any",
}
local outbox_after = { delete = true, mark = true, keep = true }

-- An application's own table as a stream: one record per row, in the order of commits.
local function from_outbox(o)
  local line = at_load("from.outbox")
  if type(o) ~= "table" then
    fail(line, "from.outbox wants {name = \"shop\", sqlite = \"app.db\", table = \"outbox\"}")
  end
  options(line, "from.outbox", o, outbox_options)
  if o.postgres ~= nil then
    fail(line, "in from.outbox: postgres is not supported by this version; sqlite = \"app.db\" is")
  end
  local n = { topic = text(line, "in from.outbox", "name", o.name),
              sqlite = text(line, "in from.outbox", "sqlite, the path of the database,", o.sqlite),
              table_name = text(line, "in from.outbox", "table", o.table),
              after = o.after or "delete" }
  if not outbox_after[n.after] then
    fail(line, "in from.outbox: after is \"delete\", \"mark\" or \"keep\", not \"%s\"", n.after)
  end
  set_source(n, line, { time = o.time, disorder = o.disorder, idle = o.idle, ahead = o.ahead,
                        schema = o.schema })
  return node("from", line, nil, n)
end

local function from(_, topic)
  local line = at_load("from")
  text(line, "from", "the topic", topic)
  local h = node("from", line, nil, { topic = topic })
  local d = data[h]
  data[h] = nil
  h = setmetatable({}, source)
  d.handle, d.kind = h, stream
  data[h] = d
  return h
end

words.from = setmetatable({}, {
  __metatable = false,
  __call = from,
  __index = function(_, name)
    if name == "outbox" then return from_outbox end
    fail(line_now(), "from has no '%s'", tostring(name))
  end,
  __newindex = function() error("from cannot be assigned to", 2) end,
})

function words.every(interval)
  local line = at_load("every")
  local ms = duration(line, "every", interval)
  if ms < 1 then fail(line, "in every: the interval must be longer than nothing") end
  return node("every", line, nil, { interval = ms })
end

-- ---------------------------------------------------------------- tables

local function action(verb)
  return function(h, a, b)
    if not loading then
      error("use ctx.db." .. data[h].name .. ":" .. verb .. " inside a function", 2)
    end
    local d, line = this(h, verb, stored)
    local word = d.name .. ":" .. verb
    local act = { table_name = d.name, verb = verb, line = line, key = {}, cells = {} }
    if verb == "insert" or verb == "put" then
      if b ~= nil then fail(line, "%s takes one table of columns", word) end
      act.cells = columns(line, word, a)
    else
      if type(a) == "table" then
        act.key = columns(line, word, a)
      elseif a == nil then
        fail(line, "%s wants a key", word)
      else
        act.key = { { expr = expression(line, word, a) } }
      end
      if verb ~= "delete" then act.cells = columns(line, word, b) end
    end
    local x = setmetatable({}, { __metatable = false })
    data[x] = { action = act, line = line,
                pending = expect_more(line, word .. " is an action: it belongs into a :match") }
    return x
  end
end

stored = handle_kind("a table", {
  insert = action "insert", put = action "put", patch = action "patch", add = action "add",
  delete = action "delete",
  changes = function(h, o)
    local d, line = this(h, "changes", stored)
    return add_changes(line, nil, d.name, o)
  end,
}, {})

local table_options = { index = "table", ttl = "string", history = "any",
    without_rowid = "boolean" }

local table_meta = { __metatable = false }
table_meta.__call = function(_, name)
  local line = at_load("table")
  text(line, "table", "the name", name)
  if not name:match "^[%a_][%w_]*$" or name:lower():match "^_leat"
      or name:lower():match "^sqlite_" then
    fail(line,
        "table '%s': a name is letters, digits and _, and does not start with _leat or sqlite_",
        name)
  end
  if plan.table_by_name[name] then fail(line, "table '%s' is declared twice", name) end
  local more = expect_more(line, string.format('table "%s" has no columns: table "%s" [[ ... ]]',
      name, name))
  return function(body)
    text(line, "table \"" .. name .. "\"", "what follows its name", body)
    more.done = true
    local t = { name = name, body = body, line = line, indexes = {} }
    plan.tables[#plan.tables + 1] = t
    plan.table_by_name[name] = #plan.tables
    return handle(stored, { name = name, line = line, declared = t })
  end
end
stored.__call = function(h, o)
  local d = data[h]
  local t = d.declared
  options(t.line, "table", o, table_options)
  t.without_rowid, t.ttl = o.without_rowid, o.ttl
  if o.history ~= nil then
    local ms = duration(t.line, "table", o.history)
    t.history = type(o.history) == "number" and ms .. "ms" or o.history
  end
  for i, sql in ipairs(o.index or {}) do
    t.indexes[i] = { sql = text(t.line, "index", "each index", sql), line = t.line }
  end
  return h
end
setmetatable(words.table, table_meta)

function words.view(name)
  local line = at_load("view")
  text(line, "view", "the name", name)
  return function(sql)
    plan.views[#plan.views + 1] = { name = name, sql = text(line, "view", "the select", sql),
        line = line }
  end
end

local param_types = { text = true, integer = true, number = true, real = true, bool = true,
    time = true, json = true, any = true }

local function query_param(line, name, spec)
  text(line, "query", "a parameter's type", spec)
  local kind, optional, default = spec:match "^%s*([%a]+[%d%(%),]*)(%??)%s*=?%s*(.-)%s*$"
  if not kind or not (param_types[kind] or kind:match "^decimal") then
    fail(line, "in query: parameter %s: \"%s\" is not a type", name, spec)
  end
  local p = { name = name, type = kind, nullable = optional == "?", line = line }
  if default ~= "" then
    if kind == "text" or kind == "time" then
      p.fallback = default:match "^'(.*)'$" or default
    elseif kind == "bool" then
      p.fallback = default == "true"
    else
      p.fallback = tonumber(default)
      if p.fallback == nil then
        fail(line, "in query: parameter %s: %s is no %s", name, default, kind)
      end
    end
  end
  return p
end

function words.query(name)
  local line = at_load("query")
  text(line, "query", "the name", name)
  return function(o)
    options(line, "query", o, { params = "table", sql = "string", path = "string",
        one = "boolean" })
    text(line, "query", "sql", o.sql)
    local q = { name = name, sql = o.sql, path = o.path, one = o.one, params = {}, line = line }
    for k, spec in pairs(o.params or {}) do
      q.params[#q.params + 1] = query_param(line, tostring(k), spec)
    end
    plan.queries[#plan.queries + 1] = q
  end
end

-- ---------------------------------------------------------------- schemas

local shape = handle_kind("a schema", {}, {})
local schemas = {}

-- "text?", { "text" }, { name = "text" }, or a schema: what C reads is { kind = "text" },
-- { element = ... }, { fields = { { name = ..., type = ... } } }.
local function field_type(line, path, t, depth)
  if depth > 30 then fail(line, "in schema: %s is nested too deep", path) end
  if type(t) == "string" then
    local wrong = host.type(t)
    if wrong then fail(line, "in schema: %s: %s", path, wrong) end
    return { kind = t }
  elseif type(t) == "table" and data[t] and data[t].kind == shape then
    return data[t].type
  elseif type(t) ~= "table" or data[t] then
    fail(line, "in schema: %s: a type is a text such as \"number\", { \"text\" } for a list, "
        .. "{ name = \"text\" } for an object, or another schema", path)
  elseif t[1] ~= nil then
    for k in pairs(t) do
      if k ~= 1 then fail(line, "in schema: %s: a list has one type: { \"text\" }", path) end
    end
    return { element = field_type(line, path .. "[]", t[1], depth + 1) }
  end
  local list = {}
  for name, x in pairs(t) do
    if type(name) ~= "string" or name == "" then
      fail(line, "in schema: %s: fields go by name: { name = \"text\" }", path)
    end
    list[#list + 1] = { name = name, type = field_type(line, path .. "." .. name, x, depth + 1) }
  end
  if #list == 0 then fail(line, "in schema: %s has no fields", path) end
  return { fields = list }
end

function words.schema(name)
  local line = at_load("schema")
  text(line, "schema", "the name", name)
  if schemas[name] then fail(line, "schema '%s' is declared twice", name) end
  schemas[name] = true
  local more = expect_more(line,
      string.format('schema "%s" has no fields: schema "%s" { field = "text" }', name, name))
  return function(fields)
    if type(fields) ~= "table" or data[fields] or fields[1] ~= nil then
      fail(line, 'schema "%s" wants its fields by name: { field = "text" }', name)
    end
    more.done = true
    local t = field_type(line, name, fields, 0)
    t.name = "schema " .. name
    return handle(shape, { type = t, line = line })
  end
end

function schema_of(line, word, s)
  if s == nil then return nil end
  if type(s) == "string" then
    fail(line, "in %s: schema = \"%s\" is a subject of a schema registry, which this version does "
        .. "not have: declare the fields, local s = schema \"%s\" { field = \"text\" }, and give "
        .. "schema = s", word, s, s)
  end
  if type(s) ~= "table" or not data[s] or data[s].kind ~= shape then
    fail(line, "in %s: schema wants what schema \"name\" { ... } gives", word)
  end
  return data[s].type
end

-- ---------------------------------------------------------------- aggregates

local function agg(kind, wants)
  return function(e, ...)
    local line = at_load(kind)
    if e == nil and wants then fail(line, "%s wants an expression: %s \"field\"", kind, kind) end
    local x = setmetatable({}, { __metatable = false })
    data[x] = { aggregate = kind, arg = e ~= nil and expression(line, kind, e, ...) or nil,
        line = line }
    return x
  end
end

words.count = agg("count", false)
for _, kind in ipairs { "sum", "avg", "min", "max", "first", "last", "stddev", "distinct",
    "collect" } do
  words[kind] = agg(kind, true)
end

function words.quantile(q, e, ...)
  local line = at_load("quantile")
  if type(q) ~= "number" or q < 0 or q > 1 then
    fail(line, "quantile wants a number from 0 to 1 first: quantile(0.95, \"field\")")
  end
  local x = agg("quantile", true)(e, ...)
  data[x].q = q
  return x
end

function words.top(n, by, list)
  local line = at_load("top")
  if math.type(n) ~= "integer" or n < 1 then
    fail(line, "top wants how many first: top(3, \"amount\", { \"name\", \"amount\" })")
  end
  local x = agg("top", true)(by)
  data[x].limit, data[x].fields = n, fields(line, "top", list)
  return x
end

-- ---------------------------------------------------------------- the job

local parks = { key = true, record = true, stop = true }

local function job_errors(line, o)
  options(line, "errors", o, { retry = "table", park = "string", dead = "string",
      limit = "number" })
  local e = { park = o.park, dead = o.dead }
  if o.park and not parks[o.park] then
    fail(line, "in errors: park is \"key\", \"record\" or \"stop\"")
  end
  if o.retry then
    e.retry = {}
    for i, s in ipairs(o.retry) do e.retry[i] = duration(line, "errors", s) end
  end
  if o.limit ~= nil then e.limit = positive(line, "errors: limit", o.limit) end
  return e
end

-- How a new version is to be built; building it is not supported yet, and refused when asked for.
local function job_rebuild(line, o)
  options(line, "rebuild", o, { outputs = "string", keep = "any" })
  if o.outputs and o.outputs ~= "mute" and o.outputs ~= "publish" then
    fail(line, "in rebuild: outputs is \"mute\" or \"publish\", not \"%s\"", o.outputs)
  end
  return { mute = o.outputs ~= "publish", keep = o.keep and duration(line, "rebuild", o.keep) }
end

local function job_commit(line, o)
  options(line, "commit", o, { records = "number", bytes = "number", every = "any" })
  return {
    records = o.records and positive(line, "commit: records", o.records),
    bytes = o.bytes and positive(line, "commit: bytes", o.bytes),
    every = o.every and duration(line, "commit", o.every),
  }
end

function words.job(name)
  local line = at_load("job")
  if plan.job then
    fail(line, "a file is one job: it is \"%s\" already (line %d)", plan.job.name, plan.job.line)
  end
  text(line, "job", "the name", name)
  if not name:match "^[a-z0-9_-][a-z0-9._-]*$" or #name > 100 then
    fail(line, "job \"%s\": a name is a-z, 0-9, '.', '_' and '-', and does not start with a dot",
        name)
  end
  plan.job = { name = name, line = line, version = 1 }
  return function(o)
    options(line, "job", o, { version = "number", errors = "table", commit = "table",
        rebuild = "table" })
    if o.version ~= nil then plan.job.version = positive(line, "job: version", o.version) end
    if o.errors then plan.job.errors = job_errors(line, o.errors) end
    if o.commit then plan.job.commit = job_commit(line, o.commit) end
    if o.rebuild then plan.job.rebuild = job_rebuild(line, o.rebuild) end
  end
end

function words.param(name, default)
  local line = at_load("param")
  text(line, "param", "the name", name)
  local given = host.param(name)
  if given == nil then
    if default == nil then
      fail(line, "parameter '%s' has no default: give it with -p %s=...", name, name)
    end
    return default
  end
  if type(default) == "number" then
    local n = tonumber(given)
    if n == nil then fail(line, "parameter '%s' must be a number, not '%s'", name, given) end
    return n
  elseif type(default) == "boolean" then
    if given ~= "true" and given ~= "false" then
      fail(line, "parameter '%s' must be true or false, not '%s'", name, given)
    end
    return given == "true"
  end
  return given
end

function words.test(name, f)
  local line = at_load("test")
  text(line, "test", "the name", name)
  if type(f) ~= "function" then fail(line, "test \"%s\" wants a function(t)", name) end
  plan.tests[#plan.tests + 1] = { name = name, fn = f, line = line }
end

-- ---------------------------------------------------------------- the end of the file

-- late() may stand before the aggregate of its window.
local function resolve(n)
  for _, i in ipairs(n.inputs) do
    if i.window then
      if not i.window.aggregate_node then
        fail(n.line, ":late() needs an :aggregate on its window")
      end
      i.node = i.window.aggregate_node
    end
  end
end

-- A file that holds the tests of a job in another.
local function finish_tests(job)
  local declared = plan.job or plan.nodes[1] or plan.tables[1] or plan.views[1] or plan.queries[1]
  if declared then
    fail(declared.line, "a file of tests holds nothing else: its job is %s", job)
  end
  if #plan.tests == 0 then fail(1, 'there is no test in it: test("name", function(t) ... end)') end
  return plan
end

-- returned: by the file, which is nothing to a job; settings return a table.
function host.finish(returned, tests_of)
  loading = false
  if tests_of then return finish_tests(tests_of) end
  if not plan.job then
    local settings = type(returned) == "table" and "; settings are read from files named leat.lua"
    fail(1, "no job is declared: job \"name\" { version = 1 }%s", settings or "")
  end
  for _, p in ipairs(pending) do
    if not p.done then fail(p.line, "%s", p.text) end
  end
  for _, n in ipairs(plan.nodes) do resolve(n) end
  if #plan.nodes == 0 then fail(plan.job.line, "the job reads nothing: from \"topic\" ...") end
  return plan
end
