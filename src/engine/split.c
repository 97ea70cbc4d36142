/* split.c - stages that run apart: for tests, and the simulator.
 *
 * One thread works on all partitions of a batch, one after the other in the order of their numbers, and what
 * pool and address gate answer is heard in the next batch. A machine with more threads, or a cluster, does
 * neither. What must hold then is tried here in two ways (struct engine_split):
 *
 *     order   partitions are worked on in an order drawn for each batch, and what they say to later stages
 *             comes in that order; their rows are put together by partition, as several threads would do.
 *             Nothing may come of it: the same rows, the same state.
 *     delay   a partition's inbox may wait from batch to batch, while records and timers of the same people
 *             go on. Other things may come of it, but what must hold of any state (audit.c) holds.
 *
 * Both are functions of the batch's number, so that a batch applied again leads to the same.
 *
 * Three things never overtake an answer, as whoever carries messages between machines has to see to it: a
 * receipt of the attempt that it is about, the erasing of a person, a change of release. And where a journey
 * takes in so many people and no more, the order of partitions says who: the profile stage counts them over
 * all. Under such a programme the order is left as it is.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "engine/engine_int.h"

#include "base/hash.h"
#include "base/mem.h"

struct split {
    struct engine_split how;
    bool is_shuffled;                             /* this batch is */
    uint8_t places[PARTITIONS];                   /* by partition: its turn */
    uint32_t at;                                  /* the partition at work; PARTITIONS = none yet */
    uint32_t first;                               /* the first row of the stage */
    uint32_t from[PARTITIONS], count[PARTITIONS]; /* each one's rows */
};

struct split *split_new(const struct engine_split *how)
{
    if (how->order == 0 && how->delay_permille == 0)
        return NULL;
    must(how->delay_permille < 1000);
    struct split *s = mem_new(sizeof(*s));
    s->how = *how;
    return s;
}

struct engine_split split_how(const struct split *s)
{
    return s != NULL ? s->how : (struct engine_split){0};
}

/* ---- the order of partitions ------------------------------------------------------------------- */

static bool has_capacity(const struct plan *plan)
{
    for (uint32_t i = 0; plan != NULL && i < plan->journey_count; i++)
        if (plan->journeys[i].capacity)
            return true;
    return false;
}

void split_begin(struct engine *e)
{
    struct split *s = e->split;
    s->at = PARTITIONS;
    s->first = e->results.count;
    memset(s->count, 0, sizeof(s->count));
    for (uint32_t i = 0; i < PARTITIONS; i++)
        s->places[i] = (uint8_t)i;
    s->is_shuffled = s->how.order != 0 && !has_capacity(engine_plan(e));
    uint64_t luck = hash_pair(s->how.order, e->batch);
    for (uint32_t i = PARTITIONS; s->is_shuffled && i-- > 1;) {
        uint32_t k = (uint32_t)(hash_pair(luck, i) % (i + 1));
        uint8_t place = s->places[i];
        s->places[i] = s->places[k];
        s->places[k] = place;
    }
}

uint32_t split_place(const struct split *s, uint32_t partition)
{
    must(partition < PARTITIONS);
    return s->places[partition];
}

static void end_rows(struct engine *e)
{
    struct split *s = e->split;
    if (s->at < PARTITIONS)
        s->count[s->at] = e->results.count - s->from[s->at];
}

void split_turn(struct engine *e, uint32_t partition)
{
    struct split *s = e->split;
    must(partition < PARTITIONS);
    if (s->at == partition)
        return;
    must(s->count[partition] == 0);
    end_rows(e);
    s->at = partition;
    s->from[partition] = e->results.count;
}

void split_end(struct engine *e)
{
    struct split *s = e->split;
    end_rows(e);
    must(s->first <= e->results.count);
    uint32_t count = e->results.count - s->first, next = s->first;
    if (!s->is_shuffled || count == 0)
        return;
    struct result *rows = arena_array(&e->scratch, struct result, count);
    memcpy(rows, &e->results.rows[s->first], count * sizeof(*rows));
    for (uint32_t i = 0; i < PARTITIONS; i++) {
        if (s->count[i] == 0)
            continue;
        memcpy(&e->results.rows[next], &rows[s->from[i] - s->first], s->count[i] * sizeof(*rows));
        next += s->count[i];
    }
    must(next == e->results.count);
}

/* ---- answers that wait ------------------------------------------------------------------------- */

/* May the record not come before what is in the inbox? */
static bool is_behind(const struct record *r, const struct messages *inbox)
{
    struct receipt receipt;
    if (r->type == RECORD_ERASE || r->type == RECORD_RELEASE)
        return true;
    if (r->type != RECORD_RECEIPT || !receipt_read(r, &receipt))
        return false;
    for (uint32_t i = 0; i < inbox->count; i++)
        if (inbox->at[i].decision == receipt.decision)
            return true;
    return false;
}

bool split_waits(const struct engine *e, const struct batch *b, uint32_t partition)
{
    const struct split *s = e->split;
    must(partition < PARTITIONS);
    const struct messages *inbox = &e->partitions[partition].inbox;
    if (s->how.delay_permille == 0 ||
        hash_pair(hash_pair(s->how.delay, b->number), partition) % 1000 >= s->how.delay_permille)
        return false;
    for (uint32_t i = 0; i < b->count; i++)
        if (is_behind(&b->records[i], inbox))
            return false;
    return true;
}
