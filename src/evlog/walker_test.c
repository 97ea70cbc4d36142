/* Segments made by hand: whole in every byte, and wrong in one respect.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "evlog/fixture.h"

#define LOG_ID 77

struct maker {
    struct buf bytes;
    struct block last;
};

static void maker_init(struct maker *m)
{
    *m = (struct maker){.last = {.flags = BLOCK_ENDS_COMMIT}};
    buf_init(&m->bytes);
}

/* A block that follows the last one; what the caller wants otherwise is set before make_whole(). */
static struct block next_block(const struct maker *m, uint8_t kind, uint64_t number, int64_t now_ms)
{
    bool ended = (m->last.flags & BLOCK_ENDS_COMMIT) != 0;
    return (struct block){
        .kind = kind,
        .flags = BLOCK_ENDS_COMMIT,
        .number = number,
        .now_ms = now_ms,
        .commit = m->last.commit + (ended ? 1 : 0),
        .previous = m->last.crc,
        .salt = block_salt(LOG_ID),
    };
}

static void make_whole(struct maker *m, struct block b, struct str payload)
{
    uint8_t header[BLOCK_HEADER_BYTES];
    b.length = (uint32_t)payload.len;
    block_write_header(&b, header);
    buf_add(&m->bytes, header, sizeof(header));
    buf_add_str(&m->bytes, payload);
    while (m->bytes.len % BLOCK_ALIGN != 0)
        buf_add_byte(&m->bytes, 0);
    m->last = b;
}

static void make_head(struct maker *m, uint64_t first, uint64_t before, uint64_t results,
                      int64_t now_ms, uint32_t names)
{
    struct buf body;
    buf_init(&body);
    segment_body_write(&body, before, results);
    struct block b = next_block(m, BLOCK_SEGMENT, first, now_ms);
    b.hash = LOG_ID;
    b.count = names;
    b.sum = hash_crc32c(0, body.at, body.len);
    make_whole(m, b, buf_str(&body));
    buf_fini(&body);
}

static void make_results(struct maker *m, uint64_t number, int64_t now_ms, struct str bytes)
{
    struct block b = next_block(m, BLOCK_RESULTS, number, now_ms);
    b.hash = hash_bytes(bytes.at, bytes.len, 0);
    b.sum = hash_crc32c(0, bytes.at, bytes.len);
    make_whole(m, b, bytes);
}

static struct block batch_block(const struct maker *m, uint64_t number, int64_t now_ms,
                                const struct record *records, uint32_t count, struct buf *payload)
{
    struct block b = next_block(m, BLOCK_BATCH, number, now_ms);
    for (uint32_t i = 0; i < count; i++)
        assert_true(record_write(payload, &records[i], now_ms, &b.sum));
    b.count = count;
    return b;
}

static void make_batch(struct maker *m, uint64_t number, int64_t now_ms,
                       const struct record *records, uint32_t count)
{
    struct buf payload;
    buf_init(&payload);
    struct block b = batch_block(m, number, now_ms, records, count, &payload);
    make_whole(m, b, buf_str(&payload));
    buf_fini(&payload);
}

/* Writes what was made as the segment, and forgets it; the next one goes on from it. */
static void put_segment(struct maker *m, struct os_disk *disk, uint64_t first)
{
    char path[OS_PATH_BYTES];
    assert_int_equal(os_make_dirs(disk, FIXTURE_DIR, NULL), OK);
    assert_int_equal(segment_path(path, sizeof(path), FIXTURE_DIR, first, NULL), OK);
    assert_int_equal(os_write_whole(disk, path, buf_str(&m->bytes), NULL), OK);
    m->bytes.len = 0;
    m->last.crc = 0;
}

/* Reads all; returns how many batches were shown before the end, or before the fault. */
static uint64_t read_all(struct os_disk *disk, enum status *ended, struct fault *f)
{
    struct evlog_reader *r;
    struct evlog_item item;
    uint64_t newest = 0;
    *f = (struct fault){0};
    assert_int_equal(evlog_reader_open(disk, FIXTURE_DIR, 1, &r, f), OK);
    while ((*ended = evlog_reader_next(r, &item, f)) == OK && item.kind != EVLOG_END)
        if (item.kind == EVLOG_BATCH)
            newest = item.number;
    evlog_reader_close(r);
    return newest;
}

