/* bpe_cut.c - passes over all distinct words: count pairs, cut at rare ones, put in what the fragments became.
 *
 * Idea (bpe.c says why it is exact). In a phase only pairs with a count of at least a threshold T matter. A word is cut
 * wherever two neighbours form a pair below T; what is left between cuts is a fragment when it has two cells or more.
 * Fragments repeat much more than words do, so they are added up in a hash table and merged once each. In the word only
 * the fragment's number is left:
 *
 *     words, T = 3    pairs    cut             fragments     word       merged    read in the next phase
 *     2  l o w        lo: 6    l o | w         0: l o   6    2  #0 w    0: lo     2  lo w
 *     3  l o w l y    ow: 5    l o | w | l y   1: l y   3    3  #0 w #1 1: ly     3  lo w ly
 *     1  s l o        ...      s | l o                       1  s #0              1  s lo
 *
 * So a phase goes over the words twice: once to count pairs, for which a look at the first and last symbol of what each
 * number stands for is enough (pairs inside are counted with the fragments, once each), and once to write symbols for
 * numbers, cut, and write numbers for fragments. In memory or in a file, the store (count/store.h) gives chunks to read
 * and takes new ones.
 *
 * Counting. Nobody needs the exact count of a rare pair, so pairs are counted in an array without keys: slot = pair
 * while symbols are few, else slot = hash(pair), where a slot holds the sum of all pairs that fall into it: never less
 * than the count of any. Cutting at slots below T is then right, and what is wrongly left together is counted exactly
 * in the fragments. Each thread counts for itself, in 32 bits that stay at the top once there; T is at most that top.
 * No pair has the threshold of the phase before, so when that fits 16 or 8 bits, so do counts, and the same memory has
 * more slots just when they are needed. The sums become one bit a slot, "at least T" (live), which fits a cache.
 *
 * Rules may keep two symbols apart for ever, for what ends with the one and begins with the other is even longer
 * (bpe_vocab.h). Such pairs are not counted, so that words are cut there however frequent they are; else what the rules
 * leave in pieces would be in long fragments, phase after phase.
 *
 * Chance makes a pair live when its slot has T only with others. Where slots are few for the counts (a low T, a small
 * limit), pairs in live slots are counted once more in other slots, which these few hardly fill: one more short pass,
 * for fragments that are fewer and shorter.
 *
 * When the fragments may take so much memory only, T must be such that they fit, and nothing tells that but cutting: so
 * a part of the chunks, a 64th of many, is cut for trial, in two halves, and the cost of all extrapolated by the power of
 * the size with which it grew between the halves; with some such trials T is found by bisection. What is foretold is
 * uncertain. When the fragments are too many still, T is raised on the way: bits are cleared, words still to come are
 * cut at more pairs. Fragments found before are then longer than they need be, which does no harm: the phase ends at the
 * raised T, and each pair at or above it was left together in all words.
 *
 * Ties. Near the end of a large vocabulary very many pairs have the same count T, and the pairs of this one count may be too many. When no pair
 * has more than T, pairs with T go by their left symbol; so a cut may take those of left symbols below a `left_end` alone, and
 * merging stops there. Again this is exact: of a pair x|y that is cut, either the count is below T, or x is left_end or more; a pair X|Y that comes to stand there and has T has
 * every place of x|y, and X is x or newer, so left_end or more as well: its turn is in a later phase. Then pairs with T whose left symbol had its
 * turn are no more, and none comes into being: cut there too. (Words of characters have another order of ties.)
 *
 * Shedding. Where memory is small there are many phases, and each passes over all words, most of whose symbols will
 * never be merged again: the last merge of 32,000 from 500 MB of Chinese has a count of 440, and when
 * pairs with 4,000 are merged half of all neighbours have less than 220 in common. So words are cut for good, as soon
 * as that leaves much less, at pairs below a `bound` under which hardly any merge will be wanted:
 *
 *     bound 2   2 l o w   1 l o w l y   lo: 4  ow: 3  wl: 1  ly: 1   ->   3 l o w     (l y falls: nothing left above the bound)
 *
 * Pieces are what words are from now on, and equal ones are added up: what is left shrinks to a fourth at first, and to
 * a twentieth when it is done again later. This is exact as long as no threshold goes below the bound. Cutting is cutting at
 * T = bound in a phase that has not ended (fact 2 in bpe.c): until all pairs have less than the bound, no pair that comes to stand
 * across such a border has the bound. So the places of all pairs that do are inside of pieces, each pair's count is the sum
 * over them, and it is true; a pair below the bound may have lost places, but it had less before and is not wanted. The same
 * holds for pieces of pieces. Slots promise at least the true count, so what is cut is below the bound in truth.
 * A table adds pieces up, and is emptied into records when it is full: repeats are harmless.
 *
 * The bound is a guess, from the counts of the merges so far. So the words as they were stay in the file, as of the merges of that time. When thresholds
 * come down to the bound and merges are still wanted, the merges made since are replayed in those words (bpe_replay.c:
 * they are what the vocabulary's merges make of a word, whose earlier ones find nothing to do), and the
 * phases go on with them, from the bound down, as if nothing had been shed.
 *
 * A word is a record (records.h): bytes in the first phase, then units of 2 bytes while all symbols are below 2^15, or
 * of 4. A unit without its top bit is a symbol; a unit with it begins the number of a fragment, of 15 + 16 bits or of
 * 31, in the table of the thread that wrote the chunk (its mark). Symbols below 256 are the bytes themselves here, so
 * that nothing is translated but fragments.
 *
 * Lengths of fragments are hard to foresee for a processor, so the inner loops do without branches on them: a word's
 * live pairs are bits of a mask, whose edges are where fragments begin and end; a number stands for one or two symbols,
 * both of which are written; gaps are copied 16 cells at a time. Look-ups go through a short queue, so that memory is
 * asked for well before it is used: the table of a phase fits no cache.
 *
 * Cost of a phase: for each cell a table look-up of a bit, for each fragment met a hash and two cache lines, for each
 * unit an addition in the array of counts. Memory: the records, one array of counts a thread, the distinct fragments of
 * a phase, the longest word. */
#include <math.h>
#include <pthread.h>

#include "model/model.h"
#include "train/bpe_fragments.h"
#include "train/bpe_replay.h"

enum {
    DENSE_BITS = 20,    /* pairs are counted without hashing while two symbols have so many bits */
    MIN_SLOT_BITS = 16, /* the array of counts has a slot for each BYTES_PER_SLOT of records, within these bounds */
    MAX_SLOT_BITS = 21,
    BYTES_PER_SLOT = 16,
    BUCKETS = 4 * 32,   /* of counts: four a power of two */
    RANGES = 16,        /* arrays are added up in so many tasks */
    LITTLE = 8,         /* parts of the threshold are little */
    QUEUE = 64,         /* fragments looked up together */
    NARROW = 1 << 15,   /* symbols that units of 2 bytes can say */
    POLL = 1 << 20,     /* cells */
    BATCH = 128,        /* words written out together, */
    BATCH_CELLS = 2048, /* or so many cells */
    GAP = 16,           /* cells copied at once */
    MANY_SLOTS = 1 << 18, /* are worth several threads, */
    MANY_FRAGMENTS = 1 << 14,
    EIGHT = 8,          /* bytes of counts looked at together */
    TRIED = 16,         /* chunks at least, if there are so many, are cut to see whether a threshold fits; */
    MAX_STRIDE = 64,    /* of more, every 64th */
    BUFFER_PAD = 64     /* cells behind the end of a buffer that may be read or written */
};

typedef struct shape {
    unsigned bits;  /* slots: 2^bits */
    unsigned shift; /* dense: slot is left << shift | right; 0: hashed */
    unsigned width; /* bytes of a count: 1, 2 or 4 (dense: 4) */
} shape;

/* A fragment met and not yet looked up. */
typedef struct queued {
    pm_fragment_key key;
    uint32_t weight;
    void *unit; /* where its number goes */
} queued;

/* A word in the buffer. */
typedef struct word {
    size_t at;
    uint32_t n, weight;
} word;

/* What a fragment became: one or two symbols, or more, which lie in `longs`. */
typedef uint64_t result;
enum { ONE = 1, TWO = 2, MORE = 3 };
#define RESULT_KIND(r) ((unsigned)((r) >> 62))
#define RESULT_FIRST(r) ((uint32_t)(r))
#define RESULT_LAST(r) ((uint32_t)((r) >> 32) & UINT32_C(0x3fffffff)) /* of one: the same symbol */
#define RESULT_PLACE(r) ((size_t)((r) & (((uint64_t)1 << 62) - 1)))
static inline result make_result(unsigned kind, uint32_t first, uint32_t last) {
    return (uint64_t)kind << 62 | (uint64_t)last << 32 | first;
}

typedef struct worker {
    void *counts; /* of each slot */
    queued queue[QUEUE];
    size_t n_queue;
    pm_fragments fragments; /* met by this thread */
    uint32_t *numbers;      /* of each of them in the first thread's table */
    result *results;        /* of each of this thread's fragments of the phase before */
    size_t n_results;
    uint64_t room;               /* fragments may cost so much now; */
    uint32_t seen_threshold;     /* the threshold when that was set */
    void *buffer;                /* the symbols of the words at hand */
    size_t n_buffer, cap_buffer; /* cells */
    word words[BATCH];
    size_t n_words;
    pm_chunk *read, *out, *spare;
    pm_chunk *pieces; /* on their way to the store of pieces */
    uint64_t cells;   /* in words of more than one */
    pm_status status; /* of a look at the ticker in the middle of a word */
    pm_error error;
    char apart[64];
} worker;

