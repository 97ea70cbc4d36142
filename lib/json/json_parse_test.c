/* SPDX-License-Identifier: Apache-2.0 */
#include "json/json.h"
#include "json/json_write.h"

#include <math.h>

#include "base/mem.h"

#include "test.h"

#define SUITE_BYTES_MAX ((size_t)16 << 20)

static struct json_node parsed(struct json_parser *p, const char *text)
{
    struct json_node node;
    struct fault f = {0};
    if (json_parse(p, str_of(text), JSON_DEPTH, &node, &f))
        fail_msg("%s: %s", text, f.text);
    return node;
}

static int setup(void **state)
{
    *state = json_parser_new(1 << 20);
    return 0;
}

static int teardown(void **state)
{
    json_parser_free(*state);
    return 0;
}

static void walks(void **state)
{
    struct json_node n =
        parsed(*state, "{\"a\": [1, -2.5, \"x\\n\\u00e9\", {}], \"b\": {\"c\": true}, "
                       "\"d\": null, \"e\": false}");
    assert_int_equal(json_type(n), JSON_MAP);
    assert_int_equal(json_count(n), 4);

    struct json_node a = json_find(n, STR("a"));
    int64_t integer = 0;
    double number = 0;
    assert_int_equal(json_count(a), 4);
    assert_true(json_int(json_at(a, 0), &integer));
    assert_int_equal(integer, 1);
    assert_true(json_double(json_at(a, 0), &number));
    assert_true(number == 1.0);
    assert_false(json_int(json_at(a, 1), &integer));
    assert_true(json_double(json_at(a, 1), &number));
    assert_true(number == -2.5);
    assert_true(str_is(json_text(json_at(a, 2)), "x\n\xc3\xa9"));
    assert_int_equal(json_type(json_at(a, 3)), JSON_MAP);
    assert_int_equal(json_count(json_at(a, 3)), 0);
    assert_int_equal(json_type(json_at(a, 4)), JSON_NONE);
    assert_true(json_is_true(json_find(json_find(n, STR("b")), STR("c"))));
    assert_int_equal(json_type(json_find(n, STR("d"))), JSON_NULL);
    assert_false(json_has_value(json_find(n, STR("d"))));
    assert_false(json_is_true(json_find(n, STR("e"))));

    const char *keys = "abde";
    struct json_each each = json_each(n);
    while (json_next(&each))
        assert_true(each.key.len == 1 && each.key.at[0] == *keys++);
    assert_int_equal(*keys, '\0');
}

static void absent(void **state)
{
    struct json_node none = json_find(parsed(*state, "[1]"), STR("a"));
    int64_t integer = 7;
    double number = 7;
    assert_int_equal(json_type(none), JSON_NONE);
    assert_int_equal(json_text(none).len, 0);
    assert_false(json_int(none, &integer));
    assert_false(json_double(none, &number));
    assert_false(json_is_true(none));
    assert_int_equal(json_count(none), 0);
    assert_int_equal(json_type(json_find(none, STR("b"))), JSON_NONE);
    assert_int_equal(json_type(json_at(none, 0)), JSON_NONE);
    struct json_each each = json_each(none);
    assert_false(json_next(&each));
    each = json_each(parsed(*state, "\"text\""));
    assert_false(json_next(&each));
}

static void last_wins(void **state)
{
    struct json_node n = parsed(*state, "{\"a\":1,\"b\":2,\"a\":3}");
    int64_t integer = 0;
    assert_true(json_int(json_find(n, STR("a")), &integer));
    assert_int_equal(integer, 3);
    assert_int_equal(json_count(n), 3);

    struct arena arena;
    arena_init(&arena, 4096);
    struct value v = json_to_value(n, &arena);
    assert_int_equal(v.map->count, 2);
    assert_true(str_is(v.map->pairs[0].key.text, "a"));
    assert_int_equal(v.map->pairs[0].value.integer, 3);
    assert_true(str_is(v.map->pairs[1].key.text, "b"));
    arena_fini(&arena);
}

