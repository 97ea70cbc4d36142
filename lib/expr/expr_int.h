/* expr_int.h - the expression room's own: the tree, the code, and the values only the machine sees.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "expr/expr.h"

/* Values that never leave the machine, beside enum value_type. */
enum {
    VALUE_OPTIONAL = 32, /* `list` of none or one item */
    VALUE_ITERATOR,      /* `list` or `map` (pad[1]); sub_ns is the index of the next item */
    VALUE_BUILDER,       /* `list` is a struct builder; pad[1]: builds a map */
};

/* The slope of an affine value, per millisecond of now; only read by affine instructions. */
static inline int slope_of(const struct value *v)
{
    return (int8_t)v->pad[0];
}

/* The tree -------------------------------------------------------------------------------------- */

enum node_kind {
    /* as parsed */
    NODE_CONST,   /* constant */
    NODE_NAME,    /* name; is_absolute */
    NODE_SELECT,  /* [0].name; is_test: has(); is_optional: .? */
    NODE_INDEX,   /* [0][[1]]; is_optional: [? */
    NODE_CALL,    /* name(...), or is_method: [0].name(...) */
    NODE_STRUCT,  /* name{...}: refused */
    NODE_LIST,    /* [...]; items may be NODE_MAYBE */
    NODE_MAP,     /* key, value, key, value; values may be NODE_MAYBE */
    NODE_MAYBE,   /* ?[0] inside a list or map */
    NODE_NOT,     /* ![0] */
    NODE_NEGATE,  /* -[0] */
    NODE_AND,     /* all of them */
    NODE_OR,      /* any of them */
    NODE_CHOOSE,  /* [0] ? [1] : [2] */
    NODE_COMPARE, /* [0] sign [1] */
    NODE_IN,      /* [0] in [1] */
    NODE_SUM,     /* [0] sign [1]: + - * / % */
    NODE_LOOP,    /* a macro over [0]; variables[0], variables[1]; [1], [2] are its bodies */
    NODE_BIND,    /* cel.bind(variables[0], [0], [1]) */
    NODE_BLOCK,   /* cel.block: variables, [0..count-2] in them, and the body */
    NODE_OPT_MAP, /* [0].optMap(variables[0], [1]); sign 1: optFlatMap */
    /* after the checker */
    NODE_SLOT,     /* slot: an index into expr->slots; is_test */
    NODE_LOCAL,    /* variables[0] */
    NODE_NOW,      /* now */
    NODE_HOST,     /* binding: an index into expr->bindings; the arguments to pass; is_test */
    NODE_FUNCTION, /* function: an index into the table */
    NODE_OPT_OR,   /* [0].or([1]); sign 1: orValue */
    NODE_ERROR,    /* constant is an error (unchecked mode) */
};

enum loop_kind {
    LOOP_ALL,
    LOOP_EXISTS,
    LOOP_EXISTS_ONE,
    LOOP_MAP,           /* [1]: the item, after the filter [2] if there is one */
    LOOP_FILTER,        /* [1]: the test */
    LOOP_TRANSFORM_MAP, /* [1]: the value, after the filter [2] if there is one */
    LOOP_TRANSFORM_ENTRY,
    LOOP_SORT_BY, /* [1]: the key */
};

/* Comparisons are masks over the order of the operands: bit 0 less, 1 equal, 2 greater, 3 none. */
enum { COMPARE_LT = 1, COMPARE_EQ = 2, COMPARE_LE = 3, COMPARE_GT = 4, COMPARE_GE = 6 };
enum { COMPARE_NE = 13 };

/* A name that an expression gives to a value. */
struct variable {
    struct str name;
    const struct expr_type *type;
    bool is_affine; /* holds an affine value */
    bool is_item;   /* a binder's variable: the host resolves it */
};

