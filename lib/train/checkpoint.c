/* checkpoint.c - stopping a training at any moment, and going on.
 *
 * Idea. What a training knows is two things, and both are small against the work behind them: the words counted so far, and the merges made so
 * far. Both are written as whole files beside their names and renamed, so that at every moment the folder holds one consistent state:
 *
 *     checkpoint               text: settings, what was read so far and its hash, the rounds, a checksum. Replaced behind each round
 *     checkpoint-0001.counts   the words of a round: a count file (docs/FORMAT.md)
 *     checkpoint-0002.counts
 *     checkpoint-merges        text: all merges so far, a checksum. Replaced behind each phase
 *     checkpoint-lock          held by the run that is at work
 *
 * A round's file is there before `checkpoint` speaks of it; one that it does not speak of is written again. Nothing is ever changed in
 * place, so a run that is killed loses the round or phase it was in and nothing else.
 *
 * Counting. Counts add up, so a corpus may be counted in rounds, in any number of runs. A round is 16 MB of text or an eighth of what
 * was read before, whichever is more: a hundred rounds are 16 TB, and what is lost is an eighth of the time at most. A run that goes on reads the
 * corpus from its beginning, without counting, up to where the rounds end, and compares the hash of what it read (text, ends of documents, weights):
 * a corpus that has changed is an error, not a mixture. Reading is ten times as fast as counting, and needs no position within packed files,
 * samples or streams to be kept.
 *
 * BytePiece has two passes, so it has two kinds of rounds: of n-grams, and when these have the whole corpus, of the pieces that the model of them cuts
 * (checkpoint-pieces-0001.counts, ...; piece_checkpoint.c). The second pass goes over sections of the corpus, which depend on documents only
 * (chunks.h), a round being a number of sections.
 *
 * Merging. The merges do not depend on where phases end, nor on how often the work was begun. A run that goes on has the words from
 * the count files, as bytes, and brings them to the symbols of the merges that are there in one pass (bpe_replay.c). For the same reason
 * the size of the vocabulary is not a setting of the folder: a run that wants more merges goes on, one that wants fewer takes the first.
 *
 * Same bytes. All that decides the result is compared: the settings line by line, the text by its hash, count files and merges by
 * checksums that hang together (a file from another folder is refused like a damaged one). */
#include "train/checkpoint.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"
#include "count/countmerge.h"
#include "train/piece_counts.h"
#include "train/words.h"

uint64_t pm_checkpoint_round_bytes = UINT64_C(16) << 20;
enum { ROUND_PART = 8, SECTIONS = 4 /* of the least round */, CHECKSUM_LINE = 9 + 16 + 1 };

static const char main_name[] = "checkpoint", merges_name[] = "checkpoint-merges", lock_name[] = "checkpoint-lock";
static const char main_head[] = "piecemill checkpoint 1\n", merges_head[] = "piecemill merges 1\n", done_head[] = "[done]\n";

/* What is known of a round's count file; `end` is the caller's. */
typedef struct round {
    uint64_t words, distinct, sum, end;
} round;

typedef struct rounds {
    round *list;
    size_t n, cap;
} rounds;

struct pm_checkpoint {
    char *folder;
    int lock;          /* the open lock file; -1: none */
    pm_buf settings;   /* ended by a NUL */
    pm_checkpoint_text text;
    rounds kinds[PM_CHECKPOINT_KINDS];
    uint64_t sum;      /* of the file `checkpoint` as it is */
};

/* ---------------------------------------------------------------- files ---- */

/* To be freed; NULL: out of memory. */
static char *path_of(const pm_checkpoint *c, const char *name) {
    size_t room = strlen(c->folder) + 1 + strlen(name) + 1;
    char *path = pm_alloc(room, 1);
    if (path) {
        snprintf(path, room, "%s/%s", c->folder, name);
    }
    return path;
}

/* Round i, from 0. */
static char *path_of_round(const pm_checkpoint *c, pm_checkpoint_kind kind, size_t i) {
    char name[64];
    snprintf(name, sizeof name, "checkpoint-%s%04zu.counts", kind == PM_CHECKPOINT_PIECES ? "pieces-" : "", i + 1);
    return path_of(c, name);
}