/* Maps of every size around the border between the two ways of finding doubled keys. */
static void last_wins_at_any_size(void **state)
{
    for (unsigned count = 1; count < 80; count++) {
        unsigned distinct = count * 2 / 3 + 1;
        struct buf text;
        buf_init(&text);
        buf_add_byte(&text, '{');
        for (unsigned i = 0; i < count; i++)
            buf_printf(&text, "%s\"k%u\":%u", i ? "," : "", i * 79 % distinct, i);
        buf_add_byte(&text, '}');

        struct arena arena;
        arena_init(&arena, 4096);
        struct json_node n;
        assert_int_equal(json_parse(*state, buf_str(&text), JSON_DEPTH, &n, NULL), OK);
        struct value v = json_to_value(n, &arena);
        for (uint32_t i = 0; i < v.map->count; i++) {
            int64_t wanted = -1;
            assert_true(json_int(json_find(n, v.map->pairs[i].key.text), &wanted));
            assert_int_equal(v.map->pairs[i].value.integer, wanted);
            for (uint32_t j = 0; j < i; j++)
                assert_false(str_equal(v.map->pairs[i].key.text, v.map->pairs[j].key.text));
        }
        assert_int_equal(v.map->count, min_of(count, distinct));
        arena_fini(&arena);
        buf_fini(&text);
    }
}

static void numbers(void **state)
{
    static const struct {
        const char *text;
        enum json_type type;
        double number;
    } rows[] = {
        {"0", JSON_INT, 0},
        {"-0", JSON_INT, 0},
        {"1.0", JSON_DOUBLE, 1},
        {"1e2", JSON_DOUBLE, 100},
        {"9223372036854775807", JSON_INT, 9223372036854775807.0},
        {"-9223372036854775808", JSON_INT, -9223372036854775808.0},
        {"9223372036854775808", JSON_DOUBLE, 9223372036854775808.0},
        {"18446744073709551615", JSON_DOUBLE, 18446744073709551615.0},
        {"18446744073709551616", JSON_DOUBLE, 18446744073709551616.0},
        {"-9223372036854775809", JSON_DOUBLE, -9223372036854775809.0},
        {"100000000000000000000", JSON_DOUBLE, 1e20},
        {"1e-400", JSON_DOUBLE, 0},
        {"1.7976931348623157e308", JSON_DOUBLE, 1.7976931348623157e308},
    };
    for (size_t i = 0; i < array_count(rows); i++) {
        struct json_node n = parsed(*state, rows[i].text);
        double number = NAN;
        assert_int_equal(json_type(n), rows[i].type);
        assert_true(json_double(n, &number));
        assert_true(number == rows[i].number);
    }
}

static void surrogates(void **state)
{
    static const struct {
        const char *json;
        const char *text;
    } rows[] = {
        {"\"\\ud83d\\ude00\"", "\xf0\x9f\x98\x80"},
        {"\"\\ud83d\"", "\xef\xbf\xbd"},
        {"\"a\\ude00b\"", "a\xef\xbf\xbd\x62"},
        {"\"\\ud83d\\u0041\"", "\xef\xbf\xbd\x41"},
        {"\"\\\\ud83d\\ud83d\\ud83d\\ude00\"", "\\ud83d\xef\xbf\xbd\xf0\x9f\x98\x80"},
    };
    for (size_t i = 0; i < array_count(rows); i++)
        assert_true(str_is(json_text(parsed(*state, rows[i].json)), rows[i].text));

    struct json_node n =
        parsed(*state, "[\"\\ud83d\", 100000000000000000000, \"12345678901234567890\"]");
    assert_true(str_is(json_text(json_at(n, 0)), "\xef\xbf\xbd"));
    assert_int_equal(json_type(json_at(n, 1)), JSON_DOUBLE);
    assert_true(str_is(json_text(json_at(n, 2)), "12345678901234567890"));
}

