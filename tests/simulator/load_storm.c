/* load_storm.c - whatever hurts. The programmes are those of tests/flow and examples/, two or three of them
 * one after the other, so that every feature that has a scenario meets every fault; the facts are those of
 * their scenarios, shuffled, about the wrong people, at the wrong time: with a liking for the very moment of
 * the engine's next deadline, a millisecond before it and one after.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "model/names.h"
#include "os/disk.h"
#include "simulator/load.h"
#include "simulator/machine.h"
#include "simulator/world.h"
#include "support/words.h"

#define SAMPLES_MAX  400
#define JOURNEYS_MAX 120

struct sample {
    enum event_kind kind;
    char event[64];
    char fields[200];
};

static uint32_t roll(struct load *l, uint32_t sides)
{
    return (uint32_t)draw_below(l->sim, STREAM_LOAD, sides);
}

/* ---- what scenarios say -------------------------------------------------------------------------- */

/* The text behind `key` on the line, up to one of `ends`. */
static struct str behind(struct str line, const char *key, const char *ends)
{
    size_t at = str_find(line, str_of(key), 0);
    if (at == SIZE_MAX)
        return (struct str){0};
    struct str rest = str_part(line, at + strlen(key), line.len);
    size_t end = 0;
    while (end < rest.len && strchr(ends, rest.at[end]) == NULL)
        end++;
    return str_trim(str_part(rest, 0, end));
}

/* "sku: s1, price: 40.0" becomes "sku=s1 price=40.0"; what is not that simple is left out. */
static void flatten(struct str map, char *out, size_t room)
{
    size_t used = 0;
    out[0] = 0;
    while (map.len > 0) {
        size_t comma = 0;
        while (comma < map.len && map.at[comma] != ',')
            comma++;
        struct str pair = str_part(map, 0, comma);
        map = str_part(map, min_of(comma + 1, map.len), map.len);
        size_t colon = str_find(pair, STR(": "), 0);
        if (colon == SIZE_MAX)
            continue;
        struct str key = str_trim(str_part(pair, 0, colon));
        struct str value = str_trim(str_part(pair, colon + 2, pair.len));
        if (value.len >= 2 && (value.at[0] == '\'' || value.at[0] == '"'))
            value = str_part(value, 1, value.len - 1);
        bool is_simple = key.len > 0 && value.len > 0 && key.len + value.len < 60;
        for (size_t i = 0; i < value.len; i++)
            is_simple &= strchr(" {}[]=", value.at[i]) == NULL;
        for (size_t i = 0; i < key.len; i++)
            is_simple &= strchr(" {}[]=", key.at[i]) == NULL;
        if (is_simple && used + key.len + value.len + 3 < room)
            used += (size_t)snprintf(out + used, room - used, "%s%.*s=%.*s", used ? " " : "",
                                     STR_ARG(key), STR_ARG(value));
    }
}

static void learn_line(struct load *l, struct str line)
{
    static const struct {
        const char *key;
        enum event_kind kind;
    } ways[] = {{" event: ", EVENT_TRACK},       {"business: ", EVENT_BUSINESS},
                {"enter: ", EVENT_ENTER},        {"traits: {", EVENT_IDENTIFY},
                {"identify: {", EVENT_IDENTIFY}, {"{event: ", EVENT_TRACK}};
    for (uint32_t i = 0; i < array_count(ways); i++) {
        bool is_map = ways[i].kind == EVENT_IDENTIFY;
        struct str name = behind(line, ways[i].key, is_map ? "}" : ",}");
        if (name.len == 0 || (!is_map && (name.len >= 60 || name.at[0] == '{')) ||
            l->sample_count == SAMPLES_MAX)
            continue;
        struct sample *x = &l->samples[l->sample_count++];
        *x = (struct sample){.kind = ways[i].kind};
        if (!is_map)
            snprintf(x->event, sizeof(x->event), "%.*s", STR_ARG(name));
        struct str map = is_map ? name : behind(line, "properties: {", "}");
        if (map.len == 0)
            map = behind(line, "payload: {", "}");
        flatten(map, x->fields, sizeof(x->fields));
    }
}

