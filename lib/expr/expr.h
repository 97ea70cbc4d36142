/* expr.h - the expression language: CEL, compiled once, answering with a value and until when it holds.
 *
 *     text --parse--> tree --check--> typed tree --compile--> flat code --run--> {value, until}
 *                        ^                                               ^
 *                   expr_scope: names and types                     expr_host: what they are now
 *
 * The language is the Common Expression Language (https://github.com/google/cel-spec) without
 * protobuf messages, with its extension libraries for strings, math, encoders, optionals, bindings
 * and two-variable comprehensions (lib/expr/functions.def lists every function), and one extension
 * of our own: duration() also reads days and weeks, duration("3d").
 *
 * Value and until. `now` is an identifier. A time-dependent value is a *step* (a value that holds
 * until a moment) or *affine* (a constant plus or minus now). Sums and differences of affine values
 * are affine; a comparison of them is solved, rounding up to the millisecond; a calendar getter
 * (now.getHours("Europe/London")) is a step that ends at the next boundary. Any other use of `now`
 * does not compile, and the fault says what to write instead. The answer's `until_ms` is the least
 * over the operands actually read: before it the value cannot change if nothing new happens.
 *
 * Errors and missing values are values: VALUE_ERROR (its text says which) and VALUE_NONE. `&&` and
 * `||` absorb an error on one side where the other side decides. Which direction an error takes in
 * the end is the caller's business.
 *
 * This room is pure. It reads what the scope and the host hand in and nothing else.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/arena.h"
#include "base/base.h"
#include "base/buf.h"
#include "base/fault.h"
#include "base/str.h"
#include "base/value.h"

#define EXPR_TEXT_BYTES_MAX 65536 /* source text */
#define EXPR_DEPTH_MAX      128   /* nesting of the tree */
#define EXPR_NODES_MAX      20000 /* nodes of one expression */
#define EXPR_PARTS_MAX      16    /* a.b.c has 3 */
#define EXPR_ARGUMENTS_MAX  32    /* of one call */
#define EXPR_BODIES_MAX     2     /* of one binder */
#define EXPR_COST_DEFAULT   100000

/* Types ---------------------------------------------------------------------------------------- */

enum expr_kind {
    EXPR_DYN = 0, /* known only at run time; fits everywhere */
    EXPR_NULL,
    EXPR_BOOL,
    EXPR_INT,
    EXPR_UINT,
    EXPR_DOUBLE,
    EXPR_TEXT,
    EXPR_BYTES,
    EXPR_TIME,
    EXPR_DURATION,
    EXPR_LIST,     /* arguments[0]: items */
    EXPR_MAP,      /* arguments[0]: keys, arguments[1]: values */
    EXPR_OPTIONAL, /* arguments[0]: what it may hold */
    EXPR_TYPE,     /* a type as a value */
    EXPR_OPAQUE,   /* a host's own type: compared by name */
    EXPR_VARIABLE, /* inside the checker only */
};

struct expr_type {
    uint8_t kind;                         /* enum expr_kind */
    uint8_t count;                        /* arguments in use */
    uint32_t number;                      /* EXPR_VARIABLE: which */
    struct str name;                      /* EXPR_OPAQUE: its name */
    const struct expr_type *arguments[3]; /* missing ones count as dyn */
};

extern const struct expr_type expr_dyn, expr_null, expr_bool, expr_int, expr_uint, expr_double,
    expr_text, expr_bytes, expr_time, expr_duration, expr_list_dyn, expr_map_dyn, expr_type_type;

/* list(items) and map(keys, values) in the arena; the arguments are kept. */
const struct expr_type *expr_list_of(struct arena *plan, const struct expr_type *items) mustuse;
const struct expr_type *expr_map_of(struct arena *plan, const struct expr_type *keys,
                                    const struct expr_type *values) mustuse;

/* "list(string)", in the arena. */
struct str expr_type_print(struct arena *scratch, const struct expr_type *type) mustuse;

/* The scope: what names mean, asked while compiling -------------------------------------------- */

