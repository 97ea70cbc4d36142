/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"

#include <stdlib.h>

#include "base/hash.h"
#include "test.h"

static uint32_t next_random(uint64_t *seed, uint32_t below)
{
    *seed = hash_pair(*seed, 11);
    return (uint32_t)(*seed >> 32) % below;
}

/* A text of up to `len_max` of the letters a to c: short alphabets make coincidences common. */
static struct str random_text(uint64_t *seed, char *out, uint32_t len_max)
{
    uint32_t len = next_random(seed, len_max + 1);
    for (uint32_t i = 0; i < len; i++)
        out[i] = (char)('a' + next_random(seed, 3));
    return (struct str){out, len};
}

static void finding(void **state)
{
    (void)state;
    uint64_t seed = 1;
    for (int round = 0; round < 20000; round++) {
        char a_text[16], needle_text[4];
        struct str a = random_text(&seed, a_text, 15);
        struct str needle = random_text(&seed, needle_text, 3);
        size_t from = next_random(&seed, 18);
        size_t expected = SIZE_MAX;
        for (size_t i = from; i + needle.len <= a.len && expected == SIZE_MAX; i++)
            if (str_equal(str_part(a, i, needle.len), needle))
                expected = i;
        assert_int_equal(str_find(a, needle, from), expected);
        assert_int_equal(str_starts(a, needle), str_find(a, needle, 0) == 0);
        assert_int_equal(str_ends(a, needle),
                         a.len >= needle.len &&
                             str_find(a, needle, a.len - needle.len) == a.len - needle.len);
    }
}

static int sign(int x)
{
    return (x > 0) - (x < 0);
}

static void ordering(void **state)
{
    (void)state;
    uint64_t seed = 2;
    for (int round = 0; round < 20000; round++) {
        char a_text[8], b_text[8];
        struct str a = random_text(&seed, a_text, 5);
        struct str b = random_text(&seed, b_text, 5);
        char a_z[8], b_z[8];
        assert_true(str_to_z(a, a_z, sizeof(a_z)));
        assert_true(str_to_z(b, b_z, sizeof(b_z)));
        assert_int_equal(sign(str_order(a, b)), sign(strcmp(a_z, b_z)));
        assert_int_equal(str_equal(a, b), strcmp(a_z, b_z) == 0);
        assert_int_equal(str_is(a, b_z), strcmp(a_z, b_z) == 0);
    }
    assert_true(str_order(STR("\x7f"), STR("\x80")) < 0); /* bytes are unsigned */
    assert_true(str_order(STR("a"), STR("a\0")) < 0);
}

static void parts(void **state)
{
    (void)state;
    struct str a = STR("window");
    assert_true(str_is(str_part(a, 0, 3), "win"));
    assert_true(str_is(str_part(a, 3, 100), "dow"));
    assert_int_equal(str_part(a, 6, 1).len, 0);
    assert_int_equal(str_part(a, SIZE_MAX, SIZE_MAX).len, 0);
    assert_int_equal(str_part((struct str){0}, 0, 1).len, 0);
    assert_true(str_is(str_part(a, 1, SIZE_MAX), "indow"));
}

static void trimming(void **state)
{
    (void)state;
    assert_true(str_is(str_trim(STR(" \t a b \r\n\v\f")), "a b"));
    assert_int_equal(str_trim(STR(" \n ")).len, 0);
    assert_int_equal(str_trim(STR("")).len, 0);
    assert_int_equal(str_trim(STR("\xc2\xa0")).len, 2); /* only ASCII white space goes */
}

static void case_of_ascii(void **state)
{
    (void)state;
    assert_true(str_equal_nocase(STR("Content-Type"), STR("content-TYPE")));
    assert_false(str_equal_nocase(STR("Content-Type"), STR("content_type")));
    assert_false(str_equal_nocase(STR("@"), STR("`"))); /* 32 apart, and no letters */
    assert_false(str_equal_nocase(STR("[{"), STR("{{")));
    assert_false(str_equal_nocase(STR("\xc3\x84"), STR("\xc3\xa4"))); /* Ä, ä */
}

