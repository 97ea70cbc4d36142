/* SPDX-License-Identifier: Apache-2.0 */
#include "programme/diff.h"

#include "model/names.h"
#include "model/plan.h"
#include "programme/check.h"
#include "programme/programme.h"

struct diff {
    const struct names *names;
    struct arena *arena;
    struct diff_row *rows;
    uint32_t count, room;
};

/* A thing with a name, and a number that equal ones have in common. */
struct thing {
    struct str name;
    uint64_t hash;
    int64_t bytes;
};

struct things {
    struct thing *list;
    uint32_t count;
};

static void add(struct diff *d, enum diff_kind kind, enum diff_how how, const struct thing *thing)
{
    if (d->count == d->room) {
        uint32_t room = d->room ? d->room * 2 : 64;
        struct diff_row *rows = arena_array(d->arena, struct diff_row, room);
        for (uint32_t i = 0; i < d->count; i++)
            rows[i] = d->rows[i];
        d->rows = rows;
        d->room = room;
    }
    d->rows[d->count++] = (struct diff_row){kind, how, thing->name, thing->bytes};
}

static const struct thing *find(const struct things *things, struct str name)
{
    for (uint32_t i = 0; i < things->count; i++)
        if (str_equal(things->list[i].name, name))
            return &things->list[i];
    return NULL;
}

static void compare(struct diff *d, enum diff_kind kind, const struct things *from,
                    const struct things *to)
{
    for (uint32_t i = 0; i < to->count; i++) {
        const struct thing *before = find(from, to->list[i].name);
        if (before == NULL)
            add(d, kind, DIFF_NEW, &to->list[i]);
        else if (before->hash != to->list[i].hash)
            add(d, kind, DIFF_CHANGED, &to->list[i]);
    }
    for (uint32_t i = 0; i < from->count; i++)
        if (find(to, from->list[i].name) == NULL)
            add(d, kind, DIFF_REMOVED, &from->list[i]);
}

static struct things things_new(struct diff *d, uint32_t room)
{
    return (struct things){.list = arena_array(d->arena, struct thing, room + 1)};
}

static struct things journeys(struct diff *d, const struct plan *plan)
{
    struct things things = things_new(d, plan != NULL ? plan->journey_count : 0);
    for (uint32_t i = 0; plan != NULL && i < plan->journey_count; i++)
        things.list[things.count++] =
            (struct thing){names_text(d->names, plan->journeys[i].name), plan->journeys[i].hash, 0};
    return things;
}

static struct things segments(struct diff *d, const struct plan *plan)
{
    struct things things = things_new(d, plan != NULL ? plan->segment_count : 0);
    for (uint32_t i = 0; plan != NULL && i < plan->segment_count; i++)
        if (plan->segments[i].kind == SEGMENT_NAMED)
            things.list[things.count++] = (struct thing){
                names_text(d->names, plan->segments[i].name), plan->segments[i].hash, 0};
    return things;
}

static struct things features(struct diff *d, const struct plan *plan)
{
    uint32_t count = 0;
    struct programme_cost total;
    const struct programme_cost *costs =
        plan != NULL ? programme_cost(plan, d->names, d->arena, &count, &total) : NULL;
    struct things things = things_new(d, count);
    for (uint32_t i = 0; i < count; i++)
        things.list[things.count++] =
            (struct thing){costs[i].what, costs[i].bytes, (int64_t)costs[i].bytes};
    return things;
}

/* Tests change nothing that anybody notices; journeys and segments are told from what they mean. */
static bool is_told_elsewhere(struct str path)
{
    return str_starts(path, STR("tests/")) || str_starts(path, STR("journeys/")) ||
           str_starts(path, STR("segments/"));
}

static struct things files(struct diff *d, const struct programme_folder *folder)
{
    struct things things = things_new(d, folder != NULL ? folder->file_count : 0);
    for (uint32_t i = 0; folder != NULL && i < folder->file_count; i++)
        if (!is_told_elsewhere(folder->files[i].path))
            things.list[things.count++] =
                (struct thing){folder->files[i].path, hash_str(folder->files[i].text, 0), 0};
    return things;
}

const struct diff_row *programme_diff(const struct programme_version *from,
                                      const struct programme_version *to, const struct names *names,
                                      struct arena *arena, uint32_t *count)
{
    struct diff d = {.names = names, .arena = arena};
    struct things before = journeys(&d, from->plan), after = journeys(&d, to->plan);
    compare(&d, DIFF_JOURNEY, &before, &after);
    before = segments(&d, from->plan);
    after = segments(&d, to->plan);
    compare(&d, DIFF_SEGMENT, &before, &after);
    before = features(&d, from->plan);
    after = features(&d, to->plan);
    compare(&d, DIFF_KEPT, &before, &after);
    before = files(&d, from->folder);
    after = files(&d, to->folder);
    compare(&d, DIFF_FILE, &before, &after);
    *count = d.count;
    return d.rows;
}

const char *diff_kind_name(enum diff_kind kind)
{
    switch (kind) {
    case DIFF_JOURNEY: return "journey";
    case DIFF_SEGMENT: return "segment";
    case DIFF_KEPT: return "kept";
    case DIFF_FILE: return "file";
    case DIFF_KIND_END: break;
    }
    return "";
}

const char *diff_how_name(enum diff_how how)
{
    switch (how) {
    case DIFF_NEW: return "new";
    case DIFF_CHANGED: return "changed";
    case DIFF_REMOVED: return "removed";
    }
    return "";
}
