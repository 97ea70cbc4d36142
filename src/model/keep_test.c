/* What two releases say of an attempt, as a record. */
#include "model/keep.h"
#include "test.h"

static const struct keep some = {.kind = RELEASE_KEPT,
                                 .channel = CHANNEL_EMAIL,
                                 .attempt = 2,
                                 .profile = 77,
                                 .decision = UINT64_C(0xfedcba9876543210),
                                 .journey = 1030,
                                 .message = 1031,
                                 .granted_ms = INT64_C(1772409600001)};

static void what_is_written_is_read(void **state)
{
    (void)state;
    struct buf clear;
    struct record r;
    struct keep back;
    buf_init(&clear);
    keep_write(&some, &clear, &r);
    assert_int_equal(r.type, RECORD_RELEASE);
    assert_true(keep_read(&r, &back));
    assert_int_equal(back.kind, some.kind);
    assert_int_equal(back.channel, some.channel);
    assert_int_equal(back.attempt, some.attempt);
    assert_true(back.profile == some.profile);
    assert_true(back.decision == some.decision);
    assert_int_equal(back.journey, some.journey);
    assert_int_equal(back.message, some.message);
    assert_true(back.granted_ms == some.granted_ms);
    assert_false(back.is_errand);
    for (int kind = RELEASE_KEPT; kind <= RELEASE_UNDONE; kind++) {
        struct keep errand = some;
        errand.kind = (enum release_kind)kind;
        errand.is_errand = true;
        keep_write(&errand, &clear, &r);
        assert_true(r.kind != some.kind);
        assert_true(keep_read(&r, &back));
        assert_true(back.is_errand);
        assert_int_equal(back.kind, kind);
        assert_true(keep_is_same(&errand, &back));
        assert_false(keep_is_same(&some, &back)); /* a decision is no instance */
        const struct keep both[] = {some, errand};
        assert_ptr_equal(keep_among(both, 2, &back), &both[1]);
        assert_ptr_equal(keep_among(both, 2, &(struct keep){.decision = some.decision}), &both[0]);
        assert_null(keep_among(both, 1, &back));
        back.message++;
        assert_false(keep_is_same(&errand, &back)); /* another step of the instance */
    }
    for (int kind = RELEASE_KEPT; kind <= RELEASE_UNDONE; kind++) {
        struct keep upload = some;
        upload.kind = (enum release_kind)kind;
        upload.is_listing = true;
        keep_write(&upload, &clear, &r);
        assert_true(r.kind != some.kind);
        assert_true(keep_read(&r, &back));
        assert_true(back.is_listing && !back.is_errand);
        assert_int_equal(back.kind, kind);
        assert_true(keep_is_same(&upload, &back));
        assert_false(keep_is_same(&some, &back));
    }
    struct keep elsewhere = some;
    elsewhere.message++;
    assert_true(keep_is_same(&some, &elsewhere));
    buf_fini(&clear);
}

static void what_is_out_of_range_is_not_read(void **state)
{
    (void)state;
    struct buf clear;
    struct record r;
    struct keep back;
    buf_init(&clear);
    struct keep wrong[5] = {some, some, some, some, some};
    wrong[0].channel = CHANNEL_END;
    wrong[1].attempt = 0;
    wrong[2].profile = 0;
    wrong[3].message = 0;
    wrong[4].attempt = 70000;
    for (size_t i = 0; i < array_count(wrong); i++) {
        keep_write(&wrong[i], &clear, &r);
        assert_false(keep_read(&r, &back));
    }
    keep_write(&some, &clear, &r);
    r.kind = RELEASE_TOOK_OVER;
    assert_false(keep_read(&r, &back));
    buf_fini(&clear);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("what is written is read", what_is_written_is_read),
        TEST("what is out of range is not read", what_is_out_of_range_is_not_read),
    };
    return cmocka_run_group_tests_name("keep", tests, NULL, NULL);
}