/* What a pass that cuts is for. */
typedef enum purpose {
    CUT,   /* fragments for merging, their numbers in the words */
    TRY,   /* how many fragments there would be: words stay as they are */
    SHED   /* fragments that are words from now on */
} purpose;

/* All words as they were before they were shed for the first time, with what their numbers stand for. */
typedef struct whole_words {
    pm_store *store; /* NULL: none were, or nothing was left behind */
    unsigned width;
    result **results; /* of each thread */
    uint32_t *longs;
    uint64_t room; /* what these take of each thread's room for fragments */
} whole_words;

struct pm_bpe_words {
    pm_store *store;
    purpose purpose;
    pm_store *pieces; /* while words are shed: where their pieces go */
    size_t stride;    /* every so many chunks are cut; more than 1 when trying */
    size_t first;     /* of those */
    bool too_much;    /* atomic; what was tried takes too much memory */
    uint32_t left_begin, left_end; /* pairs are left together whose left symbol is one of these: 0 and PM_BPE_ALL, but among ties */
    uint32_t tie, left_done;       /* the count (0: none) of which no pair is left with a left symbol below, at least 256 */
    double caution;   /* what is expected is taken times this */
    whole_words whole;
    size_t n_chunks;     /* before the pass at hand */
    unsigned width;      /* of the records' units */
    unsigned cell_width; /* of their symbols when numbers are written out */
    unsigned next_width; /* of the units that the cut writes */
    size_t n_symbols;
    const pm_bpe_vocab *vocab;
    bool separating; /* some of its rules keep symbols apart for ever */
    uint64_t cells;
    unsigned threads;
    worker *workers;
    size_t count_bytes; /* of each worker's counts */
    unsigned max_slot_bits;
    uint64_t room;           /* for fragments, each thread; UINT64_MAX: no bound */
    shape shape;             /* of the counts that are there, or are being made */
    unsigned second_bits;    /* slots of the second look; 0: there was none */
    uint64_t *live, *second; /* a bit a slot */
    uint32_t highest;
    uint64_t mass[BUCKETS], ranges[RANGES][BUCKETS]; /* sums of counts by size of the count */
    uint32_t range_highest[RANGES];
    pthread_mutex_t raising;
    uint32_t threshold; /* atomic while cutting */
    uint32_t *longs;    /* results of more than two symbols: their number, then they */
    size_t n_longs, cap_longs;
    uint32_t rank[256], byte[256]; /* of each byte its symbol's number in the vocabulary, and back */
    pm_ticker *ticker;
};

/* ---------------------------------------------------------------- cells and slots ---- */

#define INLINE static inline __attribute__((always_inline))

INLINE uint32_t cell(const void *cells, size_t i, unsigned width) {
    switch (width) {
    case 1: return ((const uint8_t *)cells)[i];
    case 2: return ((const uint16_t *)cells)[i];
    default: return ((const uint32_t *)cells)[i];
    }
}

INLINE void set_cell(void *cells, size_t i, uint32_t value, unsigned width) {
    if (width == 2) {
        ((uint16_t *)cells)[i] = (uint16_t)value;
    } else {
        ((uint32_t *)cells)[i] = value;
    }
}

/* The unit at i as a number when its top bit is set (*number, else 0), else as a symbol; returns how many units that
 * are. */
INLINE size_t read_unit(const void *units, size_t i, unsigned width, uint32_t *symbol, uint32_t *number,
                        uint64_t *is_number) {
    uint32_t unit = cell(units, i, width), top = unit >> (8 * width - 1);
    uint32_t mask = -top;
    if (width == 2) {
        *number = ((unit & 0x7fff) << 16 | cell(units, i + 1, 2)) & mask;
    } else {
        *number = unit & UINT32_C(0x7fffffff) & mask;
    }
    *symbol = unit;
    *is_number = (uint64_t)0 - top;
    return 1 + (width == 2 ? top : 0);
}

INLINE void write_number(void *unit, uint32_t number, unsigned width) {
    if (width == 2) {
        ((uint16_t *)unit)[0] = (uint16_t)(0x8000 | number >> 16);
        ((uint16_t *)unit)[1] = (uint16_t)number;
    } else {
        *(uint32_t *)unit = UINT32_C(0x80000000) | number;
    }
}

/* What a unit stands for. */
INLINE result result_of(const result *results, uint32_t symbol, uint32_t number, uint64_t is_number) {
    return (results[number] & is_number) | (make_result(ONE, symbol, symbol) & ~is_number);
}

INLINE size_t slot_of(uint32_t left, uint32_t right, unsigned bits, unsigned shift) {
    if (shift) {
        return (size_t)left << shift | right;
    }
    return (size_t)(((uint64_t)left << 32 | right) * UINT64_C(0x9E3779B97F4A7C15) >> (64 - bits));
}

/* The slot of the second look. */
INLINE size_t second_slot_of(uint32_t left, uint32_t right, unsigned bits) {
    return (size_t)(((uint64_t)right << 32 | left) * UINT64_C(0xD6E8FEB86659FD93) >> (64 - bits));
}

INLINE uint64_t bit_of(const uint64_t *live, size_t slot) {
    return __atomic_load_n(&live[slot >> 6], __ATOMIC_RELAXED) >> (slot & 63) & 1;
}

/* Slots, of counts so wide, for a sum of counts `all`, with `noise` of it in each by chance. */
static unsigned slot_bits(const pm_bpe_words *w, unsigned width, uint64_t all, uint64_t noise) {
    unsigned bits = MIN_SLOT_BITS, most = w->max_slot_bits + (width == 1 ? 2 : width == 2 ? 1 : 0);
    while (bits < most && all >> bits > noise) {
        bits++;
    }
    return bits;
}

/* How pairs are counted for a coming threshold of about `threshold`: few slots are fast, but what falls into a slot by
 * chance must stay below the threshold. All symbols are counted as numbers while they are few. No pair has `below`, so
 * counts may stop there. */
static shape shape_for(const pm_bpe_words *w, uint32_t below, uint64_t threshold) {
    unsigned bits = 8, width = below <= UINT8_MAX ? 1 : below <= UINT16_MAX ? 2 : 4;
    uint64_t all = pm_bpe_words_mass(w, 0);
    while ((size_t)1 << bits < w->n_symbols) {
        bits++;
    }
    if (2 * bits <= DENSE_BITS && 2 * bits <= w->max_slot_bits) {
        return (shape){2 * bits, bits, 4};
    }
    return (shape){slot_bits(w, width, all, threshold / (2 * LITTLE)), 0, width};
}

/* Counts stay at the top once there. */
INLINE void add_count(void *counts, size_t slot, uint32_t weight, unsigned width) {
    uint32_t sum;
    switch (width) {
    case 1:
        sum = ((uint8_t *)counts)[slot] + (weight < UINT8_MAX ? weight : UINT8_MAX);
        ((uint8_t *)counts)[slot] = (uint8_t)(sum < UINT8_MAX ? sum : UINT8_MAX);
        break;
    case 2:
        sum = ((uint16_t *)counts)[slot] + (weight < UINT16_MAX ? weight : UINT16_MAX);
        ((uint16_t *)counts)[slot] = (uint16_t)(sum < UINT16_MAX ? sum : UINT16_MAX);
        break;
    default: sum = ((uint32_t *)counts)[slot] + weight; ((uint32_t *)counts)[slot] = sum < weight ? UINT32_MAX : sum;
    }
}

/* ---------------------------------------------------------------- counting ---- */

/* In long words, every POLL cells: true when the work is to end, for which the task then gives the reason. */
INLINE bool is_over(const pm_bpe_words *w, worker *k, size_t i) {
    if (__builtin_expect(i % POLL != 0, 1) || i == 0) {
        return false;
    }
    if (k->status == PM_OK) {
        k->status = pm_ticker_poll(w->ticker, (unsigned)(k - w->workers), &k->error);
    }
    return k->status != PM_OK;
}

static void count_bytes(const pm_bpe_words *w, worker *k, const uint8_t *bytes, size_t n, uint32_t weight) {
    for (size_t i = 1; i < n && !is_over(w, k, i); i++) {
        add_count(k->counts, (size_t)bytes[i - 1] << 8 | bytes[i], weight, 4);
    }
}

/* Do the rules keep these two apart for ever? Then their border is always a cut: they are not counted. */
static bool separates(const pm_bpe_words *w, uint32_t left, uint32_t right) {
    return pm_bpe_vocab_separates(w->vocab, left < 256 ? w->rank[left] : left, right < 256 ? w->rank[right] : right);
}

/* Counts the pairs between units; returns the cells. */
INLINE size_t count_units(const pm_bpe_words *w, worker *k, const result *results, const pm_record *record,
                          unsigned width, shape as, unsigned second) {
    const void *units = pm_record_cells(record);
    void *counts = k->counts;
    size_t n = record->n, cells = 0;
    uint32_t last = 0, symbol, number;
    uint64_t is_number;
    for (size_t i = 0; i < n && !is_over(w, k, i);) {
        bool first = i == 0;
        i += read_unit(units, i, width, &symbol, &number, &is_number);
        result r = result_of(results, symbol, number, is_number);
        uint32_t begin = RESULT_FIRST(r), end = RESULT_LAST(r);
        cells += RESULT_KIND(r);
        if (__builtin_expect(RESULT_KIND(r) == MORE, 0)) {
            const uint32_t *more = w->longs + RESULT_PLACE(r);
            cells += more[0] - MORE;
            begin = more[1];
            end = more[more[0]];
        }
        if (!first && !(w->separating && separates(w, last, begin)) &&
            (!second || bit_of(w->live, slot_of(last, begin, as.bits, 0)))) {
            size_t slot = second ? second_slot_of(last, begin, second) : slot_of(last, begin, as.bits, as.shift);
            add_count(counts, slot, record->weight, as.width);
        }
        last = end;
    }
    return cells;
}

