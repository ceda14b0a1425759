/* countmerge.c - see countmerge.h.
 *
 * Runs. A run is words in rising order: sorted records in memory, a temporary count file, or a count file that the caller named. A store becomes
 * runs in parallel: each thread takes chunks until its part of the memory is full, sorts pointers to their records, writes a temporary file and
 * begins anew; what it holds at the end stays in memory as a run. So with memory enough nothing is written, by the same code. Then all runs
 * are merged, words that several have are added up, and what comes out goes to a sink: a count file, or a store.
 *
 *     chunks     [c a] [b] | [a c] [d]          two threads, room for two chunks each
 *     runs       a b c     |  a c d
 *     merged     a:2 b:1 c:2 d:1
 *
 * A thread merges its files FAN at a time, and what comes of that as well, so that any number of runs needs few open files. More than FAN runs of all threads
 * are merged FAN at a time into temporary files first, the oldest ones, until FAN are left. Merging is a heap of the runs by their
 * next word; a word is compared by its first 8 bytes as a number, and in full where these are equal.
 *
 * Sorting is over pairs of those 8 bytes and a pointer: a radix sort by the bytes from the last to the first, then a merge sort of those that are alike in
 * all 8. No bad cases: n log n comparisons at most, two arrays of 16 bytes a record.
 *
 * Cost: sorting about 0.1 us a word, merging and coding about 0.1 us; memory: the chunks, 32 bytes a record while they are sorted, 16 after that, and some 70 KB a file. */
#include "count/countmerge.h"

#include <pthread.h>
#include <unistd.h>

#include "count/words.h"

enum {
    FAN = 64,
    POLL_WORDS = 1 << 14,
    AHEAD = 8, /* records asked for before they are read: in the order of words they lie anywhere */
    LEAST_BYTES = 1 << 20 /* of a thread's runs: with less there would be too many */
};

typedef struct item {
    uint64_t prefix; /* the word's first 8 bytes, the first one highest */
    const pm_record *record;
} item;

/* {.fd = -1} is an empty one. */
typedef struct run {
    item *items;        /* in memory: n items, */
    size_t n;
    pm_records chunks;  /* and what they point into */
    int fd;             /* or a temporary file (-1: none), */
    const char *path;   /* or a count file */
    unsigned level;     /* how often its words were merged into files of a thread's own */
} run;

typedef struct runs {
    pthread_mutex_t lock;
    run *list;
    size_t n, cap;
} runs;

static void run_release(run *r) {
    pm_free(r->items);
    pm_records_release(&r->chunks);
    if (r->fd >= 0) {
        close(r->fd);
    }
    *r = (run){.fd = -1};
}

static void runs_init(runs *all) {
    *all = (runs){0};
    pthread_mutex_init(&all->lock, NULL);
}

static void runs_release(runs *all) {
    for (size_t i = 0; i < all->n; i++) {
        run_release(&all->list[i]);
    }
    pm_free(all->list);
    pthread_mutex_destroy(&all->lock);
}

/* Takes the run over, after a failure too. Any thread. */
static pm_status add_run(runs *all, run *r, pm_error *err) {
    pthread_mutex_lock(&all->lock);
    pm_status status = pm_grow((void **)&all->list, &all->cap, all->n + 1, sizeof *all->list, err);
    if (status == PM_OK) {
        all->list[all->n++] = *r;
        *r = (run){.fd = -1};
    }
    pthread_mutex_unlock(&all->lock);
    run_release(r);
    return status;
}

/* ---------------------------------------------------------------- order ---- */

static inline uint64_t prefix_of(const uint8_t *word, size_t len) {
    uint8_t bytes[8] = {0};
    memcpy(bytes, word, len < 8 ? len : 8);
    uint64_t n = 0;
    for (int i = 0; i < 8; i++) {
        n = n << 8 | bytes[i];
    }
    return n;
}

static int compare_words(const uint8_t *a, size_t n_a, const uint8_t *b, size_t n_b) {
    int order = memcmp(a, b, n_a < n_b ? n_a : n_b);
    return order ? order : (n_a > n_b) - (n_a < n_b);
}

static inline bool not_after(const item *a, const item *b) {
    if (a->prefix != b->prefix) {
        return a->prefix < b->prefix;
    }
    return compare_words(pm_record_cells(a->record), a->record->n, pm_record_cells(b->record), b->record->n) <= 0;
}