struct node {
    uint8_t kind;
    uint8_t sign; /* NODE_COMPARE: mask; NODE_SUM: character; NODE_LOOP: enum loop_kind */
    bool is_test : 1;
    bool is_optional : 1;
    bool is_part : 1; /* NODE_HOST: a call that only the list of another function may hold */
    bool is_absolute : 1;
    bool is_method : 1;
    bool is_checked : 1;
    bool is_affine : 1;
    bool is_timed : 1;  /* reads now somewhere inside */
    bool is_quoted : 1; /* NODE_SELECT: written with back quotes */
    uint16_t depth;
    uint32_t from, to;            /* bytes of the text */
    uint32_t at;                  /* where an error about it points */
    const struct expr_type *type; /* good while compiling */
    struct node **arguments;
    uint32_t count;
    uint32_t number; /* slot, binding, function */
    const struct value
        *compared; /* NODE_CALL: the literal that the result is compared with; or NULL */
    uint32_t
        as_number; /* NODE_HOST: the host's number of the same call read as a number, plus 1; or 0 */
    struct variable **variables;
    uint32_t variable_count;
    union {
        struct value constant;
        struct str name;
    };
};

/* Parses `text` into a tree in `plan`. */
enum status expr_parse(struct arena *plan, struct str text, struct node **out,
                       struct fault *f) mustuse;

/* Notes the place of byte `at` in the fault and the sentence after it. */
void expr_fault_at(struct fault *f, struct str text, uint32_t at, const char *format, ...)
    printf_like(4, 5);

/* What those write who know other languages (slips.def): the advice, or NULL. */
enum slip_kind { SLIP_AFTER, SLIP_FUNCTION, SLIP_NAME };
const char *slip_advice(enum slip_kind kind, struct str written);

/* Types ----------------------------------------------------------------------------------------- */

/* What type variables stand for; type.c. */
struct bounds {
    struct arena *plan;          /* for bounds_final() */
    struct arena *work;          /* for the rest */
    const struct expr_type **of; /* by number; NULL = free */
    uint32_t count;
    uint32_t room;
    uint32_t steps_left; /* of unification: bounds hostile types */
    struct bound_before *trail;
    uint32_t trail_count;
    uint32_t trail_room;
};

struct bound_before {
    uint32_t number;
    const struct expr_type *type;
};

/* A point to return to: what was bound after it is free again. */
struct bounds_mark {
    uint32_t count;
    uint32_t trail_count;
};
struct bounds_mark bounds_mark(const struct bounds *b);
void bounds_back(struct bounds *b, struct bounds_mark mark);

const struct expr_type *bounds_new(struct bounds *b);
/* The type without variables, in the plan. */
const struct expr_type *bounds_final(struct bounds *b, const struct expr_type *type);
bool bounds_assign(struct bounds *b, const struct expr_type *to, const struct expr_type *from);
const struct expr_type *bounds_join(struct bounds *b, const struct expr_type *x,
                                    const struct expr_type *y);
const struct expr_type *bounds_look(const struct bounds *b, const struct expr_type *type);
const struct expr_type *expr_optional_of(struct arena *plan, const struct expr_type *held);
const struct expr_type *expr_type_argument(const struct expr_type *type, uint32_t index);

/* The code -------------------------------------------------------------------------------------- */

/* Where an instruction finds an operand. */
enum {
    OPERAND_CONST = 0x8000,
    OPERAND_SLOT = 0x4000,
    OPERAND_INDEX = 0x3fff,
    REGISTERS_MAX = 512,
};

/* What a condition does with its outcome, in `how` above the mask: && stops at false, || at true. An
 * error is kept (the first one, unless the stop comes) and never stops. */
enum {
    OUTCOME_MASK = 0x0f,
    OUTCOME_JUMP = 0x10,   /* jump at the stop, writing it */
    OUTCOME_OR = 0x20,     /* the stop is true */
    OUTCOME_WRITE = 0x40,  /* write it if it is no stop */
    OUTCOME_NEGATE = 0x80, /* OP_TEST: turn it round first */
    OUTCOME_SET = OUTCOME_WRITE,
};

