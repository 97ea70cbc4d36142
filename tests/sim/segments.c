/* Random people, random segments: who is in, and since when, is held against a model that keeps every
 * fact and works everything out anew from the whole history at every hour. The model knows nothing of
 * waking, timers or features; it has the conditions as trees and reads them by brute force.
 *
 * Everything happens on the hour, and one thing at most to a person in an hour: so what the model sees
 * at each hour is all that there is to see. Windows are whole hours, so their ends are on the hour too.
 *
 * WEND_LONG=1 takes thousands of people and millions of events. */
#include <stdlib.h>
#include <string.h>

#include "audience/audience.h"
#include "support/house.h"

#define EVENTS   5
#define SEGMENTS 12
#define PARTS    64 /* segments and the conditions inside has_been() together */
#define NODES    600

struct chance {
    uint64_t state;
};

static uint32_t below(struct chance *c, uint32_t limit)
{
    c->state ^= c->state << 13;
    c->state ^= c->state >> 7;
    c->state ^= c->state << 17;
    return (uint32_t)(c->state >> 33) % limit;
}

/* ---- conditions --------------------------------------------------------------------------------- */

enum kind {
    PLAN_IS,    /* traits.plan == "p1" */
    LEVEL_OVER, /* traits.level >= 3 */
    DID,        /* did("E1", "5h") */
    COUNT,      /* count("E1", "5h") >= 2 */
    FEW,        /* count("E1", "5h") < 2 */
    COUNT_OF,   /* count("E1", "5h", e, e.n >= 3) >= 2 */
    SUM,        /* sum("E1", "5h", "n") >= 9 */
    IDLE,       /* idle("E1", "5h") */
    SINCE,      /* since("E1") >= duration("5h") */
    INSIDE,     /* in_segment("s1", "5h"), hours 0: without */
    HAS_BEEN,   /* has_been(left, "5h") */
    AND,
    OR,
    NOT,
};

struct node {
    enum kind kind;
    uint32_t event, hours, number;
    uint32_t part; /* INSIDE: the segment; HAS_BEEN: where what it is of is remembered */
    struct node *left, *right;
};

struct programme {
    struct node nodes[NODES];
    uint32_t node_count;
    struct node *parts[PARTS]; /* in the order in which they read each other */
    bool is_segment[PARTS];
    uint32_t part_count;
    uint32_t segments[SEGMENTS]; /* parts */
    uint32_t segment_count;
};

static struct node *tree(struct programme *p, struct chance *c, uint32_t depth)
{
    assert_true(p->node_count < NODES);
    struct node *n = &p->nodes[p->node_count++];
    static const uint32_t hours[] = {1, 2, 5, 12, 24, 48};
    *n = (struct node){.event = below(c, EVENTS),
                       .hours = hours[below(c, array_count(hours))],
                       .number = 1 + below(c, 3)};
    uint32_t what = below(c, depth == 0 ? 20 : 34);
    if (what < 10) {
        static const enum kind kinds[] = {PLAN_IS,  LEVEL_OVER, DID,  COUNT, FEW,
                                          COUNT_OF, SUM,        IDLE, SINCE, DID};
        n->kind = kinds[what];
        if (n->kind == DID && below(c, 3) == 0)
            n->hours = 0; /* ever */
        if ((n->kind == COUNT || n->kind == SUM) && below(c, 4) == 0)
            n->hours = 0;
    } else if (what < 16 && p->segment_count > 0) {
        n->kind = INSIDE;
        n->part = p->segments[below(c, p->segment_count)];
        if (below(c, 2))
            n->hours = 0;
    } else if (what < 20) {
        n->kind = COUNT;
    } else if (what < 24 && p->part_count < PARTS - SEGMENTS) {
        n->kind = HAS_BEEN;
        n->left = tree(p, c, depth - 1);
        n->part = p->part_count++;
        p->parts[n->part] = n->left;
    } else if (what < 27) {
        n->kind = NOT;
        n->left = tree(p, c, depth - 1);
    } else {
        n->kind = what < 31 ? AND : OR;
        n->left = tree(p, c, depth - 1);
        n->right = tree(p, c, depth - 1);
    }
    return n;
}

