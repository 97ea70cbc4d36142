/* loading.c - taking in a snapshot, by one thread or by two.
 *
 * What makes up nearly all of a snapshot is one section of each kind for each partition, and partitions have
 * nothing in common but
 *
 *     - the pages that their stores are cut out of
 *     - the timers, which are apart for each half of the partitions: a share is a half
 *     - how many live instances each journey has, how many people are in each segment, how much is in inboxes
 *
 * So a second thread takes its partitions' pages from a heap of its own, counts for itself, and when it is
 * done both are added to the engine's. Everything else that loading looks at (names, plans, what operators said)
 * is loaded before and does not change meanwhile.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/mem.h"
#include "engine/persist.h"

struct load_share {
    struct engine *engine;
    uint32_t from, to; /* partitions */
    struct pages pages;
    struct map_u64 live;
    struct map_u64 members;
    uint32_t inbox_count;
};

static void take_pages_from(struct engine *e, uint32_t from, uint32_t to, struct pages *pages)
{
    for (uint32_t i = from; i < to; i++) {
        e->partitions[i].space.pages = pages;
        e->identity.ids[i].pages = pages;
        e->identity.messages[i].pages = pages;
    }
}

bool engine_loads_apart(struct str section)
{
    return persist_is_of_partition(section);
}

enum status engine_load(struct engine *e, struct str section, uint32_t partition, struct str bytes,
                        struct fault *f)
{
    struct loading l = {e, &e->live, &e->members, &e->inbox_count};
    return persist_load(&l, section, partition, bytes, f);
}

struct load_share *engine_load_begin(struct engine *e, uint32_t from, uint32_t to)
{
    must(from <= to);
    must(to <= PARTITIONS);
    must(from % (PARTITIONS / 2) == 0); /* whose timers are apart */
    must(to % (PARTITIONS / 2) == 0);
    struct load_share *s = mem_new(sizeof(*s));
    s->engine = e;
    s->from = from;
    s->to = to;
    pages_init(&s->pages);
    map_u64_init(&s->live);
    map_u64_init(&s->members);
    take_pages_from(e, from, to, &s->pages);
    return s;
}

enum status engine_load_share(struct load_share *s, struct str section, uint32_t partition,
                              struct str bytes, struct fault *f)
{
    struct loading l = {s->engine, &s->live, &s->members, &s->inbox_count};
    must(persist_is_of_partition(section));
    if (partition < s->from || partition >= s->to) {
        fault_set(f, "section \"%.*s\" is of partition %u, which there is not", STR_ARG(section),
                  partition);
        return FIX_INPUT;
    }
    return persist_load(&l, section, partition, bytes, f);
}

void engine_load_end(struct load_share *s)
{
    struct engine *e = s->engine;
    pages_join(&e->pages, &s->pages);
    take_pages_from(e, s->from, s->to, &e->pages);
    for (uint32_t i = 0; i < s->live.count; i++)
        (void)engine_count_live(e, (uint32_t)s->live.entries[i].key,
                                (int32_t)s->live.entries[i].value);
    for (uint32_t i = 0; i < s->members.count; i++)
        engine_count_members(e, (uint32_t)s->members.entries[i].key,
                             (int32_t)s->members.entries[i].value);
    e->inbox_count += s->inbox_count;
    map_u64_fini(&s->live);
    map_u64_fini(&s->members);
    mem_free(s);
}
