/* segment.c - segments/NAME.yaml, and the segments that conditions make without naming them.
 *
 * has_been(COND, "7d") is asked of a segment of COND, which remembers since when it holds: so it is
 * written in_segment("$has_been:HASH", "7d") before the expression is compiled, and COND becomes a
 * segment of its own. `enter: {if: COND}` listens to the segment "$enter:JOURNEY" in the same way.
 *
 * Segments may read each other. At the end they are put in an order in which whoever reads stands
 * behind what it reads; a circle is refused. What each reads is turned round: plan.readers[] leads from
 * a name to the segments that a change of it wakes.
 *
 * The hash says what a segment means: its condition without white space and comments, the traits that
 * it reads with their types and defaults, the programme's zone, and the hashes of the segments that it
 * reads. Where it is the same in two versions of a programme, nobody is asked again.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "programme/compile.h"

#include "base/hash.h"
#include "when/zone.h"

#include <stdlib.h>

#define SEGMENT_DEPTH_MAX 32 /* segments that read each other, one behind the other */

enum segment_mark { MARK_NONE, MARK_VISITING, MARK_DONE };

/* ---- adding ---------------------------------------------------------------------------------- */

static uint32_t segment_add(struct compile *c, enum segment_kind kind, uint32_t name,
                            const struct yaml_file *yaml, struct place place)
{
    if (c->segment_count == PLAN_SEGMENTS_MAX) {
        findings_add(c->findings, FINDING_TOO_MANY, place,
                     "a programme has at most %d segments; each has_been() and each entry by a "
                     "condition counts as one",
                     PLAN_SEGMENTS_MAX);
        return PLAN_NO_INDEX;
    }
    if (c->segments == NULL)
        c->segments = arena_array(&c->scratch, struct compile_segment, PLAN_SEGMENTS_MAX);
    struct compile_segment *s = &c->segments[c->segment_count];
    *s = (struct compile_segment){.yaml = yaml, .place = place, .normal = STR("")};
    s->is = (struct plan_segment){
        .name = name, .kind = (uint8_t)kind, .owner = STR(""), .when = {.text = STR("")}};
    return c->segment_count++;
}

struct compile_segment *build_segment(struct compile *c, uint32_t name)
{
    for (uint32_t i = 0; name != NAME_NONE && i < c->segment_count; i++)
        if (c->segments[i].is.name == name)
            return &c->segments[i];
    return NULL;
}

struct str segment_normal(struct arena *arena, struct str text)
{
    char *out = arena_alloc(arena, text.len + 1);
    size_t len = 0;
    for (size_t i = 0; i < text.len;) {
        char x = text.at[i];
        if (x == '"' || x == '\'') {
            size_t end = scope_literal_end(text, i);
            memcpy(out + len, text.at + i, end - i);
            len += end - i;
            i = end;
        } else if (x == '/' && i + 1 < text.len && text.at[i + 1] == '/') {
            i = min_of(str_find(text, STR("\n"), i), text.len);
        } else if (x == ' ' || x == '\t' || x == '\n' || x == '\r') {
            /* Between two words white space is part of what is said: `a in b`. */
            size_t next = i;
            while (next < text.len && strchr(" \t\n\r", text.at[next]) != NULL)
                next++;
            bool is_between = len > 0 && next < text.len && scope_is_word(out[len - 1]) &&
                              scope_is_word(text.at[next]);
            if (is_between)
                out[len++] = ' ';
            i = next;
        } else {
            out[len++] = x;
            i++;
        }
    }
    return (struct str){out, len};
}

static struct scope_target target_of(struct compile_segment *s)
{
    return (struct scope_target){
        .wanted = EXPR_WANT_BOOL, .reads = &s->reads, .segments = &s->segments};
}

bool segment_of_condition(struct compile *c, const struct yaml_file *yaml,
                          const struct yaml_node *node, struct str text, size_t offset,
                          enum segment_kind kind, uint32_t name)
{
    if (build_segment(c, name) != NULL)
        return true;
    uint32_t index = segment_add(c, kind, name, yaml, yaml_place_in(yaml, node, offset));
    if (index == PLAN_NO_INDEX)
        return false;
    struct compile_segment *s = &c->segments[index];
    s->normal = segment_normal(&c->scratch, text);
    return scope_compile_part(c, yaml, node, text, offset, target_of(s), &s->is.when);
}