/* A merge of from[0 .. half) and from[half .. n), both in order, to `to`; how far it is. */
typedef struct halves {
    const item *from;
    item *to;
    size_t a, half, b, n;
} halves;

/* Up to `most` items on; false when one half is used up, and the rest has been copied. */
static bool merge_some(halves *h, size_t most) {
    size_t a = h->a, b = h->b;
    item *to = h->to;
    for (; most && a < h->half && b < h->n; most--) {
        bool first = not_after(&h->from[a], &h->from[b]);
        *to++ = h->from[first ? a : b];
        a += first;
        b += !first;
    }
    h->a = a;
    h->b = b;
    h->to = to;
    if (a < h->half && b < h->n) {
        return true;
    }
    memcpy(to, h->from + a, (h->half - a) * sizeof *to);
    memcpy(to + (h->half - a), h->from + b, (h->n - b) * sizeof *to);
    return false;
}

/* Sorts a few in place. */
static void insert_sort(item *items, size_t n) {
    for (size_t i = 1; i < n; i++) {
        item x = items[i];
        size_t k = i;
        for (; k > 0 && !not_after(&items[k - 1], &x); k--) {
            items[k] = items[k - 1];
        }
        items[k] = x;
    }
}

enum { FEW = 8 };

/* Merge sort of n items whose words begin alike, with room for as many. */
static pm_status sort_alike(item *items, item *room, size_t n, pm_ticker *ticker, unsigned thread, pm_error *err) {
    item *from = items, *to = room;
    for (size_t i = 0; i < n; i += FEW) {
        insert_sort(items + i, n - i < FEW ? n - i : FEW);
    }
    for (size_t width = FEW; width < n; width *= 2) {
        for (size_t i = 0; i < n; i += 2 * width) {
            size_t left = n - i, half = left < width ? left : width;
            halves h = {.from = from + i, .to = to + i, .half = half, .b = half, .n = left < 2 * width ? left : 2 * width};
            while (merge_some(&h, POLL_WORDS)) {
                PM_TRY(pm_ticker_poll(ticker, thread, err));
            }
        }
        item *sorted = to;
        to = from;
        from = sorted;
        PM_TRY(pm_ticker_poll(ticker, thread, err));
    }
    if (from != items) {
        memcpy(items, from, n * sizeof *items);
    }
    return PM_OK;
}

enum { DIGITS = 8, VALUES = 256 };

/* Moves the items to *room in the order of digit d (0: the lowest) of their prefixes, equal ones staying as they are; the two change places. */
static pm_status sort_digit(item **items, item **room, size_t n, unsigned d, const size_t counts[VALUES], pm_ticker *ticker, unsigned thread,
                            pm_error *err) {
    size_t at[VALUES], sum = 0;
    const item *from = *items;
    item *to = *room;
    for (size_t v = 0; v < VALUES; v++) {
        if (counts[v] == n) {
            return PM_OK; /* all have this one */
        }
        at[v] = sum;
        sum += counts[v];
    }
    for (size_t i = 0; i < n; i++) {
        to[at[from[i].prefix >> 8 * d & 0xFF]++] = from[i];
        if (i % POLL_WORDS == 0) {
            PM_TRY(pm_ticker_poll(ticker, thread, err));
        }
    }
    *room = *items;
    *items = to;
    return PM_OK;
}

/* Sorts *items, with *room of the same size; the two may change places. */
static pm_status sort_items(item **items, item **room, size_t n, pm_ticker *ticker, unsigned thread, pm_error *err) {
    size_t counts[DIGITS][VALUES] = {{0}};
    for (size_t i = 0; i < n; i++) {
        for (unsigned d = 0; d < DIGITS; d++) {
            counts[d][(*items)[i].prefix >> 8 * d & 0xFF]++;
        }
    }
    for (unsigned d = 0; d < DIGITS; d++) {
        PM_TRY(sort_digit(items, room, n, d, counts[d], ticker, thread, err));
    }
    for (size_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && (*items)[end].prefix == (*items)[i].prefix;) {
            end++;
        }
        PM_TRY(end - i > 1 ? sort_alike(*items + i, *room + i, end - i, ticker, thread, err) : PM_OK);
    }
    return PM_OK;
}

