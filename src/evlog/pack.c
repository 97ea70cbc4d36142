/* A pack: what some batches and result blocks hold, in the order in which they stood.
 *
 *     payload   clear stream (zstd) │ hashes │ units
 *
 * In the clear stream are blocks and, in those of batches, records without what is personal, in the bytes
 * that log.md tells. A record names its unit by number, and where in the unit's text its personal part is is
 * counted along. Hashes are kept aside, as nothing can compress them; those by which the owner is known stand
 * once, with the unit.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/mem.h"
#include "evlog/bytes_int.h"
#include "evlog/sealed_int.h"
#include "model/identifier.h"

#define NO_PART UINT32_MAX

/* Which optional fields a record has. */
enum {
    HAS_SKEW = 1 << 0,
    HAS_MESSAGE = 1 << 1,
    HAS_ROUTING = 1 << 2, /* another than that of its ids */
    HAS_CAUSE = 1 << 3,
    HAS_USER = 1 << 4,
    HAS_ANONYMOUS = 1 << 5,
    HAS_PREVIOUS = 1 << 6,
    HAS_ROUTE = 1 << 7, /* that of its ids */
};

/* ---- writing ------------------------------------------------------------------------------------- */

struct part {
    uint32_t at, bytes; /* in `personal` */
    uint32_t next;      /* of the same unit, or NO_PART */
};

struct unit {
    struct id128 owner;
    struct seal_name name; /* of the first record that has something personal */
    uint32_t first, last;  /* parts */
    uint32_t bytes;
};

struct pack_writer {
    struct seal_cipher *cipher;
    struct keystore *keys;
    ZSTD_CCtx *packing;
    struct buf clear, hashes, personal, text;
    struct unit *units;
    uint32_t unit_count, unit_room;
    struct part *parts;
    uint32_t part_count, part_room;
    struct map_u64 by_owner; /* hash of the owner: unit */
    uint32_t block_count;
    uint64_t number, first_number;
    int64_t now_ms, newest_ms;
};

struct pack_writer *pack_writer_new(struct seal_cipher *cipher, struct keystore *keys)
{
    must(cipher != NULL);
    must(keys != NULL);
    struct pack_writer *p = mem_new(sizeof(*p));
    p->cipher = cipher;
    p->keys = keys;
    p->packing = ZSTD_createCCtx();
    must(p->packing != NULL);
    must(!ZSTD_isError(ZSTD_CCtx_setParameter(p->packing, ZSTD_c_compressionLevel, 4)));
    buf_init(&p->clear);
    buf_init(&p->hashes);
    buf_init(&p->personal);
    buf_init(&p->text);
    map_u64_init(&p->by_owner);
    return p;
}

void pack_writer_free(struct pack_writer *p)
{
    if (p == NULL)
        return;
    ZSTD_freeCCtx(p->packing);
    buf_fini(&p->clear);
    buf_fini(&p->hashes);
    buf_fini(&p->personal);
    buf_fini(&p->text);
    map_u64_fini(&p->by_owner);
    mem_free(p->units);
    mem_free(p->parts);
    mem_free(p);
}

size_t pack_bytes(const struct pack_writer *p)
{
    return p->clear.len + p->hashes.len + p->personal.len;
}

/* The unit of the owner; the number of a new one is the count. Two owners with one hash get several. */
static uint32_t unit_of(struct pack_writer *p, struct id128 owner, bool *is_new)
{
    uint64_t hash = hash_pair(owner.high, owner.low);
    uint32_t known = map_u64_find(&p->by_owner, hash);
    *is_new = known == MAP_NONE || !id128_equal(p->units[known].owner, owner);
    must(*is_new || known < p->unit_count);
    if (!*is_new)
        return known;
    if (p->unit_count == p->unit_room) {
        p->unit_room = max_of(p->unit_room * 2, 1024u);
        p->units = mem_resize(p->units, p->unit_room * sizeof(*p->units));
    }
    must(p->unit_count < p->unit_room);
    p->units[p->unit_count] = (struct unit){.owner = owner, .first = NO_PART, .last = NO_PART};
    map_u64_set(&p->by_owner, hash, p->unit_count);
    return p->unit_count++;
}