static void depth(void **state)
{
    for (uint32_t depth_max = 1; depth_max <= JSON_DEPTH_MAX; depth_max++)
        for (uint32_t deep = depth_max; deep <= depth_max + 1; deep++)
            for (int kind = 0; kind < 2; kind++) {
                struct buf text;
                buf_init(&text);
                for (uint32_t i = 0; i < deep; i++)
                    buf_add_str(&text, kind ? STR("{\"a\":") : STR("["));
                buf_add_str(&text, STR("1"));
                for (uint32_t i = 0; i < deep; i++)
                    buf_add_byte(&text, kind ? '}' : ']');
                struct json_node n;
                struct fault f = {0};
                enum status status = json_parse(*state, buf_str(&text), depth_max, &n, &f);
                assert_int_equal(status, deep == depth_max ? OK : FIX_INPUT);
                if (status) {
                    assert_non_null(strstr(f.text, "deep"));
                } else {
                    struct arena arena;
                    arena_init(&arena, 1024);
                    assert_int_not_equal(json_to_value(n, &arena).type, VALUE_NONE);
                    arena_fini(&arena);
                }
                buf_fini(&text);
            }
}

static void length(void **state)
{
    (void)state;
    struct json_parser *p = json_parser_new(8);
    struct json_node n;
    struct fault f = {0};
    assert_int_equal(json_parse(p, STR("\"123456\""), JSON_DEPTH, &n, &f), OK);
    assert_int_equal(json_parse(p, STR("\"1234567\""), JSON_DEPTH, &n, &f), FIX_INPUT);
    assert_int_equal(json_type(n), JSON_NONE);
    assert_non_null(strstr(f.text, "9 bytes"));
    json_parser_free(p);
}

static void mistakes(void **state)
{
    static const struct {
        const char *json;
        uint32_t line;
        uint32_t column;
        const char *sentence;
    } rows[] = {
        {"", 1, 1, "expected a value, but the text ends"},
        {"\n {\"a\":1,\n  \"b\" 2}", 3, 7, "expected ':' after the key, found '2'"},
        {"[1,2", 1, 5, "expected ',' or ']', but the text ends"},
        {"{\"a\":1 \"b\":2}", 1, 8, "expected ',' or '}', found '\"'"},
        {"[1,]", 1, 4, "expected a value, found ']'"},
        {"{\"a\":1,}", 1, 8, "expected a key in quotes, found '}'"},
        {"[01]", 1, 2, "number with a leading zero"},
        {"[1.]", 1, 4, "expected a digit after the decimal point, found ']'"},
        {"[1e999]", 1, 2, "number is too large"},
        {"[\"a\tb\"]", 1, 4, "control character 0x09 in a text; write it as \\u0009"},
        {"[\"a\\x\"]", 1, 4, "unknown escape in a text; a backslash is written \\\\"},
        {"[\"abc", 1, 2, "this text is not closed"},
        {"[tru]", 1, 2, "expected a value, found 't'"},
        {"{} {}", 1, 4, "expected the end of the text, found '{'"},
        {"[\"\xc3\xa9\xff\"]", 1, 5, "byte 0xff is not UTF-8"},
        {"[\"\xed\xa0\x80\"]", 1, 3, "byte 0xed is not UTF-8"},
        {"[\"ok\", \xc3]", 1, 8, "expected a value, found the byte 0xc3"},
    };
    for (size_t i = 0; i < array_count(rows); i++) {
        struct json_node n;
        struct fault f = {0};
        assert_int_equal(json_parse(*state, str_of(rows[i].json), JSON_DEPTH, &n, &f), FIX_INPUT);
        assert_string_equal(f.text, rows[i].sentence);
        assert_int_equal(f.line, rows[i].line);
        assert_int_equal(f.column, rows[i].column);
        assert_int_equal(json_type(n), JSON_NONE);
    }
}

static void byte_order_mark(void **state)
{
    assert_int_equal(json_count(parsed(*state, "\xef\xbb\xbf[1,2]")), 2);
    struct json_node n;
    assert_int_equal(json_parse(*state, STR("\xef\xbb\xbf"), JSON_DEPTH, &n, NULL), FIX_INPUT);
}

