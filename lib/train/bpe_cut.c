/* bpe_cut.c - passes over all distinct words: count pairs, cut at rare ones, put the merged fragments back.
 *
 * Idea (bpe.c says why it is exact). In a phase only pairs with a count of at least a threshold T matter. A word is cut wherever two neighbours
 * form a pair below T; what is left between cuts is a fragment when it has two cells or more. Fragments repeat much more than
 * words do, so they are added up in a hash table, merged once each, and a second pass puts the result back:
 *
 *     words, T = 3             pairs      cut             fragments      merged             put back
 *     2  l o w                 lo: 6      l o | w         l o   6        lo                 2  lo w
 *     3  l o w l y             ow: 5      l o | w | l y   l y   3        ly                 3  lo w ly      (here with only lo
 *     1  s l o                 ...        s | l o                                           1  s lo          and ly at T or above)
 *
 * Counting. Nobody needs the exact count of a rare pair, so pairs are counted in an array without keys: slot = pair while symbols are few,
 * else slot = hash(pair), where a slot holds the sum of all pairs that fall into it: never less than the count of any. Cutting at
 * slots below T is then right, and what is wrongly left together is counted exactly in the fragments. Each thread counts for itself in 32 bits
 * that stay at the top once there; T is at most that top. The sums become one bit a slot, "at least T", which fits a cache.
 *
 * Each stretch of a word that is a fragment is looked up once, when it is cut: the numbers of the fragments met in a chunk are kept in order, so
 * that substituting walks over the same stretches and takes the next number each time. Look-ups go through a short queue, so that the memory that
 * each of them needs is asked for well before it is used: the table of a phase fits no cache.
 *
 * Words are records (records.h): bytes in the first phase, then cells of 2 bytes where all symbols fit and of 4 where not. A
 * pass takes chunks one by one on any thread; substituting writes new chunks (into the memory of those just read) and drops words
 * that have become a single symbol. Fragments are compared as the bytes of their cells, so a phase decodes nothing but distinct ones.
 *
 * Cost of a phase: a table look-up of a bit for each cell in both passes, one hash for each fragment met, one addition in the array of
 * counts for each pair. Memory: the records, one array of counts a thread, the distinct fragments of a phase, 4 bytes for each met. */
#include "base/hash.h"
#include "model/model.h"
#include "train/bpe.h"

enum {
    DENSE_BITS = 20,    /* pairs are counted without hashing while two symbols have so many bits */
    MIN_SLOT_BITS = 16, /* the array of counts has a slot for each CELLS_PER_SLOT cells, within these bounds */
    MAX_SLOT_BITS = 21,
    CELLS_PER_SLOT = 4,
    BUCKETS = 4 * 32,   /* of counts: four a power of two */
    RANGES = 16,        /* the array of counts is added up in so many tasks */
    FIRST_FRAGMENT_BITS = 10,
    QUEUE = 64          /* fragments looked up together */
};

typedef struct shape {
    unsigned bits;  /* slots: 2^bits */
    unsigned shift; /* dense: slot is left << shift | right; 0: hashed */
} shape;

/* A fragment met and not yet looked up. */
typedef struct queued {
    const uint8_t *key;
    uint32_t n, tag, weight;
} queued;

/* What a fragment became. */
typedef struct result {
    uint32_t n, value; /* n is 1: the symbol; else where the symbols lie */
} result;

/* The fragments met in a chunk, in order. */
typedef struct met {
    uint32_t *numbers; /* in the table of the thread that cut the chunk */
    unsigned thread;
} met;

typedef struct worker {
    uint32_t *counts;       /* of each slot */
    queued queue[QUEUE];
    size_t n_queue;
    uint32_t *met;          /* of the chunk at hand */
    size_t n_met, cap_met;
    uint32_t *number;       /* of each of this thread's fragments: its number in the first thread's table */
    result *results;        /* of each of this thread's fragments */
    size_t n_results;
    pm_fragments fragments; /* met by this thread */
    pm_records output;
    pm_chunk *spare;        /* chunks to write to again */
    uint64_t cells;         /* written, in words of more than one */
    char apart[64];
} worker;