static void add_part(struct pack_writer *p, struct unit *u, struct seal_name name, struct body body)
{
    must(body.bytes > 0);
    if (p->part_count == p->part_room) {
        p->part_room = max_of(p->part_room * 2, 1024u);
        p->parts = mem_resize(p->parts, p->part_room * sizeof(*p->parts));
    }
    must(p->part_count < p->part_room);
    p->parts[p->part_count] = (struct part){(uint32_t)p->personal.len, body.bytes, NO_PART};
    if (u->first == NO_PART) {
        u->first = p->part_count;
        u->name = name;
    } else {
        p->parts[u->last].next = p->part_count;
    }
    u->last = p->part_count++;
    must(u->first <= u->last);
    u->bytes += body.bytes;
    buf_add(&p->personal, body.at, body.bytes);
}

static void add_id(struct buf *out, struct id128 id)
{
    buf_add_u64(out, id.high);
    buf_add_u64(out, id.low);
}

static void add_record(struct pack_writer *p, const struct record *r, struct id128 owner,
                       struct seal_name name, int64_t now_ms)
{
    struct body personal = record_personal(r);
    uint64_t route = identifier_route(r->user, r->anonymous);
    bool has_unit = id128_is_set(owner) || personal.bytes > 0, is_new = false;
    uint32_t unit = has_unit ? unit_of(p, owner, &is_new) : 0;
    struct buf *c = &p->clear, *h = &p->hashes;
    uint8_t has = 0;
    has |= r->sent_skew_ms != 0 ? HAS_SKEW : 0;
    has |= r->message_hash != 0 ? HAS_MESSAGE : 0;
    has |= r->cause != 0 ? HAS_CAUSE : 0;
    has |= id128_is_set(r->user) ? HAS_USER : 0;
    has |= id128_is_set(r->anonymous) ? HAS_ANONYMOUS : 0;
    has |= id128_is_set(r->previous) ? HAS_PREVIOUS : 0;
    if (r->routing_hash != 0)
        has |= r->routing_hash == route ? HAS_ROUTE : HAS_ROUTING;

    const uint8_t fixed[] = {r->type, r->kind, r->flags, r->schema, has};
    buf_add(c, fixed, sizeof(fixed));
    buf_add_varint(c, r->source);
    buf_add_varint(c, r->name);
    buf_add_varint(c, (uint64_t)minus(now_ms, r->at_ms));
    buf_add_varint(c, fold(minus(r->at_ms, r->arrival_ms)));
    buf_add_varint(c, fold(minus(r->arrival_ms, r->event_ms)));
    if (has & HAS_SKEW)
        buf_add_varint(c, fold(r->sent_skew_ms));
    /* 0: it has none; 1: the next one; else an older one. */
    buf_add_varint(c, !has_unit ? 0 : is_new ? 1 : 2 + (uint64_t)unit);
    buf_add_varint(c, r->clear.bytes);
    buf_add(c, r->clear.at, r->clear.bytes);
    buf_add_varint(c, personal.bytes);
    if (has & HAS_MESSAGE)
        buf_add_u64(h, r->message_hash);
    if (has & HAS_ROUTING)
        buf_add_u64(h, r->routing_hash);
    if (has & HAS_CAUSE)
        buf_add_u64(h, r->cause);
    /* The owner is the user if there is one, else the anonymous id: it stands with the unit. */
    if ((has & HAS_USER) && (has & HAS_ANONYMOUS))
        add_id(h, r->anonymous);
    if (has & HAS_PREVIOUS)
        add_id(h, r->previous);
    must(!has_unit || unit < p->unit_count);
    if (personal.bytes > 0)
        add_part(p, &p->units[unit], name, personal);
}

void pack_add(struct pack_writer *p, const struct block *b, const struct record *records,
              const struct id128 *owners)
{
    must(b->kind == BLOCK_BATCH || b->kind == BLOCK_RESULTS);
    if (p->block_count++ == 0) {
        p->first_number = p->number = b->number;
        p->now_ms = 0;
    }
    buf_add_byte(&p->clear, b->kind);
    buf_add_varint(&p->clear, fold(minus((int64_t)b->number, (int64_t)p->number)));
    buf_add_varint(&p->clear, fold(minus(b->now_ms, p->now_ms)));
    p->number = b->number;
    p->now_ms = p->newest_ms = b->now_ms;
    if (b->kind == BLOCK_RESULTS) {
        buf_add_varint(&p->clear, b->length);
        buf_add(&p->clear, b->payload, b->length);
        return;
    }
    buf_add_varint(&p->clear, b->count);
    for (uint32_t i = 0; i < b->count; i++)
        add_record(p, &records[i], owners[i], (struct seal_name){b->number, i}, b->now_ms);
}

