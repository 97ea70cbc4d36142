/* One lock guards what the threads share: the ring of entries, the result blocks, the batches' slots.
 * The log itself is touched by the committer's thread alone, without the lock (but for
 * evlog_prepare(), which is made for that).
 *
 * One round of the committer's thread:
 *
 *     1. wait for an entry, or for result blocks that no entry has taken along for a while
 *     2. append the result blocks
 *     3. of the entries that are there now, form batches, as many as there are free slots
 *     4. commit
 *     5. give the batches to the host, or refuse their entries
 *
 * What arrives during 2 to 5 waits for the next round: under load the batches grow by themselves to
 * what the disk can take, and an idle log answers after one sync.
 *
 * Name records are a promise of their own. Other records, in entries behind them, already use the
 * number, and the log takes names only in the order of their numbers. So an entry that is refused
 * leaves its names here (`orphans`), and they are written in a batch of their own before the next one.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "evlog/committer.h"

#include "base/arena.h"
#include "base/mem.h"
#include "os/thread.h"

#define RESULTS_IDLE_MS 200 /* result blocks wait that long for somebody else's commit */

struct queued {
    struct committer_entry entry;
    int64_t at_ms; /* when it was pushed */
    size_t bytes;
};

struct slot {
    struct committed committed; /* first: the host gives its address back */
    bool is_used;
    struct record *records;
    uint32_t record_room;
    struct committer_part *parts;
    uint32_t part_room;
    struct arena arena; /* bodies of orphans */
};

struct results {
    struct results *next;
    uint64_t batch;
    size_t bytes;
    char at[];
};

struct committer {
    struct evlog *log;
    struct committer_host host;
    struct os_thread thread;
    struct os_thread prepare_thread;

    struct os_mutex mutex;
    struct os_cond work;    /* for the committer: entries, results, free slots, the end */
    struct os_cond prepare; /* for the other thread */
    struct os_cond rolled;  /* for who waits for a roll */
    struct queued *ring;    /* COMMITTER_ENTRIES_MAX of them */
    uint32_t ring_first;
    uint32_t ring_count;
    size_t ring_bytes;
    uint32_t ring_urgent;    /* those that are not patient */
    struct results *results; /* oldest first */
    struct slot slots[COMMITTER_BATCHES_MAX];
    bool is_stopping;
    bool is_dead;
    bool waits_for_slot; /* the committer does; entries wait with it */
    bool wants_prepare;
    bool prepare_has_failed;
    struct fault prepare_fault;
    bool wants_roll;
    enum status roll_status;

    /* The committer's thread alone: */
    struct queued *taken; /* the entries of one batch; some may have waited for names before them */
    uint32_t taken_count;
    struct slot *batches[COMMITTER_BATCHES_MAX]; /* appended in this round */
    uint32_t batch_count;
    struct results *results_taken; /* not known to be durable; oldest first */
    struct arena orphan_arena;
    struct record *orphans; /* by ascending number */
    uint32_t orphan_count;
    uint32_t orphan_room;
};

/* ------------------------------------------------------------------------------------ the producers */

static size_t bytes_of(const struct committer_entry *entry)
{
    must(entry->count == 0 || entry->records != NULL);
    size_t bytes = entry->count * sizeof(struct record);
    for (uint32_t i = 0; i < entry->count; i++)
        bytes += entry->records[i].clear.bytes + entry->records[i].personal.bytes;
    return bytes;
}

/* Under the lock. */
static bool has_room(const struct committer *c, const struct queued *q)
{
    must(c->ring_count <= COMMITTER_ENTRIES_MAX);
    must(c->ring_first < COMMITTER_ENTRIES_MAX);
    uint32_t count_max = COMMITTER_ENTRIES_MAX;
    size_t bytes_max = COMMITTER_BYTES_MAX;
    if (!q->entry.is_priority) {
        count_max -= count_max / 8;
        bytes_max -= bytes_max / 8;
    }
    if (c->ring_count >= count_max)
        return false;
    return c->ring_count == 0 || c->ring_bytes + q->bytes <= bytes_max;
}

/* Under the lock: is every batch back? */
static bool has_all_slots(const struct committer *c)
{
    for (uint32_t i = 0; i < COMMITTER_BATCHES_MAX; i++)
        if (c->slots[i].is_used)
            return false;
    return true;
}

