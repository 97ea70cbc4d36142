/* SPDX-License-Identifier: Apache-2.0 */
#include "evlog/evlog.h"

#include "evlog/fixture.h"

struct case_options {
    struct fake_disk *fake;
    struct evlog_options log;
};

static struct case_options options_for(uint64_t seed)
{
    struct fake_disk *fake = fake_disk_new(seed);
    return (struct case_options){
        .fake = fake,
        .log = {.disk = fake_disk_of(fake), .segment_bytes = 8192, .log_id = 0x1234567},
    };
}

static struct evlog *open_log(const struct case_options *o)
{
    struct evlog *log = NULL;
    struct fault f = {0};
    enum status done = evlog_open(FIXTURE_DIR, &o->log, &log, &f);
    if (done != OK)
        print_message("%s: %s\n", f.file, f.text);
    assert_int_equal(done, OK);
    return log;
}

static void what_was_committed_reads_back_from_any_batch(void **state)
{
    (void)state;
    struct case_options o = options_for(1);
    struct dice d = {.seed = 1};
    struct memory m;
    memory_init(&m);
    struct evlog *log = open_log(&o);
    assert_int_equal(evlog_batch_next(log), 1);
    for (int i = 0; i < 60; i++) {
        assert_int_equal(write_some(log, &m, &d, 12), OK);
        if (happens(&d, 10)) {
            assert_int_equal(evlog_close(log, NULL), OK);
            log = open_log(&o);
        }
        if (happens(&d, 15))
            assert_int_equal(evlog_roll(log, NULL), OK);
    }
    uint64_t newest = evlog_batch_durable(log);
    uint32_t name_count = names_count(evlog_names(log));
    assert_true(newest >= 60);
    assert_true(name_count > NAME_FIXED_END);
    for (uint64_t from = 0; from <= newest; from++)
        assert_reads_back(o.log.disk, &m, from, newest);
    assert_int_equal(evlog_close(log, NULL), OK);
    assert_reads_back(o.log.disk, &m, 1, newest);

    /* A reader that begins in the last segment knows all the names, too. */
    struct evlog_reader *r;
    struct evlog_item item = {.kind = EVLOG_BATCH};
    assert_int_equal(evlog_reader_open(o.log.disk, FIXTURE_DIR, newest, &r, NULL), OK);
    while (item.kind != EVLOG_END)
        assert_int_equal(evlog_reader_next(r, &item, NULL), OK);
    assert_int_equal(names_count(evlog_reader_names(r)), name_count);
    assert_true(evlog_reader_id(r) == 0x1234567);
    evlog_reader_close(r);
    memory_fini(&m);
    fake_disk_free(o.fake);
}

/* A life of a log: commits, rolls, a close and another opening. Stops at the first failure. Returns
 * the newest batch that was confirmed. */
static uint64_t live(const struct case_options *o, struct memory *m, struct dice *d, int commits)
{
    uint64_t confirmed = 0;
    struct evlog *log = NULL;
    if (evlog_open(FIXTURE_DIR, &o->log, &log, NULL) != OK)
        return 0;
    confirmed = evlog_batch_durable(log);
    for (int i = 0; i < commits; i++) {
        enum status done = write_some(log, m, d, 10);
        confirmed = max_of(confirmed, evlog_batch_durable(log));
        if (done == OK && i == commits / 2) {
            /* All are durable, whether the mark is or not. */
            if (evlog_close(log, NULL) != OK || evlog_open(FIXTURE_DIR, &o->log, &log, NULL) != OK)
                return confirmed;
        }
        if (done == OK && happens(d, 6))
            done = evlog_roll(log, NULL);
        if (done != OK) {
            evlog_free(log);
            return confirmed;
        }
    }
    evlog_free(log);
    return confirmed;
}

static void nothing_confirmed_is_lost_by_a_crash_at_any_call(void **state)
{
    (void)state;
    int crashes = 0, cut_count = 0;
    for (uint64_t seed = 0; seed < 8; seed++) {
        for (uint64_t call = 1;; call += seed < 3 ? 1 : seed) {
            struct case_options o = options_for(seed * 7919 + call);
            struct dice d = {.seed = seed};
            struct memory m;
            memory_init(&m);
            o.log.segment_bytes = 4096 << (seed % 3);
            o.log.spare = seed % 4 < 2 ? EVLOG_SPARE_AT_ONCE : EVLOG_SPARE_BY_CALLER;
            if (seed % 2)
                fake_disk_be_short(o.fake);
            fake_disk_fail_at(o.fake, call, FAKE_CRASH);
            uint64_t confirmed = live(&o, &m, &d, 24);
            bool has_failed = fake_disk_has_failed(o.fake);
            crashes += has_failed;

            /* And a second crash, while what the first one left is put right. */
            if (call % 3 == 0) {
                fake_disk_restart(o.fake);
                fake_disk_fail_at(o.fake, 1 + roll(&d, 40), FAKE_CRASH);
                struct evlog *log = NULL;
                if (evlog_open(FIXTURE_DIR, &o.log, &log, NULL) == OK)
                    evlog_free(log);
            }
            fake_disk_restart(o.fake);
            struct evlog *log = open_log(&o);
            uint64_t kept = evlog_batch_durable(log);
            assert_true(kept >= confirmed);
            cut_count += m.batches[kept + 1].number != 0;
            assert_reads_back(o.log.disk, &m, 1, kept);

            /* The log goes on, over the place where the torn bytes were. */
            for (int i = 0; i < 4; i++)
                assert_int_equal(write_some(log, &m, &d, 10), OK);
            kept = evlog_batch_durable(log);
            assert_reads_back(o.log.disk, &m, 1, kept);
            evlog_free(log);
            fake_disk_restart(o.fake);
            log = open_log(&o);
            assert_true(evlog_batch_durable(log) == kept);
            evlog_free(log);
            memory_fini(&m);
            fake_disk_free(o.fake);
            if (!has_failed)
                break;
        }
    }
    print_message("%d crashes, %d cut\n", crashes, cut_count);
    assert_true(crashes > 300);
    assert_true(cut_count > 50);
}

