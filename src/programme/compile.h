/* compile.h - inside the room: one programme on its way from files to a plan.
 *
 *     files ── yaml_read, shape_check ──► nodes without faults of shape
 *           ── declare: every journey and message gets its index, so that all may name all
 *           ── settings.c, message.c, journey.c: nodes to plan, expressions through scope.c
 *           ── gather: events, features, wake bits, ledger
 *           ── check.c: what works, but hardly as meant
 *
 * Everything goes on after a finding, with something harmless in the place of what is wrong, so that
 * all findings show at once. A plan with errors is never given out.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/map.h"
#include "expr/expr.h"
#include "liquid/liquid.h"
#include "model/names.h"
#include "model/plan.h"
#include "programme/finding.h"
#include "programme/programme.h"
#include "programme/shape.h"

#define COMPILE_EVENTS_MAX   4096
#define COMPILE_BINDINGS_MAX 16384

/* sent(), engaged() and clicked() without a window look back so far. */
#define LEDGER_EVER_MS  (90 * DAY_MS)
#define LEDGER_LEAST_MS (7 * DAY_MS)

enum file_kind {
    FILE_PROGRAMME,
    FILE_JOURNEY,
    FILE_MESSAGE,
    FILE_PROVIDER,
    FILE_SEGMENT,
    FILE_MIGRATE,
};

struct compile_file {
    enum file_kind kind;
    struct yaml_file yaml;
    struct str
        name; /* journeys, segments: as declared; messages: the folder's; providers: the file's */
    uint32_t name_id; /* its number; NAME_NONE = it has none that can be used */
    uint16_t index;   /* in the plan's journeys, messages or providers; in the segments below */
};

/* What is known about an event name before plan_event is made of it. */
struct compile_event {
    uint32_t name;
    bool is_heard; /* a live instance or an expression listens to it */
    bool is_ours;  /* only the engine says it: a segment entered or left */
    uint32_t uses; /* how often it is named */
    bool is_touch; /* a cap counts it */
    uint64_t holds_from;
    uint64_t holds_until;
    uint32_t entry_count;
    uint32_t entry_room;
    uint16_t *entries;
    struct place place; /* where it is named first */
};

/* A name that nobody declares, as far as it is used. */
struct compile_word {
    uint32_t name;
    uint32_t uses;
    struct place place; /* where it is named first */
};

/* A set of names, in the order of adding; in scratch. */
struct name_set {
    uint32_t count;
    uint32_t room;
    uint32_t *names;
};

struct compile_group {
    uint32_t *journeys; /* names listed in groups[].journeys */
    const struct yaml_node **nodes;
    uint32_t journey_count;
};

/* What check.c wants to know of a message or journey beyond the plan. */
struct compile_message {
    struct compile_file *file;
    struct name_set entry_reads; /* entry.* paths of templates and only_if */
    bool is_sent;
    bool has_bad; /* content did not compile: say nothing that follows from it */
};

struct compile_journey {
    struct compile_file *file;
    struct name_set kept;
    bool *is_reachable;   /* by step */
    struct place *places; /* by step */
};

/* A segment on its way: of a file, or made by has_been() or an entry (segment.c). */
struct compile_segment {
    struct plan_segment is;
    struct compile_file *file; /* NULL: it has none */
    const struct yaml_file *yaml;
    struct place place;
    struct str normal;        /* what it says, without white space and comments */
    struct name_set reads;    /* names that wake it */
    struct name_set segments; /* those among them that are segments */
    uint8_t mark;
    uint32_t walk;
};

/* An outcome("step") of a journey. */
struct compile_told {
    struct compile_told *next;
    const struct yaml_file *file;
    struct str step;
    struct place place;
    uint32_t name; /* under which the instance keeps it */
    bool is_saved; /* instead: saved.NAME, of any step */
};

struct compile {
    const struct programme_folder *folder;
    struct names *names;
    struct findings *findings;
    struct arena scratch;
    struct plan *plan;
    struct arena *arena; /* the plan's */
    struct shape_check check;

    struct compile_file *files;
    uint32_t file_count;
    struct map_u64 file_map;         /* kind and name's number to the index in the plan */
    struct compile_file *settings;   /* programme.yaml */
    struct compile_file *migrations; /* migrate.yaml, or NULL */
    struct liquid_source *partials;  /* partials/NAME.liquid, which templates render by NAME */
    uint32_t partial_count;

