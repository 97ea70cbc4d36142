/* step_send.c - proposes a message to the desk.
 *
 * The instance stands here until the message has settled for good (accepted, in doubt, ghost, or not
 * sent for a final reason); the next step begins at that moment. `go_on: true` does not wait.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "journey/journey_int.h"

enum step_answer step_send_run(struct step *s)
{
    const struct plan_send *send = &s->means->send;
    struct instance *in = s->at;
    in->visits++;
    instance_set_decision(s->who->space, in,
                          hash_pair(hash_pair(in->id, in->step), in->visits) | 1);
    in->last_message = s->plan->messages[send->message].name;
    in->flags &= (uint8_t)~INSTANCE_IS_ENGAGED;
    in->state = INSTANCE_SENDING;
    in->due_ms = FOREVER_MS;
    s->who->propose(s->who, in, in->step);
    if (!send->goes_on)
        return STEP_STAYS;
    instance_set_decision(s->who->space, in, 0);
    return STEP_GO;
}
