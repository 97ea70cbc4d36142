# Wend's build. `make` builds the binary, `make check` runs what is quick, `make help` lists the rest.
# VARIANT=plain (default, optimised), debug, asan (ASan+UBSan), tsan, fuzz (clang, libFuzzer).
SHELL   := /bin/bash
comma   := ,
VARIANT ?= plain
B       := build/$(VARIANT)

CC  := gcc
CXX := g++
ifeq ($(VARIANT),fuzz)
CC  := clang-14
CXX := clang++-14
endif

WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wwrite-strings \
        -Wpointer-arith -Wvla -Wundef -Wformat=2 -Wimplicit-fallthrough -Wswitch-enum -Wcast-qual \
        $(if $(CI),-Werror)
HARD := -fPIE -fstack-protector-strong
FLAGS_plain := -O2 -g $(HARD) -fno-semantic-interposition
FLAGS_debug := -O0 -g3 -DMUST_SLOW
FLAGS_asan  := -O1 -g -DMUST_SLOW -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
FLAGS_tsan  := -O1 -g -fsanitize=thread -fno-omit-frame-pointer
FLAGS_fuzz  := -O1 -g -DMUST_SLOW -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
FLAGS := $(FLAGS_$(VARIANT))
ifeq ($(FLAGS),)
$(error unknown VARIANT "$(VARIANT)": one of plain, debug, asan, tsan, fuzz)
endif

CPPFLAGS := -D_GNU_SOURCE -Ilib -Isrc -Itests -I$(B)/gen
CFLAGS   := -std=gnu17 $(WARN) $(FLAGS)
CXXFLAGS := -std=c++17 -Wall -Wextra $(FLAGS)
LDFLAGS  := $(FLAGS) $(if $(filter plain,$(VARIANT)),-pie -Wl$(comma)-z$(comma)relro -Wl$(comma)-z$(comma)now)

LIBS     := -lmicrohttpd -lsimdjson -lcurl -lssl -lcrypto -lzstd -lxxhash -lfyaml -lsqlite3 -lre2 -lstdc++ -lm -lpthread

ALL_ROOMS  := $(shell awk '!/^#/ && NF {print $$1}' ROOMS)
ROOMS_HERE := $(foreach r,$(ALL_ROOMS),$(if $(wildcard $r/*.c $r/*.cc),$r))
sources     = $(filter-out %_test.c,$(wildcard $1/*.c)) $(wildcard $1/*.cc)
objects     = $(patsubst %,$(B)/%.o,$(basename $(call sources,$1)))
tests_of    = $(wildcard $1/*_test.c)
archive     = $(B)/$(subst /,_,$1).a
# The rooms that a room may name, in the order in which ROOMS lists them, and itself.
allowed     = $(shell awk -v room=$1 'BEGIN{n=0} !/^\#/ && NF {all[n++]=$$1; if ($$1==room) {sub(/.*:/,""); d=" " $$0 " "}} END {for(i=n-1;i>=0;i--){s=all[i]; sub(/.*\//,"",s); if (all[i]==room || d ~ / \* / || index(d," " s " ")) print all[i]}}' ROOMS)
archives    = $(foreach r,$(filter $(ROOMS_HERE),$(call allowed,$1)),$(call archive,$r))
ALL_ARCHIVES = $(foreach r,$(ROOMS_HERE),$(call archive,$r))

UNIT_TESTS := $(foreach r,$(ROOMS_HERE),$(patsubst %.c,$(B)/%,$(call tests_of,$r)))

.PHONY: all wend
all: wend
wend: $(B)/wend
	@ln -sfn $(B)/wend wend

$(B)/wend: $(ALL_ARCHIVES)
	$(CC) $(LDFLAGS) -o $@ -Wl,--start-group $(ALL_ARCHIVES) -Wl,--end-group $(LIBS)

$(B)/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@
$(B)/%.o: %.cc Makefile
	@mkdir -p $(@D)
	$(CXX) $(CPPFLAGS) $(CXXFLAGS) -MMD -MP -c $< -o $@

define room_rules
$(call archive,$1): $(call objects,$1)
	@rm -f $$@
	ar rcs $$@ $$^
$(foreach t,$(call tests_of,$1),$(patsubst %.c,$(B)/%,$t)): $(B)/%: $(B)/%.o $(call archives,$1)
	$(CC) $(LDFLAGS) -o $$@ $$< -Wl,--start-group $(call archives,$1) -Wl,--end-group -lcmocka $(LIBS)
# make check-lib/when: that room's unit tests alone
.PHONY: check-$1
check-$1: $(foreach t,$(call tests_of,$1),$(patsubst %.c,$(B)/%,$t))
	@set -e; for t in $$^; do echo "== $$$$t"; $$$$t; done
endef
$(foreach r,$(ROOMS_HERE),$(eval $(call room_rules,$r)))

.PHONY: unit
unit: $(UNIT_TESTS)

-include $(shell find $(B) -name '*.d' 2>/dev/null)
-include tests/rules.mk

.PHONY: clean
clean:
	rm -rf build wend
