/* journey.c - journeys/NAME.yaml: who enters, what happens, when it is over.
 *
 * Steps are nested in the file and flat in the plan. Each step knows the next; a way that has no next
 * step yet is an *open end*, kept in a list until the step that follows is made:
 *
 *     - send: a                     0 send a       next 1
 *     - branch:                     1 branch       arms[0] 2, next (else) 4
 *         - if: x                   2 send b       next 3  ─┐
 *           do: [send b, wait]      3 wait         next 5  ─┤ open until "send d" is made
 *         - else:                                           │
 *           do: [send c]            4 send c       next 5  ─┘
 *     - send: d                     5 send d       next PLAN_END
 *
 * SPDX-License-Identifier: Apache-2.0
 */

#include "base/hash.h"
#include "base/mem.h"
#include "model/control.h"
#include "programme/journey_int.h"

#include "base/hash.h"
#include "base/mem.h"

struct scope_target builder_target(struct builder *b, uint32_t flags, enum expr_wanted wanted)
{
    return (struct scope_target){.flags = flags, .wanted = wanted, .kept = &b->info->kept};
}

/* ---- open ends ------------------------------------------------------------------------------- */

void ends_open(struct builder *b, struct open_ends *ends, uint16_t *at)
{
    if (ends->count == ends->room) {
        uint32_t room = ends->room ? ends->room * 2 : 8;
        uint16_t **grown = arena_array(&b->c->scratch, uint16_t *, room);
        if (ends->count)
            memcpy(grown, ends->at, ends->count * sizeof(*grown));
        ends->at = grown;
        ends->room = room;
    }
    ends->at[ends->count++] = at;
}

void ends_join(struct builder *b, struct open_ends *ends, const struct open_ends *others)
{
    for (uint32_t i = 0; i < others->count; i++)
        ends_open(b, ends, others->at[i]);
}

void ends_close(struct open_ends *ends, uint16_t target)
{
    for (uint32_t i = 0; i < ends->count; i++)
        *ends->at[i] = target;
    ends->count = 0;
}

/* ---- names of steps -------------------------------------------------------------------------- */

static const char *step_kind_name(enum step_kind kind)
{
    switch (kind) {
    case STEP_SEND: return "send";
    case STEP_WAIT: return "wait";
    case STEP_BRANCH: return "branch";
    case STEP_SPLIT: return "split";
    case STEP_SET: return "set";
    case STEP_STAGE: return "stage";
    case STEP_AUDIENCE: return "audience";
    case STEP_CALL: return "call";
    case STEP_TASK: return "task";
    case STEP_EXIT: return "exit";
    case STEP_GOAL: return "goal";
    case STEP_CHOOSE: return "choose";
    case STEP_HANDOFF: return "handoff";
    case STEP_RUN: return "run";
    case STEP_MILESTONE: return "milestone";
    }
    must(!"a kind of step");
    return "";
}

static bool id_is_taken(const struct builder *b, uint32_t name)
{
    for (uint32_t i = 0; i < b->given_count; i++)
        if (b->given_ids[i] == name)
            return true;
    for (uint32_t i = 0; i < b->count; i++)
        if (b->steps[i].id == name)
            return true;
    return false;
}

/* "cart-reminder" for a send, a split's own name, "wait-2" for the second wait; where that is taken,
 * the next number that is free. */
uint32_t id_make(struct builder *b, const struct plan_step *step, struct str own)
{
    struct compile *c = b->c;
    uint32_t nth = 1;
    for (uint32_t i = 0; i < b->count && !own.len; i++)
        nth += b->steps[i].kind == step->kind && &b->steps[i] != step;
    struct str stem = own.len ? own : str_of(step_kind_name((enum step_kind)step->kind));
    for (;; nth++) {
        struct str text =
            own.len && nth == 1 ? own : arena_printf(&c->scratch, "%.*s-%u", STR_ARG(stem), nth);
        uint32_t name = build_name(c, text);
        if (name == NAME_NONE || !id_is_taken(b, name))
            return name;
    }
}

static void id_given(struct builder *b, const struct yaml_node *node, uint32_t name)
{
    for (uint32_t i = 0; i < b->given_count; i++) {
        if (b->given_ids[i] != name)
            continue;
        findings_add(b->c->findings, FINDING_NAME_TWICE, yaml_place(b->yaml, node),
                     "there are two steps \"%.*s\"", STR_ARG(node->text));
        return;
    }
    b->given_ids[b->given_count++] = name;
}

