/* SPDX-License-Identifier: Apache-2.0 */
#include "replay/segment.h"

#include "audience/audience.h"
#include "base/map.h"
#include "base/mem.h"
#include "evlog/evlog.h"
#include "profile/ask.h"
#include "replay/retention.h"

#define FEATURES_FROM (NAMES_MAX * 2) /* beyond all that the log's own programmes are kept under */

enum status segment_folder(const struct directory *d, const struct engine *engine, const char *path,
                           struct str text, struct programme_folder *out, struct fault *f)
{
    const struct plans *plans = engine_plans(engine);
    if (plans->newest == 0) {
        fault_set(f,
                  "the directory has no programme yet, so nothing says what people's traits are");
        return FIX_INPUT;
    }
    return segment_folder_of(d, plans->at[plans->newest]->hash, path, text, out, f);
}

enum status segment_folder_of(const struct directory *d, const char *programme, const char *path,
                              struct str text, struct programme_folder *out, struct fault *f)
{
    struct programme_folder own;
    enum status status = programme_recall(d->disk, d->programmes, programme, &own, f);
    if (status != OK || path == NULL) {
        *out = own;
        return status;
    }
    struct programme_file *files = mem_new((own.file_count + 1) * sizeof(*files));
    for (uint32_t i = 0; i < own.file_count; i++)
        files[i] = own.files[i];
    files[own.file_count] = (struct programme_file){str_of(path), text};
    status = programme_folder_of(files, own.file_count + 1, own.zones, out, f);
    mem_free(files);
    programme_folder_fini(&own);
    return status;
}

/* ---- as if it had always been there -------------------------------------------------------------- */

/* Notes which segments this one asks for how long, those that it reads included, and the shortest of the
 * times. Returns how far back it looks: in each other, the times add up. Whom it reads stands before it,
 * so this ends. */
static int64_t lasting_find(struct segment_view *v, uint16_t segment, int64_t *least_ms)
{
    const struct plan *plan = &v->plan;
    int64_t most_ms = 0;
    if (plan->segments[segment].when.code == NULL)
        return 0;
    struct expr_reads reads = expr_reads(plan->segments[segment].when.code);
    for (uint32_t i = 0; i < reads.binding_count; i++) {
        const struct plan_binding *b = &plan->bindings[reads.bindings[i]];
        if (b->kind != BINDING_IN_SEGMENT)
            continue;
        uint16_t read = plan_segment_find(plan, b->name);
        must(read != PLAN_NO_INDEX && read < segment);
        most_ms = max_of(most_ms, b->window_ms + lasting_find(v, read, least_ms));
        bool is_known = b->window_ms == 0;
        for (uint32_t k = 0; k < v->lasting_count; k++)
            is_known |= v->lasting[k] == read;
        if (b->window_ms != 0)
            *least_ms = min_of(*least_ms, b->window_ms);
        if (is_known)
            continue;
        v->lasting = mem_resize(v->lasting, (v->lasting_count + 1) * sizeof(*v->lasting));
        uint32_t place = v->lasting_count++;
        for (; place > 0 && v->lasting[place - 1] > read; place--)
            v->lasting[place] = v->lasting[place - 1];
        v->lasting[place] = read;
    }
    return most_ms;
}

static bool known_since(void *self, const struct person *who, uint32_t segment, int64_t *since_ms)
{
    const struct segment_view *v = self;
    for (uint32_t i = 0; i < v->lasting_count; i++) {
        if (v->plan.segments[v->lasting[i]].name != segment)
            continue;
        uint32_t since = map_u64_find(&v->since[i], who->id);
        *since_ms = since == MAP_NONE ? FOREVER_MS : v->first_ms + (int64_t)since * v->step_ms;
        return true;
    }
    return false;
}

