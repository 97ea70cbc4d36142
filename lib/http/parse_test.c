/* SPDX-License-Identifier: Apache-2.0 */
#include "http/http_int.h"

#include <string.h>
#include <zlib.h>

#include "test.h"

static struct arena arena;

static enum http_error target(const char *text, struct str *path)
{
    struct str query;
    return http_target_parse(str_of(text), &arena, path, &query);
}

static void plain_paths(void **state)
{
    (void)state;
    static const char *const good[][2] = {
        {"/", "/"},
        {"/v1/batch", "/v1/batch"},
        {"/v1/import/", "/v1/import/"},
        {"/v1/b%61tch", "/v1/batch"},
        {"/a%20b", "/a b"},
        {"/v1/t?x=/../y", "/v1/t"},
        {"http://example.org/v1/t", "/v1/t"},
        {"HTTPS://example.org", "/"},
        {"/..a/.b/...", "/..a/.b/..."},
        {"*", "*"},
        {"/%C3%A9", "/\xc3\xa9"},
    };
    for (size_t i = 0; i < array_count(good); i++) {
        struct str path;
        assert_int_equal(target(good[i][0], &path), HTTP_FINE);
        assert_true(str_is(path, good[i][1]));
    }
}

static void crooked_paths(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",           "v1/batch",  "/api/../ui", "/api/%2e%2e/ui", "/%2e%2E",      "/..",
        "/.",         "/a/./b",    "/a/.",       "/a//b",          "//v1/batch",   "/a%2fb",
        "/a%2Fb",     "/a%00b",    "/a%",        "/a%2",           "/a%zz",        "/a\\b",
        "/a%5cb",     "/a%0d%0ab", "/a\x7f",     "/%ff",           "http:/x",      "ftp://x/",
        "/a/%2e%2e/", "/%252e/..", "/\x01",      "/a//",           "http:///../a", "/%2e",
        "http:///a",  "https://",  "http://?a",
    };
    for (size_t i = 0; i < array_count(bad); i++) {
        struct str path;
        if (target(bad[i], &path) == HTTP_FINE)
            fail_msg("%s was taken as %.*s", bad[i], STR_ARG(path));
    }
}

static void query_parameters(void **state)
{
    (void)state;
    struct str out;
    struct str query = STR("a=1&b=x%20y+z&&c&d=%zz&a=2&e%66=%26%3d&n=%00");
    assert_true(http_query_find(query, STR("a"), &arena, &out));
    assert_true(str_is(out, "1"));
    assert_true(http_query_find(query, STR("b"), &arena, &out));
    assert_true(str_is(out, "x y z"));
    assert_true(http_query_find(query, STR("c"), &arena, &out));
    assert_int_equal(out.len, 0);
    assert_true(http_query_find(query, STR("ef"), &arena, &out));
    assert_true(str_is(out, "&="));
    assert_false(http_query_find(query, STR("d"), &arena, &out));
    assert_false(http_query_find(query, STR("n"), &arena, &out));
    assert_false(http_query_find(query, STR("g"), &arena, &out));
    assert_false(http_query_find(STR(""), STR("g"), &arena, &out));
}

static enum http_auth auth(const char *text, const char *user, const char *password)
{
    struct str u, p;
    enum http_auth kind = http_auth_parse(str_of(text), &arena, &u, &p);
    if (user != NULL) {
        assert_true(str_is(u, user));
        assert_true(str_is(p, password));
    }
    return kind;
}

static void authorization(void **state)
{
    (void)state;
    assert_int_equal(auth("", NULL, NULL), HTTP_AUTH_NONE);
    assert_int_equal(auth("Basic d2tfdGVzdDo=", "wk_test", ""), HTTP_AUTH_BASIC);
    assert_int_equal(auth("basic   d2tfdGVzdDo", "wk_test", ""), HTTP_AUTH_BASIC);
    assert_int_equal(auth("Basic YTpiOmM=", "a", "b:c"), HTTP_AUTH_BASIC);
    assert_int_equal(auth("Bearer abc.def", "abc.def", ""), HTTP_AUTH_BEARER);
    static const char *const bad[] = {
        "Basic",
        "Basic ",
        "Basic !!!!",
        "Basic d2tfdGVzdA==", /* no colon */
        "Basic YQBiOg==",     /* a NUL */
        "Basic d2tfdGV=zdDo",
        "Digest x=y",
        "Bearer a b",
        "Basic ====",
        "Basic Y",
        "Basic /zo=", /* not UTF-8 */
    };
    for (size_t i = 0; i < array_count(bad); i++)
        if (auth(bad[i], NULL, NULL) != HTTP_AUTH_BAD)
            fail_msg("%s was accepted", bad[i]);
}