enum expr_found {
    EXPR_UNKNOWN = 0, /* no such name here; the compiler says so and suggests */
    EXPR_FOUND,       /* *out is filled */
    EXPR_REFUSED,     /* the name is known but its use is wrong; the host filled the fault */
};

/* event.cart.id: parts "event", "cart", "id". */
struct expr_path {
    const struct str *parts;
    uint32_t count;
    bool is_absolute; /* written with a leading dot */
};

struct expr_slot {
    uint32_t slot;  /* the host's number for it, handed to load() */
    uint32_t parts; /* how many parts the slot covers (at least 1); the rest are fields */
    const struct expr_type *type; /* good as long as the plan; NULL = dyn */
    /* A slot of type dyn whose values come from outside, where numbers may be written as texts: the slot
     * to use instead where it is compared with, or calculated with, a number. */
    bool has_number;
    uint32_t number;
};

struct expr;

/* One item of a list that is written out. */
struct expr_item {
    bool is_constant;
    struct value value; /* of a constant; good as long as the plan */
    uint32_t binding;   /* else: the host's number of the part function that is called there */
    uint32_t from, to;  /* where it stands in the text, in bytes */
};

/* One argument of a host function. */
struct expr_argument {
    bool is_constant;             /* a literal (or made of literals only): `value` is it */
    struct value value;           /* good as long as the plan */
    const struct expr_type *type; /* never NULL; good as long as the plan */
    bool is_slot;                 /* it is the host's slot `slot` and nothing else */
    uint32_t slot;
    bool is_name;      /* it is a single name, not looked up yet: a binder's variable, perhaps */
    bool is_condition; /* a comparison, or && || ! in, as it is written */
    struct str root;   /* e of e.total, where it is a chain of selections from a name; else empty */
    struct str variable; /* the binder's variable, else empty */
    /* A binder's body, else NULL: one program; for a predicate that is a chain of && one for each of
     * its members, so that the host may run some of them earlier than others. */
    const struct expr *const *parts;
    uint32_t part_count;
    /* A list that is written out, of constants and calls of part functions (see expr_binding), at least
     * one of these: its items. Like a constant it is not passed at run time. */
    const struct expr_item *items;
    uint32_t item_count;
    uint32_t from, to; /* where it stands in the text, in bytes */
};

/* did("Login", "3d"), traits.email.domain(), last("Order Completed").total */
struct expr_call {
    struct str name;                       /* dotted where it was written so: math.max */
    bool is_method;                        /* target.name(...): the target is arguments[0] */
    const struct expr_argument *arguments; /* in the order in which they are written */
    uint32_t count;
    const struct str *fields; /* names selected from the result: .total */
    uint32_t field_count;
    const struct value
        *compared; /* the literal that the result is compared with and nothing else is
                                   * done with it, as in count("Login") >= 3; else NULL */
};

struct expr_binding {
    uint32_t binding;             /* the host's number for it, handed to call() */
    uint32_t fields;              /* how many of call->fields the binding covers */
    const struct expr_type *type; /* of the result; NULL = dyn */
    bool has_number;              /* as in struct expr_slot */
    uint32_t number;
    /* The call has no value: it says something to the function in whose list it stands, as in
     * sequence([step("Cart Updated", e, e.total > 50)], "2h"). Elsewhere it does not compile. */
    bool is_part;
};

/* A function one of whose arguments names a variable for other arguments, its bodies:
 * sum("Order Completed", "14d", e, e.total, e.sku == event.sku). */
struct expr_binder {
    uint32_t variable; /* which argument names the variable, from 0 */
    uint32_t body_count;
    struct {
        uint32_t argument; /* which one it is */
        bool is_value;     /* of any type; else a predicate: true or false */
    } bodies[EXPR_BODIES_MAX];
    /* Resolves what follows the variable (parts may be 0: the variable itself) into a slot that
     * the host understands when it runs a body. `self` is the scope's. */
    enum expr_found (*item)(void *self, const struct expr_call *call, const struct expr_path *path,
                            struct expr_slot *out, struct fault *f);
};

