/* SPDX-License-Identifier: Apache-2.0 */
#include "evlog/fixture.h"

static void any_record_comes_back_as_it_was(void **state)
{
    (void)state;
    struct dice d = {.seed = 1};
    struct arena a;
    struct buf b;
    arena_init(&a, 4096);
    buf_init(&b);
    for (int i = 0; i < 20000; i++) {
        arena_reset(&a);
        b.len = 0;
        int64_t now_ms = happens(&d, 4) ? (int64_t)roll(&d, UINT64_MAX) : 1700000000000;
        int64_t at_ms = happens(&d, 4) ? INT64_MIN : now_ms - (int64_t)roll(&d, 50);
        struct record in = random_record(&d, &a, at_ms);
        if (happens(&d, 10)) {
            in.sent_skew_ms = happens(&d, 2) ? INT32_MIN : INT32_MAX;
            in.event_ms = happens(&d, 2) ? INT64_MIN : INT64_MAX;
            in.arrival_ms = happens(&d, 2) ? INT64_MIN : INT64_MAX;
        }
        uint32_t sum_in = 5;
        uint32_t sum_out = 5;
        struct record out;
        const char *why;
        assert_true(record_write(&b, &in, now_ms, &sum_in));
        struct cursor c = cursor_of(b.at, b.len);
        assert_int_equal(record_read(&c, now_ms, &out, &sum_out, &why), BYTES_GOOD);
        assert_int_equal(cursor_left(&c), 0);
        assert_int_equal(sum_in, sum_out);
        assert_same_record(&in, &out);
    }
    buf_fini(&b);
    arena_fini(&a);
}

static void a_changed_byte_anywhere_is_noticed(void **state)
{
    (void)state;
    struct dice d = {.seed = 2};
    struct arena a;
    struct buf b;
    arena_init(&a, 4096);
    buf_init(&b);
    for (int i = 0; i < 100; i++) {
        arena_reset(&a);
        b.len = 0;
        struct record in = random_record(&d, &a, 1000);
        uint32_t sum = 0;
        assert_true(record_write(&b, &in, 1000, &sum));
        for (size_t at = 0; at < b.len; at++) {
            uint8_t mask = (uint8_t)(1 + roll(&d, 255));
            struct record out;
            const char *why;
            struct cursor c = cursor_of(b.at, b.len);
            uint32_t ignored = 0;
            b.at[at] ^= mask;
            assert_int_equal(record_read(&c, 1000, &out, &ignored, &why), BYTES_BAD);
            assert_non_null(why);
            b.at[at] ^= mask;
        }
        for (size_t bytes = 0; bytes < b.len; bytes++) {
            struct record out;
            const char *why;
            struct cursor c = cursor_of(b.at, bytes);
            uint32_t ignored = 0;
            assert_int_equal(record_read(&c, 1000, &out, &ignored, &why), BYTES_BAD);
        }
    }
    buf_fini(&b);
    arena_fini(&a);
}

static void a_record_may_be_as_long_as_stated_and_not_one_byte_longer(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b);
    uint8_t *bytes = mem_new(RECORD_BYTES_MAX);
    for (uint32_t clear = 0; clear < 2; clear++) {
        uint32_t longest = 0;
        for (uint32_t n = RECORD_BYTES_MAX - 40; n <= RECORD_BYTES_MAX + 1; n++) {
            struct record r = {.type = RECORD_EVENT};
            *(clear ? &r.clear : &r.personal) = (struct body){bytes, n};
            uint32_t sum = 0;
            b.len = 0;
            if (record_write(&b, &r, 0, &sum)) {
                assert_true(b.len <= RECORD_BYTES_MAX);
                longest = n;
            } else {
                assert_int_equal(b.len, 0);
                assert_true(n > longest);
            }
        }
        /* The longest one fills the bound exactly. */
        struct record r = {.type = RECORD_EVENT};
        *(clear ? &r.clear : &r.personal) = (struct body){bytes, longest};
        uint32_t sum = 0;
        assert_true(record_write(&b, &r, 0, &sum));
        assert_int_equal(b.len, RECORD_BYTES_MAX);
    }
    mem_free(bytes);
    buf_fini(&b);
}

