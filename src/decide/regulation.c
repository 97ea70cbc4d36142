/* SPDX-License-Identifier: Apache-2.0 */
#include "decide/regulation.h"
#include "base/canary.h"

#include "profile/consent.h"
#include "profile/traits.h"

static const struct {
    const char *code;
    const char *countries;
} phones[] = {
#define PHONE(code, countries) {code, countries},
#include "decide/phone_countries.def"
#undef PHONE
};

bool country_is_of_eu(struct str country)
{
    static const char members[] =
        "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IS IT LI LT LU LV MT "
        "NL NO PL PT RO SE SI SK";
    for (size_t i = 0; i + 2 < sizeof(members); i += 3)
        if (str_equal_nocase(country, (struct str){members + i, 2}))
            return true;
    return false;
}

/* The countries, two letters each, that a number may be of; empty if it does not say. */
static struct str countries_of_phone(struct str number)
{
    char digits[4];
    size_t len = 0;
    struct str best = STR("");
    size_t best_len = 0;
    number = str_trim(number);
    bool has_plus = number.len > 0 && number.at[0] == '+';
    bool has_zeros = str_starts(number, STR("00"));
    for (size_t i = has_plus ? 1 : 2; i < number.len && len < 3; i++)
        if (number.at[i] >= '0' && number.at[i] <= '9')
            digits[len++] = number.at[i];
    must(len <= sizeof(digits));
    for (size_t i = 0; (has_plus || has_zeros) && i < array_count(phones); i++) {
        struct str code = str_of(phones[i].code);
        if (code.len > best_len && str_starts((struct str){digits, len}, code)) {
            best = str_of(phones[i].countries);
            best_len = code.len;
        }
    }
    return best;
}

/* Is the country (any case) the one that the place is in? */
static bool is_in(struct str place, struct str country)
{
    if (str_is(place, "EU"))
        return country_is_of_eu(country);
    return str_equal_nocase(str_part(place, 0, 2), country);
}

/* "FL" and "US-FL" are the region of "US-FL"; no region, or one that is not written so, may be it. */
static bool may_be_region(struct str place, struct str region)
{
    if (place.len < 4 || planted("regulation-any-region"))
        return true;
    if (str_equal_nocase(str_part(region, 0, 3), str_part(place, 0, 3)))
        region = str_part(region, 3, region.len);
    if (region.len < 2 || region.len > 3)
        return true; /* not a code: any */
    return str_equal_nocase(str_part(place, 3, place.len), region);
}

static struct str text_trait(const struct question *q, uint32_t name)
{
    if (name == NAME_NONE)
        return STR("");
    struct value x = traits_get(q->who, name, NULL);
    return x.type == VALUE_TEXT ? str_trim(x.text) : STR("");
}

static bool is_place_of(const struct question *q, struct str place)
{
    if (str_is(place, "*"))
        return true;
    struct str country = text_trait(q, q->plan->country);
    struct str phone = STR(""), region = text_trait(q, q->plan->region);
    bool is_known = country.len == 2;
    if (channel_trait(q->channel) == NAME_PHONE && !planted("regulation-no-phone"))
        phone = countries_of_phone(person_address(q->who, q->channel));
    if (!is_known && phone.len == 0) {
        if (q->plan->unknown_place_count == 0)
            return true;
        for (uint32_t i = 0; i < q->plan->unknown_place_count; i++) {
            struct str unknown = q->plan->unknown_places[i];
            if (is_in(place, str_part(unknown, 0, 2)) &&
                may_be_region(place, unknown.len > 3 ? str_part(unknown, 3, unknown.len) : region))
                return true;
        }
        return false;
    }
    if (is_known && is_in(place, country) && may_be_region(place, region))
        return true;
    for (size_t i = 0; i + 2 <= phone.len; i += 3) {
        struct str one = str_part(phone, i, 2);
        /* A region is one of the country that the trait names. */
        bool is_theirs = !is_known || str_equal_nocase(one, country);
        if (is_in(place, one) && may_be_region(place, is_theirs ? region : STR("")))
            return true;
    }
    return false;
}

bool regulation_concerns(const struct question *q, const struct plan_regulation *row)
{
    if (row->channels && !(row->channels >> q->channel & 1))
        return false;
    bool is_meant = row->categories
                        ? q->category != PLAN_NO_INDEX && row->categories >> q->category & 1
                        : row->lanes >> q->intent->lane & 1;
    if (!is_meant)
        return false;
    for (uint32_t i = 0; i < row->place_count; i++)
        if (is_place_of(q, row->places[i]))
            return true;
    return false;
}

const struct plan_regulation *regulation_demands_consent(const struct question *q,
                                                         int64_t *until_ms)
{
    *until_ms = FOREVER_MS;
    for (uint32_t i = 0; i < q->plan->regulation_count; i++) {
        const struct plan_regulation *row = &q->plan->regulations[i];
        if (row->kind != REGULATION_CONSENT || !regulation_concerns(q, row))
            continue;
        const struct zone *zone = person_zone(q->who);
        int64_t day = zone_day(zone, q->at_ms);
        if (day >= row->from_day && day <= row->until_day)
            return row;
        if (day < row->from_day)
            *until_ms = min_of(*until_ms, zone_day_begin(zone, row->from_day));
    }
    return NULL;
}
