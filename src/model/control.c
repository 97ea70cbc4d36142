/* SPDX-License-Identifier: Apache-2.0 */
#include "model/control.h"

#include "base/mem.h"
#include "model/names.h"
#include "model/plan.h"

static const struct str phases[PHASE_END] = {
    {"active", 6}, {"draft", 5}, {"paused", 6}, {"draining", 8}, {"stopped", 7},
};

static const struct str scopes[KILL_SCOPE_END] = {
    {"", 0}, {"journey", 7}, {"message", 7}, {"channel", 7}, {"all", 3}, {"category", 8},
};

struct str phase_name(enum journey_phase phase)
{
    must(phase < PHASE_END);
    return phases[phase];
}

bool phase_find(struct str name, enum journey_phase *out)
{
    for (uint32_t i = 0; i < PHASE_END; i++) {
        if (!str_equal(phases[i], name))
            continue;
        *out = (enum journey_phase)i;
        return true;
    }
    return false;
}

bool phase_of_verb(struct str verb, enum journey_phase *out)
{
    static const struct {
        const char *verb;
        enum journey_phase phase;
    } verbs[] = {{"pause", PHASE_PAUSED},
                 {"resume", PHASE_ACTIVE},
                 {"start", PHASE_ACTIVE},
                 {"drain", PHASE_DRAINING},
                 {"stop", PHASE_STOPPED}};
    for (size_t i = 0; i < array_count(verbs); i++) {
        if (!str_is(verb, verbs[i].verb))
            continue;
        *out = verbs[i].phase;
        return true;
    }
    return false;
}

struct str kill_scope_name(enum kill_scope scope)
{
    must(scope < KILL_SCOPE_END);
    return scopes[scope];
}

bool kill_scope_find(struct str name, enum kill_scope *out)
{
    for (uint32_t i = 1; i < KILL_SCOPE_END; i++) {
        if (!str_equal(scopes[i], name))
            continue;
        *out = (enum kill_scope)i;
        return true;
    }
    return false;
}

void controls_init(struct controls *c)
{
    *c = (struct controls){0};
}

void controls_fini(struct controls *c)
{
    mem_free(c->journeys);
    mem_free(c->kills);
    *c = (struct controls){0};
}

/* ---- journeys ------------------------------------------------------------------------------------ */

/* Where the journey stands in the list, or would. */
static uint32_t place_of(const struct controls *c, uint32_t journey)
{
    uint32_t low = 0, high = c->journey_count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (c->journeys[middle].journey < journey)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct journey_control *controls_find(const struct controls *c, uint32_t journey)
{
    uint32_t place = c == NULL ? 0 : place_of(c, journey);
    bool is_there = c != NULL && place < c->journey_count && c->journeys[place].journey == journey;
    return is_there ? &c->journeys[place] : NULL;
}

uint32_t controls_not_active(const struct controls *c)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < c->journey_count; i++)
        count += c->journeys[i].phase != PHASE_ACTIVE;
    return count;
}

static struct journey_control *touch(struct controls *c, uint32_t journey)
{
    uint32_t place = place_of(c, journey);
    if (place < c->journey_count && c->journeys[place].journey == journey)
        return &c->journeys[place];
    if (c->journey_count == c->journey_room) {
        c->journey_room = c->journey_room ? c->journey_room * 2 : 8;
        c->journeys = mem_resize(c->journeys, c->journey_room * sizeof(c->journeys[0]));
    }
    memmove(c->journeys + place + 1, c->journeys + place,
            (c->journey_count++ - place) * sizeof(c->journeys[0]));
    c->journeys[place] = (struct journey_control){.journey = journey};
    return &c->journeys[place];
}

static void begin_pause(struct journey_control *x, int64_t at_ms)
{
    if (x->pause_count == PAUSES_MAX) {
        memmove(x->pauses, x->pauses + 1, (PAUSES_MAX - 1) * sizeof(x->pauses[0]));
        x->pause_count--;
    }
    x->pauses[x->pause_count++] = (struct pause){at_ms, FOREVER_MS};
}

static void end_pause(struct journey_control *x, int64_t at_ms)
{
    if (x->pause_count && x->pauses[x->pause_count - 1].until_ms == FOREVER_MS)
        x->pauses[x->pause_count - 1].until_ms = at_ms;
}

static bool freezes(const struct journey_control *x)
{
    return x->phase == PHASE_PAUSED && !(x->flags & PHASE_TIMERS_RUN);
}

