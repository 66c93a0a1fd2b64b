// SPDX-License-Identifier: Apache-2.0
#include "operators/aggregates.h"

#include "operators/pack.h"

#include <math.h>

int agg_number(const struct agg_env *env, const struct value *v, double *d, struct err *e)
{
    switch ((enum value_type)v->type) {
    case VALUE_INT:
        *d = (double)v->i;
        return 0;
    case VALUE_FLOAT:
        *d = v->f;
        return 0;
    case VALUE_DECIMAL:
        *d = (double)v->i / pow(10, v->scale);
        return 0;
    default:
        return err_set(e, LEAT_ETYPE, "%s wants numbers, not %s", agg_kind_name(env->spec->kind),
                       value_type_name(v));
    }
}

// --- count ---

static int count_add(struct agg_env *env, void *acc, const struct value *v, int64_t time,
                     struct err *e)
{
    (void)env, (void)time, (void)e;
    *(int64_t *)acc += value_truthy(v);
    return 0;
}

static int count_merge(struct agg_env *env, void *acc, const void *other, struct err *e)
{
    (void)env, (void)e;
    *(int64_t *)acc += *(const int64_t *)other;
    return 0;
}

static struct value count_result(const struct plan_aggregate *spec, const void *acc,
                                 struct arena *a)
{
    (void)spec, (void)a;
    return value_int(*(const int64_t *)acc);
}

static int count_pack(const void *acc, struct buf *out, struct err *e)
{
    (void)e;
    pack_int(out, *(const int64_t *)acc);
    return 0;
}

static int count_unpack(struct agg_env *env, void *acc, struct bytes *in)
{
    (void)env;
    return unpack_int(in, acc);
}

// --- sum and avg ---

enum sum_kind { SUM_EMPTY, SUM_INT, SUM_DECIMAL, SUM_FLOAT };

struct acc_sum {
    int64_t i;    // integers, scaled by 10^scale
    double f, c;  // floats, and what their additions lost (Neumaier)
    int64_t n;    // values
    uint8_t kind; // the widest seen
    uint8_t scale;
};

static int sum_overflow(struct err *e)
{
    return err_set(e, LEAT_ETYPE, "the sum does not fit into 64 bits");
}

static int rescale(int64_t *i, int from, int to, struct err *e)
{
    for (; from < to; from++)
        if (__builtin_mul_overflow(*i, 10, i))
            return sum_overflow(e);
    return 0;
}

static int sum_add_int(struct acc_sum *s, int64_t i, int scale, struct err *e)
{
    int to = scale > s->scale ? scale : s->scale;
    int rc = rescale(&s->i, s->scale, to, e);

    if (rc == 0)
        rc = rescale(&i, scale, to, e);
    s->scale = (uint8_t)to;
    if (rc == 0 && __builtin_add_overflow(s->i, i, &s->i))
        rc = sum_overflow(e);
    return rc;
}

static int sum_add_float(struct acc_sum *s, double f, struct err *e)
{
    double t = s->f + f;

    if (!isfinite(t))
        return err_set(e, LEAT_ENUMBER, "the sum is not finite");
    s->c += fabs(s->f) >= fabs(f) ? (s->f - t) + f : (f - t) + s->f;
    s->f = t;
    return 0;
}

static int sum_widen(struct acc_sum *s, enum sum_kind kind, struct err *e)
{
    if ((s->kind == SUM_DECIMAL && kind == SUM_FLOAT) ||
        (s->kind == SUM_FLOAT && kind == SUM_DECIMAL))
        return err_set(e, LEAT_ETYPE, "decimals and floats cannot be summed together");
    if (kind > s->kind)
        s->kind = (uint8_t)kind;
    return 0;
}

static int sum_add(struct agg_env *env, void *acc, const struct value *v, int64_t time,
                   struct err *e)
{
    struct acc_sum *s = acc;
    int rc;

