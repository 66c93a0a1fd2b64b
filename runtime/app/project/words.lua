---@meta leat
-- The words of a job file, for the Lua language server. Written by `leat init`; nothing reads it at
-- run time.

---A text is an expression over the record ("temperature > 90"), a function gets the record itself.
---@alias leat.Expr string|number|boolean|fun(v: any, ctx: leat.Ctx): any
---"1h30m", "500ms", "7d", or milliseconds.
---@alias leat.Duration string|integer
---Positional fields first, in order; then named ones.
---@alias leat.Fields table<string|integer, leat.Expr>
---@alias leat.Columns table<string, leat.Expr>

-- declarations ------------------------------------------------------------------------------------

---@class leat.Errors
---@field retry? leat.Duration[] waits between tries; {"1s", "10s", "1m", "10m"}
---@field park? "key"|"record"|"stop" what waits with a record that fails: its key's next ones
---@field dead? string topic for records that have failed for good
---@field limit? integer parked records at which the job stops; 10000

---@class leat.Commit
---@field records? integer at most this many records in a step
---@field bytes? integer at most this many bytes of output
---@field every? leat.Duration at most this long

---@class leat.Rebuild
---@field outputs? "mute"|"publish" of a new version while it catches up
---@field keep? leat.Duration the file of the version before

---@class leat.JobOptions
---@field version? integer a new one is built from the start of the inputs; 1
---@field errors? leat.Errors
---@field commit? leat.Commit
---@field rebuild? leat.Rebuild

---Names the job: job "shop" { version = 1 }
---@param name string
---@return fun(options: leat.JobOptions)
function job(name) end

---A value that can be given when the job is started: -p name=value.
---@generic T
---@param name string
---@param default? T
---@return T
function param(name, default) end

---@class leat.TableOptions
---@field index? string[] "customer, placed_at desc", "status where status = 'placed'"
---@field ttl? string "90d after placed_at"
---@field history? leat.Duration
---@field without_rowid? boolean

---@class leat.Table
---@overload fun(options: leat.TableOptions): leat.Table
local Table = {}
---An action for :match. Fails when the key is there already.
---@param columns leat.Columns
---@return leat.Action
function Table:insert(columns) end
---An action for :match. Inserts, or updates the columns given.
---@param columns leat.Columns
---@return leat.Action
function Table:put(columns) end
---An action for :match. Updates a row that must be there.
---@param key leat.Expr|leat.Columns
---@param columns leat.Columns
---@return leat.Action
function Table:patch(key, columns) end
---An action for :match. Adds to columns, making the row when it is not there.
---@param key leat.Expr|leat.Columns
---@param columns leat.Columns
---@return leat.Action
function Table:add(key, columns) end
---An action for :match.
---@param key leat.Expr|leat.Columns
---@return leat.Action
function Table:delete(key) end
---A stream of every change of a row; $old is the row before.
---@param options? { latest?: boolean }
---@return leat.Stream
function Table:changes(options) end

---@class leat.Action
---@alias leat.Case leat.Action|leat.Action[]|fun(v: any, ctx: leat.Ctx): any

---Declares a table by the inside of its CREATE TABLE: table "orders" [[id text primary key]]
---@class tablelib
---@operator call(string): fun(body: string): leat.Table

---view "name" [[select ...]]
---@param name string
---@return fun(select: string)
function view(name) end

---@class leat.QueryOptions
---@field params? table<string, string> name = "text", "integer = 10", "time?"
---@field sql string
---@field path? string "/orders/:id"; /q/<job>/<name> always works
---@field one? boolean one object, or 404

---A named query, for HTTP and `leat query`.
---@param name string
---@return fun(options: leat.QueryOptions)
function query(name) end

---@class leat.Schema

---The shape of records: schema "reading" { id = "text", n = "number?", tags = { "text" } }
---@param name string
---@return fun(fields: table): leat.Schema
function schema(name) end

-- sources -----------------------------------------------------------------------------------------

---@class leat.SourceOptions
---@field time? leat.Expr event time; the record's timestamp without
---@field disorder? leat.Duration how much later than others a record may come; 0
---@field idle? leat.Duration|false when a partition without news no longer holds up time; 30s
---@field ahead? leat.Duration how far a time may be in the future; 1h
---@field format? "json"|"msgpack"|"text"|"bytes"
---@field schema? leat.Schema|string|table
---@field changelog? boolean the last record of a key is its value; null deletes
---@field from? "earliest"|"latest" where a new job begins
---@field on_gap? string

---@class leat.Source: leat.Stream
---@overload fun(options: leat.SourceOptions): leat.Stream

---@class leat.OutboxOptions
---@field name string the source's name
---@field sqlite? string path of the application's database
---@field postgres? string
---@field table string the table that the application writes its events to
---@field after? "delete"|"mark"|"keep" what becomes of rows that were taken
---@field time? leat.Expr
---@field disorder? leat.Duration
---@field idle? leat.Duration|false
---@field ahead? leat.Duration
---@field schema? leat.Schema|string|table

