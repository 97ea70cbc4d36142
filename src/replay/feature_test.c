/* Questions about the past, written as a programme writes them, against a recount of everything that
 * ever happened. FEATURE_PEOPLE=4000 FEATURE_EVENTS=600 makes millions of events of it. */
#include "profile/feature.h"
#include "base/mem.h"
#include "profile/ask.h"
#include "profile/traits.h"
#include "programme/test_programme.h"

#define QUESTIONS 14
#define ITEMS_MAX 4096 /* events of one person */
#define PARTS     3    /* of a condition */
#define SPAN_MOST 60
#define BEGIN_MS  INT64_C(1774569600000) /* 2026-03-27, two days before London's clocks change */

static uint64_t next(uint64_t *seed)
{
    *seed = *seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return *seed >> 11;
}

static int64_t below(uint64_t *seed, int64_t bound)
{
    return (int64_t)(next(seed) % (uint64_t)bound);
}

/* ---- what happens -------------------------------------------------------------------------------- */

static const char *const event_names[] = {"cart", "cart seen", "order", "cartwheel"};
static const char *const words[] = {"x", "y", "z", "w"};

enum writing { AS_INT, AS_DOUBLE, AS_TEXT, AS_NONSENSE, AS_NOTHING };

struct happening {
    uint32_t event;
    int64_t at_ms;
    int64_t n; /* millionths */
    enum writing n_as;
    int s;     /* which word; -1 = missing, -2 = null */
    int64_t d; /* c.d in millionths; INT64_MIN = missing */
};

struct life {
    struct happening all[ITEMS_MAX]; /* in the order in which they came in */
    uint32_t count;
    int64_t first_seen_ms;
    int64_t limit; /* traits.limit */
    int word;      /* traits.word */
    int64_t span;  /* traits.span, hours; the programme declares at most SPAN_MOST of them */
    const struct zone *zone;
};

/* ---- questions ----------------------------------------------------------------------------------- */

/* Parts of conditions, of the past event alone and (from LATER_FROM on) of what is now as well. */
static const char *const part_texts[] = {
    "e.n > 3",
    "e.s == \"x\"",
    "has(e.s)",
    "!has(e.n)",
    "e.c.d >= 2.5",
    "(e.n < 1 || e.s == \"y\")",
    "e.n > traits.limit",
    "e.s == traits.word",
    "(traits.limit > 2 || has(e.c.d))",
};
#define LATER_FROM 6

static bool has_number(const struct happening *h)
{
    return h->n_as == AS_INT || h->n_as == AS_DOUBLE || h->n_as == AS_TEXT;
}

static bool part_holds(const struct life *p, const struct happening *h, uint32_t part)
{
    switch (part) {
    case 0: return has_number(h) && h->n > 3000000;
    case 1: return h->s == 0;
    case 2: return h->s != -1;
    case 3: return h->n_as == AS_NOTHING;
    case 4: return h->d != INT64_MIN && h->d >= 2500000;
    case 5: return (has_number(h) && h->n < 1000000) || h->s == 1;
    case 6: return has_number(h) && h->n > p->limit * 1000000;
    case 7: return h->s == p->word;
    case 8: return p->limit > 2 || h->d != INT64_MIN;
    }
    return false;
}

static const struct {
    const char *text;
    int64_t ms;
    int days; /* calendar */
    bool is_month;
    bool is_week;
} windows[] = {
    {"", 0, 0, false, false},
    {"\"40m\"", 40 * MINUTE_MS, 0, false, false},
    {"\"6h\"", 6 * HOUR_MS, 0, false, false},
    {"\"2d\"", 2 * DAY_MS, 0, false, false},
    {"\"day\"", 0, 1, false, false},
    {"\"2 days\"", 0, 2, false, false},
    {"\"week\"", 0, 1, false, true},
    {"\"month\"", 0, 1, true, false},
    {"traits.span", -1, 0, false, false},
};

struct question {
    enum binding_kind kind;
    int event; /* -1: the prefix "cart*" */
    uint32_t window;
    uint32_t parts[PARTS];
    uint32_t part_count;
    int value;    /* 0: n in short, 1: e.n, 2: s in short, 3: e.s, 4: by the word */
    bool is_of_s; /* first, last: .s, else .n */
    bool is_sum;  /* a count that is not just compared with 1 */
    uint32_t steps[3], step_count, without[2], without_count;
    int conditions[5]; /* of the steps, then of without: a part, or -1 */
    int64_t within_ms;
    char text[640];
    const struct plan_binding *binding;
};