static void a_failing_disk_ends_the_log_and_loses_nothing_confirmed(void **state)
{
    (void)state;
    for (uint64_t call = 1;; call++) {
        struct case_options o = options_for(call);
        struct dice d = {.seed = 3};
        struct memory m;
        memory_init(&m);
        fake_disk_fail_at(o.fake, call, FAKE_EIO);
        uint64_t confirmed = live(&o, &m, &d, 8);
        bool has_failed = fake_disk_has_failed(o.fake);
        fake_disk_restart(o.fake);
        struct evlog *log = open_log(&o);
        assert_true(evlog_batch_durable(log) >= confirmed);
        assert_reads_back(o.log.disk, &m, 1, evlog_batch_durable(log));
        evlog_free(log);
        memory_fini(&m);
        fake_disk_free(o.fake);
        if (!has_failed)
            break;
        assert_true(call < 2000);
    }
}

/* One process ends at any call and another one goes on from what it sees, which the disk need not have;
 * then the power goes. */
static void what_a_start_went_on_from_survives_a_power_cut(void **state)
{
    (void)state;
    int ends = 0;
    for (uint64_t seed = 0; seed < 6; seed++) {
        bool has_failed = true;
        for (uint64_t call = 1; has_failed; call++) {
            struct case_options o = options_for(seed * 7919 + call);
            struct dice d = {.seed = seed};
            struct memory m;
            memory_init(&m);
            o.log.segment_bytes = 4096;
            o.log.spare = seed % 2 ? EVLOG_SPARE_AT_ONCE : EVLOG_SPARE_BY_CALLER;
            fake_disk_fail_at(o.fake, call, FAKE_EIO);
            (void)live(&o, &m, &d, 8);
            has_failed = fake_disk_has_failed(o.fake);
            ends += has_failed;
            fake_disk_fail_at(o.fake, 0, FAKE_NONE);

            struct evlog *log = open_log(&o);
            for (uint64_t i = 0; i < call % 4; i++)
                assert_int_equal(write_some(log, &m, &d, 10), OK);
            uint64_t seen = evlog_batch_durable(log);
            evlog_free(log);
            fake_disk_restart(o.fake);
            log = open_log(&o);
            assert_true(evlog_batch_durable(log) >= seen);
            assert_reads_back(o.log.disk, &m, 1, seen);
            evlog_free(log);
            memory_fini(&m);
            fake_disk_free(o.fake);
            assert_true(call < 2000);
        }
    }
    print_message("%d ends\n", ends);
    assert_true(ends > 200);
}

static void after_a_failed_sync_nothing_is_written(void **state)
{
    (void)state;
    struct case_options o = options_for(1);
    struct dice d = {.seed = 4};
    struct memory m;
    memory_init(&m);
    struct evlog *log = open_log(&o);
    assert_int_equal(write_some(log, &m, &d, 5), OK);
    const struct batch *b =
        random_batch(&m, &d, evlog_batch_next(log), 1800000000000, evlog_names(log), 5);
    assert_int_equal(evlog_append(log, b, NULL), OK);
    fake_disk_fail_at(o.fake, fake_disk_calls(o.fake) + 2, FAKE_EIO); /* write, sync */
    struct fault f = {0};
    assert_int_equal(evlog_commit(log, &f), GIVE_UP);
    assert_true(fake_disk_has_failed(o.fake));
    assert_non_null(strstr(f.text, "Input/output error"));
    uint64_t calls = fake_disk_calls(o.fake);
    assert_int_equal(evlog_commit(log, NULL), GIVE_UP);
    assert_int_equal(evlog_append_results(log, b->number, STR("x"), NULL), GIVE_UP);
    assert_int_equal(evlog_roll(log, NULL), GIVE_UP);
    assert_int_equal(evlog_abandon(log, NULL), GIVE_UP);
    struct batch next = {.number = b->number + 1, .now_ms = b->now_ms};
    assert_int_equal(evlog_append(log, &next, NULL), GIVE_UP);
    assert_int_equal(evlog_close(log, NULL), GIVE_UP);
    assert_true(fake_disk_calls(o.fake) == calls);
    memory_fini(&m);
    fake_disk_free(o.fake);
}

/* The folder's files with their sizes up to the last byte that is not zero. */
static struct buf content_of(struct os_disk *disk, const char *path)
{
    struct buf b;
    buf_init(&b);
    assert_int_equal(os_read_whole(disk, path, SIZE_MAX, &b, NULL), OK);
    while (b.len > 0 && b.at[b.len - 1] == 0)
        b.len--;
    return b;
}

static void path_of(char *out, uint64_t segment)
{
    assert_int_equal(segment_path(out, OS_PATH_BYTES, FIXTURE_DIR, segment, NULL), OK);
}

static uint32_t segments_of(struct os_disk *disk, uint64_t *firsts, uint32_t count_max)
{
    struct arena a;
    uint64_t *found;
    uint32_t count;
    arena_init(&a, 4096);
    assert_int_equal(segment_list(disk, FIXTURE_DIR, &a, &found, &count, NULL), OK);
    assert_true(count <= count_max);
    memcpy(firsts, found, count * sizeof(*firsts));
    arena_fini(&a);
    return count;
}

/* A log of a few segments; closed in order, or not. */
static uint64_t write_log(const struct case_options *o, struct memory *m, struct dice *d,
                          bool in_order)
{
    struct evlog *log = open_log(o);
    for (int i = 0; i < 14; i++)
        assert_int_equal(write_some(log, m, d, 14), OK);
    uint64_t newest = evlog_batch_durable(log);
    if (in_order)
        assert_int_equal(evlog_close(log, NULL), OK);
    else
        evlog_free(log);
    return newest;
}

