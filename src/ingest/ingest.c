/* ingest.c - who may send, and the tools of a thread.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/mem.h"
#include "ingest/ingest_int.h"

const struct ingest_error_row *ingest_error_row(enum ingest_error error)
{
    static const struct ingest_error_row rows[] = {
        {"", 200, "", ""},
#define ERROR(symbol, code, status, sentence, advice) {code, status, sentence, advice},
#include "ingest/errors.def"
#undef ERROR
    };
    must(error > INGEST_FINE);
    must(error < INGEST_ERROR_END);
    return &rows[error];
}

struct ingest *ingest_new(const struct ingest_options *options)
{
    must(options->vocabulary != NULL);
    must(options->secret != NULL);
    struct ingest *in = mem_new(sizeof(*in));
    in->vocabulary = options->vocabulary;
    memcpy(in->secret, options->secret, sizeof(in->secret));
    arena_init(&in->arena, 1024);
    map_str_init(&in->publics, &in->arena);
    os_mutex_init(&in->lock);
    return in;
}

void ingest_free(struct ingest *in)
{
    if (in == NULL)
        return;
    explicit_bzero(in->secret, sizeof(in->secret));
    map_str_fini(&in->publics);
    arena_fini(&in->arena);
    os_mutex_fini(&in->lock);
    mem_free(in->keys);
    mem_free(in);
}

static struct key_slot *key_slot(struct key_slot *slots, uint32_t slot_count, struct id128 key)
{
    uint32_t slot = (uint32_t)key.low & (slot_count - 1);
    while (id128_is_set(slots[slot].key) && !id128_equal(slots[slot].key, key))
        slot = (slot + 1) & (slot_count - 1);
    return &slots[slot];
}

enum status ingest_set_keys(struct ingest *in, const struct ingest_key *keys, size_t count,
                            struct fault *f)
{
    uint32_t slot_count = 16;
    while (slot_count < count * 2)
        slot_count *= 2;
    struct key_slot *slots = mem_new(slot_count * sizeof(slots[0]));
    for (size_t i = 0; i < count; i++) {
        const struct ingest_key *key = &keys[i];
        if (key->key.len == 0 || key->key.len > INGEST_KEY_MAX) {
            fault_set(f, "source \"%.*s\": its write key must have 1 to %d bytes",
                      STR_ARG(key->source), INGEST_KEY_MAX);
            goto refused;
        }
        uint32_t name = vocabulary_add(in->vocabulary, key->source, 0);
        if (name == NAME_NONE) {
            fault_set(f, "source \"%.*s\": its name must have 1 to %d bytes of UTF-8",
                      STR_ARG(str_part(key->source, 0, 64)), NAME_BYTES_MAX);
            goto refused;
        }
        struct id128 id = hash_id(key->key, in->secret, sizeof(in->secret));
        struct key_slot *slot = key_slot(slots, slot_count, id);
        if (id128_is_set(slot->key)) {
            fault_set(f, "source \"%.*s\": its write key belongs to another source too",
                      STR_ARG(key->source));
            goto refused;
        }
        slot->key = id;
        slot->source.name = name;
        if (key->flags & INGEST_KEY_SERVER)
            slot->source.flags |= RECORD_IS_SERVER;
        if (key->flags & INGEST_KEY_BATCH)
            slot->source.flags |= RECORD_IS_BATCH;
    }
    os_mutex_lock(&in->lock);
    struct key_slot *old = in->keys;
    in->keys = slots;
    in->key_slot_count = slot_count;
    os_mutex_unlock(&in->lock);
    mem_free(old);
    return OK;

refused:
    mem_free(slots);
    return FIX_INPUT;
}

bool ingest_find_key(struct ingest *in, struct str key, struct ingest_source *out)
{
    /* compared by keyed hash, so how long it takes says nothing about how much of it was right */
    bool is_found = false;
    struct id128 id = hash_id(str_part(key, 0, INGEST_KEY_MAX), in->secret, sizeof(in->secret));
    os_mutex_lock(&in->lock);
    if (in->keys != NULL) {
        const struct key_slot *slot = key_slot(in->keys, in->key_slot_count, id);
        is_found = id128_is_set(slot->key) && key.len <= INGEST_KEY_MAX;
        if (is_found)
            *out = slot->source;
    }
    os_mutex_unlock(&in->lock);
    return is_found;
}

