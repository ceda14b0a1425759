/* bench.c - how fast the library is from UTF-8 bytes, through its public header only; one line of JSON a row.
 *
 * usage: bench_c WHAT [OPTION...] [MODEL [TEXT]]       WHAT and its rows:
 *
 *   encode   pm_encode_batch: the first pass in this process (cold), the best of later ones (warm), the peak of memory
 *   single   one pm_encoder, a document a call: encode cold and warm, count, decode
 *   calls    one short string of 20 tokens a call: nanoseconds
 *   load     milliseconds of loading MODEL, and the same saved as a native file, up to the first id
 *   limits   the machine's own: reading, copying, waiting for memory (no MODEL)
 *   sample   as encode; the addresses at which it was interrupted go to the file of -o (see sample.c)
 *
 *   -p PATTERN   name of the pattern of a .tiktoken file
 *   -s TEXT=ID   a special token of a .tiktoken file; again for more
 *   -t THREADS   default 1
 *   -n PASSES    warm passes, default 3; 0: warm is cold
 *   -d KIND      documents: long, short, one (see tools.h); default long
 *   -f FORM      encode, sample: documents as bytes (default), or as str: in the form in which Python holds them
 *   -b BYTES     only the first so many bytes of TEXT
 *   -o FILE      sample: the addresses
 *   -c           sample: of the first pass (cold), else of the later ones
 *
 * Cold means a fresh process: run the program again for each cold figure. Speeds are bytes of UTF-8 in 1,000,000 a
 * second, by the clock on the wall and (cpu) by that of the processor. Every pass must give the ids of the first, else
 * the program ends with an error instead of a row. */
#include "tools.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { MOST_SPECIALS = 64 };

typedef struct plan {
    const char *what, *model, *text_path, *pattern, *kind, *form, *out;
    pm_special_token specials[MOST_SPECIALS];
    size_t n_specials, most_bytes;
    unsigned threads;
    int passes;
    bool cold;
} plan;

/* ---- loading ---- */

static pm_tokenizer *load(const plan *p, const char *path) {
    pm_error err;
    pm_tokenizer *tok;
    pm_load_options options = PM_LOAD_OPTIONS_INIT;
    if (p->pattern && path == p->model) {
        options.patterns = &p->pattern;
        options.n_patterns = 1;
    }
    if (path == p->model) {
        options.special_tokens = p->specials;
        options.n_special_tokens = p->n_specials;
    }
    must(pm_tokenizer_load(&tok, path, &options, &err), &err);
    return tok;
}

static pm_encoder *encoder(const pm_tokenizer *tok) {
    pm_error err;
    pm_encoder *enc;
    must(pm_encoder_new(&enc, tok, &err), &err);
    return enc;
}

/* What is encoded: documents of bytes, and the same as Python's str where -f asks for that. */
typedef struct work {
    documents docs;
    pm_text *str;
} work;

static documents documents_of(const plan *p) {
    pm_bytes text = read_text(p->text_path);
    if (p->most_bytes && text.len > p->most_bytes) {
        text.len = p->most_bytes;
        while (text.len && (text.data[text.len] & 0xC0) == 0x80) {
            text.len--;
        }
    }
    return cut(text, p->kind);
}

static work work_of(const plan *p) {
    work w = {documents_of(p), NULL};
    if (p->form && strcmp(p->form, "str") == 0) {
        w.str = as_str(&w.docs);
    } else if (p->form && strcmp(p->form, "bytes") != 0) {
        die("-f %s: bytes or str", p->form);
    }
    return w;
}

static void work_free(work *w) {
    for (size_t i = 0; w->str && i < w->docs.n; i++) {
        free((void *)(uintptr_t)w->str[i].data);
    }
    free(w->str);
    documents_release(&w->docs);
}

/* ---- rows ---- */

static void begin(const char *row, const plan *p) {
    row_begin(row);
    row_text("model", base_name(p->model));
    row_text("pattern", p->pattern ? p->pattern : "");
    if (p->text_path) {
        row_text("text", base_name(p->text_path));
        row_text("documents", p->kind);
    }
    row_number("threads", p->threads);
}

