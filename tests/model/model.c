// SPDX-License-Identifier: Apache-2.0
//
// The parts of each category's job, put together, and how what they see is written down.
#include "tests/model/model.h"

void sums_add(struct sums *s, const struct item *i)
{
    s->n++;
    if (i->nil)
        return;
    s->even += i->x % 2 == 0;
    s->sum += i->x;
    if (s->n_x == 0 || i->x < s->min)
        s->min = i->x;
    if (s->n_x == 0 || i->x > s->max)
        s->max = i->x;
    if (s->n_x == 0 || i->time < s->first_time) {
        s->first = i->x;
        s->first_time = i->time;
    }
    if (s->n_x == 0 || i->time >= s->last_time) {
        s->last = i->x;
        s->last_time = i->time;
    }
    s->n_x++;
}

// --- as text ---

static void put_key(struct buf *out, int key)
{
    buf_append_str(out, key_text(key));
}

static void put_cell(struct buf *out, const struct sums *s, int64_t v)
{
    buf_append_byte(out, '|');
    if (s->n_x > 0)
        put_int(out, v);
}

void put_row(struct buf *out, int key, int64_t start, int64_t end, const struct sums *s)
{
    put_key(out, key);
    buf_append_byte(out, '|');
    put_int(out, start);
    buf_append_byte(out, '|');
    put_int(out, end);
    buf_append_byte(out, '|');
    put_int(out, s->n);
    buf_append_byte(out, '|');
    put_int(out, s->even);
    put_cell(out, s, s->sum);
    buf_append_byte(out, '|');
    if (s->n_x > 0)
        put_bits(out, (double)s->sum / (double)s->n_x);
    put_cell(out, s, s->min);
    put_cell(out, s, s->max);
    put_cell(out, s, s->first);
    put_cell(out, s, s->last);
    buf_append_byte(out, '\n');
}

void put_look(struct buf *out, int look)
{
    buf_append_str(out, "look ");
    put_int(out, look);
    buf_append_byte(out, '\n');
}

void put_head(struct buf *out, int64_t time, int key)
{
    put_int(out, time);
    buf_append_byte(out, ' ');
    put_key(out, key);
    buf_append_byte(out, ' ');
}

static void put_field(struct buf *out, const char *name, const struct sums *s, int64_t v)
{
    buf_append_str(out, name);
    if (s->n_x > 0)
        put_int(out, v);
    else
        buf_append_str(out, "null");
}

void put_final(struct buf *out, int key, int64_t start, int64_t end, const struct sums *s)
{
    put_head(out, end - 1, key);
    buf_append_str(out, "{\"k\":\"");
    put_key(out, key);
    buf_append_str(out, "\",\"window_start\":");
    put_int(out, start);
    buf_append_str(out, ",\"window_end\":");
    put_int(out, end);
    buf_append_str(out, ",\"avg\":");
    if (s->n_x > 0)
        put_float(out, (double)s->sum / (double)s->n_x);
    else
        buf_append_str(out, "null");
    buf_append_str(out, ",\"even\":");
    put_int(out, s->even);
    put_field(out, ",\"first\":", s, s->first);
    put_field(out, ",\"last\":", s, s->last);
    put_field(out, ",\"max\":", s, s->max);
    put_field(out, ",\"min\":", s, s->min);
    buf_append_str(out, ",\"n\":");
    put_int(out, s->n);
    put_field(out, ",\"sum\":", s, s->sum);
    buf_append_str(out, "}\n");
}

void put_late(struct buf *out, const struct item *i)
{
    put_head(out, i->time, i->key);
    if (i->op != NULL) {
        record_json(i->op, out);
    } else {
        buf_append_str(out, "{\"k\":\"");
        put_key(out, i->key);
        buf_append_byte(out, '"');
        if (!i->nil) {
            buf_append_str(out, ",\"x\":");
            put_int(out, i->x);
        }
        buf_append_byte(out, '}');
    }
    buf_append_byte(out, '\n');
}

// --- jobs ---

void model_run(const struct trial *t, const struct transcript *engine, struct transcript *seen)
{
    struct timeline l;
    struct stream next = {0};
    struct part first = {t, &l, &l.records, &t->first, "first", "first.final", "first.late",
                         NULL, seen};
    struct part second = {t, &l, &l.records, &t->second, "second", "second.final", "second.late",
                          "second.changes", seen};
    struct part upper = {t, &l, &next, &t->upper, "upper", "upper.final", "upper.late", NULL, seen};

    timeline_make(t, &engine->steps, &l);
    switch (t->category) {
    case WINDOWS:
        model_windows(&first, &next);
        model_windows(&second, NULL);
        break;
    case SESSIONS:
        model_sessions(&first, &next);
        break;
    case LOOK_BACK:
        model_look_back(&first, &next);
        break;
    case JOINS:
    case CATEGORIES:
        model_join(&first, &next);
        upper.late = NULL; // what is late there is the whole pair: nobody reads it
        break;
    }
    model_windows(&upper, NULL);
    stream_free(&next);
    timeline_free(&l);
}
