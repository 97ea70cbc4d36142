/* run_scenario.h - runs a scenario of a programme's tests/ in virtual time and says what came out.
 *
 * Each scenario has a world of its own. People are in no holdout unless the scenario says so: their
 * identifiers are chosen until that is so, which changes nothing else.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "programme/scenario.h"
#include "replay/shelf.h"

struct scenario_failure {
    const struct scenario_expect *expect;
    struct str expected; /* "cart-reminder is not sent to ann" */
    struct str got;      /* "it was sent 2026-03-02 13:02:00 on email" */
    struct str story;    /* what happened to the person, line by line */
};

struct scenario_result {
    uint32_t failure_count;
    const struct scenario_failure *failures; /* in the arena */
    uint64_t batches;
    struct fault fault; /* the scenario could not be run: then failure_count is 0 */
};

/* Runs it under `plan`, whose names are shelf->names. Everything in *out lives in `arena`. False if an
 * expectation failed or it could not be run. */
bool scenario_run(struct shelf *shelf, const struct plan *plan, const struct scenario *scenario,
                  struct arena *arena, struct scenario_result *out);
