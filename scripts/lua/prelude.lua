-- SPDX-License-Identifier: Apache-2.0
--
-- The words of a job file. Runs once in each fresh state, before the job; what it defines is the
-- whole vocabulary. A word checks what it is given and writes down what it means in `plan`, plain
-- tables that C reads when the file has run (host/reader.c). Nothing here runs per record.
--
-- Handles (streams, windows, aggregates, tables) are empty tables; what they stand for is in
-- `data`. Reading a method off a handle notes the line it stands on: Lua reports a whole chain of
-- calls under the line of its first word.
--
-- Messages begin with FILE:LINE. Words and options that later versions will have are known by name
-- and refused by name.
local host, words = ...

local file, line_now = host.file, host.line
local data = {}
local plan = {
  nodes = {}, tables = {}, views = {}, queries = {}, tests = {}, table_by_name = {},
}
local loading = true

local function fail(line, text, ...)
  if select("#", ...) > 0 then text = string.format(text, ...) end
  error(string.format("%s:%d: %s", file, line, text), 0)
end

local function at_load(word)
  if not loading then
    error(word .. " declares something and cannot be used inside a function", 2)
  end
  return line_now()
end

local function later(line, what)
  fail(line, "%s is not supported by this version", what)
end

local function keys(t)
  local list = {}
  for k in pairs(t) do list[#list + 1] = k end
  return list
end

-- given: a table of options; allowed: name -> type, or "later".
local function options(line, word, given, allowed)
  if given == nil then return {} end
  if type(given) ~= "table" then
    fail(line, "%s: options go into a table, got a %s", word, type(given))
  end
  for name, value in pairs(given) do
    local want = allowed[name]
    if want == nil then
      fail(line, "unknown option '%s' of %s%s", tostring(name), word,
          host.suggest(tostring(name), keys(allowed)))
    elseif want == "later" then
      later(line, string.format("option '%s' of %s", name, word))
    elseif want ~= "any" and type(value) ~= want then
      fail(line, "option '%s' of %s must be a %s, not a %s", name, word, want, type(value))
    end
  end
  return given
end

local function text(line, word, what, s)
  if type(s) ~= "string" or s == "" then fail(line, "%s: %s must be a text", word, what) end
  return s
end

local function duration(line, word, s)
  local ms = type(s) == "number" and math.tointeger(s) or type(s) == "string" and host.duration(s)
  if not ms or ms < 0 then
    fail(line, "in %s: '%s' is not a duration; write \"1h30m\", \"500ms\", \"7d\"", word,
        tostring(s))
  end
  return ms
end

local function positive(line, word, n)
  if math.type(n) ~= "integer" or n < 1 then
    fail(line, "in %s: must be a whole number from 1 up", word)
  end
  return n
end

-- Text is an expression, a function a function, anything else a constant.
local function expression(line, word, e, ...)
  local kind = type(e)
  if kind == "string" then
    return { text = e, binds = { n = select("#", ...), ... }, line = line }
  end
  if kind == "function" then return { fn = host.fn(e), line = line } end
  if kind == "number" or kind == "boolean" or e == null then return { const = e, line = line } end
  fail(line, "in %s: an expression is a text, a function or a constant, not a %s", word, kind)
end

-- The name that a positional expression gives its field: its path's last one.
local function path_name(e)
  if type(e) ~= "string" then return nil end
  e = e:match "^%s*(.-)%s*$"
  if e:match "^%$[%a_]+$" then return e:sub(2) end
  local path = e:gsub("%[%d+%]", "")
  if not path:match "^[%a_][%w_%.]*$" or path:match "%.%." or path:match "%.$" then return nil end
  return path:match "([%a_][%w_]*)$"
end

-- Positional expressions first, in order, then the named ones by name.
local function fields(line, word, t)
  if type(t) ~= "table" then fail(line, "%s wants a table of fields", word) end
  local list, seen = {}, {}
  local function add(name, e)
    if seen[name] then fail(line, "in %s: the field '%s' is there twice", word, name) end
    seen[name] = true
    list[#list + 1] = { name = name, expr = expression(line, word, e) }
  end
  for k, e in pairs(t) do
    if type(k) == "string" then
      add(k, e)
    elseif k ~= #list + 1 then
      fail(line, "in %s: the list of fields has a hole", word)
    else
      local name = path_name(e)
      if not name then fail(line, "in %s: field %d needs a name: name = %s", word, k,
                            type(e) == "string" and '"' .. e .. '"' or "...") end
      add(name, e)
    end
  end
  if #list == 0 then fail(line, "%s has no fields", word) end
  return list
end

-- Columns by name.
local function columns(line, word, t)
  if type(t) ~= "table" or data[t] then
    fail(line, "%s wants columns by name: {column = expression}", word)
  end
  local list = {}
  for k, e in pairs(t) do
    if type(k) ~= "string" then
      fail(line, "%s wants columns by name: {column = expression}", word)
    end
    list[#list + 1] = { name = k, expr = expression(line, word, e) }
  end
  return list
end

-- ---------------------------------------------------------------- handles

local function handle(kind, d)
  local h = setmetatable({}, kind)
  d.kind, d.handle = kind, h
  data[h] = d
  return h
end

local function handle_kind(what, methods, later_methods)
  local kind = { what = what, __metatable = false }
  kind.__index = function(h, name)
    local d = data[h]
    if loading then d.line = line_now() end
    local m = methods[name]
    if m then return m end
    if later_methods[name] then later(d.line, ":" .. name) end
    if not loading then error(what .. " cannot be used inside a function", 2) end
    fail(d.line, "%s has no method '%s'%s", what, tostring(name),
        host.suggest(tostring(name), keys(methods)))
  end
  kind.__newindex = function() error(what .. " cannot be assigned to", 2) end
  return kind
end

-- What a method works on, and its line.
local function this(h, word, kind)
  local d = type(h) == "table" and data[h]
  if not d or (kind and d.kind ~= kind) then
    fail(line_now(), "write :%s with a colon, after a stream", word)
  end
  at_load(":" .. word)
  return d, d.line
end

local stream, window, aggregate, stored

-- What is not whole yet, or not used; the first of them is an error when the file ends.
local pending = {}

local function expect_more(line, message)
  local p = { line = line, text = message }
  pending[#pending + 1] = p
  return p
end

local function node(kind, line, from, n)
  n = n or {}
  n.kind, n.line, n.inputs = kind, line, { from }
  plan.nodes[#plan.nodes + 1] = n
  return handle(stream, { node = #plan.nodes, port = "main", line = line })
end

-- Another port of the node that the handle stands for.
local function port(h, name, line)
  return handle(stream, { node = data[h].node, port = name, line = line })
end

local function input(d)
  return { node = d.node, port = d.port, window = d.window }
end

-- ---------------------------------------------------------------- sinks, shared

local function sink_into(h, target, cols)
  local d, line = this(h, "into")
  local n = { table_name = target }
  if type(target) == "table" and data[target] and data[target].kind == stored then
    n.table_name = data[target].name
  else
    text(line, ":into", "the table", target)
  end
  n.columns = cols ~= nil and columns(line, "into", cols) or {}
  if cols ~= nil and #n.columns == 0 then fail(line, "in into: no columns") end
  if d.kind ~= aggregate and not plan.table_by_name[n.table_name] then
    fail(line, "unknown table '%s'%s", n.table_name,
        host.suggest(n.table_name, keys(plan.table_by_name)))
  end
  return node("into", line, input(d), n)
end

local function sink_to(h, topic, opts)
  local d, line = this(h, "to")
  text(line, ":to", "the topic", topic)
  options(line, "to", opts, { key = "any", headers = "table", format = "later", schema = "later",
                              delivery = "later" })
  local n = { topic = topic, headers = {} }
  if opts and opts.key ~= nil then n.key = expression(line, "to", opts.key) end
  if opts and opts.headers then n.headers = columns(line, "to", opts.headers) end
  return node("to", line, input(d), n)
end

local function set_name(h, name)
  local d, line = this(h, "name")
  plan.nodes[d.node].name = text(line, ":name", "the name", name)
  return h
end

-- ---------------------------------------------------------------- streams

local S = { into = sink_into, to = sink_to, name = set_name }

function S.where(h, e, ...)
  local d, line = this(h, "where", stream)
  return node("where", line, input(d), { condition = expression(line, "where", e, ...) })
end

function S.select(h, t)
  local d, line = this(h, "select", stream)
  return node("select", line, input(d), { fields = fields(line, "select", t) })
end

function S.set(h, t)
  local d, line = this(h, "set", stream)
  return node("set", line, input(d), { fields = fields(line, "set", t) })
end

function S.map(h, f)
  local d, line = this(h, "map", stream)
  if type(f) ~= "function" then
    fail(line, ":map wants a function(value, ctx), not a %s", type(f))
  end
  return node("map", line, input(d), { fn = host.fn(f) })
end

function S.flatmap(h, f)
  local d, line = this(h, "flatmap", stream)
  if type(f) ~= "function" then
    fail(line, ":flatmap wants a function(value, ctx) that returns a list, not a %s", type(f))
  end
  return node("flatmap", line, input(d), { fn = host.fn(f) })
end

function S.explode(h, e, name)
  local d, line = this(h, "explode", stream)
  local n = { list = expression(line, "explode", e), element = name or path_name(e) }
  if n.element == nil then
    fail(line, "in explode: the element needs a name: :explode(list, \"name\")")
  end
  text(line, ":explode", "the element's name", n.element)
  return node("explode", line, input(d), n)
end

-- One split for each expression, each reading what the one before did not take.
function S.split(h, ...)
  local d, line = this(h, "split", stream)
  local from, streams = input(d), {}
  local n = select("#", ...)
  if n == 0 then fail(line, ":split wants at least one expression") end
  for i = 1, n do
    local e = select(i, ...)
    streams[i] = node("split", line, from, { condition = expression(line, "split", e) })
    from = { node = data[streams[i]].node, port = "rest" }
  end
  streams[n + 1] = port(streams[n], "rest", line)
  return table.unpack(streams)
end

function S.merge(h, ...)
  local d, line = this(h, "merge", stream)
  local inputs = { input(d) }
  for i = 1, select("#", ...) do
    local other = select(i, ...)
    local x = type(other) == "table" and data[other]
    if not x or x.kind ~= stream then fail(line, ":merge wants streams: a:merge(b, c)") end
    inputs[#inputs + 1] = input(x)
  end
  if #inputs == 1 then fail(line, ":merge wants another stream: a:merge(b)") end
  local merged = node("merge", line, nil)
  plan.nodes[data[merged].node].inputs = inputs
  return merged
end

function S.dedupe(h, o)
  local d, line = this(h, "dedupe", stream)
  options(line, "dedupe", o, { by = "any", within = "any" })
  if o == nil or o.within == nil then
    fail(line, "in dedupe: within is missing: how long an id is remembered")
  end
  local n = { by = {}, within = duration(line, "dedupe", o.within) }
  if n.within < 1 then fail(line, "in dedupe: within must be longer than nothing") end
  local by = o.by == nil and "$key" or o.by
  for i, e in ipairs(type(by) == "table" and by or { by }) do
    n.by[i] = { expr = expression(line, "dedupe", e) }
  end
  if #n.by == 0 then fail(line, "in dedupe: by has no expressions") end
  return node("dedupe", line, input(d), n)
end

local function add_changes(line, from, name, o)
  options(line, "changes", o, { latest = "boolean" })
  return node("changes", line, from, { table_name = name, latest = o ~= nil and o.latest or false })
end

function S.process(h, o)
  local d, line = this(h, "process", stream)
  if type(o) ~= "table" then fail(line, ":process wants {on = function(value, ctx) ... end}") end
  options(line, "process", o, { state = "table", ttl = "any", on = "function", timer = "function",
                                upgrade = "function" })
  if o.on == nil then fail(line, "in process: on = function(value, ctx) is missing") end
  local n = { on = host.fn(o.on), state = o.state }
  if o.timer then n.timer = host.fn(o.timer) end
  if o.upgrade then n.upgrade = host.fn(o.upgrade) end
  if o.ttl ~= nil then n.ttl = duration(line, "process", o.ttl) end
  return node("process", line, input(d), n)
end

local join_kinds = { inner = true, left = true, outer = true }

-- "-1m": durations with a sign, for the interval of a join.
local function signed_duration(line, s)
  if type(s) == "number" then return math.tointeger(s) or duration(line, "join", s) end
  if type(s) == "string" and s:sub(1, 1) == "-" then return -duration(line, "join", s:sub(2)) end
  return duration(line, "join", s)
end

local function join_stream(line, d, other, o, n)
  if o.on ~= nil or o.at ~= nil or o.wait ~= nil then
    fail(line, "in join: two streams join on their key: on, at and wait are for tables")
  end
  if type(o.within) ~= "table" or #o.within ~= 2 then
    fail(line, "in join: within = {\"-1m\", \"30m\"} is missing: right time - left time")
  end
  n.with = "stream"
  n.lo, n.hi = signed_duration(line, o.within[1]), signed_duration(line, o.within[2])
  if n.lo > n.hi then fail(line, "in join: within ends before it starts") end
  n.grace = o.grace ~= nil and duration(line, "join", o.grace) or 0
  local joined = node("join", line, input(d), n)
  table.insert(plan.nodes[data[joined].node].inputs, input(other))
  return joined
end

local function join_table(line, d, other, o, n)
  if o.within ~= nil or o.grace ~= nil then
    fail(line, "in join: within and grace are for two streams; a table joins by on")
  end
  if n.join == "outer" then fail(line, "in join: with a table, kind is \"inner\" or \"left\"") end
  n.with, n.table_name = o.at ~= nil and "as-of" or "table", other.name
  local on = o.on == nil and "$key" or o.on
  if type(on) == "table" then
    n.on = columns(line, "join", on)
  else
    n.on = { { expr = expression(line, "join", on) } }
  end
  if #n.on == 0 then fail(line, "in join: on has no expression") end
  if o.at ~= nil then n.at = expression(line, "join", o.at) end
  if o.wait ~= nil then n.wait = duration(line, "join", o.wait) end
  return node("join", line, input(d), n)
end

function S.join(h, other, o)
  local d, line = this(h, "join", stream)
  local x = type(other) == "table" and data[other]
  if not x or (x.kind ~= stream and x.kind ~= stored) then
    fail(line, ":join wants a stream or a table, and options")
  end
  options(line, "join", o, { as = "string", on = "any", within = "table", kind = "string",
                             at = "any", wait = "any", grace = "any" })
  o = o or {}
  text(line, "in join", "as", o.as)
  if o.kind ~= nil and not join_kinds[o.kind] then
    fail(line, "in join: unknown kind '%s'%s", o.kind, host.suggest(o.kind, keys(join_kinds)))
  end
  local n = { as = o.as, join = o.kind or "inner" }
  return (x.kind == stored and join_table or join_stream)(line, d, x, o, n)
end

function S.by(h, ...)
  local d, line = this(h, "by", stream)
  local n = { parts = {} }
  for i = 1, select("#", ...) do
    local e = select(i, ...)
    n.parts[i] = { expr = expression(line, "by", e) }
  end
  if #n.parts == 0 then fail(line, ":by wants at least one expression") end
  return node("by", line, input(d), n)
end

local function match_case(line, type_name, action)
  local c = { type = type_name, line = line, actions = {} }
  local function add(a)
    local d = type(a) == "table" and data[a]
    if not d or not d.action then
      fail(line, "in match: %s: want an action (orders:put {...}), a list of them, or a function",
          type_name)
    end
    d.pending.done = true
    c.actions[#c.actions + 1] = d.action
    c.line = c.line or d.action.line
  end
  if type(action) == "function" then
    c.fn = host.fn(action)
  elseif type(action) == "table" and not data[action] then
    for _, a in ipairs(action) do add(a) end
  else
    add(action)
  end
  return c
end


function S.match(h, e)
  local d, line = this(h, "match", stream)
  local from, on = input(d), expression(line, "match", e)
  local more = expect_more(line, ":match has no cases: :match \"type\" { Name = ... }")
  return setmetatable({}, {
    __metatable = false,
    __index = function()
      fail(line, ":match \"type\" wants its cases: :match \"type\" { Name = ... }")
    end,
    __call = function(_, cases)
      at_load(":match")
      if type(cases) ~= "table" then fail(line, ":match wants a table of cases") end
      local n = { on = on, cases = {} }
      for name, action in pairs(cases) do
        if type(name) ~= "string" then
          fail(line, "in match: cases are named by the text they match")
        end
        n.cases[#n.cases + 1] = match_case(line, name, action)
      end
      if #n.cases == 0 then fail(line, ":match has no cases") end
      more.done = true
      return node("match", line, from, n)
    end,
  })
end

function S.window(h, opts)
  local d, line = this(h, "window", stream)
  if type(opts) ~= "table" then fail(line, ":window wants {size = ...}") end
  options(line, "window", opts, { size = "any", every = "any", grace = "any", gap = "any",
      last = "any",
                                  tz = "later" })
  if opts.gap ~= nil then later(line, "a session window (gap)") end
  if opts.last ~= nil then later(line, "a look-back window (last)") end
  if opts.size == nil then fail(line, "in window: size is missing") end
  local w = { size = duration(line, "window", opts.size), line = line }
  w.every = opts.every ~= nil and duration(line, "window", opts.every) or w.size
  w.grace = opts.grace ~= nil and duration(line, "window", opts.grace) or 0
  if w.size < 1 or w.every < 1 then
    fail(line, "in window: size and every must be longer than nothing")
  end
  if w.every > w.size then
    fail(line, "in window: every is longer than size, so records would fall between")
  end
  return handle(window, { from = input(d), spec = w, line = line })
end

local function make_aggregate(d, line, from, spec, aggs, opts)
  options(line, "aggregate", opts, { ttl = "later" })
  if type(aggs) ~= "table" then fail(line, ":aggregate wants {name = count(), ...}") end
  local n = { window = spec, aggs = {} }
  for name, a in pairs(aggs) do
    local x = type(a) == "table" and data[a]
    if type(name) ~= "string" or not x or not x.aggregate then
      fail(line, "in aggregate: write name = count(), name = avg \"field\", ...")
    end
    n.aggs[#n.aggs + 1] = { name = name, kind = x.aggregate, arg = x.arg, q = x.q, limit = x.limit,
        fields = x.fields }
  end
  if #n.aggs == 0 then fail(line, ":aggregate has nothing to compute") end
  local s = node("aggregate", line, from, n)
  d.aggregate_node = d.aggregate_node or data[s].node
  return handle(aggregate, { node = data[s].node, port = "main", line = line,
      windowed = spec ~= nil })
end

function S.aggregate(h, aggs, opts)
  local d, line = this(h, "aggregate", stream)
  return make_aggregate(d, line, input(d), nil, aggs, opts)
end

local W = {}

function W.aggregate(h, aggs, opts)
  local d, line = this(h, "aggregate", window)
  return make_aggregate(d, line, d.from, d.spec, aggs, opts)
end

function W.late(h)
  local d, line = this(h, "late", window)
  return handle(stream, { window = d, port = "late", line = line })
end

function W.name(h, name)
  local d, line = this(h, "name", window)
  d.spec.name = text(line, ":name", "the name", name)
  return h
end

local A = { into = sink_into, name = set_name }

function A.final(h)
  local d, line = this(h, "final", aggregate)
  if not d.windowed then fail(line, ":final() needs a window: without one nothing ever closes") end
  return handle(stream, { node = d.node, port = "final", line = line })
end

function A.changes(h, o)
  local d, line = this(h, "changes", aggregate)
  return add_changes(line, { node = d.node, port = "changes" }, nil, o)
end

for _, word in ipairs { "where", "select", "set", "map", "match", "by", "to", "window",
    "aggregate", "flatmap", "explode", "split", "merge", "dedupe", "process", "join" } do
  A[word] = function(h)
    local _, line = this(h, word, aggregate)
    fail(line,
        "an aggregate is a table, which changes: write :into \"name\" to see it, or :final():%s "
        .. "for closed windows", word)
  end
end

function S.changes(h)
  local _, line = this(h, "changes", stream)
  fail(line, "a stream does not change its mind: :changes() is for tables and aggregates")
end

stream = handle_kind("a stream", S, {})
window = handle_kind("a window", W, {})
aggregate = handle_kind("an aggregate", A, {})

-- ---------------------------------------------------------------- sources

local source_options = {
  time = "any", disorder = "any", idle = "any", ahead = "any", format = "string", schema = "later",
  changelog = "boolean", from = "string", on_gap = "later",
}
local formats = { json = true, msgpack = true, text = true, bytes = true }

local function set_source(n, line, o)
  options(line, "from", o, source_options)
  if o.time ~= nil then n.time = expression(line, "from", o.time) end
  if o.disorder ~= nil then n.disorder = duration(line, "from", o.disorder) end
  if o.ahead ~= nil then n.ahead = duration(line, "from", o.ahead) end
  if o.idle == false then n.idle = -1
  elseif o.idle ~= nil then n.idle = duration(line, "from", o.idle) end
  if o.format and not formats[o.format] then
    fail(line, "in from: unknown format '%s'%s", o.format, host.suggest(o.format, keys(formats)))
  end
  n.format, n.changelog = o.format, o.changelog
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
    if name == "outbox" then later(line_now(), "from.outbox") end
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

local table_options = { index = "table", ttl = "later", history = "later",
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
  t.without_rowid = o.without_rowid
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

function words.schema() later(at_load("schema"), "schema") end

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

function host.finish()
  loading = false
  if not plan.job then fail(1, "no job is declared: job \"name\" { version = 1 }") end
  for _, p in ipairs(pending) do
    if not p.done then fail(p.line, "%s", p.text) end
  end
  for _, n in ipairs(plan.nodes) do resolve(n) end
  if #plan.nodes == 0 then fail(plan.job.line, "the job reads nothing: from \"topic\" ...") end
  return plan
end
