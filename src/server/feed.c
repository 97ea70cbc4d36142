/* feed.c - what goes into the log, and the names that have to be there before it.
 *
 * A name gets its number in the vocabulary while a request is parsed, on whatever thread. Whoever then
 * pushes looks whether there are numbers that nobody has pushed yet, and if so pushes their records
 * first, under one lock. The queue is first in, first out, so a name is always in front of what
 * uses it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "server/server_int.h"

#include "base/mem.h"

#define NAMES_PER_ENTRY 4096
#define CLOCKS_APART_MS 1000 /* arrival times come from the real clock; ours may be elsewhere */

struct entry *entry_new(enum entry_kind kind, uint32_t count)
{
    struct entry *e = mem_new(sizeof(*e));
    *e = (struct entry){.kind = kind, .count = count};
    arena_init(&e->arena, 1024);
    if (count > 0)
        e->records = arena_array(&e->arena, struct record, count);
    for (uint32_t i = 0; i < count; i++)
        e->records[i].schema = RECORD_SCHEMA;
    return e;
}

void entry_free(struct entry *e)
{
    if (e == NULL)
        return;
    arena_fini(&e->arena);
    mem_free(e);
}

struct body entry_body(struct entry *e, struct buf *bytes)
{
    struct str kept = arena_copy(&e->arena, buf_str(bytes));
    buf_fini(bytes);
    return (struct body){(const uint8_t *)kept.at, (uint32_t)kept.len};
}

/* Does the event say "no"? Most are told by their names, without a look at what they say. */
static bool is_no(const struct record *r)
{
    if (r->type != RECORD_EVENT || r->kind != EVENT_TRACK)
        return false;
    if (r->name != NAME_CONSENT_CHANGED)
        return r->name == NAME_UNSUBSCRIBED || r->name == NAME_MESSAGE_COMPLAINED;
    struct value status = record_get(r, NAME_STATUS, NULL);
    return status.type == VALUE_TEXT && !str_is(status.text, "granted");
}

/* A request that only says "no": it gets in also when the disk is full, by the log's reserve. */
static bool is_refusal(const struct entry *e)
{
    for (uint32_t i = 0; i < e->count; i++)
        if (!is_no(&e->records[i]))
            return false;
    return e->count > 0;
}

static enum status push(struct server *s, struct entry *e)
{
    struct committer_entry entry = {
        .records = e->records,
        .count = e->count,
        .is_priority = e->kind != ENTRY_EVENTS || is_refusal(e),
        .token = e,
        .is_patient = e->kind == ENTRY_RECEIPT,
    };
    return committer_push(s->committer, &entry);
}

/* The records of the names [first, end). */
static struct entry *names_entry(struct server *s, uint32_t first, uint32_t end)
{
    struct entry *e = entry_new(ENTRY_NAMES, end - first);
    int64_t now_ms = server_now_ms(s);
    for (uint32_t name = first; name < end; name++)
        e->records[name - first] = vocabulary_record(s->vocabulary, name, now_ms, &e->arena);
    return e;
}

static enum status push_names(struct server *s)
{
    uint32_t count = vocabulary_count(s->vocabulary);
    if (atomic_load(&s->names_in_log) >= count)
        return OK;
    enum status status = OK;
    os_mutex_lock(&s->names_lock);
    uint32_t first = atomic_load(&s->names_in_log);
    while (status == OK && first < count) {
        uint32_t end = min_of(count, first + NAMES_PER_ENTRY);
        struct entry *e = names_entry(s, first, end);
        status = push(s, e);
        if (status == OK)
            atomic_store(&s->names_in_log, first = end);
        else
            entry_free(e);
    }
    os_mutex_unlock(&s->names_lock);
    return status;
}

enum status feed_push(struct server *s, struct entry *e)
{
    enum status status = push_names(s);
    return status == OK ? push(s, e) : status;
}

/* Where the real clock has jumped and ours has not followed, times that were read off it are moved by the
 * difference: an event is not from the future because somebody set the clock. */
static void move_times(struct server *s, struct ingest_batch *batch)
{
    if (batch->record_count == 0)
        return;
    int64_t ahead_ms = batch->records[0].arrival_ms - server_now_ms(s);
    if (ahead_ms < CLOCKS_APART_MS && ahead_ms > -PACE_JUMP_MS)
        return;
    for (uint32_t i = 0; i < batch->record_count; i++) {
        batch->records[i].arrival_ms -= ahead_ms;
        batch->records[i].event_ms = max_of(batch->records[i].event_ms - ahead_ms, 0);
    }
}

enum status feed_offer(void *server, struct ingest_batch *batch)
{
    struct server *s = server;
    struct entry *e = entry_new(ENTRY_EVENTS, 0);
    move_times(s, batch);
    e->events = batch;
    e->records = batch->records;
    e->count = batch->record_count;
    enum status status = feed_push(s, e);
    if (status != OK)
        entry_free(e);
    /* The committer gives up when the log has failed or the server stops: both are 503. */
    return status;
}