/* ---------------------------------------------------------------- from a store to runs ---- */

typedef struct sorting {
    pm_store *store;
    const pm_count_work *work;
    const char *settings;
    bool documents;
    uint64_t share;     /* of the memory, for a thread */
    atomic_size_t next; /* chunk */
    runs *runs;
} sorting;

/* What a thread collects for its next run. */
typedef struct batch {
    pm_records chunks;
    uint64_t bytes; /* of the chunks */
    size_t n;       /* records in them, dead ones too */
} batch;

static size_t count_records(const pm_chunk *chunk, bool documents) {
    size_t n = 0;
    for (size_t at = sizeof *chunk; at < chunk->used; at += pm_word_record_bytes(pm_record_at(chunk, at)->n, documents)) {
        n++;
    }
    return n;
}

/* Takes the next chunk into the batch; false: there is none. */
static pm_status take_chunk(sorting *s, batch *b, bool *taken, pm_error *err) {
    size_t i = atomic_fetch_add(&s->next, 1);
    pm_chunk *spare = NULL, *chunk;
    *taken = i < pm_store_size(s->store);
    if (!*taken) {
        return PM_OK;
    }
    PM_TRY(pm_store_take(s->store, i, &spare, &chunk, err));
    pm_records one = {chunk, chunk, 1};
    chunk->next = NULL;
    pm_records_join(&b->chunks, &one);
    b->bytes += chunk->size;
    b->n += count_records(chunk, s->documents);
    return PM_OK;
}

/* Fills items, of which there is room for all records; returns their number. */
static size_t gather(item *items, const pm_records *records, bool documents) {
    size_t n = 0;
    for (const pm_chunk *chunk = records->first; chunk; chunk = chunk->next) {
        for (size_t at = sizeof *chunk; at < chunk->used;) {
            const pm_record *record = pm_record_at(chunk, at);
            if (record->weight) {
                items[n++] = (item){prefix_of(pm_record_cells(record), record->n), record};
            }
            at += pm_word_record_bytes(record->n, documents);
        }
    }
    return n;
}

/* The batch, which is empty afterwards, as a run in memory. */
static pm_status sort_batch(sorting *s, batch *b, run *r, unsigned thread, pm_error *err) {
    item *items = pm_alloc(b->n, sizeof *items), *room = pm_alloc(b->n, sizeof *room);
    *r = (run){.fd = -1, .chunks = b->chunks};
    size_t most = b->n;
    *b = (batch){0};
    pm_status status = items && room ? PM_OK : pm_fail_memory(err);
    if (status == PM_OK) {
        r->n = gather(items, &r->chunks, s->documents);
        status = sort_items(&items, &room, r->n, s->work->ticker, thread, err);
    }
    pm_free(room);
    if (r->n < most / 2 && status == PM_OK) { /* many were dead */
        item *shorter = pm_realloc(items, r->n, sizeof *items);
        items = shorter ? shorter : items;
    }
    r->items = items;
    if (status != PM_OK) {
        run_release(r);
    }
    return status;
}

static pm_status write_run(run *r, const char *settings, const pm_count_work *work, unsigned thread, pm_error *err);
static pm_status join_runs(run *list, size_t n, run *out, const char *settings, const pm_count_work *work, unsigned thread, pm_error *err);

/* A file more of a thread. The last FAN that are alike become one of the next level, so that FAN a level are open at most. */
static pm_status add_file(sorting *s, runs *own, run *r, unsigned thread, pm_error *err) {
    PM_TRY(write_run(r, s->settings, s->work, thread, err));
    PM_TRY(add_run(own, r, err));
    while (own->n >= FAN && own->list[own->n - FAN].level == own->list[own->n - 1].level) {
        run *alike = own->list + own->n - FAN, joined;
        unsigned level = alike->level + 1;
        PM_TRY(join_runs(alike, FAN, &joined, s->settings, s->work, thread, err));
        joined.level = level;
        *alike = joined;
        own->n -= FAN - 1;
    }
    return PM_OK;
}

static pm_status add_all(runs *all, runs *from, pm_error *err) {
    for (size_t i = 0; i < from->n; i++) {
        PM_TRY(add_run(all, &from->list[i], err));
    }
    return PM_OK;
}

