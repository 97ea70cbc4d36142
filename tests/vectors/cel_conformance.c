/* cel_conformance.c - the expression language against the specification's own cases (data set
 * "cel-spec": every case that needs no protobuf messages).
 *
 * Each case is an expression with declared names, their values, and either a value, an error of the
 * run, or a deduced type. Cases that fail must be named in cel_known.txt with a reason; cases named
 * there that pass fail the test, so that the list stays honest.
 *
 *     cel_conformance [words]     with words: print each case whose name has them, and its outcome
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <math.h>

#include "base/buf.h"
#include "expr/expr.h"
#include "test.h"
#include "when/zone.h"
#include "json/json.h"

#define DOCUMENT_BYTES_MAX (64u << 20)
#define NAMES_MAX          16
#define KNOWN_FILE         "tests/vectors/cel_known.txt"

struct declared {
    struct str name;
    const struct expr_type *type;
    struct value value;
    struct json_node function; /* absent for an identifier */
};

struct world {
    struct arena arena;
    struct declared names[NAMES_MAX];
    uint32_t count;
    struct str container;
    struct zoneset *zones;
};

/* Which cases are ours: nothing in them may speak of protobuf messages. */
static bool mentions_messages(struct json_node node)
{
    static const char *const words[] = {
        "cel.expr.conformance", "google.protobuf", "TestAllTypes", "@type", "typeUrl",
        "objectValue",          "enumValue",       "messageType",
    };
    if (json_is(node, JSON_TEXT)) {
        for (size_t i = 0; i < array_count(words); i++)
            if (str_find(json_text(node), str_of(words[i]), 0) != SIZE_MAX)
                return true;
        return false;
    }
    struct json_each each = json_each(node);
    while (json_next(&each)) {
        for (size_t i = 0; i < array_count(words); i++)
            if (str_find(each.key, str_of(words[i]), 0) != SIZE_MAX)
                return true;
        if (mentions_messages(each.node))
            return true;
    }
    return false;
}

/* From JSON -------------------------------------------------------------------------------------- */

static struct str decode_base64(struct world *w, struct str s)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *at = arena_alloc(&w->arena, s.len + 1);
    size_t len = 0;
    uint32_t bits = 0, held = 0;
    for (size_t i = 0; i < s.len && s.at[i] != '='; i++) {
        bits = bits << 6 | (uint32_t)(strchr(digits, s.at[i]) - digits);
        held += 6;
        if (held >= 8) {
            held -= 8;
            at[len++] = (char)(bits >> held);
        }
    }
    return (struct str){at, len};
}

static struct value read_value(struct world *w, struct json_node node)
{
    struct json_each each = json_each(node);
    if (!json_next(&each))
        return value_none();
    struct json_node x = each.node;
    struct str key = each.key;
    if (str_is(key, "nullValue"))
        return (struct value){.type = VALUE_NULL};
    if (str_is(key, "boolValue"))
        return value_bool(json_is_true(x));
    if (str_is(key, "stringValue"))
        return value_text(arena_copy(&w->arena, json_text(x)));
    if (str_is(key, "typeValue"))
        return (struct value){.type = VALUE_TYPE, .text = arena_copy(&w->arena, json_text(x))};
    if (str_is(key, "bytesValue"))
        return (struct value){.type = VALUE_BYTES, .text = decode_base64(w, json_text(x))};
    if (str_is(key, "int64Value")) {
        int64_t number = 0;
        assert_true(str_to_int(json_text(x), &number));
        return value_int(number);
    }
    if (str_is(key, "uint64Value")) {
        struct str s = arena_copy(&w->arena, json_text(x));
        return (struct value){.type = VALUE_UINT, .uinteger = strtoull(s.at, NULL, 10)};
    }
    if (str_is(key, "doubleValue")) {
        double number = 0;
        if (!json_double(x, &number)) {
            struct str s = arena_copy(&w->arena, json_text(x));
            number = strtod(s.at, NULL);
        }
        return value_double(number);
    }
    if (str_is(key, "listValue")) {
        struct json_node values = json_find(x, STR("values"));
        size_t count = json_count(values);
        struct value_list *list =
            arena_zalloc(&w->arena, sizeof(*list) + count * sizeof(struct value));
        struct json_each item = json_each(values);
        while (json_next(&item))
            list->items[list->count++] = read_value(w, item.node);
        return (struct value){.type = VALUE_LIST, .list = list};
    }
    if (str_is(key, "mapValue")) {
        struct json_node entries = json_find(x, STR("entries"));
        size_t count = json_count(entries);
        struct value_map *map =
            arena_zalloc(&w->arena, sizeof(*map) + count * sizeof(struct value_pair));
        struct json_each item = json_each(entries);
        while (json_next(&item)) {
            struct value_pair *pair = &map->pairs[map->count++];
            pair->key = read_value(w, json_find(item.node, STR("key")));
            pair->value = read_value(w, json_find(item.node, STR("value")));
        }
        return (struct value){.type = VALUE_MAP, .map = map};
    }
    fail_msg("unknown kind of value: %.*s", STR_ARG(key));
    return value_none();
}