struct op {
    uint8_t code;
    uint8_t how;
    uint16_t to; /* register */
    uint16_t a, b;
    uint32_t jump;
    uint32_t extra;
};
_Static_assert(sizeof(struct op) == 16, "four instructions in a line of the cache");

struct expr_slot_use {
    uint32_t slot;   /* the host's number */
    uint32_t number; /* the same place, read as a number; while checking. `slot`: there is none */
    struct value absent; /* the error for a missing value, its text: "no such attribute: event.x" */
};

struct regex;

/* The comparisons of slots with literals at the front of the outermost chain of && or ||, once more,
 * in a form that needs no machine: most conditions are nothing else, or are decided there. Each test
 * says whether the value is inside: between two numbers, or the same text. A code is twice the
 * test's number, plus one where the chain goes on only if the value is outside. The second column is
 * the type that the value has to be of. */
// clang-format off
#define QUICK_TESTS(X)                                                                          \
    X(INT, VALUE_INT)          /* low <= x <= low + span, of 64 bits that may wrap round */         \
    X(POSITIVE, VALUE_DOUBLE)  /* the same: a positive double's bits grow as it does */             \
    X(DOUBLE, VALUE_DOUBLE)    /* least <= x <= most */                                         \
    X(BOOL, VALUE_BOOL)        /* x */                                                          \
    X(TEXT_0, VALUE_TEXT)      /* a text of no bytes */                                         \
    X(TEXT_1, VALUE_TEXT)      /* of one, ... */                                                \
    X(TEXT_2, VALUE_TEXT)                                                                       \
    X(TEXT_3, VALUE_TEXT)                                                                       \
    X(TEXT_4, VALUE_TEXT)                                                                       \
    X(TEXT_TO_7, VALUE_TEXT)   /* of 5 to 7: its first and last four, which overlap */          \
    X(TEXT_8, VALUE_TEXT)                                                                       \
    X(TEXT_TO_16, VALUE_TEXT)  /* of 9 to 16: its first and last eight */

enum quick_test {
#define X(name, type) QUICK_##name,
    QUICK_TESTS(X)
#undef X
    QUICK_TEXT, /* any text */
    QUICK_TEST_COUNT,
    QUICK_END = 2 * QUICK_TEST_COUNT, /* the chain is over and nothing stopped it */
    QUICK_MACHINE,                    /* the rest is for the machine */
};
// clang-format on

struct quick;

/* Runs the chain from `q` on and jumps to the next test itself. `slots`: the host's. */
typedef void (*quick_code)(const struct expr *expr, const struct expr_host *host,
                           struct arena *scratch, struct expr_result *out, const struct quick *q,
                           const char *slots);

struct quick {
    quick_code run;
    uint32_t slot; /* the host's number */
    uint32_t at;   /* its distance in the host's array, in bytes */
    uint16_t op;   /* the instruction that says the same */
    uint8_t code;
    uint8_t len; /* of a text of up to 16 bytes */
    union {
        struct {
            uint64_t low;
            uint64_t span;
        };
        struct {
            double least;
            double most;
        };
        struct {
            uint64_t first; /* bytes of a text of up to 16 */
            uint64_t last;
        };
        struct str text; /* of more */
    };
};

/* The code for test `q`, behind which others follow; it does two at once where it can. */
quick_code quick_choose(const struct quick *q);