enum status committer_push(struct committer *c, const struct committer_entry *entry)
{
    must(entry->count <= BATCH_RECORDS_MAX);
    struct queued q = {*entry, c->host.now_ms(c->host.context), bytes_of(entry)};
    enum status done = OK;
    bool wakes = false;
    os_mutex_lock(&c->mutex);
    if (c->is_dead || c->is_stopping) {
        done = GIVE_UP;
    } else if (!has_room(c, &q)) {
        done = TRY_AGAIN;
    } else {
        must(c->ring_count < COMMITTER_ENTRIES_MAX);
        c->ring[(c->ring_first + c->ring_count) % COMMITTER_ENTRIES_MAX] = q;
        c->ring_count++;
        c->ring_bytes += q.bytes;
        must(c->ring_bytes >= q.bytes);
        c->ring_urgent += !q.entry.is_patient;
        wakes = q.entry.is_patient ? c->ring_count == 1 && has_all_slots(c)
                                   : c->ring_urgent == 1 && !q.entry.is_patient;
    }
    os_mutex_unlock(&c->mutex);
    if (wakes) /* not before: it would be for the lock that it wakes */
        os_cond_wake_one(&c->work);
    return done;
}

static void add_results(struct results **list, struct results *r)
{
    while (*list != NULL)
        list = &(*list)->next;
    *list = r;
}

void committer_results(struct committer *c, uint64_t batch_number, struct str bytes)
{
    must(batch_number > 0);
    must(bytes.len == 0 || bytes.at != NULL);
    struct results *r = mem_resize(NULL, sizeof(*r) + bytes.len);
    *r = (struct results){.batch = batch_number, .bytes = bytes.len};
    if (bytes.len > 0)
        memcpy(r->at, bytes.at, bytes.len);
    os_mutex_lock(&c->mutex);
    add_results(&c->results, r); /* a few at most: the batches in the host's hands are bounded */
    os_mutex_unlock(&c->mutex);  /* and while one is, the committer looks by itself */
}

void committer_release(struct committer *c, struct committed *batch)
{
    struct slot *slot = (struct slot *)batch;
    must(slot >= c->slots);
    must(slot < c->slots + COMMITTER_BATCHES_MAX);
    os_mutex_lock(&c->mutex);
    must(slot->is_used);
    slot->is_used = false;
    bool is_turn = c->ring_count > 0 && has_all_slots(c); /* of patient entries */
    if (c->waits_for_slot || c->is_stopping || is_turn)
        os_cond_wake_one(&c->work);
    os_mutex_unlock(&c->mutex);
}

/* ----------------------------------------------------------------------------------------- refusing */

/* Keeps the name records, in the order of their numbers. */
static void keep_names(struct committer *c, const struct record *records, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct record *r = &records[i];
        if (likely(r->type != RECORD_NAME))
            continue;
        if (c->orphan_count == c->orphan_room) {
            c->orphan_room = max_of(c->orphan_room * 2, 64);
            c->orphans = mem_resize(c->orphans, c->orphan_room * sizeof(*c->orphans));
        }
        must(c->orphan_count < c->orphan_room);
        uint32_t at = c->orphan_count++;
        for (; at > 0 && c->orphans[at - 1].name > r->name; at--)
            c->orphans[at] = c->orphans[at - 1];
        struct str body = {(const char *)r->clear.at, r->clear.bytes};
        c->orphans[at] = *r;
        c->orphans[at].clear.at = (const uint8_t *)arena_copy(&c->orphan_arena, body).at;
        c->orphans[at].personal = (struct body){0};
    }
}

static void refuse_entry(struct committer *c, const struct committer_entry *entry, enum status why,
                         const struct fault *f)
{
    must(why != OK);
    if (why != GIVE_UP)
        keep_names(c, entry->records, entry->count);
    c->host.refused(c->host.context, entry->token, why, f);
}

static void refuse_taken(struct committer *c, enum status why, const struct fault *f)
{
    must(why != OK);
    for (uint32_t i = 0; i < c->taken_count; i++)
        refuse_entry(c, &c->taken[i].entry, why, f);
    c->taken_count = 0;
}

