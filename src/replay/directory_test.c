/* What stands in a data directory beside the log, with a byte of it damaged: it is refused.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "replay/directory.h"

#include <string.h>

#include "base/mem.h"
#include "evlog/evlog.h"
#include "os/fake_disk.h"
#include "os/file.h"
#include "replay/erase.h"
#include "test.h"

static void no_bit_of_the_secret_may_change(void **state)
{
    (void)state;
    struct fake_disk *fake = fake_disk_new(1);
    struct os_disk *disk = fake_disk_of(fake);
    struct directory made, d;
    struct fault f = {0};
    struct buf b;
    buf_init(&b);
    assert_int_equal(directory_make(disk, "/d", NULL, &made, &f), OK);
    assert_int_equal(os_read_whole(disk, "/d/secret", 4096, &b, &f), OK);
    for (size_t i = 0; i < b.len; i++) {
        fake_disk_damage(fake, "/d/secret", i, (uint8_t)(1u << i % 8));
        f = (struct fault){0};
        assert_int_equal(directory_open(disk, "/d", &d, &f), GIVE_UP);
        assert_non_null(strstr(f.text, "/d/secret"));
        fake_disk_damage(fake, "/d/secret", i, (uint8_t)(1u << i % 8));
    }
    assert_int_equal(directory_open(disk, "/d", &d, &f), OK);
    assert_memory_equal(d.secret, made.secret, sizeof(d.secret));

    /* As earlier releases wrote it. */
    struct str bare = str_part(buf_str(&b), 0, IDENTIFIER_SECRET_BYTES);
    assert_int_equal(os_write_whole(disk, "/d/secret", bare, &f), OK);
    assert_int_equal(directory_open(disk, "/d", &d, &f), OK);
    assert_memory_equal(d.secret, made.secret, sizeof(d.secret));
    buf_fini(&b);
    fake_disk_free(fake);
}

static enum status start_on(struct os_disk *disk, struct directory *d, struct fault *f)
{
    struct evlog *log = NULL;
    struct evlog_options options = {.disk = disk, .segment_bytes = 1 << 16, .log_id = 1};
    enum status status = directory_make(disk, "/d", NULL, d, f);
    if (status == OK)
        status = evlog_open(d->log, &options, &log, f);
    evlog_free(log);
    return status;
}

/* A start meets an error of the disk, the next one does not; then the power is cut. */
static void a_directory_whose_making_failed_once_is_kept(void **state)
{
    (void)state;
    uint64_t failed = 0;
    for (uint64_t seed = 0; seed < 40 * 16; seed++) {
        struct fake_disk *fake = fake_disk_new(seed);
        struct os_disk *disk = fake_disk_of(fake);
        struct directory made, d;
        struct fault f = {0};
        fake_disk_fail_at(fake, seed / 16 + 1, FAKE_EIO);
        failed += start_on(disk, &made, &f) != OK;
        fake_disk_fail_at(fake, 0, FAKE_NONE);
        f = (struct fault){0};
        assert_int_equal(start_on(disk, &made, &f), OK);
        fake_disk_restart(fake);
        if (start_on(disk, &d, &f) != OK)
            fail_msg("an error at call %lu, a good start, a power cut: %s", seed / 16 + 1, f.text);
        assert_memory_equal(d.secret, made.secret, sizeof(d.secret));
        fake_disk_free(fake);
    }
    assert_true(failed > 200);
}

static void no_bit_of_who_is_erased_may_change(void **state)
{
    (void)state;
    struct fake_disk *fake = fake_disk_new(2);
    struct os_disk *disk = fake_disk_of(fake);
    struct directory d;
    struct fault f = {0};
    struct id128 ids[] = {{0x1234, 0x5678}, {UINT64_MAX, 1}};
    struct erasure x = {.batch = 77,
                        .at_ms = 1700000000000,
                        .profile = 12,
                        .keys = 3,
                        .ids = {.at = ids, .count = array_count(ids)}};
    struct erasure got = {0};
    struct os_stat at;
    bool is_there;
    assert_int_equal(directory_make(disk, "/d", NULL, &d, &f), OK);
    assert_int_equal(erasing_write(&d, &x, &f), OK);
    assert_int_equal(os_stat(disk, "/d/erasing", &at, &f), OK);
    for (uint64_t i = 0; i < at.bytes * 8; i++) {
        fake_disk_damage(fake, "/d/erasing", i / 8, (uint8_t)(1u << i % 8));
        f = (struct fault){0};
        assert_int_equal(erasing_read(&d, &got, &is_there, &f), GIVE_UP);
        assert_string_equal(f.file, "/d/erasing");
        fake_disk_damage(fake, "/d/erasing", i / 8, (uint8_t)(1u << i % 8));
    }
    assert_int_equal(erasing_read(&d, &got, &is_there, &f), OK);
    assert_true(is_there && got.batch == 77 && got.profile == 12 && got.keys == 3);
    assert_int_equal(got.ids.count, 2);
    assert_true(id128_equal(got.ids.at[0], ids[0]) && id128_equal(got.ids.at[1], ids[1]));
    erasure_fini(&got);

    /* As earlier releases wrote it, and as an erasure goes on behind it. */
    struct str old = STR("wend-erased 1\n70 1700000000000 9 1 00000000000012340000000000005678\n");
    uint64_t batch;
    assert_int_equal(os_write_whole(disk, "/d/erased", old, &f), OK);
    assert_int_equal(erased_batch(&d, &batch, &f), OK);
    assert_int_equal(batch, 70);
    assert_int_equal(erasure_finish(&d, &x, &f), OK);
    assert_int_equal(erased_batch(&d, &batch, &f), OK);
    assert_int_equal(batch, 77);
    fake_disk_free(fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("no bit of the secret may change", no_bit_of_the_secret_may_change),
        TEST("a directory whose making failed once outlives a power cut",
             a_directory_whose_making_failed_once_is_kept),
        TEST("no bit of who is erased may change", no_bit_of_who_is_erased_may_change),
    };
    return cmocka_run_group_tests_name("replay/directory", tests, NULL, NULL);
}
