/* corpus.c - a list of sources, read one after the other into blocks of whole documents.
 *
 *     sources   a.txt.zst      b.jsonl        callback       documents in memory
 *               reader         reader         |              |
 *               cut            one line each  |              |
 *               \______________\______________\_____________/
 *                                  block: text + ends
 *
 * Plain text is read straight into the block's own memory, at its end, and cut there: when the block is full, the begun
 * document behind the last end moves to `rest` and stands at the head of the next block. So a byte is copied at most twice beside the
 * read itself, and only if its document lies across two blocks. A document that is longer than a block makes the block grow until the
 * document is complete, and what was looked at is not looked at again. JSONL goes through `rest` as raw lines and is decoded into the block.
 *
 * A block stops at about `want` bytes, or at `want` documents where those are empty, so its memory is bounded by `want` and
 * the longest document. Files are opened when they are added, to fail early, and again when their turn comes, because a
 * corpus of 100,000 shards must not hold as many files open; what cannot be opened twice (standard input, pipes) stays open. */
#include "corpus/corpus.h"

#include "corpus/balance.h"
#include "corpus/cut.h"
#include "corpus/filter.h"
#include "corpus/jsonl.h"
#include "corpus/source.h"

#define DEFAULT_WANT ((size_t)1 << 20)
#define DEFAULT_WINDOW (UINT64_C(128) << 20)
#define MOST_WINDOW (UINT64_C(1) << 31)
#define RAW_BYTES ((size_t)1 << 18) /* JSONL is read in pieces of this size */
#define COPY_BYTES ((size_t)1 << 22) /* of a document in memory between two looks at the ticker */
#define MILLION 1000000

struct pm_corpus {
    pm_split split;
    char *field;        /* NULL: not named, "text" */
    unsigned window_log;
    uint32_t sample_ppm;
    uint64_t sample_bytes;
    double temperature; /* 0: none */
    bool by_folder;
    pm_filter filter;
    uint64_t *scripts;  /* NULL: not counted */
    pm_source *sources;
    size_t n, cap;
    pm_source_report *rows;
    size_t n_rows, cap_rows;
    size_t memory_row;  /* that of all documents in memory, + 1; 0: none yet */
    bool unknown_total; /* some source does not tell its size */
    bool weighted;      /* some source has a weight other than 1 */
    uint64_t total, done;
    uint64_t most;      /* bytes in a document; 0: any number */
    uint64_t checked;   /* of the open file: raw bytes after which it was as before */
    pm_ticker *ticker;  /* polled while reading takes long; NULL: none */

    bool begun;       /* something was read */
    size_t at;        /* the source that is being read */
    bool open;        /* it is a file and `reader` reads it */
    pm_reader reader;
    pm_buf rest;      /* text: the begun document; JSONL: raw lines */
    size_t rest_at;   /* JSONL: where the next line begins in it */
    size_t rest_seen; /* JSONL: no newline between rest_at and here */
    pm_cut cut;       /* text: how much of `rest` was looked at */
    pm_jsonl jsonl;

    pm_error failure; /* a corpus that failed fails again */
    pm_block block;   /* pm_corpus_read's */
    pm_bytes *docs;
    size_t cap_docs;
};

/* ---------------------------------------------------------------- life ---- */

static pm_status check_options(const pm_corpus_options *o, pm_error *err) {
    if (o->split != PM_SPLIT_LINE && o->split != PM_SPLIT_PARAGRAPH && o->split != PM_SPLIT_DOCUMENT) {
        return pm_fail(err, PM_INVALID_ARGUMENT, "split %d is none of line, paragraph, document", (int)o->split);
    }
    if (o->max_window > MOST_WINDOW || (o->max_window && o->max_window < 1024)) {
        return pm_fail(err, PM_INVALID_ARGUMENT, "max_window %llu is not between 1024 and 2^31", (unsigned long long)o->max_window);
    }
    if (o->sample_ppm > MILLION) {
        return pm_fail(err, PM_INVALID_ARGUMENT, "a sample of %u documents of a million", o->sample_ppm);
    }
    if (o->sample_ppm && o->sample_bytes) {
        return pm_fail(err, PM_INVALID_ARGUMENT, "a sample is a share or a number of bytes, not both");
    }
    if (o->temperature != 0 && !(o->temperature >= 1)) {
        return pm_fail(err, PM_INVALID_ARGUMENT, "a temperature of %g: it is 1 or more", o->temperature);
    }
    if (o->temperature_by_folder && o->temperature == 0) {
        return pm_fail(err, PM_INVALID_ARGUMENT, "languages are said to be folders, and no temperature is given");
    }
    return PM_OK;
}

