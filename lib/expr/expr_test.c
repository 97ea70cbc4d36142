/* SPDX-License-Identifier: Apache-2.0 */
#include "expr/expr.h"

#include <math.h>

#include "base/hash.h"
#include "expr/host_for_tests.h"
#include "test.h"

static struct value_list *list_of_texts(struct arena *a, uint32_t count, const char *const *texts)
{
    struct value_list *list = arena_zalloc(a, sizeof(*list) + count * sizeof(struct value));
    list->count = count;
    for (uint32_t i = 0; i < count; i++)
        list->items[i] = value_text(str_of(texts[i]));
    return list;
}

struct bench {
    struct arena plan, scratch;
    struct world world;
    struct expr_result result;
};

static struct attribute attributes[8];

static void open_bench(struct bench *b)
{
    *b = (struct bench){0};
    arena_init(&b->plan, 4096);
    arena_init(&b->scratch, 4096);
    static const char *const tags[] = {"new", "vip"};
    const struct attribute all[] = {
        {.name = "event.value", .type = &expr_double, .value = value_double(12.5)},
        {.name = "traits.plan", .type = &expr_text, .value = value_text(STR("free"))},
        {.name = "event.count", .type = &expr_int, .value = value_int(7)},
        {.name = "event.coupon", .type = &expr_text, .value = value_none()},
        {.name = "traits.tags",
         .type = &expr_list_dyn,
         .value = {.type = VALUE_LIST, .list = list_of_texts(&b->plan, 2, tags)}},
        {.name = "event.at", .type = &expr_time, .value = value_time(5000)},
        {.name = "event.any", .type = &expr_dyn, .value = value_int(1)},
        {.name = "traits.beta", .type = &expr_bool, .value = value_bool(true)},
    };
    _Static_assert(array_count(all) == array_count(attributes), "one place for each");
    memcpy(attributes, all, sizeof(all));
    b->world.attributes = attributes;
    b->world.count = array_count(attributes);
    b->world.now_ms = 6000;
}

static void close_bench(struct bench *b)
{
    arena_fini(&b->scratch);
    arena_fini(&b->plan);
}

static const struct expr *compile(struct bench *b, const char *text, enum expr_wanted wanted)
{
    struct expr_scope scope = world_scope(&b->world);
    const struct expr *expr = NULL;
    struct fault f = {0};
    struct expr_options options = {.wanted = wanted};
    if (expr_compile(&b->plan, str_of(text), &scope, options, &expr, &f) != OK)
        fail_msg("%s\n    %u:%u: %s", text, f.line, f.column, f.text);
    return expr;
}

/* What the expression comes out as, printed. */
static const char *said(struct bench *b, const char *text)
{
    const struct expr *expr = compile(b, text, EXPR_WANT_ANY);
    struct expr_host host = world_host(&b->world);
    expr_run(expr, &host, &b->scratch, &b->result);
    return expr_value_print(&b->scratch, &b->result.value, 400).at;
}

#define says(b, text, wanted) assert_string_equal(said(b, text), wanted)

static void examples(void **state)
{
    (void)state;
    uint32_t count = 0;
    const struct expr_function *f;
    for (; (f = expr_function_at(count)) != NULL; count++) {
        struct bench b;
        open_bench(&b);
        char example[512], same[512];
        assert_true(str_to_z(f->example, example, sizeof(example)));
        assert_true(str_to_z(f->example_result, same, sizeof(same)));
        struct str printed = arena_copy(&b.scratch, str_of(said(&b, example)));
        assert_string_equal(printed.at, said(&b, same));
        assert_true(f->doc.len > 0);
        close_bench(&b);
    }
    assert_true(count > 150);
}

static void slots(void **state)
{
    (void)state;
    struct bench b;
    open_bench(&b);
    says(&b, "event.value >= 30.0", "false");
    says(&b, "event.value >= 12", "true");
    says(&b, "traits.plan == \"free\" && event.count in [1, 7]", "true");
    says(&b, "traits.plan + \"-\" + string(event.count)", "\"free-7\"");
    says(&b, "traits.tags[1]", "\"vip\"");
    says(&b, "\"vip\" in traits.tags ? 1 : 2", "1");
    says(&b, "event.any == 1", "true");
    says(&b, "event.any + 1", "2");
    says(&b, "traits.tags.map(t, t + \"!\")", "[\"new!\", \"vip!\"]");
    says(&b, "{\"a\": event.count, \"b\": [event.value]}", "{\"a\": 7, \"b\": [12.5]}");
    says(&b, ".event.count", "7");

    /* What comes from outside may write numbers as texts. */
    attributes[6].value = value_text(STR("41"));
    says(&b, "event.any > 40.5 && event.any == 41 && 41 <= event.any", "true");
    says(&b, "event.any + 1", "42");
    says(&b, "event.any * event.any == 1681", "true");
    says(&b, "event.any", "\"41\"");
    says(&b, "event.any == \"41\" && event.any + \"1\" == \"411\"", "true");
    attributes[6].value = value_text(STR("many"));
    says(&b, "event.any == 41", "false");
    close_bench(&b);
}

