/* SPDX-License-Identifier: Apache-2.0 */
#include "evlog/committer.h"

#include "evlog/fixture.h"
#include "os/thread.h"

#define TOKENS_MAX 4096

/* A host that keeps what it is given until told otherwise, and remembers what became of tokens. */
struct host {
    struct os_mutex mutex;
    struct os_cond changed;
    struct fake_disk *fake;
    struct evlog *log;
    struct committer *c;
    int64_t now_ms;
    bool releases_at_once;
    bool gives_results;
    struct committed *held[COMMITTER_BATCHES_MAX];
    uint32_t held_count;
    uint32_t committed_count[TOKENS_MAX];
    uint32_t refused_count[TOKENS_MAX];
    enum status refused_why[TOKENS_MAX];
    uint32_t settled_count; /* tokens that are committed or refused */
    uint32_t batch_count;
    uint32_t part_counts[TOKENS_MAX]; /* of each batch */
    uint64_t newest;
    int64_t newest_ms;
    uint32_t record_count;
    int failed_count;
    uint32_t name_count; /* name records seen */
};

static void *token(uintptr_t number)
{
    return (void *)number;
}

static int64_t host_now(void *context)
{
    struct host *h = context;
    os_mutex_lock(&h->mutex);
    int64_t now_ms = h->now_ms;
    os_mutex_unlock(&h->mutex);
    return now_ms;
}

static void check_batch(struct host *h, const struct committed *batch)
{
    const struct batch *b = &batch->batch;
    must(b->number == h->newest + 1);
    must(b->now_ms >= h->newest_ms);
    int64_t at_ms = h->newest_ms;
    for (uint32_t i = 0; i < b->count; i++) {
        must(b->records[i].at_ms >= at_ms);
        must(b->records[i].at_ms <= b->now_ms);
        at_ms = b->records[i].at_ms;
        h->name_count += b->records[i].type == RECORD_NAME;
    }
    if (b->count > 0)
        must(b->now_ms - b->records[0].at_ms <= COMMITTER_SPAN_MS);
    uint32_t first = batch->part_count ? 0 : b->count;
    for (uint32_t i = 0; i < batch->part_count; i++) {
        must(batch->parts[i].first == first);
        first += batch->parts[i].count;
        h->committed_count[(uintptr_t)batch->parts[i].token]++;
        h->settled_count++;
    }
    must(first == b->count);
    h->newest = b->number;
    h->newest_ms = b->now_ms;
    h->record_count += b->count;
    h->part_counts[h->batch_count++] = batch->part_count;
}

static void give_back(struct host *h, struct committed *batch)
{
    if (h->gives_results) {
        char text[32];
        snprintf(text, sizeof(text), "results %u", (unsigned)batch->batch.number);
        committer_results(h->c, batch->batch.number, str_of(text));
    }
    committer_release(h->c, batch);
}

static void host_committed(void *context, struct committed *batch)
{
    struct host *h = context;
    os_mutex_lock(&h->mutex);
    check_batch(h, batch);
    bool releases = h->releases_at_once;
    if (!releases)
        h->held[h->held_count++] = batch;
    os_cond_wake_all(&h->changed);
    os_mutex_unlock(&h->mutex);
    if (releases)
        give_back(h, batch);
}

static void host_refused(void *context, void *which, enum status why, const struct fault *f)
{
    struct host *h = context;
    must(f->text[0] != '\0');
    os_mutex_lock(&h->mutex);
    h->refused_count[(uintptr_t)which]++;
    h->refused_why[(uintptr_t)which] = why;
    h->settled_count++;
    os_cond_wake_all(&h->changed);
    os_mutex_unlock(&h->mutex);
}

static void host_failed(void *context, const struct fault *f)
{
    struct host *h = context;
    must(f->text[0] != '\0');
    os_mutex_lock(&h->mutex);
    h->failed_count++;
    os_cond_wake_all(&h->changed);
    os_mutex_unlock(&h->mutex);
}

