/* SPDX-License-Identifier: Apache-2.0 */
#include "programme/programme.h"

#include "base/hook.h"
#include "base/mem.h"
#include "channel/channel.h"
#include "os/disk.h"
#include "programme/compile.h"
#include "when/zone.h"

#include <stdlib.h>

/* ---- small things ---------------------------------------------------------------------------- */

uint32_t build_name(struct compile *c, struct str text)
{
    uint32_t name = names_add(c->names, text);
    if (name == NAME_NONE && text.len > 0 && text.len <= NAME_BYTES_MAX)
        findings_add(c->findings, FINDING_TOO_MANY, (struct place){STR("programme.yaml"), 0, 0},
                     "the data directory knows too many names already to learn \"%.*s\"",
                     STR_ARG(str_part(text, 0, 100)));
    return name;
}

bool name_set_has(const struct name_set *set, uint32_t name)
{
    for (uint32_t i = 0; i < set->count; i++)
        if (set->names[i] == name)
            return true;
    return false;
}

void name_set_add(struct compile *c, struct name_set *set, uint32_t name)
{
    if (name_set_has(set, name))
        return;
    if (set->count == set->room) {
        uint32_t room = set->room ? set->room * 2 : 8;
        uint32_t *grown = arena_array(&c->scratch, uint32_t, room);
        if (set->count)
            memcpy(grown, set->names, set->count * sizeof(*grown));
        set->names = grown;
        set->room = room;
    }
    set->names[set->count++] = name;
}

struct compile_event *build_event(struct compile *c, uint32_t name, struct place place)
{
    uint32_t index = map_u64_find(&c->event_map, name);
    if (index != MAP_NONE) {
        c->events[index].uses++;
        return &c->events[index];
    }
    if (c->event_count == c->event_room) {
        c->event_room = c->event_room ? c->event_room * 2 : 32;
        c->events = mem_resize(c->events, c->event_room * sizeof(*c->events));
    }
    if (c->event_count == COMPILE_EVENTS_MAX)
        findings_add(c->findings, FINDING_TOO_MANY, place,
                     "the programme reads more than %d different events", COMPILE_EVENTS_MAX);
    map_u64_set(&c->event_map, name, c->event_count);
    struct compile_event *event = &c->events[c->event_count++];
    *event = (struct compile_event){.name = name, .uses = 1, .place = place};
    return event;
}

uint64_t build_event_hear(struct compile *c, uint32_t name, struct place place)
{
    if (name == NAME_NONE)
        return 0;
    build_event(c, name, place)->is_heard = true;
    return plan_wake_bit(name);
}

void build_unknown(struct compile *c, const struct yaml_file *file, const struct yaml_node *node,
                   const char *what, const struct str *known, size_t count)
{
    findings_add(c->findings, FINDING_UNKNOWN_NAME, yaml_place(file, node),
                 "there is no %s \"%.*s\"", what, STR_ARG(str_part(node->text, 0, 100)));
    if (c->findings->dropped)
        return; /* nobody will read it, and looking for near names takes its time */
    struct str near = str_nearest(node->text, known, count);
    if (near.len) {
        finding_advise(c->findings, "did you mean \"%.*s\"?", STR_ARG(near));
        struct str line = yaml_line_with(file, node, near, &c->scratch);
        if (line.len)
            finding_fix(c->findings, "%.*s", STR_ARG(str_trim(line)));
        return;
    }
    struct str all = STR("");
    for (size_t i = 0; i < count && i < 12; i++)
        all =
            arena_printf(&c->scratch, "%.*s%s%.*s", STR_ARG(all), i ? ", " : "", STR_ARG(known[i]));
    if (count)
        finding_advise(c->findings, "there are: %.*s%s", STR_ARG(all), count > 12 ? ", ..." : "");
}

/* A name that can be looked up: checked, a scalar. */
static bool is_name(const struct yaml_node *node)
{
    return node && !node->is_bad && node->type != YAML_LIST && node->type != YAML_MAP &&
           node->type != YAML_NULL;
}

