/* native.c - .piecemill, the format that carries everything a model holds. docs/FORMAT.md describes it byte by byte.
 *
 * A header of 32 bytes with a checksum over all behind it, a table of sections, and the sections, each at a multiple
 * of 64. All numbers are little-endian. The file is mapped and the pieces' bytes stay there. The same model gives the
 * same bytes: nothing of time, place or machine is in them.
 *
 *     0   magic "\x89PML\r\n\x1a\n"     a transfer as text, or one cut to 7 bits, breaks it
 *     8   u32 version, u32 zero
 *     16  XXH3-128 of bytes 32 .. end, most significant byte first
 *     32  u64 length of the file, u32 number of sections, u32 zero
 *     48  sections: u32 tag, u32 flags, u64 offset, u64 length, u64 zero
 *
 * A later version of the library may add sections. One that this library does not know is skipped when its flag
 * REQUIRED is clear and refused otherwise, so an old library never misreads a new model. The version changes only when
 * the header or the table does.
 *
 * Nothing in a file is believed: every offset, length, id and flag is checked here or by pm_tokenizer_from_model before
 * it is used, also when the checksum is right. */
#include "base/hash.h"
#include "encode/engine.h"
#include "format/format.h"

enum {
    VERSION = 1,
    HEADER = 32, /* up to the checksum's end */
    TABLE = 48,  /* where the section table begins */
    ENTRY = 32,  /* its entries' size */
    ALIGNMENT = 64,
    MAX_SECTIONS = 64,
    MAX_REGEXES = 64,
    FIRST_REGEX = 2, /* of the strings of a pattern, behind its name and its Unicode version */
    MODEL_BYTES = 16,
    REQUIRED = 1
};

static const uint8_t magic[8] = {0x89, 'P', 'M', 'L', '\r', '\n', 0x1A, '\n'};

/* The sections of version 1, in their order in the file. */
typedef enum section_id { MODEL, KINDS, LENGTHS, BYTES, COUNTS, MERGES, PATTERN, GENERAL, SCORES, ADDED, STEPS, SETTINGS, TABLES, N_SECTIONS } section_id;
static const char tags[N_SECTIONS][5] = {"MODL", "KIND", "PLEN", "PBYT", "CNTS", "MRGS", "PTRN", "GNRL", "SCOR", "ADDD", "STEP", "SETT", "TBLS"};
/* What a library that does not know the section must refuse; and which are in every file. */
static const bool required[N_SECTIONS] = {true, true, true, true, true, true, true, true, true, true, true, false, false};
static const bool always[N_SECTIONS] = {true, true, true, true};

enum {
    WHOLE_FIRST = 1,
    NORMALIZE = 2,
    ISOLATE_DIGITS = 4,
    CHARACTERS = 8, /* of BPE, as the next */
    ADD_PREFIX = 16,
    BPE_FLAGS = WHOLE_FIRST | CHARACTERS | ADD_PREFIX,
    BYTEPIECE_FLAGS = NORMALIZE | ISOLATE_DIGITS
};

enum { /* of section GNRL */
    HAS_UNKNOWN = 1,
    FUSE_UNKNOWN = 2,
    BYTE_FALLBACK = 4,
    GENERAL_FLAGS = HAS_UNKNOWN | FUSE_UNKNOWN | BYTE_FALLBACK,
    GENERAL_BYTES = 32, /* and the prefix and the suffix */
    STEP_BYTES = 32,    /* and its texts */
    STEP_LISTS = 4
};

typedef struct section {
    uint64_t offset, len;
} section;

/* ---------------------------------------------------------------- numbers ---- */

static uint32_t get32(const uint8_t *p) {
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}
static uint64_t get64(const uint8_t *p) { return get32(p) | (uint64_t)get32(p + 4) << 32; }

static void set32(uint8_t *p, uint32_t n) {
    for (int i = 0; i < 4; i++) {
        p[i] = (uint8_t)(n >> 8 * i);
    }
}

static void set64(uint8_t *p, uint64_t n) {
    set32(p, (uint32_t)n);
    set32(p + 4, (uint32_t)(n >> 32));
}