static void print_condition(struct question *q, char *out, size_t room)
{
    size_t len = 0;
    out[0] = 0;
    for (uint32_t i = 0; i < q->part_count; i++)
        len += (size_t)snprintf(out + len, room - len, "%s%s", i ? " && " : "",
                                part_texts[q->parts[i]]);
}

static void print_list(const uint32_t *list, const int *conditions, uint32_t count, char *out,
                       size_t room)
{
    size_t len = (size_t)snprintf(out, room, "[");
    for (uint32_t i = 0; i < count; i++)
        if (conditions[i] < 0)
            len += (size_t)snprintf(out + len, room - len, "%s\"%s\"", i ? ", " : "",
                                    event_names[list[i]]);
        else
            len += (size_t)snprintf(out + len, room - len, "%sstep(\"%s\", e, %s)", i ? ", " : "",
                                    event_names[list[i]], part_texts[conditions[i]]);
    snprintf(out + len, room - len, "]");
}

static void question_print(struct question *q)
{
    static const char *const names[] = {
        [BINDING_DID] = "did",     [BINDING_COUNT] = "count", [BINDING_IDLE] = "idle",
        [BINDING_SINCE] = "since", [BINDING_SUM] = "sum",     [BINDING_LEAST] = "min",
        [BINDING_MOST] = "max",    [BINDING_AVERAGE] = "avg", [BINDING_DISTINCT] = "distinct",
        [BINDING_FIRST] = "first", [BINDING_LAST] = "last",
    };
    char condition[256], steps[220], without[150];
    const char *window = windows[q->window].text;
    if (q->kind == BINDING_SEQUENCE) {
        print_list(q->steps, q->conditions, q->step_count, steps, sizeof(steps));
        print_list(q->without, q->conditions + q->step_count, q->without_count, without,
                   sizeof(without));
        snprintf(q->text, sizeof(q->text), "sequence(%s, \"%ldm\"%s%s%s%s)", steps,
                 q->within_ms / MINUTE_MS, q->without_count ? ", " : "",
                 q->without_count ? without : "", *window ? ", " : "", window);
        return;
    }
    print_condition(q, condition, sizeof(condition));
    char bound[400] = "";
    static const char *const values[] = {"\"n\"", "e.n", "\"s\"", "e.s",
                                         "e.s == traits.word ? 1 : 2"};
    bool has_value = q->kind >= BINDING_SUM && q->kind <= BINDING_DISTINCT;
    bool is_short = has_value && (q->value == 0 || q->value == 2);
    if (is_short)
        snprintf(bound, sizeof(bound), ", %s", values[q->value]);
    else if (has_value)
        snprintf(bound, sizeof(bound), ", e, %s%s%s", values[q->value], q->part_count ? ", " : "",
                 condition);
    else if (q->part_count)
        snprintf(bound, sizeof(bound), ", e, %s", condition);
    const char *tail = q->kind == BINDING_FIRST || q->kind == BINDING_LAST
                           ? q->is_of_s ? ".s == \"x\"" : ".n == 1"
                       : q->kind == BINDING_SINCE                           ? " > duration(\"1h\")"
                       : q->kind == BINDING_COUNT && q->is_sum              ? " + 0 > 1"
                       : q->kind == BINDING_COUNT || q->kind >= BINDING_SUM ? " > 1"
                                                                            : "";
    snprintf(q->text, sizeof(q->text), "%s(\"%s\"%s%s%s)%s", names[q->kind],
             q->event < 0 ? "cart*" : event_names[q->event], *window ? ", " : "", window, bound,
             tail);
}

static struct question question_random(uint64_t *seed)
{
    static const enum binding_kind kinds[] = {
        BINDING_DID,      BINDING_COUNT,    BINDING_COUNT, BINDING_IDLE, BINDING_SINCE,
        BINDING_SUM,      BINDING_LEAST,    BINDING_MOST,  BINDING_SUM,  BINDING_AVERAGE,
        BINDING_DISTINCT, BINDING_DISTINCT, BINDING_FIRST, BINDING_LAST, BINDING_LAST,
        BINDING_SEQUENCE, BINDING_SEQUENCE,
    };
    struct question q = {.kind = kinds[below(seed, array_count(kinds))]};
    q.event = (int)below(seed, 5) - 1;
    q.window = (uint32_t)below(seed, array_count(windows));
    q.part_count = below(seed, 3) ? (uint32_t)below(seed, PARTS + 1) : 0;
    for (uint32_t i = 0; i < q.part_count; i++)
        q.parts[i] = (uint32_t)below(seed, array_count(part_texts));
    q.value = (int)below(seed, 2);
    if (below(seed, 4) == 0)
        q.value = 4;
    if (q.kind == BINDING_DISTINCT)
        q.value = (int)below(seed, 5);
    if (q.kind >= BINDING_SUM && q.kind <= BINDING_DISTINCT && (q.value == 0 || q.value == 2))
        q.part_count = 0;
    if (q.kind == BINDING_SINCE)
        q.window = 0;
    if (q.kind == BINDING_IDLE && q.window == 0)
        q.window = 2;
    q.is_of_s = below(seed, 2);
    q.is_sum = below(seed, 2);
    q.within_ms = (10 + below(seed, 300)) * MINUTE_MS;
    q.step_count = 1 + (uint32_t)below(seed, 3);
    q.without_count = q.step_count == 1 ? 1 + (uint32_t)below(seed, 2) : (uint32_t)below(seed, 3);
    for (uint32_t i = 0; i < 3; i++)
        q.steps[i] = (uint32_t)below(seed, array_count(event_names));
    for (uint32_t i = 0; i < 2; i++)
        q.without[i] = (uint32_t)below(seed, array_count(event_names));
    for (uint32_t i = 0; i < array_count(q.conditions); i++)
        q.conditions[i] = below(seed, 3) ? -1 : (int)below(seed, array_count(part_texts));
    question_print(&q);
    return q;
}