/* Against the encoder written here, over all lengths. */
static void base64_round_trip(void **state)
{
    (void)state;
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t len = 0; len < 70; len++) {
        uint8_t in[70];
        char text[128];
        size_t out_len = 0;
        for (size_t i = 0; i < len; i++)
            in[i] = (uint8_t)(i * 37 + len * 11);
        for (size_t i = 0; i < len * 8; i += 6) {
            uint32_t six = 0;
            for (size_t b = i; b < i + 6; b++)
                six = six << 1 | (b < len * 8 ? in[b / 8] >> (7 - b % 8) & 1 : 0);
            text[out_len++] = digits[six];
        }
        for (int padded = 0; padded < 2; padded++) {
            struct str out;
            assert_true(http_base64_decode((struct str){text, out_len}, &arena, &out));
            assert_int_equal(out.len, len);
            assert_true(len == 0 || memcmp(out.at, in, len) == 0);
            while (out_len % 4 != 0)
                text[out_len++] = '=';
        }
    }
}

static void zip(const void *in, size_t bytes, struct buf *out)
{
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    size_t room = deflateBound(&z, bytes) + 64;
    z.next_in = (Bytef *)(uintptr_t)in;
    z.avail_in = (uInt)bytes;
    z.next_out = buf_reserve(out, room);
    z.avail_out = (uInt)room;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    out->len += room - z.avail_out;
    deflateEnd(&z);
}

static void unzip_limits(void **state)
{
    (void)state;
    struct buf plain, zipped, out;
    buf_init(&plain);
    buf_init(&zipped);
    buf_init(&out);
    for (uint32_t i = 0; i < 100000; i++)
        buf_add_byte(&plain, (uint8_t)(i * i >> 7));
    zip(plain.at, plain.len, &zipped);
    assert_int_equal(http_unzip(buf_str(&zipped), 100000, &out), HTTP_FINE);
    assert_int_equal(out.len, 100000);
    assert_memory_equal(out.at, plain.at, out.len);
    assert_int_equal(http_unzip(buf_str(&zipped), 99999, &out), HTTP_ERROR_UNZIPPED_TOO_LARGE);

    /* every cut is noticed, and so is every bit in the trailer's checksum */
    for (size_t len = 0; len < zipped.len; len += 1 + zipped.len / 97)
        assert_int_equal(http_unzip((struct str){(char *)zipped.at, len}, 100000, &out),
                         HTTP_ERROR_BAD_GZIP);
    zipped.at[zipped.len - 8] ^= 1;
    assert_int_equal(http_unzip(buf_str(&zipped), 100000, &out), HTTP_ERROR_BAD_GZIP);
    zipped.at[zipped.len - 8] ^= 1;

    /* two members are one body; what is no member behind them is not */
    zip("tail", 4, &zipped);
    assert_int_equal(http_unzip(buf_str(&zipped), 100004, &out), HTTP_FINE);
    assert_int_equal(out.len, 100004);
    assert_memory_equal(out.at + 100000, "tail", 4);
    buf_add_str(&zipped, STR("junk"));
    assert_int_equal(http_unzip(buf_str(&zipped), 200000, &out), HTTP_ERROR_BAD_GZIP);

    /* zlib's own format and raw deflate are other codings */
    assert_int_equal(http_unzip(STR("\x78\x9c\x03\x00\x00\x00\x00\x01"), 100, &out),
                     HTTP_ERROR_BAD_GZIP);
    assert_int_equal(http_unzip(STR(""), 100, &out), HTTP_ERROR_BAD_GZIP);
    buf_fini(&plain);
    buf_fini(&zipped);
    buf_fini(&out);
}

