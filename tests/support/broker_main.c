// SPDX-License-Identifier: Apache-2.0
//
// The broker alone, as a program, for tests with real clients: no jobs, no HTTP.
//
//   broker_main DATA_DIR PORT [auto] [pagecache] [delay=MS] [session-min=MS] [partitions=N]
//
// Prints "ready PORT" when it listens; SIGTERM or SIGINT ends it in order.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/trace.h"
#include "runtime/broker/broker.h"

static bool number_option(const char *arg, const char *name, int32_t *out)
{
    size_t n = strlen(name);

    if (strncmp(arg, name, n) != 0)
        return false;
    *out = (int32_t)strtol(arg + n, NULL, 10);
    return true;
}

static bool option(struct broker_config *c, const char *arg)
{
    if (strcmp(arg, "auto") == 0)
        c->auto_create = true;
    else if (strcmp(arg, "pagecache") == 0)
        c->durable = false;
    else if (strcmp(arg, "verbose") == 0)
        trace_level_set(TRACE_INFO);
    else
        return number_option(arg, "delay=", &c->initial_rebalance_delay_ms) ||
               number_option(arg, "session-min=", &c->session_ms_min) ||
               number_option(arg, "partitions=", &c->default_partitions);
    return true;
}

int main(int argc, char **argv)
{
    struct broker_config c;
    struct broker *b = NULL;
    struct err e = {0};
    sigset_t set;
    int sig, rc;

    broker_config_default(&c);
    if (argc < 3)
        return 2;
    c.data_dir = argv[1];
    c.port = (int)strtol(argv[2], NULL, 10);
    for (int i = 3; i < argc; i++)
        if (!option(&c, argv[i]))
            return 2;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    rc = broker_open(&b, &c, &e);
    if (rc == 0)
        rc = broker_start(b, &e);
    if (rc < 0) {
        fprintf(stderr, "broker_main: %s\n", e.text);
        broker_free(b);
        return 1;
    }
    printf("ready %d\n", broker_port(b));
    fflush(stdout);
    sigwait(&set, &sig);
    broker_free(b);
    return 0;
}