uint16_t build_category(struct compile *c, const struct yaml_file *file,
                        const struct yaml_node *node)
{
    if (!is_name(node))
        return PLAN_NO_INDEX;
    uint32_t count = c->plan->category_count;
    struct str *known = arena_array(&c->scratch, struct str, count);
    for (uint32_t i = 0; i < count; i++) {
        known[i] = names_text(c->names, c->plan->categories[i].name);
        if (str_equal(known[i], node->text))
            return (uint16_t)i;
    }
    build_unknown(c, file, node, "category", known, count);
    return PLAN_NO_INDEX;
}

uint16_t build_group_index(struct compile *c, const struct yaml_file *file,
                           const struct yaml_node *node)
{
    if (!is_name(node))
        return PLAN_NO_INDEX;
    uint32_t count = c->plan->group_count;
    struct str *known = arena_array(&c->scratch, struct str, count);
    for (uint32_t i = 0; i < count; i++) {
        known[i] = names_text(c->names, c->plan->groups[i].name);
        if (str_equal(known[i], node->text))
            return (uint16_t)i;
    }
    build_unknown(c, file, node, "group", known, count);
    return PLAN_NO_INDEX;
}

static uint64_t file_key(enum file_kind kind, uint32_t name)
{
    return (uint64_t)kind << 32 | name;
}

uint16_t build_find(const struct compile *c, enum file_kind kind, uint32_t name)
{
    uint32_t index =
        name == NAME_NONE ? MAP_NONE : map_u64_find(&c->file_map, file_key(kind, name));
    return index == MAP_NONE ? PLAN_NO_INDEX : (uint16_t)index;
}

static uint16_t file_index(struct compile *c, const struct yaml_file *file,
                           const struct yaml_node *node, enum file_kind kind, const char *what)
{
    if (!is_name(node))
        return PLAN_NO_INDEX;
    uint16_t index = build_find(c, kind, names_find(c->names, node->text));
    if (index != PLAN_NO_INDEX)
        return index;
    struct str *known = arena_array(&c->scratch, struct str, c->file_count);
    uint32_t count = 0;
    for (uint32_t i = 0; i < c->file_count; i++)
        if (c->files[i].kind == kind && c->files[i].index != PLAN_NO_INDEX)
            known[count++] = c->files[i].name;
    build_unknown(c, file, node, what, known, count);
    return PLAN_NO_INDEX;
}

uint16_t build_journey_index(struct compile *c, const struct yaml_file *file,
                             const struct yaml_node *node)
{
    return file_index(c, file, node, FILE_JOURNEY, "journey");
}

uint16_t build_message_index(struct compile *c, const struct yaml_file *file,
                             const struct yaml_node *node)
{
    return file_index(c, file, node, FILE_MESSAGE, "message");
}

/* ---- files ----------------------------------------------------------------------------------- */

/* `journeys/cart.yaml` without folder and ending. */
static struct str stem_of(struct str path, struct str folder)
{
    return str_part(path, folder.len, path.len - folder.len - 5);
}

static bool is_direct(struct str path, struct str folder)
{
    return str_starts(path, folder) && str_find(path, STR("/"), folder.len) == SIZE_MAX;
}

enum path_kind {
    PATH_OURS,
    PATH_TEST,
    PATH_VOUCHER,
    PATH_PART,
    PATH_PARTIAL,
    PATH_LATER,
    PATH_STRAY
};

