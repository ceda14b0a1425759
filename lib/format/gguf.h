/* gguf.h - the container of GGUF, the file of llama.cpp: a list of keys and values, and tensors behind it, which are of no concern here. */
#ifndef PM_FORMAT_GGUF_H
#define PM_FORMAT_GGUF_H

#include "base/alloc.h"
#include "pretok/split.h"

typedef enum pm_gguf_type {
    PM_GGUF_U8 = 0,
    PM_GGUF_I8 = 1,
    PM_GGUF_U16 = 2,
    PM_GGUF_I16 = 3,
    PM_GGUF_U32 = 4,
    PM_GGUF_I32 = 5,
    PM_GGUF_F32 = 6,
    PM_GGUF_BOOL = 7,
    PM_GGUF_STRING = 8,
    PM_GGUF_ARRAY = 9,
    PM_GGUF_U64 = 10,
    PM_GGUF_I64 = 11,
    PM_GGUF_F64 = 12
} pm_gguf_type;

typedef struct pm_gguf_value {
    pm_bytes key;
    uint32_t type, item; /* pm_gguf_type; of an array, that of its items */
    uint64_t n;          /* items of an array, else 1 */
    uint64_t offset;     /* of the first item in the file */
} pm_gguf_value;

/* Borrows the file's bytes. */
typedef struct pm_gguf {
    const uint8_t *data;
    size_t len;
    bool big_endian;
    pm_gguf_value *values;
    size_t n, cap;
} pm_gguf;

/* A key that a reader looks for. */
typedef struct pm_gguf_field {
    const char *name;
    const pm_gguf_value *value; /* found, or NULL */
} pm_gguf_field;

/* Reads versions 2 and 3, of either byte order. Every length is checked here, so that what follows cannot leave the file. Errors: PM_BAD_FORMAT (with the position),
 * PM_BAD_VERSION, PM_UNSUPPORTED (an array of arrays), PM_NO_MEMORY. *out is to be released on failure too. */
pm_status pm_gguf_parse(pm_gguf *out, const uint8_t *data, size_t len, pm_error *err);
void pm_gguf_release(pm_gguf *gguf);

/* Finds values by their keys. A key that is there twice is PM_BAD_FORMAT. */
pm_status pm_gguf_get(const pm_gguf *gguf, pm_gguf_field *fields, size_t n, pm_error *err);

bool pm_gguf_is_array(const pm_gguf_value *value, pm_gguf_type item);
/* Items are read by walking: *at begins as value->offset and moves behind the item. */
pm_bytes pm_gguf_next_string(const pm_gguf *gguf, uint64_t *at);
uint64_t pm_gguf_next_bits(const pm_gguf *gguf, uint32_t type, uint64_t *at); /* of a number; signed ones are extended */
float pm_gguf_next_float(const pm_gguf *gguf, uint64_t *at);

/* ---- tokenizer.ggml.pre ---- */

/* A name of llama.cpp's list, and what it stands for. */
typedef struct pm_gguf_pre {
    const char *name;
    const char *patterns[6]; /* regexes applied in turn, or names of patterns, which stand for theirs */
    bool whole_first;        /* llama.cpp's ignore_merges */
    bool bos;                /* whether a text gets a <bos> where the file does not say */
} pm_gguf_pre;

enum { PM_GGUF_MOST_REGEXES = 8 };

const pm_gguf_pre *pm_gguf_pre_find(pm_bytes name); /* NULL: not known here */
/* The regexes of a name; how many. */
size_t pm_gguf_pre_regexes(const pm_gguf_pre *pre, const char *regexes[PM_GGUF_MOST_REGEXES]);
/* A name for this pattern; whole_first must be as asked, unless either is as good. NULL: llama.cpp has no name for it. */
const pm_gguf_pre *pm_gguf_pre_of(const pm_splitter *splitter, bool whole_first, bool either);
/* The patterns of ours that have a name, for messages: "gpt2, ..." */
extern const char pm_gguf_pre_patterns[];

#endif
