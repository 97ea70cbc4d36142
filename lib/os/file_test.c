/* The same promises on the real disk and on the fake one.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "os/file.h"

#include <unistd.h>

#include "os/fake_disk.h"
#include "test.h"

struct place {
    struct os_disk *disk;
    struct fake_disk *fake; /* NULL: the real one */
    char root[64];
    char path[OS_PATH_BYTES];
};

static int real_place(void **state)
{
    static struct place p;
    p = (struct place){.disk = os_disk_real()};
    *state = &p;
    return mkdtemp(test_path(p.root, sizeof(p.root), "file-test")) == NULL;
}

static int fake_place(void **state)
{
    static struct place p;
    p = (struct place){.fake = fake_disk_new(7), .root = "root"};
    p.disk = fake_disk_of(p.fake);
    fake_disk_be_short(p.fake);
    *state = &p;
    return os_make_dirs(p.disk, p.root, NULL) != OK;
}

static int leave_place(void **state)
{
    struct place *p = *state;
    int failed = os_remove_tree(p->disk, p->root, NULL) != OK;
    failed |= os_exists(p->disk, p->root);
    fake_disk_free(p->fake);
    return failed;
}

static const char *at(struct place *p, const char *name)
{
    assert_true(os_path_join(p->path, sizeof(p->path), p->root, name));
    return p->path;
}

static void reads_back_what_it_wrote(void **state)
{
    struct place *p = *state;
    struct fault f = {0};
    struct os_file *file;
    char out[3000];
    char in[3000];
    for (size_t i = 0; i < sizeof(in); i++)
        in[i] = (char)(i * 7);

    assert_int_equal(os_file_open(p->disk, at(p, "a"), OS_CREATE, &file, &f), OK);
    assert_int_equal(os_file_write(file, 100, in, sizeof(in), &f), OK);
    assert_int_equal(os_file_sync(file, &f), OK);
    uint64_t bytes;
    assert_int_equal(os_file_size(file, &bytes, &f), OK);
    assert_int_equal(bytes, 3100);
    assert_int_equal(os_file_read(file, 100, out, sizeof(out), &f), OK);
    assert_memory_equal(in, out, sizeof(in));
    assert_int_equal(os_file_read(file, 0, out, 100, &f), OK);
    for (size_t i = 0; i < 100; i++)
        assert_int_equal(out[i], 0);
    size_t got;
    assert_int_equal(os_file_read_some(file, 3000, out, sizeof(out), &got, &f), OK);
    assert_int_equal(got, 100);
    assert_int_equal(os_file_read(file, 3000, out, 101, &f), GIVE_UP);
    assert_non_null(strstr(f.text, "ends at byte 3100"));
    os_file_close(file);
}

static void a_reservation_makes_the_file_longer_and_never_shorter(void **state)
{
    struct place *p = *state;
    struct os_file *file;
    uint64_t bytes;
    assert_int_equal(os_file_open(p->disk, at(p, "a"), OS_CREATE, &file, NULL), OK);
    assert_int_equal(os_file_write(file, 0, "abc", 3, NULL), OK);
    assert_int_equal(os_file_preallocate(file, 10000, NULL), OK);
    assert_int_equal(os_file_preallocate(file, 5, NULL), OK);
    assert_int_equal(os_file_size(file, &bytes, NULL), OK);
    assert_int_equal(bytes, 10000);
    assert_int_equal(os_file_truncate(file, 2, NULL), OK);
    assert_int_equal(os_file_truncate(file, 4, NULL), OK);
    char out[4];
    assert_int_equal(os_file_read(file, 0, out, 4, NULL), OK);
    assert_memory_equal(out, "ab\0\0", 4);
    os_file_close(file);
}

static void opening_says_what_it_found(void **state)
{
    struct place *p = *state;
    struct os_file *file;
    struct fault f = {0};
    assert_int_equal(os_file_open(p->disk, at(p, "a"), OS_READ, &file, &f), FIX_INPUT);
    assert_non_null(strstr(f.text, "No such file"));
    assert_string_equal(f.file, p->path);
    assert_int_equal(os_file_open(p->disk, at(p, "a"), OS_WRITE, &file, NULL), FIX_INPUT);
    assert_int_equal(os_file_open(p->disk, at(p, "a"), OS_CREATE_NEW, &file, NULL), OK);
    assert_int_equal(os_file_write(file, 0, "abc", 3, NULL), OK);
    os_file_close(file);
    assert_int_equal(os_file_open(p->disk, at(p, "a"), OS_CREATE_NEW, &file, NULL), FIX_INPUT);
    uint64_t bytes;
    assert_int_equal(os_file_open(p->disk, at(p, "a"), OS_KEEP, &file, NULL), OK);
    assert_int_equal(os_file_size(file, &bytes, NULL), OK);
    assert_int_equal(bytes, 3);
    os_file_close(file);
    assert_int_equal(os_file_open(p->disk, at(p, "a"), OS_CREATE, &file, NULL), OK);
    assert_int_equal(os_file_size(file, &bytes, NULL), OK);
    assert_int_equal(bytes, 0);
    os_file_close(file);
    assert_int_equal(os_file_open(p->disk, p->root, OS_READ, &file, NULL), FIX_INPUT);
    assert_int_equal(os_file_open(p->disk, at(p, "no/a"), OS_CREATE, &file, NULL), FIX_INPUT);
}