INLINE void count_records(const pm_bpe_words *w, worker *k, const pm_chunk *chunk, unsigned width, shape as,
                          unsigned second) {
    const result *results = w->workers[chunk->mark].results;
    for (size_t at = sizeof *chunk; at < chunk->used;) {
        const pm_record *record = pm_record_at(chunk, at);
        size_t cells = count_units(w, k, results, record, width, as, second);
        at += pm_record_bytes(record->n, width);
        k->cells += cells > 1 ? cells : 0;
    }
}

static void count_byte_records(const pm_bpe_words *w, worker *k, const pm_chunk *chunk) {
    for (size_t at = sizeof *chunk; at < chunk->used;) {
        const pm_record *record = pm_record_at(chunk, at);
        at += pm_record_bytes(record->n, 1);
        if (record->weight && record->n > 1) {
            count_bytes(w, k, pm_record_cells(record), record->n, record->weight);
            k->cells += record->n;
        }
    }
}

/* One copy of the loop for each kind of counts. */
INLINE void count_unit_records(const pm_bpe_words *w, worker *k, const pm_chunk *chunk, unsigned width) {
    unsigned bits = w->shape.bits, shift = w->shape.shift;
    if (w->second_bits) {
        count_records(w, k, chunk, width, w->shape, w->second_bits);
    } else if (shift) {
        count_records(w, k, chunk, width, (shape){bits, shift, 4}, 0);
    } else if (w->shape.width == 4) {
        count_records(w, k, chunk, width, (shape){bits, 0, 4}, 0);
    } else if (w->shape.width == 2) {
        count_records(w, k, chunk, width, (shape){bits, 0, 2}, 0);
    } else {
        count_records(w, k, chunk, width, (shape){bits, 0, 1}, 0);
    }
}

static pm_status count_chunk(pm_bpe_words *w, worker *k, size_t number, pm_error *err) {
    const pm_chunk *chunk;
    PM_TRY(pm_store_get(w->store, number, &k->read, &chunk, err));
    if (w->width == 1) {
        count_byte_records(w, k, chunk);
    } else if (w->width == 2) {
        count_unit_records(w, k, chunk, 2);
    } else {
        count_unit_records(w, k, chunk, 4);
    }
    return PM_OK;
}

/* The pairs that are inside of what one in RANGES of the fragments became. */
static void count_inside(const pm_bpe_words *w, worker *k, size_t range) {
    const pm_fragments *f = &w->workers[0].fragments;
    for (size_t i = f->n * range / RANGES; i < f->n * (range + 1) / RANGES; i++) {
        const pm_fragment *x = &f->items[i];
        uint32_t weight = x->weight < UINT32_MAX ? (uint32_t)x->weight : UINT32_MAX;
        for (size_t s = 1; s < x->n_after && !is_over(w, k, s); s++) {
            uint32_t left = f->symbols[x->at + s - 1], right = f->symbols[x->at + s];
            left = left < 256 ? w->byte[left] : left;
            right = right < 256 ? w->byte[right] : right;
            if (w->separating && separates(w, left, right)) {
                continue;
            }
            size_t slot = slot_of(left, right, w->shape.bits, w->shape.shift);
            if (!w->second_bits) {
                add_count(k->counts, slot, weight, w->shape.width);
            } else if (bit_of(w->live, slot)) {
                add_count(k->counts, second_slot_of(left, right, w->second_bits), weight, w->shape.width);
            }
        }
    }
}

/* The end of a task. */
static pm_status finish(pm_bpe_words *w, const worker *k, pm_error *err) {
    if (k->status != PM_OK) {
        if (err) {
            *err = k->error;
        }
        return k->status;
    }
    return pm_ticker_poll(w->ticker, (unsigned)(k - w->workers), err);
}

static pm_status count_task(void *ctx, unsigned thread, size_t number, pm_error *err) {
    pm_bpe_words *w = ctx;
    if (number < RANGES) {
        count_inside(w, &w->workers[thread], number);
    } else {
        PM_TRY(count_chunk(w, &w->workers[thread], number - RANGES, err));
    }
    return finish(w, &w->workers[thread], err);
}

static unsigned bucket_of(uint32_t count) {
    if (count < 4) {
        return count;
    }
    unsigned log = 31u - (unsigned)__builtin_clz(count);
    return 4 * (log - 1) + (count >> (log - 2) & 3);
}

/* The least count in a bucket. */
static uint64_t bucket_least(unsigned bucket) {
    return bucket < 4 ? bucket : (uint64_t)(4 + (bucket & 3)) << (bucket / 4 - 1);
}

/* Most counts are 0: they are looked at eight bytes at once. */
INLINE bool any_of_eight(const void *p) {
    uint64_t x;
    memcpy(&x, p, sizeof x);
    return x != 0;
}

INLINE uint32_t sum_range(pm_bpe_words *w, size_t start, size_t n, uint64_t *mass, unsigned width) {
    void *sums = w->workers[0].counts;
    uint32_t highest = 0;
    for (unsigned i = 1; i < w->threads; i++) {
        uint8_t *counts = w->workers[i].counts;
        for (size_t s = start; s < start + n; s += EIGHT / width) {
            if (!any_of_eight(counts + s * width)) {
                continue;
            }
            for (size_t k = s; k < s + EIGHT / width; k++) {
                add_count(sums, k, cell(counts, k, width), width);
            }
        }
        memset(counts + start * width, 0, n * width);
    }
    for (size_t s = start; s < start + n; s += EIGHT / width) {
        if (!any_of_eight((uint8_t *)sums + s * width)) {
            continue;
        }
        for (size_t k = s; k < s + EIGHT / width; k++) {
            uint32_t count = cell(sums, k, width);
            mass[bucket_of(count)] += count;
            highest = count > highest ? count : highest;
        }
    }
    return highest;
}

/* Slots that are counted. */
static size_t n_slots(const pm_bpe_words *w) { return (size_t)1 << (w->second_bits ? w->second_bits : w->shape.bits); }

/* Adds a range of all threads' counts into the first thread's, and sums them by size. */
static pm_status add_range(void *ctx, unsigned thread, size_t range, pm_error *err) {
    pm_bpe_words *w = ctx;
    size_t n = n_slots(w) / RANGES, start = range * n;
    uint64_t *mass = w->ranges[range];
    memset(mass, 0, sizeof w->ranges[range]);
    switch (w->shape.width) {
    case 1: w->range_highest[range] = sum_range(w, start, n, mass, 1); break;
    case 2: w->range_highest[range] = sum_range(w, start, n, mass, 2); break;
    default: w->range_highest[range] = sum_range(w, start, n, mass, 4);
    }
    return pm_ticker_poll(w->ticker, thread, err);
}

/* Counts pairs into the first thread's counts, and cells into *cells. */
static pm_status count_pairs(pm_bpe_words *w, uint64_t *cells, pm_error *err) {
    memset(w->workers[0].counts, 0, n_slots(w) * w->shape.width);
    PM_TRY(pm_parallel_part(w->threads, pm_store_size(w->store) + RANGES, count_task, w, w->ticker, err));
    PM_TRY(pm_parallel_part(w->threads, RANGES, add_range, w, w->ticker, err));
    *cells = 0;
    for (unsigned i = 0; i < w->threads; i++) {
        *cells += w->workers[i].cells;
        w->workers[i].cells = 0;
    }
    return PM_OK;
}

/* Counts all pairs: the sums, and how many cells there are. */
static pm_status count_all(pm_bpe_words *w, pm_error *err) {
    w->second_bits = 0;
    PM_TRY(count_pairs(w, &w->cells, err));
    memset(w->mass, 0, sizeof w->mass);
    w->highest = 0;
    for (size_t r = 0; r < RANGES; r++) {
        for (size_t b = 0; b < BUCKETS; b++) {
            w->mass[b] += w->ranges[r][b];
        }
        w->highest = w->range_highest[r] > w->highest ? w->range_highest[r] : w->highest;
    }
    return PM_OK;
}

uint64_t pm_bpe_words_cells(const pm_bpe_words *words) { return words->cells; }

uint32_t pm_bpe_words_highest(const pm_bpe_words *words) { return words->highest; }

uint64_t pm_bpe_words_mass(const pm_bpe_words *words, uint32_t from) {
    uint64_t mass = 0;
    for (unsigned b = bucket_of(from); b < BUCKETS; b++) {
        mass += words->mass[b];
    }
    return mass;
}

uint32_t pm_bpe_words_threshold(const pm_bpe_words *words, uint64_t mass) {
    uint64_t above = 0;
    unsigned bucket = BUCKETS;
    while (bucket > 0 && above + words->mass[bucket - 1] <= mass) {
        above += words->mass[--bucket];
    }
    uint64_t least = bucket < BUCKETS ? bucket_least(bucket) : UINT32_MAX;
    return least > UINT32_MAX ? UINT32_MAX : (uint32_t)least;
}