    (void)env, (void)time;
    switch ((enum value_type)v->type) {
    case VALUE_INT:
        rc = sum_widen(s, SUM_INT, e);
        rc = rc < 0 ? rc : sum_add_int(s, v->i, 0, e);
        break;
    case VALUE_DECIMAL:
        rc = sum_widen(s, SUM_DECIMAL, e);
        rc = rc < 0 ? rc : sum_add_int(s, v->i, v->scale, e);
        break;
    case VALUE_FLOAT:
        rc = sum_widen(s, SUM_FLOAT, e);
        rc = rc < 0 ? rc : sum_add_float(s, v->f, e);
        break;
    default:
        return err_set(e, LEAT_ETYPE, "cannot sum %s", value_type_name(v));
    }
    s->n++;
    return rc;
}

static int sum_merge(struct agg_env *env, void *acc, const void *other, struct err *e)
{
    struct acc_sum *s = acc;
    const struct acc_sum *o = other;
    int rc;

    (void)env;
    if (o->n == 0)
        return 0;
    rc = sum_widen(s, (enum sum_kind)o->kind, e);
    if (rc == 0)
        rc = sum_add_int(s, o->i, o->scale, e);
    if (rc == 0)
        rc = sum_add_float(s, o->f, e);
    s->c += o->c;
    s->n += o->n;
    return rc;
}

static struct value sum_result(const struct plan_aggregate *spec, const void *acc,
                               struct arena *a)
{
    const struct acc_sum *s = acc;

    (void)spec, (void)a;
    switch ((enum sum_kind)s->kind) {
    case SUM_INT:
        return value_int(s->i);
    case SUM_DECIMAL:
        return (struct value){.type = VALUE_DECIMAL, .scale = s->scale, .i = s->i};
    case SUM_FLOAT:
        return value_float((double)s->i + (s->f + s->c));
    case SUM_EMPTY:
        break;
    }
    return VALUE_OF_NULL;
}

static struct value avg_result(const struct plan_aggregate *spec, const void *acc,
                               struct arena *a)
{
    const struct acc_sum *s = acc;
    double sum = (double)s->i;

    (void)spec, (void)a;
    if (s->n == 0)
        return VALUE_OF_NULL;
    if (s->kind == SUM_DECIMAL)
        sum /= pow(10, s->scale);
    return value_float((sum + (s->f + s->c)) / (double)s->n);
}

static int sum_pack(const void *acc, struct buf *out, struct err *e)
{
    const struct acc_sum *s = acc;

    (void)e;
    pack_u8(out, s->kind);
    pack_int(out, s->n);
    pack_int(out, s->i);
    if (s->kind == SUM_DECIMAL)
        pack_u8(out, s->scale);
    if (s->kind == SUM_FLOAT) {
        pack_f64(out, s->f);
        pack_f64(out, s->c);
    }
    return 0;
}

static int sum_unpack(struct agg_env *env, void *acc, struct bytes *in)
{
    struct acc_sum *s = acc;
    int rc = unpack_u8(in, &s->kind);

    (void)env;
    rc = rc < 0 ? rc : unpack_int(in, &s->n);
    rc = rc < 0 ? rc : unpack_int(in, &s->i);
    if (rc == 0 && s->kind == SUM_DECIMAL)
        rc = unpack_u8(in, &s->scale);
    if (rc == 0 && s->kind == SUM_FLOAT) {
        rc = unpack_f64(in, &s->f);
        rc = rc < 0 ? rc : unpack_f64(in, &s->c);
    }
    if (rc == 0 && (s->kind > SUM_FLOAT || s->scale > 18))
        return LEAT_ECORRUPT;
    return rc;
}

// --- min and max ---

static int extreme_add(struct agg_env *env, struct value *acc, const struct value *v, int sign,
                       struct err *e)
{
    int cmp = -1, rc;

