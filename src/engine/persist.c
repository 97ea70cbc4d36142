/* persist.c - the state as bytes, in an order that does not depend on the layout.
 *
 * The same bytes serve twice: snapshots are made of them, and the state hash is a sum over them, one
 * term per profile (and per identifier, address, queued intent, remembered message id), so that equal
 * states have equal hashes whatever the memory looks like, and a person's term can leave the sum.
 *
 * A snapshot belongs to its log and has that log's numbers of names. The hash does not: in what is
 * hashed a name stands as a hash of its text, and where a list or the fields of a body are in the order of
 * names' numbers, their sum is taken.
 *
 * Every field of model/state.h is written by hand below, in the order of its struct; what is derived
 * (a profile's zone, timers, places in heaps) is not written but made anew. docs/formats/state.md.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "engine/persist.h"

#include "base/mem.h"
#include "model/instance.h"
#include "model/sent.h"
#include "profile/traits.h"

/* ---- one codec for both directions ------------------------------------------------------------- */

/* Which way it goes the compiler shall know where a whole person is coded: so their fields are put into one function for
 * each way, and what is seldom there (`aside`) is called with a codec of its own. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(__clang__)
#    define into_one /* checks of each access, in each copy, would take the compiler minutes */
#else
#    define into_one __attribute__((always_inline))
#endif
#define coding static inline into_one void
#define aside  static __attribute__((noinline)) void

/* Writes to `out`, or reads from `in` (then out is NULL). */
struct codec {
    struct buf *out;
    struct cursor *in;
    struct space *space;       /* of the objects that are written or made */
    const struct texts *texts; /* not NULL: what is written is to be hashed */
    int64_t near_ms;           /* times are not far from it: when the person was first seen */
    bool is_whole;             /* no field is left out, whatever it is */
};

void texts_learn(struct texts *t, const struct names *names)
{
    uint32_t count = names_count(names);
    if (t->count >= count)
        return;
    must(count >= NAME_FIXED_END);
    t->hashes = mem_resize(t->hashes, count * sizeof(t->hashes[0]));
    t->hashes[NAME_NONE] = 0;
    uint64_t free =
        hash_str(STR(""), 13); /* of the many numbers that nobody has before NAME_FIXED_END */
    for (uint32_t i = max_of(t->count, 1u); i < count; i++) {
        bool is_free = i >= NAME_FIXED_COUNT && i < NAME_FIXED_END;
        t->hashes[i] = is_free ? free : hash_str(names_text(names, i), 13);
    }
    t->count = count;
}

void texts_fini(struct texts *t)
{
    mem_free(t->hashes);
    *t = (struct texts){0};
}

uint64_t text_hash(const struct texts *t, uint32_t name)
{
    return name < t->count ? t->hashes[name] : hash_pair(name, 14);
}

coding code_u64(struct codec *c, uint64_t *x)
{
    if (c->out)
        buf_add_varint(c->out, *x);
    else
        *x = cursor_varint(c->in);
}

coding code_time(struct codec *c, int64_t *x)
{
    if (c->out)
        buf_add_zigzag(c->out, *x);
    else
        *x = cursor_zigzag(c->in);
}

coding code_u32(struct codec *c, uint32_t *x)
{
    uint64_t wide = *x;
    code_u64(c, &wide);
    *x = (uint32_t)wide;
}

coding code_u16(struct codec *c, uint16_t *x)
{
    uint64_t wide = *x;
    code_u64(c, &wide);
    *x = (uint16_t)wide;
}

coding code_u8(struct codec *c, uint8_t *x)
{
    if (c->out)
        buf_add_byte(c->out, *x);
    else
        *x = cursor_byte(c->in);
}

coding code_i32(struct codec *c, int32_t *x)
{
    int64_t wide = *x;
    code_time(c, &wide);
    *x = (int32_t)wide;
}

coding code_word(struct codec *c, uint64_t *x)
{
    if (c->out)
        buf_add_u64(c->out, *x);
    else
        *x = cursor_u64(c->in);
}

coding code_id(struct codec *c, struct id128 *x)
{
    code_word(c, &x->high);
    code_word(c, &x->low);
}

coding code_name(struct codec *c, uint32_t *x)
{
    if (c->texts)
        buf_add_u64(c->out, text_hash(c->texts, *x));
    else
        code_u32(c, x);
}

static uint64_t hash_body(const struct texts *texts, struct body body)
{
    uint64_t sum = body.bytes;
    struct body_field field;
    while (body_next(&body, &field))
        sum += hash_bytes(field.value, field.value_bytes,
                          hash_pair(text_hash(texts, field.name), field.type));
    return sum;
}

coding code_blob(struct codec *c, struct blob *b)
{
    if (c->out) {
        must(b->bytes <= SPACE_OBJECT_MAX);
        buf_add_varint(c->out, b->bytes);
        buf_add(c->out, blob_at(c->space, *b), b->bytes);
        return;
    }
    struct str bytes = cursor_take(c->in, cursor_varint(c->in));
    *b = (struct blob){0};
    if (bytes.len <= SPACE_OBJECT_MAX)
        blob_set(c->space, b, bytes.at, (uint32_t)bytes.len);
    else
        c->in->is_bad = true;
}

/* A blob that is a body (model/body.h). */
coding code_body(struct codec *c, struct blob *b)
{
    if (c->texts)
        buf_add_u64(c->out, hash_body(c->texts, (struct body){blob_at(c->space, *b), b->bytes}));
    else
        code_blob(c, b);
}

/* Fields, each with its moment, whichever that is told from (profile/traits.h). */
aside hash_traits(struct codec copy, const struct blob *b)
{
    const struct codec *c = &copy;
    struct traits_walk w = traits_walk_of(c->space, *b);
    struct body_field field;
    uint64_t sum = 0;
    int64_t at_ms;
    while (traits_walk_next(&w, &field, &at_ms))
        sum += hash_bytes(
            field.value, field.value_bytes,
            hash_pair(text_hash(c->texts, field.name), hash_pair(field.type, (uint64_t)at_ms)));
    buf_add_u64(c->out, sum);
}

coding code_traits(struct codec *c, struct blob *b)
{
    if (c->texts)
        hash_traits(*c, b);
    else
        code_blob(c, b);
}

/* Bodies, each behind its length. */
static void code_items_text(struct codec *c, struct blob *b)
{
    if (!c->texts) {
        code_blob(c, b);
        return;
    }
    struct cursor in = cursor_of(blob_at(c->space, *b), b->bytes);
    while (cursor_left(&in) > 0 && !in.is_bad) {
        struct str item = cursor_take(&in, cursor_varint(&in));
        buf_add_u64(c->out, hash_body(c->texts,
                                      (struct body){(const uint8_t *)item.at, (uint32_t)item.len}));
    }
}

/* ---- fields that are as usual ------------------------------------------------------------------ */

/* Of a person's lines most fields are what they are for nearly everybody. Before the fields of what there are many of
 * stands a bit for each, lowest first: is it there? One that is not is as usual, which costs neither bytes nor a
 * look at them. What is usual is part of the format; what is hashed has all fields, as they are.
 *
 * The same function of an element goes through its fields up to twice: to find out what is to be there, then to
 * write it, or to read it. */
enum pass {
    PASS_WHOLE, /* everything is there */
    PASS_ASK,   /* what is to be there? */
    PASS_SOME,  /* what the mask says */
};

/* Is the field of that bit to be coded? */
static inline into_one bool is_let_in(enum pass pass, uint64_t mask, uint32_t bit)
{
    must(bit < 64);
    return pass == PASS_WHOLE || (pass == PASS_SOME && (mask >> bit & 1) != 0);
}

/* Codes the field, if it is to be; answers its bit if it is to be there. All by value, so that nothing is left of it
 * where the pass is known. What is read into is all zeros. */
#define sifting static inline into_one uint64_t

#define FIELD(name, type, code_one)                                                     \
    sifting name(struct codec *c, enum pass pass, uint64_t mask, uint32_t bit, type *x, \
                 type usual)                                                            \
    {                                                                                   \
        if (is_let_in(pass, mask, bit))                                                 \
            code_one(c, x);                                                             \
        else if (pass == PASS_SOME && c->in != NULL && usual != 0)                      \
            *x = usual;                                                                 \
        return (uint64_t)(*x != usual) << bit;                                          \
    }

FIELD(field_u8, uint8_t, code_u8)
FIELD(field_u16, uint16_t, code_u16)
FIELD(field_u32, uint32_t, code_u32)
FIELD(field_u64, uint64_t, code_u64)
FIELD(field_name, uint32_t, code_name)
FIELD(field_word, uint64_t, code_word)

sifting field_id(struct codec *c, enum pass pass, uint64_t mask, uint32_t bit, struct id128 *x)
{
    if (is_let_in(pass, mask, bit))
        code_id(c, x);
    return (uint64_t)id128_is_set(*x) << bit;
}

/* A time, as its distance from another one that is known by then. */
sifting field_time(struct codec *c, enum pass pass, uint64_t mask, uint32_t bit, int64_t *x,
                   int64_t usual, int64_t near)
{
    if (is_let_in(pass, mask, bit)) {
        uint64_t from = pass == PASS_WHOLE ? 0 : (uint64_t)near;
        int64_t apart = (int64_t)((uint64_t)*x - from);
        code_time(c, &apart);
        if (c->in != NULL)
            *x = (int64_t)(from + (uint64_t)apart);
    } else if (pass == PASS_SOME && c->in != NULL && usual != 0) {
        *x = usual;
    }
    return (uint64_t)(*x != usual) << bit;
}

/* In a function of an element's fields: the next one of that kind, or whatever is empty for most. */
#define FIELDS          \
    uint64_t asked = 0; \
    uint32_t bit = 0
#define SOME(kind, ...) asked |= field_##kind(c, pass, mask, bit++, __VA_ARGS__)
#define SOME_IF(is_there, code)                 \
    do {                                        \
        if (is_let_in(pass, mask, bit))         \
            code;                               \
        asked |= (uint64_t)(is_there) << bit++; \
    } while (0)