static void missing(void **state)
{
    (void)state;
    struct bench b;
    open_bench(&b);
    says(&b, "event.coupon", "nothing");
    says(&b, "has(event.coupon)", "false");
    says(&b, "has(event.count)", "true");
    says(&b, "event.coupon == \"X\"", "error: no such attribute: event.coupon");
    says(&b, "event.coupon != \"X\"", "error: no such attribute: event.coupon");
    says(&b, "size(event.coupon)", "error: no such attribute: event.coupon");
    says(&b, "[event.coupon]", "error: no such attribute: event.coupon");
    says(&b, "event.coupon == \"X\" || event.count == 7", "true");
    says(&b, "event.coupon == \"X\" || event.count == 8", "error: no such attribute: event.coupon");
    says(&b, "event.coupon == \"X\" && event.count == 8", "false");
    says(&b, "event.count == 8 && event.coupon == \"X\"", "false");
    says(&b, "!(event.coupon == \"X\")", "error: no such attribute: event.coupon");
    says(&b, "event.coupon == \"X\" ? 1 : 2", "error: no such attribute: event.coupon");
    says(&b, "event.any.x", "error: type 'int' does not support field selection");
    says(&b, "{\"a\": 1}.b", "error: no such key: b");
    says(&b, "last(\"Nothing\").total > 1.0", "error: no such value");
    says(&b, "has(last(\"Nothing\").total)", "false");
    says(&b, "has(last(\"Order\").total)", "true");
    close_bench(&b);
}

static void short_circuit(void **state)
{
    (void)state;
    struct bench b;
    open_bench(&b);
    says(&b, "event.count == 8 && traits.plan == \"free\" && did(\"Login\", \"3d\")", "false");
    assert_int_equal(b.world.loads, 1);
    assert_int_equal(b.world.calls, 0);
    b.world.loads = 0;
    says(&b,
         "(event.count == 7 || event.value > 1.0) && !(traits.plan == \"free\" && "
         "did(\"Logout\", \"3d\"))",
         "true");
    assert_int_equal(b.world.loads, 2);
    assert_int_equal(b.world.calls, 1);
    close_bench(&b);
}

static void functions(void **state)
{
    (void)state;
    struct bench b;
    open_bench(&b);
    says(&b, "did(\"Login\", \"3d\")", "true");
    assert_int_equal(b.result.until_ms, 6500);
    says(&b, "count(\"Login\") > 2 && did(\"Login\", \"1d\")", "true");
    assert_int_equal(b.result.until_ms, 6500);
    says(&b, "count(\"Login\") > 2 || did(\"Login\", \"1d\")", "true");
    assert_int_equal(b.result.until_ms, 6700);
    says(&b, "twice(event.count + 1)", "16");
    says(&b, "twice(twice(event.count))", "28");
    says(&b, "last(\"Order\").total * 2.0", "85.0");
    says(&b, "traits.plan.echo().size()", "4");
    says(&b, "[1, 2].exists(x, twice(x) == 4)", "true");
    says(&b, "twice(event.coupon.size())", "error: no such attribute: event.coupon");
    close_bench(&b);
}

static struct value past_event(struct arena *a, const char *sku, int64_t price)
{
    struct value_map *map = arena_zalloc(a, sizeof(*map) + 2 * sizeof(struct value_pair));
    map->count = 2;
    map->pairs[0] = (struct value_pair){value_text(STR("sku")), value_text(str_of(sku))};
    map->pairs[1] = (struct value_pair){value_text(STR("price")), value_int(price)};
    return (struct value){.type = VALUE_MAP, .map = map};
}

static void windows(void **state)
{
    (void)state;
    struct bench b;
    open_bench(&b);
    says(&b, "count(\"Login\", traits.plan) == 3", "true");
    assert_int_equal(b.world.bindings[0].slot, 1);
    says(&b, "count(\"Login\", traits.plan + \"d\") == 3", "true");
    assert_int_equal(b.world.bindings[1].slot, UINT32_MAX);
    close_bench(&b);
}

static void binders(void **state)
{
    (void)state;
    struct bench b;
    open_bench(&b);
    struct value past[] = {past_event(&b.plan, "s1", 5), past_event(&b.plan, "free", 9)};
    b.world.past = past;
    b.world.past_count = 2;
    says(&b, "past(\"Product Viewed\", e, e.sku == \"s1\" && e.price < 6)", "true");
    says(&b, "past(\"Product Viewed\", e, e.sku == \"s1\" && e.price > 6)", "false");
    says(&b, "past(\"Product Viewed\", e, e.sku == traits.plan)", "true");
    says(&b, "past(\"A\", e, e.price == event.count) || past(\"B\", f, f.price == 9)", "true");
    says(&b, "paid(\"A\", e, e.price)", "14");
    says(&b, "paid(\"A\", e, e.price * 2, e.sku == \"s1\") + 1", "11");
    says(&b, "paid(\"A\", e, e.price, e.sku == traits.plan && e.price > 8)", "9");
    const struct expr *expr =
        compile(&b, "event.value > 1.0 && past(\"A\", e, e.sku == traits.plan)", EXPR_WANT_BOOL);
    struct expr_reads reads = expr_reads(expr);
    /* event.value, the item's sku, traits.plan */
    assert_int_equal(reads.slot_count, 3);
    assert_int_equal(reads.slots[0], 0);
    assert_int_equal(reads.slots[1], WORLD_ITEM_SLOTS);
    assert_int_equal(reads.slots[2], 1);
    assert_int_equal(reads.binding_count, 1);

    /* A chain of && comes in parts, so that the host can run each when what it reads is known. */
    compile(&b, "past(\"A\", e, e.sku == \"s1\" && e.price > event.count && true)", EXPR_WANT_BOOL);
    const struct bound *bound = &b.world.bindings[b.world.binding_count - 1];
    assert_int_equal(bound->part_count, 3);
    assert_int_equal(expr_reads(bound->parts[0]).slot_count, 1);
    assert_int_equal(expr_reads(bound->parts[1]).slot_count, 2);
    assert_true(expr_is_constant(bound->parts[2]));
    assert_true(str_is(expr_part_text(bound->parts[0]), "e.sku == \"s1\""));
    close_bench(&b);
}