/* Collects all `id:` before any is made, so that a made one never takes a given one's. Recursion is
 * bounded by YAML_DEPTH_MAX. */
static void ids_collect(struct builder *b, const struct yaml_node *list)
{
    static const char *const lists[] = {"if_not_sent",  "if_refused",  "do",        "on_timeout",
                                        "branch",       "choose",      "arms",      "if_failed",
                                        "if_timed_out", "if_declined", "if_overdue"};
    for (uint32_t i = 0; list && list->type == YAML_LIST && i < list->count; i++) {
        const struct yaml_node *item = list->items[i];
        const struct yaml_node *id = shape_value(item, "", "id");
        if (id && id->type == YAML_TEXT && b->given_count < PLAN_STEPS_MAX)
            id_given(b, id, build_name(b->c, id->text));
        for (size_t k = 0; k < array_count(lists); k++)
            ids_collect(b, shape_value(item, "", lists[k]));
        ids_collect(b, shape_value(shape_value(item, "", "wait"), "", "on_timeout"));
        ids_collect(b, shape_value(shape_value(item, "", "wait"), "", "any"));
        ids_collect(b, shape_value(shape_value(item, "", "split"), "", "arms"));
    }
}

/* ---- steps ----------------------------------------------------------------------------------- */

void inner_compile(struct builder *b, const struct yaml_node *list, uint16_t *start,
                   struct open_ends *ends, uint16_t *last_message)
{
    struct open_ends inner = {0};
    ends_open(b, &inner, start);
    steps_compile(b, list, &inner, last_message);
    ends_join(b, ends, &inner);
}

uint16_t last_of_two(uint16_t a, uint16_t b)
{
    return a == b ? a : LAST_MANY;
}
struct plan_step *step_new(struct builder *b, const struct yaml_node *node, enum step_kind kind,
                           struct open_ends *ends)
{
    if (b->count == PLAN_STEPS_MAX) {
        if (!b->is_full)
            findings_add(b->c->findings, FINDING_TOO_MANY, yaml_place(b->yaml, node),
                         "a journey has at most %d steps", PLAN_STEPS_MAX);
        b->is_full = true;
        return NULL;
    }
    struct plan_step *step = &b->steps[b->count];
    b->nodes[b->count] = node;
    ends_close(ends, (uint16_t)b->count++);
    *step = (struct plan_step){.kind = (uint8_t)kind, .next = PLAN_END, .line = node->line};
    return step;
}

static void step_name(struct builder *b, const struct yaml_node *node, struct plan_step *step)
{
    const struct yaml_node *id = shape_value(node, "", "id");
    struct str own = STR("");
    if (step->kind == STEP_SEND)
        own = shape_text(shape_value(node, "", "send"), STR(""));
    else if (step->kind == STEP_SPLIT)
        own = shape_text(shape_value(shape_value(node, "", "split"), "", "name"), STR(""));
    step->id = id ? build_name(b->c, id->text) : id_make(b, step, own);
}

static void stage_compile(struct builder *b, const struct yaml_node *node, struct plan_step *step)
{
    const struct yaml_node *value = shape_value(node, "", "stage");
    step->stage = build_stage(b->c, b->yaml, value);
    const struct plan_stage *stages = b->c->plan->stages;
    for (uint32_t i = 0; i < b->c->plan->stage_count && step->stage != NAME_NONE; i++)
        if (stages[i].name == step->stage && stages[i].segment != NAME_NONE)
            findings_add(b->c->findings, FINDING_CONFLICT, yaml_place(b->yaml, value),
                         "the stage \"%.*s\" has a condition of its own, which says who is in it",
                         STR_ARG(value->text));
}

static bool goal_stays(const struct builder *b)
{
    return b->journey->goal.stays;
}

