/* word_table.c - counting words in bounded memory.
 *
 * A table is two things. The words lie one behind the other as records (records.h): weight, length, bytes, filled up with zeros to 8 bytes.
 * These records are what the store gets in the end: nothing is copied. Over them lies an index of 8 bytes a slot, open
 * addressing with linear probing: 32 bits of the hash (`tag`), and where the record is (`ref`: its place in units of 8 bytes, counted
 * through all chunks of the thread; 0 is an empty slot). A slot's home is the top bits of its tag. So
 *     - a look-up touches one line of the index and, where all 32 bits agree, one of the records;
 *     - doubling the index reads it once from front to back and writes the new one from front to back;
 *     - the words of a range of hashes are a range of the index, which lets words.c add up several tables in parallel.
 *
 *     "the" with count 7 at ref 4 (byte 32 of the first chunk):   07 00 00 00  03 00 00 00  74 68 65 00 00 00 00 00
 *
 * Nearly all words have at most 16 bytes. Their length is as good as random, so code that asks for it jumps wrongly once a word, and that is what
 * counting then costs. Here nothing asks: such a word is two 64-bit numbers, loaded past its end and masked; the hash is two or three
 * multiplications of them, and comparing with a record is comparing two numbers, of which the second is masked for words of up to 8 bytes (there it
 * is the head of the next record, so the last record of a chunk has 8 bytes left behind it). Longer words take XXH3 and a loop.
 *
 * Words are collected in a queue of some hundred, and lines are asked for ahead of need: those of the index when a word comes, those of the records
 * before the queue is worked on. A Chinese corpus of 50 MB has a million distinct words, and its index fits no cache.
 *
 * Weights are 32 bits. One that would pass 2^32 - 1 leaves for the store as a record of its own, and counting begins again at zero: records of the
 * same word add up, so counts are 64-bit and more.
 *
 * Memory. When index and records are larger than allowed, rare words leave: those below a weight that is chosen so that at most a quarter of the
 * table stays. Text has few frequent words and many rare ones (Zipf), so what stays is most of what will come, and what leaves would be written
 * some day in any case. A word that leaves and comes again has two records in the store, which add up.
 *
 * Documents. Where it matters in which document a word was found, 24 bytes behind a record tell how many there were and how often the word was
 * counted in the last; words then leave only between documents. On the way to the store those bytes become 8 or none.
 *
 * Cost: one hash and about one cache miss a pre-token; memory: the distinct words, 8 bytes each and rounded up to 8, and 12 to 23 bytes of
 * index for each. */
#include "count/word_table.h"

#include "base/hash.h"

enum {
    ENDS = 256,                  /* pre-tokens asked of the splitter at once */
    POLL_BYTES = 1 << 20,        /* of one document between two looks at the ticker */
    POLL_SLOTS = 1 << 16,
    FIRST_BITS = 12,             /* of the index */
    MAX_BITS = 31,
    QUICK_BITS = 18,             /* an index grows four times up to here: fewer pages are touched, and the last step makes a huge one */
    SHORT = 16,                  /* bytes of a word that is two numbers */
    SLACK = 8,                   /* bytes behind a record that can be read */
    REF_SHIFT = 3,               /* a ref counts 8 bytes */
    PAGE_SHIFT = 18 - REF_SHIFT, /* refs in a page of PM_CHUNK_BYTES */
    MAX_PAGES = 1 << (32 - PAGE_SHIFT),
    CLASSES = 124                /* of weights */
};

/* ---------------------------------------------------------------- words ---- */

static inline uint64_t load8(const uint8_t *p) {
    uint64_t x;
    memcpy(&x, p, 8);
    return x;
}

static inline uint32_t load4(const uint8_t *p) {
    uint32_t x;
    memcpy(&x, p, 4);
    return x;
}

/* memcmp(a, b, n) == 0 without a call; n > 0. The last step overlaps the one before it. */
static inline bool equal(const uint8_t *a, const uint8_t *b, size_t n) {
    if (n >= 8) {
        size_t i = 0;
        for (; i + 8 < n; i += 8) {
            if (load8(a + i) != load8(b + i)) {
                return false;
            }
        }
        return load8(a + n - 8) == load8(b + n - 8);
    }
    if (n >= 4) {
        return load4(a) == load4(b) && load4(a + n - 4) == load4(b + n - 4);
    }
    return a[0] == b[0] && a[n / 2] == b[n / 2] && a[n - 1] == b[n - 1];
}

