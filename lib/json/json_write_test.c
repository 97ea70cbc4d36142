/* SPDX-License-Identifier: Apache-2.0 */
#include "json/json_write.h"
#include "json/json.h"

#include <math.h>

#include "test.h"

static int setup(void **state)
{
    static struct buf out;
    buf_init(&out);
    *state = &out;
    return 0;
}

static int teardown(void **state)
{
    buf_fini(*state);
    return 0;
}

static void write_sample(struct json_writer *w)
{
    json_write_map(w);
    json_write_key_text(w, "name", STR("Ann"));
    json_write_key(w, STR("tags"));
    json_write_list(w);
    json_write_int(w, INT64_MIN);
    json_write_uint(w, UINT64_MAX);
    json_write_list(w);
    json_write_end(w);
    json_write_end(w);
    json_write_key_null(w, "none");
    json_write_key_bool(w, "yes", true);
    json_write_key_int(w, "n", -3);
    json_write_key_double(w, "x", 0.1);
    json_write_key(w, STR("raw"));
    json_write_raw(w, STR("[1,2]"));
    json_write_end(w);
}

static void compact(void **state)
{
    struct buf *out = *state;
    struct json_writer w;
    json_write_init(&w, out, JSON_COMPACT);
    write_sample(&w);
    assert_true(json_write_is_done(&w));
    assert_true(str_is(buf_str(out),
                       "{\"name\":\"Ann\",\"tags\":[-9223372036854775808,18446744073709551615,[]],"
                       "\"none\":null,\"yes\":true,\"n\":-3,\"x\":0.1,\"raw\":[1,2]}"));
}

static void pretty(void **state)
{
    struct buf *out = *state;
    struct json_writer w;
    json_write_init(&w, out, JSON_PRETTY);
    write_sample(&w);
    assert_true(str_is(buf_str(out), "{\n"
                                     "  \"name\": \"Ann\",\n"
                                     "  \"tags\": [\n"
                                     "    -9223372036854775808,\n"
                                     "    18446744073709551615,\n"
                                     "    []\n"
                                     "  ],\n"
                                     "  \"none\": null,\n"
                                     "  \"yes\": true,\n"
                                     "  \"n\": -3,\n"
                                     "  \"x\": 0.1,\n"
                                     "  \"raw\": [1,2]\n"
                                     "}"));
}