bool controls_set_phase(struct controls *c, uint32_t journey, enum journey_phase phase,
                        uint8_t flags, uint32_t by, int64_t at_ms)
{
    must(phase < PHASE_END);
    const struct journey_control *before = controls_find(c, journey);
    if (phase != PHASE_PAUSED)
        flags = 0;
    if (before == NULL ? phase == PHASE_ACTIVE : before->phase == phase && before->flags == flags)
        return false;
    struct journey_control *x = touch(c, journey);
    bool did_freeze = freezes(x);
    x->phase = (uint8_t)phase;
    x->flags = flags;
    x->by = by;
    x->since_ms = at_ms;
    if (did_freeze && !freezes(x))
        end_pause(x, at_ms);
    else if (!did_freeze && freezes(x))
        begin_pause(x, at_ms);
    return true;
}

bool controls_file_says(struct controls *c, uint32_t journey, enum journey_phase said,
                        int64_t at_ms)
{
    const struct journey_control *x = controls_find(c, journey);
    enum journey_phase before = x == NULL ? PHASE_ACTIVE : (enum journey_phase)x->said;
    if (said == before)
        return false;
    touch(c, journey)->said = (uint8_t)said;
    return controls_set_phase(c, journey, said, 0, NAME_NONE, at_ms);
}

void controls_restore(struct controls *c, const struct journey_control *x)
{
    *touch(c, x->journey) = *x;
}

void controls_forget(struct controls *c, uint32_t journey)
{
    uint32_t place = place_of(c, journey);
    if (place == c->journey_count || c->journeys[place].journey != journey)
        return;
    c->journey_count--;
    memmove(c->journeys + place, c->journeys + place + 1,
            (c->journey_count - place) * sizeof(c->journeys[0]));
}

/* ---- kills --------------------------------------------------------------------------------------- */

static uint32_t place_of_kill(const struct controls *c, const struct kill *wanted)
{
    for (uint32_t i = 0; i < c->kill_count; i++) {
        const struct kill *k = &c->kills[i];
        if (k->scope == wanted->scope && k->name == wanted->name && k->channel == wanted->channel &&
            k->monitor == wanted->monitor)
            return i;
    }
    return UINT32_MAX;
}

uint32_t controls_kill_find(const struct controls *c, enum kill_scope scope, uint32_t name,
                            uint8_t channel)
{
    return place_of_kill(c,
                         &(struct kill){.scope = (uint8_t)scope, .name = name, .channel = channel});
}

uint32_t controls_kill_count(const struct controls *c)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < c->kill_count; i++)
        count += c->kills[i].monitor == NAME_NONE;
    return count;
}

struct kill *controls_kill(struct controls *c, const struct kill *kill)
{
    uint32_t place = place_of_kill(c, kill);
    if (place == UINT32_MAX && kill->monitor == NAME_NONE && controls_kill_count(c) == KILLS_MAX)
        return NULL;
    if (place == UINT32_MAX && c->kill_count == c->kill_room) {
        c->kill_room = c->kill_room ? c->kill_room * 2 : 8;
        c->kills = mem_resize(c->kills, c->kill_room * sizeof(c->kills[0]));
    }
    struct kill *k = &c->kills[place == UINT32_MAX ? c->kill_count++ : place];
    *k = *kill;
    k->number = ++c->kills_ever;
    return k;
}

void controls_unkill(struct controls *c, uint32_t place)
{
    must(place < c->kill_count);
    c->kill_count--;
    memmove(c->kills + place, c->kills + place + 1, (c->kill_count - place) * sizeof(c->kills[0]));
}

bool kill_meets(const struct kill *k, const struct kill_subject *x)
{
    bool is_ordinary = (lane_term(x->lane)->flags & LANE_EXITS) != 0;
    bool is_channel = k->scope == KILL_CHANNEL && k->monitor == NAME_NONE;
    if (!is_ordinary && !is_channel && !(k->flags & KILL_ALL_LANES))
        return false;
    switch ((enum kill_scope)k->scope) {
    case KILL_JOURNEY: return k->name == x->journey;
    case KILL_MESSAGE: return k->name == x->message;
    case KILL_CATEGORY: return k->name == x->category;
    case KILL_CHANNEL: return x->channel == CHANNEL_NONE || k->channel == x->channel;
    case KILL_ALL: return true;
    case KILL_SCOPE_END: break;
    }
    return false;
}