/* Reader and writer both end so, and say so. */
static void assert_refused(struct os_disk *disk, const char *text)
{
    struct fault f;
    enum status ended;
    read_all(disk, &ended, &f);
    assert_int_equal(ended, GIVE_UP);
    if (strstr(f.text, text) == NULL)
        print_message("\"%s\" is not in \"%s\"\n", text, f.text);
    assert_non_null(strstr(f.text, text));
    struct evlog_options options = {.disk = disk, .segment_bytes = EVLOG_SEGMENT_BYTES_MIN};
    struct evlog *log;
    assert_int_equal(evlog_open(FIXTURE_DIR, &options, &log, NULL), GIVE_UP);
}

/* The log ends before what is wrong, as after a crash. */
static void assert_ends_after(struct os_disk *disk, uint64_t batch)
{
    struct fault f;
    enum status ended;
    assert_true(read_all(disk, &ended, &f) == batch);
    assert_int_equal(ended, OK);
    struct evlog_options options = {.disk = disk, .segment_bytes = EVLOG_SEGMENT_BYTES_MIN};
    struct evlog *log;
    assert_int_equal(evlog_open(FIXTURE_DIR, &options, &log, NULL), OK);
    assert_true(evlog_batch_durable(log) == batch);
    evlog_free(log);
}

static const struct record tick = {.type = RECORD_TICK, .schema = 1, .at_ms = 10};

/* A log with the head and one batch. */
static void make_begin(struct maker *m)
{
    maker_init(m);
    make_head(m, 1, 0, 0, INT64_MIN, NAME_FIXED_END);
    make_batch(m, 1, 10, &tick, 1);
}

static void a_block_that_does_not_follow_is_no_part_of_the_log(void **state)
{
    (void)state;
    for (int wrong = 0; wrong < 6; wrong++) {
        struct fake_disk *fake = fake_disk_new(1);
        struct maker m;
        struct buf payload;
        buf_init(&payload);
        make_begin(&m);
        struct block b = batch_block(&m, 2, 10, &tick, 1, &payload);
        switch (wrong) {
        case 0: break; /* nothing: it is right */
        case 1: b.previous ^= 1; break;
        case 2: b.commit -= 1; break;
        case 3: b.sum ^= 1; break;
        case 4: b.salt ^= 1; break;
        default: b.count = 0; break; /* fewer records than there are bytes of */
        }
        make_whole(&m, b, buf_str(&payload));
        put_segment(&m, fake_disk_of(fake), 1);
        assert_ends_after(fake_disk_of(fake), wrong == 0 ? 2 : 1);
        buf_fini(&payload);
        buf_fini(&m.bytes);
        fake_disk_free(fake);
    }
}

enum wrong {
    WRONG_GAP,
    WRONG_TIME,
    WRONG_RECORD_TIME,
    WRONG_NAME,
    WRONG_RESULTS_AHEAD,
    WRONG_RESULTS_HASH,
    WRONG_MARK,
    WRONG_HEAD_AGAIN,
    WRONG_NAMES_MISSING,
    WRONG_NAMES_TWICE,
    WRONG_COUNT,
    WRONG_VERSION,
    WRONG_END,
};