static pm_status damaged(const char *path, const char *what, pm_error *err) {
    return pm_fail_file(err, PM_BAD_FORMAT, path, PM_NO_OFFSET, "%s; remove the files of this checkpoint to begin anew", what);
}

/* Ends the text with the line of its checksum and writes it. */
static pm_status write_text(const pm_checkpoint *c, const char *name, pm_buf *text, uint64_t *sum, pm_error *err) {
    *sum = pm_hash(text->data, text->len);
    PM_TRY(pm_buf_printf(text, err, "checksum=%016" PRIx64 "\n", *sum));
    char *path = path_of(c, name);
    if (!path) {
        return pm_fail_memory(err);
    }
    pm_writer w;
    pm_status status = pm_writer_open(&w, path, err);
    if (status == PM_OK) {
        status = pm_writer_write(&w, text->data, text->len, err);
    }
    status = pm_writer_close(&w, status, err);
    pm_free(path);
    return status;
}

/* Checks head and checksum of a text; then it ends with a NUL before the line of the checksum. */
static pm_status check_text(pm_buf *text, const char *path, const char *head, uint64_t *sum, pm_error *err) {
    size_t version = strlen(head) - 2; /* before "1\n" */
    if (text->len < version || memcmp(text->data, head, version) != 0) {
        return damaged(path, "not what its name says", err);
    }
    if (text->len < version + 2 || memcmp(text->data + version, "1\n", 2) != 0) {
        return pm_fail_file(err, PM_BAD_VERSION, path, version, "made by another version of this program");
    }
    char line[CHECKSUM_LINE + 1];
    size_t len = text->len < version + 2 + CHECKSUM_LINE ? 0 : text->len - CHECKSUM_LINE;
    *sum = pm_hash(text->data, len);
    snprintf(line, sizeof line, "checksum=%016" PRIx64 "\n", *sum);
    if (!len || memcmp(text->data + len, line, CHECKSUM_LINE) != 0 || memchr(text->data, 0, len)) {
        return damaged(path, "damaged: its checksum is wrong", err);
    }
    text->data[len] = 0;
    text->len = len;
    return PM_OK;
}

/* The text of a file behind its head, in *text (which owns it), *body; PM_NOT_FOUND: it is not there. */
static pm_status read_text(const char *path, const char *head, pm_buf *text, const char **body, uint64_t *sum, pm_error *err) {
    pm_file file;
    *text = (pm_buf){0};
    PM_TRY(pm_file_open(&file, path, true, err));
    pm_status status = pm_buf_append(text, file.data, file.len, err);
    pm_file_close(&file);
    if (status == PM_OK) {
        status = check_text(text, path, head, sum, err);
    }
    if (status != PM_OK) {
        pm_buf_release(text);
        return status;
    }
    *body = (const char *)text->data + strlen(head);
    return PM_OK;
}

/* Reads "key=12\n" at *at and goes behind it. */
static bool take_number(const char **at, const char *key, uint64_t *value) {
    size_t n = strlen(key);
    if (strncmp(*at, key, n) != 0 || (*at)[n] != '=' || (*at)[n + 1] < '0' || (*at)[n + 1] > '9') {
        return false;
    }
    char *end;
    *value = strtoull(*at + n + 1, &end, 10);
    *at = end + (*end == '\n');
    return *end == '\n';
}

/* ---------------------------------------------------------------- settings ---- */

/* Texts as their number and a hash of them all. */
static pm_status add_texts(pm_buf *out, const char *key, const pm_bytes *texts, size_t n, pm_error *err) {
    char value[64];
    uint64_t hash = n;
    for (size_t i = 0; i < n; i++) {
        hash = pm_hash_word(hash ^ pm_hash(texts[i].data, texts[i].len) ^ texts[i].len);
    }
    snprintf(value, sizeof value, "%zu (%016" PRIx64 ")", n, hash);
    return n ? pm_count_setting_add(out, key, value, err) : PM_OK;
}

