/* SPDX-License-Identifier: Apache-2.0 */
#include "channel/address.h"

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* RFC 5322 3.2.3: what an atom is made of. */
static bool is_atom(char c)
{
    return is_letter(c) || is_digit(c) || (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

static bool is_visible(char c)
{
    return c >= ' ' && c <= '~';
}

/* The bytes of the local part, up to the @ that ends it; SIZE_MAX if it is not one. */
static size_t local_end(struct str text)
{
    size_t i = 0;
    if (text.at[0] == '"') {
        for (i = 1; i < text.len && text.at[i] != '"'; i++) {
            if (text.at[i] == '\\')
                i++;
            if (i == text.len || !is_visible(text.at[i]))
                return SIZE_MAX;
        }
        i++;
        return i < text.len && text.at[i] == '@' && i > 2 ? i : SIZE_MAX;
    }
    bool is_after_atom = false;
    for (; i < text.len && text.at[i] != '@'; i++) {
        if (text.at[i] == '.' && !is_after_atom)
            return SIZE_MAX;
        if (text.at[i] != '.' && !is_atom(text.at[i]))
            return SIZE_MAX;
        is_after_atom = text.at[i] != '.';
    }
    return is_after_atom ? i : SIZE_MAX;
}

static enum address_flaw domain_check(struct str domain)
{
    if (domain.len == 0)
        return ADDRESS_BAD_DOMAIN;
    if (domain.at[0] == '[')
        return ADDRESS_NOT_PUBLIC;
    if (domain.len > ADDRESS_DOMAIN_BYTES_MAX)
        return ADDRESS_TOO_LONG;
    size_t labels = 0;
    size_t from = 0;
    bool has_letter = false;
    for (size_t i = 0; i <= domain.len; i++) {
        if (i < domain.len && domain.at[i] != '.') {
            if (!is_letter(domain.at[i]) && !is_digit(domain.at[i]) && domain.at[i] != '-')
                return ADDRESS_BAD_DOMAIN;
            has_letter = has_letter || is_letter(domain.at[i]);
            continue;
        }
        size_t bytes = i - from;
        if (bytes == 0 || domain.at[from] == '-' || domain.at[i - 1] == '-')
            return ADDRESS_BAD_DOMAIN;
        if (bytes > ADDRESS_LABEL_BYTES_MAX)
            return ADDRESS_TOO_LONG;
        labels++;
        if (i == domain.len && !has_letter)
            return ADDRESS_NOT_PUBLIC; /* 192.0.2.1, or a top-level domain that cannot exist */
        has_letter = false;
        from = i + 1;
    }
    return labels >= 2 ? ADDRESS_FINE : ADDRESS_NOT_PUBLIC;
}

enum address_flaw address_check(struct str text)
{
    if (text.len == 0)
        return ADDRESS_EMPTY;
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.at[i] >= 0x80)
            return ADDRESS_NOT_ASCII;
    if (memchr(text.at, '@', text.len) == NULL)
        return ADDRESS_NO_AT;
    size_t at = local_end(text);
    if (at == SIZE_MAX)
        return ADDRESS_BAD_LOCAL;
    if (at == text.len)
        return ADDRESS_NO_AT;
    enum address_flaw flaw = domain_check(str_part(text, at + 1, SIZE_MAX));
    if (flaw != ADDRESS_FINE)
        return flaw;
    if (at > ADDRESS_LOCAL_BYTES_MAX || text.len > ADDRESS_BYTES_MAX)
        return ADDRESS_TOO_LONG;
    return ADDRESS_FINE;
}

static size_t domain_start(struct str text)
{
    size_t at = text.len;
    while (at > 0 && text.at[at - 1] != '@')
        at--;
    return at;
}

/* Copies, with ASCII letters from byte `from` on in lower case. */
static enum address_flaw copy_lower(struct str text, size_t from, char *out)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        out[i] = i >= from && c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    out[text.len] = '\0';
    return ADDRESS_FINE;
}

enum address_flaw address_normal(struct str text, char out[ADDRESS_BYTES_MAX + 1])
{
    out[0] = '\0';
    text = str_trim(text);
    enum address_flaw flaw = address_check(text);
    return flaw != ADDRESS_FINE ? flaw : copy_lower(text, domain_start(text), out);
}

enum address_flaw address_fold(struct str text, char out[ADDRESS_BYTES_MAX + 1])
{
    out[0] = '\0';
    text = str_trim(text);
    enum address_flaw flaw = address_check(text);
    return flaw != ADDRESS_FINE ? flaw : copy_lower(text, 0, out);
}

struct str address_domain(struct str text)
{
    return str_part(text, domain_start(text), SIZE_MAX);
}

const char *address_flaw_text(enum address_flaw flaw)
{
    switch (flaw) {
    case ADDRESS_FINE: return "the address is fine";
    case ADDRESS_EMPTY: return "the address is empty";
    case ADDRESS_TOO_LONG: return "the address is too long (64 bytes before @, 254 in all)";
    case ADDRESS_NO_AT: return "the address has no @";
    case ADDRESS_BAD_LOCAL: return "the part before @ is not one that a mailbox has";
    case ADDRESS_BAD_DOMAIN: return "the part after @ is not a domain name";
    case ADDRESS_NOT_PUBLIC: return "the part after @ is not a public domain name";
    case ADDRESS_NOT_ASCII:
        return "the address has letters outside ASCII (write the domain in its xn-- form)";
    }
    return "?";
}
