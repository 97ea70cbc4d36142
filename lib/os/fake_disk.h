/* fake_disk.h - a disk in memory that misbehaves on demand, for tests and the simulator.
 *
 * It keeps two versions of everything: what programs see now, and what would survive a crash. A
 * sync copies the first to the second. A crash keeps of the unsynced rest what the seed says: each
 * 512-byte sector new, old or (rarely) torn, file sizes old, new or between, and of the unsynced
 * changes of names in a folder a prefix. Same seed, same calls: same result.
 *
 * Every call on the disk but close and unmap has a number, from 1; "at the n-th call" counts these.
 * Safe to use from several threads (one lock), though numbering then depends on their order.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "os/disk.h"

struct fake_disk;

enum fake_fault {
    FAKE_NONE = 0,
    FAKE_EIO, /* the call fails with GIVE_UP and does nothing; a sync or write may have done part */
    FAKE_FULL, /* the call fails with TRY_AGAIN if it needs room (writes, preallocation, new names),
                   a write after half of its bytes; other calls succeed */
    FAKE_CRASH, /* the call may have taken effect in part, and it and all after it fail with GIVE_UP
                   until fake_disk_restart() */
};

/* An empty disk with a root folder; `seed` drives everything that is left to chance. */
struct fake_disk *fake_disk_new(uint64_t seed) mustuse;
void fake_disk_free(struct fake_disk *fake);

/* The disk to hand to rooms; lives as long as `fake`. */
struct os_disk *fake_disk_of(struct fake_disk *fake) mustuse;

/* The call with this number (counted from the disk's beginning or the last restart) meets `fault`;
 * FAKE_NONE or 0 takes the order back. */
void fake_disk_fail_at(struct fake_disk *fake, uint64_t call_number, enum fake_fault fault);

/* Calls so far, since the beginning or the last restart. */
uint64_t fake_disk_calls(struct fake_disk *fake);

/* True if the ordered fault has been met. */
bool fake_disk_has_failed(struct fake_disk *fake);

/* From now on reads and writes are short in about half of all calls. */
void fake_disk_be_short(struct fake_disk *fake);

/* All files together may hold this many bytes (UINT64_MAX: no limit, as at the beginning). */
void fake_disk_set_capacity(struct fake_disk *fake, uint64_t bytes);

/* Pulls the plug and starts again: what was not synced is lost or torn as the seed says, open files
 * are dead (only close works on them), locks are gone, the ordered fault is forgotten, calls count
 * from 0. */
void fake_disk_restart(struct fake_disk *fake);

/* Flips bits: xors the byte at `offset` of the file with `mask`, in both versions. Must be within
 * the file. For tests that damage. */
void fake_disk_damage(struct fake_disk *fake, const char *path, uint64_t offset, uint8_t mask);

/* Bytes of all files together. */
uint64_t fake_disk_used_bytes(struct fake_disk *fake);