/* ---------------------------------------------------------------- live pairs ---- */

/* Eight bytes that are 0 or 1 as eight bits. */
INLINE uint64_t bits_of(const uint8_t *bytes) {
    uint64_t x;
    memcpy(&x, bytes, sizeof x);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    x = __builtin_bswap64(x);
#endif
    return x * UINT64_C(0x0102040810204080) >> 56;
}

/* Sixty-four comparisons at once, of numbers as wide as the counts, are some vector instructions. */
INLINE void compare_counts(uint8_t reaches[64], const void *counts, size_t first, uint32_t threshold, unsigned width) {
    const uint8_t *bytes = (const uint8_t *)counts + first;
    const uint16_t *halves = (const uint16_t *)counts + first;
    const uint32_t *words = (const uint32_t *)counts + first;
    uint8_t byte = (uint8_t)threshold;
    uint16_t half = (uint16_t)threshold;
    for (size_t i = 0; i < 64; i++) {
        reaches[i] = width == 1 ? bytes[i] >= byte : width == 2 ? halves[i] >= half : words[i] >= threshold;
    }
}

INLINE void mark_slots(pm_bpe_words *w, uint32_t threshold, size_t from, size_t to, unsigned width) {
    const void *counts = w->workers[0].counts;
    uint64_t *live = w->second_bits ? w->second : w->live;
    bool none = threshold > UINT32_MAX >> (32 - 8 * width);
    for (size_t i = from; i < to; i += 64) {
        uint8_t reaches[64];
        uint64_t mask = 0;
        compare_counts(reaches, counts, i, threshold, width);
        for (unsigned k = 0; k < 64; k += 8) {
            mask |= bits_of(reaches + k) << k;
        }
        __atomic_store_n(&live[i / 64], none ? 0 : mask, __ATOMIC_RELAXED);
    }
}

/* Sets or, when the threshold was raised, clears bits. Others may be reading them. */
static void mark_live(pm_bpe_words *w, uint32_t threshold, size_t from, size_t to) {
    switch (w->shape.width) {
    case 1: mark_slots(w, threshold, from, to, 1); break;
    case 2: mark_slots(w, threshold, from, to, 2); break;
    default: mark_slots(w, threshold, from, to, 4);
    }
}

typedef struct marking {
    pm_bpe_words *words;
    uint32_t threshold;
} marking;

static pm_status mark_range(void *ctx, unsigned thread, size_t range, pm_error *err) {
    const marking *m = ctx;
    size_t n = n_slots(m->words) / RANGES;
    mark_live(m->words, m->threshold, range * n, (range + 1) * n);
    return pm_ticker_poll(m->words->ticker, thread, err);
}

/* Sets all bits; many by all threads. */
static pm_status mark_all(pm_bpe_words *w, uint32_t threshold, pm_error *err) {
    marking m = {w, threshold};
    return pm_parallel_part(n_slots(w) < MANY_SLOTS ? 1 : w->threads, RANGES, mark_range, &m, w->ticker, err);
}

/* Where what falls into a slot by chance is not small against the threshold, pairs in live slots are counted once more,
 * in other slots, where little else falls: a pair is live when both of its slots are. */
static pm_status look_again(pm_bpe_words *w, uint32_t threshold, pm_error *err) {
    uint64_t cells;
    if (w->shape.shift || threshold < 2 || pm_bpe_words_mass(w, 0) >> w->shape.bits < threshold / LITTLE) {
        return PM_OK;
    }
    w->second_bits = slot_bits(w, w->shape.width, pm_bpe_words_mass(w, threshold), threshold / (4 * LITTLE));
    PM_TRY(count_pairs(w, &cells, err));
    return mark_all(w, threshold, err);
}

/* The fragments cost as much as they may for now: the threshold goes up by a half, and they may have half of what is
 * left. */
static pm_status raise_threshold(pm_bpe_words *w, worker *k, pm_error *err) {
    pthread_mutex_lock(&w->raising);
    uint32_t threshold = w->threshold;
    bool raise = threshold == k->seen_threshold, can = threshold < UINT32_MAX;
    if (raise && can) {
        threshold = threshold < UINT32_MAX / 2 ? threshold + threshold / 2 + 1 : UINT32_MAX;
        mark_live(w, threshold, 0, n_slots(w));
        w->threshold = threshold;
    }
    pthread_mutex_unlock(&w->raising);
    if (raise && !can) {
        return pm_fail(err, PM_LIMIT,
                       "memory_limit is too small for this corpus: what frequent pairs make of its words needs more "
                       "than %llu bytes",
                       (unsigned long long)w->room * w->threads);
    }
    k->seen_threshold = threshold;
    k->room += (w->room - k->room) / 2;
    return PM_OK;
}

/* A bit for each of the n <= 64 pairs from cell `start` on: is it live? */
/* A bit for each of these pairs: is it the turn of its left symbol? */
INLINE uint64_t early_pairs(const pm_bpe_words *w, const void *cells, size_t start, size_t n, unsigned width) {
    uint64_t mask = 0;
    for (size_t i = 0; i < n; i++) {
        mask |= (uint64_t)(cell(cells, start + i, width) - w->left_begin < w->left_end - w->left_begin) << i;
    }
    return mask;
}

INLINE uint64_t live_pairs(const pm_bpe_words *w, const void *cells, size_t start, size_t n, unsigned width,
                           unsigned bits, unsigned shift, unsigned second) {
    uint64_t mask = 0;
    uint32_t left = cell(cells, start, width);
    for (size_t i = 0; i < n; i++) {
        uint32_t right = cell(cells, start + i + 1, width);
        uint64_t bit = bit_of(w->live, slot_of(left, right, bits, shift));
        if (second) {
            bit &= bit_of(w->second, second_slot_of(left, right, second));
        }
        mask |= bit << i;
        left = right;
    }
    return w->left_end - w->left_begin == PM_BPE_ALL ? mask : mask & early_pairs(w, cells, start, n, width);
}

/* ---------------------------------------------------------------- cutting ---- */

/* Appends a piece of n cells. */
static pm_status put_piece(pm_bpe_words *w, worker *k, const void *cells, uint32_t n, uint32_t weight, pm_error *err) {
    size_t bytes = pm_record_bytes(n, w->cell_width);
    if (k->pieces && k->pieces->size - k->pieces->used < bytes + PM_RECORDS_PAD) {
        PM_TRY(pm_store_put(w->pieces, &k->pieces, err));
        if (k->pieces && k->pieces->size - k->pieces->used < bytes + PM_RECORDS_PAD) {
            pm_chunk_free(k->pieces);
            k->pieces = NULL;
        }
    }
    if (!k->pieces) {
        pm_records one = {0};
        k->pieces = pm_records_add_chunk(&one, bytes);
        if (!k->pieces) {
            return pm_fail_memory(err);
        }
    }
    pm_record *record = pm_record_at(k->pieces, k->pieces->used);
    *record = (pm_record){weight, n};
    memcpy(pm_record_cells(record), cells, (size_t)n * w->cell_width);
    k->pieces->used += bytes;
    return PM_OK;
}

/* The fragments that were met become words. */
static pm_status put_pieces(pm_bpe_words *w, worker *k, pm_error *err) {
    pm_fragments *f = &k->fragments;
    for (size_t i = 0; i < f->n; i++) {
        const pm_fragment *x = &f->items[i];
        for (uint64_t left = x->weight; left;) {
            uint32_t weight = left < UINT32_MAX ? (uint32_t)left : UINT32_MAX;
            PM_TRY(put_piece(w, k, pm_fragment_cells(f, x, w->cell_width), x->n, weight, err));
            left -= weight;
        }
    }
    return pm_fragments_begin(f, err);
}

/* Looks up what is queued. */
INLINE pm_status look_up(pm_bpe_words *w, worker *k, unsigned out_width, pm_error *err) {
    pm_fragments *f = &k->fragments;
    for (size_t i = 0; i < k->n_queue; i++) {
        pm_fragments_prefetch(f, k->queue[i].key.hash);
    }
    for (size_t i = 0; i < k->n_queue; i++) {
        uint32_t number = 0;
        PM_TRY(pm_fragments_add(f, &k->queue[i].key, k->queue[i].weight, &number, err));
        write_number(k->queue[i].unit, number, out_width);
    }
    k->n_queue = 0;
    switch (w->purpose) {
    case SHED: return pm_fragments_table_bytes(f) > k->room ? put_pieces(w, k, err) : PM_OK;
    case CUT: return pm_fragments_cost(f) > k->room ? raise_threshold(w, k, err) : PM_OK;
    default:
        if (pm_fragments_cost(f) > k->room) {
            __atomic_store_n(&w->too_much, true, __ATOMIC_RELAXED);
        }
        return PM_OK;
    }
}

/* A fragment of n cells was met; its number goes to `unit`. */
INLINE pm_status meet(pm_bpe_words *w, worker *k, const void *cells, size_t n, uint32_t weight, void *unit,
                      unsigned width, unsigned out_width, pm_error *err) {
    size_t bytes = n * width;
    if (__builtin_expect(bytes > PM_FRAGMENT_SHORT, 0)) {
        uint32_t number = 0;
        PM_TRY(pm_fragments_add_cells(&k->fragments, cells, (uint32_t)n, width, weight, &number, err));
        write_number(unit, number, out_width);
        return PM_OK;
    }
    queued *q = &k->queue[k->n_queue++];
    pm_fragment_key_short(&q->key, cells, (uint32_t)n, bytes);
    q->weight = weight;
    q->unit = unit;
    pm_fragments_prefetch_slot(&k->fragments, q->key.hash);
    return k->n_queue == QUEUE ? look_up(w, k, out_width, err) : PM_OK;
}

