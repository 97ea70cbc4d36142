/* SPDX-License-Identifier: Apache-2.0 */
#include "profile/person.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/canary.h"
#include "base/mem.h"
#include "profile/traits.h"

void results_add(struct results *r, struct result row)
{
    if (row.kind == RESULT_RETURNED && planted("store-row-lost"))
        return;
    if (r->count == r->room) {
        r->room = r->room ? r->room * 2 : 256;
        r->rows = mem_resize(r->rows, r->room * sizeof(r->rows[0]));
    }
    r->rows[r->count++] = row;
}

void messages_add(struct messages *m, struct stage_message message)
{
    if (m->count == m->room) {
        m->room = m->room ? m->room * 2 : 64;
        m->at = mem_resize(m->at, m->room * sizeof(m->at[0]));
    }
    m->at[m->count++] = message;
}

void person_result(struct person *who, struct result row)
{
    row.profile = who->id;
    row.at_ms = who->at_ms;
    who->errors += result_is_error(&row);
    results_add(who->results, row);
}

void person_send(struct person *who, struct stage_message message)
{
    message.profile = who->id;
    messages_add(who->messages, message);
}

static void printf_like(3, 0)
    take_note(struct person *who, const struct note *about, const char *format, va_list args)
{
    char line[1024];
    struct note note = *about;
    int len = vsnprintf(line, sizeof(line), format, args);
    must(len >= 0);
    note.at_ms = who->at_ms;
    note.text = (struct str){line, min_of((size_t)len, sizeof(line) - 1)};
    note.plan = who->plan;
    note.zone = who->plan != NULL ? person_zone(who) : NULL;
    who->witness->note(who->witness->self, &note);
}

void person_note(struct person *who, const char *format, ...)
{
    if (likely(who->witness == NULL))
        return;
    va_list args;
    va_start(args, format);
    take_note(who, &(struct note){.journey = NAME_NONE}, format, args);
    va_end(args);
}

void person_note_about(struct person *who, uint32_t journey, uint32_t message, const char *format,
                       ...)
{
    if (likely(who->witness == NULL))
        return;
    va_list args;
    va_start(args, format);
    take_note(who, &(struct note){.journey = journey, .message = message}, format, args);
    va_end(args);
}

void person_tell(struct person *who, const struct note *about, const char *format, ...)
{
    if (likely(who->witness == NULL))
        return;
    va_list args;
    va_start(args, format);
    take_note(who, about, format, args);
    va_end(args);
}

const struct zone *person_zone(struct person *who)
{
    struct profile *p = who->profile;
    if (who->plan == NULL) /* no programme has ever been active */
        return zone_of_utc();
    if (p->zone_plan != who->plans->newest) {
        struct value zone = traits_get(who, NAME_TIMEZONE, NULL);
        p->zone = who->plan->zone;
        if (zone.type == VALUE_TEXT) {
            uint16_t found = zoneset_find(who->plan->zones, zone.text);
            if (found != ZONE_NONE)
                p->zone = found;
        }
        p->zone_plan = who->plans->newest;
    }
    return zoneset_zone(who->plan->zones, p->zone);
}

bool person_is_held_out(const struct person *who)
{
    return who->plan->holdout != 0 &&
           hash_chance(who->plan->holdout_salt, who->id) < who->plan->holdout;
}

const char *person_moment(struct person *who, int64_t at_ms)
{
    struct local l = zone_local(person_zone(who), at_ms);
    return arena_printf(who->scratch, "%04d-%02d-%02d %02d:%02d:%02d", (int)l.year, l.month, l.day,
                        l.hour, l.minute, l.second)
        .at;
}

_Static_assert(offsetof(struct membership, segment) == 0, "vec_place() looks there");

uint32_t person_membership_place(const struct person *who, uint32_t segment)
{
    return vec_place(who->space, &who->profile->memberships, segment, sizeof(struct membership));
}

const struct membership *person_membership_find(const struct person *who, uint32_t segment)
{
    uint32_t place = person_membership_place(who, segment);
    if (place == who->profile->memberships.count)
        return NULL;
    const struct membership *m = person_membership(who, place);
    return m->segment == segment ? m : NULL;
}