static void a_changed_byte_anywhere_is_refused_after_an_orderly_end(void **state)
{
    (void)state;
    struct case_options o = options_for(5);
    struct dice d = {.seed = 5};
    struct memory m;
    memory_init(&m);
    o.log.segment_bytes = 4096;
    uint64_t newest = write_log(&o, &m, &d, true);
    uint64_t firsts[16];
    uint32_t count = segments_of(o.log.disk, firsts, 16);
    assert_true(count >= 3);
    for (uint32_t s = 0; s < count; s++) {
        char path[OS_PATH_BYTES];
        path_of(path, firsts[s]);
        struct buf content = content_of(o.log.disk, path);
        bool is_last = s + 1 == count;
        /* The last mark itself may be lost: nothing was promised by it. */
        size_t mark_at =
            (content.len + BLOCK_ALIGN - 1) / BLOCK_ALIGN * BLOCK_ALIGN - BLOCK_HEADER_BYTES;
        for (size_t at = 0; at < content.len; at++) {
            uint8_t mask = (uint8_t)(1u << roll(&d, 8));
            struct fault f = {0};
            enum status ended;
            fake_disk_damage(o.fake, path, at, mask);
            uint64_t got = read_log(o.log.disk, &m, 1, &ended, &f);
            if (is_last && at >= mark_at) {
                assert_int_equal(ended, OK);
                assert_true(got == newest);
            } else {
                assert_int_equal(ended, GIVE_UP);
                assert_string_equal(f.file, path);
                assert_non_null(strstr(f.text, "block at byte"));
                assert_true(got <= newest);
            }
            /* The writer looks at the last segment alone, refuses it, and changes nothing. */
            if (is_last && at < mark_at && at % 7 == 0) {
                struct evlog *log = NULL;
                struct fault g = {0};
                assert_int_equal(evlog_open(FIXTURE_DIR, &o.log, &log, &g), GIVE_UP);
                assert_string_equal(g.file, path);
                struct buf after = content_of(o.log.disk, path);
                content.at[at] ^= mask;
                assert_int_equal(after.len, content.len);
                assert_memory_equal(after.at, content.at, content.len);
                content.at[at] ^= mask;
                buf_fini(&after);
            }
            fake_disk_damage(o.fake, path, at, mask);
        }
        buf_fini(&content);
    }
    assert_reads_back(o.log.disk, &m, 1, newest);
    memory_fini(&m);
    fake_disk_free(o.fake);
}

static void damage_in_the_last_commit_is_cut_and_before_it_refused(void **state)
{
    (void)state;
    struct case_options o = options_for(6);
    struct dice d = {.seed = 6};
    struct memory m;
    memory_init(&m);
    uint64_t newest = write_log(&o, &m, &d, false);
    uint64_t firsts[16];
    char path[OS_PATH_BYTES];
    uint32_t count = segments_of(o.log.disk, firsts, 16);
    path_of(path, firsts[count - 1]);
    struct buf content = content_of(o.log.disk, path);
    int cut_count = 0, refused_count = 0;
    for (size_t at = 0; at < content.len; at++) {
        struct fault f = {0};
        enum status ended;
        fake_disk_damage(o.fake, path, at, 0x10);
        uint64_t got = read_log(o.log.disk, &m, 1, &ended, &f);
        fake_disk_damage(o.fake, path, at, 0x10);
        /* A commit has at most two batches and one result block. */
        if (ended == OK) {
            assert_true(got + 2 >= newest);
            cut_count++;
        } else {
            assert_int_equal(ended, GIVE_UP);
            refused_count++;
        }
    }
    assert_true(cut_count > 64);
    assert_true(refused_count > 64);
    buf_fini(&content);
    memory_fini(&m);
    fake_disk_free(o.fake);
}

/* A byte behind the end is what a torn write leaves, wherever it is. */
static void bytes_behind_the_end_are_cut(void **state)
{
    (void)state;
    struct case_options o = options_for(7);
    struct dice d = {.seed = 7};
    struct memory m;
    memory_init(&m);
    uint64_t newest = write_log(&o, &m, &d, true);
    uint64_t firsts[16];
    char path[OS_PATH_BYTES];
    uint32_t count = segments_of(o.log.disk, firsts, 16);
    path_of(path, firsts[count - 1]);
    struct buf content = content_of(o.log.disk, path);
    for (size_t at = content.len + 8; at < 8192; at += 501) {
        fake_disk_damage(o.fake, path, at, 0xff);
        assert_reads_back(o.log.disk, &m, 1, newest);
        struct evlog *log = open_log(&o);
        evlog_free(log);
        struct buf after = content_of(o.log.disk, path);
        assert_int_equal(after.len, content.len);
        buf_fini(&after);
    }
    buf_fini(&content);
    memory_fini(&m);
    fake_disk_free(o.fake);
}