static pm_status add_specials(pm_buf *out, const pm_train_options *o, pm_error *err) {
    pm_bytes *texts = pm_alloc(o->n_special_tokens, sizeof *texts);
    if (!texts) {
        return pm_fail_memory(err);
    }
    for (size_t i = 0; i < o->n_special_tokens; i++) {
        texts[i] = o->special_tokens[i].text;
    }
    pm_status status = add_texts(out, "special_tokens", texts, o->n_special_tokens, err);
    pm_free(texts);
    return status;
}

/* Count files instead of a corpus: the checksums of their last blocks, which stand for all before. */
static pm_status add_counts(pm_buf *out, const pm_train_options *o, pm_error *err) {
    uint64_t hash = o->n_counts;
    for (size_t i = 0; i < o->n_counts; i++) {
        pm_count_reader reader;
        PM_TRY(pm_count_reader_open(&reader, o->counts[i], err));
        hash += pm_hash_word(reader.last_sum ^ reader.totals.words); /* in any order */
        pm_count_reader_close(&reader);
    }
    return o->n_counts ? pm_count_setting_add_number(out, "counts", hash, err) : PM_OK;
}

/* Everything that decides which merges are made, beside the text and the number of merges. */
static pm_status add_settings(pm_buf *out, const pm_train_job *job, pm_error *err) {
    const pm_train_options *o = &job->o;
    const struct {
        const char *key;
        uint64_t value;
    } numbers[] = {{"min_count", o->min_count}, {"min_documents", o->min_documents}, {"max_piece_length", o->max_piece_length},
                   {"max_words", o->max_words}, {"utf8_boundaries", o->utf8_boundaries}};
    if (o->algorithm == PM_ALGORITHM_BYTEPIECE) {
        PM_TRY(pm_train_piece_settings(out, job, err)); /* what is done with pieces is done anew in each run */
        PM_TRY(pm_count_setting_add_number(out, "section_bytes", pm_checkpoint_section_bytes(), err));
        return add_specials(out, o, err);
    }
    PM_TRY(pm_train_count_settings(out, job, err));
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        PM_TRY(numbers[i].value ? pm_count_setting_add_number(out, numbers[i].key, numbers[i].value, err) : PM_OK);
    }
    if (o->level == PM_LEVEL_CHARACTER) {
        char coverage[32];
        snprintf(coverage, sizeof coverage, "%.9g", o->character_coverage);
        PM_TRY(pm_count_setting_add(out, "level", "char", err));
        PM_TRY(pm_count_setting_add(out, "character_coverage", coverage, err));
    }
    PM_TRY(add_specials(out, o, err));
    PM_TRY(add_texts(out, "required_pieces", o->required_pieces, o->n_required_pieces, err));
    PM_TRY(add_texts(out, "excluded_pieces", o->excluded_pieces, o->n_excluded_pieces, err));
    if (o->extend) {
        char hash[PM_HASH_HEX];
        pm_tokenizer_hash(o->extend, hash);
        PM_TRY(pm_count_setting_add(out, "extends", hash, err));
    }
    return add_counts(out, o, err);
}

/* ---------------------------------------------------------------- the file `checkpoint` ---- */

static const char *const kind_names[PM_CHECKPOINT_KINDS] = {"round", "pieces"};

static pm_status print_rounds(const pm_checkpoint *c, pm_checkpoint_kind kind, pm_buf *text, pm_error *err) {
    const rounds *all = &c->kinds[kind];
    const char *name = kind_names[kind];
    for (size_t i = 0; i < all->n; i++) {
        const round *r = &all->list[i];
        PM_TRY(pm_buf_printf(text, err, "%s_words=%" PRIu64 "\n%s_distinct=%" PRIu64 "\n%s_sum=%" PRIu64 "\n", name, r->words, name, r->distinct, name, r->sum));
        PM_TRY(kind == PM_CHECKPOINT_PIECES ? pm_buf_printf(text, err, "%s_end=%" PRIu64 "\n", name, r->end) : PM_OK);
    }
    return PM_OK;
}