#define FIELDS_END                                              \
    if (pass == PASS_SOME && c->in != NULL && mask >> bit != 0) \
        c->in->is_bad = true;                                   \
    return asked

coding code_mask(struct codec *c, uint64_t *mask, uint32_t bytes)
{
    must(bytes > 0 && bytes < sizeof(*mask));
    if (c->out) {
        must(*mask >> (8 * bytes) == 0);
        buf_add(c->out, mask, bytes);
        return;
    }
    *mask = 0;
    if (likely(cursor_left(c->in) >= sizeof(*mask))) {
        memcpy(mask, c->in->at, sizeof(*mask));
        *mask &= UINT64_MAX >> (64 - 8 * bytes);
        c->in->at += bytes;
        return;
    }
    struct str rest = cursor_take(c->in, bytes);
    must(rest.len <= bytes);
    memcpy(mask, rest.at, rest.len);
}

/* An element from its fields, with a mask of so many bytes. */
#define CODE_SOME(name, type, fields, bytes)   \
    coding name(struct codec *c, type *x)      \
    {                                          \
        uint64_t mask = 0;                     \
        if (c->texts != NULL || c->is_whole) { \
            (void)fields(c, PASS_WHOLE, 0, x); \
            return;                            \
        }                                      \
        if (c->out)                            \
            mask = fields(c, PASS_ASK, 0, x);  \
        must(mask >> (8 * (bytes)-1) <= 1);    \
        code_mask(c, &mask, bytes);            \
        (void)fields(c, PASS_SOME, mask, x);   \
    }

/* Room for `count` entries, if the bytes can hold so many. They come by ascending places, for which a table has to be
 * large enough from the beginning: in a small one they would stand in one heap. */
static void reserve(struct index *x, uint64_t count, const struct cursor *in, uint32_t entry_bytes)
{
    if (x->count == 0)
        index_reserve(x, (uint32_t)min_of(count, cursor_left(in) / entry_bytes));
}

/* ---- the nouns --------------------------------------------------------------------------------- */

sifting consent_fields(struct codec *c, enum pass pass, uint64_t mask, struct consent *x)
{
    FIELDS;
    SOME(u8, &x->channel, 0);
    SOME(u8, &x->is_given, 1);
    SOME(u8, &x->bar, 0);
    SOME(name, &x->purpose, 0);
    SOME(name, &x->topic, 0);
    SOME(name, &x->source, 0);
    SOME(id, &x->address);
    SOME(time, &x->at_ms, c->near_ms, c->near_ms);
    FIELDS_END;
}

CODE_SOME(code_consent, struct consent, consent_fields, 1)

/* Relative to `near_ms`, but where all is whole. */
coding code_time_near(struct codec *c, int64_t *x)
{
    int64_t near = c->texts != NULL || c->is_whole ? 0 : c->near_ms;
    int64_t apart = (int64_t)((uint64_t)*x - (uint64_t)near);
    code_time(c, &apart);
    if (c->in != NULL)
        *x = (int64_t)((uint64_t)near + (uint64_t)apart);
}

coding code_number(struct codec *c, int64_t *x)
{
    code_time(c, x);
}

sifting instance_fields(struct codec *c, enum pass pass, uint64_t mask, struct instance *x)
{
    FIELDS;
    struct instance_more more = c->out ? *instance_more(c->space, x) : instance_no_more;
    SOME(word, &x->id, 0);
    SOME(name, &x->journey, 0);
    SOME(u32, &x->plan, 1);
    SOME(u16, &x->journey_index, 0);
    SOME(u16, &x->step, 0);
    SOME(u8, &x->state, INSTANCE_WAITING);
    SOME(u8, &x->flags, 0);
    SOME(u16, &x->visits, 0);
    SOME(time, &x->entered_ms, c->near_ms, c->near_ms);
    SOME(time, &x->step_ms, x->entered_ms, x->entered_ms);
    SOME(time, &x->due_ms, FOREVER_MS, x->step_ms);
    SOME(name, &x->last_message, 0);
    uint32_t first_more = bit;
    SOME(word, &more.key, 0);
    SOME(time, &more.wait_ms, 0, x->step_ms);
    SOME(time, &more.ask_ms, FOREVER_MS, x->step_ms);
    SOME(word, &more.decision, 0);
    SOME(word, &more.caller, 0);
    SOME(u64, &more.splits, 0);
    SOME_IF(more.entry.bytes > 0, code_body(c, &more.entry));
    if (c->in != NULL && mask >> first_more != 0)
        instance_set_more(c->space, x, &more);
    FIELDS_END;
}

CODE_SOME(code_instance, struct instance, instance_fields, 3)

static void code_past(struct codec *c, struct past *x)
{
    code_word(c, &x->id);
    code_name(c, &x->journey);
    code_u32(c, &x->plan);
    code_u16(c, &x->journey_index);
    code_u8(c, &x->end);
    code_u8(c, &x->flags);
    code_word(c, &x->key);
    code_time(c, &x->entered_ms);
    code_time(c, &x->ended_ms);
    code_time(c, &x->goal_until_ms);
    code_u64(c, &x->splits);
    code_body(c, &x->entry);
}

sifting sent_fields(struct codec *c, enum pass pass, uint64_t mask, struct sent *x)
{
    FIELDS;
    struct sent_more more = c->out ? *sent_more(c->space, x) : sent_no_more;
    int64_t accepted_ms = brief_ms(more.accepted), delivered_ms = brief_ms(more.delivered);
    SOME(word, &x->decision, 0);
    SOME(time, &x->at_ms, c->near_ms, c->near_ms);
    SOME(name, &x->message, 0);
    SOME(name, &x->category, 0);
    SOME(u8, &x->channel, 0);
    SOME(u8, &x->lane, 0);
    SOME(u8, &x->state, 0);
    SOME(u8, &x->flags, 0);
    uint32_t first_more = bit;
    SOME(word, &more.instance, 0);
    SOME(name, &more.content_key, 0);
    SOME(name, &more.group, 0);
    SOME(name, &more.journey, 0);
    SOME(id, &more.address);
    SOME(word, &more.together, 0);
    SOME(time, &accepted_ms, 0, x->at_ms);
    SOME(time, &delivered_ms, 0, x->at_ms);
    if (c->in != NULL && mask >> first_more != 0) {
        more.accepted = brief_of(accepted_ms);
        more.delivered = brief_of(delivered_ms);
        sent_set_more(c->space, x, &more);
    }
    FIELDS_END;
}

CODE_SOME(code_sent, struct sent, sent_fields, 2)

static void code_hold(struct codec *c, struct hold *x)
{
    code_name(c, &x->name);
    code_u8(c, &x->is_open);
    code_u8(c, &x->is_lifted);
    code_word(c, &x->key);
    code_time(c, &x->from_ms);
    code_time(c, &x->until_ms);
}

sifting membership_fields(struct codec *c, enum pass pass, uint64_t mask, struct membership *x)
{
    FIELDS;
    SOME(name, &x->segment, 0);
    SOME(u32, &x->flags, MEMBERSHIP_IS_IN);
    SOME(time, &x->since_ms, c->near_ms, c->near_ms);
    SOME(time, &x->ask_ms, FOREVER_MS, c->near_ms);
    FIELDS_END;
}

CODE_SOME(code_membership, struct membership, membership_fields, 1)

/* Makes room for a list that is read. */
static bool make_list(struct cursor *in, struct space *space, struct vec *v, uint32_t count,
                      uint32_t element_bytes)
{
    must(element_bytes > 0);
    if (count > cursor_left(in) || count > SPACE_OBJECT_MAX / element_bytes || count > UINT16_MAX) {
        in->is_bad = true;
        return false;
    }
    vec_make(space, v, count, element_bytes);
    return true;
}

/* A list: its count, then its elements. */
#define CODE_LIST(name, type, code_one)                                                            \
    coding name(struct codec *c, struct vec *v)                                                    \
    {                                                                                              \
        uint32_t count = v->count;                                                                 \
        code_u32(c, &count);                                                                       \
        if (count == 0 || (c->out == NULL && !make_list(c->in, c->space, v, count, sizeof(type)))) \
            return;                                                                                \
        type *at = space_touch(c->space, v->ref);                                                  \
        for (uint32_t i = 0; i < count; i++)                                                       \
            code_one(c, &at[i]);                                                                   \
    }

