/* SPDX-License-Identifier: Apache-2.0 */
#include "measure/funnel.h"

#include "base/hash.h"
#include "base/mem.h"

#define CELLS_PER_DOUBLING 4

void funnel_init(struct funnel *f)
{
    *f = (struct funnel){0};
    map_u64_init(&f->places);
    map_u64_init(&f->times_places);
}

void funnel_fini(struct funnel *f)
{
    map_u64_fini(&f->places);
    map_u64_fini(&f->times_places);
    mem_free(f->rows);
    mem_free(f->times);
    *f = (struct funnel){0};
}

/* ---- times --------------------------------------------------------------------------------------- */

/* 0 has a cell of its own; 1, 2 and 3 too; from 4 on, four to a doubling. */
uint32_t funnel_cell(int64_t ms)
{
    if (ms < CELLS_PER_DOUBLING)
        return ms < 0 ? 0 : (uint32_t)ms;
    uint32_t doubling = 63u - (uint32_t)__builtin_clzll((uint64_t)ms);
    uint32_t quarter = (uint32_t)(ms >> (doubling - 2)) & 3;
    uint32_t cell = CELLS_PER_DOUBLING * (doubling - 1) + quarter;
    return cell < FUNNEL_CELLS ? cell : FUNNEL_CELLS - 1;
}

void funnel_bounds(uint32_t cell, int64_t *low_ms, int64_t *high_ms)
{
    must(cell < FUNNEL_CELLS);
    if (cell < CELLS_PER_DOUBLING) {
        *low_ms = cell;
        *high_ms = cell + 1;
        return;
    }
    uint32_t doubling = cell / CELLS_PER_DOUBLING + 1, quarter = cell % CELLS_PER_DOUBLING;
    int64_t width = INT64_C(1) << (doubling - 2);
    *low_ms = width * (CELLS_PER_DOUBLING + quarter);
    *high_ms = cell == FUNNEL_CELLS - 1 ? INT64_MAX : *low_ms + width;
}

const struct funnel_times *funnel_times_of(const struct funnel *f, uint32_t row)
{
    uint32_t place = map_u64_find(&f->times_places, row);
    return place == MAP_NONE ? NULL : &f->times[place];
}

struct funnel_times *funnel_restore_times(struct funnel *f, uint32_t row)
{
    uint32_t place = map_u64_find(&f->times_places, row);
    if (place != MAP_NONE)
        return &f->times[place];
    if (f->times_count == f->times_room) {
        f->times_room = f->times_room ? f->times_room * 2 : 16;
        f->times = mem_resize(f->times, f->times_room * sizeof(f->times[0]));
    }
    map_u64_set(&f->times_places, row, f->times_count);
    f->times[f->times_count] = (struct funnel_times){.row = row};
    return &f->times[f->times_count++];
}

/* ---- rows ---------------------------------------------------------------------------------------- */

static uint64_t key_of(const struct funnel_row *r)
{
    uint64_t small =
        (uint64_t)r->what << 40 | (uint64_t)r->how << 32 | (uint64_t)r->channel << 16 | r->step;
    return hash_pair(hash_pair(small, (uint64_t)r->journey << 32 | r->name), r->version);
}

uint32_t funnel_restore(struct funnel *f, const struct funnel_row *row)
{
    uint64_t key = key_of(row);
    uint32_t place = map_u64_find(&f->places, key);
    if (place == MAP_NONE) {
        if (f->count == f->room) {
            f->room = f->room ? f->room * 2 : 64;
            f->rows = mem_resize(f->rows, f->room * sizeof(f->rows[0]));
        }
        place = f->count++;
        map_u64_set(&f->places, key, place);
        f->rows[place] = *row;
        f->rows[place].count = 0;
        f->rows[place].sum = 0;
    }
    f->rows[place].count += row->count;
    f->rows[place].sum += row->sum;
    return place;
}

