/* load.c - what both generators share: the client's side of a promise.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "simulator/load.h"

#include <string.h>

#include "base/mem.h"
#include "simulator/machine.h"
#include "support/words.h"

#define AGAIN_MS_MAX 60000
#define EDGE_MS_MAX  DAY_MS /* nobody waits longer for the worst moment */

static struct fact *add(struct load *l)
{
    if (l->count == l->room) {
        l->room = l->room ? l->room * 2 : 128;
        l->facts = mem_resize(l->facts, l->room * sizeof(l->facts[0]));
    }
    struct fact *fact = mem_new(sizeof(*fact));
    l->facts[l->count++] = fact;
    l->told_ms = INT64_MIN;
    return fact;
}

void load_add_programme(struct load *l, const char *text)
{
    struct programme_file files[512];
    struct fault f = {0};
    struct buf zones;
    buf_init(&zones);
    words_zones(&zones);
    uint32_t count = words_files(text, files, array_count(files));
    must(l->programme_count < PROGRAMMES_MAX);
    if (programme_folder_of(files, count, buf_str(&zones), &l->programmes[l->programme_count++],
                            &f) != OK)
        sim_fail(l->sim, "%s", f.text);
    buf_fini(&zones);
}

struct load *load_new(struct sim *s)
{
    struct load *l = mem_new(sizeof(*l));
    l->sim = s;
    l->next_ms = 1000;
    l->edge_ms = FOREVER_MS;
    if (s->options[OPTION_LOAD] == 0 || s->folder_count == 0)
        load_lives(l);
    else
        load_storm(l);
    must(l->programme_count > 0);
    return l;
}

void load_free(struct load *l)
{
    for (uint32_t i = 0; i < l->programme_count; i++)
        programme_folder_fini(&l->programmes[i]);
    for (uint32_t i = 0; i < l->count; i++)
        mem_free(l->facts[i]);
    mem_free(l->facts);
    mem_free(l->gone);
    mem_free(l->lives);
    mem_free(l->samples);
    mem_free(l->journeys);
    mem_free(l);
}

/* A new fact, perhaps one that is told of late, or will be told of once more. */
static void make(struct load *l)
{
    struct sim *s = l->sim;
    struct fact *fact = add(l);
    fact->kind = EVENT_TRACK;
    fact->flags = RECORD_IS_SERVER;
    fact->happened_ms = s->clock_ms;
    fact->tell_ms = s->clock_ms;
    fact->message = hash_pair(s->seed, ++l->made) | 1;
    uint64_t each = s->options[OPTION_FACTS] / s->options[OPTION_PROGRAMMES] + 1;
    if (l->made % each == 0 && l->programmes_told + 1 < l->programme_count) {
        fact->what = FACT_PROGRAMME;
        fact->programme = ++l->programmes_told;
    } else if (!load_guest(l, fact)) {
        l->make(l, fact);
    }
    if (fact->what == FACT_EVENT && draw_permille(s, STREAM_LOAD, s->options[OPTION_LATE])) {
        fact->happened_ms -= draw_power(s, STREAM_LOAD, 8);
        saw(s, FAULT_TOLD_LATE);
    }
    int64_t gap_ms = 100 * draw_power(s, STREAM_LOAD, s->options[OPTION_GAP] + 1);
    l->next_ms = s->clock_ms + gap_ms;
    if (l->edge_ms != FOREVER_MS && l->edge_ms < s->clock_ms + EDGE_MS_MAX)
        l->next_ms = max_of(l->edge_ms, s->clock_ms);
    l->edge_ms = FOREVER_MS;
    if (l->made >= s->options[OPTION_FACTS])
        l->next_ms = FOREVER_MS;
}

/* When one of the facts that there are is told (again). */
static int64_t told_ms(struct load *l)
{
    if (l->told_ms != INT64_MIN)
        return l->told_ms;
    l->told_ms = FOREVER_MS;
    for (uint32_t i = 0; i < l->count; i++)
        l->told_ms = min_of(l->told_ms, l->facts[i]->tell_ms);
    return l->told_ms;
}

bool load_turn(struct load *l)
{
    struct sim *s = l->sim;
    for (uint32_t i = 0; told_ms(l) <= s->clock_ms && i < l->count; i++) {
        struct fact *fact = l->facts[i];
        if (fact->tell_ms > s->clock_ms)
            continue;
        fact->tell_ms = FOREVER_MS;
        l->told_ms = INT64_MIN;
        if (fact->tries++ > 0)
            saw(s, fact->is_answered ? FAULT_TOLD_TWICE : FAULT_RETOLD);
        sim_say(s, "tells: %s \"%s\" of \"%s\" (%s), %s",
                fact->what == FACT_ERASE       ? "erasure"
                : fact->what == FACT_COMMAND   ? "command"
                : fact->what == FACT_PROGRAMME ? "programme"
                                               : "event",
                fact->event, fact->who, fact->previous, fact->fields);
        machine_tell(s->machine, fact);
        return true;
    }
    if (l->next_ms > s->clock_ms)
        return false;
    make(l);
    return true;
}

int64_t load_wake_ms(struct load *l)
{
    int64_t wake_ms = min_of(l->next_ms, told_ms(l));
    return wake_ms == FOREVER_MS ? wake_ms : max_of(wake_ms, l->sim->clock_ms + 1);
}

void load_answer(struct load *l, struct fact *fact, bool is_durable)
{
    struct sim *s = l->sim;
    bool is_news = is_durable && !fact->is_answered;
    l->told_ms = INT64_MIN;
    fact->is_answered |= is_durable;
    if (is_news && fact->what == FACT_ERASE)
        load_guest_is_gone(l, fact);
    fact->tell_ms = FOREVER_MS;
    if (!fact->is_answered)
        fact->tell_ms = s->clock_ms + 100 + (int64_t)draw_below(s, STREAM_ORDER, AGAIN_MS_MAX);
    else if (is_news && !s->is_calm && fact->what == FACT_EVENT &&
             draw_permille(s, STREAM_ORDER, s->options[OPTION_TWICE]))
        fact->tell_ms = s->clock_ms + draw_power(s, STREAM_ORDER, 7);
}

/* What an operator forbade is allowed again. */
void load_calm(struct load *l)
{
    uint32_t count = l->count;
    for (uint32_t i = 0; i < count; i++) {
        if (l->facts[i]->what != FACT_COMMAND || l->facts[i]->word.kind == COMMAND_UNKILL)
            continue;
        struct fact *back = add(l);
        const struct fact *fact = l->facts[i];
        *back = *fact;
        back->is_answered = false;
        back->tries = 0;
        back->tell_ms = l->sim->clock_ms + 5000; /* behind those that are told again */
        back->message = 0;
        back->word.phase = PHASE_ACTIVE;
        back->word.pace_count = 0;
        back->word.flags = 0;
        if (fact->word.kind == COMMAND_KILL)
            back->word.kind = COMMAND_UNKILL;
        back->tell_ms = l->sim->clock_ms + 2 * AGAIN_MS_MAX;
    }
}

bool load_is_done(const struct load *l)
{
    for (uint32_t i = 0; i < l->count; i++)
        if (!l->facts[i]->is_answered || l->facts[i]->tell_ms != FOREVER_MS)
            return false;
    return true;
}