static double mb_s(size_t bytes, double seconds) { return (double)bytes / seconds / 1e6; }

static void rates(const char *name, size_t bytes, times t) {
    char full[64];
    snprintf(full, sizeof full, "%s_mb_s", name);
    row_number(full, mb_s(bytes, t.wall));
    snprintf(full, sizeof full, "%s_cpu_mb_s", name);
    row_number(full, mb_s(bytes, t.cpu));
}

static void result(const documents *docs, size_t n_ids, const char *hash) {
    row_number("bytes", (double)docs->bytes);
    row_number("n_docs", (double)docs->n);
    row_number("tokens", (double)n_ids);
    row_text("sha1", hash);
}

static void same(const char *hash, const char *first) {
    if (strcmp(hash, first) != 0) {
        die("a later pass gives other ids than the first: %s, %s", hash, first);
    }
}

/* ---- encode ---- */

static times batch(const plan *p, const pm_tokenizer *tok, const work *w, pm_batch *out) {
    pm_error err;
    pm_encode_options options = PM_ENCODE_OPTIONS_INIT;
    options.threads = p->threads;
    times begun = now();
    if (w->str) {
        must(pm_encode_batch_texts(tok, w->str, w->docs.n, &options, out, &err), &err);
    } else {
        must(pm_encode_batch(tok, w->docs.each, w->docs.n, &options, out, &err), &err);
    }
    return since(begun);
}

static times batch_again(const plan *p, const pm_tokenizer *tok, const work *w, const pm_batch *first) {
    pm_batch out;
    times t = batch(p, tok, w, &out);
    size_t n = w->docs.n + 1;
    if (memcmp(out.offsets, first->offsets, n * sizeof *out.offsets) != 0 ||
        memcmp(out.ids, first->ids, out.offsets[n - 1] * sizeof *out.ids) != 0) {
        die("a later pass gives other ids than the first");
    }
    pm_batch_release(&out);
    return t;
}

static double mb_above(size_t bytes, size_t base) { return bytes > base ? (double)(bytes - base) / 1e6 : 0; }

static void bench_encode(const plan *p) {
    work w = work_of(p);
    const documents *docs = &w.docs;
    pm_batch out;
    char hash[13];
    peak_restart();
    size_t base = resident_now();
    times begun = now();
    pm_tokenizer *tok = load(p, p->model);
    times loading = since(begun);
    size_t loaded = resident_now(), peak_load = resident_peak();
    peak_restart();
    times cold = batch(p, tok, &w, &out), warm = cold;
    size_t peak = resident_peak(), n = out.offsets[docs->n],
           result_bytes = n * sizeof *out.ids + (docs->n + 1) * sizeof *out.offsets;
    for (int i = 0; i < p->passes; i++) {
        warm = least(warm, batch_again(p, tok, &w, &out));
    }
    hash_ids(out.ids, n, hash);
    pm_batch_release(&out);
    begin("encode", p);
    result(docs, n, hash);
    rates("cold", docs->bytes, cold);
    rates("warm", docs->bytes, warm);
    row_number("load_ms", loading.wall * 1e3);
    row_number("loaded_mb", mb_above(loaded, base));       /* what the vocabulary keeps */
    row_number("peak_load_mb", mb_above(peak_load, base)); /* while it was loaded */
    row_number("beyond_mb",
               mb_above(peak, base + result_bytes)); /* peak of encoding, vocabulary included, without text and ids */
    row_end();
    pm_tokenizer_free(tok);
    work_free(&w);
}

/* ---- single ---- */

/* All documents through one encoder into one array; the times and the number of ids. ids NULL: counting. */
static times one_by_one(pm_encoder *enc, const documents *docs, pm_id *ids, uint64_t *ends) {
    pm_error err;
    size_t at = 0, n;
    times begun = now();
    for (size_t i = 0; i < docs->n; i++) {
        must(pm_encode(enc, docs->each[i], NULL, ids ? ids + at : NULL, ids ? docs->each[i].len : 0, &n, &err), &err);
        at += n;
        ends[i] = at;
    }
    return since(begun);
}

