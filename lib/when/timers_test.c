/* What timers.h promises, against a plain array that is searched from end to end.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "when/timers.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"
#include "test.h"

#define NODES  1500
#define SECOND INT64_C(1000)
#define DAY    (86400 * SECOND)
#define YEAR   (365 * DAY)
#define NOW    INT64_C(1772409600000)

/* The oracle: when each node is due, or FOREVER_MS. Neither nodes nor their order are plain numbers. */
struct plain {
    int64_t due_ms[NODES];
};

static uint32_t node_of(uint32_t i)
{
    return i / 3 << 8 | (i % 3 == 0 ? 7 : i % 3 == 1 ? 0 : 255);
}

static uint32_t index_of(uint32_t node)
{
    return (node >> 8) * 3 + ((node & 255) == 7 ? 0 : (node & 255) == 0 ? 1 : 2);
}

static void plain_init(struct plain *p)
{
    for (uint32_t i = 0; i < NODES; i++)
        p->due_ms[i] = FOREVER_MS;
}

static int64_t plain_next(const struct plain *p)
{
    int64_t next_ms = FOREVER_MS;
    for (uint32_t i = 0; i < NODES; i++)
        next_ms = min_of(next_ms, p->due_ms[i]);
    return next_ms;
}

static uint32_t plain_count(const struct plain *p, int64_t now_ms)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < NODES; i++)
        count += p->due_ms[i] <= now_ms && p->due_ms[i] != FOREVER_MS;
    return count;
}

/* A pseudo-random number below `below`, the same in every run. */
static uint64_t chance(uint64_t *seed, uint64_t below)
{
    return hash_pair(++*seed, below) % below;
}

/* Takes once (or until nothing is due) from both; the number. */
static uint32_t take(struct timers *t, struct plain *p, int64_t now_ms, bool is_all)
{
    uint32_t nodes[TIMERS_TAKE_MIN + 50], total = 0, count;
    do {
        uint32_t due = plain_count(p, now_ms);
        count = timers_take(t, now_ms, nodes, array_count(nodes));
        assert_true(count <= due);
        assert_int_equal(count == 0, due == 0);
        for (uint32_t i = 0; i < count; i++) {
            int64_t *due_ms = &p->due_ms[index_of(nodes[i])];
            assert_true(*due_ms <= now_ms); /* and not twice */
            assert_true(*due_ms != FOREVER_MS);
            *due_ms = FOREVER_MS;
            assert_true(timers_due_ms(t, nodes[i]) == FOREVER_MS);
        }
        total += count;
    } while (is_all && count > 0);
    return total;
}

/* One random step on both; all answers must agree. */
static void step(struct timers *t, struct plain *p, uint64_t *seed, int64_t *now_ms, int64_t range)
{
    uint32_t i = (uint32_t)chance(seed, NODES), node = node_of(i);
    int64_t after_ms = (int64_t)chance(seed, (uint64_t)range);
    switch (chance(seed, 100)) {
    default:
        timers_set(t, node, *now_ms + after_ms);
        p->due_ms[i] = *now_ms + after_ms;
        break;
    case 0: /* a hundred to one moment, as after a campaign */
        for (uint32_t k = 0; k < 300; k++) {
            i = (uint32_t)chance(seed, NODES);
            p->due_ms[i] = *now_ms + after_ms + (k % 10 == 0);
            timers_set(t, node_of(i), p->due_ms[i]);
        }
        break;
    case 1: /* later, each of them */
        for (i = 0; i < NODES; i += 1 + (uint32_t)chance(seed, 3)) {
            if (p->due_ms[i] == FOREVER_MS || p->due_ms[i] > *now_ms + 2 * range)
                continue;
            p->due_ms[i] += after_ms;
            timers_set(t, node_of(i), p->due_ms[i]);
        }
        break;
    case 2: /* what is past, as when a clock was put forward; and the ends of time */
        p->due_ms[i] = *now_ms - after_ms;
        timers_set(t, node, p->due_ms[i]);
        break;
    case 3:
        p->due_ms[i] = chance(seed, 2) ? INT64_MIN + (int64_t)chance(seed, 3)
                                       : FOREVER_MS - 1 - (int64_t)chance(seed, 3);
        timers_set(t, node, p->due_ms[i]);
        break;
    case 4:
        p->due_ms[i] = *now_ms + (int64_t)chance(seed, 8000) * YEAR;
        timers_set(t, node, p->due_ms[i]);
        break;
    case 5:
        timers_set(t, node, FOREVER_MS);
        p->due_ms[i] = FOREVER_MS;
        break;
    case 6:
    case 7:
    case 8:
    case 9:
        assert_int_equal(timers_drop(t, node), p->due_ms[i] != FOREVER_MS);
        p->due_ms[i] = FOREVER_MS;
        break;
    case 10:
    case 11: /* time goes on to the next, or by a little */
        *now_ms = max_of(*now_ms, plain_next(p) < *now_ms + range ? plain_next(p) : *now_ms);
        take(t, p, *now_ms, true);
        break;
    case 12:
        *now_ms += after_ms / 20;
        take(t, p, *now_ms, chance(seed, 2) != 0);
        break;
    case 13: /* a leap, sometimes back */
        if (chance(seed, 10) == 0) {
            *now_ms += chance(seed, 3) == 0 ? -after_ms : after_ms;
            take(t, p, *now_ms, true);
        }
        break;
    }
    if (chance(seed, 2) == 0)
        assert_true(timers_next(t) == plain_next(p));
    i = (uint32_t)chance(seed, NODES);
    assert_true(timers_due_ms(t, node_of(i)) == p->due_ms[i]);
    timers_fetch_place(t, node_of(i));
    timers_fetch_entry(t, node_of(i));
}

