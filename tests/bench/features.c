/* features.c - what it costs to remember, and to ask, what a person did.
 *
 * 2,000 people in one space, each with 64 purchases of the last days; what comes and what is asked goes
 * round all of them. Compiled from a programme's text, without the engine around it.
 *
 *     feature_note_ns         an event that feeds one feature: a filter is asked, a number is kept, and the
 *                             oldest of 64 items makes room or is dropped
 *     feature_note_unread_ns  an event that no feature reads
 *     feature_ask_ns          count("Order", "7d"): the items inside, and until when
 *     feature_ask_sum_ns      sum("Order", "7d", e, e.total, e.total > 5) over some 45 items
 *     feature_ask_where_ns    count("Order", "7d", e, e.total > traits.limit): the condition of each
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "bench.h"

#include "base/mem.h"
#include "bench/programme.h"
#include "model/identifier.h"
#include "os/clock.h"
#include "profile/ask.h"
#include "profile/feature.h"
#include "profile/traits.h"

#define PEOPLE   2000
#define ITEMS    64
#define ROUNDS   5
#define START_MS INT64_C(1772409600000)

struct ground {
    struct names *names;
    struct plan *plan;
    const struct plan *plans[2];
    struct plans versions;
    struct space space;
    struct profile *profiles;
    struct results results;
    struct arena scratch;
    struct buf bytes, record;
    uint8_t secret[IDENTIFIER_SECRET_BYTES];
    uint32_t order, other, total;
};

static struct plan *compile(struct names *names)
{
    static const struct programme_file files[] = {
        {{"programme.yaml", 14},
         STR("name: Bench\nlimits: {history: 64}\ntraits:\n  limit: {type: int, default: 5}\n")},
        {{"providers/mail.yaml", 19},
         STR("kind: smtp\nsettings: {url: 'smtp://127.0.0.1:2525', from: 'a@example.org', security: "
             "none}\n")},
        {{"messages/count/message.yaml", 27},
         STR("category: lifecycle\nonly_if: 'count(\"Order\", \"7d\") >= 3'\nemail: {subject: a}\n")},
        {{"messages/count/email.txt.liquid", 31}, STR("a\n")},
        {{"messages/sum/message.yaml", 25},
         STR("category: lifecycle\nonly_if: 'sum(\"Order\", \"7d\", e, e.total, e.total > 5) > "
             "10.0'\nemail: {subject: a}\n")},
        {{"messages/sum/email.txt.liquid", 29}, STR("a\n")},
        {{"messages/where/message.yaml", 27},
         STR("category: lifecycle\nonly_if: 'count(\"Order\", \"7d\", e, e.total > traits.limit) >= "
             "3'\nemail: {subject: a}\n")},
        {{"messages/where/email.txt.liquid", 31}, STR("a\n")},
    };
    return bench_plan(files, array_count(files), names);
}

static struct person person_of(struct ground *g, uint32_t i, int64_t at_ms)
{
    return (struct person){
        .space = &g->space,
        .profile = &g->profiles[i],
        .id = profile_number(7, i + 1),
        .plans = &g->versions,
        .plan = g->plan,
        .names = g->names,
        .secret = g->secret,
        .scratch = &g->scratch,
        .bytes = &g->bytes,
        .results = &g->results,
        .at_ms = at_ms,
        .now_ms = at_ms,
    };
}

/* One event of everybody's. */
static void note_all(struct ground *g, uint32_t name, const bool *skips, int64_t at_ms)
{
    for (uint32_t i = 0; i < PEOPLE; i++) {
        struct person who = person_of(g, i, at_ms);
        struct record r = {.type = RECORD_EVENT,
                           .kind = EVENT_TRACK,
                           .name = name,
                           .at_ms = at_ms,
                           .event_ms = at_ms,
                           .clear = body_of(&g->record)};
        who.event = &r;
        features_note(&who, g->plan, skips, 0);
    }
    arena_reset(&g->scratch);
}

static void measure_notes(struct ground *g, const char *figure, uint32_t name, const bool *skips,
                          int64_t *at_ms)
{
    uint64_t rounds = bench_count(100);
    int64_t least_ns = INT64_MAX;
    for (int k = 0; k < ROUNDS; k++) {
        int64_t start_ns = os_clock_thread_ns();
        for (uint64_t i = 0; i < rounds; i++)
            note_all(g, name, skips, *at_ms += 4 * HOUR_MS);
        least_ns = min_of(least_ns, os_clock_thread_ns() - start_ns);
    }
    bench_print(figure, (double)least_ns / (double)(rounds * PEOPLE), "ns");
}

static void measure_asks(struct ground *g, const char *figure, const char *message, int64_t at_ms)
{
    uint16_t index = plan_message_find(g->plan, names_find(g->names, str_of(message)));
    const struct plan_expr *condition = &g->plan->messages[index].only_if;
    uint64_t rounds = bench_count(50);
    int64_t least_ns = INT64_MAX;
    for (int k = 0; k < ROUNDS; k++) {
        int64_t start_ns = os_clock_thread_ns();
        for (uint64_t i = 0; i < rounds; i++) {
            for (uint32_t p = 0; p < PEOPLE; p++) {
                struct person who = person_of(g, p, at_ms);
                bench_keep((uint64_t)ask(&who, g->plan, condition, (struct blob){0}).until_ms);
            }
            arena_reset(&g->scratch);
        }
        least_ns = min_of(least_ns, os_clock_thread_ns() - start_ns);
    }
    bench_print(figure, (double)least_ns / (double)(rounds * PEOPLE), "ns");
}

/* Only the feature of the sum is fed while notes are measured. */
static bool *skips_but_sum(const struct ground *g)
{
    bool *skips = mem_new(g->plan->feature_count * sizeof(bool));
    for (uint32_t i = 0; i < g->plan->feature_count; i++)
        skips[i] = g->plan->features[i].filter_count == 0;
    return skips;
}

int main(void)
{
    struct ground *g = mem_new(sizeof(*g));
    int64_t at_ms = START_MS;
    g->names = names_new();
    g->plan = compile(g->names);
    g->plans[1] = g->plan;
    g->versions = (struct plans){.at = g->plans, .count = 2, .newest = 1};
    g->profiles = mem_new(PEOPLE * sizeof(*g->profiles));
    space_init(&g->space);
    arena_init(&g->scratch, 64 * 1024);
    buf_init(&g->bytes);
    buf_init(&g->record);
    g->order = names_find(g->names, STR("Order"));
    g->other = names_add(g->names, STR("Something Else"));
    g->total = names_find(g->names, STR("total"));
    body_put_int(&g->record, names_add(g->names, STR("lines")), 3);
    body_put_double(&g->record, g->total, 12.5);
    for (uint32_t i = 0; i < ITEMS; i++)
        note_all(g, g->order, NULL, at_ms += 4 * HOUR_MS);
    measure_asks(g, "feature_ask_ns", "count", at_ms);
    measure_asks(g, "feature_ask_sum_ns", "sum", at_ms);
    measure_asks(g, "feature_ask_where_ns", "where", at_ms);
    bool *skips = skips_but_sum(g);
    measure_notes(g, "feature_note_ns", g->order, skips, &at_ms);
    measure_notes(g, "feature_note_unread_ns", g->other, NULL, &at_ms);
    mem_free(skips);
    programme_plan_free(g->plan);
    space_fini(&g->space);
    arena_fini(&g->scratch);
    buf_fini(&g->bytes);
    buf_fini(&g->record);
    mem_free(g->profiles);
    mem_free(g->results.rows);
    names_free(g->names);
    mem_free(g);
    return 0;
}
