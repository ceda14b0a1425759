/* check_api.c - a program of a user: only the installed header and library. Walks through train, save, load, encode, decode. */
#include <piecemill.h>

#include <stdio.h>
#include <string.h>

static int failed;

static void check(bool ok, const char *what) {
    if (!ok) {
        fprintf(stderr, "FAILED: %s\n", what);
        failed++;
    }
}

static pm_bytes bytes(const char *s) { return (pm_bytes){(const uint8_t *)s, strlen(s)}; }

/* The same text in UTF-16, alone and in a batch, has the same ids. */
static void other_form(const pm_tokenizer *tok, pm_encoder *enc, const char *text, const pm_id *wanted, size_t n_wanted) {
    pm_error err = {0};
    uint16_t units[100];
    size_t n = 0, len = strlen(text);
    pm_id ids[100];
    pm_batch batch;

    for (size_t i = 0; i < len; i++) {
        units[i] = (uint8_t)text[i];
    }
    pm_text forms[2] = {{text, len, PM_TEXT_UTF8}, {units, len, PM_TEXT_UTF16}};
    check(pm_encode_text(enc, forms[1], NULL, ids, 100, &n, &err) == PM_OK, err.message);
    check(n == n_wanted && memcmp(ids, wanted, n * sizeof *ids) == 0, "ids of UTF-16");
    check(pm_encode_batch_texts(tok, forms, 2, NULL, &batch, &err) == PM_OK, err.message);
    check(batch.n_docs == 2 && batch.offsets[2] == 2 * n_wanted, "a batch of both forms");
    pm_batch_release(&batch);
    check(pm_text_to_utf8(forms[1], NULL, 0, &n, &err) == PM_OK && n == len, "length as UTF-8");
}

static void round_trip(pm_algorithm algorithm) {
    const char *text = "the cat sat on the mat, the bat sat on the cat";
    pm_error err = {0};
    pm_corpus *corpus = NULL;
    pm_tokenizer *tok = NULL;
    pm_encoder *enc = NULL;
    uint32_t size = 300;
    pm_train_options options = PM_TRAIN_OPTIONS_INIT;
    pm_id ids[100];
    size_t n = 0, n_out = 0;
    uint8_t out[200];

    options.algorithm = algorithm;
    options.vocab_sizes = &size;
    options.n_vocab_sizes = 1;
    check(pm_corpus_new(&corpus, NULL, &err) == PM_OK, err.message);
    for (int i = 0; i < 50; i++) {
        check(pm_corpus_add_document(corpus, bytes(text), &err) == PM_OK, err.message);
    }
    check(pm_train(&tok, 1, corpus, &options, &err) == PM_OK, err.message);
    pm_corpus_free(corpus);
    if (tok) {
        check(pm_encoder_new(&enc, tok, &err) == PM_OK, err.message);
        check(pm_encode(enc, bytes(text), NULL, ids, 100, &n, &err) == PM_OK, err.message);
        check(n > 0 && n <= strlen(text), "no more ids than bytes");
        check(pm_decode(tok, ids, n, out, sizeof out, &n_out, &err) == PM_OK, err.message);
        check(n_out == strlen(text) && memcmp(out, text, n_out) == 0, "decode(encode(x)) == x");
        other_form(tok, enc, text, ids, n);
    }
    pm_encoder_free(enc);
    pm_tokenizer_free(tok);
}

int main(void) {
    check(strcmp(pm_version(), PM_VERSION_STRING) == 0, "header and library are of one version");
    check(pm_default_threads() >= 1, "at least one thread");
    check(strcmp(pm_status_name(PM_NO_SPACE), "PM_NO_SPACE") == 0, "names of statuses");
    round_trip(PM_ALGORITHM_BPE);
    round_trip(PM_ALGORITHM_BYTEPIECE);
    printf("api: %d passed, %d failed\n", 5 - (failed ? 1 : 0), failed);
    return failed != 0;
}
