/* SPDX-License-Identifier: Apache-2.0 */
#include "journey/appointment.h"

#include "journey/journey_int.h"
#include "journey/moment.h"
#include "profile/traits.h"
#include "when/recur.h"

#define CLOCK_STANDARD_MS  (9 * HOUR_MS) /* of a date that does not say when on that day */
#define YEARS_AHEAD        12    /* 29 February may be eight years away, and offsets move it */
#define CATCH_UP_MAX       4096  /* occurrences in 36 hours: one a minute, and some */
#define COLLECTED_BYTES    16384 /* of items that wait together */
#define COLLECTED_LIST_MAX 24576 /* of the list that they become */

/* ---- reckoning --------------------------------------------------------------------------------- */

static int64_t wall_of(const struct zone *zone, int64_t at_ms)
{
    return at_ms + zone_offset_ms(zone, at_ms);
}

static bool is_next(const struct zone *zone, int64_t at_ms, int64_t from_ms, int64_t done_ms,
                    int64_t *out_ms, int64_t *wall_ms)
{
    if (at_ms < from_ms || at_ms == FOREVER_MS || wall_of(zone, at_ms) <= done_ms)
        return false;
    *out_ms = at_ms;
    *wall_ms = wall_of(zone, at_ms);
    return true;
}

bool schedule_next(const struct plan_way *way, const struct zone *zone, int64_t from_ms,
                   int64_t done_ms, int64_t *at_ms, int64_t *wall_ms)
{
    if (way->rule == NULL)
        return is_next(zone, way->is_instant ? way->start_ms : zone_utc(zone, way->start_ms),
                       from_ms, done_ms, at_ms, wall_ms);
    struct recur_start start = {.wall_ms = way->start_ms};
    int64_t next_ms = from_ms - 1;
    /* What is done lies behind, or a day ahead at most where somebody went west. */
    do {
        next_ms = recur_next_ms(way->rule, start, zone, next_ms);
        if (next_ms == FOREVER_MS)
            return false;
    } while (!is_next(zone, next_ms, from_ms, done_ms, at_ms, wall_ms));
    return true;
}

/* What a trait says about a day. */
struct day_said {
    struct date date;
    bool has_clock; /* a moment: clock_ms is its time on the wall */
    int64_t clock_ms;
};

static bool month_and_day(struct str text, struct date *out)
{
    if (str_starts(text, STR("--")))
        text = str_part(text, 2, text.len);
    int64_t month, day;
    if (text.len != 5 || text.at[2] != '-' || !str_to_int(str_part(text, 0, 2), &month) ||
        !str_to_int(str_part(text, 3, 2), &day))
        return false;
    struct date date = {2000, (uint8_t)month, (uint8_t)day};
    if (month < 1 || month > 12 || day < 1 || !civil_is_date(date))
        return false;
    *out = date;
    return true;
}

/* Dates are read as waits read them (moment.h); a birthday may do without its year. */
static bool read_date(const struct plan_way *way, const struct value *x, const struct zone *zone,
                      struct day_said *out)
{
    struct moment_date when;
    *out = (struct day_said){0};
    if (!moment_read(x, &when))
        return way->is_yearly && x->type == VALUE_TEXT &&
               month_and_day(str_trim(x->text), &out->date);
    int64_t wall_ms = when.is_wall || when.is_day ? when.at_ms : wall_of(zone, when.at_ms);
    *out = (struct day_said){.date = civil_date(floor_div(wall_ms, DAY_MS)),
                             .has_clock = !when.is_day,
                             .clock_ms = floor_mod(wall_ms, DAY_MS)};
    return true;
}

static bool is_in_days(struct span span)
{
    return span.kind == SPAN_CALENDAR || span.ms % DAY_MS == 0;
}

