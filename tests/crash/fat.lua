-- A state of 100 kB per key: a job file grows large with few records.
job "fat" { version = 1 }

from "events" { time = "t" }
  :by      "k"
  :process {
    state = {},
    on = function(v, ctx)
      ctx.state.filling = ("0123456789"):rep(10000)
      ctx.state.n = (ctx.state.n or 0) + 1
      return { k = ctx.key, n = ctx.state.n }
    end,
  }
  :to "seen"
