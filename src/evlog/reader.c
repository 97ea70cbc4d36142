/* Reading a log: from segment to segment, and again from the tail when there may be more.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/mem.h"
#include "evlog/evlog_int.h"

#define OPEN_TRIES 8

struct evlog_reader {
    struct os_disk *disk;
    char dir[OS_PATH_BYTES];
    struct walker walker;
    struct log_state state;
    struct arena arena;    /* for listing the folder */
    uint64_t from_batch;   /* what comes before is read and not shown */
    enum walk_place place; /* of the open segment when the folder was last looked at */
    int64_t *times_ms;   /* of batches whose results have not come yet, by number modulo the room */
    uint64_t times_room; /* a power of two */
    uint64_t answered;   /* the newest batch whose results have come, or 0 */
    uint64_t newest;     /* the newest batch that was given, or 0 */
    struct id128 *only;  /* a history: of these; results are left out. NULL: everything */
};

/* The segments of the folder, and the index of the first one behind `batch` (count if there is none). */
static enum status look_around(struct evlog_reader *r, uint64_t batch, uint64_t **firsts,
                               uint32_t *count, uint32_t *behind, struct fault *f)
{
    arena_reset(&r->arena);
    enum status done = segment_list(r->disk, r->dir, &r->arena, firsts, count, f);
    if (done != OK)
        return done;
    *behind = 0;
    while (*behind < *count && (*firsts)[*behind] <= batch)
        (*behind)++;
    return OK;
}

static enum status open_segment(struct evlog_reader *r, const uint64_t *firsts, uint32_t count,
                                uint32_t index, struct fault *f)
{
    r->place = index + 1 == count ? WALK_NEWEST : WALK_OLDER;
    return walker_open(&r->walker, r->disk, r->dir, firsts[index], f);
}

/* Opens the segment in which from_batch is or will be; none where the log has no segment yet. */
static enum status try_first(struct evlog_reader *r, bool *is_gone, struct fault *f)
{
    uint64_t *firsts;
    uint32_t count, behind;
    enum status done = look_around(r, r->from_batch, &firsts, &count, &behind, f);
    if (done != OK || count == 0)
        return done;
    if (r->from_batch == 0) {
        r->from_batch = firsts[0];
        behind = 1;
    }
    if (behind == 0) {
        fault_set(f, "the log begins with batch %llu, not with %llu", (unsigned long long)firsts[0],
                  (unsigned long long)r->from_batch);
        fault_place(f, r->dir, 0, 0);
        return FIX_INPUT;
    }
    enum status opened = open_segment(r, firsts, count, behind - 1, f);
    *is_gone = opened != OK && behind < count;
    return opened;
}

/* The same; where that segment was dropped meanwhile, what is there now counts. */
static enum status open_first(struct evlog_reader *r, struct fault *f)
{
    uint64_t from_batch = r->from_batch;
    for (uint32_t tries = 0;; tries++) {
        bool is_gone = false;
        r->from_batch = from_batch;
        enum status done = try_first(r, &is_gone, f);
        if (!is_gone || tries == OPEN_TRIES)
            return done;
        if (f != NULL)
            *f = (struct fault){0};
    }
}

enum status evlog_reader_open(struct os_disk *disk, const char *dir, uint64_t from_batch,
                              struct evlog_reader **reader, struct fault *f)
{
    if (strlen(dir) >= OS_PATH_BYTES) {
        fault_set(f, "the path of the log is too long");
        return FIX_INPUT;
    }
    struct evlog_reader *r = mem_new(sizeof(*r));
    r->disk = disk;
    r->from_batch = from_batch;
    memcpy(r->dir, dir, strlen(dir));
    walker_init(&r->walker);
    log_state_init(&r->state);
    arena_init(&r->arena, 4096);
    enum status done = open_first(r, f);
    if (done != OK) {
        evlog_reader_close(r);
        return done;
    }
    *reader = r;
    return OK;
}