/* A thread's work: sorts chunks until none is left. */
static pm_status sort_chunks(void *ctx, unsigned thread, size_t task, pm_error *err) {
    sorting *s = ctx;
    batch b = {0};
    run r = {.fd = -1};
    runs own;
    bool more = true;
    pm_status status = PM_OK;
    (void)task;
    runs_init(&own);
    while (status == PM_OK && more) {
        status = take_chunk(s, &b, &more, err);
        bool full = b.bytes + 2 * b.n * sizeof(item) >= s->share;
        if (status == PM_OK && thread == 0) {
            status = pm_ticker_tick(s->work->ticker, atomic_load(&s->next), err);
        }
        if (status == PM_OK && b.n && (full || !more)) {
            status = sort_batch(s, &b, &r, thread, err);
            if (status == PM_OK) {
                status = more ? add_file(s, &own, &r, thread, err) : add_run(s->runs, &r, err);
            }
        }
    }
    if (status == PM_OK) {
        status = add_all(s->runs, &own, err);
    }
    runs_release(&own);
    run_release(&r);
    pm_records_release(&b.chunks);
    if (status != PM_OK) {
        atomic_store(&s->next, SIZE_MAX / 2); /* nothing more for the others */
    }
    return status;
}

static pm_status sort_store(runs *all, pm_store *store, const char *settings, bool documents, const pm_count_work *work, pm_error *err) {
    unsigned threads = work->threads ? work->threads : 1;
    uint64_t share = work->memory / threads;
    sorting s = {.store = store, .work = work, .settings = settings, .documents = documents, .runs = all};
    s.share = share > LEAST_BYTES ? share : LEAST_BYTES;
    PM_TRY(pm_ticker_phase(work->ticker, "sort words", "chunks", pm_store_size(store), err));
    PM_TRY(pm_parallel_part(threads, threads, sort_chunks, &s, work->ticker, err));
    pm_store_compact(store);
    return PM_OK;
}

/* ---------------------------------------------------------------- a run, word by word ---- */

typedef struct source {
    const run *run;
    size_t next;            /* in memory: the item behind the current one */
    pm_count_reader reader; /* else */
    bool documents;
    /* the current word; len is 0 at the end */
    const uint8_t *word;
    size_t len;
    uint64_t prefix, count, in_documents;
} source;

static pm_status advance(source *s, pm_error *err) {
    if (s->run->items) {
        if (s->next == s->run->n) {
            s->len = 0;
            return PM_OK;
        }
        const item *i = &s->run->items[s->next++];
        if (s->next + AHEAD < s->run->n) {
            __builtin_prefetch(s->run->items[s->next + AHEAD].record);
        }
        s->word = pm_record_cells(i->record);
        s->len = i->record->n;
        s->prefix = i->prefix;
        s->count = i->record->weight;
        s->in_documents = s->documents ? pm_word_record_documents(i->record) : 0;
        return PM_OK;
    }
    PM_TRY(pm_count_reader_next(&s->reader, err));
    s->word = s->reader.word.data;
    s->len = s->reader.word.len;
    s->prefix = s->len ? prefix_of(s->word, s->len) : 0;
    s->count = s->reader.count;
    s->in_documents = s->reader.in_documents;
    return PM_OK;
}

/* Begins a run, and moves to its first word. */
static pm_status source_open(source *s, run *r, const char *settings, bool documents, const char *tmpdir, pm_error *err) {
    *s = (source){.run = r, .documents = documents, .reader = {.fd = -1}};
    if (r->path) {
        PM_TRY(pm_count_reader_open(&s->reader, r->path, err));
        PM_TRY(pm_count_settings_compare((const char *)s->reader.settings.data, r->path, settings, "another file", err));
    } else if (!r->items) {
        int fd = r->fd;
        r->fd = -1;
        PM_TRY(pm_count_reader_open_fd(&s->reader, fd, pm_temporary_folder(tmpdir), err));
    }
    return advance(s, err);
}

/* ---------------------------------------------------------------- merging ---- */

typedef struct merge {
    source *sources;
    size_t *heap; /* of those that are not at their end: the one with the least word first */
    size_t n;
    pm_buf word;  /* the least one, with all its counts */
    uint64_t count, documents, done;
} merge;

