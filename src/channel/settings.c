/* SPDX-License-Identifier: Apache-2.0 */
#include "channel/settings.h"

#include <curl/curl.h>
#include <stdlib.h>

#include "channel/address.h"
#include "channel/egress.h"
#include "os/file.h"
#include "when/span.h"

#define TEXT_BYTES_MAX 2000

/* --- references ------------------------------------------------------------------------------- */

bool setting_reference(struct str text, char *kind, struct str *what)
{
    if (!str_ends(text, STR("}")))
        return false;
    if (!str_starts(text, STR("${ENV:")) && !str_starts(text, STR("${FILE:")))
        return false;
    *kind = text.at[2];
    size_t from = str_find(text, STR(":"), 0) + 1;
    *what = str_part(text, from, text.len - from - 1);
    return true;
}

static enum status read_environment(struct str name, struct arena *a, struct str *out,
                                    struct fault *f)
{
    char z[256];
    size_t otherwise = str_find(name, STR(":-"), 0); /* ${ENV:NAME:-otherwise} */
    struct str standard =
        str_part(name, otherwise == SIZE_MAX ? name.len : otherwise + 2, name.len);
    name = str_part(name, 0, otherwise);
    const char *value = str_to_z(name, z, sizeof(z)) ? getenv(z) : NULL;
    if (otherwise != SIZE_MAX && (value == NULL || value[0] == '\0')) {
        *out = arena_copy(a, standard);
        return OK;
    }
    if (value == NULL) {
        fault_set(f, "the environment has no variable \"%.*s\"", (int)min_of(name.len, (size_t)100),
                  name.at);
        return GIVE_UP;
    }
    *out = arena_copy(a, str_of(value));
    return OK;
}

static enum status read_file(struct str path, struct arena *a, struct str *out, struct fault *f)
{
    char z[OS_PATH_BYTES];
    if (!str_to_z(path, z, sizeof(z))) {
        fault_set(f, "the path of the file is too long");
        return GIVE_UP;
    }
    struct buf content;
    buf_init(&content);
    enum status status = os_read_whole(os_disk_real(), z, SECRET_BYTES_MAX, &content, f);
    if (status == OK) /* the line break at a file's end is the editor's */
        *out = arena_copy(a, str_trim(buf_str(&content)));
    buf_fini(&content);
    return status == OK ? OK : GIVE_UP;
}

enum status setting_resolve(const struct channel_setting *s, struct str text, struct arena *a,
                            struct str *out, struct fault *f)
{
    char kind;
    struct str what;
    bool is_reference = setting_reference(text, &kind, &what);
    if (is_reference && s->kind == CHANNEL_SETTING_SECRET &&
        str_find(what, STR(":-"), 0) < what.len) {
        fault_set(f, "a secret has no stand-in; write ${ENV:NAME} or ${FILE:path}");
        return FIX_INPUT;
    }
    if (is_reference)
        return kind == 'E' ? read_environment(what, a, out, f) : read_file(what, a, out, f);
    if (s->kind == CHANNEL_SETTING_SECRET) {
        fault_set(f, "a secret does not stand in this file; write ${ENV:NAME} or ${FILE:path}");
        return FIX_INPUT;
    }
    *out = arena_copy(a, text);
    return OK;
}

/* --- kinds ------------------------------------------------------------------------------------ */

static enum status parse_integer(const struct channel_setting *s, struct str text, int64_t *out,
                                 struct fault *f)
{
    if (str_to_int(text, out) && *out >= s->least && *out <= s->most)
        return OK;
    fault_set(f, "expected a whole number from %lld to %lld, found \"%.*s\"", (long long)s->least,
              (long long)s->most, (int)min_of(text.len, (size_t)40), text.at);
    return FIX_INPUT;
}

static enum status parse_duration(const struct channel_setting *s, struct str text, int64_t *out,
                                  struct fault *f)
{
    struct span span;
    enum status status = span_parse(text, &span, f);
    if (status != OK)
        return status;
    if (span.kind == SPAN_FIXED && span.ms >= s->least && span.ms <= s->most) {
        *out = span.ms;
        return OK;
    }
    char least[SPAN_BYTES], most[SPAN_BYTES];
    span_print(span_of_ms(s->least), least);
    span_print(span_of_ms(s->most), most);
    fault_set(f, "expected a time from %s to %s, found \"%.*s\"", least, most,
              (int)min_of(text.len, (size_t)40), text.at);
    return FIX_INPUT;
}

