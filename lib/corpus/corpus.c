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

#include <errno.h>
#include <fcntl.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "corpus/cut.h"
#include "corpus/jsonl.h"
#include "corpus/reader.h"

#define DEFAULT_WANT ((size_t)1 << 20)
#define DEFAULT_WINDOW (UINT64_C(128) << 20)
#define MOST_WINDOW (UINT64_C(1) << 31)
#define RAW_BYTES ((size_t)1 << 18) /* JSONL is read in pieces of this size */

typedef enum source_kind { SOURCE_FILE, SOURCE_DOCUMENT, SOURCE_CALLBACK } source_kind;

typedef struct file_source {
    char *path; /* the name in errors */
    int fd;     /* what stays open; -1: opened when its turn comes */
    bool keep_fd, jsonl;
    pm_packing packing;
    uint64_t size; /* bytes on disk */
} file_source;

typedef struct source {
    source_kind kind;
    uint32_t weight;
    union {
        file_source *file;
        pm_bytes document;
        struct {
            pm_next_fn next;
            void *user;
        } callback;
    } as;
} source;

struct pm_corpus {
    pm_split split;
    char *field;        /* NULL: not named, "text" */
    unsigned window_log;
    source *sources;
    size_t n, cap;
    bool unknown_total; /* some source does not tell its size */
    bool weighted;      /* some source has a weight other than 1 */
    uint64_t total, done;
    uint64_t most;      /* bytes in a document; 0: any number */
    pm_ticker *ticker;  /* polled while a long document is read; NULL: none */

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
    if (!corpus || (o.field && !field)) {
        pm_free(corpus);
        return pm_fail_memory(err);
    }
    corpus->split = o.split;
    corpus->field = field;
    corpus->window_log = 63u - (unsigned)__builtin_clzll(o.max_window ? o.max_window : DEFAULT_WINDOW);
    corpus->reader.fd = -1;
    pm_jsonl_init(&corpus->jsonl, field ? field : "text");
    *out = corpus;
    return PM_OK;
}

static void file_source_free(file_source *file) {
    if (file) {
        if (file->fd >= 0 && !file->keep_fd) {
            close(file->fd);
        }
        pm_free(file->path);
        pm_free(file);
    }
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
        if (corpus->sources[i].kind == SOURCE_FILE) {
            file_source_free(corpus->sources[i].as.file);
        }
    }
    pm_free(corpus->sources);
    pm_free(corpus->field);
    pm_buf_release(&corpus->rest);
    pm_jsonl_release(&corpus->jsonl);
    pm_block_release(&corpus->block);
    pm_free(corpus->docs);
    pm_free(corpus);
}

/* ---------------------------------------------------------------- adding ---- */

static pm_status add_source(pm_corpus *corpus, const source *s, pm_error *err) {
    PM_TRY(pm_grow((void **)&corpus->sources, &corpus->cap, corpus->n + 1, sizeof *corpus->sources, err));
    corpus->sources[corpus->n++] = *s;
    return PM_OK;
}

pm_status pm_corpus_add_document(pm_corpus *corpus, pm_bytes document, pm_error *err) {
    source s = {.kind = SOURCE_DOCUMENT, .weight = 1, .as.document = document};
    PM_TRY(add_source(corpus, &s, err));
    corpus->total += document.len;
    return PM_OK;
}

pm_status pm_corpus_add_callback(pm_corpus *corpus, pm_next_fn next, void *user, pm_error *err) {
    source s = {.kind = SOURCE_CALLBACK, .weight = 1, .as.callback = {next, user}};
    PM_TRY(add_source(corpus, &s, err));
    corpus->unknown_total = true;
    return PM_OK;
}

/* Takes `ending` off the name[0 .. *len) if it ends so. */
static bool strip_ending(const char *name, size_t *len, const char *ending) {
    size_t n = strlen(ending);
    if (*len < n || strncasecmp(name + *len - n, ending, n) != 0) {
        return false;
    }
    *len -= n;
    return true;
}

