/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/libraries.h"

int main(int argc, char **argv)
{
    libraries_claim_memory();
    return cli_run(argc, (const char *const *)argv, stdout, stderr);
}
