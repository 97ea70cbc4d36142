/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/run_events.h"

#include <stdlib.h>

#include "base/mem.h"
#include "cli/progress.h"
#include "os/clock.h"

#define EVENTS_A_BATCH 4096
#define NEVER_MS       INT64_C(253402300799999) /* 9999-12-31: when events without a time "arrive" */

/* Where an event stands in a file that does not go by time. */
struct event_place {
    int64_t at_ms;
    struct event_row row;
};

static int64_t clock_ms(void)
{
    return os_clock_monotonic_ns() / 1000000;
}

/* ---- looking --------------------------------------------------------------------------------- */

static enum status look_at(struct run_events *r, struct event_file *file, struct fault *f)
{
    const struct ingest_batch *batch = &r->file.intake->batch;
    struct progress progress;
    enum status status;
    r->is_sorted = true;
    r->first_ms = NEVER_MS;
    progress_begin(&progress, r->cli, "reading", "KB", file->bytes / 1024, clock_ms());
    while ((status = event_file_next(file, NEVER_MS, f)) == OK && batch->record_count > 0) {
        for (uint32_t i = 0; i < batch->record_count; i++) {
            int64_t at_ms = batch->records[i].event_ms;
            if (at_ms == NEVER_MS) {
                r->untimed++;
                continue;
            }
            r->is_sorted &= at_ms >= r->last_ms;
            r->first_ms = min_of(r->first_ms, at_ms);
            r->last_ms = max_of(r->last_ms, at_ms);
        }
        progress_update(&progress, event_file_position(file).byte / 1024, clock_ms());
    }
    progress_end(&progress);
    r->position = event_file_position(file);
    if (status == OK && r->position.good == r->untimed) {
        fault_set(f, "there is no event %sin %s", r->untimed ? "with a time " : "",
                  r->file.report->path);
        status = FIX_INPUT;
    }
    return status;
}

enum status run_events_look(struct run_events *r, struct fault *f)
{
    struct event_file file;
    r->file.is_live = true;
    r->file.events_max = EVENTS_A_BATCH;
    enum status status = event_file_open(&file, &r->file, f);
    if (status != OK)
        return status;
    if (file.file == NULL) {
        fault_set(f, "the events to run are read twice, so they must be in a file");
        status = FIX_INPUT;
    } else {
        status = look_at(r, &file, f);
    }
    event_file_close(&file);
    return status;
}

void run_events_fini(struct run_events *r)
{
    map_u64_fini(&r->met);
}

/* ---- what is assumed of people --------------------------------------------------------------- */

/* Records of one moment, with bodies of our own in front of those of the file. */
struct moment {
    struct record *records;
    uint32_t count, room;
    struct arena bodies;
};

static struct record *add(struct moment *m, const struct record *like)
{
    if (m->count == m->room) {
        m->room = m->room ? m->room * 2 : 256;
        m->records = mem_resize(m->records, m->room * sizeof(m->records[0]));
    }
    struct record *r = &m->records[m->count++];
    *r = *like;
    r->at_ms = r->arrival_ms = r->event_ms;
    return r;
}

static struct body keep(struct moment *m, struct buf *b)
{
    struct str kept = arena_copy(&m->bodies, buf_str(b));
    buf_fini(b);
    return (struct body){(const uint8_t *)kept.at, (uint32_t)kept.len};
}

/* ID@people.invalid, a domain that no mail will ever reach. */
static struct str address_of(const struct record *event, struct arena *arena)
{
    struct str id = body_get_text(event->personal, NAME_USER_ID);
    if (id.len == 0)
        id = body_get_text(event->personal, NAME_ANONYMOUS_ID);
    bool is_plain = id.len > 0 && id.len <= 64;
    for (size_t i = 0; i < id.len && is_plain; i++) {
        char c = id.at[i];
        is_plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    }
    if (is_plain)
        return arena_printf(arena, "%.*s@people.invalid", STR_ARG(id));
    return arena_printf(arena, "p%016lx@people.invalid", event->routing_hash);
}

/* The first event of somebody comes after "yes to mail, whatever the address is" and an address. */
static void assume(struct run_events *r, struct moment *m, const struct record *event)
{
    struct buf clear, personal;
    if (map_u64_find(&r->met, event->routing_hash) != MAP_NONE)
        return;
    map_u64_set(&r->met, event->routing_hash, 1);
    r->people_assumed++;
    struct record like = {
        .type = RECORD_EVENT,
        .kind = EVENT_TRACK,
        .flags = RECORD_IS_SERVER,
        .schema = RECORD_SCHEMA,
        .source = event->source,
        .name = NAME_CONSENT_CHANGED,
        .event_ms = event->event_ms,
        .routing_hash = event->routing_hash,
        .user = event->user,
        .anonymous = event->anonymous,
    };
    struct record *consent = add(m, &like);
    buf_init(&clear);
    body_put_text(&clear, NAME_CHANNEL, STR("email"));
    body_put_text(&clear, NAME_STATUS, STR("granted"));
    consent->clear = keep(m, &clear);
    struct record *identify = add(m, &like);
    buf_init(&personal);
    body_put_text(&personal, NAME_EMAIL, address_of(event, &m->bodies));
    identify->kind = EVENT_IDENTIFY;
    identify->name = NAME_NONE;
    identify->personal = keep(m, &personal);
}

