// SPDX-License-Identifier: Apache-2.0
//
// Intrusive doubly linked list: the head is a link itself, an empty list points to itself. A link
// that is on no list must be list_init'ed; list_remove leaves it so. "Detach, then fire": list_take
// moves everything aside before callbacks run.
#ifndef LEAT_BASE_LIST_H
#define LEAT_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct link {
    struct link *prev, *next;
};

static inline void list_init(struct link *l)
{
    l->prev = l->next = l;
}

static inline bool list_empty(const struct link *l)
{
    return l->next == l;
}

static inline void list_push(struct link *head, struct link *l) // at the tail
{
    l->prev = head->prev;
    l->next = head;
    head->prev->next = l;
    head->prev = l;
}

static inline void list_remove(struct link *l)
{
    l->prev->next = l->next;
    l->next->prev = l->prev;
    list_init(l);
}

static inline struct link *list_pop(struct link *head) // from the front; NULL when empty
{
    struct link *l = head->next;

    if (l == head)
        return NULL;
    list_remove(l);
    return l;
}

static inline void list_take(struct link *from, struct link *to)
{
    list_init(to);
    if (list_empty(from))
        return;
    to->next = from->next;
    to->prev = from->prev;
    to->next->prev = to;
    to->prev->next = to;
    list_init(from);
}

#endif
