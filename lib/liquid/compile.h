/* compile.h - what the compiler's files share: the tables that grow while a template is read.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/buf.h"
#include "liquid/lex.h"
#include "liquid/liquid_int.h"

enum block_kind {
    BLOCK_IF,
    BLOCK_UNLESS,
    BLOCK_CASE,
    BLOCK_FOR,
    BLOCK_TABLEROW,
    BLOCK_CAPTURE,
    BLOCK_IFCHANGED,
};

/* A tag that waits for its end. */
struct block {
    enum block_kind kind;
    uint32_t at;       /* where the tag stands */
    uint32_t op_first; /* its first operation */
    uint32_t end_jump; /* last jump to the end, which names the one before as its target; or none */
    uint32_t next_jump; /* the jump to the next branch; or none */
    uint32_t run_op;    /* case: the OP_WHEN_RUN of the open branch, or none */
    uint32_t name;      /* capture: the local; loops: the variable, while it is seen */
    uint32_t loop;
    bool is_blank; /* nothing in it can write anything but white space */
    bool has_else; /* loops */
};

/* What is known of a name while compiling. */
struct name_use {
    uint32_t assigned_in; /* the unit that defines it, LIQUID_NONE: none, MANY_UNITS: several */
    uint32_t visible_in;  /* the unit in which it was assigned before here, + 1 */
};

#define MANY_UNITS (UINT32_MAX - 1)
#define READS_MAX  4096
#define NAMES_MAX  4096

/* One place where a path is asked for; decides is_maybe_local at the end. */
struct path_use {
    uint32_t read;
    uint32_t name;
    uint32_t unit;
    bool is_after_assign;
};

struct compiler {
    struct arena *plan;
    struct fault *fault;
    const struct liquid_source *partials;
    size_t partial_count;
    struct buf ops;       /* struct op */
    struct buf units;     /* struct unit */
    struct buf constants; /* struct value */
    struct buf names;     /* struct str */
    struct buf name_uses; /* struct name_use, beside names */
    struct buf variables;
    struct buf parts;
    struct buf loops;
    struct buf calls;
    struct buf arg_names;
    struct buf reads;
    struct buf path_uses;
    uint32_t unit;   /* being compiled */
    struct str text; /* its text */
    size_t at;       /* up to where it has been read */
    bool trims;      /* the text that follows loses its leading white space */
    struct block blocks[LIQUID_BLOCKS_MAX];
    uint32_t block_count;
    uint32_t block_floor; /* blocks below are not to be ended here: {% liquid %} */
    struct str lines;     /* inside {% liquid %}: the lines not read yet */
    bool is_over;         /* more names or reads than there may be; found out after the tag */
    struct {
        uint32_t unit;
        uint32_t line;
        size_t at;
        size_t line_start;
    } placed; /* the last place that was asked for: the next one is mostly behind it */
};

#define table_count(table, type) ((uint32_t)((table)->len / sizeof(type)))
#define table_at(table, type, i) (&((type *)(void *)(table)->at)[i])

/* Notes a mistake at byte `at` of the unit; always false. */
bool compile_fail(struct compiler *c, size_t at, const char *format, ...) printf_like(3, 4);

/* Line and column of byte `at` of the unit. */
void compile_place(struct compiler *c, size_t at, uint32_t *line, uint32_t *column);

/* The mistake that `lx` stands on something else than `what`. */
bool compile_expected(struct compiler *c, const struct lexer *lx, const char *what);

/* Appends an operation; its number. */
uint32_t compile_op(struct compiler *c, enum op_code code, uint32_t a, size_t at);

struct op *compile_op_at(struct compiler *c, uint32_t number);

/* The number of a name, new if need be. */
uint32_t compile_name(struct compiler *c, struct str name);

/* Notes that the unit defines a name: from here on, or only inside of what is open. */
void compile_defines(struct compiler *c, uint32_t name, bool is_from_here_on);

/* Something was written that is more than white space may be. */
void compile_writes(struct compiler *c);

/* The number of the partial's unit; LIQUID_NONE (and a fault) if there is none of that name. */
uint32_t compile_unit(struct compiler *c, struct str name, size_t at);

/* All partials, because a name is only known while rendering. */
bool compile_all_units(struct compiler *c, size_t at);

/* --- expression.c ---------------------------------------------------------------------------- */

/* A value without filters: its operations leave it on the stack. */
bool compile_value(struct compiler *c, struct lexer *lx);

/* A value with filters. Nothing at all is nil. */
bool compile_filtered(struct compiler *c, struct lexer *lx);

/* Comparisons joined by `and` and `or`. */
bool compile_condition(struct compiler *c, struct lexer *lx);

/* The end of what is in a tag. */
bool compile_end(struct compiler *c, const struct lexer *lx);

/* A constant on the stack. */
void compile_push(struct compiler *c, struct value x, size_t at);

/* --- tags.c ---------------------------------------------------------------------------------- */

/* One tag: its word, and what follows up to its end. */
bool compile_tag(struct compiler *c, struct str word, size_t word_at, size_t end);

/* --- compile.c: texts that are not looked into ------------------------------------------------ */

/* Moves past {% `end` %}; what is before it in *body. False and a fault if it does not come. */
bool compile_skip_to(struct compiler *c, struct str end, size_t opened_at, struct str *body);

/* Moves past the {% endcomment %} that belongs to a comment opened before. */
bool compile_skip_comment(struct compiler *c, size_t opened_at);

/* What is inside of {% liquid %}, from..end of the text. */
bool compile_lines(struct compiler *c, size_t from, size_t end);

/* Writes text of the unit as it is. */
void compile_text(struct compiler *c, size_t from, size_t end);