/* The unit's parts as one text. */
static struct str gather(struct pack_writer *p, const struct unit *u)
{
    must(u->first < p->part_count);
    must(u->last < p->part_count);
    if (u->first == u->last)
        return str_part(buf_str(&p->personal), p->parts[u->first].at, u->bytes);
    p->text.len = 0;
    for (uint32_t i = u->first; i != NO_PART; i = p->parts[i].next)
        buf_add(&p->text, p->personal.at + p->parts[i].at, p->parts[i].bytes);
    must(p->text.len == u->bytes);
    return buf_str(&p->text);
}

static void add_unit(struct pack_writer *p, const struct unit *u, struct buf *sealed,
                     struct buf *out)
{
    uint8_t key[KEY_BYTES];
    add_id(out, u->owner);
    buf_add_varint(out, u->bytes);
    if (u->bytes == 0)
        return;
    uint32_t slot = keystore_take(p->keys, u->owner, key);
    sealed->len = 0;
    seal_unit(p->cipher, key, u->name, gather(p, u), sealed);
    must(slot != KEY_NONE);
    must(sealed->len > 0);
    buf_add_varint(out, slot);
    buf_add_varint(out, sealed->len);
    buf_add_str(out, buf_str(sealed));
    OPENSSL_cleanse(key, sizeof(key));
}

void pack_finish(struct pack_writer *p, struct buf *out, struct block *b)
{
    must(p->block_count > 0);
    struct buf sealed;
    size_t begin = out->len;
    buf_init(&sealed);
    buf_add_varint(out, p->unit_count);
    buf_add_varint(out, p->clear.len);
    size_t room = ZSTD_compressBound(p->clear.len);
    p->text.len = 0;
    uint8_t *at = buf_reserve(&p->text, room);
    size_t got = ZSTD_compress2(p->packing, at, room, p->clear.at, p->clear.len);
    must(!ZSTD_isError(got));
    must(got <= room);
    buf_add_varint(out, got);
    buf_add(out, at, got);
    buf_add_varint(out, p->hashes.len);
    buf_add_str(out, buf_str(&p->hashes));
    for (uint32_t i = 0; i < p->unit_count; i++)
        add_unit(p, &p->units[i], &sealed, out);
    buf_fini(&sealed);
    must(out->len - begin <= UINT32_MAX);
    *b = (struct block){
        .kind = BLOCK_PACK,
        .length = (uint32_t)(out->len - begin),
        .count = p->block_count,
        .number = p->first_number,
        .now_ms = p->newest_ms,
        .sum = hash_crc32c(0, out->at + begin, out->len - begin),
    };
    p->clear.len = p->hashes.len = p->personal.len = 0;
    p->unit_count = p->part_count = p->block_count = 0;
    map_u64_reset(&p->by_owner);
}

/* ---- reading ------------------------------------------------------------------------------------- */

enum opened { UNIT_SEALED, UNIT_OPEN, UNIT_LOST };

struct open_unit {
    struct record_seal seal; /* the first: a record points to it */
    struct pack_reader *pack;
    struct id128 owner;
    struct seal_name name;
    bool is_named;
    uint32_t used; /* bytes of the text that records before have */
    uint32_t bytes;
    uint32_t slot;
    struct str sealed;
    enum opened state;
    uint32_t text; /* where it is in `texts` */
};

struct pack_reader {
    struct seal_cipher *cipher;
    struct keystore *keys;
    struct buf clear;
    struct buf texts; /* of all units, room for each */
    size_t text_bytes;
    struct cursor hashes;
    const uint8_t *at, *end; /* in `clear` */
    struct open_unit *units;
    uint32_t unit_count, unit_room, units_seen;
    uint32_t blocks_left;
    uint64_t number;
    int64_t now_ms;
    const char *fault;
};

struct pack_reader *pack_reader_new(struct seal_cipher *cipher, struct keystore *keys)
{
    struct pack_reader *p = mem_new(sizeof(*p));
    p->cipher = cipher;
    p->keys = keys;
    buf_init(&p->clear);
    buf_init(&p->texts);
    return p;
}

void pack_reader_free(struct pack_reader *p)
{
    if (p == NULL)
        return;
    buf_fini(&p->clear);
    buf_fini(&p->texts);
    mem_free(p->units);
    mem_free(p);
}

const char *pack_fault(const struct pack_reader *p)
{
    return p->fault;
}

