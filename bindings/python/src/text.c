/* text.c - documents from Python objects to UTF-8 bytes.
 *
 * A str keeps its characters in units of 1, 2 or 4 bytes, the width of its largest one; if all are ASCII the units are
 * UTF-8 already. PyUnicode_AsUTF8AndSize would give UTF-8 for every str but leaves a second copy inside the object,
 * which doubles a data set's memory, and holds the GIL meanwhile. So ASCII is borrowed and the rest is converted here,
 * without the GIL, into chunks that live as long as the call. The conversion reads each unit once:
 *
 *     U+4E2D  ->  E4 B8 AD        one store of four bytes, of which three count: hence slack behind the bound
 *
 * A width of 2 is Chinese, Cyrillic, ... and English with one typographic quote in it: runs of ASCII are tested four
 * units at a time. A lone surrogate has no UTF-8; the caller raises the UnicodeEncodeError that str.encode would. */
#include "binding.h"

#define SLACK 4
#define CHUNK ((size_t)1 << 20)

struct pmpy_chunk {
    pmpy_chunk *older;
    size_t size;
    uint8_t data[];
};

void pmpy_texts_init(pmpy_texts *texts) {
    memset(texts, 0, offsetof(pmpy_texts, small));
    texts->items = &texts->item0;
    texts->widths = &texts->width0;
    texts->held = &texts->held0;
    texts->cap = 1;
    texts->next = texts->small;
    texts->left = sizeof texts->small;
}

static void drop_objects(pmpy_texts *texts) {
    for (size_t i = 0; i < texts->n_buffers; i++) {
        PyBuffer_Release(&texts->buffers[i]);
    }
    for (size_t i = 0; i < texts->n; i++) {
        Py_CLEAR(texts->held[i]);
    }
    texts->n_buffers = 0;
    texts->n = 0;
    texts->total = 0;
}

void pmpy_texts_clear(pmpy_texts *texts) {
    texts->before += texts->n;
    drop_objects(texts);
    if (!texts->chunks) {
        texts->next = texts->small;
        texts->left = sizeof texts->small;
        return;
    }
    while (texts->chunks->older) { /* keep the newest, which is at least as large as the others */
        pmpy_chunk *older = texts->chunks->older;
        texts->chunks->older = older->older;
        free(older);
    }
    texts->next = texts->chunks->data;
    texts->left = texts->chunks->size;
}

void pmpy_texts_release(pmpy_texts *texts) {
    drop_objects(texts);
    while (texts->chunks) {
        pmpy_chunk *older = texts->chunks->older;
        free(texts->chunks);
        texts->chunks = older;
    }
    PyMem_Free(texts->buffers);
    if (texts->items != &texts->item0) {
        PyMem_Free(texts->items);
        PyMem_Free(texts->widths);
        PyMem_Free(texts->held);
    }
    pmpy_texts_init(texts);
}

static int grow(pmpy_texts *texts) {
    size_t cap = texts->cap < 64 ? 64 : texts->cap * 2;
    bool first = texts->items == &texts->item0;
    pm_bytes *items = PyMem_Malloc(cap * sizeof *items);
    uint8_t *widths = PyMem_Malloc(cap);
    PyObject **held = PyMem_Malloc(cap * sizeof(PyObject *));
    if (!items || !widths || !held) {
        PyMem_Free(items);
        PyMem_Free(widths);
        PyMem_Free((void *)held);
        PyErr_NoMemory();
        return -1;
    }
    memcpy(items, texts->items, texts->n * sizeof *items);
    memcpy(widths, texts->widths, texts->n);
    memcpy((void *)held, (void *)texts->held, texts->n * sizeof(PyObject *));
    if (!first) {
        PyMem_Free(texts->items);
        PyMem_Free(texts->widths);
        PyMem_Free((void *)texts->held);
    }
    texts->items = items;
    texts->widths = widths;
    texts->held = held;
    texts->cap = cap;
    return 0;
}

/* Says which document of several it was, as a note on the exception that is set. */
static void add_note(size_t index) {
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    PyErr_NormalizeException(&type, &value, &traceback);
    PyObject *note = PyUnicode_FromFormat("in document %zu", index);
    PyObject *result = note && value ? PyObject_CallMethod(value, "add_note", "O", note) : NULL;
    if (!result) {
        PyErr_Clear();
    }
    Py_XDECREF(result);
    Py_XDECREF(note);
    PyErr_Restore(type, value, traceback);
}