static inline bool before(const source *a, const source *b) {
    return a->prefix != b->prefix ? a->prefix < b->prefix : compare_words(a->word, a->len, b->word, b->len) < 0;
}

/* Puts the source at `at` where it belongs in the heap below. */
static void sink_down(merge *m, size_t at) {
    size_t moving = m->heap[at];
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= m->n) {
            break;
        }
        if (child + 1 < m->n && before(&m->sources[m->heap[child + 1]], &m->sources[m->heap[child]])) {
            child++;
        }
        if (!before(&m->sources[m->heap[child]], &m->sources[moving])) {
            break;
        }
        m->heap[at] = m->heap[child];
        at = child;
    }
    m->heap[at] = moving;
}

/* Moves the first source to its next word. */
static pm_status advance_first(merge *m, pm_error *err) {
    source *first = &m->sources[m->heap[0]];
    PM_TRY(advance(first, err));
    if (!first->len) {
        m->heap[0] = m->heap[--m->n];
    }
    if (m->n) {
        sink_down(m, 0);
    }
    return PM_OK;
}

/* The next word into m->word, from all sources that have it. */
static pm_status next_word(merge *m, pm_error *err) {
    const source *first = &m->sources[m->heap[0]];
    uint64_t prefix = first->prefix;
    m->word.len = 0;
    PM_TRY(pm_buf_append(&m->word, first->word, first->len, err));
    m->count = m->documents = 0;
    do {
        if (__builtin_add_overflow(m->count, first->count, &m->count) || __builtin_add_overflow(m->documents, first->in_documents, &m->documents)) {
            return pm_fail(err, PM_LIMIT, "a sum of counts is above 2^64");
        }
        PM_TRY(advance_first(m, err));
        first = &m->sources[m->heap[0]];
    } while (m->n && first->prefix == prefix && first->len == m->word.len && memcmp(first->word, m->word.data, first->len) == 0);
    return PM_OK;
}

/* `tells`: these are the words of the phase, each of them once. */
static pm_status merge_all(merge *m, pm_word_sink *to, pm_ticker *ticker, unsigned thread, bool tells, pm_error *err) {
    while (m->n) {
        PM_TRY(next_word(m, err));
        PM_TRY(to->take(to, m->word.data, m->word.len, m->count, m->documents, err));
        if (++m->done % POLL_WORDS == 0) {
            PM_TRY(tells ? pm_ticker_tick(ticker, m->done, err) : pm_ticker_poll(ticker, thread, err));
        }
    }
    return PM_OK;
}

static pm_status merge_open(merge *m, run *list, size_t n, const char *settings, const char *tmpdir, pm_error *err) {
    bool documents = pm_count_settings_have_documents(settings);
    *m = (merge){.sources = pm_calloc(n, sizeof *m->sources), .heap = pm_alloc(n, sizeof *m->heap)};
    for (size_t i = 0; m->sources && i < n; i++) {
        m->sources[i].reader.fd = -1;
    }
    if (!m->sources || !m->heap) {
        return pm_fail_memory(err);
    }
    for (size_t i = 0; i < n; i++) {
        PM_TRY(source_open(&m->sources[i], &list[i], settings, documents, tmpdir, err));
        if (m->sources[i].len) {
            m->heap[m->n++] = i;
        }
    }
    for (size_t i = m->n / 2; i > 0; i--) {
        sink_down(m, i - 1);
    }
    return PM_OK;
}

static void merge_close(merge *m, size_t n) {
    for (size_t i = 0; m->sources && i < n; i++) {
        pm_count_reader_close(&m->sources[i].reader);
    }
    pm_free(m->sources);
    pm_free(m->heap);
    pm_buf_release(&m->word);
}

/* Gives the words of n runs, which are used up, to the sink. */
static pm_status merge_runs(run *list, size_t n, const char *settings, pm_word_sink *to, const pm_count_work *work, unsigned thread, bool tells,
                            pm_error *err) {
    merge m;
    pm_status status = merge_open(&m, list, n, settings, work->tmpdir, err);
    if (status == PM_OK) {
        status = merge_all(&m, to, work->ticker, thread, tells, err);
    }
    merge_close(&m, n);
    for (size_t i = 0; i < n; i++) {
        run_release(&list[i]);
    }
    return status;
}

/* ---------------------------------------------------------------- sinks ---- */

