/* oracle_for_tests.h - well-typed expressions out of bytes, and what they must come out as.
 *
 *     bytes --made_bool()...--> tree --made_text()--> CEL text --the room--> {value, until}
 *                                 |                                             |
 *                                 +-----------made_value(), at any instant -----+ equal
 *
 * The tree is walked by rules that are as plain as the specification's: each operand is computed, an
 * error is a value, nothing is compiled, solved or skipped. So a mistake of the checker (a sound
 * expression refused), of the machine (another value) or of the untils (a change before it was
 * announced) shows, whatever the bytes were. Used by oracle_test.c and by tests/fuzz/fuzz_expr_made.c.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <math.h>

#include "base/hash.h"
#include "expr/host_for_tests.h"

/* Where choices come from: bytes while there are any, then zeros, which end an expression soon; or
 * chance by a seed. */
struct choices {
    const uint8_t *at;
    size_t left;
    uint64_t seed, drawn;
};

static uint32_t choose(struct choices *c, uint32_t below)
{
    if (c->seed != 0)
        return (uint32_t)(hash_pair(c->seed, ++c->drawn) % below);
    if (c->left == 0)
        return 0;
    c->left--;
    return *c->at++ % below;
}

enum made_op {
    MADE_LITERAL, /* value */
    MADE_SLOT,    /* number: the world's attribute */
    MADE_NAME,    /* number: a variable of cel.bind or a loop */
    MADE_NOW,
    MADE_AND,
    MADE_OR,
    MADE_NOT,
    MADE_CHOOSE,
    MADE_COMPARE, /* number: made_signs */
    MADE_IN,
    MADE_CONTAINS,
    MADE_STARTS,
    MADE_ENDS,
    MADE_HAS, /* number: the attribute */
    MADE_ALL,
    MADE_EXISTS,
    MADE_EXISTS_ONE,
    MADE_MAP,
    MADE_FILTER,
    MADE_BIND,
    MADE_PAST, /* past("A", e, e.price > [0] && e.sku != "b") */
    MADE_SUM,  /* number: one of + - * / % */
    MADE_NEGATE,
    MADE_SIZE,
    MADE_INDEX,
    MADE_TWICE,
    MADE_FIELD, /* of a time; number: made_fields */
    MADE_TO_DOUBLE,
    MADE_TO_TEXT,
    MADE_LIST,
};

enum made_type { MADE_BOOL, MADE_INT, MADE_DOUBLE, MADE_TEXT, MADE_INTS, MADE_TIME, MADE_DURATION };

struct made {
    enum made_op op;
    uint32_t number;
    uint32_t count;
    struct value value;
    const struct made *arguments[4];
};

static const char *const made_signs[] = {"<", "<=", "==", "!=", ">=", ">"};
static const struct {
    const char *name;
    int64_t unit_ms, modulus;
} made_fields[] = {
    {"getHours", HOUR_MS, 24},
    {"getMinutes", MINUTE_MS, 60},
    {"getSeconds", SECOND_MS, 60},
    {"getMilliseconds", 1, 1000},
};

#define MADE_NAMES_MAX 32
#define MADE_BASE_MS   INT64_C(1772366399900) /* shortly before noon on 2026-03-01 */

/* The world: slots by type, some of which are absent or change. */
enum {
    MADE_SLOT_INT,
    MADE_SLOT_DOUBLE,
    MADE_SLOT_TEXT,
    MADE_SLOT_BOOL,
    MADE_SLOT_TIME,
    MADE_SLOT_INTS,
    MADE_SLOT_GONE,
    MADE_SLOTS,
};

struct made_world {
    struct attribute attributes[MADE_SLOTS];
    struct world world;
    struct value_list *ints;
    struct value past[2]; /* maps of sku and price */
};