/* The occurrence that belongs to the day `date`. */
static int64_t date_at(const struct plan_way *way, const struct day_said *said, struct date date,
                       const struct zone *zone)
{
    struct span offset = way->offset;
    int64_t day = civil_day(date);
    int64_t clock_ms = way->clock_ms >= 0   ? way->clock_ms
                       : said->has_clock    ? said->clock_ms
                       : is_in_days(offset) ? CLOCK_STANDARD_MS
                                            : 0;
    if (!is_in_days(offset))
        return zone_utc(zone, day * DAY_MS + clock_ms) + offset.ms;
    if (offset.kind == SPAN_FIXED)
        day += offset.ms / DAY_MS;
    else if (offset.unit == SPAN_MONTH)
        day = civil_day(civil_add_months(date, offset.count));
    else
        day += (int64_t)offset.count * (offset.unit == SPAN_WEEK ? 7 : 1);
    return zone_utc(zone, day * DAY_MS + clock_ms);
}

bool date_next(const struct plan_way *way, const struct value *date, const struct zone *zone,
               int64_t from_ms, int64_t done_ms, int64_t *at_ms, int64_t *wall_ms)
{
    struct day_said said;
    if (!read_date(way, date, zone, &said))
        return false;
    if (!way->is_yearly)
        return is_next(zone, date_at(way, &said, said.date, zone), from_ms, done_ms, at_ms,
                       wall_ms);
    /* The offset may lead into another year: begin as many years before as it could come from. */
    int32_t year = civil_date(floor_div(wall_of(zone, from_ms), DAY_MS)).year;
    int64_t far = way->offset.kind == SPAN_FIXED   ? way->offset.ms / DAY_MS
                  : way->offset.unit == SPAN_MONTH ? way->offset.count * 31
                                                   : way->offset.count * 7;
    int32_t years = (int32_t)(far / 365);
    for (int32_t i = -2; i < YEARS_AHEAD; i++) {
        struct date day = {year - years + i, said.date.month, said.date.day};
        if (day.month == 2 && day.day == 29 && !civil_is_leap(day.year)) {
            if (way->day_29 == DAY_29_SKIP)
                continue;
            day = way->day_29 == DAY_29_MAR_1 ? (struct date){day.year, 3, 1}
                                              : (struct date){day.year, 2, 28};
        }
        if (is_next(zone, date_at(way, &said, day, zone), from_ms, done_ms, at_ms, wall_ms))
            return true;
    }
    return false;
}

/* ---- the person's list -------------------------------------------------------------------------- */

static const struct zone *zone_of_way(struct person *who, const struct plan_way *way)
{
    return way->is_personal ? person_zone(who) : zoneset_zone(who->plan->zones, way->zone);
}

static enum appointment_kind kind_of(const struct plan_way *way)
{
    return way->kind == WAY_DATE ? APPOINTMENT_DATE : APPOINTMENT_SCHEDULE;
}

static uint32_t name_of(const struct person *who, const struct plan_way *way)
{
    return who->plan->journeys[way->journey].name;
}

/* The appointment of the way, or UINT32_MAX. */
static uint32_t find(const struct person *who, const struct plan_way *way)
{
    uint32_t journey = name_of(who, way);
    for (uint32_t i = 0; i < who->profile->appointments.count; i++) {
        const struct appointment *a = person_appointment(who, i);
        if (a->journey == journey && a->way == way->number && a->kind == kind_of(way))
            return i;
    }
    return UINT32_MAX;
}

/* The way of the appointment, or NULL if the newest programme does not have it any more. */
static const struct plan_way *way_of(const struct person *who, const struct appointment *a)
{
    for (uint32_t i = 0; i < who->plan->appointment_count; i++) {
        const struct plan_way *way = who->plan->appointments[i];
        if (name_of(who, way) == a->journey && way->number == a->way &&
            kind_of(way) == (enum appointment_kind)a->kind)
            return way;
    }
    return NULL;
}

static void drop(struct person *who, uint32_t place)
{
    struct blob items = person_appointment(who, place)->items;
    blob_set(who->space, &items, NULL, 0);
    person_drop_appointment(who, place);
    who->is_touched = true;
}

static void note_change(struct person *who, uint32_t journey, int64_t old_ms, int64_t new_ms)
{
    if (who->witness == NULL || old_ms == new_ms)
        return;
    struct str name = names_text(who->names, journey);
    if (new_ms == FOREVER_MS)
        person_note_about(who, journey, NAME_NONE, "appointment for %.*s: none any more",
                          STR_ARG(name));
    else
        person_note_about(who, journey, NAME_NONE, "appointment for %.*s: %s%s", STR_ARG(name),
                          person_moment(who, new_ms),
                          old_ms == FOREVER_MS ? "" : ", which is another time than before");
}

