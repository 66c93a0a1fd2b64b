// SPDX-License-Identifier: Apache-2.0
#include "runtime/base/assert.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void assert_failed(const char *expr, const char *file, int line, const char *func)
{
    fprintf(stderr, "leat: assertion failed: %s (%s:%d in %s)\n", expr, file, line, func);
    abort();
}
