/* SPDX-License-Identifier: Apache-2.0 */
#include "server/journeys.h"

#include <stdatomic.h>

#include "base/arena.h"
#include "base/mem.h"

struct list {
    struct list *before;
    const struct plan *plan; /* whose they are */
    uint32_t count;
    struct str *names;
    struct arena arena;
};

struct journeys {
    _Atomic(struct list *) newest;
};

struct journeys *journeys_new(void)
{
    return mem_new(sizeof(struct journeys));
}

void journeys_free(struct journeys *j)
{
    struct list *list = j != NULL ? atomic_load(&j->newest) : NULL;
    while (list != NULL) {
        struct list *before = list->before;
        arena_fini(&list->arena);
        mem_free(list);
        list = before;
    }
    mem_free(j);
}

void journeys_post(struct journeys *j, const struct engine *e)
{
    const struct plans *plans = engine_plans(e);
    const struct plan *plan = plans->newest ? plans->at[plans->newest] : NULL;
    struct list *before = atomic_load(&j->newest);
    if (plan == NULL || (before != NULL && before->plan == plan))
        return;
    struct list *list = mem_new(sizeof(*list));
    arena_init(&list->arena, 4096);
    list->before = before;
    list->plan = plan;
    list->count = plan->journey_count;
    list->names = arena_array(&list->arena, struct str, plan->journey_count + 1);
    for (uint32_t i = 0; i < plan->journey_count; i++)
        list->names[i] =
            arena_copy(&list->arena, names_text(engine_names(e), plan->journeys[i].name));
    atomic_store(&j->newest, list);
}

bool journeys_know(struct journeys *j, struct str name, struct str *nearest)
{
    const struct list *list = atomic_load(&j->newest);
    *nearest = STR("");
    if (list == NULL)
        return true;
    for (uint32_t i = 0; i < list->count; i++)
        if (str_equal(list->names[i], name))
            return true;
    *nearest = str_nearest(name, list->names, list->count);
    return false;
}