static void make_wrong(struct maker *m, enum wrong wrong)
{
    struct record late = {.type = RECORD_TICK, .at_ms = 21};
    struct record name = {.type = RECORD_NAME, .at_ms = 20, .name = NAME_FIXED_END + 1};
    struct block b;
    switch (wrong) {
    case WRONG_GAP: make_batch(m, 3, 20, NULL, 0); break;
    case WRONG_TIME: make_batch(m, 2, 9, NULL, 0); break;
    case WRONG_RECORD_TIME: make_batch(m, 2, 20, &late, 1); break;
    case WRONG_NAME: make_batch(m, 2, 20, &name, 1); break;
    case WRONG_RESULTS_AHEAD: make_results(m, 2, 10, STR("x")); break;
    case WRONG_RESULTS_HASH:
        b = next_block(m, BLOCK_RESULTS, 1, 10);
        b.sum = hash_crc32c(0, "x", 1);
        make_whole(m, b, STR("x"));
        break;
    case WRONG_MARK: make_whole(m, next_block(m, BLOCK_MARK, 2, 10), STR("")); break;
    case WRONG_HEAD_AGAIN: make_head(m, 2, 9, 0, 10, NAME_FIXED_END); break;
    case WRONG_NAMES_MISSING:
        buf_fini(&m->bytes);
        maker_init(m);
        make_head(m, 1, 0, 0, INT64_MIN, NAME_FIXED_END + 1);
        make_batch(m, 1, 10, NULL, 0);
        break;
    case WRONG_NAMES_TWICE:
        b = next_block(m, BLOCK_NAMES, NAME_FIXED_END, 10);
        b.count = 2;
        b.sum = hash_crc32c(0, "\3one\3one", 8);
        make_whole(m, b, STR("\3one\3one"));
        break;
    case WRONG_COUNT:
        b = next_block(m, BLOCK_BATCH, 2, 20);
        b.count = BATCH_RECORDS_MAX + 1;
        make_whole(m, b, STR(""));
        break;
    case WRONG_VERSION:
        make_batch(m, 2, 20, NULL, 0);
        m->bytes.at[m->bytes.len - BLOCK_HEADER_BYTES + 5] = BLOCK_VERSION + 1;
        break;
    case WRONG_END: break;
    }
}

static void a_whole_block_that_says_something_impossible_is_refused(void **state)
{
    (void)state;
    static const char *const texts[WRONG_END] = {
        [WRONG_GAP] = "batches are missing before it",
        [WRONG_TIME] = "its time goes back",
        [WRONG_RECORD_TIME] = "its time goes back",
        [WRONG_NAME] = "a name does not get the next number",
        [WRONG_RESULTS_AHEAD] = "results of another batch were expected",
        [WRONG_RESULTS_HASH] = "the results' hash is wrong",
        [WRONG_MARK] = "batches are missing before it",
        [WRONG_HEAD_AGAIN] = "the segment before it is missing or another one",
        [WRONG_NAMES_MISSING] = "the segment's list of names is not complete",
        [WRONG_NAMES_TWICE] = "the list of names contradicts itself",
        [WRONG_COUNT] = "its length does not fit its records",
        [WRONG_VERSION] = "in a format that this release does not know",
    };
    for (enum wrong wrong = 0; wrong < WRONG_END; wrong++) {
        struct fake_disk *fake = fake_disk_new(1);
        struct maker m;
        make_begin(&m);
        make_wrong(&m, wrong);
        if (wrong == WRONG_VERSION) { /* the header's checksum is right all the same */
            uint8_t *header = m.bytes.at + m.bytes.len - BLOCK_HEADER_BYTES;
            uint32_t crc = hash_crc32c(0, header, BLOCK_HEADER_BYTES - 4);
            memcpy(header + BLOCK_HEADER_BYTES - 4, &crc, 4);
        }
        put_segment(&m, fake_disk_of(fake), 1);
        assert_refused(fake_disk_of(fake), texts[wrong]);
        buf_fini(&m.bytes);
        fake_disk_free(fake);
    }
}

