// SPDX-License-Identifier: Apache-2.0
#include "runtime/engine/query.h"

static int row_json(const struct query_answer *a, size_t row, struct buf *out, struct err *e)
{
    int rc = 0;

    buf_append_byte(out, '{');
    for (size_t k = 0; k < a->n_columns && rc == 0; k++) {
        const struct value *cell = &a->cells[row * a->n_columns + k];
        buf_append_str(out, k ? "," : "");
        json_write_text(a->columns[k], out);
        buf_append_byte(out, ':');
        if (value_is_nil(cell))
            buf_append_str(out, "null");
        else
            rc = value_write_json(cell, out, e);
        if (rc != 0)
            rc = err_wrap(e, rc, "column %.*s", BYTES_FMT(a->columns[k]));
    }
    buf_append_byte(out, '}');
    return rc;
}

int query_answer_json(const struct query_answer *a, bool one, struct buf *out, struct err *e)
{
    int rc = 0;

    if (one && a->n_rows > 0)
        rc = row_json(a, 0, out, e);
    else if (one)
        buf_append_str(out, "null");
    else
        buf_append_byte(out, '[');
    for (size_t i = 0; i < a->n_rows && !one && rc == 0; i++) {
        buf_append_str(out, i ? ",\n " : "");
        rc = row_json(a, i, out, e);
    }
    buf_append_str(out, one ? "\n" : "]\n");
    return rc;
}
