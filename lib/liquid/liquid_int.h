/* liquid_int.h - what the files of this room tell each other: operations, the compiled template, one
 * rendering, values and filters.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "liquid/liquid.h"

#define LIQUID_NONE UINT32_MAX

/* --- operations -------------------------------------------------------------------------------
 *
 * A compiled template is a flat list of these. Expressions leave values on a stack; blocks are jumps;
 * only what must be undone by `break` (loops, captures, partials) has a frame while it runs. */
enum op_code {
    OP_TEXT,   /* write b bytes of the unit's text from a on */
    OP_PUSH,   /* push constant a */
    OP_VAR,    /* pop the computed parts of variable a, push its value */
    OP_RANGE,  /* pop to and from, push the list of integers */
    OP_FILTER, /* pop `count` arguments and the input, push what filter a makes of them */
    OP_EQ,     /* pop two, push a claim about them; so the next six */
    OP_NE,
    OP_LT,
    OP_GT,
    OP_LE,
    OP_GE,
    OP_CONTAINS,
    OP_AND,        /* top is falsy: push false for it and jump to a; else pop it */
    OP_OR,         /* top is truthy: leave it and jump to a; else pop it */
    OP_JUMP,       /* to a */
    OP_JUMP_FALSE, /* pop; if falsy jump to a */
    OP_JUMP_TRUE,
    OP_EMIT,        /* pop and write, escaped as the kind of output wants */
    OP_ASSIGN,      /* pop into the local a */
    OP_CAPTURE,     /* open a frame: output from here on ... */
    OP_CAPTURE_END, /* ... becomes the local a */
    OP_CHANGED,     /* open a frame: output from here on ... */
    OP_CHANGED_END, /* ... is dropped if it is what it was last time */
    OP_INCREMENT,   /* write counter a, then add one */
    OP_DECREMENT,   /* take one from counter a, then write it */
    OP_CYCLE,       /* pop `count` values (and, with flag, the key below them), write the next */
    OP_CASE,        /* the subject is on the stack; push: matches to run 0, any so far false */
    OP_WHEN,        /* pop a value; if it equals the subject, one more match to run */
    OP_WHEN_RUN,    /* no match to run: jump to a; else one less, some so far */
    OP_CASE_ELSE,   /* some so far: jump to a */
    OP_CASE_END,    /* pop what OP_CASE pushed, and the subject */
    OP_FOR,         /* pop offset, limit, collection of loop a; open its frame or jump to b */
    OP_FOR_NEXT,    /* the next item, back to the body of loop a; or close the frame */
    OP_TABLEROW,    /* the same for a table, whose rows and cells it writes */
    OP_TABLEROW_NEXT,
    OP_BREAK,    /* unwind to the innermost loop and leave it */
    OP_CONTINUE, /* unwind to the innermost loop's next round */
    OP_CALL,     /* pop the arguments of call a and run its partial */
    OP_RETURN,   /* the end of a source: back to the caller, or done */
    OP_ABORT,    /* pop the reason; the rendering ends */
};

struct op {
    uint8_t code; /* enum op_code */
    uint8_t flag; /* OP_TEXT: its white space stays; OP_CYCLE: named; OP_EMIT: begins a link */
    uint16_t count;
    uint32_t a;
    uint32_t b;
    uint32_t at; /* where in its source it comes from */
};

/* One source, compiled. */
struct unit {
    struct str name;
    struct str text;
    uint32_t entry; /* its first operation */
};

/* One part of a path: `name`, or the next computed value (on the stack). */
struct part {
    struct str name;
    bool is_computed;
};

/* A path as it stands in a template. */
struct variable {
    uint32_t name;           /* the first part's number; LIQUID_NONE if that is computed */
    uint32_t read;           /* what to ask the host for; LIQUID_NONE: never a host's */
    uint32_t parts_first;    /* into the template's parts */
    uint32_t part_count;     /* with the first */
    uint32_t computed_count; /* how many of them are on the stack */
};

struct loop_spec {
    uint32_t variable; /* a name's number */
    uint32_t key;  /* "item-collection", which `offset: continue` goes on with; a name's number */
    uint32_t body; /* operation of the first thing inside */
    uint32_t next; /* of OP_FOR_NEXT */
    uint32_t end;  /* behind all, also behind `else` */
    bool has_limit;
    bool has_offset;
    bool is_continued; /* offset: continue */
    bool is_reversed;
    bool has_columns;
};

enum call_binding {
    CALL_PLAIN,
    CALL_WITH, /* one value; `include` runs once for each item if it is a list */
    CALL_FOR,  /* once for each item */
};