static void a_lock_is_held_until_the_file_is_closed(void **state)
{
    struct place *p = *state;
    struct os_file *one;
    struct os_file *two;
    struct fault f = {0};
    assert_int_equal(os_file_open(p->disk, at(p, "lock"), OS_KEEP, &one, NULL), OK);
    assert_int_equal(os_file_open(p->disk, at(p, "lock"), OS_KEEP, &two, NULL), OK);
    assert_int_equal(os_file_lock(one, NULL), OK);
    assert_int_equal(os_file_lock(two, &f), TRY_AGAIN);
    assert_non_null(strstr(f.text, "another process"));
    os_file_close(one);
    assert_int_equal(os_file_lock(two, NULL), OK);
    os_file_close(two);
}

static void a_map_shows_the_bytes_after_the_file_is_closed(void **state)
{
    struct place *p = *state;
    struct os_file *file;
    const void *map;
    assert_int_equal(os_file_open(p->disk, at(p, "a"), OS_CREATE, &file, NULL), OK);
    assert_int_equal(os_file_write(file, 0, "abcdef", 6, NULL), OK);
    assert_int_equal(os_file_map(file, 4, &map, NULL), OK);
    os_file_close(file);
    assert_memory_equal(map, "abcd", 4);
    os_file_unmap(p->disk, map, 4);
}

static void a_whole_file_replaces_the_one_before(void **state)
{
    struct place *p = *state;
    struct buf b;
    struct fault f = {0};
    buf_init(&b);
    assert_int_equal(os_write_whole(p->disk, at(p, "a"), STR("first"), NULL), OK);
    assert_int_equal(os_write_whole(p->disk, at(p, "a"), STR("the second"), NULL), OK);
    assert_int_equal(os_write_whole(p->disk, at(p, "empty"), STR(""), NULL), OK);
    assert_int_equal(os_read_whole(p->disk, at(p, "a"), 10, &b, NULL), OK);
    assert_true(str_is(buf_str(&b), "the second"));
    assert_int_equal(os_read_whole(p->disk, at(p, "empty"), 0, &b, NULL), OK);
    assert_int_equal(b.len, 10);
    assert_int_equal(os_read_whole(p->disk, at(p, "a"), 9, &b, &f), FIX_INPUT);
    assert_non_null(strstr(f.text, "10 bytes"));
    assert_false(os_exists(p->disk, at(p, "a.tmp")));
    buf_fini(&b);
}

static void folders_list_by_name_and_vanish_with_all_below(void **state)
{
    struct place *p = *state;
    struct arena a;
    struct os_entry *entries;
    uint32_t count;
    arena_init(&a, 256);
    assert_int_equal(os_make_dirs(p->disk, at(p, "x/y/z"), NULL), OK);
    assert_int_equal(os_make_dirs(p->disk, at(p, "x/y/z"), NULL), OK);
    for (int i = 39; i >= 0; i--) {
        char name[32];
        snprintf(name, sizeof(name), "x/f%02d", i);
        assert_int_equal(os_write_whole(p->disk, at(p, name), STR("1"), NULL), OK);
    }
    assert_int_equal(os_write_whole(p->disk, at(p, "x/y/z/deep"), STR("1"), NULL), OK);
    assert_int_equal(os_list(p->disk, at(p, "x"), &a, &entries, &count, NULL), OK);
    assert_int_equal(count, 41);
    assert_true(str_is(entries[0].name, "f00"));
    assert_true(str_is(entries[39].name, "f39"));
    assert_int_equal(entries[39].kind, OS_REGULAR);
    assert_true(str_is(entries[40].name, "y"));
    assert_int_equal(entries[40].kind, OS_DIRECTORY);

    struct fault f = {0};
    assert_int_equal(os_remove(p->disk, at(p, "x"), NULL), FIX_INPUT);
    assert_int_equal(os_make_dirs(p->disk, at(p, "x/f00/more"), &f), FIX_INPUT);
    assert_non_null(strstr(f.text, "a folder is needed"));
    assert_int_equal(os_remove_tree(p->disk, at(p, "x"), NULL), OK);
    assert_false(os_exists(p->disk, at(p, "x")));
    assert_int_equal(os_remove_tree(p->disk, at(p, "x"), NULL), OK);
    assert_int_equal(os_list(p->disk, p->root, &a, &entries, &count, NULL), OK);
    assert_int_equal(count, 0);
    arena_fini(&a);
}

