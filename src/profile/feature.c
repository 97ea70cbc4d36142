/* SPDX-License-Identifier: Apache-2.0 */
#include "profile/feature.h"

#include "profile/ask_int.h"

#include <math.h>

#define MILLION     1000000
#define NUMBER_MOST (INT64_MAX / MILLION - 1)

/* ---- numbers and values ------------------------------------------------------------------------ */

/* "12.50", "-3", " 7 ": digits, at most one point, a sign before them. */
static enum feature_number text_number(struct str text, int64_t *out)
{
    text = str_trim(text);
    size_t i = text.len > 0 && (text.at[0] == '-' || text.at[0] == '+');
    bool is_below_0 = i && text.at[0] == '-', is_large = false;
    int64_t whole = 0, part = 0, unit = MILLION;
    size_t digits = 0;
    for (; i < text.len && text.at[i] >= '0' && text.at[i] <= '9'; i++, digits++) {
        whole = whole * 10 + (text.at[i] - '0');
        if (whole > NUMBER_MOST) {
            is_large = true;
            whole = NUMBER_MOST;
        }
    }
    if (i < text.len && text.at[i] == '.') {
        for (i++; i < text.len && text.at[i] >= '0' && text.at[i] <= '9'; i++, digits++) {
            if (unit == 1 && text.at[i] >= '5')
                part++; /* the seventh digit rounds */
            unit = unit > 0 ? unit / 10 : 0;
            part += unit * (text.at[i] - '0');
        }
    }
    if (digits == 0 || i < text.len)
        return FEATURE_NO_NUMBER;
    if (is_large)
        return FEATURE_TOO_LARGE;
    *out = (whole * MILLION + part) * (is_below_0 ? -1 : 1);
    return FEATURE_IS_NUMBER;
}

static enum feature_number double_number(double x, int64_t *out)
{
    if (!isfinite(x))
        return FEATURE_NO_NUMBER;
    if (fabs(x) > (double)NUMBER_MOST)
        return FEATURE_TOO_LARGE;
    *out = llround(x * MILLION);
    return FEATURE_IS_NUMBER;
}

static enum feature_number int_number(int64_t x, int64_t *out)
{
    if (x > NUMBER_MOST || x < -NUMBER_MOST)
        return FEATURE_TOO_LARGE;
    *out = x * MILLION;
    return FEATURE_IS_NUMBER;
}

enum feature_number feature_number(const struct value *value, int64_t *out)
{
    enum feature_number is = FEATURE_NO_NUMBER;
    if (value->type == VALUE_INT)
        is = int_number(value->integer, out);
    else if (value->type == VALUE_UINT)
        is = int_number((int64_t)min_of(value->uinteger, (uint64_t)INT64_MAX), out);
    else if (value->type == VALUE_DOUBLE)
        is = double_number(value->number, out);
    else if (value->type == VALUE_TEXT)
        is = text_number(value->text, out);
    if (is != FEATURE_IS_NUMBER)
        *out = is == FEATURE_TOO_LARGE ? HISTORY_TOO_LARGE : HISTORY_NO_NUMBER;
    return is;
}

void feature_read_number(struct value *value)
{
    int64_t number;
    if (value->type != VALUE_TEXT || text_number(value->text, &number) != FEATURE_IS_NUMBER)
        return;
    *value = number % MILLION == 0 ? value_int(number / MILLION)
                                   : value_double((double)number / MILLION);
}

bool feature_value_hash(const struct value *value, struct buf *bytes, uint64_t *out)
{
    struct value plain = *value;
    if (plain.type == VALUE_NONE || plain.type == VALUE_NULL || plain.type == VALUE_ERROR)
        return false;
    if (plain.type == VALUE_DOUBLE && fabs(plain.number) < 9e15 &&
        plain.number == (double)(int64_t)plain.number)
        plain = value_int((int64_t)plain.number);
    if (plain.type == VALUE_UINT && plain.uinteger <= INT64_MAX)
        plain = value_int((int64_t)plain.uinteger);
    bytes->len = 0;
    if (!body_put(bytes, 1, &plain))
        return false;
    *out = hash_bytes(bytes->at, bytes->len, 0);
    return true;
}

/* ---- finding ------------------------------------------------------------------------------------ */

