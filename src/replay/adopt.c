/* SPDX-License-Identifier: Apache-2.0 */
#include "replay/adopt.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* ---- grants of both sides ------------------------------------------------------------------------ */

struct list {
    struct keep **at;
    uint32_t *count, *room;
    const struct plans *plans;
};

/* The name of the row's step; NAME_NONE: there is none such here. */
static uint32_t step_of(const struct plans *plans, const struct result *row)
{
    const struct plan *plan = row->version < plans->count ? plans->at[row->version] : NULL;
    uint16_t journey = plan != NULL ? plan_journey_find(plan, row->journey) : PLAN_NO_INDEX;
    if (journey == PLAN_NO_INDEX || row->step >= plan->journeys[journey].step_count)
        return NAME_NONE;
    return plan->journeys[journey].steps[row->step].id;
}

static bool read_grant(const struct plans *plans, const struct result *row, struct keep *out)
{
    *out = (struct keep){.channel = row->how,
                         .attempt = row->step,
                         .profile = row->profile,
                         .decision = row->id,
                         .journey = row->journey,
                         .message = row->message,
                         .granted_ms = row->at_ms};
    if (row->kind == RESULT_LISTED && row->how == LISTED_IS_HANDED) {
        out->is_listing = true;
        out->channel = CHANNEL_WEBHOOK;
        out->message = (uint32_t)row->number;
        return true;
    }
    if (row->kind != RESULT_ERRAND || row->how != ERRAND_IS_HANDED)
        return row->kind == RESULT_GRANTED;
    out->is_errand = true;
    out->channel = CHANNEL_WEBHOOK;
    out->attempt = (uint32_t)row->number;
    out->message = step_of(plans, row);
    return row->number > 0 && row->number <= UINT16_MAX && out->message != NAME_NONE;
}

static void note_grant(void *self, const struct result *row)
{
    const struct list *l = self;
    struct keep made;
    if (!read_grant(l->plans, row, &made))
        return;
    if (*l->count == *l->room) {
        *l->room = *l->room ? *l->room * 2 : 64;
        *l->at = mem_resize(*l->at, *l->room * sizeof((*l->at)[0]));
    }
    (*l->at)[(*l->count)++] = made;
}

static void note_difference(void *self, const struct recovered *so_far,
                            const struct difference *what)
{
    struct trial *t = self;
    const struct plans *plans = engine_plans(so_far->engine);
    struct list stored = {&t->stored, &t->stored_count, &t->stored_room, plans};
    struct list made = {&t->made, &t->made_count, &t->made_room, plans};
    if (so_far->adopted_batch > what->batch) {
        t->adopted_before = so_far->adopted_batch;
        return;
    }
    if (what->stored.at == NULL) {
        t->unstored++;
    } else if (t->batches++ == 0) {
        t->first_batch = what->batch;
        t->first_ms = what->now_ms;
        difference_tell(what, so_far->shelf.names, t->first);
    }
    /* What was made of a batch without a block is no news; that it was made says what is not to be kept. */
    uint32_t before = t->made_count;
    difference_rows(what->stored, what->now_ms, &stored, note_grant);
    difference_rows(what->made, what->now_ms, &made, note_grant);
    for (uint32_t i = before; i < t->made_count && what->stored.at != NULL; i++)
        t->made[i].kind = RELEASE_UNDONE;
}

static int by_attempt(const void *a, const void *b)
{
    const struct keep *x = a, *y = b;
    if (x->is_errand != y->is_errand)
        return x->is_errand ? 1 : -1;
    if (x->is_listing != y->is_listing)
        return x->is_listing ? 1 : -1;
    if (x->decision != y->decision)
        return x->decision < y->decision ? -1 : 1;
    if (x->is_errand && x->message != y->message)
        return x->message < y->message ? -1 : 1;
    return x->attempt < y->attempt ? -1 : x->attempt > y->attempt;
}

/* What only one side has. Both lists are in order. */
static void weigh(struct trial *t)
{
    uint32_t i = 0, k = 0;
    if (t->stored_count > 0)
        qsort(t->stored, t->stored_count, sizeof(t->stored[0]), by_attempt);
    if (t->made_count > 0)
        qsort(t->made, t->made_count, sizeof(t->made[0]), by_attempt);
    t->keeps = mem_new((t->stored_count + t->made_count + 1) * sizeof(t->keeps[0]));
    while (i < t->stored_count || k < t->made_count) {
        int order = i == t->stored_count ? 1
                    : k == t->made_count ? -1
                                         : by_attempt(&t->stored[i], &t->made[k]);
        struct keep *out = &t->keeps[t->keep_count];
        if (order < 0) {
            *out = t->stored[i++];
            out->kind = RELEASE_KEPT;
            t->kept_count++;
            t->keep_count++;
        } else if (order > 0) {
            *out = t->made[k++];
            if (out->kind == RELEASE_UNDONE)
                t->keep_count++;
        } else {
            i++;
            k++;
        }
    }
}

/* ---- the trial ----------------------------------------------------------------------------------- */

enum status trial_run(const struct directory *d, struct evlog *log, struct trial *t,
                      struct fault *f)
{
    *t = (struct trial){0};
    struct recover_options options = {.is_tolerant = true, .self = t, .differs = note_difference};
    enum status status = log != NULL ? recover_to_write(d, log, &options, &t->recovered, f)
                                     : recover(d, &options, &t->recovered, f);
    t->snapshot_batch = t->recovered.snapshot_batch;
    if (status == OK)
        weigh(t);
    return status;
}

void trial_fini(struct trial *t)
{
    recovered_fini(&t->recovered);
    mem_free(t->keeps);
    mem_free(t->stored);
    mem_free(t->made);
    *t = (struct trial){0};
}

bool trial_differs(const struct trial *t)
{
    return t->batches > 0 || t->recovered.crossed_batch != 0;
}

/* ---- adopting ------------------------------------------------------------------------------------ */

enum status trial_adopt(const struct takeover *takeover, const struct trial *t, struct str words,
                        struct fault *f)
{
    struct arena arena;
    if (t->batches == 0)
        return OK;
    if (t->keep_count >= BATCH_RECORDS_MAX) {
        fault_set(f,
                  "%u attempts came out otherwise, one record can have %u: this release decides "
                  "otherwise too far back to be adopted",
                  t->keep_count, BATCH_RECORDS_MAX - 1);
        return FIX_INPUT;
    }
    arena_init(&arena, 65536);
    struct record *records = arena_array(&arena, struct record, t->keep_count + 1);
    struct release_record said = {.kind = RELEASE_ADOPTED,
                                  .release = release_here(),
                                  .batch = t->first_batch,
                                  .words = words};
    struct buf clear;
    buf_init(&clear);
    for (uint32_t i = 0; i <= t->keep_count; i++) {
        if (i == 0)
            release_write(&said, &clear, &records[i]);
        else
            keep_write(&t->keeps[i - 1], &clear, &records[i]);
        struct str kept = arena_copy(&arena, buf_str(&clear));
        records[i].clear = (struct body){(const uint8_t *)kept.at, (uint32_t)kept.len};
    }
    buf_fini(&clear);
    enum status status = take_over_batch(takeover, records, t->keep_count + 1, f);
    arena_fini(&arena);
    return status;
}