static enum path_kind path_kind(struct str path, enum file_kind *kind, struct str *name)
{
    static const struct str later[] = {{"offers/", 7}, {"catalogs/", 9}};
    bool is_yaml = str_ends(path, STR(".yaml"));
    if (str_is(path, "programme.yaml")) {
        *kind = FILE_PROGRAMME;
        *name = STR("programme");
        return PATH_OURS;
    }
    if (str_is(path, "migrate.yaml")) {
        *kind = FILE_MIGRATE;
        *name = STR("migrate");
        return PATH_OURS;
    }
    if (is_direct(path, STR("journeys/")) && is_yaml) {
        *kind = FILE_JOURNEY;
        *name = stem_of(path, STR("journeys/"));
        return PATH_OURS;
    }
    if (is_direct(path, STR("segments/")) && is_yaml) {
        *kind = FILE_SEGMENT;
        *name = stem_of(path, STR("segments/"));
        return PATH_OURS;
    }
    if (is_direct(path, STR("providers/")) && is_yaml) {
        *kind = FILE_PROVIDER;
        *name = stem_of(path, STR("providers/"));
        return PATH_OURS;
    }
    if (str_starts(path, STR("tests/")) && is_yaml)
        return PATH_TEST;
    if (is_direct(path, STR("vouchers/")) && str_ends(path, STR(".csv")))
        return PATH_VOUCHER;
    if (is_direct(path, STR("partials/")) && str_ends(path, STR(".liquid"))) {
        *name = str_part(path, 9, path.len - 9 - 7);
        return PATH_PARTIAL;
    }
    for (size_t i = 0; i < array_count(later); i++)
        if (str_starts(path, later[i]))
            return PATH_LATER;
    if (!str_starts(path, STR("messages/")) || is_direct(path, STR("messages/")))
        return PATH_STRAY;
    size_t slash = str_find(path, STR("/"), 9);
    *name = str_part(path, 9, slash - 9);
    *kind = FILE_MESSAGE;
    return str_is(str_part(path, slash, path.len), "/message.yaml") ? PATH_OURS : PATH_PART;
}

static bool has_message_file(const struct programme_folder *folder, struct str name,
                             struct arena *scratch)
{
    return programme_folder_find(
               folder, arena_printf(scratch, "messages/%.*s/message.yaml", STR_ARG(name))) != NULL;
}

static void stray_say(struct compile *c, struct str path)
{
    findings_add(c->findings, FINDING_UNKNOWN_FILE, (struct place){path, 0, 0},
                 "nothing reads this file");
    if (str_ends(path, STR(".yml")))
        finding_advise(c->findings, "call it %.*s.yaml", (int)path.len - 4, path.at);
    else if (str_starts(path, STR("messages/")))
        finding_advise(c->findings, "a message is a folder: messages/NAME/message.yaml");
    else if (str_starts(path, STR("vouchers/")))
        finding_advise(c->findings, "pools of codes are called NAME.csv");
    else if (str_starts(path, STR("partials/")))
        finding_advise(c->findings, "partials are called NAME.liquid");
    else
        finding_advise(c->findings, "files here are called NAME.yaml");
}

static void file_take(struct compile *c, const struct programme_file *source, enum file_kind kind,
                      struct str name)
{
    static const char *const shapes_of[] = {
        [FILE_PROGRAMME] = "PROGRAMME", [FILE_JOURNEY] = "JOURNEY", [FILE_MESSAGE] = "MESSAGE",
        [FILE_PROVIDER] = "PROVIDER",   [FILE_SEGMENT] = "SEGMENT", [FILE_MIGRATE] = "MIGRATIONS",
    };
    struct compile_file *file = &c->files[c->file_count++];
    *file = (struct compile_file){.kind = kind, .name = name, .index = PLAN_NO_INDEX};
    bool is_fine = yaml_read(source->path, source->text, &c->scratch, &file->yaml, c->findings);
    if (file->yaml.root) {
        c->check.file = &file->yaml;
        shape_check(&c->check, shape_get(shapes_of[kind]), file->yaml.root);
    } else if (is_fine) {
        findings_add(c->findings, FINDING_MISSING_KEY, (struct place){source->path, 0, 0},
                     "the file is empty");
    }
    if (kind == FILE_PROGRAMME)
        c->settings = file;
    if (kind == FILE_MIGRATE)
        c->migrations = file;
}