static pm_status print_state(const pm_checkpoint *c, pm_buf *text, pm_error *err) {
    const pm_checkpoint_text *t = &c->text;
    PM_TRY(pm_buf_printf(text, err, "%s%s%s", main_head, (const char *)c->settings.data, done_head));
    PM_TRY(pm_buf_printf(text, err, "documents=%" PRIu64 "\nbytes=%" PRIu64 "\nwords=%" PRIu64 "\ndocuments_with_special=%" PRIu64 "\ntext=%" PRIu64
                         "\nended=%d\n", t->documents, t->bytes, t->words, t->documents_with_special, t->hash, t->ended));
    for (pm_checkpoint_kind k = 0; k < PM_CHECKPOINT_KINDS; k++) {
        PM_TRY(print_rounds(c, k, text, err));
    }
    return PM_OK;
}

static pm_status write_state(pm_checkpoint *c, pm_error *err) {
    pm_buf text = {0};
    pm_status status = print_state(c, &text, err);
    if (status == PM_OK) {
        status = write_text(c, main_name, &text, &c->sum, err);
    }
    pm_buf_release(&text);
    return status;
}

static pm_status push_round(rounds *all, round r, pm_error *err) {
    PM_TRY(pm_grow((void **)&all->list, &all->cap, all->n + 1, sizeof *all->list, err));
    all->list[all->n++] = r;
    return PM_OK;
}

/* Reads "NAME_KEY=12\n" at *at and goes behind it. */
static bool take_named(const char **at, const char *name, const char *key, uint64_t *value) {
    char line[64];
    snprintf(line, sizeof line, "%s_%s", name, key);
    return take_number(at, line, value);
}

static pm_status take_rounds(pm_checkpoint *c, const char *at, const char *path, pm_error *err) {
    for (size_t k = 0; k < PM_CHECKPOINT_KINDS; k++) {
        const char *name = kind_names[k];
        round r = {0};
        while (take_named(&at, name, "words", &r.words) && take_named(&at, name, "distinct", &r.distinct) && take_named(&at, name, "sum", &r.sum) &&
               (k != PM_CHECKPOINT_PIECES || take_named(&at, name, "end", &r.end))) {
            PM_TRY(push_round(&c->kinds[k], r, err));
        }
    }
    return *at ? damaged(path, "has lines that are not known", err) : PM_OK;
}

/* Compares the settings and takes the rest over. */
static pm_status parse_state(pm_checkpoint *c, char *body, const char *path, pm_error *err) {
    char *done = strstr(body, done_head);
    uint64_t ended;
    while (done && done > body && done[-1] != '\n') { /* the end of a setting: no line of one begins so */
        done = strstr(done + 1, done_head);
    }
    if (!done) {
        return damaged(path, "has lines that are not known", err);
    }
    *done = 0;
    PM_TRY(pm_count_settings_compare(body, path, (const char *)c->settings.data, "this call", err));
    const char *at = done + strlen(done_head);
    pm_checkpoint_text *t = &c->text;
    if (!take_number(&at, "documents", &t->documents) || !take_number(&at, "bytes", &t->bytes) || !take_number(&at, "words", &t->words) ||
        !take_number(&at, "documents_with_special", &t->documents_with_special) || !take_number(&at, "text", &t->hash) ||
        !take_number(&at, "ended", &ended)) {
        return damaged(path, "has lines that are not known", err);
    }
    t->ended = ended == 1;
    return take_rounds(c, at, path, err);
}

/* A round's file must be there and be the one that was written. Its words are checked when they are read. */
static pm_status check_round(const round *r, const char *path, pm_error *err) {
    pm_count_reader reader;
    PM_TRY(pm_count_reader_open(&reader, path, err));
    bool same = reader.totals.words == r->words && reader.totals.distinct == r->distinct && reader.last_sum == r->sum;
    pm_count_reader_close(&reader);
    return same ? PM_OK : damaged(path, "is not the file that was written here", err);
}

static pm_status check_rounds(const pm_checkpoint *c, pm_checkpoint_kind kind, pm_error *err) {
    for (size_t i = 0; i < c->kinds[kind].n; i++) {
        char *path = path_of_round(c, kind, i);
        pm_status status = path ? check_round(&c->kinds[kind].list[i], path, err) : pm_fail_memory(err);
        pm_free(path);
        PM_TRY(status);
    }
    return PM_OK;
}

