/* ngram_shard.c - see ngram_shard.h; ngrams.c says what is counted.
 *
 * A word of the table is a key and a count. Example, order 6, "ab" at the end of a chunk seen 5 times:
 *
 *     61 62 00 00 00 00 | 010 | 0000000000101            (13 bits of count)
 *
 * Where the count bits overflow the rest goes to a list of carries, whose keys are added up before the list grows: it
 * is never longer than twice the keys that have carries. The length keeps "ab" apart from "ab\0"; keys sort as strings
 * do.
 *
 * Hashing is by multiplication, the high bits index; linear probing, at most 4/5 full. Sorting is a radix sort by 11
 * bits at a time, from the lowest bit of the key on: keys are distinct, counts need not be looked at.
 *
 * A run in the file is the sorted n-grams, each as
 *
 *     varint of 2 * (key - key before, without the count bits) + 1            when the count is 1, as most are
 *     varint of 2 * (key - key before), varint of the count                   otherwise
 *
 * about 5 bytes. Runs are merged with what is in memory by a heap of their next keys. All runs of a shard are made one,
 * and their disk is given back, when there are SOME and those behind the first, which was made of all before it, have
 * more than half of its bytes: so the first grows by a factor each time, an n-gram is written some log(n / memory) times,
 * and the file is half as large again as one run of everything. And when there are MANY, so that a merge needs no more
 * than MANY buffers. */
#include "count/ngram_shard.h"

#include "count/ngrams.h"

enum {
    DIGIT = 11,
    DIGITS = 1 << DIGIT,
    QUICK = 1 << 16, /* words of a table that grows by half from there on, and doubles before */
    SOME = 16,
    MANY = 256,
    CODED = 1 << 16,
    MAX_ITEM = 20,
    LEAST_BUFFER = 1 << 12,
    MOST_BUFFER = 1 << 16
};

void pm_ngram_sorter_release(pm_ngram_sorter *s) {
    pm_free(s->spare);
    pm_free(s->coded);
    *s = (pm_ngram_sorter){0};
}

static void release_table(pm_ngram_shard_counts *s) {
    pm_free(s->words);
    pm_free(s->carries);
    s->words = NULL;
    s->carries = NULL;
    s->cap = s->n = s->n_carries = s->cap_carries = 0;
}

void pm_ngram_shard_release(pm_ngram_shard_counts *s) {
    release_table(s);
    pm_free(s->runs);
    s->runs = NULL;
    s->n_runs = s->cap_runs = 0;
}

/* ---------------------------------------------------------------- the table ---- */

size_t pm_ngram_shard_next_cap(const pm_ngram_shard_counts *s, size_t want) {
    size_t cap = s->cap + (s->cap < QUICK ? s->cap : s->cap / 2);
    return cap < want / 4 * 5 + 64 ? want / 4 * 5 + 64 : cap;
}

pm_status pm_ngram_shard_enlarge(pm_ngram_shard_counts *s, unsigned bits, size_t want, pm_error *err) {
    size_t cap = pm_ngram_shard_next_cap(s, want);
    uint64_t *words = pm_calloc(cap, sizeof *words);
    if (!words) {
        return pm_fail_memory(err);
    }
    for (size_t i = 0; i < s->cap; i++) {
        if (s->words[i]) {
            size_t at = pm_ngram_home(s->words[i] >> bits, cap);
            while (words[at]) {
                at = at + 1 == cap ? 0 : at + 1;
            }
            words[at] = s->words[i];
        }
    }
    pm_free(s->words);
    s->words = words;
    s->cap = cap;
    return PM_OK;
}

static int by_key(const void *left, const void *right) {
    const pm_ngram_carry *a = left, *b = right;
    return (a->key > b->key) - (a->key < b->key);
}

/* Sorts the carries, and adds up those of one key. */
static void unite_carries(pm_ngram_shard_counts *s) {
    size_t n = 0;
    if (!s->n_carries) {
        return; /* and no array */
    }
    qsort(s->carries, s->n_carries, sizeof *s->carries, by_key);
    for (size_t i = 0; i < s->n_carries; i++) {
        if (n && s->carries[n - 1].key == s->carries[i].key) {
            s->carries[n - 1].n += s->carries[i].n;
        } else {
            s->carries[n++] = s->carries[i];
        }
    }
    s->n_carries = n;
}

