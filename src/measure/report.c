/* SPDX-License-Identifier: Apache-2.0 */
#include "measure/report.h"

#include "model/receipt.h"

#define REPORT_MESSAGES_MAX 256 /* of one journey and version */
#define REPORT_ARMS_MAX     512
#define REPORT_OUTCOMES_MAX 256
#define REPORT_REPLIES_MAX  256

struct maker {
    const struct funnel *funnel;
    const struct plan *const *plans;
    uint32_t plan_count;
    struct arena *arena;
    struct report *report;
    struct report_version **of_plan; /* by number */
};

/* ---- versions ------------------------------------------------------------------------------------ */

static void make_versions(struct maker *m)
{
    struct report *r = m->report;
    r->versions = arena_array(m->arena, struct report_version, m->plan_count + 1);
    for (uint32_t number = 1; number < m->plan_count; number++) {
        const struct plan *plan = m->plans[number];
        uint16_t index = plan_journey_find(plan, r->journey);
        if (index == PLAN_NO_INDEX)
            continue;
        const struct plan_journey *j = &plan->journeys[index];
        struct report_version *v = NULL;
        for (uint32_t i = 0; i < r->version_count; i++)
            if (r->versions[i].means->hash == j->hash &&
                r->versions[i].means->step_count == j->step_count)
                v = &r->versions[i];
        if (v == NULL) {
            v = &r->versions[r->version_count++];
            *v = (struct report_version){.number = number, .step_count = j->step_count};
            v->steps = arena_array(m->arena, struct report_step, j->step_count + 1u);
            v->arms = arena_array(m->arena, struct report_arm, REPORT_ARMS_MAX);
            v->messages = arena_array(m->arena, struct report_message, REPORT_MESSAGES_MAX);
            memset(v->steps, 0, (j->step_count + 1u) * sizeof(v->steps[0]));
            for (uint32_t i = 0; i < j->step_count; i++)
                v->steps[i].id = j->steps[i].id;
        }
        v->plan = plan;
        v->means = j;
        v->is_newest = number + 1 == m->plan_count;
        m->of_plan[number] = v;
    }
}

/* ---- messages ------------------------------------------------------------------------------------ */

static struct report_message *message_of(struct report_version *v, const struct funnel_row *row,
                                         struct maker *m)
{
    for (uint32_t i = 0; i < v->message_count; i++)
        if (v->messages[i].name == row->name)
            return &v->messages[i];
    if (v->message_count == REPORT_MESSAGES_MAX)
        return NULL;
    struct report_message *x = &v->messages[v->message_count++];
    *x = (struct report_message){.name = row->name};
    uint16_t index = plan_message_find(v->plan, row->name);
    if (index != PLAN_NO_INDEX) {
        const struct plan_category *c = &v->plan->categories[v->plan->messages[index].category];
        x->category = c->name;
        x->lane = c->lane;
    }
    x->outcomes = arena_array(m->arena, struct report_outcome, REPORT_OUTCOMES_MAX);
    return x;
}

static void add_outcome(struct report_message *x, const struct funnel_row *row)
{
    for (uint32_t i = 0; i < x->outcome_count; i++) {
        struct report_outcome *o = &x->outcomes[i];
        if (o->outcome != row->how || o->channel != row->channel || o->rule != row->step)
            continue;
        o->count += row->count;
        return;
    }
    if (x->outcome_count < REPORT_OUTCOMES_MAX)
        x->outcomes[x->outcome_count++] = (struct report_outcome){
            row->how, row->channel, (uint8_t)min_of(row->step, (uint16_t)UINT8_MAX), row->count};
}

/* What came back was not sent after all. */
static void reopen(struct report_message *x, const struct funnel_row *row)
{
    for (uint32_t i = 0; i < x->outcome_count; i++) {
        struct report_outcome *o = &x->outcomes[i];
        if (o->outcome == OUTCOME_SENT && o->channel == row->channel)
            o->count -= min_of(o->count, row->count);
    }
}