static const struct expr_type *read_type(struct world *w, struct json_node node)
{
    static const struct {
        const char *name;
        const struct expr_type *type;
    } primitives[] = {
        {"BOOL", &expr_bool},     {"INT64", &expr_int},   {"UINT64", &expr_uint},
        {"DOUBLE", &expr_double}, {"STRING", &expr_text}, {"BYTES", &expr_bytes},
    };
    struct json_each each = json_each(node);
    assert_true(json_next(&each));
    struct str key = each.key;
    if (str_is(key, "dyn"))
        return &expr_dyn;
    if (str_is(key, "null"))
        return &expr_null;
    if (str_is(key, "primitive"))
        for (size_t i = 0; i < array_count(primitives); i++)
            if (str_is(json_text(each.node), primitives[i].name))
                return primitives[i].type;
    if (str_is(key, "listType"))
        return expr_list_of(&w->arena, read_type(w, json_find(each.node, STR("elemType"))));
    if (str_is(key, "mapType"))
        return expr_map_of(&w->arena, read_type(w, json_find(each.node, STR("keyType"))),
                           read_type(w, json_find(each.node, STR("valueType"))));
    struct expr_type *type = arena_new(&w->arena, struct expr_type);
    type->kind = EXPR_OPAQUE;
    if (str_is(key, "typeParam")) {
        /* Found again by its name; see the scope's function(). */
        type->name = arena_copy(&w->arena, json_text(each.node));
        return type;
    }
    assert_true(str_is(key, "abstractType"));
    type->name = arena_copy(&w->arena, json_text(json_find(each.node, STR("name"))));
    struct json_each parameter = json_each(json_find(each.node, STR("parameterTypes")));
    while (json_next(&parameter))
        type->arguments[type->count++] = read_type(w, parameter.node);
    if (str_is(type->name, "optional_type"))
        type->kind = EXPR_OPTIONAL;
    return type;
}

/* The scope -------------------------------------------------------------------------------------- */

static struct str join(struct world *w, const struct str *parts, uint32_t count)
{
    struct str all = parts[0];
    for (uint32_t i = 1; i < count; i++)
        all = arena_printf(&w->arena, "%.*s.%.*s", STR_ARG(all), STR_ARG(parts[i]));
    return all;
}

static enum expr_found scope_path(void *self, const struct expr_path *path, struct expr_slot *out,
                                  struct fault *f)
{
    (void)f;
    struct world *w = self;
    for (uint32_t inside = w->container.len && !path->is_absolute; inside + 1 > 0; inside--) {
        for (uint32_t parts = path->count; parts > 0; parts--) {
            struct str name = join(w, path->parts, parts);
            if (inside)
                name = arena_printf(&w->arena, "%.*s.%.*s", STR_ARG(w->container), STR_ARG(name));
            for (uint32_t i = 0; i < w->count; i++) {
                if (json_is(w->names[i].function, JSON_NONE) && str_equal(w->names[i].name, name)) {
                    *out = (struct expr_slot){.slot = i, .parts = parts, .type = w->names[i].type};
                    return EXPR_FOUND;
                }
            }
        }
    }
    return EXPR_UNKNOWN;
}

struct parameter {
    struct str name;
    const struct expr_type *type;
};

/* Fits `given` to `wanted`, in which a one-letter opaque type is a parameter. */
static bool fit(const struct expr_type *wanted, const struct expr_type *given,
                struct parameter *parameters)
{
    if (wanted->kind == EXPR_OPAQUE && wanted->name.len == 1) {
        struct parameter *p = &parameters[wanted->name.at[0] - 'A'];
        if (p->type == NULL || given->kind == EXPR_DYN)
            p->type = given;
        return p->type->kind == given->kind || p->type->kind == EXPR_DYN;
    }
    if (wanted->kind == EXPR_DYN || given->kind == EXPR_DYN)
        return true;
    if (wanted->kind != given->kind || !str_equal(wanted->name, given->name))
        return false;
    for (uint32_t i = 0; i < wanted->count; i++)
        if (!fit(wanted->arguments[i], given->arguments[i], parameters))
            return false;
    return true;
}

