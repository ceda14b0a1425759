/* pieces.c - which pieces of a vocabulary want a look: the longest, those found in few documents, those that mix
 * scripts.
 *
 * Text of the web is full of what is repeated inside few documents (menus, spam, tables), and it becomes pieces that
 * are of no use elsewhere. The model alone knows how often a piece was counted in training: no more documents than that
 * held it. With text the documents in which each piece is used are counted, by encoding it. With a count file its words
 * are encoded, each once: that tells exactly how many tokens of the corpus are this piece, and, as the sum over the
 * words that hold it, how many documents at most. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common.h"

enum { BATCH_BYTES = 4 << 20, MOST_NAMED = 8 };

/* What stands together in Japanese text every day is no mixture. */
static const char *const japanese[] = {"Han", "Hiragana", "Katakana"};
static const char *const no_script[] = {"not UTF-8", "Common", "Inherited", "Unknown"};

typedef struct ranked {
    uint64_t first, second; /* ascending */
    pm_id id;
} ranked;

typedef struct list {
    const char *key, *title;
    ranked *items;
    size_t n, shown;
} list;

enum { LONGEST, RAREST, MIXED, N_LISTS };

struct cli_pieces {
    const pm_tokenizer *tok;
    uint32_t size, most;
    uint64_t *documents, *tokens; /* by id; NULL: no text was read */
    uint64_t *stamp;              /* the document or word that used the id last */
    bool bounds;                  /* `documents` are upper bounds */
    uint64_t n_documents, n_tokens;
    uint32_t n_unused; /* pieces that no document used: parts of longer ones, mostly */
    list lists[N_LISTS];
    bool is_none[PM_SCRIPTS_MAX], is_japanese[PM_SCRIPTS_MAX];
};

/* ---------------------------------------------------------------- scripts ---- */