static void files_take(struct compile *c)
{
    struct str later = STR("");
    struct str orphan = STR("");
    c->files = arena_array(&c->scratch, struct compile_file, c->folder->file_count);
    c->partials = arena_array(&c->scratch, struct liquid_source, c->folder->file_count);
    for (uint32_t i = 0; i < c->folder->file_count; i++) {
        const struct programme_file *source = &c->folder->files[i];
        enum file_kind kind = FILE_PROGRAMME;
        struct str name = STR("");
        switch (path_kind(source->path, &kind, &name)) {
        case PATH_OURS: file_take(c, source, kind, name); break;
        case PATH_VOUCHER:
        case PATH_TEST: break;
        case PATH_PARTIAL:
            c->partials[c->partial_count++] = (struct liquid_source){name, source->text};
            break;
        case PATH_PART:
            if (!str_equal(name, orphan) && !has_message_file(c->folder, name, &c->scratch)) {
                findings_add(c->findings, FINDING_MISSING_KEY, (struct place){source->path, 0, 0},
                             "the folder messages/%.*s has no message.yaml", STR_ARG(name));
                orphan = name;
            }
            break;
        case PATH_LATER: {
            struct str folder = str_part(source->path, 0, str_find(source->path, STR("/"), 0));
            if (!str_equal(folder, later))
                findings_add(c->findings, FINDING_NOT_YET, (struct place){source->path, 0, 0},
                             "%.*s are not supported yet by this release", STR_ARG(folder));
            later = folder;
            break;
        }
        case PATH_STRAY: stray_say(c, source->path); break;
        }
    }
}

/* ---- declaring ------------------------------------------------------------------------------- */

static bool name_is_fine(struct str name)
{
    if (name.len == 0 || name.len > 64)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.at[i];
        bool is_fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '_' || c == '-' || c == '.';
        if (!is_fine)
            return false;
    }
    return true;
}

/* The file that has the name already. */
static const struct compile_file *declared(const struct compile *c, enum file_kind kind,
                                           uint16_t index)
{
    for (uint32_t i = 0; i < c->file_count; i++)
        if (c->files[i].kind == kind && c->files[i].index == index)
            return &c->files[i];
    must(!"a file of that index");
    return NULL;
}

static bool declare_name(struct compile *c, struct compile_file *file)
{
    struct place place = {file->yaml.path, 0, 0};
    if (file->kind == FILE_JOURNEY || file->kind == FILE_SEGMENT) {
        const char *key = file->kind == FILE_JOURNEY ? "journey" : "segment";
        const struct yaml_node *node = shape_value(file->yaml.root, "", key);
        if (!node)
            return false;
        file->name = node->text;
        place = yaml_place(&file->yaml, node);
    } else if (!name_is_fine(file->name)) {
        findings_add(c->findings, FINDING_BAD_NAME, place,
                     "the name \"%.*s\" may have letters, digits, - _ and . only",
                     STR_ARG(str_part(file->name, 0, 100)));
        return false;
    }
    uint16_t taken = build_find(c, file->kind, names_find(c->names, file->name));
    if (taken != PLAN_NO_INDEX) {
        findings_add(c->findings, FINDING_NAME_TWICE, place,
                     "there is a %s \"%.*s\" in %.*s already",
                     file->kind == FILE_SEGMENT ? "segment" : "journey", STR_ARG(file->name),
                     STR_ARG(declared(c, file->kind, taken)->yaml.path));
        return false;
    }
    file->name_id = build_name(c, file->name);
    return file->name_id != NAME_NONE;
}

