/* countfile.c - see countfile.h; docs/FORMAT.md describes the format byte by byte.
 *
 * A head with the settings, then frames: blocks of about 64 KB of words, and at last one without words that holds the totals. Every frame is
 *
 *     u64 bytes of the payload, u64 number of words, payload, u64 XXH3-64 of all that with the checksum before it as seed
 *
 * so that a frame that was changed, left out, doubled or moved from elsewhere is noticed where it stands. A word is coded by what it shares with
 * the one before it in its block:
 *
 *     " the"  7 times, " then"  once:      00 04 20 74 68 65 07    04 01 6e 01
 *
 * as varints (7 bits a byte, the lowest first): bytes shared, bytes that follow, these bytes, the count, and the number of documents if that is
 * counted. The coding of a list of words is unique: numbers are as short as possible, and what a word does not share begins with a greater byte,
 * so that the check of the order is the check that the most was shared. Equal counts are equal files, therefore.
 *
 * Memory: a block and a word. A block holds whole words, and is longer than usual only when one word is. */
#include "count/countfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"

enum {
    VERSION = 1,
    HEADER = 16,      /* magic, version, length of the settings */
    FRAME_HEAD = 16,
    SUM = 8,
    TOTALS = 48,      /* documents, bytes, words, distinct, flags, checksum of the frame before */
    FOOTER = FRAME_HEAD + TOTALS + SUM,
    BLOCK_BYTES = 1 << 16,
    MAX_SETTINGS = 1 << 24,
    MAX_VARINT = 10,
    LINES_SPLIT = 1   /* a flag */
};

static const uint8_t magic[8] = {0x89, 'P', 'M', 'C', '\r', '\n', 0x1A, '\n'};

/* ---------------------------------------------------------------- numbers ---- */

static uint64_t get(const uint8_t *p, int bytes) {
    uint64_t n = 0;
    for (int i = 0; i < bytes; i++) {
        n |= (uint64_t)p[i] << 8 * i;
    }
    return n;
}

static void set(uint8_t *p, uint64_t n, int bytes) {
    for (int i = 0; i < bytes; i++) {
        p[i] = (uint8_t)(n >> 8 * i);
    }
}

static uint8_t *put_varint(uint8_t *p, uint64_t n) {
    for (; n >= 0x80; n >>= 7) {
        *p++ = (uint8_t)(n | 0x80);
    }
    *p++ = (uint8_t)n;
    return p;
}

/* False: no number as put_varint writes it stands before `end`. */
static inline bool get_varint(const uint8_t **p, const uint8_t *end, uint64_t *n) {
    const uint8_t *q = *p;
    uint64_t value = 0;
    for (unsigned shift = 0; q < end; shift += 7) {
        uint8_t byte = *q++;
        if (shift == 63 && byte > 1) {
            return false;
        }
        value |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80) {
            *p = q;
            *n = value;
            return byte || shift == 0;
        }
        if (shift == 63) {
            return false;
        }
    }
    return false;
}

/* ---------------------------------------------------------------- settings ---- */

pm_status pm_count_setting_add(pm_buf *settings, const char *key, const char *value, pm_error *err) {
    PM_TRY(pm_buf_printf(settings, err, "%s=", key));
    for (const char *at = value;;) {
        size_t n = strcspn(at, "\n");
        PM_TRY(pm_buf_append(settings, at, n, err));
        if (!at[n]) {
            break;
        }
        PM_TRY(pm_buf_append(settings, "\n\t", 2, err));
        at += n + 1;
    }
    return pm_buf_printf(settings, err, "\n");
}

pm_status pm_count_setting_add_number(pm_buf *settings, const char *key, uint64_t value, pm_error *err) {
    return pm_buf_printf(settings, err, "%s=%llu\n", key, (unsigned long long)value);
}