static times decode(const pm_tokenizer *tok, const documents *docs, const pm_id *ids, const uint64_t *ends,
                    uint8_t *out, size_t most) {
    pm_error err;
    times begun = now();
    for (size_t i = 0; i < docs->n; i++) {
        size_t from = i ? (size_t)ends[i - 1] : 0, n;
        must(pm_decode(tok, ids + from, (size_t)ends[i] - from, out, most, &n, &err), &err);
        out += n;
        most -= n;
    }
    return since(begun);
}

static void check_decoded(const documents *docs, const uint8_t *text) {
    for (size_t i = 0; i < docs->n; i++) {
        if (memcmp(text, docs->each[i].data, docs->each[i].len) != 0) {
            die("document %zu is not what it was after decoding", i);
        }
        text += docs->each[i].len;
    }
}

static void bench_single(const plan *p) {
    documents docs = documents_of(p);
    pm_tokenizer *tok = load(p, p->model);
    pm_encoder *enc = encoder(tok);
    pm_id *ids = must_alloc(docs.bytes * sizeof *ids);
    uint64_t *ends = must_alloc(docs.n * sizeof *ends), *counted = must_alloc(docs.n * sizeof *counted);
    uint8_t *text = must_alloc(docs.bytes);
    char hash[13], again[13];
    times cold = one_by_one(enc, &docs, ids, ends), warm = cold, count = {1e9, 1e9}, back = {1e9, 1e9};
    size_t n = docs.n ? (size_t)ends[docs.n - 1] : 0;
    hash_ids(ids, n, hash);
    for (int i = 0; i < p->passes || i == 0; i++) {
        warm = least(warm, one_by_one(enc, &docs, ids, ends));
        hash_ids(ids, n, again);
        same(again, hash);
        count = least(count, one_by_one(enc, &docs, NULL, counted));
        if (memcmp(ends, counted, docs.n * sizeof *ends) != 0) {
            die("count gives other numbers than encode");
        }
        back = least(back, decode(tok, &docs, ids, ends, text, docs.bytes));
    }
    check_decoded(&docs, text);
    begin("single", p);
    result(&docs, n, hash);
    rates("cold", docs.bytes, cold);
    rates("warm", docs.bytes, warm);
    rates("count", docs.bytes, count);
    rates("decode", docs.bytes, back);
    row_end();
    free(ids);
    free(ends);
    free(counted);
    free(text);
    documents_release(&docs);
    pm_encoder_free(enc);
    pm_tokenizer_free(tok);
}

/* ---- calls ---- */

enum { CALL_TOKENS = 20, CALL_STRINGS = 1000, CALL_ROUNDS = 100, CALL_MOST = 1000 };

/* The bytes of the first CALL_TOKENS ids of a text when they are that many ids by themselves too, else an empty string.
 */
static pm_bytes short_string(pm_encoder *enc, const pm_tokenizer *tok, pm_bytes text) {
    pm_id ids[CALL_MOST];
    pm_error err;
    size_t n, len = 0;
    text.len = text.len < CALL_MOST ? text.len : CALL_MOST;
    must(pm_encode(enc, text, NULL, ids, CALL_MOST, &n, &err), &err);
    for (size_t i = 0; i < n && i < CALL_TOKENS; i++) {
        len += pm_tokenizer_piece(tok, ids[i]).len;
    }
    text.len = len < text.len ? len : text.len;
    must(pm_encode(enc, text, NULL, ids, CALL_MOST, &n, &err), &err);
    bool whole = text.len && (text.data[text.len] & 0xC0) != 0x80; /* ends with a character */
    return n == CALL_TOKENS && whole ? text : (pm_bytes){NULL, 0};
}