static int begin(void **state)
{
    struct host *h = mem_new(sizeof(*h));
    os_mutex_init(&h->mutex);
    os_cond_init(&h->changed);
    h->now_ms = 1000;
    h->newest_ms = INT64_MIN;
    h->fake = fake_disk_new(1);
    struct evlog_options options = {
        .disk = fake_disk_of(h->fake),
        .segment_bytes = 16384,
        .spare = EVLOG_SPARE_BY_CALLER,
    };
    struct committer_host callbacks = {h, host_now, host_committed, host_refused, host_failed};
    *state = h;
    return evlog_open(FIXTURE_DIR, &options, &h->log, NULL) != OK ||
           committer_start(h->log, &callbacks, &h->c, NULL) != OK;
}

static void stop(struct host *h)
{
    committer_stop(h->c);
    h->c = NULL;
}

static int end(void **state)
{
    struct host *h = *state;
    evlog_free(h->log);
    fake_disk_free(h->fake);
    os_cond_fini(&h->changed);
    os_mutex_fini(&h->mutex);
    mem_free(h);
    return 0;
}

static void wait_settled(struct host *h, uint32_t count)
{
    os_mutex_lock(&h->mutex);
    while (h->settled_count < count)
        os_cond_wait(&h->changed, &h->mutex);
    os_mutex_unlock(&h->mutex);
}

static void release_held(struct host *h, bool from_now_on)
{
    os_mutex_lock(&h->mutex);
    struct committed *held[COMMITTER_BATCHES_MAX];
    uint32_t count = h->held_count;
    memcpy(held, h->held, sizeof(held));
    h->held_count = 0;
    h->releases_at_once = from_now_on;
    os_mutex_unlock(&h->mutex);
    for (uint32_t i = 0; i < count; i++)
        give_back(h, held[i]);
}

static enum status push(struct host *h, uintptr_t number, struct record *records, uint32_t count,
                        bool is_priority)
{
    struct committer_entry entry = {records, count, is_priority, token(number), false};
    return committer_push(h->c, &entry);
}

static enum status push_patient(struct host *h, uintptr_t number, struct record *records,
                                uint32_t count)
{
    struct committer_entry entry = {records, count, true, token(number), true};
    return committer_push(h->c, &entry);
}

/* All batches in the host's hands, so that what is pushed now stays queued. */
static void stall(struct host *h, struct record *records)
{
    for (uint32_t i = 0; i < COMMITTER_BATCHES_MAX; i++) {
        assert_int_equal(push(h, i, records, 1, false), OK);
        wait_settled(h, i + 1);
    }
}

/* The log's batches in number, and whether each has the results that the host gave. */
static uint64_t count_batches(struct host *h, uint32_t *record_count, uint64_t *results_count)
{
    struct evlog_reader *r;
    struct evlog_item item;
    uint64_t newest = 0;
    *record_count = 0;
    *results_count = 0;
    assert_int_equal(evlog_reader_open(fake_disk_of(h->fake), FIXTURE_DIR, 1, &r, NULL), OK);
    for (;;) {
        assert_int_equal(evlog_reader_next(r, &item, NULL), OK);
        if (item.kind == EVLOG_END)
            break;
        if (item.kind == EVLOG_BATCH) {
            newest = item.number;
            *record_count += item.batch.count;
        } else {
            char text[32];
            snprintf(text, sizeof(text), "results %u", (unsigned)item.number);
            assert_true(str_is(item.results, text));
            (*results_count)++;
        }
    }
    evlog_reader_close(r);
    return newest;
}

#define PRODUCERS       4
#define PRODUCER_PUSHES 500

struct producer {
    struct host *host;
    uint32_t index;
    uint32_t record_count;
};

static void produce(void *context)
{
    struct producer *p = context;
    struct record records[3] = {{.type = RECORD_EVENT}, {.type = RECORD_EVENT}};
    records[2] = (struct record){.type = RECORD_TICK};
    for (uint32_t i = 0; i < PRODUCER_PUSHES; i++) {
        uint32_t count = i % 4;
        while ((i % 3 == 1
                    ? push_patient(p->host, p->index * PRODUCER_PUSHES + i, records, count)
                    : push(p->host, p->index * PRODUCER_PUSHES + i, records, count, false)) != OK)
            continue;
        p->record_count += count;
        os_mutex_lock(&p->host->mutex);
        p->host->now_ms += i % 7;
        os_mutex_unlock(&p->host->mutex);
    }
    wait_settled(p->host, PRODUCERS * PRODUCER_PUSHES); /* the records are ours: keep them */
}

