/* The expression machine: what a condition costs when a record has woken it.
 *
 * The slots are handed in as an array, as the engine does for an event's properties: loading costs
 * nothing here, so the figures are the machine's own. Of ROUNDS rounds the cheapest counts: what a busy
 * machine adds is no cost of ours.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "expr/expr.h"
#include "bench.h"
#include "os/clock.h"

#define ROUNDS 100 /* short ones: some fit between what others do on this machine */

static const char *const names[] = {"event.value", "traits.plan", "event.count", "traits.country",
                                    "event.at",    "traits.beta", "event.tags"};
static const struct expr_type *const types[] = {&expr_double, &expr_text, &expr_int,     &expr_text,
                                                &expr_time,   &expr_bool, &expr_list_dyn};

static enum expr_found path(void *self, const struct expr_path *asked, struct expr_slot *out,
                            struct fault *f)
{
    (void)self;
    (void)f;
    char name[64];
    if (asked->count < 2)
        return EXPR_UNKNOWN;
    snprintf(name, sizeof(name), "%.*s.%.*s", STR_ARG(asked->parts[0]), STR_ARG(asked->parts[1]));
    for (uint32_t i = 0; i < array_count(names); i++) {
        if (str_is(str_of(name), names[i])) {
            *out = (struct expr_slot){.slot = i, .parts = 2, .type = types[i]};
            return EXPR_FOUND;
        }
    }
    return EXPR_UNKNOWN;
}

static void load(void *self, uint32_t slot, struct value *out, int64_t *until_ms)
{
    (void)until_ms;
    *out = ((const struct value *)self)[slot];
}

/* The loop by itself, so that what it needs stays in registers: it is in the figures. */
static __attribute__((noinline)) void run_all(const struct expr *expr, const struct expr_host *host,
                                              struct arena *scratch, uint64_t count)
{
    struct expr_result result = {0};
    for (uint64_t i = 0; i < count; i++) {
        expr_run(expr, host, scratch, &result);
        bench_keep(result.value.boolean);
        if (scratch->block != NULL)
            arena_reset(scratch);
    }
}

static void measure(const char *name, const char *text, const struct expr_host *host)
{
    struct arena plan, scratch;
    arena_init(&plan, 4096);
    arena_init(&scratch, 4096);
    struct expr_scope scope = {.path = path};
    struct expr_options options = {.wanted = EXPR_WANT_BOOL};
    const struct expr *expr = NULL;
    struct fault f = {0};
    if (expr_compile(&plan, str_of(text), &scope, options, &expr, &f) != OK) {
        fprintf(stderr, "%s: %s\n", name, f.text);
        exit(1);
    }
    uint64_t count = bench_count(5000000 / ROUNDS);
    int64_t least_ns = INT64_MAX;
    for (int round = 0; round < ROUNDS; round++) {
        int64_t start_ns = os_clock_thread_ns();
        run_all(expr, host, &scratch, count);
        least_ns = min_of(least_ns, os_clock_thread_ns() - start_ns);
    }
    bench_print(name, (double)least_ns / (double)count, "ns");
    arena_fini(&scratch);
    arena_fini(&plan);
}

int main(void)
{
    struct value slots[7] = {
        value_double(80.0),    value_text(STR("free")), value_int(7),
        value_text(STR("de")), value_time(1000000000),  value_bool(true),
    };
    static const struct {
        struct value_list head;
    } empty;
    slots[6] = (struct value){.type = VALUE_LIST, .list = &empty.head};
    struct expr_host host = {
        .self = slots,
        .load = load,
        .slots = slots,
        .slot_count = array_count(slots),
        .now_ms = 1000000000 + DAY_MS,
    };
    struct expr_host asking = host;
    asking.slot_count = 0;
    static const char five[] = "event.value >= 30.0 && traits.plan == 'free' && event.count > 3 && "
                               "traits.country != 'us' && event.count < 100";
    measure("expr_predicate_ns", five, &host);
    measure("expr_predicate_asking_ns", five, &asking);
    measure("expr_first_false_ns", "event.value >= 300.0 && traits.plan == 'free'", &host);
    measure("expr_since_ns", "now - event.at > duration('3d')", &host);
    measure("expr_in_list_ns", "traits.country in ['at', 'ch', 'de', 'fr']", &host);
    measure("expr_matches_ns", "traits.country.matches('^d[a-e]$')", &host);
    measure("expr_exists_3_ns", "[1, 2, 3].exists(x, x == event.count)", &host);
    measure("expr_concatenate_ns", "traits.country + '-' + traits.plan == 'de-free'", &host);

    uint64_t count = bench_count(20000);
    struct expr_scope scope = {.path = path};
    int64_t start_ns = os_clock_thread_ns();
    for (uint64_t i = 0; i < count; i++) {
        struct arena plan;
        arena_init(&plan, 16384);
        const struct expr *expr = NULL;
        enum status status =
            expr_compile(&plan, str_of(five), &scope,
                         (struct expr_options){.wanted = EXPR_WANT_BOOL}, &expr, NULL);
        bench_keep(status);
        arena_fini(&plan);
    }
    bench_print("expr_compile_us", (double)(os_clock_thread_ns() - start_ns) / 1e3 / (double)count,
                "us");
    return 0;
}