/* Begins: merges that a folder has without a `checkpoint` are of something else. */
static pm_status begin(pm_checkpoint *c, pm_error *err) {
    char *path = path_of(c, merges_name);
    if (!path) {
        return pm_fail_memory(err);
    }
    (void)unlink(path);
    pm_free(path);
    return write_state(c, err);
}

static pm_status load_state(pm_checkpoint *c, pm_error *err) {
    pm_buf text;
    const char *body;
    char *path = path_of(c, main_name);
    if (!path) {
        return pm_fail_memory(err);
    }
    pm_status status = read_text(path, main_head, &text, &body, &c->sum, err);
    bool fresh = status == PM_NOT_FOUND;
    if (status == PM_OK) {
        status = parse_state(c, (char *)text.data + (body - (const char *)text.data), path, err);
    }
    pm_buf_release(&text);
    pm_free(path);
    if (fresh) {
        return begin(c, err);
    }
    for (pm_checkpoint_kind k = 0; status == PM_OK && k < PM_CHECKPOINT_KINDS; k++) {
        status = check_rounds(c, k, err);
    }
    return status;
}

/* ---------------------------------------------------------------- the folder ---- */

static pm_status make_folder(const pm_checkpoint *c, pm_error *err) {
    return mkdir(c->folder, 0777) == 0 || errno == EEXIST ? PM_OK : pm_fail_errno(err, c->folder, errno, "cannot create this folder");
}

static pm_status take_lock(pm_checkpoint *c, pm_error *err) {
    char *path = path_of(c, lock_name);
    if (!path) {
        return pm_fail_memory(err);
    }
    c->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    pm_status status = c->lock < 0 ? pm_fail_errno(err, path, errno, "cannot open") : PM_OK;
    if (status == PM_OK && flock(c->lock, LOCK_EX | LOCK_NB) != 0) {
        status = errno == EWOULDBLOCK ? pm_fail_file(err, PM_IO, c->folder, PM_NO_OFFSET, "another run is using this checkpoint")
                                      : pm_fail_errno(err, path, errno, "cannot lock");
    }
    pm_free(path);
    return status;
}

static bool is_left_over(const char *name) {
    size_t len = strlen(name), head = strlen(main_name);
    return len > head + 4 && memcmp(name, main_name, head) == 0 && strcmp(name + len - 4, ".tmp") == 0;
}

/* What killed runs left: files that were being written. Best effort. */
static void clean(const pm_checkpoint *c) {
    DIR *folder = opendir(c->folder);
    struct dirent *entry;
    while (folder && (entry = readdir(folder)) != NULL) {
        if (is_left_over(entry->d_name)) {
            (void)unlinkat(dirfd(folder), entry->d_name, 0);
        }
    }
    if (folder) {
        closedir(folder);
    }
}

static pm_status open_folder(pm_checkpoint *c, const pm_train_job *job, pm_error *err) {
    c->folder = pm_strdup(job->o.checkpoint);
    if (!c->folder) {
        return pm_fail_memory(err);
    }
    PM_TRY(add_settings(&c->settings, job, err));
    PM_TRY(make_folder(c, err));
    PM_TRY(take_lock(c, err));
    clean(c);
    return load_state(c, err);
}

pm_status pm_checkpoint_open(pm_checkpoint **out, const pm_train_job *job, pm_error *err) {
    pm_checkpoint *c = pm_calloc(1, sizeof *c);
    *out = NULL;
    if (!c) {
        return pm_fail_memory(err);
    }
    c->lock = -1;
    pm_status status = open_folder(c, job, err);
    if (status != PM_OK) {
        pm_checkpoint_close(c);
        return status;
    }
    *out = c;
    return PM_OK;
}

void pm_checkpoint_close(pm_checkpoint *c) {
    if (c) {
        if (c->lock >= 0) {
            close(c->lock);
        }
        pm_free(c->folder);
        pm_buf_release(&c->settings);
        for (size_t k = 0; k < PM_CHECKPOINT_KINDS; k++) {
            pm_free(c->kinds[k].list);
        }
        pm_free(c);
    }
}