static bool among(const char *name, const char *const *names, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (strcmp(name, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

static void name_scripts(cli_pieces *p) {
    const char *name;
    for (unsigned s = 0; (name = pm_script_name(s)) != NULL; s++) {
        p->is_none[s] = among(name, no_script, sizeof no_script / sizeof *no_script);
        p->is_japanese[s] = among(name, japanese, sizeof japanese / sizeof *japanese);
    }
}

/* The scripts of a piece, up to MOST_NAMED; how many there are. */
static size_t scripts_of(const cli_pieces *p, pm_id id, unsigned out[MOST_NAMED]) {
    uint64_t bytes[PM_SCRIPTS_MAX] = {0};
    size_t n = 0;
    pm_text_scripts(pm_tokenizer_piece(p->tok, id), bytes);
    for (unsigned s = 0; pm_script_name(s) && n < MOST_NAMED; s++) {
        if (bytes[s] && !p->is_none[s]) {
            out[n++] = s;
        }
    }
    return n;
}

static bool mixes(const cli_pieces *p, pm_id id) {
    unsigned scripts[MOST_NAMED];
    size_t n = scripts_of(p, id, scripts);
    for (size_t i = 0; n > 1 && i < n; i++) {
        if (!p->is_japanese[scripts[i]]) {
            return true;
        }
    }
    return false;
}

/* ---------------------------------------------------------------- gathering ---- */

static void count_batch(cli_pieces *p, const pm_batch *batch) {
    for (size_t i = 0; i < batch->n_docs; i++) {
        p->n_documents++;
        for (uint64_t k = batch->offsets[i]; k < batch->offsets[i + 1]; k++) {
            pm_id id = batch->ids[k];
            p->tokens[id]++;
            p->documents[id] += p->stamp[id] != p->n_documents;
            p->stamp[id] = p->n_documents;
        }
    }
    p->n_tokens += batch->offsets[batch->n_docs];
}

static int count_text(cli_pieces *p, pm_corpus *corpus, cli_progress *progress) {
    pm_encode_options o = PM_ENCODE_OPTIONS_INIT;
    for (;;) {
        const pm_bytes *docs;
        size_t n;
        pm_batch batch;
        pm_error err;
        pm_status status = pm_corpus_read(corpus, BATCH_BYTES, &docs, &n, &err);
        if (status == PM_OK && n > 0) {
            status = pm_encode_batch(p->tok, docs, n, &o, &batch, &err);
        }
        if (status != PM_OK) {
            cli_progress_end(progress);
            cli_print_error(&err, NULL);
            return cli_exit_code(status);
        }
        if (n == 0) {
            return CLI_OK;
        }
        count_batch(p, &batch);
        pm_batch_release(&batch);
        cli_progress_tick(progress, "encode", corpus);
    }
}

/* `word` is the n-th. */
static void count_word(cli_pieces *p, const pm_counted_word *word, uint64_t n, const pm_id *ids, size_t n_ids) {
    for (size_t i = 0; i < n_ids; i++) {
        p->tokens[ids[i]] += word->count;
        if (p->stamp[ids[i]] != n) {
            p->stamp[ids[i]] = n;
            p->documents[ids[i]] += word->documents ? word->documents : word->count;
        }
        p->n_tokens += word->count;
    }
}

static int count_words(cli_pieces *p, pm_counts *counts, pm_encoder *enc, pm_error *err) {
    pm_encode_options o = PM_ENCODE_OPTIONS_INIT;
    pm_id *ids = NULL;
    size_t cap = 0, n_ids;
    pm_status status = PM_OK;
    bool more = true;
    o.disallowed = PM_SPECIAL_NONE;
    for (uint64_t n = 1; status == PM_OK; n++) {
        pm_counted_word word;
        status = pm_counts_next(counts, &word, &more, err);
        if (status != PM_OK || !more) {
            break;
        }
        if (word.text.len > cap) { /* a word never has more ids than bytes */
            cap = 2 * word.text.len;
            free(ids);
            ids = malloc(cap * sizeof *ids);
            if (!ids) {
                return cli_no_memory();
            }
        }
        status = pm_encode(enc, word.text, &o, ids, cap, &n_ids, err);
        if (status == PM_OK) {
            count_word(p, &word, n, ids, n_ids);
        }
    }
    free(ids);
    return status == PM_OK ? CLI_OK : CLI_INPUT;
}

static int count_file(cli_pieces *p, const char *path) {
    pm_counts *counts = NULL;
    pm_encoder *enc = NULL;
    pm_error err = {.status = PM_OK};
    if (pm_tokenizer_algorithm(p->tok) != PM_ALGORITHM_BPE) {
        cli_say("--counts: count files are for bpe");
        return CLI_USAGE;
    }
    p->bounds = true;
    pm_status status = pm_counts_open(&counts, path, &err);
    if (status == PM_OK) {
        status = pm_encoder_new(&enc, p->tok, &err);
    }
    int code = CLI_INPUT;
    if (status == PM_OK) {
        p->n_documents = pm_counts_get_totals(counts).documents;
        code = count_words(p, counts, enc, &err);
        status = err.status;
    }
    for (pm_id id = 0; id < p->size; id++) {
        p->documents[id] = p->documents[id] < p->n_documents ? p->documents[id] : p->n_documents;
    }
    if (status != PM_OK) {
        cli_print_error(&err, path);
        code = cli_counts_code(&err);
    }
    pm_encoder_free(enc);
    pm_counts_free(counts);
    return code;
}

static int by_rank(const void *a, const void *b) {
    const ranked *x = a, *y = b;
    if (x->first != y->first) {
        return x->first < y->first ? -1 : 1;
    }
    if (x->second != y->second) {
        return x->second < y->second ? -1 : 1;
    }
    return x->id < y->id ? -1 : x->id > y->id;
}

static void add(list *l, pm_id id, uint64_t first, uint64_t second) { l->items[l->n++] = (ranked){first, second, id}; }

/* Pieces of one byte have to be there. */
static void rank_pieces(cli_pieces *p) {
    for (pm_id id = 0; id < p->size; id++) {
        uint64_t len = pm_tokenizer_piece(p->tok, id).len, count = pm_tokenizer_count(p->tok, id);
        uint64_t used = p->tokens ? p->tokens[id] : count;
        if (pm_tokenizer_kind(p->tok, id) != PM_KIND_PIECE || len < 2) {
            continue;
        }
        add(&p->lists[LONGEST], id, UINT64_MAX - len, UINT64_MAX - used);
        p->n_unused += p->documents && !p->documents[id];
        if (p->documents ? p->documents[id] : count) {
            add(&p->lists[RAREST], id, p->documents ? p->documents[id] : count, UINT64_MAX - used);
        }
        if (mixes(p, id)) {
            add(&p->lists[MIXED], id, UINT64_MAX - used, 0);
        }
    }
    for (int i = 0; i < N_LISTS; i++) {
        list *l = &p->lists[i];
        qsort(l->items, l->n, sizeof *l->items, by_rank);
        l->shown = l->n < p->most ? l->n : p->most;
    }
}

int cli_pieces_new(cli_pieces **out, const pm_tokenizer *tok, uint32_t most, pm_corpus *corpus, const char *counts,
                   bool quiet) {
    static const list empty[N_LISTS] = {{"longest", "longest pieces", NULL, 0, 0},
                                        {"rarest", "pieces found in the fewest documents", NULL, 0, 0},
                                        {"mixed", "pieces that mix scripts, most frequent first", NULL, 0, 0}};
    cli_pieces *p = *out = calloc(1, sizeof *p);
    if (!p) {
        return cli_no_memory();
    }
    p->tok = tok;
    p->size = pm_tokenizer_vocab_size(tok);
    p->most = most;
    memcpy(p->lists, empty, sizeof empty);
    name_scripts(p);
    bool complete = true;
    for (int i = 0; i < N_LISTS; i++) {
        p->lists[i].items = calloc(p->size, sizeof *p->lists[i].items);
        complete = complete && p->lists[i].items;
    }
    if (corpus || counts) {
        p->documents = calloc(p->size, sizeof *p->documents);
        p->tokens = calloc(p->size, sizeof *p->tokens);
        p->stamp = calloc(p->size, sizeof *p->stamp);
        complete = complete && p->documents && p->tokens && p->stamp;
    }
    if (!complete) {
        return cli_no_memory();
    }
    int code = counts ? count_file(p, counts) : CLI_OK;
    if (corpus) {
        cli_progress progress;
        cli_progress_begin(&progress, quiet);
        code = count_text(p, corpus, &progress);
        cli_progress_end(&progress);
    }
    rank_pieces(p);
    return code;
}

void cli_pieces_free(cli_pieces *p) {
    if (p) {
        for (int i = 0; i < N_LISTS; i++) {
            free(p->lists[i].items);
        }
        free(p->documents);
        free(p->tokens);
        free(p->stamp);
        free(p);
    }
}

/* ---------------------------------------------------------------- telling ---- */

static void print_row(cli_out *out, const cli_pieces *p, pm_id id) {
    char counted[32], tokens[32] = "", documents[32] = "";
    unsigned scripts[MOST_NAMED];
    size_t n = scripts_of(p, id, scripts);
    pm_bytes piece = pm_tokenizer_piece(p->tok, id);
    cli_format_count(counted, pm_tokenizer_count(p->tok, id));
    if (p->documents) {
        cli_format_count(documents, p->documents[id]);
        cli_format_count(tokens, p->tokens[id]);
        cli_out_printf(out, "  %7" PRIu32 "  %4zu  %14s  %14s  %14s  ", id, piece.len, counted, documents, tokens);
    } else {
        cli_out_printf(out, "  %7" PRIu32 "  %4zu  %14s  ", id, piece.len, counted);
    }
    cli_out_piece(out, piece);
    for (size_t i = 0; i < n && n > 1; i++) {
        cli_out_printf(out, "%s%s", i ? ", " : "  ", pm_script_name(scripts[i]));
    }
    cli_out_printf(out, "\n");
}

void cli_pieces_print(cli_out *out, const cli_pieces *p) {
    char documents[32], tokens[32], unused[32];
    if (p->documents) {
        cli_format_count(documents, p->n_documents);
        cli_format_count(tokens, p->n_tokens);
        cli_format_count(unused, p->n_unused);
        cli_out_printf(out, "\n%s documents, %s tokens; pieces that none used: %s\n", documents, tokens, unused);
    }
    for (int i = 0; i < N_LISTS; i++) {
        const list *l = &p->lists[i];
        cli_out_printf(out, "\n%s (%zu of %zu)%s\n", l->title, l->shown, l->n,
                       i != RAREST || (p->documents && !p->bounds) ? ""
                       : p->bounds                                 ? ": at most so many"
                                                                   : ": at most as many as it was counted");
        cli_out_printf(out, p->documents ? "  %7s  %4s  %14s  %14s  %14s  piece\n" : "  %7s  %4s  %14s  piece\n", "id",
                       "len", "counted", "documents", "tokens");
        for (size_t k = 0; k < l->shown; k++) {
            print_row(out, p, l->items[k].id);
        }
    }
}

static void json_row(cli_out *out, const cli_pieces *p, pm_id id) {
    unsigned scripts[MOST_NAMED];
    size_t n = scripts_of(p, id, scripts);
    pm_bytes piece = pm_tokenizer_piece(p->tok, id);
    cli_out_printf(out, "{\"id\": %" PRIu32 ", \"len\": %zu, \"count\": %" PRIu64, id, piece.len,
                   pm_tokenizer_count(p->tok, id));
    if (p->documents) {
        cli_out_printf(out, ", \"documents\": %" PRIu64 ", \"tokens\": %" PRIu64, p->documents[id], p->tokens[id]);
    }
    cli_out_printf(out, ", \"scripts\": [");
    for (size_t i = 0; i < n; i++) {
        cli_out_printf(out, "%s\"%s\"", i ? ", " : "", pm_script_name(scripts[i]));
    }
    cli_out_printf(out, "], \"text\": ");
    cli_out_json(out, (const char *)piece.data, piece.len);
    cli_out_printf(out, ", \"hex\": \"");
    for (size_t i = 0; i < piece.len; i++) {
        cli_out_printf(out, "%02x", piece.data[i]);
    }
    cli_out_printf(out, "\"}");
}

void cli_pieces_json(cli_out *out, const cli_pieces *p) {
    cli_out_printf(out, "{");
    if (p->documents) {
        cli_out_printf(out,
                       "\"documents\": %" PRIu64 ", \"tokens\": %" PRIu64 ", \"n_unused\": %" PRIu32
                       ", \"documents_at_most\": %s, ",
                       p->n_documents, p->n_tokens, p->n_unused, p->bounds ? "true" : "false");
    }
    for (int i = 0; i < N_LISTS; i++) {
        const list *l = &p->lists[i];
        cli_out_printf(out, "%s\"n_%s\": %zu, \"%s\": [", i ? ", " : "", l->key, l->n, l->key);
        for (size_t k = 0; k < l->shown; k++) {
            cli_out_printf(out, k ? ", " : "");
            json_row(out, p, l->items[k].id);
        }
        cli_out_printf(out, "]");
    }
    cli_out_printf(out, "}");
}