static void whole_numbers(void **state)
{
    (void)state;
    static const int64_t edges[] = {
        0, 1, -1, 9, 10, INT32_MAX, INT64_MAX, INT64_MAX - 1, INT64_MIN, INT64_MIN + 1};
    for (size_t i = 0; i < array_count(edges); i++) {
        char text[32];
        int64_t out = 7;
        snprintf(text, sizeof(text), "%lld", (long long)edges[i]);
        assert_true(str_to_int(str_of(text), &out));
        assert_true(out == edges[i]);
    }
    static const char *const bad[] = {"",
                                      "-",
                                      "+",
                                      " 1",
                                      "1 ",
                                      "1.0",
                                      "0x10",
                                      "--1",
                                      "1e3",
                                      "9223372036854775808",
                                      "-9223372036854775809",
                                      "99999999999999999999999"};
    for (size_t i = 0; i < array_count(bad); i++) {
        int64_t out = 7;
        assert_false(str_to_int(str_of(bad[i]), &out));
        assert_int_equal(out, 7);
    }
    int64_t out = 0;
    assert_true(str_to_int(STR("+0012"), &out));
    assert_int_equal(out, 12);
    assert_false(str_to_int(STR("1\0"), &out));
}

static void decimal_numbers(void **state)
{
    (void)state;
    uint64_t seed = 3;
    for (int round = 0; round < 5000; round++) {
        char text[64];
        double number, out = 0;
        seed = hash_pair(seed, 1);
        memcpy(&number, &seed, sizeof(number));
        if (!(number - number == 0)) /* inf, nan */
            continue;
        snprintf(text, sizeof(text), "%.17g", number);
        assert_true(str_to_double(str_of(text), &out));
        assert_true(out == number);
    }
    static const char *const bad[] = {"",   "inf", "nan", "0x1p3", "1,5",
                                      " 1", "1 ",  "e5",  "1e",    "."};
    for (size_t i = 0; i < array_count(bad); i++) {
        double out = 7;
        assert_false(str_to_double(str_of(bad[i]), &out));
        assert_true(out == 7);
    }
}