static const struct expr_type *fill(struct world *w, const struct expr_type *type,
                                    const struct parameter *parameters)
{
    if (type->kind == EXPR_OPAQUE && type->name.len == 1)
        return parameters[type->name.at[0] - 'A'].type;
    struct expr_type *filled = arena_new(&w->arena, struct expr_type);
    *filled = *type;
    for (uint32_t i = 0; i < type->count; i++)
        filled->arguments[i] = fill(w, type->arguments[i], parameters);
    return filled;
}

static enum expr_found scope_function(void *self, const struct expr_call *call,
                                      struct expr_binding *out, struct fault *f)
{
    (void)f;
    struct world *w = self;
    for (uint32_t i = 0; i < w->count; i++) {
        if (!str_equal(w->names[i].name, call->name) || json_is(w->names[i].function, JSON_NONE))
            continue;
        struct json_node overload = json_at(json_find(w->names[i].function, STR("overloads")), 0);
        struct parameter parameters[26] = {{{0}, NULL}};
        struct json_each each = json_each(json_find(overload, STR("params")));
        for (uint32_t a = 0; json_next(&each); a++)
            if (a >= call->count ||
                !fit(read_type(w, each.node), call->arguments[a].type, parameters))
                return EXPR_UNKNOWN;
        const struct expr_type *result = read_type(w, json_find(overload, STR("resultType")));
        *out = (struct expr_binding){.binding = i, .type = fill(w, result, parameters)};
        return EXPR_FOUND;
    }
    return EXPR_UNKNOWN;
}

/* The host --------------------------------------------------------------------------------------- */

static void host_load(void *self, uint32_t slot, struct value *out, int64_t *until_ms)
{
    (void)until_ms;
    *out = ((struct world *)self)->names[slot].value;
}

static void host_call(void *self, uint32_t binding, const struct value *arguments, uint32_t count,
                      struct arena *scratch, struct value *out, int64_t *until_ms)
{
    (void)self;
    (void)binding;
    (void)arguments;
    (void)count;
    (void)scratch;
    (void)until_ms;
    *out = (struct value){.type = VALUE_ERROR, .text = STR("unbound function")};
}

static bool host_zone(void *self, struct str zone, int64_t at_ms, int64_t *offset_ms,
                      int64_t *from_ms, int64_t *until_ms)
{
    struct world *w = self;
    char path[256];
    struct buf bytes;
    snprintf(path, sizeof(path), "/usr/share/zoneinfo/%.*s", STR_ARG(zone));
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return false;
    buf_init(&bytes);
    size_t got;
    while ((got = fread(buf_reserve(&bytes, 4096), 1, 4096, file)) > 0)
        bytes.len += got;
    fclose(file);
    zoneset_free(w->zones);
    w->zones = NULL;
    struct zone_file one = {zone, buf_str(&bytes)};
    enum status status = zoneset_build(STR("test"), &one, 1, &w->zones, NULL);
    buf_fini(&bytes);
    if (status != OK)
        return false;
    struct zone_stretch stretch = zone_stretch(zoneset_zone(w->zones, 0), at_ms);
    *offset_ms = stretch.offset_ms;
    *from_ms = stretch.from_ms;
    *until_ms = stretch.until_ms;
    return true;
}

/* Comparing ------------------------------------------------------------------------------------- */

static bool is_same(const struct value *a, const struct value *b)
{
    if (a->type != b->type)
        return false;
    switch ((enum value_type)a->type) {
    case VALUE_NULL: return true;
    case VALUE_BOOL: return a->boolean == b->boolean;
    case VALUE_INT:
    case VALUE_UINT: return a->uinteger == b->uinteger;
    case VALUE_DOUBLE: return a->number == b->number || (isnan(a->number) && isnan(b->number));
    case VALUE_TEXT:
    case VALUE_BYTES:
    case VALUE_TYPE: return str_equal(a->text, b->text);
    case VALUE_LIST:
        if (a->list->count != b->list->count)
            return false;
        for (uint32_t i = 0; i < a->list->count; i++)
            if (!is_same(&a->list->items[i], &b->list->items[i]))
                return false;
        return true;
    case VALUE_MAP:
        if (a->map->count != b->map->count)
            return false;
        for (uint32_t i = 0; i < a->map->count; i++) {
            bool is_found = false;
            for (uint32_t k = 0; k < b->map->count; k++)
                is_found |= is_same(&a->map->pairs[i].key, &b->map->pairs[k].key) &&
                            is_same(&a->map->pairs[i].value, &b->map->pairs[k].value);
            if (!is_found)
                return false;
        }
        return true;
    case VALUE_NONE:
    case VALUE_TIME:
    case VALUE_DURATION:
    case VALUE_ERROR: return false;
    }
    return false;
}