/* A text with each kind of thing, in each neighbourhood, must come back the same through cells, the
 * value and the writer. */
static void cells(void **state)
{
    static const char *const atoms[] = {"null",
                                        "true",
                                        "false",
                                        "0",
                                        "-7",
                                        "1.5",
                                        "\"s\"",
                                        "[]",
                                        "{}",
                                        "[1,2.5]",
                                        "\"\"",
                                        "{\"k\":[null]}",
                                        "9007199254740993"};
    struct arena arena;
    arena_init(&arena, 4096);
    struct buf out;
    buf_init(&out);
    for (size_t i = 0; i < array_count(atoms); i++)
        for (size_t j = 0; j < array_count(atoms); j++) {
            char text[128];
            snprintf(text, sizeof(text), "{\"x\":%s,\"y\":[%s,%s],\"z\":%s}", atoms[i], atoms[j],
                     atoms[i], atoms[j]);
            struct json_writer w;
            out.len = 0;
            json_write_init(&w, &out, JSON_COMPACT);
            json_write_value(&w, json_to_value(parsed(*state, text), &arena));
            assert_true(json_write_is_done(&w));
            assert_true(str_is(buf_str(&out), text));
            arena_reset(&arena);
        }
    buf_fini(&out);
    arena_fini(&arena);
}

/* --- numbers and texts against what made them ------------------------------------------------- */

static uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

/* A number by the grammar: digits of every count, with and without a fraction and an exponent. */
static size_t make_number(uint64_t *seed, char *to)
{
    char *at = to;
    if (next_random(seed) % 3 == 0)
        *at++ = '-';
    size_t digits = 1 + next_random(seed) % (next_random(seed) % 4 ? 8 : 24);
    for (size_t i = 0; i < digits; i++)
        *at++ = (char)('0' +
                       (i == 0 && digits > 1 ? 1 + next_random(seed) % 9 : next_random(seed) % 10));
    if (next_random(seed) % 2) {
        *at++ = '.';
        for (size_t i = next_random(seed) % 20; i != SIZE_MAX; i--)
            *at++ = (char)('0' + next_random(seed) % 10);
    }
    if (next_random(seed) % 3 == 0)
        at += snprintf(at, 8, "%c%s%u", next_random(seed) % 2 ? 'e' : 'E',
                       next_random(seed) % 2   ? "-"
                       : next_random(seed) % 2 ? "+"
                                               : "",
                       (unsigned)(next_random(seed) % (next_random(seed) % 4 ? 25 : 280)));
    *at = '\0';
    return (size_t)(at - to);
}

static void numbers_are_nearest(void **state)
{
    uint64_t seed = 4101842887655102017u;
    for (unsigned round = 0; round < 200000; round++) {
        char text[96];
        int64_t whole = 0, found = 0;
        double number = 0;
        struct str s = {text, make_number(&seed, text)};
        double wanted = strtod(text, NULL);
        struct json_node n = parsed(*state, text);
        if (str_to_int(s, &whole)) {
            assert_true(json_int(n, &found));
            assert_int_equal(found, whole);
        } else {
            assert_int_equal(json_type(n), JSON_DOUBLE);
            assert_true(json_double(n, &number));
            if (memcmp(&number, &wanted, sizeof(number)) != 0)
                fail_msg("%s: %a, not %a", text, number, wanted);
        }
    }
}

