/* plans.c - compiles each programme once.
 *
 * A server compiles its programmes at each start, and a simulator does little else but start servers. A plan is
 * a function of the programme's bytes and of the names that there are before; it keeps nothing of either, and
 * nobody writes to it. So the program is linked with these two in the place of the room's own (tests/rules.mk,
 * --wrap): what was compiled before, with the very same names in the very same order, is given out again, and
 * the names that came of it then are made again. With any other name in the table it is compiled anew: that a
 * plan does not depend on names which came into the log behind it, starts go on to show.
 *
 * Snapshots are loaded by threads, so there is a lock.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <pthread.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "model/names.h"
#include "model/plan.h"
#include "programme/programme.h"

#define PLANS_MAX 64 /* kept though nobody has them */

struct compiled {
    struct plan *plan; /* NULL: the place is free */
    uint64_t before;   /* the names that there were */
    struct arena arena;
    struct str *added; /* those that came of it, in order */
    uint32_t added_count;
    uint32_t holders;
    uint64_t used; /* when last */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct compiled *kept;
static uint32_t kept_count;
static uint64_t uses;

enum status __real_programme_compile(const struct programme_folder *folder, struct names *names,
                                     struct plan **out, struct findings *findings);
enum status __wrap_programme_compile(const struct programme_folder *folder, struct names *names,
                                     struct plan **out, struct findings *findings);
void __real_programme_plan_free(struct plan *plan);
void __wrap_programme_plan_free(struct plan *plan);

static uint64_t hash_names(const struct names *names)
{
    uint64_t hash = names_count(names);
    for (uint32_t i = NAME_FIXED_END; i < names_count(names); i++)
        hash = hash_str(names_text(names, i), hash);
    return hash;
}

/* A free place, or that of the plan which nobody has had for the longest. */
static struct compiled *place_of_one(void)
{
    struct compiled *oldest = NULL;
    for (uint32_t i = 0; i < kept_count && kept_count >= PLANS_MAX; i++)
        if (kept[i].holders == 0 && (oldest == NULL || kept[i].used < oldest->used))
            oldest = &kept[i];
    if (oldest != NULL) {
        __real_programme_plan_free(oldest->plan);
        arena_fini(&oldest->arena);
        return oldest;
    }
    kept = mem_resize(kept, (kept_count + 1) * sizeof(kept[0]));
    return &kept[kept_count++];
}

static void keep(struct plan *plan, uint64_t before, const struct names *names, uint32_t first)
{
    struct compiled *c = place_of_one();
    *c = (struct compiled){.plan = plan,
                           .before = before,
                           .added_count = names_count(names) - first,
                           .holders = 1,
                           .used = ++uses};
    arena_init(&c->arena, 1024);
    c->added = arena_array(&c->arena, struct str, c->added_count);
    for (uint32_t i = 0; i < c->added_count; i++)
        c->added[i] = arena_copy(&c->arena, names_text(names, first + i));
}

static struct compiled *find(const struct programme_folder *folder, uint64_t before)
{
    for (uint32_t i = 0; i < kept_count; i++)
        if (kept[i].before == before && strcmp(kept[i].plan->hash, folder->hash) == 0)
            return &kept[i];
    return NULL;
}

enum status __wrap_programme_compile(const struct programme_folder *folder, struct names *names,
                                     struct plan **out, struct findings *findings)
{
    pthread_mutex_lock(&lock);
    enum status status = OK;
    uint64_t before = hash_names(names);
    uint32_t first = names_count(names);
    struct compiled *c = find(folder, before);
    if (c != NULL) {
        for (uint32_t i = 0; i < c->added_count; i++) {
            uint32_t name = names_add(names, c->added[i]);
            must(name == first + i);
        }
        c->holders++;
        c->used = ++uses;
        *out = c->plan;
    } else {
        status = __real_programme_compile(folder, names, out, findings);
        if (status == OK)
            keep(*out, before, names, first);
    }
    pthread_mutex_unlock(&lock);
    return status;
}

void __wrap_programme_plan_free(struct plan *plan)
{
    uint32_t i = 0;
    if (plan == NULL)
        return;
    pthread_mutex_lock(&lock);
    while (i < kept_count && kept[i].plan != plan)
        i++;
    must(i < kept_count);
    must(kept[i].holders > 0);
    kept[i].holders--;
    pthread_mutex_unlock(&lock);
}
