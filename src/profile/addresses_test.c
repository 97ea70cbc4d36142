/* Who holds an address, against a model that keeps plain lists and searches through all. */
#include "profile/addresses.h"

#include "base/mem.h"
#include "test.h"

#define PEOPLE    60 /* more than are listed */
#define ADDRESSES 5

struct fixture {
    struct identity_host host;
    struct addresses addresses;
    struct profile profiles[PEOPLE + 1];
    /* the model */
    bool holds[ADDRESSES][PEOPLE + 1];
    bool is_listed[ADDRESSES][PEOPLE + 1];
};

static struct profile *profile(void *self, uint64_t number)
{
    struct fixture *f = self;
    assert_int_equal(number & 255, 9);
    assert_true(number >> 8 <= PEOPLE);
    return &f->profiles[number >> 8];
}

static struct fixture *fixture_new(void)
{
    struct fixture *f = mem_new(sizeof(*f));
    f->host = (struct identity_host){.self = f, .profile = profile};
    addresses_init(&f->addresses, &f->host);
    return f;
}

static void fixture_free(struct fixture *f)
{
    addresses_fini(&f->addresses);
    mem_free(f);
}

static uint64_t number_of(uint32_t person)
{
    return profile_number(9, person);
}

static struct id128 address_of(uint32_t address)
{
    return (struct id128){(uint64_t)address << 8 | (address & 1), 1000 + address};
}

static void make_user(struct fixture *f, uint32_t person)
{
    f->profiles[person].user = (struct id128){person, person};
}

/* Does p go before q? */
static bool is_before(const struct fixture *f, uint32_t p, uint32_t q)
{
    bool has_p = id128_is_set(f->profiles[p].user), has_q = id128_is_set(f->profiles[q].user);
    return has_p != has_q ? has_p : p < q;
}

static void model_hold(struct fixture *f, uint32_t address, uint32_t person)
{
    uint32_t listed = 0, worst = 0;
    f->holds[address][person] = f->is_listed[address][person] = true;
    for (uint32_t p = 1; p <= PEOPLE; p++) {
        if (!f->is_listed[address][p])
            continue;
        listed++;
        if (worst == 0 || is_before(f, worst, p))
            worst = p;
    }
    if (listed > ADDRESS_HOLDERS_MAX)
        f->is_listed[address][worst] = false;
}

static void compare(struct fixture *f, const struct addresses *a)
{
    uint64_t list[ADDRESS_HOLDERS_MAX];
    for (uint32_t i = 0; i < ADDRESSES; i++) {
        uint32_t others, listed = 0, hidden = 0, best = 0;
        uint32_t count = addresses_list(a, address_of(i), list, &others);
        for (uint32_t p = 1; p <= PEOPLE; p++) {
            if (f->is_listed[i][p]) {
                assert_true(listed < count);
                assert_int_equal(list[listed++], number_of(p));
                if (best == 0 || is_before(f, p, best))
                    best = p;
            } else if (f->holds[i][p]) {
                hidden++;
            }
        }
        assert_int_equal(listed, count);
        assert_int_equal(hidden, others);
        assert_int_equal(addresses_find(a, address_of(i)), best ? number_of(best) : 0);
    }
}

/* A copy by way of what a snapshot keeps is the same. */
static void compare_copy(struct fixture *f)
{
    struct addresses copy;
    uint64_t list[ADDRESS_HOLDERS_MAX];
    struct id128 address;
    uint32_t others, seen = 0;
    addresses_init(&copy, &f->host);
    for (uint32_t i = 0; i < PARTITIONS; i++)
        for (uint32_t place = 0; addresses_next(&f->addresses, i, &place, &address); seen++) {
            uint32_t count = addresses_list(&f->addresses, address, list, &others);
            assert_true(addresses_restore(&copy, address, list, count, others));
            assert_false(addresses_restore(&copy, address, list, count, others)); /* twice */
        }
    for (uint32_t i = 0; i < ADDRESSES; i++) {
        bool is_held = false;
        for (uint32_t p = 1; p <= PEOPLE; p++)
            is_held |= f->holds[i][p];
        seen -= is_held;
    }
    assert_int_equal(seen, 0); /* what nobody holds takes no room */
    compare(f, &copy);
    addresses_fini(&copy);
}

