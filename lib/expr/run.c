/* run.c - the machine: runs flat code over registers of values.
 *
 * Nothing is taken from the system: registers are on the stack, what is built goes to scratch. Work
 * that grows with data (loops, texts, lists) is paid for; straight code is bounded by its text.
 * Every operand that changes by time lowers until_ms as it is read, so what a jump skips does not
 * count.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "expr/expr_int.h"

/* The error that a failed operand stands for: a missing value says which it is. */
static struct value failure(const struct value *v)
{
    must(is_failed(v));
    if (v->type == VALUE_ERROR)
        return *v;
    return value_error(v->text.len ? v->text : STR("no such value"));
}

/* What a host says that is not after now is answered by the next millisecond, so that asking again
 * makes progress. */
static void note_until(struct machine *m, int64_t until_ms)
{
    must_slow(until_ms > m->host->now_ms);
    m->until_ms = min_of(m->until_ms, max_of(until_ms, m->host->now_ms + 1));
}

#define noinline __attribute__((noinline))

static noinline const struct value *load_slow(struct machine *m, uint32_t index, struct value *room)
{
    const struct expr_slot_use *use = &m->expr->slots[index];
    const struct expr_host *host = m->host;
    const struct value *v = room;
    if (use->slot < host->slot_count && host->slots[use->slot].type != EXPR_ASK) {
        v = &host->slots[use->slot];
    } else {
        int64_t until_ms = FOREVER_MS;
        *room = value_none();
        host->load(host->self, use->slot, room, &until_ms);
        note_until(m, until_ms);
    }
    if (v->type == VALUE_NONE) {
        *room = value_none();
        room->text = use->absent.text;
        return room;
    }
    return v;
}

static inline const struct value *load(struct machine *m, uint32_t index, struct value *room)
{
    uint32_t slot = m->expr->slots[index].slot;
    if (slot < m->host->slot_count) {
        const struct value *v = &m->host->slots[slot];
        if (likely(v->type != EXPR_ASK && v->type != VALUE_NONE))
            return v;
    }
    return load_slow(m, index, room);
}

/* A comparison off the fast path: 0, 1, or -1 with the error in *error. */
static noinline int compare(struct machine *m, const struct value *a, const struct value *b,
                            int mask, struct value *error)
{
    if (is_failed(a) || is_failed(b)) {
        *error = failure(is_failed(a) ? a : b);
        return -1;
    }
    /* An equality does not care for less and greater: bits 0 and 2 are the same. */
    if ((mask & 1) == (mask >> 2 & 1)) {
        int is_equal = value_equal(m, a, b);
        if (is_equal >= 0)
            return mask >> is_equal & 1;
        *error = m->is_over ? over_budget() : ERROR("values are nested too deeply");
        return -1;
    }
    int order = value_order(a, b);
    if (order < 0) {
        *error = no_such_overload();
        return -1;
    }
    return mask >> order & 1;
}

/* Writes a bool in two words. NOTE: assigning a whole struct makes the compiler build it in bytes and
 * copy it in 16, which stalls the processor's store buffer: a third of a predicate's time. */
static inline void put_bool(struct value *to, bool x)
{
    uint64_t head = VALUE_BOOL;
    memcpy(to, &head, sizeof(head));
    to->uinteger = x;
}

/* memcmp() == 0 without a call, which costs more than the texts that attributes usually are. */
static inline bool is_same_text(struct str a, struct str b)
{
    size_t len = a.len;
    if (len != b.len)
        return false;
    const char *x = a.at, *y = b.at;
    if (len >= 8) {
        const char *last = x + len - 8;
        for (; x < last; x += 8, y += 8)
            if (load_uint64_t(x) != load_uint64_t(y))
                return false;
        return load_uint64_t(last) == load_uint64_t(b.at + len - 8);
    }
    if (len >= 4)
        return load_uint32_t(x) == load_uint32_t(y) &&
               load_uint32_t(x + len - 4) == load_uint32_t(y + len - 4);
    if (len >= 2)
        return load_uint16_t(x) == load_uint16_t(y) && x[len - 1] == y[len - 1];
    return len == 0 || *x == *y;
}

/* Operands of an affine instruction: only registers hold values that move. */
static struct value steady_operand(const struct value *v, uint16_t operand)
{
    struct value copy = *v;
    if (operand >= OPERAND_SLOT)
        copy.pad[0] = 0;
    return copy;
}

