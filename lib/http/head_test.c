/* SPDX-License-Identifier: Apache-2.0 */
#include <regex.h>

#include "http/http_int.h"
#include "test.h"

/* --- Chance that repeats -------------------------------------------------------------------------- */

static uint32_t draw(uint64_t *seed, uint32_t below)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*seed >> 33) % below;
}

/* A byte more, less, or another, up to three times: the slips that a reader must see. */
static void spoil(struct buf *text, uint64_t *seed)
{
    static const char bytes[] = "\r\n\n\r \t:;=\"\\,0123afGZ()\x01\x7f\x80";
    for (uint32_t times = draw(seed, 4); times > 0 && text->len > 0; times--) {
        size_t at = draw(seed, (uint32_t)text->len);
        uint8_t byte = (uint8_t)bytes[draw(seed, sizeof(bytes) - 1)];
        switch (draw(seed, 3)) {
        case 0: text->at[at] = byte; break;
        case 1:
            memmove(text->at + at, text->at + at + 1, text->len - at - 1);
            text->len--;
            break;
        default:
            buf_add_byte(text, 0);
            memmove(text->at + at + 1, text->at + at, text->len - 1 - at);
            text->at[at] = byte;
        }
    }
}

/* --- Heads ---------------------------------------------------------------------------------------- */

static enum http_error read_head(struct http_head *head, struct str bytes, size_t *used)
{
    struct http_limits limits = http_limits_default();
    http_head_begin(head);
    return http_head_read(head, bytes, &limits, used);
}

static void assert_place(struct str bytes, struct http_place place, const char *wanted)
{
    assert_true(str_is(str_part(bytes, place.at, place.len), wanted));
}

static void parts(void **state)
{
    (void)state;
    struct http_head head;
    size_t used;
    struct str bytes =
        STR("\r\nPOST /a?b#c HTTP/1.1\r\nHost:h\r\nX-Empty: \t\r\nX-Two:\t a b \r\n\r\nbody");
    assert_int_equal(read_head(&head, bytes, &used), HTTP_FINE);
    assert_int_equal(used, bytes.len - 4);
    assert_place(bytes, head.method, "POST");
    assert_place(bytes, head.target, "/a?b#c");
    assert_true(head.is_http_11);
    assert_int_equal(head.field_count, 3);
    assert_place(bytes, head.fields[0][0], "Host");
    assert_place(bytes, head.fields[0][1], "h");
    assert_place(bytes, head.fields[1][0], "X-Empty");
    assert_place(bytes, head.fields[1][1], "");
    assert_place(bytes, head.fields[2][0], "X-Two");
    assert_place(bytes, head.fields[2][1], "a b");
    assert_int_equal(read_head(&head, STR("GET / HTTP/1.0\r\n\r\n"), &used), HTTP_FINE);
    assert_int_equal(used, 18);
    assert_false(head.is_http_11);
}

/* What RFC 9112 says, as an expression that knows nothing of our reader. */
#define TOKEN_CLASS "[-!#$%&'*+.^_`|~0-9A-Za-z]"
#define HEAD_GRAMMAR                                                                     \
    "^(\r\n)*" TOKEN_CLASS "+ [\x21-\x7e\x80-\xff]+ HTTP/1\\.[01]\r\n(" TOKEN_CLASS "+:" \
    "[\t\x20-\x7e\x80-\xff]*\r\n)*\r\n"

static void grammar(void **state)
{
    (void)state;
    regex_t whole;
    struct buf text, more;
    uint32_t taken = 0, refused = 0, unfinished = 0;
    static struct http_head head, again;
    uint64_t seed = 1;
    assert_int_equal(regcomp(&whole, HEAD_GRAMMAR, REG_EXTENDED), 0);
    buf_init(&text);
    buf_init(&more);
    for (int round = 0; round < 20000; round++) {
        text.len = 0;
        buf_add_str(&text, draw(&seed, 8) == 0 ? STR("\r\n") : STR(""));
        buf_add_str(&text,
                    draw(&seed, 2) == 0 ? STR("GET /a HTTP/1.1\r\n") : STR("P * HTTP/1.0\r\n"));
        for (uint32_t fields = draw(&seed, 4); fields > 0; fields--)
            buf_add_str(&text,
                        draw(&seed, 2) == 0 ? STR("Host: h\r\n") : STR("X-A:\ta \x80 b \r\n"));
        buf_add_str(&text, STR("\r\n"));
        if (round % 4 != 0)
            spoil(&text, &seed);
        size_t used;
        enum http_error error = read_head(&head, buf_str(&text), &used);
        more.len = 0;
        buf_add_str(&more, buf_str(&text));
        buf_add_byte(&more, 0);
        regmatch_t match;
        bool is_whole = regexec(&whole, (const char *)more.at, 1, &match, 0) == 0;
        assert_int_equal(error == HTTP_FINE && used != 0, is_whole);
        if (is_whole)
            assert_int_equal(used, match.rm_eo);
        taken += is_whole;
        refused += error != HTTP_FINE;
        unfinished += error == HTTP_FINE && used == 0;
        /* byte by byte, the same */
        http_head_begin(&again);
        size_t used_again = 0;
        enum http_error error_again = HTTP_FINE;
        struct http_limits limits = http_limits_default();
        for (size_t len = 1; len <= text.len && error_again == HTTP_FINE && used_again == 0; len++)
            error_again =
                http_head_read(&again, str_part(buf_str(&text), 0, len), &limits, &used_again);
        assert_int_equal(error_again, error);
        assert_int_equal(used_again, used);
        assert_int_equal(again.field_count, head.field_count);
        assert_memory_equal(again.fields, head.fields, head.field_count * sizeof(head.fields[0]));
    }
    assert_true(taken > 5000);
    assert_true(refused > 5000);
    assert_true(unfinished > 100);
    regfree(&whole);
    buf_fini(&text);
    buf_fini(&more);
}