static void learn(struct load *l, const struct programme_folder *folder)
{
    for (uint32_t i = 0; i < folder->file_count; i++) {
        const struct programme_file *file = &folder->files[i];
        if (str_starts(file->path, STR("journeys/")) && l->journey_count < JOURNEYS_MAX) {
            struct str name = str_part(file->path, 9, file->path.len - 5);
            snprintf(l->journeys[l->journey_count++], 64, "%.*s", STR_ARG(name));
        }
        if (!str_starts(file->path, STR("tests/")))
            continue;
        struct str rest = file->text;
        while (rest.len > 0) {
            size_t end = 0;
            while (end < rest.len && rest.at[end] != '\n')
                end++;
            learn_line(l, str_part(rest, 0, end));
            rest = str_part(rest, min_of(end + 1, rest.len), rest.len);
        }
    }
}

/* ---- programmes ---------------------------------------------------------------------------------- */

static bool compiles(const struct programme_folder *folder)
{
    struct names *names = names_new();
    struct findings findings;
    struct plan *plan = NULL;
    findings_init(&findings);
    bool is_fine = programme_compile(folder, names, &plan, &findings) == OK;
    findings_fini(&findings);
    programme_plan_free(plan);
    names_free(names);
    return is_fine;
}

static void take_programme(struct load *l)
{
    struct buf zones;
    struct fault f = {0};
    struct programme_folder folder;
    const char *path = l->sim->folders[roll(l, l->sim->folder_count)];
    buf_init(&zones);
    words_zones(&zones);
    enum status status = programme_folder_read(os_disk_real(), path, buf_str(&zones), &folder, &f);
    buf_fini(&zones);
    if (status != OK)
        sim_fail(l->sim, "%s", f.text);
    for (uint32_t i = 0; i < l->programme_count; i++)
        if (strcmp(l->programmes[i].hash, folder.hash) == 0)
            status = TRY_AGAIN;
    if (status != OK || !compiles(&folder)) {
        programme_folder_fini(&folder);
        return;
    }
    sim_say(l->sim, "programme %s", path);
    l->programmes[l->programme_count++] = folder;
    learn(l, &folder);
}

/* ---- facts --------------------------------------------------------------------------------------- */

static uint32_t anybody(struct load *l)
{
    return roll(l, (uint32_t)l->sim->options[OPTION_PEOPLE]);
}

static void set_who(struct load *l, struct fact *out)
{
    switch (roll(l, 10)) {
    case 0: snprintf(out->who, sizeof(out->who), "~t%u", roll(l, 5)); break;
    case 1:
    case 2: snprintf(out->who, sizeof(out->who), "p%u~t%u", anybody(l), roll(l, 5)); break;
    default: snprintf(out->who, sizeof(out->who), "p%u", anybody(l)); break;
    }
}

static void consent(struct load *l, struct fact *out)
{
    static const char *const channels[] = {"email", "email", "sms", "push"};
    const char *channel = channels[roll(l, 4)];
    snprintf(out->event, sizeof(out->event), "Consent Changed");
    snprintf(out->fields, sizeof(out->fields), "channel=%s status=%s", channel,
             roll(l, 7) ? "granted" : "denied");
    if (roll(l, 6) == 0)
        snprintf(out->fields, sizeof(out->fields),
                 "channel=email status=%s address=p%u@example.org",
                 roll(l, 3) ? "granted" : "stopped", anybody(l));
}

static void who_i_am(struct load *l, struct fact *out)
{
    static const char *const zones[] = {"Europe/London", "America/New_York", "Asia/Tokyo", "UTC"};
    uint32_t nth = anybody(l);
    out->kind = EVENT_IDENTIFY;
    snprintf(out->fields, sizeof(out->fields),
             "email=p%u@example.org phone=+4477000%u push_token=t%u timezone=%s name=N%u", nth, nth,
             nth, zones[roll(l, 4)], nth);
}

