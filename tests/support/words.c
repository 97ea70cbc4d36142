/* SPDX-License-Identifier: Apache-2.0 */
#include "support/words.h"

#include <string.h>

#include "model/body.h"
#include "model/identifier.h"
#include "profile/identity.h"
#include "when/zone.h"

#include "test.h"

void words_zones(struct buf *out)
{
    static const struct zone_file files[] = {
        {{"UTC", 3}, {"UTC0", 4}},
        {{"Europe/London", 13}, {"GMT0BST,M3.5.0/1,M10.5.0", 24}},
        {{"America/New_York", 16}, {"EST5EDT,M3.2.0,M11.1.0", 22}},
        {{"Asia/Tokyo", 10}, {"JST-9", 5}},
    };
    struct zoneset *set;
    struct fault f = {0};
    if (zoneset_build(STR("test"), files, array_count(files), &set, &f) != OK)
        fail_msg("%s", f.text);
    zoneset_write(set, out);
    zoneset_free(set);
}

uint32_t words_files(const char *programme, struct programme_file *files, uint32_t most)
{
    uint32_t count = 0;
    for (const char *p = programme; p != NULL && *p;) {
        assert_int_equal(strncmp(p, "=== ", 4), 0);
        const char *line = strchr(p, '\n');
        const char *next = strstr(line, "\n=== ");
        size_t bytes = next ? (size_t)(next - line) : strlen(line + 1);
        assert_true(count < most);
        files[count++] =
            (struct programme_file){{p + 4, (size_t)(line - p - 4)}, {line + 1, bytes}};
        p = next ? next + 1 : NULL;
    }
    return count;
}

void words_ids(const uint8_t *secret, const char *who, struct id128 *user, struct id128 *anonymous,
               struct str *user_text, struct str *anonymous_text)
{
    const char *tilde = strchr(who, '~');
    if (who[0] == '@' || who[0] == '#')
        who = "", tilde = NULL;
    *user_text = (struct str){who, tilde ? (size_t)(tilde - who) : strlen(who)};
    *anonymous_text = str_of(tilde ? tilde + 1 : "");
    *user = *anonymous = (struct id128){0};
    if (user_text->len)
        *user = identifier_hash(IDENTIFIER_USER, *user_text, secret);
    if (anonymous_text->len)
        *anonymous = identifier_hash(IDENTIFIER_ANONYMOUS, *anonymous_text, secret);
}

void words_fields(struct names *names, const char *fields, struct buf *out)
{
    char copy[512], *rest = NULL;
    assert_true(strlen(fields) < sizeof(copy));
    snprintf(copy, sizeof(copy), "%s", fields);
    for (char *field = strtok_r(copy, " ", &rest); field; field = strtok_r(NULL, " ", &rest)) {
        char *text = strchr(field, '=');
        assert_non_null(text);
        *text++ = 0;
        uint32_t name = names_add(names, str_of(field));
        struct value x = value_text(str_of(text));
        int64_t integer;
        double number;
        if (str_is(x.text, "true") || str_is(x.text, "false"))
            x = value_bool(str_is(x.text, "true"));
        else if (str_is(x.text, "null"))
            x = (struct value){.type = VALUE_NULL};
        else if (text[0] != '+' && str_to_int(x.text, &integer))
            x = value_int(integer);
        else if (strchr(text, '.') && str_to_double(x.text, &number))
            x = value_double(number);
        body_put(out, name, &x);
    }
}