    if (v->type == VALUE_BOOL || value_is_object(v) || value_is_array(v))
        return err_set(e, LEAT_ETYPE, "cannot compare %s", value_type_name(v));
    if (acc->type == VALUE_MISSING)
        return kept_set(env, acc, v, e);
    rc = value_cmp(v, acc, &cmp, e);
    if (rc < 0)
        return rc;
    return cmp * sign > 0 ? kept_set(env, acc, v, e) : 0;
}

static int min_add(struct agg_env *env, void *acc, const struct value *v, int64_t time,
                   struct err *e)
{
    (void)time;
    return extreme_add(env, acc, v, -1, e);
}

static int max_add(struct agg_env *env, void *acc, const struct value *v, int64_t time,
                   struct err *e)
{
    (void)time;
    return extreme_add(env, acc, v, 1, e);
}

static int min_merge(struct agg_env *env, void *acc, const void *other, struct err *e)
{
    const struct value *v = other;

    return v->type == VALUE_MISSING ? 0 : extreme_add(env, acc, v, -1, e);
}

static int max_merge(struct agg_env *env, void *acc, const void *other, struct err *e)
{
    const struct value *v = other;

    return v->type == VALUE_MISSING ? 0 : extreme_add(env, acc, v, 1, e);
}

static struct value extreme_result(const struct plan_aggregate *spec, const void *acc,
                                   struct arena *a)
{
    const struct value *v = acc;

    (void)spec, (void)a;
    return v->type == VALUE_MISSING ? VALUE_OF_NULL : *v;
}

static int extreme_pack(const void *acc, struct buf *out, struct err *e)
{
    return pack_value(out, acc, e);
}

static int extreme_unpack(struct agg_env *env, void *acc, struct bytes *in)
{
    return kept_unpack(env, in, acc);
}

static void extreme_drop(void *acc)
{
    kept_drop(acc);
}

// --- first and last ---

struct acc_timed {
    struct value value; // MISSING: none yet
    int64_t time;
};

static int timed_set(struct agg_env *env, struct acc_timed *t, const struct value *v, int64_t time,
                     struct err *e)
{
    t->time = time;
    return kept_set(env, &t->value, v, e);
}

static int first_add(struct agg_env *env, void *acc, const struct value *v, int64_t time,
                     struct err *e)
{
    struct acc_timed *t = acc;

    if (t->value.type != VALUE_MISSING && time >= t->time)
        return 0;
    return timed_set(env, t, v, time, e);
}

static int last_add(struct agg_env *env, void *acc, const struct value *v, int64_t time,
                    struct err *e)
{
    struct acc_timed *t = acc;

    if (t->value.type != VALUE_MISSING && time < t->time)
        return 0;
    return timed_set(env, t, v, time, e);
}

static int first_merge(struct agg_env *env, void *acc, const void *other, struct err *e)
{
    const struct acc_timed *t = other;

    return t->value.type == VALUE_MISSING ? 0 : first_add(env, acc, &t->value, t->time, e);
}

static int last_merge(struct agg_env *env, void *acc, const void *other, struct err *e)
{
    const struct acc_timed *t = other;

    return t->value.type == VALUE_MISSING ? 0 : last_add(env, acc, &t->value, t->time, e);
}

static struct value timed_result(const struct plan_aggregate *spec, const void *acc,
                                 struct arena *a)
{
    return extreme_result(spec, &((const struct acc_timed *)acc)->value, a);
}

static int timed_pack(const void *acc, struct buf *out, struct err *e)
{
    const struct acc_timed *t = acc;

    pack_int(out, t->time);
    return pack_value(out, &t->value, e);
}

static int timed_unpack(struct agg_env *env, void *acc, struct bytes *in)
{
    struct acc_timed *t = acc;
    int rc = unpack_int(in, &t->time);

    return rc < 0 ? rc : kept_unpack(env, in, &t->value);
}

static void timed_drop(void *acc)
{
    kept_drop(&((struct acc_timed *)acc)->value);
}

// --- stddev ---