static noinline int compare_affine(struct machine *m, const struct op *op, const struct value *x,
                                   const struct value *y, struct value *error)
{
    if (is_failed(x) || is_failed(y)) {
        *error = failure(is_failed(x) ? x : y);
        return -1;
    }
    struct value a = steady_operand(x, op->a), b = steady_operand(y, op->b);
    int64_t wait_ms;
    int is_true = affine_compare(&a, &b, op->how & OUTCOME_MASK, &wait_ms);
    if (is_true < 0)
        *error = no_such_overload();
    else if (wait_ms != FOREVER_MS)
        machine_wait(m, wait_ms);
    return is_true;
}

static noinline void add_affine(const struct op *op, const struct value *x, const struct value *y,
                                struct value *to)
{
    if (is_failed(x) || is_failed(y)) {
        *to = failure(is_failed(x) ? x : y);
        return;
    }
    struct value a = steady_operand(x, op->a), b = steady_operand(y, op->b);
    *to = affine_add(&a, &b, op->code == OP_ADD_AFFINE ? 1 : -1);
}

/* Lists and maps being built --------------------------------------------------------------------- */

static noinline void list_start(struct machine *m, struct value *builder, uint32_t room)
{
    room = max_of(room, 4u);
    struct value_list *list =
        machine_alloc(m, sizeof(*list) + (uint64_t)room * sizeof(struct value));
    if (list == NULL) {
        *builder = over_budget();
        return;
    }
    list->count = 0;
    *builder = (struct value){.type = VALUE_BUILDER, .sub_ns = room, .list = list};
}

static noinline void list_add(struct machine *m, struct value *builder, const struct value *item)
{
    if (builder->type != VALUE_BUILDER)
        return;
    if (is_failed(item)) {
        *builder = failure(item);
        return;
    }
    union {
        const struct value_list *read;
        struct value_list *write;
    } list = {builder->list};
    if (list.read->count == builder->sub_ns) {
        uint64_t room = (uint64_t)builder->sub_ns * 2;
        struct value_list *grown =
            room > UINT32_MAX ? NULL
                              : machine_alloc(m, sizeof(*grown) + room * sizeof(struct value));
        if (grown == NULL) {
            *builder = over_budget();
            return;
        }
        memcpy(grown, list.read, sizeof(*grown) + list.read->count * sizeof(struct value));
        builder->sub_ns = (uint32_t)room;
        builder->list = list.write = grown;
    }
    list.write->items[list.write->count++] = *item;
}

static noinline void map_start(struct machine *m, struct value *builder, uint32_t room)
{
    room = max_of(room, 4u);
    struct value_map *map =
        machine_alloc(m, sizeof(*map) + (uint64_t)room * sizeof(struct value_pair));
    if (map == NULL) {
        *builder = over_budget();
        return;
    }
    map->count = 0;
    *builder = (struct value){.type = VALUE_BUILDER, .sub_ns = room, .map = map};
}

static noinline void map_add(struct machine *m, struct value *builder, const struct value *key,
                             const struct value *value)
{
    if (builder->type != VALUE_BUILDER)
        return;
    if (is_failed(key) || is_failed(value)) {
        *builder = failure(is_failed(key) ? key : value);
        return;
    }
    if (key->type != VALUE_TEXT && key->type != VALUE_INT && key->type != VALUE_UINT &&
        key->type != VALUE_BOOL) {
        *builder = ERROR("unsupported key type");
        return;
    }
    if (map_find(m, builder->map, key) != NULL) {
        *builder = ERROR("Failed with repeated key");
        return;
    }
    union {
        const struct value_map *read;
        struct value_map *write;
    } map = {builder->map};
    if (map.read->count == builder->sub_ns) {
        uint64_t room = (uint64_t)builder->sub_ns * 2;
        struct value_map *grown =
            room > UINT32_MAX ? NULL
                              : machine_alloc(m, sizeof(*grown) + room * sizeof(struct value_pair));
        if (grown == NULL) {
            *builder = over_budget();
            return;
        }
        memcpy(grown, map.read, sizeof(*grown) + map.read->count * sizeof(struct value_pair));
        builder->sub_ns = (uint32_t)room;
        builder->map = map.write = grown;
    }
    map.write->pairs[map.write->count++] = (struct value_pair){*key, *value};
}

static noinline void map_merge(struct machine *m, struct value *builder, const struct value *map)
{
    if (is_failed(map)) {
        if (builder->type == VALUE_BUILDER)
            *builder = failure(map);
        return;
    }
    if (map->type != VALUE_MAP) {
        if (builder->type == VALUE_BUILDER)
            *builder = no_such_overload();
        return;
    }
    for (uint32_t i = 0; i < map->map->count; i++)
        map_add(m, builder, &map->map->pairs[i].key, &map->map->pairs[i].value);
}