_Static_assert(offsetof(struct history, feature) == 0, "vec_place() looks there");

/* Where the feature's history stands, or would have to. */
static uint32_t place_of(const struct person *who, uint32_t feature)
{
    return vec_place(who->space, &who->profile->histories, feature, sizeof(struct history));
}

const struct history *features_find(const struct person *who, uint32_t feature)
{
    uint32_t i = place_of(who, feature);
    if (i == who->profile->histories.count)
        return NULL;
    const struct history *h = person_history(who, i);
    return h->feature == feature ? h : NULL;
}

static bool has_items(uint8_t kind)
{
    return kind >= FEATURE_FIRST;
}

/* The history of the feature, made if it is new; NULL if there is no room for it. */
static struct history *history_get(struct person *who, uint32_t feature, uint8_t kind)
{
    struct vec *list = &who->profile->histories;
    uint32_t i = place_of(who, feature);
    if (i < list->count && person_history(who, i)->feature == feature)
        return person_touch_history(who, i);
    struct history *h =
        list->count < PROFILE_HISTORIES_MAX ? person_push_history(who) : (struct history *)NULL;
    if (h == NULL) {
        who->profile->known |= PROFILE_LOST_HISTORY;
        return NULL;
    }
    struct history *at = person_touch_history(who, i);
    memmove(at + 1, at, (size_t)(h - at) * sizeof(*h));
    *at = (struct history){.feature = feature, .last_ms = INT64_MIN, .kind = kind};
    if (kind == FEATURE_TALLY) {
        at->more = space_alloc(who->space, sizeof(struct history_tally));
        struct history_tally *tally = space_touch(who->space, at->more);
        tally->least = INT64_MAX;
        tally->most = INT64_MIN;
    } else if (has_items(kind)) {
        at->more = space_alloc(who->space, sizeof(struct history_items));
        ((struct history_items *)space_touch(who->space, at->more))->forgot_ms = INT64_MIN;
    }
    return at;
}

static void history_free(struct space *space, const struct history *h)
{
    if (h->more == 0)
        return;
    if (h->kind == FEATURE_TALLY) {
        space_free(space, h->more, sizeof(struct history_tally));
        return;
    }
    struct history_items *items = space_touch(space, h->more);
    for (uint32_t i = 0; i < items->bodies.count; i++)
        blob_set(space, vec_touch(space, &items->bodies, i, sizeof(struct blob)), NULL, 0);
    vec_clear(space, &items->times, sizeof(int64_t));
    vec_clear(space, &items->numbers, sizeof(int64_t));
    vec_clear(space, &items->bodies, sizeof(struct blob));
    space_free(space, h->more, sizeof(struct history_items));
}

void features_drop(struct space *space, struct profile *profile, uint32_t i)
{
    history_free(space, vec_at(space, &profile->histories, i, sizeof(struct history)));
    vec_drop(space, &profile->histories, i, sizeof(struct history));
}

void features_clear(struct space *space, struct profile *profile)
{
    for (uint32_t i = 0; i < profile->histories.count; i++)
        history_free(space, vec_at(space, &profile->histories, i, sizeof(struct history)));
    vec_clear(space, &profile->histories, sizeof(struct history));
}

/* ---- items -------------------------------------------------------------------------------------- */

/* What is kept of one event. */
struct item {
    int64_t at_ms;
    int64_t number; /* or the hash of a value */
    bool has_number;
    bool has_body;
    const void *body;
    uint32_t body_bytes;
};

static int64_t time_at(const struct space *s, const struct history_items *items, uint32_t i)
{
    return *(const int64_t *)vec_at(s, &items->times, i, sizeof(int64_t));
}

static int64_t number_at(const struct space *s, const struct history_items *items, uint32_t i)
{
    return *(const int64_t *)vec_at(s, &items->numbers, i, sizeof(int64_t));
}

/* Drops items [from, from + count). */
static void items_drop(struct space *s, struct history_items *items, uint32_t from, uint32_t count)
{
    if (count == 0)
        return;
    for (uint32_t i = from; i < from + count && items->bodies.count; i++)
        blob_set(s, vec_touch(s, &items->bodies, i, sizeof(struct blob)), NULL, 0);
    struct vec *const lists[] = {&items->times, &items->numbers, &items->bodies};
    for (size_t k = 0; k < array_count(lists); k++) {
        struct vec *list = lists[k];
        if (list->count == 0)
            continue;
        must(from + count <= list->count);
        uint8_t *at = vec_touch(s, list, from, 8);
        memmove(at, at + (size_t)count * 8, (size_t)(list->count - from - count) * 8);
        list->count = (uint16_t)(list->count - count);
        if (list->count == 0)
            vec_clear(s, list, 8);
    }
}