static void declare(struct compile *c)
{
    static const struct {
        enum file_kind kind;
        uint32_t most;
        const char *words;
    } bounds[] = {
        {FILE_JOURNEY, PLAN_JOURNEYS_MAX, "journeys"},
        {FILE_MESSAGE, PLAN_MESSAGES_MAX, "messages"},
        {FILE_PROVIDER, PLAN_PROVIDERS_MAX, "providers"},
        {FILE_SEGMENT, PLAN_SEGMENTS_MAX, "segments"},
    };
    uint32_t counts[array_count(bounds)] = {0};
    for (uint32_t i = 0; i < c->file_count; i++) {
        struct compile_file *file = &c->files[i];
        for (size_t k = 0; k < array_count(bounds); k++) {
            if (file->kind != bounds[k].kind)
                continue;
            if (counts[k] == bounds[k].most) {
                findings_add(c->findings, FINDING_TOO_MANY, (struct place){file->yaml.path, 0, 0},
                             "a programme has at most %u %s", bounds[k].most, bounds[k].words);
                counts[k]++;
            } else if (counts[k] < bounds[k].most && declare_name(c, file)) {
                map_u64_set(&c->file_map, file_key(file->kind, file->name_id), counts[k]);
                file->index = (uint16_t)counts[k]++;
            }
        }
    }
    struct plan *plan = c->plan;
    plan->journey_count = min_of(counts[0], bounds[0].most);
    plan->message_count = min_of(counts[1], bounds[1].most);
    plan->provider_count = min_of(counts[2], bounds[2].most);
    plan->journeys = c->journeys = arena_array(c->arena, struct plan_journey, plan->journey_count);
    plan->messages = c->messages = arena_array(c->arena, struct plan_message, plan->message_count);
    plan->providers = c->providers =
        arena_array(c->arena, struct plan_provider, plan->provider_count);
    c->journey_infos = arena_array(&c->scratch, struct compile_journey, plan->journey_count);
    c->message_infos = arena_array(&c->scratch, struct compile_message, plan->message_count);
    for (uint32_t i = 0; i < plan->journey_count; i++)
        c->journeys[i].group = PLAN_NO_INDEX;
}

/* A journey that a group lists must exist. */
static void groups_look(struct compile *c)
{
    for (uint32_t i = 0; i < c->plan->group_count; i++)
        for (uint32_t k = 0; k < c->groups[i].journey_count; k++)
            build_journey_index(c, &c->settings->yaml, c->groups[i].nodes[k]);
}

/* ---- gathering ------------------------------------------------------------------------------- */

static int event_order(const void *a_, const void *b_)
{
    const struct compile_event *a = a_;
    const struct compile_event *b = b_;
    return a->name < b->name ? -1 : a->name > b->name;
}

static void events_store(struct compile *c)
{
    struct plan *plan = c->plan;
    uint32_t count = min_of(c->event_count, (uint32_t)COMPILE_EVENTS_MAX);
    if (count)
        qsort(c->events, count, sizeof(*c->events), event_order);
    struct plan_event *events = arena_array(c->arena, struct plan_event, count);
    uint32_t index_count = count ? c->events[count - 1].name + 1 : 0;
    uint16_t *index = arena_array(c->arena, uint16_t, index_count);
    for (uint32_t i = 0; i < index_count; i++)
        index[i] = PLAN_NO_INDEX;
    for (uint32_t i = 0; i < count; i++) {
        const struct compile_event *from = &c->events[i];
        index[from->name] = (uint16_t)i;
        events[i] = (struct plan_event){
            .name = from->name,
            .entry_count = from->entry_count,
            .entries = from->entries,
            .is_touch = from->is_touch,
            .holds_from = from->holds_from,
            .holds_until = from->holds_until,
            .bit = from->is_heard ? plan_wake_bit(from->name) : 0,
            .is_ours = from->is_ours,
        };
    }
    plan->events = events;
    plan->event_count = count;
    plan->event_index = index;
    plan->event_index_count = index_count;
}

static int feature_order(const void *a_, const void *b_)
{
    const struct plan_feature *const *a = a_;
    const struct plan_feature *const *b = b_;
    return (*a)->name < (*b)->name ? -1 : (*a)->name > (*b)->name;
}

