/* fuzz_channel.c - what this process reads from mail servers and from people's files about sending.
 *
 * The first byte says which: the lines of an SMTP server, an address, a sender with a name, a
 * provider's settings, secrets of webhooks, networks and ports; or what it writes: a whole message from
 * any texts, which has to keep mime.h's promises.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/arena.h"
#include "base/mem.h"
#include "channel/address.h"
#include "channel/base64.h"
#include "channel/channel.h"
#include "channel/egress.h"
#include "channel/mime.h"
#include "channel/sign.h"
#include "channel/smtp_reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Takes the bytes up to the next NUL off the front. */
static struct str take(struct str *rest)
{
    size_t end = min_of(str_find(*rest, (struct str){"", 1}, 0), rest->len);
    struct str part = str_part(*rest, 0, end);
    *rest = str_part(*rest, end + 1, SIZE_MAX);
    return part;
}

static void smtp_lines(struct str input)
{
    struct smtp_reply r = {0};
    for (struct str rest = input; rest.len > 0;) {
        size_t end = min_of(str_find(rest, STR("\n"), 0), rest.len);
        smtp_reply_line(&r, str_part(rest, 0, end));
        rest = str_part(rest, end + 1, SIZE_MAX);
        must(r.text_bytes < sizeof(r.text));
        must(r.text[r.text_bytes] == '\0');
        must(str_is_utf8((struct str){r.text, r.text_bytes}));
        must(r.enhanced[0] == 0 || r.enhanced[0] == r.code / 100);
        for (int stage = SMTP_CONNECT; r.is_complete && stage <= SMTP_DOT; stage++) {
            enum transmission_outcome outcome = smtp_classify(&r, (enum smtp_stage)stage);
            must(outcome != TRANSMISSION_IN_DOUBT);
            must(r.code < 400 || r.code >= 500 || transmission_is_retriable(outcome));
            must(outcome != TRANSMISSION_BAD_ADDRESS || (r.code >= 500 && stage >= SMTP_RCPT));
            must(outcome != TRANSMISSION_ACCEPTED || (r.code < 300 && stage == SMTP_DOT));
        }
    }
}

static void addresses(struct str input)
{
    char normal[ADDRESS_BYTES_MAX + 1], fold[ADDRESS_BYTES_MAX + 1], again[ADDRESS_BYTES_MAX + 1];
    enum address_flaw flaw = address_normal(input, normal);
    must(address_fold(input, fold) == flaw);
    must((flaw == ADDRESS_FINE) == (normal[0] != '\0'));
    if (flaw != ADDRESS_FINE)
        return;
    must(address_check(str_of(normal)) == ADDRESS_FINE);
    must(address_normal(str_of(normal), again) == ADDRESS_FINE);
    must(strcmp(normal, again) == 0);
    must(address_fold(str_of(fold), again) == ADDRESS_FINE);
    must(strcmp(fold, again) == 0);
    must(strpbrk(normal, "\r\n<>") == NULL || normal[0] == '"');
    must(strpbrk(normal, "\r\n") == NULL);
}

static void mailboxes(struct str input)
{
    char *scratch = mem_new(input.len + 1);
    struct mime_mailbox mailbox;
    struct fault f = {0};
    if (mime_mailbox_parse(input, scratch, &mailbox, &f) == OK)
        must(address_check(mailbox.address) == ADDRESS_FINE);
    else
        must(f.text[0] != '\0');
    mem_free(scratch);
}

static void settings(struct str input)
{
    struct channel_option options[CHANNEL_SETTINGS_MAX + 8];
    size_t count = 0, kinds_count;
    const struct channel_kind *const *kinds = channel_kinds(&kinds_count);
    while (input.len > 0 && count < array_count(options)) {
        struct str name = take(&input);
        options[count] = (struct channel_option){name, take(&input), (uint32_t)count + 1};
        count++;
    }
    for (size_t i = 0; i < kinds_count; i++) {
        struct fault f = {0};
        if (channel_options_check(kinds[i], options, count, &f) != OK)
            must(f.text[0] != '\0');
    }
}

static void secrets(struct str input)
{
    struct buf out;
    buf_init(&out);
    struct fault f = {0};
    struct egress e = {0};
    if (sign_secrets_check(input, &f) == OK)
        sign_write(&out, input, STR("1-2-3"), 1, STR("{}"));
    if (egress_parse_blocks(input, &e, NULL) == OK)
        must(e.block_count <= EGRESS_ALLOW_MAX);
    if (egress_parse_ports(input, &e, NULL) == OK)
        must(e.port_count <= EGRESS_ALLOW_MAX);
    out.len = 0;
    if (base64_read(&out, input)) {
        struct buf again;
        buf_init(&again);
        base64_write(&again, buf_str(&out));
        must(str_starts(buf_str(&again), input) || input.len > again.len || input.len == 0 ||
             input.at[input.len - 1] == '=');
        buf_fini(&again);
    }
    buf_fini(&out);
}

static void message(struct str input)
{
    const struct mime_header further = {take(&input), take(&input)};
    const struct mime_message m = {
        .from = {take(&input), STR("hello@example.com")},
        .to = {take(&input), take(&input)},
        .subject = take(&input),
        .id = STR("1f-02-1"),
        .unsubscribe_url = take(&input),
        .headers = &further,
        .headers_count = 1,
        .html = take(&input),
        .text = input.len > 0 ? input : STR("x"),
        .date_ms = 1772452800000,
    };
    struct buf out;
    buf_init(&out);
    struct fault f = {0};
    if (mime_write(&m, &out, &f) != OK) {
        must(f.text[0] != '\0');
        must(out.len == 0);
    }
    bool is_body = false;
    for (size_t start = 0; start < out.len;) {
        size_t end = str_find(buf_str(&out), STR("\r\n"), start);
        must(end != SIZE_MAX);
        struct str line = str_part(buf_str(&out), start, end - start);
        must(line.len <= (is_body ? 76u : 998u));
        must(line.len == 0 || line.at[0] != '.');
        must(is_body || line.len == 0 || str_find(line, STR(":"), 0) != SIZE_MAX ||
             line.at[0] == ' ');
        for (size_t i = 0; i < line.len; i++)
            must(line.at[i] == '\t' || (line.at[i] >= ' ' && line.at[i] <= '~'));
        is_body = is_body || line.len == 0;
        start = end + 2;
    }
    out.len = 0;
    if (str_is_utf8(m.html)) {
        mime_write_text_of_html(&out, m.html);
        must(str_is_utf8(buf_str(&out)));
    }
    buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1 || size > 65536)
        return 0;
    struct str input = {(const char *)data + 1, size - 1};
    switch (data[0] % 6) {
    case 0: smtp_lines(input); break;
    case 1: addresses(input); break;
    case 2: mailboxes(input); break;
    case 3: settings(input); break;
    case 4: secrets(input); break;
    case 5: message(input); break;
    }
    return 0;
}