pm_status pm_corpus_new(pm_corpus **out, const pm_corpus_options *options, pm_error *err) {
    pm_corpus_options o = PM_CORPUS_OPTIONS_INIT;
    *out = NULL;
    if (options) {
        memcpy(&o, options, options->size < sizeof o ? options->size : sizeof o);
    }
    PM_TRY(check_options(&o, err));
    pm_corpus *corpus = pm_calloc(1, sizeof *corpus);
    char *field = corpus && o.field ? pm_strdup(o.field) : NULL;
    uint64_t *scripts = corpus && o.count_scripts ? pm_calloc(PM_SCRIPTS_MAX, sizeof *scripts) : NULL;
    if (!corpus || (o.field && !field) || (o.count_scripts && !scripts)) {
        pm_free(scripts);
        pm_free(field);
        pm_free(corpus);
        return pm_fail_memory(err);
    }
    corpus->split = o.split;
    corpus->sample_ppm = o.sample_ppm;
    corpus->sample_bytes = o.sample_bytes;
    corpus->temperature = o.temperature > 1 ? o.temperature : 0;
    corpus->by_folder = o.temperature_by_folder;
    corpus->filter.seed = o.seed;
    corpus->filter.unique = o.remove_duplicates;
    if (o.sample_ppm) {
        pm_filter_set_share(&corpus->filter, o.sample_ppm, MILLION);
    }
    corpus->scripts = scripts;
    corpus->field = field;
    corpus->window_log = 63u - (unsigned)__builtin_clzll(o.max_window ? o.max_window : DEFAULT_WINDOW);
    corpus->reader.fd = -1;
    pm_jsonl_init(&corpus->jsonl, field ? field : "text");
    *out = corpus;
    return PM_OK;
}

void pm_block_release(pm_block *block) {
    pm_buf_release(&block->text);
    pm_free(block->ends);
    *block = (pm_block){0};
}

void pm_corpus_free(pm_corpus *corpus) {
    if (!corpus) {
        return;
    }
    pm_reader_close(&corpus->reader);
    for (size_t i = 0; i < corpus->n; i++) {
        if (corpus->sources[i].kind == PM_SOURCE_FILE) {
            pm_file_source_free(corpus->sources[i].as.file);
        }
    }
    pm_free(corpus->sources);
    pm_free(corpus->rows);
    pm_free(corpus->scripts);
    pm_once_release(&corpus->filter.seen);
    pm_free(corpus->field);
    pm_buf_release(&corpus->rest);
    pm_jsonl_release(&corpus->jsonl);
    pm_block_release(&corpus->block);
    pm_free(corpus->docs);
    pm_free(corpus);
}

/* ---------------------------------------------------------------- adding ---- */

static pm_status add_row(pm_corpus *corpus, const char *name, uint32_t weight, pm_error *err) {
    PM_TRY(pm_grow((void **)&corpus->rows, &corpus->cap_rows, corpus->n_rows + 1, sizeof *corpus->rows, err));
    corpus->rows[corpus->n_rows++] = (pm_source_report){.name = name, .weight = weight};
    return PM_OK;
}

/* Adds a source that has the last row. */
static pm_status add_source(pm_corpus *corpus, pm_source s, pm_error *err) {
    PM_TRY(pm_grow((void **)&corpus->sources, &corpus->cap, corpus->n + 1, sizeof *corpus->sources, err));
    corpus->sources[corpus->n++] = s;
    return PM_OK;
}

pm_status pm_corpus_add_document(pm_corpus *corpus, pm_bytes document, pm_error *err) {
    if (!corpus->memory_row) {
        PM_TRY(add_row(corpus, "documents in memory", 1, err));
        corpus->memory_row = corpus->n_rows;
    }
    PM_TRY(add_source(corpus, (pm_source){PM_SOURCE_DOCUMENT, 1, corpus->memory_row - 1, .as.document = document}, err));
    corpus->total += document.len;
    return PM_OK;
}

