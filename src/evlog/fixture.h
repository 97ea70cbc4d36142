/* fixture.h - logs on a disk that fails, and the memory of what must be in them; for this room's tests.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/hash.h"
#include "base/mem.h"
#include "evlog/evlog_int.h"
#include "os/fake_disk.h"
#include "test.h"

#define FIXTURE_DIR         "data/log"
#define FIXTURE_BATCHES_MAX 256

/* Chance with a seed. */
struct dice {
    uint64_t seed;
    uint64_t draws;
};

static inline uint64_t roll(struct dice *d, uint64_t sides)
{
    return hash_pair(d->seed, ++d->draws) % sides;
}

/* One time in `sides`. */
static inline bool happens(struct dice *d, uint64_t sides)
{
    return roll(d, sides) == 0;
}

/* Everything that was ever appended, in an arena. */
struct memory {
    struct arena arena;
    struct batch batches[FIXTURE_BATCHES_MAX + 1]; /* by number */
    struct str results[FIXTURE_BATCHES_MAX + 1];   /* at NULL: none were appended */
    struct names *names;
};

static inline void memory_init(struct memory *m)
{
    *m = (struct memory){.names = names_new()};
    arena_init(&m->arena, 1 << 16);
}

static inline void memory_fini(struct memory *m)
{
    arena_fini(&m->arena);
    names_free(m->names);
}

static inline struct body random_body(struct dice *d, struct arena *a, uint64_t bytes_max)
{
    struct body body = {.bytes = (uint32_t)roll(d, bytes_max + 1)};
    uint8_t *at = arena_alloc(a, body.bytes + 1);
    for (uint32_t i = 0; i < body.bytes; i++)
        at[i] = (uint8_t)roll(d, 256);
    body.at = at;
    return body;
}

static inline struct id128 random_id(struct dice *d)
{
    return (struct id128){roll(d, UINT64_MAX), roll(d, UINT64_MAX)};
}

/* Any field may be absent, ordinary or extreme; but the times are a log's. */
static inline struct record random_record(struct dice *d, struct arena *a, int64_t at_ms)
{
    struct record r = {
        .type = (uint8_t)(RECORD_EVENT + roll(d, 7)),
        .kind = (uint8_t)roll(d, 7),
        .flags = (uint8_t)roll(d, 8),
        .schema = RECORD_SCHEMA,
        .source = (uint32_t)(happens(d, 4) ? roll(d, UINT32_MAX) : roll(d, 9)),
        .name = (uint32_t)(happens(d, 4) ? roll(d, UINT32_MAX) : roll(d, 300)),
        .sent_skew_ms = happens(d, 2) ? (int32_t)roll(d, UINT32_MAX) : 0,
        .at_ms = at_ms,
        .arrival_ms =
            happens(d, 8) ? (int64_t)roll(d, UINT64_MAX) : (int64_t)((uint64_t)at_ms - roll(d, 9)),
        .message_hash = happens(d, 3) ? 0 : roll(d, UINT64_MAX),
        .routing_hash = happens(d, 3) ? 0 : roll(d, UINT64_MAX),
        .cause = happens(d, 3) ? roll(d, UINT64_MAX) : 0,
        .clear = random_body(d, a, 60),
        .personal = random_body(d, a, happens(d, 10) ? 600 : 40),
    };
    r.event_ms =
        happens(d, 8) ? (int64_t)roll(d, UINT64_MAX) : (int64_t)((uint64_t)r.arrival_ms - 1000);
    if (happens(d, 2))
        r.user = random_id(d);
    if (happens(d, 2))
        r.anonymous = random_id(d);
    if (happens(d, 5))
        r.previous = random_id(d);
    return r;
}

static inline struct record name_record(struct arena *a, uint32_t number, const char *text,
                                        int64_t at_ms)
{
    struct buf b;
    buf_init(&b);
    body_put_text(&b, NAME_TEXT, str_of(text));
    struct str kept = arena_copy(a, buf_str(&b));
    buf_fini(&b);
    return (struct record){
        .type = RECORD_NAME,
        .schema = RECORD_SCHEMA,
        .name = number,
        .at_ms = at_ms,
        .arrival_ms = at_ms,
        .event_ms = at_ms,
        .clear = {(const uint8_t *)kept.at, (uint32_t)kept.len},
    };
}

/* A batch of up to `count_max` records, now and then a new name among them; remembered. `names` is the
 * table of the log that it is for. */