/* What ?x adds: whether there is anything, then *item is it. */
static bool maybe_item(struct value *builder, const struct value **item)
{
    if (is_failed(*item))
        return true;
    if ((*item)->type != VALUE_OPTIONAL) {
        if (builder->type == VALUE_BUILDER)
            *builder = no_such_overload();
        return false;
    }
    if (!optional_holds(*item))
        return false;
    *item = &(*item)->list->items[0];
    return true;
}

/* Loops ----------------------------------------------------------------------------------------- */

static bool iterate(const struct value *range, struct value *iterator, struct value *error)
{
    if (is_failed(range)) {
        *error = failure(range);
        return false;
    }
    if (range->type != VALUE_LIST && range->type != VALUE_MAP) {
        *error = no_such_overload();
        return false;
    }
    *iterator = (struct value){.type = VALUE_ITERATOR, .list = range->list};
    iterator->pad[1] = range->type == VALUE_MAP;
    return true;
}

/* The next item into the loop's variables, or false. */
static bool next_item(struct value *iterator, uint32_t variables, struct value *a, struct value *b)
{
    uint32_t at = iterator->sub_ns;
    if (iterator->pad[1]) {
        if (at >= iterator->map->count)
            return false;
        *a = iterator->map->pairs[at].key;
        if (variables == 2)
            *b = iterator->map->pairs[at].value;
    } else {
        if (at >= iterator->list->count)
            return false;
        if (variables == 2) {
            *a = value_int(at);
            *b = iterator->list->items[at];
        } else {
            *a = iterator->list->items[at];
        }
    }
    a->pad[0] = 0;
    b->pad[0] = 0;
    iterator->sub_ns++;
    return true;
}

/* Merges two sorted runs of indices. */
static bool merge(const struct value *keys, const uint32_t *from, uint32_t *to, uint32_t left,
                  uint32_t middle, uint32_t right)
{
    uint32_t i = left, k = middle;
    for (uint32_t n = left; n < right; n++) {
        bool is_left = k >= right;
        if (i < middle && k < right) {
            int order = value_order(&keys[from[i]], &keys[from[k]]);
            if (order < 0)
                return false;
            is_left = order != 2;
        }
        to[n] = from[is_left ? i++ : k++];
    }
    return true;
}

/* The list in the order of its keys, stable. */
struct value value_sort(struct machine *m, const struct value *list, const struct value *keys)
{
    if (is_failed(keys))
        return failure(keys);
    if (list->type != VALUE_LIST || keys->type != VALUE_LIST)
        return no_such_overload();
    uint32_t count = list->list->count;
    must(keys->list->count == count);
    if (count < 2)
        return *list;
    uint32_t *from = machine_alloc(m, (uint64_t)count * sizeof(uint32_t));
    uint32_t *to = machine_alloc(m, (uint64_t)count * sizeof(uint32_t));
    struct value_list *sorted =
        machine_alloc(m, sizeof(*sorted) + (uint64_t)count * sizeof(struct value));
    if (sorted == NULL || from == NULL || to == NULL || !machine_pay(m, (uint64_t)count * 32))
        return over_budget();
    for (uint32_t i = 0; i < count; i++)
        from[i] = i;
    for (uint64_t run = 1; run < count; run *= 2) {
        for (uint64_t left = 0; left < count; left += run * 2)
            if (!merge(keys->list->items, from, to, (uint32_t)left,
                       (uint32_t)min_of(left + run, (uint64_t)count),
                       (uint32_t)min_of(left + run * 2, (uint64_t)count)))
                return no_such_overload();
        uint32_t *spare = from;
        from = to;
        to = spare;
    }
    sorted->count = count;
    for (uint32_t i = 0; i < count; i++)
        sorted->items[i] = list->list->items[from[i]];
    return value_list_of(sorted);
}

/* Calls ----------------------------------------------------------------------------------------- */

static noinline struct value call(struct machine *m, const struct op *op,
                                  const struct value *arguments, bool is_affine)
{
    for (uint32_t i = 0; i < op->b; i++)
        if (is_failed(&arguments[i]))
            return failure(&arguments[i]);
    if (!machine_pay(m, 4))
        return over_budget();
    const struct function *f = &function_table[op->extra];
    m->is_affine = is_affine;
    struct value v = f->code(m, arguments, op->b);
    m->is_affine = false;
    return v;
}