struct acc_moments {
    int64_t n;
    double mean, m2; // m2: sum of squared distances from the mean
};

static int moments_check(const struct acc_moments *m, struct err *e)
{
    return isfinite(m->m2) ? 0 : err_set(e, LEAT_ENUMBER, "the deviation is not finite");
}

static int stddev_add(struct agg_env *env, void *acc, const struct value *v, int64_t time,
                      struct err *e)
{
    struct acc_moments *m = acc;
    double d, off;
    int rc = agg_number(env, v, &d, e);

    (void)time;
    if (rc < 0)
        return rc;
    off = d - m->mean;
    m->n++;
    m->mean += off / (double)m->n;
    m->m2 += off * (d - m->mean);
    return moments_check(m, e);
}

static int stddev_merge(struct agg_env *env, void *acc, const void *other, struct err *e)
{
    struct acc_moments *m = acc;
    const struct acc_moments *o = other;
    double off = o->mean - m->mean, n = (double)m->n + (double)o->n;

    (void)env;
    if (o->n == 0)
        return 0;
    m->mean += off * ((double)o->n / n);
    m->m2 += o->m2 + off * off * ((double)m->n / n * (double)o->n);
    m->n += o->n;
    return moments_check(m, e);
}

static struct value stddev_result(const struct plan_aggregate *spec, const void *acc,
                                  struct arena *a)
{
    const struct acc_moments *m = acc;

    (void)spec, (void)a;
    return m->n < 2 ? VALUE_OF_NULL : value_float(sqrt(m->m2 / (double)(m->n - 1)));
}

static int stddev_pack(const void *acc, struct buf *out, struct err *e)
{
    const struct acc_moments *m = acc;

    (void)e;
    pack_int(out, m->n);
    pack_f64(out, m->mean);
    pack_f64(out, m->m2);
    return 0;
}

static int stddev_unpack(struct agg_env *env, void *acc, struct bytes *in)
{
    struct acc_moments *m = acc;
    int rc = unpack_int(in, &m->n);

    (void)env;
    rc = rc < 0 ? rc : unpack_f64(in, &m->mean);
    return rc < 0 ? rc : unpack_f64(in, &m->m2);
}

// --- the table ---

static const struct agg_type simple[] = {
    [AGG_COUNT] = {sizeof(int64_t), count_add, count_merge, count_result, count_pack, count_unpack,
                   NULL},
    [AGG_SUM] = {sizeof(struct acc_sum), sum_add, sum_merge, sum_result, sum_pack, sum_unpack,
                 NULL},
    [AGG_AVG] = {sizeof(struct acc_sum), sum_add, sum_merge, avg_result, sum_pack, sum_unpack,
                 NULL},
    [AGG_MIN] = {sizeof(struct value), min_add, min_merge, extreme_result, extreme_pack,
                 extreme_unpack, extreme_drop},
    [AGG_MAX] = {sizeof(struct value), max_add, max_merge, extreme_result, extreme_pack,
                 extreme_unpack, extreme_drop},
    [AGG_FIRST] = {sizeof(struct acc_timed), first_add, first_merge, timed_result, timed_pack,
                   timed_unpack, timed_drop},
    [AGG_LAST] = {sizeof(struct acc_timed), last_add, last_merge, timed_result, timed_pack,
                  timed_unpack, timed_drop},
    [AGG_STDDEV] = {sizeof(struct acc_moments), stddev_add, stddev_merge, stddev_result,
                    stddev_pack, stddev_unpack, NULL},
};

const struct agg_type *agg_type(enum agg_kind kind)
{
    switch (kind) {
    case AGG_QUANTILE:
        return &agg_quantile;
    case AGG_DISTINCT:
        return &agg_distinct;
    case AGG_TOP:
        return &agg_top;
    case AGG_COLLECT:
        return &agg_collect;
    default:
        return kind < ARRAY_LEN(simple) && simple[kind].add != NULL ? &simple[kind] : NULL;
    }
}