static void only_a_mark_behind_a_batch_ends_a_segment(void **state)
{
    (void)state;
    for (int wrong = 0; wrong < 4; wrong++) {
        struct fake_disk *fake = fake_disk_new(1);
        struct os_disk *disk = fake_disk_of(fake);
        struct maker m;
        make_begin(&m);
        if (wrong == 1) {
            m.bytes.len = 0;
            m.last = (struct block){.flags = BLOCK_ENDS_COMMIT};
            make_head(&m, 1, 0, 0, INT64_MIN, NAME_FIXED_END);
        }
        uint64_t batches = wrong == 1 ? 0 : 1;
        bool is_mark = wrong != 2;
        struct block last = next_block(&m, is_mark ? BLOCK_MARK : BLOCK_RESULTS, batches, 10);
        last.flags |= BLOCK_ENDS_SEGMENT;
        last.hash = is_mark ? 0 : hash_bytes("", 0, 0);
        if (wrong == 3)
            last.flags = BLOCK_ENDS_SEGMENT;
        make_whole(&m, last, STR(""));
        put_segment(&m, disk, 1);
        buf_fini(&m.bytes);
        struct fault f;
        enum status ended;
        assert_int_equal(read_all(disk, &ended, &f), batches);
        assert_int_equal(ended, wrong == 0 ? OK : GIVE_UP);
        fake_disk_free(fake);
    }
}

/* The second of two segments: its head must fit what the first one ended with. */
static void a_head_that_does_not_fit_the_segment_before_is_refused(void **state)
{
    (void)state;
    for (int wrong = 0; wrong < 6; wrong++) {
        struct fake_disk *fake = fake_disk_new(1);
        struct os_disk *disk = fake_disk_of(fake);
        struct maker m;
        make_begin(&m);
        make_results(&m, 1, 10, STR("x"));
        struct block mark = next_block(&m, BLOCK_MARK, 1, 10);
        mark.flags |= BLOCK_ENDS_SEGMENT;
        make_whole(&m, mark, STR(""));
        put_segment(&m, disk, 1);
        m.last.commit += wrong == 5; /* a commit is missing between them */
        make_head(&m, 2, wrong == 1 ? 7 : 1, wrong == 2 ? 0 : 1, wrong == 3 ? 11 : 10,
                  NAME_FIXED_END + (wrong == 4));
        make_batch(&m, 2, 12, &tick, 1);
        put_segment(&m, disk, 2);
        struct fault f;
        enum status ended;
        uint64_t newest = read_all(disk, &ended, &f);
        if (wrong == 0)
            assert_int_equal(ended, OK);
        else
            assert_int_equal(ended, GIVE_UP);
        assert_int_equal(newest, wrong == 0 ? 2 : 1);
        buf_fini(&m.bytes);
        fake_disk_free(fake);
    }
}

static void a_segment_without_its_end_is_refused_once_there_is_another(void **state)
{
    (void)state;
    struct fake_disk *fake = fake_disk_new(1);
    struct os_disk *disk = fake_disk_of(fake);
    struct maker m;
    make_begin(&m);
    put_segment(&m, disk, 1);
    struct evlog_reader *r;
    struct evlog_item item;
    struct fault f = {0};
    assert_int_equal(evlog_reader_open(disk, FIXTURE_DIR, 1, &r, NULL), OK);
    assert_int_equal(evlog_reader_next(r, &item, NULL), OK);
    assert_int_equal(item.kind, EVLOG_BATCH);
    assert_int_equal(evlog_reader_next(r, &item, NULL), OK);
    assert_int_equal(item.kind, EVLOG_END);
    make_head(&m, 2, 1, 0, 10, NAME_FIXED_END);
    put_segment(&m, disk, 2);
    assert_int_equal(evlog_reader_next(r, &item, &f), GIVE_UP);
    assert_non_null(strstr(f.text, "damaged block at byte"));
    evlog_reader_close(r);
    buf_fini(&m.bytes);
    fake_disk_free(fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("a block that does not follow is no part of the log",
             a_block_that_does_not_follow_is_no_part_of_the_log),
        TEST("a whole block that says something impossible is refused",
             a_whole_block_that_says_something_impossible_is_refused),
        TEST("only a mark behind a batch ends a segment",
             only_a_mark_behind_a_batch_ends_a_segment),
        TEST("a head that does not fit the segment before is refused",
             a_head_that_does_not_fit_the_segment_before_is_refused),
        TEST("a segment without its end is refused once there is another",
             a_segment_without_its_end_is_refused_once_there_is_another),
    };
    return cmocka_run_group_tests_name("evlog/walker", tests, NULL, NULL);
}
