/* SPDX-License-Identifier: Apache-2.0 */
#include "json/json_shim.h"

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <new>

#include <simdjson.h>

/* json.h walks this tape itself, so a change of its format must not go unnoticed: see the tape's test
 * in json_parse_test.c, and doc/tape.md of simdjson, same since 0.3. */
static_assert(simdjson::SIMDJSON_VERSION_MAJOR <= 3, "read doc/tape.md again");
static_assert(simdjson::SIMDJSON_PADDING <= JSON_SHIM_PADDING,
              "simdjson reads further than we pad");
/* A document's buffer for texts has as many bytes behind all that it can hold. */
static_assert(simdjson::SIMDJSON_PADDING >= JSON_SHIM_TEXT_PADDING,
              "texts are read further than there is room");

struct json_shim {
    simdjson::dom::parser parser;
    uint32_t depth_max = 0;
    size_t capacity = 0;
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

int json_shim_parse(struct json_shim *shim, const char *at, size_t bytes, uint32_t depth_max,
                    const uint64_t **tape, const uint8_t **texts)
{
    if (bytes > shim->capacity || depth_max != shim->depth_max) {
        size_t capacity = shim->capacity ? shim->capacity : 4096;
        while (capacity < bytes)
            capacity *= 2;
        /* simdjson refuses at its own depth_max: one more than the containers we allow. */
        if (shim->parser.allocate(capacity, depth_max + 1) != simdjson::SUCCESS)
            out_of_memory();
        if (capacity != shim->capacity && shim->parser.doc.allocate(capacity) != simdjson::SUCCESS)
            out_of_memory();
        shim->capacity = capacity;
        shim->depth_max = depth_max;
    }
    simdjson::error_code error =
        shim->parser.parse(reinterpret_cast<const uint8_t *>(at), bytes, false).error();
    if (error == simdjson::MEMALLOC)
        out_of_memory();
    *tape = shim->parser.doc.tape.get();
    *texts = shim->parser.doc.string_buf.get();
    return static_cast<int>(error);
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