static void refuse_slot(struct committer *c, struct slot *slot, enum status why,
                        const struct fault *f)
{
    must(why != OK);
    must(slot->is_used);
    if (why != GIVE_UP)
        keep_names(c, slot->records, slot->committed.batch.count);
    for (uint32_t i = 0; i < slot->committed.part_count; i++)
        c->host.refused(c->host.context, slot->parts[i].token, why, f);
    committer_release(c, &slot->committed);
}

static const struct fault full_disk = {
    .text = "the disk is too full for another segment of the log",
};

/* Refuses those of the taken entries that a full disk does not admit. */
static void refuse_ordinary(struct committer *c)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < c->taken_count; i++) {
        if (c->taken[i].entry.is_priority)
            c->taken[kept++] = c->taken[i];
        else
            refuse_entry(c, &c->taken[i].entry, TRY_AGAIN, &full_disk);
    }
    must(kept <= c->taken_count);
    c->taken_count = kept;
}

/* Refuses the one of the taken entries that holds the record. */
static void refuse_culprit(struct committer *c, uint32_t record, const struct fault *f)
{
    must(c->taken_count > 0);
    uint32_t culprit = 0;
    while (record >= c->taken[culprit].entry.count) {
        record -= c->taken[culprit++].entry.count;
        must(culprit < c->taken_count);
    }
    const struct committer_entry *entry = &c->taken[culprit].entry;
    must(record < entry->count);
    keep_names(c, entry->records, record);
    keep_names(c, entry->records + record + 1, entry->count - record - 1);
    c->host.refused(c->host.context, entry->token, FIX_INPUT, f);
    must(culprit < c->taken_count);
    c->taken_count--;
    memmove(&c->taken[culprit], &c->taken[culprit + 1],
            (c->taken_count - culprit) * sizeof(*c->taken));
}

/* ---------------------------------------------------------------------------------- forming batches */

/* Under the lock. */
static struct slot *find_slot(struct committer *c)
{
    for (uint32_t i = 0; i < COMMITTER_BATCHES_MAX; i++)
        if (!c->slots[i].is_used)
            return &c->slots[i];
    return NULL;
}

/* Moves entries that make one batch from the ring, at most `most`, to c->taken, behind those that are
 * there. Returns how many have come. */
static uint32_t take_entries(struct committer *c, uint32_t most)
{
    uint32_t records = 0;
    size_t bytes = 0;
    for (uint32_t i = 0; i < c->taken_count; i++) {
        records += c->taken[i].entry.count;
        bytes += c->taken[i].bytes;
    }
    must(c->taken_count <= COMMITTER_ENTRIES_MAX);
    uint32_t count = 0;
    os_mutex_lock(&c->mutex);
    most = min_of(most, c->ring_count);
    while (count < most && c->taken_count < COMMITTER_ENTRIES_MAX) {
        const struct queued *q = &c->ring[c->ring_first];
        records += q->entry.count;
        bytes += q->bytes;
        if (c->taken_count > 0 && (records > BATCH_RECORDS_MAX || bytes > COMMITTER_BATCH_BYTES ||
                                   q->at_ms > c->taken[0].at_ms + COMMITTER_SPAN_MS))
            break;
        must(c->ring_count > 0);
        must(c->ring_bytes >= q->bytes);
        c->taken[c->taken_count++] = *q;
        c->ring_first = (c->ring_first + 1) % COMMITTER_ENTRIES_MAX;
        c->ring_count--;
        c->ring_bytes -= q->bytes;
        c->ring_urgent -= !q->entry.is_patient;
        count++;
    }
    must(count <= most);
    os_mutex_unlock(&c->mutex);
    return count;
}

static void make_slot_room(struct slot *slot, uint32_t record_count, uint32_t part_count)
{
    if (record_count > slot->record_room) {
        slot->record_room = max_of(record_count, 256);
        slot->records = mem_resize(slot->records, slot->record_room * sizeof(*slot->records));
    }
    if (part_count > slot->part_room) {
        slot->part_room = max_of(part_count, 64);
        slot->parts = mem_resize(slot->parts, slot->part_room * sizeof(*slot->parts));
    }
    must(slot->record_room >= record_count);
    must(slot->part_room >= part_count);
}