/* ---- the recount --------------------------------------------------------------------------------- */

struct answer {
    uint8_t type; /* enum value_type; VALUE_ERROR, VALUE_NONE */
    int64_t integer;
    double number;
    int s; /* of a text or null */
};

static bool counts(const struct life *p, const struct question *q, const struct happening *h,
                   bool is_later)
{
    if (q->event >= 0 ? h->event != (uint32_t)q->event
                      : strncmp(event_names[h->event], "cart", 4) != 0)
        return false;
    for (uint32_t i = 0; i < q->part_count; i++)
        if ((q->parts[i] >= LATER_FROM) == is_later && !part_holds(p, h, q->parts[i]))
            return false;
    return true;
}

static bool is_inside(const struct life *p, uint32_t window, int64_t t, int64_t at_ms)
{
    if (windows[window].ms < 0)
        return t > at_ms - min_of(p->span, (int64_t)SPAN_MOST) * HOUR_MS;
    if (windows[window].ms)
        return t > at_ms - windows[window].ms;
    if (windows[window].is_month) {
        struct local a = zone_local(p->zone, t), b = zone_local(p->zone, at_ms);
        return a.year * 12 + a.month >= b.year * 12 + b.month;
    }
    if (windows[window].is_week)
        return floor_div(zone_day(p->zone, t) + 3, 7) >= floor_div(zone_day(p->zone, at_ms) + 3, 7);
    if (windows[window].days)
        return zone_day(p->zone, t) > zone_day(p->zone, at_ms) - windows[window].days;
    return true;
}

/* Ascending by time; of one time in the order in which they came. */
static void sort_stable(const struct happening **list, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++) {
        const struct happening *one = list[i];
        uint32_t k = i;
        for (; k > 0 && list[k - 1]->at_ms > one->at_ms; k--)
            list[k] = list[k - 1];
        list[k] = one;
    }
}

/* The distinct values of s or n: an index for each. */
static int64_t value_key(const struct life *p, const struct question *q, const struct happening *h)
{
    if (q->value == 4)
        return h->s == -1 ? -1 : h->s == p->word ? 1 : 2; /* null is compared, a missing one not */
    if (q->value >= 2)
        return h->s < 0 ? -1 : h->s;
    if (h->n_as == AS_NOTHING)
        return -1;
    int64_t n = h->n_as == AS_NONSENSE ? 0 : h->n;
    bool is_text = h->n_as == AS_TEXT || h->n_as == AS_NONSENSE;
    return (n + 100000000) * 4 + (h->n_as == AS_NONSENSE) * 2 + is_text;
}

static struct answer error(void)
{
    return (struct answer){.type = VALUE_ERROR};
}

