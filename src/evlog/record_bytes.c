/* The bytes of one record. Both directions are hot: hundreds of thousands a second are written,
 * millions are read back at recovery, so both work on plain pointers with one bounds check for the
 * fixed part.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/hash.h"
#include "evlog/bytes_int.h"

/* Which of the optional fields are there. */
enum {
    HAS_SKEW = 1 << 0,
    HAS_MESSAGE = 1 << 1,
    HAS_ROUTING = 1 << 2,
    HAS_CAUSE = 1 << 3,
    HAS_USER = 1 << 4,
    HAS_ANONYMOUS = 1 << 5,
    HAS_PREVIOUS = 1 << 6,
    HAS_KNOWN = (1 << 7) - 1,
};

#define ALGORITHM_PLAIN 0

/* The longest fixed part: five bytes, source and name, three times, skew, three hashes, three ids. */
#define FIXED_BYTES_MAX (5 + 2 * 5 + 3 * 10 + 5 + 3 * 8 + 3 * 16)
/* What comes round it: length before; clear length, algorithm, personal length and CRC behind. */
#define AROUND_BYTES_MAX (3 + 3 + 1 + 3 + 4)

static uint8_t *put_fixed(uint8_t *out, const struct record *r, int64_t now_ms)
{
    uint8_t has = 0;
    has |= r->sent_skew_ms != 0 ? HAS_SKEW : 0;
    has |= r->message_hash != 0 ? HAS_MESSAGE : 0;
    has |= r->routing_hash != 0 ? HAS_ROUTING : 0;
    has |= r->cause != 0 ? HAS_CAUSE : 0;
    has |= id128_is_set(r->user) ? HAS_USER : 0;
    has |= id128_is_set(r->anonymous) ? HAS_ANONYMOUS : 0;
    has |= id128_is_set(r->previous) ? HAS_PREVIOUS : 0;

    *out++ = r->type;
    *out++ = r->kind;
    *out++ = r->flags;
    *out++ = r->schema;
    *out++ = has;
    out = put_varint(out, r->source);
    out = put_varint(out, r->name);
    out = put_varint(out, (uint64_t)minus(now_ms, r->at_ms));
    out = put_varint(out, fold(minus(r->at_ms, r->arrival_ms)));
    out = put_varint(out, fold(minus(r->arrival_ms, r->event_ms)));
    if (has & HAS_SKEW)
        out = put_varint(out, fold(r->sent_skew_ms));
    if (has & HAS_MESSAGE)
        out = put_bytes(out, &r->message_hash, 8);
    if (has & HAS_ROUTING)
        out = put_bytes(out, &r->routing_hash, 8);
    if (has & HAS_CAUSE)
        out = put_bytes(out, &r->cause, 8);
    if (has & HAS_USER)
        out = put_id(out, r->user);
    if (has & HAS_ANONYMOUS)
        out = put_id(out, r->anonymous);
    if (has & HAS_PREVIOUS)
        out = put_id(out, r->previous);
    return out;
}

static size_t varint_bytes(uint64_t x)
{
    size_t bytes = 1;
    while (x >= 0x80) {
        x >>= 7;
        bytes++;
    }
    return bytes;
}

bool record_write(struct buf *out, const struct record *r, int64_t now_ms, uint32_t *sum)
{
    if (r->clear.bytes >= RECORD_BYTES_MAX || r->personal.bytes >= RECORD_BYTES_MAX)
        return false;
    uint8_t fixed[FIXED_BYTES_MAX];
    size_t fixed_bytes = (size_t)(put_fixed(fixed, r, now_ms) - fixed);
    must(fixed_bytes <= sizeof(fixed));
    size_t length = fixed_bytes + varint_bytes(r->clear.bytes) + r->clear.bytes + 1 +
                    varint_bytes(r->personal.bytes) + r->personal.bytes + 4;
    size_t whole = varint_bytes(length) + length;
    if (whole > RECORD_BYTES_MAX)
        return false;

    uint8_t *begin = buf_reserve(out, whole);
    uint8_t *at = put_varint(begin, length);
    at = put_bytes(at, fixed, fixed_bytes);
    at = put_varint(at, r->clear.bytes);
    at = put_bytes(at, r->clear.at, r->clear.bytes);
    *at++ = ALGORITHM_PLAIN;
    at = put_varint(at, r->personal.bytes);
    at = put_bytes(at, r->personal.at, r->personal.bytes);
    uint32_t crc = hash_crc32c(0, begin, (size_t)(at - begin));
    at = put_bytes(at, &crc, 4);
    must((size_t)(at - begin) == whole);
    out->len += whole;
    *sum = hash_crc32c(*sum, &crc, 4);
    return true;
}

/* The fields between length and CRC; false where they do not add up. */
static bool read_fields(const uint8_t *at, const uint8_t *end, int64_t now_ms, struct record *r)
{
    if (end - at < 5)
        return false;
    *r = (struct record){.type = at[0], .kind = at[1], .flags = at[2], .schema = at[3]};
    uint8_t has = at[4];
    at += 5;
    uint64_t source = get_varint(&at, end);
    uint64_t name = get_varint(&at, end);
    r->at_ms = minus(now_ms, (int64_t)get_varint(&at, end));
    r->arrival_ms = minus(r->at_ms, unfold(get_varint(&at, end)));
    r->event_ms = minus(r->arrival_ms, unfold(get_varint(&at, end)));
    uint64_t skew = has & HAS_SKEW ? get_varint(&at, end) : 0;
    r->message_hash = has & HAS_MESSAGE ? get_u64(&at, end) : 0;
    r->routing_hash = has & HAS_ROUTING ? get_u64(&at, end) : 0;
    r->cause = has & HAS_CAUSE ? get_u64(&at, end) : 0;
    if (has & HAS_USER)
        r->user = get_id(&at, end);
    if (has & HAS_ANONYMOUS)
        r->anonymous = get_id(&at, end);
    if (has & HAS_PREVIOUS)
        r->previous = get_id(&at, end);
    r->clear = get_body(&at, end);
    const uint8_t *algorithm = get_bytes(&at, end, 1);
    if (algorithm == NULL || *algorithm != ALGORITHM_PLAIN)
        return false;
    r->personal = get_body(&at, end);

    r->source = (uint32_t)source;
    r->name = (uint32_t)name;
    r->sent_skew_ms = (int32_t)unfold(skew);
    if (source > UINT32_MAX || name > UINT32_MAX || skew > UINT32_MAX || (has & ~HAS_KNOWN) != 0)
        return false;
    return at == end;
}

enum verdict record_read(struct cursor *in, int64_t now_ms, struct record *r, uint32_t *sum,
                         const char **why)
{
    const uint8_t *at = in->at;
    uint64_t length = get_varint(&at, in->end);
    *why = "a record's length is wrong";
    if (at == NULL || length < 4 || length > (uint64_t)(in->end - at) ||
        length + (uint64_t)(at - in->at) > RECORD_BYTES_MAX)
        return BYTES_BAD;

    const uint8_t *end = at + length - 4;
    uint32_t crc;
    memcpy(&crc, end, 4);
    *why = "a record's checksum is wrong";
    if (hash_crc32c(0, in->at, (size_t)(end - in->at)) != crc)
        return BYTES_BAD;
    *sum = hash_crc32c(*sum, &crc, 4);
    in->at = end + 4;

    *why = "a record is written in a way that this release does not know";
    return read_fields(at, end, now_ms, r) ? BYTES_GOOD : BYTES_STRANGE;
}
