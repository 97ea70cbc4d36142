/* shelf.h - compiled programmes, by hash: each is compiled once and kept until the end.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "engine/engine.h"
#include "programme/programme.h"
#include "replay/directory.h"

struct shelf {
    const struct directory *directory; /* where stored programmes are; NULL = none are stored */
    struct names *names;               /* agrees with the engine's; grows with it */
    struct plan **plans;
    uint32_t count;
    struct fault fault; /* of the last plan that could not be had */
};

void shelf_init(struct shelf *s, const struct directory *directory);
void shelf_fini(struct shelf *s);

/* Takes a plan that was compiled with shelf->names. */
void shelf_add(struct shelf *s, struct plan *plan);

/* The plan with that hash, compiled from the directory if need be; NULL and shelf->fault if it cannot
 * be had. `names` are the engine's: the shelf's own are brought up to date first. */
const struct plan *shelf_find(void *shelf, struct str hash, const struct names *names);

/* Brings shelf->names up to date with the engine's. */
void shelf_learn(struct shelf *s, const struct names *names);