    struct plan_journey *journeys;
    struct plan_message *messages;
    struct plan_provider *providers;
    struct compile_journey *journey_infos;
    struct compile_message *message_infos;
    struct compile_group *groups;

    struct compile_told
        *told; /* sends whose outcome is asked for, and what is read of what is saved */
    struct plan_errand *errands; /* PLAN_ERRANDS_MAX; NULL = none yet */
    bool has_all_errands;
    struct plan_stage *stages;
    bool *stage_is_covered; /* a journey speaks to people in it */
    struct compile_segment *segments;
    uint32_t segment_count;
    uint32_t segment_walk;

    struct plan_binding *bindings;
    uint32_t binding_count;
    uint32_t binding_room;
    struct plan_feature *features;
    uint32_t feature_count;
    uint32_t feature_room;
    struct compile_event *events;
    uint32_t event_count;
    uint32_t event_room;
    struct map_u64 event_map;        /* name to index in events */
    struct compile_word *properties; /* of events, that expressions read; in scratch */
    uint32_t property_count;
    uint32_t property_room;
    uint16_t history_max; /* limits.history */
    int64_t ledger_ms;
    bool has_caps; /* written, or the defaults */
};

/* ---- small things ---------------------------------------------------------------------------- */

/* The number of `text`; a finding and NAME_NONE where the table of names is full. */
uint32_t build_name(struct compile *c, struct str text);

bool name_set_has(const struct name_set *set, uint32_t name);
void name_set_add(struct compile *c, struct name_set *set, uint32_t name);

/* The event's entry, made if it is new. Never NULL. */
struct compile_event *build_event(struct compile *c, uint32_t name, struct place place);

/* The same, heard by an instance or expression; returns its wake bit. */
uint64_t build_event_hear(struct compile *c, uint32_t name, struct place place);

/* `"x" is no category; did you mean "y"?` at the node. */
void build_unknown(struct compile *c, const struct yaml_file *file, const struct yaml_node *node,
                   const char *what, const struct str *known, size_t count);

/* Index of the category, group, journey, message with that name; PLAN_NO_INDEX and a finding if there
 * is none. The node is checked; NULL gives PLAN_NO_INDEX without a finding. */
uint16_t build_calendar(struct compile *c, const struct yaml_node *node); /* plus one; 0 = none */
uint32_t build_channels(const struct yaml_node *node);                    /* bits */
uint64_t build_categories(struct compile *c, const struct yaml_node *node, uint32_t lanes,
                          const char *rule); /* bits; each in one of `lanes` (bits) */
/* Which messages a cap or budget is for: channel, category, ..., into `cap` and as words behind `text`. */
void build_scope(struct compile *c, const struct yaml_node *node, const char *rule,
                 struct plan_cap *cap, struct buf *text);
void build_unknown_zone(struct compile *c, const struct yaml_node *node); /* says so */
uint16_t build_category(struct compile *c, const struct yaml_file *file,
                        const struct yaml_node *node);
uint16_t build_group_index(struct compile *c, const struct yaml_file *file,
                           const struct yaml_node *node);
uint16_t build_journey_index(struct compile *c, const struct yaml_file *file,
                             const struct yaml_node *node);
uint16_t build_message_index(struct compile *c, const struct yaml_file *file,
                             const struct yaml_node *node);

/* The index of the journey, message or provider whose name has that number, or PLAN_NO_INDEX. */
uint16_t build_find(const struct compile *c, enum file_kind kind, uint32_t name);

/* ---- the parts ------------------------------------------------------------------------------- */

void settings_compile(struct compile *c);       /* traits, categories, groups: others name them */
void settings_compile_rules(struct compile *c); /* caps, quiet hours, holds, holdout */
void regulations_compile(struct compile *c);    /* behind calendars, categories and traits */
void segments_compile(struct compile *c);
void providers_compile(struct compile *c);
void messages_compile(struct compile *c);
void journeys_compile(struct compile *c);
void segments_store(struct compile *c);
void build_check(struct compile *c);