static void made_world_open(struct made_world *w, struct arena *arena, struct choices *c)
{
    *w = (struct made_world){0};
    w->ints = arena_zalloc(arena, sizeof(*w->ints) + 3 * sizeof(struct value));
    w->ints->count = 3;
    for (int i = 0; i < 3; i++)
        w->ints->items[i] = value_int((int64_t)choose(c, 9) - 1);
    for (int i = 0; i < 2; i++) {
        struct value_map *event =
            arena_zalloc(arena, sizeof(*event) + 2 * sizeof(struct value_pair));
        event->count = 2;
        event->pairs[0] = (struct value_pair){value_text(STR("sku")),
                                              value_text(choose(c, 2) ? STR("a") : STR("b"))};
        event->pairs[1] = (struct value_pair){value_text(STR("price")), value_int(choose(c, 9))};
        w->past[i] = (struct value){.type = VALUE_MAP, .map = event};
    }
    int64_t change_ms = MADE_BASE_MS + 1 + choose(c, 200);
    const struct attribute all[MADE_SLOTS] = {
        [MADE_SLOT_INT] = {.name = "event.count",
                           .type = &expr_int,
                           .value = value_int((int64_t)choose(c, 5) - 1),
                           .until_ms = choose(c, 2) ? change_ms : 0,
                           .after = value_int(3)},
        [MADE_SLOT_DOUBLE] = {.name = "event.value",
                              .type = &expr_double,
                              .value = value_double(choose(c, 10) / 4.0)},
        [MADE_SLOT_TEXT] = {.name = "traits.plan",
                            .type = &expr_text,
                            .value = value_text(choose(c, 2) ? STR("free") : STR("paid"))},
        [MADE_SLOT_BOOL] = {.name = "traits.beta",
                            .type = &expr_bool,
                            .value = value_bool(choose(c, 2)),
                            .until_ms = choose(c, 2) ? change_ms : 0,
                            .after = value_bool(choose(c, 2))},
        [MADE_SLOT_TIME] = {.name = "event.at",
                            .type = &expr_time,
                            .value = value_time(MADE_BASE_MS + choose(c, 200)),
                            .until_ms = choose(c, 2) ? change_ms : 0,
                            .after = value_time(MADE_BASE_MS + choose(c, 200))},
        [MADE_SLOT_INTS] = {.name = "event.items", .type = &expr_list_dyn},
        [MADE_SLOT_GONE] = {.name = "event.gone",
                            .type = &expr_int,
                            .until_ms = choose(c, 2) ? change_ms : 0,
                            .after = value_int(1)},
    };
    memcpy(w->attributes, all, sizeof(all));
    w->attributes[MADE_SLOT_INTS].value = (struct value){.type = VALUE_LIST, .list = w->ints};
    w->world = (struct world){
        .attributes = w->attributes,
        .count = MADE_SLOTS,
        .past = w->past,
        .past_count = 2,
    };
}

/* Making ---------------------------------------------------------------------------------------- */

struct maker {
    struct choices *choices;
    struct arena *arena;
    int depth;                            /* how much deeper it may go */
    bool is_timed;                        /* there is a `now` in it */
    bool stands;                          /* `now` must not appear: inside map() and filter() */
    enum made_type names[MADE_NAMES_MAX]; /* in sight */
    uint32_t name_count;
    uint32_t names_given; /* ever: each name once, so that none hides another */
    uint32_t numbers[MADE_NAMES_MAX];
    bool moving[MADE_NAMES_MAX]; /* may hold a time that moves */
};

static const struct made *made_of(struct maker *m, enum made_type type);

static struct made *made_new(struct maker *m, enum made_op op, uint32_t number)
{
    struct made *n = arena_new(m->arena, struct made);
    *n = (struct made){.op = op, .number = number};
    return n;
}

static const struct made *made_with(struct maker *m, enum made_op op, uint32_t number,
                                    uint32_t count, const enum made_type *types)
{
    struct made *n = made_new(m, op, number);
    n->count = count;
    for (uint32_t i = 0; i < count; i++)
        n->arguments[i] = made_of(m, types[i]);
    return n;
}
#define MADE_WITH(m, op, number, ...)                                                          \
    made_with(m, op, number, sizeof((enum made_type[]){__VA_ARGS__}) / sizeof(enum made_type), \
              (const enum made_type[]){__VA_ARGS__})

static const struct made *made_literal(struct maker *m, enum made_type type)
{
    static const int64_t ints[] = {0, 1, 2, 3, 7, -1, 100, INT64_MAX, INT64_MAX / 2, -INT64_MAX};
    static const double doubles[] = {0.0, 1.0, 0.5, 2.25, -1.5, 1e300, 9007199254740993.0};
    static const char *const texts[] = {
        "", "a", "fr", "free", "paid", "freed", "abcdefgh", "ee", "a text of twenty-six bytes"};
    static const int64_t spans[] = {0, 1, 50, 100, SECOND_MS, -100, HOUR_MS};
    struct made *n = made_new(m, MADE_LITERAL, 0);
    switch (type) {
    case MADE_BOOL: n->value = value_bool(choose(m->choices, 2)); break;
    case MADE_INT: n->value = value_int(ints[choose(m->choices, array_count(ints))]); break;
    case MADE_DOUBLE:
        n->value = value_double(doubles[choose(m->choices, array_count(doubles))]);
        break;
    case MADE_TEXT:
        n->value = value_text(str_of(texts[choose(m->choices, array_count(texts))]));
        break;
    case MADE_INTS: return MADE_WITH(m, MADE_LIST, 0, MADE_INT, MADE_INT);
    case MADE_TIME: n->value = value_time(MADE_BASE_MS + choose(m->choices, 220)); break;
    case MADE_DURATION:
        n->value = value_duration(spans[choose(m->choices, array_count(spans))]);
        break;
    }
    return n;
}

