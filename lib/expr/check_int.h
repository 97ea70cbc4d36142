/* check_int.h - the checker's own: what its files share.
 *
 *     check.c       expr_compile(), and the nodes that are neither names nor calls
 *     check_name.c  names: variables, attributes of the host, suggestions
 *     check_call.c  calls: overloads, host functions, predicates over past events
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "expr/expr_int.h"

struct binder_use {
    struct expr_binder binder;
    struct expr_call call;
};

/* Numbers, each once, in order. */
struct numbers {
    uint32_t *at;
    uint32_t count;
    uint32_t room;
};

struct checker {
    struct arena *plan; /* what the program keeps */
    struct arena *work; /* forgotten once it is compiled */
    struct str text;
    const struct expr_scope *scope;
    struct fault *fault;
    enum expr_mode mode;
    struct bounds *bounds;
    int64_t *fold_cost;
    bool refuses_failures;

    /* variables in sight, innermost last */
    struct variable *variables[EXPR_DEPTH_MAX * 4];
    uint32_t variable_count;
    uint32_t variable_base; /* a predicate does not see those before */

    struct expr_slot_use *slots;
    uint32_t slot_count, slot_room;
    struct numbers bindings;
    struct numbers read_slots, read_bindings; /* the host's numbers */
    const struct binder_use *item;            /* inside a predicate */
    uint32_t binder_depth;
    bool is_timed;
    const struct node *stray; /* a part function's call that no function has taken yet, or NULL */
    uint32_t stray_count;
};

/* The chain of selections from the name at its root to a node, root first. */
struct chain {
    struct node *nodes[EXPR_DEPTH_MAX + 2];
    struct str parts[EXPR_DEPTH_MAX + 2];
    uint32_t count;
    struct node *root;
};
void check_chain(struct chain *chain, struct node *node);

/* Checks a node and all below it; false with the fault. */
bool check_node(struct checker *c, struct node *node);
bool check_arguments(struct checker *c, struct node *node);

/* A name, or a chain of selections that begins with one. *is_done says whether `node` is; a chain
 * that is resolved in part leaves the rest to be checked as selections. */
bool check_name(struct checker *c, struct node *node, bool *is_done);

/* Refuses a part function's call that stands where no function takes it. */
bool check_strays(struct checker *c);

/* A call; `fields` are the names that are selected from its result, of which a host function may
 * take the first *fields_used. */
bool check_call(struct checker *c, struct node *node, const struct str *fields,
                uint32_t field_count, uint32_t *fields_used);

/* Notes what is wrong at byte `at` of the text, and is false. */
bool check_refuse(struct checker *c, uint32_t at, const char *format, ...) printf_like(3, 4);

/* Refuses an affine value where its moment of change could not be solved. */
bool check_steady(struct checker *c, const struct node *node, const char *hint);

/* Replaces a node over constants by its value, unless that is an error or costs too much. */
bool check_fold(struct checker *c, struct node *node);

/* The overloads of `name` that fit. Sets *function to the first, and returns the result's type, dyn
 * where several fit with different results, NULL if none fits. */
const struct expr_type *check_resolve(struct checker *c, struct str name, bool is_method,
                                      struct node *const *arguments, uint32_t count,
                                      uint32_t *function);

/* `; did you mean "event.value" (double)?` or an empty text. */
struct str check_suggestion(struct checker *c, enum expr_name_kind kind, struct str wanted,
                            bool is_method);

/* The index of the host's binding among those of the expression. */
uint32_t check_binding(struct checker *c, uint32_t binding);

/* A slot or call of dyn that stands where a number is wanted is read as one, if the host knows how. */
void check_want_number(struct checker *c, struct node *node);

/* Is it a function, of the language or of the host? */
bool check_knows_function(struct checker *c, struct str wanted);

struct variable *check_find_variable(struct checker *c, struct str name);
bool check_push(struct checker *c, struct variable *variable, uint32_t at);
struct str check_join(struct checker *c, const struct str *parts, uint32_t count);
void check_become_error(struct checker *c, struct node *node, struct str text);

/* Adds a number to a list that has each once. */
void check_note(struct checker *c, struct numbers *list, uint32_t number);

/* The program of a checked tree, in the plan; NULL with the fault if it is too large. */
struct expr *check_build(struct checker *c, const struct node *root, const struct expr_type *type);

struct str check_type_text(struct checker *c, const struct expr_type *type);

static inline bool is_unchecked(const struct checker *c)
{
    return c->mode == EXPR_UNCHECKED;
}

/* A node's text, at most 60 bytes of it, for messages. */
static inline struct str node_text(const struct checker *c, const struct node *node)
{
    return str_part(c->text, node->from, min_of(node->to - node->from, 60u));
}