static struct answer recount_sequence(const struct life *p, const struct question *q, int64_t at_ms,
                                      uint32_t keep)
{
    const uint32_t count = q->step_count + q->without_count;
    static const struct happening *lists[5][ITEMS_MAX];
    uint32_t counts_[5] = {0};
    int64_t unsure_ms = INT64_MIN;
    bool is_unknown = false, is_true = false;
    for (uint32_t k = 0; k < count; k++) {
        uint32_t event = k < q->step_count ? q->steps[k] : q->without[k - q->step_count];
        int part = q->conditions[k];
        bool is_later = part >= LATER_FROM; /* what is now decides, of those that were kept */
        for (uint32_t i = 0; i < p->count; i++)
            if (p->all[i].event == event &&
                (part < 0 || is_later || part_holds(p, &p->all[i], (uint32_t)part)))
                lists[k][counts_[k]++] = &p->all[i];
        sort_stable(lists[k], counts_[k]);
        if (counts_[k] > keep) {
            int64_t forgot_ms = lists[k][counts_[k] - keep - 1]->at_ms;
            if (k > 0)
                unsure_ms = forgot_ms > unsure_ms ? forgot_ms : unsure_ms;
            else if (is_inside(p, q->window, forgot_ms, at_ms))
                is_unknown = true;
        }
        uint32_t from = counts_[k] > keep ? counts_[k] - keep : 0, left = 0;
        for (uint32_t i = 0; i < counts_[k] && is_later; i++)
            if (i >= from && part_holds(p, lists[k][i], (uint32_t)part))
                lists[k][left++] = lists[k][i];
        if (is_later)
            counts_[k] = left;
    }
    for (uint32_t i = counts_[0] > keep ? counts_[0] - keep : 0; i < counts_[0]; i++) {
        int64_t from_ms = lists[0][i]->at_ms, last_ms = from_ms;
        if (!is_inside(p, q->window, from_ms, at_ms))
            continue;
        if (from_ms <= unsure_ms) {
            is_unknown = true;
            continue;
        }
        /* Steps: the earliest of each at or behind the one before; never the same item twice. */
        bool is_chain = true;
        uint32_t place = i;
        for (uint32_t k = 1; k < q->step_count && is_chain; k++) {
            /* Of one event and the same condition: the next item. With another one: a later one. */
            bool is_again = q->steps[k] == q->steps[k - 1];
            bool is_same = is_again && q->conditions[k] == q->conditions[k - 1] &&
                           q->conditions[k] < LATER_FROM;
            uint32_t j = is_same ? place + 1 : 0;
            while (j < counts_[k] && lists[k][j]->at_ms < last_ms + (is_again && !is_same))
                j++;
            is_chain = j < counts_[k] && lists[k][j]->at_ms < from_ms + q->within_ms;
            if (is_chain)
                last_ms = lists[k][j]->at_ms;
            place = j;
        }
        int64_t to_ms = q->step_count > 1 ? last_ms + 1 : from_ms + q->within_ms;
        if (q->step_count == 1 && from_ms + q->within_ms > at_ms)
            is_chain = false;
        for (uint32_t k = q->step_count; k < count; k++)
            for (uint32_t j = 0; j < counts_[k]; j++)
                if (lists[k][j]->at_ms >= from_ms && lists[k][j]->at_ms < to_ms)
                    is_chain = false;
        is_true |= is_chain;
    }
    if (!is_true && is_unknown)
        return error();
    return (struct answer){.type = VALUE_BOOL, .integer = is_true};
}

static struct answer recount_number(const struct life *p, const struct question *q,
                                    const struct happening *const *list, uint32_t count)
{
    int64_t sum = 0, least = INT64_MAX, most = INT64_MIN, n = 0;
    for (uint32_t i = 0; i < count; i++) {
        int64_t x = list[i]->n;
        if (q->value == 4) {
            if (list[i]->s == -1)
                continue;
            x = list[i]->s == p->word ? 1000000 : 2000000;
        } else if (!has_number(list[i])) {
            continue;
        }
        sum += x;
        least = x < least ? x : least;
        most = x > most ? x : most;
        n++;
    }
    if (q->kind == BINDING_SUM)
        return (struct answer){.type = VALUE_DOUBLE, .number = (double)sum / 1e6};
    if (n == 0)
        return (struct answer){.type = VALUE_NONE};
    double x = q->kind == BINDING_AVERAGE ? (double)sum / (double)n / 1e6
               : q->kind == BINDING_LEAST ? (double)least / 1e6
                                          : (double)most / 1e6;
    return (struct answer){.type = VALUE_DOUBLE, .number = x};
}

