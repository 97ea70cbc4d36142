/* ingest_int.h - for src/ingest alone.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/arena.h"
#include "base/map.h"
#include "ingest/ingest.h"
#include "os/thread.h"
#include "json/json.h"

struct key_slot {
    struct id128 key; /* keyed hash of the write key; not set = free */
    struct ingest_source source;
};

struct ingest {
    struct vocabulary *vocabulary;
    uint8_t secret[IDENTIFIER_SECRET_BYTES];
    struct arena arena;
    struct map_str publics; /* property paths whose texts are public */
    struct os_mutex lock;   /* of the keys */
    struct key_slot *keys;  /* open addressing, linear; at most half full */
    uint32_t key_slot_count;
};

/* What tells a key at a glance: of up to sixteen bytes all, of longer ones the ends. */
struct quick_key {
    uint32_t bytes;
    uint64_t first; /* eight bytes of the key, or all that it has, the first one lowest */
    uint64_t last;  /* the last eight of a key that has so many */
};

/* A place in an event: below which part, at which path, and what number that path has. The cache of
 * places is a tree; each node also remembers which place came next last time, because the events of a
 * source look alike: the guess is right nearly always and saves hashing the key. */
struct place {
    uint32_t parent;
    uint32_t name;      /* NAME_NONE: not looked up yet, or not to be had */
    uint32_t guess;     /* the place that followed */
    bool is_public;     /* its texts are clear */
    bool is_closed;     /* never gets a name: reserved or too long */
    uint8_t head_bytes; /* of the name as a body has it; 0 = none yet, or a long one */
    uint32_t head;      /* those bytes, the first one lowest */
    uint32_t
        run_parent; /* `parent` if head_bytes is not 0, else UINT32_MAX: no place has that one */
    struct quick_key quick;
    struct str key;  /* own part of the path */
    struct str text; /* whole path */
};

/* The roots of the tree. */
enum place_root {
    PLACE_EVENTS,     /* event names */
    PLACE_PROPERTIES, /* properties and traits */
    PLACE_CONTEXT,    /* what stood under context */
    PLACE_ROOT_END,
};

#define PLACES_MAX 32768 /* then the cache begins anew */

#define EVENT_GUESSES 32 /* a power of two */
#define MINUTE_BYTES  17 /* of "2026-03-02T09:53:" */

/* That the last time lay in. */
struct minute {
    char text[MINUTE_BYTES];
    int64_t at_ms;
};

struct ingest_worker {
    struct ingest *in;
    struct json_parser *parser;
    struct arena arena; /* of places */
    struct place *places;
    uint32_t place_count;
    uint32_t place_room;
    uint32_t *slots; /* of places by (parent, key): index + 1 */
    uint32_t slot_count;
    uint32_t last_place;
    uint32_t events[EVENT_GUESSES]; /* places of events' names, by last letter and length */
    struct minute minute;
    uint32_t *stamps; /* by name: serial of the event that has it */
    uint32_t stamp_count;
    uint32_t serial;
    struct buf clear;   /* of the current event */
    struct buf list;    /* a list or map being encoded */
    struct buf rest;    /* fields without a name, of the current event */
    struct buf numbers; /* scratch for printing numbers */
    uint32_t rest_count;
};

#define PLACE_NONE UINT32_MAX

/* place_find() where the guess was wrong, and place_name() where the name was not asked for yet. */
uint32_t place_search(struct ingest_worker *w, uint32_t parent, struct str key);
uint32_t place_ask_name(struct ingest_worker *w, uint32_t place, uint32_t source);

/* Equal bytes, for the few that a key has: whole words, the last one overlapping. */
static inline bool key_equal(struct str a, struct str b)
{
    uint64_t x, y;
    uint32_t p, q;
    if (a.len != b.len)
        return false;
    if (a.len >= 8) {
        for (size_t i = 0; i + 8 < a.len; i += 8) {
            memcpy(&x, a.at + i, 8);
            memcpy(&y, b.at + i, 8);
            if (x != y)
                return false;
        }
        memcpy(&x, a.at + a.len - 8, 8);
        memcpy(&y, b.at + a.len - 8, 8);
        return x == y;
    }
    if (a.len >= 4) {
        uint32_t r, s;
        memcpy(&p, a.at, 4);
        memcpy(&q, b.at, 4);
        memcpy(&r, a.at + a.len - 4, 4);
        memcpy(&s, b.at + a.len - 4, 4);
        return p == q && r == s;
    }
    return a.len == 0 || (a.at[0] == b.at[0] && a.at[a.len / 2] == b.at[a.len / 2] &&
                          a.at[a.len - 1] == b.at[a.len - 1]);
}

static inline struct quick_key quick_key(struct str key)
{
    struct quick_key quick = {.bytes = (uint32_t)key.len};
    memcpy(&quick.first, key.at, min_of(key.len, sizeof(quick.first)));
    if (key.len >= sizeof(quick.last))
        memcpy(&quick.last, key.at + key.len - sizeof(quick.last), sizeof(quick.last));
    return quick;
}

/* Whether `key`, behind which as many bytes can be read as behind JSON's, is the one at a glance. */
static inline bool key_looks_like(struct str key, const struct quick_key *quick)
{
    uint64_t first, last;
    _Static_assert(JSON_TEXT_PADDING >= sizeof(first), "more is read than there is");
    if (key.len != quick->bytes)
        return false;
    memcpy(&first, key.at, sizeof(first));
    first ^= quick->first;
    if (key.len < sizeof(first))
        return key.len == 0 || first << (64 - 8 * key.len) == 0;
    memcpy(&last, key.at + key.len - sizeof(last), sizeof(last));
    return (first | (last ^ quick->last)) == 0;
}