/* ---------------------------------------------------------------- rounds ---- */

const pm_checkpoint_text *pm_checkpoint_text_of(const pm_checkpoint *c) { return &c->text; }

uint64_t pm_checkpoint_next_stop(const pm_checkpoint *c) { return pm_checkpoint_after(c->text.bytes); }

uint64_t pm_checkpoint_after(uint64_t done) {
    uint64_t more = done / ROUND_PART;
    return done + (more > pm_checkpoint_round_bytes ? more : pm_checkpoint_round_bytes);
}

uint64_t pm_checkpoint_section_bytes(void) { return pm_checkpoint_round_bytes / SECTIONS; }

pm_status pm_checkpoint_same_text(const pm_checkpoint *c, uint64_t documents, uint64_t bytes, uint64_t hash, pm_error *err) {
    if (documents != c->text.documents || bytes != c->text.bytes || hash != c->text.hash) {
        return pm_fail_file(err, PM_BAD_INPUT, c->folder, PM_NO_OFFSET, "the corpus is not the one that this checkpoint was begun with");
    }
    return PM_OK;
}

pm_status pm_checkpoint_new_round(const pm_checkpoint *c, pm_checkpoint_kind kind, char **path, pm_error *err) {
    *path = path_of_round(c, kind, c->kinds[kind].n);
    return *path ? PM_OK : pm_fail_memory(err);
}

pm_status pm_checkpoint_keep_round(pm_checkpoint *c, pm_checkpoint_kind kind, uint64_t end, const char *path, pm_error *err) {
    pm_count_reader reader;
    PM_TRY(pm_count_reader_open(&reader, path, err));
    round r = {reader.totals.words, reader.totals.distinct, reader.last_sum, end};
    pm_count_reader_close(&reader);
    return push_round(&c->kinds[kind], r, err);
}

pm_status pm_checkpoint_keep_text(pm_checkpoint *c, const pm_checkpoint_text *text, pm_error *err) {
    c->text = *text;
    return write_state(c, err);
}

uint64_t pm_checkpoint_end(const pm_checkpoint *c, pm_checkpoint_kind kind) {
    const rounds *all = &c->kinds[kind];
    return all->n ? all->list[all->n - 1].end : 0;
}

void pm_checkpoint_paths_free(pm_checkpoint_paths *paths) {
    for (size_t i = 0; paths->list && i < paths->n; i++) {
        pm_free(paths->list[i]);
    }
    pm_free(paths->list);
    pm_free(paths->sums);
    *paths = (pm_checkpoint_paths){0};
}

pm_status pm_checkpoint_paths_of(const pm_checkpoint *c, pm_checkpoint_kind kind, pm_checkpoint_paths *out, pm_error *err) {
    size_t n = c->kinds[kind].n;
    *out = (pm_checkpoint_paths){.list = pm_calloc(n, sizeof *out->list), .sums = pm_alloc(n, sizeof *out->sums), .n = n};
    bool good = out->list && out->sums;
    for (size_t i = 0; good && i < n; i++) {
        out->sums[i] = c->kinds[kind].list[i].sum;
        out->list[i] = path_of_round(c, kind, i);
        good = out->list[i] != NULL;
    }
    if (!good) {
        pm_checkpoint_paths_free(out);
        return pm_fail_memory(err);
    }
    return PM_OK;
}

/* ---------------------------------------------------------------- BPE: counting ---- */

/* Reads again what the rounds have, or all when they have all. */
static pm_status read_again(const pm_checkpoint *c, pm_corpus *corpus, pm_train_job *job, XXH3_state_t *hash, pm_error *err) {
    pm_word_counts read;
    PM_TRY(pm_ticker_phase(&job->ticker, "read again", "bytes", 0, err));
    PM_TRY(pm_count_skip(&read, corpus, c->text.ended ? UINT64_MAX : c->text.bytes, hash, &job->ticker, err));
    return pm_checkpoint_same_text(c, read.documents, read.bytes, XXH3_64bits_digest(hash), err);
}