/* One piece of a text as JSON, and what it means. */
static void make_piece(uint64_t *seed, struct buf *json, struct buf *meaning)
{
    static const char *const pieces[][2] = {
        {"\\n", "\n"},
        {"\\r", "\r"},
        {"\\t", "\t"},
        {"\\b", "\b"},
        {"\\f", "\f"},
        {"\\/", "/"},
        {"\\\\", "\\"},
        {"\\\"", "\""},
        {"\\u0041", "A"},
        {"\\u00E9", "\xc3\xa9"},
        {"\\u20ac", "\xe2\x82\xac"},
        {"\\uD83d\\uDe00", "\xf0\x9f\x98\x80"},
        {"\\udbff\\udfff", "\xf4\x8f\xbf\xbf"},
        {"\\ude00", "\xef\xbf\xbd"},
        {"\\ud83d ", "\xef\xbf\xbd "},
        {"\xe2\x82\xac", "\xe2\x82\xac"},
        {"{[,:]}", "{[,:]}"},
        {"plain words, and a few more of them", "plain words, and a few more of them"},
        {" ", " "},
        {"x", "x"},
    };
    size_t i = next_random(seed) % array_count(pieces);
    buf_add_str(json, str_of(pieces[i][0]));
    buf_add_str(meaning, str_of(pieces[i][1]));
}

/* Lists of maps of one member, with white space of every kind, or none, between all. */
static void texts_are_unescaped(void **state)
{
    uint64_t seed = 1442695040888963407u;
    struct buf json, meaning;
    uint32_t ends[32];
    buf_init(&json);
    buf_init(&meaning);
    for (unsigned round = 0; round < 20000; round++) {
        const char *space = (const char *[]){"", "", " ", "\n\t \r\n"}[round % 4];
        uint32_t count = (uint32_t)(next_random(&seed) % 16);
        json.len = meaning.len = 0;
        buf_printf(&json, "%s[%s", space, space);
        for (uint32_t i = 0; i < count * 2; i++) {
            buf_printf(&json, "%s\"", i % 2 ? ":" : i ? ",{" : "{");
            for (size_t pieces = next_random(&seed) % 5; pieces > 0; pieces--)
                make_piece(&seed, &json, &meaning);
            ends[i] = (uint32_t)meaning.len;
            buf_printf(&json, "\"%s%s%s", space, i % 2 ? "}" : "", space);
        }
        buf_printf(&json, "]%s", space);
        struct json_node n;
        struct fault f = {0};
        if (json_parse(*state, buf_str(&json), JSON_DEPTH, &n, &f))
            fail_msg("%.*s: %s", (int)json.len, (const char *)json.at, f.text);
        assert_int_equal(json_count(n), count);
        struct json_each each = json_each(n);
        for (uint32_t i = 0, from = 0; json_next(&each); i += 2) {
            struct json_each member = json_each(each.node);
            assert_true(json_next(&member));
            assert_true(str_equal(member.key, str_part(buf_str(&meaning), from, ends[i] - from)));
            assert_true(str_equal(json_text(member.node),
                                  str_part(buf_str(&meaning), ends[i], ends[i + 1] - ends[i])));
            from = ends[i + 1];
        }
    }
    buf_fini(&meaning);
    buf_fini(&json);
}

/* --- the corpus ----------------------------------------------------------------------------- */

static size_t read_all(const char *command, char *out, size_t room)
{
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    size_t len = fread(out, 1, room, pipe);
    pclose(pipe);
    return len;
}

/* Each file of a tar archive (ustar: 512 byte headers, sizes in octal) in turn. */
struct tar {
    const char *at;
    const char *end;
    const char *name;
    struct str body;
};

static bool tar_next(struct tar *t)
{
    while (t->end - t->at >= 512 && t->at[0]) {
        const char *header = t->at;
        size_t size = strtoul(header + 124, NULL, 8);
        assert_true(size <= (size_t)(t->end - header) - 512);
        t->at = header + 512 + (size + 511) / 512 * 512;
        if (header[156] != '0' && header[156] != '\0')
            continue;
        t->name = header;
        t->body = (struct str){header + 512, size};
        return true;
    }
    return false;
}

