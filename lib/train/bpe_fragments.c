/* bpe_fragments.c - see bpe_fragments.h.
 *
 * Most fragments have two or three cells, so a look-up should be one comparison of known length and no call: a key of
 * up to 16 bytes is two words that lie with the fragment's weight in 32 bytes. The table itself has 8 bytes a slot
 * (half of the hash, and the number), at most half of them used:
 *
 *     slots   tag number          items   weight   key             n
 *             a71 2        ---->          12       "lo" 0 0 ...    2
 *
 * A longer key lies in a buffer, and the two words are its place there and its hash. When all are known the keys make
 * room for where the fragment's symbols lie. */
#include "train/bpe_fragments.h"

#include "base/hash.h"

enum { FIRST_BITS = 10, QUICK_BITS = 16, MOST = 1 << 30, LOOK = 1 << 16 /* fragments or cells between two looks at the ticker */, NEAR = 8, FAR = 16 /* fragments ahead */,
       PARTS = 16 /* tasks */, MANY = 4096 /* fragments are worth several threads */ };

#define ONES(n) [n] = {[0 ... n - 1] = 0xff}
const uint8_t pm_fragment_masks[PM_FRAGMENT_SHORT + 1][PM_FRAGMENT_SHORT] = {
    ONES(1), ONES(2),  ONES(3),  ONES(4),  ONES(5),  ONES(6),  ONES(7),  ONES(8),
    ONES(9), ONES(10), ONES(11), ONES(12), ONES(13), ONES(14), ONES(15), ONES(16),
};

static pm_status reserve_items(pm_fragments *f, size_t n, pm_error *err) {
    if (n > MOST) {
        return pm_fail(err, PM_LIMIT, "more than 2^30 distinct fragments");
    }
    return pm_grow_pages((void **)&f->items, &f->cap, n, sizeof *f->items, err);
}

pm_status pm_fragments_begin(pm_fragments *f, pm_error *err) {
    pm_free(f->slots);
    f->bits = FIRST_BITS;
    while (f->n >> 2 >> f->bits) {
        f->bits++;
    }
    f->n = 0;
    f->sum = 0;
    f->keys.len = 0;
    f->slots = pm_calloc((size_t)1 << f->bits, sizeof *f->slots);
    return f->slots ? reserve_items(f, 1, err) : pm_fail_memory(err);
}

void pm_fragments_release(pm_fragments *f) {
    pm_pages_free(f->items, f->cap * sizeof *f->items);
    pm_free(f->slots);
    pm_free(f->cells);
    pm_free(f->heavy);
    pm_buf_release(&f->keys);
    *f = (pm_fragments){0};
}

void pm_fragments_shrink(pm_fragments *f) {
    size_t end = 0;
    for (size_t i = 0; i < f->n; i++) {
        end = f->items[i].at + f->items[i].n_after > end ? f->items[i].at + f->items[i].n_after : end;
    }
    void *less = pm_realloc(f->cells, end, sizeof *f->symbols);
    if (less) { /* else it stays as it is */
        f->cells = less;
        f->symbols = less;
        f->cap_cells = f->n_cells = 0;
    }
}

void pm_fragments_free_cells(pm_fragments *f) {
    pm_free(f->cells);
    f->cells = NULL;
    f->symbols = NULL;
    f->n_cells = f->cap_cells = 0;
}

