/* finding.h - what is wrong, doubtful or improvable in a programme: one sentence with its place, a
 * stable code, what to do, and, where the text itself is at fault, the line as it should read.
 *
 *     journeys/cart.yaml:12:9: error: unknown key "emial"; did you mean "email"? [unknown-key]
 *
 * A loader adds findings and goes on, so that all that is wrong is said at once.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/fault.h"

#define FINDINGS_MAX 1000 /* more are counted, not kept */

enum finding_severity {
    FINDING_ERROR,   /* the programme cannot be used */
    FINDING_WARNING, /* it can, but hardly as meant */
    FINDING_ADVICE,  /* it works; this would make it better */
};

enum finding_code {
#define FINDING(symbol, code, severity, doc) FINDING_##symbol,
#include "programme/findings.def"
#undef FINDING
    FINDING_CODE_END,
};

/* Where something stands. Line and column count from 1 (columns in bytes); 0 = the whole file. */
struct place {
    struct str file; /* relative to the programme's folder, "journeys/cart.yaml" */
    uint32_t line;
    uint32_t column;
};

struct finding {
    enum finding_code code;
    enum finding_severity severity;
    struct place place;
    struct str text;   /* the sentence: lower case, no full stop */
    struct str advice; /* what to do; may be empty */
    struct str fix;    /* the line as it should be; may be empty */
};

/* All texts live in the arena until findings_fini(). */
struct findings {
    struct arena arena;
    struct finding *list; /* in the order of adding, until findings_sort() */
    uint32_t count;
    uint32_t room;
    uint32_t dropped; /* beyond FINDINGS_MAX */
    uint32_t error_count;
    uint32_t warning_count;
    uint32_t advice_count;
};

void findings_init(struct findings *f);
void findings_fini(struct findings *f);

/* Adds one, with the severity of its code, and returns it so that the caller may set `advice` and
 * `fix` (finding_advise, finding_fix); good until the next is added. Never NULL. */
struct finding *findings_add(struct findings *f, enum finding_code code, struct place place,
                             const char *format, ...) printf_like(4, 5);

/* Sets the advice, or the corrected line, of the finding added last. */
void finding_advise(struct findings *f, const char *format, ...) printf_like(2, 3);
void finding_fix(struct findings *f, const char *format, ...) printf_like(2, 3);

/* By file, line, column, then severity and order of adding. */
void findings_sort(struct findings *f);

/* "unknown-key", "error": for output and machines. */
const char *finding_code_name(enum finding_code code);
const char *finding_code_doc(enum finding_code code);
const char *finding_severity_name(enum finding_severity severity);

/* Appends "file:line:column: error: sentence [code]" and, on lines of their own, advice and fix. */
void finding_print(const struct finding *finding, struct buf *out);

/* Appends all codes as Markdown: docs/reference/findings.md. */
void findings_reference(struct buf *out);
