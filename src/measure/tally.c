/* SPDX-License-Identifier: Apache-2.0 */
#include "measure/tally.h"

#include "base/hash.h"
#include "base/mem.h"

void tally_init(struct tally *t)
{
    *t = (struct tally){0};
    map_u64_init(&t->places);
}

void tally_fini(struct tally *t)
{
    map_u64_fini(&t->places);
    mem_free(t->rows);
    *t = (struct tally){0};
}

/* What the row is about beside its journey: a message, or the segment whose condition failed. */
static uint32_t subject_of(const struct result *r)
{
    bool is_of_segment = r->kind == RESULT_ERROR && r->how == ERROR_SEGMENT;
    return is_of_segment ? (uint32_t)r->number : r->message;
}

static uint64_t key_of(const struct result *r, uint16_t rule)
{
    return hash_pair((uint64_t)r->kind << 56 | (uint64_t)r->how << 48 | (uint64_t)rule << 32 |
                         r->journey,
                     subject_of(r));
}

void tally_add(struct tally *t, const struct result *rows, uint32_t count)
{
    t->result_count += count;
    for (uint32_t i = 0; i < count; i++) {
        const struct result *r = &rows[i];
        bool has_step = r->kind == RESULT_DECIDED || r->kind == RESULT_ERROR;
        uint16_t rule = has_step ? r->step : 0;
        uint64_t key = key_of(r, rule);
        uint32_t place = map_u64_find(&t->places, key);
        if (place == MAP_NONE) {
            if (t->count == t->room) {
                t->room = t->room ? t->room * 2 : 64;
                t->rows = mem_resize(t->rows, t->room * sizeof(t->rows[0]));
            }
            place = t->count++;
            t->rows[place] = (struct tally_row){.kind = r->kind,
                                                .how = r->how,
                                                .rule = rule,
                                                .journey = r->journey,
                                                .message = subject_of(r)};
            map_u64_set(&t->places, key, place);
        }
        t->rows[place].count++;
    }
}

uint64_t tally_sum(const struct tally *t, enum result_kind kind, uint32_t how, uint32_t journey,
                   uint32_t message)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < t->count; i++) {
        const struct tally_row *r = &t->rows[i];
        if (r->kind == kind && (how == TALLY_ANY || r->how == how) &&
            (journey == 0 || r->journey == journey) && (message == 0 || r->message == message))
            sum += r->count;
    }
    return sum;
}