static struct answer recount(const struct life *p, const struct question *q, int64_t at_ms,
                             uint32_t keep)
{
    static const struct happening *list[ITEMS_MAX], *kept[ITEMS_MAX];
    uint32_t count = 0, later = 0;
    if (q->kind == BINDING_SEQUENCE)
        return recount_sequence(p, q, at_ms, keep);
    for (uint32_t i = 0; i < p->count; i++)
        if (counts(p, q, &p->all[i], false) && is_inside(p, q->window, p->all[i].at_ms, at_ms))
            list[count++] = &p->all[i];
    sort_stable(list, count);
    bool is_later = q->value == 4 && q->kind >= BINDING_SUM && q->kind <= BINDING_DISTINCT;
    for (uint32_t i = 0; i < q->part_count; i++)
        is_later |= q->parts[i] >= LATER_FROM;
    bool is_of_items =
        is_later || (q->window && (q->kind == BINDING_COUNT ||
                                   (q->kind >= BINDING_SUM && q->kind < BINDING_DISTINCT) ||
                                   q->kind == BINDING_FIRST));
    if (q->kind == BINDING_COUNT && !q->is_sum && !is_later && keep > 2)
        keep = 2; /* "> 1" can be told of two */
    bool is_over = is_of_items && count > keep;
    uint32_t from = is_over ? count - keep : 0;
    for (uint32_t i = from; i < count; i++)
        if (counts(p, q, list[i], true))
            kept[later++] = list[i];
    int64_t last_ms = later ? kept[later - 1]->at_ms : INT64_MIN;
    if (q->kind == BINDING_SINCE && !later && is_over)
        return error();
    if ((q->kind == BINDING_DID || q->kind == BINDING_IDLE) && !later && is_over)
        return error();
    switch ((int)q->kind) {
    case BINDING_DID: return (struct answer){.type = VALUE_BOOL, .integer = later > 0};
    case BINDING_IDLE:
        last_ms = last_ms > p->first_seen_ms ? last_ms : p->first_seen_ms;
        return (struct answer){.type = VALUE_BOOL,
                               .integer = !is_inside(p, q->window, last_ms, at_ms)};
    case BINDING_SINCE:
        last_ms = last_ms > p->first_seen_ms ? last_ms : p->first_seen_ms;
        return (struct answer){.type = VALUE_TIME, .integer = last_ms};
    case BINDING_COUNT: return (struct answer){.type = VALUE_INT, .integer = later};
    case BINDING_SUM:
    case BINDING_LEAST:
    case BINDING_MOST:
    case BINDING_AVERAGE: return is_over ? error() : recount_number(p, q, kept, later);
    case BINDING_DISTINCT: {
        uint32_t seen = 0;
        if (is_over)
            return error();
        for (uint32_t i = 0; i < later; i++) {
            int64_t key = value_key(p, q, kept[i]);
            bool is_new = key != -1;
            for (uint32_t k = 0; k < i && is_new; k++)
                is_new = value_key(p, q, kept[k]) != key;
            seen += is_new;
        }
        if (!is_later && seen > keep)
            return error();
        return (struct answer){.type = VALUE_INT, .integer = seen};
    }
    case BINDING_FIRST:
    case BINDING_LAST: {
        bool is_first = q->kind == BINDING_FIRST;
        if (is_over && (is_first || later == 0))
            return error();
        if (later == 0)
            return (struct answer){.type = VALUE_NONE};
        const struct happening *h = is_first ? kept[0] : kept[later - 1];
        if (q->is_of_s)
            return h->s == -1   ? (struct answer){.type = VALUE_NONE}
                   : h->s == -2 ? (struct answer){.type = VALUE_NULL}
                                : (struct answer){.type = VALUE_TEXT, .s = h->s};
        if (h->n_as == AS_NOTHING)
            return (struct answer){.type = VALUE_NONE};
        if (h->n_as == AS_INT)
            return (struct answer){.type = VALUE_INT, .integer = h->n / 1000000};
        if (h->n_as == AS_DOUBLE)
            return (struct answer){.type = VALUE_DOUBLE, .number = (double)h->n / 1e6};
        return (struct answer){.type = VALUE_TEXT, .s = 100};
    }
    default: return error();
    }
}

static bool answer_equal(const struct answer *a, const struct value *v)
{
    if (a->type != v->type)
        return false;
    switch (a->type) {
    case VALUE_BOOL: return a->integer == v->boolean;
    case VALUE_INT:
    case VALUE_TIME: return a->integer == v->integer;
    case VALUE_DOUBLE: return a->number == v->number;
    case VALUE_TEXT: return a->s == 100 || str_is(v->text, words[a->s]);
    default: return true;
    }
}

static bool answers_equal(const struct answer *a, const struct answer *b)
{
    return a->type == b->type && a->integer == b->integer && a->number == b->number && a->s == b->s;
}

/* ---- one programme, one person ------------------------------------------------------------------- */

struct stage {
    struct trial trial;
    struct question questions[QUESTIONS];
    uint32_t keep;
    uint32_t names[array_count(event_names)];
    uint32_t n, s, d, limit, word;
    char files[QUESTIONS][2][64];
    char texts[QUESTIONS][760];
    char settings[256];
};