struct call_spec {
    uint32_t unit;  /* LIQUID_NONE: its name is on the stack, below the rest */
    uint32_t alias; /* what the bound value is called; LIQUID_NONE: after the partial */
    enum call_binding binding;
    uint32_t names_first; /* the arguments' names, into the template's argument names */
    uint32_t arg_count;
    bool is_isolated; /* render: sees nothing of its caller */
};

struct liquid_template {
    enum liquid_kind kind;
    const struct op *ops;
    const struct unit *units; /* 0 = the template itself */
    const struct value *constants;
    const struct str *names; /* of locals, loop variables, counters */
    const struct variable *variables;
    const struct part *parts;
    const struct loop_spec *loops;
    const struct call_spec *calls;
    const uint32_t *arg_names;
    const struct liquid_read *reads;
    uint32_t op_count;
    uint32_t unit_count;
    uint32_t name_count;
    uint32_t read_count;
};

/* --- values -----------------------------------------------------------------------------------
 *
 * Templates know some values that nobody else does; they are marked in pad[0]. A mark never comes
 * from a host, nor out of a list or map: liquid_plain() takes it off. */
enum liquid_mark {
    MARK_NONE = 0,
    MARK_SAFE,  /* a text that is HTML already, not to be escaped again */
    MARK_JSON,  /* in LIQUID_JSON: a text that is JSON already */
    MARK_RANGE, /* a list that was written (1..3) */
};

static inline struct value liquid_plain(struct value x)
{
    x.pad[0] = MARK_NONE;
    return x;
}

/* The words `empty` and `blank`: VALUE_TYPE with these names. */
static inline bool liquid_is_empty_word(struct value x)
{
    return x.type == VALUE_TYPE && str_is(x.text, "empty");
}

static inline bool liquid_is_blank_word(struct value x)
{
    return x.type == VALUE_TYPE && str_is(x.text, "blank");
}

static inline bool liquid_is_nil(struct value x)
{
    return x.type == VALUE_NONE || x.type == VALUE_NULL;
}

static inline bool liquid_is_truthy(struct value x)
{
    return !liquid_is_nil(x) && !(x.type == VALUE_BOOL && !x.boolean);
}

static inline struct value liquid_nil(void)
{
    return (struct value){.type = VALUE_NULL};
}

/* --- one rendering ----------------------------------------------------------------------------*/

struct frame; /* render.c */
struct cycle;

/* What `render` shuts off: what is below it is not seen, what it assigns is gone behind it. */
struct scope {
    uint32_t frames_from;   /* frames below are not seen */
    struct value *locals;   /* by name's number; VALUE_NONE = never assigned */
    struct value *counters; /* by name's number; VALUE_NONE = never used */
};

struct render {
    const struct liquid_template *t;
    const struct liquid_run *run;
    struct liquid_limits limits;
    struct arena *scratch;
    const struct zone *zone;
    struct buf *out;
    size_t out_start; /* bytes that were there before */
    struct fault *fault;
    uint32_t unit;
    uint32_t pc;
    uint64_t steps;
    uint64_t iterations;
    size_t memory_bytes;
    struct value *stack;
    uint32_t stack_count;
    struct frame *frames;
    uint32_t frame_count;
    struct scope scope;
    struct scope spare_scope; /* one that was left, to be used again */
    uint32_t *continues;      /* by name's number: where `offset: continue` goes on */
    struct cycle *cycles;
    struct str last_changed;
    bool has_changed;
    bool is_done;
    bool is_aborted;
};

/* Notes what is wrong at the current operation; always false. */
bool liquid_fail(struct render *r, const char *format, ...) printf_like(2, 3);

/* Memory for a value, within the budget; NULL (and a fault) beyond. */
void *liquid_alloc(struct render *r, size_t bytes) mustuse;

/* Counts `steps` against the budget; false (and a fault) beyond. */
bool liquid_step(struct render *r, uint64_t steps) mustuse;

/* A list of `count` items, to be filled; NULL (and a fault) beyond the budget. */
struct value_list *liquid_new_list(struct render *r, size_t count) mustuse;

static inline struct value liquid_list(const struct value_list *list)
{
    return (struct value){.type = VALUE_LIST, .list = list};
}

/* Text that grows within the budget. After a refusal it swallows what is added. */
struct build {
    struct render *r;
    char *at;
    size_t len;
    size_t room;
    bool is_bad;
};

static inline struct build liquid_build(struct render *r)
{
    return (struct build){.r = r};
}

void build_add(struct build *b, struct str s);
void build_add_byte(struct build *b, char c);
void build_add_code(struct build *b, uint32_t code); /* a Unicode scalar value as UTF-8 */

/* The text in *out; false if it was refused. */
bool build_done(struct build *b, struct value *out) mustuse;

/* --- values.c -------------------------------------------------------------------------------- */

bool liquid_equal(struct value a, struct value b);