static void window(const struct node *n, struct buf *out)
{
    if (n->hours)
        buf_printf(out, ", \"%uh\"", n->hours);
}

static void print(const struct programme *p, const struct node *n, struct buf *out)
{
    switch (n->kind) {
    case PLAN_IS: buf_printf(out, "traits.plan == \"p%u\"", n->number); return;
    case LEVEL_OVER: buf_printf(out, "traits.level >= %u", n->number); return;
    case DID:
        buf_printf(out, "did(\"E%u\"", n->event);
        window(n, out);
        buf_printf(out, ")");
        return;
    case COUNT:
    case FEW:
        buf_printf(out, "count(\"E%u\"", n->event);
        window(n, out);
        buf_printf(out, ") %s %u", n->kind == COUNT ? ">=" : "<", n->number);
        return;
    case COUNT_OF:
        buf_printf(out, "count(\"E%u\", \"%uh\", e, e.n >= %u) >= 2", n->event, n->hours,
                   n->number);
        return;
    case SUM:
        buf_printf(out, "sum(\"E%u\"", n->event);
        window(n, out);
        buf_printf(out, ", \"n\") >= %u", n->number * 3);
        return;
    case IDLE: buf_printf(out, "idle(\"E%u\", \"%uh\")", n->event, n->hours); return;
    case SINCE: buf_printf(out, "since(\"E%u\") >= duration(\"%uh\")", n->event, n->hours); return;
    case INSIDE:
        for (uint32_t i = 0; i < p->segment_count; i++)
            if (p->segments[i] == n->part)
                buf_printf(out, "in_segment(\"s%u\"", i);
        window(n, out);
        buf_printf(out, ")");
        return;
    case HAS_BEEN:
        buf_printf(out, "has_been(");
        print(p, n->left, out);
        buf_printf(out, ", \"%uh\")", n->hours);
        return;
    case NOT:
        buf_printf(out, "!(");
        print(p, n->left, out);
        buf_printf(out, ")");
        return;
    case AND:
    case OR:
        buf_printf(out, "(");
        print(p, n->left, out);
        buf_printf(out, n->kind == AND ? " && " : " || ");
        print(p, n->right, out);
        buf_printf(out, ")");
        return;
    }
}

static void write_programme(struct programme *p, struct chance *c, struct buf *out)
{
    buf_printf(out,
               "=== programme.yaml\nname: Test\ntimezone: Europe/London\n"
               "traits: {plan: {type: string, default: none}, level: {type: int, default: 0}}\n");
    for (uint32_t i = 0; i < SEGMENTS; i++) {
        struct node *n = tree(p, c, 4);
        uint32_t part = p->part_count++;
        p->parts[part] = n;
        p->is_segment[part] = true;
        p->segments[i] = part;
        buf_printf(out, "=== segments/s%u.yaml\nsegment: s%u\nwhen: '", i, i);
        print(p, n, out);
        p->segment_count = i + 1;
        buf_printf(out, "'\n");
    }
    buf_add_byte(out, 0);
}

/* ---- the model ---------------------------------------------------------------------------------- */

struct fact {
    int32_t at;   /* hour in which it came in */
    int32_t when; /* hour in which it happened */
    uint8_t what; /* event, or EVENTS: plan, EVENTS + 1: level */
    uint8_t n;
};

struct soul {
    struct fact *facts;
    uint32_t count, room;
    int32_t first; /* hour of the first sign; INT32_MAX: not yet seen */
    struct soul *merged;
    bool was_merged;
    bool is_in[PARTS];
    int32_t since[PARTS];
    uint32_t changes[PARTS];
};

static int32_t last_of(const struct soul *s, uint32_t event)
{
    int32_t last = s->first;
    for (uint32_t i = 0; i < s->count; i++)
        if (s->facts[i].what == event)
            last = max_of(last, s->facts[i].when);
    return last;
}

