/* SPDX-License-Identifier: Apache-2.0 */
#include "disk/snapshot.h"

#include "base/hash.h"
#include "base/mem.h"
#include "disk/snapshot_int.h"
#include "os/fake_disk.h"
#include "os/file.h"
#include "test.h"

#define SECTIONS 24

/* The content of a snapshot, in memory: the oracle. */
struct content {
    struct str names[SECTIONS];
    uint32_t partitions[SECTIONS];
    struct buf bytes[SECTIONS];
};

static const char *const names[] = {"profiles", "names", "pool",
                                    "a name of thirty-two bytes, full"};

static uint64_t dice(uint64_t seed, uint64_t draw, uint64_t sides)
{
    return hash_pair(seed, draw) % sides;
}

/* Sections of many sizes: none, less than a chunk, exactly one, several; easy and hard to compress. */
static void content_init(struct content *c, uint64_t seed)
{
    static const size_t sizes[] = {0, 1, 700, 65535, 64 * 1024, 65 * 1024, 128 * 1024, 200000};
    for (uint32_t i = 0; i < SECTIONS; i++) {
        c->names[i] = str_of(names[i % 4]);
        c->partitions[i] = i / 4 * 1000003;
        buf_init(&c->bytes[i]);
        size_t size = sizes[dice(seed, i, array_count(sizes))];
        uint64_t hard = dice(seed, 100 + i, 2);
        uint8_t *at = buf_reserve(&c->bytes[i], size + 8);
        for (size_t k = 0; k < size; k += 8) {
            uint64_t word = hard ? hash_pair(seed + i, k) : k / 64;
            memcpy(at + k, &word, 8);
        }
        c->bytes[i].len = size;
    }
}

static void content_fini(struct content *c)
{
    for (uint32_t i = 0; i < SECTIONS; i++)
        buf_fini(&c->bytes[i]);
}

static struct snapshot_about about(uint64_t batch)
{
    struct snapshot_about a = {
        .batch = batch, .now_ms = -5, .state_hash = batch * 77, .partition_count = 256};
    memset(a.release, 0xab, sizeof(a.release));
    return a;
}

static enum status write_snapshot(struct os_disk *disk, uint64_t batch, const struct content *c,
                                  uint64_t seed, struct fault *f)
{
    struct snapshot_about a = about(batch);
    struct snapshot_writer *w;
    enum status done = snapshot_begin(disk, "snap", &a, &w, f);
    if (done != OK)
        return done;
    for (uint32_t i = 0; i < SECTIONS; i++) {
        size_t at = 0;
        do { /* in pieces of any size */
            size_t part = (size_t)dice(seed, 1000 + at + i, 150000);
            part = min_of(part, c->bytes[i].len - at);
            done = snapshot_put(w, c->names[i], c->partitions[i], c->bytes[i].at + at, part, f);
            if (done != OK) {
                snapshot_abandon(w);
                return done;
            }
            at += part;
        } while (at < c->bytes[i].len);
    }
    return snapshot_commit(w, f);
}

static void assert_holds(struct snapshot_reader *r, uint64_t batch, const struct content *c)
{
    const struct snapshot_about *got = snapshot_get_about(r);
    struct snapshot_about expected = about(batch);
    assert_memory_equal(got, &expected, sizeof(expected));
    assert_int_equal(snapshot_section_count(r), SECTIONS);
    struct buf b;
    buf_init(&b);
    for (uint32_t i = SECTIONS; i-- > 0;) {
        struct snapshot_section s = snapshot_section_get(r, i);
        assert_true(str_equal(s.name, c->names[i]));
        assert_int_equal(s.partition, c->partitions[i]);
        assert_true(s.bytes == c->bytes[i].len);
        assert_int_equal(snapshot_section_find(r, c->names[i], c->partitions[i]), i);
        b.len = 0;
        assert_int_equal(snapshot_get(r, i, &b, NULL), OK);
        assert_true(str_equal(buf_str(&b), buf_str(&c->bytes[i])));
    }
    buf_fini(&b);
    assert_int_equal(snapshot_section_find(r, STR("profiles"), 1), UINT32_MAX);
    assert_int_equal(snapshot_section_find(r, STR("nothing"), 0), UINT32_MAX);
    assert_int_equal(snapshot_section_find(r, STR(""), 0), UINT32_MAX);
}