static void each_entry_of_many_producers_is_in_the_log_once(void **state)
{
    struct host *h = *state;
    struct producer producers[PRODUCERS];
    struct os_thread threads[PRODUCERS];
    h->releases_at_once = true;
    h->gives_results = true;
    for (uint32_t i = 0; i < PRODUCERS; i++) {
        producers[i] = (struct producer){h, i, 0};
        assert_int_equal(os_thread_start(&threads[i], "producer", produce, &producers[i], NULL),
                         OK);
    }
    uint32_t record_count = 0;
    for (uint32_t i = 0; i < PRODUCERS; i++) {
        os_thread_join(&threads[i]);
        record_count += producers[i].record_count;
    }
    stop(h);
    for (uint32_t i = 0; i < PRODUCERS * PRODUCER_PUSHES; i++) {
        assert_int_equal(h->committed_count[i], 1);
        assert_int_equal(h->refused_count[i], 0);
    }
    uint32_t in_log;
    uint64_t with_results;
    assert_true(count_batches(h, &in_log, &with_results) == h->batch_count);
    assert_int_equal(in_log, record_count);
    assert_int_equal(h->record_count, record_count);
    assert_true(with_results == h->batch_count);
}

static void what_comes_together_is_one_batch_of_at_most_fifty_milliseconds(void **state)
{
    struct host *h = *state;
    struct record r = {.type = RECORD_EVENT};
    static const int64_t times_ms[] = {2000, 2020, 2050, 2051, 2060, 2040, 2200, 1500};
    stall(h, &r);
    for (uint32_t i = 0; i < array_count(times_ms); i++) {
        os_mutex_lock(&h->mutex);
        h->now_ms = times_ms[i];
        os_mutex_unlock(&h->mutex);
        assert_int_equal(push(h, 100 + i, &r, 1, false), OK);
    }
    release_held(h, true);
    wait_settled(h, COMMITTER_BATCHES_MAX + array_count(times_ms));
    stop(h);
    /* {2000 2020 2050} {2051 2060 2060} {2200 2200}: where the clock goes back, time stands still. */
    assert_int_equal(h->batch_count, COMMITTER_BATCHES_MAX + 3);
    assert_int_equal(h->part_counts[COMMITTER_BATCHES_MAX], 3);
    assert_int_equal(h->part_counts[COMMITTER_BATCHES_MAX + 1], 3);
    assert_int_equal(h->part_counts[COMMITTER_BATCHES_MAX + 2], 2);
    assert_true(h->newest_ms == 2200);
}

static void a_full_queue_refuses_and_keeps_room_for_priority(void **state)
{
    struct host *h = *state;
    struct record r = {.type = RECORD_EVENT};
    stall(h, &r);
    uint32_t pushed = 0;
    while (push(h, 100, &r, 1, false) == OK)
        pushed++;
    assert_int_equal(pushed, COMMITTER_ENTRIES_MAX - COMMITTER_ENTRIES_MAX / 8);
    while (push(h, 101, &r, 1, true) == OK)
        pushed++;
    assert_int_equal(pushed, COMMITTER_ENTRIES_MAX);
    release_held(h, true);
    wait_settled(h, COMMITTER_BATCHES_MAX + COMMITTER_ENTRIES_MAX);
    assert_int_equal(push(h, 102, &r, 1, false), OK);
    stop(h);
    assert_int_equal(h->record_count, COMMITTER_BATCHES_MAX + COMMITTER_ENTRIES_MAX + 1);
    assert_int_equal(h->committed_count[102], 1);
}

