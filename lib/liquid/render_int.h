/* render_int.h - frames of a rendering: what `break` must undo. For render.c and loops.c.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "liquid/liquid_int.h"

enum frame_kind { FRAME_LOOP, FRAME_TABLE, FRAME_CAPTURE, FRAME_CHANGED, FRAME_CALL };

/* Something that is gone through item by item. */
struct rounds {
    struct value items; /* a list or a map; anything else is the one item */
    uint32_t from;
    uint32_t count;
    uint32_t index;
    bool is_reversed;
    struct value current;
};

struct frame {
    enum frame_kind kind;
    uint32_t stack_count; /* the stack's height under it */
    struct rounds rounds; /* loops, calls */
    const struct loop_spec *loop;
    uint32_t columns; /* table */
    size_t out_from;  /* captures: where the output was */
    uint32_t name;    /* capture: what it becomes; call: what the current item is called, or none */
    const struct call_spec *call;
    const struct value *args;
    uint32_t return_pc;
    uint32_t return_unit;
    struct scope scope; /* the caller's */
};

/* --- render.c -------------------------------------------------------------------------------- */

/* Output as it is, within the budget and the rules of a header. */
bool render_write(struct render *r, struct str text) mustuse;

struct value render_pop(struct render *r);

/* A new frame on top, zeroed; NULL (and a fault) if they are nested too deep. */
struct frame *render_push_frame(struct render *r, enum frame_kind kind) mustuse;
struct frame *render_top_frame(struct render *r);
void render_pop_frame(struct render *r);

/* --- loops.c --------------------------------------------------------------------------------- */

/* How many rounds a value makes: nothing, an empty text, a number: none. */
uint32_t rounds_count(struct value items);

/* Makes the item of the round `index` the current one; a map's are pairs. Counts the round. */
bool rounds_load(struct render *r, struct rounds *rounds) mustuse;

/* forloop.parentloop.index and the like into *out; how many parts of the path that took in *used. */
bool loop_load(struct render *r, const struct variable *v, struct value *out,
               uint32_t *used) mustuse;

/* The operations of the loops, and the end of a table that is left early. */
bool loop_open(struct render *r, const struct op *op) mustuse;
bool loop_next(struct render *r) mustuse;
bool table_open(struct render *r, const struct op *op) mustuse;
bool table_next(struct render *r) mustuse;
bool table_close(struct render *r) mustuse;