/* The length of the setting at `line`: its line and those that begin with a tab, without the last line feed. */
static size_t setting_length(const char *line) {
    size_t n = strcspn(line, "\n");
    while (line[n] == '\n' && line[n + 1] == '\t') {
        n += 1 + strcspn(line + n + 1, "\n");
    }
    return n;
}

static const char *next_setting(const char *line) {
    line += setting_length(line);
    return line + (*line == '\n');
}

/* The i-th line with this key; where the text ends when there is none. */
static const char *find_setting(const char *line, const char *key, size_t len, size_t i) {
    while (*line && !(strncmp(line, key, len) == 0 && line[len] == '=' && i-- == 0)) {
        line = next_setting(line);
    }
    return line;
}

pm_status pm_count_setting_get(const char *settings, const char *key, size_t i, pm_buf *value, bool *found, pm_error *err) {
    const char *line = find_setting(settings, key, strlen(key), i);
    *found = *line != '\0';
    if (!*found) {
        return PM_OK;
    }
    const char *at = line + strlen(key) + 1, *end = line + setting_length(line);
    PM_TRY(pm_buf_reserve(value, (size_t)(end - at) + 1, err));
    for (; at < end; at++) {
        value->data[value->len++] = (uint8_t)*at;
        at += *at == '\n';
    }
    value->data[value->len++] = '\0';
    return PM_OK;
}

bool pm_count_settings_have_documents(const char *settings) { return *find_setting(settings, "documents", strlen("documents"), 0); }

/* Is this what pm_count_setting_add writes? Lines with a key, ended by a line feed; no NUL. */
static bool are_settings(const char *text, size_t len) {
    if (memchr(text, 0, len) || (len && (text[len - 1] != '\n' || text[0] == '\t'))) {
        return false;
    }
    for (const char *line = text; *line; line = next_setting(line)) {
        size_t key = strcspn(line, "=\n");
        if (key == 0 || line[key] != '=') {
            return false;
        }
    }
    return true;
}

enum { SHOWN = 80 }; /* bytes of a setting in a sentence */

static int shown(const char *line, size_t key) {
    size_t n = setting_length(line) - key;
    return (int)(n < SHOWN ? n : SHOWN);
}

pm_status pm_count_settings_compare(const char *a, const char *path, const char *b, const char *other, pm_error *err) {
    while (*a && *b && setting_length(a) == setting_length(b) && strncmp(a, b, setting_length(a)) == 0) {
        a = next_setting(a);
        b = next_setting(b);
    }
    if (!*a && !*b) {
        return PM_OK;
    }
    size_t key_a = strcspn(a, "="), key_b = strcspn(b, "=");
    if (key_a == key_b && strncmp(a, b, key_a) == 0) {
        return pm_fail_file(err, PM_INVALID_ARGUMENT, path, PM_NO_OFFSET, "counted with other settings: %.*s is '%.*s' here and '%.*s' in %s", (int)key_a, a,
                            shown(a, key_a + 1), a + key_a + 1, shown(b, key_b + 1), b + key_b + 1, other);
    }
    bool here = *a && !*find_setting(b, a, key_a, 0); /* one of them has a line more */
    const char *line = here ? a : b;
    return pm_fail_file(err, PM_INVALID_ARGUMENT, path, PM_NO_OFFSET, "counted with other settings: %.*s is true %s %s", shown(line, 0), line,
                        here ? "here and not in" : "not here but in", other);
}

/* ---------------------------------------------------------------- totals ---- */

static bool add64(uint64_t *to, uint64_t more) { return !__builtin_add_overflow(*to, more, to); }

pm_status pm_count_totals_add(pm_count_totals *to, const pm_count_totals *more, pm_error *err) {
    to->lines_split |= more->lines_split;
    bool fits = add64(&to->documents, more->documents) && add64(&to->bytes, more->bytes) && add64(&to->words, more->words);
    return fits ? PM_OK : pm_fail(err, PM_LIMIT, "a sum of counts is above 2^64");
}

/* ---------------------------------------------------------------- writing ---- */