static void suite(void **state)
{
    char command[1200];
    snprintf(command, sizeof(command), "xz -dc '%s/test_parsing.tar.xz'",
             test_data("json-test-suite"));
    char *tar = mem_new(SUITE_BYTES_MAX);
    size_t len = read_all(command, tar, SUITE_BYTES_MAX);
    if (len == 0) {
        mem_free(tar);
        printf("skipped: no xz to unpack with\n");
        skip();
    }
    unsigned good = 0, bad = 0, open = 0, open_taken = 0;
    struct tar t = {.at = tar, .end = tar + len};
    while (tar_next(&t)) {
        if (!strstr(t.name, "test_parsing/"))
            continue;
        const char *slash = strrchr(t.name, '/');
        const char *name = slash ? slash + 1 : t.name;
        struct json_node n;
        struct fault f = {0};
        enum status status = json_parse(*state, t.body, JSON_DEPTH, &n, &f);
        if (name[0] == 'y' && status)
            fail_msg("%s must pass: %s", name, f.text);
        if (name[0] == 'n' && !status)
            fail_msg("%s must fail", name);
        if (status && !f.line)
            fail_msg("%s has no place", name);
        good += name[0] == 'y';
        bad += name[0] == 'n';
        open += name[0] == 'i';
        open_taken += name[0] == 'i' && !status;
    }
    mem_free(tar);
    assert_int_equal(good, 95);
    assert_int_equal(bad, 188);
    assert_int_equal(open, 35);
    /* The README lists them. */
    assert_int_equal(open_taken, 16);
}

/* --- two judges ----------------------------------------------------------------------------- */

/* The tree's walk from head to head and the one that finds mistakes, byte by byte, must agree on what is
 * JSON: texts put together from pieces that are each
 * likely to be right, then one byte changed. */
static void judges(void **state)
{
    static const char *const pieces[] = {"{",   "}",      "[",     "]",         ",",
                                         ":",   "\"a\":", "\"b\"", "1",         "-0.5",
                                         "1e5", "true",   "null",  " ",         "\"\\u00e9\"",
                                         "\n",  "false",  "[1]",   "{\"a\":2}", "\xc3\xa9"};
    uint64_t seed = 88172645463325252u;
    unsigned accepted = 0;
    for (unsigned round = 0; round < 40000; round++) {
        char text[256];
        size_t len = 0;
        size_t count = 1 + next_random(&seed) % 9;
        for (size_t i = 0; i < count; i++) {
            const char *piece = pieces[next_random(&seed) % array_count(pieces)];
            memcpy(text + len, piece, strlen(piece));
            len += strlen(piece);
        }
        if (next_random(&seed) % 4 == 0)
            text[next_random(&seed) % len] = (char)next_random(&seed);
        size_t offset;
        struct json_node n;
        struct str s = {text, len};
        struct fault f = {0};
        enum status ours = json_locate(s, JSON_DEPTH, &offset, NULL);
        enum status both = json_parse(*state, s, JSON_DEPTH, &n, &f);
        if (ours != both)
            fail_msg("%.*s: walk %d, parse %d %s", (int)len, text, ours, both, f.text);
        accepted += !both;
    }
    assert_true(accepted > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("a parsed text is walked in order", walks),
        TEST("an absent node answers like a node of another type", absent),
        TEST("of a key given twice the last value wins", last_wins),
        TEST("the last value wins in maps of every size", last_wins_at_any_size),
        TEST("integers that fit are integers and all other numbers are doubles", numbers),
        TEST("half of a surrogate pair becomes the replacement character", surrogates),
        TEST("containers may nest to the stated depth and not one deeper", depth),
        TEST("a text may have the stated length and not one byte more", length),
        TEST("a mistake is named with its line and column", mistakes),
        TEST("a byte order mark is skipped", byte_order_mark),
        TEST("cells hold each kind of thing in each neighbourhood", cells),
        TEST("a number is the integer, or the double nearest to it", numbers_are_nearest),
        TEST("texts are unescaped, whatever stands around them", texts_are_unescaped),
        TEST("the JSON test suite is judged as it wants", suite),
        TEST("the walk from head to head and the one by bytes agree on what is JSON", judges),
    };
    return cmocka_run_group_tests_name("json/json_parse", tests, setup, teardown);
}