/* Nanoseconds a call, best of all rounds over the n strings. */
static double call_time(pm_encoder *enc, const pm_bytes *strings, size_t n) {
    pm_id ids[CALL_MOST];
    pm_error err;
    size_t got;
    times best = {1e9, 1e9};
    for (int round = 0; round < CALL_ROUNDS; round++) {
        times begun = now();
        for (size_t i = 0; i < n; i++) {
            must(pm_encode(enc, strings[i], NULL, ids, CALL_MOST, &got, &err), &err);
        }
        best = least(best, since(begun));
    }
    return best.wall / (double)n * 1e9;
}

static void bench_calls(const plan *p) {
    documents docs = documents_of(p);
    pm_tokenizer *tok = load(p, p->model);
    pm_encoder *enc = encoder(tok);
    pm_bytes strings[CALL_STRINGS], repeated[CALL_STRINGS];
    size_t n = 0, bytes = 0;
    for (size_t i = 0; i < docs.n && n < CALL_STRINGS; i++) {
        for (size_t at = 0; at + CALL_MOST + 4 < docs.each[i].len && n < CALL_STRINGS; at += CALL_MOST) {
            while ((docs.each[i].data[at] & 0xC0) == 0x80) {
                at++;
            }
            strings[n] = short_string(enc, tok, (pm_bytes){docs.each[i].data + at, docs.each[i].len - at});
            bytes += strings[n].len;
            n += strings[n].len != 0;
        }
    }
    if (!n) {
        die("%s: no string of %d tokens was found", p->text_path, CALL_TOKENS);
    }
    for (size_t i = 0; i < n; i++) {
        repeated[i] = strings[0];
    }
    begin("calls", p);
    row_number("tokens", CALL_TOKENS);
    row_number("strings", (double)n);
    row_number("bytes", (double)bytes / (double)n);
    row_number("different_ns", call_time(enc, strings, n)); /* n strings in turn */
    row_number("repeated_ns", call_time(enc, repeated, n)); /* one string again and again */
    row_end();
    documents_release(&docs);
    pm_encoder_free(enc);
    pm_tokenizer_free(tok);
}

/* ---- load ---- */

/* Loads, makes an encoder and encodes one byte, so that nothing is left for later; best of the passes. */
static times load_time(const plan *p, const char *path) {
    static const uint8_t letter = 'a';
    times best = {1e9, 1e9};
    for (int i = 0; i < p->passes || i == 0; i++) {
        pm_error err;
        pm_id id;
        size_t n;
        times begun = now();
        pm_tokenizer *tok = load(p, path);
        pm_encoder *enc = encoder(tok);
        must(pm_encode(enc, (pm_bytes){&letter, 1}, NULL, &id, 1, &n, &err), &err);
        best = least(best, since(begun));
        pm_encoder_free(enc);
        pm_tokenizer_free(tok);
    }
    return best;
}

static void bench_load(const plan *p) {
    char native[] = "/tmp/piecemill-bench-XXXXXX";
    pm_error err;
    int fd = mkstemp(native);
    if (fd < 0) {
        die("%s: %s", native, strerror(errno));
    }
    close(fd);
    times file = load_time(p, p->model);
    pm_tokenizer *tok = load(p, p->model);
    pm_status saved = pm_tokenizer_save(tok, native, PM_FORMAT_NATIVE, &err);
    if (saved != PM_OK) {
        unlink(native);
        must(saved, &err);
    }
    times again = load_time(p, native);
    unlink(native);
    begin("load", p);
    row_number("vocab_size", pm_tokenizer_vocab_size(tok));
    row_number("load_ms", file.wall * 1e3);
    row_number("load_cpu_ms", file.cpu * 1e3);
    row_number("native_ms", again.wall * 1e3); /* reading it and building the encoder */
    row_number("native_cpu_ms", again.cpu * 1e3);
    row_end();
    pm_tokenizer_free(tok);
}

/* ---- sample ---- */