/* A table for n fragments; small ones grow by more. */
static pm_status reserve_slots(pm_fragments *f, size_t n, pm_error *err) {
    unsigned bits = f->bits < QUICK_BITS ? f->bits + 2 : f->bits + 1;
    if (n <= (size_t)1 << f->bits >> 1) {
        return PM_OK;
    }
    while (n > (size_t)1 << bits >> 1) {
        bits++;
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

static inline bool is_fragment(const pm_fragment *item, const pm_fragment_key *key) {
    return item->key[0] == key->key[0] && item->key[1] == key->key[1] && item->n == key->n;
}

/* A new one for this empty slot; there is room for one more always. */
static pm_status append(pm_fragments *f, pm_fragment_slot *slot, const pm_fragment_key *key, uint64_t weight,
                        uint32_t *number, pm_error *err) {
    *number = (uint32_t)f->n;
    f->items[f->n] = (pm_fragment){.weight = weight, .key = {key->key[0], key->key[1]}, .n = key->n};
    *slot = (pm_fragment_slot){pm_fragment_tag(key->hash), (uint32_t)++f->n};
    f->sum += (uint64_t)key->n + 1;
    PM_TRY(reserve_items(f, f->n + 1, err));
    return reserve_slots(f, f->n + 1, err);
}

pm_status pm_fragments_add(pm_fragments *f, const pm_fragment_key *key, uint64_t weight, uint32_t *number,
                           pm_error *err) {
    uint32_t tag = pm_fragment_tag(key->hash);
    size_t mask = ((size_t)1 << f->bits) - 1, at = tag >> (32 - f->bits);
    for (; f->slots[at].index; at = (at + 1) & mask) {
        pm_fragment *item = &f->items[f->slots[at].index - 1];
        if (f->slots[at].tag == tag && is_fragment(item, key)) {
            item->weight += weight;
            *number = f->slots[at].index - 1;
            return PM_OK;
        }
    }
    return append(f, &f->slots[at], key, weight, number, err);
}

/* Fragments of more than PM_FRAGMENT_SHORT bytes. */
static pm_status add_long(pm_fragments *f, const void *cells, uint32_t n, size_t bytes, uint64_t weight,
                          uint32_t *number, pm_error *err) {
    uint64_t hash = pm_hash(cells, bytes);
    uint32_t tag = pm_fragment_tag(hash);
    size_t mask = ((size_t)1 << f->bits) - 1, at = tag >> (32 - f->bits);
    for (; f->slots[at].index; at = (at + 1) & mask) {
        pm_fragment *item = &f->items[f->slots[at].index - 1];
        if (f->slots[at].tag == tag && item->n == n && item->key[1] == hash &&
            memcmp(f->keys.data + item->key[0], cells, bytes) == 0) {
            item->weight += weight;
            *number = f->slots[at].index - 1;
            return PM_OK;
        }
    }
    pm_fragment_key key = {{f->keys.len, hash}, hash, n};
    PM_TRY(pm_buf_append(&f->keys, cells, bytes, err));
    return append(f, &f->slots[at], &key, weight, number, err);
}

pm_status pm_fragments_add_cells(pm_fragments *f, const void *cells, uint32_t n, unsigned width, uint64_t weight,
                                 uint32_t *number, pm_error *err) {
    size_t bytes = (size_t)n * width;
    if (bytes > PM_FRAGMENT_SHORT) {
        return add_long(f, cells, n, bytes, weight, number, err);
    }
    uint8_t copy[PM_FRAGMENT_SHORT] = {0};
    pm_fragment_key key;
    memcpy(copy, cells, bytes);
    pm_fragment_key_short(&key, copy, n, bytes);
    return pm_fragments_add(f, &key, weight, number, err);
}

/* ---------------------------------------------------------------- adding up two tables ---- */

typedef struct joining {
    pm_fragments *f;
    const pm_fragments *from;
    unsigned width;
    uint32_t *numbers;
    pm_ticker *ticker;
    size_t n[PARTS], cells[PARTS], keys[PARTS]; /* of what is missing of each part: fragments, their cells, bytes of long keys; then where they go */
} joining;

static bool is_long(const pm_fragment *x, unsigned width) { return (size_t)x->n * width > PM_FRAGMENT_SHORT; }

static uint64_t hash_of(const pm_fragment *x, unsigned width) {
    return is_long(x, width) ? x->key[1] : pm_fragment_hash(x->key[0], x->key[1], x->n);
}

/* Is x of `f` the same as y of `from`? */
static bool same_fragment(const joining *j, const pm_fragment *x, const pm_fragment *y) {
    if (x->n != y->n || x->key[1] != y->key[1]) {
        return false;
    }
    return is_long(y, j->width) ? memcmp(j->f->keys.data + x->key[0], j->from->keys.data + y->key[0], (size_t)y->n * j->width) == 0
                                : x->key[0] == y->key[0];
}

/* Looks up a part of what is to be added: what is there gets the weight, which no other part touches, and a number; the rest is marked and counted. */
static pm_status join_part(void *ctx, unsigned thread, size_t part, pm_error *err) {
    joining *j = ctx;
    pm_fragments *f = j->f;
    size_t mask = ((size_t)1 << f->bits) - 1, end = j->from->n * (part + 1) / PARTS;
    for (size_t i = j->from->n * part / PARTS; i < end; i++) {
        const pm_fragment *x = &j->from->items[i];
        uint32_t tag = pm_fragment_tag(hash_of(x, j->width));
        size_t at = tag >> (32 - f->bits);
        if (i + FAR < end) {
            pm_fragments_prefetch_slot(f, hash_of(x + FAR, j->width));
            pm_fragments_prefetch(f, hash_of(x + NEAR, j->width));
        }
        while (f->slots[at].index && (f->slots[at].tag != tag || !same_fragment(j, &f->items[f->slots[at].index - 1], x))) {
            at = (at + 1) & mask;
        }
        j->numbers[i] = f->slots[at].index - 1; /* UINT32_MAX: none */
        if (f->slots[at].index) {
            f->items[f->slots[at].index - 1].weight += x->weight;
        } else {
            j->n[part]++;
            j->cells[part] += x->n;
            j->keys[part] += is_long(x, j->width) ? (size_t)x->n * j->width : 0;
        }
        PM_TRY(i % LOOK ? PM_OK : pm_ticker_poll(j->ticker, thread, err));
    }
    return PM_OK;
}

/* Makes room for what is missing, and finds out where that of each part goes. */
static pm_status plan_joining(joining *j, pm_error *err) {
    pm_fragments *f = j->f;
    size_t n = f->n, keys = f->keys.len;
    for (size_t part = 0; part < PARTS; part++) {
        size_t more = j->n[part], more_keys = j->keys[part];
        f->sum += j->cells[part] + more;
        j->n[part] = n;
        j->keys[part] = keys;
        n += more;
        keys += more_keys;
    }
    PM_TRY(pm_buf_reserve(&f->keys, keys - f->keys.len, err));
    PM_TRY(reserve_items(f, n + 1, err));
    f->n = n;
    f->keys.len = keys;
    return PM_OK;
}

/* Appends those of a part that are not there. */
static pm_status append_part(void *ctx, unsigned thread, size_t part, pm_error *err) {
    const joining *j = ctx;
    pm_fragments *f = j->f;
    size_t n = j->n[part], keys = j->keys[part], end = j->from->n * (part + 1) / PARTS;
    for (size_t i = j->from->n * part / PARTS; i < end; i++) {
        const pm_fragment *x = &j->from->items[i];
        if (j->numbers[i] != UINT32_MAX) {
            continue;
        }
        f->items[n] = *x;
        if (is_long(x, j->width)) {
            size_t bytes = (size_t)x->n * j->width;
            memcpy(f->keys.data + keys, j->from->keys.data + x->key[0], bytes);
            f->items[n].key[0] = keys;
            keys += bytes;
        }
        j->numbers[i] = (uint32_t)n++;
    }
    return pm_ticker_poll(j->ticker, thread, err);
}

/* Puts what was appended into the table. */
static pm_status enter_all(joining *j, size_t from, pm_error *err) {
    pm_fragments *f = j->f;
    PM_TRY(reserve_slots(f, f->n + 1, err));
    size_t mask = ((size_t)1 << f->bits) - 1;
    for (size_t i = from; i < f->n; i++) {
        uint32_t tag = pm_fragment_tag(hash_of(&f->items[i], j->width));
        size_t at = tag >> (32 - f->bits);
        if (i + FAR < f->n) {
            pm_fragments_prefetch_slot(f, hash_of(&f->items[i + FAR], j->width));
        }
        while (f->slots[at].index) {
            at = (at + 1) & mask;
        }
        f->slots[at] = (pm_fragment_slot){tag, (uint32_t)i + 1};
        PM_TRY(i % LOOK ? PM_OK : pm_ticker_poll(j->ticker, 0, err));
    }
    return PM_OK;
}

pm_status pm_fragments_join(pm_fragments *f, const pm_fragments *from, unsigned width, uint32_t *numbers, bool last,
                            unsigned threads, pm_ticker *ticker, pm_error *err) {
    joining j = {.f = f, .from = from, .width = width, .numbers = numbers, .ticker = ticker};
    size_t n = f->n;
    threads = from->n < MANY ? 1 : threads;
    PM_TRY(pm_parallel_part(threads, PARTS, join_part, &j, ticker, err));
    PM_TRY(plan_joining(&j, err));
    PM_TRY(pm_parallel_part(threads, PARTS, append_part, &j, ticker, err));
    return last ? PM_OK : enter_all(&j, n, err);
}

/* ---------------------------------------------------------------- before and after merging ---- */

static uint32_t value_at(const void *cells, size_t i, unsigned width) {
    uint32_t wide;
    uint16_t half;
    switch (width) {
    case 1: return ((const uint8_t *)cells)[i];
    case 2: memcpy(&half, (const uint8_t *)cells + 2 * i, 2); return half;
    default: memcpy(&wide, (const uint8_t *)cells + 4 * i, 4); return wide;
    }
}

typedef struct decoding {
    pm_fragments *f;
    unsigned width;
    const uint32_t *symbols;
    pm_ticker *ticker;
    size_t cells[PARTS], heavy[PARTS]; /* where those of each part begin */
} decoding;

/* Finds out how many cells and heavy weights there are, and where those of the parts go. */
static pm_status plan_decoding(decoding *d, pm_error *err) {
    pm_fragments *f = d->f;
    size_t n = 1, heavy = 0;
    for (size_t part = 0; part < PARTS; part++) {
        d->cells[part] = n;
        d->heavy[part] = heavy;
        for (size_t i = f->n * part / PARTS; i < f->n * (part + 1) / PARTS; i++) {
            n += (size_t)f->items[i].n + 1;
            heavy += f->items[i].weight >= PM_BPE_HEAVY;
        }
        PM_TRY(pm_ticker_poll(d->ticker, 0, err));
    }
    f->n_cells = n;
    f->n_heavy = heavy;
    PM_TRY(pm_grow((void **)&f->heavy, &f->cap_heavy, heavy, sizeof *f->heavy, err));
    return pm_grow((void **)&f->cells, &f->cap_cells, n, sizeof *f->cells, err);
}

/* A fragment's weight as a cell has it. */
static uint32_t weight_in_cell(pm_fragments *f, uint64_t weight, size_t *heavy) {
    if (weight < PM_BPE_HEAVY) {
        return (uint32_t)weight;
    }
    f->heavy[*heavy] = weight;
    return PM_BPE_HEAVY | (uint32_t)(*heavy)++; /* fragments are below 2^30 */
}

static pm_status decode_part(void *ctx, unsigned thread, size_t part, pm_error *err) {
    const pm_bpe_cell border = {PM_BPE_BORDER, 0};
    decoding *d = ctx;
    pm_fragments *f = d->f;
    size_t n = d->cells[part], heavy = d->heavy[part], end = f->n * (part + 1) / PARTS;
    for (size_t i = f->n * part / PARTS; i < end; i++) {
        pm_fragment *x = &f->items[i];
        const void *cells = pm_fragment_cells(f, x, d->width);
        size_t at = n;
        uint32_t weight = weight_in_cell(f, x->weight, &heavy);
        for (size_t k = 0; k < x->n; k++) {
            uint32_t value = value_at(cells, k, d->width);
            f->cells[n++] = (pm_bpe_cell){value < 256 ? d->symbols[value] : value, weight};
            PM_TRY(n % LOOK ? PM_OK : pm_ticker_poll(d->ticker, thread, err));
        }
        f->cells[n++] = border;
        x->at = at; /* in the place of the key */
        x->n_after = x->n;
    }
    return PM_OK;
}

pm_status pm_fragments_decode(pm_fragments *f, unsigned width, const uint32_t *symbols, unsigned threads,
                              pm_ticker *ticker, pm_error *err) {
    decoding d = {.f = f, .width = width, .symbols = symbols, .ticker = ticker};
    pm_free(f->slots);
    f->slots = NULL;
    PM_TRY(plan_decoding(&d, err));
    f->cells[0] = (pm_bpe_cell){PM_BPE_BORDER, 0};
    return pm_parallel_part(f->n < MANY ? 1 : threads, PARTS, decode_part, &d, ticker, err);
}
