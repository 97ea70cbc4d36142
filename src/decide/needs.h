/* needs.h - what must be known of a person before a message goes (`needs` of the message and of its
 * category): a balance that was heard of today, the whole of an order. As long as it is not so the message
 * waits, as under a hold (rule 6), and at its deadline it ends.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "decide/rule.h"

struct answer needs_ask(const struct question *q);
