# Wend's build. `make` builds the program, `make check` runs what is quick, `make help` lists the rest.
#
# A room is a directory that ROOMS lists. Every lib/ROOM/*.c and src/ROOM/*.c is found by itself and
# goes into that room's archive; every *_test.c becomes a program that is linked with exactly the
# archives that ROOMS allows its room. What is under tests/ is linked with all rooms (tests/rules.mk).
# No new file needs a line here.
#
#   VARIANT=plain    optimised, for daily use and tests (default)
#           release  the same with link-time optimisation: what `make install` and `make bench` take
#           debug    not optimised, with must_slow()
#           asan     AddressSanitizer and UndefinedBehaviorSanitizer, with must_slow()
#           tsan     ThreadSanitizer
#           canary   with planted bugs that WEND_CANARY switches on (base/canary.h)
#           coverage counts how often each line runs (make coverage)
#           fuzz     clang, instrumented for libFuzzer, with ASan and UBSan
SHELL   := /bin/bash
comma   := ,
VARIANT ?= plain
BUILD   ?= build
B       := $(BUILD)/$(VARIANT)
PREFIX  ?= /usr/local
WEND_VERSION := 0.1.0-dev

CC  := gcc
CXX := g++
AR  := gcc-ar
ifeq ($(VARIANT),fuzz)
CC  := clang-14
CXX := clang++-14
AR  := ar
endif

WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wwrite-strings \
        -Wpointer-arith -Wvla -Wundef -Wformat=2 -Wimplicit-fallthrough -Wswitch-enum -Wcast-qual \
        $(if $(CI),-Werror)
HARD := -fPIE -fstack-protector-strong
SLOW := -DMUST_SLOW
SANE := -fno-sanitize-recover=undefined -fno-omit-frame-pointer
# Short records are cleared with vector stores: the "rep stos" that gcc takes costs more than the record.
CLEAR := $(if $(filter x86_64%,$(shell $(CC) -dumpmachine)),-mmemset-strategy=vector_loop:512:noalign$(comma)libcall:-1:noalign)
FLAGS_plain   := -O2 -g $(HARD) -fno-semantic-interposition
FLAGS_release := -O2 -g $(HARD) $(CLEAR) -fno-semantic-interposition -flto=auto -fno-fat-lto-objects
FLAGS_debug   := -O0 -g3 $(SLOW)
FLAGS_asan    := -O1 -g $(SLOW) -fsanitize=address,undefined $(SANE)
FLAGS_tsan    := -O1 -g -fsanitize=thread -fno-omit-frame-pointer
FLAGS_canary  := -O1 -g -DWEND_CANARIES
FLAGS_coverage := -O0 -g --coverage -fprofile-update=atomic
FLAGS_fuzz    := -O1 -g $(SLOW) -fsanitize=fuzzer-no-link,address,undefined $(SANE)
FLAGS := $(FLAGS_$(VARIANT))
ifeq ($(FLAGS),)
$(error unknown VARIANT "$(VARIANT)": one of plain, release, debug, asan, tsan, canary, coverage, fuzz)
endif

CPPFLAGS := -D_GNU_SOURCE -Ilib -Isrc -Itests -I$(B)/gen
CFLAGS   := -std=gnu17 $(WARN) $(FLAGS)
CXXFLAGS := -std=c++17 -Wall -Wextra $(if $(CI),-Werror) $(FLAGS)
LDFLAGS  := $(FLAGS) $(if $(filter plain release,$(VARIANT)),-pie -Wl$(comma)-z$(comma)relro -Wl$(comma)-z$(comma)now)

LIBS     := -lsimdjson -lcurl -lssl -lcrypto -lzstd -lz -lxxhash -lfyaml -lre2 -lstdc++ -lm -lpthread