static void agrees(void **state)
{
    (void)state;
    static const int64_t ranges[] = {4, 64, 3000, 100 * SECOND, DAY, 60 * DAY, 90 * YEAR};

    for (size_t i = 0; i < array_count(ranges); i++) {
        struct timers *t = timers_new();
        static struct plain p;
        uint64_t seed = (uint64_t)ranges[i] * 1000003;
        int64_t now_ms = NOW;

        plain_init(&p);
        for (int n = 0; n < 12000; n++) {
            step(t, &p, &seed, &now_ms, ranges[i]);
            assert_int_equal(timers_count(t), plain_count(&p, FOREVER_MS));
            if (n % 50 == 0)
                timers_check(t);
        }
        take(t, &p, FOREVER_MS, true);
        assert_int_equal(timers_count(t), 0);
        assert_true(timers_next(t) == FOREVER_MS);
        timers_check(t);
        timers_free(t);
    }
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* What is due next and who is due then, to the end, of deadlines put in in one of three ways. */
static uint64_t story(int way)
{
    enum { COUNT = 2000 };
    struct timers *t = timers_new();
    uint64_t hash = 0;
    for (uint32_t i = 0; i < COUNT; i++) {
        uint32_t node = way == 0 ? i : way == 1 ? COUNT - 1 - i : i * 7 % COUNT;
        if (way == 2) /* and later moved to where it belongs */
            timers_set(t, node, NOW + node % 4 * SECOND);
        if (way == 2 && i % 100 == 0)
            assert_true(timers_next(t) == NOW);
    }
    for (uint32_t i = 0; i < COUNT; i++)
        timers_set(t, i, NOW + i % 10 * SECOND + i % 7);
    while (timers_count(t) > 0) {
        uint32_t nodes[COUNT], count = 0, more;
        int64_t next_ms = timers_next(t);
        while ((more = timers_take(t, next_ms, &nodes[count], COUNT - count)) > 0) {
            count += more;
            if (COUNT - count < TIMERS_TAKE_MIN)
                break;
        }
        qsort(nodes, count, sizeof(nodes[0]), by_number);
        hash = hash_pair(hash, (uint64_t)next_ms);
        for (uint32_t i = 0; i < count; i++)
            hash = hash_pair(hash, nodes[i]);
    }
    timers_free(t);
    return hash;
}

static void depends_on_contents(void **state)
{
    (void)state;
    assert_true(story(0) == story(1));
    assert_true(story(0) == story(2));
}

static void is_empty_at_first(void **state)
{
    (void)state;
    struct timers *t = timers_new();
    uint32_t out[TIMERS_TAKE_MIN];

    assert_true(timers_next(t) == FOREVER_MS);
    assert_true(timers_due_ms(t, 0) == FOREVER_MS);
    assert_true(timers_due_ms(t, TIMERS_NODE_END - 1) == FOREVER_MS);
    assert_false(timers_drop(t, 12));
    assert_int_equal(timers_take(t, FOREVER_MS, out, array_count(out)), 0);
    timers_set(t, 5, FOREVER_MS);
    assert_int_equal(timers_count(t), 0);
    timers_check(t);
    timers_free(t);
}

static void fires_at_its_instant(void **state)
{
    (void)state;
    struct timers *t = timers_new();
    uint32_t out[TIMERS_TAKE_MIN];

    timers_set(t, 3, 100);
    assert_int_equal(timers_take(t, 99, out, array_count(out)), 0);
    assert_int_equal(timers_take(t, 100, out, array_count(out)), 1);
    assert_int_equal(out[0], 3);
    timers_set(t, 3, INT64_MIN);
    assert_true(timers_next(t) == INT64_MIN);
    timers_set(t, 3, FOREVER_MS - 1);
    assert_true(timers_next(t) == FOREVER_MS - 1);
    assert_int_equal(timers_take(t, FOREVER_MS - 2, out, array_count(out)), 0);
    assert_int_equal(timers_take(t, FOREVER_MS, out, array_count(out)), 1);
    timers_free(t);
}

static void moves_a_deadline(void **state)
{
    (void)state;
    struct timers *t = timers_new();

    for (uint32_t node = 0; node < 1000; node++)
        timers_set(t, node, NOW + node);
    timers_set(t, 500, 1);
    assert_true(timers_next(t) == 1);
    timers_set(t, 500, NOW + DAY);
    assert_true(timers_next(t) == NOW);
    timers_set(t, 0, NOW + 5 * DAY);
    assert_true(timers_next(t) == NOW + 1);
    assert_true(timers_due_ms(t, 500) == NOW + DAY);
    assert_true(timers_drop(t, 1));
    assert_true(timers_next(t) == NOW + 2);
    assert_int_equal(timers_count(t), 999);
    timers_check(t);
    timers_free(t);
}

/* Everybody waits until one instant, whom nobody has to sort; then all move on while they wait. */
static void holds_a_crowd(void **state)
{
    (void)state;
    enum { CROWD = 20000 };
    struct timers *t = timers_new();
    uint32_t out[TIMERS_TAKE_MIN], total = 0, count;

    for (uint32_t node = 0; node < CROWD; node++)
        timers_set(t, node, NOW);
    timers_set(t, CROWD, NOW + 30 * DAY);
    assert_true(timers_next(t) == NOW);
    timers_check(t);
    for (uint32_t node = 0; node < CROWD; node++)
        timers_set(t, node, NOW + DAY + node % 2);
    timers_check(t);
    assert_true(timers_next(t) == NOW + DAY);
    assert_int_equal(timers_take(t, NOW + DAY - 1, out, array_count(out)), 0);
    while ((count = timers_take(t, NOW + DAY, out, array_count(out))) > 0) {
        for (uint32_t i = 0; i < count; i++)
            assert_int_equal(out[i] % 2, 0);
        total += count;
    }
    assert_int_equal(total, CROWD / 2);
    assert_true(timers_next(t) == NOW + DAY + 1);
    timers_check(t);
    timers_free(t);
}

/* The same few people are set anew for as long as one leaf lasts: what they leave is used again. */
static void fills_what_was_left(void **state)
{
    (void)state;
    enum { COUNT = 3000 };
    struct timers *t = timers_new();
    uint32_t out[TIMERS_TAKE_MIN], count;
    static struct plain p;
    uint64_t seed = 5, most = 0;

    plain_init(&p);
    for (uint32_t i = 0; i < NODES; i++) {
        p.due_ms[i] = NOW + (int64_t)chance(&seed, 5 * 60 * SECOND);
        timers_set(t, node_of(i), p.due_ms[i]);
    }
    for (int round = 0; round < 400; round++) {
        int64_t now_ms = timers_next(t);
        assert_true(now_ms == plain_next(&p));
        while ((count = timers_take(t, now_ms + 50, out, array_count(out))) > 0)
            for (uint32_t i = 0; i < count; i++)
                p.due_ms[index_of(out[i])] = FOREVER_MS;
        for (uint32_t i = 0; i < COUNT; i++) { /* earlier, later, gone, there again */
            uint32_t k = (uint32_t)chance(&seed, NODES);
            p.due_ms[k] = chance(&seed, 20) == 0
                              ? FOREVER_MS
                              : now_ms + 51 + (int64_t)chance(&seed, 5 * 60 * SECOND);
            timers_set(t, node_of(k), p.due_ms[k]);
        }
        if (round == 20)
            most = timers_bytes(t);
        if (round % 10 == 0)
            timers_check(t);
    }
    assert_true(timers_bytes(t) <= 2 * most);
    timers_check(t);
    timers_free(t);
}

/* While one leaf is put in order, another becomes the first. */
static void turns_back(void **state)
{
    (void)state;
    enum { COUNT = 4000 };
    struct timers *t = timers_new();
    uint32_t out[COUNT + TIMERS_TAKE_MIN], count, total = 0;

    for (uint32_t node = 0; node < COUNT; node++)
        timers_set(t, node, NOW + DAY + node % 1000 * SECOND);
    assert_true(timers_next(t) == NOW + DAY);
    assert_int_equal(timers_take(t, NOW + DAY, out, TIMERS_TAKE_MIN), 4);
    for (uint32_t node = 1; node < COUNT; node += 2) /* of these, only the odd ones are earlier */
        timers_set(t, node, NOW + node * SECOND);
    timers_check(t);
    assert_true(timers_next(t) == NOW + SECOND);
    while ((count = timers_take(t, NOW + DAY - 1, &out[total], array_count(out) - total)) > 0)
        total += count;
    assert_int_equal(total, COUNT / 2);
    timers_check(t);
    assert_true(timers_next(t) == NOW + DAY + 2 * SECOND);
    while ((count = timers_take(t, NOW + 2 * DAY, out, array_count(out))) > 0)
        total += count;
    assert_int_equal(total, COUNT - 4);
    timers_check(t);
    timers_free(t);
}

static void keeps_to_its_memory(void **state)
{
    (void)state;
    enum { COUNT = 200000 };
    struct timers *t = timers_new();
    uint32_t out[TIMERS_TAKE_MIN], count;

    for (uint32_t node = 0; node < COUNT; node++)
        timers_set(t, node, NOW + (int64_t)(hash_pair(node, 1) % (uint64_t)(30 * DAY)));
    assert_true(timers_bytes(t) < 18 * COUNT);
    /* Neither moving deadlines about nor a month of ticks takes more than what is divided then. */
    for (int64_t now_ms = NOW; now_ms < NOW + 40 * DAY; now_ms += DAY / 10) {
        while ((count = timers_take(t, now_ms, out, array_count(out))) > 0)
            for (uint32_t i = 0; i < count; i++)
                timers_set(
                    t, out[i],
                    now_ms + (int64_t)(hash_pair(out[i], (uint64_t)now_ms) % (uint64_t)(30 * DAY)));
        for (uint32_t i = 0; i < 1000; i++)
            timers_set(t, (uint32_t)(hash_pair(i, (uint64_t)now_ms) % COUNT),
                       now_ms + (int64_t)(hash_pair(i, 2) % (uint64_t)(30 * DAY)));
        assert_true(timers_next(t) > now_ms - DAY);
    }
    assert_int_equal(timers_count(t), COUNT);
    assert_true(timers_bytes(t) < 24 * COUNT);
    timers_check(t);
    timers_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("no deadlines: the next is never", is_empty_at_first),
        TEST("a deadline fires at its instant, not before", fires_at_its_instant),
        TEST("a node has one deadline, which moves", moves_a_deadline),
        TEST("answers depend on the deadlines, not on how they got there", depends_on_contents),
        TEST("sets, drops, leaps and takes agree with a search from end to end", agrees),
        TEST("a crowd waits for one instant, and moves on", holds_a_crowd),
        TEST("what is set again and again while time stands takes no more memory",
             fills_what_was_left),
        TEST("time may turn back to before what was put in order", turns_back),
        TEST("memory grows with the nodes, not with how often they are set", keeps_to_its_memory),
    };

    return cmocka_run_group_tests_name("when/timers", tests, NULL, NULL);
}