static void a_missing_or_foreign_segment_is_refused(void **state)
{
    (void)state;
    struct case_options o = options_for(8);
    o.log.segment_bytes = 4096;
    struct dice d = {.seed = 8};
    struct memory m;
    memory_init(&m);
    write_log(&o, &m, &d, true);
    uint64_t firsts[16];
    char path[OS_PATH_BYTES], other[OS_PATH_BYTES];
    uint32_t count = segments_of(o.log.disk, firsts, 16);
    assert_true(count >= 3);
    path_of(path, firsts[1]);
    assert_int_equal(os_rename(o.log.disk, path, "elsewhere", NULL), OK);
    struct fault f = {0};
    enum status ended;
    read_log(o.log.disk, &m, 1, &ended, &f);
    assert_int_equal(ended, GIVE_UP);

    /* The same place in the log of another data directory. */
    struct case_options p = options_for(8);
    struct dice e = {.seed = 8};
    struct memory n;
    memory_init(&n);
    p.log.log_id = 99;
    p.log.segment_bytes = 4096;
    write_log(&p, &n, &e, true);
    path_of(other, firsts[1]);
    struct buf content;
    buf_init(&content);
    assert_int_equal(os_read_whole(p.log.disk, other, SIZE_MAX, &content, NULL), OK);
    assert_int_equal(os_write_whole(o.log.disk, path, buf_str(&content), NULL), OK);
    f = (struct fault){0};
    read_log(o.log.disk, &m, 1, &ended, &f);
    assert_int_equal(ended, GIVE_UP);
    assert_non_null(strstr(f.text, "another log"));

    assert_int_equal(os_rename(o.log.disk, "elsewhere", path, NULL), OK);
    read_log(o.log.disk, &m, 1, &ended, NULL);
    assert_int_equal(ended, OK);

    /* Without its beginning, the log can be read from where it begins now, and not from before. */
    path_of(path, firsts[0]);
    assert_int_equal(os_remove(o.log.disk, path, NULL), OK);
    struct evlog_reader *r;
    f = (struct fault){0};
    assert_int_equal(evlog_reader_open(o.log.disk, FIXTURE_DIR, 1, &r, &f), FIX_INPUT);
    assert_non_null(strstr(f.text, "the log begins with batch"));
    read_log(o.log.disk, &m, firsts[1], &ended, NULL);
    assert_int_equal(ended, OK);
    buf_fini(&content);
    memory_fini(&m);
    memory_fini(&n);
    fake_disk_free(o.fake);
    fake_disk_free(p.fake);
}

/* Writes a batch, then one that carries the forged block at each of eight alignments, and tears it. */
static void tear_forged(const struct case_options *o, const struct block *forged)
{
    struct evlog *log = open_log(o);
    struct batch empty = {.number = 1, .now_ms = 1};
    assert_int_equal(evlog_append(log, &empty, NULL), OK);
    assert_int_equal(evlog_commit(log, NULL), OK);

    uint8_t bytes[8 * (BLOCK_HEADER_BYTES + 1)] = {0};
    for (size_t i = 0; i < 8; i++) {
        struct block b = *forged;
        block_write_header(&b, bytes + i * (BLOCK_HEADER_BYTES + 1));
    }
    struct record r = {.type = RECORD_EVENT, .at_ms = 2, .personal = {bytes, sizeof(bytes)}};
    struct batch b = {.number = 2, .now_ms = 2, .count = 1, .records = &r};
    assert_int_equal(evlog_append(log, &b, NULL), OK);
    assert_int_equal(evlog_commit(log, NULL), OK);
    evlog_free(log);

    char path[OS_PATH_BYTES];
    path_of(path, 1);
    struct buf content = content_of(o->log.disk, path);
    fake_disk_damage(o->fake, path, content.len - sizeof(bytes) - 12, 1);
    buf_fini(&content);
}

static void what_looks_like_a_block_in_somebodys_data_does_not_stop_recovery(void **state)
{
    (void)state;
    struct block forged = {.kind = BLOCK_BATCH, .number = 9, .commit = 9, .salt = 77};
    struct case_options o = options_for(9);
    tear_forged(&o, &forged);
    struct evlog *log = open_log(&o);
    assert_int_equal(evlog_batch_durable(log), 1);
    evlog_free(log);
    fake_disk_free(o.fake);

    /* With the log's own salt it is taken for what it looks like: so this does test something. */
    o = options_for(9);
    forged.salt = block_salt(o.log.log_id);
    tear_forged(&o, &forged);
    struct fault f = {0};
    assert_int_equal(evlog_open(FIXTURE_DIR, &o.log, &log, &f), GIVE_UP);
    assert_non_null(strstr(f.text, "whole blocks follow"));
    fake_disk_free(o.fake);
}

static void a_second_writer_is_kept_out(void **state)
{
    (void)state;
    struct case_options o = options_for(10);
    struct evlog *log = open_log(&o);
    struct evlog *other = NULL;
    struct fault f = {0};
    assert_int_equal(evlog_open(FIXTURE_DIR, &o.log, &other, &f), TRY_AGAIN);
    assert_non_null(strstr(f.text, "another process"));
    assert_int_equal(evlog_close(log, NULL), OK);
    log = open_log(&o);
    evlog_free(log);
    fake_disk_free(o.fake);
}

static void a_full_disk_keeps_a_reserve_for_what_must_get_in(void **state)
{
    (void)state;
    struct case_options o = options_for(11);
    struct dice d = {.seed = 11};
    struct memory m;
    memory_init(&m);
    o.log.segment_bytes = 16384;
    struct evlog *log = open_log(&o);
    assert_int_equal(write_some(log, &m, &d, 6), OK);
    assert_true(evlog_admits_all(log));
    fake_disk_set_capacity(o.fake, fake_disk_used_bytes(o.fake));

    enum status done = OK;
    int admitted = 0;
    while ((done = write_some(log, &m, &d, 6)) == OK)
        admitted++;
    assert_int_equal(done, TRY_AGAIN);
    assert_true(admitted > 0);
    assert_false(evlog_admits_all(log));
    uint64_t durable = evlog_batch_durable(log);

    /* At least half a segment is left for them. */
    size_t bytes = 0;
    while (bytes < 8192) {
        uint64_t number = evlog_batch_next(log);
        struct record r = random_record(&d, &m.arena, 1800000000000);
        m.batches[number] = (struct batch){number, 1800000000000, 1, NULL};
        struct record *kept = arena_new(&m.arena, struct record);
        *kept = r;
        m.batches[number].records = kept;
        struct fault f = {0};
        assert_int_equal(evlog_append(log, &m.batches[number], &f), TRY_AGAIN);
        assert_non_null(strstr(f.text, "too full"));
        assert_int_equal(evlog_append_priority(log, &m.batches[number], NULL), OK);
        bytes += evlog_buffered_bytes(log);
        assert_int_equal(evlog_commit(log, NULL), OK);
    }
    assert_true(evlog_batch_durable(log) > durable);
    assert_reads_back(o.log.disk, &m, 1, evlog_batch_durable(log));

    /* Room again: everybody is admitted again, with nobody's help. */
    fake_disk_set_capacity(o.fake, UINT64_MAX);
    assert_true(evlog_admits_all(log));
    struct batch next = {.number = evlog_batch_next(log), .now_ms = 1900000000000};
    m.batches[next.number] = next;
    assert_int_equal(evlog_append(log, &next, NULL), OK);
    assert_int_equal(evlog_close(log, NULL), OK);
    assert_reads_back(o.log.disk, &m, 1, next.number);
    memory_fini(&m);
    fake_disk_free(o.fake);
}

