// SPDX-License-Identifier: Apache-2.0
//
// What `leat run` shows while it runs: on a terminal a table that redraws itself, elsewhere a line
// per job now and then.
#ifndef LEAT_APP_LIVE_H
#define LEAT_APP_LIVE_H

#include "runtime/app/server.h"

enum { LIVE_HISTORY = 12, LIVE_JOBS_MAX = 32 };

struct live_job {
    int64_t records_in, records_out; // at the last look
    double in_rate, out_rate;
    double history[LIVE_HISTORY];
    enum job_state state;
};

struct live {
    struct server *server;
    bool terminal;
    int lines; // drawn last time
    int64_t looked_ns, printed_ns;
    char said[200]; // the last thing that was said, and when
    int64_t said_ns;
    struct live_job jobs[LIVE_JOBS_MAX];
};

void live_init(struct live *l, struct server *s);
// Call about twice a second.
void live_look(struct live *l);
// Something has happened to a job: "shop: reloaded". Shown at the next look.
void live_say(struct live *l, const char *job, const char *what);
void live_end(struct live *l);

#endif
