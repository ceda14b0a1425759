/* fuzz_encode.c - any text under small BPE models: ids equal the definition's, decoding gives the text back, batches and special tokens
 * hold together. The first two bytes choose the model, the rest is the text. */
#include <stdio.h>

#include "bpe_encode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MODELS = 10, OF_BYTES = 6, LONGEST = 2000 };

static pm_model models[MODELS]; /* what the tokenizers were made from */
static pm_tokenizer *tokenizers[MODELS];
static pm_encoder *encoders[MODELS];

static void must(bool good, const char *what) {
    if (!good) {
        fprintf(stderr, "fuzz_encode: %s\n", what);
        abort();
    }
}

/* The models behind the first six have pieces that hold characters of one to four bytes, parts of them, and straddle them. */
static bool make_model(pm_model *model, unsigned i, const char *alphabet) {
    static const char text[] = "\xE4\xB8\xAD\xE6\x96\x87\xE5\xAD\x97\xE4\xB8\xAD\xE5\x8C\x97\xE4\xBA\xAC a\xC3\xA9\xC3\xA8 \xE5\x8C\x97\xE4\xBA\xAC\xE4\xB8\xAD\xE4\xBA\xAD\xD0\xB8\xD0\xBD"
                               "\xF0\x9F\x98\x80\xF0\x9F\x98\xB8\xE3\x81\xAE\xE4\xB8\xAD\xE6\x96\x87\xE3\x80\x82" "ab\xE4\xBA\xAC";
    return alphabet ? oracle_random_model(model, i, 150, alphabet, i % 2)
                    : oracle_model_of_text(model, i, 60, (const uint8_t *)text, sizeof text - 1, i % 2);
}

static void make_models(void) {
    static const char *const alphabets[OF_BYTES] = {"ab", "abc", "a \n\t", "\xE4\xB8\xAD\xCC\x81", "<|s>", "aab"};
    for (unsigned i = 0; i < MODELS && !tokenizers[i]; i++) {
        pm_model taken;
        pm_bytes special = {(const uint8_t *)"<|s|>", 5};
        const char *alphabet = i < OF_BYTES ? alphabets[i] : NULL;
        must(make_model(&models[i], i, alphabet) && make_model(&taken, i, alphabet), "memory");
        models[i].whole_first = taken.whole_first = i % 3 == 0;
        must(pm_model_set(&taken, 1000, PM_KIND_SPECIAL, special, 0, false, NULL) == PM_OK, "memory");
        must(pm_tokenizer_make(&tokenizers[i], &taken, NULL) == PM_OK, "memory");
        must(pm_encoder_new(&encoders[i], tokenizers[i], NULL) == PM_OK, "memory");
    }
}

static void check_round_trip(const pm_tokenizer *tok, const pm_id *ids, size_t n, pm_bytes text) {
    uint8_t back[LONGEST];
    size_t n_back;
    must(pm_decode(tok, ids, n, back, text.len, &n_back, NULL) == PM_OK, "decode failed");
    must(n_back == text.len && (text.len == 0 || memcmp(back, text.data, n_back) == 0), "decode gave another text");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    pm_id ids[LONGEST], wanted[LONGEST];
    pm_encode_options o = PM_ENCODE_OPTIONS_INIT;
    size_t n;

    make_models();
    if (size < 2 || size > LONGEST) {
        return 0;
    }
    unsigned which = data[0] % MODELS;
    pm_bytes text = {data + 2, size - 2};
    const pm_tokenizer *tok = tokenizers[which];

    o.disallowed = PM_SPECIAL_NONE;
    must(pm_encode(encoders[which], text, &o, ids, LONGEST, &n, NULL) == PM_OK, "encode failed");
    size_t n_wanted = text.len ? oracle_bpe_encode(&models[which], models[which].whole_first, text.data, text.len, wanted) : 0;
    must(n == n_wanted && memcmp(ids, wanted, n * sizeof *ids) == 0, "ids differ from the definition's");
    check_round_trip(tok, ids, n, text);

    o.allowed = PM_SPECIAL_ALL;
    size_t room = data[1] * (size_t)8, need;
    pm_status status = pm_encode(encoders[which], text, &o, ids, room, &need, NULL);
    must(status == (need > room ? PM_NO_SPACE : PM_OK), "wrong status");
    must(pm_encode(encoders[which], text, &o, ids, LONGEST, &n, NULL) == PM_OK && n == need, "wrong need");
    check_round_trip(tok, ids, n, text);

    pm_bytes docs[2] = {{text.data, text.len / 2}, text};
    pm_batch batch;
    o.threads = 1;
    must(pm_encode_batch(tok, docs, 2, &o, &batch, NULL) == PM_OK, "batch failed");
    must(batch.offsets[2] - batch.offsets[1] == n && memcmp(batch.ids + batch.offsets[1], ids, n * sizeof *ids) == 0, "batch differs");
    pm_batch_release(&batch);
    return 0;
}
