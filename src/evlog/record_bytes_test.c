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

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("any record comes back as it was", any_record_comes_back_as_it_was),
        TEST("a changed or missing byte anywhere is noticed", a_changed_byte_anywhere_is_noticed),
        TEST("a record may be as long as stated and not one byte longer",
             a_record_may_be_as_long_as_stated_and_not_one_byte_longer),
        TEST("what a later release writes is strange and not damaged",
             what_a_later_release_writes_is_strange_and_not_damaged),
    };
    return cmocka_run_group_tests_name("evlog/record_bytes", tests, NULL, NULL);
}
