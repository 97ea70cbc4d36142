# tests/rules.mk - programs under tests/, each linked with all rooms and, but for fuzz targets, with
# tests/support/*.c, which speaks cmocka.
#
#   tests/flow/*.c     scenarios in C, where a scenario file is not enough
#   tests/vectors/*.c  tables of input and expected output, ours and others'
#   tests/wire/*.c     against real peers over sockets (next to them: *.py and *.mjs, run by suites.def)
#   tests/wire/sdk/*.c a server of ingest alone, and a log printed: for tests/wire/sdk/run
#   tests/crash/       the program itself with a disk, memory or bytes that fail: *.py, and shim/
#   tests/sim/*.c      random lives, in C
#   tests/simulator/   the simulator: one program
#   tests/bench/*.c    figures: each prints lines of `name value unit`
#   tests/instructions/  what some of these benches take in instructions, against a record
#   tests/fuzz/fuzz_*.c  libFuzzer targets, in VARIANT=fuzz only; seeds in tests/fuzz/corpus/NAME/
#
# All but bench and fuzz are cmocka programs or print `N passed, N failed, N skipped` at their end.
programs      = $(patsubst %.c,$(B)/%,$(wildcard $1))
WHOLE_TESTS  := $(foreach d,flow vectors wire sim,$(call programs,tests/$d/*.c))
BENCHES      := $(call programs,tests/bench/*.c)
FUZZERS      := $(call programs,tests/fuzz/fuzz_*.c)
SDK_SERVERS  := $(call programs,tests/wire/sdk/*.c)
SUPPORT      := $(patsubst %.c,$(B)/%.o,$(wildcard tests/support/*.c))

$(WHOLE_TESTS) $(BENCHES): $(B)/%: $(B)/%.o $(SUPPORT) $(ALL_ARCHIVES)
	$(link) -lcmocka $(LIBS)
$(FUZZERS): $(B)/%: $(B)/%.o $(ALL_ARCHIVES)
	$(link:$(CC)%=$(CXX)%) -fsanitize=fuzzer $(LIBS)
$(SDK_SERVERS): $(B)/%: $(B)/%.o $(call archives,src/ingest) $(call archives,src/evlog)
	$(link) $(LIBS)

# The simulator: tests/simulator/README.md.
SIMULATOR := $(B)/simulator
$(SIMULATOR): $(patsubst %.c,$(B)/%.o,$(wildcard tests/simulator/*.c)) $(SUPPORT) $(ALL_ARCHIVES)
	$(link) -Wl,--wrap=programme_compile,--wrap=programme_plan_free,--wrap=release_here -lcmocka $(LIBS)
SIM_FOLDERS = $(patsubst %/programme.yaml,%,$(wildcard examples/*/programme.yaml tests/flow/*/programme.yaml))
.PHONY: sim simulator night
simulator: $(SIMULATOR)
sim: $(SIMULATOR)                        ## the simulator: one seed (SEED=n LOUD=1), or COUNT= of them
	@$(SIMULATOR) --seed $(or $(SEED),1) --count $(or $(COUNT),$(if $(SEED),1,100)) $(if $(LOUD),--loud --jobs 1) \
	    $(if $(REPORT),--report) $(SIM_FOLDERS)
# Everything that it needs is built first, in three variants; tools/night says what it runs.
night: all $(SIMULATOR) $(CRASH_SHIM)    ## the long run, nine hours: new seeds, all that can fail once, fuzzing, a soak (NIGHT_SCALE=0.02)
	@$(MAKE) --no-print-directory VARIANT=fuzz fuzz-programs
	@$(MAKE) --no-print-directory VARIANT=release $(BUILD)/release/tests/bench/soak
	@tools/night --scale $(or $(NIGHT_SCALE),1) $(if $(ONLY),--only $(ONLY))

# The program as another release would be: tests/hooks/hook.c.
$(B)/wend-other: $(B)/tests/hooks/hook.o $(ALL_ARCHIVES)
	$(link) $(LIBS)
.PHONY: other-release
other-release: $(B)/wend-other

# Loaded before the program, it makes one call to the system fail: tests/crash/shim/fail.c.
CRASH_SHIM := $(B)/tests/crash/shim/fail.so
$(CRASH_SHIM): tests/crash/shim/fail.c
	@mkdir -p $(@D)
	$(CC) -std=gnu17 -D_GNU_SOURCE $(WARN) -O2 -g -fPIC -shared -o $@ $<
.PHONY: crash-shim
crash-shim: $(CRASH_SHIM)

.PHONY: sdk-servers
sdk-servers: $(SDK_SERVERS)
.PHONY: tests unit-programs fuzz-programs fuzz bench
tests: $(UNIT_TESTS) $(WHOLE_TESTS)
unit-programs: $(UNIT_TESTS)
fuzz-programs: $(FUZZERS)
# What hunts planted bugs: the program, and the unit tests of the rooms that decide.
.PHONY: canary-programs
canary-programs: $(B)/wend $(B)/simulator $(foreach r,lib/store src/profile src/audience src/journey src/decide src/measure src/engine src/outbox,$(call tests_of,$r)) \
    $(filter $(B)/tests/flow/%,$(WHOLE_TESTS))
# What is counted in instructions: the benches that tests/instructions/counts names.
.PHONY: instruction-programs
instruction-programs: $(addprefix $(B)/tests/bench/,$(shell awk '!/^\#/ && NF {print $$2}' tests/instructions/counts | sort -u))
.PHONY: must-density
must-density:                            ## how many claims must() each room makes per 1,000 lines (the suite `claims` checks)
	@tools/must_density
.PHONY: coverage
coverage:                                ## which lines tests run, by room (RECORD=1: into HACKING.md)
	@$(MAKE) --no-print-directory VARIANT=coverage $(BUILD)/coverage/wend tests simulator
	@tools/coverage $(if $(RECORD),--record)
fuzz:                                    ## every fuzz target for 10 s (SECONDS_EACH=)
	@$(MAKE) --no-print-directory VARIANT=fuzz fuzz-programs
	@tools/fuzz_smoke $(or $(SECONDS_EACH),10)
bench:                                   ## every figure, one line each: name value unit (ROUNDS=3 MINUTES=12)
	@$(MAKE) --no-print-directory VARIANT=release bench-programs >&2
	@$(MAKE) --no-print-directory VARIANT=release bench-run
bench-programs: $(BENCHES) $(B)/wend
bench-run:
	@tools/bench --rounds $(or $(ROUNDS),3) --minutes $(or $(MINUTES),12) $(filter-out %/soak,$(BENCHES))
.PHONY: bench-programs bench-run
