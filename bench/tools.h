/* tools.h - what the benchmark programs share: clocks, texts, documents, a hash of ids, rows of JSON. */
#ifndef PM_BENCH_TOOLS_H
#define PM_BENCH_TOOLS_H

#include <piecemill.h>

/* Prints "bench_c: " and the message to standard error and exits with 1. */
void die(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
void must(pm_status status, const pm_error *err);
void *must_alloc(size_t size); /* never NULL, also for size 0 */

/* Seconds: of the clock on the wall, and of the processor in all threads of this process. */
typedef struct times {
    double wall, cpu;
} times;
times now(void);
times since(times begun);
times least(times a, times b); /* of each clock */

/* Resident memory in bytes, 0 where the system does not tell. The peak is since peak_restart() (Linux), else since the
 * start. */
size_t resident_now(void);
size_t resident_peak(void);
void peak_restart(void);

/* A whole file in memory of malloc. */
pm_bytes read_text(const char *path);

typedef struct documents {
    pm_bytes *each;
    size_t n, bytes; /* bytes: the sum of their lengths */
    pm_bytes text;   /* in which they lie; it is theirs */
} documents;
/* "long": as the referee cuts them, at a blank line behind more than 4,000 characters. "short": 200 bytes each, up to
 * the next character. "one": the whole text. */
documents cut(pm_bytes text, const char *kind);
void documents_release(documents *docs);

/* The documents in the form in which Python holds a str: Latin-1, 16 or 32 bits a character, the narrowest that fits.
 * They must be well-formed UTF-8. */
pm_text *as_str(const documents *docs);

/* The first 12 hexadecimal digits of the SHA-1 of the ids as they lie in memory: the referee's hash on little-endian
 * machines. */
void hash_ids(const pm_id *ids, size_t n, char hex[13]);

/* A row is one line of JSON: row_begin("encode"), row_text(..)..., row_end(). */
void row_begin(const char *row);
void row_text(const char *name, const char *value);
void row_number(const char *name, double value);
void row_end(void);

/* The part of a path behind its last slash. */
const char *base_name(const char *path);

/* The machine's own limits, as rows (limits.c). */
void bench_limits(void);

/* Sampling (sample.c): where the program is, every `microseconds` of wall time between start and stop. sample_write
 * gives one line a sample and returns their number: FILE OFFSET SYMBOL, where OFFSET is an address in the file as
 * addr2line wants it and SYMBOL is the nearest exported one or "?". */
void sample_start(unsigned microseconds);
void sample_stop(void);
size_t sample_write(const char *path);

#endif