static void stage_begin(struct stage *t, uint64_t *seed, uint32_t keep)
{
    trial_begin(&t->trial);
    t->keep = keep;
    snprintf(t->settings, sizeof(t->settings),
             "name: T\nlimits: {history: %u}\ntraits:\n  limit: {type: int}\n  word: {type: "
             "string}\n  span: {type: int, max: %dh}\n",
             keep, SPAN_MOST);
    trial_put(&t->trial, STR("programme.yaml"), str_of(t->settings));
    for (uint32_t i = 0; i < QUESTIONS; i++) {
        t->questions[i] = question_random(seed);
        snprintf(t->files[i][0], 64, "messages/q%u/message.yaml", i);
        snprintf(t->files[i][1], 64, "messages/q%u/email.txt.liquid", i);
        snprintf(t->texts[i], sizeof(t->texts[i]),
                 "category: lifecycle\nonly_if: '%s'\nemail: {subject: Hello}\n",
                 t->questions[i].text);
        trial_put(&t->trial, str_of(t->files[i][0]), str_of(t->texts[i]));
        trial_put(&t->trial, str_of(t->files[i][1]), STR("Hello\n"));
    }
    if (trial_compile(&t->trial) != OK)
        fail_msg("%s", (const char *)t->trial.said.at);
    const struct plan *plan = t->trial.plan;
    for (uint32_t i = 0; i < QUESTIONS; i++) {
        char name[16];
        snprintf(name, sizeof(name), "q%u", i);
        uint16_t message = plan_message_find(plan, names_find(t->trial.names, str_of(name)));
        struct expr_reads reads = expr_reads(plan->messages[message].only_if.code);
        for (uint32_t k = 0; k < reads.binding_count; k++)
            if (plan->bindings[reads.bindings[k]].kind == BINDING_STEP)
                assert_int_equal(t->questions[i].kind, BINDING_SEQUENCE);
            else
                t->questions[i].binding = &plan->bindings[reads.bindings[k]];
        assert_non_null(t->questions[i].binding);
        assert_int_equal(t->questions[i].binding->kind, t->questions[i].kind);
    }
    /* Names appear in the log after the programme was compiled: prefixes see them all the same. */
    for (uint32_t i = 0; i < array_count(event_names); i++)
        t->names[i] = names_add(t->trial.names, str_of(event_names[i]));
    t->n = names_add(t->trial.names, STR("n"));
    t->s = names_add(t->trial.names, STR("s"));
    t->d = names_add(t->trial.names, STR("c.d"));
    t->limit = names_add(t->trial.names, STR("limit"));
    t->word = names_add(t->trial.names, STR("word"));
}

struct body_person {
    struct space space;
    struct profile profile;
    const struct plan *plans[2];
    struct plans versions;
    struct results results;
    struct arena scratch;
    struct buf bytes, record;
    uint8_t secret[192];
    struct person who;
};

static void person_begin(struct body_person *b, const struct stage *t, const struct life *p,
                         int64_t at_ms)
{
    *b = (struct body_person){.plans = {NULL, t->trial.plan}};
    space_init(&b->space);
    arena_init(&b->scratch, 4096);
    buf_init(&b->bytes);
    buf_init(&b->record);
    b->versions = (struct plans){.at = b->plans, .count = 2, .newest = 1};
    b->profile.first_seen_ms = p->first_seen_ms;
    b->who = (struct person){
        .space = &b->space,
        .profile = &b->profile,
        .id = profile_number(7, 1),
        .plans = &b->versions,
        .plan = t->trial.plan,
        .names = t->trial.names,
        .secret = b->secret,
        .scratch = &b->scratch,
        .bytes = &b->bytes,
        .results = &b->results,
        .at_ms = at_ms,
    };
    struct value limit = value_int(p->limit), word = value_text(str_of(words[p->word]));
    struct value zone = value_text(zoneset_name(
        t->trial.plan->zones, p->zone == zone_of_utc() ? t->trial.plan->zone : (uint16_t)0));
    for (uint16_t i = 0; i < 3; i++)
        if (zoneset_zone(t->trial.plan->zones, i) == p->zone)
            zone = value_text(zoneset_name(t->trial.plan->zones, i));
    traits_set(&b->who, t->limit, &limit, 1);
    traits_set(&b->who, t->word, &word, 1);
    traits_set(&b->who, NAME_TIMEZONE, &zone, 1);
}

static void person_end(struct body_person *b)
{
    features_clear(&b->space, &b->profile);
    blob_set(&b->space, &b->profile.traits, NULL, 0);
    assert_int_equal(b->space.live_bytes, 0); /* nothing was lost on the way */
    space_fini(&b->space);
    arena_fini(&b->scratch);
    buf_fini(&b->bytes);
    buf_fini(&b->record);
    mem_free(b->results.rows);
}