/* Makes of the taken entries the log's next batch. */
static void fill_slot(struct committer *c, struct slot *slot)
{
    must(!slot->is_used);
    must(c->taken_count > 0);
    uint32_t count = c->taken_count;
    uint32_t record_count = 0;
    for (uint32_t i = 0; i < count; i++)
        record_count += c->taken[i].entry.count;
    must(record_count <= BATCH_RECORDS_MAX);
    make_slot_room(slot, record_count, count);

    int64_t at_ms = evlog_now_ms(c->log);
    uint32_t first = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct committer_entry *entry = &c->taken[i].entry;
        at_ms = max_of(at_ms, c->taken[i].at_ms);
        for (uint32_t r = 0; r < entry->count; r++) {
            slot->records[first + r] = entry->records[r];
            slot->records[first + r].at_ms = at_ms;
        }
        slot->parts[i] = (struct committer_part){entry->token, first, entry->count};
        first += entry->count;
    }
    must(first == record_count);
    slot->committed = (struct committed){
        .batch = {evlog_batch_next(c->log), at_ms, record_count, slot->records},
        .parts = slot->parts,
        .part_count = count,
    };
}

/* Makes of the orphans the log's next batch. */
static void fill_slot_with_orphans(struct committer *c, struct slot *slot)
{
    must(!slot->is_used);
    must(c->orphan_count > 0);
    uint32_t count = min_of(c->orphan_count, BATCH_RECORDS_MAX);
    make_slot_room(slot, count, 0);
    arena_reset(&slot->arena);
    int64_t at_ms = max_of(evlog_now_ms(c->log), c->host.now_ms(c->host.context));
    for (uint32_t i = 0; i < count; i++) {
        struct record *r = &slot->records[i];
        *r = c->orphans[i];
        struct str body = {(const char *)r->clear.at, r->clear.bytes};
        r->clear.at = (const uint8_t *)arena_copy(&slot->arena, body).at;
        r->at_ms = at_ms;
    }
    slot->committed = (struct committed){
        .batch = {evlog_batch_next(c->log), at_ms, count, slot->records},
    };
}

static void drop_orphans(struct committer *c, uint32_t first, uint32_t count)
{
    must(first <= c->orphan_count);
    must(count <= c->orphan_count - first);
    c->orphan_count -= count;
    memmove(&c->orphans[first], &c->orphans[first + count],
            (c->orphan_count - first) * sizeof(*c->orphans));
    if (c->orphan_count == 0)
        arena_reset(&c->orphan_arena);
}

/* The batch in the slot has been appended. */
static void note_appended(struct committer *c, struct slot *slot)
{
    must(c->batch_count < COMMITTER_BATCHES_MAX);
    must(slot->committed.batch.number + 1 == evlog_batch_next(c->log));
    os_mutex_lock(&c->mutex);
    must(!slot->is_used);
    slot->is_used = true;
    os_mutex_unlock(&c->mutex);
    c->batches[c->batch_count++] = slot;
}

/* A slot that nobody uses, or NULL. */
static struct slot *next_slot(struct committer *c)
{
    os_mutex_lock(&c->mutex);
    struct slot *slot = find_slot(c);
    os_mutex_unlock(&c->mutex);
    return slot;
}

static enum status append_orphans(struct committer *c, struct fault *f)
{
    while (c->orphan_count > 0) {
        struct slot *slot = next_slot(c);
        if (slot == NULL)
            return OK;
        fill_slot_with_orphans(c, slot);
        struct fault why = {0};
        enum status done = evlog_append_priority(c->log, &slot->committed.batch, &why);
        if (done == OK) {
            note_appended(c, slot);
            drop_orphans(c, 0, slot->committed.batch.count);
        } else if (done == FIX_INPUT) {
            drop_orphans(c, evlog_refused_record(c->log), 1);
        } else {
            *f = why;
            return done;
        }
    }
    return OK;
}

/* Appends the taken entries as one batch. Some may be left: names have to go before them. */
static enum status append_taken(struct committer *c, struct slot *slot, struct fault *f)
{
    if (!evlog_admits_all(c->log))
        refuse_ordinary(c);
    while (c->taken_count > 0 && c->orphan_count == 0) {
        struct fault why = {0};
        fill_slot(c, slot);
        enum status done = evlog_append_priority(c->log, &slot->committed.batch, &why);
        if (done == OK) {
            note_appended(c, slot);
            c->taken_count = 0;
            return OK;
        }
        if (done != FIX_INPUT) {
            refuse_taken(c, done, &why);
            *f = why;
            return done;
        }
        refuse_culprit(c, evlog_refused_record(c->log), &why);
    }
    return OK;
}

