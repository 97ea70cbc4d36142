/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fault.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void fault_set(struct fault *f, const char *format, ...)
{
    if (f == NULL || f->text[0] != '\0')
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(f->text, sizeof(f->text), format, args);
    va_end(args);
}

void fault_place(struct fault *f, const char *file, uint32_t line, uint32_t column)
{
    if (f == NULL)
        return;
    if (file != NULL && f->file[0] == '\0')
        snprintf(f->file, sizeof(f->file), "%s", file);
    if (f->line == 0) {
        f->line = line;
        f->column = column;
    }
}

void fault_prefix(struct fault *f, const char *format, ...)
{
    if (f == NULL)
        return;
    char old[FAULT_TEXT_BYTES];
    memcpy(old, f->text, sizeof(old));
    va_list args;
    va_start(args, format);
    int used = vsnprintf(f->text, sizeof(f->text), format, args);
    va_end(args);
    if (used >= 0 && (size_t)used < sizeof(f->text))
        snprintf(f->text + used, sizeof(f->text) - (size_t)used, "%s", old);
}

void fault_print(const struct fault *f, char *out, size_t out_bytes)
{
    if (f->file[0] && f->line && f->column)
        snprintf(out, out_bytes, "%s:%u:%u: %s", f->file, f->line, f->column, f->text);
    else if (f->file[0] && f->line)
        snprintf(out, out_bytes, "%s:%u: %s", f->file, f->line, f->text);
    else if (f->file[0])
        snprintf(out, out_bytes, "%s: %s", f->file, f->text);
    else if (f->line)
        snprintf(out, out_bytes, "%u:%u: %s", f->line, f->column, f->text);
    else
        snprintf(out, out_bytes, "%s", f->text);
}