/* What a file is, by its name. */
static void look_at_name(file_source *file, const char *path) {
    size_t len = strlen(path);
    bool gz = strip_ending(path, &len, ".gz"), zst = !gz && strip_ending(path, &len, ".zst");
    file->jsonl = strip_ending(path, &len, ".jsonl") || strip_ending(path, &len, ".ndjson");
    bool text = strip_ending(path, &len, ".txt");
    file->packing = gz ? PM_PACKING_GZIP : zst ? PM_PACKING_ZSTD : file->jsonl || text ? PM_PACKING_NONE : PM_PACKING_GUESS;
}

static pm_status open_file(const char *path, int *fd, pm_error *err) {
    do {
        *fd = open(path, O_RDONLY | O_CLOEXEC);
    } while (*fd < 0 && errno == EINTR);
    return *fd < 0 ? pm_fail_errno(err, path, errno, "cannot open") : PM_OK;
}

/* Looks at an open file: is it one that can be read, how long is it, must it stay open? */
static pm_status look_at_file(pm_corpus *corpus, file_source *file, pm_error *err) {
    struct stat info;
    if (fstat(file->fd, &info) != 0) {
        return pm_fail_errno(err, file->path, errno, "cannot look at");
    }
    if (S_ISDIR(info.st_mode)) {
        return pm_fail_file(err, PM_IO, file->path, PM_NO_OFFSET, "is a folder, not a file");
    }
    if (!S_ISREG(info.st_mode)) {
        corpus->unknown_total = true;
        return PM_OK;
    }
    off_t begun = file->keep_fd ? lseek(file->fd, 0, SEEK_CUR) : 0; /* standard input may be in the middle of a file */
    file->size = begun >= 0 && begun < info.st_size ? (uint64_t)(info.st_size - begun) : 0;
    if (!file->keep_fd) {
        close(file->fd);
        file->fd = -1;
    }
    return PM_OK;
}

static pm_status fill_file_source(pm_corpus *corpus, file_source *file, const char *path, pm_error *err) {
    bool standard_input = strcmp(path, "-") == 0;
    file->fd = -1;
    file->path = pm_strdup(standard_input ? "standard input" : path);
    if (!file->path) {
        return pm_fail_memory(err);
    }
    if (standard_input) {
        file->fd = STDIN_FILENO;
        file->keep_fd = true;
        file->packing = PM_PACKING_GUESS;
        file->jsonl = corpus->field != NULL;
    } else {
        look_at_name(file, path);
        PM_TRY(pm_packing_supported(file->packing, path, err));
        PM_TRY(open_file(path, &file->fd, err));
    }
    return look_at_file(corpus, file, err);
}

pm_status pm_corpus_add_file(pm_corpus *corpus, const char *path, pm_error *err) {
    return pm_corpus_add_file_weighted(corpus, path, 1, err);
}

pm_status pm_corpus_add_file_weighted(pm_corpus *corpus, const char *path, uint32_t weight, pm_error *err) {
    if (weight < 1 || weight > PM_WEIGHT_MAX) {
        return pm_fail_file(err, PM_INVALID_ARGUMENT, path, PM_NO_OFFSET, "a weight of %u: it is 1 to %d", weight, PM_WEIGHT_MAX);
    }
    file_source *file = pm_calloc(1, sizeof *file);
    if (!file) {
        return pm_fail_memory(err);
    }
    pm_status status = fill_file_source(corpus, file, path, err);
    if (status == PM_OK) {
        status = add_source(corpus, &(source){.kind = SOURCE_FILE, .weight = weight, .as.file = file}, err);
    }
    if (status != PM_OK) {
        file_source_free(file);
        return status;
    }
    corpus->total += file->size;
    corpus->weighted = corpus->weighted || weight != 1;
    return PM_OK;
}

/* ---------------------------------------------------------------- reading files ---- */

static bool is_full(const pm_block *block, size_t want) {
    return block->n > 0 && (block->text.len >= want || block->n >= want);
}

static pm_status open_source(pm_corpus *corpus, file_source *file, pm_error *err) {
    int fd = file->fd;
    bool keep = file->keep_fd;
    if (fd < 0) {
        PM_TRY(open_file(file->path, &fd, err));
    }
    file->fd = -1; /* the reader's from now on */
    pm_reader_open(&corpus->reader, fd, keep, file->path, file->packing, corpus->window_log);
    corpus->rest.len = corpus->rest_at = corpus->rest_seen = 0;
    corpus->cut = (pm_cut){0};
    corpus->open = true;
    return PM_OK;
}