static const uint8_t *open_it(struct record_seal *seal)
{
    struct open_unit *u = (struct open_unit *)seal;
    struct pack_reader *p = u->pack;
    uint8_t key[KEY_BYTES];
    if (u->state == UNIT_OPEN)
        return p->texts.at + u->text;
    if (u->state == UNIT_LOST)
        return NULL;
    must(u->state == UNIT_SEALED);
    must((size_t)u->text + u->bytes <= p->text_bytes);
    u->state = UNIT_LOST;
    switch (keystore_get(p->keys, u->slot, u->owner, key)) {
    case KEY_DESTROYED: return NULL;
    case KEY_DAMAGED:
        p->fault = "the key of what is sealed is missing from log/keys or damaged there";
        return NULL;
    case KEY_LIVE: break;
    }
    if (!open_unit(p->cipher, key, u->name, u->sealed, p->texts.at + u->text, u->bytes)) {
        p->fault = "what is sealed cannot be opened with its key";
        return NULL;
    }
    OPENSSL_cleanse(key, sizeof(key));
    u->state = UNIT_OPEN;
    return p->texts.at + u->text;
}

static bool read_units(struct pack_reader *p, struct cursor *c)
{
    p->text_bytes = 0;
    for (uint32_t i = 0; i < p->unit_count; i++) {
        struct open_unit *u = &p->units[i];
        *u = (struct open_unit){.seal = {open_it}, .pack = p};
        u->owner.high = cursor_u64(c);
        u->owner.low = cursor_u64(c);
        uint64_t bytes = cursor_varint(c), slot = 0, sealed = 0;
        if (bytes > 0) {
            slot = cursor_varint(c);
            sealed = cursor_varint(c);
        }
        if (c->is_bad || bytes > EVLOG_BLOCK_BYTES_MAX || slot > UINT32_MAX ||
            sealed > cursor_left(c) || p->text_bytes + bytes > EVLOG_BLOCK_BYTES_MAX * UINT64_C(2))
            return false;
        u->bytes = (uint32_t)bytes;
        u->slot = (uint32_t)slot;
        u->sealed = cursor_take(c, (size_t)sealed);
        u->text = (uint32_t)p->text_bytes;
        p->text_bytes += u->bytes;
    }
    return !c->is_bad && cursor_left(c) == 0;
}

bool pack_open(struct pack_reader *p, const struct block *pack, const char **why)
{
    struct cursor c = cursor_of(pack->payload, pack->length);
    *why = "what it packs does not add up";
    uint64_t units = cursor_varint(&c), plain = cursor_varint(&c);
    struct str clear = cursor_take(&c, (size_t)cursor_varint(&c));
    if (c.is_bad || units > pack->length / 16 || plain > EVLOG_BLOCK_BYTES_MAX * UINT64_C(2))
        return false;
    p->clear.len = 0;
    uint8_t *at = buf_reserve(&p->clear, (size_t)plain + 1);
    if (p->cipher->unpacking == NULL ||
        ZSTD_decompressDCtx(p->cipher->unpacking, at, (size_t)plain, clear.at, clear.len) != plain)
        return false;
    p->clear.len = (size_t)plain;
    p->at = p->clear.at;
    p->end = p->clear.at + plain;

    struct str hashes = cursor_take(&c, (size_t)cursor_varint(&c));
    if (c.is_bad)
        return false;
    p->hashes = cursor_of(hashes.at, hashes.len);
    p->unit_count = (uint32_t)units;
    p->units_seen = 0;
    if (p->unit_count > p->unit_room) {
        p->unit_room = p->unit_count;
        p->units = mem_resize(p->units, p->unit_room * sizeof(*p->units));
    }
    must(p->unit_count <= p->unit_room);
    if (!read_units(p, &c))
        return false;
    p->texts.len = 0;
    (void)!buf_reserve(&p->texts, p->text_bytes + 1);
    p->blocks_left = pack->count;
    p->number = pack->number;
    p->now_ms = 0;
    p->fault = NULL;
    return true;
}

/* Hands the record its unit. */
static bool take_unit(struct pack_reader *p, uint64_t said, struct record *r,
                      struct open_unit **unit)
{
    *unit = NULL;
    if (said == 0)
        return r->personal.bytes == 0;
    uint64_t number = said == 1 ? p->units_seen : said - 2;
    p->units_seen += said == 1;
    if (number >= p->units_seen || number >= p->unit_count)
        return false;
    *unit = &p->units[number];
    return true;
}

/* The record's personal part in its unit. */
static bool take_part(struct open_unit *u, struct record *r, struct seal_name name)
{
    if (r->personal.bytes == 0)
        return true;
    must(u->used <= u->bytes);
    if (r->personal.bytes > u->bytes - u->used)
        return false;
    if (!u->is_named)
        u->name = name;
    u->is_named = true;
    r->seal = &u->seal;
    r->seal_at = u->used;
    u->used += r->personal.bytes;
    return true;
}

