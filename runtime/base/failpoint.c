// SPDX-License-Identifier: Apache-2.0
#include "runtime/base/failpoint.h"

#if LEAT_TESTING

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/err.h"

enum { POINTS_MAX = 32, NAME_MAX_BYTES = 48 };

struct point {
    char name[NAME_MAX_BYTES], action[32];
    long at, passed; // at 0: every passage
};

static struct {
    pthread_mutex_t lock;
    bool armed;
    int n;
    struct point points[POINTS_MAX];
} fail = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void parse_one(const char *s, size_t n)
{
    struct point *p = &fail.points[fail.n];
    char text[96] = "";

    if (n == 0 || n >= sizeof text || fail.n == POINTS_MAX)
        return;
    memcpy(text, s, n);
    *p = (struct point){0};
    if (sscanf(text, "%47[^=]=%31[^@]@%ld", p->name, p->action, &p->at) >= 1)
        fail.n++;
}

static void parse(const char *spec)
{
    fail.n = 0;
    fail.armed = true;
    while (spec != NULL && *spec) {
        size_t n = strcspn(spec, ",");
        parse_one(spec, n);
        spec += n + (spec[n] == ',');
    }
}

static struct point *find_locked(const char *name)
{
    if (!fail.armed)
        parse(getenv("LEAT_FAIL"));
    for (int i = 0; i < fail.n; i++)
        if (strcmp(fail.points[i].name, name) == 0)
            return &fail.points[i];
    return NULL;
}

static int act(const char *action)
{
    if (strcmp(action, "kill") == 0)
        kill(getpid(), SIGKILL);
    if (strcmp(action, "sleep") == 0)
        for (;;)
            pause();
    if (strcmp(action, "enospc") == 0)
        return LEAT_ENOSPC;
    return strcmp(action, "drop") == 0 ? LEAT_ECANCELED : LEAT_EIO;
}

int failpoint(const char *name)
{
    struct point *p;
    char action[sizeof p->action] = "";

    pthread_mutex_lock(&fail.lock);
    p = find_locked(name);
    if (p != NULL && p->action[0] && strchr(p->action, '#') == NULL &&
        (++p->passed == p->at || p->at == 0))
        memcpy(action, p->action, sizeof action);
    pthread_mutex_unlock(&fail.lock);
    return action[0] ? act(action) : 0;
}

void failpoint_value(const char *name, struct bytes value)
{
    struct point *p;
    const char *text;
    char action[sizeof p->action] = "";

    pthread_mutex_lock(&fail.lock);
    p = find_locked(name);
    text = p != NULL ? strchr(p->action, '#') : NULL;
    if (text != NULL && value.n > 0 && memmem(value.p, value.n, text + 1, strlen(text + 1)) != NULL)
        memcpy(action, p->action, (size_t)(text - p->action));
    pthread_mutex_unlock(&fail.lock);
    if (action[0])
        (void)act(action);
}

bool fail_switch(const char *name)
{
    struct point *p;

    pthread_mutex_lock(&fail.lock);
    p = find_locked(name);
    pthread_mutex_unlock(&fail.lock);
    return p != NULL;
}

void failpoint_arm(const char *spec)
{
    pthread_mutex_lock(&fail.lock);
    parse(spec);
    pthread_mutex_unlock(&fail.lock);
}

#else
typedef int failpoint_not_in_release;
#endif