struct expr {
    const struct op *ops;
    const struct value *constants;
    const struct expr_slot_use *slots;
    const uint32_t *bindings;
    uint32_t op_count;
    uint32_t constant_count;
    uint32_t slot_count;
    uint32_t binding_count;
    uint32_t register_count;
    bool is_once;
    bool is_timed;
    bool keeps_optional;           /* a constant being folded: an optional stays one */
    bool quick_stop;               /* what a quick comparison that stops answers: true for || */
    bool quick_end;                /* what the chain answers if none stops it: the opposite */
    uint32_t quick_slots;          /* the greatest slot that `quick` reads, plus one */
    const struct quick *quick;     /* ends with QUICK_END or QUICK_MACHINE */
    struct regex *const *patterns; /* constant patterns, compiled */
    uint32_t pattern_count;
    const struct expr_type *type;
    const struct node *root; /* for expr_explain() */
    struct str text;
    const uint32_t *read_slots; /* the host's numbers, predicates' too */
    const uint32_t *read_bindings;
    uint32_t read_slot_count;
    uint32_t read_binding_count;
};

/* The host's number of the slot that the instruction's first operand is. */
static inline uint32_t quick_slot(const struct expr_slot_use *slots, const struct op *op)
{
    return slots[op->a & OPERAND_INDEX].slot;
}

/* What the emitter needs of the checker: the numbered slots and bindings. */
struct build {
    struct arena *plan;
    struct arena *work; /* may be forgotten afterwards */
    struct str text;
    const struct expr_slot_use *slots;
    uint32_t slot_count;
    const uint32_t *bindings;
    uint32_t binding_count;
    bool is_once;
    bool is_part; /* slots and bindings belong to an expression that stays: they are not copied */
};

/* Emits code for `root` into a new expr in build->plan. FIX_INPUT where it is too large. */
enum status expr_emit(const struct build *build, const struct node *root, struct expr **out,
                      struct fault *f) mustuse;

#define OPS(X)                                                                                     \
    X(END, "answer with a")                                                                        \
    X(MOVE, "to = a")                                                                              \
    X(NOW, "to = now")                                                                             \
    X(COMPARE, "outcome of a against b, with the mask in how")                                     \
    X(COMPARE_AFFINE, "the same, where either depends on now")                                     \
    X(IN, "outcome of a being in b")                                                               \
    X(TEST, "outcome of a, which should be a bool")                                                \
    X(HAS, "to = is a there?")                                                                     \
    X(NOT, "to = not a")                                                                           \
    X(NEGATE, "to = -a")                                                                           \
    X(ADD, "to = a + b")                                                                           \
    X(SUBTRACT, "to = a - b")                                                                      \
    X(MULTIPLY, "to = a * b")                                                                      \
    X(DIVIDE, "to = a / b")                                                                        \
    X(MODULO, "to = a % b")                                                                        \
    X(ADD_AFFINE, "to = a + b, one of which depends on now")                                       \
    X(SUBTRACT_AFFINE, "to = a - b, one of which depends on now")                                  \
    X(SELECT, "to = a.b; how: 1 test, 2 optional")                                                 \
    X(INDEX, "to = a[b]; how: 2 optional")                                                         \
    X(JUMP, "go on at jump")                                                                       \
    X(CHOOSE, "a false: jump; not a bool: to = error, go on at extra")                             \
    X(ITERATE, "to = iterator over a; not iterable: b = error, jump")                              \
    X(NEXT, "a, b = next of to (how: variables; 4: keys of maps come first); past the last: jump") \
    X(LOOP_TEST, "a false: jump; not a bool: to = error, go on at extra")                          \
    X(COUNT_ONE, "a true: count in to; not a bool: to = error, jump")                              \
    X(IS_ONE, "to = is the count in to one?")                                                      \
    X(LIST_START, "to = builder of a list for extra items")                                        \
    X(LIST_ADD, "add a to the list in to; how 1: if it holds something")                           \
    X(LIST_END, "to = the list built in to")                                                       \
    X(MAP_START, "to = builder of a map for extra pairs")                                          \
    X(MAP_ADD, "add key a, value b to the map in to; how 1: if it holds something")                \
    X(MAP_MERGE, "add the pairs of map a to the map in to")                                        \
    X(MAP_END, "to = the map built in to")                                                         \
    X(OPT_START, "a holds something: b = it; else to = a or an error, jump")                       \
    X(OPT_WRAP, "to = optional holding a")                                                         \
    X(OPT_OR, "to holds something: keep (how 1: unwrap) and jump; holds nothing: go on")           \
    X(CALL, "to = function extra of the b values from register a")                                 \
    X(CALL_AFFINE, "the same, its target depends on now")                                          \
    X(CALL_HOST, "to = binding extra of the b values from register a")                             \
    X(MATCHES, "to = does pattern extra match a")                                                  \
    X(SORT, "to = list a in the order of the keys b")