_Static_assert(sizeof(struct blob) == 8, "lists of items have elements of one size");

/* A new last element, moved down to place i. */
static void *slot_insert(struct space *s, struct vec *list, uint32_t i)
{
    uint8_t *last = vec_push(s, list, 8);
    must(last != NULL); /* PLAN_ITEMS_MAX elements of 8 bytes fit */
    uint8_t *at = last - (size_t)(list->count - 1u - i) * 8;
    memmove(at + 8, at, (size_t)(last - at));
    memset(at, 0, 8);
    return at;
}

static void items_insert(struct space *s, struct history_items *items, const struct item *item)
{
    uint32_t i = items->times.count;
    while (i > 0 && time_at(s, items, i - 1) > item->at_ms)
        i--;
    *(int64_t *)slot_insert(s, &items->times, i) = item->at_ms;
    if (item->has_number)
        *(int64_t *)slot_insert(s, &items->numbers, i) = item->number;
    if (item->has_body) {
        slot_insert(s, &items->bodies, i);
        blob_set(s, vec_touch(s, &items->bodies, i, sizeof(struct blob)), item->body,
                 item->body_bytes);
    }
}

/* Puts the item among the `keep` latest; returns the time of what had to make room, or INT64_MIN. */
static int64_t items_add(struct space *s, struct history_items *items, const struct item *item,
                         uint32_t keep)
{
    int64_t gone_ms = INT64_MIN;
    if (items->times.count >= keep) {
        gone_ms = time_at(s, items, 0);
        if (item->at_ms < gone_ms)
            gone_ms = item->at_ms;
        else
            items_drop(s, items, 0, items->times.count - keep + 1u);
    }
    if (items->times.count < keep)
        items_insert(s, items, item);
    items->forgot_ms = max_of(items->forgot_ms, gone_ms);
    return gone_ms;
}

/* The same where each value stands once, with the time at which it was there last. */
static int64_t values_add(struct space *s, struct history_items *items, const struct item *item,
                          uint32_t keep)
{
    const int64_t *hashes =
        items->numbers.count ? vec_at(s, &items->numbers, 0, sizeof(int64_t)) : NULL;
    for (uint32_t i = 0; i < items->numbers.count; i++) {
        if (hashes[i] != item->number)
            continue;
        if (time_at(s, items, i) >= item->at_ms)
            return INT64_MIN;
        items_drop(s, items, i, 1);
        break;
    }
    return items_add(s, items, item, keep);
}

static void first_add(struct space *s, struct history_items *items, const struct item *item)
{
    if (items->times.count && time_at(s, items, 0) <= item->at_ms)
        return;
    items_drop(s, items, 0, items->times.count);
    items_insert(s, items, item);
}

/* Drops what no question reaches any more. */
static void items_prune(struct space *s, struct history_items *items, int64_t before_ms)
{
    uint32_t old = 0;
    while (old < items->times.count && time_at(s, items, old) <= before_ms)
        old++;
    items_drop(s, items, 0, old);
}

/* Adds by the feature's kind; true if something had to make room that a question may still reach. */
static bool history_add(struct space *s, uint8_t kind, struct history_items *items,
                        const struct item *item, uint32_t keep, int64_t oldest_ms)
{
    int64_t gone_ms = INT64_MIN;
    items_prune(s, items, oldest_ms);
    if (item->at_ms <= oldest_ms)
        return false;
    if (kind == FEATURE_FIRST) {
        first_add(s, items, item);
    } else if (kind == FEATURE_LAST) {
        items_add(s, items, item, 1);
    } else if (kind == FEATURE_VALUES) {
        gone_ms = values_add(s, items, item, keep);
    } else {
        must(kind == FEATURE_ITEMS);
        gone_ms = items_add(s, items, item, keep);
    }
    return gone_ms > oldest_ms;
}

