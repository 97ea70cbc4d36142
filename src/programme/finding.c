/* SPDX-License-Identifier: Apache-2.0 */
#include "programme/finding.h"

#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct code_term {
    const char *name;
    enum finding_severity severity;
    const char *doc;
};

// clang-format off
static const struct code_term codes[FINDING_CODE_END] = {
#define ERROR   FINDING_ERROR
#define WARNING FINDING_WARNING
#define ADVICE  FINDING_ADVICE
#define FINDING(symbol, code, severity, doc) [FINDING_##symbol] = {code, severity, doc},
#include "programme/findings.def"
#undef FINDING
#undef ERROR
#undef WARNING
#undef ADVICE
};
// clang-format on

/* One sentence; more would not be read. */
#define FINDING_TEXT_BYTES 2048

void findings_init(struct findings *f)
{
    *f = (struct findings){0};
    arena_init(&f->arena, 16 * 1024);
}

void findings_fini(struct findings *f)
{
    mem_free(f->list);
    arena_fini(&f->arena);
    *f = (struct findings){0};
}

/* printf into the arena, cut at FINDING_TEXT_BYTES, with control characters made harmless: what is
 * quoted comes from files of unknown origin and goes to a terminal. */
static struct str sentence(struct findings *f, const char *format, va_list arguments)
    printf_like(2, 0);

static struct str sentence(struct findings *f, const char *format, va_list arguments)
{
    char text[FINDING_TEXT_BYTES];
    int len = vsnprintf(text, sizeof(text), format, arguments);
    must(len >= 0);
    size_t kept = min_of((size_t)len, sizeof(text) - 1);
    while (kept > 0 && kept < (size_t)len && ((uint8_t)text[kept] & 0xc0) == 0x80)
        kept--; /* not in the middle of a character */
    for (size_t i = 0; i < kept; i++)
        if ((uint8_t)text[i] < 0x20 || text[i] == 0x7f)
            text[i] = ' ';
    return arena_copy(&f->arena, (struct str){text, kept});
}

struct finding *findings_add(struct findings *f, enum finding_code code, struct place place,
                             const char *format, ...)
{
    must(code < FINDING_CODE_END);
    enum finding_severity severity = codes[code].severity;
    switch (severity) {
    case FINDING_ERROR: f->error_count++; break;
    case FINDING_WARNING: f->warning_count++; break;
    case FINDING_ADVICE: f->advice_count++; break;
    }
    if (f->count == f->room) {
        f->room = f->room ? f->room * 2 : 16;
        f->list = mem_resize(f->list, f->room * sizeof(*f->list));
    }
    struct finding *finding = &f->list[min_of(f->count, FINDINGS_MAX - 1)];
    if (f->count == FINDINGS_MAX) {
        f->dropped++; /* the last place is used again and again */
    } else {
        finding = &f->list[f->count++];
    }
    va_list arguments;
    va_start(arguments, format);
    *finding = (struct finding){
        .code = code,
        .severity = severity,
        .place = {arena_copy(&f->arena, place.file), place.line, place.column},
        .text = sentence(f, format, arguments),
    };
    va_end(arguments);
    return finding;
}

void finding_advise(struct findings *f, const char *format, ...)
{
    must(f->count > 0);
    va_list arguments;
    va_start(arguments, format);
    f->list[f->count - 1].advice = sentence(f, format, arguments);
    va_end(arguments);
}

void finding_fix(struct findings *f, const char *format, ...)
{
    must(f->count > 0);
    va_list arguments;
    va_start(arguments, format);
    f->list[f->count - 1].fix = sentence(f, format, arguments);
    va_end(arguments);
}

static int finding_order(const void *a_, const void *b_, void *list)
{
    uint32_t ia = *(const uint32_t *)a_;
    uint32_t ib = *(const uint32_t *)b_;
    const struct finding *a = (const struct finding *)list + ia;
    const struct finding *b = (const struct finding *)list + ib;
    int order = str_order(a->place.file, b->place.file);
    if (order)
        return order;
    if (a->place.line != b->place.line)
        return a->place.line < b->place.line ? -1 : 1;
    if (a->place.column != b->place.column)
        return a->place.column < b->place.column ? -1 : 1;
    if (a->severity != b->severity)
        return a->severity < b->severity ? -1 : 1;
    return ia < ib ? -1 : ia > ib;
}

void findings_sort(struct findings *f)
{
    if (f->count < 2)
        return;
    uint32_t *order = mem_new(f->count * sizeof(*order));
    for (uint32_t i = 0; i < f->count; i++)
        order[i] = i;
    qsort_r(order, f->count, sizeof(*order), finding_order, f->list);
    struct finding *sorted = mem_new(f->count * sizeof(*sorted));
    for (uint32_t i = 0; i < f->count; i++)
        sorted[i] = f->list[order[i]];
    mem_free(order);
    mem_free(f->list);
    f->list = sorted;
    f->room = f->count;
}

const char *finding_code_name(enum finding_code code)
{
    must(code < FINDING_CODE_END);
    return codes[code].name;
}

const char *finding_code_doc(enum finding_code code)
{
    must(code < FINDING_CODE_END);
    return codes[code].doc;
}

const char *finding_severity_name(enum finding_severity severity)
{
    switch (severity) {
    case FINDING_ERROR: return "error";
    case FINDING_WARNING: return "warning";
    case FINDING_ADVICE: return "advice";
    }
    must(!"a severity");
    return "";
}

void finding_print(const struct finding *finding, struct buf *out)
{
    const struct place *place = &finding->place;
    if (place->file.len)
        buf_printf(out, "%.*s:", STR_ARG(place->file));
    if (place->line)
        buf_printf(out, "%u:", place->line);
    if (place->line && place->column)
        buf_printf(out, "%u:", place->column);
    if (out->len && out->at[out->len - 1] == ':')
        buf_add_byte(out, ' ');
    buf_printf(out, "%s: %.*s [%s]\n", finding_severity_name(finding->severity),
               STR_ARG(finding->text), finding_code_name(finding->code));
    if (finding->advice.len)
        buf_printf(out, "    %.*s\n", STR_ARG(finding->advice));
    if (finding->fix.len)
        buf_printf(out, "    write: %.*s\n", STR_ARG(finding->fix));
}

void findings_reference(struct buf *out)
{
    buf_printf(out,
               "# What can be wrong with a programme\n\n"
               "Generated from `src/programme/findings.def`. The code stands in brackets at the "
               "end of a finding. An error means that the programme cannot be used; a warning, "
               "that it hardly works as meant; advice, that it could be better.\n\n"
               "| code | kind | meaning |\n|---|---|---|\n");
    for (int i = 0; i < FINDING_CODE_END; i++)
        buf_printf(out, "| `%s` | %s | %s |\n", codes[i].name,
                   finding_severity_name(codes[i].severity), codes[i].doc);
}
