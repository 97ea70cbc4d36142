/* What timers.h promises, against a plain array that is searched from end to end.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "when/timers.h"

#include "base/hash.h"
#include "test.h"

#define NODES 300

/* The oracle: when each node is due, or FOREVER_MS. */
struct plain {
    int64_t due_ms[NODES];
};

static void plain_init(struct plain *p)
{
    for (uint32_t node = 0; node < NODES; node++)
        p->due_ms[node] = FOREVER_MS;
}

/* The node that is first in the order of (due, node). */
static uint32_t plain_first(const struct plain *p)
{
    uint32_t first = 0;

    for (uint32_t node = 1; node < NODES; node++)
        if (p->due_ms[node] < p->due_ms[first])
            first = node;
    return first;
}

static uint32_t plain_count(const struct plain *p)
{
    uint32_t count = 0;

    for (uint32_t node = 0; node < NODES; node++)
        count += p->due_ms[node] != FOREVER_MS;
    return count;
}

/* A pseudo-random number below `below`, the same in every run. */
static uint64_t chance(uint64_t *seed, uint64_t below)
{
    return hash_pair(++*seed, below) % below;
}

/* One random step on both; all answers must agree. */
static void step(struct timers *t, struct plain *p, uint64_t *seed, uint64_t due_range)
{
    uint32_t node = (uint32_t)chance(seed, NODES);
    struct timer got;

    switch (chance(seed, 4)) {
    case 0:
    case 1: {
        /* Few different deadlines, so that ties are common. */
        int64_t due_ms = (int64_t)chance(seed, due_range) - (int64_t)due_range / 4;
        if (chance(seed, 20) == 0)
            due_ms = FOREVER_MS;
        timers_set(t, node, due_ms);
        p->due_ms[node] = due_ms;
        break;
    }
    case 2:
        assert_int_equal(timers_drop(t, node), p->due_ms[node] != FOREVER_MS);
        p->due_ms[node] = FOREVER_MS;
        break;
    default: {
        int64_t now_ms = (int64_t)chance(seed, due_range / 4);
        for (int popped = 0; popped < 3; popped++) {
            uint32_t first = plain_first(p);
            bool is_due = p->due_ms[first] <= now_ms;
            assert_int_equal(timers_pop(t, now_ms, &got), is_due);
            if (!is_due)
                break;
            assert_int_equal(got.node, first);
            assert_true(got.due_ms == p->due_ms[first]);
            p->due_ms[first] = FOREVER_MS;
        }
        break;
    }
    }
    assert_true(timers_next(t) == p->due_ms[plain_first(p)]);
    assert_true(timers_due_ms(t, node) == p->due_ms[node]);
    assert_int_equal(t->count, plain_count(p));
    timers_check(t);
}

static void agrees(void **state)
{
    (void)state;
    static const uint64_t ranges[] = {4, 64, 100000};

    for (size_t i = 0; i < array_count(ranges); i++) {
        struct timers t;
        struct plain p;
        uint64_t seed = ranges[i] * 1000003;

        timers_init(&t);
        plain_init(&p);
        for (int n = 0; n < 20000; n++)
            step(&t, &p, &seed, ranges[i]);
        timers_fini(&t);
    }
}

static void has_one_order(void **state)
{
    (void)state;
    /* The same deadlines put in forwards, backwards and shuffled come out alike. */
    enum { COUNT = 1000, WAYS = 3 };
    static struct timer out[WAYS][COUNT];

    for (int way = 0; way < WAYS; way++) {
        struct timers t;
        timers_init(&t);
        for (uint32_t i = 0; i < COUNT; i++) {
            uint32_t node = way == 0 ? i : way == 1 ? COUNT - 1 - i : i * 7 % COUNT;
            timers_set(&t, node, (int64_t)(node % 10));
        }
        for (uint32_t i = 0; i < COUNT; i++)
            assert_true(timers_pop(&t, 10, &out[way][i]));
        assert_false(timers_pop(&t, FOREVER_MS, &out[way][0]));
        timers_fini(&t);
    }
    for (uint32_t i = 0; i < COUNT; i++) {
        assert_int_equal(out[0][i].due_ms, i / (COUNT / 10));
        assert_int_equal(out[0][i].node, i % (COUNT / 10) * 10 + i / (COUNT / 10));
        assert_memory_equal(&out[0][i].due_ms, &out[1][i].due_ms, sizeof(int64_t));
        assert_int_equal(out[0][i].node, out[1][i].node);
        assert_int_equal(out[0][i].node, out[2][i].node);
    }
}