static void step_compile(struct builder *b, const struct yaml_node *node, const char *member,
                         struct open_ends *ends, uint16_t *last_message)
{
    static const struct {
        const char *key;
        enum step_kind kind;
    } kinds[] = {
        {"send", STEP_SEND},   {"wait", STEP_WAIT},     {"branch", STEP_BRANCH},
        {"split", STEP_SPLIT}, {"choose", STEP_CHOOSE}, {"handoff", STEP_HANDOFF},
        {"run", STEP_RUN},     {"set", STEP_SET},       {"exit", STEP_EXIT},
        {"goal", STEP_GOAL},   {"stage", STEP_STAGE},   {"audience", STEP_AUDIENCE},
        {"call", STEP_CALL},   {"task", STEP_TASK},
    };
    enum step_kind kind = STEP_EXIT;
    for (size_t i = 0; i < array_count(kinds); i++)
        if (strcmp(kinds[i].key, member) == 0)
            kind = kinds[i].kind;
    if (kind == STEP_SET) {
        const struct yaml_node *map = shape_value(node, "", "set");
        for (uint32_t i = 0; map && map->type == YAML_MAP && i < map->count; i++) {
            struct plan_step *step = step_new(b, node, kind, ends);
            if (!step)
                return;
            if (i == 0)
                step_name(b, node, step);
            else
                step->id = id_make(b, step, STR(""));
            set_compile(b, &map->pairs[i], step);
            ends_open(b, ends, &step->next);
        }
        return;
    }
    struct plan_step *step = step_new(b, node, kind, ends);
    if (!step)
        return;
    step_name(b, node, step);
    if (b->is_aside &&
        (kind == STEP_WAIT || kind == STEP_RUN || kind == STEP_CALL || kind == STEP_TASK))
        findings_add(
            b->c->findings, FINDING_CONFLICT, yaml_place(b->yaml, node),
            "a reaction that stays takes no time: \"%s\" needs then: exit, or then: go STEP",
            member);
    switch (kind) {
    case STEP_SEND:
        send_compile(b, node, step, ends, last_message);
        ends_open(b, ends, &step->next);
        return;
    case STEP_WAIT:
        wait_compile(b, node, step, ends, last_message);
        ends_open(b, ends, &step->next);
        return;
    case STEP_BRANCH: branch_compile(b, node, step, ends, last_message); return;
    case STEP_SPLIT: split_compile(b, node, step, ends, last_message); return;
    case STEP_CHOOSE: choose_compile(b, node, step, ends, last_message); return;
    case STEP_HANDOFF: handoff_compile(b, node, step, ends, last_message); return;
    case STEP_RUN:
        run_compile(b, node, step);
        *last_message = LAST_MANY; /* the other one may have sent something */
        ends_open(b, ends, &step->next);
        return;
    case STEP_CALL: call_compile(b, node, step, ends, last_message); return;
    case STEP_TASK: task_compile(b, node, step, ends, last_message); return;
    case STEP_MILESTONE: return; /* no step of a file */
    case STEP_EXIT: return;
    case STEP_STAGE:
        stage_compile(b, node, step);
        ends_open(b, ends, &step->next);
        return;
    case STEP_AUDIENCE:
        audience_step_compile(b->c, b->yaml, node, &step->audience);
        ends_open(b, ends, &step->next);
        return;
    case STEP_GOAL:
        if (goal_stays(b))
            ends_open(b, ends, &step->next);
        return;
    case STEP_SET: return;
    }
}

/* Recursion is bounded by YAML_DEPTH_MAX. */
void steps_compile(struct builder *b, const struct yaml_node *list, struct open_ends *ends,
                   uint16_t *last_message)
{
    for (uint32_t i = 0; i < shape_count(list) && !b->is_full; i++) {
        const struct yaml_node *node = shape_item(list, i);
        const char *member = shape_member(node, shape_union_get("STEP"));
        if (member)
            step_compile(b, node, member, ends, last_message);
    }
}

/* ---- the rest of a journey ------------------------------------------------------------------- */

static void goal_compile(struct builder *b, const struct yaml_node *node)
{
    struct compile *c = b->c;
    struct plan_goal *goal = &b->journey->goal;
    goal->when.text = STR("");
    const struct yaml_node *event = shape_value(node, "event", "event");
    const struct yaml_node *entered = shape_value(node, "event", "segment");
    const struct yaml_node *left = shape_value(node, "event", "segment_left");
    if (!node || node->is_bad)
        return;
    if ((event != NULL) + (entered != NULL) + (left != NULL) != 1) {
        if (node->type == YAML_MAP && !yaml_find_key(node, "event") && !entered && !left)
            findings_add(
                c->findings, FINDING_MISSING_KEY, yaml_place(b->yaml, node),
                "the goal does not say what shows that the journey worked: event or segment");
        else if (event || entered || left)
            findings_add(c->findings, FINDING_CONFLICT, yaml_place(b->yaml, node),
                         "the goal is one event or one segment");
        return;
    }
    if (!event)
        goal->event = segment_event(c, b->yaml, entered ? entered : left, left != NULL);
    else
        goal->event = build_name(c, event->text);
    event = event ? event : entered ? entered : left;
    if (goal->event == NAME_NONE)
        return;
    b->journey->event_wake |= build_event_hear(c, goal->event, yaml_place(b->yaml, event));
    scope_compile_when(c, b->yaml, node->type == YAML_MAP ? node : NULL,
                       builder_target(b, SCOPE_EVENT | SCOPE_ENTRY | SCOPE_ONCE, EXPR_WANT_BOOL),
                       &goal->when);
    goal->within_ms = shape_span_ms(shape_value(node, "event", "within"), 0);
    goal->stays = str_is(shape_text(shape_value(node, "event", "then"), STR("end")), "stay");
}