static pm_status write_out(pm_count_writer *w, const void *data, size_t len, pm_error *err) {
    return w->file.path ? pm_writer_write(&w->file, data, len, err) : pm_write(w->file.fd, data, len, w->name, err);
}

/* Empties the block and leaves room for the head of the next one. */
static pm_status begin_block(pm_count_writer *w, pm_error *err) {
    w->n = 0;
    w->block.len = 0;
    w->word.len = 0;
    PM_TRY(pm_buf_reserve(&w->block, FRAME_HEAD, err));
    w->block.len = FRAME_HEAD;
    return PM_OK;
}

/* Writes the frame that block is. */
static pm_status end_frame(pm_count_writer *w, pm_error *err) {
    uint8_t sum[SUM];
    set(w->block.data, w->block.len - FRAME_HEAD, 8);
    set(w->block.data + 8, w->n, 8);
    w->sum = XXH3_64bits_withSeed(w->block.data, w->block.len, w->sum);
    set(sum, w->sum, SUM);
    PM_TRY(write_out(w, w->block.data, w->block.len, err));
    PM_TRY(write_out(w, sum, SUM, err));
    return begin_block(w, err);
}

static pm_status write_header(pm_count_writer *w, const char *settings, pm_error *err) {
    size_t len = strlen(settings);
    uint8_t sum[SUM];
    if (len > MAX_SETTINGS) {
        return pm_fail(err, PM_LIMIT, "the settings (the pattern) are longer than %d bytes", MAX_SETTINGS);
    }
    PM_TRY(pm_buf_reserve(&w->block, HEADER, err));
    memcpy(w->block.data, magic, sizeof magic);
    set(w->block.data + 8, VERSION, 4);
    set(w->block.data + 12, len, 4);
    w->block.len = HEADER;
    PM_TRY(pm_buf_append(&w->block, settings, len, err));
    w->sum = pm_hash(w->block.data, w->block.len);
    set(sum, w->sum, SUM);
    PM_TRY(write_out(w, w->block.data, w->block.len, err));
    PM_TRY(write_out(w, sum, SUM, err));
    return begin_block(w, err);
}

pm_status pm_count_writer_open(pm_count_writer *w, const char *path, const char *tmpdir, const char *settings, pm_error *err) {
    *w = (pm_count_writer){.file = {.fd = -1}, .name = path ? path : pm_temporary_folder(tmpdir)};
    w->documents = pm_count_settings_have_documents(settings);
    if (path) {
        PM_TRY(pm_writer_open(&w->file, path, err));
    } else {
        PM_TRY(pm_temporary_file(&w->file.fd, tmpdir, err));
    }
    return write_header(w, settings, err);
}

static size_t shared_bytes(const uint8_t *a, size_t n_a, const uint8_t *b, size_t n_b) {
    size_t n = n_a < n_b ? n_a : n_b, i = 0;
    while (i < n && a[i] == b[i]) {
        i++;
    }
    return i;
}

pm_status pm_count_writer_add(pm_count_writer *w, const uint8_t *word, size_t len, uint64_t count, uint64_t documents, pm_error *err) {
    size_t shared = shared_bytes(w->word.data, w->word.len, word, len);
    if (len > SIZE_MAX / 2) {
        return pm_fail_memory(err);
    }
    PM_TRY(pm_buf_reserve(&w->block, len - shared + 4 * MAX_VARINT, err));
    uint8_t *p = w->block.data + w->block.len;
    p = put_varint(p, shared);
    p = put_varint(p, len - shared);
    memcpy(p, word + shared, len - shared);
    p = put_varint(p + (len - shared), count);
    if (w->documents) {
        p = put_varint(p, documents);
    }
    w->block.len = (size_t)(p - w->block.data);
    w->word.len = shared;
    PM_TRY(pm_buf_append(&w->word, word + shared, len - shared, err));
    w->n++;
    w->distinct++;
    if (!add64(&w->words, count)) {
        return pm_fail(err, PM_LIMIT, "a sum of counts is above 2^64");
    }
    return w->block.len - FRAME_HEAD >= BLOCK_BYTES ? end_frame(w, err) : PM_OK;
}