enum op_code {
#define X(name, doc) OP_##name,
    OPS(X)
#undef X
        OP_CODES
};

/* The machine ----------------------------------------------------------------------------------- */

struct machine {
    const struct expr *expr;
    const struct expr_host *host;
    struct arena *scratch;
    int64_t until_ms;
    int64_t cost_left;
    bool is_over;   /* the cost limit is exceeded */
    bool is_affine; /* in a getter: its target moves with now */
    struct value loaded[2];
};

#define LOADER(type)                               \
    static inline type load_##type(const char *at) \
    {                                              \
        type x;                                    \
        memcpy(&x, at, sizeof(x));                 \
        return x;                                  \
    }
LOADER(uint64_t)
LOADER(uint32_t)
LOADER(uint16_t)
#undef LOADER

/* Charges for work; false (and the machine ends soon) beyond the limit. */
static inline bool machine_pay(struct machine *m, uint64_t cost)
{
    if (unlikely(cost > (uint64_t)INT64_MAX || (int64_t)cost > m->cost_left)) {
        m->cost_left = 0;
        m->is_over = true;
        return false;
    }
    m->cost_left -= (int64_t)cost;
    return true;
}

/* Memory from scratch, paid for: NULL beyond the limit. */
void *machine_alloc(struct machine *m, uint64_t bytes) mustuse;

/* An error value that borrows `text`. */
struct value value_error(struct str text);
#define ERROR(literal) value_error(STR(literal))
struct value machine_error(struct machine *m, const char *format, ...) printf_like(2, 3);
struct value no_such_overload(void);
struct value over_budget(void);

static inline bool is_failed(const struct value *v)
{
    return v->type == VALUE_ERROR || v->type == VALUE_NONE;
}

static inline struct value value_uint(uint64_t x)
{
    return (struct value){.type = VALUE_UINT, .uinteger = x};
}

static inline struct value value_bytes(struct str x)
{
    return (struct value){.type = VALUE_BYTES, .text = x};
}

static inline struct value value_type_of(struct str x)
{
    return (struct value){.type = VALUE_TYPE, .text = x};
}

static inline struct value value_list_of(const struct value_list *x)
{
    return (struct value){.type = VALUE_LIST, .list = x};
}

static inline struct value value_map_of(const struct value_map *x)
{
    return (struct value){.type = VALUE_MAP, .map = x};
}

/* Values (ops.c) -------------------------------------------------------------------------------- */

/* Order of two values: 0 less, 1 equal, 2 greater, 3 not ordered (NaN), -1 no such comparison. */
int value_order(const struct value *a, const struct value *b);

/* 1 equal, 0 not equal, -1 where the values are nested too deeply or the budget is exceeded. */
int value_equal(struct machine *m, const struct value *a, const struct value *b);

/* The value of `key`, or NULL. */
const struct value *map_find(struct machine *m, const struct value_map *map,
                             const struct value *key);

struct value value_add(struct machine *m, const struct value *a, const struct value *b);
struct value value_subtract(struct machine *m, const struct value *a, const struct value *b);
struct value value_multiply(const struct value *a, const struct value *b);
struct value value_divide(const struct value *a, const struct value *b);
struct value value_modulo(const struct value *a, const struct value *b);
struct value value_negate(const struct value *a);
struct value value_index(struct machine *m, const struct value *a, const struct value *key,
                         bool is_optional);
