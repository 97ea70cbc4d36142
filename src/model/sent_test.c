/* Lines of the ledger with what stands apart of them, against plain ones. */
#include "model/sent.h"

#include "test.h"

#define STEPS 20000
#define MOST  40

struct whole {
    uint64_t decision;
    struct sent_more more;
};

static uint64_t next(uint64_t *state)
{
    *state = *state * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return *state >> 11;
}

/* Some of it is set; often nothing is. */
static struct sent_more some(uint64_t *seed)
{
    struct sent_more m = {0};
    uint64_t which = next(seed) % 4 == 0 ? 0 : next(seed);
    if (which & 1)
        m.instance = next(seed);
    if (which & 2)
        m.together = next(seed);
    if (which & 4)
        m.address = (struct id128){next(seed), next(seed)};
    if (which & 8)
        m.content_key = (uint32_t)next(seed);
    if (which & 16)
        m.group = (uint32_t)next(seed);
    if (which & 32)
        m.journey = (uint32_t)next(seed);
    if (which & 64)
        m.accepted = brief_of((int64_t)next(seed) % BRIEF_MS_MAX);
    if (which & 128)
        m.delivered = brief_of(-((int64_t)next(seed) % BRIEF_MS_MAX));
    return m;
}

static void agrees(const struct space *s, const struct vec *ledger, const struct whole *model,
                   uint32_t count)
{
    uint64_t bytes = ledger->room ? space_rounded(ledger->room * (uint32_t)sizeof(struct sent)) : 0;
    assert_int_equal(ledger->count, count);
    for (uint32_t i = 0; i < count; i++) {
        const struct sent *line = vec_at(s, ledger, i, sizeof(*line));
        const struct sent_more nothing = {0};
        bool is_any = memcmp(&model[i].more, &nothing, sizeof(nothing)) != 0;
        assert_int_equal(line->decision, model[i].decision);
        assert_int_equal(line->more != 0, is_any);
        assert_memory_equal(sent_more(s, line), &model[i].more, sizeof(nothing));
        bytes += is_any ? space_rounded(sizeof(nothing)) : 0;
    }
    assert_int_equal(s->live_bytes, bytes);
}

static void lines_agree_with_plain_ones(void **state)
{
    (void)state;
    struct space s;
    struct vec ledger = {0};
    struct whole model[MOST];
    uint32_t count = 0;
    uint64_t seed = 3;
    space_init(&s);
    for (uint32_t step = 0; step < STEPS; step++) {
        uint32_t i = count ? (uint32_t)(next(&seed) % count) : 0;
        bool grows = next(&seed) % 8 < (step / 500 % 2 ? 2u : 6u);
        struct sent_more more = some(&seed);
        if (grows && count < MOST) {
            struct sent *line = vec_push(&s, &ledger, sizeof(*line));
            line->decision = step;
            sent_set_more(&s, line, &more);
            model[count++] = (struct whole){step, more};
        } else if (count > 0 && next(&seed) % 200 == 0) {
            sent_clear(&s, &ledger);
            count = 0;
        } else if (count > 0 && next(&seed) % 2 == 0) {
            sent_set_more(&s, vec_touch(&s, &ledger, i, sizeof(struct sent)), &more);
            model[i].more = more;
        } else if (count > 0) {
            sent_drop(&s, &ledger, i);
            count--;
            memmove(&model[i], &model[i + 1], (count - i) * sizeof(model[0]));
        }
        if (step % 16 == 0)
            agrees(&s, &ledger, model, count);
    }
    sent_clear(&s, &ledger);
    assert_int_equal(s.live_bytes, 0);
    space_fini(&s);
}

static void six_bytes_hold_every_moment_of_4400_years(void **state)
{
    (void)state;
    const int64_t edges[] = {0, 1, 65535, 65536, INT64_C(1) << 32, BRIEF_MS_MAX};
    uint64_t seed = 8;
    for (uint32_t i = 0; i < array_count(edges); i++)
        for (int64_t near = -1; near <= 1; near++) {
            int64_t ms = min_of(edges[i] + near, BRIEF_MS_MAX);
            assert_int_equal(brief_ms(brief_of(ms)), ms);
            assert_int_equal(brief_ms(brief_of(-ms)), -ms);
        }
    for (uint32_t i = 0; i < 20000; i++) {
        int64_t ms = (int64_t)(next(&seed) % (2 * BRIEF_MS_MAX)) - BRIEF_MS_MAX;
        ms >>= next(&seed) % 47;
        assert_int_equal(brief_ms(brief_of(ms)), ms);
    }
    assert_int_equal(brief_ms(brief_of(INT64_MAX)), BRIEF_MS_MAX);
    assert_int_equal(brief_ms(brief_of(INT64_MIN)), -BRIEF_MS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST("lines agree with plain ones", lines_agree_with_plain_ones),
        TEST("six bytes hold every moment of 4,400 years",
             six_bytes_hold_every_moment_of_4400_years),
    };
    return cmocka_run_group_tests_name("sent", tests, NULL, NULL);
}