static void the_bytes_that_wait_are_bounded_too(void **state)
{
    struct host *h = *state;
    uint8_t *bytes = mem_new(60000);
    static struct record records[256];
    for (uint32_t i = 0; i < 256; i++)
        records[i] = (struct record){.type = RECORD_EVENT, .personal = {bytes, 60000}};
    stall(h, &records[0]);
    uint32_t pushed = 0;
    while (push(h, 100, records, 64, false) == OK)
        pushed++;
    assert_int_equal(pushed, COMMITTER_BYTES_MAX / 8 * 7 / (64 * (60000 + sizeof(struct record))));
    release_held(h, true);
    stop(h);
    assert_int_equal(h->committed_count[100], pushed);
    assert_int_equal(h->record_count, pushed * 64 + COMMITTER_BATCHES_MAX);
    mem_free(bytes);
}

static void a_batch_holds_no_more_records_than_it_may(void **state)
{
    struct host *h = *state;
    static struct record records[BATCH_RECORDS_MAX];
    for (uint32_t i = 0; i < BATCH_RECORDS_MAX; i++)
        records[i] = (struct record){.type = RECORD_TICK};
    stall(h, records);
    assert_int_equal(push(h, 100, records, BATCH_RECORDS_MAX - 1, false), OK);
    assert_int_equal(push(h, 101, records, 1, false), OK);
    assert_int_equal(push(h, 102, records, 1, false), OK);
    assert_int_equal(push(h, 103, records, BATCH_RECORDS_MAX, false), OK);
    release_held(h, true);
    wait_settled(h, COMMITTER_BATCHES_MAX + 4);
    stop(h);
    assert_int_equal(h->batch_count, COMMITTER_BATCHES_MAX + 3);
    assert_int_equal(h->part_counts[COMMITTER_BATCHES_MAX], 2);
    assert_int_equal(h->part_counts[COMMITTER_BATCHES_MAX + 1], 1);
    assert_int_equal(h->part_counts[COMMITTER_BATCHES_MAX + 2], 1);
}

static void a_full_disk_refuses_the_ordinary_and_names_survive(void **state)
{
    struct host *h = *state;
    struct arena a;
    arena_init(&a, 4096);
    struct record r = {.type = RECORD_EVENT};
    h->releases_at_once = true;
    assert_int_equal(push(h, 0, &r, 1, false), OK);
    wait_settled(h, 1);
    while (evlog_wants_prepare(h->log)) /* one spare there is; no other can be made */
        continue;
    fake_disk_set_capacity(h->fake, 0);
    uint32_t pushed = 1;
    struct record big = {.type = RECORD_EVENT, .personal = {arena_zalloc(&a, 3000), 3000}};
    do {
        assert_int_equal(push(h, pushed++, &big, 1, false), OK);
        wait_settled(h, pushed);
    } while (h->refused_count[pushed - 1] == 0);
    assert_true(pushed > 2);
    assert_int_equal(h->refused_why[pushed - 1], TRY_AGAIN);
    assert_int_equal(push(h, pushed++, &r, 1, true), OK);
    wait_settled(h, pushed);
    assert_int_equal(h->committed_count[pushed - 1], 1);

    /* An ordinary entry brings names and is refused; the next one uses the name after them. */
    uint32_t next = NAME_FIXED_END;
    struct record first[2] = {name_record(&a, next, "one", 0), name_record(&a, next + 1, "two", 0)};
    assert_int_equal(push(h, pushed++, first, 2, false), OK);
    wait_settled(h, pushed);
    assert_int_equal(h->refused_why[pushed - 1], TRY_AGAIN);
    memset(first, 0xee, sizeof(first)); /* it is ours again */
    struct record second = name_record(&a, next + 2, "three", 0);
    assert_int_equal(push(h, pushed++, &second, 1, true), OK);
    wait_settled(h, pushed);
    assert_int_equal(h->committed_count[pushed - 1], 1);

    /* Room again. */
    fake_disk_set_capacity(h->fake, UINT64_MAX);
    do {
        assert_int_equal(push(h, pushed++, &big, 1, false), OK);
        wait_settled(h, pushed);
    } while (h->refused_count[pushed - 1] != 0);
    stop(h);
    assert_int_equal(h->name_count, 3);
    assert_true(str_is(names_text(evlog_names(h->log), next), "one"));
    assert_true(str_is(names_text(evlog_names(h->log), next + 2), "three"));
    assert_int_equal(h->failed_count, 0);
    arena_fini(&a);
}