/* Fixes the CRC of a record after its bytes were changed. */
static void vouch(struct buf *b)
{
    uint32_t crc = hash_crc32c(0, b->at, b->len - 4);
    memcpy(b->at + b->len - 4, &crc, 4);
}

static void what_a_later_release_writes_is_strange_and_not_damaged(void **state)
{
    (void)state;
    struct buf b;
    const char *why;
    struct record out;
    uint32_t sum = 0;
    buf_init(&b);
    struct record r = {.type = RECORD_EVENT, .personal = {(const uint8_t *)"abc", 3}};
    assert_true(record_write(&b, &r, 0, &sum));
    /* length, type, kind, flags, schema, has, source, name, times (3), clear, algorithm, personal, CRC */
    assert_int_equal(b.len, 1 + 5 + 2 + 3 + 1 + 1 + 1 + 3 + 4);

    b.at[12] = 1; /* algorithm */
    vouch(&b);
    struct cursor c = cursor_of(b.at, b.len);
    assert_int_equal(record_read(&c, 0, &out, &sum, &why), BYTES_STRANGE);
    assert_int_equal(cursor_left(&c), 0);

    b.at[12] = 0;
    b.at[5] = 0x80; /* a field that is not known */
    vouch(&b);
    c = cursor_of(b.at, b.len);
    assert_int_equal(record_read(&c, 0, &out, &sum, &why), BYTES_STRANGE);
    buf_fini(&b);
}

/* The example of docs/formats/log.md: a change of these bytes is a new format version. */
static void the_bytes_are_those_of_the_format_page(void **state)
{
    (void)state;
    static const uint8_t header[BLOCK_HEADER_BYTES] = {
        0x57, 0x42, 0x4c, 0x4b, 0x03, 0x01, 0x01, 0x00, 0x12, 0x00, 0x00, 0x00, 0x01,
        0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x68,
        0xe5, 0xcf, 0x8b, 0x01, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x04, 0x03, 0x02, 0x01,
        0x74, 0xbf, 0xa4, 0x1e, 0xac, 0x50, 0x1c, 0x6c, 0xa5, 0xbd, 0xee, 0x66,
    };
    static const uint8_t tick[18] = {0x11, 0x04, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00,
                                     0x00, 0x00, 0x00, 0x00, 0x00, 0xd3, 0x01, 0x5a, 0x78};
    const int64_t now_ms = 1700000000000;
    struct record r = {
        .type = RECORD_TICK,
        .schema = 1,
        .at_ms = now_ms,
        .event_ms = now_ms,
        .arrival_ms = now_ms,
    };
    struct buf b;
    uint32_t sum = 0;
    buf_init(&b);
    assert_true(record_write(&b, &r, now_ms, &sum));
    assert_int_equal(b.len, sizeof(tick));
    assert_memory_equal(b.at, tick, sizeof(tick));
    buf_fini(&b);

    uint8_t written[BLOCK_HEADER_BYTES];
    struct block block = {
        .kind = BLOCK_BATCH,
        .flags = BLOCK_ENDS_COMMIT,
        .length = sizeof(tick),
        .count = 1,
        .number = 1,
        .now_ms = now_ms,
        .commit = 1,
        .previous = 0x01020304,
        .sum = sum,
        .salt = block_salt(1),
    };
    block_write_header(&block, written);
    assert_memory_equal(written, header, sizeof(header));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("the bytes are those of the format page", the_bytes_are_those_of_the_format_page),
        TEST("any record comes back as it was", any_record_comes_back_as_it_was),
        TEST("a changed or missing byte anywhere is noticed", a_changed_byte_anywhere_is_noticed),
        TEST("a record may be as long as stated and not one byte longer",
             a_record_may_be_as_long_as_stated_and_not_one_byte_longer),
        TEST("what a later release writes is strange and not damaged",
             what_a_later_release_writes_is_strange_and_not_damaged),
    };
    return cmocka_run_group_tests_name("evlog/record_bytes", tests, NULL, NULL);
}
