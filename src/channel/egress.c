/* SPDX-License-Identifier: Apache-2.0 */
#include "channel/egress.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static void map_v4(const uint8_t v4[4], uint8_t out[16])
{
    memcpy(out, mapped, sizeof(mapped));
    memcpy(out + sizeof(mapped), v4, 4);
}

/* "10.0.0.0/8", "::1", "fc00::/7"; bits beyond the prefix must be zero. */
static bool block_parse(struct str text, struct egress_block *out)
{
    char z[64];
    size_t slash = str_find(text, STR("/"), 0);
    int64_t bits = -1;
    if (slash != SIZE_MAX && !str_to_int(str_part(text, slash + 1, SIZE_MAX), &bits))
        return false;
    if (!str_to_z(str_part(text, 0, slash), z, sizeof(z)))
        return false;
    uint8_t v4[4];
    int64_t most = 128;
    if (inet_pton(AF_INET, z, v4) == 1) {
        map_v4(v4, out->address);
        bits = bits < 0 && slash == SIZE_MAX ? 32 : bits;
        most = 32;
    } else if (inet_pton(AF_INET6, z, out->address) == 1) {
        bits = bits < 0 && slash == SIZE_MAX ? 128 : bits;
    } else {
        return false;
    }
    if (bits < 0 || bits > most)
        return false;
    out->bits = (uint8_t)(bits + (128 - most));
    for (uint32_t i = out->bits; i < 128; i++)
        if (out->address[i / 8] >> (7 - i % 8) & 1)
            return false;
    return true;
}

static bool is_in(const struct egress_block *block, const uint8_t address[16])
{
    uint32_t whole = block->bits / 8, rest = block->bits % 8;
    if (memcmp(block->address, address, whole) != 0)
        return false;
    return rest == 0 || (block->address[whole] ^ address[whole]) >> (8 - rest) == 0;
}

/* Takes the next word off a list; false at its end. */
static bool next_word(struct str *rest, struct str *out)
{
    size_t from = 0;
    while (from < rest->len && (rest->at[from] == ' ' || rest->at[from] == ','))
        from++;
    size_t end = from;
    while (end < rest->len && rest->at[end] != ' ' && rest->at[end] != ',')
        end++;
    *out = str_part(*rest, from, end - from);
    *rest = str_part(*rest, end, SIZE_MAX);
    return out->len > 0;
}

enum status egress_parse_blocks(struct str text, struct egress *out, struct fault *f)
{
    out->block_count = 0;
    for (struct str word; next_word(&text, &word);) {
        if (out->block_count == EGRESS_ALLOW_MAX) {
            fault_set(f, "at most %d addresses can be allowed", EGRESS_ALLOW_MAX);
            return FIX_INPUT;
        }
        if (!block_parse(word, &out->blocks[out->block_count])) {
            fault_set(f, "\"%.*s\" is neither an address nor a block like 10.1.0.0/16",
                      (int)min_of(word.len, (size_t)60), word.at);
            return FIX_INPUT;
        }
        out->block_count++;
    }
    return OK;
}

enum status egress_parse_ports(struct str text, struct egress *out, struct fault *f)
{
    out->port_count = 0;
    for (struct str word; next_word(&text, &word);) {
        int64_t port;
        if (out->port_count == EGRESS_ALLOW_MAX) {
            fault_set(f, "at most %d ports can be allowed", EGRESS_ALLOW_MAX);
            return FIX_INPUT;
        }
        if (!str_to_int(word, &port) || port < 1 || port > 65535) {
            fault_set(f, "\"%.*s\" is not a port (1 to 65535)", (int)min_of(word.len, (size_t)60),
                      word.at);
            return FIX_INPUT;
        }
        out->ports[out->port_count++] = (uint16_t)port;
    }
    return OK;
}

static bool is_port_allowed(const struct egress *e, uint16_t port)
{
    bool is_allowed = port == 80 || port == 443;
    for (uint32_t i = 0; i < e->port_count; i++)
        is_allowed = is_allowed || e->ports[i] == port;
    return is_allowed;
}

static const char *block_refusal(const uint8_t address[16])
{
    static const struct {
        const char *text;
        const char *why;
    } blocks[] = {
#define BLOCK(text, why) {text, why},
#include "channel/egress_blocks.def"
#undef BLOCK
    };
    for (size_t i = 0; i < array_count(blocks); i++) {
        struct egress_block block;
        must(block_parse(str_of(blocks[i].text), &block));
        if (is_in(&block, address))
            return blocks[i].why;
    }
    return NULL;
}

/* The IPv4 address inside one of IPv6, if it is of a kind that carries one. */
static bool inner_v4(const uint8_t address[16], uint8_t out[16])
{
    static const uint8_t nat64[12] = {0, 0x64, 0xff, 0x9b};
    static const uint8_t compatible[12] = {0};
    if (memcmp(address, nat64, 12) == 0 || memcmp(address, compatible, 12) == 0) {
        map_v4(address + 12, out);
        return true;
    }
    if (address[0] == 0x20 && address[1] == 0x02) { /* 6to4 */
        map_v4(address + 2, out);
        return true;
    }
    return false;
}

const char *egress_refusal(const struct egress *e, const struct sockaddr *to)
{
    uint8_t address[16];
    uint16_t port;
    if (to->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, to, sizeof(in));
        map_v4((const uint8_t *)&in.sin_addr, address);
        port = ntohs(in.sin_port);
    } else if (to->sa_family == AF_INET6) {
        struct sockaddr_in6 in;
        memcpy(&in, to, sizeof(in));
        memcpy(address, &in.sin6_addr, sizeof(address));
        port = ntohs(in.sin6_port);
    } else {
        return "neither IPv4 nor IPv6";
    }
    if (!is_port_allowed(e, port))
        return "a port other than 80 and 443";
    for (uint32_t i = 0; i < e->block_count; i++)
        if (is_in(&e->blocks[i], address))
            return NULL;
    const char *why = block_refusal(address);
    uint8_t inner[16];
    if (why == NULL && inner_v4(address, inner))
        why = block_refusal(inner);
    return why;
}

const char *egress_host_refusal(const struct egress *e, struct str host, uint16_t port)
{
    char z[256];
    if (host.len == 0 || !str_to_z(host, z, sizeof(z)))
        return "no host name";
    if (!is_port_allowed(e, port))
        return "a port other than 80 and 443";

    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    if (getaddrinfo(z, NULL, &hints, &found) == 0) {
        const char *why = NULL;
        for (struct addrinfo *a = found; a != NULL && why == NULL; a = a->ai_next) {
            if (a->ai_family == AF_INET)
                ((struct sockaddr_in *)(void *)a->ai_addr)->sin_port = htons(port);
            else if (a->ai_family == AF_INET6)
                ((struct sockaddr_in6 *)(void *)a->ai_addr)->sin6_port = htons(port);
            why = egress_refusal(e, a->ai_addr);
        }
        freeaddrinfo(found);
        return why;
    }
    if (e->block_count > 0)
        return NULL;
    if (host.at[host.len - 1] == '.')
        host.len--;
    static const char *const inner[] = {".localhost", ".local", ".internal", ".lan", ".home.arpa"};
    for (size_t i = 0; i < array_count(inner); i++) {
        struct str suffix = str_of(inner[i]);
        if (host.len >= suffix.len &&
            str_equal_nocase(str_part(host, host.len - suffix.len, suffix.len), suffix))
            return "a name of this machine or network";
    }
    return str_find(host, STR("."), 0) == SIZE_MAX ? "a name of this machine or network" : NULL;
}