/* Notes that an expression reads that property of an event. */
void slip_note(struct compile *c, uint32_t name, struct place place);

/* Are the two different, and one hardly meant where the other is? */
bool slip_is_near(struct str a, struct str b);

/* Adds advice on names of events and properties that are nearly others (slip.c). */
void slips_look(struct compile *c);

/* Adds a warning where no hour suits all zones in which people may live (quiet.c). */
void quiet_look(struct compile *c);

/* The same of what the law and the programme's own rules say, place by place; `quiet_ms`: how long quiet hours
 * alone may last for the message. */
void regulations_look(struct compile *c, const struct plan_message *message, struct place at,
                      int64_t quiet_ms);

/* What `enter`, or an item of enter.any, has beside events of the person's own: appended to `list`
 * (PLAN_WAYS_MAX). Returns the way of the own events if they are collected, else NULL. (enter.c) */
const struct plan_way *ways_compile(struct compile *c, const struct yaml_file *yaml,
                                    const struct yaml_node *node, uint16_t journey,
                                    struct plan_way *list, uint32_t *count);
/* People for whom `people` is true when the journey begins to listen to `event`, at a pace. */
void way_add_existing(struct compile *c, const struct yaml_file *yaml, const struct yaml_node *node,
                      uint16_t journey, struct plan_way *list, uint32_t *count, uint32_t event,
                      struct plan_expr people, struct plan_pace pace);
void ways_store(struct compile *c); /* what the plan as a whole knows of them */

/* percent and salt of a `holdout`; `kind` and `salt` make its own chance. Returns of 10,000. */
uint32_t build_holdout(struct compile *c, const struct yaml_node *node, const char *kind,
                       struct str salt, uint64_t *out_salt, struct str *out_text);

/* ---- stages (stage.c) ---------------------------------------------------------------------------- */

void stages_declare(struct compile *c); /* their names: conditions may ask for them */
void stages_compile(struct compile *c); /* behind segments_compile() */
void stages_check(struct compile *c);

/* The name of the stage; NAME_NONE and a finding if there is none. NULL gives NAME_NONE without. */
uint32_t build_stage(struct compile *c, const struct yaml_file *file, const struct yaml_node *node);

/* A journey speaks to people in the stage. */
void stage_cover(struct compile *c, uint32_t name);

/* The index of the provider; PLAN_NO_INDEX and a finding if there is none. NULL: without. (message.c) */
uint16_t build_provider(struct compile *c, const struct yaml_file *file,
                        const struct yaml_node *node);

/* ---- audiences (audience.c) ---------------------------------------------------------------------- */

void audiences_compile(struct compile *c); /* behind providers */
void audience_step_compile(struct compile *c, const struct yaml_file *yaml,
                           const struct yaml_node *node, struct plan_step_audience *out);

/* ---- budgets (budget.c) -------------------------------------------------------------------------- */

void budgets_compile(struct compile *c); /* behind categories and groups */
void budgets_look(struct compile *c);    /* behind messages: what they count at all */

void placements_compile(
    struct compile *c); /* behind segments, categories and journeys (placement.c) */

void needs_compile(struct compile *c); /* of categories; behind segments and traits (needs.c) */

/* ---- monitors (monitor.c) ------------------------------------------------------------------------ */

void monitors_compile(struct compile *c); /* behind journeys and messages */

/* ---- calls and tasks (errand.c) ------------------------------------------------------------------ */

/* The name under which an instance keeps saved.NAME; NAME_NONE: nothing can be called so. */
uint32_t saved_name(struct compile *c, struct str name);
/* Is it such a name? */
bool saved_is(struct str name);
/* The node of a journey's file reads what is kept under that name, if it is one of these. */
void saved_told(struct compile *c, const struct yaml_file *yaml, const struct yaml_node *node,
                uint32_t name);

/* ---- vouchers (voucher.c) ------------------------------------------------------------------------ */

void vouchers_compile(struct compile *c);

/* The index of the pool; PLAN_NO_INDEX and a finding if there is none. */
uint16_t build_voucher(struct compile *c, const struct yaml_file *file,
                       const struct yaml_node *node);

/* ---- segments (segment.c) -------------------------------------------------------------------- */