pm_status pm_ngram_shard_carry(pm_ngram_shard_counts *s, uint64_t key, uint64_t n, pm_error *err) {
    if (s->n_carries == s->cap_carries) {
        unite_carries(s);
        PM_TRY(pm_grow((void **)&s->carries, &s->cap_carries, s->n_carries * 2 + 1, sizeof *s->carries, err));
    }
    s->carries[s->n_carries++] = (pm_ngram_carry){key, n};
    return PM_OK;
}

/* ---------------------------------------------------------------- sorting ---- */

/* Sorts n words by the bits from `shift` on; `spare` has the same length. */
static void sort_words(uint64_t *words, uint64_t *spare, size_t n, unsigned shift) {
    uint64_t differ = 0;
    uint64_t *from = words, *to = spare;

    for (size_t i = 1; i < n; i++) {
        differ |= words[i] ^ words[0];
    }
    for (; shift < 64; shift += DIGIT) {
        if (!(differ >> shift & (DIGITS - 1))) {
            continue;
        }
        uint32_t starts[DIGITS + 1] = {0};
        for (size_t i = 0; i < n; i++) {
            starts[(from[i] >> shift & (DIGITS - 1)) + 1]++;
        }
        for (size_t b = 0; b < DIGITS; b++) {
            starts[b + 1] += starts[b];
        }
        for (size_t i = 0; i < n; i++) {
            to[starts[from[i] >> shift & (DIGITS - 1)]++] = from[i];
        }
        uint64_t *other = from;
        from = to;
        to = other;
    }
    if (from != words) {
        memcpy(words, from, n * sizeof *words);
    }
}

pm_status pm_ngram_shard_sort(pm_ngram_shard_counts *s, unsigned bits, pm_ngram_sorter *sorter, pm_error *err) {
    size_t n = 0;
    if (s->n > UINT32_MAX) {
        return pm_fail(err, PM_LIMIT, "too many distinct n-grams: more than 2^32 in a shard");
    }
    PM_TRY(pm_grow((void **)&sorter->spare, &sorter->cap_spare, s->n, sizeof *sorter->spare, err));
    for (size_t i = 0; i < s->cap; i++) {
        if (s->words[i]) {
            s->words[n++] = s->words[i];
        }
    }
    sort_words(s->words, sorter->spare, n, bits);
    unite_carries(s);
    return PM_OK;
}

/* ---------------------------------------------------------------- runs ---- */

static unsigned varint_length(uint64_t n) { return n ? (unsigned)(70 - __builtin_clzll(n)) / 7 : 1; }

static uint8_t *put_varint(uint8_t *p, uint64_t n) {
    for (; n >= 0x80; n >>= 7) {
        *p++ = (uint8_t)(n | 0x80);
    }
    *p++ = (uint8_t)n;
    return p;
}

/* Of bytes that were written here. */
static uint64_t get_varint(const uint8_t *bytes, size_t *at) {
    uint64_t n = 0;
    for (unsigned shift = 0;; shift += 7) {
        uint8_t byte = bytes[(*at)++];
        n |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80) {
            return n;
        }
    }
}

static unsigned item_length(uint64_t step, uint64_t count) {
    return varint_length(step << 1) + (count == 1 ? 0 : varint_length(count));
}

/* How many bytes the words in memory take as a run. */
static pm_status measure(const pm_ngram_shard_counts *s, unsigned bits, uint64_t *bytes) {
    pm_ngram_cursor c = {.shard = s, .bits = bits};
    *bytes = 0;
    for (uint64_t before = 0;; before = c.key) {
        pm_ngram_cursor_word(&c, &c.key, &c.count);
        if (!c.count) {
            return PM_OK;
        }
        *bytes += item_length((c.key - before) >> bits, c.count);
    }
}

/* Writes all that the cursor gives, in at most `most` bytes, which are not more than its sources have: keys that
 * several have are written once, and steps from key to key only get smaller. */