/* The next occurrence of the way for this person; FOREVER_MS if there is none. */
static int64_t reckon(struct person *who, const struct plan_way *way, int64_t from_ms,
                      int64_t done_ms)
{
    const struct zone *zone = zone_of_way(who, way);
    int64_t at_ms, wall_ms;
    bool is_there;
    if (way->kind == WAY_DATE) {
        struct value date = traits_get(who, way->trait, who->scratch);
        is_there = date_next(way, &date, zone, from_ms, done_ms, &at_ms, &wall_ms);
    } else {
        is_there = schedule_next(way, zone, from_ms, done_ms, &at_ms, &wall_ms);
    }
    return is_there ? at_ms : FOREVER_MS;
}

/* Where a remembered occurrence cannot come again, there is nothing to remember: zones are no more than
 * 26 hours apart. */
static bool is_worth_keeping(const struct person *who, int64_t at_ms, int64_t done_ms)
{
    return at_ms != FOREVER_MS || (done_ms != INT64_MIN && done_ms > who->at_ms - 2 * DAY_MS);
}

static void renew(struct person *who, const struct plan_way *way, int64_t from_ms)
{
    uint32_t place = find(who, way);
    struct appointment a = {.journey = name_of(who, way),
                            .way = way->number,
                            .kind = (uint8_t)kind_of(way),
                            .at_ms = FOREVER_MS,
                            .done_ms = INT64_MIN};
    if (place != UINT32_MAX)
        a = *person_appointment(who, place);
    int64_t old_ms = a.at_ms;
    a.at_ms = reckon(who, way, from_ms, a.done_ms);
    note_change(who, a.journey, old_ms, a.at_ms);
    who->is_touched |= old_ms != a.at_ms;
    if (!is_worth_keeping(who, a.at_ms, a.done_ms)) {
        if (place != UINT32_MAX)
            drop(who, place);
        return;
    }
    if (place == UINT32_MAX) {
        /* Collections may be many, dates and schedules are few: they take the place of the latest. */
        if (who->profile->appointments.count >= PROFILE_APPOINTMENTS_MAX)
            return;
        struct appointment *fresh = person_push_appointment(who);
        must(fresh != NULL);
        place = who->profile->appointments.count - 1u;
    }
    *person_touch_appointment(who, place) = a;
}

/* Those of ways that are no more; of journeys that are no more, what was collected too. */
static void forget_strangers(struct person *who)
{
    for (uint32_t i = 0; i < who->profile->appointments.count;) {
        const struct appointment *a = person_appointment(who, i);
        bool is_known = a->kind == APPOINTMENT_COLLECT || a->kind == APPOINTMENT_HELD
                            ? plan_journey_find(who->plan, a->journey) != PLAN_NO_INDEX
                            : way_of(who, a) != NULL;
        if (is_known) {
            i++;
            continue;
        }
        note_change(who, a->journey, a->at_ms, FOREVER_MS);
        drop(who, i);
    }
}

void appointments_renew(struct person *who, uint64_t bits, int64_t from_ms)
{
    if (bits == UINT64_MAX)
        forget_strangers(who);
    for (uint32_t i = 0; i < who->plan->appointment_count; i++) {
        const struct plan_way *way = who->plan->appointments[i];
        uint64_t reads = way->is_personal ? plan_wake_bit(NAME_TIMEZONE) : 0;
        if (way->kind == WAY_DATE)
            reads |= plan_wake_bit(way->trait);
        if (bits == UINT64_MAX || bits & reads)
            renew(who, way, from_ms);
    }
}

int64_t appointments_deadline(const struct person *who)
{
    int64_t next_ms = FOREVER_MS;
    for (uint32_t i = 0; i < who->profile->appointments.count; i++)
        next_ms = min_of(next_ms, person_appointment(who, i)->at_ms);
    return next_ms;
}

/* ---- collecting ---------------------------------------------------------------------------------- */