static void what_was_put_is_found_and_walked(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 12; seed++) {
        struct fake_disk *fake = fake_disk_new(seed);
        struct os_disk *disk = fake_disk_of(fake);
        struct content c;
        struct fault f = {0};
        content_init(&c, seed);
        if (seed % 2)
            fake_disk_be_short(fake);
        assert_int_equal(os_make_dirs(disk, "snap", NULL), OK);
        assert_int_equal(write_snapshot(disk, 42, &c, seed, &f), OK);
        assert_false(os_exists(disk, "snap/0000000000000042.snap.tmp"));
        struct snapshot_reader *r;
        assert_int_equal(snapshot_open(disk, "snap/0000000000000042.snap", &r, &f), OK);
        assert_holds(r, 42, &c);

        struct buf b;
        buf_init(&b);
        uint32_t section = 0;
        for (;;) {
            struct snapshot_chunk chunk;
            bool is_done;
            assert_int_equal(snapshot_next(r, &chunk, &is_done, NULL), OK);
            if (is_done)
                break;
            assert_int_equal(chunk.section, section);
            assert_true(chunk.offset == b.len);
            assert_true(chunk.is_last || chunk.bytes.len == SNAPSHOT_CHUNK_BYTES);
            buf_add_str(&b, chunk.bytes);
            if (chunk.is_last) {
                assert_true(str_equal(buf_str(&b), buf_str(&c.bytes[section])));
                b.len = 0;
                section++;
            }
        }
        assert_int_equal(section, SECTIONS);
        buf_fini(&b);
        snapshot_close(r);
        content_fini(&c);
        fake_disk_free(fake);
    }
}

static void an_empty_snapshot_is_one_too(void **state)
{
    (void)state;
    struct fake_disk *fake = fake_disk_new(1);
    struct os_disk *disk = fake_disk_of(fake);
    struct snapshot_about a = about(0);
    struct snapshot_writer *w;
    struct snapshot_reader *r;
    struct snapshot_chunk chunk;
    bool is_done = false;
    assert_int_equal(snapshot_begin(disk, ".", &a, &w, NULL), OK);
    assert_int_equal(snapshot_commit(w, NULL), OK);
    assert_int_equal(snapshot_latest(disk, ".", 7, NULL, NULL, &r, NULL), OK);
    assert_non_null(r);
    assert_int_equal(snapshot_section_count(r), 0);
    assert_int_equal(snapshot_next(r, &chunk, &is_done, NULL), OK);
    assert_true(is_done);
    snapshot_close(r);
    fake_disk_free(fake);
}

struct refusals {
    uint32_t count;
    char path[OS_PATH_BYTES];
    struct fault why;
};

static void note_refusal(void *context, const char *path, const struct fault *why)
{
    struct refusals *r = context;
    r->count++;
    snprintf(r->path, sizeof(r->path), "%s", path);
    r->why = *why;
}

static void a_changed_byte_anywhere_is_refused_and_the_one_before_is_used(void **state)
{
    (void)state;
    struct fake_disk *fake = fake_disk_new(1);
    struct os_disk *disk = fake_disk_of(fake);
    for (uint64_t batch = 1; batch <= 2; batch++) {
        struct snapshot_about a = about(batch);
        struct snapshot_writer *w;
        assert_int_equal(snapshot_begin(disk, ".", &a, &w, NULL), OK);
        assert_int_equal(snapshot_put(w, STR("one"), 1, "some bytes", 10, NULL), OK);
        assert_int_equal(snapshot_put(w, STR("two"), 2, "0000000000000000", 16, NULL), OK);
        assert_int_equal(snapshot_commit(w, NULL), OK);
    }
    struct os_stat st;
    const char *path = "./0000000000000002.snap";
    assert_int_equal(os_stat(disk, path, &st, NULL), OK);
    for (uint64_t at = 0; at < st.bytes; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            struct snapshot_reader *r = NULL;
            struct refusals refusals = {0};
            fake_disk_damage(fake, path, at, (uint8_t)(1u << bit));
            assert_int_equal(snapshot_latest(disk, ".", 9, note_refusal, &refusals, &r, NULL), OK);
            assert_non_null(r);
            assert_true(snapshot_get_about(r)->batch == 1);
            assert_int_equal(refusals.count, 1);
            assert_string_equal(refusals.path, path);
            assert_true(strlen(refusals.why.text) > 0);
            snapshot_close(r);
            fake_disk_damage(fake, path, at, (uint8_t)(1u << bit));
        }
    }
    /* Too short by any number of bytes, too. */
    struct os_file *file;
    assert_int_equal(os_file_open(disk, path, OS_WRITE, &file, NULL), OK);
    for (uint64_t bytes = st.bytes; bytes-- > 0;) {
        struct snapshot_reader *r;
        assert_int_equal(os_file_truncate(file, bytes, NULL), OK);
        assert_int_equal(snapshot_open(disk, path, &r, NULL), GIVE_UP);
    }
    os_file_close(file);

    /* And where there is no other, that is said. */
    struct snapshot_reader *r;
    struct fault f = {0};
    assert_int_equal(os_remove(disk, "./0000000000000001.snap", NULL), OK);
    assert_int_equal(snapshot_latest(disk, ".", 9, NULL, NULL, &r, &f), GIVE_UP);
    assert_null(r);
    assert_string_equal(f.file, path);
    assert_int_equal(os_remove(disk, path, NULL), OK);
    assert_int_equal(snapshot_latest(disk, ".", 9, NULL, NULL, &r, NULL), OK);
    assert_null(r);
    fake_disk_free(fake);
}