static void no_room_at_any_call_loses_nothing(void **state)
{
    (void)state;
    int refusals = 0;
    for (uint64_t call = 1;; call++) {
        struct case_options o = options_for(call);
        struct dice d = {.seed = 12};
        struct memory m;
        memory_init(&m);
        o.log.segment_bytes = 4096;
        fake_disk_fail_at(o.fake, call, FAKE_FULL);
        struct evlog *log = NULL;
        enum status done = evlog_open(FIXTURE_DIR, &o.log, &log, NULL);
        if (done != OK) {
            assert_int_equal(done, TRY_AGAIN);
            log = open_log(&o);
            refusals++;
        }
        for (int i = 0; i < 24; i++) {
            uint64_t durable = evlog_batch_durable(log);
            uint32_t names = names_count(evlog_names(log));
            uint64_t results = evlog_results_newest(log);
            done = write_some(log, &m, &d, 8);
            if (done == OK)
                continue;
            assert_int_equal(done, TRY_AGAIN);
            refusals++;
            if (happens(&d, 2) && evlog_commit(log, NULL) == OK)
                continue;
            /* A roll in between may have made a part of it durable. */
            bool has_rolled = evlog_batch_durable(log) != durable;
            assert_int_equal(evlog_abandon(log, NULL), OK);
            assert_true(evlog_batch_next(log) == evlog_batch_durable(log) + 1);
            if (!has_rolled) {
                assert_int_equal(names_count(evlog_names(log)), names);
                assert_true(evlog_results_newest(log) == results);
            }
        }
        uint64_t durable = evlog_batch_durable(log);
        bool has_failed = fake_disk_has_failed(o.fake);
        evlog_free(log);
        fake_disk_restart(o.fake);
        log = open_log(&o);
        assert_true(evlog_batch_durable(log) == durable);
        assert_reads_back(o.log.disk, &m, 1, durable);
        evlog_free(log);
        memory_fini(&m);
        fake_disk_free(o.fake);
        if (!has_failed)
            break;
    }
    assert_true(refusals > 5);
}

static void what_is_abandoned_does_not_come_back(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 30; seed++) {
        struct case_options o = options_for(seed);
        struct dice d = {.seed = seed};
        struct memory m;
        memory_init(&m);
        struct evlog *log = open_log(&o);
        for (uint64_t i = 0; i < seed % 3; i++)
            assert_int_equal(write_some(log, &m, &d, 5), OK);
        uint64_t durable = evlog_batch_durable(log);
        uint32_t names = names_count(evlog_names(log));

        /* Two batches, of which the first is written whole before the disk is full. */
        uint64_t number = durable + 1;
        const struct batch *b = random_batch(&m, &d, number, 1800000000000, evlog_names(log), 1);
        assert_int_equal(evlog_append(log, b, NULL), OK);
        struct record big = {.type = RECORD_EVENT};
        big.personal = (struct body){arena_zalloc(&m.arena, 2000), 2000};
        struct batch second = {number + 1, 1800000000000, 1, &big};
        assert_int_equal(evlog_append(log, &second, NULL), OK);
        fake_disk_fail_at(o.fake, fake_disk_calls(o.fake) + 1, FAKE_FULL);
        assert_int_equal(evlog_commit(log, NULL), TRY_AGAIN);
        assert_int_equal(evlog_abandon(log, NULL), OK);
        assert_int_equal(names_count(evlog_names(log)), names);
        if (seed % 2) {
            b = random_batch(&m, &d, number, 1800000000001, evlog_names(log), 3);
            assert_int_equal(evlog_append(log, b, NULL), OK);
            assert_int_equal(evlog_commit(log, NULL), OK);
            durable = number;
        }
        evlog_free(log);
        fake_disk_restart(o.fake);
        log = open_log(&o);
        assert_true(evlog_batch_durable(log) == durable);
        assert_reads_back(o.log.disk, &m, 1, durable);
        evlog_free(log);
        memory_fini(&m);
        fake_disk_free(o.fake);
    }
}

static void what_met_a_full_disk_goes_with_what_comes_after(void **state)
{
    (void)state;
    struct case_options o = options_for(19);
    struct dice d = {.seed = 19};
    struct memory m;
    memory_init(&m);
    struct evlog *log = open_log(&o);
    assert_int_equal(write_some(log, &m, &d, 5), OK);
    for (int i = 0; i < 3; i++) {
        uint64_t number = evlog_batch_next(log);
        const struct batch *b = random_batch(&m, &d, number, 1800000000000, evlog_names(log), 3);
        assert_int_equal(evlog_append(log, b, NULL), OK);
        if (i < 2)
            fake_disk_fail_at(o.fake, fake_disk_calls(o.fake) + 1, FAKE_FULL);
        assert_int_equal(evlog_commit(log, NULL), i < 2 ? TRY_AGAIN : OK);
    }
    assert_reads_back(o.log.disk, &m, 1, evlog_batch_next(log) - 1);
    evlog_free(log);
    memory_fini(&m);
    fake_disk_free(o.fake);
}

