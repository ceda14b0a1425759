/* output.c - data on stdout. */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common.h"

enum { OUT_BYTES = 1 << 18, ROOM_BYTES = 1 << 16 };

void cli_out_open(cli_out *out) {
    *out = (cli_out){.data = malloc(OUT_BYTES), .cap = OUT_BYTES};
    if (!out->data) {
        out->failed = cli_no_memory();
    }
}

/* A reader that went away: no message, and the end that every other tool has. */
static void die_by_closed_pipe(void) {
    signal(SIGPIPE, SIG_DFL);
    raise(SIGPIPE);
}

static void write_out(cli_out *out, const char *data, size_t len) {
    while (len > 0 && !out->failed) {
        ssize_t put = write(STDOUT_FILENO, data, len < (1 << 30) ? len : 1 << 30);
        if (put >= 0) {
            data += put;
            len -= (size_t)put;
        } else if (errno == EPIPE) {
            die_by_closed_pipe();
            out->failed = CLI_MACHINE;
        } else if (errno != EINTR) {
            cli_say("standard output: cannot write: %s", strerror(errno));
            out->failed = CLI_MACHINE;
        }
    }
}

void cli_out_flush(cli_out *out) {
    size_t len = out->len;
    out->len = 0;
    write_out(out, out->data, len);
}

char *cli_out_room(cli_out *out, size_t need) {
    if (!out->failed && out->cap - out->len < need) {
        cli_out_flush(out);
    }
    return out->failed ? NULL : out->data + out->len;
}

void cli_out_write(cli_out *out, const void *data, size_t len) {
    if (len > ROOM_BYTES) {
        if (!out->failed) {
            cli_out_flush(out);
        }
        write_out(out, data, len);
        return;
    }
    char *room = cli_out_room(out, len);
    if (room && len) {
        memcpy(room, data, len);
        out->len += len;
    }
}

void cli_out_printf(cli_out *out, const char *format, ...) {
    va_list args;
    char *room = cli_out_room(out, ROOM_BYTES);
    if (!room) {
        return;
    }
    va_start(args, format);
    int n = vsnprintf(room, ROOM_BYTES, format, args);
    va_end(args);
    if (n > 0) {
        out->len += (size_t)n < ROOM_BYTES ? (size_t)n : ROOM_BYTES - 1;
    }
}

int cli_out_close(cli_out *out, int code) {
    if (!out->failed) {
        cli_out_flush(out);
    }
    free(out->data);
    out->data = NULL;
    return code == CLI_OK ? out->failed : code;
}

/* ---------------------------------------------------------------- text for people and programs ---- */

size_t cli_utf8(const uint8_t *p, size_t left, uint32_t *cp) {
    static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
    size_t n = p[0] < 0x80 ? 1 : p[0] < 0xC2 ? 0 : p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : p[0] < 0xF5 ? 4 : 0;
    if (n == 0 || n > left) {
        return 0;
    }
    *cp = n == 1 ? p[0] : p[0] & (0x7Fu >> n);
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xC0) != 0x80) {
            return 0;
        }
        *cp = *cp << 6 | (p[i] & 0x3Fu);
    }
    return *cp < least[n] || *cp > 0x10FFFF || (*cp >= 0xD800 && *cp < 0xE000) ? 0 : n;
}

void cli_out_json(cli_out *out, const char *text, size_t len) {
    const uint8_t *p = (const uint8_t *)text, *end = p + len;
    cli_out_write(out, "\"", 1);
    while (p < end) {
        uint32_t cp;
        size_t n = cli_utf8(p, (size_t)(end - p), &cp);
        if (n == 0) {
            cli_out_write(out, "\xEF\xBF\xBD", 3);
            n = 1;
        } else if (cp == '"' || cp == '\\') {
            cli_out_printf(out, "\\%c", (char)cp);
        } else if (cp < 0x20 || cp == 0x7F) {
            cli_out_printf(out, "\\u%04x", (unsigned)cp);
        } else {
            cli_out_write(out, p, n);
        }
        p += n;
    }
    cli_out_write(out, "\"", 1);
}

/* Controls, spaces other than the common one, marks of direction and what has no glyph. */
static bool is_invisible(uint32_t cp) {
    return cp < 0x20 || (cp >= 0x7F && cp <= 0xA0) || cp == 0xAD || (cp >= 0x2000 && cp <= 0x200F) || (cp >= 0x2028 && cp <= 0x202F) ||
           (cp >= 0x205F && cp <= 0x206F) || cp == 0x3000 || cp == 0xFEFF || (cp >= 0xE000 && cp <= 0xF8FF) || (cp & 0xFFFE) == 0xFFFE ||
           cp >= 0xE0000;
}

void cli_out_piece(cli_out *out, pm_bytes piece) {
    const uint8_t *p = piece.data, *end = p + piece.len;
    cli_out_write(out, "\"", 1);
    while (p < end) {
        uint32_t cp = 0;
        size_t n = cli_utf8(p, (size_t)(end - p), &cp);
        if (n == 0) {
            cli_out_printf(out, "\\x%02x", *p);
            n = 1;
        } else if (cp == '\n' || cp == '\t' || cp == '\r') {
            cli_out_write(out, cp == '\n' ? "\\n" : cp == '\t' ? "\\t" : "\\r", 2);
        } else if (is_invisible(cp)) {
            cli_out_printf(out, cp < 0x80 ? "\\x%02x" : "\\u{%x}", (unsigned)cp);
        } else {
            if (cp == '"' || cp == '\\') {
                cli_out_write(out, "\\", 1);
            }
            cli_out_write(out, p, n);
        }
        p += n;
    }
    cli_out_write(out, "\"", 1);
}