/* Copies GAP cells as units. */
INLINE void copy_gap(void *out, const void *cells, unsigned width, unsigned out_width) {
    typedef uint8_t bytes __attribute__((vector_size(GAP)));
    typedef uint16_t units __attribute__((vector_size(2 * GAP)));
    if (width == out_width) {
        memcpy(out, cells, (size_t)GAP * width);
    } else {
        bytes from;
        memcpy(&from, cells, sizeof from);
        units to = __builtin_convertvector(from, units);
        memcpy(out, &to, sizeof to);
    }
}

/* Copies n cells as units; GAP of both can be touched behind them. */
INLINE void copy_cells(void *out, const void *cells, size_t n, unsigned width, unsigned out_width) {
    copy_gap(out, cells, width, out_width);
    for (size_t i = GAP; i < n; i += GAP) {
        copy_gap((uint8_t *)out + i * out_width, (const uint8_t *)cells + i * width, width, out_width);
    }
}

/* Cuts a word of n cells and writes its units; *n_out is how many. */
INLINE pm_status cut_word(pm_bpe_words *w, worker *k, const void *cells, size_t n, uint32_t weight, void *out,
                          size_t *n_out, unsigned width, unsigned out_width, unsigned bits, unsigned shift,
                          unsigned second, pm_error *err) {
    const uint8_t *in = cells;
    uint8_t *to = out;
    size_t open = 0, done = 0; /* where the open fragment begins, if there is one; cells written */
    uint64_t carry = 0;        /* 1: there is one */
    for (size_t base = 0; base < n && !is_over(w, k, base); base += 64) {
        size_t pairs = n - 1 - base < 64 ? n - 1 - base : 64;
        uint64_t mask = live_pairs(w, cells, base, pairs, width, bits, shift, second), before = mask << 1 | carry;
        uint64_t begins = mask & ~before, ends = ~mask & before;
        while (ends) {
            size_t end = base + (size_t)__builtin_ctzll(ends) + 1;
            ends &= ends - 1;
            if (!carry) {
                open = base + (size_t)__builtin_ctzll(begins);
                begins &= begins - 1;
            }
            carry = 0;
            copy_cells(to, in + done * width, open - done, width, out_width);
            to += (open - done) * out_width;
            PM_TRY(meet(w, k, in + open * width, end - open, weight, to, width, out_width, err));
            to += out_width == 2 ? 4 : out_width;
            done = end;
        }
        if (begins) {
            open = base + (size_t)__builtin_ctzll(begins);
        }
        carry = mask >> 63;
    }
    copy_cells(to, in + done * width, n - done, width, out_width);
    *n_out = (size_t)(to - (uint8_t *)out) / out_width + (n - done);
    return PM_OK;
}

/* ---------------------------------------------------------------- words ---- */

static pm_status grow_buffer(worker *k, size_t cells, unsigned width, pm_error *err) {
    size_t bytes = k->cap_buffer * width;
    void *buffer = k->buffer;
    if (cells > SIZE_MAX / 8 - BUFFER_PAD) {
        return pm_fail_memory(err);
    }
    pm_status status = pm_grow(&buffer, &bytes, (cells + BUFFER_PAD) * width, 1, err);
    k->buffer = buffer;
    k->cap_buffer = bytes / width;
    return status;
}

/* Appends a result of many symbols to the buffer; room for `more` cells behind it. */
static pm_status append_long(pm_bpe_words *w, worker *k, result r, size_t more, unsigned width, pm_error *err) {
    const uint32_t *symbols = w->longs + RESULT_PLACE(r);
    size_t count = *symbols++;
    if (k->n_buffer + count + more + BUFFER_PAD > k->cap_buffer) {
        PM_TRY(grow_buffer(k, k->n_buffer + count + more, width, err));
    }
    for (size_t i = 0; i < count; i++) {
        set_cell(k->buffer, k->n_buffer + i, symbols[i], width);
    }
    k->n_buffer += count;
    return PM_OK;
}

/* Writes a word's symbols behind what is in the buffer. */
INLINE pm_status write_out(pm_bpe_words *w, worker *k, const result *results, const pm_record *record, unsigned width,
                           unsigned cell_width, pm_error *err) {
    const void *units = pm_record_cells(record);
    size_t n_units = record->n, n = k->n_buffer, begin = n;
    uint32_t symbol, number;
    uint64_t is_number;
    if (n + 2 * n_units + BUFFER_PAD > k->cap_buffer) {
        PM_TRY(grow_buffer(k, n + 2 * n_units, cell_width, err));
    }
    void *buffer = k->buffer;
    for (size_t i = 0; i < n_units;) {
        i += read_unit(units, i, width, &symbol, &number, &is_number);
        result r = result_of(results, symbol, number, is_number);
        if (__builtin_expect(RESULT_KIND(r) == MORE, 0)) {
            k->n_buffer = n;
            PM_TRY(append_long(w, k, r, 2 * (n_units - i), cell_width, err));
            buffer = k->buffer;
            n = k->n_buffer;
            continue;
        }
        set_cell(buffer, n, RESULT_FIRST(r), cell_width);
        set_cell(buffer, n + 1, RESULT_LAST(r), cell_width);
        n += RESULT_KIND(r);
    }
    if (n - begin > UINT32_MAX) {
        return pm_fail(err, PM_LIMIT, "a pre-token of more than 2^32 - 1 symbols");
    }
    k->n_buffer = n;
    if (n - begin > 1) {
        k->words[k->n_words++] = (word){begin, (uint32_t)(n - begin), record->weight};
    } else {
        k->n_buffer = begin; /* one symbol: never to be cut or merged again */
    }
    return PM_OK;
}

/* The thread's chunk to write to is full: into the store with it. Numbers that are not known yet point into it. */
static pm_status put_out(pm_bpe_words *w, worker *k, pm_error *err) {
    PM_TRY(w->next_width == 2 ? look_up(w, k, 2, err) : look_up(w, k, 4, err));
    if (w->purpose != CUT) {
        pm_chunk_free(k->out);
        k->out = NULL;
        return PM_OK;
    }
    PM_TRY(pm_store_put(w->store, &k->out, err));
    if (k->out) { /* it went to the file: this memory is free */
        pm_chunk_free(k->spare);
        k->spare = k->out;
        k->out = NULL;
    }
    return PM_OK;
}

/* Room for a record of at most `bytes` bytes. */
INLINE pm_status reserve(pm_bpe_words *w, worker *k, size_t bytes, pm_record **record, pm_error *err) {
    bytes += PM_RECORDS_PAD;
    if (!k->out || k->out->size - k->out->used < bytes) {
        if (k->out) {
            PM_TRY(put_out(w, k, err));
        }
        if (k->spare && k->spare->size - sizeof *k->spare >= bytes) {
            k->out = k->spare;
            k->spare = NULL;
            k->out->used = sizeof *k->out;
        } else {
            pm_records one = {0};
            k->out = pm_records_add_chunk(&one, bytes);
        }
        if (!k->out) {
            return pm_fail_memory(err);
        }
        k->out->mark = (size_t)(k - w->workers);
    }
    *record = pm_record_at(k->out, k->out->used);
    return PM_OK;
}

/* Cuts a word of n cells into a new record. */
INLINE pm_status cut_record(pm_bpe_words *w, worker *k, const void *cells, size_t n, uint32_t weight, unsigned width,
                            unsigned out_width, unsigned bits, unsigned shift, unsigned second, pm_error *err) {
    size_t n_out = 0;
    pm_record *record = NULL;
    PM_TRY(reserve(w, k, pm_record_bytes(n, out_width), &record, err));
    PM_TRY(
        cut_word(w, k, cells, n, weight, pm_record_cells(record), &n_out, width, out_width, bits, shift, second, err));
    *record = (pm_record){weight, (uint32_t)n_out};
    k->out->used += w->purpose == CUT ? pm_record_bytes(n_out, out_width) : 0; /* else the next word is written over this one */
    return PM_OK;
}

static pm_status cut_byte_records(pm_bpe_words *w, worker *k, const pm_chunk *chunk, pm_error *err) {
    for (size_t at = sizeof *chunk; at < chunk->used;) {
        const pm_record *record = pm_record_at(chunk, at);
        const void *bytes = pm_record_cells(record);
        at += pm_record_bytes(record->n, 1);
        if (!record->weight || record->n < 2) {
            continue;
        }
        if (chunk->size - at < BUFFER_PAD) { /* at the end of the chunk: bytes behind it are read */
            PM_TRY(grow_buffer(k, record->n, 1, err));
            bytes = memcpy(k->buffer, bytes, record->n);
        }
        PM_TRY(cut_record(w, k, bytes, record->n, record->weight, 1, 2, 16, 8, 0, err));
    }
    return PM_OK;
}

/* Some words are written out before they are cut: a load of what was stored a moment ago in smaller parts would wait.
 */