/* A variable of the type in sight, or NULL. */
static const struct made *made_name(struct maker *m, enum made_type type)
{
    for (uint32_t i = m->name_count; i > 0; i--)
        if (m->names[i - 1] == type && !(m->stands && m->moving[i - 1]))
            return made_new(m, MADE_NAME, m->numbers[i - 1]);
    return NULL;
}

static const struct made *made_leaf(struct maker *m, enum made_type type)
{
    static const uint32_t slots[] = {
        [MADE_BOOL] = MADE_SLOT_BOOL,     [MADE_INT] = MADE_SLOT_INT,
        [MADE_DOUBLE] = MADE_SLOT_DOUBLE, [MADE_TEXT] = MADE_SLOT_TEXT,
        [MADE_INTS] = MADE_SLOT_INTS,     [MADE_TIME] = MADE_SLOT_TIME,
    };
    const struct made *name;
    switch (choose(m->choices, 5)) {
    case 0: return made_literal(m, type);
    case 1:
        if (type == MADE_TIME && !m->stands) {
            m->is_timed = true;
            return made_new(m, MADE_NOW, 0);
        }
        if (type == MADE_INT && choose(m->choices, 3) == 1)
            return made_new(m, MADE_SLOT, MADE_SLOT_GONE);
        break;
    case 2:
    case 3:
        if ((name = made_name(m, type)) != NULL)
            return name;
        break;
    default: break;
    }
    return type == MADE_DURATION ? made_literal(m, type) : made_new(m, MADE_SLOT, slots[type]);
}

/* A node with one argument of type `from`, and the last with a new variable in sight. */
static const struct made *made_scope(struct maker *m, enum made_op op, enum made_type from,
                                     enum made_type name, enum made_type body)
{
    struct made *n = made_new(m, op, m->names_given);
    bool stands = m->stands;
    n->count = 2;
    n->arguments[0] = made_of(m, from);
    if (m->name_count == MADE_NAMES_MAX)
        return made_leaf(m, body);
    m->moving[m->name_count] = op == MADE_BIND;
    m->numbers[m->name_count] = m->names_given++;
    n->number = m->numbers[m->name_count];
    m->names[m->name_count++] = name;
    m->stands = stands || op == MADE_FILTER || op == MADE_MAP;
    n->arguments[1] = made_of(m, body);
    m->stands = stands;
    m->name_count--;
    return n;
}

static const struct made *made_bool(struct maker *m)
{
    static const enum made_type compared[] = {MADE_INT, MADE_DOUBLE, MADE_TEXT, MADE_TIME,
                                              MADE_DURATION};
    static const enum made_type bools[] = {MADE_BOOL, MADE_BOOL, MADE_BOOL, MADE_BOOL};
    uint32_t sign = choose(m->choices, 6);
    enum made_type type = compared[choose(m->choices, array_count(compared))];
    switch (choose(m->choices, 24)) {
    case 0:
    case 1: return made_with(m, MADE_AND, 0, 2 + sign % 3, bools);
    case 2:
    case 3: return made_with(m, MADE_OR, 0, 2 + sign % 3, bools);
    case 4: return MADE_WITH(m, MADE_NOT, 0, MADE_BOOL);
    case 5: return MADE_WITH(m, MADE_IN, 0, MADE_INT, MADE_INTS);
    case 6: return MADE_WITH(m, MADE_CONTAINS, 0, MADE_TEXT, MADE_TEXT);
    case 7: return MADE_WITH(m, MADE_STARTS + sign % 2, 0, MADE_TEXT, MADE_TEXT);
    case 8: return made_new(m, MADE_HAS, sign % 2 ? MADE_SLOT_GONE : MADE_SLOT_INT);
    case 9: return made_scope(m, MADE_ALL, MADE_INTS, MADE_INT, MADE_BOOL);
    case 10: return made_scope(m, MADE_EXISTS, MADE_INTS, MADE_INT, MADE_BOOL);
    case 11: return made_scope(m, MADE_EXISTS_ONE, MADE_INTS, MADE_INT, MADE_BOOL);
    case 12: return made_literal(m, MADE_BOOL);
    case 13: {
        struct made *n = made_new(m, MADE_PAST, 0);
        n->count = 1;
        n->arguments[0] = made_literal(m, MADE_INT);
        return n;
    }
    case 14: return MADE_WITH(m, MADE_COMPARE, sign, MADE_INT, MADE_DOUBLE);
    case 15:
    case 16:
    case 17:
    case 18:
    case 19: { /* what most conditions are: an attribute against a literal */
        static const uint32_t slots[] = {MADE_SLOT_INT, MADE_SLOT_DOUBLE, MADE_SLOT_TEXT,
                                         MADE_SLOT_GONE};
        static const enum made_type types[] = {MADE_INT, MADE_DOUBLE, MADE_TEXT, MADE_INT};
        uint32_t pick = choose(m->choices, 4);
        struct made *n = made_new(m, MADE_COMPARE, sign);
        n->count = 2;
        n->arguments[0] = made_new(m, MADE_SLOT, slots[pick]);
        n->arguments[1] = made_literal(m, types[pick]);
        return n;
    }
    default: return MADE_WITH(m, MADE_COMPARE, sign, type, type);
    }
}