static inline const struct batch *random_batch(struct memory *m, struct dice *d, uint64_t number,
                                               int64_t now_ms, const struct names *names,
                                               uint32_t count_max)
{
    assert_in_range(number, 1, FIXTURE_BATCHES_MAX);
    uint32_t count = (uint32_t)roll(d, count_max + 1);
    struct record *records = arena_array(&m->arena, struct record, count + 1);
    uint32_t next_name = names_count(names);
    for (uint32_t i = 0; i < count; i++) {
        int64_t at_ms = now_ms - (int64_t)(count - i);
        records[i] = random_record(d, &m->arena, at_ms);
        if (happens(d, 8)) {
            char text[64];
            snprintf(text, sizeof(text), "name %u of batch %u, %u", next_name, (unsigned)number,
                     (unsigned)roll(d, 1000000));
            records[i] = name_record(&m->arena, next_name++, text, at_ms);
        }
    }
    m->batches[number] = (struct batch){number, now_ms, count, records};
    return &m->batches[number];
}

static inline void assert_same_body(struct body a, struct body b)
{
    assert_int_equal(a.bytes, b.bytes);
    if (a.bytes > 0)
        assert_memory_equal(a.at, b.at, a.bytes);
}

static inline void assert_same_record(const struct record *a, const struct record *b)
{
    assert_int_equal(a->type, b->type);
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->flags, b->flags);
    assert_int_equal(a->schema, b->schema);
    assert_int_equal(a->source, b->source);
    assert_int_equal(a->name, b->name);
    assert_int_equal(a->sent_skew_ms, b->sent_skew_ms);
    assert_true(a->at_ms == b->at_ms);
    assert_true(a->event_ms == b->event_ms);
    assert_true(a->arrival_ms == b->arrival_ms);
    assert_true(a->message_hash == b->message_hash);
    assert_true(a->routing_hash == b->routing_hash);
    assert_true(a->cause == b->cause);
    assert_true(id128_equal(a->user, b->user));
    assert_true(id128_equal(a->anonymous, b->anonymous));
    assert_true(id128_equal(a->previous, b->previous));
    assert_same_body(a->clear, b->clear);
    assert_same_body(record_personal(a), record_personal(b));
}

static inline void assert_same_batch(const struct batch *a, const struct batch *b)
{
    assert_true(a->number == b->number);
    assert_true(a->now_ms == b->now_ms);
    assert_int_equal(a->count, b->count);
    for (uint32_t i = 0; i < a->count; i++)
        assert_same_record(&a->records[i], &b->records[i]);
}

/* One commit: a batch or two, and the results of the one before. */
static inline enum status write_some(struct evlog *log, struct memory *m, struct dice *d,
                                     uint32_t records)
{
    uint64_t before = evlog_batch_next(log) - 1;
    uint64_t count = happens(d, 4) ? 2 : 1;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t number = evlog_batch_next(log);
        int64_t now_ms = 1700000000000 + (int64_t)number * 20;
        const struct batch *b = random_batch(m, d, number, now_ms, evlog_names(log), records);
        enum status done = evlog_append(log, b, NULL);
        if (done != OK)
            return done;
    }
    if (before > evlog_results_newest(log) && !happens(d, 5)) {
        char text[64];
        snprintf(text, sizeof(text), "results of %u %u", (unsigned)before, (unsigned)roll(d, 1000));
        m->results[before] = arena_copy(&m->arena, str_of(text));
        enum status done = evlog_append_results(log, before, m->results[before], NULL);
        if (done != OK)
            return done;
    }
    return evlog_commit(log, NULL);
}

/* Reads the log from `from` to its end and compares with what was appended. Returns the newest batch;
 * all that are read are as remembered, without a gap. */
static inline uint64_t read_log(struct os_disk *disk, struct memory *m, uint64_t from,
                                enum status *how_it_ended, struct fault *f)
{
    struct evlog_reader *r;
    uint64_t next = max_of(from, 1);
    uint64_t results = 0;
    assert_int_equal(evlog_reader_open(disk, FIXTURE_DIR, from, &r, f), OK);
    for (;;) {
        struct evlog_item item;
        *how_it_ended = evlog_reader_next(r, &item, f);
        if (*how_it_ended != OK || item.kind == EVLOG_END)
            break;
        assert_true(item.now_ms == m->batches[item.number].now_ms);
        if (item.kind == EVLOG_BATCH) {
            assert_true(item.number == next);
            assert_same_batch(&item.batch, &m->batches[next]);
            next++;
        } else {
            assert_true(item.number > results);
            assert_true(item.number >= from);
            assert_true(item.number < next);
            assert_true(str_equal(item.results, m->results[item.number]));
            results = item.number;
        }
    }
    evlog_reader_close(r);
    return next - 1;
}

static inline void assert_reads_back(struct os_disk *disk, struct memory *m, uint64_t from,
                                     uint64_t newest)
{
    struct fault f = {0};
    enum status ended;
    uint64_t got = read_log(disk, m, from, &ended, &f);
    if (ended != OK)
        print_message("%s: %s\n", f.file, f.text);
    assert_int_equal(ended, OK);
    assert_true(got == newest);
}