typedef struct file_sink {
    pm_word_sink sink;
    pm_count_writer writer;
} file_sink;

static pm_status take_to_file(pm_word_sink *to, const uint8_t *word, size_t len, uint64_t count, uint64_t documents, pm_error *err) {
    return pm_count_writer_add(&((file_sink *)to)->writer, word, len, count, documents, err);
}

/* The words of n runs, which are used up, as one run in a temporary file. */
static pm_status join_runs(run *list, size_t n, run *out, const char *settings, const pm_count_work *work, unsigned thread, pm_error *err) {
    file_sink to = {.sink = {take_to_file}};
    pm_count_totals totals = {0};
    pm_status status = pm_count_writer_open(&to.writer, NULL, work->tmpdir, settings, err);
    if (status == PM_OK) {
        status = merge_runs(list, n, settings, &to.sink, work, thread, false, err);
    }
    *out = (run){.fd = -1};
    return pm_count_writer_keep(&to.writer, status, &totals, &out->fd, err);
}

static pm_status write_run(run *r, const char *settings, const pm_count_work *work, unsigned thread, pm_error *err) {
    run in_memory = *r;
    pm_status status = join_runs(&in_memory, 1, r, settings, work, thread, err);
    run_release(&in_memory);
    return status;
}

/* What a file may ask for: a count is written as records of 32 bits, of which there are more than one a word only in texts of terabytes; and counts of
 * pairs, which are at most those of words times their lengths in sum, are 64-bit. */
enum { MAX_MORE = 1 << 26, MAX_TEXT_LOG = 62 };

/* Counts what a word adds to that. */
static pm_status check_size(pm_store_sink *to, size_t len, uint64_t count, pm_error *err) {
    uint64_t text, more = count / UINT32_MAX * pm_record_bytes(len, 1);
    if (__builtin_mul_overflow(count, len, &text) || __builtin_add_overflow(to->text, text, &to->text) || to->text >> MAX_TEXT_LOG ||
        len >= UINT32_MAX) {
        return pm_fail(err, PM_LIMIT, "the words counted are more than 2^%d bytes of text", MAX_TEXT_LOG);
    }
    to->more += more;
    return more <= MAX_MORE && to->more <= MAX_MORE ? PM_OK : pm_fail(err, PM_LIMIT, "counts of long words are too large");
}

/* Makes room for a record of this size in the chunk. */
static pm_status make_room(pm_store_sink *to, size_t bytes, pm_error *err) {
    pm_records one = {0};
    if (to->chunk && to->chunk->size - to->chunk->used >= bytes) {
        return PM_OK;
    }
    if (to->chunk && to->chunk->used > sizeof *to->chunk) {
        PM_TRY(pm_store_put(to->store, &to->chunk, err));
    }
    if (!to->chunk || to->chunk->size - to->chunk->used < bytes) {
        pm_chunk_free(to->chunk);
        to->chunk = pm_records_add_chunk(&one, bytes);
    }
    return to->chunk ? PM_OK : pm_fail_memory(err);
}

static pm_status take_to_store(pm_word_sink *where, const uint8_t *word, size_t len, uint64_t count, uint64_t documents, pm_error *err) {
    pm_store_sink *to = (pm_store_sink *)where;
    size_t bytes = pm_record_bytes(len, 1);
    to->distinct++;
    if (documents < to->min_documents) {
        return PM_OK;
    }
    PM_TRY(check_size(to, len, count, err));
    while (count) {
        PM_TRY(make_room(to, bytes, err));
        pm_record *record = pm_record_at(to->chunk, to->chunk->used);
        record->weight = count < UINT32_MAX ? (uint32_t)count : UINT32_MAX;
        record->n = (uint32_t)len;
        memset((uint8_t *)record + bytes - 8, 0, 8); /* what fills up the last 8 bytes */
        memcpy(pm_record_cells(record), word, len);
        to->chunk->used += bytes;
        count -= record->weight;
    }
    return PM_OK;
}

pm_status pm_store_sink_open(pm_store_sink *to, uint64_t min_documents, uint64_t room, const char *tmpdir, pm_error *err) {
    *to = (pm_store_sink){.sink = {take_to_store}, .min_documents = min_documents};
    return pm_store_new(&to->store, room, tmpdir, err);
}