enum status evlog_history_open(struct os_disk *disk, const char *dir, const struct id128 *owners,
                               uint32_t count, struct evlog_reader **reader, struct fault *f)
{
    enum status status = evlog_reader_open(disk, dir, 0, reader, f);
    if (status != OK)
        return status;
    struct evlog_reader *r = *reader;
    r->only = mem_new((count + 1) * sizeof(*r->only));
    if (count > 0)
        memcpy(r->only, owners, count * sizeof(*r->only));
    r->walker.only = r->only;
    r->walker.only_count = count;
    return OK;
}

void evlog_reader_close(struct evlog_reader *reader)
{
    if (reader == NULL)
        return;
    mem_free(reader->only);
    walker_fini(&reader->walker);
    log_state_fini(&reader->state);
    arena_fini(&reader->arena);
    mem_free(reader->times_ms);
    mem_free(reader);
}

/* Behind the open segment: goes on to the next one, or finds that there is none (*is_end). */
static enum status go_on(struct evlog_reader *r, enum walk what, bool *is_end, struct fault *f)
{
    uint64_t *firsts;
    uint32_t count, behind;
    *is_end = false;
    enum status done = look_around(r, r->walker.segment, &firsts, &count, &behind, f);
    if (done != OK)
        return done;
    if (behind == count) {
        *is_end = true;
        return OK;
    }
    if (behind == 0 && r->only == NULL && firsts[0] > r->state.batch + 1) {
        fault_set(f, "what followed batch %llu was dropped while it was read",
                  (unsigned long long)r->state.batch);
        fault_place(f, r->dir, 0, 0);
        return TRY_AGAIN;
    }
    if (what == WALK_FINISHED)
        return open_segment(r, firsts, count, behind, f);
    /* A newer segment has appeared, so this one was finished before: read its end again. */
    r->place = WALK_OLDER;
    walker_refresh(&r->walker);
    return OK;
}

/* True if the block is something to show. */
static bool is_item(const struct evlog_reader *r, const struct block *b)
{
    return (b->kind == BLOCK_BATCH || b->kind == BLOCK_RESULTS) && b->number >= r->from_batch;
}

/* Result blocks come batches later, in the order of the batches, and without their times. */
static void note_time(struct evlog_reader *r, uint64_t batch, int64_t now_ms)
{
    if (r->newest == 0)
        r->answered = batch - 1;
    uint64_t room = r->times_room ? r->times_room : 64;
    while (batch - r->answered > room)
        room *= 2;
    if (room != r->times_room) {
        int64_t *times_ms = mem_new(room * sizeof(*times_ms));
        for (uint64_t n = r->answered + 1; n < batch; n++)
            times_ms[n & (room - 1)] = r->times_ms[n & (r->times_room - 1)];
        mem_free(r->times_ms);
        r->times_ms = times_ms;
        r->times_room = room;
    }
    r->times_ms[batch & (room - 1)] = now_ms;
    r->newest = batch;
}

static int64_t take_time(struct evlog_reader *r, uint64_t batch)
{
    must(batch > r->answered && batch <= r->newest);
    r->answered = batch;
    return r->times_ms[batch & (r->times_room - 1)];
}

static void fill_item(struct evlog_reader *r, const struct block *b, uint64_t offset,
                      struct evlog_item *item)
{
    *item = (struct evlog_item){
        .number = b->number,
        .segment = r->walker.segment,
        .offset = offset,
    };
    if (b->kind == BLOCK_BATCH) {
        item->kind = EVLOG_BATCH;
        item->batch = (struct batch){b->number, b->now_ms, b->count, r->walker.records};
        item->now_ms = b->now_ms;
        note_time(r, b->number, b->now_ms);
    } else {
        item->kind = EVLOG_RESULTS;
        item->results = (struct str){(const char *)b->payload, b->length};
        item->results_hash = b->hash;
        item->now_ms = take_time(r, b->number);
    }
}

