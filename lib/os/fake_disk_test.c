/* SPDX-License-Identifier: Apache-2.0 */
#include "os/fake_disk.h"

#include "os/file.h"
#include "test.h"

static void what_was_synced_survives_a_crash(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct fake_disk *fake = fake_disk_new(seed);
        struct os_disk *disk = fake_disk_of(fake);
        struct os_file *file;
        uint8_t out[5000];
        uint8_t in[5000];
        memset(in, 1, sizeof(in));
        assert_int_equal(os_file_open(disk, "a", OS_CREATE, &file, NULL), OK);
        assert_int_equal(os_file_write(file, 0, in, sizeof(in), NULL), OK);
        assert_int_equal(os_file_sync(file, NULL), OK);
        assert_int_equal(os_sync_dir(disk, ".", NULL), OK);
        memset(in, 2, sizeof(in));
        assert_int_equal(os_file_write(file, 2048, in, 1024, NULL), OK);
        fake_disk_restart(fake);

        assert_int_equal(os_file_read(file, 0, out, 1, NULL), GIVE_UP);
        os_file_close(file);
        assert_int_equal(os_file_open(disk, "a", OS_READ, &file, NULL), OK);
        assert_int_equal(os_file_read(file, 0, out, sizeof(out), NULL), OK);
        for (size_t i = 0; i < sizeof(out); i++)
            if (i < 2048 || i >= 3072)
                assert_int_equal(out[i], 1);
            else
                assert_in_range(out[i], 1, 2);
        os_file_close(file);
        fake_disk_free(fake);
    }
}

/* Unsynced content and names must be able to survive, to be lost, and to be torn, or the tests that
 * stand on this disk prove nothing. */
static void a_crash_loses_keeps_and_tears_what_was_not_synced(void **state)
{
    (void)state;
    int lost_names = 0, kept_names = 0, kept = 0, lost = 0, torn = 0;
    for (uint64_t seed = 0; seed < 300; seed++) {
        struct fake_disk *fake = fake_disk_new(seed);
        struct os_disk *disk = fake_disk_of(fake);
        struct os_file *file;
        uint8_t bytes[2048] = {0};
        assert_int_equal(os_file_open(disk, "a", OS_CREATE, &file, NULL), OK);
        assert_int_equal(os_file_write(file, 0, bytes, sizeof(bytes), NULL), OK);
        assert_int_equal(os_file_sync(file, NULL), OK);
        memset(bytes, 1, sizeof(bytes));
        assert_int_equal(os_file_write(file, 0, bytes, sizeof(bytes), NULL), OK);
        os_file_close(file);
        fake_disk_restart(fake);
        if (!os_exists(disk, "a")) {
            lost_names++;
        } else {
            kept_names++;
            assert_int_equal(os_file_open(disk, "a", OS_READ, &file, NULL), OK);
            assert_int_equal(os_file_read(file, 0, bytes, sizeof(bytes), NULL), OK);
            int ones = 0;
            for (size_t i = 0; i < sizeof(bytes); i++)
                ones += bytes[i];
            kept += ones == 2048;
            lost += ones == 0;
            torn += ones > 0 && ones < 2048;
            os_file_close(file);
        }
        fake_disk_free(fake);
    }
    assert_true(lost_names > 50);
    assert_true(kept_names > 50);
    assert_true(kept > 0);
    assert_true(lost > 0);
    assert_true(torn > 50);
}

static void a_replaced_file_is_old_or_new_after_a_crash_at_any_call(void **state)
{
    (void)state;
    int old_count = 0, new_count = 0;
    for (uint64_t seed = 0; seed < 20; seed++) {
        for (uint64_t call = 1;; call++) {
            struct fake_disk *fake = fake_disk_new(seed * 1000 + call);
            struct os_disk *disk = fake_disk_of(fake);
            struct buf b;
            buf_init(&b);
            assert_int_equal(os_write_whole(disk, "a", STR("the old content"), NULL), OK);
            fake_disk_fail_at(fake, fake_disk_calls(fake) + call, FAKE_CRASH);
            enum status done = os_write_whole(disk, "a", STR("new"), NULL);
            bool has_failed = fake_disk_has_failed(fake);
            assert_int_equal(done == OK, !has_failed);
            fake_disk_restart(fake);
            assert_int_equal(os_read_whole(disk, "a", 100, &b, NULL), OK);
            bool is_new = str_is(buf_str(&b), "new");
            assert_true(is_new || str_is(buf_str(&b), "the old content"));
            if (done == OK)
                assert_true(is_new);
            new_count += has_failed && is_new;
            old_count += !is_new;
            buf_fini(&b);
            fake_disk_free(fake);
            if (!has_failed)
                break;
        }
    }
    assert_true(old_count > 0);
    assert_true(new_count > 0);
}

