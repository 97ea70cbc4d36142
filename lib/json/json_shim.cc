/* SPDX-License-Identifier: Apache-2.0 */
#include "json/json_shim.h"

#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <new>

#include <simdjson.h>

/* simdjson's documents are its tapes, but its first pass can be had alone: an interface of its own, between
 * its parser and what it has for each kind of processor, the same since 1.0. */
static_assert(simdjson::SIMDJSON_VERSION_MAJOR <= 3, "read dom_parser_implementation again");
static_assert(simdjson::SIMDJSON_PADDING <= JSON_SHIM_PADDING,
              "simdjson reads further than we pad");

struct json_shim {
    std::unique_ptr<simdjson::internal::dom_parser_implementation> pass;
};

static void out_of_memory()
{
    std::fputs("json: out of memory\n", stderr);
    std::abort();
}

struct json_shim *json_shim_new(void)
{
    struct json_shim *shim = new (std::nothrow) json_shim;
    if (!shim)
        out_of_memory();
    return shim;
}

void json_shim_free(struct json_shim *shim)
{
    delete shim;
}

bool json_shim_heads(struct json_shim *shim, const char *at, size_t bytes, const uint32_t **heads,
                     uint32_t *count)
{
    size_t capacity = shim->pass ? shim->pass->capacity() : 0;
    if (bytes > capacity) {
        capacity = capacity ? capacity : 4096;
        while (capacity < bytes)
            capacity *= 2;
        shim->pass.reset(); /* or there would be two for a moment */
        const auto *processor = simdjson::get_active_implementation().operator->();
        if (processor->create_dom_parser_implementation(capacity, 1, shim->pass) !=
            simdjson::SUCCESS)
            out_of_memory();
    }
    if (shim->pass->stage1(reinterpret_cast<const uint8_t *>(at), bytes,
                           simdjson::stage1_mode::regular) != simdjson::SUCCESS)
        return false;
    *heads = shim->pass->structural_indexes.get();
    *count = shim->pass->n_structural_indexes;
    return true;
}

bool json_shim_number(const char *at, double *out)
{
    const char *end = at; /* all that a number is made of */
    while ((*end >= '0' && *end <= '9') || *end == '-' || *end == '+' || *end == '.' ||
           *end == 'e' || *end == 'E')
        end++;
    if (std::from_chars(at, end, *out).ec == std::errc())
        return std::isfinite(*out);
    *out = std::strtod(at, nullptr); /* out of range: infinite or tiny */
    return std::isfinite(*out);
}

size_t json_shim_double(double x, char out[JSON_SHIM_DOUBLE_BYTES])
{
    return static_cast<size_t>(std::to_chars(out, out + JSON_SHIM_DOUBLE_BYTES, x).ptr - out);
}

size_t json_shim_scientific(double x, char out[JSON_SHIM_DOUBLE_BYTES])
{
    const auto form = std::chars_format::scientific;
    return static_cast<size_t>(std::to_chars(out, out + JSON_SHIM_DOUBLE_BYTES, x, form).ptr - out);
}