static enum status append_entries(struct committer *c, struct fault *f)
{
    os_mutex_lock(&c->mutex);
    uint32_t left = c->ring_count; /* what comes after is for the next round */
    os_mutex_unlock(&c->mutex);
    while ((left > 0 || c->taken_count > 0) && c->orphan_count == 0) {
        struct slot *slot = next_slot(c);
        if (slot == NULL)
            return OK;
        left -= take_entries(c, left);
        enum status done = append_taken(c, slot, f);
        if (done != OK)
            return done;
    }
    return OK;
}

/* Refuses everything that is queued. */
static void refuse_all(struct committer *c, enum status why, const struct fault *f)
{
    do
        refuse_taken(c, why, f);
    while (take_entries(c, COMMITTER_ENTRIES_MAX) > 0);
}

/* ------------------------------------------------------------------------------------ result blocks */

static void free_results(struct results **list, uint64_t batch_max)
{
    while (*list != NULL && (*list)->batch <= batch_max) {
        struct results *r = *list;
        *list = r->next;
        mem_free(r);
    }
}

static enum status append_results(struct committer *c, struct fault *f)
{
    os_mutex_lock(&c->mutex);
    struct results *fresh = c->results;
    c->results = NULL;
    os_mutex_unlock(&c->mutex);
    add_results(&c->results_taken, fresh);
    for (const struct results *r = c->results_taken; r != NULL; r = r->next) {
        struct str bytes = {r->at, r->bytes};
        enum status done = evlog_append_results(c->log, r->batch, bytes, f);
        if (done != OK)
            return done == TRY_AGAIN ? TRY_AGAIN : GIVE_UP;
    }
    return OK;
}

/* --------------------------------------------------------------------------------------- the threads */

/* Under the lock: may what is queued be written now? `is_late`: the patient have waited long enough. */
static bool has_turn(struct committer *c, bool is_late)
{
    if (c->taken_count == 0 && c->ring_count == 0)
        return false;
    if (c->is_dead || c->is_stopping || c->taken_count > 0 || c->ring_urgent > 0 || is_late)
        return c->is_dead || find_slot(c) != NULL;
    return has_all_slots(c);
}

/* Waits for something to do. Returns false when all is done. */
static bool wait_for_work(struct committer *c)
{
    bool is_over = false, is_late = false;
    int64_t waited_ms = 0;
    os_mutex_lock(&c->mutex);
    for (;;) {
        bool has_entries = c->ring_count > 0 || c->taken_count > 0;
        if (has_turn(c, is_late))
            break;
        if ((c->prepare_has_failed || c->wants_roll) && !c->is_dead)
            break;
        if (c->is_stopping && !has_entries && has_all_slots(c)) {
            is_over = true;
            break;
        }
        /* NOTE: results wake nobody, so that an engine at work is not disturbed by the one who waits for
         * it: while a batch is out, results may come, and the wait is a short one. Neither do patient
         * entries: who gives the last batch back does. */
        c->waits_for_slot = has_entries;
        if (c->is_dead || (c->results == NULL && has_all_slots(c))) {
            os_cond_wait(&c->work, &c->mutex);
            continue;
        }
        int64_t wait_ms = has_all_slots(c) ? RESULTS_IDLE_MS : COMMITTER_PATIENCE_MS;
        bool is_woken = os_cond_wait_for(&c->work, &c->mutex, wait_ms);
        waited_ms = is_woken ? 0 : waited_ms + wait_ms;
        is_late = !is_woken;
        if (waited_ms >= RESULTS_IDLE_MS && c->results != NULL)
            break;
    }
    c->waits_for_slot = false;
    os_mutex_unlock(&c->mutex);
    return !is_over;
}

/* The log is dead: the host is told, and nobody gets in any more. */
static void fail(struct committer *c, const struct fault *f)
{
    os_mutex_lock(&c->mutex);
    must(!c->is_dead);
    c->is_dead = true;
    os_mutex_unlock(&c->mutex);
    c->host.failed(c->host.context, f);
}

