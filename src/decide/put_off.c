/* put_off.c - what later stages said of a message on one channel: not before.
 *
 *     the desk ──► provider's pool ──► address gate ──► the attempt ──► its answer
 *        ▲              │                   │                               │
 *        │   no voucher is left    the address has had          lost: whether it arrived
 *        │              │            its share                     is not known
 *        └──────────────┴───────────────────┴───────────────────────────────┘
 *                      not on this channel before that moment
 *
 * The intent keeps it, channel by channel, and the desk asks for it like for one more rule, until the moment
 * has come: whatever other rules say meanwhile, and whatever is said of other channels. So no stage is asked
 * again before the time that it named itself, and two channels that are both put off cannot send a message
 * back and forth. An operator's pace is kept in the same way: it is a rate, like a provider's.
 *
 * What the gate said is about an address: it is nothing to another one that the person has by then.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/canary.h"
#include "decide/desk_int.h"

static const struct put_off *said_at(const struct space *s, const struct intent *in, uint32_t i)
{
    return vec_at(s, &in->put_offs, i, sizeof(struct put_off));
}

static bool stands(const struct person *who, const struct put_off *x)
{
    return x->until_ms > who->now_ms &&
           (x->why != PUT_OFF_ADDRESS ||
            x->about == (uint32_t)intent_address(who, (enum channel)x->channel).low);
}

void put_off_until(struct person *who, uint32_t place, struct put_off said)
{
    struct intent *in = person_touch_intent(who, place);
    must(said.until_ms != FOREVER_MS);
    must(said.channel != CHANNEL_NONE);
    must(said.why != 0);
    if (!stands(who, &said)) /* the answer has come late */
        return;
    for (uint32_t i = in->put_offs.count; i-- > 0;) {
        const struct put_off *old = said_at(who->space, in, i);
        bool is_over = !stands(who, old);
        if (old->channel != said.channel && !is_over && !planted("put-off-on-one"))
            continue;
        if (old->channel == said.channel && !is_over && old->until_ms >= said.until_ms)
            said = *old;
        vec_drop(who->space, &in->put_offs, i, sizeof(struct put_off));
    }
    must(in->put_offs.count < PLAN_CHANNELS_MAX);
    struct put_off *fresh = vec_push(who->space, &in->put_offs, sizeof(struct put_off));
    must(fresh != NULL);
    *fresh = said;
}

const struct put_off *put_off_find(const struct person *who, const struct intent *in,
                                   enum channel channel)
{
    for (uint32_t i = 0; i < in->put_offs.count; i++) {
        const struct put_off *x = said_at(who->space, in, i);
        if (x->channel == channel && stands(who, x))
            return x;
    }
    return NULL;
}

uint8_t put_off_rule(const struct put_off *x)
{
    return x->why == PUT_OFF_ADDRESS ? RULE_ADDRESS : RULE_POOL;
}

void put_off_forget(struct space *space, struct intent *in)
{
    if (in->put_offs.count > 0)
        vec_clear(space, &in->put_offs, sizeof(struct put_off));
}

void put_off_move(struct space *to, struct space *from, struct intent *in)
{
    struct vec theirs = in->put_offs;
    if (theirs.count == 0)
        return;
    in->put_offs = (struct vec){0};
    vec_make(to, &in->put_offs, theirs.count, sizeof(struct put_off));
    for (uint32_t i = 0; i < theirs.count; i++)
        *(struct put_off *)vec_touch(to, &in->put_offs, i, sizeof(struct put_off)) =
            *(const struct put_off *)vec_at(from, &theirs, i, sizeof(struct put_off));
    vec_clear(from, &theirs, sizeof(struct put_off));
}
