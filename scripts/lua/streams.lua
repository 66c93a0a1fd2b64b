-- SPDX-License-Identifier: Apache-2.0
--
-- What follows a stream, a window or an aggregate. Goes on where prelude.lua ends: the files are
-- one chunk, so that their locals are shared (scripts/CMakeLists.txt).

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

local day = 24 * 3600 * 1000

local function zone(line, opts, w, kind)
  if type(opts.tz) ~= "string" then
    fail(line, "in window: tz is the name of a time zone, such as \"Europe/Oslo\"")
  end
  if kind ~= "size" or w.size % day ~= 0 or w.every % day ~= 0 then
    fail(line, "in window: tz is for windows of whole days: size = \"1d\"")
  end
  return opts.tz
end

function S.window(h, opts)
  local d, line = this(h, "window", stream)
  if type(opts) ~= "table" then fail(line, ":window wants {size = ...}") end
  options(line, "window", opts, { size = "any", every = "any", grace = "any", gap = "any",
      last = "any", tz = "any" })
  local kind = opts.gap ~= nil and "gap" or opts.last ~= nil and "last" or "size"
  for _, other in ipairs { "size", "every", "gap", "last" } do
    if kind ~= "size" and other ~= kind and opts[other] ~= nil then
      fail(line, "in window: %s and %s do not go together", kind, other)
    end
  end
  if opts[kind] == nil then fail(line, "in window: size is missing") end
  local w = { kind = kind, size = duration(line, "window", opts[kind]), line = line }
  w.every = opts.every ~= nil and duration(line, "window", opts.every) or w.size
  w.grace = opts.grace ~= nil and duration(line, "window", opts.grace) or 0
  if w.size < 1 and kind ~= "size" then
    fail(line, "in window: %s must be longer than nothing", kind)
  elseif w.size < 1 or w.every < 1 then
    fail(line, "in window: size and every must be longer than nothing")
  end
  if w.every > w.size then
    fail(line, "in window: every is longer than size, so records would fall between")
  end
  if opts.tz ~= nil then w.tz = zone(line, opts, w, kind) end
  return handle(window, { from = input(d), spec = w, line = line })
end

local function make_aggregate(d, line, from, spec, aggs, opts)
  options(line, "aggregate", opts, { ttl = "any" })
  if type(aggs) ~= "table" then fail(line, ":aggregate wants {name = count(), ...}") end
  local n = { window = spec, aggs = {} }
  if opts and opts.ttl ~= nil then n.ttl = duration(line, "aggregate", opts.ttl) end
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
  if spec and spec.kind == "last" then return s end -- each reading with its results: a stream
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