static const struct made *made_int(struct maker *m)
{
    static const char signs[] = "++-*/%";
    uint32_t pick = choose(m->choices, 6);
    switch (choose(m->choices, 8)) {
    case 0: return MADE_WITH(m, MADE_SIZE, 0, MADE_TEXT);
    case 1: return MADE_WITH(m, MADE_SIZE, 0, MADE_INTS);
    case 2: return MADE_WITH(m, MADE_INDEX, 0, MADE_INTS, MADE_INT);
    case 3: return MADE_WITH(m, MADE_NEGATE, 0, MADE_INT);
    case 4: return MADE_WITH(m, MADE_TWICE, 0, MADE_INT);
    case 5: return MADE_WITH(m, MADE_FIELD, pick % 4, MADE_TIME);
    default: return MADE_WITH(m, MADE_SUM, (uint8_t)signs[pick], MADE_INT, MADE_INT);
    }
}

static const struct made *made_of(struct maker *m, enum made_type type)
{
    static const char doubles[] = "+-*/";
    uint32_t pick = choose(m->choices, 16);
    if (m->depth <= 0 || pick < 2)
        return made_leaf(m, type);
    m->depth--;
    const struct made *n = NULL;
    if (pick == 2) {
        n = MADE_WITH(m, MADE_CHOOSE, 0, MADE_BOOL, type, type);
    } else if (pick == 3) {
        enum made_type held = (enum made_type)choose(m->choices, MADE_DURATION + 1);
        n = made_scope(m, MADE_BIND, held, held, type);
    } else {
        switch (type) {
        case MADE_BOOL: n = made_bool(m); break;
        case MADE_INT: n = made_int(m); break;
        case MADE_DOUBLE:
            n = pick < 7
                    ? MADE_WITH(m, MADE_TO_DOUBLE, 0, MADE_INT)
                    : MADE_WITH(m, MADE_SUM, (uint8_t)doubles[pick % 4], MADE_DOUBLE, MADE_DOUBLE);
            break;
        case MADE_TEXT:
            n = pick < 8 ? MADE_WITH(m, MADE_TO_TEXT, 0, MADE_INT)
                         : MADE_WITH(m, MADE_SUM, '+', MADE_TEXT, MADE_TEXT);
            break;
        case MADE_INTS:
            n = pick < 6    ? MADE_WITH(m, MADE_LIST, 0, MADE_INT, MADE_INT, MADE_INT)
                : pick < 8  ? MADE_WITH(m, MADE_SUM, '+', MADE_INTS, MADE_INTS)
                : pick < 12 ? made_scope(m, MADE_MAP, MADE_INTS, MADE_INT, MADE_INT)
                            : made_scope(m, MADE_FILTER, MADE_INTS, MADE_INT, MADE_BOOL);
            break;
        case MADE_TIME:
            n = pick < 8 ? made_leaf(m, MADE_TIME)
                         : MADE_WITH(m, MADE_SUM, pick % 2 ? '+' : '-', MADE_TIME, MADE_DURATION);
            break;
        case MADE_DURATION:
            n = pick < 10
                    ? MADE_WITH(m, MADE_SUM, '-', MADE_TIME, MADE_TIME)
                    : MADE_WITH(m, MADE_SUM, pick % 2 ? '+' : '-', MADE_DURATION, MADE_DURATION);
            break;
        }
    }
    m->depth++;
    return n;
}

/* Writing --------------------------------------------------------------------------------------- */

static struct str made_join(struct arena *a, const struct str *parts, uint32_t count,
                            const char *between)
{
    struct str all = STR("");
    for (uint32_t i = 0; i < count; i++)
        all = arena_printf(a, "%.*s%s%.*s", STR_ARG(all), i ? between : "", STR_ARG(parts[i]));
    return all;
}