void ingest_declare_public(struct ingest *in, struct str path)
{
    map_str_intern(&in->publics, path);
}

struct ingest_worker *ingest_worker_new(struct ingest *in)
{
    struct ingest_worker *w = mem_new(sizeof(*w));
    w->in = in;
    w->parser = json_parser_new(INGEST_BODY_MAX);
    memcpy(w->minute.text, "1970-01-01T00:00:", MINUTE_BYTES); /* is 0 */
    arena_init(&w->arena, 16384);
    buf_init(&w->clear);
    buf_init(&w->list);
    buf_init(&w->rest);
    buf_init(&w->numbers);
    places_reset(w);
    return w;
}

void ingest_worker_free(struct ingest_worker *w)
{
    if (w == NULL)
        return;
    json_parser_free(w->parser);
    arena_fini(&w->arena);
    mem_free(w->places);
    mem_free(w->slots);
    mem_free(w->stamps);
    buf_fini(&w->clear);
    buf_fini(&w->list);
    buf_fini(&w->rest);
    buf_fini(&w->numbers);
    mem_free(w);
}

/* --- Batches --------------------------------------------------------------------------------------- */

void ingest_batch_init(struct ingest_batch *batch)
{
    *batch = (struct ingest_batch){0};
    buf_init(&batch->bytes);
}

void ingest_batch_fini(struct ingest_batch *batch)
{
    buf_fini(&batch->bytes);
    mem_free(batch->records);
    mem_free(batch->problems);
    *batch = (struct ingest_batch){0};
}

void ingest_batch_reset(struct ingest_batch *batch)
{
    batch->bytes.len = 0;
    batch->record_count = 0;
    batch->sealed_count = 0;
    batch->event_count = 0;
    batch->rejected_count = 0;
    batch->junk_id_count = 0;
    batch->unnamed_count = 0;
    batch->problem_count = 0;
    batch->detail[0] = 0;
}

struct record *batch_record(struct ingest_batch *batch)
{
    if (batch->record_count == batch->record_room) {
        batch->record_room = max_of(batch->record_room * 2, 64u);
        batch->records = mem_resize(batch->records, batch->record_room * sizeof(batch->records[0]));
    }
    return &batch->records[batch->record_count++];
}

void ingest_batch_seal(struct ingest_batch *batch)
{
    must(batch->sealed_count == 0);
    for (uint32_t i = 0; i < batch->record_count; i++) {
        struct record *r = &batch->records[i];
        size_t personal_at = (size_t)r->personal.at;
        size_t clear_at = (size_t)r->clear.at;
        must(personal_at + r->personal.bytes == clear_at);
        must(clear_at + r->clear.bytes <= batch->bytes.len);
        r->personal.at = batch->bytes.at + personal_at;
        r->clear.at = batch->bytes.at + clear_at;
        must_slow(body_check(r->personal));
        must_slow(body_check(r->clear));
    }
    batch->sealed_count = batch->record_count;
}

void batch_problem(struct ingest_batch *batch, uint32_t index, enum ingest_error error,
                   const char *field)
{
    if (batch->problems == NULL)
        batch->problems = mem_new(INGEST_PROBLEMS_MAX * sizeof(batch->problems[0]));
    if (batch->problem_count == INGEST_PROBLEMS_MAX)
        return;
    struct ingest_problem *p = &batch->problems[batch->problem_count++];
    *p = (struct ingest_problem){.index = index, .error = error};
    field_set(p->field, str_of(field), STR(""));
}