/* The group it names itself, or that lists it. */
static uint16_t group_of(struct builder *b)
{
    struct compile *c = b->c;
    const struct yaml_node *own = shape_value(b->yaml->root, "", "group");
    uint16_t group = build_group_index(c, b->yaml, own);
    for (uint32_t i = 0; i < c->plan->group_count; i++) {
        for (uint32_t k = 0; k < c->groups[i].journey_count; k++) {
            if (c->groups[i].journeys[k] != b->journey->name || b->journey->name == NAME_NONE)
                continue;
            if (group != PLAN_NO_INDEX && group != i)
                findings_add(c->findings, FINDING_CONFLICT,
                             yaml_place(&c->settings->yaml, c->groups[i].nodes[k]),
                             "the journey \"%.*s\" is in two groups, \"%.*s\" and \"%.*s\"",
                             STR_ARG(b->file->name),
                             STR_ARG(names_text(c->names, c->plan->groups[group].name)),
                             STR_ARG(names_text(c->names, c->plan->groups[i].name)));
            group = (uint16_t)i;
        }
    }
    return group;
}

static uint64_t definition_hash(const struct yaml_node *root)
{
    static const char *const words[] = {"owner", "description", "state", "migrate", NULL};
    struct buf text;
    buf_init(&text);
    yaml_normal(root, words, &text);
    uint64_t hash = hash_str(buf_str(&text), 0);
    buf_fini(&text);
    return hash;
}

static void kept_store(struct builder *b)
{
    const struct name_set *kept = &b->info->kept;
    uint32_t *names = arena_array(b->c->arena, uint32_t, kept->count);
    uint32_t count = 0;
    for (uint32_t i = 0; i < kept->count; i++)
        if (!saved_is(names_text(b->c->names, kept->names[i]))) /* no event brings those */
            names[count++] = kept->names[i];
    b->journey->kept = names;
    b->journey->kept_count = count;
}

static void steps_store(struct builder *b)
{
    struct compile *c = b->c;
    struct plan_step *steps = arena_array(c->arena, struct plan_step, b->count);
    if (b->count)
        memcpy(steps, b->steps, b->count * sizeof(*steps));
    b->journey->steps = steps;
    b->journey->step_count = b->count;
    b->info->places = arena_array(&c->scratch, struct place, b->count);
    for (uint32_t i = 0; i < b->count; i++)
        b->info->places[i] = yaml_place(b->yaml, b->nodes[i]);
}

static void preempts_compile(struct builder *b, const struct yaml_node *list)
{
    struct compile *c = b->c;
    uint32_t *names = arena_array(c->arena, uint32_t, shape_count(list) + 1);
    for (uint32_t i = 0; i < shape_count(list); i++) {
        const struct yaml_node *node = shape_item(list, i);
        uint16_t index = build_journey_index(c, b->yaml, node);
        if (index == PLAN_NO_INDEX)
            continue;
        if (&c->journeys[index] == b->journey)
            findings_add(c->findings, FINDING_CONFLICT, yaml_place(b->yaml, node),
                         "a journey cannot pre-empt itself; at_once: {then: restart} begins anew");
        else
            names[b->journey->preempt_count++] = build_name(c, node->text);
    }
    b->journey->preempts = names;
}