static noinline void call_host(struct machine *m, const struct op *op,
                               const struct value *arguments, struct value *out)
{
    for (uint32_t i = 0; i < op->b; i++) {
        if (is_failed(&arguments[i])) {
            *out = failure(&arguments[i]);
            return;
        }
    }
    if (!machine_pay(m, 16)) {
        *out = over_budget();
        return;
    }
    int64_t until_ms = FOREVER_MS;
    struct value v = value_none();
    m->host->call(m->host->self, m->expr->bindings[op->extra], arguments, op->b, m->scratch, &v,
                  &until_ms);
    note_until(m, until_ms);
    v.pad[0] = 0;
    if (v.type == VALUE_NONE)
        v.text = STR("no such value");
    *out = v;
}

static struct value has(const struct value *v)
{
    return v->type == VALUE_ERROR ? *v : value_bool(v->type != VALUE_NONE);
}

/* The machine ----------------------------------------------------------------------------------- */

#define FETCH(o, which)                                    \
    ((o) < OPERAND_SLOT    ? &r[o]                         \
     : ((o)&OPERAND_CONST) ? &constants[(o)&OPERAND_INDEX] \
                           : load(m, (o)&OPERAND_INDEX, &m->loaded[which]))

#define NEXT()                  \
    do {                        \
        op++;                   \
        goto *labels[op->code]; \
    } while (0)

#define GO(target)              \
    do {                        \
        op = ops + (target);    \
        goto *labels[op->code]; \
    } while (0)

/* The strict operators: an error of an operand is the error of the result. */
#define STRICT(expression)                                             \
    do {                                                               \
        const struct value *a = FETCH(op->a, 0), *b = FETCH(op->b, 1); \
        if (unlikely(is_failed(a) || is_failed(b)))                    \
            r[op->to] = failure(is_failed(a) ? a : b);                 \
        else                                                           \
            r[op->to] = (expression);                                  \
        NEXT();                                                        \
    } while (0)

/* Runs from instruction `at` on; those before it are comparisons of the outermost chain that did not
 * stop it, and what they read holds until until_ms. */
