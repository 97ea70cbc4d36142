/* SPDX-License-Identifier: Apache-2.0 */
#include "model/keep.h"

#include "model/names.h"

bool keep_is_same(const struct keep *a, const struct keep *b)
{
    return a->decision == b->decision && a->is_errand == b->is_errand &&
           a->is_listing == b->is_listing && (!a->is_errand || a->message == b->message);
}

const struct keep *keep_among(const struct keep *all, uint32_t count, const struct keep *like)
{
    for (uint32_t i = 0; i < count; i++)
        if (keep_is_same(&all[i], like))
            return &all[i];
    return NULL;
}

static uint8_t kind_of(const struct keep *k)
{
    if (k->is_listing)
        return k->kind == RELEASE_KEPT ? RELEASE_LISTING_KEPT : RELEASE_LISTING_UNDONE;
    if (!k->is_errand)
        return (uint8_t)k->kind;
    return k->kind == RELEASE_KEPT ? RELEASE_ERRAND_KEPT : RELEASE_ERRAND_UNDONE;
}

void keep_write(const struct keep *in, struct buf *clear, struct record *out)
{
    clear->len = 0;
    body_put_int(clear, NAME_PROFILE, (int64_t)in->profile);
    body_put_int(clear, NAME_DECISION, (int64_t)in->decision);
    body_put_int(clear, NAME_ATTEMPT, in->attempt);
    body_put_int(clear, NAME_CHANNEL, in->channel);
    body_put_int(clear, NAME_JOURNEY, in->journey);
    body_put_int(clear, NAME_MESSAGE, in->message);
    body_put_time(clear, NAME_AT, in->granted_ms);
    *out = (struct record){.type = RECORD_RELEASE,
                           .kind = kind_of(in),
                           .schema = RECORD_SCHEMA,
                           .cause = in->decision,
                           .clear = body_of(clear)};
}

bool keep_read(const struct record *in, struct keep *out)
{
    if (in->type != RECORD_RELEASE || in->kind < RELEASE_KEPT || in->kind >= RELEASE_KIND_END)
        return false;
    bool is_errand = in->kind == RELEASE_ERRAND_KEPT || in->kind == RELEASE_ERRAND_UNDONE;
    bool is_listing = in->kind == RELEASE_LISTING_KEPT || in->kind == RELEASE_LISTING_UNDONE;
    bool is_kept = in->kind == RELEASE_KEPT || in->kind == RELEASE_ERRAND_KEPT ||
                   in->kind == RELEASE_LISTING_KEPT;
    int64_t attempt = body_get_int(in->clear, NAME_ATTEMPT, 0);
    int64_t channel = body_get_int(in->clear, NAME_CHANNEL, 0);
    int64_t journey = body_get_int(in->clear, NAME_JOURNEY, -1);
    int64_t message = body_get_int(in->clear, NAME_MESSAGE, -1);
    struct value at = body_get(in->clear, NAME_AT, NULL);
    *out = (struct keep){.kind = is_kept ? RELEASE_KEPT : RELEASE_UNDONE,
                         .is_errand = is_errand,
                         .is_listing = is_listing,
                         .channel = (uint8_t)channel,
                         .attempt = (uint32_t)attempt,
                         .profile = (uint64_t)body_get_int(in->clear, NAME_PROFILE, 0),
                         .decision = (uint64_t)body_get_int(in->clear, NAME_DECISION, 0),
                         .journey = (uint32_t)journey,
                         .message = (uint32_t)message,
                         .granted_ms = at.type == VALUE_TIME ? at.integer : 0};
    return out->profile != 0 && out->decision != 0 && attempt > 0 && attempt <= UINT16_MAX &&
           channel > 0 && channel < CHANNEL_END && journey >= 0 && journey < NAMES_MAX &&
           message > 0 && message < NAMES_MAX;
}
