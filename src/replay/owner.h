/* owner.h - whose an event is that names a person by an address alone: what is personal in it is sealed
 * under the address's own key.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "evlog/seal.h"
#include "replay/directory.h"

/* A seal_owner (evlog/seal.h); the context is a struct directory. */
struct id128 owner_by_address(void *directory, const struct record *r);
