// SPDX-License-Identifier: Apache-2.0
#include "runtime/app/job_params.h"

int job_params(const struct args *a, const char *out[JOB_PARAMS_MAX + 1], struct err *e)
{
    const char *text;
    size_t i;

    for (i = 0; (text = args_nth(a, "--param", i)) != NULL; i++) {
        const char *equals = strchr(text, '=');
        if (equals == NULL || equals == text)
            return err_set(e, LEAT_EUSAGE, "--param wants name=value, not \"%s\"", text);
        if (i == JOB_PARAMS_MAX)
            return err_set(e, LEAT_EUSAGE, "more than %d parameters", JOB_PARAMS_MAX);
        out[i] = text;
    }
    out[i] = NULL;
    return 0;
}