/* The segment with that name, or NULL. */
struct compile_segment *build_segment(struct compile *c, uint32_t name);

/* plan_wake_bit of all that may change it. */
uint64_t segment_wakes(struct compile *c, uint32_t name);

/* Makes `text`, which stands at byte `offset` of the node, a segment of its own, once. False: a finding
 * was added. */
bool segment_of_condition(struct compile *c, const struct yaml_file *yaml,
                          const struct yaml_node *node, struct str text, size_t offset,
                          enum segment_kind kind, uint32_t name);

/* The name of the event that the segment of the node's name is entered, or left; NAME_NONE and a finding
 * if there is no such segment. */
uint32_t segment_event(struct compile *c, const struct yaml_file *yaml,
                       const struct yaml_node *node, bool is_left);

/* What has_been(ARGUMENTS) is written as instead, in scratch; the condition among the arguments becomes a
 * segment. False: a finding was added. */
bool segment_has_been(struct compile *c, const struct yaml_file *yaml, const struct yaml_node *node,
                      struct str arguments, size_t offset, struct str *call);

/* A condition without the white space and comments that do not matter, in the arena. */
struct str segment_normal(struct arena *arena, struct str text);

/* ---- expressions (scope.c) ------------------------------------------------------------------- */

enum scope_flag {
    SCOPE_EVENT = 1 << 0, /* event.*: an event is being applied */
    SCOPE_ENTRY = 1 << 1, /* entry.*: an instance lives */
    SCOPE_ONCE = 1 << 2,  /* evaluated at one moment: `now` is a plain value */
    SCOPE_NOT = 1 << 3,   /* `unless`: true where the text is false */
    SCOPE_CLOCK = 1 << 4, /* the clock is what enters: of event.* there is event.at alone */
};

struct scope_target {
    uint32_t flags; /* enum scope_flag */
    enum expr_wanted wanted;
    struct name_set *kept;      /* receives entry.* paths; NULL where there is no entry */
    struct name_set *waits_for; /* receives events that bindings read; may be NULL */
    struct name_set *reads;     /* receives all names that wake it; may be NULL */
    struct name_set *segments;  /* receives the segments that it reads; may be NULL */
};

/* Compiles the expression of `node` into *out (code NULL, wake 0 where node is NULL). False: a finding
 * was added. */
bool scope_compile(struct compile *c, const struct yaml_file *file, const struct yaml_node *node,
                   struct scope_target target, struct plan_expr *out);

/* The same for a text of its own, which stands at byte `offset` of the node (or for the whole of it). */
bool scope_compile_part(struct compile *c, const struct yaml_file *file,
                        const struct yaml_node *node, struct str text, size_t offset,
                        struct scope_target target, struct plan_expr *out);

/* The byte behind the string literal that begins at `at`; is it a letter, digit or underscore? */
size_t scope_literal_end(struct str s, size_t at);
bool scope_is_word(char c);

/* `when` and its twin `unless` of a map: both, one or none. */
bool scope_compile_when(struct compile *c, const struct yaml_file *file,
                        const struct yaml_node *map, struct scope_target target,
                        struct plan_expr *out);

/* The names whose change may change what the compiled expression says: traits, features, messages, ... */
void scope_names(struct compile *c, const struct expr *code, struct name_set *out);

/* The slot of what a template calls `path`, or 0 with the sentence in *f. */
uint32_t scope_template_slot(struct compile *c, struct str path, struct fault *f);

/* ---- moments (moment.c) ---------------------------------------------------------------------- */

/* The keys of a map from which a moment is made; shape_value() with the short key "for". */
enum moment_source {
    MOMENT_OF_ALL,  /* `for` or `date`, bent by the others */
    MOMENT_OF_DATE, /* `date` and what bends it: `for` beside it is a timeout */
    MOMENT_OF_FOR,  /* `for` by itself */
};

/* Makes the moment that the node tells into *out: MOMENT_NONE where it tells none. Finds what does not
 * go together. */
void moment_compile(struct compile *c, const struct yaml_file *yaml, const struct yaml_node *node,
                    struct scope_target target, enum moment_source source, struct plan_moment *out);

/* Is it nothing but a written length of hours, days or weeks? */
bool moment_is_plain(const struct plan_moment *m);
