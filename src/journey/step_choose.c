/* step_choose.c - takes the best of several candidates: of those whose condition is true the one with the
 * highest score, of equals the first. Scores are whole millionths, so that no order of adding and no
 * compiler makes a difference. A score that fails, or is no number, is none: the candidate stands back, and
 * that is counted.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "journey/journey_int.h"
#include "profile/ask.h"
#include "profile/score.h"

static void count_error(const struct step *s)
{
    person_result(s->who, (struct result){.kind = RESULT_ERROR,
                                          .how = ERROR_STEP,
                                          .step = s->at->step,
                                          .journey = s->at->journey,
                                          .version = s->at->plan,
                                          .id = s->at->id});
}

enum step_answer step_choose_run(struct step *s)
{
    const struct plan_choose *choose = &s->means->choose;
    const struct plan_candidate *best = NULL;
    int64_t best_score = 0;
    for (uint32_t i = 0; i < choose->count; i++) {
        const struct plan_candidate *c = &choose->candidates[i];
        int64_t score = 0;
        struct asked asked = ask(s->who, s->plan, &c->when, step_more(s)->entry);
        bool is_scored = asked.is_true && score_ask(s->who, s->plan, &c->score, c->priority,
                                                    step_more(s)->entry, &score);
        if (asked.is_error || (asked.is_true && !is_scored))
            count_error(s);
        if (s->who->witness != NULL && is_scored)
            person_note_about(s->who, s->at->journey, NAME_NONE, "%.*s: candidate %.*s scores %.6g",
                              STR_ARG(names_text(s->who->names, s->at->journey)),
                              STR_ARG(names_text(s->who->names, c->name)),
                              (double)score / SCORE_ONE);
        else if (s->who->witness != NULL)
            person_note_about(s->who, s->at->journey, NAME_NONE,
                              "%.*s: candidate %.*s stands back: %.*s",
                              STR_ARG(names_text(s->who->names, s->at->journey)),
                              STR_ARG(names_text(s->who->names, c->name)),
                              STR_ARG(asked.is_true ? STR("it has no score") : c->when.text));
        if (!is_scored || (best != NULL && score <= best_score))
            continue;
        best = c;
        best_score = score;
    }
    if (best == NULL)
        return STEP_GO;
    arm_take(s, best->name, best->target);
    person_note_about(s->who, s->at->journey, NAME_NONE, "%.*s: takes %.*s",
                      STR_ARG(names_text(s->who->names, s->at->journey)),
                      STR_ARG(names_text(s->who->names, best->name)));
    return STEP_GO;
}