static enum http_error read_sized(size_t target_bytes, size_t field_count, size_t value_bytes,
                                  size_t last_bytes)
{
    static struct http_head head;
    struct buf text;
    size_t used;
    buf_init(&text);
    buf_add_str(&text, STR("GET /"));
    for (size_t i = 1; i < target_bytes; i++)
        buf_add_byte(&text, 't');
    buf_add_str(&text, STR(" HTTP/1.1\r\n"));
    for (size_t i = 0; i < field_count; i++) {
        buf_add_str(&text, STR("N:"));
        for (size_t k = 0; k < (i + 1 == field_count ? last_bytes : value_bytes); k++)
            buf_add_byte(&text, 'v');
        buf_add_str(&text, STR("\r\n"));
    }
    buf_add_str(&text, STR("\r\n"));
    enum http_error error = read_head(&head, buf_str(&text), &used);
    assert_int_equal(used, error == HTTP_FINE ? text.len : 0);
    buf_fini(&text);
    return error;
}

static void limits(void **state)
{
    (void)state;
    const size_t most = http_limits_default().header_bytes_max;
    const size_t target = http_limits_default().target_bytes_max;
    const size_t rest = strlen("GET / HTTP/1.1\r\nN:\r\n\r\n");
    assert_int_equal(read_sized(1, 1, 0, most - rest), HTTP_FINE);
    assert_int_equal(read_sized(1, 1, 0, most - rest + 1), HTTP_ERROR_HEADERS_TOO_LARGE);
    assert_int_equal(read_sized(1, 1, 0, most * 2), HTTP_ERROR_HEADERS_TOO_LARGE);
    assert_int_equal(read_sized(target, 0, 0, 0), HTTP_FINE);
    assert_int_equal(read_sized(target + 1, 0, 0, 0), HTTP_ERROR_TARGET_TOO_LONG);
    assert_int_equal(read_sized(most * 2, 0, 0, 0), HTTP_ERROR_TARGET_TOO_LONG);
    assert_int_equal(read_sized(1, HTTP_HEADER_FIELDS_MAX, 3, 3), HTTP_FINE);
    assert_int_equal(read_sized(1, HTTP_HEADER_FIELDS_MAX + 1, 3, 3), HTTP_ERROR_HEADERS_TOO_LARGE);
}

/* --- Chunks --------------------------------------------------------------------------------------- */

/* The reader, given the bytes in pieces of `step`: what it made of them, and how many it took. */
static enum http_chunk read_chunks(struct str text, size_t step, struct buf *body, size_t *taken)
{
    struct http_chunks chunks = {0};
    body->len = 0;
    *taken = 0;
    for (size_t end = min_of(step, text.len);;) {
        struct str piece;
        size_t used;
        enum http_chunk got =
            http_chunks_read(&chunks, str_part(text, *taken, end - *taken), &used, &piece);
        *taken += used;
        buf_add_str(body, piece);
        assert_true(got == HTTP_CHUNK_PIECE || piece.len == 0);
        if (got == HTTP_CHUNK_BAD || got == HTTP_CHUNK_END)
            return got;
        if (got == HTTP_CHUNK_PIECE)
            continue;
        assert_int_equal(*taken, end);
        if (end == text.len)
            return got;
        end = min_of(end + step, text.len);
    }
}

#define EXTENSION_GRAMMAR               \
    "(;" TOKEN_CLASS "+(=(" TOKEN_CLASS \
    "+|\"([^\\\\\"\x01-\x08\x0a-\x1f\x7f]|\\\\[\t\x20-\x7e\x80-\xff])*\"))?)*"

struct oracle {
    regex_t line, trailer;
};

/* Whether a body stands at the beginning, by the grammar; `body` and *taken if so. */
static bool oracle_reads(const struct oracle *o, const char *text, struct buf *body, size_t *taken)
{
    size_t at = 0, len = strlen(text);
    body->len = 0;
    for (;;) {
        regmatch_t match;
        if (regexec(&o->line, text + at, 1, &match, 0) != 0)
            return false;
        unsigned long size = strtoul(text + at, NULL, 16);
        at += (size_t)match.rm_eo;
        if (size == 0)
            break;
        if (size > len - at || len - at - size < 2 || memcmp(text + at + size, "\r\n", 2) != 0)
            return false;
        buf_add(body, text + at, size);
        at += size + 2;
    }
    regmatch_t match;
    if (regexec(&o->trailer, text + at, 1, &match, 0) != 0)
        return false;
    *taken = at + (size_t)match.rm_eo;
    return true;
}