---@class leat.From
---@overload fun(topic: string): leat.Source
---@field outbox fun(options: leat.OutboxOptions): leat.Stream
from = {}

---A clock: every "1h"
---@param interval leat.Duration
---@return leat.Stream
function every(interval) end

-- streams -----------------------------------------------------------------------------------------

---@class leat.ToOptions
---@field key? leat.Expr
---@field headers? table<string, leat.Expr>
---@field format? string
---@field schema? leat.Schema|string
---@field delivery? string

---@class leat.ProcessOptions
---@field on fun(v: any, ctx: leat.Ctx): any for each record
---@field timer? fun(name: string, ctx: leat.Ctx): any
---@field state? table the initial state of a key
---@field ttl? leat.Duration a state that has not been touched for this long is forgotten
---@field upgrade? fun(old: any, from_version: integer): any for states of another shape

---@class leat.JoinOptions
---@field as string the field that holds the other side
---@field on? leat.Expr|leat.Columns of a table: an expression for its key
---@field within? leat.Duration[] of a stream: {"-1m", "30m"}, its time minus this one's
---@field kind? "inner"|"left"|"outer"
---@field at? leat.Expr of a table with history: the row as it was then
---@field wait? leat.Duration of a table: for a row that is not there yet
---@field grace? leat.Duration

---@class leat.WindowOptions
---@field size? leat.Duration
---@field every? leat.Duration a window starts this often; size when it is not given
---@field gap? leat.Duration sessions: until this long nothing came
---@field last? leat.Duration each record with those of this long before it
---@field grace? leat.Duration how long a window waits for late records
---@field tz? string of windows of whole days: "Europe/Oslo", whose days they are

---@class leat.Stream
local Stream = {}
---Keeps what is true; drops false and nil.
---@param e leat.Expr
---@param ... any for each ? in it
---@return leat.Stream
function Stream:where(e, ...) end
---@param fields leat.Fields
---@return leat.Stream
function Stream:select(fields) end
---Adds or replaces fields.
---@param fields leat.Fields
---@return leat.Stream
function Stream:set(fields) end
---@param f fun(v: any, ctx: leat.Ctx): any nil drops the record
---@return leat.Stream
function Stream:map(f) end
---@param f fun(v: any, ctx: leat.Ctx): any[]
---@return leat.Stream
function Stream:flatmap(f) end
---A record for each element of a list.
---@param list leat.Expr
---@param name? string the field that holds the element
---@return leat.Stream
function Stream:explode(list, name) end
---A stream for each expression, the first that is true, and one for the rest.
---@param ... leat.Expr
---@return leat.Stream ...
function Stream:split(...) end
---@param ... leat.Stream
---@return leat.Stream
function Stream:merge(...) end
---:match "type" { Placed = orders:put {...}, Paid = function(v, ctx) ... end, _ = ... }
---@param e leat.Expr
---@return fun(cases: table<string, leat.Case>): leat.Stream
function Stream:match(e) end
---Changes the key.
---@param ... leat.Expr
---@return leat.Stream
function Stream:by(...) end
---Drops records whose id was seen before.
---@param options { by: leat.Expr|leat.Expr[], within: leat.Duration }
---@return leat.Stream
function Stream:dedupe(options) end
---@param options leat.WindowOptions
---@return leat.Window
function Stream:window(options) end
---@param aggregates table<string, leat.Aggregate>
---@param options? { ttl?: leat.Duration }
---@return leat.Aggregated
function Stream:aggregate(aggregates, options) end
---@param other leat.Stream|leat.Table
---@param options leat.JoinOptions
---@return leat.Stream
function Stream:join(other, options) end
---@param options leat.ProcessOptions
---@return leat.Stream
function Stream:process(options) end
---@param topic string
---@param options? leat.ToOptions
---@return leat.Stream
function Stream:to(topic, options) end
---@param target string|leat.Table
---@param columns? leat.Columns
---@return leat.Stream
function Stream:into(target, columns) end
---Pins the name under which it keeps its state.
---@param name string
---@return leat.Stream
function Stream:name(name) end

---@class leat.Window
local Window = {}
---@param aggregates table<string, leat.Aggregate>
---@param options? { ttl?: leat.Duration }
---@return leat.Aggregated
function Window:aggregate(aggregates, options) end
---Records that came when their window had closed.
---@return leat.Stream
function Window:late() end
---@param name string
---@return leat.Window
function Window:name(name) end

---A table of results, which changes; of windows with `last`, a stream.
---@class leat.Aggregated: leat.Stream
local Aggregated = {}
---Each window once, when it has closed.
---@return leat.Stream
function Aggregated:final() end
---Every change of a result; $old is the one before.
---@param options? { latest?: boolean }
---@return leat.Stream
function Aggregated:changes(options) end