static struct str made_text(struct arena *a, const struct made *n)
{
    struct str s[4] = {{0}};
    for (uint32_t i = 0; i < n->count; i++)
        s[i] = made_text(a, n->arguments[i]);
    static const char *const slots[MADE_SLOTS] = {
        "event.count", "event.value", "traits.plan", "traits.beta",
        "event.at",    "event.items", "event.gone",
    };
    static const char *const loops[] = {"all", "exists", "exists_one", "map", "filter"};
    static const char *const methods[] = {"contains", "startsWith", "endsWith"};
    switch (n->op) {
    case MADE_LITERAL:
        if (n->value.type == VALUE_INT && n->value.integer < 0)
            return arena_printf(a, "(%lld)", (long long)n->value.integer);
        return expr_value_print(a, &n->value, 200);
    case MADE_SLOT: return str_of(slots[n->number]);
    case MADE_NAME: return arena_printf(a, "v%u", n->number);
    case MADE_NOW: return STR("now");
    case MADE_AND: return arena_printf(a, "(%.*s)", STR_ARG(made_join(a, s, n->count, " && ")));
    case MADE_OR: return arena_printf(a, "(%.*s)", STR_ARG(made_join(a, s, n->count, " || ")));
    case MADE_NOT: return arena_printf(a, "!(%.*s)", STR_ARG(s[0]));
    case MADE_CHOOSE:
        return arena_printf(a, "(%.*s ? %.*s : %.*s)", STR_ARG(s[0]), STR_ARG(s[1]), STR_ARG(s[2]));
    case MADE_COMPARE:
        return arena_printf(a, "(%.*s %s %.*s)", STR_ARG(s[0]), made_signs[n->number],
                            STR_ARG(s[1]));
    case MADE_IN: return arena_printf(a, "(%.*s in %.*s)", STR_ARG(s[0]), STR_ARG(s[1]));
    case MADE_CONTAINS:
    case MADE_STARTS:
    case MADE_ENDS:
        return arena_printf(a, "%.*s.%s(%.*s)", STR_ARG(s[0]), methods[n->op - MADE_CONTAINS],
                            STR_ARG(s[1]));
    case MADE_HAS: return arena_printf(a, "has(%s)", slots[n->number]);
    case MADE_ALL:
    case MADE_EXISTS:
    case MADE_EXISTS_ONE:
    case MADE_MAP:
    case MADE_FILTER:
        return arena_printf(a, "%.*s.%s(v%u, %.*s)", STR_ARG(s[0]), loops[n->op - MADE_ALL],
                            n->number, STR_ARG(s[1]));
    case MADE_BIND:
        return arena_printf(a, "cel.bind(v%u, %.*s, %.*s)", n->number, STR_ARG(s[0]),
                            STR_ARG(s[1]));
    case MADE_PAST:
        return arena_printf(a, "past('A', e, e.price > %.*s && e.sku != 'b')", STR_ARG(s[0]));
    case MADE_SUM:
        return arena_printf(a, "(%.*s %c %.*s)", STR_ARG(s[0]), (char)n->number, STR_ARG(s[1]));
    case MADE_NEGATE: return arena_printf(a, "-(%.*s)", STR_ARG(s[0]));
    case MADE_SIZE: return arena_printf(a, "size(%.*s)", STR_ARG(s[0]));
    case MADE_INDEX: return arena_printf(a, "%.*s[%.*s]", STR_ARG(s[0]), STR_ARG(s[1]));
    case MADE_TWICE: return arena_printf(a, "twice(%.*s)", STR_ARG(s[0]));
    case MADE_FIELD:
        return arena_printf(a, "%.*s.%s()", STR_ARG(s[0]), made_fields[n->number].name);
    case MADE_TO_DOUBLE: return arena_printf(a, "double(%.*s)", STR_ARG(s[0]));
    case MADE_TO_TEXT: return arena_printf(a, "string(%.*s)", STR_ARG(s[0]));
    case MADE_LIST: return arena_printf(a, "[%.*s]", STR_ARG(made_join(a, s, n->count, ", ")));
    }
    return STR("");
}

/* What it must come out as ---------------------------------------------------------------------- */

struct made_moment {
    struct made_world *world;
    struct arena *arena;
    int64_t now_ms;
    struct value names[4096];
};

static struct value made_error(void)
{
    return (struct value){.type = VALUE_ERROR, .text = STR("an error")};
}

static struct value made_value(struct made_moment *m, const struct made *n);

static int made_order(const struct value *a, const struct value *b)
{
    if (a->type == VALUE_TEXT) {
        int order = str_order(a->text, b->text);
        return (order > 0) - (order < 0);
    }
    if (a->type != VALUE_DOUBLE && b->type != VALUE_DOUBLE)
        return (a->integer > b->integer) - (a->integer < b->integer);
    /* An int beside a double is compared as a double, though it may lose its last digits: the
     * specification's cases have 9223372036854775807 not less than 9223372036854775808.0. */
    double x = a->type == VALUE_DOUBLE ? a->number : (double)a->integer;
    double y = b->type == VALUE_DOUBLE ? b->number : (double)b->integer;
    return x < y ? -1 : x == y ? 0 : x > y ? 1 : 2;
}