/* A short word as two numbers; 16 bytes can be read at p. */
static inline void load_short(uint64_t out[2], const uint8_t *p, size_t len) {
    static const uint8_t mask[2 * SHORT] = {255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255};
    out[0] = load8(p) & load8(mask + SHORT - len);
    out[1] = load8(p + 8) & load8(mask + SHORT + 8 - len);
}

/* The product of 128 bits, folded, as in wyhash (Wang Yi); the sum sees to it that no word makes one factor 0 and the others count for nothing. */
static inline uint32_t tag_of_short(const uint64_t w[2], size_t len) {
    uint64_t a = w[0] ^ UINT64_C(0x2d358dccaa6c78a5), b = (w[1] + len) ^ UINT64_C(0x8bb84b93962eacc9);
    __uint128_t product = (__uint128_t)a * b;
    uint64_t hash = ((uint64_t)product ^ (uint64_t)(product >> 64)) + w[0] * UINT64_C(0x9e3779b97f4a7c15) + w[1] * UINT64_C(0xff51afd7ed558ccd);
    return (uint32_t)(hash >> 32);
}

static inline uint32_t tag_of_long(const void *text, size_t len) { return (uint32_t)(pm_hash(text, len) >> 32); }

static inline uint32_t tag_of_record(const pm_record *r) {
    uint64_t head[2];
    if (r->n > SHORT) {
        return tag_of_long(pm_record_cells(r), r->n);
    }
    load_short(head, pm_record_cells(r), r->n);
    return tag_of_short(head, r->n);
}

static inline bool is_word(const pm_record *record, const pm_queued_word *q) {
    const uint8_t *cells = pm_record_cells(record);
    if (q->len > SHORT) {
        return record->n == q->len && equal(cells, q->text, q->len);
    }
    uint64_t second = q->len > 8 ? UINT64_MAX : 0;
    return ((load8(cells) ^ q->head[0]) | ((load8(cells + 8) ^ q->head[1]) & second) | (record->n ^ q->len)) == 0;
}

/* ---------------------------------------------------------------- chunks ---- */

static size_t bytes_here(const pm_word_table *t, size_t len) { return pm_record_bytes(len, 1) + (t->per_document ? sizeof(pm_word_documents) : 0); }
static size_t bytes_in_store(const pm_word_table *t, size_t len) { return pm_record_bytes(len, 1) + (t->documents ? sizeof(uint64_t) : 0); }

/* An empty chunk with room for `bytes` bytes. NULL: out of memory. */
static pm_chunk *new_chunk(pm_word_table *t, size_t bytes) {
    pm_chunk *chunk = t->spare;
    pm_records one = {0};
    if (!chunk || bytes > PM_CHUNK_BYTES - sizeof *chunk) {
        return pm_records_add_chunk(&one, bytes);
    }
    t->spare = chunk->next;
    chunk->next = NULL;
    chunk->used = sizeof *chunk;
    return chunk;
}

static void recycle(pm_word_table *t, pm_chunk *chunk) {
    if (chunk && chunk->size == PM_CHUNK_BYTES) {
        chunk->next = t->spare;
        t->spare = chunk;
    } else {
        pm_chunk_free(chunk);
    }
}

/* Takes the chunk over, in any case. */
static pm_status put_chunk(pm_word_table *t, pm_chunk *chunk, pm_error *err) {
    pm_status status = chunk->used > sizeof *chunk ? pm_store_put(t->store, &chunk, err) : PM_OK;
    recycle(t, chunk);
    return status;
}

/* Writes the record as the store has it to `out`, which is not behind `r` and may lie over it. */
static void write_for_store(const pm_word_table *t, void *out, const pm_record *r, uint64_t documents) {
    size_t bytes = pm_record_bytes(r->n, 1);
    memmove(out, r, bytes);
    if (t->documents) {
        memcpy((uint8_t *)out + bytes, &documents, sizeof documents);
    }
}

/* Sends a record to the store. */
static pm_status leave(pm_word_table *t, const pm_record *r, uint64_t documents, pm_error *err) {
    size_t bytes = bytes_in_store(t, r->n);
    pm_chunk *chunk = t->leaving;
    if (chunk && chunk->size - chunk->used < bytes) {
        t->leaving = NULL;
        PM_TRY(put_chunk(t, chunk, err));
        chunk = NULL;
    }
    if (!chunk) {
        chunk = t->leaving = new_chunk(t, bytes);
        if (!chunk) {
            return pm_fail_memory(err);
        }
    }
    write_for_store(t, pm_record_at(chunk, chunk->used), r, documents);
    chunk->used += bytes;
    return PM_OK;
}

