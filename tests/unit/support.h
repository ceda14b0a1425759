/* support.h - what the unit tests share. */
#ifndef PM_TESTS_SUPPORT_H
#define PM_TESTS_SUPPORT_H

#include <check.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/alloc.h"

/* The path of a file under the data folder beside the checkout ("corpora/zh.txt.zst"), in a static buffer; NULL when the folder is not there:
 * then the test has been counted and reported as skipped and returns at once:
 *     const char *path = shared("vocabs/gpt2.tiktoken"); if (!path) return; */
const char *shared(const char *name);

/* Reports the running test as skipped, loudly, with the reason. */
void skipped(const char *reason);

/* A file or folder of the checkout ("corpora/zh.txt"), in a static buffer. */
const char *source_path(const char *name);

/* A fresh path in a folder that is removed at the end of the run, in a static buffer; and one with this content. */
const char *temporary_path(const char *name);
const char *temporary_file(const char *name, const void *data, size_t len);
/* "PREFIX-I" there, each i below 16 in a buffer of its own. */
const char *numbered_path(const char *prefix, int i);

/* Whole file, to be freed with pm_buf_release; fails the test when it cannot be read. */
pm_buf read_file(const char *path);

/* PM_QUICK is set: a part of the cases is enough, as under an emulator. */
bool quick(void);

/* Undoes the escapes of the tables in tests/cases, \n \t \r \u{H}, a backslash before any other character, from *from up to `until`, or the end
 * of the text; *from is there then. Returns the length of what it wrote, which is not longer. */
size_t unescape(const char **from, uint8_t *out, char until);

/* Small deterministic random numbers (splitmix64). */
uint64_t random_word(uint64_t *state);

/* Fails the test with the error's own words unless the call gave PM_OK. */
#define assert_ok(call)                                                                                                  \
    do {                                                                                                                 \
        pm_status assert_status = (call);                                                                                \
        ck_assert_msg(assert_status == PM_OK, "%s: %s (at %llu)", pm_status_name(assert_status), err.message,            \
                      (unsigned long long)err.offset);                                                                   \
    } while (0)

/* The call must fail with this status and its sentence must hold `words`; needs a pm_error named err. */
#define assert_fails(call, wanted, words)                                                                                \
    do {                                                                                                                 \
        pm_status assert_status = (call);                                                                                \
        ck_assert_msg(assert_status == (wanted), "%s instead of %s", pm_status_name(assert_status), #wanted);            \
        ck_assert_msg(strstr(err.message, (words)) != NULL, "\"%s\" does not hold \"%s\"", err.message, (words));        \
    } while (0)

#endif
