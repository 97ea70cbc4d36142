/* SPDX-License-Identifier: Apache-2.0 */
#include "model/control.h"
#include "model/receipt.h"
#include "model/result.h"

struct str result_how(const struct result *row)
{
    static const char *const sweep[] = {"", "began", "over", "dropped", "refused"};
    static const char *const engaged[] = {"", "opened", "clicked", "complained"};
    static const char *const left[] = {"next", "end", "version"};
    static const char *const arm[] = {"",     "converted", "ended",  "abandoned",
                                      "sent", "not_sent",  "crossed"};
    uint8_t how = row->how;
    switch (row->kind) {
    case RESULT_REFUSED: return how > 0 && how < REFUSAL_END ? str_of(refusal_name(how)) : STR("");
    case RESULT_ENDED: return how < JOURNEY_END_END ? end_term(how)->name : STR("");
    case RESULT_DECIDED: return how < OUTCOME_END ? outcome_term(how)->name : STR("");
    case RESULT_GRANTED: return how < CHANNEL_END ? channel_name(how) : STR("");
    case RESULT_ERROR: return how < ERROR_PLACES ? str_of(error_place_name(how)) : STR("");
    case RESULT_RECEIPT: return str_of(receipt_name(how));
    case RESULT_ENGAGED: return how < array_count(engaged) ? str_of(engaged[how]) : STR("");
    case RESULT_SWEEP: return how < array_count(sweep) ? str_of(sweep[how]) : STR("");
    case RESULT_STAGE:
    case RESULT_MEMBERSHIP: return how & 1 ? STR("entered") : STR("left");
    case RESULT_LEFT: return how < array_count(left) ? str_of(left[how]) : STR("");
    case RESULT_MOVED: return how ? STR("in") : STR("out");
    case RESULT_OF_ARM: return how < array_count(arm) ? str_of(arm[how]) : STR("");
    case RESULT_PROPOSED: return how < LANE_END ? lane_term(how)->name : STR("");
    case RESULT_CONTROL:
        return how == 16                      ? STR("killed")
               : how == 17                    ? STR("taken_back")
               : how >= 1 && how <= PHASE_END ? phase_name(how - 1)
                                              : STR("");
    case RESULT_CROSSED: return how ? STR("held_out") : STR("not_held_out");
    case RESULT_HOLD: return how ? STR("started") : STR("lifted");
    case RESULT_CONSENT: return how ? STR("agreed") : STR("refused");
    default: return STR("");
    }
}

bool result_has_name(const struct result *row)
{
    switch (row->kind) {
    case RESULT_ARM:
    case RESULT_HOLD:
    case RESULT_OF_ARM:
    case RESULT_GRANTED:
    case RESULT_CONSENT:
    case RESULT_ERROR:
    case RESULT_MEMBERSHIP:
    case RESULT_STAGE:
    case RESULT_UNFOUND:
    case RESULT_WAITED: return row->number != 0;
    default: return false;
    }
}