/* Brings all records of a chunk to the form they have in the store. Dead ones go. */
static void squeeze(const pm_word_table *t, pm_chunk *chunk) {
    size_t end = chunk->used;
    if (!t->per_document) {
        return;
    }
    chunk->used = sizeof *chunk;
    for (size_t at = sizeof *chunk; at < end;) {
        const pm_record *r = pm_record_at(chunk, at);
        size_t bytes = bytes_in_store(t, r->n);
        at += bytes_here(t, r->n);
        if (r->weight) {
            write_for_store(t, pm_record_at(chunk, chunk->used), r, pm_word_documents_of(r)->documents);
            chunk->used += bytes;
        }
    }
}

/* ---------------------------------------------------------------- records and index ---- */

pm_record *pm_word_record(const pm_word_table *t, uint32_t ref) {
    return (pm_record *)(t->pages[ref >> PAGE_SHIFT] + ((size_t)(ref & ((1u << PAGE_SHIFT) - 1)) << REF_SHIFT));
}

static size_t index_bytes(unsigned bits) { return sizeof(pm_word_slot) << bits; }

/* Adds a chunk and names its pages. */
static pm_status add_chunk(pm_word_table *t, size_t bytes, pm_error *err) {
    pm_chunk *chunk = new_chunk(t, bytes);
    if (!chunk) {
        return pm_fail_memory(err);
    }
    pm_records one = {chunk, chunk, 1};
    pm_records_join(&t->records, &one);
    t->record_bytes += chunk->size;
    size_t n = chunk->size / PM_CHUNK_BYTES;
    if (t->n_pages + n > MAX_PAGES) {
        return pm_fail(err, PM_LIMIT, "more than 32 GiB of distinct pre-tokens in one document");
    }
    PM_TRY(pm_grow((void **)&t->pages, &t->cap_pages, t->n_pages + n, sizeof *t->pages, err));
    for (size_t i = 0; i < n; i++) {
        t->pages[t->n_pages++] = (uint8_t *)chunk + i * PM_CHUNK_BYTES;
    }
    return PM_OK;
}

/* Room for a record of a word of `len` bytes, which the caller fills. */
static inline pm_status add_record(pm_word_table *t, size_t len, uint32_t *ref, pm_record **record, pm_error *err) {
    size_t bytes = bytes_here(t, len);
    pm_chunk *chunk = t->records.last;
    if (!chunk || chunk->size - chunk->used < bytes + SLACK) {
        PM_TRY(add_chunk(t, bytes + SLACK, err));
        chunk = t->records.last;
    }
    size_t first_page = t->n_pages - chunk->size / PM_CHUNK_BYTES;
    *ref = (uint32_t)((first_page << PAGE_SHIFT) + (chunk->used >> REF_SHIFT));
    *record = pm_record_at(chunk, chunk->used);
    chunk->used += bytes;
    return PM_OK;
}

static inline pm_status add_word(pm_word_table *t, const pm_queued_word *q, uint32_t *ref, pm_error *err) {
    pm_record *record;
    PM_TRY(add_record(t, q->len, ref, &record, err));
    uint8_t *cells = pm_record_cells(record);
    *record = (pm_record){t->weight, q->len};
    if (q->len <= SHORT) {
        memcpy(cells, q->head, sizeof q->head); /* the second may be slack */
    } else {
        memset(cells + (q->len & ~(size_t)7), 0, SLACK);
        memcpy(cells, q->text, q->len);
    }
    if (t->per_document) {
        *pm_word_documents_of(record) = (pm_word_documents){t->weight, t->document, 1};
    }
    return PM_OK;
}

static pm_status grow_index(pm_word_table *t, unsigned bits, pm_error *err) {
    if (bits > MAX_BITS) {
        return pm_fail(err, PM_LIMIT, "more than 2^%d distinct pre-tokens in one document", MAX_BITS);
    }
    pm_word_slot *slots = pm_pages_alloc(index_bytes(bits));
    if (!slots) {
        return pm_fail_memory(err);
    }
    size_t mask = ((size_t)1 << bits) - 1;
    pm_status status = PM_OK;
    for (size_t i = 0; i < (size_t)1 << t->bits && status == PM_OK; i++) {
        pm_word_slot s = t->slots[i];
        if (s.ref) {
            size_t at = s.tag >> (32 - bits);
            while (slots[at].ref) {
                at = (at + 1) & mask;
            }
            slots[at] = s;
        }
        if (i % POLL_SLOTS == 0) {
            status = pm_ticker_poll(t->ticker, t->thread, err);
        }
    }
    if (status != PM_OK) {
        pm_pages_free(slots, index_bytes(bits));
        return status;
    }
    pm_pages_free(t->slots, index_bytes(t->bits));
    t->slots = slots;
    t->bits = bits;
    return PM_OK;
}

