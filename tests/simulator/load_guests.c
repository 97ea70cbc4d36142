/* load_guests.c - people who come, say who they are, do this and that, and want to be forgotten. Whatever they say
 * has a mark in it that nobody else uses, so that it can be looked for afterwards, everywhere.
 *
 * Somebody asks to be erased once all that they have said is durable and is not told again: what is said later is
 * said by somebody new. Some come back, under the same name.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "simulator/load.h"

static uint32_t roll(struct load *l, uint32_t sides)
{
    return (uint32_t)draw_below(l->sim, STREAM_GUESTS, sides);
}

static void set_mark(struct load *l, struct guest *g)
{
    uint64_t mark = hash_pair(l->sim->seed, ++l->marks);
    snprintf(g->mark, sizeof(g->mark), MARK_BEGINS "%08lx", mark & 0xffffffff);
    snprintf(g->phone, sizeof(g->phone), "+4479%08lu", mark >> 32 & 0x3ffffff);
    g->is_leaving = g->has_asked = false;
    g->facts = 0;
}

/* What they have said is durable, and nobody tells it again. */
static bool is_settled(const struct load *l, uint32_t guest)
{
    for (uint32_t i = 0; i < l->count; i++) {
        const struct fact *fact = l->facts[i];
        if (fact->guest == guest + 1 && (!fact->is_answered || fact->tell_ms != FOREVER_MS))
            return false;
    }
    return true;
}

static bool leave(struct load *l, struct fact *out)
{
    for (uint32_t i = 0; i < l->guest_count; i++) {
        struct guest *g = &l->guests[i];
        if (!g->is_leaving || g->has_asked || !is_settled(l, i))
            continue;
        g->has_asked = true;
        out->what = FACT_ERASE;
        out->guest = i + 1;
        snprintf(out->who, sizeof(out->who), roll(l, 4) ? "g%u" : "h%u", i);
        return true;
    }
    return false;
}

static struct guest *come(struct load *l)
{
    uint32_t at = roll(l, GUESTS_MAX);
    if (at >= l->guest_count) {
        at = l->guest_count++;
        set_mark(l, &l->guests[at]);
    }
    struct guest *g = &l->guests[at];
    if (g->is_gone) {
        g->is_gone = false;
        set_mark(l, g);
    }
    return g->is_leaving ? NULL : g;
}

static void say(struct load *l, struct guest *g, struct fact *out)
{
    uint32_t at = (uint32_t)(g - l->guests);
    out->guest = at + 1;
    g->facts++;
    switch (roll(l, 6)) {
    case 0: snprintf(out->who, sizeof(out->who), "~h%u", at); break;
    case 1: snprintf(out->who, sizeof(out->who), "g%u~h%u", at, at); break;
    case 2: snprintf(out->who, sizeof(out->who), "g%u~d%u", at, roll(l, 4)); break;
    default: snprintf(out->who, sizeof(out->who), "g%u", at); break;
    }
    if (g->facts == 1) /* the two belong together from the beginning */
        snprintf(out->who, sizeof(out->who), "g%u~h%u", at, at);
    switch (g->facts > 1 ? roll(l, 5) : 0) {
    case 0:
        out->kind = EVENT_IDENTIFY;
        snprintf(out->fields, sizeof(out->fields),
                 "email=%s@example.org phone=%s push_token=%s name=%s timezone=Europe/London",
                 g->mark, g->phone, g->mark, g->mark);
        break;
    case 1:
    case 2:
        snprintf(out->event, sizeof(out->event), "Consent Changed");
        snprintf(out->fields, sizeof(out->fields),
                 "channel=email status=granted address=%s@example.org", g->mark);
        break;
    case 3: /* by the address alone */
        out->who[0] = 0;
        snprintf(out->event, sizeof(out->event), "Unsubscribed");
        snprintf(out->fields, sizeof(out->fields),
                 "channel=email address=%s@example.org $find.email=%s@example.org", g->mark,
                 g->mark);
        break;
    default:
        snprintf(out->event, sizeof(out->event), "%s", roll(l, 2) ? "Signed Up" : "Cart Updated");
        snprintf(out->fields, sizeof(out->fields), "cart=1 note=%s value=20.0", g->mark);
        break;
    }
    if (g->facts > 2 && roll(l, 4) == 0)
        g->is_leaving = true;
}

bool load_guest(struct load *l, struct fact *out)
{
    if (!draw_permille(l->sim, STREAM_GUESTS, l->sim->options[OPTION_GUESTS]))
        return false;
    if (leave(l, out))
        return true;
    struct guest *g = come(l);
    if (g == NULL)
        return false;
    say(l, g, out);
    return true;
}

static void note_gone(struct load *l, const char *text)
{
    if (l->gone_count == l->gone_room) {
        l->gone_room = l->gone_room ? l->gone_room * 2 : 16;
        l->gone = mem_resize(l->gone, l->gone_room * sizeof(l->gone[0]));
    }
    snprintf(l->gone[l->gone_count++].text, sizeof(l->gone[0].text), "%s", text);
}

void load_guest_is_gone(struct load *l, const struct fact *fact)
{
    struct guest *g = &l->guests[fact->guest - 1];
    g->is_gone = true;
    g->is_leaving = false;
    note_gone(l, g->mark);
    note_gone(l, g->phone);
}