const struct kill *controls_kill_of(const struct controls *c, const struct kill_subject *x)
{
    const struct kill *found = NULL;
    for (uint32_t i = 0; c != NULL && i < c->kill_count; i++) {
        const struct kill *k = &c->kills[i];
        if (!kill_meets(k, x))
            continue;
        if (found == NULL || (k->flags & KILL_DROPS && !(found->flags & KILL_DROPS)))
            found = k;
    }
    return found;
}

/* ---- commands ------------------------------------------------------------------------------------ */

static void put_name(const struct command_word *in, struct buf *clear)
{
    switch ((enum kill_scope)in->scope) {
    case KILL_JOURNEY: body_put_text(clear, NAME_JOURNEY, in->name); break;
    case KILL_MESSAGE: body_put_text(clear, NAME_MESSAGE, in->name); break;
    case KILL_CATEGORY: body_put_text(clear, NAME_CATEGORY, in->name); break;
    case KILL_CHANNEL:
        body_put_text(clear, NAME_CHANNEL, channel_name((enum channel)in->channel));
        break;
    case KILL_ALL:
    case KILL_SCOPE_END: break;
    }
}

void command_write(const struct command_word *in, struct buf *clear, struct record *out)
{
    static const char *const verbs[] = {"", "phase", "kill", "unkill", "vouchers"};
    clear->len = 0;
    body_put_text(clear, NAME_COMMAND, str_of(verbs[in->kind]));
    if (in->kind == COMMAND_PHASE) {
        body_put_text(clear, NAME_JOURNEY, in->name);
        body_put_text(clear, NAME_STATUS, phase_name((enum journey_phase)in->phase));
        if (in->phase == PHASE_PAUSED) {
            body_put_text(clear, NAME_ENTRIES,
                          in->flags & PHASE_REFUSES ? STR("refused") : STR("held"));
            body_put_text(clear, NAME_TIMERS,
                          in->flags & PHASE_TIMERS_RUN ? STR("running") : STR("frozen"));
        }
    } else if (in->kind == COMMAND_VOUCHERS) {
        body_put_text(clear, NAME_NAME, in->name);
        body_put_text(clear, NAME_TEXT, in->codes);
    } else {
        body_put_text(clear, NAME_SCOPE, kill_scope_name((enum kill_scope)in->scope));
        put_name(in, clear);
    }
    if (in->kind == COMMAND_KILL) {
        body_put_bool(clear, NAME_DROP, (in->flags & KILL_DROPS) != 0);
        body_put_bool(clear, NAME_ALL_LANES, (in->flags & KILL_ALL_LANES) != 0);
    } else if (in->pace_count) {
        body_put_int(clear, NAME_PACE, in->pace_count);
        body_put_int(clear, NAME_PACE_MS, in->pace_ms);
    }
    *out = (struct record){.type = RECORD_COMMAND,
                           .kind = (uint8_t)in->kind,
                           .schema = RECORD_SCHEMA,
                           .clear = body_of(clear)};
}

static bool is_said(const struct record *r, uint32_t name)
{
    struct value x = body_get(r->clear, name, NULL);
    return x.type == VALUE_BOOL && x.boolean;
}

static bool read_scope(const struct record *in, struct command_word *out)
{
    enum kill_scope scope;
    enum channel channel;
    if (!kill_scope_find(body_get_text(in->clear, NAME_SCOPE), &scope))
        return false;
    out->scope = (uint8_t)scope;
    if (scope == KILL_CHANNEL) {
        if (!channel_find(body_get_text(in->clear, NAME_CHANNEL), &channel))
            return false;
        out->channel = (uint8_t)channel;
    } else if (scope != KILL_ALL) {
        out->name = body_get_text(in->clear, scope == KILL_JOURNEY   ? NAME_JOURNEY
                                             : scope == KILL_MESSAGE ? NAME_MESSAGE
                                                                     : NAME_CATEGORY);
        return out->name.len > 0;
    }
    return true;
}