static void reads(void **state)
{
    (void)state;
    struct bench b;
    open_bench(&b);
    const struct expr *expr = compile(
        &b, "event.value > 1.0 && (event.value < 9.0 || has(event.coupon)) && count(\"x\") > 1",
        EXPR_WANT_BOOL);
    struct expr_reads r = expr_reads(expr);
    assert_int_equal(r.slot_count, 2);
    assert_int_equal(r.slots[0], 0);
    assert_int_equal(r.slots[1], 3);
    assert_int_equal(r.binding_count, 1);
    assert_false(r.is_timed);
    assert_false(expr_is_constant(expr));
    assert_true(expr_reads(compile(&b, "now > timestamp(0)", EXPR_WANT_BOOL)).is_timed);
    assert_true(expr_is_constant(compile(&b, "[1, 2].exists(x, x > 1)", EXPR_WANT_BOOL)));
    close_bench(&b);
}

static void types(void **state)
{
    (void)state;
    static const struct {
        const char *text, *type;
    } cases[] = {
        {"event.value", "double"},
        {"event.value > 1.0", "bool"},
        {"[1, 2]", "list(int)"},
        {"[1, 'a']", "list(dyn)"},
        {"[]", "list(dyn)"},
        {"{'a': 1.5}", "map(string, double)"},
        {"{'a': [1]}.a[0]", "int"},
        {"[1, 2].map(x, string(x))", "list(string)"},
        {"event.any", "dyn"},
        {"event.any + 1", "int"},
        {"dyn(1) + dyn(2)", "dyn"},
        {"{'a': 1}.?a", "optional(int)"},
        {"optional.of([1]).orValue([])", "list(int)"},
        {"event.at - event.at", "duration"},
        {"event.at - duration('1h')", "timestamp"},
        {"type(1)", "type"},
        {"cel.bind(x, 1, x + 1)", "int"},
        {"traits.beta ? 1 : 2", "int"},
        {"math.greatest(1, 2)", "int"},
        {"math.greatest(1, 2.5)", "dyn"},
        {"last('Order').total", "double"},
        {"last('Order').other", "dyn"},
    };
    for (size_t i = 0; i < array_count(cases); i++) {
        struct bench b;
        open_bench(&b);
        struct str type =
            expr_type_print(&b.plan, expr_type_of(compile(&b, cases[i].text, EXPR_WANT_ANY)));
        assert_string_equal(type.at, cases[i].type);
        close_bench(&b);
    }
}

static void quick(void **state)
{
    (void)state;
    /* The front of a chain is run without the machine where the slots are handed in as an array:
     * the answers are the same, whatever the slots hold. */
    static const char *const texts[] = {
        "event.count > 6 && event.value < 13.0 && traits.plan == 'free'",
        "event.count != 7 || event.value <= 12.5 && traits.beta",
        "event.count < 3 || traits.plan != 'paid' || did('x', '1d')",
        "!(event.count < 7) && !traits.beta",
        "event.count >= 7 && event.count <= 7 && event.count == 7 && !(event.count != 7)",
        "event.value > 12.4 && event.value >= 12.5 && !(event.value < 12.5) && event.value != 1.0",
        "event.coupon == 'x' || event.count > 6",
        "event.count > 6 && event.coupon == 'x'",
        "traits.plan == 'a text that is longer than sixteen bytes' || traits.plan == ''",
        "event.count > 9223372036854775807 || event.count < -9223372036854775808",
        "!(event.value > 12.5) && !(event.value >= 13.0) && !(event.value == 12.0)",
    };
    struct value edges[] = {
        value_none(),
        value_int(6),
        value_int(7),
        value_int(INT64_MAX),
        value_int(INT64_MIN),
        value_double(12.5),
        value_double((double)NAN),
        value_double(-0.0),
        value_text(STR("free")),
        value_text(STR("a text that is longer than sixteen bytes")),
        value_text(STR("a text that is longer than sixteen bytEs")),
        value_bool(false),
        {.type = VALUE_ERROR, .text = STR("broken")},
    };
    for (size_t t = 0; t < array_count(texts); t++) {
        struct bench b;
        open_bench(&b);
        const struct expr *expr = compile(&b, texts[t], EXPR_WANT_BOOL);
        for (uint32_t slot = 0; slot < array_count(attributes); slot++) {
            for (size_t e = 0; e < array_count(edges); e++) {
                struct value values[array_count(attributes)];
                struct value before = attributes[slot].value;
                attributes[slot].value = edges[e];
                for (uint32_t i = 0; i < array_count(attributes); i++)
                    values[i] = attributes[i].value;
                struct expr_host asking = world_host(&b.world), given = asking;
                given.slots = values;
                given.slot_count = array_count(values);
                struct expr_result x, y;
                expr_run(expr, &asking, &b.scratch, &x);
                expr_run(expr, &given, &b.scratch, &y);
                assert_string_equal(expr_value_print(&b.scratch, &x.value, 200).at,
                                    expr_value_print(&b.scratch, &y.value, 200).at);
                assert_int_equal(x.until_ms, y.until_ms);
                /* Half the slots are to be asked for. */
                for (uint32_t i = slot % 2; i < array_count(values); i += 2)
                    values[i].type = EXPR_ASK;
                expr_run(expr, &given, &b.scratch, &y);
                assert_string_equal(expr_value_print(&b.scratch, &x.value, 200).at,
                                    expr_value_print(&b.scratch, &y.value, 200).at);
                attributes[slot].value = before;
                arena_reset(&b.scratch);
            }
        }
        close_bench(&b);
    }
}