pm_status pm_store_sink_close(pm_store_sink *to, pm_status status, pm_store **out, pm_error *err) {
    if (status == PM_OK && to->chunk && to->chunk->used > sizeof *to->chunk) {
        status = pm_store_put(to->store, &to->chunk, err);
    }
    pm_chunk_free(to->chunk);
    to->chunk = NULL;
    if (status != PM_OK) {
        pm_store_free(to->store);
        to->store = NULL;
    }
    *out = to->store;
    return status;
}

/* ---------------------------------------------------------------- many runs ---- */

/* Leaves FAN runs at most. */
static pm_status join_many(runs *all, const char *settings, const pm_count_work *work, pm_error *err) {
    while (all->n > FAN) {
        run joined;
        PM_TRY(join_runs(all->list, FAN, &joined, settings, work, 0, err));
        all->n -= FAN;
        memmove(all->list, all->list + FAN, all->n * sizeof *all->list);
        all->list[all->n++] = joined;
    }
    return PM_OK;
}

/* Merges all runs, which are used up, into the sink. */
static pm_status merge_many(runs *all, const char *settings, pm_word_sink *to, uint64_t words, const pm_count_work *work, pm_error *err) {
    PM_TRY(pm_ticker_phase(work->ticker, "merge words", "words", words, err));
    PM_TRY(join_many(all, settings, work, err));
    return merge_runs(all->list, all->n, settings, to, work, 0, true, err);
}

static pm_status name_runs(runs *all, const char *const *paths, size_t n, pm_error *err) {
    for (size_t i = 0; i < n; i++) {
        run r = {.fd = -1, .path = paths[i]};
        PM_TRY(add_run(all, &r, err));
    }
    return PM_OK;
}

/* ---------------------------------------------------------------- the calls ---- */

pm_status pm_count_store_write(pm_store *store, const char *path, const char *settings, pm_count_totals *totals, const pm_count_work *work,
                               pm_error *err) {
    file_sink to = {.sink = {take_to_file}};
    runs all;
    runs_init(&all);
    pm_status status = pm_count_writer_open(&to.writer, path, NULL, settings, err);
    if (status == PM_OK) {
        status = sort_store(&all, store, settings, to.writer.documents, work, err);
    }
    if (status == PM_OK) {
        status = merge_many(&all, settings, &to.sink, 0, work, err);
    }
    runs_release(&all);
    return pm_count_writer_close(&to.writer, status, totals, err);
}

pm_status pm_count_store_filter(pm_store **out, pm_store *store, uint64_t min_documents, uint64_t room, const pm_count_work *work, pm_error *err) {
    static const char settings[] = "documents=yes\n"; /* of the temporary files */
    pm_store_sink to;
    runs all;
    runs_init(&all);
    pm_status status = pm_store_sink_open(&to, min_documents, room, work->tmpdir, err);
    if (status == PM_OK) {
        status = sort_store(&all, store, settings, true, work, err);
    }
    if (status == PM_OK) {
        status = merge_many(&all, settings, &to.sink, 0, work, err);
    }
    runs_release(&all);
    return pm_store_sink_close(&to, status, out, err);
}

pm_status pm_count_files_look(const char *const *paths, size_t n, pm_buf *settings, pm_count_totals *totals, pm_error *err) {
    pm_status status = PM_OK;
    *totals = (pm_count_totals){0};
    *settings = (pm_buf){0};
    for (size_t i = 0; i < n && status == PM_OK; i++) {
        pm_count_reader r;
        status = pm_count_reader_open(&r, paths[i], err);
        if (status == PM_OK) {
            const char *own = (const char *)r.settings.data;
            status = i ? pm_count_settings_compare(own, paths[i], (const char *)settings->data, paths[0], err)
                       : pm_buf_append(settings, own, r.settings.len + 1, err);
        }
        if (status == PM_OK) {
            status = pm_count_totals_add(totals, &r.totals, err);
            totals->distinct += r.totals.distinct;
        }
        pm_count_reader_close(&r);
    }
    if (status != PM_OK) {
        pm_buf_release(settings);
    }
    return status;
}

