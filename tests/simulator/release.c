/* release.c - one release, whatever the sources are.
 *
 * A release is told by the hash of its sources, which stands in snapshots and in the log. What stands there
 * compressed is a byte longer or shorter with each change of any source, and all that is drawn by the length of
 * a file comes out otherwise. So that a seed stays the life that it was, the simulator's release is always the
 * same one (tests/rules.mk, --wrap).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "replay/release.h"

struct release __wrap_release_here(void);

struct release __wrap_release_here(void)
{
    return (struct release){.version = "simulated",
                            .hash =
                                "5ee0000000000000000000000000000000000000000000000000000000000051"};
}