static double get_double(const uint8_t *p) {
    uint64_t bits = get64(p);
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static uint64_t bits_of(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static uint64_t round_up(uint64_t n) { return (n + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT; }

/* ---------------------------------------------------------------- reading: header and table ---- */

static bool recognizes(const uint8_t *data, size_t len) {
    return len >= sizeof magic && memcmp(data, magic, sizeof magic) == 0;
}

static pm_status check_header(const uint8_t *data, size_t len, pm_error *err) {
    XXH128_canonical_t sum;
    if (!recognizes(data, len)) {
        return pm_fail_at(err, PM_BAD_FORMAT, 0, "not a .piecemill file: it does not begin as one");
    }
    if (len < TABLE) {
        return pm_fail_at(err, PM_BAD_FORMAT, len, "truncated: the header has %d bytes", TABLE);
    }
    if (get32(data + 8) != VERSION) {
        return pm_fail_at(err, PM_BAD_VERSION, 8, "version %u of the format; this library reads version %d",
                          get32(data + 8), VERSION);
    }
    if (get64(data + 32) != len) {
        return pm_fail_at(err, PM_BAD_FORMAT, get64(data + 32) > len ? len : 32,
                          "%s: the header speaks of %llu bytes and there are %zu",
                          get64(data + 32) > len ? "truncated" : "corrupted", (unsigned long long)get64(data + 32),
                          len);
    }
    XXH128_canonicalFromHash(&sum, XXH3_128bits(data + HEADER, len - HEADER));
    if (memcmp(&sum, data + 16, sizeof sum) != 0) {
        return pm_fail_at(err, PM_BAD_FORMAT, 16, "corrupted: the checksum is another one");
    }
    if (get32(data + 12) != 0 || get32(data + 44) != 0) {
        return pm_fail_at(err, PM_BAD_FORMAT, get32(data + 12) ? 12 : 44, "corrupted: a reserved field is not zero");
    }
    return PM_OK;
}

/* Notes one section of the table. `end` is where the last one ended; sections stand in the order of the table, each at
 * the next multiple of 64. */
static pm_status read_entry(section *sections, bool *seen, const uint8_t *data, size_t len, uint64_t at, uint64_t *end,
                            pm_error *err) {
    const uint8_t *entry = data + at;
    uint32_t flags = get32(entry + 4);
    section s = {get64(entry + 8), get64(entry + 16)};
    if (s.offset != round_up(*end) || s.offset > len || s.len > len - s.offset) {
        return pm_fail_at(err, PM_BAD_FORMAT, at + 8, "corrupted: a section lies outside its place");
    }
    if (flags & ~(uint32_t)REQUIRED || get64(entry + 24) != 0) {
        return pm_fail_at(err, PM_BAD_FORMAT, at + 4, "corrupted: a reserved field of a section is not zero");
    }
    *end = s.offset + s.len;
    for (int i = 0; i < N_SECTIONS; i++) {
        if (memcmp(entry, tags[i], 4) == 0) {
            if (seen[i]) {
                return pm_fail_at(err, PM_BAD_FORMAT, at, "corrupted: section %s is there twice", tags[i]);
            }
            seen[i] = true;
            sections[i] = s;
            return PM_OK;
        }
    }
    if (flags & REQUIRED) {
        return pm_fail_at(
            err, PM_BAD_VERSION, at,
            "a later version of piecemill wrote this model: section 0x%08X is needed to read it and not known here",
            get32(entry));
    }
    return PM_OK;
}

static pm_status read_table(section sections[N_SECTIONS], const uint8_t *data, size_t len, pm_error *err) {
    bool seen[N_SECTIONS] = {false};
    uint32_t n = get32(data + 40);
    if (n > MAX_SECTIONS || TABLE + (uint64_t)n * ENTRY > len) {
        return pm_fail_at(err, PM_BAD_FORMAT, 40, "corrupted: %u sections", n);
    }
    uint64_t end = TABLE + (uint64_t)n * ENTRY;
    memset(sections, 0, N_SECTIONS * sizeof *sections);
    for (uint32_t i = 0; i < n; i++) {
        PM_TRY(read_entry(sections, seen, data, len, TABLE + (uint64_t)i * ENTRY, &end, err));
    }
    if (end != len) {
        return pm_fail_at(err, PM_BAD_FORMAT, end, "corrupted: something stands behind the last section");
    }
    for (int i = 0; i < N_SECTIONS; i++) {
        if (always[i] && !seen[i]) {
            return pm_fail_at(err, PM_BAD_FORMAT, TABLE, "corrupted: section %s is missing", tags[i]);
        }
    }
    return PM_OK;
}

/* ---------------------------------------------------------------- reading: sections ---- */

typedef struct reader {
    pm_model *model;
    const uint8_t *data;
    section s[N_SECTIONS];
    uint32_t vocab_size, n_merges;
} reader;

static pm_status demand_length(const reader *r, section_id id, uint64_t wanted, pm_error *err) {
    return r->s[id].len == wanted
               ? PM_OK
               : pm_fail_at(err, PM_BAD_FORMAT, r->s[id].offset, "corrupted: section %s has %llu bytes instead of %llu",
                            tags[id], (unsigned long long)r->s[id].len, (unsigned long long)wanted);
}

static pm_status read_model(reader *r, pm_error *err) {
    PM_TRY(demand_length(r, MODEL, MODEL_BYTES, err));
    const uint8_t *p = r->data + r->s[MODEL].offset;
    uint32_t algorithm = get32(p), flags = get32(p + 4);
    r->vocab_size = get32(p + 8);
    r->n_merges = get32(p + 12);
    const bool general = r->s[GENERAL].len > 0;
    if (algorithm < PM_ALGORITHM_BYTEPIECE || algorithm > (uint32_t)(general ? PM_ALGORITHM_WORDLEVEL : PM_ALGORITHM_BPE)) {
        return pm_fail_at(err, PM_BAD_FORMAT, r->s[MODEL].offset, "algorithm %u is not known%s", algorithm, general ? "" : " without section GNRL");
    }
    if (general && algorithm == PM_ALGORITHM_BYTEPIECE) {
        return pm_fail_at(err, PM_BAD_FORMAT, r->s[MODEL].offset, "BytePiece with section GNRL");
    }
    if (general && flags & ~(uint32_t)WHOLE_FIRST) {
        return pm_fail_at(err, PM_BAD_FORMAT, r->s[MODEL].offset + 4, "flags 0x%X do not go with section GNRL", flags);
    }
    if ((flags & ~(uint32_t)(algorithm == PM_ALGORITHM_BYTEPIECE ? BYTEPIECE_FLAGS : BPE_FLAGS)) || (flags & ADD_PREFIX && !(flags & CHARACTERS))) {
        return pm_fail_at(err, PM_BAD_FORMAT, r->s[MODEL].offset + 4, "flags 0x%X are not all known for this algorithm",
                          flags);
    }
    if (algorithm != PM_ALGORITHM_BPE && r->n_merges) {
        return pm_fail_at(err, PM_BAD_FORMAT, r->s[MODEL].offset + 12, "%s has no merges", general ? "this algorithm" : "BytePiece");
    }
    r->model->general = general;
    r->model->algorithm = (pm_algorithm)algorithm;
    r->model->whole_first = flags & WHOLE_FIRST;
    r->model->characters = flags & CHARACTERS;
    r->model->add_prefix = flags & ADD_PREFIX;
    r->model->normalize = flags & (NORMALIZE | CHARACTERS);
    r->model->isolate_digits = flags & ISOLATE_DIGITS;
    return PM_OK;
}

/* What kind may have how many bytes, and which ids BytePiece's controls have. */
static bool kind_fits(const reader *r, pm_id id, uint8_t kind, uint32_t len, uint64_t count) {
    bool bytepiece = r->model->algorithm == PM_ALGORITHM_BYTEPIECE;
    const bool has_text = kind != PM_KIND_HOLE && kind != PM_KIND_RESERVED;
    if (kind > PM_KIND_BYTE || (len > 0 && !has_text)) {
        return false;
    }
    if (r->model->general) { /* an entry may be empty there: it is never found */
        return true;
    }
    if (has_text && len == 0) {
        return false;
    }
    if (kind == PM_KIND_BYTE && (!r->model->characters || len != 1)) {
        return false;
    }
    if (!r->model->characters && (kind == PM_KIND_CONTROL) != (bytepiece && id < 3)) {
        return false;
    }
    return kind != PM_KIND_PIECE || !bytepiece || count > 0;
}

static pm_status read_pieces(reader *r, pm_error *err) {
    const uint8_t *kinds = r->data + r->s[KINDS].offset, *lengths = r->data + r->s[LENGTHS].offset;
    const uint8_t *counts = r->s[COUNTS].len ? r->data + r->s[COUNTS].offset : NULL;
    uint64_t at = 0, total = 0;
    PM_TRY(demand_length(r, KINDS, r->vocab_size, err));
    PM_TRY(demand_length(r, LENGTHS, (uint64_t)r->vocab_size * 4, err));
    PM_TRY(demand_length(r, COUNTS, counts ? (uint64_t)r->vocab_size * 8 : 0, err));
    if (r->vocab_size == 0 && r->model->general) {
        return demand_length(r, BYTES, 0, err);
    }
    if (r->vocab_size == 0 || kinds[r->vocab_size - 1] == PM_KIND_HOLE) {
        return pm_fail_at(err, PM_BAD_FORMAT, r->s[KINDS].offset, "corrupted: the last id is a hole");
    }
    for (pm_id id = 0; id < r->vocab_size; id++) {
        uint32_t len = get32(lengths + (size_t)id * 4);
        uint64_t count = counts ? get64(counts + (size_t)id * 8) : 0;
        bool fits = kind_fits(r, id, kinds[id], len, count) && len <= r->s[BYTES].len - at;
        if (!fits || (kinds[id] == PM_KIND_PIECE && count > INT64_MAX - total)) {
            return pm_fail_at(err, PM_BAD_FORMAT, r->s[KINDS].offset + id,
                              "corrupted: kind %u, length %u and count %llu of id %u do not fit", kinds[id], len,
                              (unsigned long long)count, id);
        }
        total += kinds[id] == PM_KIND_PIECE && r->model->algorithm == PM_ALGORITHM_BYTEPIECE ? count : 0;
        if (kinds[id] != PM_KIND_HOLE) {
            pm_bytes bytes = {len ? r->data + r->s[BYTES].offset + at : NULL, len};
            PM_TRY(pm_model_set(r->model, id, (pm_kind)kinds[id], bytes, count, true, err));
        }
        at += len;
    }
    return demand_length(r, BYTES, at, err);
}

static pm_status read_merges(reader *r, pm_error *err) {
    PM_TRY(demand_length(r, MERGES, (uint64_t)r->n_merges * 12, err));
    const uint8_t *p = r->data + r->s[MERGES].offset;
    for (uint32_t i = 0; i < r->n_merges; i++, p += 12) {
        PM_TRY(pm_model_add_merge(r->model, get32(p), get32(p + 4), get32(p + 8), err));
    }
    return PM_OK;
}

/* The strings of the section: u32 n; the name, a Unicode version, then n regexes, each a u32 length, its bytes and a
 * NUL. False: malformed. */
static bool read_strings(const uint8_t *p, uint64_t len, const char **strings, uint32_t *n) {
    uint64_t at = 4;
    if (len < 4 || (*n = get32(p)) > MAX_REGEXES) {
        return false;
    }
    for (uint32_t i = 0; i < *n + FIRST_REGEX; i++) {
        if (len - at < 4) {
            return false;
        }
        uint32_t bytes = get32(p + at);
        at += 4;
        if (len - at < (uint64_t)bytes + 1 || memchr(p + at, 0, (size_t)bytes + 1) != p + at + bytes) {
            return false;
        }
        strings[i] = (const char *)p + at;
        at += (uint64_t)bytes + 1;
    }
    return at == len;
}

/* A name stands for its scanner as long as the library's regexes under this name are those of the file. */
static bool name_means(const char *name, const char *const *regexes, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) {
        const char *regex = pm_pattern_regex(name, i);
        if (!regex || strcmp(regex, regexes[i]) != 0) {
            return false;
        }
    }
    return pm_pattern_regex(name, n) == NULL;
}

/* Where PCRE2's Unicode tables decide how a pattern cuts, they must be of the version that they were when the model was
 * made. */
static pm_status check_unicode(const reader *r, const char *made_with, const pm_load_options *options, pm_error *err) {
    const char *here = pm_splitter_engine_unicode(r->model->splitter);
    if (strcmp(made_with, here) == 0 || options->flags & PM_LOAD_ANY_UNICODE) {
        return PM_OK;
    }
    return pm_fail_at(err, PM_UNSUPPORTED, r->s[PATTERN].offset,
                      "the pattern was made with Unicode %s and may cut otherwise with PCRE2's Unicode tables here (%s); "
                      "any_unicode (--any-unicode, PM_LOAD_ANY_UNICODE) allows it",
                      *made_with ? made_with : "unknown", *here ? here : "none in use");
}

static pm_status read_pattern(reader *r, const pm_load_options *options, pm_error *err) {
    const char *strings[MAX_REGEXES + FIRST_REGEX];
    const char *const *regexes = strings + FIRST_REGEX;
    uint32_t n = 0;
    if (r->s[PATTERN].len == 0) {
        return r->model->algorithm == PM_ALGORITHM_BPE ? pm_splitter_new(&r->model->splitter, NULL, 0, err) : PM_OK;
    }
    if (!read_strings(r->data + r->s[PATTERN].offset, r->s[PATTERN].len, strings, &n) || n == 0) {
        return pm_fail_at(err, PM_BAD_FORMAT, r->s[PATTERN].offset, "corrupted: section PTRN is not a list of strings");
    }
    bool named = strings[0][0] != '\0' && name_means(strings[0], regexes, n);
    PM_TRY(pm_splitter_new(&r->model->splitter, named ? strings : regexes, named ? 1 : n, err));
    return check_unicode(r, strings[1], options, err);
}

/* ---- general models ---- */

static pm_status read_general(reader *r, pm_error *err) {
    pm_model *m = r->model;
    const section s = r->s[GENERAL];
    if (!m->general) {
        return r->s[SCORES].len ? pm_fail_at(err, PM_BAD_FORMAT, r->s[SCORES].offset, "section SCOR without section GNRL") : PM_OK;
    }
    const uint8_t *p = r->data + s.offset;
    uint32_t flags = s.len >= GENERAL_BYTES ? get32(p) : 0;
    uint64_t prefix = s.len >= GENERAL_BYTES ? get32(p + 12) : 0, suffix = s.len >= GENERAL_BYTES ? get32(p + 16) : 0;
    PM_TRY(demand_length(r, GENERAL, GENERAL_BYTES + prefix + suffix, err));
    if (flags & ~(uint32_t)GENERAL_FLAGS || get32(p + 20)) {
        return pm_fail_at(err, PM_BAD_FORMAT, s.offset, "flags 0x%X are not all known", flags);
    }
    m->has_unknown = flags & HAS_UNKNOWN;
    m->fuse_unknown = flags & FUSE_UNKNOWN;
    m->byte_fallback = flags & BYTE_FALLBACK;
    m->unknown = get32(p + 4);
    m->max_word = get32(p + 8);
    m->dropout = get_double(p + 24);
    m->prefix = (pm_bytes){prefix ? p + GENERAL_BYTES : NULL, prefix};
    m->suffix = (pm_bytes){suffix ? p + GENERAL_BYTES + prefix : NULL, suffix};
    if (m->has_unknown ? m->unknown != PM_ID_NONE && m->unknown >= r->vocab_size : m->unknown != 0) {
        return pm_fail_at(err, PM_BAD_FORMAT, s.offset + 4, "the unknown token %u is no id", m->unknown);
    }
    if (!(m->dropout >= 0 && m->dropout <= 1)) {
        return pm_fail_at(err, PM_BAD_FORMAT, s.offset + 24, "dropout is not from 0 to 1");
    }
    return PM_OK;
}

static pm_status read_scores(reader *r, pm_error *err) {
    if (r->s[SCORES].len == 0) {
        return PM_OK;
    }
    PM_TRY(demand_length(r, SCORES, (uint64_t)r->vocab_size * 8, err));
    for (pm_id id = 0; id < r->vocab_size; id++) {
        const uint64_t at = r->s[SCORES].offset + (uint64_t)id * 8;
        double score = get_double(r->data + at);
        if (score != score) {
            return pm_fail_at(err, PM_BAD_FORMAT, at, "the score of id %u is not a number", id);
        }
        PM_TRY(pm_model_set_score(r->model, id, score, err));
    }
    return PM_OK;
}

static pm_status read_added(reader *r, pm_error *err) {
    if (r->s[ADDED].len == 0) {
        return PM_OK;
    }
    PM_TRY(demand_length(r, ADDED, r->vocab_size, err));
    const uint8_t *flags = r->data + r->s[ADDED].offset;
    for (pm_id id = 0; id < r->vocab_size; id++) {
        if (flags[id] & ~(unsigned)PM_ADDED_FLAGS) {
            return pm_fail_at(err, PM_BAD_FORMAT, r->s[ADDED].offset + id, "flags 0x%X of id %u are not all known", flags[id], id);
        }
        PM_TRY(pm_model_set_added(r->model, id, flags[id], err));
    }
    return PM_OK;
}

/* One step at *at. Its texts stay in the file. */
static pm_status read_step(reader *r, pm_steps *steps, uint64_t *at, pm_error *err) {
    const section s = r->s[STEPS];
    const uint8_t *p = r->data + s.offset + *at;
    if (s.len - *at < STEP_BYTES) {
        return pm_fail_at(err, PM_BAD_FORMAT, s.offset + *at, "corrupted: section STEP ends within a step");
    }
    uint64_t a = get32(p + 24), b = get32(p + 28);
    if (a + b > s.len - *at - STEP_BYTES) {
        return pm_fail_at(err, PM_BAD_FORMAT, s.offset + *at + 24, "corrupted: section STEP ends within a text");
    }
    PM_TRY(pm_grow((void **)&steps->items, &steps->cap, steps->n + 1, sizeof *steps->items, err));
    steps->items[steps->n++] = (pm_step){.type = get32(p),
                                         .flags = get32(p + 4),
                                         .n = get64(p + 8),
                                         .m = get64(p + 16),
                                         .a = {a ? p + STEP_BYTES : NULL, a},
                                         .b = {b ? p + STEP_BYTES + a : NULL, b}};
    *at += STEP_BYTES + a + b;
    return PM_OK;
}

/* What the steps' types mean is for those who carry them out to say: they know which they do. */
static pm_status read_steps(reader *r, pm_error *err) {
    pm_model *m = r->model;
    pm_steps *const lists[STEP_LISTS] = {&m->normalizer, &m->pre_tokenizer, &m->post_processor, &m->decoder};
    const section s = r->s[STEPS];
    uint64_t at = 0;
    for (int list = 0; s.len && list < STEP_LISTS; list++) {
        if (s.len - at < 4) {
            return pm_fail_at(err, PM_BAD_FORMAT, s.offset + at, "corrupted: section STEP ends within a list");
        }
        uint32_t n = get32(r->data + s.offset + at);
        at += 4;
        for (uint32_t i = 0; i < n; i++) {
            PM_TRY(read_step(r, lists[list], &at, err));
        }
    }
    return demand_length(r, STEPS, at, err);
}

static pm_status read_settings(reader *r, pm_error *err) {
    const uint8_t *p = r->data + r->s[SETTINGS].offset;
    size_t len = (size_t)r->s[SETTINGS].len;
    if (len == 0) {
        return PM_OK;
    }
    if (memchr(p, 0, len)) {
        return pm_fail_at(err, PM_BAD_FORMAT, r->s[SETTINGS].offset, "corrupted: a NUL in section SETT");
    }
    return pm_buf_append(&r->model->settings, p, len, err); /* pm_tokenizer_from_model ends it with a NUL */
}

static pm_status read_native(pm_model *model, pm_file *file, const pm_load_options *options, pm_error *err) {
    model->file = *file; /* the pieces are borrowed from it */
    *file = (pm_file){0};
    reader r = {.model = model, .data = model->file.data};
    PM_TRY(check_header(r.data, model->file.len, err));
    PM_TRY(read_table(r.s, r.data, model->file.len, err));
    PM_TRY(read_model(&r, err));
    PM_TRY(read_pieces(&r, err));
    PM_TRY(read_merges(&r, err));
    PM_TRY(read_pattern(&r, options, err));
    PM_TRY(read_general(&r, err));
    PM_TRY(read_scores(&r, err));
    PM_TRY(read_added(&r, err));
    PM_TRY(read_steps(&r, err));
    model->tables = (pm_bytes){r.s[TABLES].len ? r.data + r.s[TABLES].offset : NULL, (size_t)r.s[TABLES].len};
    return read_settings(&r, err);
}

/* ---------------------------------------------------------------- writing ---- */

/* Sections are made in memory one after the other: the checksum at the front needs them all. */
typedef struct image {
    pm_buf buf;
    uint32_t n;
} image;

static pm_status pad(image *m, pm_error *err) {
    static const uint8_t zeros[ALIGNMENT];
    return pm_buf_append(&m->buf, zeros, (size_t)(round_up(m->buf.len) - m->buf.len), err);
}

/* Begins a section at the next multiple of 64; end_section says how long it became. */
static pm_status begin_section(image *m, section_id id, pm_error *err) {
    PM_TRY(pad(m, err));
    uint8_t *entry = m->buf.data + TABLE + (size_t)m->n * ENTRY;
    memcpy(entry, tags[id], 4);
    set32(entry + 4, required[id] ? REQUIRED : 0);
    set64(entry + 8, m->buf.len);
    return PM_OK;
}

static void end_section(image *m) {
    uint8_t *entry = m->buf.data + TABLE + (size_t)m->n * ENTRY;
    set64(entry + 16, m->buf.len - get64(entry + 8));
    m->n++;
}

static pm_status append32(image *m, uint32_t n, pm_error *err) {
    uint8_t bytes[4];
    set32(bytes, n);
    return pm_buf_append(&m->buf, bytes, sizeof bytes, err);
}

static pm_status append64(image *m, uint64_t n, pm_error *err) {
    uint8_t bytes[8];
    set64(bytes, n);
    return pm_buf_append(&m->buf, bytes, sizeof bytes, err);
}

static pm_status write_model(image *m, const pm_model *model, pm_error *err) {
    bool bytepiece = model->algorithm == PM_ALGORITHM_BYTEPIECE;
    uint32_t flags = !bytepiece ? (model->whole_first ? WHOLE_FIRST : 0) | (uint32_t)(model->characters ? CHARACTERS : 0) |
                               (uint32_t)(model->add_prefix ? ADD_PREFIX : 0)
                         : (model->normalize ? NORMALIZE : 0) | (uint32_t)(model->isolate_digits ? ISOLATE_DIGITS : 0);
    PM_TRY(begin_section(m, MODEL, err));
    PM_TRY(append32(m, (uint32_t)model->algorithm, err));
    PM_TRY(append32(m, flags, err));
    PM_TRY(append32(m, model->vocab_size, err));
    PM_TRY(append32(m, (uint32_t)model->n_merges, err));
    end_section(m);
    return PM_OK;
}

static pm_status write_pieces(image *m, const pm_model *model, pm_error *err) {
    PM_TRY(begin_section(m, KINDS, err));
    PM_TRY(pm_buf_append(&m->buf, model->kinds, model->vocab_size, err));
    end_section(m);
    PM_TRY(begin_section(m, LENGTHS, err));
    for (pm_id id = 0; id < model->vocab_size; id++) {
        if (model->pieces[id].len > UINT32_MAX) {
            return pm_fail(err, PM_UNSUPPORTED, "piece %u is longer than 4 GB", id);
        }
        PM_TRY(append32(m, (uint32_t)model->pieces[id].len, err));
    }
    end_section(m);
    PM_TRY(begin_section(m, BYTES, err));
    for (pm_id id = 0; id < model->vocab_size; id++) {
        PM_TRY(pm_buf_append(&m->buf, model->pieces[id].data, model->pieces[id].len, err));
    }
    end_section(m);
    return PM_OK;
}

/* Left out when all are 0. */
static pm_status write_counts(image *m, const pm_model *model, pm_error *err) {
    pm_id id = 0;
    while (id < model->vocab_size && model->counts[id] == 0) {
        id++;
    }
    if (id == model->vocab_size) {
        return PM_OK;
    }
    PM_TRY(begin_section(m, COUNTS, err));
    for (id = 0; id < model->vocab_size; id++) {
        PM_TRY(append64(m, model->counts[id], err));
    }
    end_section(m);
    return PM_OK;
}

static pm_status write_merges(image *m, const pm_model *model, pm_error *err) {
    if (model->n_merges == 0) {
        return PM_OK;
    }
    PM_TRY(begin_section(m, MERGES, err));
    for (size_t i = 0; i < model->n_merges; i++) {
        PM_TRY(append32(m, model->merges[i].left, err));
        PM_TRY(append32(m, model->merges[i].right, err));
        PM_TRY(append32(m, model->merges[i].result, err));
    }
    end_section(m);
    return PM_OK;
}

static pm_status append_string(image *m, const char *text, pm_error *err) {
    size_t len = strlen(text);
    if (len > UINT32_MAX) {
        return pm_fail(err, PM_UNSUPPORTED, "a regex is longer than 4 GB");
    }
    PM_TRY(append32(m, (uint32_t)len, err));
    return pm_buf_append(&m->buf, text, len + 1, err);
}

static pm_status write_pattern(image *m, const pm_splitter *splitter, pm_error *err) {
    size_t n = splitter ? pm_splitter_n_regexes(splitter) : 0;
    if (n == 0) {
        return PM_OK;
    }
    if (n > MAX_REGEXES) {
        return pm_fail(err, PM_UNSUPPORTED, "a pattern of more than %d regexes", MAX_REGEXES);
    }
    PM_TRY(begin_section(m, PATTERN, err));
    PM_TRY(append32(m, (uint32_t)n, err));
    PM_TRY(append_string(m, pm_splitter_name(splitter), err));
    PM_TRY(append_string(m, pm_splitter_engine_unicode(splitter), err));
    for (size_t i = 0; i < n; i++) {
        PM_TRY(append_string(m, pm_splitter_regex(splitter, i), err));
    }
    end_section(m);
    return PM_OK;
}

static pm_status write_general(image *m, const pm_model *model, pm_error *err) {
    uint32_t flags = (model->has_unknown ? HAS_UNKNOWN : 0) | (uint32_t)(model->fuse_unknown ? FUSE_UNKNOWN : 0) |
                     (uint32_t)(model->byte_fallback ? BYTE_FALLBACK : 0);
    if (!model->general) {
        return PM_OK;
    }
    if (model->prefix.len > UINT32_MAX || model->suffix.len > UINT32_MAX) {
        return pm_fail(err, PM_UNSUPPORTED, "a prefix or suffix is longer than 4 GB");
    }
    PM_TRY(begin_section(m, GENERAL, err));
    const uint32_t numbers[6] = {flags, model->has_unknown ? model->unknown : 0, model->max_word, (uint32_t)model->prefix.len, (uint32_t)model->suffix.len};
    for (int i = 0; i < 6; i++) {
        PM_TRY(append32(m, numbers[i], err));
    }
    PM_TRY(append64(m, bits_of(model->dropout), err));
    PM_TRY(pm_buf_append(&m->buf, model->prefix.data, model->prefix.len, err));
    PM_TRY(pm_buf_append(&m->buf, model->suffix.data, model->suffix.len, err));
    end_section(m);
    return PM_OK;
}

static pm_status write_scores(image *m, const pm_model *model, pm_error *err) {
    if (!model->scores) {
        return PM_OK;
    }
    PM_TRY(begin_section(m, SCORES, err));
    for (pm_id id = 0; id < model->vocab_size; id++) {
        PM_TRY(append64(m, bits_of(model->scores[id]), err));
    }
    end_section(m);
    return PM_OK;
}

static pm_status write_added(image *m, const pm_model *model, pm_error *err) {
    if (!model->added) {
        return PM_OK;
    }
    PM_TRY(begin_section(m, ADDED, err));
    PM_TRY(pm_buf_append(&m->buf, model->added, model->vocab_size, err));
    end_section(m);
    return PM_OK;
}

static pm_status write_list(image *m, const pm_steps *steps, pm_error *err) {
    PM_TRY(append32(m, (uint32_t)steps->n, err));
    for (size_t i = 0; i < steps->n; i++) {
        const pm_step *s = &steps->items[i];
        if (s->a.len > UINT32_MAX || s->b.len > UINT32_MAX) {
            return pm_fail(err, PM_UNSUPPORTED, "a text of a step is longer than 4 GB");
        }
        PM_TRY(append32(m, s->type, err));
        PM_TRY(append32(m, s->flags, err));
        PM_TRY(append64(m, s->n, err));
        PM_TRY(append64(m, s->m, err));
        PM_TRY(append32(m, (uint32_t)s->a.len, err));
        PM_TRY(append32(m, (uint32_t)s->b.len, err));
        PM_TRY(pm_buf_append(&m->buf, s->a.data, s->a.len, err));
        PM_TRY(pm_buf_append(&m->buf, s->b.data, s->b.len, err));
    }
    return PM_OK;
}

static bool has_steps(const pm_model *model) {
    return model->normalizer.n || model->pre_tokenizer.n || model->post_processor.n || model->decoder.n;
}

static pm_status write_steps(image *m, const pm_model *model, pm_error *err) {
    const pm_steps *const lists[STEP_LISTS] = {&model->normalizer, &model->pre_tokenizer, &model->post_processor, &model->decoder};
    if (!has_steps(model)) {
        return PM_OK;
    }
    PM_TRY(begin_section(m, STEPS, err));
    for (int i = 0; i < STEP_LISTS; i++) {
        PM_TRY(write_list(m, lists[i], err));
    }
    end_section(m);
    return PM_OK;
}

static pm_status write_settings(image *m, const pm_model *model, pm_error *err) {
    if (model->settings.len == 0) {
        return PM_OK;
    }
    PM_TRY(begin_section(m, SETTINGS, err));
    PM_TRY(pm_buf_append(&m->buf, model->settings.data, model->settings.len, err));
    end_section(m);
    return PM_OK;
}

static pm_status write_tables(image *m, const pm_tokenizer *tok, bool wanted, pm_error *err) {
    if (!wanted) {
        return PM_OK;
    }
    PM_TRY(begin_section(m, TABLES, err));
    PM_TRY(pm_tokenizer_append_tables(tok, &m->buf, err));
    end_section(m);
    return PM_OK;
}

/* How many sections there will be decides where the first one begins. */
static uint32_t count_sections(const pm_model *model, bool tables) {
    uint32_t n = 4 + tables;
    n += model->n_merges > 0;
    n += model->settings.len > 0;
    n += model->general;
    n += model->scores != NULL;
    n += model->added != NULL;
    n += has_steps(model);
    n += model->splitter && pm_splitter_n_regexes(model->splitter) > 0;
    for (pm_id id = 0; id < model->vocab_size; id++) {
        if (model->counts[id]) {
            return n + 1;
        }
    }
    return n;
}

static pm_status make_image(image *m, const pm_tokenizer *tok, bool tables, pm_error *err) {
    const pm_model *model = &tok->model;
    XXH128_canonical_t sum;
    uint32_t n = count_sections(model, tables);
    size_t front = TABLE + (size_t)n * ENTRY;
    PM_TRY(pm_buf_reserve(&m->buf, front, err));
    memset(m->buf.data, 0, front);
    m->buf.len = front;
    PM_TRY(write_model(m, model, err));
    PM_TRY(write_pieces(m, model, err));
    PM_TRY(write_counts(m, model, err));
    PM_TRY(write_merges(m, model, err));
    PM_TRY(write_pattern(m, model->splitter, err));
    PM_TRY(write_general(m, model, err));
    PM_TRY(write_scores(m, model, err));
    PM_TRY(write_added(m, model, err));
    PM_TRY(write_steps(m, model, err));
    PM_TRY(write_settings(m, model, err));
    PM_TRY(write_tables(m, tok, tables, err));
    memcpy(m->buf.data, magic, sizeof magic);
    set32(m->buf.data + 8, VERSION);
    set64(m->buf.data + 32, m->buf.len);
    set32(m->buf.data + 40, n);
    XXH128_canonicalFromHash(&sum, XXH3_128bits(m->buf.data + HEADER, m->buf.len - HEADER));
    memcpy(m->buf.data + 16, &sum, sizeof sum);
    return PM_OK;
}

static pm_status write_native(const pm_tokenizer *tok, pm_writer *w, const pm_save_options *how, pm_error *err) {
    image m = {0};
    pm_status status = make_image(&m, tok, how->flags & PM_SAVE_TABLES, err);
    if (status == PM_OK) {
        status = pm_writer_write(w, m.buf.data, m.buf.len, err);
    }
    pm_buf_release(&m.buf);
    return status;
}

const pm_format_ops pm_format_native = {
    PM_FORMAT_NATIVE, "native",    ".piecemill", "a .piecemill file holds its pattern",
    recognizes,       read_native, write_native,
};