INLINE pm_status cut_records(pm_bpe_words *w, worker *k, const pm_chunk *chunk, unsigned width, unsigned cell_width,
                             unsigned bits, unsigned shift, unsigned second, pm_error *err) {
    const result *results = w->workers[chunk->mark].results;
    for (size_t at = sizeof *chunk; at < chunk->used;) {
        k->n_words = k->n_buffer = 0;
        while (at < chunk->used && k->n_words < BATCH && k->n_buffer < BATCH_CELLS) {
            const pm_record *record = pm_record_at(chunk, at);
            at += pm_record_bytes(record->n, width);
            PM_TRY(write_out(w, k, results, record, width, cell_width, err));
        }
        for (size_t i = 0; i < k->n_words; i++) {
            const word *x = &k->words[i];
            PM_TRY(cut_record(w, k, (uint8_t *)k->buffer + x->at * cell_width, x->n, x->weight, cell_width, cell_width,
                              bits, shift, second, err));
        }
    }
    return PM_OK;
}

static pm_status cut_chunk(pm_bpe_words *w, worker *k, const pm_chunk *chunk, pm_error *err) {
    unsigned bits = w->shape.bits, shift = w->shape.shift, second = w->second_bits;
    if (w->width == 1) {
        return cut_byte_records(w, k, chunk, err);
    }
    if (w->width == 2 && w->cell_width == 2) {
        return shift    ? cut_records(w, k, chunk, 2, 2, bits, shift, 0, err)
               : second ? cut_records(w, k, chunk, 2, 2, bits, 0, second, err)
                        : cut_records(w, k, chunk, 2, 2, bits, 0, 0, err);
    }
    if (w->width == 2) {
        return cut_records(w, k, chunk, 2, 4, bits, 0, second, err);
    }
    return cut_records(w, k, chunk, 4, 4, bits, shift, second, err);
}

static pm_status cut_task(void *ctx, unsigned thread, size_t number, pm_error *err) {
    pm_bpe_words *w = ctx;
    worker *k = &w->workers[thread];
    pm_chunk *chunk;
    number = w->first + number * w->stride;
    if (__atomic_load_n(&w->too_much, __ATOMIC_RELAXED)) {
        return PM_OK;
    }
    if (w->purpose == TRY || w->whole.store == w->store) { /* they stay as they are */
        const pm_chunk *there;
        PM_TRY(pm_store_get(w->store, number, &k->read, &there, err));
        PM_TRY(cut_chunk(w, k, there, err));
        return finish(w, k, err);
    }
    PM_TRY(pm_store_take(w->store, number, &k->spare, &chunk, err));
    pm_status status = cut_chunk(w, k, chunk, err);
    pm_chunk_free(k->spare);
    k->spare = chunk;
    PM_TRY(status);
    return finish(w, k, err);
}

/* Cuts the chunk `first` and every stride-th behind it. */
static pm_status cut_chunks(pm_bpe_words *w, purpose why, size_t first, size_t stride, pm_error *err) {
    size_t n = pm_store_size(w->store);
    w->purpose = why;
    w->first = first;
    w->stride = stride;
    PM_TRY(pm_parallel_part(w->threads, first < n ? (n - 1 - first) / stride + 1 : 0, cut_task, w, w->ticker, err));
    for (unsigned i = 0; i < w->threads; i++) {
        if (w->workers[i].out) {
            PM_TRY(put_out(w, &w->workers[i], err));
        }
        pm_chunk_free(w->workers[i].spare);
        w->workers[i].spare = NULL;
    }
    return PM_OK;
}

/* Empty tables for fragments, that may cost so much in each thread. */
static pm_status begin_fragments(pm_bpe_words *w, uint64_t room, pm_error *err) {
    for (unsigned i = 0; i < w->threads; i++) {
        worker *k = &w->workers[i];
        PM_TRY(pm_fragments_begin(&k->fragments, err));
        k->room = room;
        k->seen_threshold = w->threshold;
    }
    return PM_OK;
}

/* ---------------------------------------------------------------- a threshold that fits ---- */

/* What the fragments of the thread that has most cost. */
static uint64_t highest_cost(const pm_bpe_words *w) {
    uint64_t cost = 0;
    for (unsigned i = 0; i < w->threads; i++) {
        uint64_t one = pm_fragments_cost(&w->workers[i].fragments);
        cost = one > cost ? one : cost;
    }
    return cost;
}

static void set_threshold(pm_bpe_words *w, uint32_t threshold) {
    w->threshold = threshold;
    w->left_begin = threshold == w->tie ? w->left_done : 0;
}

/* Will the fragments fit with this threshold? A part of the words is cut, in two halves; what the second half adds tells how the cost grows. */
static pm_status try_threshold(pm_bpe_words *w, uint32_t threshold, bool *fits, pm_error *err) {
    size_t stride = pm_store_size(w->store) / TRIED;
    stride = stride < 1 ? 1 : stride < MAX_STRIDE ? stride : MAX_STRIDE;
    set_threshold(w, threshold);
    PM_TRY(mark_all(w, threshold, err));
    PM_TRY(begin_fragments(w, w->room, err));
    PM_TRY(cut_chunks(w, TRY, 0, 2 * stride, err));
    double half = (double)highest_cost(w) + 1;
    PM_TRY(cut_chunks(w, TRY, stride, 2 * stride, err));
    double both = (double)highest_cost(w) + 1;
    *fits = !w->too_much && w->caution * both * pow((double)stride, log2(both / half)) < 0.7 * (double)w->room;
    w->too_much = false;
    return PM_OK;
}

/* Not even the pairs of one count fit: as many left symbols as do. */
static pm_status find_left(pm_bpe_words *w, uint32_t threshold, pm_error *err) {
    uint32_t low = threshold == w->tie ? w->left_done : 256, high = (uint32_t)w->n_symbols, best = low + 1;
    w->left_done = low;
    while (high > low + low / 32 + 1) {
        uint32_t middle = low + (high - low) / 2;
        bool fits = true;
        w->left_end = middle;
        PM_TRY(try_threshold(w, threshold, &fits, err));
        if (fits) {
            low = best = middle;
        } else {
            high = middle;
        }
    }
    w->left_end = best;
    return PM_OK;
}

/* Raises a threshold so far that the fragments are likely to fit, but below `end`. */
static pm_status find_threshold(pm_bpe_words *w, uint32_t *threshold, uint32_t end, pm_error *err) {
    double low = *threshold, high = end - 1;
    bool fits = true, any = false;
    PM_TRY(try_threshold(w, *threshold, &fits, err));
    if (fits || *threshold >= end) {
        return PM_OK;
    }
    while (high > 1.1 * low + 1) {
        double middle = sqrt(low * high);
        bool so = true;
        PM_TRY(try_threshold(w, (uint32_t)middle, &so, err));
        if (so) {
            high = middle;
            any = true;
        } else {
            low = middle;
        }
    }
    if (*threshold < (uint32_t)high && !any) {
        PM_TRY(try_threshold(w, (uint32_t)high, &any, err));
    }
    *threshold = (uint32_t)high;
    return any || w->vocab->rules.characters ? PM_OK : find_left(w, *threshold, err);
}

/* ---------------------------------------------------------------- the cut ---- */

/* Adds what the other threads met to the first thread's fragments. */
static pm_status join_fragments(pm_bpe_words *w, pm_error *err) {
    for (unsigned i = 1; i < w->threads; i++) {
        worker *k = &w->workers[i];
        k->numbers = pm_alloc(k->fragments.n, sizeof *k->numbers);
        if (!k->numbers) {
            return pm_fail_memory(err);
        }
        k->n_results = k->fragments.n;
        PM_TRY(pm_fragments_join(&w->workers[0].fragments, &k->fragments, w->cell_width, k->numbers, i == w->threads - 1, w->threads, w->ticker, err));
        pm_fragments_release(&k->fragments);
    }
    w->workers[0].n_results = w->workers[0].fragments.n;
    return PM_OK;
}

/* After a cut with threshold `asked`, of which no pair has `end`. */
static pm_status learn_from_cut(pm_bpe_words *w, uint32_t asked, uint32_t end, pm_error *err) {
    bool failed = w->threshold > asked, least = w->left_end == PM_BPE_ALL ? w->vocab->rules.characters : w->left_end == w->left_done + 1;
    if (failed && asked + 1 >= end && least) {
        return pm_fail(err, PM_LIMIT, "memory_limit is too small for this corpus: its most frequent pairs alone make more fragments of words "
                       "than fit into %llu bytes", (unsigned long long)(w->room * w->threads));
    }
    w->caution = failed ? 2 * w->caution : fmax(1, 0.9 * w->caution);
    if (!failed) {
        w->tie = w->left_end == PM_BPE_ALL ? 0 : asked;
        w->left_done = w->left_end;
    }
    return PM_OK;
}

pm_status pm_bpe_words_cut(pm_bpe_words *words, uint32_t *threshold, uint32_t end, uint32_t *left_end, pm_ticker *ticker,
                           pm_fragments **fragments, pm_error *err) {
    pm_bpe_words *w = words;
    uint32_t asked;
    w->ticker = ticker;
    w->next_width = w->cell_width == 1 ? 2 : w->cell_width;
    w->left_end = PM_BPE_ALL;
    PM_TRY(mark_all(w, *threshold, err));
    PM_TRY(look_again(w, *threshold, err));
    if (w->room != UINT64_MAX) {
        pm_fragments_free_cells(&w->workers[0].fragments);
        PM_TRY(find_threshold(w, threshold, end, err));
        PM_TRY(mark_all(w, *threshold, err));
    }
    asked = *threshold;
    set_threshold(w, asked);
    pm_fragments_free_cells(&w->workers[0].fragments);
    PM_TRY(begin_fragments(w, w->room / 4 * 3, err));
    PM_TRY(cut_chunks(w, CUT, 0, 1, err));
    pm_store_compact(w->store);
    PM_TRY(join_fragments(w, err));
    PM_TRY(pm_fragments_decode(&w->workers[0].fragments, w->cell_width, w->rank, w->threads, ticker, err));
    w->width = w->next_width;
    *threshold = w->threshold;
    *left_end = w->left_end;
    *fragments = &w->workers[0].fragments;
    return learn_from_cut(w, asked, end, err);
}