bool command_read(const struct record *in, struct command_word *out)
{
    enum journey_phase phase;
    *out = (struct command_word){.kind = (enum command_kind)in->kind};
    if (in->type != RECORD_COMMAND)
        return false;
    int64_t count = body_get_int(in->clear, NAME_PACE, 0);
    int64_t per_ms = body_get_int(in->clear, NAME_PACE_MS, 0);
    if (count > 0 && count <= UINT32_MAX && per_ms > 0) {
        out->pace_count = (uint32_t)count;
        out->pace_ms = per_ms;
    }
    switch (out->kind) {
    case COMMAND_PHASE:
        out->name = body_get_text(in->clear, NAME_JOURNEY);
        if (out->name.len == 0 || !phase_find(body_get_text(in->clear, NAME_STATUS), &phase))
            return false;
        out->phase = (uint8_t)phase;
        if (str_is(body_get_text(in->clear, NAME_ENTRIES), "refused"))
            out->flags |= PHASE_REFUSES;
        if (str_is(body_get_text(in->clear, NAME_TIMERS), "running"))
            out->flags |= PHASE_TIMERS_RUN;
        return true;
    case COMMAND_KILL:
        out->flags = (uint8_t)((is_said(in, NAME_DROP) ? KILL_DROPS : 0) |
                               (is_said(in, NAME_ALL_LANES) ? KILL_ALL_LANES : 0));
        return read_scope(in, out);
    case COMMAND_UNKILL: return read_scope(in, out);
    case COMMAND_VOUCHERS:
        out->name = body_get_text(in->clear, NAME_NAME);
        out->codes = body_get_text(in->clear, NAME_TEXT);
        return out->name.len > 0;
    case COMMAND_KIND_END: break;
    }
    return false;
}

static const char *const kinds[] = {"journey", "message", "category", "pool of vouchers"};
enum kind { KIND_JOURNEY, KIND_MESSAGE, KIND_CATEGORY, KIND_VOUCHER };

static uint32_t count_of(const struct plan *plan, enum kind kind)
{
    return kind == KIND_JOURNEY   ? plan->journey_count
           : kind == KIND_MESSAGE ? plan->message_count
           : kind == KIND_VOUCHER ? plan->voucher_count
                                  : plan->category_count;
}

static uint32_t name_at(const struct plan *plan, enum kind kind, uint32_t i)
{
    return kind == KIND_JOURNEY   ? plan->journeys[i].name
           : kind == KIND_MESSAGE ? plan->messages[i].name
           : kind == KIND_VOUCHER ? plan->vouchers[i].name
                                  : plan->categories[i].name;
}

/* Is there one of that name? Else a sentence with the nearest. */
static bool is_known(const struct plan *plan, const struct names *names, uint32_t name,
                     struct str text, enum kind kind, struct fault *f)
{
    struct str list[256], near;
    uint32_t count = count_of(plan, kind);
    for (uint32_t i = 0; i < count && name != NAME_NONE; i++)
        if (name_at(plan, kind, i) == name)
            return true;
    count = min_of(count, (uint32_t)array_count(list));
    for (uint32_t i = 0; i < count; i++)
        list[i] = names_text(names, name_at(plan, kind, i));
    near = str_nearest(text, list, count);
    fault_set(f, "there is no %s \"%.*s\"%s%.*s%s", kinds[kind], STR_ARG(str_part(text, 0, 100)),
              near.len ? "; did you mean \"" : "", STR_ARG(near), near.len ? "\"?" : "");
    return false;
}

enum status command_check(const struct controls *c, const struct plan *plan,
                          const struct names *names, const struct command_word *word,
                          struct fault *f)
{
    uint32_t name = word->name.len ? names_find(names, word->name) : NAME_NONE;
    bool is_kill = word->kind != COMMAND_PHASE;
    enum kill_scope scope = is_kill ? (enum kill_scope)word->scope : KILL_JOURNEY;
    bool has_name = scope == KILL_JOURNEY || scope == KILL_MESSAGE || scope == KILL_CATEGORY;
    if (plan == NULL) {
        fault_set(f, "no programme is active");
        return FIX_INPUT;
    }
    if (word->kind == COMMAND_VOUCHERS)
        return is_known(plan, names, name, word->name, KIND_VOUCHER, f) ? OK : FIX_INPUT;
    uint32_t place = is_kill
                         ? controls_kill_find(c, scope, has_name ? name : NAME_NONE, word->channel)
                         : UINT32_MAX;
    if (word->kind == COMMAND_UNKILL && place == UINT32_MAX) {
        fault_set(f, "that is not killed");
        return FIX_INPUT;
    }
    if (word->kind == COMMAND_UNKILL)
        return OK; /* also of what is not in the programme any more */
    enum kind kind = scope == KILL_JOURNEY   ? KIND_JOURNEY
                     : scope == KILL_MESSAGE ? KIND_MESSAGE
                                             : KIND_CATEGORY;
    if (has_name && !is_known(plan, names, name, word->name, kind, f))
        return FIX_INPUT;
    if (word->kind == COMMAND_KILL && place == UINT32_MAX && controls_kill_count(c) == KILLS_MAX) {
        fault_set(f, "%u kills are in force, which is the most there may be", KILLS_MAX);
        return FIX_INPUT;
    }
    return OK;
}
