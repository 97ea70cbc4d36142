/* egress.h - where this process may connect to when somebody else chose the address.
 *
 * A webhook's URL comes from a person with few rights, and its name is resolved by a server that an
 * attacker may run. So the guard stands at the one place that cannot be talked around: libcurl asks
 * it, with the address in its hand, before each socket is opened (channel/webhook.c). What the name was
 * and how it was written ("2130706433", "[::ffff:127.0.0.1]", a name that resolves to 10.0.0.1) makes
 * no difference then.
 *
 * Refused: every block that is not the public internet (egress_blocks.def), also where an IPv6 address
 * carries one of IPv4 inside (mapped, NAT64, 6to4); and ports other than 80 and 443. An operator may
 * allow blocks and ports by name, in the provider's file.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <sys/socket.h>

#include "base/base.h"
#include "base/fault.h"
#include "base/str.h"

#define EGRESS_ALLOW_MAX 16

/* Addresses whose first `bits` bits are those of `address`. IPv4 as ::ffff:a.b.c.d. */
struct egress_block {
    uint8_t address[16];
    uint8_t bits;
};

struct egress {
    uint32_t block_count;
    uint32_t port_count;
    struct egress_block blocks[EGRESS_ALLOW_MAX]; /* allowed besides the public internet */
    uint16_t ports[EGRESS_ALLOW_MAX];             /* allowed besides 80 and 443 */
};

/* Reads "127.0.0.1, 10.1.0.0/16 fd00::/8" and "8080, 9000"; empty texts allow nothing more.
 * FIX_INPUT with a sentence. */
enum status egress_parse_blocks(struct str text, struct egress *out, struct fault *f) mustuse;
enum status egress_parse_ports(struct str text, struct egress *out, struct fault *f) mustuse;

/* Why a connection to this address and port is refused ("a private network"); NULL = it may be made.
 * Anything but IPv4 and IPv6 is refused. */
const char *egress_refusal(const struct egress *e, const struct sockaddr *address);

/* What a host's name in a URL already gives away, before it is resolved: an address in any of the forms
 * that resolvers take, or a name of this machine or network. NULL = nothing against it. `host` without
 * brackets. With blocks allowed, names are left to egress_refusal(). */
const char *egress_host_refusal(const struct egress *e, struct str host, uint16_t port);