/* ---------------------------------------------------------------- after merging ---- */

/* What a fragment became, in symbols as they are here; more than two go to `longs`. Returns how many of those there are. */
static size_t take_result(const pm_bpe_words *w, const pm_fragment *x, const uint32_t *symbols, size_t longs, result *r) {
    uint32_t first = symbols[0], last = symbols[x->n_after - 1];
    if (x->n_after <= 2) {
        *r = make_result(x->n_after, first < 256 ? w->byte[first] : first, last < 256 ? w->byte[last] : last);
        return 0;
    }
    *r = (uint64_t)MORE << 62 | longs;
    w->longs[longs++] = x->n_after;
    for (size_t i = 0; i < x->n_after; i++) {
        w->longs[longs++] = symbols[i] < 256 ? w->byte[symbols[i]] : symbols[i];
    }
    return (size_t)x->n_after + 1;
}

/* Room for the results of a thread; one more, which a unit that is no number reads. */
static pm_status alloc_results(worker *k, pm_error *err) {
    pm_free(k->results);
    k->results = pm_alloc(k->n_results + 1, sizeof *k->results);
    if (!k->results) {
        return pm_fail_memory(err);
    }
    k->results[k->n_results] = 0;
    return PM_OK;
}

/* Where the long results of a part of the fragments go. */
typedef struct listing {
    pm_bpe_words *words;
    size_t longs[RANGES];
} listing;

static size_t range_begin(size_t n, size_t range) { return n * range / RANGES; }

static pm_status plan_results(pm_bpe_words *w, listing *l, pm_error *err) {
    const pm_fragments *f = &w->workers[0].fragments;
    w->n_longs = 0;
    for (size_t range = 0; range < RANGES; range++) {
        l->longs[range] = w->n_longs;
        for (size_t i = range_begin(f->n, range); i < range_begin(f->n, range + 1); i++) {
            w->n_longs += f->items[i].n_after > 2 ? (size_t)f->items[i].n_after + 1 : 0;
        }
        PM_TRY(pm_ticker_poll(w->ticker, 0, err));
    }
    PM_TRY(pm_grow((void **)&w->longs, &w->cap_longs, w->n_longs, sizeof *w->longs, err));
    for (unsigned i = 0; i < w->threads; i++) {
        PM_TRY(alloc_results(&w->workers[i], err));
    }
    return PM_OK;
}

static pm_status list_range(void *ctx, unsigned thread, size_t range, pm_error *err) {
    listing *l = ctx;
    pm_bpe_words *w = l->words;
    const pm_fragments *f = &w->workers[0].fragments;
    size_t longs = l->longs[range];
    for (size_t i = range_begin(f->n, range); i < range_begin(f->n, range + 1); i++) {
        longs += take_result(w, &f->items[i], f->symbols + f->items[i].at, longs, &w->workers[0].results[i]);
    }
    return pm_ticker_poll(w->ticker, thread, err);
}

/* The results of the other threads' fragments, which have their numbers in the first thread's table. */
static pm_status copy_range(void *ctx, unsigned thread, size_t range, pm_error *err) {
    pm_bpe_words *w = ctx;
    for (unsigned i = 1; i < w->threads; i++) {
        worker *k = &w->workers[i];
        for (size_t x = range_begin(k->n_results, range); x < range_begin(k->n_results, range + 1); x++) {
            k->results[x] = w->workers[0].results[k->numbers[x]];
        }
    }
    return pm_ticker_poll(w->ticker, thread, err);
}

/* For each thread's fragments, what they became. */
static pm_status list_results(pm_bpe_words *w, pm_error *err) {
    listing l = {.words = w};
    unsigned threads = w->workers[0].fragments.n < MANY_FRAGMENTS ? 1 : w->threads;
    PM_TRY(plan_results(w, &l, err));
    PM_TRY(pm_parallel_part(threads, RANGES, list_range, &l, w->ticker, err));
    PM_TRY(pm_parallel_part(threads, w->threads > 1 ? RANGES : 0, copy_range, w, w->ticker, err));
    for (unsigned i = 1; i < w->threads; i++) {
        pm_free(w->workers[i].numbers);
        w->workers[i].numbers = NULL;
    }
    return PM_OK;
}

pm_status pm_bpe_words_count(pm_bpe_words *words, size_t n_symbols, uint32_t below, uint64_t next_threshold,
                             pm_ticker *ticker, pm_error *err) {
    words->ticker = ticker;
    words->n_symbols = n_symbols;
    words->cell_width = n_symbols <= NARROW ? 2 : 4;
    for (unsigned i = 0; i < words->threads; i++) { /* the buffer's cells may change their width */
        words->workers[i].cap_buffer = 0;
        pm_free(words->workers[i].buffer);
        words->workers[i].buffer = NULL;
    }
    PM_TRY(list_results(words, err));
    words->shape = shape_for(words, below, next_threshold);
    pm_fragments_shrink(&words->workers[0].fragments);
    return count_all(words, err);
}

/* ---------------------------------------------------------------- shedding ---- */

/* No results: words of symbols alone. */
static pm_status forget_results(pm_bpe_words *w, pm_error *err) {
    pm_free(w->longs);
    w->longs = NULL;
    w->n_longs = w->cap_longs = 0;
    for (unsigned i = 0; i < w->threads; i++) {
        worker *k = &w->workers[i];
        k->n_results = 0;
        PM_TRY(alloc_results(k, err));
        pm_fragments_release(&k->fragments);
    }
    return PM_OK;
}

/* The words as they are stay in a file. */
static pm_status keep_whole(pm_bpe_words *w, pm_error *err) {
    PM_TRY(pm_store_spill(w->store, err));
    w->whole.results = pm_calloc(w->threads, sizeof *w->whole.results);
    if (!w->whole.results) {
        return pm_fail_memory(err);
    }
    w->whole.store = w->store;
    w->whole.width = w->width;
    return PM_OK;
}

/* After the pass: what `whole` needs is its own, and takes from the room of fragments. */
static void leave_whole(pm_bpe_words *w) {
    uint64_t bytes = w->n_longs * sizeof *w->longs;
    for (unsigned i = 0; i < w->threads; i++) {
        w->whole.results[i] = w->workers[i].results;
        w->workers[i].results = NULL;
        bytes += w->workers[i].n_results * sizeof **w->whole.results;
    }
    w->whole.longs = w->longs;
    w->longs = NULL;
    w->whole.room = w->room == UINT64_MAX ? 0 : bytes / w->threads < w->room / 4 ? bytes / w->threads : w->room / 4;
    w->room -= w->whole.room;
}

static pm_status shed_all(pm_bpe_words *w, pm_error *err) {
    w->next_width = w->cell_width;
    PM_TRY(begin_fragments(w, w->room / 2, err));
    PM_TRY(cut_chunks(w, SHED, 0, 1, err));
    for (unsigned i = 0; i < w->threads; i++) {
        worker *k = &w->workers[i];
        PM_TRY(put_pieces(w, k, err));
        if (k->pieces) {
            PM_TRY(pm_store_put(w->pieces, &k->pieces, err));
        }
        pm_chunk_free(k->pieces);
        k->pieces = NULL;
    }
    return PM_OK;
}

pm_status pm_bpe_words_shed(pm_bpe_words *words, uint32_t bound, bool for_good, uint32_t below, uint64_t next_threshold, pm_ticker *ticker,
                            pm_error *err) {
    pm_bpe_words *w = words;
    bool keep = !for_good && !w->whole.store;
    w->ticker = ticker;
    w->left_begin = 0;
    w->left_end = PM_BPE_ALL;
    PM_TRY(mark_all(w, bound, err));
    PM_TRY(look_again(w, bound, err));
    PM_TRY(pm_store_new_like(&w->pieces, w->store, err));
    if (keep) {
        PM_TRY(keep_whole(w, err));
    }
    PM_TRY(shed_all(w, err));
    if (keep) {
        leave_whole(w);
    } else {
        pm_store_free(w->store);
    }
    w->store = w->pieces;
    w->pieces = NULL;
    w->width = w->cell_width;
    PM_TRY(forget_results(w, err));
    w->shape = shape_for(w, below, next_threshold);
    return count_all(w, err);
}

/* ---------------------------------------------------------------- life ---- */

void pm_bpe_words_free(pm_bpe_words *words) {
    if (!words) {
        return;
    }
    if (words->whole.store != words->store) {
        pm_store_free(words->whole.store);
    }
    pm_store_free(words->store);
    pm_store_free(words->pieces);
    for (unsigned i = 0; words->whole.results && i < words->threads; i++) {
        pm_free(words->whole.results[i]);
    }
    pm_free(words->whole.results);
    pm_free(words->whole.longs);
    for (unsigned i = 0; words->workers && i < words->threads; i++) {
        worker *k = &words->workers[i];
        pm_pages_free(k->counts, words->count_bytes);
        pm_fragments_release(&k->fragments);
        pm_free(k->numbers);
        pm_free(k->results);
        pm_free(k->buffer);
        pm_chunk_free(k->read);
        pm_chunk_free(k->out);
        pm_chunk_free(k->spare);
        pm_chunk_free(k->pieces);
    }
    pthread_mutex_destroy(&words->raising);
    pm_free(words->workers);
    pm_free(words->live);
    pm_free(words->second);
    pm_free(words->longs);
    pm_free(words);
}

