-- Functions where expressions end: lines of a mail server are taken apart in Lua, and the rest is native again.
job "mail-logs" { version = 1 }

local severity = { error = 3, warn = 2, info = 1 }      -- read-only once the job runs

from "mail.raw" { format = "text" }                     -- the line is the field `text`
  :map(function(line, ctx)
    local level, host, text = line.text:match "^(%a+) (%S+): (.+)$"
    if not level then return nil end                    -- nil drops the line
    return { level = severity[level:lower()] or 0, host = host, text = text, part = ctx.partition }
  end)
  :where  "level >= 2"
  :by     "host"
  :window { size = "1m" }
  :aggregate { lines = count(), worst = max "level", texts = collect "text" }
  :final()
  :where  "lines >= 2 or worst == 3"
  :to     "mail.trouble"

from "mail.sent"
  :explode("recipients", "recipient")                   -- a record for each
  :flatmap(function(v)                                  -- a domain and each of its parents
    local list, domain = {}, v.recipient:match "@(.+)$"
    while domain and domain:find "%." do
      list[#list + 1] = { domain = domain, bytes = v.bytes }
      domain = domain:match "^[^.]+%.(.+)$"
    end
    return list
  end)
  :by        "domain"
  :aggregate { mails = count(), bytes = sum "bytes" }   -- no window: a table that never closes
  :into      "domains"

test("lines that matter are told once per minute and host", function(t)
  t:send("mail.raw", "INFO mx1: started")
  t:send("mail.raw", "WARN mx1: queue is long")
  t:send("mail.raw", "no level here")
  t:send("mail.raw", "warn mx1: queue is very long")
  t:send("mail.raw", "warn mx2: slow")
  t:advance "5m"
  t:expect("mail.trouble", { { host = "mx1", lines = 2, worst = 2, texts = { "queue is long", "queue is very long" } } })
end)

test("a mail counts for each recipient's domain and its parents", function(t)
  t:send("mail.sent", { bytes = 10, recipients = { "a@post.example.org", "b@example.org" } })
  t:rows("select domain, mails, bytes from domains order by domain",
    { { domain = "example.org", mails = 2, bytes = 20 }, { domain = "post.example.org", mails = 1, bytes = 10 } })
end)