/* Gives the round's batches to the host, or back to those who pushed them. */
static void hand_over(struct committer *c, enum status done, const struct fault *f)
{
    must(c->batch_count <= COMMITTER_BATCHES_MAX);
    uint64_t durable = evlog_batch_durable(c->log);
    for (uint32_t i = 0; i < c->batch_count; i++) {
        struct slot *slot = c->batches[i];
        must(slot->is_used);
        if (slot->committed.batch.number <= durable)
            c->host.committed(c->host.context, &slot->committed);
        else
            refuse_slot(c, slot, done, f);
        must(done != OK || slot->committed.batch.number <= durable);
    }
    c->batch_count = 0;
}

static void ask_for_spare(struct committer *c)
{
    if (!evlog_wants_prepare(c->log))
        return;
    os_mutex_lock(&c->mutex);
    c->wants_prepare = true;
    os_cond_wake_one(&c->prepare);
    os_mutex_unlock(&c->mutex);
}

/* Commits what has been appended and tells everybody. */
static void finish_round(struct committer *c, enum status done, struct fault *f)
{
    if (done != GIVE_UP) {
        *f = (struct fault){0};
        done = evlog_commit(c->log, f);
    }
    if (done == TRY_AGAIN) {
        struct fault why = {0};
        if (evlog_abandon(c->log, &why) != OK) {
            *f = why;
            done = GIVE_UP;
        }
    }
    hand_over(c, done, f);
    free_results(&c->results_taken, evlog_results_newest(c->log));
    if (done == GIVE_UP)
        fail(c, f);
    else
        ask_for_spare(c);
}

static void work_once(struct committer *c)
{
    struct fault f = {0};
    enum status done = append_results(c, &f);
    if (done != GIVE_UP)
        done = append_orphans(c, &f);
    if (done == TRY_AGAIN)
        refuse_all(c, TRY_AGAIN, &f); /* where names do not get in, nothing does */
    else if (done == OK)
        done = append_entries(c, &f);
    finish_round(c, done, &f);
}

/* Somebody wants the segment closed: what is durable so far is in closed ones then. */
static void roll(struct committer *c)
{
    os_mutex_lock(&c->mutex);
    bool is_wanted = c->wants_roll;
    os_mutex_unlock(&c->mutex);
    if (!is_wanted)
        return;
    struct fault f = {0};
    enum status status = c->is_dead ? GIVE_UP : evlog_roll(c->log, &f);
    if (status == GIVE_UP && !c->is_dead)
        fail(c, &f);
    os_mutex_lock(&c->mutex);
    c->wants_roll = false;
    c->roll_status = status;
    os_cond_wake_all(&c->rolled);
    os_mutex_unlock(&c->mutex);
}

static void run(void *context)
{
    static const struct fault dead = {.text = "the log has failed"};
    struct committer *c = context;
    while (wait_for_work(c)) {
        os_mutex_lock(&c->mutex);
        bool fails_now = c->prepare_has_failed && !c->is_dead;
        os_mutex_unlock(&c->mutex);
        if (fails_now)
            fail(c, &c->prepare_fault);
        if (c->is_dead)
            refuse_all(c, GIVE_UP, &dead);
        else
            work_once(c);
        roll(c);
    }
    if (c->is_dead)
        return;
    /* The last batches' results. Orphans are given up: nobody comes who uses them. */
    struct fault f = {0};
    enum status done = append_results(c, &f);
    finish_round(c, done, &f);
}

static void run_prepare(void *context)
{
    struct committer *c = context;
    os_mutex_lock(&c->mutex);
    while (!c->is_stopping) {
        if (!c->wants_prepare) {
            os_cond_wait(&c->prepare, &c->mutex);
            continue;
        }
        c->wants_prepare = false;
        os_mutex_unlock(&c->mutex);
        struct fault f = {0};
        enum status done = evlog_prepare(c->log, &f);
        os_mutex_lock(&c->mutex);
        if (done != OK && done != TRY_AGAIN && !c->prepare_has_failed) {
            c->prepare_has_failed = true;
            c->prepare_fault = f;
            os_cond_wake_one(&c->work);
        }
    }
    os_mutex_unlock(&c->mutex);
}