static bool made_compare(uint32_t sign, int order)
{
    switch (sign) {
    case 0: return order == -1;
    case 1: return order == -1 || order == 0;
    case 2: return order == 0;
    case 3: return order != 0;
    case 4: return order == 0 || order == 1;
    default: return order == 1;
    }
}

static struct value made_whole(__int128 x)
{
    return x < INT64_MIN || x > INT64_MAX ? made_error() : value_int((int64_t)x);
}

static struct value made_list(struct made_moment *m, uint32_t room, struct value_list **out)
{
    struct value_list *list =
        arena_zalloc(m->arena, sizeof(*list) + (size_t)room * sizeof(struct value));
    *out = list;
    return (struct value){.type = VALUE_LIST, .list = list};
}

static struct value made_sum(struct made_moment *m, char sign, const struct value *a,
                             const struct value *b)
{
    if (a->type == VALUE_TEXT)
        return value_text(arena_printf(m->arena, "%.*s%.*s", STR_ARG(a->text), STR_ARG(b->text)));
    if (a->type == VALUE_LIST) {
        struct value_list *list;
        struct value v = made_list(m, a->list->count + b->list->count, &list);
        for (uint32_t i = 0; i < a->list->count; i++)
            list->items[list->count++] = a->list->items[i];
        for (uint32_t i = 0; i < b->list->count; i++)
            list->items[list->count++] = b->list->items[i];
        return v;
    }
    if (a->type == VALUE_DOUBLE) {
        switch (sign) {
        case '+': return value_double(a->number + b->number);
        case '-': return value_double(a->number - b->number);
        case '*': return value_double(a->number * b->number);
        default:
            if (b->number == 0) /* the sanitizer takes x / 0.0 for a slip */
                return value_double(a->number == 0 || a->number != a->number ? (double)NAN
                                    : (a->number < 0) != (bool)__builtin_signbit(b->number)
                                        ? -(double)INFINITY
                                        : (double)INFINITY);
            return value_double(a->number / b->number);
        }
    }
    __int128 x = a->integer, y = b->integer;
    if (a->type != VALUE_INT) { /* times and durations, of whole milliseconds */
        int64_t sum = (int64_t)(sign == '+' ? x + y : x - y);
        bool is_time = a->type == VALUE_TIME && b->type == VALUE_DURATION;
        return is_time ? value_time(sum) : value_duration(sum);
    }
    switch (sign) {
    case '+': return made_whole(x + y);
    case '-': return made_whole(x - y);
    case '*': return made_whole(x * y);
    case '/': return y == 0 ? made_error() : made_whole(x / y);
    default: return y == 0 || (x == INT64_MIN && y == -1) ? made_error() : made_whole(x % y);
    }
}

static struct value made_loop(struct made_moment *m, const struct made *n,
                              const struct value *range)
{
    struct value_list *list;
    struct value out = made_list(m, range->list->count, &list);
    uint32_t trues = 0, falses = 0, errors = 0;
    for (uint32_t i = 0; i < range->list->count; i++) {
        m->names[n->number] = range->list->items[i];
        struct value v = made_value(m, n->arguments[1]);
        errors += v.type == VALUE_ERROR;
        if (n->op == MADE_MAP)
            list->items[list->count++] = v;
        if (v.type != VALUE_BOOL)
            continue;
        trues += v.boolean;
        falses += !v.boolean;
        if (n->op == MADE_FILTER && v.boolean)
            list->items[list->count++] = range->list->items[i];
    }
    switch ((int)n->op) {
    case MADE_ALL: return falses ? value_bool(false) : errors ? made_error() : value_bool(true);
    case MADE_EXISTS: return trues ? value_bool(true) : errors ? made_error() : value_bool(false);
    case MADE_EXISTS_ONE: return errors ? made_error() : value_bool(trues == 1);
    default: return errors ? made_error() : out;
    }
}

static struct value made_slot(struct made_moment *m, uint32_t slot)
{
    const struct attribute *a = &m->world->attributes[slot];
    return a->until_ms != 0 && m->now_ms >= a->until_ms ? a->after : a->value;
}

static bool made_has_text(struct str a, struct str b, enum made_op op)
{
    if (op == MADE_STARTS)
        return str_starts(a, b);
    if (op == MADE_ENDS)
        return str_ends(a, b);
    return str_find(a, b, 0) != SIZE_MAX;
}