/* The byte behind the last comma of the arguments that stands in no brackets of its own; 0 if there is
 * none. */
static size_t last_argument(struct str arguments)
{
    size_t at = 0;
    int depth = 0;
    for (size_t i = 0; i < arguments.len; i++) {
        char x = arguments.at[i];
        if (x == '"' || x == '\'')
            i = scope_literal_end(arguments, i) - 1;
        else if (x == '(' || x == '[' || x == '{')
            depth++;
        else if (x == ')' || x == ']' || x == '}')
            depth--;
        else if (x == ',' && depth == 0)
            at = i + 1;
    }
    return at;
}

bool segment_has_been(struct compile *c, const struct yaml_file *yaml, const struct yaml_node *node,
                      struct str arguments, size_t offset, struct str *call)
{
    size_t window = last_argument(arguments);
    struct str text = window ? str_part(arguments, 0, window - 1) : STR("");
    if (str_trim(text).len == 0) {
        findings_add(c->findings, FINDING_EXPRESSION, yaml_place_in(yaml, node, offset),
                     "write has_been(CONDITION, \"7d\")");
        return false;
    }
    uint64_t hash = hash_str(segment_normal(&c->scratch, text), 0);
    struct str own = arena_printf(&c->scratch, "$has_been:%016lx", hash);
    uint32_t name = build_name(c, own);
    if (name == NAME_NONE ||
        !segment_of_condition(c, yaml, node, text, offset, SEGMENT_HAS_BEEN, name))
        return false;
    *call = arena_printf(&c->scratch, "in_segment(\"%.*s\",%.*s)", STR_ARG(own),
                         STR_ARG(str_part(arguments, window, arguments.len)));
    return true;
}

/* ---- files ----------------------------------------------------------------------------------- */

static void segment_compile(struct compile *c, struct compile_file *file)
{
    const struct yaml_node *root = file->yaml.root;
    const struct yaml_node *when = shape_value(root, "", "when");
    const struct yaml_node *unless = shape_value(root, "", "unless");
    struct compile_segment *s = &c->segments[file->index]; /* does not move */
    s->is.owner = arena_copy(c->arena, shape_text(shape_value(root, "", "owner"), STR("")));
    s->is.is_list = shape_bool(shape_value(root, "", "list"), false);
    scope_compile_when(c, &file->yaml, root, target_of(s), &s->is.when);
    const struct yaml_node *node = unless ? unless : when;
    if (node && !node->is_bad)
        s->normal = arena_printf(&c->scratch, "%s%.*s", unless ? "!" : "",
                                 STR_ARG(segment_normal(&c->scratch, node->text)));
    if (!when && !unless && !s->is.is_list && !yaml_find_key(root, "when") &&
        !yaml_find_key(root, "unless")) {
        findings_add(c->findings, FINDING_MISSING_KEY, yaml_place(&file->yaml, root),
                     "the segment does not say who is in it");
        finding_advise(c->findings,
                       "say it by a condition (when: ...) or keep a list (list: true)");
    }
}

void segments_compile(struct compile *c)
{
    /* Those of files first, by their index: so files and segments go by the same number. */
    for (uint32_t i = 0; i < c->file_count; i++) {
        struct compile_file *file = &c->files[i];
        if (file->kind != FILE_SEGMENT || file->index == PLAN_NO_INDEX)
            continue;
        struct place place = file->yaml.root ? yaml_place(&file->yaml, file->yaml.root)
                                             : (struct place){file->yaml.path, 0, 0};
        uint32_t index = segment_add(c, SEGMENT_NAMED, file->name_id, &file->yaml, place);
        must(index == file->index);
        c->segments[index].file = file;
    }
    uint32_t count = c->segment_count;
    for (uint32_t i = 0; i < count; i++) {
        struct compile_file *file = c->segments[i].file;
        if (file->yaml.root && file->yaml.root->type == YAML_MAP)
            segment_compile(c, file);
    }
}

