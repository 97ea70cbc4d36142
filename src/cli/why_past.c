/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/why_past.h"

#include "base/mem.h"
#include "model/identifier.h"
#include "os/file.h"
#include "when/civil.h"

#define ZONES_MS DAY_MS /* no clock is further from UTC */
#define EARLY_MS DAY_MS /* what is told of a person may be of a moment before it came in */

/* ---- one pass ------------------------------------------------------------------------------------ */

struct pass {
    const struct directory *directory;
    const struct why_question *question;
    struct told *past;
    struct arena *arena;
    struct witness witness;
    int64_t begins_ms; /* the snapshot is not of a later moment; 0: no such bound */
    int64_t until_ms;  /* 0 = to the log's end */
    bool knows_who;    /* the question has been resolved */
    bool has_begun;
    int64_t from_ms;  /* of the state where it began */
    struct str id;    /* who is watched: this id, */
    uint64_t profile; /* or, where it is empty, this profile */
};

static void keep_note(void *self, const struct note *note)
{
    struct told *p = ((struct pass *)self)->past;
    if (p->count == p->room) {
        p->room = p->room ? p->room * 2 : 64;
        p->notes = mem_resize(p->notes, p->room * sizeof(p->notes[0]));
    }
    p->notes[p->count] = *note;
    p->notes[p->count++].text = arena_copy(&p->texts, note->text);
}

/* Whom the words mean where it begins is whom they mean in the end, mostly. */
static void guess(struct pass *p, struct engine *e)
{
    const struct why_question *q = p->question;
    uint64_t profile = p->knows_who ? 0 : engine_find_person(e, q->person);
    p->id = p->knows_who ? q->id : q->person;
    p->profile = p->knows_who ? q->profile : profile;
    if (profile != 0)
        p->id = arena_copy(p->arena, engine_person_id(e, profile));
}

static void begin(struct pass *p, struct engine *e)
{
    const uint8_t *secret = p->directory->secret;
    if (p->has_begun)
        return;
    p->has_begun = true;
    p->from_ms = engine_now(e);
    guess(p, e);
    if (p->id.len > 0)
        engine_watch_for(e, identifier_hash(IDENTIFIER_USER, p->id, secret),
                         identifier_hash(IDENTIFIER_ANONYMOUS, p->id, secret), &p->witness);
    else /* known by an address alone: as the profile that they are in the end */
        engine_watch(e, p->profile, &p->witness);
}

static void before(void *self, struct engine *e, const struct batch *b)
{
    (void)b;
    begin(self, e);
}

static enum status run(struct pass *p, struct fault *f)
{
    struct told *past = p->past;
    told_fini(past);
    arena_init(&past->texts, 4096);
    past->passes++;
    p->has_begun = false;
    p->witness = (struct witness){p, keep_note};
    struct recover_options options = {
        .is_tolerant = true,
        .snapshot_ms_max = p->begins_ms,
        .until_ms = p->until_ms,
        .self = p,
        .before = before,
    };
    enum status status = recover(p->directory, &options, &past->recovered, f);
    if (status == OK)
        begin(p, past->recovered.engine);
    if (status == OK)
        engine_watch(past->recovered.engine, 0, NULL);
    return status;
}

/* ---- where to begin ------------------------------------------------------------------------------ */

static bool has_snapshots(const struct directory *d)
{
    struct arena a;
    uint64_t *batches;
    struct fault f = {0};
    uint32_t count = 0;
    bool has_any = false;
    if (os_look(d->disk, d->snapshots, &has_any, &f) != OK || !has_any)
        return false;
    arena_init(&a, 1024);
    if (snapshot_list(d->disk, d->snapshots, &a, &batches, &count, &f) != OK)
        count = 0;
    arena_fini(&a);
    return count > 0;
}

/* When the log first knows of a user by this id; FOREVER_MS: it does not, or cannot be read, which whoever applies
 * it says better. Of sealed segments only what their index names is read. Anonymous ids are not looked for: who they
 * belong to in the end is not known before. */
