/* answers.c - what the library says, in a few lines that must be the same on every machine: hashes of trained models,
 * as they are saved too, and of the ids of texts.
 *
 *     answers CORPORA SCRATCH-FILE [NAME FILE.tiktoken]...
 *
 * CORPORA is a folder with en.txt, zh.txt, code.txt, mixed.txt. It uses the public header only. run.sh compares the
 * lines of the machine it runs on with those of others under an emulator. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "piecemill.h"

static void must(pm_status status, const pm_error *err) {
    if (status != PM_OK) {
        fprintf(stderr, "answers: %s\n", err->message);
        exit(1);
    }
}

/* Of numbers, not of bytes: the same whatever their order in memory. */
static uint64_t mix(uint64_t hash, uint64_t value) { return (hash ^ value) * UINT64_C(0x100000001B3) ^ hash >> 29; }

static pm_bytes read_file(const char *folder, const char *name) {
    char path[4096];
    snprintf(path, sizeof path, "%s%s%s", folder, *folder ? "/" : "", name);
    FILE *f = fopen(path, "rb");
    uint8_t *data = malloc(8 << 20);
    if (!f || !data) {
        perror(path);
        exit(1);
    }
    size_t len = fread(data, 1, 8 << 20, f);
    fclose(f);
    return (pm_bytes){data, len};
}

/* Bytes of all kinds: many make characters, many do not. */
static pm_bytes noise(void) {
    enum { LEN = 200000 };
    uint8_t *data = malloc(LEN);
    uint64_t state = 1;
    for (size_t i = 0; data && i < LEN; i++) {
        state = state * UINT64_C(6364136223846793005) + 1442695040888963407;
        data[i] = (uint8_t)(state >> 33 & 1 ? state >> 40 : (state >> 40 & 0x3F) | 0x80);
    }
    return (pm_bytes){data, data ? LEN : 0};
}

enum { N_TEXTS = 5 };
static const char *const names[N_TEXTS] = {"en.txt", "zh.txt", "code.txt", "mixed.txt", "noise"};
static pm_bytes texts[N_TEXTS];

/* The ids of a text as one document, and as documents of some hundred bytes over threads. */
static void encode(const pm_tokenizer *tok, const char *model, int t, bool raw) {
    pm_bytes text = texts[t];
    pm_encode_options options = PM_ENCODE_OPTIONS_INIT;
    pm_error err;
    pm_encoder *enc;
    pm_id *ids = malloc((text.len + 2) * sizeof *ids), *back = ids;
    size_t n, n_docs = 0;
    uint64_t hash = 0, batch_hash = 0;

    options.threads = 2;
    options.no_normalize = raw;
    must(pm_encoder_new(&enc, tok, &err), &err);
    must(pm_encode(enc, text, &options, ids, text.len + 2, &n, &err), &err);
    for (size_t i = 0; i < n; i++) {
        hash = mix(hash, ids[i]);
    }
    pm_encoder_free(enc);
    free(back);

    pm_bytes *docs = malloc((text.len / 100 + 1) * sizeof *docs);
    for (size_t at = 0; at < text.len; n_docs++) {
        size_t len = 100 + n_docs % 900 < text.len - at ? 100 + n_docs % 900 : text.len - at;
        docs[n_docs] = (pm_bytes){text.data + at, len};
        at += len;
    }
    pm_batch batch = {0};
    must(pm_encode_batch(tok, docs, n_docs, &options, &batch, &err), &err);
    for (size_t i = 0; i < batch.offsets[n_docs]; i++) {
        batch_hash = mix(batch_hash, batch.ids[i]);
    }
    printf("%s %s: %zu ids %016" PRIx64 ", in %zu documents %zu ids %016" PRIx64 "\n", model, names[t], n, hash, n_docs,
           (size_t)batch.offsets[n_docs], batch_hash);
    pm_batch_release(&batch);
    free(docs);
}

static void train(const char *name, pm_algorithm algorithm, const char *scratch) {
    const uint32_t size = 1500;
    pm_train_options options = PM_TRAIN_OPTIONS_INIT;
    pm_error err;
    pm_corpus *corpus;
    pm_tokenizer *tok;
    char hex[PM_HASH_HEX];
    uint64_t hash = 0;

    options.algorithm = algorithm;
    options.vocab_sizes = &size;
    options.n_vocab_sizes = 1;
    options.threads = 2;
    must(pm_corpus_new(&corpus, NULL, &err), &err);
    must(pm_corpus_add_document(corpus, (pm_bytes){texts[3].data, texts[3].len / 4}, &err), &err);
    must(pm_train(&tok, 1, corpus, &options, &err), &err);
    must(pm_tokenizer_save(tok, scratch, PM_FORMAT_NATIVE, &err), &err);
    pm_tokenizer_free(tok);
    pm_corpus_free(corpus);
    pm_bytes file = read_file("", scratch);
    for (size_t i = 0; i < file.len; i++) {
        hash = mix(hash, file.data[i]);
    }
    must(pm_tokenizer_load(&tok, scratch, NULL, &err), &err);
    pm_tokenizer_hash(tok, hex);
    printf("%s: %s, %zu bytes %016" PRIx64 "\n", name, hex, file.len, hash);
    for (int t = 0; t < N_TEXTS; t++) {
        encode(tok, name, t, true);
    }
    pm_tokenizer_free(tok);
    free((void *)file.data);
}

static void load(const char *pattern, const char *path) {
    pm_load_options options = PM_LOAD_OPTIONS_INIT;
    pm_error err;
    pm_tokenizer *tok;

    options.patterns = &pattern;
    options.n_patterns = 1;
    must(pm_tokenizer_load(&tok, path, &options, &err), &err);
    for (int t = 0; t < N_TEXTS; t++) {
        encode(tok, pattern, t, true);
    }
    pm_tokenizer_free(tok);
}

int main(int argc, char **argv) {
    if (argc < 3) {
        fprintf(stderr, "usage: answers CORPORA SCRATCH-FILE [NAME FILE.tiktoken]...\n");
        return 2;
    }
    for (int t = 0; t < N_TEXTS; t++) {
        texts[t] = t < N_TEXTS - 1 ? read_file(argv[1], names[t]) : noise();
    }
    train("bpe", PM_ALGORITHM_BPE, argv[2]);
    train("bytepiece", PM_ALGORITHM_BYTEPIECE, argv[2]);
    for (int i = 3; i + 1 < argc; i += 2) {
        load(argv[i], argv[i + 1]);
    }
    for (int t = 0; t < N_TEXTS; t++) {
        free((void *)texts[t].data);
    }
    return 0;
}