static void a_roll_that_met_a_full_disk_changes_nothing(void **state)
{
    (void)state;
    struct case_options o = options_for(22);
    struct memory m;
    memory_init(&m);
    o.log.segment_bytes = 4096;
    struct evlog *log = open_log(&o);
    struct record *r = arena_new(&m.arena, struct record);
    *r = (struct record){.type = RECORD_EVENT, .at_ms = 5, .event_ms = 5, .arrival_ms = 5};
    r->clear = (struct body){arena_zalloc(&m.arena, 1200), 1200};
    for (uint64_t number = 1; number <= 4; number++)
        m.batches[number] = (struct batch){number, 5, 1, r};
    assert_int_equal(evlog_append(log, &m.batches[1], NULL), OK);
    assert_int_equal(evlog_commit(log, NULL), OK);
    assert_int_equal(evlog_append(log, &m.batches[2], NULL), OK);
    assert_int_equal(evlog_append(log, &m.batches[3], NULL), OK);
    /* The fourth does not fit; what is buffered has to go before the segment can end. */
    fake_disk_fail_at(o.fake, fake_disk_calls(o.fake) + 1, FAKE_FULL);
    assert_int_equal(evlog_append(log, &m.batches[4], NULL), TRY_AGAIN);
    assert_int_equal(evlog_batch_next(log), 4);
    assert_int_equal(evlog_commit(log, NULL), OK);
    assert_reads_back(o.log.disk, &m, 1, 3);
    assert_int_equal(evlog_append(log, &m.batches[4], NULL), OK);
    assert_int_equal(evlog_close(log, NULL), OK);
    assert_reads_back(o.log.disk, &m, 1, 4);
    memory_fini(&m);
    fake_disk_free(o.fake);
}

/* The first commit into a segment brings head, names and a batch. Torn, it is cut whole. */
static void a_torn_beginning_of_a_segment_is_cut_to_nothing(void **state)
{
    (void)state;
    struct case_options o = options_for(20);
    struct dice d = {.seed = 20};
    struct memory m;
    memory_init(&m);
    struct evlog *log = open_log(&o);
    while (names_count(evlog_names(log)) < NAME_FIXED_END + 20)
        assert_int_equal(write_some(log, &m, &d, 12), OK);
    assert_int_equal(evlog_roll(log, NULL), OK);
    uint64_t before = evlog_batch_durable(log);
    assert_int_equal(write_some(log, &m, &d, 12), OK);
    uint64_t after = evlog_batch_durable(log);
    evlog_free(log);

    char path[OS_PATH_BYTES];
    path_of(path, before + 1);
    struct buf whole = content_of(o.log.disk, path);
    size_t head_bytes = BLOCK_HEADER_BYTES + SEGMENT_BODY_BYTES;
    struct batch first = m.batches[before + 1];
    struct batch second = m.batches[before + 2];
    for (size_t at = 0; at < whole.len; at += 13) {
        bool is_headless = at < head_bytes + BLOCK_HEADER_BYTES + 200;
        assert_int_equal(os_write_whole(o.log.disk, path, buf_str(&whole), NULL), OK);
        fake_disk_damage(o.fake, path, at, 4);
        m.batches[before + 1] = first;
        m.batches[before + 2] = second;
        log = open_log(&o);
        struct buf left = content_of(o.log.disk, path);
        if (is_headless) {
            assert_int_equal(left.len, 0);
            assert_true(evlog_batch_durable(log) == before);
        }
        assert_in_range(evlog_batch_durable(log), before, after);
        assert_int_equal(write_some(log, &m, &d, 3), OK);
        assert_reads_back(o.log.disk, &m, before, evlog_batch_durable(log));
        evlog_free(log);
        buf_fini(&left);
    }
    buf_fini(&whole);
    memory_fini(&m);
    fake_disk_free(o.fake);
}

static void half_a_segment_is_kept_even_if_nobody_prepares_the_next(void **state)
{
    (void)state;
    struct case_options o = options_for(21);
    struct dice d = {.seed = 21};
    struct memory m;
    memory_init(&m);
    o.log.segment_bytes = 16384;
    o.log.spare = EVLOG_SPARE_BY_CALLER;
    struct evlog *log = open_log(&o);
    assert_int_equal(write_some(log, &m, &d, 6), OK);
    fake_disk_set_capacity(o.fake, fake_disk_used_bytes(o.fake));
    enum status done;
    while ((done = write_some(log, &m, &d, 6)) == OK)
        continue;
    assert_int_equal(done, TRY_AGAIN);
    size_t bytes = 0;
    while (bytes < 16384 / 2 - 2048) { /* the last batch admitted may lie across the middle */
        struct record r = {.type = RECORD_TICK, .at_ms = 1800000000000};
        r.clear = (struct body){arena_zalloc(&m.arena, 500), 500};
        struct batch b = {evlog_batch_next(log), r.at_ms, 1, &r};
        assert_int_equal(evlog_append_priority(log, &b, NULL), OK);
        bytes += evlog_buffered_bytes(log);
        assert_int_equal(evlog_commit(log, NULL), OK);
    }
    evlog_free(log);
    memory_fini(&m);
    fake_disk_free(o.fake);
}

