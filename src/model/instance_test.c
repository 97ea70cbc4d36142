/* What stands apart of an instance, against a struct that has all of it. */
#include "model/instance.h"

#include "test.h"

#define STEPS     20000
#define INSTANCES 8

struct whole {
    uint64_t key, caller, splits, decision;
    int64_t step_ms, wait_ms, ask_ms;
    uint32_t entry; /* bytes, each of this value */
};

static uint64_t next(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return *state >> 11;
}

static void agrees(const struct space *s, const struct instance *in, const struct whole *model)
{
    const struct instance_more *more = instance_more(s, in);
    assert_int_equal(more->key, model->key);
    assert_int_equal(more->caller, model->caller);
    assert_int_equal(more->splits, model->splits);
    assert_int_equal(more->decision, model->decision);
    assert_int_equal(more->ask_ms, model->ask_ms);
    assert_int_equal(in->step_ms, model->step_ms);
    assert_int_equal(instance_wait_ms(s, in), model->wait_ms);
    assert_int_equal(more->entry.bytes, model->entry);
    for (uint32_t i = 0; i < model->entry; i++)
        assert_int_equal(blob_at(s, more->entry)[i], model->entry);
    bool is_any = model->key || model->caller || model->splits || model->decision || model->entry ||
                  model->ask_ms != FOREVER_MS || model->wait_ms != model->step_ms;
    assert_int_equal(in->more != 0, is_any);
}

static void change(struct space *s, struct instance *in, struct whole *model, uint64_t *seed)
{
    uint64_t luck = next(seed);
    uint64_t x = luck >> 8 & 1 ? luck >> 16 : 0;
    int64_t ms = (int64_t)(next(seed) % 1000) + 1;
    uint8_t bytes[64];
    switch (luck % 9) {
    case 0: instance_set_decision(s, in, model->decision = x); break;
    case 1: instance_set_splits(s, in, model->splits = x); break;
    case 2: instance_set_ask(s, in, model->ask_ms = x ? ms : FOREVER_MS); break;
    case 3:
        instance_ask_by(s, in, ms);
        model->ask_ms = min_of(model->ask_ms, ms);
        break;
    case 4:
        instance_begin_step(s, in, ms);
        model->step_ms = model->wait_ms = ms;
        model->ask_ms = FOREVER_MS;
        break;
    case 5: instance_reset_wait(s, in, model->step_ms = ms); break;
    case 6: {
        struct blob entry = instance_more(s, in)->entry;
        model->entry = (uint32_t)(x % sizeof(bytes));
        memset(bytes, (int)model->entry, sizeof(bytes));
        blob_set(s, &entry, bytes, model->entry);
        instance_set_entry(s, in, entry);
        break;
    }
    case 7: {
        struct instance_more more = *instance_more(s, in);
        more.key = model->key = x;
        more.caller = model->caller = x & 1 ? next(seed) : 0;
        instance_set_more(s, in, &more);
        break;
    }
    default:
        instance_forget(s, in);
        assert_int_equal(in->more, 0);
        *model = (struct whole){
            .step_ms = model->step_ms, .wait_ms = model->step_ms, .ask_ms = FOREVER_MS};
    }
}

static void what_stands_apart_is_as_if_it_did_not(void **state)
{
    (void)state;
    struct space s;
    struct instance instances[INSTANCES] = {{0}};
    struct whole model[INSTANCES];
    uint64_t seed = 11;
    space_init(&s);
    for (uint32_t i = 0; i < INSTANCES; i++) {
        instances[i].step_ms = 1;
        model[i] = (struct whole){.step_ms = 1, .wait_ms = 1, .ask_ms = FOREVER_MS};
    }
    for (uint32_t step = 0; step < STEPS; step++) {
        uint32_t i = (uint32_t)(next(&seed) % INSTANCES);
        change(&s, &instances[i], &model[i], &seed);
        for (uint32_t k = 0; k < INSTANCES; k++)
            agrees(&s, &instances[k], &model[k]);
    }
    for (uint32_t i = 0; i < INSTANCES; i++)
        instance_forget(&s, &instances[i]);
    assert_int_equal(s.live_bytes, 0);
    space_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("what stands apart is as if it did not", what_stands_apart_is_as_if_it_did_not),
    };
    return cmocka_run_group_tests_name("instance", tests, NULL, NULL);
}
