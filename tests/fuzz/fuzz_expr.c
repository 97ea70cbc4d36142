/* fuzz_expr.c - any bytes as an expression: parser, checker, compiler and machine.
 *
 * The first byte chooses the moment, the rest is the text. What does not compile says why and where.
 * What compiles runs within its cost, answers with a moment after now, before which it still answers
 * the same, and answers the same by every way there is to ask it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/buf.h"
#include "expr/expr.h"
#include "expr/host_for_tests.h"

#define NOW_MS INT64_C(1772366399900) /* shortly before noon on 2026-03-01 */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct bench {
    struct arena plan, scratch;
    struct attribute attributes[7];
    struct world world;
};

static void open_bench(struct bench *b, int64_t now_ms)
{
    *b = (struct bench){0};
    arena_init(&b->plan, 4096);
    arena_init(&b->scratch, 4096);
    struct value_list *list = arena_zalloc(&b->plan, sizeof(*list) + 2 * sizeof(struct value));
    list->count = 2;
    list->items[0] = value_text(STR("a"));
    list->items[1] = value_time(NOW_MS + 70);
    const struct attribute all[] = {
        {.name = "a", .type = &expr_int, .value = value_int(7)},
        {.name = "b", .type = &expr_text, .value = value_text(STR("free"))},
        {.name = "c", .type = &expr_dyn, .value = value_double(0.5)},
        {.name = "d", .type = &expr_list_dyn, .value = {.type = VALUE_LIST, .list = list}},
        {.name = "e.x", .type = &expr_time, .value = value_time(NOW_MS + 40)},
        {.name = "e.y", .type = &expr_dyn},
        {.name = "f",
         .type = &expr_bool,
         .value = value_bool(true),
         .until_ms = NOW_MS + 90,
         .after = value_bool(false)},
    };
    memcpy(b->attributes, all, sizeof(all));
    b->world =
        (struct world){.attributes = b->attributes, .count = array_count(all), .now_ms = now_ms};
}

static void close_bench(struct bench *b)
{
    arena_fini(&b->scratch);
    arena_fini(&b->plan);
}

static const struct expr *compile(struct bench *b, struct str text, enum expr_mode mode)
{
    struct expr_scope scope = world_scope(&b->world);
    struct expr_options options = {.mode = mode};
    const struct expr *expr = NULL;
    struct fault f = {0};
    if (expr_compile(&b->plan, text, &scope, options, &expr, &f) == OK)
        return expr;
    must(f.text[0] != '\0');
    must(f.line > 0 || text.len > EXPR_TEXT_BYTES_MAX);
    return NULL;
}

static struct expr_result run(struct bench *b, const struct expr *expr, int64_t now_ms)
{
    struct expr_result result;
    b->world.now_ms = now_ms;
    struct expr_host host = world_host(&b->world);
    expr_run(expr, &host, &b->scratch, &result);
    must(result.until_ms > now_ms);
    must(result.cost <= EXPR_COST_DEFAULT);
    must(result.value.type <= VALUE_ERROR);
    return result;
}

static bool is_over(const struct expr_result *r)
{
    return r->value.type == VALUE_ERROR && str_is(r->value.text, "cost limit exceeded");
}

/* Equal as printed; errors are alike. */
static void must_agree(struct bench *b, const struct expr_result *x, const struct expr_result *y)
{
    must(x->value.type == y->value.type);
    if (x->value.type != VALUE_ERROR)
        must(str_equal(expr_value_print(&b->scratch, &x->value, 1000),
                       expr_value_print(&b->scratch, &y->value, 1000)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    int64_t now_ms = NOW_MS + data[0];
    struct str text = {(const char *)data + 1, size - 1};
    struct bench b;
    open_bench(&b, now_ms);
    const struct expr *unchecked = compile(&b, text, EXPR_UNCHECKED);
    if (unchecked != NULL)
        run(&b, unchecked, now_ms);
    b.world.binding_count = 0;
    const struct expr *rule = compile(&b, text, EXPR_RULE);
    if (rule == NULL) {
        close_bench(&b);
        return 0;
    }
    struct expr_result now = run(&b, rule, now_ms);
    struct buf out;
    buf_init(&out);
    expr_dump(rule, &out);
    buf_fini(&out);
    struct expr_explanation e;
    struct expr_host host = world_host(&b.world);
    expr_explain(rule, &host, &b.scratch, &e);
    (void)!expr_explanation_print(rule, &e, &b.scratch).len;

    if (now.until_ms - 1 > now_ms && now.until_ms != FOREVER_MS) {
        struct expr_result later = run(&b, rule, now.until_ms - 1);
        must_agree(&b, &now, &later);
    }
    struct value slots[array_count(b.attributes)];
    for (size_t i = 0; i < array_count(slots); i++)
        slots[i] = b.attributes[i].value;
    slots[6].type = EXPR_ASK;
    b.world.now_ms = now_ms;
    host = world_host(&b.world);
    host.slots = slots;
    host.slot_count = array_count(slots);
    struct expr_result given;
    expr_run(rule, &host, &b.scratch, &given);
    must_agree(&b, &now, &given);
    must(now.until_ms == given.until_ms);

    b.world.binding_count = 0;
    const struct expr *once = compile(&b, text, EXPR_ONCE);
    must(once != NULL);
    struct expr_result same = run(&b, once, now_ms);
    /* Sums of moving times may pass where those of fixed ones may not. */
    if (!is_over(&now) && !is_over(&same) && same.value.type != VALUE_ERROR)
        must_agree(&b, &now, &same);
    close_bench(&b);
    return 0;
}