static bool ask_segment(struct segment_view *v, struct engine *e, uint64_t profile,
                        uint16_t segment, int64_t at_ms, bool *is_error)
{
    struct person who;
    const struct plan_segment *s = &v->plan.segments[segment];
    engine_look(e, profile, &who);
    who.membership_since = v->lasting_count ? known_since : NULL;
    who.membership_self = v;
    const struct membership *m = person_membership_find(&who, s->name);
    *is_error = false;
    if (s->is_list && m != NULL && m->flags & (MEMBERSHIP_WAS_ADDED | MEMBERSHIP_WAS_REMOVED))
        return m->flags & MEMBERSHIP_WAS_ADDED;
    if (s->when.code == NULL || who.plan == NULL)
        return false;
    struct asked asked = ask_at(&who, &v->plan, &s->when, (struct blob){0}, at_ms);
    *is_error = asked.is_error;
    return asked.is_true;
}

/* Everybody is asked for what lasts, in the order in which segments read each other. */
static void look(struct segment_view *v, struct engine *e, int64_t at_ms)
{
    uint32_t number = (uint32_t)((at_ms - v->first_ms) / v->step_ms);
    for (uint32_t i = 0; i < v->lasting_count; i++) {
        for (uint64_t n = engine_each(e, 0); n != 0; n = engine_each(e, n)) {
            bool is_error;
            if (!ask_segment(v, e, n, v->lasting[i], at_ms, &is_error))
                (void)map_u64_drop(&v->since[i], n);
            else if (map_u64_find(&v->since[i], n) == MAP_NONE)
                map_u64_set(&v->since[i], n, number);
        }
    }
}

/* Before a batch the state is that of all moments up to it. */
static void look_before(void *self, struct engine *e, const struct batch *batch)
{
    struct segment_view *v = self;
    for (; v->look_ms <= v->last_look_ms && v->look_ms < batch->now_ms; v->look_ms += v->step_ms)
        look(v, e, v->look_ms);
}

#define LOOKS_IN_SHORTEST 100
#define LOOKS_MAX         1000

enum status segment_view(const struct directory *d, const struct plan *plan, uint16_t segment,
                         int64_t end_ms, int64_t until_ms, struct segment_view *out,
                         struct fault *f)
{
    struct recover_options options = {.from_beginning = true,
                                      .is_tolerant = true,
                                      .until_ms = until_ms,
                                      .keeps = plan,
                                      .keeps_from = FEATURES_FROM};
    int64_t least_ms = INT64_MAX;
    *out = (struct segment_view){.plan = *plan};
    struct plan_feature *features = mem_new((plan->feature_count + 1) * sizeof(*features));
    for (uint32_t i = 0; i < plan->feature_count; i++) {
        features[i] = plan->features[i];
        features[i].name += FEATURES_FROM;
    }
    out->plan.features = features;
    int64_t most_ms = lasting_find(out, segment, &least_ms);
    if (out->lasting_count) {
        out->last_look_ms = until_ms ? until_ms : end_ms;
        out->step_ms =
            max_of(max_of(least_ms / LOOKS_IN_SHORTEST, most_ms / LOOKS_MAX), INT64_C(1));
        if (out->step_ms > MINUTE_MS)
            out->step_ms -= out->step_ms % MINUTE_MS;
        /* The first look is so long before the end as anything asks, and the last one at the end. */
        int64_t looks = (most_ms + out->step_ms - 1) / out->step_ms;
        out->first_ms = out->look_ms = out->last_look_ms - looks * out->step_ms;
        out->since = mem_new(out->lasting_count * sizeof(*out->since));
        for (uint32_t i = 0; i < out->lasting_count; i++)
            map_u64_init(&out->since[i]);
        options.self = out;
        options.before = look_before;
    }
    enum status status = recover(d, &options, &out->recovered, f);
    if (status != OK)
        return status;
    out->at_ms = until_ms ? until_ms : engine_now(out->recovered.engine);
    for (; out->step_ms && out->look_ms <= out->last_look_ms; out->look_ms += out->step_ms)
        look(out, out->recovered.engine, out->look_ms);
    return OK;
}

void segment_view_fini(struct segment_view *view)
{
    recovered_fini(&view->recovered);
    mem_free((void *)(uintptr_t)view->plan.features);
    for (uint32_t i = 0; view->since != NULL && i < view->lasting_count; i++)
        map_u64_fini(&view->since[i]);
    mem_free(view->since);
    mem_free(view->lasting);
}

bool segment_view_ask(struct segment_view *view, uint64_t profile, uint16_t segment, bool *is_error)
{
    return ask_segment(view, view->recovered.engine, profile, segment, view->at_ms, is_error);
}