static enum status parse_choice(const struct channel_setting *s, struct str text, struct fault *f)
{
    struct str names[16];
    size_t count = 0;
    for (struct str rest = str_of(s->choices); rest.len > 0;) {
        size_t end = str_find(rest, STR("|"), 0);
        must(count < array_count(names));
        names[count] = str_part(rest, 0, end);
        if (str_equal(text, names[count++]))
            return OK;
        rest = end == SIZE_MAX ? STR("") : str_part(rest, end + 1, SIZE_MAX);
    }
    struct str near = str_nearest(text, names, count);
    if (near.len > 0)
        fault_set(f, "expected one of %s, found \"%.*s\"; did you mean \"%.*s\"?", s->choices,
                  (int)min_of(text.len, (size_t)40), text.at, STR_ARG(near));
    else
        fault_set(f, "expected one of %s, found \"%.*s\"", s->choices,
                  (int)min_of(text.len, (size_t)40), text.at);
    return FIX_INPUT;
}

static enum status parse_flag(struct str text, int64_t *out, struct fault *f)
{
    if (!str_is(text, "true") && !str_is(text, "false")) {
        fault_set(f, "expected true or false, found \"%.*s\"", (int)min_of(text.len, (size_t)40),
                  text.at);
        return FIX_INPUT;
    }
    *out = str_is(text, "true");
    return OK;
}

static enum status parse_url(struct str text, struct fault *f)
{
    CURLU *url = curl_url();
    must(url != NULL);
    char z[TEXT_BYTES_MAX + 1];
    must(str_to_z(text, z, sizeof(z)));
    char *user = NULL;
    CURLUcode code = curl_url_set(url, CURLUPART_URL, z, CURLU_NON_SUPPORT_SCHEME);
    if (code == CURLUE_OK && curl_url_get(url, CURLUPART_USER, &user, 0) == CURLUE_OK)
        fault_set(f, "a user name or password does not belong into a URL");
    else if (code != CURLUE_OK)
        fault_set(f, "\"%.*s\" is not a URL: %s", (int)min_of(text.len, (size_t)100), text.at,
                  curl_url_strerror(code));
    bool is_fine = code == CURLUE_OK && user == NULL;
    curl_free(user);
    curl_url_cleanup(url);
    return is_fine ? OK : FIX_INPUT;
}

enum status setting_parse(const struct channel_setting *s, struct str text, struct arena *a,
                          struct channel_value *out, struct fault *f)
{
    size_t most = s->kind == CHANNEL_SETTING_SECRET ? SECRET_BYTES_MAX : TEXT_BYTES_MAX;
    if (text.len > most) {
        fault_set(f, "longer than %zu bytes", most);
        return FIX_INPUT;
    }
    for (size_t i = 0; i < text.len; i++) {
        if ((uint8_t)text.at[i] < ' ' || text.at[i] == 0x7f) {
            fault_set(f, "has a line break or another control character in it");
            return FIX_INPUT;
        }
    }
    *out = (struct channel_value){.text = arena_copy(a, text)};
    struct egress ignored = {0};
    switch (s->kind) {
    case CHANNEL_SETTING_TEXT:
    case CHANNEL_SETTING_SECRET: return OK;
    case CHANNEL_SETTING_URL: return parse_url(text, f);
    case CHANNEL_SETTING_MAILBOX:
        return mime_mailbox_parse(out->text, arena_alloc(a, text.len + 1), &out->mailbox, f);
    case CHANNEL_SETTING_INTEGER: return parse_integer(s, text, &out->integer, f);
    case CHANNEL_SETTING_DURATION: return parse_duration(s, text, &out->integer, f);
    case CHANNEL_SETTING_CHOICE: return parse_choice(s, text, f);
    case CHANNEL_SETTING_FLAG: return parse_flag(text, &out->integer, f);
    case CHANNEL_SETTING_NETWORKS: return egress_parse_blocks(text, &ignored, f);
    case CHANNEL_SETTING_PORTS: return egress_parse_ports(text, &ignored, f);
    }
    return FIX_INPUT;
}
