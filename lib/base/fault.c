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
    char place[FAULT_FILE_BYTES + 32] = "";
    if (f->line && f->column)
        snprintf(place, sizeof(place), "%s%s%u:%u: ", f->file, f->file[0] ? ":" : "", f->line,
                 f->column);
    else if (f->line)
        snprintf(place, sizeof(place), "%s%s%u: ", f->file, f->file[0] ? ":" : "", f->line);
    else if (f->file[0])
        snprintf(place, sizeof(place), "%s: ", f->file);
    snprintf(out, out_bytes, "%s%s", place, f->text);
}