pm_status pm_corpus_add_callback(pm_corpus *corpus, pm_next_fn next, void *user, pm_error *err) {
    PM_TRY(add_row(corpus, "callback", 1, err));
    PM_TRY(add_source(corpus, (pm_source){PM_SOURCE_CALLBACK, 1, corpus->n_rows - 1, .as.callback = {next, user}}, err));
    corpus->unknown_total = true;
    return PM_OK;
}

pm_status pm_corpus_add_file(pm_corpus *corpus, const char *path, pm_error *err) {
    return pm_corpus_add_file_weighted(corpus, path, 1, err);
}

pm_status pm_corpus_add_file_weighted(pm_corpus *corpus, const char *path, uint32_t weight, pm_error *err) {
    if (weight < 1 || weight > PM_WEIGHT_MAX) {
        return pm_fail_file(err, PM_INVALID_ARGUMENT, path, PM_NO_OFFSET, "a weight of %u: it is 1 to %d", weight, PM_WEIGHT_MAX);
    }
    pm_file_source *file;
    PM_TRY(pm_file_source_new(&file, path, corpus->field != NULL, err));
    pm_status status = add_row(corpus, file->path, weight, err);
    if (status == PM_OK) {
        status = add_source(corpus, (pm_source){PM_SOURCE_FILE, weight, corpus->n_rows - 1, .as.file = file}, err);
        corpus->n_rows -= status != PM_OK;
    }
    if (status != PM_OK) {
        pm_file_source_free(file);
        return status;
    }
    corpus->total += file->size;
    corpus->unknown_total = corpus->unknown_total || !file->regular;
    corpus->weighted = corpus->weighted || weight != 1;
    return PM_OK;
}

/* ---------------------------------------------------------------- reading files ---- */

static bool is_full(const pm_block *block, size_t want) {
    return block->n > 0 && (block->text.len >= want || block->n >= want);
}

static pm_status open_source(pm_corpus *corpus, pm_file_source *file, pm_error *err) {
    corpus->rest.len = corpus->rest_at = corpus->rest_seen = 0;
    corpus->cut = (pm_cut){0};
    corpus->checked = 0;
    corpus->open = true; /* on failure too: the reader may have the file then */
    PM_TRY(pm_file_source_open(file, &corpus->reader, corpus->window_log, err));
    corpus->reader.ticker = corpus->ticker;
    return PM_OK;
}

static void close_source(pm_corpus *corpus) {
    corpus->done += corpus->reader.raw;
    pm_reader_close(&corpus->reader);
    corpus->open = false;
}

static pm_status poll_ticker(const pm_corpus *corpus, pm_error *err) {
    return corpus->ticker ? pm_ticker_poll(corpus->ticker, 0, err) : PM_OK;
}

/* Reads `room` more bytes to the end of *buf, where `begun` bytes of a document or line stand already. */
static pm_status read_more(pm_corpus *corpus, pm_buf *buf, size_t begun, size_t room, pm_error *err) {
    size_t got;
    if (corpus->most && begun > corpus->most) {
        return pm_fail(err, PM_LIMIT, "memory_limit is too small for the document of more than %zu bytes at byte %llu", begun,
                       (unsigned long long)(corpus->reader.given - begun));
    }
    if (begun) {
        PM_TRY(poll_ticker(corpus, err));
    }
    PM_TRY(pm_buf_reserve(buf, room, err));
    PM_TRY(pm_reader_read(&corpus->reader, buf->data + buf->len, room, &got, err));
    buf->len += got;
    if (corpus->reader.raw > corpus->checked || corpus->reader.ended) {
        corpus->checked = corpus->reader.raw;
        return pm_file_source_unchanged(corpus->sources[corpus->at].as.file, corpus->reader.fd, err);
    }
    return PM_OK;
}

static size_t last_end(const pm_block *block) { return block->n ? block->ends[block->n - 1] : 0; }

