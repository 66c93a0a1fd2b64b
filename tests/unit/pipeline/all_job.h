// SPDX-License-Identifier: Apache-2.0
//
// A job with every kind of state, for tests of what all of them have in common. `k` is a text, `m`
// anything that can be a key.
#ifndef LEAT_TESTS_ALL_JOB_H
#define LEAT_TESTS_ALL_JOB_H

static const char all_job[] =
    "job 'all' { version = 1, errors = { dead = 'dead' } }\n"
    "table 'people' [[id text primary key, name text]]\n"
    "table 'days' [[device text, window_start time, n integer,\n"
    "  primary key (device, window_start)]]\n"
    "table 'visits' [[id integer primary key, who text, window_start time, n integer,\n"
    "  unique (who, window_start)]]\n"
    "local s = from 'in' { time = 't', disorder = '1s' }\n"
    "s:by 'k':aggregate { n = count(), x = sum 'x' }:into 'totals'\n"
    "s:by 'k':window { size = '10s' }:aggregate { n = count() }:final():to 'closed'\n"
    "local w = s:by 'k':window { size = '10s', every = '5s' }:aggregate { n = count() }\n"
    "w:into 'hops'\n"
    "w:changes { latest = true }:to 'hop_changes'\n"
    "s:select { device = 'k', x = 'x' }:by 'device':window { size = '20s' }\n"
    "  :aggregate { n = count() }:into 'days'\n"
    "s:select { who = 'k', x = 'x' }:by 'who':window { gap = '3s' }\n"
    "  :aggregate { n = count() }:into 'visits'\n"
    "local v = s:by 'm':window { gap = '3s' }:aggregate { n = count() }\n"
    "v:final():to 'visited'\n"
    "v:changes():to 'visit_changes'\n"
    "s:by 'm':window { last = '10s' }:aggregate { n = count() }:to 'last'\n"
    "s:dedupe { by = 'x', within = '10s' }:to 'once'\n"
    "s:by 'm':join(from 'right' { time = 't' }:by 'm', { as = 'r', kind = 'outer',\n"
    "  within = { '-5s', '5s' } }):to 'pairs'\n"
    "s:by 'm':process { ttl = '30s', state = {},\n"
    "  on = function(v, ctx) ctx.state.n = v.x ctx:timer('t', ctx.time + 7000) end,\n"
    "  timer = function(name, ctx) return { fired = ctx.key } end }:to 'fired'\n"
    "s:by 'k':into('people', { id = 'k', name = 'k' })\n"
    "s:map(function(v) if v.x == 13 then error 'unlucky' end return v end):to 'mapped'\n"
    "every '1m':select { at = '$time' }:to 'ticks'\n";

#endif
