/* limits.c - what the machine itself can do: the yardstick for nanoseconds a byte.
 *
 * Reading (a sum of all words), copying, touching fresh memory, and waiting for memory: a chain of addresses, each read
 * from the one before, over a block of 1, 8 or 32 MB, one chain and eight at once. What one look-up in a table of that
 * size costs lies between the two: the first where look-ups wait for one another, the second where several are under
 * way. */
#include "tools.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { PASSES = 3, LINE = 64 };

static volatile uint64_t sink; /* so that no loop is left out */

static void limit(const char *what, size_t bytes, const char *unit, double value) {
    row_begin("limit");
    row_text("what", what);
    row_number("bytes", (double)bytes);
    row_text("unit", unit);
    row_number("value", value);
    row_end();
}

/* 16 bytes: two lanes on every machine that we know, without asking what the processor has. */
typedef uint64_t lanes __attribute__((vector_size(16), may_alias));

static uint64_t sum(const lanes *words, size_t n) {
    lanes a = {0, 0}, b = a, c = a, d = a;
    for (size_t i = 0; i + 4 <= n; i += 4) {
        a += words[i];
        b += words[i + 1];
        c += words[i + 2];
        d += words[i + 3];
    }
    a += b + c + d;
    return a[0] + a[1];
}

/* GB/s of the best of PASSES passes, each of at least 128 MB. */
static double scan_rate(const void *block, size_t bytes) {
    size_t times_over = (128 << 20) / bytes + 1;
    double best = 1e9;
    for (int pass = 0; pass < PASSES; pass++) {
        times begun = now();
        for (size_t i = 0; i < times_over; i++) {
            sink += sum(block, bytes / sizeof(lanes));
        }
        best = least((times){best, best}, since(begun)).wall;
    }
    return (double)bytes * (double)times_over / best / 1e9;
}

static double copy_rate(void *to, const void *from, size_t bytes) {
    size_t times_over = (128 << 20) / bytes + 1;
    double best = 1e9;
    for (int pass = 0; pass < PASSES; pass++) {
        times begun = now();
        for (size_t i = 0; i < times_over; i++) {
            memcpy(to, from, bytes);
            sink += *(volatile uint8_t *)to;
        }
        best = least((times){best, best}, since(begun)).wall;
    }
    return (double)bytes * (double)times_over / best / 1e9;
}

/* Memory that the system has just given, or NULL; with large pages where it has them. */
static void *fresh(size_t bytes, bool large) {
    void *block = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (block == MAP_FAILED) {
        die("no memory for %zu bytes", bytes);
    }
#ifdef MADV_HUGEPAGE
    madvise(block, bytes, large ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
#else
    (void)large;
#endif
    return block;
}

/* GB/s of writing one byte to each page for the first time. */
static double touch_rate(size_t bytes, bool large) {
    double best = 1e9;
    for (int pass = 0; pass < PASSES; pass++) {
        uint8_t *block = fresh(bytes, large);
        times begun = now();
        for (size_t i = 0; i < bytes; i += 4096) {
            block[i] = 1;
        }
        best = least((times){best, best}, since(begun)).wall;
        munmap(block, bytes);
    }
    return (double)bytes / best / 1e9;
}

/* Makes one cycle through all lines of the block in an order that no prefetcher guesses (Sattolo's shuffle): line i
 * holds the index of the next. */
static void make_cycle(uint64_t *words, size_t lines) {
    const size_t step = LINE / sizeof *words;
    uint64_t seed = 0x9E3779B97F4A7C15u;
    for (size_t i = 0; i < lines; i++) {
        words[i * step] = i;
    }
    for (size_t i = lines - 1; i > 0; i--) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        size_t j = (size_t)(seed >> 33) % i;
        uint64_t t = words[i * step];
        words[i * step] = words[j * step];
        words[j * step] = t;
    }
}

/* Nanoseconds an access with `chains` chains at once, which begin at places spread over the block. */
static double latency(const uint64_t *words, size_t lines, size_t chains) {
    const size_t step = LINE / sizeof *words, accesses = 1 << 20;
    double best = 1e9;
    for (int pass = 0; pass < PASSES; pass++) {
        uint64_t at[8];
        for (size_t k = 0; k < 8; k++) {
            at[k] = lines / 8 * k;
        }
        times begun = now();
        if (chains == 1) {
            for (size_t i = 0; i < accesses; i++) {
                at[0] = words[at[0] * step];
            }
        } else {
            for (size_t i = 0; i < accesses; i += 8) {
                for (size_t k = 0; k < 8; k++) {
                    at[k] = words[at[k] * step];
                }
            }
        }
        best = least((times){best, best}, since(begun)).wall;
        for (size_t k = 0; k < 8; k++) {
            sink += at[k];
        }
    }
    return best / (double)accesses * 1e9;
}

static void bench_latency(bool large) {
    static const size_t tables[] = {1 << 20, 8 << 20, 32 << 20};
    const char *one =
        large ? "random read, one after the other, large pages" : "random read, one after the other, small pages";
    const char *eight = large ? "random read, eight at once, large pages" : "random read, eight at once, small pages";
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        uint64_t *words = fresh(tables[i], large);
        make_cycle(words, tables[i] / LINE);
        limit(one, tables[i], "ns", latency(words, tables[i] / LINE, 1));
        limit(eight, tables[i], "ns", latency(words, tables[i] / LINE, 8));
        munmap(words, tables[i]);
    }
}

void bench_limits(void) {
    static const size_t sizes[] = {16 << 10, 512 << 10, 8 << 20, 128 << 20};
    size_t most = 128 << 20;
    uint8_t *from = must_alloc(most), *to = must_alloc(most);
    memset(from, 1, most);
    memset(to, 1, most);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        limit("scan", sizes[i], "GB/s", scan_rate(from, sizes[i]));
        limit("copy", sizes[i], "GB/s", copy_rate(to, from, sizes[i]));
    }
    free(from);
    free(to);
    limit("touch fresh memory, small pages", 64 << 20, "GB/s", touch_rate(64 << 20, false));
    limit("touch fresh memory, large pages", 64 << 20, "GB/s", touch_rate(64 << 20, true));
    bench_latency(false);
    bench_latency(true);
}