/* An outcome of an intent is for good, or it waits on. */
static void of_decision(const struct result *r, struct funnel_row *out)
{
    out->name = r->message;
    out->step = r->step;
    out->how = r->how;
    out->channel = r->channel;
    out->what = FUNNEL_OUTCOME;
    if (outcome_term((enum outcome)r->how)->class != OUTCOME_WAITING)
        return;
    out->channel = 0;
    out->what = r->how == OUTCOME_DEFERRED ? FUNNEL_DEFERRED : 0;
    out->how = 0;
}

/* What the row counts for; what = 0: nothing. */
static struct funnel_row means(const struct result *r)
{
    struct funnel_row out = {.journey = r->journey, .version = r->version, .count = 1};
    switch (r->kind) {
    case RESULT_ENTERED:
        out.what = FUNNEL_ENTERED;
        out.how = r->number != 0;
        break;
    case RESULT_REFUSED:
        out.what = FUNNEL_REFUSED;
        out.how = r->how;
        break;
    case RESULT_HELD_ENTRY: out.what = FUNNEL_HELD_ENTRY; break;
    case RESULT_STEP:
        out.what = FUNNEL_BEGAN;
        out.step = r->step;
        break;
    case RESULT_LEFT:
        out.what = FUNNEL_LEFT;
        out.step = r->step;
        out.how = r->how;
        out.sum = r->how == LEFT_FOR_VERSION ? 0 : r->number; /* it goes on there */
        break;
    case RESULT_ENDED:
        out.what = FUNNEL_ENDED;
        out.step = r->step;
        out.how = r->how;
        break;
    case RESULT_CONVERTED:
        out.what = FUNNEL_CONVERTED;
        out.how = r->how;
        out.sum = r->number;
        break;
    case RESULT_CROSSED:
        out.what = r->journey ? FUNNEL_CROSSED : 0;
        out.how = r->how;
        break;
    case RESULT_ARM:
    case RESULT_OF_ARM:
        out.what = FUNNEL_ARM;
        out.step = r->step;
        out.name = (uint32_t)r->number;
        out.how = r->kind == RESULT_ARM ? 0 : r->how;
        break;
    case RESULT_WAITED:
        out.what = FUNNEL_WAITED;
        out.step = r->step;
        out.name = (uint32_t)r->number;
        break;
    case RESULT_PROPOSED:
        out.what = FUNNEL_PROPOSED;
        out.name = r->message;
        out.how = r->how;
        out.step = r->number != 0;
        break;
    case RESULT_DECIDED: of_decision(r, &out); break;
    case RESULT_MOVED:
        out.what = FUNNEL_MOVED;
        out.how = r->how;
        break;
    case RESULT_REOPENED:
        out.what = FUNNEL_REOPENED;
        out.name = r->message;
        out.channel = r->channel;
        break;
    case RESULT_GRANTED:
        out.what = FUNNEL_GRANTED;
        out.name = r->message;
        out.channel = r->how;
        break;
    case RESULT_ENGAGED:
        out.what = FUNNEL_ENGAGED;
        out.name = r->message;
        out.how = r->how;
        break;
    case RESULT_RECEIPT:
        out.what = FUNNEL_RECEIPT;
        out.name = r->message;
        out.how = r->how;
        break;
    case RESULT_LISTED:
        if (r->how == LISTED_IS_HANDED)
            break;
        out = (struct funnel_row){.what = FUNNEL_LISTED, .count = 1};
        out.name = (uint32_t)r->number;
        out.how = r->how;
        out.step = r->step;
        break;
    default: break;
    }
    return out;
}

void funnel_add_since(struct funnel *f, const struct result *rows, uint32_t count, int64_t since_ms)
{
    for (uint32_t i = 0; i < count; i++) {
        if (rows[i].at_ms < since_ms)
            continue;
        struct funnel_row row = means(&rows[i]);
        if (row.what == 0)
            continue;
        uint32_t place = funnel_restore(f, &row);
        if (row.what == FUNNEL_LEFT && row.sum > 0)
            funnel_restore_times(f, place)->cells[funnel_cell(row.sum)]++;
    }
}

void funnel_add(struct funnel *f, const struct result *rows, uint32_t count)
{
    funnel_add_since(f, rows, count, INT64_MIN);
}