static void bench_sample(const plan *p) {
    work w = work_of(p);
    const documents *docs = &w.docs;
    pm_tokenizer *tok = load(p, p->model);
    struct rusage before, after;
    times total = {0, 0};
    long faults = 0;
    char hash[13];
    pm_batch out;
    if (!p->out) {
        die("sample: -o FILE is missing");
    }
    if (!p->cold) {
        batch(p, tok, &w, &out);
        pm_batch_release(&out);
    }
    int passes = p->cold ? 1 : p->passes ? p->passes : 1;
    for (int i = 0; i < passes; i++) {
        getrusage(RUSAGE_SELF, &before);
        sample_start(250);
        times t = batch(p, tok, &w, &out);
        sample_stop();
        getrusage(RUSAGE_SELF, &after);
        faults += after.ru_minflt - before.ru_minflt;
        total.wall += t.wall;
        total.cpu += t.cpu;
        hash_ids(out.ids, out.offsets[docs->n], hash);
        pm_batch_release(&out);
    }
    size_t samples = sample_write(p->out);
    begin("sample", p);
    row_text("sha1", hash);
    row_text("pass", p->cold ? "cold" : "warm");
    row_number("passes", passes);
    row_number("bytes", (double)docs->bytes);
    row_number("samples", (double)samples);
    row_number("ns_byte", total.wall / passes / (double)docs->bytes * 1e9);
    row_number("cpu_ns_byte", total.cpu / passes / (double)docs->bytes * 1e9);
    row_number("page_faults", (double)faults / passes);
    row_end();
    pm_tokenizer_free(tok);
    work_free(&w);
}

/* ---- the command line ---- */

static pm_special_token special(const char *argument) {
    const char *equals = strrchr(argument, '=');
    if (!equals || equals == argument) {
        die("-s %s: not TEXT=ID", argument);
    }
    return (pm_special_token){{(const uint8_t *)argument, (size_t)(equals - argument)},
                              (pm_id)strtoul(equals + 1, NULL, 10)};
}

static unsigned long number(const char *text, unsigned long most) {
    char *end;
    unsigned long value = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || value > most) {
        die("'%s' is not a number up to %lu", text, most);
    }
    return value;
}

static plan options(int argc, char **argv) {
    plan p = {.what = argv[1], .kind = "long", .threads = 1, .passes = 3};
    int c;
    optind = 2;
    while ((c = getopt(argc, argv, "p:s:t:n:d:f:b:o:c")) != -1) {
        switch (c) {
        case 'p': p.pattern = optarg; break;
        case 's':
            if (p.n_specials == MOST_SPECIALS) {
                die("more than %d special tokens", MOST_SPECIALS);
            }
            p.specials[p.n_specials++] = special(optarg);
            break;
        case 't': p.threads = (unsigned)number(optarg, 1024); break;
        case 'n': p.passes = (int)number(optarg, 1000000); break;
        case 'd': p.kind = optarg; break;
        case 'f': p.form = optarg; break;
        case 'b': p.most_bytes = number(optarg, SIZE_MAX); break;
        case 'o': p.out = optarg; break;
        case 'c': p.cold = true; break;
        default: die("see the top of bench/bench.c for the options");
        }
    }
    p.model = optind < argc ? argv[optind] : NULL;
    p.text_path = optind + 1 < argc ? argv[optind + 1] : NULL;
    return p;
}

int main(int argc, char **argv) {
    static const struct {
        const char *name;
        void (*run)(const plan *);
        bool text;
    } kinds[] = {{"encode", bench_encode, true},
                 {"single", bench_single, true},
                 {"calls", bench_calls, true},
                 {"load", bench_load, false},
                 {"sample", bench_sample, true}};
    if (argc < 2) {
        die("usage: bench_c encode|single|calls|load|limits|sample [OPTION...] [MODEL [TEXT]]; more at the top of "
            "bench/bench.c");
    }
    plan p = options(argc, argv);
    if (strcmp(p.what, "limits") == 0) {
        bench_limits();
        return 0;
    }
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(p.what, kinds[i].name) == 0) {
            if (!p.model || (kinds[i].text && !p.text_path)) {
                die("%s: a MODEL%s is missing", p.what, kinds[i].text ? " and a TEXT" : "");
            }
            kinds[i].run(&p);
            return 0;
        }
    }
    die("unknown word '%s'", p.what);
}