static pm_status write_run(pm_ngram_cursor *c, uint64_t most, pm_scratch_file *file, uint8_t *coded, pm_ngram_run *run,
                           pm_error *err) {
    uint8_t *p = coded;
    uint64_t before = 0;

    run->bytes = 0;
    PM_TRY(pm_scratch_file_reserve(file, most, &run->offset, err));
    for (;;) {
        PM_TRY(pm_ngram_cursor_next(c, err));
        if (!c->count || p - coded > CODED - MAX_ITEM) {
            size_t n = (size_t)(p - coded);
            PM_TRY(pm_write_at(file->fd, coded, n, run->offset + run->bytes, file->name, err));
            run->bytes += n;
            p = coded;
        }
        if (!c->count) {
            return PM_OK;
        }
        p = put_varint(p, ((c->key - before) >> c->bits) << 1 | (c->count == 1));
        p = c->count == 1 ? p : put_varint(p, c->count);
        before = c->key;
    }
}

/* Makes one run of what is in memory and, when asked, of all runs. */
static pm_status spill(pm_ngram_shard_counts *s, bool unite, unsigned bits, pm_scratch_file *file,
                       pm_ngram_sorter *sorter, pm_error *err) {
    pm_ngram_cursor c;
    pm_ngram_run run;
    uint64_t most;

    PM_TRY(pm_ngram_shard_sort(s, bits, sorter, err));
    if (!sorter->coded && !(sorter->coded = pm_alloc(CODED, 1))) {
        return pm_fail_memory(err);
    }
    PM_TRY(pm_grow((void **)&s->runs, &s->cap_runs, s->n_runs + 1, sizeof *s->runs, err));
    PM_TRY(measure(s, bits, &most));
    for (size_t i = 0; unite && i < s->n_runs; i++) {
        most += s->runs[i].bytes;
    }
    pm_ngram_shard_counts part = *s;
    part.n_runs = unite ? s->n_runs : 0;
    PM_TRY(pm_ngram_cursor_open(&c, &part, bits, file, 0, err));
    pm_status status = write_run(&c, most, file, sorter->coded, &run, err);
    pm_ngram_cursor_close(&c);
    PM_TRY(status);
    release_table(s);
    for (size_t i = 0; unite && i < s->n_runs; i++) {
        pm_scratch_file_discard(file, s->runs[i].offset, s->runs[i].bytes);
    }
    s->n_runs = unite ? 0 : s->n_runs;
    s->runs[s->n_runs++] = run;
    return PM_OK;
}

static bool should_unite(const pm_ngram_shard_counts *s) {
    uint64_t behind = 0;
    for (size_t i = 1; i < s->n_runs; i++) {
        behind += s->runs[i].bytes;
    }
    return s->n_runs + 1 >= MANY || (s->n_runs + 1 >= SOME && behind > s->runs[0].bytes / 2);
}

pm_status pm_ngram_shard_spill(pm_ngram_shard_counts *s, unsigned bits, pm_scratch_file *file, pm_ngram_sorter *sorter,
                               pm_error *err) {
    return s->n || s->n_carries ? spill(s, should_unite(s), bits, file, sorter, err) : PM_OK;
}

pm_status pm_ngram_shard_unite(pm_ngram_shard_counts *s, unsigned bits, pm_scratch_file *file, pm_ngram_sorter *sorter,
                               pm_error *err) {
    return s->n || s->n_carries || s->n_runs > 1 ? spill(s, true, bits, file, sorter, err) : PM_OK;
}

/* ---------------------------------------------------------------- merging ---- */

/* Puts the source at heap[i] where it belongs. */
static void sift_down(pm_ngram_cursor *c, size_t i) {
    uint32_t moving = c->heap[i];
    uint64_t key = c->sources[moving].key;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= c->n_heap) {
            break;
        }
        child += child + 1 < c->n_heap && c->sources[c->heap[child + 1]].key < c->sources[c->heap[child]].key;
        if (c->sources[c->heap[child]].key >= key) {
            break;
        }
        c->heap[i] = c->heap[child];
        i = child;
    }
    c->heap[i] = moving;
}