static bool reply(struct load *l, struct fact *out)
{
    static const char *const words[] = {"Message Opened",    "Message Clicked",
                                        "Message Delivered", "Message Complained",
                                        "Unsubscribed",      "Message Clicked"};
    const struct world *w = l->sim->world;
    if (world_count(w) == 0)
        return false;
    const struct delivery *d = world_delivery(w, world_count(w) - 1 - roll(l, world_count(w)));
    if (strstr(d->address, MARK_BEGINS) != NULL) /* a guest's own affair */
        return false;
    uint32_t what = roll(l, array_count(words));
    snprintf(out->event, sizeof(out->event), "%s", words[what]);
    out->cause = d->decision;
    if (what == 4 && d->channel == CHANNEL_EMAIL)
        snprintf(out->fields, sizeof(out->fields), "channel=email address=%s", d->address);
    return true;
}

static void command(struct load *l, struct fact *out)
{
    out->what = FACT_COMMAND;
    snprintf(out->event, sizeof(out->event), "%s",
             l->journey_count ? l->journeys[roll(l, l->journey_count)] : "none");
    if (roll(l, 3)) {
        out->word =
            (struct command_word){.kind = COMMAND_PHASE, .phase = (uint8_t)roll(l, PHASE_END)};
        if (out->word.phase == PHASE_PAUSED)
            out->word.flags = (uint8_t)roll(l, 4);
        if (out->word.phase == PHASE_DRAFT)
            out->word.phase = PHASE_ACTIVE;
        return;
    }
    out->word = (struct command_word){.kind = roll(l, 4) ? COMMAND_KILL : COMMAND_UNKILL,
                                      .scope = KILL_JOURNEY,
                                      .flags = (uint8_t)roll(l, 4)};
    if (roll(l, 2)) {
        out->word.scope = roll(l, 2) ? KILL_ALL : KILL_CHANNEL;
        out->word.channel = out->word.scope == KILL_CHANNEL ? CHANNEL_EMAIL : 0;
        out->event[0] = 0;
    }
}

static void sample(struct load *l, struct fact *out)
{
    const struct sample *x = &l->samples[roll(l, l->sample_count)];
    out->kind = x->kind;
    snprintf(out->event, sizeof(out->event), "%s", x->event);
    snprintf(out->fields, sizeof(out->fields), "%s", x->fields);
    if (x->kind == EVENT_IDENTIFY && strstr(x->fields, "email=") != NULL)
        who_i_am(l, out);
    if (x->kind == EVENT_BUSINESS)
        out->who[0] = 0;
}

static void make(struct load *l, struct fact *out)
{
    set_who(l, out);
    if (draw_permille(l->sim, STREAM_LOAD, l->sim->options[OPTION_COMMANDS])) {
        command(l, out);
        return;
    }
    switch (roll(l, 16)) {
    case 0: who_i_am(l, out); break;
    case 1:
    case 2: consent(l, out); break;
    case 3:
        out->kind = EVENT_ALIAS;
        snprintf(out->who, sizeof(out->who), "p%u", anybody(l));
        snprintf(out->previous, sizeof(out->previous), "p%u", anybody(l));
        break;
    case 4:
    case 5:
        if (reply(l, out))
            break;
        sample(l, out);
        break;
    default: sample(l, out); break;
    }
    /* The next one may come at the worst moment. */
    struct engine *e = machine_engine(l->sim->machine);
    l->edge_ms = FOREVER_MS;
    if (e != NULL && roll(l, 4) == 0 && engine_next(e) != FOREVER_MS)
        l->edge_ms = l->sim->clock_ms +
                     max_of(engine_next(e) - machine_now_ms(l->sim->machine), 0) + roll(l, 3) - 1;
}

void load_storm(struct load *l)
{
    l->make = make;
    l->samples = mem_new(SAMPLES_MAX * sizeof(l->samples[0]));
    l->journeys = mem_new(JOURNEYS_MAX * sizeof(l->journeys[0]));
    for (int i = 0; i < 40 && l->programme_count < l->sim->options[OPTION_PROGRAMMES]; i++)
        take_programme(l);
    if (l->sample_count == 0)
        l->samples[l->sample_count++] = (struct sample){.kind = EVENT_TRACK, .event = "Nothing"};
}