struct pm_bpe_words {
    pm_records records;
    pm_chunk **chunks; /* the same, by number */
    struct met *met;   /* of each */
    size_t n_met;
    unsigned width, next_width;
    uint64_t cells;
    unsigned threads;
    worker *workers;
    size_t count_bytes; /* of each worker's counts */
    unsigned max_slot_bits;
    shape shape;        /* of the counts that are there */
    shape next;         /* of those that a pass makes */
    uint64_t *live;     /* a bit a slot */
    uint32_t highest;
    uint64_t mass[BUCKETS], ranges[RANGES][BUCKETS]; /* sums of counts by size of the count */
    uint32_t range_highest[RANGES];
    uint32_t threshold;
    uint32_t rank[256];
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

INLINE size_t slot_of(uint32_t left, uint32_t right, unsigned bits, unsigned shift) {
    if (shift) {
        return (size_t)left << shift | right;
    }
    return (size_t)(((uint64_t)left << 32 | right) * UINT64_C(0x9E3779B97F4A7C15) >> (64 - bits));
}

/* How n_symbols are counted for a coming threshold of about `threshold`: few slots are fast, but what falls into a slot by chance must stay
 * below the threshold. Bytes are counted as they are, all symbols as numbers. */
static shape shape_for(const pm_bpe_words *w, size_t n_symbols, uint64_t threshold) {
    unsigned bits = 8;
    uint64_t all = 0;
    while ((size_t)1 << bits < n_symbols) {
        bits++;
    }
    if (2 * bits <= DENSE_BITS && 2 * bits <= w->max_slot_bits) {
        return (shape){2 * bits, bits};
    }
    for (unsigned b = 0; b < BUCKETS; b++) {
        all += w->mass[b];
    }
    for (bits = MIN_SLOT_BITS; bits < w->max_slot_bits && all >> bits > threshold / 2; bits++) {
    }
    return (shape){bits, 0};
}

INLINE void add_count(uint32_t *counts, size_t slot, uint32_t weight) {
    uint32_t sum = counts[slot] + weight;
    counts[slot] = sum < weight ? UINT32_MAX : sum;
}

INLINE void count_cells(uint32_t *counts, const void *cells, size_t n, uint32_t weight, unsigned width, unsigned bits, unsigned shift) {
    uint32_t left = cell(cells, 0, width);
    for (size_t i = 1; i < n; i++) {
        uint32_t right = cell(cells, i, width);
        add_count(counts, slot_of(left, right, bits, shift), weight);
        left = right;
    }
}

/* ---------------------------------------------------------------- chunks as tasks ---- */

static void free_met(pm_bpe_words *w) {
    for (size_t i = 0; i < w->n_met; i++) {
        pm_free(w->met[i].numbers);
    }
    pm_free(w->met);
    w->met = NULL;
    w->n_met = 0;
}

static pm_status number_chunks(pm_bpe_words *w, pm_error *err) {
    free_met(w);
    pm_free(w->chunks);
    w->chunks = pm_alloc(w->records.n_chunks, sizeof *w->chunks);
    w->met = pm_calloc(w->records.n_chunks, sizeof *w->met);
    if (!w->chunks || !w->met) {
        return pm_fail_memory(err);
    }
    w->n_met = w->records.n_chunks;
    size_t n = 0;
    for (pm_chunk *c = w->records.first; c; c = c->next) {
        w->chunks[n++] = c;
    }
    return PM_OK;
}

/* ---------------------------------------------------------------- counts ---- */

static pm_status count_chunk(void *ctx, unsigned thread, size_t number, pm_error *err) {
    pm_bpe_words *w = ctx;
    worker *k = &w->workers[thread];
    const pm_chunk *chunk = w->chunks[number];
    for (size_t at = sizeof *chunk; at < chunk->used;) {
        const pm_record *record = pm_record_at(chunk, at);
        at += pm_record_bytes(record->n, 1);
        if (record->weight && record->n > 1) {
            count_cells(k->counts, pm_record_cells(record), record->n, record->weight, 1, 16, 8);
            k->cells += record->n;
        }
    }
    return pm_ticker_poll(w->ticker, thread, err);
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

/* Adds a range of all threads' counts into the first thread's, and sums them by size. */
static pm_status add_range(void *ctx, unsigned thread, size_t range, pm_error *err) {
    pm_bpe_words *w = ctx;
    size_t n = ((size_t)1 << w->shape.bits) / RANGES, start = range * n;
    uint32_t *sums = w->workers[0].counts, highest = 0;
    uint64_t *mass = w->ranges[range];
    memset(mass, 0, sizeof w->ranges[range]);
    for (unsigned i = 1; i < w->threads; i++) {
        uint32_t *counts = w->workers[i].counts;
        for (size_t s = start; s < start + n; s++) {
            add_count(sums, s, counts[s]);
        }
        memset(counts + start, 0, n * sizeof *counts);
    }
    for (size_t s = start; s < start + n; s++) {
        if (sums[s]) {
            mass[bucket_of(sums[s])] += sums[s];
            highest = sums[s] > highest ? sums[s] : highest;
        }
    }
    w->range_highest[range] = highest;
    return pm_ticker_poll(w->ticker, thread, err);
}

/* After a pass that counted: the sums, and how many cells there are. */
static pm_status end_counting(pm_bpe_words *w, pm_error *err) {
    w->shape = w->next;
    PM_TRY(pm_parallel(w->threads, RANGES, add_range, w, NULL, err));
    memset(w->mass, 0, sizeof w->mass);
    w->highest = 0;
    for (size_t r = 0; r < RANGES; r++) {
        for (size_t b = 0; b < BUCKETS; b++) {
            w->mass[b] += w->ranges[r][b];
        }
        w->highest = w->range_highest[r] > w->highest ? w->range_highest[r] : w->highest;
    }
    w->cells = 0;
    for (unsigned i = 0; i < w->threads; i++) {
        w->cells += w->workers[i].cells;
        w->workers[i].cells = 0;
    }
    return PM_OK;
}

uint64_t pm_bpe_words_cells(const pm_bpe_words *words) { return words->cells; }

uint32_t pm_bpe_words_highest(const pm_bpe_words *words) { return words->highest; }

uint32_t pm_bpe_words_threshold(const pm_bpe_words *words, double share) {
    double all = 0, above = 0;
    unsigned bucket = BUCKETS;
    for (unsigned b = 0; b < BUCKETS; b++) {
        all += (double)words->mass[b];
    }
    while (bucket > 0 && above + (double)words->mass[bucket - 1] <= share * all) {
        above += (double)words->mass[--bucket];
    }
    uint64_t least = bucket < BUCKETS ? bucket_least(bucket) : UINT32_MAX;
    return least > UINT32_MAX ? UINT32_MAX : (uint32_t)least;
}

/* ---------------------------------------------------------------- fragments ---- */

static pm_status fragments_init(pm_fragments *f, pm_error *err) {
    f->bits = FIRST_FRAGMENT_BITS;
    f->slots = pm_calloc((size_t)1 << f->bits, sizeof *f->slots);
    return f->slots ? PM_OK : pm_fail_memory(err);
}

static void fragments_clear(pm_fragments *f) {
    f->n = 0;
    f->keys.len = 0;
    memset(f->slots, 0, sizeof *f->slots << f->bits);
}

static void fragments_release(pm_fragments *f) {
    pm_free(f->items);
    pm_free(f->slots);
    pm_free(f->cells);
    pm_buf_release(&f->keys);
    *f = (pm_fragments){0};
}

/* The slot of a key, or the empty one where it belongs. */
INLINE pm_fragment_slot *find_fragment(const pm_fragments *f, const void *key, size_t bytes, uint32_t n, uint32_t tag) {
    size_t mask = ((size_t)1 << f->bits) - 1, at = tag >> (32 - f->bits);
    for (;; at = (at + 1) & mask) {
        pm_fragment_slot *slot = &f->slots[at];
        if (!slot->index) {
            return slot;
        }
        if (slot->tag == tag && f->items[slot->index - 1].n == n && memcmp(f->keys.data + f->items[slot->index - 1].key, key, bytes) == 0) {
            return slot;
        }
    }
}

static pm_status grow_fragments(pm_fragments *f, pm_error *err) {
    unsigned bits = f->bits + 1;
    if (bits > 31) {
        return pm_fail(err, PM_LIMIT, "more than 2^31 distinct fragments");
    }
    pm_fragment_slot *slots = pm_calloc((size_t)1 << bits, sizeof *slots);
    if (!slots) {
        return pm_fail_memory(err);
    }
    size_t mask = ((size_t)1 << bits) - 1;
    for (size_t i = 0; i < (size_t)1 << f->bits; i++) {
        if (f->slots[i].index) {
            size_t at = f->slots[i].tag >> (32 - bits);
            while (slots[at].index) {
                at = (at + 1) & mask;
            }
            slots[at] = f->slots[i];
        }
    }
    pm_free(f->slots);
    f->slots = slots;
    f->bits = bits;
    return PM_OK;
}

static inline uint32_t tag_of(const void *key, size_t bytes) { return (uint32_t)(pm_hash(key, bytes) >> 32); }

static pm_status add_fragment(pm_fragments *f, const void *key, size_t bytes, uint32_t n, uint32_t tag, uint64_t weight, uint32_t *number,
                              pm_error *err) {
    pm_fragment_slot *slot = find_fragment(f, key, bytes, n, tag);
    if (slot->index) {
        *number = slot->index - 1;
        f->items[*number].weight += weight;
        return PM_OK;
    }
    *number = (uint32_t)f->n;
    PM_TRY(pm_grow((void **)&f->items, &f->cap, f->n + 1, sizeof *f->items, err));
    f->items[f->n] = (pm_fragment){.weight = weight, .key = f->keys.len, .n = n};
    PM_TRY(pm_buf_append(&f->keys, key, bytes, err));
    *slot = (pm_fragment_slot){tag, (uint32_t)++f->n};
    return f->n > (size_t)1 << f->bits >> 1 ? grow_fragments(f, err) : PM_OK;
}

static void free_results(worker *k) {
    pm_free(k->number);
    pm_free(k->results);
    k->number = NULL;
    k->results = NULL;
    k->n_results = 0;
}

/* Adds what the other threads met to the first thread's fragments. */
static pm_status join_fragments(pm_bpe_words *w, pm_error *err) {
    pm_fragments *all = &w->workers[0].fragments;
    for (unsigned i = 1; i < w->threads; i++) {
        worker *k = &w->workers[i];
        pm_fragments *f = &k->fragments;
        k->number = pm_alloc(f->n, sizeof *k->number);
        if (!k->number) {
            return pm_fail_memory(err);
        }
        for (size_t x = 0; x < f->n; x++) {
            const uint8_t *key = f->keys.data + f->items[x].key;
            uint32_t n = f->items[x].n;
            size_t bytes = (size_t)n * w->width;
            PM_TRY(add_fragment(all, key, bytes, n, tag_of(key, bytes), f->items[x].weight, &k->number[x], err));
        }
        k->n_results = f->n;
        fragments_clear(f);
    }
    w->workers[0].n_results = all->n;
    return PM_OK;
}

/* Writes the symbols of all fragments, with borders, for merging. */
static pm_status decode_fragments(pm_bpe_words *w, pm_error *err) {
    pm_fragments *f = &w->workers[0].fragments;
    size_t total = f->keys.len / w->width + f->n + 1, n = 0;
    PM_TRY(pm_grow((void **)&f->cells, &f->cap_cells, total, sizeof *f->cells, err));
    f->cells[n++] = (pm_bpe_cell){(uint32_t)PM_BPE_BORDER, 1, 0};
    for (size_t i = 0; i < f->n; i++) {
        pm_fragment *x = &f->items[i];
        const void *key = f->keys.data + x->key;
        x->at = n;
        for (size_t k = 0; k < x->n; k++) {
            uint32_t c = cell(key, k, w->width);
            f->cells[n++] = (pm_bpe_cell){w->width == 1 ? w->rank[c] : c, 1, x->weight};
        }
        f->cells[n++] = (pm_bpe_cell){(uint32_t)PM_BPE_BORDER, 1, 0};
    }
    f->n_cells = n;
    return PM_OK;
}

/* ---------------------------------------------------------------- stretches ---- */

/* A bit for each of the n <= 64 pairs from cell `start` on: is its slot live? */
INLINE uint64_t live_pairs(const uint64_t *live, const void *cells, size_t start, size_t n, unsigned width, unsigned bits, unsigned shift) {
    uint64_t mask = 0;
    uint32_t left = cell(cells, start, width);
    for (size_t i = 0; i < n; i++) {
        uint32_t right = cell(cells, start + i + 1, width);
        size_t slot = slot_of(left, right, bits, shift);
        mask |= (live[slot >> 6] >> (slot & 63) & 1) << i;
        left = right;
    }
    return mask;
}

typedef struct pass {
    pm_bpe_words *words;
    worker *worker;
    const void *cells; /* of the record at hand */
    uint32_t weight;
    void *out;         /* substituting: the new cells, */
    size_t n_out;      /* how many are written, */
    size_t n_in;       /* from how many old ones, */
    const uint32_t *met; /* the numbers of the fragments to come, */
    const result *results; /* and what they became */
} pass;

/* Calls stretch for each fragment of the record, in order: cells [from, to). */
INLINE pm_status each_stretch(pass *p, size_t n, unsigned width, unsigned bits, unsigned shift,
                              pm_status (*stretch)(pass *, size_t, size_t, unsigned, pm_error *), pm_error *err) {
    const uint64_t *live = p->words->live;
    size_t open = SIZE_MAX; /* where the open stretch begins */
    for (size_t base = 0; base + 1 < n; base += 64) {
        size_t pairs = n - 1 - base < 64 ? n - 1 - base : 64, i = 0;
        uint64_t mask = live_pairs(live, p->cells, base, pairs, width, bits, shift);
        while (i < pairs) {
            if (open == SIZE_MAX) {
                if (!(mask >> i)) {
                    break;
                }
                i += (size_t)__builtin_ctzll(mask >> i);
                open = base + i;
            }
            uint64_t cuts = ~mask >> i;
            i = cuts ? i + (size_t)__builtin_ctzll(cuts) : 64;
            if (i < pairs) {
                PM_TRY(stretch(p, open, base + i + 1, width, err));
                open = SIZE_MAX;
            }
        }
    }
    return open == SIZE_MAX ? PM_OK : stretch(p, open, n, width, err);
}

/* ---------------------------------------------------------------- cutting ---- */

/* Looks up what is queued. */
static pm_status look_up(worker *k, unsigned width, pm_error *err) {
    pm_fragments *f = &k->fragments;
    for (size_t i = 0; i < k->n_queue; i++) {
        const pm_fragment_slot *home = &f->slots[k->queue[i].tag >> (32 - f->bits)];
        if (home->index && home->tag == k->queue[i].tag) {
            __builtin_prefetch(&f->items[home->index - 1], 1);
        }
    }
    PM_TRY(pm_grow((void **)&k->met, &k->cap_met, k->n_met + k->n_queue, sizeof *k->met, err));
    for (size_t i = 0; i < k->n_queue; i++) {
        const queued *q = &k->queue[i];
        PM_TRY(add_fragment(f, q->key, (size_t)q->n * width, q->n, q->tag, q->weight, &k->met[k->n_met], err));
        k->n_met++;
    }
    k->n_queue = 0;
    return PM_OK;
}

INLINE pm_status meet_stretch(pass *p, size_t from, size_t to, unsigned width, pm_error *err) {
    worker *k = p->worker;
    const uint8_t *key = (const uint8_t *)p->cells + from * width;
    uint32_t tag = tag_of(key, (to - from) * width);
    __builtin_prefetch(&k->fragments.slots[tag >> (32 - k->fragments.bits)]);
    k->queue[k->n_queue++] = (queued){key, (uint32_t)(to - from), tag, p->weight};
    return k->n_queue == QUEUE ? look_up(k, width, err) : PM_OK;
}

INLINE pm_status cut_records(pass *p, const pm_chunk *chunk, unsigned width, unsigned bits, unsigned shift, pm_error *err) {
    for (size_t at = sizeof *chunk; at < chunk->used;) {
        const pm_record *record = pm_record_at(chunk, at);
        at += pm_record_bytes(record->n, width);
        p->cells = pm_record_cells(record);
        p->weight = record->weight;
        if (record->weight) {
            PM_TRY(each_stretch(p, record->n, width, bits, shift, meet_stretch, err));
        }
    }
    return PM_OK;
}

static pm_status keep_met(met *out, worker *k, unsigned thread, pm_error *err) {
    out->thread = thread;
    out->numbers = pm_alloc(k->n_met, sizeof *out->numbers);
    if (!out->numbers) {
        return pm_fail_memory(err);
    }
    if (k->n_met) {
        memcpy(out->numbers, k->met, k->n_met * sizeof *out->numbers);
    }
    k->n_met = 0;
    return PM_OK;
}

static pm_status cut_chunk(void *ctx, unsigned thread, size_t number, pm_error *err) {
    pm_bpe_words *w = ctx;
    pass p = {.words = w, .worker = &w->workers[thread]};
    const pm_chunk *chunk = w->chunks[number];
    unsigned bits = w->shape.bits, shift = w->shape.shift;
    if (w->width == 1) {
        PM_TRY(cut_records(&p, chunk, 1, 16, 8, err));
    } else if (w->width == 2) {
        PM_TRY(shift ? cut_records(&p, chunk, 2, bits, shift, err) : cut_records(&p, chunk, 2, bits, 0, err));
    } else {
        PM_TRY(cut_records(&p, chunk, 4, bits, shift, err));
    }
    PM_TRY(look_up(p.worker, w->width, err));
    PM_TRY(keep_met(&w->met[number], p.worker, thread, err));
    return pm_ticker_poll(w->ticker, thread, err);
}

static void mark_live(pm_bpe_words *w) {
    uint32_t *counts = w->workers[0].counts;
    size_t n = (size_t)1 << w->shape.bits;
    for (size_t i = 0; i < n; i += 64) {
        uint64_t mask = 0;
        for (size_t k = 0; k < 64; k++) {
            mask |= (uint64_t)(counts[i + k] >= w->threshold) << k;
        }
        w->live[i / 64] = mask;
    }
    memset(counts, 0, n * sizeof *counts);
}

pm_status pm_bpe_words_cut(pm_bpe_words *words, uint32_t threshold, pm_ticker *ticker, pm_fragments **fragments, pm_error *err) {
    words->ticker = ticker;
    words->threshold = threshold;
    mark_live(words);
    for (unsigned i = 0; i < words->threads; i++) {
        fragments_clear(&words->workers[i].fragments);
        free_results(&words->workers[i]);
    }
    PM_TRY(pm_parallel(words->threads, words->records.n_chunks, cut_chunk, words, NULL, err));
    PM_TRY(join_fragments(words, err));
    PM_TRY(decode_fragments(words, err));
    *fragments = &words->workers[0].fragments;
    return PM_OK;
}

/* ---------------------------------------------------------------- substituting ---- */

/* Copies the cells up to `to` as they are. */
INLINE void copy_cells(pass *p, size_t to, unsigned width, unsigned next_width) {
    for (size_t i = p->n_in; i < to; i++) {
        uint32_t c = cell(p->cells, i, width);
        set_cell(p->out, p->n_out++, width == 1 ? p->words->rank[c] : c, next_width);
    }
    p->n_in = to;
}

INLINE pm_status put_back(pass *p, size_t from, size_t to, unsigned width, unsigned next_width) {
    const uint32_t *symbols = p->words->workers[0].fragments.symbols;
    result x = p->results[*p->met++];
    copy_cells(p, from, width, next_width);
    if (x.n == 1) {
        set_cell(p->out, p->n_out++, x.value, next_width);
    } else {
        for (size_t k = 0; k < x.n; k++) {
            set_cell(p->out, p->n_out++, symbols[x.value + k], next_width);
        }
    }
    p->n_in = to;
    return PM_OK;
}

INLINE pm_status put_back_2(pass *p, size_t from, size_t to, unsigned width, pm_error *err) {
    (void)err;
    return put_back(p, from, to, width, 2);
}

INLINE pm_status put_back_4(pass *p, size_t from, size_t to, unsigned width, pm_error *err) {
    (void)err;
    return put_back(p, from, to, width, 4);
}

/* Room for a record at the end of the thread's output: an ordinary new chunk is one that was read before, if there is one. */
static pm_record *reserve(worker *k, size_t bytes) {
    pm_chunk *last = k->output.last;
    if (k->spare && (!last || last->size - last->used < bytes) && k->spare->size - sizeof *last >= bytes) {
        pm_chunk *chunk = k->spare;
        pm_records one = {chunk, chunk, 1};
        k->spare = chunk->next;
        chunk->next = NULL;
        chunk->used = sizeof *chunk;
        pm_records_join(&k->output, &one);
    }
    return pm_records_reserve(&k->output, bytes);
}

INLINE pm_status substitute_records(pass *p, const pm_chunk *chunk, unsigned width, unsigned bits, unsigned shift, unsigned next_width, pm_error *err) {
    worker *k = p->worker;
    shape next = p->words->next;
    for (size_t at = sizeof *chunk; at < chunk->used;) {
        const pm_record *record = pm_record_at(chunk, at);
        at += pm_record_bytes(record->n, width);
        if (!record->weight || record->n < 2) {
            continue;
        }
        pm_record *new = reserve(k, pm_record_bytes(record->n, next_width));
        if (!new) {
            return pm_fail_memory(err);
        }
        p->cells = pm_record_cells(record);
        p->out = pm_record_cells(new);
        p->n_in = p->n_out = 0;
        PM_TRY(each_stretch(p, record->n, width, bits, shift, next_width == 2 ? put_back_2 : put_back_4, err));
        copy_cells(p, record->n, width, next_width);
        if (p->n_out > 1) {
            *new = (pm_record){record->weight, (uint32_t)p->n_out};
            k->output.last->used += pm_record_bytes(p->n_out, next_width);
            k->cells += p->n_out;
            count_cells(k->counts, p->out, p->n_out, record->weight, next_width, next.bits, next.shift);
        }
    }
    return PM_OK;
}

static pm_status substitute_chunk(void *ctx, unsigned thread, size_t number, pm_error *err) {
    pm_bpe_words *w = ctx;
    worker *k = &w->workers[thread];
    met *here = &w->met[number];
    pass p = {.words = w, .worker = k, .met = here->numbers, .results = w->workers[here->thread].results};
    pm_chunk *chunk = w->chunks[number];
    unsigned bits = w->shape.bits, shift = w->shape.shift;
    if (w->width == 1) {
        PM_TRY(w->next_width == 2 ? substitute_records(&p, chunk, 1, 16, 8, 2, err) : substitute_records(&p, chunk, 1, 16, 8, 4, err));
    } else if (w->width == 2) {
        PM_TRY(shift ? substitute_records(&p, chunk, 2, bits, shift, 2, err) : substitute_records(&p, chunk, 2, bits, 0, 2, err));
    } else {
        PM_TRY(substitute_records(&p, chunk, 4, bits, shift, 4, err));
    }
    pm_free(here->numbers);
    here->numbers = NULL;
    w->chunks[number] = NULL;
    chunk->next = k->spare;
    k->spare = chunk;
    return pm_ticker_poll(w->ticker, thread, err);
}

/* For each thread's fragments, what they became. */
static pm_status list_results(pm_bpe_words *w, pm_error *err) {
    const pm_fragments *f = &w->workers[0].fragments;
    for (unsigned i = 0; i < w->threads; i++) {
        worker *k = &w->workers[i];
        k->results = pm_alloc(k->n_results, sizeof *k->results);
        if (!k->results) {
            return pm_fail_memory(err);
        }
        for (size_t x = 0; x < k->n_results; x++) {
            const pm_fragment *item = &f->items[k->number ? k->number[x] : x];
            k->results[x] = (result){item->n_after, item->n_after == 1 ? f->symbols[item->at] : (uint32_t)item->at};
        }
    }
    return PM_OK;
}

static void free_spare(worker *k) {
    while (k->spare) {
        pm_chunk *next = k->spare->next;
        pm_chunk_free(k->spare);
        k->spare = next;
    }
}

/* Brings the records to what a pass left: chunks not taken (after a failure), then all outputs. */
static void collect_output(pm_bpe_words *w) {
    size_t n = w->records.n_chunks;
    w->records = (pm_records){0};
    for (size_t i = 0; i < n; i++) {
        if (w->chunks[i]) {
            pm_records one = {w->chunks[i], w->chunks[i], 1};
            w->chunks[i]->next = NULL;
            pm_records_join(&w->records, &one);
        }
    }
    for (unsigned i = 0; i < w->threads; i++) {
        pm_records_join(&w->records, &w->workers[i].output);
        free_spare(&w->workers[i]);
    }
}

pm_status pm_bpe_words_substitute(pm_bpe_words *words, size_t n_symbols, uint64_t next_threshold, pm_ticker *ticker, pm_error *err) {
    words->ticker = ticker;
    words->next = shape_for(words, n_symbols, next_threshold);
    PM_TRY(list_results(words, err));
    pm_status status = pm_parallel(words->threads, words->records.n_chunks, substitute_chunk, words, NULL, err);
    collect_output(words);
    PM_TRY(status);
    words->width = words->next_width;
    PM_TRY(number_chunks(words, err));
    return end_counting(words, err);
}

/* ---------------------------------------------------------------- life ---- */

void pm_bpe_words_free(pm_bpe_words *words) {
    if (!words) {
        return;
    }
    free_met(words);
    pm_records_release(&words->records);
    pm_free(words->chunks);
    for (unsigned i = 0; words->workers && i < words->threads; i++) {
        worker *k = &words->workers[i];
        pm_pages_free(k->counts, words->count_bytes);
        fragments_release(&k->fragments);
        free_results(k);
        pm_free(k->met);
        pm_records_release(&k->output);
        free_spare(k);
    }
    pm_free(words->workers);
    pm_free(words->live);
    pm_free(words);
}

/* Slots for the counts: more cells, more slots. */
static void choose_slots(pm_bpe_words *w) {
    size_t bytes = 0;
    for (const pm_chunk *c = w->records.first; c; c = c->next) {
        bytes += c->used;
    }
    w->max_slot_bits = MIN_SLOT_BITS;
    while (w->max_slot_bits < MAX_SLOT_BITS && (size_t)CELLS_PER_SLOT << w->max_slot_bits < bytes) {
        w->max_slot_bits++;
    }
    w->count_bytes = sizeof(uint32_t) << w->max_slot_bits;
}

static pm_status init(pm_bpe_words *w, pm_error *err) {
    choose_slots(w);
    w->workers = pm_calloc(w->threads, sizeof *w->workers);
    w->live = pm_alloc((size_t)1 << w->max_slot_bits >> 6, sizeof *w->live);
    if (!w->workers || !w->live) {
        return pm_fail_memory(err);
    }
    for (unsigned i = 0; i < w->threads; i++) {
        w->workers[i].counts = pm_pages_alloc(w->count_bytes);
        if (!w->workers[i].counts) {
            return pm_fail_memory(err);
        }
        PM_TRY(fragments_init(&w->workers[i].fragments, err));
    }
    for (unsigned i = 0; i < 256; i++) {
        w->rank[pm_byte_order[i]] = i;
    }
    w->next = (shape){16, 8};
    PM_TRY(number_chunks(w, err));
    PM_TRY(pm_parallel(w->threads, w->records.n_chunks, count_chunk, w, NULL, err));
    return end_counting(w, err);
}

pm_status pm_bpe_words_new(pm_bpe_words **out, pm_records *records, size_t max_symbols, unsigned threads, pm_ticker *ticker, pm_error *err) {
    pm_bpe_words *w = pm_calloc(1, sizeof *w);
    *out = NULL;
    if (!w) {
        pm_records_release(records);
        return pm_fail_memory(err);
    }
    w->records = *records;
    *records = (pm_records){0};
    w->width = 1;
    w->next_width = max_symbols <= (size_t)UINT16_MAX + 1 ? 2 : 4;
    w->threads = threads;
    w->ticker = ticker;
    pm_status status = init(w, err);
    if (status != PM_OK) {
        pm_bpe_words_free(w);
        return status;
    }
    *out = w;
    return PM_OK;
}