static int64_t first_trace(const struct directory *d, struct str id)
{
    const struct id128 user = identifier_hash(IDENTIFIER_USER, id, d->secret);
    struct evlog_reader *reader;
    struct evlog_item item = {.kind = EVLOG_BATCH};
    struct fault f = {0};
    int64_t at_ms = FOREVER_MS;
    if (evlog_history_open(d->disk, d->log, &user, 1, &reader, &f) != OK)
        return FOREVER_MS;
    while (at_ms == FOREVER_MS && item.kind != EVLOG_END) {
        if (evlog_reader_next(reader, &item, &f) != OK)
            break;
        for (uint32_t i = 0; item.kind == EVLOG_BATCH && i < item.batch.count; i++)
            if (id128_equal(item.batch.records[i].user, user))
                at_ms = min_of(at_ms, item.now_ms);
    }
    evlog_reader_close(reader);
    return at_ms;
}

/* Moments without an offset are of a clock that is not known yet. */
static int64_t since_at_least(const struct why_question *q)
{
    struct timestamp at;
    if (q->since.len == 0 || timestamp_parse(q->since, TIMESTAMP_LOOSE, &at, NULL) != OK)
        return INT64_MIN;
    return at.has_offset ? at.at_ms : at.at_ms - ZONES_MS;
}

/* 0: at the newest snapshot. */
static int64_t where_to_begin(const struct directory *d, const struct why_question *q)
{
    if (q->at.len > 0 || !has_snapshots(d))
        return 0;
    int64_t trace_ms = first_trace(d, q->person), since_ms = since_at_least(q);
    int64_t first_ms = trace_ms == FOREVER_MS ? INT64_MIN : trace_ms - EARLY_MS;
    if (first_ms == INT64_MIN && since_ms == INT64_MIN)
        return 0;
    return max_of(max_of(first_ms, since_ms) - 1, (int64_t)1);
}

/* ---- the answer ---------------------------------------------------------------------------------- */

static int64_t latest_start(const struct why_question *q)
{
    return max_of(max_of(q->since_ms, q->first_ms) - 1, (int64_t)1);
}

/* Is what was noted what there is to tell? The state that it began with is early enough, or the earliest that could
 * be had. */
static bool is_told(const struct pass *p)
{
    const struct why_question *q = p->question;
    bool is_early = p->past->recovered.snapshot_batch == 0 || p->from_ms <= latest_start(q) ||
                    (p->begins_ms != 0 && p->begins_ms <= latest_start(q));
    bool is_them = str_equal(p->id, q->id) && (q->id.len > 0 || p->profile == q->profile);
    return is_early && is_them && q->at_ms >= engine_now(p->past->recovered.engine);
}

/* Who people are is not taken from a state that differs from the log's, or that was made of what erased people had
 * said: such as recover() refuses. */
static enum status resolve_strictly(const struct directory *d, struct why_question *q,
                                    struct arena *arena, struct why_refusal *refusal,
                                    struct fault *f)
{
    struct recovered r;
    struct recover_options options = {0};
    enum status status = recover(d, &options, &r, f);
    if (status == OK && !why_resolve(r.engine, q, arena, refusal))
        status = FIX_INPUT;
    recovered_fini(&r);
    return status;
}

enum status told_read(const struct directory *d, struct why_question *q, struct arena *arena,
                      struct told *out, struct why_refusal *refusal, struct fault *f)
{
    struct pass pass = {.directory = d, .question = q, .past = out, .arena = arena};
    *out = (struct told){.passes = 0};
    *refusal = (struct why_refusal){0};
    pass.begins_ms = where_to_begin(d, q);
    enum status status = run(&pass, f);
    const struct recovered *r = &out->recovered;
    bool is_sound =
        status == OK && r->differences == 0 &&
        (r->erased_batch == 0 || (r->snapshot_batch > 0 && r->erased_batch <= r->snapshot_batch));
    if (!is_sound) {
        *f = (struct fault){0};
        out->passes++;
        status = resolve_strictly(d, q, arena, refusal, f);
    } else if (!why_resolve(r->engine, q, arena, refusal)) {
        status = FIX_INPUT;
    }
    if (status != OK || (is_sound && is_told(&pass)))
        return status;
    pass.knows_who = true;
    pass.begins_ms = latest_start(q);
    pass.until_ms = q->at_ms == FOREVER_MS ? 0 : q->at_ms;
    return run(&pass, f);
}

void told_fini(struct told *p)
{
    uint32_t passes = p->passes;
    recovered_fini(&p->recovered);
    arena_fini(&p->texts);
    mem_free(p->notes);
    *p = (struct told){.passes = passes};
}