static void add_message(struct maker *m, struct report_version *v, const struct funnel_row *row)
{
    struct report_message *x = message_of(v, row, m);
    if (x == NULL)
        return;
    switch (row->what) {
    case FUNNEL_PROPOSED:
        x->proposed += row->count;
        x->ghosts += row->step ? row->count : 0;
        x->waiting += row->count;
        break;
    case FUNNEL_OUTCOME:
        add_outcome(x, row);
        x->waiting -= row->count; /* below 0 until what came back is added */
        break;
    case FUNNEL_REOPENED:
        reopen(x, row);
        x->waiting += row->count;
        break;
    case FUNNEL_DEFERRED:
        x->deferred[min_of(row->step, (uint16_t)(REPORT_RULES - 1))] += row->count;
        break;
    default: break;
    }
}

static struct report_reply *reply_of(struct maker *m, uint32_t message)
{
    struct report *r = m->report;
    for (uint32_t i = 0; i < r->reply_count; i++)
        if (r->replies[i].message == message)
            return &r->replies[i];
    if (r->reply_count == REPORT_REPLIES_MAX)
        return NULL;
    r->replies[r->reply_count] = (struct report_reply){.message = message};
    return &r->replies[r->reply_count++];
}

/* As enum engagement (decide/desk.h) is numbered on disk. */
enum { REPLY_OPENED = 1, REPLY_CLICKED, REPLY_COMPLAINED };

static void add_reply(struct maker *m, const struct funnel_row *row)
{
    bool is_receipt = row->what == FUNNEL_RECEIPT;
    if (is_receipt && row->how != RECEIPT_DELIVERED && row->how != RECEIPT_BOUNCED)
        return;
    struct report_reply *x = reply_of(m, row->name);
    if (x == NULL)
        return;
    if (is_receipt)
        *(row->how == RECEIPT_DELIVERED ? &x->delivered : &x->bounced) += row->count;
    else
        *(row->how == REPLY_OPENED    ? &x->opened
          : row->how == REPLY_CLICKED ? &x->clicked
                                      : &x->complained) += row->count;
}

/* ---- steps and arms ------------------------------------------------------------------------------ */

static void add_arm(struct report_version *v, const struct funnel_row *row)
{
    if (row->step >= v->step_count || v->means->steps[row->step].kind != STEP_SPLIT)
        return;
    uint32_t split = v->means->steps[row->step].split.name, place = 0;
    while (place < v->arm_count &&
           (v->arms[place].split != split || v->arms[place].arm != row->name))
        place++;
    if (place == REPORT_ARMS_MAX)
        return;
    if (place == v->arm_count)
        v->arms[v->arm_count++] = (struct report_arm){.split = split, .arm = row->name};
    if (row->how == 0)
        v->arms[place].took += row->count;
    else if (row->how < ARM_NEWS_END)
        v->arms[place].news[row->how] += row->count;
}

static void add_left(struct maker *m, struct report_version *v, uint32_t place)
{
    const struct funnel_row *row = &m->funnel->rows[place];
    struct report_step *s = &v->steps[row->step];
    if (row->how == LEFT_FOR_NEXT)
        s->advanced += row->count;
    else if (row->how == LEFT_FOR_VERSION)
        s->moved += row->count;
    else
        s->ended += row->count;
    s->total_ms += row->sum;
}