static void framing(void **state)
{
    (void)state;
    const struct {
        enum http_error error;
        const char *fields[6];
    } rows[] = {
        {HTTP_FINE, {"Content-Length", "0"}},
        {HTTP_FINE, {"Transfer-Encoding", "Chunked"}},
        {HTTP_FINE, {"Content-Encoding", "GZIP", "content-length", "3"}},
        {HTTP_FINE, {"Content-Encoding", "identity"}},
        {HTTP_ERROR_BAD_FRAMING, {"Content-Length", "3", "Transfer-Encoding", "chunked"}},
        {HTTP_ERROR_BAD_FRAMING, {"Content-Length", "3", "content-length", "3"}},
        {HTTP_ERROR_BAD_FRAMING, {"Content-Length", "-3"}},
        {HTTP_ERROR_BAD_FRAMING, {"Content-Length", "+3"}},
        {HTTP_ERROR_BAD_FRAMING, {"Content-Length", "0x10"}},
        {HTTP_ERROR_BAD_FRAMING, {"Content-Length", "3, 3"}},
        {HTTP_ERROR_BAD_FRAMING, {"Content-Length", "9999999999999999999"}},
        {HTTP_ERROR_BAD_FRAMING, {"Content-Length", ""}},
        {HTTP_ERROR_BAD_FRAMING, {"Transfer-Encoding", "gzip, chunked"}},
        {HTTP_ERROR_BAD_FRAMING, {"Transfer-Encoding", "chunked", "Transfer-Encoding", "x"}},
        {HTTP_ERROR_REPEATED_FIELD, {"Authorization", "a", "authorization", "b"}},
        {HTTP_ERROR_REPEATED_FIELD, {"Host", "a", "Host", "b"}},
        {HTTP_ERROR_UNKNOWN_CODING, {"Content-Encoding", "gzip, gzip"}},
        {HTTP_ERROR_UNKNOWN_CODING, {"Content-Encoding", "br"}},
    };
    for (size_t i = 0; i < array_count(rows); i++) {
        struct http_header headers[4];
        uint32_t count = 0;
        uint64_t bytes;
        bool is_zipped;
        if (!str_equal_nocase(str_of(rows[i].fields[0]), STR("host")))
            headers[count++] = (struct http_header){STR("host"), STR("h")};
        for (size_t k = 0; k < 6 && rows[i].fields[k] != NULL; k += 2)
            headers[count++] =
                (struct http_header){str_of(rows[i].fields[k]), str_of(rows[i].fields[k + 1])};
        assert_int_equal(http_headers_check(headers, count, true, &bytes, &is_zipped),
                         rows[i].error);
    }
    struct http_header chunked = {STR("Transfer-Encoding"), STR("chunked")};
    uint64_t bytes;
    bool is_zipped;
    assert_int_equal(http_headers_check(NULL, 0, true, &bytes, &is_zipped), HTTP_ERROR_NO_HOST);
    assert_int_equal(http_headers_check(NULL, 0, false, &bytes, &is_zipped), HTTP_FINE);
    assert_int_equal(http_headers_check(&chunked, 1, false, &bytes, &is_zipped),
                     HTTP_ERROR_BAD_FRAMING);
}

static void keeping_alive(void **state)
{
    (void)state;
    static const struct {
        bool of_11, of_10;
        const char *values[2];
    } rows[] = {
        {true, false, {NULL}},
        {false, false, {"close"}},
        {false, false, {"TE , Close"}},
        {true, true, {"keep-alive"}},
        {true, true, {"te,Keep-Alive,"}},
        {false, false, {"keep-alive, close"}},
        {false, false, {"keep-alive", "close"}},
        {true, false, {"closed, keep-aliv"}},
        {true, false, {""}},
    };
    for (size_t i = 0; i < array_count(rows); i++) {
        struct http_header headers[3] = {{STR("Host"), STR("close")}};
        uint32_t count = 1;
        for (size_t k = 0; k < 2 && rows[i].values[k] != NULL; k++)
            headers[count++] = (struct http_header){STR("connection"), str_of(rows[i].values[k])};
        assert_int_equal(http_keeps_alive(headers, count, true), rows[i].of_11);
        assert_int_equal(http_keeps_alive(headers, count, false), rows[i].of_10);
    }
}

static void errors_are_json(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out);
    http_error_print("x", STR("say \"hi\" \\ \n \x01 \xc3\xa9"), &out);
    assert_true(str_equal(buf_str(&out),
                          STR("{\"code\":\"x\",\"message\":\"say \\\"hi\\\" \\\\ \\u000a \\u0001 "
                              "\xc3\xa9\"}")));
    out.len = 0;
    http_error_print("x", STR("a\xff"), &out);
    assert_true(str_equal(buf_str(&out), STR("{\"code\":\"x\",\"message\":\"a?\"}")));
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("a plain path is decoded once", plain_paths),
        TEST("a path that could be read in two ways is refused", crooked_paths),
        TEST("query parameters are decoded, the first of a name counts", query_parameters),
        TEST("Basic and Bearer are understood, anything malformed is bad", authorization),
        TEST("base64 is decoded at every length, padded or not", base64_round_trip),
        TEST("gzip is unzipped up to the limit and checked to its last byte", unzip_limits),
        TEST("a body's end is said in one way only", framing),
        TEST("who says close is closed, and HTTP/1.0 stays if it says so", keeping_alive),
        TEST("errors are JSON whatever the message holds", errors_are_json),
    };
    arena_init(&arena, 4096);
    int failed = cmocka_run_group_tests_name("http/parse", tests, NULL, NULL);
    arena_fini(&arena);
    return failed;
}