static noinline void run_from(const struct expr *expr, const struct expr_host *host,
                              struct arena *scratch, uint32_t at, int64_t until_ms,
                              struct expr_result *result)
{
    static const void *const labels[] = {
#define X(name, doc) [OP_##name] = &&do_##name,
        OPS(X)
#undef X
    };
    struct value r[REGISTERS_MAX]; /* each is written before it is read */
    struct machine machine;        /* `loaded` too */
    struct machine *const m = &machine;
    struct value *const out = &result->value;
    const uint64_t cost_max = host->cost_max ? host->cost_max : EXPR_COST_DEFAULT;
    const struct op *const ops = expr->ops;
    const struct value *const constants = expr->constants;
    const struct op *op = ops + at;
    struct value error;
    int is_true;
    m->expr = expr;
    m->host = host;
    m->scratch = scratch;
    m->until_ms = until_ms;
    m->cost_left = (int64_t)min_of(cost_max, (uint64_t)INT64_MAX);
    m->is_over = false;
    m->is_affine = false;
    if (at > 0)
        put_bool(&r[0], expr->quick_end);
    goto *labels[op->code];

do_END : {
    const struct value *a = FETCH(op->a, 0);
    if (likely(a->type == VALUE_BOOL))
        put_bool(out, a->boolean);
    else if (a->type == VALUE_OPTIONAL && !expr->keeps_optional)
        *out = optional_holds(a) ? a->list->items[0] : value_none();
    else
        *out = *a;
    goto end;
}

do_MOVE : {
    const struct value *a = FETCH(op->a, 0);
    uint16_t from = op->a;
    r[op->to] = *a;
    if (from >= OPERAND_SLOT)
        r[op->to].pad[0] = 0;
    NEXT();
}

do_NOW:
    r[op->to] = value_time(m->host->now_ms);
    r[op->to].pad[0] = !expr->is_once;
    NEXT();

do_COMPARE : {
    const struct value *a = FETCH(op->a, 0), *b = FETCH(op->b, 1);
    int order;
    if (likely(a->type == b->type)) {
        if (a->type == VALUE_INT) {
            order = 1 + (a->integer > b->integer) - (a->integer < b->integer);
            is_true = op->how >> order & 1;
            goto outcome;
        }
        if (a->type == VALUE_TEXT) {
            if ((op->how & 1) == (op->how >> 2 & 1)) {
                order = is_same_text(a->text, b->text);
            } else {
                order = str_order(a->text, b->text);
                order = 1 + (order > 0) - (order < 0);
            }
            is_true = op->how >> order & 1;
            goto outcome;
        }
        if (a->type == VALUE_DOUBLE) {
            double x = a->number, y = b->number;
            order = x < y ? 0 : x == y ? 1 : x > y ? 2 : 3;
            is_true = op->how >> order & 1;
            goto outcome;
        }
    }
    is_true = compare(m, a, b, op->how & OUTCOME_MASK, &error);
    goto outcome;
}

do_COMPARE_AFFINE : {
    const struct value *a = FETCH(op->a, 0), *b = FETCH(op->b, 1);
    is_true = compare_affine(m, op, a, b, &error);
    goto outcome;
}

do_IN : {
    const struct value *a = FETCH(op->a, 0), *b = FETCH(op->b, 1);
    if (unlikely(is_failed(a) || is_failed(b)))
        error = failure(is_failed(a) ? a : b);
    else
        error = value_in(m, a, b);
    is_true = error.type == VALUE_BOOL ? op->how >> error.boolean & 1 : -1;
    goto outcome;
}

do_TEST : {
    const struct value *a = FETCH(op->a, 0);
    if (likely(a->type == VALUE_BOOL)) {
        is_true = a->boolean ^ (op->how >> 7);
    } else {
        is_true = -1;
        error = is_failed(a) ? failure(a) : ERROR("no such overload: a bool is needed");
    }
    goto outcome;
}

outcome:
    if (unlikely(is_true < 0)) {
        if ((op->how & OUTCOME_WRITE) || !is_failed(&r[op->to]))
            r[op->to] = error;
        NEXT();
    }
    if ((op->how & OUTCOME_JUMP) && is_true == ((op->how & OUTCOME_OR) != 0)) {
        put_bool(&r[op->to], is_true);
        GO(op->jump);
    }
    if (op->how & OUTCOME_WRITE)
        put_bool(&r[op->to], is_true);
    NEXT();

do_HAS : {
    struct value v = has(FETCH(op->a, 0));
    r[op->to] = v;
    NEXT();
}

do_NOT : {
    const struct value *a = FETCH(op->a, 0);
    r[op->to] = is_failed(a)            ? failure(a)
                : a->type == VALUE_BOOL ? value_bool(!a->boolean)
                                        : no_such_overload();
    NEXT();
}

do_NEGATE : {
    const struct value *a = FETCH(op->a, 0);
    r[op->to] = is_failed(a) ? failure(a) : value_negate(a);
    NEXT();
}

do_ADD : {
    const struct value *a = FETCH(op->a, 0), *b = FETCH(op->b, 1);
    if (unlikely(is_failed(a) || is_failed(b)))
        r[op->to] = failure(is_failed(a) ? a : b);
    else
        r[op->to] = value_add(m, a, b);
    r[op->to].pad[0] = 0;
    NEXT();
}

do_SUBTRACT:
    STRICT(value_subtract(m, a, b));
do_MULTIPLY:
    STRICT(value_multiply(a, b));
do_DIVIDE:
    STRICT(value_divide(a, b));
do_MODULO:
    STRICT(value_modulo(a, b));

do_ADD_AFFINE:
do_SUBTRACT_AFFINE : {
    const struct value *a = FETCH(op->a, 0), *b = FETCH(op->b, 1);
    add_affine(op, a, b, &r[op->to]);
    NEXT();
}

do_SELECT : {
    const struct value *a = FETCH(op->a, 0);
    struct value v = is_failed(a) ? failure(a) : value_select(m, a, FETCH(op->b, 1), op->how);
    v.pad[0] = 0;
    r[op->to] = v;
    NEXT();
}

do_INDEX : {
    const struct value *a = FETCH(op->a, 0), *b = FETCH(op->b, 1);
    struct value v = is_failed(a)   ? failure(a)
                     : is_failed(b) ? failure(b)
                                    : value_index(m, a, b, op->how & 2);
    v.pad[0] = 0;
    r[op->to] = v;
    NEXT();
}

do_JUMP:
    GO(op->jump);

do_CHOOSE : {
    const struct value *a = FETCH(op->a, 0);
    if (likely(a->type == VALUE_BOOL)) {
        if (a->boolean)
            NEXT();
        GO(op->jump);
    }
    r[op->to] = is_failed(a) ? failure(a) : no_such_overload();
    GO(op->extra);
}

do_ITERATE:
    if (iterate(FETCH(op->a, 0), &r[op->to], &r[op->b]))
        NEXT();
    GO(op->jump);

do_NEXT:
    if (unlikely(!machine_pay(m, op->extra)))
        goto end;
    if (next_item(&r[op->to], op->how, &r[op->a], &r[op->b ? op->b : op->a]))
        NEXT();
    GO(op->jump);

do_LOOP_TEST : {
    const struct value *a = FETCH(op->a, 0);
    if (likely(a->type == VALUE_BOOL)) {
        if (a->boolean)
            NEXT();
        GO(op->jump);
    }
    r[op->to] = is_failed(a) ? failure(a) : no_such_overload();
    GO(op->extra);
}

do_COUNT_ONE : {
    const struct value *a = FETCH(op->a, 0);
    if (likely(a->type == VALUE_BOOL)) {
        r[op->to].integer += a->boolean;
        NEXT();
    }
    r[op->to] = is_failed(a) ? failure(a) : no_such_overload();
    GO(op->jump);
}

do_IS_ONE:
    if (r[op->to].type == VALUE_INT)
        r[op->to] = value_bool(r[op->to].integer == 1);
    NEXT();

do_LIST_START:
    list_start(m, &r[op->to], op->extra);
    NEXT();

do_LIST_ADD : {
    const struct value *a = FETCH(op->a, 0);
    if (!op->how || maybe_item(&r[op->to], &a))
        list_add(m, &r[op->to], a);
    NEXT();
}

do_LIST_END:
    if (r[op->to].type == VALUE_BUILDER)
        r[op->to] = value_list_of(r[op->to].list);
    NEXT();

do_MAP_START:
    map_start(m, &r[op->to], op->extra);
    NEXT();

do_MAP_ADD : {
    const struct value *a = FETCH(op->a, 0), *b = FETCH(op->b, 1);
    if (!op->how || maybe_item(&r[op->to], &b))
        map_add(m, &r[op->to], a, b);
    NEXT();
}

do_MAP_MERGE:
    map_merge(m, &r[op->to], FETCH(op->a, 0));
    NEXT();

do_MAP_END:
    if (r[op->to].type == VALUE_BUILDER)
        r[op->to] = value_map_of(r[op->to].map);
    NEXT();

do_OPT_START : {
    const struct value *a = FETCH(op->a, 0);
    if (a->type == VALUE_OPTIONAL && optional_holds(a)) {
        r[op->b] = a->list->items[0];
        NEXT();
    }
    r[op->to] = is_failed(a) ? failure(a) : a->type == VALUE_OPTIONAL ? *a : no_such_overload();
    GO(op->jump);
}

do_OPT_WRAP : {
    const struct value *a = FETCH(op->a, 0);
    r[op->to] = is_failed(a) ? failure(a) : optional_of(m, a);
    NEXT();
}

do_OPT_OR : {
    struct value *v = &r[op->to];
    if (v->type == VALUE_OPTIONAL && !optional_holds(v))
        NEXT();
    if (is_failed(v))
        *v = failure(v);
    else if (v->type != VALUE_OPTIONAL)
        *v = no_such_overload();
    else if (op->how)
        *v = v->list->items[0];
    GO(op->jump);
}

do_CALL : {
    struct value v = call(m, op, &r[op->a], false);
    v.pad[0] = 0;
    r[op->to] = v;
    NEXT();
}

do_CALL_AFFINE : {
    struct value v = call(m, op, &r[op->a], true);
    v.pad[0] = 0;
    r[op->to] = v;
    NEXT();
}

do_CALL_HOST : {
    struct value v;
    call_host(m, op, &r[op->a], &v);
    r[op->to] = v;
    NEXT();
}

do_MATCHES : {
    const struct value *a = FETCH(op->a, 0);
    if (unlikely(a->type != VALUE_TEXT))
        r[op->to] = is_failed(a) ? failure(a) : no_such_overload();
    else if (!machine_pay(m, a->text.len / 16 + 4))
        r[op->to] = over_budget();
    else
        r[op->to] = value_bool(regex_finds(expr->patterns[op->extra], a->text.at, a->text.len));
    NEXT();
}

do_SORT : {
    struct value v = value_sort(m, FETCH(op->a, 0), FETCH(op->b, 1));
    r[op->to] = v;
    NEXT();
}

end:
    if (unlikely(m->is_over))
        *out = over_budget();
    out->pad[0] = 0;
    result->until_ms = m->until_ms;
    result->cost = cost_max - (uint64_t)m->cost_left;
}