static void add_fields(const struct person *who, struct body body, struct buf *out)
{
    struct body_field field;
    while (body_next(&body, &field)) {
        struct str text = names_text(who->names, field.name);
        if (text.len == 0 || text.at[0] != '$') /* ids are no properties */
            buf_add(out, field.value + field.value_bytes - field.whole_bytes, field.whole_bytes);
    }
}

static uint32_t find_collection(const struct person *who, uint32_t journey, uint64_t key)
{
    for (uint32_t i = 0; i < who->profile->appointments.count; i++) {
        const struct appointment *a = person_appointment(who, i);
        if (a->kind == APPOINTMENT_COLLECT && a->journey == journey && a->key == key)
            return i;
    }
    return UINT32_MAX;
}

/* Appends an item's bytes to those that are kept; false, and nothing is done, if it is too much. */
static bool keep_item(struct person *who, struct blob *items, struct str item)
{
    struct buf all;
    if (items->bytes + item.len + 3 > COLLECTED_BYTES)
        return false;
    buf_init(&all);
    buf_add(&all, blob_at(who->space, *items), items->bytes);
    buf_add_varint(&all, item.len);
    buf_add_str(&all, item);
    blob_set(who->space, items, all.at, (uint32_t)all.len);
    buf_fini(&all);
    return true;
}

static struct value map_of_body(struct person *who, struct body body)
{
    struct body rest = body;
    struct body_field field;
    uint32_t count = 0;
    while (body_next(&rest, &field))
        count++;
    struct value_map *map =
        arena_zalloc(who->scratch, sizeof(*map) + count * sizeof(map->pairs[0]));
    while (body_next(&body, &field))
        map->pairs[map->count++] = (struct value_pair){
            value_text(names_text(who->names, field.name)), body_value(&field, who->scratch)};
    return (struct value){.type = VALUE_MAP, .map = map};
}

/* What was collected as the record of one event: the first one's properties, `items` and `count`. */
static void collected_record(struct person *who, const struct appointment *a, struct record *out)
{
    struct value_list *list =
        arena_zalloc(who->scratch, sizeof(*list) + a->count * sizeof(list->items[0]));
    struct value items = {.type = VALUE_LIST, .list = list};
    struct cursor c = cursor_of(blob_at(who->space, a->items), a->items.bytes);
    struct body first = {0};
    struct buf b;
    while (cursor_left(&c) > 0 && list->count < a->count) {
        struct str item = cursor_take(&c, cursor_varint(&c));
        must(!c.is_bad); /* we wrote it */
        struct body body = {(const uint8_t *)item.at, (uint32_t)item.len};
        if (list->count == 0)
            first = body;
        list->items[list->count++] = map_of_body(who, body);
    }
    buf_init(&b);
    do {
        b.len = 0;
        body_put(&b, NAME_ITEMS, &items);
    } while (b.len > COLLECTED_LIST_MAX && list->count-- > 1);
    body_put_int(&b, NAME_COUNT, a->count);
    buf_add(&b, first.at, first.bytes);
    struct str kept = arena_copy(who->scratch, buf_str(&b));
    buf_fini(&b);
    *out = (struct record){.type = RECORD_EVENT,
                           .kind = EVENT_TRACK,
                           .schema = RECORD_SCHEMA,
                           .at_ms = who->at_ms,
                           .event_ms = who->at_ms,
                           .arrival_ms = who->at_ms,
                           .clear = {(const uint8_t *)kept.at, (uint32_t)kept.len}};
}

/* Those that were collected at `place` enter as one. */
static void close_collection(struct person *who, uint32_t place)
{
    struct appointment a = *person_appointment(who, place);
    uint16_t journey = plan_journey_find(who->plan, a.journey);
    struct record record;
    collected_record(who, &a, &record);
    drop(who, place);
    if (journey == PLAN_NO_INDEX)
        return;
    const struct plan_journey *j = &who->plan->journeys[journey];
    record.name = a.way < j->way_count ? j->ways[a.way].event : NAME_NONE;
    person_note_about(who, a.journey, NAME_NONE, "%.*s: %u collected",
                      STR_ARG(names_text(who->names, a.journey)), a.count);
    entry_collected(who, journey, &record);
}