/* Writes the words of a round. */
static pm_status write_words(pm_store *store, const pm_word_counts *counts, pm_train_job *job, const char *path, pm_error *err) {
    pm_count_totals totals = {.documents = counts->documents, .bytes = counts->bytes, .lines_split = job->summary.lines_split};
    pm_count_work work = pm_train_count_work(job);
    pm_buf settings = {0};
    pm_status status = pm_train_count_settings(&settings, job, err);
    if (status == PM_OK) {
        status = pm_count_store_write(store, path, (const char *)settings.data, &totals, &work, err);
    }
    pm_buf_release(&settings);
    return status;
}

static pm_status add_words(pm_checkpoint *c, pm_store *store, const pm_word_counts *counts, pm_train_job *job, pm_error *err) {
    char *path;
    PM_TRY(pm_checkpoint_new_round(c, PM_CHECKPOINT_TEXT, &path, err));
    pm_status status = write_words(store, counts, job, path, err);
    if (status == PM_OK) {
        status = pm_checkpoint_keep_round(c, PM_CHECKPOINT_TEXT, 0, path, err);
    }
    pm_free(path);
    return status;
}

static pm_status count_into_round(pm_checkpoint *c, pm_store *store, pm_corpus *corpus, pm_train_job *job, XXH3_state_t *hash, pm_error *err) {
    pm_count_options options = pm_train_count_options(job);
    pm_checkpoint_text text = c->text;
    pm_word_counts counts;
    options.stop = pm_checkpoint_next_stop(c) - c->text.bytes;
    options.text_hash = hash;
    PM_TRY(pm_count_words(&counts, store, corpus, &options, &job->ticker, err));
    PM_TRY(counts.bytes ? add_words(c, store, &counts, job, err) : PM_OK);
    text.documents += counts.documents;
    text.bytes += counts.bytes;
    text.words += counts.words;
    text.documents_with_special += counts.documents_with_special;
    text.hash = XXH3_64bits_digest(hash);
    text.ended = counts.ended;
    return pm_checkpoint_keep_text(c, &text, err);
}

static pm_status count_round(pm_checkpoint *c, pm_corpus *corpus, pm_train_job *job, XXH3_state_t *hash, pm_error *err) {
    pm_store *store;
    PM_TRY(pm_store_new(&store, job->memory.store, job->o.tmpdir, err));
    pm_status status = count_into_round(c, store, corpus, job, hash, err);
    pm_store_free(store);
    return status;
}

static pm_status count_rest(pm_checkpoint *c, pm_corpus *corpus, pm_train_job *job, pm_error *err) {
    XXH3_state_t hash;
    XXH3_64bits_reset(&hash);
    pm_status status = c->text.documents ? read_again(c, corpus, job, &hash, err) : PM_OK;
    while (status == PM_OK && !c->text.ended) {
        status = count_round(c, corpus, job, &hash, err);
    }
    return status;
}

pm_status pm_checkpoint_summary(const pm_checkpoint *c, pm_train_job *job, pm_error *err) {
    const pm_checkpoint_text *text = &c->text;
    job->summary.documents = text->documents;
    job->summary.bytes = text->bytes;
    job->summary.words = text->words;
    job->summary.documents_with_special = text->documents_with_special;
    return text->bytes ? PM_OK
                       : pm_fail(err, PM_EMPTY_CORPUS, "the corpus holds no text: %" PRIu64 " documents, all empty", text->documents);
}

/* The words of all rounds. */
static pm_status read_rounds(pm_store **out, const pm_checkpoint *c, pm_train_job *job, pm_error *err) {
    pm_count_work work = pm_train_count_work(job);
    pm_count_totals totals = {0};
    pm_checkpoint_paths paths;
    PM_TRY(pm_checkpoint_paths_of(c, PM_CHECKPOINT_TEXT, &paths, err));
    pm_status status = pm_count_files_read(out, (const char *const *)paths.list, paths.n, job->o.min_documents, job->memory.store, &totals, &work, err);
    pm_checkpoint_paths_free(&paths);
    job->summary.distinct = totals.distinct;
    return status;
}

