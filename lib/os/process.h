/* process.h - facts about this process and the machine it runs on.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "base/base.h"

/* Processors this process may use, at least 1. */
uint32_t os_process_cpu_count(void);

/* Memory of this process that is in RAM now, in bytes (0 if the system does not say). */
uint64_t os_process_resident_bytes(void);

/* The most that it ever was. */
uint64_t os_process_resident_bytes_max(void);

/* This process's number. */
uint32_t os_process_id(void);

/* True if the descriptor (0, 1, 2) is a terminal: colour and progress only then. */
bool os_is_terminal(int descriptor);

/* Columns of the terminal on the descriptor; 80 if it does not say. */
uint32_t os_terminal_columns(int descriptor);