struct value value_select(struct machine *m, const struct value *a, const struct value *absent,
                          int how);
struct value value_in(struct machine *m, const struct value *a, const struct value *b);
/* The list in the order of its keys, which are as many; stable. */
struct value value_sort(struct machine *m, const struct value *list, const struct value *keys);
struct value optional_of(struct machine *m, const struct value *held);
struct value optional_none(void);
static inline bool optional_holds(const struct value *v)
{
    return v->list != NULL && v->list->count == 1;
}

/* "string", "google.protobuf.Timestamp": what type() says. */
struct str value_cel_type(const struct value *v);

/* Affine values (affine.c) ---------------------------------------------------------------------- */

/* Nanoseconds of a time or a duration. */
__int128 value_ns(const struct value *v);
struct value value_time_ns(__int128 ns);
struct value value_duration_ns(__int128 ns);

/* a + b, or a - b for sign -1, of times and durations that stand still. */
struct value time_sum(const struct value *a, const struct value *b, int sign);

/* The same where one of them moves. */
struct value affine_add(const struct value *a, const struct value *b, int sign);

/* 0 or 1, and *wait_ms: how long until it changes (at least 1, or FOREVER_MS); -1: no such overload. */
int affine_compare(const struct value *a, const struct value *b, int mask, int64_t *wait_ms);

/* Notes that what is read now may change `wait_ms` after now (FOREVER_MS: never). */
void machine_wait(struct machine *m, int64_t wait_ms);

/* Functions ------------------------------------------------------------------------------------- */

typedef struct value (*function_code)(struct machine *m, const struct value *arguments,
                                      uint32_t count);

enum function_kind {
    FUNCTION_PLAIN,    /* name(...) */
    FUNCTION_METHOD,   /* target.name(...) */
    FUNCTION_GETTER,   /* the same, and answers for times that move with now */
    FUNCTION_OPERATOR, /* the compiler knows it */
    FUNCTION_MACRO,    /* the parser knows it */
};

struct function {
    struct expr_function public; /* see expr.h */
    function_code code;          /* NULL for operators and macros */
    uint8_t kind;                /* enum function_kind */
};

extern const struct function function_table[];
extern const uint32_t function_count;

/* Text that grows in scratch; past the cost limit it stays as it is and `is_over` is set. */
struct writer {
    struct machine *m;
    char *at;
    size_t len, room;
    bool is_over;
};

void writer_add(struct writer *w, struct str s);
void writer_printf(struct writer *w, const char *format, ...) printf_like(2, 3);
/* The text as a value, or the error. */
struct value writer_value(const struct writer *w);

/* What string() makes of a value, and format() of "%s"; false with *error where it has no text. */
bool writer_add_value(struct writer *w, const struct value *v, struct value *error);

/* Regular expressions (re.cc) ------------------------------------------------------------------- */

#define REGEX_BYTES_MAX 4096

/* Compiles; NULL and the reason in `why` if it is no pattern. */
struct regex *regex_new(const char *at, size_t len, char *why, size_t why_bytes);
void regex_free(void *regex);
/* Does it match anywhere in the text? */
bool regex_finds(const struct regex *regex, const char *at, size_t len);

/* Text (fn_text.c, print.c) --------------------------------------------------------------------- */

/* Code points of valid UTF-8. */
uint64_t text_length(struct str s);
/* The shortest text that reads back as `number`: "0.1", "1e+21", "NaN". At least 32 bytes of room. */
struct str double_print(double number, char *out);
/* "2026-03-01T00:00:00Z" */
struct str time_print(const struct value *v, char *out, size_t bytes);
/* "1.5s" */
struct str duration_print(const struct value *v, char *out, size_t bytes);
bool time_parse(struct str s, struct value *out) mustuse;
bool duration_parse(struct str s, struct value *out) mustuse;
bool zone_fixed(struct str zone, int64_t *offset_ms) mustuse;
