/* bpe_vocab.c - the vocabulary that BPE training grows: merges, the texts of their symbols, and what may not become one. */
#include "train/bpe_vocab.h"

#include "model/model.h"

pm_status pm_bpe_vocab_init(pm_bpe_vocab *vocab, const pm_special_token *specials, size_t n_specials, pm_error *err) {
    *vocab = (pm_bpe_vocab){.specials = specials, .n_specials = n_specials};
    PM_TRY(pm_grow((void **)&vocab->texts, &vocab->cap_texts, 512, sizeof *vocab->texts, err));
    for (unsigned i = 0; i < 256; i++) {
        vocab->texts[i] = (pm_bytes){&pm_byte_order[i], 1};
    }
    return PM_OK;
}

pm_status pm_bpe_vocab_add(pm_bpe_vocab *vocab, uint32_t left, uint32_t right, uint64_t count, pm_error *err) {
    size_t id = pm_bpe_vocab_size(vocab);
    PM_TRY(pm_grow((void **)&vocab->merges, &vocab->cap_merges, vocab->n_merges + 1, sizeof *vocab->merges, err));
    PM_TRY(pm_grow((void **)&vocab->texts, &vocab->cap_texts, id + 1, sizeof *vocab->texts, err));
    pm_bytes a = vocab->texts[left], b = vocab->texts[right];
    uint8_t *text = pm_arena_alloc(&vocab->arena, a.len + b.len);
    if (!text) {
        return pm_fail_memory(err);
    }
    memcpy(text, a.data, a.len);
    memcpy(text + a.len, b.data, b.len);
    vocab->texts[id] = (pm_bytes){text, a.len + b.len};
    vocab->merges[vocab->n_merges++] = (pm_bpe_merge){left, right, count};
    return PM_OK;
}

bool pm_bpe_vocab_forbids(const pm_bpe_vocab *vocab, uint32_t left, uint32_t right) {
    for (size_t i = 0; i < vocab->n_specials; i++) {
        pm_bytes a = vocab->texts[left], b = vocab->texts[right], s = vocab->specials[i].text;
        if (s.len == a.len + b.len && memcmp(s.data, a.data, a.len) == 0 && memcmp(s.data + a.len, b.data, b.len) == 0) {
            return true;
        }
    }
    return false;
}

void pm_bpe_vocab_release(pm_bpe_vocab *vocab) {
    pm_free(vocab->merges);
    pm_free(vocab->texts);
    pm_arena_release(&vocab->arena);
    *vocab = (pm_bpe_vocab){0};
}
