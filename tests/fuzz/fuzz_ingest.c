/* fuzz_ingest.c - bytes as a request of the tracking API, as NDJSON, as CSV and as a request's target.
 *
 * The first byte says which. Whatever comes, records must be whole (body_check), a body must not have a
 * name twice, and cutting a file in two must not change what it says.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "http/http_int.h"
#include "ingest/import.h"
#include "ingest/ingest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct tools {
    struct vocabulary *vocabulary;
    struct ingest *ingest;
    struct ingest_worker *worker;
    struct ingest_batch batch;
};

static void tools_init(struct tools *t)
{
    static const uint8_t secret[IDENTIFIER_SECRET_BYTES] = {1};
    static const struct ingest_key keys[] = {{{"k", 1}, {"web", 3}, 0}};
    t->vocabulary = vocabulary_new(50);
    t->ingest = ingest_new(&(struct ingest_options){.vocabulary = t->vocabulary, .secret = secret});
    must(ingest_set_keys(t->ingest, keys, 1, NULL) == OK);
    t->worker = ingest_worker_new(t->ingest);
    ingest_batch_init(&t->batch);
}

static void tools_fini(struct tools *t)
{
    ingest_batch_fini(&t->batch);
    ingest_worker_free(t->worker);
    ingest_free(t->ingest);
    vocabulary_free(t->vocabulary);
}

static void check_names(struct body a, struct body b)
{
    struct body_field field, other;
    while (body_next(&a, &field)) {
        must(!body_find(a, field.name, &other));
        must(!body_find(b, field.name, &other));
    }
}

static uint64_t check_records(const struct tools *t)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < t->batch.record_count; i++) {
        const struct record *r = &t->batch.records[i];
        must(body_check(r->clear));
        must(body_check(r->personal));
        must(r->message_hash != 0);
        must(id128_is_set(r->user) || id128_is_set(r->anonymous));
        must(r->event_ms >= 0);
        must(r->event_ms <= r->arrival_ms);
        must(r->clear.bytes + r->personal.bytes < RECORD_BYTES_MAX);
        check_names(r->personal, r->clear);
        check_names(r->clear, r->personal);
        sum += r->message_hash;
    }
    return sum;
}

static void try_request(struct tools *t, uint8_t choice, struct str body)
{
    struct ingest_request request = {
        .route = (enum ingest_route)(choice % (INGEST_ALIAS + 1)),
        .body = body,
        .has_auth_key = (choice & 64) == 0,
        .auth_key = STR("k"),
        .arrival_ms = INT64_C(1795290820000),
    };
    struct buf answer;
    buf_init(&answer);
    enum ingest_error error = ingest_parse(t->worker, &request, &t->batch);
    must(error == INGEST_FINE || t->batch.record_count == 0);
    must(t->batch.record_count + t->batch.rejected_count == t->batch.event_count);
    uint64_t sum = check_records(t);
    ingest_answer_write(error, &t->batch, &answer);
    must(str_is_utf8(buf_str(&answer)));
    buf_fini(&answer);
    /* the same again is the same: resent batches are recognised */
    must(ingest_parse(t->worker, &request, &t->batch) == error);
    must(check_records(t) == sum);
}

static void ignore(void *context, uint64_t line, struct str field, struct str message)
{
    (void)context;
    (void)line;
    must(str_is_utf8(message));
    must(field.len < 100000);
}

/* Good events and the sum of their hashes, with the file cut after `cut` bytes. */
static uint64_t try_file(struct tools *t, enum import_format format, struct str text, size_t cut,
                         struct import_position *end)
{
    static const struct import_column columns[] = {
        {.column = {"u", 1}, .target = IMPORT_USER_ID},
        {.constant = {"E", 1}, .target = IMPORT_EVENT},
        {.column = {"t", 1}, .target = IMPORT_TIMESTAMP},
    };
    static const struct import_mapping mapping = {
        .kind = EVENT_TRACK, .columns = columns, .column_count = 3};
    struct import_options options = {
        .format = format, .mapping = &mapping, .source = {.name = 1}, .events_max = 7};
    struct import *im;
    uint64_t sum = 0;
    size_t from = 0;
    size_t to = min_of(cut, text.len);
    must(import_new(&options, t->worker, ignore, NULL, &im, NULL) == OK);
    for (;;) {
        bool is_end = to == text.len;
        size_t taken;
        if (import_feed(im, str_part(text, from, to - from), is_end, 1795290820000, &t->batch,
                        &taken, NULL) != OK)
            break;
        sum += check_records(t);
        from += taken;
        if (is_end && from == text.len)
            break;
        must(!is_end || taken > 0);
        if (taken == 0)
            to = text.len;
    }
    *end = import_position(im);
    import_free(im);
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    struct tools t;
    struct str text = {(const char *)data + 2, size - 2};
    tools_init(&t);
    switch (data[0] % 4) {
    case 0:
    case 1: try_request(&t, data[1], text); break;
    case 2: {
        enum import_format format = data[1] & 1 ? IMPORT_CSV : IMPORT_NDJSON;
        struct import_position whole, parts;
        uint64_t sum = try_file(&t, format, text, SIZE_MAX, &whole);
        must(try_file(&t, format, text, data[1], &parts) == sum);
        must(whole.good == parts.good);
        must(whole.bad == parts.bad);
        break;
    }
    case 3: {
        struct arena arena;
        struct str path, query, out, password;
        arena_init(&arena, 1024);
        if (http_target_parse(text, &arena, &path, &query) == HTTP_FINE) {
            must(str_is_utf8(path));
            must(str_find(path, STR("//"), 0) == SIZE_MAX);
            must(str_find(path, STR("/../"), 0) == SIZE_MAX);
            must(str_find(path, (struct str){"", 1}, 0) == SIZE_MAX);
            http_query_find(query, STR("a"), &arena, &out);
        }
        http_auth_parse(text, &arena, &out, &password);
        struct buf plain;
        buf_init(&plain);
        if (http_unzip(text, 100000, &plain) == HTTP_FINE)
            must(plain.len <= 100000);
        buf_fini(&plain);
        arena_fini(&arena);
        break;
    }
    }
    tools_fini(&t);
    return 0;
}