static struct value made_strict(struct made_moment *m, const struct made *n, const struct value *a)
{
    switch ((int)n->op) {
    case MADE_NOT: return value_bool(!a->boolean);
    case MADE_COMPARE: return value_bool(made_compare(n->number, made_order(&a[0], &a[1])));
    case MADE_IN:
        for (uint32_t i = 0; i < a[1].list->count; i++)
            if (a[1].list->items[i].integer == a->integer)
                return value_bool(true);
        return value_bool(false);
    case MADE_CONTAINS:
    case MADE_STARTS:
    case MADE_ENDS: return value_bool(made_has_text(a[0].text, a[1].text, n->op));
    case MADE_PAST:
        for (int i = 0; i < 2; i++) {
            const struct value_pair *pairs = m->world->past[i].map->pairs;
            if (pairs[1].value.integer > a->integer && !str_is(pairs[0].value.text, "b"))
                return value_bool(true);
        }
        return value_bool(false);
    case MADE_SUM: return made_sum(m, (char)n->number, &a[0], &a[1]);
    case MADE_NEGATE: return made_whole(-(__int128)a->integer);
    case MADE_SIZE:
        return value_int(a->type == VALUE_TEXT ? (int64_t)a->text.len : (int64_t)a->list->count);
    case MADE_INDEX:
        if (a[1].integer < 0 || a[1].integer >= (int64_t)a->list->count)
            return made_error();
        return a->list->items[a[1].integer];
    case MADE_TWICE: return value_int((int64_t)((uint64_t)a->integer * 2));
    case MADE_FIELD:
        return value_int(a->integer / made_fields[n->number].unit_ms %
                         made_fields[n->number].modulus);
    case MADE_TO_DOUBLE: return value_double((double)a->integer);
    case MADE_TO_TEXT: return value_text(arena_printf(m->arena, "%lld", (long long)a->integer));
    case MADE_LIST: {
        struct value_list *list;
        struct value v = made_list(m, n->count, &list);
        for (uint32_t i = 0; i < n->count; i++)
            list->items[list->count++] = a[i];
        return v;
    }
    default: must(!"computed elsewhere"); return made_error();
    }
}

static struct value made_value(struct made_moment *m, const struct made *n)
{
    struct value a[4];
    switch ((int)n->op) {
    case MADE_LITERAL: return n->value;
    case MADE_SLOT:
        a[0] = made_slot(m, n->number);
        return a[0].type == VALUE_NONE ? made_error() : a[0];
    case MADE_HAS: return value_bool(made_slot(m, n->number).type != VALUE_NONE);
    case MADE_NAME: return m->names[n->number];
    case MADE_NOW: return value_time(m->now_ms);
    case MADE_AND:
    case MADE_OR: {
        bool stop = n->op == MADE_OR, is_error = false, is_stopped = false;
        for (uint32_t i = 0; i < n->count; i++) {
            a[0] = made_value(m, n->arguments[i]);
            is_error |= a[0].type == VALUE_ERROR;
            is_stopped |= a[0].type == VALUE_BOOL && a[0].boolean == stop;
        }
        return is_stopped ? value_bool(stop) : is_error ? made_error() : value_bool(!stop);
    }
    case MADE_CHOOSE:
        a[0] = made_value(m, n->arguments[0]);
        if (a[0].type == VALUE_ERROR)
            return made_error();
        return made_value(m, n->arguments[a[0].boolean ? 1 : 2]);
    case MADE_BIND:
        a[0] = made_value(m, n->arguments[0]);
        must(n->number < array_count(m->names));
        m->names[n->number] = a[0];
        return made_value(m, n->arguments[1]);
    case MADE_ALL:
    case MADE_EXISTS:
    case MADE_EXISTS_ONE:
    case MADE_MAP:
    case MADE_FILTER:
        a[0] = made_value(m, n->arguments[0]);
        must(n->number < array_count(m->names));
        return a[0].type == VALUE_ERROR ? made_error() : made_loop(m, n, &a[0]);
    default: break;
    }
    for (uint32_t i = 0; i < n->count; i++) {
        a[i] = made_value(m, n->arguments[i]);
        if (a[i].type == VALUE_ERROR)
            return made_error();
    }
    return made_strict(m, n, a);
}

/* The same value; errors are alike. */
static bool made_is_same(const struct value *a, const struct value *b)
{
    if (a->type != b->type)
        return false;
    switch (a->type) {
    case VALUE_BOOL: return a->boolean == b->boolean;
    case VALUE_INT: return a->integer == b->integer;
    case VALUE_TIME:
    case VALUE_DURATION: return a->integer == b->integer && a->sub_ns == b->sub_ns;
    case VALUE_DOUBLE:
        return a->number == b->number || (a->number != a->number && b->number != b->number);
    case VALUE_TEXT: return str_equal(a->text, b->text);
    case VALUE_LIST:
        if (a->list->count != b->list->count)
            return false;
        for (uint32_t i = 0; i < a->list->count; i++)
            if (!made_is_same(&a->list->items[i], &b->list->items[i]))
                return false;
        return true;
    default: return true;
    }
}