/* The begun document behind the last end waits for the next block. */
static pm_status keep_rest(pm_corpus *corpus, pm_block *block, const pm_cut *cut, pm_error *err) {
    size_t end = last_end(block);
    corpus->rest.len = 0;
    PM_TRY(pm_buf_append(&corpus->rest, block->text.data + end, block->text.len - end, err));
    corpus->cut = (pm_cut){cut->at - end, cut->run};
    block->text.len = end;
    return PM_OK;
}

/* Fills the block from plain text until it is full or the file ends. */
static pm_status fill_text(pm_corpus *corpus, pm_block *block, size_t want, bool *ended, pm_error *err) {
    size_t start = block->text.len;
    pm_cut cut = {start + corpus->cut.at, corpus->cut.run};
    PM_TRY(pm_buf_append(&block->text, corpus->rest.data, corpus->rest.len, err));
    for (;;) {
        PM_TRY(pm_cut_text(block, &cut, corpus->split, err));
        if (corpus->reader.ended) {
            break;
        }
        if (is_full(block, want)) {
            return keep_rest(corpus, block, &cut, err);
        }
        size_t begun = block->text.len - last_end(block), room = block->text.len < want ? want - block->text.len : want;
        PM_TRY(read_more(corpus, &block->text, begun, room < want / 4 ? want / 4 : room, err)); /* no drops for the last of a block */
    }
    /* A last line without newline is a document; a whole file is one, however short. */
    *ended = true;
    bool whole_file = corpus->split == PM_SPLIT_DOCUMENT;
    return block->text.len > last_end(block) || whole_file ? pm_block_end(block, block->text.len, err) : PM_OK;
}

/* The next raw line, without its newline, in *line; none at the end of the file. */
static pm_status next_line(pm_corpus *corpus, pm_bytes *line, bool *ended, pm_error *err) {
    pm_buf *rest = &corpus->rest;
    for (;;) {
        size_t begin = corpus->rest_at, left = rest->len - corpus->rest_seen;
        const uint8_t *newline = left ? memchr(rest->data + corpus->rest_seen, '\n', left) : NULL;
        if (newline || corpus->reader.ended) {
            size_t end = newline ? (size_t)(newline - rest->data) : rest->len;
            *ended = !newline && begin == rest->len;
            *line = (pm_bytes){rest->data ? rest->data + begin : NULL, end - begin};
            corpus->rest_at = corpus->rest_seen = newline ? end + 1 : end;
            return PM_OK;
        }
        if (begin > 0) {
            memmove(rest->data, rest->data + begin, rest->len - begin);
            rest->len -= begin;
            corpus->rest_at = 0;
        }
        corpus->rest_seen = rest->len;
        PM_TRY(read_more(corpus, rest, rest->len, RAW_BYTES, err));
    }
}

static pm_status fill_jsonl(pm_corpus *corpus, pm_block *block, size_t want, bool *ended, pm_error *err) {
    while (!is_full(block, want)) {
        pm_bytes line;
        PM_TRY(next_line(corpus, &line, ended, err));
        if (*ended) {
            break;
        }
        uint64_t begin = corpus->reader.given - (corpus->rest.len - (size_t)(line.data - corpus->rest.data));
        if (begin == 0 && line.len >= 3 && memcmp(line.data, "\xEF\xBB\xBF", 3) == 0) {
            line = (pm_bytes){line.data + 3, line.len - 3}; /* a byte order mark at the head of the file */
            begin = 3;
        }
        bool found;
        pm_status status = pm_jsonl_read(&corpus->jsonl, line.data, line.len, &block->text, &found, err);
        if (status == PM_BAD_INPUT) {
            err->offset += begin;
        }
        PM_TRY(status);
        if (found) {
            PM_TRY(pm_block_end(block, block->text.len, err));
        }
    }
    return PM_OK;
}

static pm_status fill_file(pm_corpus *corpus, pm_file_source *file, pm_block *block, size_t want, bool *ended, pm_error *err) {
    if (!corpus->open) {
        PM_TRY(open_source(corpus, file, err));
    }
    pm_status status = (file->jsonl ? fill_jsonl : fill_text)(corpus, block, want, ended, err);
    if (status == PM_OK && *ended) {
        close_source(corpus);
    }
    bool of_file = status != PM_NO_MEMORY && status != PM_CANCELLED;
    return pm_error_in_file(err, status, of_file ? file->path : NULL);
}

