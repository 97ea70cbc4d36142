/* SPDX-License-Identifier: Apache-2.0 */
#include "model/codes.h"

bool code_next(struct str text, size_t *from, uint32_t *line, struct str *code)
{
    while (*from < text.len) {
        size_t end = min_of(str_find(text, STR("\n"), *from), text.len);
        struct str found = str_trim(str_part(text, *from, end - *from));
        *from = end + 1;
        ++*line;
        if (found.len >= 2 && found.at[0] == '"' && found.at[found.len - 1] == '"')
            found = str_part(found, 1, found.len - 2);
        if (found.len == 0 || (*line == 1 && str_is(found, "code")))
            continue;
        *code = found;
        return true;
    }
    return false;
}

bool code_is_fine(struct str code)
{
    return code.len > 0 && code.len <= CODE_BYTES_MAX && str_find(code, STR(","), 0) == SIZE_MAX &&
           str_find(code, STR("\""), 0) == SIZE_MAX;
}

struct str codes_part(struct str text, size_t *from)
{
    size_t begin = *from, end = *from;
    while (end < text.len) {
        size_t next = min_of(str_find(text, STR("\n"), end), text.len - 1) + 1;
        if (next - begin > CODES_BYTES_MAX)
            break;
        end = next;
    }
    must(end > begin || begin >= text.len);
    *from = end;
    return str_part(text, begin, end - begin);
}
