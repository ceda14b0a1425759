/* 01_train.c - train a BytePiece and a BPE vocabulary from a text file and save both.
 *
 *     cc 01_train.c $(pkg-config --cflags --libs piecemill) && ./a.out corpora/zh.txt
 */
#include <piecemill.h>

#include <stdio.h>
#include <stdlib.h>

/* Ends the program with the library's own words. */
static void must(pm_status status, const pm_error *err) {
    if (status != PM_OK) {
        fprintf(stderr, "%s: %s\n", err->file[0] ? err->file : "01_train", err->message);
        exit(1);
    }
}

static void train(pm_algorithm algorithm, const char *text, const char *model) {
    pm_error err;
    pm_corpus *corpus;
    pm_tokenizer *tok;
    pm_train_summary summary;
    uint32_t vocab_size = 2000;
    pm_train_options options = PM_TRAIN_OPTIONS_INIT;

    must(pm_corpus_new(&corpus, NULL, &err), &err);
    must(pm_corpus_add_file(corpus, text, &err), &err);

    options.algorithm = algorithm;
    options.vocab_sizes = &vocab_size;
    options.n_vocab_sizes = 1;
    options.summary = &summary;
    must(pm_train(&tok, 1, corpus, &options, &err), &err);
    must(pm_tokenizer_save(tok, model, PM_FORMAT_AUTO, &err), &err);
    printf("%s: %llu bytes of text, %u entries, %.1f s\n", model, (unsigned long long)summary.bytes, summary.vocab_size,
           summary.seconds);

    pm_tokenizer_free(tok);
    pm_corpus_free(corpus);
}

int main(int argc, char **argv) {
    const char *source = getenv("PM_SOURCE"); /* set by `make check` */
    char sample[4096];

    snprintf(sample, sizeof sample, "%s/corpora/zh.txt", source ? source : ".");
    const char *text = argc > 1 ? argv[1] : sample;
    train(PM_ALGORITHM_BYTEPIECE, text, "example-bytepiece.piecemill");
    train(PM_ALGORITHM_BPE, text, "example-bpe.piecemill");
    remove("example-bytepiece.piecemill");
    remove("example-bpe.piecemill");
    return 0;
}