pm_status pm_count_files_merge(const char *path, const char *const *paths, size_t n, pm_count_totals *totals, const pm_count_work *work, pm_error *err) {
    file_sink to = {.sink = {take_to_file}};
    pm_buf settings;
    runs all;
    PM_TRY(pm_count_files_look(paths, n, &settings, totals, err));
    runs_init(&all);
    pm_status status = name_runs(&all, paths, n, err);
    if (status == PM_OK) {
        status = pm_count_writer_open(&to.writer, path, NULL, (const char *)settings.data, err);
        if (status == PM_OK) {
            status = merge_many(&all, (const char *)settings.data, &to.sink, totals->distinct, work, err);
        }
        status = pm_count_writer_close(&to.writer, status, totals, err);
    }
    runs_release(&all);
    pm_buf_release(&settings);
    return status;
}

pm_status pm_count_files_read(pm_store **out, const char *const *paths, size_t n, uint64_t min_documents, uint64_t room, pm_count_totals *totals,
                              const pm_count_work *work, pm_error *err) {
    pm_buf settings;
    pm_store_sink to;
    runs all;
    *out = NULL;
    PM_TRY(pm_count_files_look(paths, n, &settings, totals, err));
    runs_init(&all);
    pm_status status = pm_store_sink_open(&to, min_documents, room, work->tmpdir, err);
    if (status == PM_OK) {
        status = name_runs(&all, paths, n, err);
    }
    if (status == PM_OK) {
        status = merge_many(&all, (const char *)settings.data, &to.sink, totals->distinct, work, err);
    }
    totals->distinct = to.distinct;
    runs_release(&all);
    pm_buf_release(&settings);
    return pm_store_sink_close(&to, status, out, err);
}

/* ---------------------------------------------------------------- word by word ---- */

struct pm_count_stream {
    runs all;
    merge merge;
    pm_ticker *ticker;
};

static pm_status stream_new(pm_count_stream **out, const pm_count_work *work, pm_error *err) {
    *out = pm_calloc(1, sizeof **out);
    if (!*out) {
        return pm_fail_memory(err);
    }
    runs_init(&(*out)->all);
    (*out)->ticker = work->ticker;
    return PM_OK;
}

/* With all runs there. */
static pm_status stream_begin(pm_count_stream *s, const char *settings, const pm_count_work *work, pm_error *err) {
    PM_TRY(join_many(&s->all, settings, work, err));
    return merge_open(&s->merge, s->all.list, s->all.n, settings, work->tmpdir, err);
}

static pm_status stream_end(pm_count_stream **out, pm_status status) {
    if (status != PM_OK) {
        pm_count_stream_free(*out);
        *out = NULL;
    }
    return status;
}

pm_status pm_count_stream_store(pm_count_stream **out, pm_store *store, bool documents, const pm_count_work *work, pm_error *err) {
    const char *settings = documents ? "documents=yes\n" : "";
    PM_TRY(stream_new(out, work, err));
    pm_status status = sort_store(&(*out)->all, store, settings, documents, work, err);
    return stream_end(out, status == PM_OK ? stream_begin(*out, settings, work, err) : status);
}

pm_status pm_count_stream_files(pm_count_stream **out, const char *const *paths, size_t n, pm_count_totals *totals, const pm_count_work *work,
                                pm_error *err) {
    pm_buf settings;
    *out = NULL;
    PM_TRY(pm_count_files_look(paths, n, &settings, totals, err));
    pm_status status = stream_new(out, work, err);
    if (status == PM_OK) {
        status = name_runs(&(*out)->all, paths, n, err);
        status = stream_end(out, status == PM_OK ? stream_begin(*out, (const char *)settings.data, work, err) : status);
    }
    pm_buf_release(&settings);
    return status;
}

pm_status pm_count_stream_next(pm_count_stream *s, pm_counted_word *word, bool *more, pm_error *err) {
    merge *m = &s->merge;
    *word = (pm_counted_word){0};
    *more = m->n > 0;
    if (!*more) {
        return PM_OK;
    }
    PM_TRY(next_word(m, err));
    *word = (pm_counted_word){{m->word.data, m->word.len}, m->count, m->documents};
    return ++m->done % POLL_WORDS == 0 ? pm_ticker_poll(s->ticker, 0, err) : PM_OK;
}

void pm_count_stream_free(pm_count_stream *s) {
    if (s) {
        merge_close(&s->merge, s->all.n);
        runs_release(&s->all);
        pm_free(s);
    }
}