/* ---- running --------------------------------------------------------------------------------- */

static enum status flush(struct moment *m, struct world *world, struct fault *f)
{
    enum status status = m->count ? world_apply_all(world, m->records, m->count, f) : OK;
    m->count = 0;
    arena_reset(&m->bodies);
    return status;
}

/* The events of the batch at hand, which go by time. */
static enum status run_batch(struct run_events *r, struct moment *m, struct world *world,
                             struct fault *f)
{
    const struct ingest_batch *batch = &r->file.intake->batch;
    enum status status = OK;
    for (uint32_t i = 0; i < batch->record_count && status == OK; i++) {
        const struct record *event = &batch->records[i];
        if (event->event_ms == NEVER_MS)
            continue;
        bool is_later = m->count > 0 && m->records[0].event_ms != event->event_ms;
        if (is_later || m->count + 4 > BATCH_RECORDS_MAX / 2)
            status = flush(m, world, f);
        if (r->assumes_consent)
            assume(r, m, event);
        add(m, event);
    }
    return status == OK ? flush(m, world, f) : status;
}

static enum status run_sorted(struct run_events *r, struct event_file *file, struct moment *m,
                              struct world *world, struct fault *f)
{
    const struct ingest_batch *batch = &r->file.intake->batch;
    struct progress progress;
    enum status status;
    progress_begin(&progress, r->cli, "running", "events", r->position.good, clock_ms());
    while ((status = event_file_next(file, NEVER_MS, f)) == OK && batch->record_count > 0) {
        status = run_batch(r, m, world, f);
        if (status != OK)
            break;
        progress_update(&progress, event_file_position(file).good, clock_ms());
    }
    progress_end(&progress);
    return status;
}

static int earlier(const void *left, const void *right)
{
    const struct event_place *a = left, *b = right;
    if (a->at_ms != b->at_ms)
        return a->at_ms < b->at_ms ? -1 : 1;
    return a->row.byte < b->row.byte ? -1 : a->row.byte > b->row.byte;
}

/* Where each event stands, by time; *count of them, the caller's. */
static enum status find_places(struct run_events *r, struct event_file *file,
                               struct event_place **out, uint64_t *count, struct fault *f)
{
    const struct ingest_batch *batch = &r->file.intake->batch;
    struct event_place *places = mem_new((r->position.good + 1) * sizeof(places[0]));
    struct progress progress;
    enum status status;
    *count = 0;
    progress_begin(&progress, r->cli, "sorting", "KB", file->bytes / 1024, clock_ms());
    for (;;) {
        status = event_file_next(file, NEVER_MS, f);
        if (status != OK || batch->record_count == 0 || *count == r->position.good)
            break;
        struct import_position at = event_file_position(file);
        if (batch->records[0].event_ms != NEVER_MS)
            places[(*count)++] =
                (struct event_place){batch->records[0].event_ms,
                                     {at.row_byte, at.row_line, (uint32_t)(at.byte - at.row_byte)}};
        progress_update(&progress, at.byte / 1024, clock_ms());
    }
    progress_end(&progress);
    qsort(places, *count, sizeof(places[0]), earlier);
    *out = places;
    return status;
}

static enum status run_places(struct run_events *r, struct event_file *file, struct moment *m,
                              struct world *world, const struct event_place *places, uint64_t count,
                              struct fault *f)
{
    const struct import_position start = {.line = 1};
    struct progress progress;
    enum status status = event_file_go_on(file, &start, f);
    progress_begin(&progress, r->cli, "running", "events", count, clock_ms());
    for (uint64_t i = 0; i < count && status == OK; i++) {
        status = event_file_row(file, places[i].row, NEVER_MS, f);
        if (status == OK)
            status = run_batch(r, m, world, f);
        progress_update(&progress, i, clock_ms());
    }
    progress_end(&progress);
    return status;
}

static enum status run_unsorted(struct run_events *r, struct moment *m, struct world *world,
                                struct fault *f)
{
    struct event_file file;
    struct event_place *places = NULL;
    uint64_t count = 0;
    r->file.events_max = 1;
    r->file.is_by_row = true;
    enum status status = event_file_open(&file, &r->file, f);
    if (status != OK)
        return status;
    status = find_places(r, &file, &places, &count, f);
    event_file_close(&file);
    if (status == OK)
        status = event_file_open(&file, &r->file, f); /* its header is to be read again */
    if (status == OK) {
        status = run_places(r, &file, m, world, places, count, f);
        event_file_close(&file);
    }
    mem_free(places);
    return status;
}

enum status run_events_go(struct run_events *r, struct world *world, struct fault *f)
{
    struct moment m = {0};
    struct event_file file;
    arena_init(&m.bodies, 65536);
    r->file.report->is_muted = true;
    enum status status = OK;
    if (!r->is_sorted) {
        status = run_unsorted(r, &m, world, f);
    } else {
        status = event_file_open(&file, &r->file, f);
        if (status == OK) {
            status = run_sorted(r, &file, &m, world, f);
            event_file_close(&file);
        }
    }
    arena_fini(&m.bodies);
    mem_free(m.records);
    return status == OK ? world_wait(world, r->last_ms, f) : status;
}
