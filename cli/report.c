/* report.c - sentences on stderr. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common.h"

void cli_say(const char *format, ...) {
    va_list args;
    fputs("piecemill: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

void cli_print_error(const pm_error *err, const char *subject) {
    const char *file = err->file[0] ? err->file : subject;
    if (!file && err->offset == PM_NO_OFFSET) {
        cli_say("%s", err->message);
    } else if (!file) {
        cli_say("%s (at %" PRIu64 ")", err->message, err->offset);
    } else if (err->offset == PM_NO_OFFSET) {
        cli_say("%s: %s", file, err->message);
    } else {
        cli_say("%s:%" PRIu64 ": %s", file, err->offset, err->message);
    }
}

int cli_exit_code(pm_status status) {
    switch (status) {
    case PM_OK: return CLI_OK;
    case PM_INVALID_ARGUMENT:
    case PM_BAD_PATTERN:
    case PM_UNSUPPORTED: return CLI_USAGE;
    case PM_NO_MEMORY:
    case PM_IO: return CLI_MACHINE;
    default: return CLI_INPUT;
    }
}

int cli_counts_code(const pm_error *err) { return err->status == PM_INVALID_ARGUMENT && err->file[0] ? CLI_INPUT : cli_exit_code(err->status); }

int cli_no_memory(void) {
    cli_say("out of memory");
    errno = ENOMEM;
    return CLI_MACHINE;
}

int cli_wrong_call(void) { return errno == ENOMEM ? CLI_MACHINE : CLI_USAGE; }

void cli_format_count(char out[32], uint64_t n) {
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%" PRIu64, n);
    for (int i = 0; i < len; i++) {
        *out++ = digits[i];
        if (i + 1 < len && (len - i - 1) % 3 == 0) {
            *out++ = ',';
        }
    }
    *out = '\0';
}

void cli_format_bytes(char out[32], double bytes) {
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    int unit = 0;
    while (bytes >= 1024 && unit < 4) {
        bytes /= 1024;
        unit++;
    }
    snprintf(out, 32, unit ? "%.1f %s" : "%.0f %s", bytes, units[unit]);
}
