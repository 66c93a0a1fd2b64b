// SPDX-License-Identifier: Apache-2.0
//
// Just enough of runtime/expr for unit tests of operators; see fake_run.h for what it reads.
#include "runtime/base/heap.h"
#include "runtime/expr/expr.h"

struct expr {
    char *text;
};

int expr_compile(struct expr **out, struct bytes text, const struct expr_binds *binds,
                 struct fieldplan *plan, struct err *e)
{
    (void)binds, (void)plan, (void)e;
    *out = heap_alloc(sizeof(**out));
    (*out)->text = heap_strndup((const char *)text.p, text.n);
    return 0;
}

void expr_free(struct expr *x)
{
    if (x != NULL)
        heap_free(x->text);
    heap_free(x);
}

int expr_eval(const struct expr *x, const struct expr_env *env, struct value *out, struct err *e)
{
    const char *name = x->text + (x->text[0] == '=');

    if (strcmp(name, "$time") == 0)
        *out = value_int(env->event->time);
    else if (strcmp(name, "$key") == 0)
        *out = env->event->key;
    else if (strcmp(name, "!") == 0)
        return err_set(e, LEAT_ETYPE, "a fake error");
    else if (value_is_nil(&env->event->view.root))
        *out = VALUE_OF_MISSING;
    else
        return view_member(&env->event->view, bytes_str(name), out, e);
    return 0;
}

bool expr_is_path(const struct expr *x, struct bytes *last_name)
{
    if (last_name != NULL)
        *last_name = bytes_str(x->text);
    return strchr("=$!", x->text[0]) == NULL;
}