/* ---------------------------------------------------------------- other sources ---- */

static pm_status add_document(const pm_corpus *corpus, pm_block *block, pm_bytes document, pm_error *err) {
    PM_TRY(pm_buf_reserve(&block->text, document.len, err));
    for (size_t done = 0, part; done < document.len; done += part) {
        part = document.len - done < COPY_BYTES ? document.len - done : COPY_BYTES;
        PM_TRY(done ? poll_ticker(corpus, err) : PM_OK);
        PM_TRY(pm_buf_append(&block->text, document.data + done, part, err));
    }
    return pm_block_end(block, block->text.len, err);
}

static pm_status fill_callback(pm_corpus *corpus, const pm_source *s, pm_block *block, size_t want, bool *ended, pm_error *err) {
    while (!is_full(block, want)) {
        pm_bytes document = {NULL, 0};
        int more = s->as.callback.next(s->as.callback.user, &document);
        if (more < 0) {
            return pm_fail(err, PM_CANCELLED, "reading was cancelled");
        }
        if (more == 0) {
            *ended = true;
            break;
        }
        PM_TRY(poll_ticker(corpus, err));
        PM_TRY(add_document(corpus, block, document, err));
        corpus->done += document.len;
    }
    return PM_OK;
}

static pm_status fill_from(pm_corpus *corpus, pm_source *s, pm_block *block, size_t want, bool *ended, pm_error *err) {
    switch (s->kind) {
    case PM_SOURCE_FILE: return fill_file(corpus, s->as.file, block, want, ended, err);
    case PM_SOURCE_CALLBACK: return fill_callback(corpus, s, block, want, ended, err);
    case PM_SOURCE_DOCUMENT: break;
    }
    *ended = true;
    corpus->done += s->as.document.len;
    return add_document(corpus, block, s->as.document, err);
}

/* ---------------------------------------------------------------- how much text there is ---- */

static void forget(pm_block *block) {
    block->text.len = block->n = 0;
    block->weight = 1;
}

/* The bytes of text in a file. One of plain text is not read: its size is known. */
static pm_status measure_file(pm_corpus *corpus, pm_file_source *file, uint64_t *bytes, pm_error *err) {
    pm_block block = {0};
    bool ended = false, plain = !file->jsonl && file->packing == PM_PACKING_NONE;
    pm_status status = PM_OK;
    *bytes = plain ? file->size : 0;
    while (status == PM_OK && !plain && !ended) {
        forget(&block);
        status = fill_file(corpus, file, &block, DEFAULT_WANT, &ended, err);
        *bytes += block.text.len;
        if (status == PM_OK && !ended && !file->jsonl && corpus->reader.packing == PM_PACKING_NONE) {
            *bytes = file->size; /* its first bytes tell that it is plain */
            close_source(corpus);
            ended = true;
        }
        if (status == PM_OK && corpus->ticker) {
            uint64_t done;
            pm_corpus_position(corpus, &done, NULL);
            status = pm_ticker_tick(corpus->ticker, done, err);
        }
    }
    pm_block_release(&block);
    return status;
}

static pm_status measure_source(pm_corpus *corpus, const pm_source *s, uint64_t *bytes, pm_error *err) {
    *bytes = s->as.document.len;
    if (s->kind == PM_SOURCE_DOCUMENT) {
        return PM_OK;
    }
    if (s->kind == PM_SOURCE_CALLBACK || !s->as.file->regular || s->as.file->keep_fd) {
        return pm_fail_file(err, PM_INVALID_ARGUMENT, corpus->rows[s->row].name, PM_NO_OFFSET,
                            corpus->sample_bytes ? "a sample in bytes needs a source that can be read twice; give a share of the documents"
                                                 : "a temperature needs sources that can be read twice, to know their sizes");
    }
    return measure_file(corpus, s->as.file, bytes, err);
}