/* Reads on, so that a whole item is there, or all that is left. */
static pm_status refill(pm_ngram_cursor *c, pm_ngram_source *s, pm_error *err) {
    size_t kept = s->end - s->at, want = c->buffer_bytes - kept;
    memmove(s->buffer, s->buffer + s->at, kept);
    want = want < s->left ? want : (size_t)s->left;
    PM_TRY(pm_read_at(c->file->fd, s->buffer + kept, want, s->offset, c->file->name, err));
    s->offset += want;
    s->left -= want;
    s->at = 0;
    s->end = kept + want;
    return PM_OK;
}

static pm_status read_item(pm_ngram_cursor *c, pm_ngram_source *s, pm_error *err) {
    if (s->end - s->at < MAX_ITEM && s->left) {
        PM_TRY(refill(c, s, err));
    }
    if (s->at == s->end) {
        s->count = 0;
        return PM_OK;
    }
    uint64_t step = get_varint(s->buffer, &s->at);
    s->key += step >> 1 << c->bits;
    s->count = step & 1 ? 1 : get_varint(s->buffer, &s->at);
    return PM_OK;
}

static pm_status begin_merge(pm_ngram_cursor *c, pm_error *err) {
    for (size_t i = 0; i < c->n_sources; i++) {
        const pm_ngram_run *run = &c->shard->runs[i];
        c->sources[i] =
            (pm_ngram_source){.offset = run->offset, .left = run->bytes, .buffer = c->buffers + i * c->buffer_bytes};
        PM_TRY(read_item(c, &c->sources[i], err));
        c->heap[c->n_heap++] = (uint32_t)i; /* no run is empty */
    }
    for (size_t i = c->n_heap / 2; i-- > 0;) {
        sift_down(c, i);
    }
    pm_ngram_cursor_word(c, &c->memory_key, &c->memory_count);
    return PM_OK;
}

pm_status pm_ngram_cursor_open(pm_ngram_cursor *c, const pm_ngram_shard_counts *s, unsigned bits,
                               const pm_scratch_file *file, uint64_t memory, pm_error *err) {
    *c = (pm_ngram_cursor){.shard = s, .bits = bits, .file = file, .n_sources = s->n_runs};
    if (!c->n_sources) {
        return PM_OK;
    }
    uint64_t bytes = memory / c->n_sources;
    c->buffer_bytes = bytes < LEAST_BUFFER ? LEAST_BUFFER : bytes > MOST_BUFFER ? MOST_BUFFER : (size_t)bytes;
    c->sources = pm_alloc(c->n_sources, sizeof *c->sources);
    c->heap = pm_alloc(c->n_sources, sizeof *c->heap);
    c->buffers = pm_alloc(c->n_sources, c->buffer_bytes);
    pm_status status = c->sources && c->heap && c->buffers ? begin_merge(c, err) : pm_fail_memory(err);
    if (status != PM_OK) {
        pm_ngram_cursor_close(c);
    }
    return status;
}

void pm_ngram_cursor_close(pm_ngram_cursor *c) {
    pm_free(c->sources);
    pm_free(c->heap);
    pm_free(c->buffers);
    *c = (pm_ngram_cursor){0};
}

pm_status pm_ngram_cursor_merge(pm_ngram_cursor *c, pm_error *err) {
    const pm_ngram_source *least = c->n_heap ? &c->sources[c->heap[0]] : NULL;

    c->count = 0;
    if (c->memory_count && (!least || c->memory_key <= least->key)) {
        c->key = c->memory_key;
        c->count = c->memory_count;
        pm_ngram_cursor_word(c, &c->memory_key, &c->memory_count);
    } else if (least) {
        c->key = least->key;
    }
    while (c->n_heap && c->sources[c->heap[0]].key == c->key) {
        pm_ngram_source *s = &c->sources[c->heap[0]];
        c->count += s->count;
        PM_TRY(read_item(c, s, err));
        if (!s->count) {
            c->heap[0] = c->heap[--c->n_heap];
        }
        if (c->n_heap) {
            sift_down(c, 0);
        }
    }
    return PM_OK;
}
