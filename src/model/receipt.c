/* SPDX-License-Identifier: Apache-2.0 */
#include "model/receipt.h"

#include "model/names.h"

void receipt_write(const struct receipt *in, int64_t now_ms, struct buf *clear,
                   struct buf *personal, struct record *out)
{
    body_put_int(clear, NAME_PROFILE, (int64_t)in->profile);
    body_put_int(clear, NAME_ATTEMPT, in->attempt);
    body_put_int(clear, NAME_PROVIDER, in->provider);
    if (in->code != 0)
        body_put_int(clear, NAME_CODE, in->code);
    if (in->tries != 0)
        body_put_int(clear, NAME_TRIES, in->tries);
    if (in->again_ms != 0)
        body_put_int(clear, NAME_AGAIN, in->again_ms);
    if (in->detail.len != 0)
        body_put_text(personal, NAME_DETAIL, in->detail);
    buf_add(personal, in->saved.at, in->saved.bytes);
    *out = (struct record){
        .type = RECORD_RECEIPT,
        .kind = (uint8_t)in->kind,
        .flags = RECORD_IS_SERVER,
        .schema = RECORD_SCHEMA,
        .at_ms = now_ms,
        .event_ms = now_ms,
        .arrival_ms = now_ms,
        .cause = in->decision,
        .clear = body_of(clear),
        .personal = body_of(personal),
    };
}

bool receipt_read(const struct record *in, struct receipt *out)
{
    if (in->type != RECORD_RECEIPT || in->kind == 0 || in->kind >= RECEIPT_KIND_END)
        return false;
    int64_t profile = body_get_int(in->clear, NAME_PROFILE, 0);
    int64_t attempt = body_get_int(in->clear, NAME_ATTEMPT, 0);
    int64_t provider = body_get_int(in->clear, NAME_PROVIDER, 0);
    if (in->cause == 0 || profile <= 0 || attempt < 1 || attempt > UINT32_MAX)
        return false;
    *out = (struct receipt){
        .kind = (enum receipt_kind)in->kind,
        .profile = (uint64_t)profile,
        .decision = in->cause,
        .attempt = (uint32_t)attempt,
        .provider = (uint32_t)provider,
        .code = (int32_t)body_get_int(in->clear, NAME_CODE, 0),
        .tries = (uint32_t)min_of(max_of(body_get_int(in->clear, NAME_TRIES, 0), (int64_t)0),
                                  (int64_t)UINT32_MAX),
        .again_ms = body_get_int(in->clear, NAME_AGAIN, 0),
        .detail = body_get_text(record_personal(in), NAME_DETAIL),
        .saved = record_personal(in),
    };
    return true;
}

const char *receipt_name(enum receipt_kind kind)
{
    switch (kind) {
    case RECEIPT_ACCEPTED: return "accepted";
    case RECEIPT_TEMPORARY: return "temporary";
    case RECEIPT_REJECTED_ADDRESS: return "rejected_address";
    case RECEIPT_REJECTED_MESSAGE: return "rejected_message";
    case RECEIPT_REJECTED_POLICY: return "rejected_policy";
    case RECEIPT_IN_DOUBT: return "in_doubt";
    case RECEIPT_GAVE_UP: return "gave_up";
    case RECEIPT_ABORTED: return "aborted";
    case RECEIPT_DELIVERED: return "delivered";
    case RECEIPT_BOUNCED: return "bounced";
    case RECEIPT_TASK_DONE: return "task_done";
    case RECEIPT_TASK_DECLINED: return "task_declined";
    case RECEIPT_KIND_END: break;
    }
    return "?";
}
