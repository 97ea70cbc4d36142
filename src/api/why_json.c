/* SPDX-License-Identifier: Apache-2.0 */
#include "api/why_json.h"

#include "when/civil.h"

void why_json(struct json_writer *w, const struct names *names, const struct note *note)
{
    char at[TIMESTAMP_BYTES];
    json_write_map(w);
    json_write_key_text(w, "at", timestamp_print(note->at_ms, at));
    json_write_key_int(w, "at_ms", note->at_ms);
    if (note->journey != NAME_NONE)
        json_write_key_text(w, "journey", names_text(names, note->journey));
    if (note->message != NAME_NONE)
        json_write_key_text(w, "message", names_text(names, note->message));
    json_write_key_text(w, "text", note->text);
    json_write_end(w);
}