/* Slots for the counts: more records, more slots, as many as fit. */
static void choose_slots(pm_bpe_words *w, uint64_t memory) {
    uint64_t bytes = pm_store_bytes(w->store);
    w->max_slot_bits = MIN_SLOT_BITS;
    while (w->max_slot_bits < MAX_SLOT_BITS && (uint64_t)BYTES_PER_SLOT << w->max_slot_bits < bytes &&
           memory >> w->max_slot_bits >= 8 * w->threads) {
        w->max_slot_bits++;
    }
    w->count_bytes = sizeof(uint32_t) << w->max_slot_bits;
}

/* Words of bytes become words of the vocabulary's symbols. */
typedef struct replaying {
    pm_bpe_words *words;
    pm_bpe_replay replay;
    pm_bpe_replayer *replayers; /* of each thread */
} replaying;

/* The symbols below 256 as they are here. */
static void translate(const pm_bpe_words *w, const pm_records *records) {
    for (const pm_chunk *chunk = records->first; chunk; chunk = chunk->next) {
        for (size_t at = sizeof *chunk; at < chunk->used;) {
            const pm_record *record = pm_record_at(chunk, at);
            void *cells = pm_record_cells(record);
            at += pm_record_bytes(record->n, w->cell_width);
            for (size_t i = 0; i < record->n; i++) {
                uint32_t symbol = cell(cells, i, w->cell_width);
                set_cell(cells, i, symbol < 256 ? w->byte[symbol] : symbol, w->cell_width);
            }
        }
    }
}

/* What a task of replaying made, or its failure. */
static pm_status put_replayed(pm_bpe_words *w, unsigned thread, pm_records *out, pm_status status, pm_error *err) {
    if (status != PM_OK) {
        pm_records_release(out);
        return status;
    }
    translate(w, out);
    PM_TRY(pm_store_put_all(w->store, out, err));
    return pm_ticker_poll(w->ticker, thread, err);
}

static pm_status replay_task(void *ctx, unsigned thread, size_t number, pm_error *err) {
    replaying *r = ctx;
    pm_bpe_words *w = r->words;
    worker *k = &w->workers[thread];
    pm_records out = {0};
    pm_chunk *chunk;
    PM_TRY(pm_store_take(w->store, number, &k->spare, &chunk, err));
    pm_status status = pm_bpe_replay_chunk(&r->replay, &r->replayers[thread], chunk, w->width, &out, err);
    pm_chunk_free(chunk);
    return put_replayed(w, thread, &out, status, err);
}

static pm_status replay_all(pm_bpe_words *w, pm_task_fn task, pm_error *err) {
    replaying r = {.words = w};
    PM_TRY(pm_bpe_replay_init(&r.replay, w->vocab, err));
    r.replayers = pm_calloc(w->threads, sizeof *r.replayers);
    pm_status status = r.replayers
                           ? pm_parallel_part(w->threads, pm_store_size(w->store), task, &r, w->ticker, err)
                           : pm_fail_memory(err);
    for (unsigned i = 0; r.replayers && i < w->threads; i++) {
        pm_bpe_replayer_release(&r.replayers[i]);
    }
    pm_free(r.replayers);
    pm_bpe_replay_release(&r.replay);
    pm_store_compact(w->store);
    return status;
}

/* The symbols of a word that was written out, as numbers of the vocabulary. */
static void take_word(const pm_bpe_words *w, const worker *k, const word *x, uint32_t *symbols) {
    for (size_t i = 0; i < x->n; i++) {
        uint32_t symbol = cell(k->buffer, x->at + i, w->cell_width);
        symbols[i] = symbol < 256 ? w->rank[symbol] : symbol;
    }
}

static pm_status bring_forward(replaying *r, worker *k, pm_bpe_replayer *replayer, const pm_chunk *chunk, pm_records *out, pm_error *err) {
    pm_bpe_words *w = r->words;
    replayer->n_lanes = 0;
    for (size_t at = sizeof *chunk; at < chunk->used;) {
        const pm_record *record = pm_record_at(chunk, at);
        at += pm_record_bytes(record->n, w->width);
        k->n_words = k->n_buffer = 0;
        PM_TRY(write_out(w, k, w->workers[chunk->mark].results, record, w->width, w->cell_width, err));
        if (k->n_words) {
            PM_TRY(pm_bpe_replay_room(replayer, k->words[0].n, err));
            take_word(w, k, &k->words[0], replayer->symbols);
            PM_TRY(pm_bpe_replay_word(&r->replay, replayer, k->words[0].n, record->weight, w->cell_width, out, err));
        }
    }
    return pm_bpe_replay_end(&r->replay, replayer, w->cell_width, out, err);
}

static pm_status bring_task(void *ctx, unsigned thread, size_t number, pm_error *err) {
    replaying *r = ctx;
    pm_records out = {0};
    pm_chunk *chunk;
    PM_TRY(pm_store_take(r->words->store, number, &r->words->workers[thread].spare, &chunk, err));
    pm_status status = bring_forward(r, &r->words->workers[thread], &r->replayers[thread], chunk, &out, err);
    pm_chunk_free(chunk);
    return put_replayed(r->words, thread, &out, status, err);
}

/* The words that were left behind, with what their numbers stood for, are the words again. */
static void take_whole(pm_bpe_words *w) {
    pm_store_free(w->store);
    w->store = w->whole.store;
    w->width = w->whole.width;
    pm_free(w->longs);
    w->longs = w->whole.longs;
    w->room += w->whole.room;
    for (unsigned i = 0; i < w->threads; i++) {
        pm_free(w->workers[i].results);
        w->workers[i].results = w->whole.results[i];
    }
    pm_free(w->whole.results);
    w->whole = (whole_words){0};
}

pm_status pm_bpe_words_restore(pm_bpe_words *words, uint32_t below, uint64_t next_threshold, pm_ticker *ticker, pm_error *err) {
    pm_bpe_words *w = words;
    uint64_t memory = pm_store_bound(w->store);
    w->ticker = ticker;
    take_whole(w);
    pm_store_set_memory(w->store, memory);
    PM_TRY(replay_all(w, bring_task, err));
    w->width = w->cell_width;
    PM_TRY(forget_results(w, err));
    w->mass[0] = pm_store_bytes(w->store); /* about as much as there is to count */
    w->shape = shape_for(w, below, next_threshold);
    return count_all(w, err);
}

static pm_status init_worker(pm_bpe_words *w, worker *k, pm_error *err) {
    k->counts = pm_pages_alloc(w->count_bytes);
    if (!k->counts) {
        return pm_fail_memory(err);
    }
    return alloc_results(k, err);
}

static pm_status init(pm_bpe_words *w, const pm_bpe_vocab *vocab, const pm_bpe_memory *memory, pm_error *err) {
    choose_slots(w, memory->counts);
    w->workers = pm_calloc(w->threads, sizeof *w->workers);
    w->live = pm_calloc((size_t)4 << w->max_slot_bits >> 6, sizeof *w->live);
    w->second = pm_calloc((size_t)4 << w->max_slot_bits >> 6, sizeof *w->second);
    if (!w->workers || !w->live || !w->second) {
        return pm_fail_memory(err);
    }
    for (unsigned i = 0; i < w->threads; i++) {
        PM_TRY(init_worker(w, &w->workers[i], err));
    }
    for (unsigned i = 0; i < 256; i++) {
        w->rank[pm_byte_order[i]] = i;
        w->byte[i] = pm_byte_order[i];
    }
    w->width = w->cell_width = 1;
    w->shape = (shape){16, 8, 4};
    if (vocab->n_merges || vocab->rules.characters) {
        w->n_symbols = pm_bpe_vocab_size(vocab);
        w->width = w->cell_width = w->n_symbols <= NARROW ? 2 : 4;
        PM_TRY(replay_all(w, replay_task, err));
        w->mass[0] = pm_store_bytes(w->store); /* about as much as there is to count */
        w->shape = shape_for(w, UINT32_MAX, 0);
    }
    return count_all(w, err);
}

pm_status pm_bpe_words_new(pm_bpe_words **out, pm_store *store, const pm_bpe_vocab *vocab, unsigned threads,
                           const pm_bpe_memory *memory, pm_ticker *ticker, pm_error *err) {
    pm_bpe_words *w = pm_calloc(1, sizeof *w);
    *out = NULL;
    if (!w) {
        pm_store_free(store);
        return pm_fail_memory(err);
    }
    w->store = store;
    w->vocab = vocab;
    w->separating = vocab->rules.max_length || vocab->rules.max_words;
    w->n_symbols = 256;
    w->caution = 1;
    w->left_end = PM_BPE_ALL;
    w->threads = threads ? threads : 1;
    w->room = memory->fragments == UINT64_MAX ? UINT64_MAX : memory->fragments / w->threads;
    w->ticker = ticker;
    pthread_mutex_init(&w->raising, NULL);
    pm_status status = init(w, vocab, memory, err);
    if (status != PM_OK) {
        pm_bpe_words_free(w);
        return status;
    }
    *out = w;
    return PM_OK;
}