/* What is left in the block, and the frame of the totals. */
static pm_status finish(pm_count_writer *w, pm_count_totals *totals, pm_error *err) {
    if (w->n) {
        PM_TRY(end_frame(w, err));
    }
    totals->words = w->words;
    totals->distinct = w->distinct;
    PM_TRY(pm_buf_reserve(&w->block, TOTALS, err));
    uint8_t *p = w->block.data + FRAME_HEAD;
    set(p, totals->documents, 8);
    set(p + 8, totals->bytes, 8);
    set(p + 16, totals->words, 8);
    set(p + 24, totals->distinct, 8);
    set(p + 32, totals->lines_split ? LINES_SPLIT : 0, 8);
    set(p + 40, w->sum, 8);
    w->block.len = FRAME_HEAD + TOTALS;
    return end_frame(w, err);
}

pm_status pm_count_writer_close(pm_count_writer *w, pm_status status, pm_count_totals *totals, pm_error *err) {
    if (status == PM_OK) {
        status = finish(w, totals, err);
    }
    pm_buf_release(&w->block);
    pm_buf_release(&w->word);
    return pm_writer_close(&w->file, status, err);
}

pm_status pm_count_writer_keep(pm_count_writer *w, pm_status status, pm_count_totals *totals, int *fd, pm_error *err) {
    if (status == PM_OK) {
        status = finish(w, totals, err);
    }
    pm_buf_release(&w->block);
    pm_buf_release(&w->word);
    if (status != PM_OK && w->file.fd >= 0) {
        close(w->file.fd);
        w->file.fd = -1;
    }
    *fd = w->file.fd;
    return status;
}

/* ---------------------------------------------------------------- reading: the head and the totals ---- */

/* A file that is not what it should be, at `at` in it. */
static pm_status bad(const pm_count_reader *r, uint64_t at, pm_error *err, const char *what) {
    return pm_fail_file(err, PM_BAD_FORMAT, r->name, at, "%s", what);
}

static pm_status read_header(pm_count_reader *r, pm_error *err) {
    uint8_t head[HEADER] = {0};
    size_t n = r->size < HEADER ? (size_t)r->size : HEADER;
    PM_TRY(pm_read_at(r->fd, head, n, 0, r->name, err));
    if (n < sizeof magic || memcmp(head, magic, sizeof magic) != 0) {
        return bad(r, 0, err, "not a count file: it does not begin as one");
    }
    if (n == HEADER && get(head + 8, 4) != VERSION) {
        return pm_fail_file(err, PM_BAD_VERSION, r->name, 8, "version %llu of the format; this library reads version %d",
                            (unsigned long long)get(head + 8, 4), VERSION);
    }
    size_t len = (size_t)get(head + 12, 4);
    if (r->size < HEADER + SUM + FOOTER || len > r->size - (HEADER + SUM + FOOTER)) {
        return bad(r, r->size, err, "truncated: head and totals do not fit into the file");
    }
    if (len > MAX_SETTINGS) {
        return bad(r, 12, err, "damaged: the settings are too long");
    }
    PM_TRY(pm_buf_reserve(&r->settings, HEADER + len + SUM, err));
    PM_TRY(pm_read_at(r->fd, r->settings.data, HEADER + len + SUM, 0, r->name, err));
    r->sum = pm_hash(r->settings.data, HEADER + len);
    if (get(r->settings.data + HEADER + len, SUM) != r->sum) {
        return bad(r, HEADER, err, "damaged: the checksum of the settings is another one");
    }
    memmove(r->settings.data, r->settings.data + HEADER, len);
    r->settings.data[len] = '\0';
    r->settings.len = len;
    r->at = HEADER + len + SUM;
    const char *settings = (const char *)r->settings.data;
    if (!are_settings(settings, len)) {
        return bad(r, HEADER, err, "damaged: the settings are no lines of key=value");
    }
    r->documents = pm_count_settings_have_documents(settings);
    return PM_OK;
}