/* Puts a word into the index that is not in it. */
static void enter(pm_word_table *t, uint32_t tag, uint32_t ref) {
    size_t mask = ((size_t)1 << t->bits) - 1, at = tag >> (32 - t->bits);
    while (t->slots[at].ref) {
        at = (at + 1) & mask;
    }
    t->slots[at] = (pm_word_slot){tag, ref};
    t->n++;
}

pm_record *pm_word_table_find(const pm_word_table *t, uint32_t tag, const pm_record *word) {
    size_t mask = ((size_t)1 << t->bits) - 1, at = tag >> (32 - t->bits);
    for (; t->slots[at].ref; at = (at + 1) & mask) {
        if (t->slots[at].tag == tag) {
            pm_record *record = pm_word_record(t, t->slots[at].ref);
            if (record->n == word->n && equal(pm_record_cells(record), pm_record_cells(word), word->n)) {
                return record;
            }
        }
    }
    return NULL;
}

/* ---------------------------------------------------------------- eviction ---- */

/* Weights in classes, about four for each doubling. */
static unsigned class_of(uint32_t weight) {
    if (weight < 8) {
        return weight;
    }
    unsigned high = 31u - (unsigned)__builtin_clz(weight);
    return 8 + 4 * (high - 3) + (weight >> (high - 2) & 3);
}

/* The class from which on words stay: they take at most a quarter of the records and of the slots. */
static pm_status least_class_to_stay(const pm_word_table *t, unsigned *least, pm_error *err) {
    uint64_t bytes[CLASSES] = {0}, n[CLASSES] = {0};
    for (const pm_chunk *c = t->records.first; c; c = c->next) {
        for (size_t at = sizeof *c; at < c->used && c->size == PM_CHUNK_BYTES;) {
            const pm_record *r = pm_record_at(c, at);
            size_t size = bytes_here(t, r->n);
            bytes[class_of(r->weight)] += size;
            n[class_of(r->weight)]++;
            at += size;
        }
        PM_TRY(pm_ticker_poll(t->ticker, t->thread, err));
    }
    uint64_t bytes_left = t->record_bytes / 4, n_left = (uint64_t)1 << t->bits >> 2;
    unsigned c = CLASSES;
    while (c && bytes[c - 1] <= bytes_left && n[c - 1] <= n_left) {
        c--;
        bytes_left -= bytes[c];
        n_left -= n[c];
    }
    *least = c;
    return PM_OK;
}

static pm_status stay_or_leave(pm_word_table *t, const pm_chunk *chunk, unsigned least, pm_error *err) {
    for (size_t at = sizeof *chunk; at < chunk->used;) {
        const pm_record *r = pm_record_at(chunk, at);
        size_t size = bytes_here(t, r->n);
        at += size;
        if (class_of(r->weight) < least) {
            PM_TRY(leave(t, r, t->per_document ? pm_word_documents_of(r)->documents : 0, err));
            t->evicted++;
        } else {
            uint32_t ref;
            pm_record *copy;
            PM_TRY(add_record(t, r->n, &ref, &copy, err));
            memcpy(copy, r, size);
            enter(t, tag_of_record(r), ref);
        }
    }
    return pm_ticker_poll(t->ticker, t->thread, err);
}

/* A long chunk leaves as it is. */
static pm_status evict_chunk(pm_word_table *t, pm_chunk *chunk, unsigned least, pm_error *err) {
    if (chunk->size > PM_CHUNK_BYTES) {
        for (size_t at = sizeof *chunk; at < chunk->used; at += bytes_here(t, pm_record_at(chunk, at)->n)) {
            t->evicted++;
        }
        squeeze(t, chunk);
        return put_chunk(t, chunk, err);
    }
    pm_status status = stay_or_leave(t, chunk, least, err);
    recycle(t, chunk);
    return status;
}