/* A random comparison of a random attribute with a literal near to what it may hold. */
static size_t make_test(char *out, size_t room, uint64_t seed)
{
    static const char *const signs[] = {"<", "<=", ">", ">=", "==", "!="};
    static const char *const ints[] = {"6", "7", "8", "-1", "9223372036854775807"};
    static const char *const doubles[] = {"12.5", "12.4", "13.0", "0.0", "-0.5", "1e300"};
    const char *sign = signs[hash_pair(seed, 1) % 6];
    const char *turn = hash_pair(seed, 2) % 4 ? "" : "!";
    uint64_t pick = hash_pair(seed, 3);
    switch (hash_pair(seed, 4) % 4) {
    case 0: return (size_t)snprintf(out, room, "%s(event.count %s %s)", turn, sign, ints[pick % 5]);
    case 1:
        return (size_t)snprintf(out, room, "%s(event.value %s %s)", turn, sign, doubles[pick % 6]);
    case 2:
        /* Each length has a way of its own. */
        return (size_t)snprintf(out, room, "%s(traits.plan %s '%.*s')", turn,
                                pick & 1 ? "==" : "!=", (int)(pick / 2 % 19),
                                "abcdefghijklmnopqrs");
    default: return (size_t)snprintf(out, room, "%straits.beta", turn);
    }
}

/* The machine alone is the oracle: it is asked what the same text says as a part of a choice. */
static void quick_chains(void **state)
{
    (void)state;
    static const char letters[] = "abcdefghijklmnopqrs", others[] = "abcdefghijklmnoXqrs";
    uint32_t trues = 0, falses = 0, errors = 0;
    for (uint64_t seed = 1; seed <= 4000; seed++) {
        struct bench b;
        open_bench(&b);
        char chain[1024], choice[1100];
        size_t len = 0;
        uint64_t tests = 1 + hash_pair(seed, 1) % 6;
        const char *join = hash_pair(seed, 2) & 1 ? " && " : " || ";
        for (uint64_t i = 0; i < tests; i++) {
            len += (size_t)snprintf(chain + len, sizeof(chain) - len, "%s", i ? join : "");
            len += make_test(chain + len, sizeof(chain) - len, hash_pair(seed, 10 + i));
        }
        snprintf(choice, sizeof(choice), "(%s) ? true : false", chain);
        if (tests == 1 && str_is(str_of(chain), "traits.beta")) {
            close_bench(&b); /* no condition, but a value: it may be of any type */
            continue;
        }
        const struct expr *expr = compile(&b, chain, EXPR_WANT_BOOL);
        const struct expr *oracle = compile(&b, choice, EXPR_WANT_BOOL);
        for (uint64_t round = 0; round < 6; round++) {
            uint64_t drawn = hash_pair(seed, 100 + round);
            const char *text = drawn & 1 ? letters : others;
            struct value values[array_count(attributes)];
            for (uint32_t i = 0; i < array_count(values); i++)
                values[i] = attributes[i].value;
            values[0] = value_double((double)(int64_t)(drawn % 30) / 2 - 0.5);
            values[1] = value_text((struct str){text, drawn / 32 % 19});
            values[2] = value_int((int64_t)(drawn / 1024 % 4) + 5);
            values[7] = value_bool(drawn >> 40 & 1);
            if (drawn >> 41 & 1) /* absent, or of another type */
                values[drawn >> 42 & 7] = drawn >> 45 & 1 ? value_none() : value_int(7);
            for (uint32_t i = 0; i < array_count(values); i++)
                attributes[i].value = values[i];
            struct expr_host host = world_host(&b.world), given = host;
            given.slots = values;
            given.slot_count = array_count(values);
            struct expr_result wanted, asked, got;
            expr_run(oracle, &host, &b.scratch, &wanted);
            expr_run(expr, &host, &b.scratch, &asked);
            expr_run(expr, &given, &b.scratch, &got);
            if (asked.value.type != wanted.value.type || got.value.type != wanted.value.type ||
                (got.value.type == VALUE_BOOL && (got.value.boolean != wanted.value.boolean ||
                                                  asked.value.boolean != wanted.value.boolean)))
                fail_msg("%s, seed %u, round %u", chain, (unsigned)seed, (unsigned)round);
            trues += expr_is_true(&got);
            falses += got.value.type == VALUE_BOOL && !got.value.boolean;
            errors += got.value.type == VALUE_ERROR;
        }
        close_bench(&b);
    }
    assert_true(trues > 1000);
    assert_true(falses > 1000);
    assert_true(errors > 300);
}

static void no_memory(void **state)
{
    (void)state;
    struct bench b;
    open_bench(&b);
    const struct expr *expr =
        compile(&b,
                "event.value < 30.0 && traits.plan in [\"free\", \"basic\"] && has(event.count) && "
                "now - event.at < duration(\"3d\") && traits.plan.matches(\"^f\") && "
                "traits.tags.exists(t, t == \"vip\") && count(\"x\") == 3",
                EXPR_WANT_BOOL);
    struct expr_host host = world_host(&b.world);
    expr_run(expr, &host, &b.scratch, &b.result);
    assert_true(expr_is_true(&b.result));
    assert_int_equal(b.scratch.total_bytes, 0);
    close_bench(&b);
}

