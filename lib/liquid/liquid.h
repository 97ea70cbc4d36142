/* liquid.h - the template language: what a message says, filled in with facts about its recipient.
 *
 * It is Shopify's Liquid (https://shopify.github.io/liquid), with an interpreter of our own. A template
 * and the partials it uses are compiled once into a flat list of small operations; rendering runs
 * them on a stack under budgets, so that no template and no data can make it run long.
 *
 *     {{ person.first_name | default: "there" }}, your {{ event.items.size }} things wait.
 *        └──── read 0 ───┘                             └── read 1 ─┘
 *
 * What a template *reads* is known after compiling: the paths it asks the host for. The engine
 * freezes exactly those fields when a message is granted, and a retry renders from them again.
 * While rendering, the host is asked for a read by its number; names that the template defines itself
 * (assign, capture, loops, arguments of partials) come first.
 *
 * Besides the standard tags there is `{% abort "reason" %}`: the message is not to be sent.
 *
 * Mistakes are found when compiling (unknown tags, filters and partials, with the nearest name) or
 * when rendering (a comparison of text with numbers, a division by zero, a budget used up); both have
 * line and column, and in fault.file the name of the template or partial. A name that does not exist
 * is not a mistake: it renders as nothing.
 *
 * Values are data: text that comes from the host is never looked at as a template.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/arena.h"
#include "base/base.h"
#include "base/buf.h"
#include "base/fault.h"
#include "base/str.h"
#include "base/value.h"

struct zone; /* when/zone.h */

#define LIQUID_SOURCE_BYTES_MAX ((size_t)1 << 20) /* one template or partial */
#define LIQUID_PARTIALS_MAX     1024
#define LIQUID_BLOCKS_MAX       64 /* tags within tags, in one source */
#define LIQUID_PATH_PARTS_MAX   16 /* a.b.c: three */

/* What the output is for, which decides how {{ }} writes text (unless `| raw`). */
enum liquid_kind {
    LIQUID_TEXT = 0, /* as it is: plain text, SMS, push */
    LIQUID_HTML,   /* & < > " ' become entities; a value that begins a link (href, src ...) and has
                      * a scheme other than http, https, mailto, tel or sms becomes "#blocked" */
    LIQUID_HEADER, /* as it is, but CR, LF and NUL anywhere in the output fail the rendering */
    LIQUID_JSON, /* as the inside of a JSON string: {"name": "{{ person.name }}"}. What comes out of
                      * the `json` filter has its own quotes and brackets and is written as it is */
};

/* A named text: a template, or a partial that templates may include or render. */
struct liquid_source {
    struct str name;
    struct str text;
};

/* One path that a template asks the host for: `event.items` is {"event", "items"}. */
struct liquid_read {
    const struct str *parts;
    uint32_t part_count; /* 0: the name itself is computed ({{ [x] }}), so everything may be read */
    uint32_t index;      /* its place in liquid_reads() */
    bool is_maybe_local; /* the template may define this name itself: absence is not a mistake */
    struct str source;   /* where it stands first */
    uint32_t line;
    uint32_t column;
};

struct liquid_template;

/* Compiles `source` with the `partial_count` partials it may use (those it cannot reach are not
 * looked at). Everything that *out needs is copied into `plan`, which must live as long as it does.
 * FIX_INPUT with a placed fault (file = the source's name) where something is wrong. */
enum status liquid_compile(struct arena *plan, const struct liquid_source *source,
                           const struct liquid_source *partials, size_t partial_count,
                           enum liquid_kind kind, const struct liquid_template **out,
                           struct fault *f) mustuse;

/* The paths it reads, in order of appearance, each once; good as long as the template. */
const struct liquid_read *liquid_reads(const struct liquid_template *t, size_t *count);

/* Who answers a read: the value at that path, or VALUE_NONE. What it points to must stay until the
 * rendering ends. May be asked several times, and must answer the same. */
struct liquid_host {
    void *self;
    struct value (*load)(void *self, const struct liquid_read *read);
};

/* How much one rendering may use; 0 stands for the default. */
struct liquid_limits {
    uint32_t steps_max;      /* operations; a filter counts for more the more it reads */
    uint32_t iterations_max; /* rounds of all loops together */
    uint32_t depth_max;      /* loops, captures and partials within each other */
    size_t output_bytes_max;
    size_t memory_bytes_max; /* texts and lists made on the way */
};

#define LIQUID_STEPS        1000000
#define LIQUID_ITERATIONS   100000
#define LIQUID_DEPTH        64
#define LIQUID_DEPTH_MAX    256
#define LIQUID_OUTPUT_BYTES ((size_t)2 << 20)
#define LIQUID_MEMORY_BYTES ((size_t)16 << 20)

struct liquid_run {
    struct liquid_host host;
    struct arena *scratch;   /* for values made on the way; the caller resets it afterwards */
    const struct zone *zone; /* whose clock `date` shows; NULL = UTC */
    int64_t now_ms;          /* what "now" and "today" mean to `date` */
    struct liquid_limits limits;
    const struct str *schemes; /* further schemes that links may have ("myapp"); small letters */
    size_t scheme_count;
};

enum liquid_outcome {
    LIQUID_DONE = 0,
    LIQUID_ABORTED, /* {% abort %}: not to be sent; the fault's text is the reason as written */
    LIQUID_FAILED,  /* a mistake or a budget; the fault says which and where */
};

/* Appends what `t` says to `out`; where it is not LIQUID_DONE, `out` is as it was before. */
enum liquid_outcome liquid_render(const struct liquid_template *t, const struct liquid_run *run,
                                  struct buf *out, struct fault *f) mustuse;

/* A filter or tag, as the reference and the editor show it. */
struct liquid_word {
    const char *name;
    const char *doc;
    const char *example; /* a template without data ... */
    const char *result;  /* ... and what it renders as LIQUID_TEXT */
};

const struct liquid_word *liquid_filters(size_t *count);
const struct liquid_word *liquid_tags(size_t *count);