/* All of it: makes an expression, compiles it as a rule, for once and unchecked, and compares what
 * they come out as with the oracle at instants up to `until` and beyond. Returns what is wrong, in
 * the arena, or an empty text. *errors and *changes count what was seen. */
struct made_seen {
    uint64_t errors, changes, values, over;
};

static const struct expr *made_compile(struct arena *plan, struct world *w, struct str text,
                                       enum expr_mode mode, struct fault *f)
{
    struct expr_scope scope = world_scope(w);
    const struct expr *expr = NULL;
    w->binding_count = 0;
    return expr_compile(plan, text, &scope, (struct expr_options){.mode = mode}, &expr, f) == OK
               ? expr
               : NULL;
}

static struct str made_check(struct arena *arena, struct choices *choices, struct made_seen *seen)
{
    static const enum made_type roots[] = {MADE_BOOL, MADE_BOOL, MADE_BOOL,  MADE_INT,
                                           MADE_INTS, MADE_TEXT, MADE_DOUBLE};
    struct made_world *w = arena_new(arena, struct made_world);
    struct made_moment *moment = arena_new(arena, struct made_moment);
    made_world_open(w, arena, choices);
    struct maker m = {.choices = choices, .arena = arena, .depth = 1 + (int)choose(choices, 6)};
    const struct made *tree = made_of(&m, roots[choose(choices, array_count(roots))]);
    struct str text = made_text(arena, tree);
    if (text.len > 8000 || m.names_given > array_count(moment->names))
        return STR("");
    static const enum expr_mode modes[] = {EXPR_RULE, EXPR_ONCE, EXPR_UNCHECKED};
    for (size_t k = 0; k < array_count(modes); k++) {
        struct fault f = {0};
        if (modes[k] == EXPR_UNCHECKED && m.is_timed)
            continue; /* the specification knows no `now` */
        const struct expr *expr = made_compile(arena, &w->world, text, modes[k], &f);
        if (expr == NULL) {
            /* A part that can only be an error, and limits, may be said at once. */
            if (modes[k] != EXPR_UNCHECKED && strstr(f.text, "too large"))
                return STR("");
            return arena_printf(arena, "%.*s\n    does not compile, mode %zu: %u: %s",
                                STR_ARG(text), k, f.column, f.text);
        }
        int64_t now_ms = MADE_BASE_MS + choose(choices, 150), until_ms = now_ms;
        struct value before = value_none();
        for (int step = 0; step < 240; step++) {
            struct arena scratch;
            arena_init(&scratch, 4096);
            w->world.now_ms = now_ms + step;
            struct expr_host host = world_host(&w->world);
            struct expr_result result;
            expr_run(expr, &host, &scratch, &result);
            if (result.value.type == VALUE_NONE) /* a missing value alone stays one */
                result.value = made_error();
            moment->world = w;
            moment->arena = &scratch;
            moment->now_ms = now_ms + step;
            struct value wanted = made_value(moment, tree);
            bool is_over = result.value.type == VALUE_ERROR &&
                           str_is(result.value.text, "cost limit exceeded");
            struct str wrong = STR("");
            if (result.until_ms <= now_ms + step)
                wrong = STR("until is not after now");
            else if (!is_over && !made_is_same(&result.value, &wanted))
                wrong = arena_printf(arena, "is %.*s, but must be %.*s",
                                     STR_ARG(expr_value_print(arena, &result.value, 200)),
                                     STR_ARG(expr_value_print(arena, &wanted, 200)));
            else if (step > 0 && modes[k] == EXPR_RULE && now_ms + step < until_ms &&
                     (before.type != wanted.type ||
                      (wanted.type == VALUE_BOOL && before.boolean != wanted.boolean) ||
                      (wanted.type == VALUE_INT && before.integer != wanted.integer)))
                wrong = arena_printf(arena, "changes before its until, %lld", (long long)until_ms);
            if (wrong.len)
                wrong = arena_printf(arena, "%.*s\n    mode %zu, at %lld: %.*s", STR_ARG(text), k,
                                     (long long)(now_ms + step), STR_ARG(wrong));
            seen->values++;
            seen->errors += wanted.type == VALUE_ERROR;
            seen->over += is_over;
            seen->changes +=
                step > 0 && (before.type != wanted.type ||
                             (wanted.type == VALUE_BOOL && before.boolean != wanted.boolean));
            if (step == 0 || now_ms + step >= until_ms)
                until_ms = result.until_ms;
            before = wanted;
            arena_fini(&scratch);
            if (wrong.len)
                return wrong;
            /* What stands still is asked at a few moments, what moves at each. */
            if (modes[k] != EXPR_RULE || until_ms == FOREVER_MS)
                step += 60;
        }
    }
    return STR("");
}
