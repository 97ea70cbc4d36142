/* SPDX-License-Identifier: Apache-2.0 */
#include "model/rare.h"

static uint32_t vecs_bytes(uint32_t count)
{
    return count * (uint32_t)sizeof(struct vec);
}

static struct vec *touch_list(struct space *s, const struct profile *p, enum rare_list which)
{
    return (struct vec *)space_touch(s, p->rares) + rare_place(p, which);
}

/* Room for a list that has been empty: its struct vec is all zero. */
static struct vec *open_list(struct space *s, struct profile *p, enum rare_list which)
{
    uint32_t count = rare_place(p, RARE_END), place = rare_place(p, which);
    uint32_t before = p->rares;
    p->rares = space_alloc(s, vecs_bytes(count + 1));
    struct vec *to = space_touch(s, p->rares);
    if (count > 0) {
        const struct vec *from = space_at(s, before);
        memcpy(to, from, vecs_bytes(place));
        memcpy(to + place + 1, from + place, vecs_bytes(count - place));
        space_free(s, before, vecs_bytes(count));
    }
    return to + place;
}

/* The list is empty: its struct vec goes. Its count still says that it is there. */
static void close_list(struct space *s, struct profile *p, enum rare_list which)
{
    uint32_t count = rare_place(p, RARE_END), place = rare_place(p, which);
    uint32_t before = p->rares;
    must(count > 0);
    p->rares = count > 1 ? space_alloc(s, vecs_bytes(count - 1)) : 0;
    if (count > 1) {
        const struct vec *from = space_at(s, before);
        struct vec *to = space_touch(s, p->rares);
        memcpy(to, from, vecs_bytes(place));
        memcpy(to + place, from + place + 1, vecs_bytes(count - 1 - place));
    }
    space_free(s, before, vecs_bytes(count));
    p->rare[which].count = 0;
}

void *rare_push(struct space *s, struct profile *p, enum rare_list which, uint32_t element_bytes)
{
    must(profile_forward(p) == 0);
    struct vec *list = p->rare[which].count == 0 ? open_list(s, p, which) : touch_list(s, p, which);
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
    if (list->count == 0)
        close_list(s, p, which);
    else
        p->rare[which].count = list->count;
}

void rare_clear(struct space *s, struct profile *p, enum rare_list which, uint32_t element_bytes)
{
    if (p->rare[which].count == 0)
        return;
    vec_clear(s, touch_list(s, p, which), element_bytes);
    close_list(s, p, which);
}

struct standing profile_standing(const struct space *s, const struct profile *p)
{
    struct standing none = {0};
    if (p->standings.count == 0)
        return none;
    return *(const struct standing *)rare_at(s, p, RARE_STANDINGS, 0, sizeof(none));
}

void profile_set_standing(struct space *s, struct profile *p, struct standing standing)
{
    bool is_any = standing.stage != 0 || standing.set != 0 || standing.since_ms != 0;
    struct standing *at = NULL;
    if (!is_any)
        rare_clear(s, p, RARE_STANDINGS, sizeof(standing));
    else if (p->standings.count == 0)
        at = rare_push(s, p, RARE_STANDINGS, sizeof(standing));
    else
        at = rare_touch(s, p, RARE_STANDINGS, 0, sizeof(standing));
    if (at != NULL)
        *at = standing;
}