/* A chunk that changes after the file was opened is noticed when it is read. */
static void a_chunk_is_verified_again_when_it_is_read(void **state)
{
    (void)state;
    struct fake_disk *fake = fake_disk_new(1);
    struct os_disk *disk = fake_disk_of(fake);
    struct snapshot_about a = about(1);
    struct snapshot_writer *w;
    struct snapshot_reader *r;
    struct buf b;
    buf_init(&b);
    uint8_t bytes[2000] = {1, 2, 3};
    assert_int_equal(snapshot_begin(disk, ".", &a, &w, NULL), OK);
    assert_int_equal(snapshot_put(w, STR("one"), 1, bytes, sizeof(bytes), NULL), OK);
    assert_int_equal(snapshot_commit(w, NULL), OK);
    const char *path = "./0000000000000001.snap";
    assert_int_equal(snapshot_open(disk, path, &r, NULL), OK);
    for (uint64_t at = SNAPSHOT_HEADER_BYTES; at < SNAPSHOT_HEADER_BYTES + 30; at++) {
        fake_disk_damage(fake, path, at, 0x40);
        assert_int_equal(snapshot_get(r, 0, &b, NULL), GIVE_UP);
        fake_disk_damage(fake, path, at, 0x40);
    }
    b.len = 0;
    assert_int_equal(snapshot_get(r, 0, &b, NULL), OK);
    assert_int_equal(b.len, sizeof(bytes));
    assert_memory_equal(b.at, bytes, sizeof(bytes));
    snapshot_close(r);
    buf_fini(&b);
    fake_disk_free(fake);
}

static void a_crash_or_failure_at_any_call_leaves_the_old_or_the_new_one(void **state)
{
    (void)state;
    static const enum fake_fault faults[] = {FAKE_CRASH, FAKE_EIO, FAKE_FULL};
    int old_count = 0, new_count = 0;
    for (uint64_t seed = 0; seed < 6; seed++) {
        for (uint64_t call = 1;; call++) {
            struct fake_disk *fake = fake_disk_new(seed * 1000 + call);
            struct os_disk *disk = fake_disk_of(fake);
            struct content c;
            struct snapshot_reader *r;
            struct fault f = {0};
            content_init(&c, seed);
            assert_int_equal(os_make_dirs(disk, "snap", NULL), OK);
            assert_int_equal(write_snapshot(disk, 1, &c, seed, NULL), OK);
            fake_disk_fail_at(fake, fake_disk_calls(fake) + call, faults[seed % 3]);
            enum status done = write_snapshot(disk, 2, &c, seed, &f);
            bool has_failed = fake_disk_has_failed(fake);
            if (done != OK)
                assert_true(has_failed && f.text[0] != '\0');
            fake_disk_restart(fake);
            assert_int_equal(snapshot_latest(disk, "snap", UINT64_MAX, NULL, NULL, &r, NULL), OK);
            assert_non_null(r);
            uint64_t batch = snapshot_get_about(r)->batch;
            assert_holds(r, batch, &c);
            assert_in_range(batch, 1, 2);
            if (done == OK)
                assert_int_equal(batch, 2);
            old_count += batch == 1;
            new_count += batch == 2;
            snapshot_close(r);
            assert_int_equal(snapshot_drop_old(disk, "snap", 1, NULL), OK);
            assert_false(os_exists(disk, "snap/0000000000000002.snap.tmp"));
            content_fini(&c);
            fake_disk_free(fake);
            if (!has_failed)
                break;
        }
    }
    assert_true(old_count > 20);
    assert_true(new_count >= 6);
}

