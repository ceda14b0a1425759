/* tools.c - see tools.h. */
#include "tools.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

void die(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "bench_c: ");
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "\n");
    va_end(arguments);
    exit(1);
}

void must(pm_status status, const pm_error *err) {
    if (status != PM_OK) {
        die("%s%s%s", err->file, err->file[0] ? ": " : "", err->message);
    }
}

void *must_alloc(size_t size) {
    void *p = malloc(size ? size : 1);
    if (!p) {
        die("no memory for %zu bytes", size);
    }
    return p;
}

/* ---- clocks ---- */

static double clock_seconds(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

times now(void) { return (times){clock_seconds(CLOCK_MONOTONIC), clock_seconds(CLOCK_PROCESS_CPUTIME_ID)}; }

times since(times begun) {
    times t = now();
    return (times){t.wall - begun.wall, t.cpu - begun.cpu};
}

times least(times a, times b) { return (times){a.wall < b.wall ? a.wall : b.wall, a.cpu < b.cpu ? a.cpu : b.cpu}; }

/* ---- memory ---- */

static size_t status_line(const char *name) {
    FILE *f = fopen("/proc/self/status", "r");
    char line[256];
    size_t kb = 0;
    if (!f) {
        return 0;
    }
    while (fgets(line, sizeof line, f)) {
        if (strncmp(line, name, strlen(name)) == 0) {
            kb = strtoul(line + strlen(name), NULL, 10);
        }
    }
    fclose(f);
    return kb * 1024;
}

size_t resident_now(void) { return status_line("VmRSS:"); }

size_t resident_peak(void) {
    size_t peak = status_line("VmHWM:");
    struct rusage usage;
    if (!peak && getrusage(RUSAGE_SELF, &usage) == 0) {
        peak = (size_t)usage.ru_maxrss * 1024;
    }
    return peak;
}

void peak_restart(void) {
    FILE *f = fopen("/proc/self/clear_refs", "w");
    if (f) {
        fputs("5", f);
        fclose(f);
    }
}

/* ---- texts ---- */

pm_bytes read_text(const char *path) {
    FILE *f = fopen(path, "rb");
    if (!f || fseek(f, 0, SEEK_END) != 0) {
        die("%s: cannot be read", path);
    }
    long len = ftell(f);
    rewind(f);
    uint8_t *data = must_alloc((size_t)len);
    if (len < 0 || fread(data, 1, (size_t)len, f) != (size_t)len) {
        die("%s: cannot be read", path);
    }
    fclose(f);
    return (pm_bytes){data, (size_t)len};
}

static bool continues(uint8_t byte) { return (byte & 0xC0) == 0x80; }

static void add(documents *docs, size_t *room, pm_bytes doc) {
    if (docs->n == *room) {
        *room = *room ? 2 * *room : 1024;
        docs->each = realloc(docs->each, *room * sizeof *docs->each);
        if (!docs->each) {
            die("no memory for %zu documents", *room);
        }
    }
    docs->each[docs->n++] = doc;
    docs->bytes += doc.len;
}

/* Where the paragraph that begins at `from` ends: at the next "\n\n" or the end. *characters grows by its length. */
static size_t paragraph_end(pm_bytes text, size_t from, size_t *characters) {
    size_t at = from;
    while (at < text.len && !(text.data[at] == '\n' && at + 1 < text.len && text.data[at + 1] == '\n')) {
        *characters += !continues(text.data[at]);
        at++;
    }
    return at;
}

static void cut_long(pm_bytes text, documents *docs, size_t *room) {
    size_t begin = 0, at = 0, characters = 0;
    for (;;) {
        size_t end = paragraph_end(text, at, &characters);
        bool last = end == text.len;
        if (last || characters > 4000) {
            add(docs, room, (pm_bytes){text.data + begin, end - begin});
            begin = end + 2;
            characters = 0;
        }
        if (last) {
            return;
        }
        at = end + 2;
    }
}

static void cut_short(pm_bytes text, documents *docs, size_t *room) {
    for (size_t begin = 0, end; begin < text.len; begin = end) {
        end = text.len - begin > 200 ? begin + 200 : text.len;
        while (end < text.len && continues(text.data[end])) {
            end++;
        }
        add(docs, room, (pm_bytes){text.data + begin, end - begin});
    }
}

documents cut(pm_bytes text, const char *kind) {
    documents docs = {.text = text};
    size_t room = 0;
    if (strcmp(kind, "long") == 0) {
        cut_long(text, &docs, &room);
    } else if (strcmp(kind, "short") == 0) {
        cut_short(text, &docs, &room);
    } else if (strcmp(kind, "one") == 0) {
        add(&docs, &room, text);
    } else {
        die("unknown kind of documents '%s' (long, short, one)", kind);
    }
    return docs;
}

void documents_release(documents *docs) {
    free((void *)(uintptr_t)docs->text.data);
    free(docs->each);
}

/* ---- Python's str ---- */

/* Decodes the character at *at and moves on. */
static uint32_t next_character(pm_bytes text, size_t *at) {
    uint8_t first = text.data[*at];
    size_t more = first < 0x80 ? 0 : first < 0xE0 ? 1 : first < 0xF0 ? 2 : 3;
    uint32_t c = more ? first & (0x3Fu >> more) : first;
    if (first > 0xF4 || (first >= 0x80 && first < 0xC2) || text.len - *at <= more) {
        die("a document is not UTF-8");
    }
    for (size_t i = 1; i <= more; i++) {
        c = c << 6 | (text.data[*at + i] & 0x3F);
    }
    *at += more + 1;
    return c;
}

static void put_unit(void *data, pm_text_form form, size_t i, uint32_t c) {
    switch (form) {
    case PM_TEXT_LATIN1: ((uint8_t *)data)[i] = (uint8_t)c; break;
    case PM_TEXT_UCS2: ((uint16_t *)data)[i] = (uint16_t)c; break;
    default: ((uint32_t *)data)[i] = c; break;
    }
}

static pm_text one_as_str(pm_bytes text) {
    uint32_t highest = 0;
    size_t n = 0;
    for (size_t at = 0; at < text.len; n++) {
        uint32_t c = next_character(text, &at);
        highest = c > highest ? c : highest;
    }
    pm_text_form form = highest < 0x100 ? PM_TEXT_LATIN1 : highest < 0x10000 ? PM_TEXT_UCS2 : PM_TEXT_UTF32;
    void *data = must_alloc(n * (form == PM_TEXT_LATIN1 ? 1 : form == PM_TEXT_UCS2 ? 2 : 4));
    for (size_t at = 0, i = 0; at < text.len; i++) {
        put_unit(data, form, i, next_character(text, &at));
    }
    return (pm_text){data, n, form};
}

pm_text *as_str(const documents *docs) {
    pm_text *out = must_alloc(docs->n * sizeof *out);
    for (size_t i = 0; i < docs->n; i++) {
        out[i] = one_as_str(docs->each[i]);
    }
    return out;
}

/* ---- the hash of ids: SHA-1 (FIPS 180-4), because it is the referee's ---- */

static uint32_t rotate(uint32_t x, int by) { return x << by | x >> (32 - by); }

static void sha1_block(uint32_t h[5], const uint8_t *block) {
    uint32_t w[80], a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
    for (int i = 0; i < 16; i++) {
        w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 | (uint32_t)block[4 * i + 2] << 8 |
               block[4 * i + 3];
    }
    for (int i = 16; i < 80; i++) {
        w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    }
    for (int i = 0; i < 80; i++) {
        uint32_t f = i < 20   ? (b & c) | (~b & d)
                     : i < 40 ? b ^ c ^ d
                     : i < 60 ? (b & c) | (b & d) | (c & d)
                              : b ^ c ^ d;
        uint32_t k = i < 20 ? 0x5A827999 : i < 40 ? 0x6ED9EBA1 : i < 60 ? 0x8F1BBCDC : 0xCA62C1D6;
        uint32_t t = rotate(a, 5) + f + e + k + w[i];
        e = d;
        d = c;
        c = rotate(b, 30);
        b = a;
        a = t;
    }
    h[0] += a;
    h[1] += b;
    h[2] += c;
    h[3] += d;
    h[4] += e;
}

void hash_ids(const pm_id *ids, size_t n, char hex[13]) {
    uint32_t h[5] = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
    const uint8_t *data = (const uint8_t *)ids;
    size_t len = n * sizeof *ids, whole = len / 64 * 64;
    uint8_t tail[128] = {0};
    for (size_t at = 0; at < whole; at += 64) {
        sha1_block(h, data + at);
    }
    size_t rest = len - whole, padded = rest + 9 <= 64 ? 64 : 128;
    if (rest) {
        memcpy(tail, data + whole, rest);
    }
    tail[rest] = 0x80;
    for (size_t i = 0; i < 8; i++) {
        tail[padded - 1 - i] = (uint8_t)((uint64_t)len * 8 >> (8 * i));
    }
    sha1_block(h, tail);
    if (padded == 128) {
        sha1_block(h, tail + 64);
    }
    snprintf(hex, 13, "%08x%04x", h[0], h[1] >> 16);
}

/* ---- rows ---- */

const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

void row_begin(const char *row) { printf("{\"row\": \"%s\"", row); }

void row_text(const char *name, const char *value) {
    printf(", \"%s\": \"", name);
    for (; *value; value++) {
        if (*value == '"' || *value == '\\') {
            printf("\\%c", *value);
        } else if ((unsigned char)*value < 0x20) {
            printf("\\u%04x", (unsigned)*value);
        } else {
            putchar(*value);
        }
    }
    putchar('"');
}

void row_number(const char *name, double value) { printf(", \"%s\": %.10g", name, value); }

void row_end(void) {
    printf("}\n");
    fflush(stdout);
}