static void free_committer(struct committer *c)
{
    for (uint32_t i = 0; i < COMMITTER_BATCHES_MAX; i++) {
        mem_free(c->slots[i].records);
        mem_free(c->slots[i].parts);
        arena_fini(&c->slots[i].arena);
    }
    free_results(&c->results, UINT64_MAX);
    free_results(&c->results_taken, UINT64_MAX);
    arena_fini(&c->orphan_arena);
    mem_free(c->orphans);
    mem_free(c->ring);
    mem_free(c->taken);
    os_cond_fini(&c->rolled);
    os_cond_fini(&c->prepare);
    os_cond_fini(&c->work);
    os_mutex_fini(&c->mutex);
    mem_free(c);
}

struct committer *committer_new(struct evlog *log, const struct committer_host *host)
{
    must(log != NULL);
    must(host->committed != NULL);
    must(host->refused != NULL);
    must(host->failed != NULL);
    must(host->now_ms != NULL);
    struct committer *c = mem_new(sizeof(*c));
    c->log = log;
    c->host = *host;
    c->wants_prepare = true;
    c->ring = mem_new(COMMITTER_ENTRIES_MAX * sizeof(*c->ring));
    c->taken = mem_new(COMMITTER_ENTRIES_MAX * sizeof(*c->taken));
    os_mutex_init(&c->mutex);
    os_cond_init(&c->work);
    os_cond_init(&c->prepare);
    os_cond_init(&c->rolled);
    arena_init(&c->orphan_arena, 4096);
    for (uint32_t i = 0; i < COMMITTER_BATCHES_MAX; i++)
        arena_init(&c->slots[i].arena, 4096);
    return c;
}

enum status committer_start(struct evlog *log, const struct committer_host *host,
                            struct committer **committer, struct fault *f)
{
    struct committer *c = committer_new(log, host);
    enum status done = os_thread_start(&c->prepare_thread, "log-prepare", run_prepare, c, f);
    if (done != OK) {
        free_committer(c);
        return done;
    }
    done = os_thread_start(&c->thread, "log-commit", run, c, f);
    if (done != OK) {
        os_mutex_lock(&c->mutex);
        c->is_stopping = true;
        os_cond_wake_all(&c->prepare);
        os_mutex_unlock(&c->mutex);
        os_thread_join(&c->prepare_thread);
        free_committer(c);
        return done;
    }
    *committer = c;
    return OK;
}

enum status committer_roll(struct committer *c)
{
    os_mutex_lock(&c->mutex);
    while (c->wants_roll) /* somebody else's */
        os_cond_wait(&c->rolled, &c->mutex);
    enum status status = c->is_dead ? GIVE_UP : OK;
    if (status == OK) {
        c->wants_roll = true;
        os_cond_wake_one(&c->work);
        while (c->wants_roll)
            os_cond_wait(&c->rolled, &c->mutex);
        status = c->roll_status;
    }
    os_mutex_unlock(&c->mutex);
    return status;
}

void committer_stop(struct committer *c)
{
    os_mutex_lock(&c->mutex);
    must(!c->is_stopping);
    c->is_stopping = true;
    os_cond_wake_all(&c->work);
    os_cond_wake_all(&c->prepare);
    os_mutex_unlock(&c->mutex);
    os_thread_join(&c->thread);
    os_thread_join(&c->prepare_thread);
    must(has_all_slots(c));
    must(c->ring_count == 0);
    free_committer(c);
}

/* ------------------------------------------------------------------------------------------ by hand */

static const struct fault ended = {.text = "the log has failed"};

/* What run_prepare() does when it is asked. */
static void prepare_once(struct committer *c)
{
    struct fault f = {0};
    c->wants_prepare = false;
    enum status done = evlog_prepare(c->log, &f);
    if (done != OK && done != TRY_AGAIN)
        fail(c, &f);
}

bool committer_turn(struct committer *c)
{
    bool has_entries = c->ring_count > 0 || c->taken_count > 0;
    bool has_work = has_entries && (c->is_dead || find_slot(c) != NULL);
    if (c->is_dead) {
        refuse_all(c, GIVE_UP, &ended);
        return has_work;
    }
    if (c->wants_prepare) {
        prepare_once(c);
        return true;
    }
    if (!has_work && c->results == NULL)
        return false;
    work_once(c);
    return true;
}

enum status committer_roll_now(struct committer *c)
{
    c->wants_roll = true;
    roll(c);
    return c->roll_status;
}

void committer_drop(struct committer *c)
{
    refuse_all(c, GIVE_UP, &ended);
    must(has_all_slots(c));
    free_committer(c);
}