/* Something must happen; nothing is said where a key is written that there is not, which may be meant. */
static void steps_look(struct builder *b, const struct yaml_node *root)
{
    const struct shape *shape = shape_get("JOURNEY");
    if (yaml_find_key(root, "steps") || yaml_find_key(root, "milestones"))
        return;
    for (uint32_t i = 0; i < root->count; i++) {
        bool is_known = false;
        for (uint32_t k = 0; k < shape->key_count; k++)
            is_known |= str_is(root->pairs[i].key->text, shape->keys[k].name);
        if (!is_known)
            return;
    }
    findings_add(b->c->findings, FINDING_MISSING_KEY, yaml_place(b->yaml, root),
                 "journeys/NAME.yaml needs the key \"steps\"");
    finding_advise(b->c->findings, "steps: what happens, in this order; or milestones");
}

static void journey_compile(struct compile *c, struct compile_file *file)
{
    const struct yaml_node *root = file->yaml.root;
    struct builder b = {
        .c = c,
        .file = file,
        .yaml = &file->yaml,
        .journey = &c->journeys[file->index],
        .info = &c->journey_infos[file->index],
        .steps = mem_new(PLAN_STEPS_MAX * sizeof(struct plan_step)),
        .nodes = arena_array(&c->scratch, const struct yaml_node *, PLAN_STEPS_MAX),
        .given_ids = arena_array(&c->scratch, uint32_t, PLAN_STEPS_MAX),
    };
    struct plan_journey *journey = b.journey;
    b.info->file = file;
    journey->name = file->name_id;
    journey->owner = arena_copy(c->arena, shape_text(shape_value(root, "", "owner"), STR("")));
    journey->group = group_of(&b);
    const struct yaml_node *priority = shape_value(root, "", "priority");
    if (priority && priority->type == YAML_TEXT)
        scope_compile(c, b.yaml, priority,
                      builder_target(&b, SCOPE_ENTRY | SCOPE_ONCE, EXPR_WANT_NUMBER),
                      &journey->priority_by);
    else
        journey->priority = (int32_t)shape_int(priority, 0);
    preempts_compile(&b, shape_value(root, "", "preempts"));
    journey->capacity = (uint32_t)shape_int(shape_value(root, "", "capacity"), 0);
    journey->hash = definition_hash(root);
    enum journey_phase phase = PHASE_ACTIVE;
    (void)phase_find(shape_text(shape_value(root, "", "state"), STR("active")), &phase);
    journey->phase = (uint8_t)phase;
    struct str holdout_text;
    journey->holdout = build_holdout(c, shape_value(root, "", "holdout"), "journey-holdout",
                                     file->name, &journey->salt, &holdout_text);
    enter_compile(&b, shape_value(root, "", "enter"));
    goal_compile(&b, shape_value(root, "", "goal"));
    const struct yaml_node *exits = shape_value(root, "", "exits");
    struct listens listens = listens_of(&b, exits, true);
    journey->exits = listens.list;
    journey->exit_count = listens.count;
    scope_compile(c, b.yaml, shape_value(root, "", "require"),
                  builder_target(&b, SCOPE_ENTRY, EXPR_WANT_BOOL), &journey->require);

    const struct yaml_node *stage = shape_value(root, "", "stage");
    for (uint32_t i = 0; i < shape_count(stage); i++)
        stage_cover(c, build_stage(c, b.yaml, shape_item(stage, i)));
    const struct yaml_node *steps = shape_value(root, "", "steps");
    struct open_ends ends = {0};
    uint16_t last_message = LAST_NONE;
    ids_collect(&b, steps);
    ids_collect(&b, shape_value(root, "", "milestones"));
    ids_collect(&b, shape_value(root, "", "on"));
    steps_compile(&b, steps, &ends, &last_message);
    milestones_compile(&b, &ends);
    ends_close(&ends, PLAN_END);
    reactions_compile(&b);
    outcomes_compile(&b);
    saves_check(&b);
    steps_look(&b, root);
    if (steps && !steps->is_bad && steps->type == YAML_LIST && steps->count == 0)
        findings_add(c->findings, FINDING_MISSING_KEY, yaml_place(b.yaml, steps),
                     "the journey has no steps");
    migrate_compile(&b, shape_value(root, "", "migrate"));
    kept_store(&b);
    steps_store(&b);
    mem_free(b.steps);
}

void journeys_compile(struct compile *c)
{
    for (uint32_t i = 0; i < c->file_count; i++) {
        struct compile_file *file = &c->files[i];
        if (file->kind == FILE_JOURNEY && file->index != PLAN_NO_INDEX && file->yaml.root &&
            file->yaml.root->type == YAML_MAP)
            journey_compile(c, file);
    }
    migrations_look(c);
    links_check(c);
}