/* Features by name, and bindings that refer to them by their new places. */
static void features_store(struct compile *c)
{
    struct plan *plan = c->plan;
    uint32_t count = c->feature_count;
    struct plan_feature *features = arena_array(c->arena, struct plan_feature, count);
    struct plan_feature **order = arena_array(&c->scratch, struct plan_feature *, count);
    uint16_t *places = arena_array(&c->scratch, uint16_t, count);
    uint16_t *prefixes = arena_array(c->arena, uint16_t, count);
    for (uint32_t i = 0; i < count; i++)
        order[i] = &c->features[i];
    if (count)
        qsort(order, count, sizeof(struct plan_feature *), feature_order);
    for (uint32_t i = 0; i < count; i++) {
        features[i] = *order[i];
        places[order[i] - c->features] = (uint16_t)i;
        if (!features[i].is_prefix)
            continue;
        prefixes[plan->prefix_count++] = (uint16_t)i;
        struct str prefix = features[i].prefix;
        for (uint32_t byte = 0; byte < 256; byte++)
            if (prefix.len == 0 || (uint8_t)prefix.at[0] == byte)
                plan->prefix_bytes[byte >> 6] |= UINT64_C(1) << (byte & 63);
    }
    for (uint32_t i = 0; i < c->binding_count; i++) {
        struct plan_binding *binding = &c->bindings[i];
        if (count)
            binding->feature = places[binding->feature];
        if (!binding->sequence)
            continue;
        struct plan_sequence *sequence = arena_new(c->arena, struct plan_sequence);
        *sequence = *binding->sequence;
        for (uint32_t k = 0; k < sequence->step_count; k++)
            sequence->steps[k] = places[sequence->steps[k]];
        for (uint32_t k = 0; k < sequence->without_count; k++)
            sequence->without[k] = places[sequence->without[k]];
        binding->sequence = sequence;
    }
    plan->features = features;
    plan->feature_count = count;
    plan->prefixes = prefixes;
}

/* Which features each event feeds; behind events_store(). */
static void events_feed(struct compile *c)
{
    struct plan *plan = c->plan;
    for (uint32_t i = 0; i < plan->event_count; i++) {
        struct plan_event *event = (struct plan_event *)(uintptr_t)&plan->events[i];
        uint16_t *features = NULL;
        for (uint32_t pass = 0; pass < 2; pass++) {
            event->feature_count = 0;
            for (uint32_t k = 0; k < plan->feature_count; k++) {
                if (plan->features[k].event != event->name)
                    continue;
                if (features)
                    features[event->feature_count] = (uint16_t)k;
                event->feature_count++;
            }
            if (!features)
                features = arena_array(c->arena, uint16_t, event->feature_count);
        }
        event->features = features;
    }
}

static void bindings_store(struct compile *c)
{
    struct plan_binding *bindings = arena_array(c->arena, struct plan_binding, c->binding_count);
    if (c->binding_count)
        memcpy(bindings, c->bindings, c->binding_count * sizeof(*bindings));
    c->plan->bindings = bindings;
    c->plan->binding_count = c->binding_count;
}

/* How long a sent message matters: the longest window of any cap, sent(), engaged() or wait for
 * engagement; a content key's. Calendar windows may be an hour longer than they say. */
static void ledger_store(struct compile *c)
{
    int64_t ledger_ms = max_of(c->ledger_ms, LEDGER_LEAST_MS);
    for (uint32_t i = 0; i < c->plan->cap_count; i++) {
        const struct plan_cap *cap = &c->plan->caps[i];
        bool is_calendar = cap->kind == CAP_DAY || cap->kind == CAP_WEEK;
        ledger_ms = max_of(ledger_ms, cap->window_ms + (is_calendar ? DAY_MS : 0));
    }
    for (uint32_t i = 0; i < c->plan->message_count; i++)
        if (c->plan->messages[i].has_content_key)
            ledger_ms = max_of(ledger_ms, PLAN_CONTENT_MS);
    c->plan->ledger_ms = ledger_ms;
}

/* ---- compiling ------------------------------------------------------------------------------- */

static bool zones_take(struct compile *c)
{
    struct fault f = {0};
    struct zoneset *zones = NULL;
    if (zoneset_read(c->folder->zones, &zones, &f) == OK) {
        c->plan->zones = zones;
        return true;
    }
    findings_add(c->findings, FINDING_UNREADABLE, (struct place){STR("zones"), 0, 0},
                 "the zone data: %s", f.text);
    return false;
}