static void a_rename_replaces_and_a_removed_file_is_gone(void **state)
{
    struct place *p = *state;
    char other[OS_PATH_BYTES];
    assert_true(os_path_join(other, sizeof(other), p->root, "b"));
    assert_int_equal(os_write_whole(p->disk, at(p, "a"), STR("1"), NULL), OK);
    assert_int_equal(os_write_whole(p->disk, at(p, "b"), STR("22"), NULL), OK);
    assert_int_equal(os_rename(p->disk, at(p, "a"), other, NULL), OK);
    struct os_stat st;
    assert_int_equal(os_stat(p->disk, other, &st, NULL), OK);
    assert_int_equal(st.kind, OS_REGULAR);
    assert_int_equal(st.bytes, 1);
    assert_false(os_exists(p->disk, at(p, "a")));
    bool is_there = true;
    assert_int_equal(os_look(p->disk, at(p, "a"), &is_there, NULL), OK);
    assert_false(is_there);
    assert_int_equal(os_look(p->disk, other, &is_there, NULL), OK);
    assert_true(is_there);
    assert_int_equal(os_rename(p->disk, at(p, "a"), other, NULL), FIX_INPUT);
    assert_int_equal(os_remove(p->disk, other, NULL), OK);
    assert_int_equal(os_remove(p->disk, other, NULL), FIX_INPUT);
}

static void a_link_to_elsewhere_is_removed_and_not_followed(void **state)
{
    struct place *p = *state;
    char target[OS_PATH_BYTES];
    assert_int_equal(os_make_dirs(p->disk, at(p, "kept"), NULL), OK);
    memcpy(target, p->path, sizeof(target));
    assert_int_equal(os_write_whole(p->disk, at(p, "kept/file"), STR("1"), NULL), OK);
    assert_int_equal(os_make_dirs(p->disk, at(p, "doomed"), NULL), OK);
    assert_int_equal(symlink(target, at(p, "doomed/link")), 0);
    assert_int_equal(os_remove_tree(p->disk, at(p, "doomed"), NULL), OK);
    assert_true(os_exists(p->disk, at(p, "kept/file")));
}

static void paths_are_joined_and_taken_apart(void **state)
{
    (void)state;
    char out[8];
    assert_true(os_path_join(out, sizeof(out), "a", "b"));
    assert_string_equal(out, "a/b");
    assert_true(os_path_join(out, sizeof(out), "/", "b"));
    assert_string_equal(out, "/b");
    assert_true(os_path_join(out, sizeof(out), "abc", "def"));
    assert_false(os_path_join(out, sizeof(out), "abc", "defg"));
    assert_string_equal(out, "");
    assert_true(os_path_dir(out, sizeof(out), "a/b/c"));
    assert_string_equal(out, "a/b");
    assert_true(os_path_dir(out, sizeof(out), "c"));
    assert_string_equal(out, ".");
    assert_true(os_path_dir(out, sizeof(out), "/c"));
    assert_string_equal(out, "/");
    assert_false(os_path_dir(out, sizeof(out), "abcdefgh/c"));
}

#define BOTH(sentence, function)                                              \
    {"on the real disk " sentence, function, real_place, leave_place, NULL},  \
    {                                                                         \
        "on the fake disk " sentence, function, fake_place, leave_place, NULL \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH("a file reads back what was written, with zeros in the gaps",
             reads_back_what_it_wrote),
        BOTH("a reservation makes the file longer and never shorter",
             a_reservation_makes_the_file_longer_and_never_shorter),
        BOTH("opening says what it found", opening_says_what_it_found),
        BOTH("a lock is held until the file is closed", a_lock_is_held_until_the_file_is_closed),
        BOTH("a map shows the bytes after the file is closed",
             a_map_shows_the_bytes_after_the_file_is_closed),
        BOTH("a whole file replaces the one before", a_whole_file_replaces_the_one_before),
        BOTH("folders list by name and vanish with all below",
             folders_list_by_name_and_vanish_with_all_below),
        BOTH("a rename replaces, and a removed file is gone",
             a_rename_replaces_and_a_removed_file_is_gone),
        {"a link to elsewhere is removed and not followed",
         a_link_to_elsewhere_is_removed_and_not_followed, real_place, leave_place, NULL},
        TEST("paths are joined and taken apart", paths_are_joined_and_taken_apart),
    };
    return cmocka_run_group_tests_name("os/file", tests, NULL, NULL);
}