static pm_status evict(pm_word_table *t, pm_error *err) {
    unsigned least;
    PM_TRY(least_class_to_stay(t, &least, err));
    pm_records old = t->records;
    t->records = (pm_records){0};
    t->record_bytes = t->n_pages = t->n = 0;
    memset(t->slots, 0, index_bytes(t->bits));
    pm_status status = PM_OK;
    while (status == PM_OK && old.first) {
        pm_chunk *chunk = old.first;
        old.first = chunk->next;
        chunk->next = NULL;
        status = evict_chunk(t, chunk, least, err);
    }
    pm_records_release(&old);
    return status;
}

/* Before the words of the queue come: a larger index, or fewer words. */
static pm_status make_room(pm_word_table *t, bool may_evict, pm_error *err) {
    size_t slots, want = t->n + t->n_queue;
    bool full;
    for (;;) {
        uint64_t held = (uint64_t)t->record_bytes + 2 * PM_CHUNK_BYTES;
        slots = (size_t)1 << t->bits;
        full = want > slots - slots / 16 || held + index_bytes(t->bits) > t->memory || t->n_pages > MAX_PAGES / 2;
        bool fits = held + 3 * index_bytes(t->bits) <= t->memory && t->bits < MAX_BITS;
        if (want <= slots - slots / 3 || (!fits && (may_evict || want <= slots - slots / 16))) {
            break;
        }
        PM_TRY(grow_index(t, t->bits + (held + 5 * index_bytes(t->bits) <= t->memory && t->bits < QUICK_BITS ? 2 : 1), err));
    }
    return full && may_evict && t->n ? evict(t, err) : PM_OK;
}

/* ---------------------------------------------------------------- counting ---- */

/* One more occurrence of a word that is there. */
static inline pm_status add_to(pm_word_table *t, pm_record *record, pm_error *err) {
    if (t->per_document) {
        pm_word_documents *d = pm_word_documents_of(record);
        if (d->last != t->document) {
            d->documents += t->weight;
            d->last = t->document;
            d->count_in_last = 0;
        }
        if (d->count_in_last == t->max_in_document) {
            return PM_OK;
        }
        d->count_in_last++;
    }
    if (record->weight > UINT32_MAX - t->weight) {
        PM_TRY(leave(t, record, 0, err));
        record->weight = 0;
        t->doubles = true;
    }
    record->weight += t->weight;
    return PM_OK;
}

static inline pm_status count_one(pm_word_table *t, const pm_queued_word *q, pm_error *err) {
    size_t mask = ((size_t)1 << t->bits) - 1, at = q->tag >> (32 - t->bits);
    for (; t->slots[at].ref; at = (at + 1) & mask) {
        if (t->slots[at].tag == q->tag) {
            pm_record *record = pm_word_record(t, t->slots[at].ref);
            if (is_word(record, q)) {
                return add_to(t, record, err);
            }
        }
    }
    uint32_t ref;
    PM_TRY(add_word(t, q, &ref, err));
    t->slots[at] = (pm_word_slot){q->tag, ref};
    t->n++;
    return PM_OK;
}

static pm_status count_queue(pm_word_table *t, bool may_evict, pm_error *err) {
    PM_TRY(make_room(t, may_evict, err));
    for (size_t i = 0; i < t->n_queue; i++) {
        __builtin_prefetch(pm_word_record(t, t->slots[t->queue[i].tag >> (32 - t->bits)].ref), 1);
    }
    for (size_t i = 0; i < t->n_queue; i++) {
        PM_TRY(count_one(t, &t->queue[i], err));
    }
    t->words += t->n_queue;
    t->n_queue = 0;
    return PM_OK;
}

/* `end`: so far the memory can be read that the text is in. */
static inline pm_status queue_word(pm_word_table *t, const uint8_t *text, size_t len, const uint8_t *end, pm_error *err) {
    pm_queued_word *q = &t->queue[t->n_queue++];
    q->text = text;
    q->len = (uint32_t)len;
    if (len > SHORT) {
        if (len >= UINT32_MAX) {
            return pm_fail(err, PM_LIMIT, "a pre-token of %zu bytes: at most 2^32 - 2 are possible", len);
        }
        q->tag = tag_of_long(text, len);
    } else {
        if ((size_t)(end - text) >= SHORT) {
            load_short(q->head, text, len);
        } else {
            memset(q->head, 0, sizeof q->head);
            memcpy(q->head, text, len);
        }
        q->tag = tag_of_short(q->head, len);
    }
    __builtin_prefetch(&t->slots[q->tag >> (32 - t->bits)]);
    return t->n_queue == PM_WORD_QUEUE ? count_queue(t, !t->per_document, err) : PM_OK;
}