enum expr_name_kind { EXPR_NAME_PATH, EXPR_NAME_FUNCTION };

/* Any callback may be NULL: then nothing of its kind is known. */
struct expr_scope {
    void *self;

    /* Resolves as many leading parts of `path` as it knows. */
    enum expr_found (*path)(void *self, const struct expr_path *path, struct expr_slot *out,
                            struct fault *f);

    /* Binds a host function. Constant arguments are folded into the binding by the host: at run
     * time call() is handed only the others, in order (neither variables nor bodies). */
    enum expr_found (*function)(void *self, const struct expr_call *call, struct expr_binding *out,
                                struct fault *f);

    /* Says whether a call is a binder; asked before its arguments are checked: they have their
     * texts, and their values where they are literals, but no types. */
    enum expr_found (*binder)(void *self, const struct expr_call *call, struct expr_binder *out,
                              struct fault *f);

    /* The index-th known name with its type (functions: of the result, or NULL), for "did you
     * mean"; false past the last. */
    bool (*name)(void *self, enum expr_name_kind kind, uint32_t index, struct str *name,
                 const struct expr_type **type);

    /* Is there such a time zone? Asked for constant zone names. NULL: every name passes. */
    bool (*zone_is_known)(void *self, struct str zone);
};

/* Compiling ------------------------------------------------------------------------------------ */

enum expr_wanted {
    EXPR_WANT_ANY = 0,
    EXPR_WANT_BOOL,
    EXPR_WANT_INT,
    EXPR_WANT_NUMBER, /* int, uint or double */
    EXPR_WANT_TEXT,
    EXPR_WANT_TIME,
    EXPR_WANT_DURATION,
    EXPR_WANT_LIST,
};

enum expr_mode {
    EXPR_RULE = 0,  /* asked again and again: its answer has an until; `now` is restricted */
    EXPR_ONCE,      /* evaluated at one moment (a payload, a date to wait for): `now` is a value */
    EXPR_UNCHECKED, /* no type checker: unknown names are errors of the run (conformance tests) */
};

struct expr_options {
    enum expr_wanted wanted;
    enum expr_mode mode;
    /* What is made of constants and fails, duration("3 days") or 1/0, does not compile, wherever it
     * stands: nobody means it. (The language itself has it fail when it is asked.) */
    bool refuses_failures;
};

/* Compiles `text` into *out, which lives in `plan` and keeps nothing of `text` and `scope`.
 * FIX_INPUT: the fault has the sentence and line and column in `text` (from 1, in bytes). */
enum status expr_compile(struct arena *plan, struct str text, const struct expr_scope *scope,
                         struct expr_options options, const struct expr **out,
                         struct fault *f) mustuse;

/* The type of the result. */
const struct expr_type *expr_type_of(const struct expr *expr);

/* The text it was compiled from. Of a binder's body: of the whole expression, as places in it are. */
struct str expr_text_of(const struct expr *expr);

/* The part of that text that it stands for: a body's own. */
struct str expr_part_text(const struct expr *expr);

/* Is it free of `now`, slots and bindings: the same answer always? */
bool expr_is_constant(const struct expr *expr);

/* What it reads, each once, in order of first appearance; the reads of binders' bodies included (item
 * slots too). */
struct expr_reads {
    const uint32_t *slots;
    uint32_t slot_count;
    const uint32_t *bindings;
    uint32_t binding_count;
    bool is_timed; /* reads `now` */
};
struct expr_reads expr_reads(const struct expr *expr);

/* Running -------------------------------------------------------------------------------------- */

/* In `slots`: ask load() for this one. */
#define EXPR_ASK 255

struct expr_host {
    void *self;
    int64_t now_ms;
    uint64_t cost_max; /* 0 = EXPR_COST_DEFAULT */

    /* The slot's value; VALUE_NONE where there is none. *until_ms is FOREVER_MS on entry: lower it
     * if the value can change without anything new happening. Texts, lists and maps are borrowed
     * until expr_run()'s caller is done with the result. */
    void (*load)(void *self, uint32_t slot, struct value *out, int64_t *until_ms);