/* The bytes of text in all sources, by their rows. */
static pm_status measure_rows(pm_corpus *corpus, pm_balanced *rows, uint64_t *total, pm_error *err) {
    for (size_t i = 0; i < corpus->n_rows; i++) {
        rows[i] = (pm_balanced){corpus->rows[i].name, 0, corpus->rows[i].weight, corpus->by_folder && i + 1 != corpus->memory_row};
    }
    *total = 0;
    for (corpus->at = 0; corpus->at < corpus->n; corpus->at++) {
        const pm_source *s = &corpus->sources[corpus->at];
        uint64_t bytes;
        PM_TRY(measure_source(corpus, s, &bytes, err));
        rows[s->row].bytes += bytes;
        *total += bytes;
    }
    corpus->at = 0;
    corpus->done = 0;
    return PM_OK;
}

static pm_status set_weights(pm_corpus *corpus, pm_balanced *rows, pm_error *err) {
    PM_TRY(pm_balance(rows, corpus->n_rows, corpus->temperature, err));
    for (size_t i = 0; i < corpus->n_rows; i++) {
        corpus->rows[i].weight = rows[i].weight;
    }
    for (size_t i = 0; i < corpus->n; i++) {
        corpus->sources[i].weight = corpus->rows[corpus->sources[i].row].weight;
    }
    return PM_OK;
}

static pm_status measure_all(pm_corpus *corpus, pm_error *err) {
    uint64_t total;
    pm_balanced *rows = pm_alloc(corpus->n_rows, sizeof *rows);
    if (!rows) {
        return pm_fail_memory(err);
    }
    pm_status status = measure_rows(corpus, rows, &total, err);
    if (status == PM_OK && corpus->sample_bytes) {
        pm_filter_set_share(&corpus->filter, corpus->sample_bytes, total);
    }
    if (status == PM_OK && corpus->temperature != 0) {
        status = set_weights(corpus, rows, err);
    }
    pm_free(rows);
    return status;
}

/* What is done once, before the first document: a sample of so many bytes becomes a share, a temperature becomes weights. */
static pm_status begin(pm_corpus *corpus, pm_error *err) {
    corpus->begun = true;
    if (!corpus->sample_bytes && corpus->temperature == 0) {
        return PM_OK;
    }
    if (!corpus->ticker) {
        return measure_all(corpus, err);
    }
    pm_progress before = corpus->ticker->now;
    PM_TRY(pm_ticker_phase(corpus->ticker, "measure", "bytes", corpus->total, err));
    PM_TRY(measure_all(corpus, err));
    return pm_ticker_phase(corpus->ticker, before.phase, before.unit, before.total, err);
}

/* ---------------------------------------------------------------- blocks ---- */

/* Adds what the source that is being read gives next, as far as it is taken. *room: the source did not fill the block, or not all of
 * that was taken. */
static pm_status fill_more(pm_corpus *corpus, pm_block *block, size_t want, bool *room, pm_error *err) {
    pm_source *s = &corpus->sources[corpus->at];
    size_t first = block->n, start = last_end(block);
    uint64_t done;
    bool ended = false;
    block->weight = s->weight;
    PM_TRY(fill_from(corpus, s, block, want, &ended, err));
    corpus->at += ended;
    size_t came = block->n;
    PM_TRY(pm_filter_block(&corpus->filter, block, first, &corpus->rows[s->row], err));
    *room = ended || block->n < came;
    if (corpus->scripts && block->text.len > start) {
        pm_text_scripts((pm_bytes){block->text.data + start, block->text.len - start}, corpus->scripts);
    }
    pm_corpus_position(corpus, &done, NULL);
    return corpus->ticker ? pm_ticker_tick(corpus->ticker, done, err) : PM_OK; /* much may be read for little that is taken */
}

pm_status pm_corpus_fill(pm_corpus *corpus, pm_block *block, size_t want, pm_error *err) {
    pm_status status = corpus->failure.status;
    forget(block);
    want = want ? want : DEFAULT_WANT;
    if (status == PM_OK && !corpus->begun) {
        status = begin(corpus, &corpus->failure);
    }
    bool room = true;
    while (status == PM_OK && room && corpus->at < corpus->n && !is_full(block, want) &&
           (!block->n || block->weight == corpus->sources[corpus->at].weight)) {
        status = fill_more(corpus, block, want, &room, &corpus->failure);
    }
    if (status != PM_OK) {
        forget(block);
        if (err) {
            *err = corpus->failure;
        }
    } else if (corpus->at == corpus->n) {
        pm_once_release(&corpus->filter.seen);
    }
    return status;
}

