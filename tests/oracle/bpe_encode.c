/* bpe_encode.c - see bpe_encode.h. Slow and plain on purpose. */
#include "bpe_encode.h"

static bool is_bytes(const pm_model *model, pm_id id, const uint8_t *data, size_t len) {
    return model->kinds[id] == PM_KIND_PIECE && model->pieces[id].len == len && memcmp(model->pieces[id].data, data, len) == 0;
}

static pm_id find(const pm_model *model, const uint8_t *data, size_t len) {
    for (pm_id id = 0; id < model->vocab_size; id++) {
        if (is_bytes(model, id, data, len)) {
            return id;
        }
    }
    return PM_ID_NONE;
}

static size_t rank_of(const pm_model *model, pm_id left, pm_id right) {
    for (size_t i = 0; i < model->n_merges; i++) {
        if (model->merges[i].left == left && model->merges[i].right == right) {
            return i;
        }
    }
    return SIZE_MAX;
}

/* Ranks of all pairs that were asked for, so that the twin is slow and not hopeless: known[left * size + right] is rank + 2, 1: none, 0: not asked. */
typedef struct memory {
    uint32_t *known;
    size_t size;
} memory;

static size_t remembered_rank(memory *m, const pm_model *model, pm_id left, pm_id right) {
    uint32_t *cell = &m->known[left * m->size + right];
    if (*cell == 0) {
        size_t rank = rank_of(model, left, right);
        *cell = rank == SIZE_MAX ? 1 : (uint32_t)rank + 2;
    }
    return *cell == 1 ? SIZE_MAX : *cell - 2;
}

size_t oracle_bpe_encode(const pm_model *model, bool whole_first, const uint8_t *word, size_t len, pm_id *ids) {
    if (whole_first && find(model, word, len) != PM_ID_NONE) {
        ids[0] = find(model, word, len);
        return 1;
    }
    memory m = {calloc((size_t)model->vocab_size * model->vocab_size, sizeof(uint32_t)), model->vocab_size};
    size_t n = len;
    for (size_t i = 0; i < len; i++) {
        ids[i] = find(model, word + i, 1);
    }
    for (;;) {
        size_t best = SIZE_MAX, at = 0;
        for (size_t i = 0; i + 1 < n; i++) {
            size_t rank = remembered_rank(&m, model, ids[i], ids[i + 1]);
            if (rank < best) {
                best = rank;
                at = i;
            }
        }
        if (best == SIZE_MAX) {
            break;
        }
        ids[at] = model->merges[best].result;
        memmove(&ids[at + 1], &ids[at + 2], (n - at - 2) * sizeof *ids);
        n--;
    }
    free(m.known);
    return n;
}

size_t oracle_rank_encode(const pm_model *model, const uint8_t *word, size_t len, pm_id *ids) {
    size_t ends[1000], n = len; /* of the tokens, in the word */
    if (len > 1000) {
        abort();
    }
    for (size_t i = 0; i < len; i++) {
        ends[i] = i + 1;
    }
    while (n > 1) {
        pm_id best = PM_ID_NONE;
        size_t at = 0;
        for (size_t i = 0; i + 1 < n; i++) {
            size_t start = i ? ends[i - 1] : 0;
            pm_id id = find(model, word + start, ends[i + 1] - start);
            if (id < best) {
                best = id;
                at = i;
            }
        }
        if (best == PM_ID_NONE) {
            break;
        }
        memmove(&ends[at], &ends[at + 1], (n - at - 1) * sizeof *ends);
        n--;
    }
    for (size_t i = 0; i < n; i++) {
        size_t start = i ? ends[i - 1] : 0;
        ids[i] = find(model, word + start, ends[i] - start);
    }
    return n;
}

static uint64_t next(uint64_t *state) {
    uint64_t z = (*state += UINT64_C(0x9E3779B97F4A7C15));
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

/* A piece over the alphabet: one of its bytes, or a result of a merge. */
static pm_id some_piece(const pm_model *model, const char *alphabet, uint64_t *state) {
    size_t letters = strlen(alphabet);
    size_t i = next(state) % (letters + model->vocab_size - 256);
    return i < letters ? (uint8_t)alphabet[i] : (pm_id)(256 + i - letters);
}

static bool model_of_bytes(pm_model *model) {
    *model = (pm_model){.algorithm = PM_ALGORITHM_BPE};
    for (unsigned b = 0; b < 256; b++) {
        uint8_t byte = (uint8_t)b;
        if (pm_model_set(model, b, PM_KIND_PIECE, (pm_bytes){&byte, 1}, 0, false, NULL) != PM_OK) {
            return false;
        }
    }
    return true;
}

static void shuffle_merges(pm_model *model, uint64_t *state) {
    for (size_t i = model->n_merges; i > 1; i--) {
        size_t j = next(state) % i;
        pm_merge swap = model->merges[i - 1];
        model->merges[i - 1] = model->merges[j];
        model->merges[j] = swap;
    }
}

bool oracle_random_model(pm_model *model, uint64_t seed, size_t n, const char *alphabet, bool shuffled) {
    uint8_t joined[24];

    if (!model_of_bytes(model)) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        pm_id left = some_piece(model, alphabet, &seed), right = some_piece(model, alphabet, &seed);
        pm_bytes a = model->pieces[left], b = model->pieces[right];
        if (a.len + b.len > sizeof joined) {
            continue;
        }
        memcpy(joined, a.data, a.len);
        memcpy(joined + a.len, b.data, b.len);
        if (find(model, joined, a.len + b.len) != PM_ID_NONE) {
            continue;
        }
        pm_id id = model->vocab_size;
        if (pm_model_set(model, id, PM_KIND_PIECE, (pm_bytes){joined, a.len + b.len}, 0, false, NULL) != PM_OK ||
            pm_model_add_merge(model, left, right, id, NULL) != PM_OK) {
            return false;
        }
    }
    if (shuffled) {
        shuffle_merges(model, &seed);
    }
    return true;
}

bool oracle_model_of_text(pm_model *model, uint64_t seed, size_t n, const uint8_t *text, size_t len, bool shuffled) {
    pm_id tokens[1000];
    uint8_t joined[24];
    size_t n_tokens = len;

    if (len > 1000 || !model_of_bytes(model)) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        tokens[i] = text[i]; /* ids of bytes */
    }
    for (size_t i = 0; i < n && n_tokens > 1; i++) {
        size_t at = next(&seed) % (n_tokens - 1);
        pm_id left = tokens[at], right = tokens[at + 1], id = model->vocab_size;
        pm_bytes a = model->pieces[left], b = model->pieces[right];
        if (a.len + b.len > sizeof joined) {
            continue;
        }
        memcpy(joined, a.data, a.len);
        memcpy(joined + a.len, b.data, b.len);
        if (find(model, joined, a.len + b.len) == PM_ID_NONE &&
            (pm_model_set(model, id, PM_KIND_PIECE, (pm_bytes){joined, a.len + b.len}, 0, false, NULL) != PM_OK ||
             pm_model_add_merge(model, left, right, id, NULL) != PM_OK)) {
            return false;
        }
        tokens[at] = find(model, joined, a.len + b.len);
        memmove(&tokens[at + 1], &tokens[at + 2], (n_tokens - at - 2) * sizeof *tokens);
        n_tokens--;
    }
    if (shuffled) {
        shuffle_merges(model, &seed);
    }
    return true;
}