uint32_t segment_event(struct compile *c, const struct yaml_file *yaml,
                       const struct yaml_node *node, bool is_left)
{
    if (node->is_bad || node->type != YAML_TEXT)
        return NAME_NONE;
    uint16_t index = build_find(c, FILE_SEGMENT, names_find(c->names, node->text));
    if (index == PLAN_NO_INDEX) {
        struct str *known = arena_array(&c->scratch, struct str, c->segment_count + 1);
        size_t count = 0;
        for (uint32_t i = 0; i < c->segment_count; i++)
            if (c->segments[i].file)
                known[count++] = c->segments[i].file->name;
        build_unknown(c, yaml, node, "segment", known, count);
        return NAME_NONE;
    }
    struct plan_segment *s = &c->segments[index].is;
    uint32_t *name = is_left ? &s->left : &s->entered;
    if (*name == NAME_NONE)
        *name = build_name(c, arena_printf(&c->scratch, "$%s:%.*s", is_left ? "left" : "entered",
                                           STR_ARG(node->text)));
    if (*name != NAME_NONE)
        build_event(c, *name, yaml_place(yaml, node))->is_ours = true;
    return *name;
}

/* ---- order ----------------------------------------------------------------------------------- */

/* What wakes it, through the segments that it reads; each is visited once in a walk. */
static uint64_t wakes_of(struct compile *c, struct compile_segment *s)
{
    uint64_t wakes = plan_wake_bit(s->is.name);
    if (s->walk == c->segment_walk)
        return 0;
    s->walk = c->segment_walk;
    for (uint32_t i = 0; i < s->reads.count; i++)
        wakes |= plan_wake_bit(s->reads.names[i]);
    for (uint32_t i = 0; i < s->segments.count; i++) {
        struct compile_segment *other = build_segment(c, s->segments.names[i]);
        if (other != NULL)
            wakes |= wakes_of(c, other);
    }
    return wakes;
}

uint64_t segment_wakes(struct compile *c, uint32_t name)
{
    struct compile_segment *s = build_segment(c, name);
    c->segment_walk++;
    return s != NULL ? wakes_of(c, s) : plan_wake_bit(name);
}

struct ordering {
    struct compile *c;
    uint32_t path[SEGMENT_DEPTH_MAX + 1];
    uint32_t depth;
    uint32_t *order;
    uint32_t count;
    bool is_bad; /* said already */
};

static void circle_say(struct ordering *o, uint32_t again)
{
    struct compile *c = o->c;
    struct str text = STR("");
    uint32_t from = 0;
    while (o->path[from] != again)
        from++;
    for (uint32_t i = from; i <= o->depth; i++) {
        uint32_t index = i == o->depth ? again : o->path[i];
        if (c->segments[index].is.kind == SEGMENT_NAMED)
            text = arena_printf(&c->scratch, "%.*s%s%.*s", STR_ARG(text), text.len ? ", " : "",
                                STR_ARG(names_text(c->names, c->segments[index].is.name)));
    }
    findings_add(c->findings, FINDING_CONFLICT, c->segments[again].place,
                 "segments read each other in a circle: %.*s", STR_ARG(text));
    o->is_bad = true;
}

static void visit(struct ordering *o, uint32_t index)
{
    struct compile *c = o->c;
    struct compile_segment *s = &c->segments[index];
    if (s->mark == MARK_DONE || o->is_bad)
        return;
    if (s->mark == MARK_VISITING) {
        circle_say(o, index);
        return;
    }
    if (o->depth == SEGMENT_DEPTH_MAX) {
        findings_add(c->findings, FINDING_TOO_MANY, s->place,
                     "more than %d segments read each other, one behind the other",
                     SEGMENT_DEPTH_MAX);
        o->is_bad = true;
        return;
    }
    s->mark = MARK_VISITING;
    o->path[o->depth++] = index;
    for (uint32_t i = 0; i < s->segments.count; i++) {
        struct compile_segment *other = build_segment(c, s->segments.names[i]);
        if (other != NULL)
            visit(o, (uint32_t)(other - c->segments));
    }
    o->depth--;
    s->mark = MARK_DONE;
    o->order[o->count++] = index;
}

/* ---- what it means --------------------------------------------------------------------------- */