static void each_call_can_be_made_to_fail(void **state)
{
    (void)state;
    struct fake_disk *fake = fake_disk_new(1);
    struct os_disk *disk = fake_disk_of(fake);
    struct os_file *file;
    struct fault f = {0};
    assert_int_equal(os_file_open(disk, "a", OS_CREATE, &file, NULL), OK);
    fake_disk_fail_at(fake, fake_disk_calls(fake) + 2, FAKE_EIO);
    assert_int_equal(os_file_write(file, 0, "abc", 3, NULL), OK);
    assert_int_equal(os_file_sync(file, &f), GIVE_UP);
    assert_string_equal(f.file, "a");
    assert_true(fake_disk_has_failed(fake));
    assert_int_equal(os_file_sync(file, NULL), OK);
    fake_disk_fail_at(fake, fake_disk_calls(fake) + 1, FAKE_FULL);
    assert_int_equal(os_file_write(file, 3, "def", 3, NULL), TRY_AGAIN);
    os_file_close(file);
    fake_disk_free(fake);
}

static void a_full_disk_refuses_to_grow_and_nothing_else(void **state)
{
    (void)state;
    struct fake_disk *fake = fake_disk_new(1);
    struct os_disk *disk = fake_disk_of(fake);
    struct os_file *file;
    assert_int_equal(os_file_open(disk, "a", OS_CREATE, &file, NULL), OK);
    fake_disk_set_capacity(fake, 100);
    assert_int_equal(os_file_preallocate(file, 101, NULL), TRY_AGAIN);
    assert_int_equal(os_file_preallocate(file, 100, NULL), OK);
    char bytes[60] = {0};
    assert_int_equal(os_file_write(file, 40, bytes, 60, NULL), OK);
    assert_int_equal(os_file_write(file, 41, bytes, 60, NULL), TRY_AGAIN);
    assert_int_equal(fake_disk_used_bytes(fake), 100);
    assert_int_equal(os_file_truncate(file, 0, NULL), OK);
    assert_int_equal(fake_disk_used_bytes(fake), 0);
    os_file_close(file);
    fake_disk_free(fake);
}

static void the_same_seed_gives_the_same_crash(void **state)
{
    (void)state;
    uint8_t out[2][8192];
    for (int round = 0; round < 2; round++) {
        struct fake_disk *fake = fake_disk_new(99);
        struct os_disk *disk = fake_disk_of(fake);
        struct os_file *file;
        uint8_t in[8192];
        memset(in, 5, sizeof(in));
        assert_int_equal(os_file_open(disk, "a", OS_CREATE, &file, NULL), OK);
        assert_int_equal(os_file_preallocate(file, sizeof(in), NULL), OK);
        assert_int_equal(os_file_sync(file, NULL), OK);
        assert_int_equal(os_sync_dir(disk, ".", NULL), OK);
        assert_int_equal(os_file_write(file, 0, in, sizeof(in), NULL), OK);
        os_file_close(file);
        fake_disk_restart(fake);
        assert_int_equal(os_file_open(disk, "a", OS_READ, &file, NULL), OK);
        assert_int_equal(os_file_read(file, 0, out[round], sizeof(out[round]), NULL), OK);
        os_file_close(file);
        fake_disk_free(fake);
    }
    assert_memory_equal(out[0], out[1], sizeof(out[0]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("what was synced survives a crash", what_was_synced_survives_a_crash),
        TEST("a crash loses, keeps and tears what was not synced",
             a_crash_loses_keeps_and_tears_what_was_not_synced),
        TEST("a replaced file is the old or the new one after a crash at any call",
             a_replaced_file_is_old_or_new_after_a_crash_at_any_call),
        TEST("each call can be made to fail", each_call_can_be_made_to_fail),
        TEST("a full disk refuses to grow and nothing else",
             a_full_disk_refuses_to_grow_and_nothing_else),
        TEST("the same seed gives the same crash", the_same_seed_gives_the_same_crash),
    };
    return cmocka_run_group_tests_name("os/fake_disk", tests, NULL, NULL);
}