static void add_row(struct maker *m, uint32_t place)
{
    const struct funnel_row *row = &m->funnel->rows[place];
    struct report *r = m->report;
    struct report_version *v = row->version < m->plan_count ? m->of_plan[row->version] : NULL;
    if (row->what == FUNNEL_REFUSED && row->how < REFUSAL_END) {
        r->refused += row->count;
        r->refused_by[row->how] += row->count;
    } else if (row->what == FUNNEL_HELD_ENTRY) {
        r->held_entries += row->count;
    } else if (row->what == FUNNEL_ENGAGED || row->what == FUNNEL_RECEIPT) {
        add_reply(m, row);
    }
    if (v == NULL)
        return;
    bool has_step = row->step < v->step_count;
    switch (row->what) {
    case FUNNEL_ENTERED:
        v->entered += row->count;
        v->ghosts += row->how ? row->count : 0;
        break;
    case FUNNEL_CONVERTED:
        v->converted += row->count;
        v->ghosts_converted += row->how == CONVERTED_GHOST ? row->count : 0;
        v->crossed_converted += row->how == CONVERTED_CROSSED ? row->count : 0;
        v->convert_ms += row->sum;
        break;
    case FUNNEL_ENDED:
        if (row->how >= JOURNEY_END_END)
            break;
        v->ended += row->count;
        v->ended_by[row->how] += row->count;
        if (has_step)
            v->steps[row->step].ended_by[row->how] += row->count;
        break;
    case FUNNEL_CROSSED: *(row->how ? &v->crossed_in : &v->crossed_out) += row->count; break;
    case FUNNEL_MOVED: *(row->how ? &v->moved_in : &v->moved_out) += row->count; break;
    case FUNNEL_BEGAN:
        if (has_step)
            v->steps[row->step].began += row->count;
        break;
    case FUNNEL_LEFT:
        if (has_step)
            add_left(m, v, place);
        break;
    case FUNNEL_ARM: add_arm(v, row); break;
    case FUNNEL_PROPOSED:
    case FUNNEL_OUTCOME:
    case FUNNEL_REOPENED:
    case FUNNEL_DEFERRED: add_message(m, v, row); break;
    default: break;
    }
}

/* ---- times --------------------------------------------------------------------------------------- */

/* Of `total` lengths, those in no cell 0: the one at the place `of_ten` tenths up lies in these bounds. */
static struct report_bounds quantile(const uint64_t *cells, uint64_t total, uint32_t of_ten)
{
    struct report_bounds bounds = {0, 1};
    uint64_t timed = 0;
    for (uint32_t i = 0; i < FUNNEL_CELLS; i++)
        timed += cells[i];
    uint64_t place = total * of_ten / 10; /* from 0 */
    uint64_t below = total - timed;
    if (total == 0)
        return (struct report_bounds){0, 0};
    place = min_of(place, total - 1);
    for (uint32_t i = 0; i < FUNNEL_CELLS && below <= place; i++) {
        below += cells[i];
        funnel_bounds(i, &bounds.low_ms, &bounds.high_ms);
    }
    return bounds;
}

static void make_times(struct maker *m, struct report_version *v)
{
    uint64_t cells[FUNNEL_CELLS];
    for (uint32_t i = 0; i < v->step_count; i++) {
        struct report_step *s = &v->steps[i];
        memset(cells, 0, sizeof(cells));
        for (uint32_t k = 0; k < m->funnel->times_count; k++) {
            const struct funnel_times *times = &m->funnel->times[k];
            const struct funnel_row *row = &m->funnel->rows[times->row];
            bool is_its = row->journey == m->report->journey && row->step == i &&
                          row->version < m->plan_count && m->of_plan[row->version] == v;
            for (uint32_t c = 0; is_its && c < FUNNEL_CELLS; c++)
                cells[c] += times->cells[c];
        }
        uint64_t over = s->advanced + s->moved + s->ended;
        s->median = quantile(cells, over - s->moved, 5); /* who moved is still there */
        s->p90 = quantile(cells, over - s->moved, 9);
        s->waiting = s->began - min_of(s->began, over);
    }
    for (uint32_t i = 0; i < v->message_count; i++)
        if ((int64_t)v->messages[i].waiting < 0) /* only where counting began in the middle */
            v->messages[i].waiting = 0;
    uint64_t came = v->entered + v->moved_in, went = v->ended + v->moved_out;
    v->in_flight = came - min_of(came, went);
}

