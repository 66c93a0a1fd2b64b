// SPDX-License-Identifier: Apache-2.0
#include "operators/cells.h"

#include "runtime/expr/expr.h"

static struct value cell_of(const struct plan_expr *x, struct value v)
{
    if (!value_is_nil(&v))
        return v;
    if (v.type == VALUE_MISSING && x->compiled != NULL && expr_is_path(x->compiled, NULL))
        return v;
    return VALUE_OF_NULL;
}

int cells_blame(struct err *e, int rc, struct bytes name)
{
    if (e != NULL && bytes_starts(bytes_str(e->text), name) &&
        bytes_starts(bytes_str(e->text + name.n), BYTES_LIT(": ")))
        return rc;
    return err_wrap(e, rc, "%.*s", BYTES_FMT(name));
}

int cells_eval(struct operator *o, const struct plan_field *fields, int n, struct event *ev,
               struct value *cells, struct err *e)
{
    for (int i = 0; i < n; i++) {
        struct value v;
        int rc = operator_eval(o, &fields[i].expr, ev, &v, e);

        if (rc < 0)
            return cells_blame(e, rc, fields[i].name);
        cells[i] = cell_of(&fields[i].expr, v);
    }
    return 0;
}

int key_cells_eval(struct operator *o, const struct plan_field *fields, int n, struct event *ev,
                   struct value *cells, struct err *e)
{
    for (int i = 0; i < n; i++) {
        struct bytes name = bytes_is_null(fields[i].name) ? BYTES_LIT("key") : fields[i].name;
        int rc = operator_eval(o, &fields[i].expr, ev, &cells[i], e);

        if (rc < 0)
            return cells_blame(e, rc, name);
        if (value_is_nil(&cells[i]))
            return err_set(e, LEAT_EKEY, "the key %.*s is nil", BYTES_FMT(name));
    }
    return 0;
}

int column_find(const char *const *names, int n, struct bytes name)
{
    for (int i = 0; i < n; i++)
        if (bytes_eq_str(name, names[i]))
            return i;
    return -1;
}
