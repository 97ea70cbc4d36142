/* journey_int.h - inside the room: one journey on its way from its file to the plan (journey.c).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "programme/compile.h"

#define LAST_NONE PLAN_NO_INDEX       /* nothing was sent on the way here */
#define LAST_MANY (PLAN_NO_INDEX - 1) /* which message was sent depends on the way */

#define GUARDS_MAX 32

struct builder;

/* `migrate`, behind the steps. (journey_migrate.c) */
void migrate_compile(struct builder *b, const struct yaml_node *node);

/* migrate.yaml: the journeys that it names exist. */
void migrations_look(struct compile *c);

struct open_ends {
    uint16_t **at;
    uint32_t count;
    uint32_t room;
};

struct builder {
    struct compile *c;
    struct compile_file *file;
    const struct yaml_file *yaml;
    struct plan_journey *journey;
    struct compile_journey *info;
    struct plan_step *steps; /* PLAN_STEPS_MAX of them, so that addresses stay */
    const struct yaml_node **nodes;
    uint32_t count;
    bool is_full;
    struct plan_listen *entries; /* of the journey, with room for entry_room */
    uint32_t entry_room;
    struct plan_way *ways;    /* PLAN_WAYS_MAX */
    uint32_t condition_count; /* entries by a condition */
    uint32_t *given_ids;      /* names given by `id:` */
    uint32_t given_count;
    uint32_t guards[GUARDS_MAX]; /* messages whose engaged() the branches around read */
    uint32_t guard_count;
    bool is_aside; /* steps of a reaction that stays: they take no time */
};

/* What expressions of the journey may read. */
struct scope_target builder_target(struct builder *b, uint32_t flags, enum expr_wanted wanted);

/* ---- open ends (journey.c) ----------------------------------------------------------------------- */

void ends_open(struct builder *b, struct open_ends *ends, uint16_t *at);
void ends_join(struct builder *b, struct open_ends *ends, const struct open_ends *others);
void ends_close(struct open_ends *ends, uint16_t target);

/* A list of steps behind the open ends; its own open ends take their place. *last_message: index of what
 * was sent last on the way here, LAST_NONE or LAST_MANY. */
void steps_compile(struct builder *b, const struct yaml_node *list, struct open_ends *ends,
                   uint16_t *last_message);

/* A new step behind all open ends; NULL (and a finding, once) where the journey has too many. */
struct plan_step *step_new(struct builder *b, const struct yaml_node *node, enum step_kind kind,
                           struct open_ends *ends);

/* The step's name where none is given: `own`, or its kind and number. */
uint32_t id_make(struct builder *b, const struct plan_step *step, struct str own);

/* A list inside a step: begins at *start, and its open ends join those of the step. */
void inner_compile(struct builder *b, const struct yaml_node *list, uint16_t *start,
                   struct open_ends *ends, uint16_t *last_message);

uint16_t last_of_two(uint16_t a, uint16_t b);

/* ---- events and conditions (journey_listen.c) ---------------------------------------------------- */

struct listens {
    struct plan_listen *list;
    uint32_t count;
    struct plan_expr condition; /* the first `if` among them, unless it is kept in the list */
    uint32_t condition_count;
};

/* What the list of LISTENs says. With keeps_conditions all of them are in the list, else the first is
 * apart. */
struct listens listens_of(struct builder *b, const struct yaml_node *node, bool keeps_conditions);

/* What the condition asks to be engaged with guards the steps that are compiled from here on, until
 * guard_count is set back. (journey_send.c) */
void guards_add(struct builder *b, const struct plan_expr *condition);
void guards_add_message(struct builder *b, uint32_t message);

/* ---- steps, each with its keys ------------------------------------------------------------------- */

void send_compile(struct builder *b, const struct yaml_node *node, struct plan_step *step,
                  struct open_ends *ends, uint16_t *last_message);
/* The steps are there: those whose outcome the journey asks for keep it. */
void outcomes_compile(struct builder *b);

void wait_compile(struct builder *b, const struct yaml_node *step_node, struct plan_step *step,
                  struct open_ends *ends, uint16_t *last_message);
void branch_compile(struct builder *b, const struct yaml_node *node, struct plan_step *step,
                    struct open_ends *ends, uint16_t *last_message);
void split_compile(struct builder *b, const struct yaml_node *node, struct plan_step *step,
                   struct open_ends *ends, uint16_t *last_message);
void choose_compile(struct builder *b, const struct yaml_node *node, struct plan_step *step,
                    struct open_ends *ends, uint16_t *last_message);
void handoff_compile(struct builder *b, const struct yaml_node *node, struct plan_step *step,
                     struct open_ends *ends, uint16_t *last_message);
void run_compile(struct builder *b, const struct yaml_node *node, struct plan_step *step);
void call_compile(struct builder *b, const struct yaml_node *node, struct plan_step *step,
                  struct open_ends *ends, uint16_t *last_message); /* errand.c */
void task_compile(struct builder *b, const struct yaml_node *node, struct plan_step *step,
                  struct open_ends *ends, uint16_t *last_message);
/* The steps are there: is all saved that is read? (errand.c) */
void saves_check(struct builder *b);
void set_compile(struct builder *b, const struct yaml_pair *pair, struct plan_step *step);

/* The milestones' steps, behind the open ends; the reactions', behind everything. (journey_reaction.c) */
void milestones_compile(struct builder *b, struct open_ends *ends);
void reactions_compile(struct builder *b);

/* Who enters, and when again. (journey_enter.c) */
void enter_compile(struct builder *b, const struct yaml_node *enter);

/* Do handoffs and runs lead to journeys that take them, and in no circle? (journey_other.c) */
void links_check(struct compile *c);