static bool read_record(struct pack_reader *p, const uint8_t **from, int64_t now_ms,
                        struct seal_name name, struct record *r)
{
    const uint8_t *at = *from, *end = p->end;
    must(at != NULL);
    must(at <= end);
    if (end - at < 5)
        return false;
    *r = (struct record){.type = at[0], .kind = at[1], .flags = at[2], .schema = at[3]};
    uint8_t has = at[4];
    at += 5;
    uint64_t source = get_varint(&at, end);
    uint64_t text = get_varint(&at, end);
    r->at_ms = minus(now_ms, (int64_t)get_varint(&at, end));
    r->arrival_ms = minus(r->at_ms, unfold(get_varint(&at, end)));
    r->event_ms = minus(r->arrival_ms, unfold(get_varint(&at, end)));
    uint64_t skew = has & HAS_SKEW ? get_varint(&at, end) : 0;
    uint64_t unit = get_varint(&at, end);
    r->clear = get_body(&at, end);
    uint64_t personal = get_varint(&at, end);
    if (at == NULL || source > UINT32_MAX || text > UINT32_MAX || skew > UINT32_MAX ||
        personal > RECORD_BYTES_MAX)
        return false;
    r->source = (uint32_t)source;
    r->name = (uint32_t)text;
    r->sent_skew_ms = (int32_t)unfold(skew);
    r->personal = (struct body){NULL, (uint32_t)personal};

    struct open_unit *u;
    if (!take_unit(p, unit, r, &u) || (u == NULL && (has & (HAS_USER | HAS_ANONYMOUS)) != 0))
        return false;
    const uint8_t *h = p->hashes.at, *h_end = p->hashes.end;
    r->message_hash = has & HAS_MESSAGE ? get_u64(&h, h_end) : 0;
    r->routing_hash = has & HAS_ROUTING ? get_u64(&h, h_end) : 0;
    r->cause = has & HAS_CAUSE ? get_u64(&h, h_end) : 0;
    if (has & HAS_USER)
        r->user = u->owner;
    if (has & HAS_ANONYMOUS)
        r->anonymous = has & HAS_USER ? get_id(&h, h_end) : u->owner;
    if (has & HAS_PREVIOUS)
        r->previous = get_id(&h, h_end);
    if (h == NULL)
        return false;
    p->hashes.at = h;
    if (has & HAS_ROUTE)
        r->routing_hash = identifier_route(r->user, r->anonymous);
    *from = at;
    return u == NULL || take_part(u, r, name);
}

enum verdict pack_next(struct pack_reader *p, struct block *b, struct record **records,
                       uint32_t *record_room, bool *is_end, const char **why)
{
    const uint8_t *at = p->at;
    *is_end = p->blocks_left == 0;
    *why = "what it packs does not add up";
    if (*is_end)
        return at == p->end ? BYTES_GOOD : BYTES_BAD;
    p->blocks_left--;
    *b = (struct block){0};
    const uint8_t *kind = get_bytes(&at, p->end, 1);
    p->number += (uint64_t)unfold(get_varint(&at, p->end));
    p->now_ms = (int64_t)((uint64_t)p->now_ms + (uint64_t)unfold(get_varint(&at, p->end)));
    uint64_t count = get_varint(&at, p->end);
    if (at == NULL || (*kind != BLOCK_BATCH && *kind != BLOCK_RESULTS))
        return BYTES_BAD;
    b->kind = *kind;
    b->number = p->number;
    b->now_ms = p->now_ms;
    if (b->kind == BLOCK_RESULTS) {
        b->payload = get_bytes(&at, p->end, count);
        b->length = (uint32_t)count;
        p->at = at;
        if (at == NULL)
            return BYTES_BAD;
        b->hash = hash_bytes(b->payload, b->length, 0);
        return BYTES_GOOD;
    }
    if (count > BATCH_RECORDS_MAX || count > (size_t)(p->end - at))
        return BYTES_BAD;
    b->count = (uint32_t)count;
    if (b->count > *record_room) {
        *record_room = max_of(b->count, 256u);
        *records = mem_resize(*records, *record_room * sizeof(**records));
    }
    must(b->count <= *record_room);
    for (uint32_t i = 0; i < b->count; i++)
        if (!read_record(p, &at, b->now_ms, (struct seal_name){b->number, i}, &(*records)[i]))
            return BYTES_BAD;
    p->at = at;
    return BYTES_GOOD;
}