static void a_write_that_meets_a_full_disk_is_refused_whole(void **state)
{
    struct host *h = *state;
    struct arena a;
    arena_init(&a, 4096);
    uint32_t next = NAME_FIXED_END;
    struct record r = {.type = RECORD_EVENT};
    struct record names[2] = {name_record(&a, next, "one", 0), name_record(&a, next + 1, "two", 0)};
    h->releases_at_once = true;
    assert_int_equal(push(h, 0, &r, 1, false), OK);
    wait_settled(h, 1);
    while (evlog_wants_prepare(h->log)) /* so that the next call is the commit's */
        continue;
    fake_disk_fail_at(h->fake, fake_disk_calls(h->fake) + 1, FAKE_FULL);
    assert_int_equal(push(h, 1, names, 2, false), OK);
    wait_settled(h, 2);
    assert_int_equal(h->refused_why[1], TRY_AGAIN);
    assert_int_equal(push(h, 2, &r, 1, false), OK);
    wait_settled(h, 3);
    stop(h);
    assert_int_equal(h->committed_count[2], 1);
    assert_int_equal(h->name_count, 2);
    assert_int_equal(names_count(evlog_names(h->log)), next + 2);
    arena_fini(&a);
}

static void a_record_that_cannot_be_written_is_refused_alone(void **state)
{
    struct host *h = *state;
    struct arena a;
    arena_init(&a, 4096);
    uint32_t next = NAME_FIXED_END;
    struct record good = {.type = RECORD_EVENT};
    struct record bad[4] = {good, name_record(&a, next, "one", 0), good, good};
    bad[2].clear = (struct body){arena_zalloc(&a, RECORD_BYTES_MAX), RECORD_BYTES_MAX};
    struct record after[2] = {good, name_record(&a, next + 1, "two", 0)};
    stall(h, &good);
    assert_int_equal(push(h, 10, &good, 1, false), OK);
    assert_int_equal(push(h, 11, bad, 4, false), OK);
    assert_int_equal(push(h, 12, after, 2, false), OK);
    assert_int_equal(push(h, 13, &good, 0, false), OK);
    release_held(h, true);
    wait_settled(h, COMMITTER_BATCHES_MAX + 4);
    stop(h);
    assert_int_equal(h->committed_count[10], 1);
    assert_int_equal(h->refused_count[11], 1);
    assert_int_equal(h->refused_why[11], FIX_INPUT);
    assert_int_equal(h->committed_count[12], 1);
    assert_int_equal(h->committed_count[13], 1);
    assert_int_equal(h->name_count, 2);
    arena_fini(&a);
}

static void a_dead_disk_is_told_once_and_lets_nobody_in(void **state)
{
    struct host *h = *state;
    struct record r = {.type = RECORD_EVENT};
    h->releases_at_once = true;
    h->gives_results = true;
    assert_int_equal(push(h, 0, &r, 1, false), OK);
    wait_settled(h, 1);
    while (evlog_wants_prepare(h->log))
        continue;
    fake_disk_fail_at(h->fake, fake_disk_calls(h->fake) + 2, FAKE_EIO);
    assert_int_equal(push(h, 1, &r, 1, false), OK);
    wait_settled(h, 2);
    assert_int_equal(h->refused_why[1], GIVE_UP);
    os_mutex_lock(&h->mutex);
    while (h->failed_count == 0)
        os_cond_wait(&h->changed, &h->mutex);
    os_mutex_unlock(&h->mutex);
    assert_int_equal(push(h, 2, &r, 1, true), GIVE_UP);
    stop(h);
    assert_int_equal(h->failed_count, 1);
    assert_int_equal(h->settled_count, 2);
}

static void results_are_written_without_another_entry(void **state)
{
    struct host *h = *state;
    struct record r = {.type = RECORD_EVENT};
    h->gives_results = true;
    assert_int_equal(push(h, 0, &r, 1, false), OK);
    wait_settled(h, 1);
    release_held(h, true);
    uint32_t records;
    uint64_t results = 0;
    while (results == 0) /* comes by itself, or the test does not end */
        count_batches(h, &records, &results);
    stop(h);
}