/* Cases ----------------------------------------------------------------------------------------- */

static void declare(struct world *w, struct json_node original)
{
    w->count = 0;
    w->container = json_text(json_find(original, STR("container")));
    struct json_each each = json_each(json_find(original, STR("typeEnv")));
    while (json_next(&each)) {
        struct declared *d = &w->names[w->count++];
        assert_true(w->count <= NAMES_MAX);
        *d = (struct declared){.name = json_text(json_find(each.node, STR("name")))};
        struct json_node ident = json_find(each.node, STR("ident"));
        if (!json_is(ident, JSON_NONE))
            d->type = read_type(w, json_find(ident, STR("type")));
        else
            d->function = json_find(each.node, STR("function"));
    }
    each = json_each(json_find(original, STR("bindings")));
    while (json_next(&each)) {
        uint32_t i = 0;
        while (i < w->count && !str_equal(w->names[i].name, each.key))
            i++;
        if (i == w->count) {
            w->names[w->count++] = (struct declared){.name = each.key};
            assert_true(w->count <= NAMES_MAX);
        }
        w->names[i].value = read_value(w, json_find(each.node, STR("value")));
    }
}

/* Runs one case; an empty text if it passes, else what went wrong. */
static struct str run_case(struct world *w, struct json_node original)
{
    declare(w, original);
    struct expr_scope scope = {.self = w, .path = scope_path, .function = scope_function};
    struct expr_options options = {.wanted = EXPR_WANT_ANY, .mode = EXPR_ONCE};
    if (json_is_true(json_find(original, STR("disableCheck"))))
        options.mode = EXPR_UNCHECKED;
    const struct expr *expr = NULL;
    struct fault f = {0};
    struct str text = json_text(json_find(original, STR("expr")));
    if (expr_compile(&w->arena, text, &scope, options, &expr, &f) != OK) {
        char sentence[1024];
        fault_print(&f, sentence, sizeof(sentence));
        return arena_printf(&w->arena, "does not compile: %s", sentence);
    }
    struct json_node typed = json_find(original, STR("typedResult"));
    struct json_node wanted = json_find(original, STR("value"));
    if (!json_is(typed, JSON_NONE)) {
        struct str type = expr_type_print(&w->arena, expr_type_of(expr));
        struct str deduced =
            expr_type_print(&w->arena, read_type(w, json_find(typed, STR("deducedType"))));
        if (!str_equal(type, deduced))
            return arena_printf(&w->arena, "is of type %.*s, not %.*s", STR_ARG(type),
                                STR_ARG(deduced));
        wanted = json_find(typed, STR("result"));
    }
    if (json_is_true(json_find(original, STR("checkOnly"))))
        return STR("");
    struct expr_host host = {
        .self = w, .load = host_load, .call = host_call, .zone = host_zone, .now_ms = 0};
    struct expr_result result;
    expr_run(expr, &host, &w->arena, &result);
    struct str said = expr_value_print(&w->arena, &result.value, 200);
    if (!json_is(json_find(original, STR("evalError")), JSON_NONE))
        return result.value.type == VALUE_ERROR
                   ? STR("")
                   : arena_printf(&w->arena, "is %.*s, not an error", STR_ARG(said));
    struct value value = json_is(wanted, JSON_NONE) ? value_bool(true) : read_value(w, wanted);
    if (is_same(&result.value, &value))
        return STR("");
    struct str meant = expr_value_print(&w->arena, &value, 200);
    return arena_printf(&w->arena, "is %.*s, not %.*s", STR_ARG(said), STR_ARG(meant));
}

struct tally {
    struct world *world;
    const char *words; /* print cases with these in their names */
    struct str known;  /* the file of known failures */
    uint32_t passed, failed, known_failures, surprises;
};

/* Is the case named in the list? Lines are "name: reason". */
static bool is_known(struct str known, struct str name)
{
    for (size_t at = 0; at < known.len;) {
        size_t end = str_find(known, STR("\n"), at);
        struct str line = str_part(known, at, (end == SIZE_MAX ? known.len : end) - at);
        if (str_starts(line, name) && str_starts(str_part(line, name.len, 2), STR(": ")))
            return true;
        if (end == SIZE_MAX)
            break;
        at = end + 1;
    }
    return false;
}