/* The oracle decodes to a number and encodes it again: well-formed is what comes back the same. */
static bool is_utf8_slowly(struct str a)
{
    size_t i = 0;
    while (i < a.len) {
        const uint8_t *s = (const uint8_t *)a.at + i;
        size_t left = a.len - i, bytes;
        uint32_t c;
        if (s[0] < 0x80) {
            bytes = 1;
            c = s[0];
        } else if ((s[0] & 0xe0) == 0xc0) {
            bytes = 2;
            c = s[0] & 0x1f;
        } else if ((s[0] & 0xf0) == 0xe0) {
            bytes = 3;
            c = s[0] & 0x0f;
        } else if ((s[0] & 0xf8) == 0xf0) {
            bytes = 4;
            c = s[0] & 0x07;
        } else {
            return false;
        }
        if (bytes > left)
            return false;
        for (size_t k = 1; k < bytes; k++) {
            if ((s[k] & 0xc0) != 0x80)
                return false;
            c = c << 6 | (s[k] & 0x3f);
        }
        size_t shortest = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
        if (shortest != bytes || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
            return false;
        i += bytes;
    }
    return true;
}

static void utf8(void **state)
{
    (void)state;
    /* Every text of three bytes from those that matter, and of four behind a four-byte lead. */
    static const uint8_t bytes[] = {0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf,
                                    0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed, 0xee,
                                    0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff};
    uint32_t good = 0;
    for (size_t a = 0; a < sizeof(bytes); a++)
        for (size_t b = 0; b < sizeof(bytes); b++)
            for (size_t c = 0; c < sizeof(bytes); c++)
                for (size_t d = 0; d <= sizeof(bytes); d++) {
                    uint8_t text[4] = {bytes[a], bytes[b], bytes[c],
                                       d < sizeof(bytes) ? bytes[d] : 0};
                    struct str s = {(const char *)text, d < sizeof(bytes) ? 4 : 3};
                    assert_int_equal(str_is_utf8(s), is_utf8_slowly(s));
                    good += str_is_utf8(s);
                }
    assert_true(good > 100);
    assert_true(str_is_utf8(STR("")));
}

static void to_z(void **state)
{
    (void)state;
    char out[4];
    assert_true(str_to_z(STR("abc"), out, sizeof(out)));
    assert_string_equal(out, "abc");
    assert_false(str_to_z(STR("abcd"), out, sizeof(out)));
    assert_string_equal(out, "");
    assert_false(str_to_z(STR("a\0b"), out, sizeof(out)));
    assert_true(str_to_z((struct str){NULL, 0}, out, sizeof(out)));
    assert_string_equal(out, "");
}

/* The definition, recursively: restricted Damerau-Levenshtein. */
static uint32_t distance_slowly(struct str a, struct str b)
{
    if (a.len == 0 || b.len == 0)
        return (uint32_t)(a.len + b.len);
    struct str a1 = str_part(a, 0, a.len - 1), b1 = str_part(b, 0, b.len - 1);
    bool is_same = a.at[a.len - 1] == b.at[b.len - 1];
    uint32_t best = distance_slowly(a1, b1) + !is_same;
    best = min_of(best, distance_slowly(a1, b) + 1);
    best = min_of(best, distance_slowly(a, b1) + 1);
    if (a.len > 1 && b.len > 1 && a.at[a.len - 1] == b.at[b.len - 2] &&
        a.at[a.len - 2] == b.at[b.len - 1])
        best =
            min_of(best, distance_slowly(str_part(a, 0, a.len - 2), str_part(b, 0, b.len - 2)) + 1);
    return best;
}

static void distances(void **state)
{
    (void)state;
    uint64_t seed = 4;
    for (int round = 0; round < 1500; round++) {
        char a_text[8], b_text[8];
        struct str a = random_text(&seed, a_text, 5);
        struct str b = random_text(&seed, b_text, 5);
        uint32_t most = next_random(&seed, 5);
        uint32_t edits = distance_slowly(a, b);
        assert_int_equal(str_distance(a, b, most), edits > most ? most + 1 : edits);
    }
    assert_int_equal(str_distance(STR("EMAIL"), STR("emial"), 3), 1);
    char longer[66];
    memset(longer, 'a', sizeof(longer));
    assert_int_equal(str_distance((struct str){longer, 65}, (struct str){longer, 65}, 3), 4);
}

static void suggestions(void **state)
{
    (void)state;
    const struct str names[] = {STR("email"), STR("sms"), STR("webhook"), STR("mail")};
    assert_true(str_is(str_nearest(STR("emial"), names, 4), "email"));
    assert_true(str_is(str_nearest(STR("Webhok"), names, 4), "webhook"));
    assert_true(str_is(str_nearest(STR("sns"), names, 4), "sms"));
    assert_int_equal(str_nearest(STR("carrier pigeon"), names, 4).len, 0);
    assert_int_equal(str_nearest(STR("x"), names, 4).len, 0);
    assert_int_equal(str_nearest(STR("email"), names, 0).len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("a text is found where it first stands", finding),
        TEST("texts are ordered by their bytes, a shorter one first", ordering),
        TEST("parts are clipped to what there is", parts),
        TEST("trimming takes ASCII white space from both ends", trimming),
        TEST("case is ignored for ASCII letters and nothing else", case_of_ascii),
        TEST("whole numbers are read to the last one and not beyond", whole_numbers),
        TEST("decimal numbers read back as the double they were printed from", decimal_numbers),
        TEST("UTF-8 is what decodes and encodes to the same bytes", utf8),
        TEST("a C string is all of the text or nothing", to_z),
        TEST("distances agree with their definition", distances),
        TEST("a slip of the hand finds its name, a stranger does not", suggestions),
    };
    return cmocka_run_group_tests_name("base/str", tests, NULL, NULL);
}
