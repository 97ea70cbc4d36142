/* libraries.h - the libraries' memory comes through the one door too (base/mem.h).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

/* Gives OpenSSL the memory of base/mem.h: where there is none the process stops with a word. On its own it goes
 * on with what it could not make, and writes through NULL. First of all in main(): before OpenSSL has any. */
void libraries_claim_memory(void);