static void a_record_that_cannot_be_written_changes_nothing(void **state)
{
    (void)state;
    struct case_options o = options_for(13);
    struct arena a;
    arena_init(&a, 4096);
    struct evlog *log = open_log(&o);
    struct fault f = {0};
    struct record r[3] = {{.type = RECORD_EVENT}, {.type = RECORD_EVENT}};
    struct batch b = {.number = 1, .now_ms = 5, .count = 2, .records = r};
    uint8_t *bytes = arena_alloc(&a, RECORD_BYTES_MAX);
    r[1].clear = (struct body){bytes, RECORD_BYTES_MAX - 10};
    memset(bytes, 0, RECORD_BYTES_MAX);
    assert_int_equal(evlog_append(log, &b, &f), FIX_INPUT);
    assert_string_equal(f.text, "record 1 of batch 1 is longer than a record may be");

    uint32_t next = NAME_FIXED_END;
    r[0] = name_record(&a, next, "one", 5);
    r[1] = name_record(&a, next + 2, "two", 5);
    assert_int_equal(evlog_append(log, &b, NULL), FIX_INPUT); /* a gap */
    r[1] = name_record(&a, next + 1, "one", 5);
    assert_int_equal(evlog_append(log, &b, NULL), FIX_INPUT); /* twice in the batch */
    r[1] = name_record(&a, next + 1, "email", 5);
    assert_int_equal(evlog_append(log, &b, NULL), FIX_INPUT); /* known already */
    r[1] = name_record(&a, next + 1, "", 5);
    assert_int_equal(evlog_append(log, &b, NULL), FIX_INPUT); /* none */
    assert_int_equal(evlog_buffered_bytes(log), 0);
    assert_int_equal(names_count(evlog_names(log)), next);
    r[1] = name_record(&a, next + 1, "two", 5);
    assert_int_equal(evlog_append(log, &b, NULL), OK);
    assert_true(str_is(names_text(evlog_names(log), next + 1), "two"));
    assert_int_equal(evlog_close(log, NULL), OK);
    log = open_log(&o);
    assert_int_equal(names_find(evlog_names(log), STR("two")), next + 1);
    evlog_free(log);
    arena_fini(&a);
    fake_disk_free(o.fake);
}

static void a_batch_larger_than_a_segment_has_one_for_itself(void **state)
{
    (void)state;
    struct case_options o = options_for(14);
    struct dice d = {.seed = 14};
    struct memory m;
    memory_init(&m);
    o.log.segment_bytes = EVLOG_SEGMENT_BYTES_MIN;
    struct evlog *log = open_log(&o);
    for (int i = 0; i < 6; i++)
        assert_int_equal(write_some(log, &m, &d, i % 2 ? 200 : 3), OK);
    uint64_t newest = evlog_batch_durable(log);
    assert_int_equal(evlog_close(log, NULL), OK);
    assert_reads_back(o.log.disk, &m, 1, newest);
    log = open_log(&o);
    assert_int_equal(write_some(log, &m, &d, 3), OK);
    assert_reads_back(o.log.disk, &m, 1, evlog_batch_durable(log));
    evlog_free(log);
    memory_fini(&m);
    fake_disk_free(o.fake);
}

static void a_reader_follows_the_writer(void **state)
{
    (void)state;
    struct case_options o = options_for(15);
    struct dice d = {.seed = 15};
    struct memory m;
    memory_init(&m);
    o.log.segment_bytes = 4096;
    struct evlog *log = open_log(&o);
    struct evlog_reader *r;
    struct evlog_item item;
    assert_int_equal(evlog_reader_open(o.log.disk, FIXTURE_DIR, 1, &r, NULL), OK);
    assert_int_equal(evlog_reader_next(r, &item, NULL), OK);
    assert_int_equal(item.kind, EVLOG_END);
    uint64_t seen = 0;
    for (int i = 0; i < 40; i++) {
        assert_int_equal(write_some(log, &m, &d, 8), OK);
        if (happens(&d, 9))
            assert_int_equal(evlog_roll(log, NULL), OK);
        if (happens(&d, 3))
            continue;
        for (;;) {
            assert_int_equal(evlog_reader_next(r, &item, NULL), OK);
            if (item.kind == EVLOG_END)
                break;
            if (item.kind == EVLOG_BATCH)
                assert_same_batch(&item.batch, &m.batches[++seen]);
        }
        assert_true(seen == evlog_batch_durable(log));
        assert_int_equal(names_count(evlog_reader_names(r)), names_count(evlog_names(log)));
    }
    evlog_reader_close(r);
    evlog_free(log);
    memory_fini(&m);
    fake_disk_free(o.fake);
}

struct closings {
    uint64_t next;
    uint32_t count;
};

static void note_closed(void *context, const char *path, uint64_t first, uint64_t last)
{
    struct closings *c = context;
    char expected[OS_PATH_BYTES];
    path_of(expected, first);
    assert_string_equal(path, expected);
    assert_true(first == c->next);
    assert_true(last >= first);
    c->next = last + 1;
    c->count++;
}

static void a_closed_segment_is_told_once_and_in_order(void **state)
{
    (void)state;
    struct case_options o = options_for(16);
    struct dice d = {.seed = 16};
    struct closings closings = {.next = 1};
    struct memory m;
    memory_init(&m);
    o.log.closed = note_closed;
    o.log.closed_context = &closings;
    struct evlog *log = open_log(&o);
    assert_int_equal(evlog_roll(log, NULL), OK); /* nothing to close */
    assert_int_equal(closings.count, 0);
    for (int i = 0; i < 30; i++)
        assert_int_equal(write_some(log, &m, &d, 10), OK);
    assert_int_equal(evlog_roll(log, NULL), OK);
    assert_int_equal(evlog_roll(log, NULL), OK); /* nor here */
    assert_true(closings.next == evlog_batch_next(log));
    uint64_t firsts[32];
    assert_int_equal(segments_of(o.log.disk, firsts, 32), closings.count + 1);
    assert_int_equal(evlog_close(log, NULL), OK);
    log = open_log(&o);
    assert_true(evlog_batch_next(log) == closings.next);
    evlog_free(log);
    memory_fini(&m);
    fake_disk_free(o.fake);
}