static struct happening happening_random(uint64_t *seed, int64_t now_ms)
{
    struct happening h = {.event = (uint32_t)below(seed, array_count(event_names))};
    h.at_ms = now_ms;
    if (below(seed, 3) == 0) /* late: seconds, hours, days */
        h.at_ms -= below(seed, below(seed, 3) ? 20 * MINUTE_MS : 4 * DAY_MS);
    if (below(seed, 4) == 0)
        h.at_ms -= h.at_ms % (5 * MINUTE_MS); /* several of one moment */
    h.n = (below(seed, 40) - 8) * 250000;
    h.n_as = (enum writing)below(seed, 5);
    if (h.n_as == AS_INT)
        h.n -= h.n % 1000000;
    h.s = (int)below(seed, 6) - 2;
    h.d = below(seed, 2) ? below(seed, 20) * 250000 : INT64_MIN;
    return h;
}

static void note(struct body_person *b, const struct stage *t, const struct happening *h)
{
    char text[32];
    b->record.len = 0;
    if (h->n_as == AS_INT)
        body_put_int(&b->record, t->n, h->n / 1000000);
    else if (h->n_as == AS_DOUBLE)
        body_put_double(&b->record, t->n, (double)h->n / 1e6);
    else if (h->n_as == AS_NONSENSE)
        body_put_text(&b->record, t->n, STR("many"));
    else if (h->n_as == AS_TEXT) {
        snprintf(text, sizeof(text), "%.2f", (double)h->n / 1e6);
        body_put_text(&b->record, t->n, str_of(text));
    }
    if (h->s >= 0)
        body_put_text(&b->record, t->s, str_of(words[h->s]));
    else if (h->s == -2)
        body_put_null(&b->record, t->s);
    if (h->d != INT64_MIN)
        body_put_double(&b->record, t->d, (double)h->d / 1e6);
    struct record r = {.type = RECORD_EVENT,
                       .kind = EVENT_TRACK,
                       .name = t->names[h->event],
                       .at_ms = b->who.at_ms,
                       .event_ms = h->at_ms,
                       .clear = body_of(&b->record)};
    b->who.event = &r;
    features_note(&b->who, t->trial.plan, NULL, 0);
    b->who.event = NULL;
    arena_reset(&b->scratch);
}

static struct value ask_now(struct body_person *b, const struct stage *t, const struct life *p,
                            const struct question *q, int64_t at_ms, int64_t *until_ms)
{
    const struct plan *plan = t->trial.plan;
    const struct value span = value_int(p->span);
    return ask_binding(&b->who, plan, (uint32_t)(q->binding - plan->bindings), &span,
                       q->binding->window_unit_ms != 0, at_ms, until_ms);
}

static void compare(struct body_person *b, const struct stage *t, const struct life *p,
                    int64_t at_ms, uint64_t *seed, uint64_t *errors)
{
    for (uint32_t i = 0; i < QUESTIONS; i++) {
        const struct question *q = &t->questions[i];
        int64_t until_ms;
        struct value v = ask_now(b, t, p, q, at_ms, &until_ms);
        struct answer wanted = recount(p, q, at_ms, t->keep);
        *errors += wanted.type == VALUE_ERROR;
        if (!answer_equal(&wanted, &v))
            fail_msg("%s at %ld with %u kept: %s %ld %g, wanted %s %ld %g", q->text,
                     at_ms - BEGIN_MS, t->keep, value_type_name(v.type), v.integer, v.number,
                     value_type_name(wanted.type), wanted.integer, wanted.number);
        assert_true(until_ms > at_ms);
        int64_t end_ms = until_ms == FOREVER_MS ? at_ms + 60 * DAY_MS : until_ms - 1;
        int64_t moments[] = {end_ms, at_ms + below(seed, end_ms - at_ms + 1),
                             at_ms + below(seed, end_ms - at_ms + 1)};
        for (size_t k = 0; k < array_count(moments); k++) {
            struct answer later = recount(p, q, moments[k], t->keep);
            if (!answers_equal(&wanted, &later))
                fail_msg("%s at %ld holds until %ld, but changes before %ld", q->text,
                         at_ms - BEGIN_MS, until_ms - BEGIN_MS, moments[k] - BEGIN_MS);
        }
        arena_reset(&b->scratch);
    }
}

static uint32_t setting(const char *name, uint32_t missing)
{
    const char *text = getenv(name);
    return text ? (uint32_t)strtoul(text, NULL, 10) : missing;
}