/* Asks the host for a slot of the quick front. Of `room` only the type is read where nothing is there. */
static inline void ask(const struct expr_host *host, uint32_t slot, struct value *room,
                       int64_t *until_ms)
{
    int64_t slot_until_ms = FOREVER_MS;
    uint64_t head = VALUE_NONE;
    memcpy(room, &head, sizeof(head));
    host->load(host->self, slot, room, &slot_until_ms);
    must_slow(slot_until_ms > host->now_ms);
    if (slot_until_ms < *until_ms)
        *until_ms = max_of(slot_until_ms, host->now_ms + 1);
}

/* The tests: is the value, which is of the right type, inside? */
static inline bool is_in_INT(const struct quick *q, const struct value *v)
{
    return v->uinteger - q->low <= q->span;
}

static inline bool is_in_POSITIVE(const struct quick *q, const struct value *v)
{
    return is_in_INT(q, v); /* a double's bits are the same eight bytes */
}

static inline bool is_in_DOUBLE(const struct quick *q, const struct value *v)
{
    return v->number >= q->least && v->number <= q->most;
}

static inline bool is_in_BOOL(const struct quick *q, const struct value *v)
{
    (void)q;
    return v->boolean;
}

static inline bool is_in_TEXT_0(const struct quick *q, const struct value *v)
{
    (void)q;
    return v->text.len == 0;
}