static uint32_t pass_of(uint8_t what)
{
    return what == FUNNEL_OUTCOME ? 1 : what == FUNNEL_REOPENED ? 2 : 0;
}

void report_funnel(const struct funnel *f, const struct plan *const *plans, uint32_t plan_count,
                   uint32_t journey, struct arena *arena, struct report *out)
{
    struct maker m = {.funnel = f,
                      .plans = plans,
                      .plan_count = plan_count,
                      .arena = arena,
                      .report = out,
                      .of_plan = arena_array(arena, struct report_version *, plan_count + 1)};
    *out = (struct report){.journey = journey};
    memset(m.of_plan, 0, (plan_count + 1) * sizeof(m.of_plan[0]));
    out->replies = arena_array(arena, struct report_reply, REPORT_REPLIES_MAX);
    make_versions(&m);
    /* Proposals come before what became of them, and that before what came back, whatever the order of
     * first appearance. */
    for (uint32_t pass = 0; pass < 3; pass++)
        for (uint32_t i = 0; i < f->count; i++)
            if (f->rows[i].journey == journey && pass_of(f->rows[i].what) == pass)
                add_row(&m, i);
    for (uint32_t i = 0; i < out->version_count; i++)
        make_times(&m, &out->versions[i]);
}

uint64_t report_in_flight(const struct funnel *f, uint32_t journey)
{
    uint64_t entered = 0, ended = 0;
    for (uint32_t i = 0; i < f->count; i++) {
        if (f->rows[i].journey != journey)
            continue;
        entered += f->rows[i].what == FUNNEL_ENTERED ? f->rows[i].count : 0;
        ended += f->rows[i].what == FUNNEL_ENDED ? f->rows[i].count : 0;
    }
    return entered - min_of(entered, ended);
}

/* ---- ad audiences -------------------------------------------------------------------------------- */

static void add_listed(struct report_audience *x, const struct funnel_row *row)
{
    switch ((enum listed_news)row->how) {
    case LISTED_IS_OUT:
        x->removed += row->count;
        x->members -= row->step == 0 ? row->count : 0;
        break;
    case LISTED_IS_IN:
        x->added += row->count;
        x->members += row->count;
        break;
    case LISTED_IS_REFUSED:
        x->refused += row->count;
        x->refused_by[min_of(row->step, REPORT_RULES - 1u)] += row->count;
        break;
    case LISTED_ADD_FAILED: x->add_failed += row->count; break;
    case LISTED_REMOVE_FAILED: x->remove_failed += row->count; break;
    case LISTED_IS_IN_DOUBT:
        x->in_doubt += row->count;
        x->members -= row->count;
        break;
    case LISTED_IS_LOST:
        x->lost += row->count;
        x->members -= row->count;
        break;
    case LISTED_IS_HANDED:
    case LISTED_NEWS_END: break;
    }
}

void report_audiences(const struct funnel *f, const struct plan *plan, struct arena *arena,
                      struct report_audience **out, uint32_t *count)
{
    uint32_t known = plan != NULL ? plan->audience_count : 0, listed = 0;
    for (uint32_t i = 0; i < f->count; i++)
        listed += f->rows[i].what == FUNNEL_LISTED;
    *out = arena_array(arena, struct report_audience, known + listed + 1);
    for (*count = 0; *count < known; ++*count)
        (*out)[*count] = (struct report_audience){.name = plan->audiences[*count].name};
    for (uint32_t i = 0; i < f->count; i++) {
        const struct funnel_row *row = &f->rows[i];
        uint32_t place = 0;
        if (row->what != FUNNEL_LISTED)
            continue;
        while (place < *count && (*out)[place].name != row->name)
            place++;
        if (place == *count)
            (*out)[(*count)++] = (struct report_audience){.name = row->name, .is_gone = true};
        add_listed(&(*out)[place], row);
    }
}