static void close_source(pm_corpus *corpus) {
    corpus->done += corpus->reader.raw;
    pm_reader_close(&corpus->reader);
    corpus->open = false;
}

/* Reads `room` more bytes to the end of *buf, where `begun` bytes of a document or line stand already. */
static pm_status read_more(pm_corpus *corpus, pm_buf *buf, size_t begun, size_t room, pm_error *err) {
    size_t got;
    if (corpus->most && begun > corpus->most) {
        return pm_fail(err, PM_LIMIT, "memory_limit is too small for the document of more than %zu bytes at byte %llu", begun,
                       (unsigned long long)(corpus->reader.given - begun));
    }
    if (corpus->ticker && begun) {
        PM_TRY(pm_ticker_poll(corpus->ticker, 0, err));
    }
    PM_TRY(pm_buf_reserve(buf, room, err));
    PM_TRY(pm_reader_read(&corpus->reader, buf->data + buf->len, room, &got, err));
    buf->len += got;
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
        size_t begun = block->text.len - last_end(block);
        PM_TRY(read_more(corpus, &block->text, begun, block->text.len < want ? want - block->text.len : want, err));
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

static pm_status fill_file(pm_corpus *corpus, file_source *file, pm_block *block, size_t want, bool *ended, pm_error *err) {
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

static pm_status add_document(pm_block *block, pm_bytes document, pm_error *err) {
    PM_TRY(pm_buf_append(&block->text, document.data, document.len, err));
    return pm_block_end(block, block->text.len, err);
}

static pm_status fill_callback(pm_corpus *corpus, const source *s, pm_block *block, size_t want, bool *ended, pm_error *err) {
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
        PM_TRY(add_document(block, document, err));
        corpus->done += document.len;
    }
    return PM_OK;
}

static pm_status fill_from(pm_corpus *corpus, source *s, pm_block *block, size_t want, bool *ended, pm_error *err) {
    switch (s->kind) {
    case SOURCE_FILE: return fill_file(corpus, s->as.file, block, want, ended, err);
    case SOURCE_CALLBACK: return fill_callback(corpus, s, block, want, ended, err);
    case SOURCE_DOCUMENT: break;
    }
    *ended = true;
    corpus->done += s->as.document.len;
    return add_document(block, s->as.document, err);
}

/* ---------------------------------------------------------------- blocks ---- */

static void forget(pm_block *block) {
    block->text.len = block->n = 0;
    block->weight = 1;
}

pm_status pm_corpus_fill(pm_corpus *corpus, pm_block *block, size_t want, pm_error *err) {
    pm_status status = corpus->failure.status;
    forget(block);
    want = want ? want : DEFAULT_WANT;
    bool ended = true; /* a source that has more to give has filled the block */
    while (status == PM_OK && ended && corpus->at < corpus->n && !is_full(block, want)) {
        source *s = &corpus->sources[corpus->at];
        if (block->n && block->weight != s->weight) {
            break;
        }
        block->weight = s->weight;
        ended = false;
        status = fill_from(corpus, s, block, want, &ended, &corpus->failure);
        corpus->at += ended;
    }
    if (status != PM_OK) {
        forget(block);
        if (err) {
            *err = corpus->failure;
        }
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

void pm_corpus_limit_documents(pm_corpus *corpus, uint64_t most) { corpus->most = most; }
void pm_corpus_watch(pm_corpus *corpus, pm_ticker *ticker) { corpus->ticker = ticker; }

bool pm_corpus_is_weighted(const pm_corpus *corpus) { return corpus->weighted; }

bool pm_corpus_splits_lines(const pm_corpus *corpus) {
    for (size_t i = 0; i < corpus->n && corpus->split == PM_SPLIT_LINE; i++) {
        if (corpus->sources[i].kind == SOURCE_FILE && !corpus->sources[i].as.file->jsonl) {
            return true;
        }
    }
    return false;
}

const char *pm_corpus_split_name(const pm_corpus *corpus) {
    static const char *const names[] = {"line", "paragraph", "document"};
    return names[corpus->split];
}
