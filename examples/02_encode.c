/* 02_encode.c - train a small vocabulary in memory, encode one text and a batch with it, and decode again.
 *
 *     cc 02_encode.c $(pkg-config --cflags --libs piecemill) && ./a.out
 */
#include <piecemill.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void must(pm_status status, const pm_error *err) {
    if (status != PM_OK) {
        fprintf(stderr, "02_encode: %s\n", err->message);
        exit(1);
    }
}

static pm_bytes bytes(const char *s) { return (pm_bytes){(const uint8_t *)s, strlen(s)}; }

static pm_tokenizer *train(const pm_bytes *docs, size_t n) {
    pm_error err;
    pm_corpus *corpus;
    pm_tokenizer *tok;
    uint32_t vocab_size = 300;
    pm_special_token end = {bytes("<|end|>"), PM_ID_NONE};
    pm_train_options options = PM_TRAIN_OPTIONS_INIT;

    must(pm_corpus_new(&corpus, NULL, &err), &err);
    for (size_t i = 0; i < n; i++) {
        must(pm_corpus_add_document(corpus, docs[i], &err), &err);
    }
    options.algorithm = PM_ALGORITHM_BPE;
    options.vocab_sizes = &vocab_size;
    options.n_vocab_sizes = 1;
    options.special_tokens = &end;
    options.n_special_tokens = 1;
    must(pm_train(&tok, 1, corpus, &options, &err), &err);
    pm_corpus_free(corpus);
    return tok;
}

int main(void) {
    pm_error err;
    pm_bytes docs[] = {bytes("the quick brown fox jumps over the lazy dog"), bytes("the dog sleeps, the fox does not"), bytes("")};
    size_t n_docs = sizeof docs / sizeof *docs;
    pm_tokenizer *tok = train(docs, n_docs);

    /* One text: as many ids as bytes are always enough. */
    pm_encoder *enc;
    pm_id ids[64];
    size_t n;
    must(pm_encoder_new(&enc, tok, &err), &err);
    must(pm_encode(enc, docs[0], NULL, ids, 64, &n, &err), &err);
    for (size_t i = 0; i < n; i++) {
        pm_bytes piece = pm_tokenizer_piece(tok, ids[i]);
        printf("%u '%.*s'\n", ids[i], (int)piece.len, (const char *)piece.data);
    }

    /* A special token in text is an error unless it is allowed. */
    pm_encode_options options = PM_ENCODE_OPTIONS_INIT;
    pm_bytes marked = bytes("the fox<|end|>");
    if (pm_encode(enc, marked, NULL, ids, 64, &n, &err) != PM_SPECIAL_IN_TEXT || err.offset != 7) {
        return 1;
    }
    options.allowed = PM_SPECIAL_ALL;
    must(pm_encode(enc, marked, &options, ids, 64, &n, &err), &err);
    pm_encoder_free(enc);

    /* Many texts on all processors: one flat array and offsets. */
    pm_batch batch;
    must(pm_encode_batch(tok, docs, n_docs, NULL, &batch, &err), &err);
    for (size_t i = 0; i < batch.n_docs; i++) {
        uint8_t text[64];
        size_t len;
        must(pm_decode(tok, batch.ids + batch.offsets[i], batch.offsets[i + 1] - batch.offsets[i], text, sizeof text, &len, &err), &err);
        printf("%.*s\n", (int)len, (const char *)text);
        if (len != docs[i].len || memcmp(text, docs[i].data, len) != 0) {
            return 1;
        }
    }
    pm_batch_release(&batch);
    pm_tokenizer_free(tok);
    return 0;
}