/* How many of the event in the window, and the sum of what they carry, if that is `least` or more. */
static uint32_t count_of(const struct soul *s, const struct node *n, int32_t now, uint32_t least,
                         uint32_t *sum)
{
    uint32_t count = 0;
    *sum = 0;
    for (uint32_t i = 0; i < s->count; i++) {
        const struct fact *f = &s->facts[i];
        if (f->what != n->event || f->n < least || (n->hours && f->when <= now - (int32_t)n->hours))
            continue;
        count++;
        *sum += f->n;
    }
    return count;
}

/* The latest statement by its own time; of equal ones the one that came in later. */
static uint32_t trait_of(const struct soul *s, uint32_t what)
{
    int32_t best = INT32_MIN;
    uint32_t value = 0;
    for (uint32_t i = 0; i < s->count; i++)
        if (s->facts[i].what == what && s->facts[i].when >= best) {
            best = s->facts[i].when;
            value = s->facts[i].n;
        }
    return value;
}

static bool is_true(const struct soul *s, const struct node *n, int32_t now)
{
    uint32_t sum;
    switch (n->kind) {
    case PLAN_IS: return trait_of(s, EVENTS) == n->number;
    case LEVEL_OVER: return trait_of(s, EVENTS + 1) >= n->number;
    case DID: return count_of(s, n, now, 0, &sum) > 0;
    case COUNT: return count_of(s, n, now, 0, &sum) >= n->number;
    case FEW: return count_of(s, n, now, 0, &sum) < n->number;
    case COUNT_OF: return count_of(s, n, now, n->number, &sum) >= 2;
    case SUM: count_of(s, n, now, 0, &sum); return sum >= n->number * 3;
    case IDLE:
    case SINCE: return now - last_of(s, n->event) >= (int32_t)n->hours;
    case INSIDE: return s->is_in[n->part] && now - s->since[n->part] >= (int32_t)n->hours;
    case HAS_BEEN: return s->is_in[n->part] && now - s->since[n->part] >= (int32_t)n->hours;
    case NOT: return !is_true(s, n->left, now);
    case AND: return is_true(s, n->left, now) && is_true(s, n->right, now);
    case OR: return is_true(s, n->left, now) || is_true(s, n->right, now);
    }
    return false;
}

static void recompute(const struct programme *p, struct soul *s, int32_t now)
{
    for (uint32_t i = 0; i < p->part_count; i++) {
        bool is_in = is_true(s, p->parts[i], now);
        if (is_in == s->is_in[i])
            continue;
        s->is_in[i] = is_in;
        s->since[i] = now;
        s->changes[i]++;
    }
}

static void add_fact(struct soul *s, struct fact f)
{
    if (s->count == s->room) {
        s->room = s->room ? s->room * 2 : 16;
        s->facts = mem_resize(s->facts, s->room * sizeof(s->facts[0]));
    }
    s->facts[s->count++] = f;
    s->first = min_of(s->first, f.when);
}

static int fact_order(const void *a_, const void *b_)
{
    const struct fact *a = a_;
    const struct fact *b = b_;
    return a->at < b->at ? -1 : a->at > b->at;
}

/* Of traits said at the same moment about both, the engine's winner keeps its own: the test avoids it. */
static void unite(struct soul *into, struct soul *from)
{
    for (uint32_t i = 0; i < PARTS; i++) {
        if (!from->is_in[i])
            continue;
        into->since[i] = into->is_in[i] ? min_of(into->since[i], from->since[i]) : from->since[i];
        into->is_in[i] = true;
    }
    for (uint32_t i = 0; i < from->count; i++)
        add_fact(into, from->facts[i]);
    into->first = min_of(into->first, from->first);
    qsort(into->facts, into->count, sizeof(into->facts[0]), fact_order);
    from->merged = into;
    into->was_merged = true;
}

/* ---- a life ------------------------------------------------------------------------------------- */

struct world_of_souls {
    struct house *house;
    struct programme *programme;
    struct chance chance;
    struct soul *souls;
    uint32_t count;
    uint64_t events, checks;
};

static int64_t hour_ms(int32_t hour)
{
    return HOUSE_START_MS + hour * HOUR_MS;
}

static bool said_together(const struct soul *a, const struct soul *b)
{
    for (uint32_t i = 0; i < a->count; i++)
        for (uint32_t k = 0; k < b->count; k++)
            if (a->facts[i].what >= EVENTS && a->facts[i].what == b->facts[k].what &&
                a->facts[i].when == b->facts[k].when)
                return true;
    return false;
}