static void costs(void **state)
{
    (void)state;
    static const char *const dear[] = {
        "lists.range(1000).all(a, lists.range(1000).all(b, lists.range(1000).all(c, c >= 0)))",
        "lists.range(1000000000).size() > 0",
        "lists.range(300).map(a, lists.range(300).map(b, [a, b])).size() > 0",
        "lists.range(100).map(x, traits.plan.replace('', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa')"
        ".replace('a', 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb').replace('b', 'cccccccccccccccccccc')"
        ".replace('c', 'dddddddddddddddddddddddddd')).size() > 0",
        "lists.range(3000).exists(x, lists.range(3000).distinct().size() == x) || true",
        "lists.range(2000).map(x, traits.plan.matches('a' + string(x))).size() > 0",
    };
    for (size_t i = 0; i < array_count(dear); i++) {
        struct bench b;
        open_bench(&b);
        const struct expr *expr = compile(&b, dear[i], EXPR_WANT_BOOL);
        struct expr_host host = world_host(&b.world);
        expr_run(expr, &host, &b.scratch, &b.result);
        assert_int_equal(b.result.value.type, VALUE_ERROR);
        assert_string_equal(b.result.value.text.at, "cost limit exceeded");
        assert_true(b.result.cost <= EXPR_COST_DEFAULT);
        assert_true(b.scratch.total_bytes < 16u << 20);
        close_bench(&b);
    }
    struct bench b;
    open_bench(&b);
    const struct expr *expr = compile(&b, "lists.range(100).all(x, x >= 0)", EXPR_WANT_BOOL);
    struct expr_host host = world_host(&b.world);
    expr_run(expr, &host, &b.scratch, &b.result);
    assert_true(expr_is_true(&b.result));
    host.cost_max = b.result.cost;
    expr_run(expr, &host, &b.scratch, &b.result);
    assert_true(expr_is_true(&b.result));
    host.cost_max--;
    expr_run(expr, &host, &b.scratch, &b.result);
    assert_int_equal(b.result.value.type, VALUE_ERROR);
    close_bench(&b);
}

/* How the text compiles: its fault, or "fine". */
static const char *fault_of(struct bench *b, struct str text)
{
    struct expr_scope scope = world_scope(&b->world);
    const struct expr *expr = NULL;
    static struct fault f;
    f = (struct fault){0};
    if (expr_compile(&b->plan, text, &scope, (struct expr_options){0}, &expr, &f) == OK)
        return "fine";
    assert_true(f.text[0] != '\0');
    return f.text;
}

static struct str repeated(struct arena *a, const char *before, size_t count, const char *middle,
                           const char *after)
{
    size_t room = (strlen(before) + strlen(after)) * count + strlen(middle) + 1;
    char *at = arena_alloc(a, room);
    size_t len = 0;
    for (size_t i = 0; i < count; i++, len += strlen(before))
        memcpy(at + len, before, strlen(before));
    memcpy(at + len, middle, strlen(middle));
    len += strlen(middle);
    for (size_t i = 0; i < count; i++, len += strlen(after))
        memcpy(at + len, after, strlen(after));
    return (struct str){at, len};
}

static void hostile(void **state)
{
    (void)state;
    static const struct {
        const char *before, *middle, *after;
        size_t fine, much;
    } shapes[] = {
        {"(", "1", ")", 100, 30000},
        {"[", "1", "]", 100, 30000},
        {"{1:", "1", "}", 100, 15000},
        {"!", "true", "", 100, 60000},
        {"-", "1", "", 100, 60000},
        {"1+", "1", "", 100, 30000},
        {"true?1:", "1", "", 100, 9000},
        {"size([", "1", "])", 50, 7000},
        {"", "event.any", ".a", 100, 30000},
        {"", "event.any", "[0]", 100, 20000},
        {"[1].map(x,", "1", ")", 60, 5000},
        {"cel.bind(x,1,", "1", ")", 60, 4000},
        {"[1].exists(x,", "true", ")", 60, 4000},
        {"{1:[", "1", "]}", 50, 9000},
        {"optional.of(", "1", ")", 60, 4000},
        {"", "traits.plan", ".trim()", 100, 9000},
        {"past(\"a\",e,", "true", ")", 4, 4000},
    };
    for (size_t i = 0; i < array_count(shapes); i++) {
        struct bench b;
        open_bench(&b);
        struct str fine = repeated(&b.scratch, shapes[i].before, shapes[i].fine, shapes[i].middle,
                                   shapes[i].after);
        assert_string_equal(fault_of(&b, fine), "fine");
        struct str much = repeated(&b.scratch, shapes[i].before, shapes[i].much, shapes[i].middle,
                                   shapes[i].after);
        const char *fault = fault_of(&b, much);
        assert_true(strstr(fault, "nested more than") || strstr(fault, "deep") ||
                    strstr(fault, "unknown"));
        assert_true(b.plan.total_bytes < 32u << 20);
        close_bench(&b);
    }
    struct bench b;
    open_bench(&b);
    /* Long but flat is fine. */
    assert_string_equal(
        fault_of(&b, repeated(&b.scratch, "event.count == 1 || ", 3000, "event.count == 2", "")),
        "fine");
    assert_string_equal(fault_of(&b, repeated(&b.scratch, "", 0, "event.count in [", "")),
                        "the text ends where a value is missing");
    struct str numbers = repeated(&b.scratch, "1, ", 9000, "2", "");
    struct str in = arena_printf(&b.scratch, "event.count in [%.*s]", STR_ARG(numbers));
    assert_string_equal(fault_of(&b, in), "fine");
    struct str many = repeated(&b.scratch, "1,", 25000, "1", "");
    assert_string_equal(fault_of(&b, arena_printf(&b.scratch, "[%.*s]", STR_ARG(many))),
                        "this expression has more than 20000 parts");
    assert_string_equal(fault_of(&b, repeated(&b.scratch, "          ", 7000, "true", "")),
                        "this expression has 70004 bytes; at most 65536 are allowed");
    assert_string_equal(fault_of(&b, repeated(&b.scratch, "9", 20, "", "")),
                        "this number is too large for 64 bits");
    assert_string_equal(fault_of(&b, repeated(&b.scratch, "9", 60000, "", "")),
                        "this number has more than 400 digits");
    /* A constant that would be dear to compute is left to the run. */
    assert_string_equal(
        fault_of(&b,
                 STR("size('aaaaaaaaaaaaaaaaaaaaaaaa'.replace('a', 'bbbbbbbbbbbbbbbbbbbbbbbbbbbb')"
                     ".replace('b', 'cccccccccccccccccccccccccccccccccccccccccccccc')"
                     ".replace('c', 'dddddddddddddddddddddddddddddddddddddddddddddd')"
                     ".replace('d', 'eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee'))")),
        "fine");
    close_bench(&b);
}

