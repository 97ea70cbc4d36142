/* SPDX-License-Identifier: Apache-2.0 */
#include "model/rare.h"

static struct vec *touch_list(struct space *s, const struct profile *p, enum rare_list which)
{
    return &((struct rares *)space_touch(s, p->rares))->lists[which];
}

/* The last list that was not empty may be now. */
static void free_if_empty(struct space *s, struct profile *p)
{
    for (uint32_t i = 0; i < RARE_END; i++)
        if (p->rare[i].count != 0)
            return;
    space_free(s, p->rares, sizeof(struct rares));
    p->rares = 0;
}

void *rare_push(struct space *s, struct profile *p, enum rare_list which, uint32_t element_bytes)
{
    if (p->rares == 0)
        p->rares = space_alloc(s, sizeof(struct rares));
    struct vec *list = touch_list(s, p, which);
    must(list->count == p->rare[which].count);
    void *at = vec_push(s, list, element_bytes);
    p->rare[which].count = list->count;
    return at;
}

void rare_drop(struct space *s, struct profile *p, enum rare_list which, uint32_t i,
               uint32_t element_bytes)
{
    must(i < p->rare[which].count);
    struct vec *list = touch_list(s, p, which);
    vec_drop(s, list, i, element_bytes);
    p->rare[which].count = list->count;
    if (list->count == 0)
        free_if_empty(s, p);
}

void rare_clear(struct space *s, struct profile *p, enum rare_list which, uint32_t element_bytes)
{
    if (p->rare[which].count == 0)
        return;
    vec_clear(s, touch_list(s, p, which), element_bytes);
    p->rare[which].count = 0;
    free_if_empty(s, p);
}