static void name_of(const struct world_of_souls *w, const struct soul *s, char *out, size_t room)
{
    uint32_t i = (uint32_t)(s - w->souls);
    snprintf(out, room, i % 2 ? "u%u" : "~a%u", i);
}

/* What happens to one of them in this hour. */
static void happen(struct world_of_souls *w, struct soul *s, int32_t hour)
{
    char who[48], fields[48];
    struct chance *c = &w->chance;
    struct record *r;
    uint32_t what = below(c, 100);
    name_of(w, s, who, sizeof(who));
    struct fact f = {.at = hour, .when = hour};
    if (below(c, 6) == 0)
        f.when = max_of(hour - (int32_t)below(c, 40), 0);
    if (what < 75) {
        f.what = (uint8_t)below(c, EVENTS);
        f.n = (uint8_t)(1 + below(c, 6));
        char event[8];
        snprintf(event, sizeof(event), "E%u", f.what);
        snprintf(fields, sizeof(fields), "n=%u", f.n);
        r = house_event(w->house, who, event, fields);
    } else {
        bool is_plan = what < 88;
        f.what = is_plan ? EVENTS : EVENTS + 1;
        f.n = (uint8_t)(1 + below(c, 4));
        snprintf(fields, sizeof(fields), is_plan ? "plan=p%u" : "level=%u", f.n);
        r = house_identify(w->house, who, fields);
    }
    r->event_ms = hour_ms(f.when);
    r->at_ms = r->arrival_ms = hour_ms(hour);
    add_fact(s, f);
    w->events++;
}

/* Somebody with a user id is seen with the device of somebody without. */
static bool meet(struct world_of_souls *w, struct soul *user, struct soul *device, int32_t hour)
{
    char who[64];
    if (user->merged || device->merged || user->first == INT32_MAX || device->first == INT32_MAX ||
        device->was_merged || said_together(user, device))
        return false;
    snprintf(who, sizeof(who), "u%u~a%u", (uint32_t)(user - w->souls),
             (uint32_t)(device - w->souls));
    struct record *r = house_event(w->house, who, "Nothing", "");
    r->event_ms = r->at_ms = r->arrival_ms = hour_ms(hour);
    unite(user, device);
    return true;
}

static void check_one(struct world_of_souls *w, struct soul *s, int32_t hour)
{
    char who[48];
    struct person at;
    name_of(w, s, who, sizeof(who));
    house_look(w->house, who, &at);
    for (uint32_t i = 0; i < w->programme->segment_count; i++) {
        char name[8];
        snprintf(name, sizeof(name), "s%u", i);
        uint32_t part = w->programme->segments[i];
        const struct membership *m = person_membership_find(&at, house_name(w->house, name));
        bool is_in = m != NULL && m->flags & MEMBERSHIP_IS_IN;
        if (is_in != s->is_in[part])
            fail_msg("%s in hour %d: %s %s, but should%s be", who, hour, is_in ? "in" : "not in",
                     name, is_in ? " not" : "");
        if (is_in && m->since_ms != hour_ms(s->since[part]))
            fail_msg("%s in hour %d: in %s since hour %ld, not %d", who, hour, name,
                     (m->since_ms - HOUSE_START_MS) / HOUR_MS, s->since[part]);
        w->checks++;
    }
}

/* Each change has one row, in turn in and out, and no row is without one. */
static void check_rows(struct world_of_souls *w)
{
    const struct programme *p = w->programme;
    for (uint32_t i = 0; i < w->count; i++) {
        struct soul *s = &w->souls[i];
        char who[48];
        if (s->merged || s->was_merged || s->first == INT32_MAX)
            continue;
        name_of(w, s, who, sizeof(who));
        uint64_t profile = house_person(w->house, who);
        uint32_t rows[SEGMENTS] = {0};
        for (uint32_t k = 0; k < w->house->row_count; k++) {
            const struct result *row = &w->house->rows[k].result;
            if (row->kind != RESULT_MEMBERSHIP || row->profile != profile)
                continue;
            for (uint32_t m = 0; m < SEGMENTS; m++) {
                char name[8];
                snprintf(name, sizeof(name), "s%u", m);
                if (row->number != house_name(w->house, name))
                    continue;
                assert_int_equal(row->how, rows[m] % 2 == 0);
                rows[m]++;
            }
        }
        for (uint32_t m = 0; m < SEGMENTS; m++)
            if (rows[m] != s->changes[p->segments[m]])
                fail_msg("%s: s%u has %u rows, but changed %u times", who, m, rows[m],
                         s->changes[p->segments[m]]);
    }
}

