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
-- { "price * ?", factor } is an expression with its values, where there is room for one value only.
local expression
function expression(line, word, e, ...)
  local kind = type(e)
  if kind == "table" and e ~= null and not data[e] and type(e[1]) == "string" then
    return expression(line, word, table.unpack(e, 1, e.n or #e)) -- { "price * ?", factor }
  end
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

local stream, window, aggregate, stored, schema_of

local formats = { json = true, msgpack = true, text = true, bytes = true }

local function format_of(line, word, f)
  if f and not formats[f] then
    fail(line, "in %s: unknown format '%s'%s", word, f, host.suggest(f, keys(formats)))
  end
  return f
end

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
  options(line, "to", opts, { key = "any", headers = "table", format = "string", schema = "any",
                              delivery = "later" })
  local n = { topic = topic, headers = {} }
  n.format = format_of(line, "to", opts and opts.format)
  n.schema = schema_of(line, "to", opts and opts.schema)
  if opts and opts.key ~= nil then n.key = expression(line, "to", opts.key) end
  if opts and opts.headers then n.headers = columns(line, "to", opts.headers) end
  return node("to", line, input(d), n)
end

local function set_name(h, name)
  local d, line = this(h, "name")
  plan.nodes[d.node].name = text(line, ":name", "the name", name)
  return h
end