pm_status pm_corpus_read(pm_corpus *corpus, size_t want, const pm_bytes **docs, size_t *n, pm_error *err) {
    pm_block *block = &corpus->block;
    *docs = NULL;
    *n = 0;
    PM_TRY(pm_corpus_fill(corpus, block, want, err));
    if (!block->n) {
        return PM_OK;
    }
    PM_TRY(pm_grow((void **)&corpus->docs, &corpus->cap_docs, block->n, sizeof *corpus->docs, err));
    for (size_t i = 0, begin = 0; i < block->n; i++) {
        corpus->docs[i] = (pm_bytes){block->text.data ? block->text.data + begin : NULL, block->ends[i] - begin};
        begin = block->ends[i];
    }
    *docs = corpus->docs;
    *n = block->n;
    return PM_OK;
}

/* ---------------------------------------------------------------- questions ---- */

void pm_corpus_position(const pm_corpus *corpus, uint64_t *done, uint64_t *total) {
    if (done) {
        *done = corpus->done + (corpus->open ? corpus->reader.raw : 0);
    }
    if (total) {
        *total = corpus->unknown_total ? 0 : corpus->total;
    }
}

bool pm_corpus_source(const pm_corpus *corpus, size_t i, pm_source_report *row) {
    if (i >= corpus->n_rows) {
        return false;
    }
    *row = corpus->rows[i];
    return true;
}

const uint64_t *pm_corpus_scripts(const pm_corpus *corpus) { return corpus->scripts; }

void pm_corpus_limit_documents(pm_corpus *corpus, uint64_t most) { corpus->most = most; }

void pm_corpus_limit_hashes(pm_corpus *corpus, uint64_t most, const char *tmpdir) {
    corpus->filter.seen.most = most;
    corpus->filter.seen.tmpdir = tmpdir;
}

void pm_corpus_watch(pm_corpus *corpus, pm_ticker *ticker) {
    corpus->ticker = ticker;
    corpus->reader.ticker = ticker;
    corpus->jsonl.ticker = ticker;
    corpus->filter.seen.ticker = ticker;
}

bool pm_corpus_is_weighted(const pm_corpus *corpus) { return corpus->weighted || corpus->temperature != 0; }
bool pm_corpus_has_temperature(const pm_corpus *corpus) { return corpus->temperature != 0; }

bool pm_corpus_splits_lines(const pm_corpus *corpus) {
    for (size_t i = 0; i < corpus->n && corpus->split == PM_SPLIT_LINE; i++) {
        if (corpus->sources[i].kind == PM_SOURCE_FILE && !corpus->sources[i].as.file->jsonl) {
            return true;
        }
    }
    return false;
}

const char *pm_corpus_split_name(const pm_corpus *corpus) {
    static const char *const names[] = {"line", "paragraph", "document"};
    return names[corpus->split];
}

bool pm_corpus_removes_duplicates(const pm_corpus *corpus) { return corpus->filter.unique; }

pm_status pm_corpus_settings(const pm_corpus *corpus, pm_buf *out, pm_error *err) {
    PM_TRY(pm_buf_printf(out, err, "split=%s\n", pm_corpus_split_name(corpus)));
    if (corpus->sample_bytes) {
        PM_TRY(pm_buf_printf(out, err, "sample=%llu bytes\n", (unsigned long long)corpus->sample_bytes));
    }
    if (corpus->sample_ppm) {
        PM_TRY(pm_buf_printf(out, err, "sample=%u of %u\n", corpus->sample_ppm, MILLION));
    }
    if (corpus->filter.sample || corpus->sample_bytes) {
        PM_TRY(pm_buf_printf(out, err, "seed=%llu\n", (unsigned long long)corpus->filter.seed));
    }
    if (corpus->temperature != 0) {
        PM_TRY(pm_buf_printf(out, err, "temperature=%.9g by %s\n", corpus->temperature, corpus->by_folder ? "folder" : "file"));
    }
    return corpus->filter.unique ? pm_buf_printf(out, err, "remove_duplicates=true\n") : PM_OK;
}