/* Runs a case and counts it. */
static void take_case(struct tally *t, const char *name, struct json_node original)
{
    struct str why = run_case(t->world, original);
    bool is_listed = is_known(t->known, str_of(name));
    if (why.len == 0)
        t->passed++;
    else
        t->failed++;
    if (is_listed != (why.len > 0))
        t->surprises++;
    t->known_failures += is_listed && why.len > 0;
    bool is_asked = t->words != NULL && strstr(name, t->words) != NULL;
    if (is_asked || is_listed != (why.len > 0)) {
        struct str text = json_text(json_find(original, STR("expr")));
        printf("%s %s\n    %.*s\n    %.*s\n",
               why.len == 0 ? is_listed ? "passes though listed" : "passed" : "failed", name,
               STR_ARG(text), STR_ARG(why));
    }
}

static void run_suite(struct tally *t, struct json_node suite, struct str path)
{
    struct world *w = t->world;
    struct json_each each = json_each(json_find(suite, STR("tests")));
    while (json_next(&each)) {
        struct json_node original = json_find(each.node, STR("original"));
        if (mentions_messages(original))
            continue;
        char name[256];
        snprintf(name, sizeof(name), "%.*s/%.*s", STR_ARG(path),
                 STR_ARG(json_text(json_find(original, STR("name")))));
        take_case(t, name, original);
        arena_reset(&w->arena);
    }
    each = json_each(json_find(suite, STR("suites")));
    while (json_next(&each)) {
        char name[256];
        struct str own = json_text(json_find(each.node, STR("name")));
        snprintf(name, sizeof(name), "%.*s%s%.*s", STR_ARG(path), path.len ? "/" : "",
                 STR_ARG(own));
        run_suite(t, each.node, str_of(name));
    }
}

/* The suite for two-variable comprehensions has neither names nor values: a case comes out true, or
 * is listed. */
static void run_comprehensions(struct tally *t, struct json_node suite)
{
    struct world *w = t->world;
    struct json_each each = json_each(json_find(suite, STR("tests")));
    for (uint32_t i = 0; json_next(&each); i++) {
        char name[64];
        snprintf(name, sizeof(name), "comprehension/%u", i);
        take_case(t, name, json_find(each.node, STR("original")));
        arena_reset(&w->arena);
    }
}

static void read_all(FILE *file, struct buf *out)
{
    size_t got;
    while ((got = fread(buf_reserve(out, 65536), 1, 65536, file)) > 0)
        out->len += got;
}

static const char *asked_words;

static void conformance(void **state)
{
    (void)state;
    char command[1200];
    snprintf(command, sizeof(command), "gzip -dc %s/cel_tests.json.gz", test_data("cel-spec"));
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    struct buf text, known;
    buf_init(&text);
    buf_init(&known);
    read_all(pipe, &text);
    assert_int_equal(pclose(pipe), 0);
    FILE *list = fopen(KNOWN_FILE, "r");
    assert_non_null(list);
    read_all(list, &known);
    fclose(list);

    struct json_parser *parser = json_parser_new(DOCUMENT_BYTES_MAX);
    struct json_node root;
    struct fault f = {0};
    assert_int_equal(json_parse(parser, buf_str(&text), JSON_DEPTH_MAX, &root, &f), OK);

    struct world world = {0};
    arena_init(&world.arena, 1 << 16);
    struct tally t = {.world = &world, .words = asked_words, .known = buf_str(&known)};
    run_suite(&t, json_find(root, STR("conformance")), STR(""));
    printf("%u passed, %u failed (%u of them listed)\n", t.passed, t.failed, t.known_failures);
    assert_int_equal(t.passed + t.failed, 1645);
    assert_int_equal(t.known_failures, 0);
    run_comprehensions(&t, json_find(root, STR("comprehension")));
    printf("with comprehensions: %u passed, %u failed (%u of them listed)\n", t.passed, t.failed,
           t.known_failures);
    assert_int_equal(t.surprises, 0);

    zoneset_free(world.zones);
    arena_fini(&world.arena);
    json_parser_free(parser);
    buf_fini(&known);
    buf_fini(&text);
}

int main(int argc, char **argv)
{
    asked_words = argc > 1 ? argv[1] : NULL;
    const struct CMUnitTest tests[] = {
        TEST("the specification's cases come out as it says", conformance),
    };
    return cmocka_run_group_tests_name("vectors/cel_conformance", tests, NULL, NULL);
}