/* Order of numbers and of texts; false (no fault) if these two have none. */
bool liquid_order(struct value a, struct value b, int *order);

/* The result of one of the comparing operations in *out. */
bool liquid_compare(struct render *r, enum op_code code, struct value a, struct value b,
                    bool *out) mustuse;

/* item[key], and size, first and last where `is_named` (written with a point). */
bool liquid_property(struct render *r, struct value item, struct value key, bool is_named,
                     struct value *out) mustuse;

/* What a filter takes a value for when it wants text. Borrowed or in the scratch arena. */
bool liquid_to_text(struct render *r, struct value x, struct str *out) mustuse;

/* The same for writing: lists are their items one after the other. */
bool liquid_add_text(struct build *b, struct value x) mustuse;

/* As JSON. */
bool liquid_add_json(struct build *b, struct value x) mustuse;

/* As a collection, the way filters on lists see it: nil is empty, lists are flattened, a map is one
 * item, anything else is one item. */
bool liquid_to_list(struct render *r, struct value x, const struct value_list **out) mustuse;

/* --- number.c -------------------------------------------------------------------------------- */

/* As a number: an int or a finite double; texts as far as they are numbers, everything else is 0. */
struct value liquid_to_number(struct value x);

/* As an integer the way indices want it: false if it is none. */
bool liquid_to_index(struct value x, int64_t *out);

/* Cut to an integer, whatever it is: the ends of a range. */
int64_t liquid_to_whole(struct value x);

enum arithmetic { ADD, SUBTRACT, MULTIPLY, DIVIDE, MODULO };

/* Exact in decimal digits: 10.1 - 2.2 is 7.9. Requires numbers, and a `b` that is not zero for the
 * last two. */
struct value liquid_arithmetic(enum arithmetic op, struct value a, struct value b);

enum rounding { ROUND_NEAREST, ROUND_DOWN, ROUND_UP };

/* To `digits` digits behind the point (before it, if negative); an int where digits <= 0. */
struct value liquid_round(struct value x, enum rounding rounding, int64_t digits);

#define NUMBER_TEXT_BYTES 40

/* "5", "5.0", "1.0e+20" into `out`; returns the length. Requires a number. */
size_t liquid_print_number(struct value x, char out[NUMBER_TEXT_BYTES]);

/* --- text.c ---------------------------------------------------------------------------------- */

/* The bytes of the character at text.at[at]: 1..4; a byte that is not UTF-8 counts as one. */
size_t text_character(struct str text, size_t at);

/* How many characters. */
size_t liquid_text_length(struct str text);

/* The byte where character `index` begins, or text.len. */
size_t text_offset(struct str text, size_t index);

enum letter_case { LETTERS_UP, LETTERS_DOWN };

/* `text` with all letters in that case: Latin, Greek, Cyrillic, Armenian, full width. */
void text_add_case(struct build *b, struct str text, enum letter_case letters);

bool text_is_space(char c);
bool text_is_blank(struct str text);

/* Whether the template's text before byte `at` ends with an attribute that is a link, and its quote:
 * <a href=" */
bool text_begins_link(struct str text, size_t at);

/* The scheme of a link in small letters into `out`, without what browsers skip in it; an empty str if
 * it has none. One that is too long is cut, and so is no known one. */
struct str text_scheme(struct str link, char out[16]);

/* & < > " ' as entities. */
void text_add_escaped(struct build *b, struct str text);

/* --- dates.c --------------------------------------------------------------------------------- */

/* The instant that a value means; false if it means none. */
bool liquid_to_time(struct render *r, struct value x, int64_t *at_ms);

/* `format` (strftime's letters) of an instant on the clock of r->zone. */
bool liquid_add_date(struct build *b, int64_t at_ms, struct str format) mustuse;

/* --- filters --------------------------------------------------------------------------------- */

#define FILTER_ARGS_MAX 3

/* One use of a filter. args beyond arg_count are VALUE_NONE. */
struct call {
    struct render *r;
    struct value input;
    struct value args[FILTER_ARGS_MAX];
    uint32_t arg_count;
    struct value result;
};

typedef bool filter_run(struct call *c);

struct filter {
    const char *name;
    uint8_t arg_min;
    uint8_t arg_max;
    const char *keyword; /* the one keyword it takes, as the last of its arguments; or NULL */
    filter_run *run;
};

#define FILTER(name, min, max, keyword, doc, example, result) filter_run filter_##name;
#include "liquid/filters.def"
#undef FILTER

extern const struct filter liquid_filter_table[];
extern const uint32_t liquid_filter_count;

/* The filter's number, or LIQUID_NONE. */
uint32_t liquid_filter_find(struct str name);

/* The name nearest to `wanted`, or an empty str. */
struct str liquid_filter_nearest(struct str wanted);
struct str liquid_tag_nearest(struct str wanted);