static int64_t oldest_of(const struct plan_feature *f, int64_t at_ms)
{
    return f->keep_ms ? at_ms - f->keep_ms : INT64_MIN;
}

/* ---- noting ------------------------------------------------------------------------------------- */

/* The host of a feature's filters and value: they read the event at hand. */
struct noting {
    struct person *who;
    const struct plan *plan;
};

static bool note_zone(void *self, struct str zone, int64_t at_ms, int64_t *offset_ms,
                      int64_t *from_ms, int64_t *until_ms)
{
    const struct noting *n = self;
    return ask_zone(n->plan, zone, at_ms, offset_ms, from_ms, until_ms);
}

static void note_load(void *self, uint32_t slot, struct value *out, int64_t *until_ms)
{
    const struct person *who = ((const struct noting *)self)->who;
    (void)until_ms;
    *out = SLOT_SPACE(slot) == SLOT_ITEM ? record_get(who->event, SLOT_NAME(slot), who->scratch)
                                         : value_none();
    if (slot & SLOT_AS_NUMBER)
        feature_read_number(out);
}

static void sum_add(struct history_tally *tally, __int128 number)
{
    __int128 sum = history_sum(tally) + number;
    tally->sum_low = (uint64_t)sum;
    tally->sum_high = (int64_t)(sum >> 64);
}

static void tally_add(struct history_tally *tally, int64_t number)
{
    if (number == HISTORY_TOO_LARGE) {
        tally->has_too_large = true;
        return;
    }
    sum_add(tally, number);
    tally->least = min_of(tally->least, number);
    tally->most = max_of(tally->most, number);
    if (tally->count < UINT32_MAX)
        tally->count++;
}

/* The kept properties of the event, as far as they fit. */
static void body_keep(struct person *who, const struct plan_feature *f, struct item *item)
{
    who->bytes->len = 0;
    for (uint32_t i = 0; i < f->kept_count; i++) {
        struct value x = record_get(who->event, f->kept[i], who->scratch);
        size_t before = who->bytes->len;
        if (x.type == VALUE_NONE)
            continue;
        if (!body_put(who->bytes, f->kept[i], &x) || who->bytes->len > FEATURE_BODY_BYTES_MAX)
            who->bytes->len = before;
    }
    item->has_body = true;
    item->body = who->bytes->at;
    item->body_bytes = (uint32_t)who->bytes->len;
}

static void feature_note(struct person *who, const struct plan_feature *f, uint32_t names_from,
                         const struct expr_host *host)
{
    struct expr_result result = {.value = value_none()};
    for (uint32_t i = 0; i < f->filter_count; i++) {
        expr_run(f->filters[i], host, who->scratch, &result);
        if (!expr_is_true(&result))
            return;
    }
    struct item item = {.at_ms = min_of(who->event->event_ms, who->at_ms)};
    if (f->property != NAME_NONE || f->value != NULL) {
        if (f->property != NAME_NONE)
            result.value = record_get(who->event, f->property, who->scratch);
        else
            expr_run(f->value, host, who->scratch, &result);
        if (f->kind == FEATURE_VALUES) {
            uint64_t hash;
            if (!feature_value_hash(&result.value, who->bytes, &hash))
                return;
            item.number = (int64_t)hash;
        } else {
            feature_number(&result.value, &item.number);
        }
        item.has_number = true;
    }
    if (f->kept_count)
        body_keep(who, f, &item);
    struct history *h = history_get(who, f->name + names_from, f->kind);
    if (h == NULL)
        return;
    if (h->total < UINT32_MAX)
        h->total++;
    h->last_ms = max_of(h->last_ms, item.at_ms);
    if (f->kind == FEATURE_TALLY) {
        if (item.number != HISTORY_NO_NUMBER)
            tally_add(space_touch(who->space, h->more), item.number);
    } else if (has_items(f->kind)) {
        struct history_items *items = space_touch(who->space, h->more);
        bool is_missed =
            history_add(who->space, f->kind, items, &item, f->keep, oldest_of(f, who->at_ms));
        who->saturated += is_missed && !f->is_enough;
    }
    person_changed_name(who, f->name + names_from);
}