/* The last frame alone: it holds the checksum that it is seeded with. */
static pm_status read_totals(pm_count_reader *r, pm_error *err) {
    uint8_t frame[FOOTER];
    const uint8_t *p = frame + FRAME_HEAD;
    uint64_t at = r->size - FOOTER;
    PM_TRY(pm_read_at(r->fd, frame, FOOTER, at, r->name, err));
    uint64_t sum = XXH3_64bits_withSeed(frame, FOOTER - SUM, get(p + 40, 8));
    if (get(frame, 8) != TOTALS || get(frame + 8, 8) != 0 || get(frame + FOOTER - SUM, SUM) != sum) {
        return bad(r, r->size, err, "truncated or damaged: the file does not end with its totals");
    }
    if (get(p + 32, 8) & ~(uint64_t)LINES_SPLIT) {
        return pm_fail_file(err, PM_BAD_VERSION, r->name, at + FRAME_HEAD + 32, "a later version of piecemill wrote this file: a flag is not known here");
    }
    r->last_sum = get(p + 40, 8);
    r->totals = (pm_count_totals){get(p, 8), get(p + 8, 8), get(p + 16, 8), get(p + 24, 8), get(p + 32, 8) & LINES_SPLIT};
    return PM_OK;
}

static pm_status open_reader(pm_count_reader *r, pm_error *err) {
    struct stat info;
    if (fstat(r->fd, &info) != 0) {
        return pm_fail_errno(err, r->name, errno, "cannot look at");
    }
    if (!S_ISREG(info.st_mode)) {
        return pm_fail_file(err, PM_IO, r->name, PM_NO_OFFSET, "is %s, not a file", S_ISDIR(info.st_mode) ? "a folder" : "a pipe or device");
    }
    r->size = (uint64_t)info.st_size;
    PM_TRY(read_header(r, err));
    PM_TRY(read_totals(r, err));
    r->cap = BLOCK_BYTES + 4 * MAX_VARINT + 2 * FRAME_HEAD + SUM;
    r->block = pm_alloc(r->cap, 1);
    if (!r->block) {
        return pm_fail_memory(err);
    }
    return pm_read_at(r->fd, r->block, FRAME_HEAD, r->at, r->name, err);
}

pm_status pm_count_reader_open_fd(pm_count_reader *r, int fd, const char *name, pm_error *err) {
    *r = (pm_count_reader){.fd = fd, .name = pm_strdup(name)};
    pm_status status = r->name ? open_reader(r, err) : pm_fail_memory(err);
    if (status != PM_OK) {
        pm_error_in_file(err, status, name);
        pm_count_reader_close(r);
    }
    return status;
}

pm_status pm_count_reader_open(pm_count_reader *r, const char *path, pm_error *err) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe without a writer is refused, not waited for */
    *r = (pm_count_reader){.fd = -1};
    return fd < 0 ? pm_fail_errno(err, path, errno, "cannot open") : pm_count_reader_open_fd(r, fd, path, err);
}

void pm_count_reader_close(pm_count_reader *r) {
    if (r->fd >= 0) {
        close(r->fd);
    }
    pm_free(r->name);
    pm_free(r->block);
    pm_buf_release(&r->settings);
    pm_buf_release(&r->word);
    *r = (pm_count_reader){.fd = -1};
}

/* ---------------------------------------------------------------- reading: words ---- */

/* At the last frame, whose head is in block: were all words there? */
static pm_status end_words(pm_count_reader *r, pm_error *err) {
    if (r->at != r->size - FOOTER) {
        return bad(r, r->at, err, "damaged: the totals stand before the end of the file");
    }
    if (r->last_sum != r->sum) {
        return bad(r, r->at, err, "damaged: the totals are those of other words");
    }
    if (r->words != r->totals.words || r->distinct != r->totals.distinct) {
        return bad(r, r->at, err, "damaged: the words are not as many as the totals say");
    }
    r->word.len = 0;
    r->count = r->in_documents = 0;
    return PM_OK;
}

