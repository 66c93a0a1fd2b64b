-- W7: the code of a processor changes half-way, and its state with it. The harness writes the
-- second version over this one.
job "growing" { version = 1 }

from "in" { idle = false } :by "k" :process {
  state = { n = 0 },
  on = function(e, ctx)
    local s = ctx.state
    s.n, s.total = s.n + 1, (s.total or 0) + e.v
    return { k = e.k, n = s.n, total = s.total }
  end,
}
  :to "growing.out"
