// SPDX-License-Identifier: Apache-2.0
#include "runtime/kafka/rdk.h"

#include <dlfcn.h>
#include <string.h>

static int resolve(struct rdk *r, const char *name, void *slot, struct err *e)
{
    void *f = dlsym(r->library, name);

    if (f == NULL)
        return err_set(e, LEAT_EUNSUPPORTED, "librdkafka is too old: it has no %s", name);
    memcpy(slot, &f, sizeof f);
    return 0;
}

int rdk_load(struct rdk *r, struct err *e)
{
    int rc;

    r->library = dlopen("librdkafka.so.1", RTLD_NOW | RTLD_LOCAL);
    if (r->library == NULL)
        return err_set(e, LEAT_EUNSUPPORTED,
                       "this command speaks Kafka through librdkafka, which is not installed; on "
                       "Debian: apt-get install librdkafka1");
#define X(name)                                                                                    \
    rc = resolve(r, #name, &r->name, e);                                                           \
    if (rc != 0)                                                                                   \
        return rc;
    RDK_FUNCTIONS(X)
#undef X
    return 0;
}