/* Queues what the splitter gives. */
static pm_status queue_words(pm_word_table *t, const uint8_t *text, const uint8_t *end, pm_error *err) {
    size_t ends[ENDS], n, start = 0, polled = 0;
    do {
        PM_TRY(pm_split_next(t->scratch, ends, ENDS, &n, err));
        for (size_t i = 0; i < n; i++) {
            PM_TRY(queue_word(t, text + start, ends[i] - start, end, err));
            start = ends[i];
        }
        if (start - polled >= POLL_BYTES) {
            PM_TRY(pm_ticker_poll(t->ticker, t->thread, err));
            polled = start;
        }
    } while (n);
    return PM_OK;
}

/* Words leave between two documents only. */
static pm_status add_one_by_one(pm_word_table *t, const pm_block *block, pm_error *err) {
    const uint8_t *text = block->text.data;
    for (size_t i = 0, begin = 0; i < block->n; begin = block->ends[i++]) {
        t->document++;
        PM_TRY(make_room(t, true, err));
        pm_split_begin(t->scratch, text + begin, block->ends[i] - begin);
        PM_TRY(queue_words(t, text + begin, text + block->text.cap, err));
        PM_TRY(count_queue(t, false, err));
    }
    return PM_OK;
}

pm_status pm_word_table_add(pm_word_table *t, const pm_block *block, pm_error *err) {
    const uint8_t *text = block->text.data;
    t->weight = block->weight;
    if (!block->text.len) {
        return PM_OK;
    }
    if (t->per_document) {
        return add_one_by_one(t, block, err);
    }
    pm_split_begin_documents(t->scratch, text, block->ends, block->n);
    PM_TRY(queue_words(t, text, text + block->text.cap, err));
    return count_queue(t, true, err); /* the queue points into the block */
}

pm_status pm_word_table_add_spans(pm_word_table *t, const uint8_t *text, const uint8_t *end, const pm_span *spans, size_t n, uint32_t weight, bool begins,
                                  pm_error *err) {
    t->weight = weight;
    if (t->per_document && begins) {
        t->document++;
        PM_TRY(make_room(t, true, err));
    }
    for (size_t i = 0; i < n; i++) {
        PM_TRY(queue_word(t, text + spans[i].at, spans[i].len, end, err));
    }
    return count_queue(t, !t->per_document, err); /* the queue points into the text */
}

/* ---------------------------------------------------------------- life ---- */

pm_status pm_word_table_init(pm_word_table *t, const pm_splitter *splitter, pm_error *err) {
    t->bits = FIRST_BITS;
    t->slots = pm_pages_alloc(index_bytes(t->bits));
    if (!t->slots) {
        return pm_fail_memory(err);
    }
    PM_TRY(add_chunk(t, 0, err)); /* so that there is a first page */
    return splitter ? pm_split_scratch_new(&t->scratch, splitter, err) : PM_OK;
}

/* Everything but the records. */
static void release_index(pm_word_table *t) {
    if (t->slots) {
        pm_pages_free(t->slots, index_bytes(t->bits));
    }
    t->slots = NULL;
    pm_free(t->pages);
    t->pages = NULL;
    pm_split_scratch_free(t->scratch);
    t->scratch = NULL;
}

pm_status pm_word_table_finish(pm_word_table *t, pm_error *err) {
    pm_status status = PM_OK;
    release_index(t);
    while (status == PM_OK && t->records.first) {
        pm_chunk *chunk = t->records.first;
        t->records.first = chunk->next;
        chunk->next = NULL;
        squeeze(t, chunk);
        status = put_chunk(t, chunk, err);
        if (status == PM_OK) {
            status = pm_ticker_poll(t->ticker, 0, err);
        }
    }
    if (status == PM_OK && t->leaving) {
        pm_chunk *chunk = t->leaving;
        t->leaving = NULL;
        status = put_chunk(t, chunk, err);
    }
    return status;
}

void pm_word_table_release(pm_word_table *t) {
    release_index(t);
    pm_records_release(&t->records);
    pm_chunk_free(t->leaving);
    while (t->spare) {
        pm_chunk *next = t->spare->next;
        pm_chunk_free(t->spare);
        t->spare = next;
    }
}