/* One that most people have nothing in. */
#define CODE_SELDOM(name, type, code_one)             \
    CODE_LIST(name##_inline, type, code_one)          \
    aside name##_aside(struct codec c, struct vec *v) \
    {                                                 \
        name##_inline(&c, v);                         \
    }                                                 \
    coding name(struct codec *c, struct vec *v)       \
    {                                                 \
        if (!code_none(c, v->count))                  \
            name##_aside(*c, v);                      \
    }

/* The count of an empty list; false where it is not empty, and nothing has happened. */
static inline into_one bool code_none(struct codec *c, uint32_t count)
{
    if (c->out) {
        if (count == 0)
            buf_add_varint(c->out, 0);
        return count == 0;
    }
    bool is_none = c->in->at != c->in->end && *c->in->at == 0;
    c->in->at += is_none;
    return is_none;
}

#define CODE_RARE(name, which, type, code_one)                                               \
    aside name##_aside(struct codec c, struct profile *p)                                    \
    {                                                                                        \
        uint32_t count = p->rare[which].count;                                               \
        code_u32(&c, &count);                                                                \
        for (uint32_t i = 0; i < count; i++) {                                               \
            if (c.in != NULL && (c.in->is_bad || count > SPACE_OBJECT_MAX / sizeof(type))) { \
                c.in->is_bad = true;                                                         \
                return;                                                                      \
            }                                                                                \
            type *at = c.out ? rare_touch(c.space, p, which, i, sizeof(type))                \
                             : rare_push(c.space, p, which, sizeof(type));                   \
            must(at != NULL);                                                                \
            code_one(&c, at);                                                                \
        }                                                                                    \
    }                                                                                        \
    coding name(struct codec *c, struct profile *p)                                          \
    {                                                                                        \
        if (!code_none(c, p->rare[which].count))                                             \
            name##_aside(*c, p);                                                             \
    }

CODE_LIST(code_times, int64_t, code_time_near)
CODE_LIST(code_numbers, int64_t, code_number)

CODE_LIST(code_bodies, struct blob, code_body)

/* A list that is in the order of names' numbers. */
#define CODE_SET(name, type, code_one)                                    \
    CODE_LIST(name##_in_order, type, code_one)                            \
    coding name(struct codec *c, struct vec *v)                           \
    {                                                                     \
        uint64_t sum = v->count;                                          \
        if (!c->texts) {                                                  \
            name##_in_order(c, v);                                        \
            return;                                                       \
        }                                                                 \
        for (uint32_t i = 0; i < v->count; i++) {                         \
            size_t from = c->out->len;                                    \
            code_one(c, vec_touch(c->space, v, i, sizeof(type)));         \
            sum += hash_bytes(c->out->at + from, c->out->len - from, 15); \
            c->out->len = from;                                           \
        }                                                                 \
        buf_add_u64(c->out, sum);                                         \
    }

coding code_tally(struct codec *c, struct history_tally *x)
{
    uint8_t has_too_large = x->has_too_large;
    code_word(c, &x->sum_low);
    code_time(c, &x->sum_high);
    code_time(c, &x->least);
    code_time(c, &x->most);
    code_u32(c, &x->count);
    code_u8(c, &has_too_large);
    x->has_too_large = has_too_large != 0;
}

sifting items_fields(struct codec *c, enum pass pass, uint64_t mask, struct history_items *x)
{
    FIELDS;
    SOME(time, &x->forgot_ms, INT64_MIN, c->near_ms);
    SOME_IF(x->times.count > 0, code_times(c, &x->times));
    SOME_IF(x->numbers.count > 0, code_numbers(c, &x->numbers));
    SOME_IF(x->bodies.count > 0, code_bodies(c, &x->bodies));
    bool is_whole = (x->numbers.count == 0 || x->numbers.count == x->times.count) &&
                    (x->bodies.count == 0 || x->bodies.count == x->times.count);
    if (c->in != NULL && !is_whole)
        c->in->is_bad = true;
    FIELDS_END;
}

CODE_SOME(code_items, struct history_items, items_fields, 1)

coding code_history(struct codec *c, struct history *x)
{
    code_name(c, &x->feature);
    code_u32(c, &x->total);
    code_time_near(c, &x->last_ms);
    code_u8(c, &x->kind);
    if (c->in != NULL && (x->kind < FEATURE_MARK || x->kind > FEATURE_VALUES)) {
        c->in->is_bad = true;
        x->kind = FEATURE_MARK;
    }
    if (x->kind == FEATURE_MARK)
        return;
    bool is_tally = x->kind == FEATURE_TALLY;
    if (c->in != NULL)
        x->more = space_alloc(c->space, is_tally ? sizeof(struct history_tally)
                                                 : sizeof(struct history_items));
    if (is_tally)
        code_tally(c, space_touch(c->space, x->more));
    else
        code_items(c, space_touch(c->space, x->more));
}

void persist_put_history(struct space *space, const struct history *h, struct buf *out)
{
    must(h->kind >= FEATURE_MARK);
    must(h->kind <= FEATURE_VALUES);
    struct codec c = {.out = out, .space = space, .is_whole = true};
    struct history copy = *h;
    code_history(&c, &copy);
}

CODE_LIST(code_consents, struct consent, code_consent)
CODE_SET(code_histories, struct history, code_history)
bool persist_take_histories(struct space *space, struct cursor *in, struct vec *out)
{
    struct codec c = {.in = in, .space = space, .is_whole = true};
    code_histories(&c, out);
    return !in->is_bad;
}

CODE_LIST(code_instances, struct instance, code_instance)
CODE_RARE(code_pasts, RARE_PASTS, struct past, code_past)
coding code_put_off(struct codec *c, struct put_off *x)
{
    code_time(c, &x->until_ms);
    code_u8(c, &x->channel);
    code_u8(c, &x->why);
    code_u32(c, &x->about);
    if (c->in != NULL && (x->channel == CHANNEL_NONE || x->channel >= CHANNEL_END ||
                          x->why < PUT_OFF_ADDRESS || x->why > PUT_OFF_DOUBT))
        c->in->is_bad = true;
}

CODE_SELDOM(code_put_offs, struct put_off, code_put_off)

static void code_intent(struct codec *c, struct intent *x)
{
    code_word(c, &x->decision);
    code_word(c, &x->instance);
    code_name(c, &x->message);
    code_name(c, &x->journey);
    code_u32(c, &x->plan);
    code_u16(c, &x->message_index);
    code_u16(c, &x->journey_index);
    code_u16(c, &x->step);
    code_u8(c, &x->state);
    code_u8(c, &x->lane);
    code_u8(c, &x->channel_count);
    for (uint32_t i = 0; i < PLAN_CHANNELS_MAX; i++)
        code_u8(c, &x->channels[i]);
    code_u8(c, &x->channel);
    code_u8(c, &x->is_ghost);
    code_u8(c, &x->goes_on);
    code_u8(c, &x->ending);
    code_u8(c, &x->rule);
    code_u8(c, &x->reason);
    code_u8(c, &x->has_slot);
    code_u8(c, &x->refused);
    code_u16(c, &x->attempt);
    code_i32(c, &x->journey_priority);
    code_i32(c, &x->priority);
    code_time(c, &x->created_ms);
    code_time(c, &x->settle_ms);
    code_time(c, &x->deadline_ms);
    code_time(c, &x->not_before_ms);
    code_time(c, &x->until_ms);
    code_time(c, &x->granted_ms);
    code_id(c, &x->address);
    code_body(c, &x->entry);
    code_word(c, &x->together);
    code_word(c, &x->follows);
    code_time(c, &x->reach_ms);
    code_time(c, &x->watch_ms);
    code_u8(c, &x->fallback);
    code_u8(c, &x->detours);
    code_u16(c, &x->tries);
    code_i32(c, &x->code);
    code_time(c, &x->again_ms);
    code_u8(c, &x->best_channel);
    code_time(c, &x->best_ms);
    code_u8(c, &x->instead);
    code_put_offs(c, &x->put_offs);
}

CODE_SELDOM(code_intents, struct intent, code_intent)
CODE_LIST(code_ledger, struct sent, code_sent)
CODE_RARE(code_holds, RARE_HOLDS, struct hold, code_hold)
CODE_SET(code_memberships, struct membership, code_membership)

static void code_appointment(struct codec *c, struct appointment *x)
{
    code_name(c, &x->journey);
    code_u16(c, &x->way);
    code_u8(c, &x->kind);
    code_u16(c, &x->count);
    code_time(c, &x->at_ms);
    code_time(c, &x->done_ms);
    code_word(c, &x->key);
    if (x->kind == APPOINTMENT_HELD)
        code_body(c, &x->items);
    else
        code_items_text(c, &x->items);
}

CODE_RARE(code_appointments, RARE_APPOINTMENTS, struct appointment, code_appointment)

static void code_choice(struct codec *c, struct choice *x)
{
    code_u8(c, &x->kind);
    code_u8(c, &x->channel);
    code_u8(c, &x->per);
    code_u8(c, &x->is_on);
    code_name(c, &x->topic);
    code_u16(c, &x->limit);
    code_u8(c, &x->is_servers);
    code_name(c, &x->source);
    code_time(c, &x->at_ms);
    code_time(c, &x->until_ms);
    if (x->kind == CHOICE_LIMIT)
        code_time(c, &x->since_ms);
    if (c->in != NULL && (x->kind < CHOICE_NO_CONTACT || x->kind > CHOICE_LIMIT))
        c->in->is_bad = true;
}

CODE_RARE(code_choices, RARE_CHOICES, struct choice, code_choice)

static void code_wish(struct codec *c, struct wish *x)
{
    code_name(c, &x->audience);
    code_u8(c, &x->until);
    code_u8(c, &x->is_in);
    code_u8(c, &x->is_ghost);
    code_u8(c, &x->rule);
    code_name(c, &x->journey);
    code_name(c, &x->stage);
    code_word(c, &x->instance);
    code_time(c, &x->at_ms);
    code_time(c, &x->ask_ms);
    if (c->in != NULL && (x->until < WISH_INSTANCE || x->until > WISH_EVER))
        c->in->is_bad = true;
}

CODE_RARE(code_wishes, RARE_WISHES, struct wish, code_wish)

static void code_listing(struct codec *c, struct listing *x)
{
    code_word(c, &x->decision);
    code_u64(c, &x->profile);
    code_name(c, &x->audience);
    code_name(c, &x->provider);
    code_u32(c, &x->plan);
    code_u16(c, &x->attempt);
    code_u8(c, &x->known);
    code_u8(c, &x->state);
    code_u8(c, &x->adds);
    code_u8(c, &x->failures);
    code_time(c, &x->since_ms);
    code_time(c, &x->again_ms);
    for (uint32_t i = 0; i < sizeof(x->member); i++)
        code_u8(c, &x->member[i]);
    if (c->in != NULL && (x->known > LISTING_DOUBT || x->state > LISTING_RECALLED))
        c->in->is_bad = true;
}

CODE_RARE(code_listings, RARE_LISTINGS, struct listing, code_listing)
CODE_SELDOM(code_habits, uint32_t, code_u32)

static void code_errand(struct codec *c, struct errand *x)
{
    code_word(c, &x->decision);
    code_u64(c, &x->key_profile);
    code_u64(c, &x->profile);
    code_word(c, &x->instance);
    code_name(c, &x->journey);
    code_name(c, &x->name);
    code_u32(c, &x->plan);
    code_u16(c, &x->errand);
    code_u16(c, &x->step);
    code_name(c, &x->provider);
    code_u16(c, &x->attempt);
    code_u8(c, &x->kind);
    code_u8(c, &x->state);
    code_u8(c, &x->ending);
    code_u8(c, &x->is_ghost);
    code_u8(c, &x->rule);
    code_u8(c, &x->is_heard);
    code_u8(c, &x->withdraws);
    code_time(c, &x->began_ms);
    code_time(c, &x->deadline_ms);
    code_time(c, &x->ask_ms);
    code_body(c, &x->says);
    if (c->in != NULL && (x->kind < ERRAND_CALL || x->kind > ERRAND_TASK ||
                          x->state > ERRAND_OPEN || x->ending >= ERRAND_ENDINGS))
        c->in->is_bad = true;
}

CODE_RARE(code_errands, RARE_ERRANDS, struct errand, code_errand)

sifting profile_fields(struct codec *c, enum pass pass, uint64_t mask, struct profile *x)
{
    FIELDS;
    const uint8_t apart = PROFILE_IS_MERGED | PROFILE_IS_ERASED; /* `forward` says so */
    uint64_t forward = c->out ? profile_forward(x) : 0;
    uint8_t known = x->known & (uint8_t)~apart;
    uint16_t identifier_count = forward ? 0 : x->identifier_count;
    struct standing standing = c->out ? profile_standing(c->space, x) : (struct standing){0};
    SOME(time, &x->first_seen_ms, 0, 0);
    c->near_ms = x->first_seen_ms;
    SOME(time, &x->last_seen_ms, x->first_seen_ms, x->first_seen_ms);
    SOME(u64, &forward, 0);
    SOME(id, &x->user);
    SOME(u8, &known, PROFILE_KNOWS_USER);
    SOME(u32, &x->instance_count, 0);
    SOME(u16, &identifier_count, 1);
    if (c->in != NULL) {
        x->known = known;
        x->identifier_count = (uint8_t)identifier_count;
        if (known & apart || identifier_count > PROFILE_IDENTIFIERS_MAX) {
            c->in->is_bad = true;
            x->known = 0;
        }
    }
    SOME_IF(x->traits.bytes > 0, code_traits(c, &x->traits));
    SOME_IF(x->consents.count > 0, code_consents(c, &x->consents));
    SOME_IF(x->histories.count > 0, code_histories(c, &x->histories));
    SOME_IF(x->instances.count > 0, code_instances(c, &x->instances));
    SOME_IF(x->pasts.count > 0, code_pasts(c, x));
    SOME_IF(x->intents.count > 0, code_intents(c, &x->intents));
    SOME_IF(x->ledger.count > 0, code_ledger(c, &x->ledger));
    SOME_IF(x->holds.count > 0, code_holds(c, x));
    SOME_IF(x->memberships.count > 0, code_memberships(c, &x->memberships));
    SOME(time, &x->audience_ms, FOREVER_MS, x->first_seen_ms);
    SOME(u32, &x->audience_plan, 1);
    SOME_IF(x->appointments.count > 0, code_appointments(c, x));
    uint32_t first_standing = bit;
    SOME(name, &standing.stage, 0);
    SOME(name, &standing.set, 0);
    SOME(time, &standing.since_ms, 0, x->first_seen_ms);
    if (c->in != NULL && (mask >> first_standing & 7) != 0)
        profile_set_standing(c->space, x, standing);
    SOME(u32, &x->appointed_plan, 1);
    SOME_IF(x->choices.count > 0, code_choices(c, x));
    SOME_IF(x->wishes.count > 0, code_wishes(c, x));
    SOME_IF(x->listings.count > 0, code_listings(c, x));
    SOME_IF(x->habits.count > 0, code_habits(c, &x->habits));
    SOME_IF(x->errands.count > 0, code_errands(c, x));
    if (c->in != NULL && forward != 0) {
        if (x->rares == 0 && (forward == PROFILE_ERASED || forward >> 40 == 0))
            profile_set_forward(x, forward);
        else
            c->in->is_bad = true;
    }
    FIELDS_END;
}

CODE_SOME(code_any_profile, struct profile, profile_fields, 4)

coding code_profile(struct codec *c, struct profile *x)
{
    must((c->out == NULL) != (c->in == NULL));
    must(c->texts == NULL || c->out != NULL);
    code_any_profile(c, x);
}

aside put_profile(struct buf *out, struct space *space, struct profile *x)
{
    must(out != NULL);
    struct codec c = {.out = out, .space = space};
    code_profile(&c, x);
}

aside hash_profile(struct buf *out, struct space *space, const struct texts *texts,
                   struct profile *x)
{
    must(out != NULL);
    must(texts != NULL);
    struct codec c = {.out = out, .space = space, .texts = texts};
    code_profile(&c, x);
}

aside take_profile(struct cursor *in, struct space *space, struct profile *x)
{
    must(in != NULL);
    struct codec c = {.in = in, .space = space};
    code_profile(&c, x);
}

static void code_str(struct codec *c, struct str *x)
{
    if (c->texts) {
        buf_add_u64(c->out,
                    hash_body(c->texts, (struct body){(const uint8_t *)x->at, (uint32_t)x->len}));
    } else if (c->out) {
        buf_add_varint(c->out, x->len);
        buf_add_str(c->out, *x);
    } else {
        *x = cursor_take(c->in, cursor_varint(c->in));
    }
}

static void code_sweep(struct codec *c, struct sweep *x)
{
    must((c->out == NULL) != (c->in == NULL));
    must(c->texts == NULL || c->out != NULL);
    code_u64(c, &x->id);
    code_name(c, &x->journey);
    code_u16(c, &x->way);
    code_u8(c, &x->kind);
    code_u8(c, &x->flags);
    code_u32(c, &x->partition);
    code_u32(c, &x->local);
    code_u64(c, &x->entered);
    code_time(c, &x->began_ms);
    code_name(c, &x->name);
    code_name(c, &x->source);
    code_time(c, &x->event_ms);
    code_time(c, &x->arrival_ms);
    code_str(c, &x->clear);
    code_str(c, &x->personal);
    uint8_t has_people = x->has_people;
    code_u8(c, &has_people);
    x->has_people = has_people != 0;
    uint32_t count = x->people_count;
    code_u32(c, &count);
    if (c->in != NULL && count > cursor_left(c->in))
        c->in->is_bad = true;
    if (c->in != NULL && !c->in->is_bad && count)
        x->people = mem_new(count * sizeof(x->people[0]));
    for (x->people_count = 0; x->people_count < count && (c->out || x->people); x->people_count++)
        code_u64(c, &x->people[x->people_count]);
}

/* ---- what operators have said ------------------------------------------------------------------ */

static void code_kill(struct codec *c, struct kill *x)
{
    code_u32(c, &x->number);
    code_u8(c, &x->scope);
    code_u8(c, &x->channel);
    code_u8(c, &x->flags);
    code_name(c, &x->name);
    code_name(c, &x->by);
    code_name(c, &x->monitor);
    code_time(c, &x->since_ms);
}

static void code_journey_control(struct codec *c, struct journey_control *x)
{
    code_name(c, &x->journey);
    code_u8(c, &x->phase);
    code_u8(c, &x->said);
    code_u8(c, &x->flags);
    code_name(c, &x->by);
    code_time(c, &x->since_ms);
    code_u32(c, &x->pause_count);
    if (c->in != NULL && (x->pause_count > PAUSES_MAX || x->phase >= PHASE_END)) {
        c->in->is_bad = true;
        x->pause_count = 0;
    }
    for (uint32_t i = 0; i < x->pause_count; i++) {
        code_time(c, &x->pauses[i].from_ms);
        code_time(c, &x->pauses[i].until_ms);
    }
}

static void code_walk(struct codec *c, struct control_walk *x)
{
    uint8_t flags = (uint8_t)(x->is_phase | x->takes_existing << 1);
    code_kill(c, &x->what);
    code_u8(c, &flags);
    x->is_phase = flags & 1;
    x->takes_existing = flags >> 1 & 1;
    code_u32(c, &x->partition);
    code_u64(c, &x->let_go);
    code_time(c, &x->began_ms);
    code_u32(c, &x->pace_count);
    code_time(c, &x->pace_ms);
}

static void put_controls(const struct engine *e, const struct texts *texts, struct buf *out)
{
    struct codec c = {.out = out, .texts = texts};
    uint64_t sum = 0;
    buf_add_varint(out, e->controls.journey_count);
    for (uint32_t i = 0; i < e->controls.journey_count; i++) {
        size_t from = out->len;
        code_journey_control(&c, &e->controls.journeys[i]);
        if (texts == NULL)
            continue;
        sum += hash_bytes(out->at + from, out->len - from, 17); /* they are by ascending number */
        out->len = from;
    }
    if (texts != NULL)
        buf_add_u64(out, sum);
    buf_add_varint(out, e->controls.kills_ever);
    buf_add_varint(out, e->controls.kill_count);
    for (uint32_t i = 0; i < e->controls.kill_count; i++)
        code_kill(&c, &e->controls.kills[i]);
    buf_add_varint(out, e->walk_count);
    for (uint32_t i = 0; i < e->walk_count; i++)
        code_walk(&c, &e->walks[i]);
}

static enum status load_controls(struct engine *e, struct cursor *in)
{
    struct codec c = {.in = in};
    uint64_t count = cursor_varint(in);
    for (uint64_t i = 0; i < count && !in->is_bad; i++) {
        struct journey_control x = {0};
        code_journey_control(&c, &x);
        if (!in->is_bad)
            controls_restore(&e->controls, &x);
    }
    uint64_t ever = cursor_varint(in);
    count = cursor_varint(in);
    if (in->is_bad || count > KILLS_MAX + KILLS_BY_MONITORS_MAX || ever > UINT32_MAX)
        return FIX_INPUT;
    for (uint64_t i = 0; i < count && !in->is_bad; i++) {
        struct kill x = {0};
        code_kill(&c, &x);
        if (x.scope == 0 || x.scope >= KILL_SCOPE_END || x.channel >= CHANNEL_END)
            return FIX_INPUT;
        struct kill *k = controls_kill(&e->controls, &x);
        if (k == NULL)
            return FIX_INPUT;
        k->number = x.number;
    }
    e->controls.kills_ever = (uint32_t)ever;
    count = cursor_varint(in);
    for (uint64_t i = 0; i < count && !in->is_bad; i++) {
        struct control_walk x = {0};
        code_walk(&c, &x);
        if (x.partition > PARTITIONS)
            return FIX_INPUT;
        lifecycle_restore(e, &x);
    }
    return OK;
}

/* ---- monitors ---------------------------------------------------------------------------------- */

static void code_monitor(struct codec *c, struct monitor *x)
{
    uint8_t is_raised = x->is_raised;
    code_name(c, &x->name);
    code_word(c, &x->hash);
    code_time(c, &x->since_ms);
    code_time(c, &x->heard_ms);
    code_time(c, &x->newest);
    code_u8(c, &is_raised);
    x->is_raised = is_raised != 0;
    code_time(c, &x->changed_ms);
    code_time(c, &x->value);
    code_u64(c, &x->raised_times);
    code_u32(c, &x->cell_count);
}

static void put_monitors(const struct engine *e, const struct texts *texts, struct buf *out)
{
    struct codec c = {.out = out, .texts = texts};
    buf_add_varint(out, e->monitors.count);
    for (uint32_t i = 0; i < e->monitors.count; i++) {
        struct monitor x = e->monitors.at[i];
        code_monitor(&c, &x);
        for (uint32_t k = 0; k < x.cell_count; k++) {
            code_u64(&c, &x.cells[k].count);
            code_u64(&c, &x.cells[k].of);
        }
    }
}

/* Those of the newest programme, which "meta" has named, are there and empty before. */
static enum status load_monitors(struct engine *e, struct cursor *in)
{
    struct codec c = {.in = in};
    const struct plan *plan = e->plans.newest ? e->plans.at[e->plans.newest] : NULL;
    uint64_t count = cursor_varint(in);
    monitors_set(&e->monitors, plan, e->now_ms);
    if (count != e->monitors.count)
        return FIX_INPUT;
    for (uint64_t i = 0; i < count && !in->is_bad; i++) {
        struct monitor *m = &e->monitors.at[i];
        struct monitor x = {0};
        code_monitor(&c, &x);
        if (in->is_bad || x.name != m->name || x.hash != m->hash || x.cell_count != m->cell_count)
            return FIX_INPUT;
        x.cells = m->cells;
        *m = x;
        for (uint32_t k = 0; k < x.cell_count; k++) {
            code_u64(&c, &m->cells[k].count);
            code_u64(&c, &m->cells[k].of);
        }
    }
    e->monitor_is_due = !in->is_bad && monitors_are_due(e);
    return OK;
}

/* ---- what came of it ---------------------------------------------------------------------------- */

static void code_funnel_row(struct codec *c, struct funnel_row *x)
{
    code_u8(c, &x->what);
    code_u8(c, &x->how);
    code_u8(c, &x->channel);
    code_u16(c, &x->step);
    code_name(c, &x->journey);
    code_name(c, &x->name);
    code_u32(c, &x->version);
    code_u64(c, &x->count);
    code_time(c, &x->sum);
}

static void put_funnel(const struct engine *e, const struct texts *texts, struct buf *out)
{
    struct codec c = {.out = out, .texts = texts};
    buf_add_varint(out, e->funnel.count);
    for (uint32_t i = 0; i < e->funnel.count; i++)
        code_funnel_row(&c, &e->funnel.rows[i]);
    buf_add_varint(out, e->funnel.times_count);
    for (uint32_t i = 0; i < e->funnel.times_count; i++) {
        struct funnel_times *x = &e->funnel.times[i];
        uint32_t used = 0;
        for (uint32_t k = 0; k < FUNNEL_CELLS; k++)
            used += x->cells[k] != 0;
        must(x->row < e->funnel.count);
        buf_add_varint(out, x->row);
        buf_add_varint(out, used);
        for (uint32_t k = 0; k < FUNNEL_CELLS; k++) {
            if (x->cells[k] == 0)
                continue;
            buf_add_varint(out, k);
            buf_add_varint(out, x->cells[k]);
        }
    }
}

static enum status load_funnel(struct engine *e, struct cursor *in)
{
    struct codec c = {.in = in};
    uint64_t count = cursor_varint(in);
    for (uint64_t i = 0; i < count && !in->is_bad; i++) {
        struct funnel_row x = {0};
        code_funnel_row(&c, &x);
        if (!in->is_bad && funnel_restore(&e->funnel, &x) != i)
            return FIX_INPUT;
    }
    count = cursor_varint(in);
    for (uint64_t i = 0; i < count && !in->is_bad; i++) {
        uint64_t row = cursor_varint(in), used = cursor_varint(in);
        if (in->is_bad || row >= e->funnel.count)
            return FIX_INPUT;
        struct funnel_times *x = funnel_restore_times(&e->funnel, (uint32_t)row);
        for (uint64_t k = 0; k < used && !in->is_bad; k++) {
            uint64_t cell = cursor_varint(in), so_many = cursor_varint(in);
            if (cell >= FUNNEL_CELLS)
                return FIX_INPUT;
            x->cells[cell] = so_many;
        }
    }
    return OK;
}

/* ---- indices of selectors ---------------------------------------------------------------------- */

void persist_selector(const struct selector *s, struct buf *b)
{
    buf_add_zigzag(b, s->since_ms);
    buf_add_zigzag(b, s->reach_ms);
    buf_add_varint(b, s->count);
    buf_add_varint(b, s->pruned_count);
}

void persist_value(const struct selector *s, const struct index_entry *value, struct buf *b)
{
    struct vec people;
    memcpy(&people, &value->first, sizeof(people));
    buf_add_u64(b, value->key.high);
    buf_add_varint(b, value->second);
    buf_add_varint(b, people.count);
    for (uint32_t i = 0; i < people.count; i++) {
        uint32_t local, minute;
        selectors_posting(s, &people, i, &local, &minute);
        buf_add_varint(b, local);
        buf_add_varint(b, minute);
    }
}

static enum status load_selectors(struct engine *e, struct cursor *in)
{
    uint64_t count = cursor_varint(in);
    for (uint64_t i = 0; i < count && !in->is_bad; i++) {
        uint32_t event = (uint32_t)cursor_varint(in);
        uint32_t property = (uint32_t)cursor_varint(in);
        struct selector *s = selectors_add(e, event, property);
        s->since_ms = cursor_zigzag(in);
        s->reach_ms = cursor_zigzag(in);
        uint64_t people = cursor_varint(in);
        s->pruned_count = (uint32_t)cursor_varint(in);
        for (uint32_t p = 0; p < PARTITIONS && !in->is_bad; p++) {
            uint64_t values = cursor_varint(in);
            reserve(&s->values[p], values, in, 10);
            for (uint64_t k = 0; k < values && !in->is_bad; k++) {
                uint64_t value = cursor_u64(in);
                uint64_t overflow = cursor_varint(in);
                uint64_t of_value = cursor_varint(in);
                for (uint64_t n = 0; n < of_value && !in->is_bad; n++) {
                    uint32_t local = (uint32_t)cursor_varint(in);
                    selectors_restore(e, s, p, value, local, (uint32_t)cursor_varint(in));
                }
                if (!in->is_bad)
                    selectors_overflow(s, p, value, overflow);
            }
        }
        if (in->is_bad || s->count != people)
            return FIX_INPUT;
    }
    selectors_activate(e, true);
    return OK;
}

static void code_message(struct codec *c, struct stage_message *x)
{
    code_u8(c, &x->kind);
    code_u8(c, &x->how);
    code_u8(c, &x->channel);
    code_u8(c, &x->lane);
    code_u16(c, &x->attempt);
    code_u16(c, &x->group_rank);
    code_name(c, &x->provider);
    code_u32(c, &x->plan);
    code_u16(c, &x->message_index);
    code_u16(c, &x->provider_index);
    code_name(c, &x->message);
    code_name(c, &x->journey);
    code_i32(c, &x->journey_priority);
    code_i32(c, &x->priority);
    code_u64(c, &x->profile);
    code_word(c, &x->decision);
    code_time(c, &x->created_ms);
    code_time(c, &x->deadline_ms);
    code_time(c, &x->until_ms);
    code_time(c, &x->at_ms);
    code_word(c, &x->content);
    code_id(c, &x->address);
    code_name(c, &x->voucher);
    code_u8(c, &x->empty);
    code_u8(c, &x->about);
}

static void code_address_attempt(struct codec *c, struct address_attempt *x)
{
    code_time(c, &x->at_ms);
    code_word(c, &x->content);
    code_u64(c, &x->profile);
}

CODE_LIST(code_address_attempts, struct address_attempt, code_address_attempt)

static void code_address(struct codec *c, struct address *a)
{
    code_u8(c, &a->is_bad);
    code_u8(c, &a->is_unsubscribed);
    code_u8(c, &a->is_stopped);
    code_time(c, &a->no_ms);
    code_address_attempts(c, &a->attempts);
    code_times(c, &a->opt_ins);
}

/* An address, and who holds it: those that are listed, by number, and how many others. */
struct held_address {
    struct id128 address;
    uint64_t holders[ADDRESS_HOLDERS_MAX];
    uint32_t count;
    uint32_t others;
};

static void code_held_address(struct codec *c, struct held_address *x)
{
    code_id(c, &x->address);
    code_u32(c, &x->count);
    code_u32(c, &x->others);
    if (x->count > ADDRESS_HOLDERS_MAX) {
        c->in->is_bad = true;
        return;
    }
    for (uint32_t i = 0; i < x->count; i++)
        code_u64(c, &x->holders[i]);
}

/* ---- one by one -------------------------------------------------------------------------------- */

void persist_profile(const struct engine *e, uint32_t partition, uint32_t local,
                     const struct texts *texts, struct buf *out)
{
    must(partition < PARTITIONS);
    const struct partition *p = &e->partitions[partition];
    struct space *space = (struct space *)(uintptr_t)&p->space; /* only read: c.out is set */
    must(local < p->count);
    struct profile copy = *(const struct profile *)space_at(&p->space, p->profiles[local]);
    if (texts == NULL)
        put_profile(out, space, &copy);
    else
        hash_profile(out, space, texts, &copy);
}

void persist_message(const struct stage_message *m, const struct texts *texts, struct buf *out)
{
    struct codec c = {.out = out, .texts = texts};
    struct stage_message copy = *m;
    code_message(&c, &copy);
}

void persist_pool_entry(const struct pool *pool, const struct pool_entry *entry,
                        const struct texts *texts, struct buf *out)
{
    struct codec c = {.out = out, .space = (struct space *)(uintptr_t)&pool->space, .texts = texts};
    struct pool_entry copy = *entry;
    code_message(&c, &copy.message);
    code_blob(&c, &copy.fields);
}

void persist_held_address(const struct engine *e, struct id128 address, struct buf *out)
{
    struct codec c = {.out = out};
    struct held_address x = {.address = address};
    x.count = addresses_list(&e->addresses, address, x.holders, &x.others);
    must(x.count <= ADDRESS_HOLDERS_MAX);
    code_held_address(&c, &x);
}

void persist_gate(const struct engine *e, struct id128 address, struct buf *out)
{
    struct space *space = gate_space((struct gate *)(uintptr_t)&e->gate, address);
    must(id128_is_set(address));
    struct codec c = {.out = out, .space = space};
    struct address a = gate_look(&e->gate, address);
    code_id(&c, &address);
    code_address(&c, &a);
}

/* ---- what is nobody's own ---------------------------------------------------------------------- */

bool persist_remembers(uint64_t slot, int64_t now_ms)
{
    uint16_t age = (uint16_t)((uint16_t)(now_ms / MINUTE_MS) - (uint16_t)slot);
    return slot != 0 && age <= SEEN_WINDOW_MS / MINUTE_MS;
}

/* An attempt that another release granted. */
static void put_kept(const struct keep *k, const struct texts *texts, struct buf *b)
{
    struct codec c = {.out = b, .texts = texts};
    struct keep copy = *k;
    code_word(&c, &copy.decision);
    code_u64(&c, &copy.profile);
    code_u32(&c, &copy.attempt);
    code_u8(&c, &copy.channel);
    code_name(&c, &copy.journey);
    code_name(&c, &copy.message);
    code_time(&c, &copy.granted_ms);
    buf_add_byte(b, copy.is_listing ? 2 : copy.is_errand);
}

static enum status load_kept(struct engine *e, struct cursor *in)
{
    struct codec c = {.in = in};
    uint64_t count = cursor_varint(in);
    for (uint64_t i = 0; i < count && !in->is_bad; i++) {
        struct keep k = {.kind = RELEASE_KEPT};
        code_word(&c, &k.decision);
        code_u64(&c, &k.profile);
        code_u32(&c, &k.attempt);
        code_u8(&c, &k.channel);
        code_name(&c, &k.journey);
        code_name(&c, &k.message);
        code_time(&c, &k.granted_ms);
        uint8_t about = cursor_byte(in);
        if (about > 2)
            in->is_bad = true;
        k.is_errand = about == 1;
        k.is_listing = about == 2;
        if (!in->is_bad)
            engine_keep_grant(e, &k);
    }
    return in->is_bad ? FIX_INPUT : OK;
}

/* ---- budgets ----------------------------------------------------------------------------------- */

static uint64_t hash_budgets(const struct budgets *all, const struct texts *texts)
{
    uint64_t sum = 0;
    struct index_entry charge;
    for (uint32_t i = 0; i < all->count; i++) {
        const struct budget_account *a = &all->at[i];
        sum += hash_pair(hash_pair(hash_pair(text_hash(texts, a->name), (uint64_t)a->from_ms),
                                   hash_pair((uint64_t)a->used, a->messages)),
                         17);
    }
    for (uint32_t place = 0; budgets_next(all, &place, &charge);)
        sum += hash_pair(
            hash_pair(hash_pair(text_hash(texts, (uint32_t)charge.key.high), charge.key.low),
                      hash_pair(charge.first, charge.second)),
            18);
    return sum;
}

static void put_budgets(const struct budgets *all, struct buf *b)
{
    struct index_entry charge;
    buf_add_varint(b, all->count);
    for (uint32_t i = 0; i < all->count; i++) {
        buf_add_varint(b, all->at[i].name);
        buf_add_zigzag(b, all->at[i].from_ms);
        buf_add_zigzag(b, all->at[i].used);
        buf_add_varint(b, all->at[i].messages);
    }
    buf_add_varint(b, all->charges.count);
    for (uint32_t place = 0; budgets_next(all, &place, &charge);) {
        buf_add_varint(b, charge.key.high);
        buf_add_u64(b, charge.key.low);
        buf_add_varint(b, charge.first);
        buf_add_zigzag(b, (int64_t)charge.second);
    }
}

static void load_budgets(struct budgets *all, struct cursor *in)
{
    uint64_t accounts = cursor_varint(in);
    for (uint64_t i = 0; i < accounts && !in->is_bad; i++) {
        struct budget_account *a = budgets_account(all, (uint32_t)cursor_varint(in));
        a->from_ms = cursor_zigzag(in);
        a->used = cursor_zigzag(in);
        a->messages = cursor_varint(in);
    }
    uint64_t charges = cursor_varint(in);
    reserve(&all->charges, charges, in, 11);
    for (uint64_t i = 0; i < charges && !in->is_bad; i++) {
        struct index_entry charge = {.key.high = cursor_varint(in)};
        charge.key.low = cursor_u64(in);
        charge.first = cursor_varint(in);
        charge.second = (uint64_t)cursor_zigzag(in);
        if (!in->is_bad && id128_is_set(charge.key))
            budgets_restore(all, &charge);
    }
}

/* ---- codes that were loaded ------------------------------------------------------------------------ */

static void put_stocks(const struct vouchers *v, struct buf *b)
{
    buf_add_varint(b, v->stock_count);
    for (uint32_t i = 0; i < v->stock_count; i++) {
        const struct voucher_stock *stock = &v->stocks[i];
        buf_add_varint(b, stock->pool);
        buf_add_varint(b, stock->count);
        for (uint32_t k = 0; k < stock->count; k++) {
            buf_add_varint(b, stock->codes[k].len);
            buf_add_str(b, stock->codes[k]);
        }
    }
}

static void load_stocks(struct vouchers *v, struct cursor *in)
{
    uint64_t stocks = cursor_varint(in);
    for (uint64_t i = 0; i < stocks && !in->is_bad; i++) {
        uint32_t pool = (uint32_t)cursor_varint(in);
        uint64_t count = cursor_varint(in);
        if (pool == NAME_NONE)
            in->is_bad = true;
        for (uint64_t k = 0; k < count && !in->is_bad; k++) {
            struct str code = cursor_take(in, cursor_varint(in));
            if (!in->is_bad)
                voucher_stock_add(v, pool, code);
        }
    }
}

/* ---- hours -------------------------------------------------------------------------------------- */

static void put_hours(const struct hours *all, struct buf *b)
{
    buf_add_zigzag(b, all->week);
    for (uint32_t c = 0; c < CHANNEL_END; c++)
        for (uint32_t h = 0; h < HOURS_OF_WEEK; h++)
            if (all->at[c][h] != 0) {
                buf_add_byte(b, (uint8_t)c);
                buf_add_byte(b, (uint8_t)h);
                buf_add_varint(b, all->at[c][h]);
            }
}

static enum status load_hours(struct hours *all, struct cursor *in)
{
    all->week = cursor_zigzag(in);
    while (cursor_left(in) > 0 && !in->is_bad) {
        uint8_t channel = cursor_byte(in), hour = cursor_byte(in);
        uint64_t weight = cursor_varint(in);
        if (channel >= CHANNEL_END || hour >= HOURS_OF_WEEK)
            return FIX_INPUT;
        all->at[channel][hour] = weight;
    }
    return OK;
}

uint64_t persist_hash_shared(const struct engine *e, const struct texts *texts)
{
    uint64_t sum = hash_pair(e->batch, (uint64_t)e->now_ms);
    struct buf b;
    buf_init(&b);
    sum += e->plans.newest;
    must(e->plans.newest < e->plans.count);
    for (uint32_t i = 0; i < e->kept_grant_count; i++) {
        b.len = 0;
        put_kept(&e->kept_grants[i], texts, &b);
        sum += hash_bytes(b.at, b.len, 16);
    }
    sum += hash_pair(hash_pair(e->sweep, e->sweep_local), 5);
    sum += hash_pair(hash_pair(hash_pair(e->tidy, e->tidy_local), e->tidy_oldest),
                     hash_pair(e->plans_from, 7));
    if (e->change.plan) {
        const struct change *c = &e->change;
        sum += hash_str(str_of(c->plan->hash), c->batch);
        sum += hash_str(str_of(c->backfill), hash_pair(c->partition, c->offset));
        for (uint32_t i = 0; i < e->change.fresh_count; i++)
            sum += hash_pair(text_hash(texts, e->change.fresh[i]), 8);
    }
    must(e->names_told <= names_count(e->names));
    for (uint32_t i = 1; i < e->plans.count; i++)
        sum += hash_str(str_of(e->plans.at[i]->hash), i);
    sum += hash_pair(hash_pair((uint64_t)e->activated_ms, e->sweeps_begun), 9);
    for (uint32_t i = 0; i < e->sweep_count; i++) {
        struct codec c = {.out = &b, .texts = texts};
        struct sweep copy = e->sweeps[i];
        b.len = 0;
        code_sweep(&c, &copy);
        sum += hash_bytes(b.at, b.len, hash_pair(i, 10));
    }
    b.len = 0;
    put_controls(e, texts, &b);
    sum += hash_bytes(b.at, b.len, 11);
    b.len = 0;
    put_monitors(e, texts, &b);
    sum += hash_bytes(b.at, b.len, 18);
    b.len = 0;
    put_funnel(e, texts, &b);
    sum += hash_bytes(b.at, b.len, 12);
    for (uint32_t i = 0; i < e->vouchers.stock_count; i++)
        sum += hash_pair(text_hash(texts, e->vouchers.stocks[i].pool), e->vouchers.stocks[i].sum);
    sum += hash_budgets(&e->budgets, texts);
    b.len = 0;
    put_hours(&e->hours, &b);
    sum += hash_bytes(b.at, b.len, 19);
    buf_fini(&b);
    return sum;
}

static void put_plan(const struct engine *e, const struct plan *plan, struct buf *b)
{
    must(strlen(plan->hash) == 64);
    buf_add(b, plan->hash, 64);
    buf_add_u64(b, plan_layout(plan, e->names));
}

static void put_uniting(const struct change *c, struct buf *b)
{
    buf_add_byte(b, c->backfill[0] != 0);
    if (c->backfill[0] == 0)
        return;
    buf_add(b, c->backfill, 64);
    buf_add_varint(b, c->partition);
    buf_add_varint(b, c->local);
    buf_add_varint(b, c->offset);
}

void persist_meta(const struct engine *e, struct buf *b)
{
    must(e->names_told <= names_count(e->names));
    buf_add_varint(b, STATE_FORMAT);
    buf_add_varint(b, e->batch);
    buf_add_zigzag(b, e->now_ms);
    buf_add_varint(b, e->counts.merges);
    buf_add_varint(b, e->sweep);
    buf_add_varint(b, e->sweep_local);
    buf_add_varint(b, e->names_told);
    for (uint32_t i = NAME_FIXED_END; i < e->names_told; i++) {
        struct str text = names_text(e->names, i);
        buf_add_varint(b, text.len);
        buf_add_str(b, text);
    }
    buf_add_varint(b, e->plans.count);
    buf_add_varint(b, e->plans.newest);
    for (uint32_t i = 1; i < e->plans.count; i++)
        put_plan(e, e->plans.at[i], b);
    must(e->plans_from <= e->plans.newest);
    buf_add_varint(b, e->plans_from);
    buf_add_varint(b, e->tidy);
    buf_add_varint(b, e->tidy_local);
    buf_add_varint(b, e->tidy_oldest);
    buf_add_byte(b, e->change.plan != NULL);
    if (e->change.plan) {
        put_plan(e, e->change.plan, b);
        buf_add_varint(b, e->change.batch);
        buf_add_varint(b, e->change.fresh_count);
        for (uint32_t i = 0; i < e->change.fresh_count; i++)
            buf_add_varint(b, e->change.fresh[i]);
        put_uniting(&e->change, b);
    }
    buf_add_varint(b, e->kept_grant_count);
    for (uint32_t i = 0; i < e->kept_grant_count; i++)
        put_kept(&e->kept_grants[i], NULL, b);
}

void persist_sweeps(const struct engine *e, struct buf *b)
{
    struct codec c = {.out = b};
    buf_add_zigzag(b, e->activated_ms);
    buf_add_varint(b, e->sweeps_begun);
    buf_add_varint(b, e->sweep_count);
    for (uint32_t i = 0; i < e->sweep_count; i++) {
        struct sweep copy = e->sweeps[i];
        code_sweep(&c, &copy);
    }
}

void persist_controls(const struct engine *e, struct buf *b)
{
    put_controls(e, NULL, b);
}

void persist_monitors(const struct engine *e, struct buf *b)
{
    put_monitors(e, NULL, b);
}

void persist_hours(const struct engine *e, struct buf *b)
{
    put_hours(&e->hours, b);
}

void persist_budgets(const struct engine *e, struct buf *b)
{
    put_budgets(&e->budgets, b);
    put_stocks(&e->vouchers, b);
}

void persist_funnel(const struct engine *e, struct buf *b)
{
    put_funnel(e, NULL, b);
}

/* ---- loading ----------------------------------------------------------------------------------- */

static enum status load_plan(struct engine *e, struct cursor *in, const struct plan **out,
                             struct fault *f)
{
    struct str hash = cursor_take(in, 64);
    uint64_t layout = cursor_u64(in);
    if (in->is_bad)
        return FIX_INPUT;
    *out = NULL;
    for (uint32_t k = 0; k < e->prepared_count; k++)
        if (str_is(hash, e->prepared[k]->hash))
            *out = e->prepared[k];
    if (*out == NULL && e->plan_of != NULL)
        *out = e->plan_of(e->shelf, hash, e->names);
    if (*out != NULL && plan_layout(*out, e->names) != layout) {
        fault_set(
            f,
            "this release compiles programme %.8s otherwise than the one that wrote the snapshot: "
            "steps, segments or what is remembered have other places",
            hash.at);
        return FIX_INPUT;
    }
    if (*out != NULL)
        return OK;
    fault_set(f, "snapshot needs programme %.*s, which is not in the data directory",
              STR_ARG(hash));
    return FIX_INPUT;
}

static bool load_uniting(struct change *c, struct cursor *in)
{
    if (cursor_byte(in) == 0)
        return !in->is_bad;
    struct str hash = cursor_take(in, 64);
    uint64_t partition = cursor_varint(in), local = cursor_varint(in);
    c->offset = cursor_varint(in);
    if (in->is_bad || partition > PARTITIONS || local > UINT32_MAX)
        return false;
    c->partition = (uint32_t)partition;
    c->local = (uint32_t)local;
    return str_to_z(hash, c->backfill, sizeof(c->backfill)) && c->backfill[0] != 0;
}

static enum status load_change(struct engine *e, struct cursor *in, struct fault *f)
{
    uint64_t from = cursor_varint(in), tidy = cursor_varint(in), local = cursor_varint(in);
    uint64_t oldest = cursor_varint(in);
    if (in->is_bad || from > e->plans.newest || tidy > PARTITIONS || local > UINT32_MAX ||
        oldest > e->plans.newest)
        return FIX_INPUT;
    e->plans_from = (uint32_t)from;
    e->tidy = (uint32_t)tidy;
    e->tidy_local = (uint32_t)local;
    e->tidy_oldest = (uint32_t)oldest;
    if (cursor_byte(in)) {
        enum status status = load_plan(e, in, &e->change.plan, f);
        if (status != OK)
            return status;
        if (!engine_knows(e, str_of(e->change.plan->hash)))
            engine_prepare(e, e->change.plan);
        e->change.batch = cursor_varint(in);
        uint64_t count = cursor_varint(in);
        if (in->is_bad || count > NAMES_MAX)
            return FIX_INPUT;
        e->change.fresh = mem_new((count + 1) * sizeof(uint32_t));
        for (uint64_t i = 0; i < count; i++)
            e->change.fresh[e->change.fresh_count++] = (uint32_t)cursor_varint(in);
        if (!load_uniting(&e->change, in))
            return FIX_INPUT;
    }
    change_set_feeds(e);
    return OK;
}

static enum status load_meta(struct engine *e, struct cursor *in, struct fault *f)
{
    uint64_t version = cursor_varint(in);
    if (version != STATE_FORMAT) {
        fault_set(f, "snapshot has state version %lu; this release reads %u", version,
                  STATE_FORMAT);
        return FIX_INPUT;
    }
    e->batch = cursor_varint(in);
    e->now_ms = e->before_ms = cursor_zigzag(in);
    e->counts.merges = cursor_varint(in);
    uint64_t sweep = cursor_varint(in), told = cursor_varint(in);
    if (sweep > PARTITIONS || told > UINT32_MAX)
        return FIX_INPUT;
    e->sweep = (uint32_t)sweep;
    e->sweep_local = (uint32_t)told;
    uint64_t names = cursor_varint(in);
    for (uint64_t i = NAME_FIXED_END; i < names && !in->is_bad; i++)
        if (names_add(e->names, cursor_take(in, cursor_varint(in))) != i)
            return FIX_INPUT;
    if (names < NAME_FIXED_END || names > UINT32_MAX)
        return FIX_INPUT;
    e->names_told = (uint32_t)names;
    uint64_t plans = cursor_varint(in);
    uint64_t newest = cursor_varint(in);
    if (plans == 0 || plans > UINT16_MAX || newest >= plans)
        return FIX_INPUT;
    e->plans.at = mem_resize(e->plans.at, plans * sizeof(e->plans.at[0]));
    for (uint64_t i = 1; i < plans; i++) {
        const struct plan *plan;
        enum status status = load_plan(e, in, &plan, f);
        if (status != OK)
            return status;
        e->plans.at[i] = plan;
    }
    e->plans.count = (uint32_t)plans;
    e->plans.newest = (uint32_t)newest;
    enum status status = load_change(e, in, f);
    return status == OK ? load_kept(e, in) : status;
}

/* How often each of a few names was met: people of one partition are in the same journeys and segments. */
#define TALLIES 64

struct tallies {
    struct map_u64 *counts;
    struct {
        uint32_t name, count;
    } at[TALLIES];
};

static void tally_up(struct tallies *t, uint32_t i)
{
    if (t->at[i].count == 0)
        return;
    uint32_t count = map_u64_find(t->counts, t->at[i].name);
    map_u64_set(t->counts, t->at[i].name, (count == MAP_NONE ? 0 : count) + t->at[i].count);
    t->at[i].count = 0;
}

static void tally_up_all(struct tallies *t)
{
    for (uint32_t i = 0; i < TALLIES; i++)
        tally_up(t, i);
}

static void count_one(struct tallies *t, uint32_t name)
{
    uint32_t i = name % TALLIES;
    if (t->at[i].name != name)
        tally_up(t, i);
    t->at[i].name = name;
    t->at[i].count++;
}

/* What is not written but follows from who somebody is: the moment they wait for, and who is counted. */
static void count_in(struct engine *e, const struct person *who, struct tallies *live,
                     struct tallies *members)
{
    if (profile_forward(who->profile) == 0)
        engine_arm(e, who->id, engine_deadline(who));
    for (uint32_t i = 0; i < who->profile->instances.count; i++)
        if (person_instance(who, i)->state != INSTANCE_QUEUED)
            count_one(live, person_instance(who, i)->journey);
    for (uint32_t i = 0; i < who->profile->memberships.count; i++) {
        const struct membership *m = person_membership(who, i);
        struct str name = names_text(e->names, m->segment);
        if (m->flags & MEMBERSHIP_IS_IN && name.len > 0 && name.at[0] != '$')
            count_one(members, m->segment);
    }
}

#define PERSON_BYTES_LEAST 4 /* of a mask */

/* Each is counted while they are in the processor's cache. */
static void load_people(struct loading *l, uint32_t partition, struct cursor *in)
{
    struct engine *e = l->engine;
    struct partition *p = &e->partitions[partition];
    struct tallies live = {.counts = l->live}, members = {.counts = l->members};
    struct person who = {0};
    uint64_t count = cursor_varint(in);
    engine_expect_profiles(e, partition,
                           (uint32_t)min_of(count, cursor_left(in) / PERSON_BYTES_LEAST + 1));
    for (uint64_t local = 1; local < count && !in->is_bad; local++) {
        uint64_t number = engine_add_profile(e, partition);
        if (local == 1) { /* the others differ in who they are, and in nothing else */
            who = engine_person(e, number);
            who.at_ms = e->now_ms;
        }
        who.id = number;
        who.profile = engine_profile(e, number);
        take_profile(in, &p->space, who.profile);
        in->is_bad |= who.profile->audience_plan >= e->plans.count;
        if (!in->is_bad)
            count_in(e, &who, &live, &members);
    }
    tally_up_all(&live);
    tally_up_all(&members);
}

static enum status load_profiles(struct loading *l, uint32_t partition, struct cursor *in)
{
    struct partition *p = &l->engine->partitions[partition];
    struct codec c = {.in = in, .space = &p->space};
    load_people(l, partition, in);
    uint64_t messages = cursor_varint(in);
    for (uint64_t k = 0; k < messages && !in->is_bad; k++) {
        struct stage_message m = {0};
        code_message(&c, &m);
        messages_add(&p->inbox, m);
        (*l->inbox_count)++;
    }
    return OK;
}

static enum status load_sweeps(struct engine *e, struct cursor *in)
{
    struct codec c = {.in = in};
    e->activated_ms = cursor_zigzag(in);
    e->sweeps_begun = cursor_varint(in);
    uint64_t count = cursor_varint(in);
    for (uint64_t i = 0; i < count && !in->is_bad; i++) {
        struct sweep s = {0};
        code_sweep(&c, &s);
        bool is_bad =
            in->is_bad || s.partition >= PARTITIONS || (s.has_people && s.local > s.people_count);
        for (uint32_t k = 0; k < s.people_count && !is_bad; k++)
            is_bad = profile_local(s.people[k]) == 0;
        if (is_bad) {
            mem_free(s.people);
            return FIX_INPUT;
        }
        sweeps_restore(e, &s);
    }
    sweeps_renew(e, e->now_ms + 1); /* what was due up to the snapshot has come */
    return OK;
}

static enum status load_ids(struct engine *e, uint32_t partition, struct cursor *in)
{
    struct codec c = {.in = in};
    struct index *ids = &e->identity.ids[partition];
    struct index_filling filling = {0};
    uint64_t count = cursor_varint(in);
    if (count > 0 && ids->count > 0)
        return FIX_INPUT;
    reserve(ids, count, in, 25);
    for (uint64_t i = 0; i < count && !in->is_bad; i++) {
        struct index_entry x = {0};
        code_id(&c, &x.key);
        code_u64(&c, &x.first);
        code_word(&c, &x.second);
        if (!id128_is_set(x.key))
            return FIX_INPUT;
        struct index_entry *slot = index_fill(ids, &filling, x.key);
        slot->first = x.first;
        slot->second = x.second;
    }
    uint64_t messages = cursor_varint(in);
    if (e->identity.messages[partition].count == 0)
        seen_reserve(&e->identity.messages[partition],
                     (uint32_t)min_of(messages, cursor_left(in) / sizeof(uint64_t)));
    for (uint64_t i = 0; i < messages && !in->is_bad; i++) {
        uint64_t slot = cursor_u64(in);
        if (slot > 0xffff && persist_remembers(slot, e->now_ms))
            seen_restore(&e->identity.messages[partition], slot, e->now_ms);
    }
    return OK;
}

static enum status load_addresses(struct engine *e, uint32_t partition, struct cursor *in)
{
    struct codec c = {.in = in};
    uint64_t count = cursor_varint(in);
    reserve(&e->addresses.index[partition], count, in, 18);
    for (uint64_t i = 0; i < count && !in->is_bad; i++) {
        struct held_address x = {0};
        code_held_address(&c, &x);
        if (in->is_bad || (x.address.high & (PARTITIONS - 1)) != partition ||
            !addresses_restore(&e->addresses, x.address, x.holders, x.count, x.others))
            return FIX_INPUT;
    }
    return OK;
}

static enum status load_gate(struct engine *e, uint32_t partition, struct cursor *in)
{
    struct codec c = {.in = in};
    uint64_t count = cursor_varint(in);
    reserve(&e->gate.addresses[partition], count, in, 18);
    for (uint64_t i = 0; i < count && !in->is_bad; i++) {
        struct id128 key = {0};
        struct address a = {0};
        code_id(&c, &key);
        c.space = gate_space(&e->gate, key);
        code_address(&c, &a);
        if (!id128_is_set(key) || (key.high & (PARTITIONS - 1)) != partition ||
            a.attempts.count > PLAN_ADDRESS_LIMIT_MAX || a.opt_ins.count > OPT_IN_MONTH_MAX)
            return FIX_INPUT;
        gate_put(&e->gate, key, &a);
    }
    return OK;
}

static enum status load_pools(struct engine *e, struct cursor *in)
{
    uint64_t count = cursor_varint(in);
    for (uint64_t i = 0; i < count && !in->is_bad; i++) {
        struct pool *pool = pools_get(&e->pools, (uint32_t)cursor_varint(in));
        pool->in_flight = (uint32_t)cursor_varint(in);
        pool->busy_us = cursor_zigzag(in);
        uint64_t queued = cursor_varint(in);
        for (uint64_t k = 0; k < queued && !in->is_bad; k++) {
            struct codec c = {.in = in, .space = &pool->space};
            struct stage_message m = {0};
            code_message(&c, &m);
            m.fields = cursor_take(in, cursor_varint(in));
            if (!in->is_bad)
                pool_queue(pool, &m);
        }
    }
    uint64_t codes = cursor_varint(in);
    reserve(&e->vouchers.codes, codes, in, 17);
    for (uint64_t i = 0; i < codes && !in->is_bad; i++) {
        struct id128 code = {cursor_varint(in), 0};
        code.low = cursor_u64(in);
        uint64_t holder = cursor_u64(in);
        if (!in->is_bad && (code.high == 0 || code.high > UINT32_MAX))
            return FIX_INPUT;
        if (!in->is_bad)
            voucher_restore(&e->vouchers, code, holder);
    }
    load_budgets(&e->budgets, in);
    load_stocks(&e->vouchers, in);
    return OK;
}

bool persist_is_of_partition(struct str section)
{
    return str_is(section, "profiles") || str_is(section, "ids") || str_is(section, "addresses") ||
           str_is(section, "gate");
}

static enum status load_part(struct loading *l, struct str section, uint32_t partition,
                             struct cursor *in)
{
    if (str_is(section, "profiles"))
        return load_profiles(l, partition, in);
    if (str_is(section, "ids"))
        return load_ids(l->engine, partition, in);
    if (str_is(section, "addresses"))
        return load_addresses(l->engine, partition, in);
    return load_gate(l->engine, partition, in);
}

static enum status load_whole(struct engine *e, struct str section, struct cursor *in,
                              struct fault *f)
{
    if (str_is(section, "meta"))
        return load_meta(e, in, f);
    if (str_is(section, "sweeps"))
        return load_sweeps(e, in);
    if (str_is(section, "selectors"))
        return load_selectors(e, in);
    if (str_is(section, "controls"))
        return load_controls(e, in);
    if (str_is(section, "monitors"))
        return load_monitors(e, in);
    if (str_is(section, "funnel"))
        return load_funnel(e, in);
    if (str_is(section, "pools"))
        return load_pools(e, in);
    if (str_is(section, "hours"))
        return load_hours(&e->hours, in);
    return FIX_INPUT;
}

enum status persist_load(struct loading *l, struct str section, uint32_t partition,
                         struct str bytes, struct fault *f)
{
    struct cursor in = cursor_of(bytes.at, bytes.len);
    enum status status = FIX_INPUT;
    if (partition < PARTITIONS)
        status = persist_is_of_partition(section) ? load_part(l, section, partition, &in)
                                                  : load_whole(l->engine, section, &in, f);
    if (status == OK && (in.is_bad || cursor_left(&in) != 0))
        status = FIX_INPUT;
    if (status != OK)
        fault_set(f, "section \"%.*s\" of partition %u is damaged", STR_ARG(section), partition);
    return status;
}