static void lists_are_those_of_the_model(void **state)
{
    (void)state;
    uint64_t luck = 5;
    for (uint32_t round = 0; round < 20; round++) {
        struct fixture *f = fixture_new();
        for (uint32_t i = 0; i < 3000; i++) {
            luck = hash_pair(luck, i);
            uint32_t person = (uint32_t)(luck >> 8) % PEOPLE + 1;
            uint32_t address = (uint32_t)(luck >> 40) % ADDRESSES;
            if (luck % 16 == 0)
                make_user(f, person);
            if (!f->holds[address][person]) {
                model_hold(f, address, person);
                addresses_hold(&f->addresses, address_of(address), number_of(person));
            } else if (i % 100 > 50 || luck % 3 == 0) { /* now crowded, now empty */
                f->holds[address][person] = f->is_listed[address][person] = false;
                addresses_leave(&f->addresses, address_of(address), number_of(person));
            }
            if (i % 64 == 0)
                compare(f, &f->addresses);
        }
        compare_copy(f);
        for (uint32_t a = 0; a < ADDRESSES; a++)
            for (uint32_t p = 1; p <= PEOPLE; p++)
                if (f->holds[a][p]) {
                    f->holds[a][p] = f->is_listed[a][p] = false;
                    addresses_leave(&f->addresses, address_of(a), number_of(p));
                }
        compare_copy(f);
        fixture_free(f);
    }
}

static void a_user_is_found_before_a_visitor_and_the_older_before_the_younger(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    struct id128 address = address_of(1);
    assert_int_equal(addresses_find(&f->addresses, address), 0);
    addresses_hold(&f->addresses, address, number_of(7));
    addresses_hold(&f->addresses, address, number_of(5));
    assert_int_equal(addresses_find(&f->addresses, address), number_of(5));
    make_user(f, 7);
    assert_int_equal(addresses_find(&f->addresses, address), number_of(7));
    make_user(f, 6);
    addresses_hold(&f->addresses, address, number_of(6));
    assert_int_equal(addresses_find(&f->addresses, address), number_of(6));
    addresses_leave(&f->addresses, address, number_of(6));
    assert_int_equal(addresses_find(&f->addresses, address), number_of(7));
    fixture_free(f);
}

static void strangers_cannot_push_a_user_out_of_a_crowd(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    struct id128 address = address_of(1);
    for (uint32_t p = 1; p < PEOPLE; p++)
        addresses_hold(&f->addresses, address, number_of(p));
    make_user(f, PEOPLE);
    addresses_hold(&f->addresses, address, number_of(PEOPLE));
    assert_int_equal(addresses_find(&f->addresses, address), number_of(PEOPLE));
    fixture_free(f);
}

static void what_no_index_has_written_is_not_restored(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    uint64_t falling[] = {number_of(2), number_of(1)}, twice[] = {number_of(2), number_of(2)};
    uint64_t nobody[] = {0}, huge[] = {UINT64_MAX};
    struct addresses *a = &f->addresses;
    assert_false(addresses_restore(a, (struct id128){0, 0}, twice, 1, 0));
    assert_false(addresses_restore(a, address_of(1), falling, 2, 0));
    assert_false(addresses_restore(a, address_of(1), twice, 2, 0));
    assert_false(addresses_restore(a, address_of(1), nobody, 1, 0));
    assert_false(addresses_restore(a, address_of(1), huge, 1, 0));
    assert_false(addresses_restore(a, address_of(1), nobody, 0, 0));
    assert_true(addresses_restore(a, address_of(1), twice, 1, 3));
    fixture_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_are_those_of_the_model),
        cmocka_unit_test(a_user_is_found_before_a_visitor_and_the_older_before_the_younger),
        cmocka_unit_test(strangers_cannot_push_a_user_out_of_a_crowd),
        cmocka_unit_test(what_no_index_has_written_is_not_restored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
