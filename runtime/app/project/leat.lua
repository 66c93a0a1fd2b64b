-- Settings of the server, for `leat serve leat.lua`: a table. What is not said has its default.
return {
  jobs   = { "jobs/*.lua" },
  topics = {
    pageviews = { partitions = 3, retention = "30d" },
  },
}