/* The features of prefixes that the name begins with; by text, because names appear as events come. */
static void prefixes_note(struct person *who, const struct plan *plan, const bool *skips,
                          uint32_t names_from, const struct expr_host *host)
{
    struct str name = names_text(who->names, who->event->name);
    uint8_t first = name.len ? (uint8_t)name.at[0] : 0;
    if (!(plan->prefix_bytes[first >> 6] >> (first & 63) & 1))
        return;
    for (uint32_t i = 0; i < plan->prefix_count; i++) {
        const struct plan_feature *f = &plan->features[plan->prefixes[i]];
        if (str_starts(name, f->prefix) && (skips == NULL || !skips[plan->prefixes[i]]))
            feature_note(who, f, names_from, host);
    }
}

void features_note(struct person *who, const struct plan *plan, const bool *skips,
                   uint32_t names_from)
{
    const struct plan_event *means = plan_event_find(plan, who->event->name);
    if ((means == NULL || means->feature_count == 0) && plan->prefix_count == 0)
        return;
    struct noting noting = {who, plan};
    const struct expr_host host = {
        .self = &noting, .now_ms = who->at_ms, .load = note_load, .zone = note_zone};
    for (uint32_t i = 0; means != NULL && i < means->feature_count; i++)
        if (skips == NULL || !skips[means->features[i]])
            feature_note(who, &plan->features[means->features[i]], names_from, &host);
    if (plan->prefix_count)
        prefixes_note(who, plan, skips, names_from, &host);
}

/* ---- merging ------------------------------------------------------------------------------------ */

/* The definition, of the newest plan that has it; NULL if none does. */
static const struct plan_feature *definition_of(const struct person *who, uint32_t name)
{
    if (who->feature_of != NULL)
        return who->feature_of(who, name);
    for (uint32_t i = who->plans->count; i-- > 1;) {
        uint16_t index = plan_feature_find(who->plans->at[i], name);
        if (index != PLAN_NO_INDEX)
            return &who->plans->at[i]->features[index];
    }
    return NULL;
}

static struct item item_at(const struct person *from, const struct history_items *items, uint32_t i)
{
    struct item item = {.at_ms = time_at(from->space, items, i)};
    if (items->numbers.count) {
        item.has_number = true;
        item.number = number_at(from->space, items, i);
    }
    if (items->bodies.count) {
        const struct blob *body = vec_at(from->space, &items->bodies, i, sizeof(struct blob));
        item.has_body = true;
        item.body = blob_at(from->space, *body);
        item.body_bytes = body->bytes;
    }
    return item;
}

static void tally_unite(struct history_tally *mine, const struct history_tally *theirs)
{
    sum_add(mine, history_sum(theirs));
    mine->least = min_of(mine->least, theirs->least);
    mine->most = max_of(mine->most, theirs->most);
    uint32_t count = mine->count + theirs->count;
    mine->count = count < mine->count ? UINT32_MAX : count;
    mine->has_too_large |= theirs->has_too_large;
}

static void history_unite(struct person *who, const struct person *from,
                          const struct history *theirs)
{
    struct history *mine = history_get(who, theirs->feature, theirs->kind);
    if (mine == NULL)
        return;
    uint32_t total = mine->total + theirs->total;
    mine->total = total < mine->total ? UINT32_MAX : total;
    mine->last_ms = max_of(mine->last_ms, theirs->last_ms);
    if (theirs->kind == FEATURE_TALLY) {
        tally_unite(space_touch(who->space, mine->more), space_at(from->space, theirs->more));
    } else if (has_items(theirs->kind)) {
        const struct plan_feature *f = definition_of(who, theirs->feature);
        const struct history_items *items = space_at(from->space, theirs->more);
        struct history_items *own = space_touch(who->space, mine->more);
        for (uint32_t i = 0; i < items->times.count; i++) {
            struct item item = item_at(from, items, i);
            history_add(who->space, theirs->kind, own, &item, f ? f->keep : PLAN_ITEMS_MAX,
                        f ? oldest_of(f, who->at_ms) : INT64_MIN);
        }
        own->forgot_ms = max_of(own->forgot_ms, items->forgot_ms);
    }
    person_changed_name(who, theirs->feature);
}

void features_unite(struct person *who, const struct person *from)
{
    for (uint32_t i = 0; i < from->profile->histories.count; i++)
        history_unite(who, from, person_history(from, i));
    who->profile->known |= from->profile->known & PROFILE_LOST_HISTORY;
}