static void life_random(struct life *p, const struct stage *t, uint64_t *seed)
{
    p->count = 0;
    p->limit = below(seed, 5);
    p->word = (int)below(seed, array_count(words));
    p->span = 1 + below(seed, SPAN_MOST + 20);
    p->zone = zoneset_zone(t->trial.plan->zones, (uint16_t)below(seed, 3));
    p->first_seen_ms = BEGIN_MS - below(seed, 3 * DAY_MS);
}

static void kept_equals_a_recount(void **state)
{
    (void)state;
    static const uint32_t keeps[] = {256, 1, 3, 8, 4096, 20};
    struct life *p = mem_new(sizeof(*p));
    struct stage *t = mem_new(sizeof(*t));
    struct body_person *b = mem_new(sizeof(*b));
    uint32_t people = setting("FEATURE_PEOPLE", 60);
    uint32_t events = min_of(setting("FEATURE_EVENTS", 60), (uint32_t)ITEMS_MAX);
    uint64_t seed = setting("FEATURE_SEED", 1), errors = 0, asked = 0;
    for (uint32_t person = 0; person < people; person++) {
        if (person % 3 == 0) {
            if (person)
                trial_end(&t->trial);
            stage_begin(t, &seed, keeps[person / 3 % array_count(keeps)]);
        }
        life_random(p, t, &seed);
        int64_t now_ms = BEGIN_MS;
        person_begin(b, t, p, now_ms);
        int64_t pace_ms = person % 2 ? 20 * MINUTE_MS : 5 * HOUR_MS;
        uint32_t ask_every = max_of(1u, events / 30);
        while (p->count < events) {
            now_ms += below(&seed, pace_ms);
            b->who.at_ms = now_ms;
            struct happening h = happening_random(&seed, now_ms);
            p->all[p->count++] = h;
            note(b, t, &h);
            if (p->count % ask_every)
                continue;
            compare(b, t, p, now_ms, &seed, &errors);
            now_ms += below(&seed, 2) ? 0 : below(&seed, 3 * pace_ms);
            compare(b, t, p, now_ms, &seed, &errors);
            asked += 2 * QUESTIONS;
        }
        person_end(b);
    }
    trial_end(&t->trial);
    printf("%u people, %lu events, %lu answers compared, %lu of them errors\n", people,
           (uint64_t)people * events, asked, errors);
    assert_true(errors > 0); /* saturation was met */
    mem_free(b);
    mem_free(t);
    mem_free(p);
}

/* Two people who turn out to be one: as if all had been one person's, those of the one who stays first. */
static void united_equals_a_recount(void **state)
{
    (void)state;
    static const uint32_t keeps[] = {256, 2, 5, 1};
    struct life *lives[2] = {mem_new(sizeof(struct life)), mem_new(sizeof(struct life))};
    struct stage *t = mem_new(sizeof(*t));
    struct body_person *b = mem_new(2 * sizeof(*b));
    uint64_t seed = setting("FEATURE_SEED", 1) + 100, errors = 0;
    uint32_t people = setting("FEATURE_PEOPLE", 60);
    for (uint32_t person = 0; person < people; person++) {
        stage_begin(t, &seed, keeps[person % array_count(keeps)]);
        int64_t now_ms = BEGIN_MS;
        life_random(lives[0], t, &seed);
        life_random(lives[1], t, &seed);
        person_begin(&b[0], t, lives[0], now_ms);
        person_begin(&b[1], t, lives[1], now_ms);
        uint32_t apart = (uint32_t)below(&seed, 50);
        for (uint32_t i = 0; i < 60; i++) {
            uint32_t one = i < apart ? (uint32_t)below(&seed, 2) : 0;
            now_ms += below(&seed, 90 * MINUTE_MS);
            if (i == apart) {
                b[0].who.at_ms = now_ms;
                features_unite(&b[0].who, &b[1].who);
                memcpy(&lives[0]->all[lives[0]->count], lives[1]->all,
                       lives[1]->count * sizeof(lives[1]->all[0]));
                lives[0]->count += lives[1]->count;
                compare(&b[0], t, lives[0], now_ms, &seed, &errors);
            }
            b[one].who.at_ms = now_ms;
            struct happening h = happening_random(&seed, now_ms);
            lives[one]->all[lives[one]->count++] = h;
            note(&b[one], t, &h);
            compare(&b[one], t, lives[one], now_ms, &seed, &errors);
        }
        person_end(&b[0]);
        person_end(&b[1]);
        trial_end(&t->trial);
    }
    mem_free(b);
    mem_free(t);
    mem_free(lives[0]);
    mem_free(lives[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("what is kept says what a recount of everything says, and for how long",
             kept_equals_a_recount),
        TEST("two people's pasts united are one person's past", united_equals_a_recount),
    };
    return cmocka_run_group_tests_name("replay/feature", tests, NULL, NULL);
}