void appointment_collect(struct person *who, const struct plan_way *way, uint64_t key)
{
    uint32_t journey = name_of(who, way);
    struct buf item;
    buf_init(&item);
    add_fields(who, who->event->clear, &item);
    add_fields(who, record_personal(who->event), &item);
    if (item.len + 3 > COLLECTED_BYTES)
        item.len = 0; /* too large to wait with others: it counts, but without its properties */
    uint32_t place = find_collection(who, journey, key);
    if (place != UINT32_MAX) {
        struct blob items = person_appointment(who, place)->items;
        if (keep_item(who, &items, buf_str(&item))) {
            struct appointment *a = person_touch_appointment(who, place);
            a->items = items;
            a->count++;
        } else {
            close_collection(who, place);
            place = UINT32_MAX;
        }
    }
    if (place == UINT32_MAX) {
        struct blob items = {0};
        bool is_kept = keep_item(who, &items, buf_str(&item));
        must(is_kept);
        /* Nobody has as many open at once unless keys are made up: the oldest goes on its way. */
        for (uint32_t i = 0; who->profile->appointments.count >= PROFILE_APPOINTMENTS_MAX; i++) {
            if (i == who->profile->appointments.count) {
                blob_set(who->space, &items, NULL, 0);
                buf_fini(&item);
                return;
            }
            if (person_appointment(who, i)->kind == APPOINTMENT_COLLECT) {
                close_collection(who, i);
                i = UINT32_MAX;
            }
        }
        struct appointment *a = person_push_appointment(who);
        must(a != NULL);
        *a = (struct appointment){.journey = journey,
                                  .way = way->number,
                                  .kind = APPOINTMENT_COLLECT,
                                  .count = 1,
                                  .at_ms = who->at_ms + way->collect_ms,
                                  .done_ms = INT64_MIN,
                                  .key = key,
                                  .items = items};
        place = who->profile->appointments.count - 1u;
        who->is_touched = true;
    }
    buf_fini(&item);
    person_note_about(who, journey, NAME_NONE, "entry into %.*s: collected, number %u",
                      STR_ARG(names_text(who->names, journey)),
                      person_appointment(who, place)->count);
    if (person_appointment(who, place)->count >= way->collect_max)
        close_collection(who, place);
}

/* ---- coming ------------------------------------------------------------------------------------- */

/* Of the occurrences that are due by now, the latest. */
static int64_t latest_due(struct person *who, const struct plan_way *way,
                          const struct appointment *a)
{
    int64_t at_ms = a->at_ms;
    if (at_ms < who->now_ms - BATCH_LATENESS_MS) {
        int64_t later_ms = reckon(who, way, who->now_ms - BATCH_LATENESS_MS, a->done_ms);
        at_ms = later_ms <= who->now_ms ? later_ms : at_ms;
    }
    for (uint32_t i = 0; i < CATCH_UP_MAX; i++) {
        int64_t done_ms = wall_of(zone_of_way(who, way), at_ms);
        int64_t later_ms = reckon(who, way, at_ms + 1, done_ms);
        if (later_ms > who->now_ms)
            break;
        at_ms = later_ms;
    }
    return at_ms;
}

/* A moment of the person's clock has come: the next one is reckoned, then the journey is entered. */
static void come(struct person *who, uint32_t place)
{
    struct appointment a = *person_appointment(who, place);
    const struct plan_way *way = way_of(who, &a);
    if (way == NULL) {
        drop(who, place);
        return;
    }
    int64_t latest_ms = latest_due(who, way, &a);
    if (latest_ms != a.at_ms) { /* the machine was down: one comes instead of all */
        note_change(who, a.journey, a.at_ms, latest_ms);
        person_touch_appointment(who, place)->at_ms = latest_ms;
        who->is_touched = true;
        return;
    }
    struct buf b;
    buf_init(&b);
    body_put_time(&b, NAME_AT, a.at_ms);
    struct str kept = arena_copy(who->scratch, buf_str(&b));
    buf_fini(&b);
    struct record record = {
        .type = RECORD_EVENT,
        .kind = a.kind == APPOINTMENT_DATE ? EVENT_DATE : EVENT_SCHEDULE,
        .flags = RECORD_IS_BATCH, /* 36 hours late, if the machine was down, are no harm */
        .schema = RECORD_SCHEMA,
        .name = way->event,
        .at_ms = who->at_ms,
        .event_ms = a.at_ms,
        .arrival_ms = who->now_ms,
        .clear = {(const uint8_t *)kept.at, (uint32_t)kept.len},
    };
    struct appointment *at = person_touch_appointment(who, place);
    at->done_ms = wall_of(zone_of_way(who, way), a.at_ms);
    at->at_ms = reckon(who, way, a.at_ms + 1, at->done_ms);
    who->is_touched = true;
    journey_enter(who, way->journey, way, &record);
}

