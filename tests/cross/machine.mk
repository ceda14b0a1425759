# machine.mk - the library and some unit suites for another machine, statically linked and without any library but libc.
#
#     make -f machine.mk SOURCE=checkout CC=aarch64-linux-gnu-gcc OUT=folder SUITES="cpu classes"
#
# OUT/include holds xxhash.h, which is a header alone. See run.sh.

CFLAGS = -std=gnu11 -O2 -ffp-contract=off -pthread -Wall -Wextra -Wshadow -Wconversion
CPPFLAGS = -I$(OUT) -I$(OUT)/include -I$(SOURCE)/tests/cross -I$(SOURCE)/lib -I$(SOURCE)/lib/include -I$(SOURCE)/tests/unit -I$(SOURCE)/tests/oracle
library = $(patsubst $(SOURCE)/%.c,$(OUT)/%.o,$(wildcard $(SOURCE)/lib/*/*.c))
unit = $(patsubst %,$(OUT)/tests/unit/test_%.o,$(SUITES)) $(OUT)/tests/cross/check.o $(OUT)/tests/cross/main.o

all: $(OUT)/unit $(OUT)/answers
$(OUT)/unit: $(unit) $(library)
	$(CC) -static -pthread -o $@ $^ -lm
$(OUT)/answers: $(OUT)/tests/cross/answers.o $(library)
	$(CC) -static -pthread -o $@ $^ -lm
$(OUT)/%.o: $(SOURCE)/%.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(CPPFLAGS) -MMD -c -o $@ $<
# The suites that are linked, in place of those beside main.c.
$(OUT)/tests/cross/main.o: $(OUT)/main.c $(OUT)/suites.h
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(CPPFLAGS) -MMD -c -o $@ $<
$(OUT)/main.c: $(SOURCE)/tests/unit/main.c
	cp $< $@
$(OUT)/suites.h: $(SOURCE)/tests/cross/run.sh
	printf 'SUITE(%s)\n' $(SUITES) > $@

-include $(library:.o=.d) $(unit:.o=.d)