static void is_empty_at_first(void **state)
{
    (void)state;
    struct timers t;
    struct timer out;

    timers_init(&t);
    assert_true(timers_next(&t) == FOREVER_MS);
    assert_true(timers_due_ms(&t, 0) == FOREVER_MS);
    assert_true(timers_due_ms(&t, TIMERS_NODE_MAX - 1) == FOREVER_MS);
    assert_false(timers_drop(&t, 12));
    assert_false(timers_pop(&t, FOREVER_MS, &out));
    timers_set(&t, 5, FOREVER_MS);
    assert_int_equal(t.count, 0);
    assert_null(t.heap);
    timers_check(&t);
    timers_fini(&t);
}

static void pops_what_is_due_now(void **state)
{
    (void)state;
    struct timers t;
    struct timer out;

    timers_init(&t);
    timers_set(&t, 3, 100);
    assert_false(timers_pop(&t, 99, &out));
    assert_true(timers_pop(&t, 100, &out));
    assert_int_equal(out.node, 3);
    timers_set(&t, 3, INT64_MIN);
    assert_true(timers_next(&t) == INT64_MIN);
    timers_set(&t, 3, FOREVER_MS - 1);
    assert_false(timers_pop(&t, FOREVER_MS - 2, &out));
    assert_true(timers_pop(&t, FOREVER_MS, &out));
    timers_fini(&t);
}

static void moves_a_deadline(void **state)
{
    (void)state;
    struct timers t;

    timers_init(&t);
    for (uint32_t node = 0; node < 100; node++)
        timers_set(&t, node, 1000 + node);
    timers_set(&t, 50, 1);
    assert_true(timers_next(&t) == 1);
    assert_int_equal(t.count, 100);
    timers_set(&t, 50, 5000);
    assert_true(timers_next(&t) == 1000);
    assert_true(timers_due_ms(&t, 50) == 5000);
    assert_int_equal(t.count, 100);
    timers_check(&t);
    timers_reset(&t);
    assert_true(timers_next(&t) == FOREVER_MS);
    assert_true(timers_due_ms(&t, 50) == FOREVER_MS);
    timers_check(&t);
    timers_set(&t, 50, 7);
    assert_true(timers_next(&t) == 7);
    timers_fini(&t);
}

static void keeps_to_its_memory(void **state)
{
    (void)state;
    struct timers t;

    timers_init(&t);
    for (uint32_t node = 0; node < 5000; node++)
        timers_set(&t, node, (int64_t)(hash_pair(node, 1) % 100000));
    uint32_t heap_room = t.heap_room;
    assert_in_range(heap_room, 5000, 5000 + 5000 / 4);
    assert_in_range(t.node_room, 5000, 5000 + 5000 / 4);
    /* Moving deadlines about takes no more. */
    for (uint32_t i = 0; i < 50000; i++)
        timers_set(&t, i % 5000, (int64_t)(hash_pair(i, 2) % 100000));
    assert_int_equal(t.heap_room, heap_room);
    timers_check(&t);
    timers_fini(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("no deadlines: the next is never", is_empty_at_first),
        TEST("a deadline fires at its instant, not before", pops_what_is_due_now),
        TEST("a node has one deadline, which moves", moves_a_deadline),
        TEST("what is due together comes out by node, whatever order it was put in", has_one_order),
        TEST("sets, drops and pops agree with a search from end to end", agrees),
        TEST("memory grows with the nodes, not with how often they are set", keeps_to_its_memory),
    };

    return cmocka_run_group_tests_name("when/timers", tests, NULL, NULL);
}