-- aggregates --------------------------------------------------------------------------------------

---@class leat.Aggregate

---Records, or those where the expression is true.
---@param e? leat.Expr
---@return leat.Aggregate
function count(e, ...) end
---@param e leat.Expr
---@return leat.Aggregate
function sum(e, ...) end
---@param e leat.Expr
---@return leat.Aggregate
function avg(e, ...) end
---@param e leat.Expr
---@return leat.Aggregate
function min(e, ...) end
---@param e leat.Expr
---@return leat.Aggregate
function max(e, ...) end
---The value of the record with the smallest time.
---@param e leat.Expr
---@return leat.Aggregate
function first(e, ...) end
---The value of the record with the largest time.
---@param e leat.Expr
---@return leat.Aggregate
function last(e, ...) end
---@param e leat.Expr
---@return leat.Aggregate
function stddev(e, ...) end
---quantile(0.95, "temperature")
---@param q number from 0 to 1
---@param e leat.Expr
---@return leat.Aggregate
function quantile(q, e, ...) end
---How many different values.
---@param e leat.Expr
---@return leat.Aggregate
function distinct(e, ...) end
---top(3, "amount", { "name", "amount" })
---@param n integer
---@param by leat.Expr
---@param fields leat.Fields
---@return leat.Aggregate
function top(n, by, fields) end
---A list of the values.
---@param e leat.Expr
---@return leat.Aggregate
function collect(e, ...) end

-- in functions ------------------------------------------------------------------------------------

---@class leat.Ctx
---@field key any
---@field time integer event time, ms
---@field now integer the step's clock, ms
---@field topic string
---@field partition integer
---@field offset integer
---@field headers table<string, string>
---@field state any of a process: what the key keeps; nil forgets it
---@field db leat.Db
local Ctx = {}
---One more result.
---@param v any
---@param options? { key?: any }
function Ctx:emit(v, options) end
---Of a process: calls its timer function at that time; a timer of that name is moved.
---@param name string
---@param at integer event time, ms
function Ctx:timer(name, at) end
---@param name string
function Ctx:cancel(name) end
---Gives up for now: the record is tried again later.
---@param why string
function Ctx:retry(why) end

---@class leat.DbTable
local DbTable = {}
---@param key any
---@return table? row
function DbTable:get(key) end
---@param row table
function DbTable:insert(row) end
---@param row table
function DbTable:put(row) end
---@param key any
---@param columns table
function DbTable:patch(key, columns) end
---@param key any
---@param columns table
function DbTable:add(key, columns) end
---@param key any
function DbTable:delete(key) end

---ctx.db.orders is the table orders.
---@class leat.Db
---@field [string] leat.DbTable
local Db = {}
---@param sql string
---@param values? table
---@return table[] rows
function Db:sql(sql, values) end

---JSON null, SQL NULL. (A field that is null reads as nil.)
null = {}
---Milliseconds: dur "5m"
---@param s string
---@return integer
function dur(s) end
---A list even when it is empty: array {}
---@param t table
---@return table
function array(t) end
---A record as a table that may be changed.
---@param v any
---@return table
function copy(v) end
---A record with other values: with(v, { n = 1 })
---@param v any
---@param fields table
---@return any
function with(v, fields) end
---Whether a field is there, be it null.
---@param v any
---@param name string
---@return boolean
function has(v, name) end

-- tests -------------------------------------------------------------------------------------------

---@class leat.Test
local Test = {}
---@param topic string
---@param value any
---@param options? { key?: any, time?: string|integer, headers?: table, partition?: integer }
function Test:send(topic, value, options) end
---What is sent within is one batch.
---@param f fun()
function Test:batch(f) end
---Moves the clock.
---@param d leat.Duration
function Test:advance(d) end
---What was published since the last time: order and number exact, fields partial.
---@param topic string
---@param values table[]
function Test:expect(topic, values) end
---@param sql string
---@param rows table[]
function Test:rows(sql, rows) end
---@param name string
---@param params table
---@param rows table[]
function Test:query(name, params, rows) end
---@param records table[]
function Test:parked(records) end
---@param n integer
function Test:skipped(n) end
---@param name string of the window, or of the stream that late() feeds
---@param records table[]
function Test:late(name, records) end
---The job has stopped, for this reason.
---@param pattern string
function Test:stopped(pattern) end
function Test:restart() end
---The job goes on as another file says, on what it has stored.
---@param file string beside the test's file, one folder up, or where leat was started
---@param options? { from_now?: boolean, drop?: boolean, refused?: string } refused: a pattern
function Test:upgrade(file, options) end

---@param name string
---@param f fun(t: leat.Test)
function test(name, f) end