static void texts(void **state)
{
    static const struct {
        struct str text;
        const char *json;
    } rows[] = {
        {{"", 0}, "\"\""},
        {{"a\"b\\c/d", 7}, "\"a\\\"b\\\\c/d\""},
        {{"\n\r\t\b\f\0\x1f\x7f", 8}, "\"\\n\\r\\t\\b\\f\\u0000\\u001f\\u007f\""},
        {{"\xc3\xa9\xf0\x9f\x98\x80", 6}, "\"\xc3\xa9\xf0\x9f\x98\x80\""},
        {{"a\xff\xc3", 3}, "\"a\xef\xbf\xbd\xef\xbf\xbd\""},
        {{"\xed\xa0\x80", 3}, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
    };
    struct buf *out = *state;
    for (size_t i = 0; i < array_count(rows); i++) {
        out->len = 0;
        json_add_text(out, rows[i].text);
        assert_true(str_is(buf_str(out), rows[i].json));
    }
}

/* Whatever bytes go in, what comes out is JSON, and well-formed text comes back as it was. */
static void any_bytes(void **state)
{
    struct buf *out = *state;
    struct json_parser *p = json_parser_new(1 << 16);
    uint64_t seed = 42;
    for (unsigned round = 0; round < 20000; round++) {
        char bytes[24];
        size_t len = round % sizeof(bytes);
        for (size_t i = 0; i < len; i++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            bytes[i] = (char)(seed >> 56);
            if (round % 3)
                bytes[i] = bytes[i] & 0x7f;
        }
        struct str text = {bytes, len};
        out->len = 0;
        json_add_text(out, text);
        struct json_node n;
        assert_int_equal(json_parse(p, buf_str(out), 1, &n, NULL), OK);
        if (str_is_utf8(text))
            assert_true(str_equal(json_text(n), text));
    }
    json_parser_free(p);
}

static void doubles(void **state)
{
    static const struct {
        double x;
        const char *json;
    } rows[] = {
        {0.0, "0.0"},
        {-0.0, "-0.0"},
        {5.0, "5.0"},
        {0.1, "0.1"},
        {1.0 / 3, "0.3333333333333333"},
        {1e300, "1e+300"},
        {5e-324, "5e-324"},
        {NAN, "null"},
        {INFINITY, "null"},
    };
    struct buf *out = *state;
    for (size_t i = 0; i < array_count(rows); i++) {
        out->len = 0;
        json_add_double(out, rows[i].x);
        assert_true(str_is(buf_str(out), rows[i].json));
    }
}

/* Random bit patterns read back as the same bits, and stay doubles. */
static void doubles_round_trip(void **state)
{
    struct buf *out = *state;
    struct json_parser *p = json_parser_new(64);
    uint64_t seed = 1;
    for (unsigned round = 0; round < 20000; round++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        double x, back = 0;
        memcpy(&x, &seed, sizeof(x));
        if (round % 4 == 0)
            x = (double)(int64_t)(seed >> 40) / 100;
        if (!isfinite(x))
            continue;
        out->len = 0;
        json_add_double(out, x);
        struct json_node n;
        assert_int_equal(json_parse(p, buf_str(out), 1, &n, NULL), OK);
        assert_int_equal(json_type(n), JSON_DOUBLE);
        assert_true(json_double(n, &back));
        assert_memory_equal(&back, &x, sizeof(x));
        char digits[JSON_DOUBLE_BYTES];
        struct str scientific = {digits, json_print_scientific(x, digits)};
        assert_true(scientific.len <= 24);
        assert_true(str_to_double(scientific, &back));
        assert_memory_equal(&back, &x, sizeof(x));
    }
    json_parser_free(p);
}

static void check_value(struct buf *out, struct value x, const char *json)
{
    struct json_writer w;
    out->len = 0;
    json_write_init(&w, out, JSON_COMPACT);
    json_write_value(&w, x);
    if (!str_is(buf_str(out), json))
        fail_msg("wrote %.*s, not %s", STR_ARG(buf_str(out)), json);
}

static void values(void **state)
{
    struct buf *out = *state;
    check_value(out, value_none(), "null");
    check_value(out, value_time(0), "\"1970-01-01T00:00:00.000Z\"");
    check_value(out, value_time(-1), "\"1969-12-31T23:59:59.999Z\"");
    check_value(out, value_time(951782400000), "\"2000-02-29T00:00:00.000Z\"");
    check_value(out, value_time(1772452800123), "\"2026-03-02T12:00:00.123Z\"");
    check_value(out, (struct value){.type = VALUE_TIME, .integer = 5, .sub_ns = 7},
                "\"1970-01-01T00:00:00.005000007Z\"");
    check_value(out, value_duration(1500), "\"1.5s\"");
    check_value(out, value_duration(-1500), "\"-1.5s\"");
    check_value(out, value_duration(-500), "\"-0.5s\"");
    check_value(out, value_duration(60000), "\"60s\"");
    check_value(out, (struct value){.type = VALUE_DURATION, .integer = -1, .sub_ns = 999999},
                "\"-0.000000001s\"");
    check_value(out, value_duration(INT64_MIN), "\"-9223372036854775.808s\"");
    static const char *const base64[] = {"",         "Zg==",     "Zm8=",    "Zm9v",
                                         "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"};
    for (size_t len = 0; len < array_count(base64); len++) {
        char json[16];
        snprintf(json, sizeof(json), "\"%s\"", base64[len]);
        struct value bytes = {.type = VALUE_BYTES, .text = {"foobar", len}};
        check_value(out, bytes, json);
    }
    check_value(out, (struct value){.type = VALUE_ERROR, .text = STR("no such key")},
                "{\"error\":\"no such key\"}");
    check_value(out, (struct value){.type = VALUE_UINT, .uinteger = UINT64_MAX},
                "18446744073709551615");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        {"compact JSON has no white space", compact, setup, teardown, NULL},
        {"pretty JSON has a member a line", pretty, setup, teardown, NULL},
        {"texts are escaped and repaired", texts, setup, teardown, NULL},
        {"whatever bytes go in, JSON comes out", any_bytes, setup, teardown, NULL},
        {"doubles have the fewest digits and stay doubles", doubles, setup, teardown, NULL},
        {"every double reads back as the same bits", doubles_round_trip, setup, teardown, NULL},
        {"a dynamic value is written by its type", values, setup, teardown, NULL},
    };
    return cmocka_run_group_tests_name("json/json_write", tests, NULL, NULL);
}
