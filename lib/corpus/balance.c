/* balance.c - see balance.h.
 *
 * Of a corpus with much text in one language and little in another nearly all pieces go to the first. Multilingual models
 * (Devlin's multilingual BERT, 2018; Conneau and others, XLM-R, 2020; Xue and others, mT5, 2021) let a language of n bytes count
 * as much as n^(1/T), T being called the temperature: T = 1 leaves all as it is, T = 3.3 is the exponent 0.3 of XLM-R and mT5,
 * a very high one lets all languages count alike. They draw documents with such probabilities; here each document of the
 * language has the weight n^(1/T) / n, which is what drawing comes to in the mean, without chance and without a document left out:
 *
 *     zh  800 MB    T = 2    weight 1           share 66 %
 *     en  200 MB                    2                 33 %, before 20 %
 *
 * Weights of counts are whole numbers, so they are given in parts of 64 of the largest language's, rounded to the nearest:
 * wrong by less than a hundredth. min_count is multiplied by 64 as well (train.c).
 *
 * The same on every machine: pow() of C libraries is not. A weight is the whole number w nearest to 64 * (most / n)^(1 - 1/T), that is the least
 * one with
 *
 *     ln(2 * w + 1) > ln(2 * 64) + (1 - 1/T) * (ln(most) - ln(n))
 *
 * where the logarithms are the correctly rounded ones and all else is one operation of IEEE arithmetic each. It is found by halving. */
#include "corpus/balance.h"

#include "base/log.h"

/* Sources of one folder stand together; key is the folder, or the source's number. */
typedef struct place {
    const char *path;
    size_t len; /* of the folder in it */
    size_t source;
    bool folder;
} place;

static int compare_languages(const place *a, const place *b) {
    if (a->folder != b->folder) {
        return a->folder ? 1 : -1;
    }
    if (!a->folder) {
        return a->source != b->source ? (a->source > b->source ? 1 : -1) : 0;
    }
    int by_bytes = memcmp(a->path, b->path, a->len < b->len ? a->len : b->len);
    return by_bytes ? by_bytes : (a->len > b->len) - (a->len < b->len);
}

static int by_language(const void *left, const void *right) { return compare_languages(left, right); }

static size_t folder_length(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? (size_t)(slash - path) : 0;
}

static uint64_t language_weight(uint64_t bytes, uint64_t most, double exponent) {
    double more = exponent * (pm_log_u64(most) - pm_log_u64(bytes)), wanted = pm_log_u64(2 * PM_TEMPERATURE_UNIT) + more;
    uint64_t least = PM_TEMPERATURE_UNIT, above = (uint64_t)1 << 40;
    while (least < above) {
        uint64_t w = least + (above - least) / 2;
        if (pm_log_u64(2 * w + 1) > wanted) {
            above = w;
        } else {
            least = w + 1;
        }
    }
    return least;
}

/* places[begin .. end) are a language of so many bytes. */
static pm_status set_weights(pm_balanced *sources, const place *places, size_t begin, size_t end, uint64_t weight, pm_error *err) {
    for (size_t i = begin; i < end; i++) {
        pm_balanced *s = &sources[places[i].source];
        uint64_t all = weight * s->weight; /* 2^40 * 2^20 at most */
        if (all > PM_WEIGHT_MAX) {
            return pm_fail_file(err, PM_INVALID_ARGUMENT, s->path, PM_NO_OFFSET,
                                "at this temperature its documents would count %llu times as much as those of the largest language; %d times is the limit",
                                (unsigned long long)(all / PM_TEMPERATURE_UNIT), PM_WEIGHT_MAX / PM_TEMPERATURE_UNIT);
        }
        s->weight = (uint32_t)all;
    }
    return PM_OK;
}

/* The end of the language that begins there, and the bytes in it. */
static size_t language_end(const pm_balanced *sources, const place *places, size_t n, size_t begin, uint64_t *bytes) {
    size_t end = begin;
    for (*bytes = 0; end < n && compare_languages(&places[begin], &places[end]) == 0; end++) {
        *bytes += sources[places[end].source].bytes;
    }
    return end;
}

static pm_status balance(pm_balanced *sources, const place *places, size_t n, double temperature, pm_error *err) {
    uint64_t bytes, most = 1;
    for (size_t at = 0; at < n;) {
        at = language_end(sources, places, n, at, &bytes);
        most = bytes > most ? bytes : most;
    }
    for (size_t at = 0, end; at < n; at = end) {
        end = language_end(sources, places, n, at, &bytes);
        uint64_t weight = bytes ? language_weight(bytes, most, 1 - 1 / temperature) : PM_TEMPERATURE_UNIT;
        PM_TRY(set_weights(sources, places, at, end, weight, err));
    }
    return PM_OK;
}

pm_status pm_balance(pm_balanced *sources, size_t n, double temperature, pm_error *err) {
    place *places = pm_alloc(n, sizeof *places);
    if (!places) {
        return pm_fail_memory(err);
    }
    for (size_t i = 0; i < n; i++) {
        places[i] = (place){sources[i].path, folder_length(sources[i].path), i, sources[i].folder};
    }
    qsort(places, n, sizeof *places, by_language);
    pm_status status = balance(sources, places, n, temperature, err);
    pm_free(places);
    return status;
}