/* b0 is `first`, and each bN after it is `next` with %1$d = N and %2$d = N - 1; then `last`. */
static struct str nested_binds(struct arena *a, int count, const char *first, const char *next,
                               const char *last)
{
    struct buf out;
    buf_init(&out);
    char line[256];
    for (int i = 0; i < count; i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        int len = snprintf(line, sizeof(line), "cel.bind(b%d, ", i);
        buf_add(&out, line, (size_t)len);
        len = snprintf(line, sizeof(line), i == 0 ? first : next, i, i - 1);
        buf_add(&out, line, (size_t)len);
#pragma GCC diagnostic pop
        buf_add_str(&out, STR(", "));
    }
    buf_add_str(&out, str_of(last));
    for (int i = 0; i < count; i++)
        buf_add_byte(&out, ')');
    struct str text = arena_copy(a, buf_str(&out));
    buf_fini(&out);
    return text;
}

/* What compiles, but would take until the end of days: each step doubles, or multiplies by five. */
static void exponential(void **state)
{
    (void)state;
    static const struct {
        const char *first, *next, *last;
    } doubled[] = {
        {"[event.any, 2]", "[b%2$d, b%2$d]", "b59 == b59"},
        {"[event.any, 2]", "[b%2$d, b%2$d]", "'%s'.format([b59]) == ''"},
        {"[event.any, 2]", "[b%2$d, b%2$d]", "[b59, b59].distinct().size() == 1"},
        {"[event.any, 2]", "[b%2$d, b%2$d]", "b59 in [b59]"},
        {"{1: event.any}", "{1: b%2$d, 2: b%2$d}", "b59 == b59"},
        {"[event.any]", "b%2$d + b%2$d", "size(b59) > 0"},
        {"traits.plan", "b%2$d + b%2$d", "size(b59) > 0"},
        {"traits.plan", "b%2$d.replace('', b%2$d)", "size(b59) > 0"},
        {"[1, 2, 3, 4, 5]", "b%2$d.map(x%1$d, [1, 2, 3, 4, 5]).flatten() + b%2$d",
         "b59.size() > 0"},
    };
    for (size_t i = 0; i < array_count(doubled); i++) {
        struct bench b;
        open_bench(&b);
        struct str text =
            nested_binds(&b.plan, 60, doubled[i].first, doubled[i].next, doubled[i].last);
        const struct expr *expr = compile(&b, text.at, EXPR_WANT_BOOL);
        struct expr_host host = world_host(&b.world);
        expr_run(expr, &host, &b.scratch, &b.result);
        assert_string_equal(expr_value_print(&b.scratch, &b.result.value, 100).at,
                            "error: cost limit exceeded");
        assert_int_equal(b.result.cost, EXPR_COST_DEFAULT);
        struct expr_explanation e;
        expr_explain(expr, &host, &b.scratch, &e);
        assert_true(expr_explanation_print(expr, &e, &b.scratch).len < 4000);
        assert_true(b.scratch.total_bytes < 32u << 20);
        assert_true(b.plan.total_bytes < 1u << 20);
        close_bench(&b);
    }
    /* The same as one value is fine, but must not be printed whole. */
    struct bench b;
    open_bench(&b);
    struct str value = nested_binds(&b.plan, 60, "[1, 2]", "[b%2$d, b%2$d]", "b59");
    assert_true(strlen(said(&b, value.at)) < 500);
    static const char *const loops[] = {
        "[event.any, 2, 3, 4, 5].map(", "[1, 2, 3, 4, 5].map(", "[event.any, 2, 3, 4, 5].exists(",
        "[1, 2, 3, 4, 5].all(",         "[1, 2].exists_one(",   "{1: 2, 3: event.any}.map(",
    };
    for (size_t i = 0; i < array_count(loops); i++) {
        bool is_map = strstr(loops[i], ".map(") != NULL, is_all = strstr(loops[i], ".all(") != NULL;
        struct str text = STR("");
        for (int k = 0; k < 60; k++)
            text = arena_printf(&b.plan, "%.*s%sx%d, ", STR_ARG(text), loops[i], k);
        text = arena_printf(&b.plan, "%.*s%s%.*s", STR_ARG(text),
                            is_map   ? "1"
                            : is_all ? "true"
                                     : "false",
                            60, "))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))))");
        const struct expr *expr = compile(&b, text.at, EXPR_WANT_ANY);
        struct expr_host host = world_host(&b.world);
        expr_run(expr, &host, &b.scratch, &b.result);
        assert_string_equal(expr_value_print(&b.scratch, &b.result.value, 100).at,
                            "error: cost limit exceeded");
        struct expr_explanation e;
        expr_explain(expr, &host, &b.scratch, &e);
        assert_true(b.scratch.total_bytes < 64u << 20);
    }
    close_bench(&b);
}