/* Reads the block whose head is in r->block, and the head of the frame behind it. */
static pm_status read_block(pm_count_reader *r, uint64_t n, pm_error *err) {
    uint64_t len = get(r->block, 8), left = r->size - FOOTER - r->at;
    if (left < FRAME_HEAD + SUM || len > left - FRAME_HEAD - SUM || n > len / 4) {
        return bad(r, r->at, err, "damaged: the length of a block is wrong");
    }
    size_t whole = FRAME_HEAD + (size_t)len + SUM;
    uint8_t head[FRAME_HEAD];
    memcpy(head, r->block, FRAME_HEAD);
    PM_TRY(pm_grow((void **)&r->block, &r->cap, whole + FRAME_HEAD, 1, err));
    PM_TRY(pm_read_at(r->fd, r->block + FRAME_HEAD, whole, r->at + FRAME_HEAD, r->name, err));
    uint64_t sum = XXH3_64bits_withSeed(r->block, whole - SUM, r->sum);
    if (get(r->block + whole - SUM, SUM) != sum) {
        return bad(r, r->at, err, "damaged: the checksum of a block is another one");
    }
    r->sum = sum;
    r->pos = FRAME_HEAD;
    r->end = whole - SUM;
    r->left = n;
    r->first = true;
    return PM_OK;
}

/* Goes on to the next block; at the end r->left stays 0. */
static pm_status next_block(pm_count_reader *r, pm_error *err) {
    if (r->end) { /* the head that stands behind the last block */
        if (r->pos != r->end) {
            return bad(r, r->at + r->pos, err, "damaged: bytes are left behind the last word of a block");
        }
        r->at += r->end + SUM;
        memmove(r->block, r->block + r->end + SUM, FRAME_HEAD);
        r->end = 0;
    }
    uint64_t n = get(r->block + 8, 8);
    return n ? read_block(r, n, err) : end_words(r, err);
}

static inline int compare(const uint8_t *a, size_t n_a, const uint8_t *b, size_t n_b) {
    size_t n = n_a < n_b ? n_a : n_b;
    int order = n ? memcmp(a, b, n) : 0;
    return order ? order : (n_a > n_b) - (n_a < n_b);
}

pm_status pm_count_reader_next(pm_count_reader *r, pm_error *err) {
    if (!r->left) {
        PM_TRY(next_block(r, err));
        if (!r->left) {
            return PM_OK;
        }
    }
    const uint8_t *p = r->block + r->pos, *end = r->block + r->end;
    uint64_t shared, more;
    if (!get_varint(&p, end, &shared) || !get_varint(&p, end, &more) || shared > (r->first ? 0 : r->word.len) || more == 0 ||
        more > (uint64_t)(end - p)) {
        return bad(r, r->at + r->pos, err, "damaged: a word is not coded as it should be");
    }
    bool rises = r->first ? compare(p, (size_t)more, r->word.data, r->word.len) > 0 : shared == r->word.len || *p > r->word.data[shared];
    if (!rises) {
        return bad(r, r->at + r->pos, err, "damaged: the words are not in order");
    }
    r->word.len = (size_t)shared;
    PM_TRY(pm_buf_append(&r->word, p, (size_t)more, err));
    p += more;
    if (!get_varint(&p, end, &r->count) || r->count == 0 || (r->documents && (!get_varint(&p, end, &r->in_documents) || r->in_documents == 0)) ||
        !add64(&r->words, r->count)) {
        return bad(r, r->at + r->pos, err, "damaged: a count is not coded as it should be");
    }
    r->distinct++;
    r->first = false;
    r->left--;
    r->pos = (size_t)(p - r->block);
    return PM_OK;
}