/* ---- as it was ----------------------------------------------------------------------------------- */

struct membership_past {
    struct map_u64 places; /* profile -> place in since, plus one */
    int64_t *since;        /* INT64_MIN: not in */
    uint64_t *profiles;
    uint32_t count, room;
    uint32_t segment;
    int64_t at_ms;
};

static int64_t *since_of(struct membership_past *p, uint64_t profile)
{
    uint32_t place = map_u64_find(&p->places, profile);
    if (place != MAP_NONE)
        return &p->since[place];
    if (p->count == p->room) {
        p->room = p->room ? p->room * 2 : 256;
        p->since = mem_resize(p->since, p->room * sizeof(p->since[0]));
        p->profiles = mem_resize(p->profiles, p->room * sizeof(p->profiles[0]));
    }
    map_u64_set(&p->places, profile, p->count);
    p->profiles[p->count] = profile;
    p->since[p->count] = INT64_MIN;
    return &p->since[p->count++];
}

static void take_results(struct membership_past *p, struct str bytes, int64_t now_ms)
{
    struct cursor c = cursor_of(bytes.at, bytes.len);
    struct result row;
    while (results_read(&c, now_ms, &row)) {
        if (row.at_ms > p->at_ms)
            continue;
        if (row.kind == RESULT_MERGED)
            *since_of(p, row.profile) = INT64_MIN;
        else if (row.kind == RESULT_MEMBERSHIP && row.number == p->segment)
            *since_of(p, row.profile) = row.how & 1 ? row.at_ms : INT64_MIN;
    }
}

/* Who was in by the oldest state that is kept: *from is its batch. FIX_INPUT: the moment is before it. */
static enum status take_base(struct membership_past *p, const struct directory *d, uint64_t *from,
                             struct fault *f)
{
    struct reach reach;
    struct recovered r = {0};
    *from = 0;
    enum status status = reach_of(d, &reach, f);
    if (status != OK || reach.log_first <= 1)
        return status;
    struct recover_options options = {.from_beginning = true,
                                      .is_tolerant = true,
                                      .batch_last = reach.base,
                                      .until_ms = p->at_ms};
    status = recover(d, &options, &r, f);
    for (uint64_t n = status == OK ? engine_each(r.engine, 0) : 0; n != 0;
         n = engine_each(r.engine, n)) {
        struct person who;
        engine_look(r.engine, n, &who);
        const struct membership *m = person_membership_find(&who, p->segment);
        if (m != NULL && audience_is_in(&who, p->segment))
            *since_of(p, n) = m->since_ms;
    }
    *from = r.snapshot_batch;
    recovered_fini(&r);
    return status;
}

enum status segment_past(const struct directory *d, uint32_t segment, int64_t at_ms, void *self,
                         void (*note)(void *self, uint64_t profile, int64_t since_ms),
                         struct fault *f)
{
    struct membership_past p = {.segment = segment, .at_ms = at_ms};
    struct evlog_reader *reader = NULL;
    bool is_over = false;
    uint64_t from, last = UINT64_MAX;
    map_u64_init(&p.places);
    enum status status = take_base(&p, d, &from, f);
    if (status == OK)
        status = evlog_reader_open(d->disk, d->log, from + 1, &reader, f);
    is_over = status != OK;
    while (!is_over) {
        struct evlog_item item;
        status = evlog_reader_next(reader, &item, f);
        if (status != OK || item.kind == EVLOG_END)
            break;
        if (item.kind == EVLOG_RESULTS) {
            if (item.number <= last)
                take_results(&p, item.results, item.now_ms);
            is_over = item.number >= last;
            continue;
        }
        if (item.batch.now_ms > at_ms && last == UINT64_MAX)
            last = item.batch.number; /* its rows may be of moments before */
    }
    for (uint32_t i = 0; i < p.count && status == OK; i++)
        if (p.since[i] != INT64_MIN)
            note(self, p.profiles[i], p.since[i]);
    evlog_reader_close(reader);
    map_u64_fini(&p.places);
    mem_free(p.since);
    mem_free(p.profiles);
    return status;
}