/* Numbers and lengths that no memory would hold. */
static void huge(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says; /* the beginning of what is said */
    } cases[] = {
        {"lists.range(9223372036854775807).size()", "error: cost limit exceeded"},
        {"lists.range(event.count * 1000000).map(i, i).size()", "error: cost limit exceeded"},
        {"lists.range(event.count * 100000).sort().size()", "error: cost limit exceeded"},
        {"lists.range(1000).map(i, 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa')"
         ".join('bbbbbbbbbbbbbbbbbbbbbbbbbbbb').split('').size()",
         "error: cost limit exceeded"},
        {"'%.999999999f'.format([1.5])", "error: could not parse formatting clause"},
        {"duration('9999999999999999999h')", "error: range: "},
        {"duration('999999999999999999999999999999999999999999999s')", "error: "},
        {"timestamp('999999999-01-01T00:00:00Z')", "error: range: "},
        {"timestamp(9223372036854775807)", "error: "},
        {"event.at + duration('2000000h') + duration('2000000h')", "timestamp(\"2426-"},
        {"event.at + duration('2500000h') * 1", "no such overload"},
        {"9223372036854775807 + event.count", "error: "},
        {"-9223372036854775807 - event.count", "error: "},
        {"9223372036854775807 * event.count", "error: "},
        {"int(event.value * 1e300)", "error: "},
        {"1 / (event.count - 7)", "error: divide by zero"},
        {"1 % (event.count - 7)", "error: modulus by zero"},
        {"[1][event.count]", "error: "},
        {"traits.plan.substring(event.count * 1000000000)", "error: "},
        {"traits.plan.charAt(-event.count)", "error: "},
        {"traits.plan.matches(string(event.count) + '(((a{100}){100}){100})')", "error: "},
        {"(traits.plan + 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!').matches('(a*)*(a*)*(a*)*b')",
         "false"},
        {"math.bitShiftLeft(1, -event.count)", "error: "},
        {"base64.decode(traits.plan + '!')", "error: "},
        {"'%d'.format([traits.plan])", "error: "},
    };
    for (size_t i = 0; i < array_count(cases); i++) {
        struct bench b;
        open_bench(&b);
        if (str_is(str_of(cases[i].says), "no such overload")) {
            assert_true(strstr(fault_of(&b, str_of(cases[i].text)), "there is no duration * int"));
        } else {
            const char *got = said(&b, cases[i].text);
            if (strncmp(got, cases[i].says, strlen(cases[i].says)) != 0)
                fail_msg("%s\n    %s\n    %s", cases[i].text, got, cases[i].says);
        }
        assert_true(b.scratch.total_bytes < 16u << 20);
        close_bench(&b);
    }
}

static enum expr_found path_of_any(void *self, const struct expr_path *path, struct expr_slot *out,
                                   struct fault *f)
{
    (void)self;
    (void)f;
    *out = (struct expr_slot){
        .slot = (uint32_t)hash_str(path->parts[0], 0) % 1000000, .parts = 1, .type = &expr_bool};
    return EXPR_FOUND;
}

static void load_false(void *self, uint32_t slot, struct value *out, int64_t *until_ms)
{
    (void)self;
    (void)slot;
    (void)until_ms;
    *out = value_bool(false);
}

/* As many names as fit into the text: compiling, running and explaining take what the text is worth. */
static void many_names(void **state)
{
    (void)state;
    struct bench b;
    open_bench(&b);
    struct buf text;
    buf_init(&text);
    char name[16];
    for (int i = 0; i < 7000; i++) {
        int len = snprintf(name, sizeof(name), "n%d||", i);
        buf_add(&text, name, (size_t)len);
    }
    buf_add_str(&text, STR("1 == 2"));
    const struct expr *expr = NULL;
    struct expr_scope scope = {.path = path_of_any};
    assert_int_equal(
        expr_compile(&b.plan, buf_str(&text), &scope, (struct expr_options){0}, &expr, NULL), OK);
    struct expr_host host = {.load = load_false};
    expr_run(expr, &host, &b.scratch, &b.result);
    assert_int_equal(b.result.value.type, VALUE_BOOL);
    assert_false(b.result.value.boolean);
    /* It once copied all names for each part: 2.5 GB, and seven seconds. */
    struct expr_explanation e;
    expr_explain(expr, &host, &b.scratch, &e);
    assert_int_equal(e.clause.type, VALUE_BOOL);
    assert_true(b.scratch.total_bytes < 16u << 20);
    assert_true(b.plan.total_bytes < 8u << 20);
    buf_fini(&text);
    close_bench(&b);
}

static const char *explained(struct bench *b, const char *text)
{
    const struct expr *expr = compile(b, text, EXPR_WANT_BOOL);
    struct expr_host host = world_host(&b->world);
    struct expr_explanation e;
    expr_explain(expr, &host, &b->scratch, &e);
    return expr_explanation_print(expr, &e, &b->scratch).at;
}

static const char *failing(struct bench *b, const char *text)
{
    const struct expr *expr = compile(b, text, EXPR_WANT_BOOL);
    struct expr_host host = world_host(&b->world);
    struct expr_explanation e;
    expr_explain(expr, &host, &b->scratch, &e);
    return arena_printf(&b->scratch, "%u: %.*s", e.failing_count,
                        STR_ARG(expr_failing_print(expr, &e, 0, &b->scratch)))
        .at;
}