void appointments_timer(struct person *who)
{
    for (uint32_t i = 0; i < who->profile->appointments.count;) {
        const struct appointment *a = person_appointment(who, i);
        if (a->at_ms > who->at_ms) {
            i++;
            continue;
        }
        if (a->kind == APPOINTMENT_COLLECT)
            close_collection(who, i); /* it is gone; what came instead of it is in its place */
        else if (a->kind == APPOINTMENT_HELD)
            entry_release(who, i);
        else
            come(who, i);
        i = 0; /* whoever entered may have changed the list; each turn one fewer is due */
    }
}

/* ---- merges --------------------------------------------------------------------------------------- */

static void copy_items(struct person *who, const struct person *from, struct blob items,
                       struct blob *out)
{
    *out = (struct blob){0};
    blob_set(who->space, out, blob_at(from->space, items), items.bytes);
}

static void unite_collections(struct person *who, const struct person *from,
                              const struct appointment *theirs, uint32_t place)
{
    struct blob items = person_appointment(who, place)->items;
    struct cursor c = cursor_of(blob_at(from->space, theirs->items), theirs->items.bytes);
    uint16_t count = person_appointment(who, place)->count;
    for (uint16_t i = 0; i < theirs->count && cursor_left(&c) > 0; i++) {
        struct str item = cursor_take(&c, cursor_varint(&c));
        must(!c.is_bad);
        struct str own = arena_copy(who->scratch, item); /* it may lie in the same space */
        if (!keep_item(who, &items, own))
            break;
        count++;
    }
    struct appointment *a = person_touch_appointment(who, place);
    a->items = items;
    a->count = count;
    a->at_ms = min_of(a->at_ms, theirs->at_ms);
}

void appointments_unite(struct person *who, const struct person *from)
{
    for (uint32_t i = 0; i < from->profile->appointments.count; i++) {
        struct appointment theirs = *person_appointment(from, i);
        uint32_t place = UINT32_MAX;
        for (uint32_t k = 0; k < who->profile->appointments.count; k++) {
            const struct appointment *mine = person_appointment(who, k);
            bool is_same = mine->journey == theirs.journey && mine->kind == theirs.kind &&
                           mine->key == theirs.key;
            if (is_same && (mine->kind == APPOINTMENT_COLLECT || mine->way == theirs.way))
                place = k;
        }
        if (place != UINT32_MAX && theirs.kind == APPOINTMENT_COLLECT) {
            unite_collections(who, from, &theirs, place);
        } else if (place != UINT32_MAX) {
            struct appointment *mine = person_touch_appointment(who, place);
            mine->done_ms = max_of(mine->done_ms, theirs.done_ms);
        } else if (who->profile->appointments.count < PROFILE_APPOINTMENTS_MAX) {
            struct blob items;
            copy_items(who, from, theirs.items, &items);
            struct appointment *mine = person_push_appointment(who);
            must(mine != NULL);
            *mine = theirs;
            mine->items = items;
        }
    }
    who->is_touched = true;
}

void appointments_forget(struct person *who)
{
    for (uint32_t i = 0; i < who->profile->appointments.count; i++) {
        struct blob items = person_appointment(who, i)->items;
        blob_set(who->space, &items, NULL, 0);
    }
    rare_clear(who->space, who->profile, RARE_APPOINTMENTS, sizeof(struct appointment));
}