/* Where the characters of a str lie. *keep becomes a new reference that must live as long, or NULL. */
static int view_str(PyObject *str, pm_bytes *item, uint8_t *width, PyObject **keep) {
    *keep = NULL;
    *width = 0;
#ifdef Py_LIMITED_API
    PyObject *bytes = PyUnicode_AsUTF8String(str);
    char *data;
    Py_ssize_t len;
    if (!bytes || PyBytes_AsStringAndSize(bytes, &data, &len) < 0) {
        Py_XDECREF(bytes);
        return -1;
    }
    *keep = bytes;
    *item = (pm_bytes){(const uint8_t *)data, (size_t)len};
#else
#if PY_VERSION_HEX < 0x030c0000
    if (PyUnicode_READY(str) < 0) {
        return -1;
    }
#endif
    if (!PyUnicode_IS_ASCII(str)) {
        *width = (uint8_t)PyUnicode_KIND(str); /* the kinds are 1, 2 and 4: bytes in a unit */
    }
    *item = (pm_bytes){PyUnicode_DATA(str), (size_t)PyUnicode_GET_LENGTH(str)};
#endif
    return 0;
}

static int view_buffer(pmpy_texts *texts, PyObject *object, pm_bytes *item) {
    if (!PyObject_CheckBuffer(object)) {
        PyErr_Format(PyExc_TypeError, "a document must be str or bytes, not %R", (PyObject *)Py_TYPE(object));
        return -1;
    }
    if (texts->n_buffers == texts->cap_buffers) {
        size_t cap = texts->cap_buffers ? texts->cap_buffers * 2 : 4;
        Py_buffer *buffers = PyMem_Realloc(texts->buffers, cap * sizeof *buffers);
        if (!buffers) {
            PyErr_NoMemory();
            return -1;
        }
        texts->buffers = buffers;
        texts->cap_buffers = cap;
    }
    Py_buffer *buffer = &texts->buffers[texts->n_buffers];
    if (PyObject_GetBuffer(object, buffer, PyBUF_SIMPLE) < 0) {
        return -1;
    }
    texts->n_buffers++;
    *item = (pm_bytes){buffer->buf, (size_t)buffer->len};
    return 0;
}

int pmpy_texts_add(pmpy_texts *texts, PyObject *document, bool hold) {
    if (texts->n == texts->cap && grow(texts) < 0) {
        return -1;
    }
    pm_bytes item = {NULL, 0};
    uint8_t width = 0;
    PyObject *keep = NULL;
    if (PyUnicode_Check(document)) {
        if (view_str(document, &item, &width, &keep) < 0) {
            if (texts->before + texts->n > 0) {
                add_note(texts->before + texts->n);
            }
            return -1;
        }
    } else if (PyBytes_Check(document)) {
        char *data;
        Py_ssize_t len;
        if (PyBytes_AsStringAndSize(document, &data, &len) < 0) {
            return -1;
        }
        item = (pm_bytes){(const uint8_t *)data, (size_t)len};
    } else if (view_buffer(texts, document, &item) < 0) {
        return -1;
    }
    if (hold && !keep) {
        keep = Py_NewRef(document);
    }
    texts->items[texts->n] = item;
    texts->widths[texts->n] = width;
    texts->held[texts->n] = keep;
    texts->n++;
    texts->total += item.len;
    return 0;
}

/* ---- conversion: no Python below this line but in the last function ---- */

static uint8_t *put2(uint8_t *out, uint32_t c) {
    out[0] = (uint8_t)(0xc0 | c >> 6);
    out[1] = (uint8_t)(0x80 | (c & 0x3f));
    return out + 2;
}

static uint8_t *put3(uint8_t *out, uint32_t c) {
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    uint32_t word = UINT32_C(0x8080e0) | c >> 12 | (c & 0xfc0) << 2 | (c & 0x3f) << 16;
    memcpy(out, &word, 4);
#else
    out[0] = (uint8_t)(0xe0 | c >> 12);
    out[1] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
    out[2] = (uint8_t)(0x80 | (c & 0x3f));
#endif
    return out + 3;
}

static uint8_t *put4(uint8_t *out, uint32_t c) {
    out[0] = (uint8_t)(0xf0 | c >> 18);
    out[1] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
    out[2] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
    out[3] = (uint8_t)(0x80 | (c & 0x3f));
    return out + 4;
}