static void explains(void **state)
{
    (void)state;
    struct bench b;
    open_bench(&b);
    assert_string_equal(explained(&b, "traits.plan == \"free\" && event.value >= 30.0"),
                        "event.value >= 30.0 is false; event.value was 12.5");
    assert_string_equal(
        explained(&b, "traits.beta && (event.count > 3 && !(traits.plan == \"free\"))"),
        "traits.plan == \"free\" is true; traits.plan was \"free\"");
    assert_string_equal(explained(&b, "event.count > 9 || event.value > 99.0"),
                        "event.count > 9 || event.value > 99.0 is false; event.count was 7; "
                        "event.value was 12.5");
    assert_string_equal(explained(&b, "(event.count > 9) || ((event.value > 99.0))"),
                        "(event.count > 9) || ((event.value > 99.0)) is false; event.count was 7; "
                        "event.value was 12.5");
    assert_string_equal(explained(&b, "traits.beta && (event.count + 1) > (9 - 1)"),
                        "(event.count + 1) > (9 - 1) is false; event.count + 1 was 8");
    assert_string_equal(explained(&b, "event.count == 7 && event.coupon == \"X\""),
                        "event.coupon == \"X\" fails: there is no event.coupon");
    assert_string_equal(failing(&b, "event.count == 7 && event.coupon == \"X\""),
                        "1: event.coupon == \"X\"");
    assert_string_equal(failing(&b, "event.count == 8 && traits.beta && event.value > 99.0"),
                        "2: event.count == 8, event.value > 99.0");
    assert_string_equal(failing(&b, "traits.beta && (event.count > 9 && !traits.beta)"),
                        "2: event.count > 9, !traits.beta");
    assert_string_equal(failing(&b, "event.count > 9 || event.value > 99.0"),
                        "1: event.count > 9 || event.value > 99.0");
    assert_string_equal(failing(&b, "traits.beta && event.count == 7"), "0: ");
    assert_string_equal(explained(&b, "\"vap\" in traits.tags"),
                        "\"vap\" in traits.tags is false; traits.tags was [\"new\", \"vip\"]");
    assert_string_equal(explained(&b, "traits.beta && !did(\"Login\", \"3d\")"),
                        "did(\"Login\", \"3d\") is true");
    assert_string_equal(
        explained(&b, "cel.bind(age, now - event.at, age > duration(\"3d\") && traits.beta)"),
        "age > duration(\"3d\") is false; age was duration(\"1s\")");
    assert_string_equal(explained(&b, "traits.beta ? event.count > 8 : true"),
                        "event.count > 8 is false; traits.beta was true; event.count was 7");
    assert_string_equal(
        explained(&b, "traits.tags.all(t, t == \"vip\" || event.count > 9)"),
        "t == \"vip\" || event.count > 9 is false; t was \"new\"; event.count was 7");
    assert_string_equal(explained(&b, "!traits.tags.exists(i, t, t == \"vip\" && i > 0)"),
                        "t == \"vip\" && i > 0 is true; t was \"vip\"; i was 1");
    assert_string_equal(explained(&b, "traits.tags.exists(t, t == \"old\")"),
                        "traits.tags.exists(t, t == \"old\") is false; traits.tags was "
                        "[\"new\", \"vip\"]");
    close_bench(&b);
}

static void dumps(void **state)
{
    (void)state;
    struct bench b;
    open_bench(&b);
    const struct expr *expr =
        compile(&b, "event.value >= 30.0 && count(\"Login\") > 2", EXPR_WANT_BOOL);
    struct buf out;
    buf_init(&out);
    expr_dump(expr, &out);
    buf_add_byte(&out, '\0');
    assert_string_equal((const char *)out.at,
                        "   0  COMPARE          r0  slot 0  30.0  how 0x56  jump 3\n"
                        "   1  CALL_HOST        r1  binding 0 of 0 from r2\n"
                        "   2  COMPARE          r0  r1  2  how 0x14  jump 3\n"
                        "   3  END              r0  r0\n");
    buf_fini(&out);
    close_bench(&b);
}

static void prints(void **state)
{
    (void)state;
    struct bench b;
    open_bench(&b);
    says(&b,
         "[1, 1u, 1.0, 0.1, 1e300, 'a\"\\n', b'\\x01', null, true, timestamp(0), duration('90s')]",
         "[1, 1u, 1.0, 0.1, 1e+300, \"a\\\"\\n\", b\"\\x01\", null, true, "
         "timestamp(\"1970-01-01T00:00:00Z\"), duration(\"90s\")]");
    const struct expr *expr = compile(&b, "'äöü' + 'ß'", EXPR_WANT_ANY);
    struct expr_host host = world_host(&b.world);
    expr_run(expr, &host, &b.scratch, &b.result);
    assert_string_equal(expr_value_print(&b.scratch, &b.result.value, 7).at, "\"ä...");
    assert_string_equal(expr_value_print(&b.scratch, &b.result.value, 10).at, "\"äöüß\"");
    close_bench(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("every function does what its example says", examples),
        TEST("attributes are read through the host", slots),
        TEST("a missing value is an error that the other side may decide", missing),
        TEST("what does not matter is not read", short_circuit),
        TEST("host functions are bound with their literals and fields", functions),
        TEST("a host function learns which attribute an argument is", windows),
        TEST("a predicate over past events is a program of its own", binders),
        TEST("an expression knows what it reads", reads),
        TEST("types are found as far as they can be", types),
        TEST("the quick way and the machine agree", quick),
        TEST("random chains of comparisons come out as the machine says", quick_chains),
        TEST("a condition takes no memory", no_memory),
        TEST("what costs too much ends in an error", costs),
        TEST("hostile texts end in a clear fault", hostile),
        TEST("what doubles at each step ends in an error, and so does explaining it", exponential),
        TEST("numbers and lengths without end are errors", huge),
        TEST("thousands of names take what their text is worth", many_names),
        TEST("the clause that decided is named with what it saw", explains),
        TEST("the code can be looked at", dumps),
        TEST("values are printed as they are written", prints),
    };
    return cmocka_run_group_tests_name("expr/expr", tests, NULL, NULL);
}