static void old_ones_are_listed_and_dropped(void **state)
{
    (void)state;
    struct fake_disk *fake = fake_disk_new(1);
    struct os_disk *disk = fake_disk_of(fake);
    struct arena a;
    uint64_t *batches;
    uint32_t count;
    arena_init(&a, 1024);
    for (uint64_t batch = 95; batch < 105; batch++) {
        struct snapshot_about what = about(batch);
        struct snapshot_writer *w;
        assert_int_equal(snapshot_begin(disk, ".", &what, &w, NULL), OK);
        assert_int_equal(snapshot_commit(w, NULL), OK);
    }
    assert_int_equal(os_write_whole(disk, "./notes.snap", STR("not ours"), NULL), OK);
    assert_int_equal(os_write_whole(disk, "./0000000000000200.snap.tmp", STR("x"), NULL), OK);
    assert_int_equal(snapshot_list(disk, ".", &a, &batches, &count, NULL), OK);
    assert_int_equal(count, 10);
    assert_true(batches[0] == 104);
    assert_true(batches[9] == 95);
    struct snapshot_reader *r;
    assert_int_equal(snapshot_latest(disk, ".", 99, NULL, NULL, &r, NULL), OK);
    assert_true(snapshot_get_about(r)->batch == 99);
    snapshot_close(r);
    assert_int_equal(snapshot_drop_old(disk, ".", 2, NULL), OK);
    assert_int_equal(snapshot_list(disk, ".", &a, &batches, &count, NULL), OK);
    assert_int_equal(count, 2);
    assert_true(batches[1] == 103);
    assert_true(os_exists(disk, "./notes.snap"));
    assert_false(os_exists(disk, "./0000000000000200.snap.tmp"));
    arena_fini(&a);
    fake_disk_free(fake);
}

static void a_newer_format_is_named_as_such(void **state)
{
    (void)state;
    struct fake_disk *fake = fake_disk_new(1);
    struct os_disk *disk = fake_disk_of(fake);
    struct snapshot_about a = about(1);
    struct snapshot_writer *w;
    struct snapshot_reader *r;
    struct buf b;
    struct fault f = {0};
    buf_init(&b);
    assert_int_equal(snapshot_begin(disk, ".", &a, &w, NULL), OK);
    assert_int_equal(snapshot_commit(w, NULL), OK);
    assert_int_equal(os_read_whole(disk, "./0000000000000001.snap", 4096, &b, NULL), OK);
    /* A whole file in every respect: header, file and trailer have their right checksums. */
    b.at[4] = 2;
    size_t trailer = b.len - SNAPSHOT_TRAILER_BYTES;
    uint32_t crc = hash_crc32c(0, b.at, SNAPSHOT_HEADER_BYTES - 4);
    memcpy(b.at + SNAPSHOT_HEADER_BYTES - 4, &crc, 4);
    crc = hash_crc32c(0, b.at, trailer);
    memcpy(b.at + trailer + 20, &crc, 4);
    crc = hash_crc32c(0, b.at + trailer, SNAPSHOT_TRAILER_BYTES - 4);
    memcpy(b.at + b.len - 4, &crc, 4);
    assert_int_equal(os_write_whole(disk, "./new", buf_str(&b), NULL), OK);
    assert_int_equal(snapshot_open(disk, "./new", &r, &f), GIVE_UP);
    assert_string_equal(f.text, "the snapshot has format version 2, this release reads version 1");
    buf_fini(&b);
    fake_disk_free(fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("what was put is found by name and walked in order", what_was_put_is_found_and_walked),
        TEST("an empty snapshot is one, too", an_empty_snapshot_is_one_too),
        TEST("a changed byte anywhere is refused and the one before is used",
             a_changed_byte_anywhere_is_refused_and_the_one_before_is_used),
        TEST("a chunk is verified again when it is read",
             a_chunk_is_verified_again_when_it_is_read),
        TEST("a crash or failure at any call leaves the old or the new one",
             a_crash_or_failure_at_any_call_leaves_the_old_or_the_new_one),
        TEST("old ones are listed and dropped", old_ones_are_listed_and_dropped),
        TEST("a newer format is named as such", a_newer_format_is_named_as_such),
    };
    return cmocka_run_group_tests_name("disk/snapshot", tests, NULL, NULL);
}