    /* The same for a binding; `arguments` are those that were not constant. */
    void (*call)(void *self, uint32_t binding, const struct value *arguments, uint32_t count,
                 struct arena *scratch, struct value *out, int64_t *until_ms);

    /* The zone's offset from UTC at at_ms (negative west), and the stretch [*from_ms, *until_ms)
     * around at_ms in which it holds. False: no such zone. NULL: only UTC and "+hh:mm" are known. */
    bool (*zone)(void *self, struct str zone, int64_t at_ms, int64_t *offset_ms, int64_t *from_ms,
                 int64_t *until_ms);

    /* Optional short cut: slots[i] is the value of slot i for i < slot_count, unless its type is
     * EXPR_ASK; it holds until something new happens. */
    const struct value *slots;
    uint32_t slot_count;
};

struct expr_result {
    struct value value; /* borrowed from the plan, the scratch arena or the host */
    int64_t until_ms;   /* > now_ms; FOREVER_MS: until something new happens */
    uint64_t cost;      /* what it took */
};

/* Runs the expression; takes nothing from the system unless strings, lists or maps are built, which
 * go to `scratch`. May be called from within load() and call(). */
void expr_run(const struct expr *expr, const struct expr_host *host, struct arena *scratch,
              struct expr_result *out);

/* The same for an expression of type bool: true only if it came out true. */
static inline bool expr_is_true(const struct expr_result *result)
{
    return result->value.type == VALUE_BOOL && result->value.boolean;
}

/* Explaining ----------------------------------------------------------------------------------- */

#define EXPR_SEEN_MAX 8

struct expr_seen {
    uint32_t from, to; /* the operand's place in the text */
    struct value value;
};

/* The innermost clause that made a boolean expression come out as it did. */
struct expr_explanation {
    struct value value; /* the whole expression's */
    /* The parts of a chain of "&&" that are not true, each by itself; none where all is true. What is no
     * such chain is one part. */
    uint32_t failing_count; /* of which the first EXPR_SEEN_MAX are named */
    struct expr_failing {
        uint32_t from, to;
    } failing[EXPR_SEEN_MAX];
    uint32_t from, to;   /* the clause's place in the text, in bytes */
    struct value clause; /* what it came out as: false, true or an error */
    uint32_t seen_count; /* its operands, as far as they are not constants */
    struct expr_seen seen[EXPR_SEEN_MAX];
};

/* Runs the expression again, clause by clause. The explanation borrows as expr_run() does. */
void expr_explain(const struct expr *expr, const struct expr_host *host, struct arena *scratch,
                  struct expr_explanation *out);

/* `event.value >= 30.0: event.value was 12.5`, in scratch. */
struct str expr_explanation_print(const struct expr *expr, const struct expr_explanation *e,
                                  struct arena *scratch) mustuse;

/* The failing parts from number `first` (0, 1, ...) on: `event.value >= 30.0, traits.beta`, in scratch;
 * empty if there are none. */
struct str expr_failing_print(const struct expr *expr, const struct expr_explanation *e,
                              uint32_t first, struct arena *scratch) mustuse;

/* Looking at it -------------------------------------------------------------------------------- */

/* The code, one instruction a line. */
void expr_dump(const struct expr *expr, struct buf *out);

/* A value as CEL would write it (no more than `bytes_max` bytes of it), in scratch. */
struct str expr_value_print(struct arena *scratch, const struct value *value,
                            size_t bytes_max) mustuse;

/* One function of the language, from functions.def. */
struct expr_function {
    struct str name;      /* "size", "math.abs", "_+_" */
    bool is_method;       /* target.name(...); the target's type comes first in `arguments` */
    struct str arguments; /* "list(A), A" */
    struct str result;
    struct str doc;
    struct str example;        /* an expression ... */
    struct str example_result; /* ... and another with the same value */
};

/* The index-th overload, or NULL past the last. */
const struct expr_function *expr_function_at(uint32_t index);
