-- What functions do without, because it would differ from one run to the next.
job "functions" { version = 1 }

local function sorted()
  local t, order = {}, {}
  for i = 1, 40 do t[i] = { key = i % 3, i = i } end
  table.sort(t, function(a, b) return a.key < b.key end)
  for i = 1, 40 do order[i] = t[i].i end
  return order
end

-- What each is called, the function, and what it gives or the error it ends with.
local cases = {
  { "next of an empty table is nil", function() return next {} == nil end, true },
  { "next tells whether a table is empty", function() return next { 1 } ~= nil end, true },
  { "next does not walk", function() return next({ 1, 2 }, 1) end,
    "next(t, key) follows no fixed order: use pairs" },
  { "pairs takes no tables as keys", function() for _ in pairs { [{}] = 1 } do end end,
    "pairs: a key is a table; only integers and text have a fixed order" },
  { "the text of a table has no address", function() return tostring {} end, "table" },
  { "the text of a function has no address", function() return tostring(error) end, "function" },
  { "there is no %p", function() return ("%p"):format {} end,
    "string.format: '%p' is not available (addresses differ)" },
  { "there is no rawset", function() return rawset({}, 1, 1) end,
    "rawset is not available in a job" },
  { "there is no math.randomseed", function() return math.randomseed(1) end,
    "attempt to call a nil value (field 'randomseed')" },
  { "there is no __gc", function() return setmetatable({}, { __gc = error }) end,
    "setmetatable: '__gc' is not available in a job" },
  { "there is no __mode", function() return setmetatable({}, { __mode = "k" }) end,
    "setmetatable: '__mode' is not available in a job" },
  { "there is no os", function() return os.time() end, "unknown name 'os'" },
  { "there is no io", function() return io.open "x" end, "unknown name 'io'" },
  { "there is no debug", function() return debug.traceback() end, "unknown name 'debug'" },
  { "there is no package", function() return package.path end, "unknown name 'package'" },
  { "there is no load", function() return load "return 1" end, "unknown name 'load'" },
  { "there is no dofile", function() return dofile "x" end, "unknown name 'dofile'" },
  { "there is no collectgarbage", function() return collectgarbage() end,
    "unknown name 'collectgarbage'" },
  { "there is no coroutine", function() return coroutine.create(error) end,
    "unknown name 'coroutine'" },
  { "table.sort is stable", sorted, {
    3, 6, 9, 12, 15, 18, 21, 24, 27, 30, 33, 36, 39,
    1, 4, 7, 10, 13, 16, 19, 22, 25, 28, 31, 34, 37, 40,
    2, 5, 8, 11, 14, 17, 20, 23, 26, 29, 32, 35, 38 } },
}
local run = {}
for _, c in ipairs(cases) do run[c[1]] = c[2] end

from "calls" :map(function(v)
  local ok, result = pcall(run[v.case])
  if not ok then result = result:gsub("^%S+:%d+: ", "") end
  return { result = result }
end) :to "results"
from "lists" :map(function(v) return { 1, nil, 3 } end) :to "lists.out"

for _, c in ipairs(cases) do
  test("functions: " .. c[1], function(t)
    t:send("calls", { case = c[1] })
    t:expect("results", { { result = c[3] } })
  end)
end

test("functions: a list with a hole has no length, and is an error of class type", function(t)
  t:send("lists", {})
  t:parked { { class = "type" } }
end)