ALL_ROOMS  := $(shell awk '!/^\#/ && NF {print $$1}' ROOMS)
PURE_ROOMS := $(shell awk '!/^\#/ && $$2 == "pure" {print $$1}' ROOMS)
ROOMS_HERE := $(foreach r,$(ALL_ROOMS),$(if $(wildcard $r/*.c $r/*.cc),$r))
sources     = $(filter-out %_test.c,$(wildcard $1/*.c)) $(wildcard $1/*.cc)
objects     = $(patsubst %,$(B)/%.o,$(basename $(call sources,$1)))
tests_of    = $(patsubst %.c,$(B)/%,$(wildcard $1/*_test.c))
archive     = $(B)/$(subst /,_,$1).a
# The rooms that a room may name, in the order in which ROOMS lists them, and itself.
allowed     = $(shell awk -v room=$1 'BEGIN{n=0} !/^\#/ && NF {all[n++]=$$1; if ($$1==room) {sub(/.*:/,""); d=" " $$0 " "}} END {for(i=n-1;i>=0;i--){s=all[i]; sub(/.*\//,"",s); if (all[i]==room || d ~ / \* / || index(d," " s " ")) print all[i]}}' ROOMS)
archives    = $(foreach r,$(filter $(ROOMS_HERE),$(call allowed,$1)),$(call archive,$r))
link        = $(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group
ALL_ARCHIVES := $(foreach r,$(ROOMS_HERE),$(call archive,$r))
UNIT_TESTS   := $(foreach r,$(ROOMS_HERE),$(call tests_of,$r))

.PHONY: all wend FORCE
all: wend                                ## the program: build/plain/wend, and ./wend that points to it
wend: $(B)/wend
	@ln -sfn $(B)/wend wend

$(B)/wend: $(ALL_ARCHIVES)
	$(link) $(LIBS)

# A small file that is written only when its one line changes. Objects depend on the line that makes
# them, archives on the list of their objects: so neither an edit of this file that changes nothing
# for them, nor a source file that went, leaves anything stale or rebuilds too much.
keep_line = $(if $(and $(wildcard $1),$(call same,$(file <$1),$2)),,$(shell mkdir -p $(dir $1))$(file >$1,$2))
same      = $(if $(subst x$1x,,x$2x),,yes)
$(call keep_line,$(B)/flags,$(strip $(CC) $(CPPFLAGS) $(CFLAGS) $(CXXFLAGS)))

# Every C file is compiled behind base/banned.h. Tests may call malloc; pure rooms get no clock.
RULES    = -DROOM_MAY_MALLOC -include base/banned.h
rules_of = $(if $(filter $1,$(PURE_ROOMS)),-DROOM_IS_PURE) $(if $(filter $1,lib/base),-DROOM_MAY_MALLOC) -include base/banned.h

$(B)/%.o: %.c $(B)/flags
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(RULES) $(CFLAGS) -MMD -MP -c $< -o $@
$(B)/%.o: %.cc $(B)/flags
	@mkdir -p $(@D)
	$(CXX) $(CPPFLAGS) $(CXXFLAGS) -MMD -MP -c $< -o $@

define room_rules
$(call keep_line,$(call archive,$1).list,$(strip $(call objects,$1)))
$(call objects,$1): RULES = $(call rules_of,$1)
$(call archive,$1): $(call objects,$1) $(call archive,$1).list
	@rm -f $$@.$$$$$$$$ && $(AR) rcs $$@.$$$$$$$$ $$(filter %.o,$$^) && mv $$@.$$$$$$$$ $$@
$(call tests_of,$1): $(B)/%: $(B)/%.o $(call archives,$1)
	$$(link) -lcmocka $(LIBS)
# make check-lib/when: that room's unit tests alone
.PHONY: check-$1
check-$1: $(call tests_of,$1)
	@set -e; for t in $$^; do echo "== $$$$t"; $$$$t; done
endef
$(foreach r,$(ROOMS_HERE),$(eval $(call room_rules,$r)))

# What `wend version` says about itself; rewritten only when it changes. WEND_SOURCES is the hash of all
# that the program is made of, tests aside: what tells a release from another (src/replay/release.h).
$(B)/gen/version.h: FORCE
	@mkdir -p $(@D)
	@printf '#define WEND_VERSION "%s"\n#define WEND_BUILT_FROM "%s"\n#define WEND_VARIANT "%s"\n#define WEND_SOURCES "%s"\n' '$(WEND_VERSION)' \
	    "$$(GIT_OPTIONAL_LOCKS=0 git describe --always --dirty --match 'v*' 2>/dev/null || echo unknown)" '$(VARIANT)' \
	    "$$(find lib src -type f -regex '.*\.\(c\|cc\|h\|def\)' ! -name '*_test.c' | LC_ALL=C sort | xargs sha256sum | sha256sum | cut -c1-64)" > $@.new
	@if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi
$(B)/src/replay/release.o: $(B)/gen/version.h

-include $(shell find $(B) -name '*.d' 2>/dev/null)
-include tests/rules.mk

# What a person types. The text after ## is what `make help` prints.
.PHONY: check unit asan tsan docs docs-check globals format format-check rooms tidy install uninstall clean help
check: all tests                         ## under a minute: rooms, format, docs, unit tests, vectors, scenarios
	@tools/run_tests rooms format claims docs unit vectors flow scenarios
unit: unit-programs                      ## all unit tests (one room: make check-lib/when)
	@tools/run_tests unit
asan:                                    ## all unit tests under AddressSanitizer and UBSan
	@$(MAKE) --no-print-directory VARIANT=asan tests
	@tools/run_tests asan
tsan:                                    ## the rooms that have threads, under ThreadSanitizer
	@$(MAKE) --no-print-directory VARIANT=tsan tests
	@tools/run_tests tsan
rooms:                                   ## includes go the way ROOMS says
	@tools/rooms
globals: $(ALL_ARCHIVES)                 ## writable globals: only the os and server rooms may have any
	@tools/globals $(ALL_ARCHIVES)
format:                                  ## clang-format over every C file
	@tools/format
format-check:
	@tools/format --check
docs: all                                ## writes the generated references under docs/
	@tools/docs
docs-check: all
	@tools/docs --check
tidy:                                    ## clang-tidy and gcc -fanalyzer: advice, to be read
	@tools/tidy
install:                                 ## VARIANT=release into $(PREFIX) (PREFIX=, DESTDIR=)
	@$(MAKE) --no-print-directory VARIANT=release BUILD=$(BUILD) $(BUILD)/release/wend
	install -D -m 755 $(BUILD)/release/wend $(DESTDIR)$(PREFIX)/bin/wend
	install -d $(DESTDIR)$(PREFIX)/share/bash-completion/completions
	$(BUILD)/release/wend help --completion bash > $(DESTDIR)$(PREFIX)/share/bash-completion/completions/wend
	install -D -m 644 LICENSE $(DESTDIR)$(PREFIX)/share/doc/wend/LICENSE
	install -D -m 644 README.md $(DESTDIR)$(PREFIX)/share/doc/wend/README.md
uninstall:
	rm -rf $(DESTDIR)$(PREFIX)/bin/wend $(DESTDIR)$(PREFIX)/share/doc/wend $(DESTDIR)$(PREFIX)/share/bash-completion/completions/wend
clean:                                   ## removes build/ and ./wend
	rm -rf $(BUILD) wend
help:                                    ## this list
	@grep -hE '^[a-z-]+:.*## ' Makefile tests/rules.mk | sed -E 's/:[^#]*## /|/' | awk -F'|' '{printf "  make %-10s %s\n", $$1, $$2}'
	@echo '  VARIANT=plain|release|debug|asan|tsan|canary|coverage|fuzz chooses the build (see the top of the Makefile)'