struct size {
    uint32_t people;
    int32_t hours;
    uint32_t busy;    /* of 100: how often something happens to a person in an hour */
    uint32_t checked; /* every so manieth person is looked at in an hour; all of them at the end */
};

static uint64_t live(uint64_t seed, struct size size)
{
    struct buf text;
    struct world_of_souls w = {.house = house_new(), .count = size.people};
    w.programme = calloc(1, sizeof(*w.programme));
    w.souls = calloc(size.people, sizeof(w.souls[0]));
    w.chance.state = seed * UINT64_C(0x9e3779b97f4a7c15) | 1;
    for (uint32_t i = 0; i < size.people; i++)
        w.souls[i].first = INT32_MAX;
    buf_init(&text);
    write_programme(w.programme, &w.chance, &text);
    w.house->audits_every = size.people > 100 ? 4096 : 16;
    house_activate(w.house, (const char *)text.at);
    buf_fini(&text);
    for (int32_t hour = 1; hour <= size.hours; hour++) {
        struct soul *merging = NULL;
        house_run(w.house, hour_ms(hour) - 1);
        if (below(&w.chance, 3) == 0) {
            struct soul *user = &w.souls[below(&w.chance, size.people) | 1];
            struct soul *device = &w.souls[below(&w.chance, size.people) & ~1u];
            if (user < w.souls + size.people && meet(&w, user, device, hour))
                merging = user;
        }
        for (uint32_t i = 0; i < size.people; i++) {
            struct soul *s = &w.souls[i];
            if (s->merged || s == merging || below(&w.chance, 100) >= size.busy)
                continue;
            happen(&w, s, hour);
        }
        house_apply(w.house,
                    hour_ms(hour)); /* one batch: what is due in it comes behind its records */
        house_run(w.house, hour_ms(hour));
        for (uint32_t i = 0; i < size.people; i++) {
            struct soul *s = &w.souls[i];
            if (s->merged || s->first == INT32_MAX)
                continue;
            recompute(w.programme, s, hour);
            if (hour == size.hours || (i + (uint32_t)hour) % size.checked == 0)
                check_one(&w, s, hour);
        }
        if (below(&w.chance, 40) == 0)
            house_hop(w.house);
    }
    house_check(w.house);
    if (size.people <= 100)
        check_rows(&w);
    uint64_t events = w.events;
    for (uint32_t i = 0; i < size.people; i++)
        mem_free(w.souls[i].facts);
    free(w.souls);
    free(w.programme);
    house_free(w.house);
    return events;
}

static void members_are_those_of_the_whole_history(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 12; seed++)
        live(seed, (struct size){.people = 24, .hours = 150, .busy = 12, .checked = 1});
}

static void members_are_those_of_the_whole_history_at_length(void **state)
{
    (void)state;
    uint64_t events = 0;
    if (getenv("WEND_LONG") == NULL)
        skip();
    for (uint64_t seed = 100; seed < 300; seed++)
        live(seed, (struct size){.people = 30, .hours = 300, .busy = 15, .checked = 1});
    for (uint64_t seed = 1; seed <= 3; seed++)
        events +=
            live(seed, (struct size){.people = 2400, .hours = 400, .busy = 50, .checked = 16});
    assert_true(events > 1000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("members of segments are those of the whole history, at every hour",
             members_are_those_of_the_whole_history),
        TEST("the same for thousands of people and millions of events",
             members_are_those_of_the_whole_history_at_length),
    };
    return cmocka_run_group_tests_name("sim/segments", tests, NULL, NULL);
}