/* Each of these waits ends, or the test does not. */
static void a_patient_entry_waits_for_the_host_and_not_for_ever(void **state)
{
    struct host *h = *state;
    struct record r = {.type = RECORD_RECEIPT};
    assert_int_equal(push_patient(h, 0, &r, 1), OK); /* nothing is with the host: at once */
    wait_settled(h, 1);
    assert_int_equal(push_patient(h, 1, &r, 1),
                     OK); /* the host keeps its batch: late, but it goes */
    wait_settled(h, 2);
    release_held(h, false);
    assert_int_equal(push_patient(h, 2, &r, 1), OK);
    wait_settled(h, 3);
    assert_int_equal(push_patient(h, 3, &r, 1), OK);
    release_held(h, true); /* who gives the last batch back sees to it */
    wait_settled(h, 4);
    stop(h);
    for (uint32_t i = 0; i < 4; i++)
        assert_int_equal(h->committed_count[i], 1);
}

static void an_urgent_entry_takes_the_patient_ones_along(void **state)
{
    struct host *h = *state;
    struct record r = {.type = RECORD_RECEIPT};
    stall(h, &r);
    for (uint32_t i = 0; i < 5; i++)
        assert_int_equal(push_patient(h, 100 + i, &r, 1), OK);
    assert_int_equal(push(h, 105, &r, 1, false), OK);
    release_held(h, true);
    wait_settled(h, COMMITTER_BATCHES_MAX + 6);
    stop(h);
    assert_int_equal(h->batch_count, COMMITTER_BATCHES_MAX + 1);
    assert_int_equal(h->part_counts[COMMITTER_BATCHES_MAX], 6);
}

static void patient_entries_are_written_before_the_end(void **state)
{
    struct host *h = *state;
    struct record r = {.type = RECORD_RECEIPT};
    h->releases_at_once = true;
    for (uint32_t i = 0; i < 50; i++)
        assert_int_equal(push_patient(h, i, &r, 1), OK);
    stop(h);
    assert_int_equal(h->settled_count, 50);
    for (uint32_t i = 0; i < 50; i++)
        assert_int_equal(h->committed_count[i], 1);
}

#define HOSTED(sentence, function)           \
    {                                        \
        sentence, function, begin, end, NULL \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
        HOSTED("each entry of many producers is in the log once, with results",
               each_entry_of_many_producers_is_in_the_log_once),
        HOSTED("what comes together is one batch of at most fifty milliseconds",
               what_comes_together_is_one_batch_of_at_most_fifty_milliseconds),
        HOSTED("a full queue refuses and keeps room for priority",
               a_full_queue_refuses_and_keeps_room_for_priority),
        HOSTED("the bytes that wait are bounded, too", the_bytes_that_wait_are_bounded_too),
        HOSTED("a batch holds no more records than it may",
               a_batch_holds_no_more_records_than_it_may),
        HOSTED("a full disk refuses the ordinary, and names survive",
               a_full_disk_refuses_the_ordinary_and_names_survive),
        HOSTED("a write that meets a full disk is refused whole",
               a_write_that_meets_a_full_disk_is_refused_whole),
        HOSTED("a record that cannot be written is refused alone",
               a_record_that_cannot_be_written_is_refused_alone),
        HOSTED("a dead disk is told once and lets nobody in",
               a_dead_disk_is_told_once_and_lets_nobody_in),
        HOSTED("a patient entry waits for the host, and not for ever",
               a_patient_entry_waits_for_the_host_and_not_for_ever),
        HOSTED("an urgent entry takes the patient ones along",
               an_urgent_entry_takes_the_patient_ones_along),
        HOSTED("patient entries are written before the end",
               patient_entries_are_written_before_the_end),
        HOSTED("results are written without another entry",
               results_are_written_without_another_entry),
    };
    return cmocka_run_group_tests_name("evlog/committer", tests, NULL, NULL);
}