static void compile_parts(struct compile *c)
{
    uint32_t errors = c->findings->error_count;
    files_take(c);
    must(c->settings != NULL);
    /* What cannot be read declares nothing: every trait and category would be missing everywhere. */
    if (c->settings->yaml.root == NULL && c->findings->error_count > errors)
        return;
    declare(c);
    settings_compile(c);
    stages_declare(c);
    groups_look(c);
    settings_compile_rules(c);
    segments_compile(c);
    stages_compile(c);
    regulations_compile(c);
    needs_compile(c);
    providers_compile(c);
    audiences_compile(c);
    messages_compile(c);
    vouchers_compile(c);
    journeys_compile(c);
    monitors_compile(c);
    placements_compile(c);
    ways_store(c);
    features_store(c);
    segments_store(c);
    bindings_store(c);
    events_store(c);
    events_feed(c);
    ledger_store(c);
}

/* For tests (base/hook.h): a release that makes other names, in another order. Every word of the files, from
 * the last one to the first, and some that are in none. */
static void build_other_names(struct compile *c)
{
    for (uint32_t i = 0; i < 7; i++)
        build_name(c, arena_printf(&c->scratch, "$other:%u", i));
    for (uint32_t i = c->folder->file_count; i-- > 0;) {
        struct str text = c->folder->files[i].text;
        for (size_t end = text.len; end > 0;) {
            size_t from = end;
            while (from > 0 && scope_is_word(text.at[from - 1]))
                from--;
            if (from < end && end - from <= NAME_BYTES_MAX)
                build_name(c, str_part(text, from, end - from));
            end = from < end ? from : end - 1;
        }
    }
}

enum status programme_compile(const struct programme_folder *folder, struct names *names,
                              struct plan **out, struct findings *findings)
{
    uint32_t errors = findings->error_count;
    struct compile *c = mem_new(sizeof(*c));
    *out = NULL;
    *c = (struct compile){.folder = folder, .names = names, .findings = findings};
    arena_init(&c->scratch, 64 * 1024);
    map_u64_init(&c->event_map);
    map_u64_init(&c->file_map);
    c->plan = mem_new(sizeof(*c->plan));
    arena_init(&c->plan->arena, 64 * 1024);
    c->arena = &c->plan->arena;
    c->check = (struct shape_check){.findings = findings, .scratch = &c->scratch};
    memcpy(c->plan->hash, folder->hash, sizeof(c->plan->hash));
    if (hook(HOOK_NAMES))
        build_other_names(c);
    if (zones_take(c)) {
        compile_parts(c);
        if (findings->error_count == errors)
            build_check(c);
    }
    if (findings->error_count == errors)
        *out = c->plan;
    else
        programme_plan_free(c->plan);
    map_u64_fini(&c->event_map);
    map_u64_fini(&c->file_map);
    mem_free(c->bindings);
    mem_free(c->features);
    mem_free(c->events);
    arena_fini(&c->scratch);
    mem_free(c);
    return *out ? OK : FIX_INPUT;
}

void programme_plan_free(struct plan *plan)
{
    if (!plan)
        return;
    /* The plan owns its zones; the pointer is const for its readers. */
    zoneset_free((struct zoneset *)(uintptr_t)plan->zones);
    arena_fini(&plan->arena);
    mem_free(plan);
}

enum status programme_load(struct os_disk *disk, const char *path, struct names *names,
                           struct plan **out, struct findings *findings)
{
    struct fault f = {0};
    struct buf zones;
    struct programme_folder folder;
    *out = NULL;
    buf_init(&zones);
    enum status status = programme_zones(disk, NULL, &zones, &f);
    if (status == OK)
        status = programme_folder_read(disk, path, buf_str(&zones), &folder, &f);
    buf_fini(&zones);
    if (status != OK) {
        findings_add(findings, FINDING_UNREADABLE, (struct place){str_of(f.file), f.line, 0}, "%s",
                     f.text);
        return status;
    }
    status = programme_compile(&folder, names, out, findings);
    programme_folder_fini(&folder);
    return status;
}
