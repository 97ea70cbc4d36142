/* SPDX-License-Identifier: Apache-2.0 */
#include "model/transmission.h"

const char *transmission_name(enum transmission_outcome outcome)
{
    switch (outcome) {
    case TRANSMISSION_ACCEPTED: return "accepted";
    case TRANSMISSION_SOFT: return "soft";
    case TRANSMISSION_SLOW_DOWN: return "slow_down";
    case TRANSMISSION_UNREACHABLE: return "unreachable";
    case TRANSMISSION_NO_ACCESS: return "no_access";
    case TRANSMISSION_BAD_ADDRESS: return "bad_address";
    case TRANSMISSION_BAD_MESSAGE: return "bad_message";
    case TRANSMISSION_POLICY: return "policy";
    case TRANSMISSION_GONE: return "gone";
    case TRANSMISSION_IN_DOUBT: return "in_doubt";
    case TRANSMISSION_ABORTED: return "aborted";
    case TRANSMISSION_OUTCOME_END: break;
    }
    return "?";
}

bool transmission_is_retriable(enum transmission_outcome outcome)
{
    return outcome == TRANSMISSION_SOFT || outcome == TRANSMISSION_SLOW_DOWN ||
           outcome == TRANSMISSION_UNREACHABLE || outcome == TRANSMISSION_NO_ACCESS;
}