static inline bool is_in_TEXT_1(const struct quick *q, const struct value *v)
{
    return likely(v->text.len == 1) && (uint8_t)v->text.at[0] == (uint8_t)q->first;
}

static inline bool is_in_TEXT_2(const struct quick *q, const struct value *v)
{
    return likely(v->text.len == 2) && load_uint16_t(v->text.at) == (uint16_t)q->first;
}

static inline bool is_in_TEXT_3(const struct quick *q, const struct value *v)
{
    return likely(v->text.len == 3) && load_uint16_t(v->text.at) == (uint16_t)q->first &&
           (uint8_t)v->text.at[2] == (uint8_t)q->last;
}

static inline bool is_in_TEXT_4(const struct quick *q, const struct value *v)
{
    return likely(v->text.len == 4) && load_uint32_t(v->text.at) == (uint32_t)q->first;
}

static inline bool is_in_TEXT_TO_7(const struct quick *q, const struct value *v)
{
    return likely(v->text.len == q->len) && load_uint32_t(v->text.at) == (uint32_t)q->first &&
           load_uint32_t(v->text.at + q->len - 4) == (uint32_t)q->last;
}

static inline bool is_in_TEXT_8(const struct quick *q, const struct value *v)
{
    return likely(v->text.len == 8) && load_uint64_t(v->text.at) == q->first;
}

static inline bool is_in_TEXT_TO_16(const struct quick *q, const struct value *v)
{
    return likely(v->text.len == q->len) && load_uint64_t(v->text.at) == q->first &&
           load_uint64_t(v->text.at + q->len - 8) == q->last;
}

static inline void answer(struct expr_result *out, bool x, int64_t until_ms)
{
    put_bool(&out->value, x);
    out->until_ms = until_ms;
    out->cost = 0;
}

/* Does the chain go on behind this test? -1: the value is absent or of another type. */
static int goes_on(const struct quick *q, const struct value *v)
{
    bool is_outside = q->code & 1;
    switch (q->code >> 1) {
#define X(name, kind) \
    case QUICK_##name: return v->type == (kind) ? is_in_##name(q, v) != is_outside : -1;
        QUICK_TESTS(X)
#undef X
    case QUICK_TEXT:
        return v->type == VALUE_TEXT ? is_same_text(v->text, q->text) != is_outside : -1;
    }
    must(!"a test");
    return -1;
}

/* The quick front from test `q` on, where the host may want to be asked. */
static noinline void run_asking(const struct expr *expr, const struct expr_host *host,
                                struct arena *scratch, struct expr_result *out,
                                const struct quick *q)
{
    int64_t until_ms = FOREVER_MS;
    for (; q->code < QUICK_END; q++) {
        struct value room;
        const struct value *v = &room;
        if (q->slot < host->slot_count && host->slots[q->slot].type != EXPR_ASK)
            v = &host->slots[q->slot];
        else
            ask(host, q->slot, &room, &until_ms);
        int is_on = goes_on(q, v);
        if (unlikely(is_on < 0))
            break;
        if (!is_on) {
            answer(out, expr->quick_stop, until_ms);
            return;
        }
    }
    if (q->code == QUICK_END)
        answer(out, expr->quick_end, until_ms);
    else
        run_from(expr, host, scratch, q->op, until_ms, out);
}