static void chunk_grammar(void **state)
{
    (void)state;
    struct oracle o;
    struct buf text, wanted, got;
    uint32_t good = 0, bad = 0, unfinished = 0;
    uint64_t seed = 2;
    assert_int_equal(regcomp(&o.line, "^[0-9a-fA-F]{1,15}" EXTENSION_GRAMMAR "\r\n", REG_EXTENDED),
                     0);
    assert_int_equal(
        regcomp(&o.trailer, "^(" TOKEN_CLASS "+:[\t\x20-\x7e\x80-\xff]*\r\n)*\r\n", REG_EXTENDED),
        0);
    buf_init(&text);
    buf_init(&wanted);
    buf_init(&got);
    for (int round = 0; round < 20000; round++) {
        static const char *const extensions[] = {"", "", "", ";a", ";a=b", ";a=\"b \\\" c\";d"};
        static const char *const trailers[] = {"", "", "X: y\r\n", "A:\r\nB: c d\r\n"};
        text.len = 0;
        for (uint32_t n = draw(&seed, 4); n > 0; n--) {
            uint32_t size = 1 + draw(&seed, 20);
            buf_printf(&text, draw(&seed, 2) ? "%x%s\r\n" : "0%X%s\r\n", size,
                       extensions[draw(&seed, 6)]);
            for (uint32_t i = 0; i < size; i++)
                buf_add_byte(&text, (uint8_t) "ab\r\n0"[draw(&seed, 5)]);
            buf_add_str(&text, STR("\r\n"));
        }
        buf_printf(&text, "0%s\r\n%s\r\n", extensions[draw(&seed, 6)], trailers[draw(&seed, 4)]);
        if (round % 4 != 0)
            spoil(&text, &seed);
        buf_add_str(&text, draw(&seed, 2) ? STR("GET") : STR(""));
        struct str bytes = buf_str(&text);
        buf_add_byte(&text, 0);
        bytes.at = (const char *)text.at;
        size_t wanted_taken = 0, taken, taken_again;
        bool is_whole = oracle_reads(&o, bytes.at, &wanted, &wanted_taken);
        enum http_chunk result = read_chunks(bytes, bytes.len, &got, &taken);
        assert_int_equal(result == HTTP_CHUNK_END, is_whole);
        if (is_whole) {
            assert_int_equal(taken, wanted_taken);
            assert_true(str_equal(buf_str(&got), buf_str(&wanted)));
        }
        good += is_whole;
        bad += result == HTTP_CHUNK_BAD;
        unfinished += result == HTTP_CHUNK_MORE;
        assert_int_equal(read_chunks(bytes, 1 + draw(&seed, 3), &wanted, &taken_again), result);
        assert_int_equal(taken_again, taken);
        assert_true(str_equal(buf_str(&got), buf_str(&wanted)));
    }
    assert_true(good > 5000);
    assert_true(bad > 3000);
    assert_true(unfinished > 100);
    regfree(&o.line);
    regfree(&o.trailer);
    buf_fini(&text);
    buf_fini(&wanted);
    buf_fini(&got);
}

static void chunk_limits(void **state)
{
    (void)state;
    struct buf text, body;
    size_t taken;
    buf_init(&text);
    buf_init(&body);
    for (size_t bytes = 4090; bytes <= 4100; bytes++) { /* "1;", so many, CR LF */
        text.len = 0;
        buf_add_str(&text, STR("1;"));
        for (size_t i = 0; i < bytes; i++)
            buf_add_byte(&text, 'x');
        buf_add_str(&text, STR("\r\na\r\n0\r\n\r\n"));
        assert_int_equal(read_chunks(buf_str(&text), text.len, &body, &taken),
                         bytes + 3 <= 4096 ? HTTP_CHUNK_END : HTTP_CHUNK_BAD);
    }
    assert_int_equal(read_chunks(STR("fffffffffffffff\r\n"), 100, &body, &taken), HTTP_CHUNK_MORE);
    assert_int_equal(read_chunks(STR("0fffffffffffffff\r\n"), 100, &body, &taken), HTTP_CHUNK_BAD);
    buf_fini(&text);
    buf_fini(&body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("a head is read into its parts", parts),
        TEST("a head is taken exactly where the grammar takes it, however it comes", grammar),
        TEST("a head is taken at its limits and refused past them", limits),
        TEST("chunks are taken exactly where the grammar takes them, however they come",
             chunk_grammar),
        TEST("a size and a line between chunks have their limits", chunk_limits),
    };
    return cmocka_run_group_tests_name("http/head", tests, NULL, NULL);
}