/* Whether the place's own part is `key`, which is JSON's. */
static inline bool place_has_key(const struct place *p, struct str key)
{
    size_t ends = 2 * sizeof(uint64_t);
    return key_looks_like(key, &p->quick) &&
           (key.len <= ends || memcmp(key.at + 8, p->key.at + 8, key.len - ends) == 0);
}

/* The place of `key` below `parent`, made if it is new; PLACE_NONE where the path would be longer than
 * a name may be. */
static inline uint32_t place_find(struct ingest_worker *w, uint32_t parent, struct str key)
{
    uint32_t found = w->places[w->last_place].guess;
    const struct place *guess = &w->places[found];
    if (unlikely(guess->parent != parent || !key_equal(guess->key, key)))
        return place_search(w, parent, key);
    w->last_place = found;
    return found;
}

/* The place of an event's name: its last letter and its length tell it from most others of a source. */
static inline uint32_t place_find_event(struct ingest_worker *w, struct str name)
{
    uint32_t letter = name.len != 0 ? (uint8_t)name.at[name.len - 1] : 0;
    uint32_t *guess = &w->events[(letter + (uint32_t)name.len * 5) % EVENT_GUESSES];
    const struct place *p = &w->places[*guess];
    if (unlikely(p->parent != PLACE_EVENTS || !key_equal(p->key, name))) {
        uint32_t found = place_search(w, PLACE_EVENTS, name);
        if (found != PLACE_NONE)
            *guess = found;
        return found;
    }
    w->last_place = *guess;
    return *guess;
}

/* The number of the place's path, asked of the vocabulary once; NAME_NONE if it cannot have one. */
static inline uint32_t place_name(struct ingest_worker *w, uint32_t place, uint32_t source)
{
    uint32_t name = w->places[place].name;
    return likely(name != NAME_NONE) ? name : place_ask_name(w, place, source);
}

/* Forgets all places but the roots. */
void places_reset(struct ingest_worker *w);

/* An event that is not JSON any more: what both the HTTP routes and the importers fill in. */
struct raw_event {
    enum event_kind kind;
    struct ingest_source source;
    int64_t arrival_ms;
    uint64_t ordinal; /* tells events without a message id apart */
    struct str user;  /* empty = absent */
    struct str anonymous;
    struct str previous;
    struct str group;
    struct str name;       /* track: the event's */
    struct str message_id; /* empty = make one */
    struct str
        found_by[CHANNEL_END]; /* addresses by which an event without ids of a server key finds
                                         a person; empty = none on that channel */
    bool has_time;
    int64_t time_ms; /* by the client's clock */
    bool has_sent_at;
    int64_t sent_at_ms;
};

/* Which part of the event a field stands in. */
enum part {
    PART_PROPERTIES, /* numbers and booleans are clear */
    PART_TRAITS,     /* all personal */
    PART_CONTEXT,    /* all personal */
};

/* The event's bodies in the making: event_begin(), fields, event_end(). */
struct event_draft {
    struct ingest_worker *w;
    struct ingest_batch *batch;
    struct record *record; /* in the batch */
    size_t personal_at;    /* where its personal body begins in batch->bytes */
    enum part part;        /* where the fields that come stand: set by the caller */
    uint32_t field_count;
    uint32_t source;
    char *field; /* INGEST_FIELD_BYTES: place of what is wrong */
};

/* Checks name and times of what event_settle_ids() has passed, adds a record to the batch, writes the ids, and fills all of the record but its bodies. Whatever it answers, event_end() or event_drop()
 * follows. */
enum ingest_error event_begin(struct ingest_worker *w, struct raw_event *raw,
                              struct ingest_batch *batch, struct event_draft *draft, char *field);

/* Writes the members of the object `node`, which stands at place `parent`, but for the one named
 * `without` (empty = all): a leaf under its name, an object's leaves under theirs, what can have no name
 * into $rest. Anything but an object has no members. */
enum ingest_error event_put_members(struct event_draft *d, uint32_t parent, struct json_node node,
                                    struct str without);

/* Writes one text as the member `key` of what stands at place `parent`. */
enum ingest_error event_put_text(struct event_draft *d, uint32_t parent, struct str key,
                                 struct json_node node);

/* The same for one bool, int, double, text or time. */
enum ingest_error event_put_value(struct event_draft *d, uint32_t parent, struct str key,
                                  const struct value *x);

/* Whether the event has a field under that name already. */
bool event_has(const struct event_draft *d, uint32_t name);

/* Completes the record. */
enum ingest_error event_end(struct event_draft *d, const struct raw_event *raw);

/* Takes back what the draft has written, its record too. */
void event_drop(struct event_draft *d);

/* A placeholder that counts as no id. */
bool is_junk_id(struct str id);

/* Checks the ids and takes placeholders out of `raw`: before event_begin(). */
enum ingest_error event_settle_ids(struct raw_event *raw, struct ingest_batch *batch, char *field);

/* Takes `address` for what the event finds its person by on the channel, unless it has one there already
 * or this is a placeholder, empty or too long. */
void event_found_by(struct raw_event *raw, enum channel channel, struct str address);

/* Notes `error` of event `index` (UINT32_MAX: the request) in the batch. */
void batch_problem(struct ingest_batch *batch, uint32_t index, enum ingest_error error,
                   const char *field);

/* Sets `field` to printable ASCII of the texts joined by dots. */
void field_set(char *field, struct str a, struct str b);

/* Room for one more record. */
struct record *batch_record(struct ingest_batch *batch);