enum status evlog_reader_next(struct evlog_reader *reader, struct evlog_item *item, struct fault *f)
{
    struct evlog_reader *r = reader;
    *item = (struct evlog_item){.kind = EVLOG_END};
    if (r->walker.file == NULL) {
        enum status done = open_first(r, f);
        if (done != OK || r->walker.file == NULL)
            return done;
    }
    for (;;) {
        enum walk what;
        struct block b;
        struct tail tail;
        uint64_t offset = r->walker.offset;
        enum status done = walker_next(&r->walker, r->place, &what, &b, &tail, f);
        if (done != OK)
            return done;
        if (what != WALK_BLOCK) {
            bool is_end;
            done = go_on(r, what, &is_end, f);
            if (done != OK || is_end)
                return done;
            continue;
        }
        if (r->only != NULL) { /* with gaps: what it says as a whole cannot be followed */
            if (b.kind != BLOCK_BATCH)
                continue;
            *item = (struct evlog_item){.kind = EVLOG_BATCH,
                                        .number = b.number,
                                        .segment = r->walker.segment,
                                        .offset = offset,
                                        .now_ms = b.now_ms};
            item->batch = (struct batch){b.number, b.now_ms, b.count, r->walker.records};
            return OK;
        }
        const char *why;
        if (!log_state_follow(&r->state, &b, r->walker.records, &why)) {
            fault_set(f, "damaged block at byte %llu: %s", (unsigned long long)offset, why);
            fault_place(f, r->walker.file->path, 0, 0);
            return GIVE_UP;
        }
        if (is_item(r, &b)) {
            fill_item(r, &b, offset, item);
            return OK;
        }
    }
}

const struct names *evlog_reader_names(const struct evlog_reader *reader)
{
    return reader->state.names;
}

uint64_t evlog_reader_id(const struct evlog_reader *reader)
{
    return reader->walker.log_id;
}

/* Follows the log from the segment on that begins with `first`, to its end. */
static enum status follow_from(struct os_disk *disk, const char *dir, uint64_t first,
                               struct names *names, uint64_t *batch_last, struct fault *f)
{
    struct evlog_reader *r;
    struct evlog_item item = {.kind = EVLOG_BATCH};
    enum status done = evlog_reader_open(disk, dir, first, &r, f);
    if (done != OK)
        return done;
    while (done == OK && item.kind != EVLOG_END)
        done = evlog_reader_next(r, &item, f);
    if (done == OK && log_state_has_preamble(&r->state)) {
        for (uint32_t i = names_count(names); i < names_count(r->state.names); i++)
            must(names_add(names, names_text(r->state.names, i)) == i);
        *batch_last = r->state.batch;
    }
    evlog_reader_close(r);
    return done;
}

enum status evlog_read_names(struct os_disk *disk, const char *dir, struct names *names,
                             uint64_t *batch_last, struct fault *f)
{
    struct arena arena;
    uint64_t *firsts;
    uint32_t count;
    *batch_last = 0;
    must(names_count(names) == NAME_FIXED_END);
    arena_init(&arena, 4096);
    enum status done = segment_list(disk, dir, &arena, &firsts, &count, f);
    /* The newest segment may have no head yet: then the one before it says what there is. */
    while (done == OK && count > 0 && *batch_last == 0)
        done = follow_from(disk, dir, firsts[--count], names, batch_last, f);
    arena_fini(&arena);
    return done;
}

static enum status end_from(struct os_disk *disk, const char *dir, uint64_t first,
                            struct evlog_end *end, struct fault *f)
{
    struct evlog_reader *r;
    struct evlog_item item = {.kind = EVLOG_BATCH};
    enum status done = evlog_reader_open(disk, dir, first, &r, f);
    if (done != OK)
        return done;
    while (done == OK && item.kind != EVLOG_END) {
        done = evlog_reader_next(r, &item, f);
        if (done == OK && item.kind != EVLOG_END && r->walker.ends_commit)
            *end = (struct evlog_end){.segment = r->walker.segment,
                                      .offset = r->walker.offset,
                                      .batch = r->state.batch,
                                      .now_ms = r->state.now_ms,
                                      .log_id = r->walker.log_id};
    }
    evlog_reader_close(r);
    return done;
}

enum status evlog_find_end(struct os_disk *disk, const char *dir, struct evlog_end *end,
                           struct fault *f)
{
    struct arena arena;
    uint64_t *firsts;
    uint32_t count;
    *end = (struct evlog_end){0};
    arena_init(&arena, 4096);
    enum status done = segment_list(disk, dir, &arena, &firsts, &count, f);
    while (done == OK && count > 0 && end->segment == 0)
        done = end_from(disk, dir, firsts[--count], end, f);
    arena_fini(&arena);
    return done;
}