/* The front itself: a function for each test, which jumps to the next one by itself, so that there is
 * neither a loop nor a stack. What a chain costs is the jumps more than the tests, taken ones above all.
 * So going on is what lies straight ahead; each test has a form that is the last of its chain and
 * answers; and each has one that does a comparison of an int or a double before it: two tests, one jump.
 * The arguments stand as expr_run() has them, which moves none. What costs registers is left to
 * run_asking(). */
#define QUICK_ARGUMENTS                                                           \
    const struct expr *expr, const struct expr_host *host, struct arena *scratch, \
        struct expr_result *out, const struct quick *q, const char *slots

/* Goes on behind test `q`, or answers that the chain stops. */
#define QUICK_STEP(name, kind, is_inside)              \
    v = (const void *)(slots + q->at);                 \
    if (unlikely(v->type != (kind))) {                 \
        run_asking(expr, host, scratch, out, q);       \
        return;                                        \
    }                                                  \
    if (unlikely(is_in_##name(q, v) != (is_inside))) { \
        answer(out, expr->quick_stop, FOREVER_MS);     \
        return;                                        \
    }                                                  \
    q++

#define QUICK_FORM(form, name, kind, is_inside, first, last) \
    static void form##_##name(QUICK_ARGUMENTS)               \
    {                                                        \
        const struct value *v;                               \
        first;                                               \
        QUICK_STEP(name, kind, is_inside);                   \
        last;                                                \
    }

#define QUICK_FORMS(name, kind, side, is_inside)                                               \
    QUICK_FORM(side, name, kind, is_inside, , QUICK_ON)                                        \
    QUICK_FORM(side##_last, name, kind, is_inside, , QUICK_LAST)                               \
    QUICK_FORM(side##_after_int, name, kind, is_inside, QUICK_STEP(INT, VALUE_INT, true),      \
               QUICK_ON)                                                                       \
    QUICK_FORM(side##_after_int_last, name, kind, is_inside, QUICK_STEP(INT, VALUE_INT, true), \
               QUICK_LAST)                                                                     \
    QUICK_FORM(side##_after_double, name, kind, is_inside,                                     \
               QUICK_STEP(POSITIVE, VALUE_DOUBLE, true), QUICK_ON)                             \
    QUICK_FORM(side##_after_double_last, name, kind, is_inside,                                \
               QUICK_STEP(POSITIVE, VALUE_DOUBLE, true), QUICK_LAST)
#define QUICK_ON   q->run(expr, host, scratch, out, q, slots)
#define QUICK_LAST answer(out, expr->quick_end, FOREVER_MS)

#define X(name, kind)                     \
    QUICK_FORMS(name, kind, inside, true) \
    QUICK_FORMS(name, kind, outside, false)
QUICK_TESTS(X)
#undef X

static void quick_ask(QUICK_ARGUMENTS)
{
    (void)slots;
    run_asking(expr, host, scratch, out, q);
}

static void quick_machine(QUICK_ARGUMENTS)
{
    (void)slots;
    run_from(expr, host, scratch, q->op, FOREVER_MS, out);
}

quick_code quick_choose(const struct quick *q)
{
#define FORMS(side, name)                                                                         \
    {                                                                                             \
        side##_##name, side##_last_##name, side##_after_int_##name, side##_after_int_last_##name, \
            side##_after_double_##name, side##_after_double_last_##name                           \
    }
#define X(name, kind) FORMS(inside, name), FORMS(outside, name),
    static const quick_code forms[2 * QUICK_TEXT][6] = {QUICK_TESTS(X)};
#undef X
#undef FORMS
    bool is_pair =
        (q->code == 2 * QUICK_INT || q->code == 2 * QUICK_POSITIVE) && q[1].code < 2 * QUICK_TEXT;
    const struct quick *last = q + is_pair;
    if (q->code >= QUICK_END)
        return quick_machine; /* QUICK_END is never jumped to: the test before it answers */
    if (last->code >= 2 * QUICK_TEXT)
        return quick_ask;
    uint32_t pair = !is_pair ? 0 : q->code == 2 * QUICK_INT ? 2 : 4;
    return forms[last->code][pair + (last[1].code == QUICK_END)];
}

void expr_run(const struct expr *expr, const struct expr_host *host, struct arena *scratch,
              struct expr_result *out)
{
    const struct quick *q = expr->quick;
    if (unlikely(host->slot_count < expr->quick_slots))
        run_asking(expr, host, scratch, out, q);
    else
        q->run(expr, host, scratch, out, q, (const char *)host->slots);
}
