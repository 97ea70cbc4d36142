/* scope_int.h - between the files that say what an expression's names mean.
 *
 *     scope.c          paths, compiling, wake bits, templates
 *     scope_call.c     functions: which there are, bindings
 *     scope_feature.c  functions about the past: features
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "programme/compile.h"

/* An expression being compiled. */
struct scope {
    struct compile *c;
    const struct yaml_file *file;
    const struct yaml_node *node;
    struct scope_target target;
    struct scope_step *steps; /* calls of step() so far, the last one first (scope_feature.c) */
};

/* What the first argument of a function names, and how the others go. */
enum scope_form {
    FORM_MESSAGE, /* a message, a window */
    FORM_JOURNEY,
    FORM_CHANNEL,
    FORM_SALT,
    FORM_SEGMENT, /* a segment, a window */
    FORM_STAGE,
    FORM_SEND, /* a step of the journey that sends */
    FORM_CALENDAR,
    FORM_HOURS, /* from, to, weekdays */
    FORM_EVENT, /* an event, a window; a past event's name and a condition on it */
    FORM_NUMBER, /* an event, a window; a property, or a past event's name, a value and a condition */
    FORM_ITEM,   /* an event, a window; a past event's name and a condition; .property */
    FORM_SEQUENCE, /* events in a row */
    FORM_STEP,     /* one of them: a past event's name and a condition on it */
};

struct scope_function {
    const char *name;
    enum binding_kind kind;
    enum scope_form form;
    bool takes_window;
    bool needs_window;
    const struct expr_type *type;
    const char *arguments;
    const char *usage;
    const char *doc;
};

/* The parts of a path from `from` on, with dots; in scratch. */
struct str scope_join(struct compile *c, const struct str *parts, uint32_t from, uint32_t count);

/* A letter, digit or underscore? The byte behind the text literal that begins at `at`. */
bool scope_is_word(char c);
size_t scope_literal_end(struct str s, size_t at);

/* A property of an event, whose type nobody declared. */
struct expr_slot scope_property_slot(enum slot_space space, uint32_t name, uint32_t parts);

/* expr_scope's function() and binder(). */
enum expr_found scope_function(void *self, const struct expr_call *call, struct expr_binding *out,
                               struct fault *f);
enum expr_found scope_binder(void *self, const struct expr_call *call, struct expr_binder *out,
                             struct fault *f);

/* The index-th function; NULL past the last. */
const struct scope_function *scope_function_at(uint32_t index);

/* The index of the binding, a new one if there is none that is equal. */
uint32_t scope_binding_add(struct compile *c, const struct plan_binding *binding);

/* Reads a window into the binding: "3d", "day", duration("3d"). False with the sentence. */
bool scope_window(const struct expr_argument *argument, struct plan_binding *out, struct fault *f);

/* The same, where a trait with a declared maximum may say it. */
bool scope_past_window(struct scope *s, const struct expr_argument *argument,
                       struct plan_binding *out, struct fault *f);

/* A call about the past: whether it binds names, and what it refers to. */
enum expr_found feature_binder(const struct scope_function *function, const struct expr_call *call,
                               struct expr_binder *out, struct fault *f);
enum expr_found feature_call(struct scope *s, const struct scope_function *function,
                             const struct expr_call *call, struct plan_binding *binding,
                             uint32_t *fields, struct fault *f);