static bool is_surrogate(uint32_t c) { return (c & UINT32_C(0xfffff800)) == 0xd800; }

static uint8_t *from_latin1(uint8_t *out, const uint8_t *in, size_t n) {
    size_t i = 0;
    while (i < n) {
        uint64_t word;
        while (i + 8 <= n && (memcpy(&word, in + i, 8), (word & UINT64_C(0x8080808080808080)) == 0)) {
            memcpy(out, &word, 8);
            out += 8;
            i += 8;
        }
        for (size_t end = n - i < 8 ? n : i + 8; i < end; i++) {
            if (in[i] < 0x80) {
                *out++ = in[i];
            } else {
                out = put2(out, in[i]);
            }
        }
    }
    return out;
}

/* NULL: a lone surrogate. */
static uint8_t *from_ucs2(uint8_t *out, const uint16_t *in, size_t n) {
    size_t i = 0;
    while (i < n) {
        while (i < n && in[i] >= 0x800) {
            if (is_surrogate(in[i])) {
                return NULL;
            }
            out = put3(out, in[i++]);
        }
        uint64_t word;
        while (i + 4 <= n && (memcpy(&word, in + i, 8), (word & UINT64_C(0xff80ff80ff80ff80)) == 0)) {
            for (int k = 0; k < 4; k++) {
                out[k] = (uint8_t)in[i + (size_t)k];
            }
            out += 4;
            i += 4;
        }
        for (; i < n && in[i] < 0x800; i++) {
            if (in[i] < 0x80) {
                *out++ = (uint8_t)in[i];
            } else {
                out = put2(out, in[i]);
            }
        }
    }
    return out;
}

static uint8_t *from_ucs4(uint8_t *out, const uint32_t *in, size_t n) {
    for (size_t i = 0; i < n; i++) {
        uint32_t c = in[i];
        if (c < 0x80) {
            *out++ = (uint8_t)c;
        } else if (c < 0x800) {
            out = put2(out, c);
        } else if (c < 0x10000) {
            if (is_surrogate(c)) {
                return NULL;
            }
            out = put3(out, c);
        } else {
            out = put4(out, c);
        }
    }
    return out;
}

static int make_room(pmpy_texts *texts, size_t bytes) {
    if (bytes <= texts->left) {
        return 0;
    }
    size_t size = bytes < CHUNK ? CHUNK : bytes;
    if (texts->chunks && size < texts->chunks->size) {
        size = texts->chunks->size;
    }
    pmpy_chunk *chunk = size > SIZE_MAX / 2 ? NULL : malloc(sizeof *chunk + size);
    if (!chunk) {
        return -1;
    }
    *chunk = (pmpy_chunk){texts->chunks, size};
    texts->chunks = chunk;
    texts->next = chunk->data;
    texts->left = size;
    return 0;
}

int pmpy_texts_convert(pmpy_texts *texts, size_t *bad) {
    *bad = SIZE_MAX;
    for (size_t i = 0; i < texts->n; i++) {
        if (texts->widths[i] == 0) {
            continue;
        }
        const void *in = texts->items[i].data;
        size_t n = texts->items[i].len;
        size_t most = texts->widths[i] == 1 ? 2 : texts->widths[i] == 2 ? 3 : 4; /* bytes a unit */
        if (n > (SIZE_MAX / 2 - SLACK) / most || make_room(texts, n * most + SLACK) < 0) {
            return -1;
        }
        uint8_t *end = most == 2   ? from_latin1(texts->next, in, n)
                       : most == 3 ? from_ucs2(texts->next, in, n)
                                   : from_ucs4(texts->next, in, n);
        if (!end) {
            *bad = i;
            return -1;
        }
        texts->items[i] = (pm_bytes){texts->next, (size_t)(end - texts->next)};
        texts->widths[i] = 0;
        texts->left -= (size_t)(end - texts->next);
        texts->next = end;
    }
    return 0;
}

PyObject *pmpy_texts_raise(const pmpy_texts *texts, size_t bad, PyObject *document) {
    if (bad == SIZE_MAX) {
        return PyErr_NoMemory();
    }
    PyObject *bytes = PyUnicode_AsUTF8String(document); /* raises what the user knows from str.encode */
    if (bytes) {
        Py_DECREF(bytes);
        PyErr_SetString(PyExc_UnicodeError, "a document changed while it was read");
    } else if (texts->before + texts->n > 1) {
        add_note(texts->before + bad);
    }
    return NULL;
}
