/* SPDX-License-Identifier: Apache-2.0 */
#include "os/thread.h"

#include <signal.h>
#include <unistd.h>

#include "os/clock.h"
#include "os/process.h"
#include "os/random.h"
#include "os/signal.h"
#include "test.h"

static void a_queue_is_bounded_and_in_order(void **state)
{
    (void)state;
    struct os_queue *q = os_queue_new(sizeof(int), 3);
    int out[4] = {0};
    for (int round = 0; round < 5; round++) { /* so that it wraps around */
        for (int i = 0; i < 3; i++)
            assert_int_equal(os_queue_push(q, &(int){round * 10 + i}), OK);
        assert_int_equal(os_queue_push(q, &(int){99}), TRY_AGAIN);
        assert_int_equal(os_queue_push_wait(q, &(int){99}, 1), TRY_AGAIN);
        assert_int_equal(os_queue_count(q), 3);
        assert_int_equal(os_queue_pop(q, out, 2, 0), 2);
        assert_int_equal(out[0], round * 10);
        assert_int_equal(out[1], round * 10 + 1);
        assert_int_equal(os_queue_pop(q, out, 4, FOREVER_MS), 1);
        assert_int_equal(out[0], round * 10 + 2);
    }
    assert_int_equal(os_queue_pop(q, out, 4, 0), 0);
    assert_int_equal(os_queue_pop(q, out, 4, 1), 0);
    os_queue_free(q);
}

static void a_closed_queue_gives_what_it_has_and_takes_nothing(void **state)
{
    (void)state;
    struct os_queue *q = os_queue_new(sizeof(int), 3);
    int out[4];
    assert_int_equal(os_queue_push(q, &(int){7}), OK);
    os_queue_close(q);
    assert_int_equal(os_queue_push(q, &(int){8}), GIVE_UP);
    assert_false(os_queue_is_done(q));
    assert_int_equal(os_queue_pop(q, out, 4, FOREVER_MS), 1);
    assert_true(os_queue_is_done(q));
    assert_int_equal(os_queue_pop(q, out, 4, FOREVER_MS), 0);
    os_queue_free(q);
}

#define CROWD      4
#define CROWD_EACH 5000

struct crowd {
    struct os_queue *q;
    uint32_t who;
    uint64_t sum;
    uint32_t count;
    bool is_in_order;
};

struct crowd_item {
    uint32_t who;
    uint32_t number;
};

static void crowd_push(void *context)
{
    struct crowd *c = context;
    for (uint32_t i = 1; i <= CROWD_EACH; i++)
        must(os_queue_push_wait(c->q, &(struct crowd_item){c->who, i}, FOREVER_MS) == OK);
}

static void crowd_pop(void *context)
{
    struct crowd *c = context;
    struct crowd_item items[7];
    uint32_t last[CROWD] = {0};
    c->is_in_order = true;
    for (;;) {
        uint32_t got = os_queue_pop(c->q, items, 7, FOREVER_MS);
        if (got == 0)
            return;
        for (uint32_t i = 0; i < got; i++) {
            c->is_in_order &= items[i].number > last[items[i].who];
            last[items[i].who] = items[i].number;
            c->sum += items[i].number;
            c->count++;
        }
    }
}

static void many_threads_share_a_queue_without_loss(void **state)
{
    (void)state;
    struct os_queue *q = os_queue_new(sizeof(struct crowd_item), 16);
    struct os_thread writers[CROWD], readers[CROWD];
    struct crowd pushing[CROWD], popping[CROWD];
    for (uint32_t i = 0; i < CROWD; i++) {
        pushing[i] = (struct crowd){.q = q, .who = i};
        popping[i] = (struct crowd){.q = q};
        assert_int_equal(os_thread_start(&writers[i], "writer", crowd_push, &pushing[i], NULL), OK);
        assert_int_equal(os_thread_start(&readers[i], "reader", crowd_pop, &popping[i], NULL), OK);
    }
    uint64_t sum = 0;
    uint32_t count = 0;
    for (uint32_t i = 0; i < CROWD; i++)
        os_thread_join(&writers[i]);
    os_queue_close(q);
    for (uint32_t i = 0; i < CROWD; i++) {
        os_thread_join(&readers[i]);
        assert_true(popping[i].is_in_order);
        sum += popping[i].sum;
        count += popping[i].count;
    }
    assert_int_equal(count, CROWD * CROWD_EACH);
    assert_int_equal(sum, (uint64_t)CROWD * CROWD_EACH * (CROWD_EACH + 1) / 2);
    os_queue_free(q);
}

static void a_condition_waits_no_longer_than_told(void **state)
{
    (void)state;
    struct os_mutex m;
    struct os_cond c;
    os_mutex_init(&m);
    os_cond_init(&c);
    os_mutex_lock(&m);
    assert_false(os_cond_wait_for(&c, &m, 1));
    os_mutex_unlock(&m);
    os_cond_fini(&c);
    os_mutex_fini(&m);
}

static void signals_wait_to_be_collected(void **state)
{
    (void)state;
    struct os_signals s;
    assert_int_equal(os_signals_init(&s, NULL), OK);
    assert_int_equal(os_signals_wait(&s, 0), OS_SIGNAL_NONE);
    assert_int_equal(kill(getpid(), SIGHUP), 0);
    assert_int_equal(os_signals_wait(&s, FOREVER_MS), OS_SIGNAL_RELOAD);
    assert_int_equal(kill(getpid(), SIGTERM), 0);
    assert_int_equal(os_signals_wait(&s, FOREVER_MS), OS_SIGNAL_STOP);
    assert_int_equal(kill(getpid(), SIGINT), 0);
    assert_int_equal(os_signals_wait(&s, 1000), OS_SIGNAL_STOP);
    assert_int_equal(os_signals_wait(&s, 1), OS_SIGNAL_NONE);
    os_signals_fini(&s);
}

static void clocks_advance_and_randomness_differs(void **state)
{
    (void)state;
    int64_t before_ns = os_clock_monotonic_ns();
    os_clock_sleep_ms(2);
    assert_true(os_clock_monotonic_ns() - before_ns >= 2000000);
    assert_true(os_clock_utc_ms() > INT64_C(1600000000000));
    assert_true(os_clock_thread_ns() > 0);
    assert_true(os_random_u64() != os_random_u64());
    uint8_t many[300] = {0};
    os_random(many, sizeof(many));
    int zeros = 0;
    for (size_t i = 0; i < sizeof(many); i++)
        zeros += many[i] == 0;
    assert_true(zeros < 30);
}

static void a_process_knows_itself(void **state)
{
    (void)state;
    assert_true(os_process_cpu_count() >= 1);
    assert_true(os_process_resident_bytes() > 0);
    assert_true(os_process_resident_bytes_max() >= 4096);
    assert_int_equal(os_process_id(), getpid());
    assert_true(os_terminal_columns(-1) == 80);
    assert_false(os_is_terminal(-1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("a queue is bounded and keeps its order", a_queue_is_bounded_and_in_order),
        TEST("a closed queue gives what it has and takes nothing",
             a_closed_queue_gives_what_it_has_and_takes_nothing),
        TEST("many threads share a queue without loss", many_threads_share_a_queue_without_loss),
        TEST("a condition waits no longer than told", a_condition_waits_no_longer_than_told),
        TEST("signals wait to be collected", signals_wait_to_be_collected),
        TEST("clocks advance and randomness differs", clocks_advance_and_randomness_differs),
        TEST("a process knows itself", a_process_knows_itself),
    };
    return cmocka_run_group_tests_name("os/thread", tests, NULL, NULL);
}