pm_status pm_checkpoint_words(pm_store **out, pm_checkpoint *c, pm_corpus *corpus, pm_train_job *job, pm_error *err) {
    *out = NULL;
    PM_TRY(count_rest(c, corpus, job, err));
    PM_TRY(pm_checkpoint_summary(c, job, err));
    return read_rounds(out, c, job, err);
}

/* ---------------------------------------------------------------- BPE: merges ---- */

/* "left right count\n" at *at. */
static bool take_merge(const char **at, pm_bpe_merge *merge) {
    uint64_t numbers[3];
    for (int i = 0; i < 3; i++) {
        char *end;
        if (**at < '0' || **at > '9') {
            return false;
        }
        numbers[i] = strtoull(*at, &end, 10);
        if (*end != (i < 2 ? ' ' : '\n')) {
            return false;
        }
        *at = end + 1;
    }
    if (numbers[0] > UINT32_MAX || numbers[1] > UINT32_MAX) {
        return false;
    }
    *merge = (pm_bpe_merge){(uint32_t)numbers[0], (uint32_t)numbers[1], numbers[2]};
    return true;
}

/* The vocabulary may begin with merges: they must be the same. */
static pm_status take_merges(const char *at, uint64_t n, pm_bpe_vocab *vocab, size_t wanted, const char *path, pm_error *err) {
    for (uint64_t i = 0; i < n && i < wanted; i++) {
        pm_bpe_merge merge;
        if (!take_merge(&at, &merge) || merge.left >= pm_bpe_vocab_base(vocab) + i || merge.right >= pm_bpe_vocab_base(vocab) + i) {
            return damaged(path, "has lines that are not known", err);
        }
        if (i >= vocab->n_merges) {
            PM_TRY(pm_bpe_vocab_add(vocab, merge.left, merge.right, merge.count, err));
        } else if (merge.left != vocab->merges[i].left || merge.right != vocab->merges[i].right) {
            return damaged(path, "begins with other merges", err);
        }
    }
    return PM_OK;
}

static pm_status load_merges(const pm_checkpoint *c, const char *path, pm_bpe_vocab *vocab, size_t wanted, pm_error *err) {
    pm_buf text;
    const char *at;
    uint64_t sum, of = 0, n = 0;
    pm_status status = read_text(path, merges_head, &text, &at, &sum, err);
    if (status != PM_OK) {
        return status == PM_NOT_FOUND ? PM_OK : status; /* no phase was done */
    }
    if (!take_number(&at, "checkpoint", &of) || of != c->sum || !take_number(&at, "merges", &n)) {
        status = damaged(path, "belongs to another checkpoint", err);
    } else {
        status = take_merges(at, n, vocab, wanted, path, err);
    }
    pm_buf_release(&text);
    return status;
}

pm_status pm_checkpoint_load_merges(const pm_checkpoint *c, pm_bpe_vocab *vocab, size_t wanted, pm_error *err) {
    char *path = path_of(c, merges_name);
    pm_status status = path ? load_merges(c, path, vocab, wanted, err) : pm_fail_memory(err);
    pm_free(path);
    return status;
}

static pm_status print_merges(const pm_checkpoint *c, const pm_bpe_vocab *vocab, pm_buf *text, pm_error *err) {
    PM_TRY(pm_buf_printf(text, err, "%scheckpoint=%" PRIu64 "\nmerges=%zu\n", merges_head, c->sum, vocab->n_merges));
    for (size_t i = 0; i < vocab->n_merges; i++) {
        const pm_bpe_merge *m = &vocab->merges[i];
        PM_TRY(pm_buf_printf(text, err, "%u %u %" PRIu64 "\n", m->left, m->right, m->count));
    }
    return PM_OK;
}

pm_status pm_checkpoint_keep_merges(const pm_checkpoint *c, const pm_bpe_vocab *vocab, pm_error *err) {
    pm_buf text = {0};
    uint64_t sum;
    pm_status status = print_merges(c, vocab, &text, err);
    if (status == PM_OK) {
        status = write_text(c, merges_name, &text, &sum, err);
    }
    pm_buf_release(&text);
    return status;
}