static void the_spare_can_be_prepared_by_somebody_else(void **state)
{
    (void)state;
    struct case_options o = options_for(17);
    struct dice d = {.seed = 17};
    struct memory m;
    memory_init(&m);
    o.log.spare = EVLOG_SPARE_BY_CALLER;
    struct evlog *log = open_log(&o);
    assert_true(evlog_wants_prepare(log));
    assert_int_equal(evlog_prepare(log, NULL), OK);
    assert_false(evlog_wants_prepare(log));
    assert_int_equal(write_some(log, &m, &d, 3), OK);
    assert_true(evlog_wants_prepare(log));
    assert_true(evlog_admits_all(log)); /* nobody has failed to make one yet */
    fake_disk_set_capacity(o.fake, fake_disk_used_bytes(o.fake));
    assert_int_equal(evlog_prepare(log, NULL), TRY_AGAIN);
    assert_false(evlog_admits_all(log));
    fake_disk_set_capacity(o.fake, UINT64_MAX);
    assert_int_equal(evlog_prepare(log, NULL), OK);
    assert_true(evlog_admits_all(log));

    /* One of another size is of no use. */
    assert_int_equal(evlog_close(log, NULL), OK);
    o.log.segment_bytes *= 2;
    log = open_log(&o);
    assert_true(evlog_wants_prepare(log));
    evlog_free(log);
    memory_fini(&m);
    fake_disk_free(o.fake);
}

static void the_real_disk_keeps_the_same_promises(void **state)
{
    (void)state;
    char root[64], dir[OS_PATH_BYTES];
    assert_non_null(mkdtemp(test_path(root, sizeof(root), "evlog-test")));
    snprintf(dir, sizeof(dir), "%s/log", root);
    struct evlog_options options = {.disk = os_disk_real(), .segment_bytes = 32768};
    struct dice d = {.seed = 18};
    struct memory m;
    memory_init(&m);
    struct evlog *log = NULL;
    for (int round = 0; round < 3; round++) {
        assert_int_equal(evlog_open(dir, &options, &log, NULL), OK);
        for (int i = 0; i < 20; i++)
            assert_int_equal(write_some(log, &m, &d, 12), OK);
        if (round == 1)
            evlog_free(log);
        else
            assert_int_equal(evlog_close(log, NULL), OK);
    }
    assert_int_equal(evlog_open(dir, &options, &log, NULL), OK);
    uint64_t newest = evlog_batch_durable(log);
    struct evlog_reader *r;
    struct evlog_item item;
    assert_int_equal(evlog_reader_open(options.disk, dir, 1, &r, NULL), OK);
    uint64_t seen = 0;
    while (evlog_reader_next(r, &item, NULL) == OK && item.kind != EVLOG_END)
        if (item.kind == EVLOG_BATCH)
            assert_same_batch(&item.batch, &m.batches[++seen]);
    assert_true(seen == newest);
    assert_true(seen >= 60);
    evlog_reader_close(r);
    evlog_free(log);
    memory_fini(&m);
    assert_int_equal(os_remove_tree(options.disk, root, NULL), OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("what was committed reads back from any batch on",
             what_was_committed_reads_back_from_any_batch),
        TEST("nothing confirmed is lost by a crash at any call of the disk",
             nothing_confirmed_is_lost_by_a_crash_at_any_call),
        TEST("a failing disk ends the log and loses nothing confirmed",
             a_failing_disk_ends_the_log_and_loses_nothing_confirmed),
        TEST("what a start went on from survives a power cut",
             what_a_start_went_on_from_survives_a_power_cut),
        TEST("after a failed sync nothing is written", after_a_failed_sync_nothing_is_written),
        TEST("a changed byte anywhere is refused after an orderly end",
             a_changed_byte_anywhere_is_refused_after_an_orderly_end),
        TEST("damage in the last commit is cut, and before it refused",
             damage_in_the_last_commit_is_cut_and_before_it_refused),
        TEST("bytes behind the end are cut", bytes_behind_the_end_are_cut),
        TEST("a missing or foreign segment is refused", a_missing_or_foreign_segment_is_refused),
        TEST("what looks like a block in somebody's data does not stop recovery",
             what_looks_like_a_block_in_somebodys_data_does_not_stop_recovery),
        TEST("a second writer is kept out", a_second_writer_is_kept_out),
        TEST("a full disk keeps a reserve for what must get in",
             a_full_disk_keeps_a_reserve_for_what_must_get_in),
        TEST("no room at any call loses nothing", no_room_at_any_call_loses_nothing),
        TEST("what is abandoned does not come back", what_is_abandoned_does_not_come_back),
        TEST("what met a full disk goes with what comes after",
             what_met_a_full_disk_goes_with_what_comes_after),
        TEST("a roll that met a full disk changes nothing",
             a_roll_that_met_a_full_disk_changes_nothing),
        TEST("a torn beginning of a segment is cut to nothing",
             a_torn_beginning_of_a_segment_is_cut_to_nothing),
        TEST("half a segment is kept even if nobody prepares the next",
             half_a_segment_is_kept_even_if_nobody_prepares_the_next),
        TEST("a record that cannot be written changes nothing",
             a_record_that_cannot_be_written_changes_nothing),
        TEST("a batch larger than a segment has one for itself",
             a_batch_larger_than_a_segment_has_one_for_itself),
        TEST("a reader follows the writer", a_reader_follows_the_writer),
        TEST("a closed segment is told once and in order",
             a_closed_segment_is_told_once_and_in_order),
        TEST("the spare can be prepared by somebody else",
             the_spare_can_be_prepared_by_somebody_else),
        TEST("the real disk keeps the same promises", the_real_disk_keeps_the_same_promises),
    };
    return cmocka_run_group_tests_name("evlog/evlog", tests, NULL, NULL);
}