static uint64_t hash_trait(struct compile *c, uint64_t hash, uint32_t name)
{
    const struct plan_trait *trait = plan_trait_find(c->plan, name);
    hash = hash_str(names_text(c->names, name), hash);
    if (trait == NULL)
        return hash;
    hash = hash_pair(hash, trait->type);
    struct value missing = trait->missing;
    return hash_str(expr_value_print(&c->scratch, &missing, 1024), hash);
}

/* Those that it reads have theirs already. */
static uint64_t hash_segment(struct compile *c, const struct compile_segment *s)
{
    uint64_t hash = hash_str(s->normal, s->is.kind);
    hash = hash_pair(hash, s->is.is_list);
    hash = hash_str(zoneset_name(c->plan->zones, c->plan->zone), hash);
    for (uint32_t i = 0; i < s->reads.count; i++)
        hash = hash_trait(c, hash, s->reads.names[i]);
    for (uint32_t i = 0; i < s->segments.count; i++) {
        const struct compile_segment *other = build_segment(c, s->segments.names[i]);
        if (other != NULL)
            hash = hash_pair(hash, other->is.hash);
    }
    return hash;
}

/* ---- storing --------------------------------------------------------------------------------- */

struct read {
    uint32_t name;
    uint16_t segment;
};

static int read_order(const void *a_, const void *b_)
{
    const struct read *a = a_;
    const struct read *b = b_;
    if (a->name != b->name)
        return a->name < b->name ? -1 : 1;
    return a->segment < b->segment ? -1 : a->segment > b->segment;
}

static void readers_store(struct compile *c, const uint32_t *order)
{
    struct plan *plan = c->plan;
    uint32_t most = 0, count = 0;
    for (uint32_t i = 0; i < plan->segment_count; i++)
        most += c->segments[i].reads.count;
    struct read *reads = arena_array(&c->scratch, struct read, most + 1);
    for (uint32_t i = 0; i < plan->segment_count; i++) {
        const struct name_set *names = &c->segments[order[i]].reads;
        for (uint32_t k = 0; k < names->count; k++)
            reads[count++] = (struct read){names->names[k], (uint16_t)i};
    }
    qsort(reads, count, sizeof(reads[0]), read_order);
    uint16_t *segments = arena_array(c->arena, uint16_t, count + 1);
    struct plan_readers *readers = arena_array(c->arena, struct plan_readers, count + 1);
    for (uint32_t i = 0; i < count; i++) {
        if (i == 0 || reads[i].name != reads[i - 1].name)
            readers[plan->reader_count++] =
                (struct plan_readers){.name = reads[i].name, .segments = &segments[i]};
        segments[i] = reads[i].segment;
        readers[plan->reader_count - 1].count++;
    }
    plan->readers = readers;
}

static int name_order(const void *a_, const void *b_, void *segments_)
{
    const struct plan_segment *segments = segments_;
    uint32_t a = segments[*(const uint16_t *)a_].name, b = segments[*(const uint16_t *)b_].name;
    return a < b ? -1 : a > b;
}

void segments_store(struct compile *c)
{
    struct plan *plan = c->plan;
    struct ordering o = {.c = c, .order = arena_array(&c->scratch, uint32_t, c->segment_count + 1)};
    for (uint32_t i = 0; i < c->segment_count && !o.is_bad; i++)
        visit(&o, i);
    if (o.is_bad || c->segment_count == 0)
        return;
    must(o.count == c->segment_count);
    struct plan_segment *segments = arena_array(c->arena, struct plan_segment, o.count);
    uint16_t *by_name = arena_array(c->arena, uint16_t, o.count);
    for (uint32_t i = 0; i < o.count; i++) {
        struct compile_segment *s = &c->segments[o.order[i]];
        s->is.hash = hash_segment(c, s);
        s->is.wakes = segment_wakes(c, s->is.name);
        segments[i] = s->is;
        by_name[i] = (uint16_t)i;
    }
    qsort_r(by_name, o.count, sizeof(by_name[0]), name_order, segments);
    plan->segment_count = o.count;
    plan->segments = segments;
    plan->segments_by_name = by_name;
    for (uint32_t i = 0; i < o.count; i++)
        plan->segments_hash = hash_pair(hash_pair(plan->segments_hash, segments[by_name[i]].name),
                                        segments[by_name[i]].hash);
    readers_store(c, o.order);
}
