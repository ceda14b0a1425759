/* ids.c - token ids from Python objects: without a copy where the memory holds native uint32, else one number at a
 * time. */
#include "binding.h"

void pmpy_ids_release(pmpy_ids *ids) {
    if (ids->has_buffer) {
        PyBuffer_Release(&ids->buffer);
    }
    PyMem_Free(ids->own);
    ids->own = NULL;
    ids->has_buffer = false;
}

/* Memory for n ids. */
static pm_id *room(pmpy_ids *ids, size_t n) {
    if (n <= sizeof ids->few / sizeof ids->few[0]) {
        return ids->few;
    }
    ids->own = n > (size_t)PY_SSIZE_T_MAX / sizeof(pm_id) ? NULL : PyMem_Malloc(n * sizeof(pm_id));
    if (!ids->own) {
        PyErr_NoMemory();
    }
    return ids->own;
}

static int bad_id(pmpy_state *state, size_t index, long long value) {
    char sentence[96];
    snprintf(sentence, sizeof sentence, "%lld is not an id (index %zu)", value, index);
    pmpy_raise_status(state, PM_BAD_ID, index, sentence);
    return -1;
}

/* The character of a buffer's format when its items are native whole numbers, else 0. */
static char number_format(const Py_buffer *buffer) {
    const char *format = buffer->format ? buffer->format : "B";
    bool native = format[0] == '@' || format[0] == '=';
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    native = native || format[0] == '<';
#else
    native = native || format[0] == '>';
#endif
    format += native;
    return format[0] && !format[1] && strchr("bBhHiIlLqQnN", format[0]) ? format[0] : 0;
}

/* Item i of a buffer of whole numbers; UINT64_MAX for a negative one, which *negative then is. */
static uint64_t number_at(const Py_buffer *buffer, size_t i, bool is_signed, int64_t *negative) {
    const char *at = (const char *)buffer->buf + i * (size_t)buffer->itemsize;
    uint64_t u = 0;
    int64_t s = 0;
    switch (buffer->itemsize) {
    case 1: {
        uint8_t v;
        memcpy(&v, at, 1);
        u = v;
        s = (int8_t)v;
        break;
    }
    case 2: {
        uint16_t v;
        memcpy(&v, at, 2);
        u = v;
        s = (int16_t)v;
        break;
    }
    case 4: {
        uint32_t v;
        memcpy(&v, at, 4);
        u = v;
        s = (int32_t)v;
        break;
    }
    default: memcpy(&u, at, 8); s = (int64_t)u;
    }
    if (is_signed && s < 0) {
        *negative = s;
        return UINT64_MAX;
    }
    return u;
}

/* The buffer in ids->buffer, which the caller releases when it is not kept. */
static int from_buffer(pmpy_state *state, pmpy_ids *ids, char format) {
    const Py_buffer *buffer = &ids->buffer;
    size_t n = (size_t)(buffer->len / buffer->itemsize);
    bool is_signed = strchr("bhilqn", format) != NULL;
    if (buffer->itemsize == 4 && !is_signed && (uintptr_t)buffer->buf % sizeof(pm_id) == 0) {
        ids->data = buffer->buf;
        ids->n = n;
        ids->has_buffer = true;
        return 0;
    }
    pm_id *out = room(ids, n);
    if (!out) {
        return -1;
    }
    for (size_t i = 0; i < n; i++) {
        int64_t negative = 0;
        uint64_t value = number_at(buffer, i, is_signed, &negative);
        if (value >= PM_ID_NONE) {
            return bad_id(state, i, negative ? (long long)negative : (long long)value);
        }
        out[i] = (pm_id)value;
    }
    ids->data = out;
    ids->n = n;
    return 0;
}

/* 1: done; 0: not a buffer of whole numbers; -1: an exception was set. */
static int try_buffer(pmpy_state *state, pmpy_ids *ids, PyObject *value) {
    if (PyObject_GetBuffer(value, &ids->buffer, PyBUF_FORMAT | PyBUF_ND) < 0) {
        PyErr_Clear(); /* not contiguous: goes by iteration */
        return 0;
    }
    char format = number_format(&ids->buffer);
    Py_ssize_t size = ids->buffer.itemsize;
    bool known = format && ids->buffer.ndim == 1 && (size == 1 || size == 2 || size == 4 || size == 8);
    int rc = known ? from_buffer(state, ids, format) : 0;
    if (!ids->has_buffer) {
        PyBuffer_Release(&ids->buffer);
    }
    return rc < 0 ? -1 : known;
}

static int from_iterable(pmpy_state *state, pmpy_ids *ids, PyObject *value) {
    PyObject *tuple = PySequence_Tuple(value);
    if (!tuple) {
        return -1;
    }
    Py_ssize_t n = PyTuple_Size(tuple);
    pm_id *out = room(ids, (size_t)n);
    int rc = out ? 0 : -1;
    for (Py_ssize_t i = 0; rc == 0 && i < n; i++) {
        PyObject *item = PyTuple_GetItem(tuple, i);
        PyObject *index = PyLong_Check(item) ? Py_NewRef(item) : PyNumber_Index(item);
        if (!index) {
            rc = -1; /* the TypeError of PyNumber_Index says what it is */
            break;
        }
        int overflow;
        long long number = PyLong_AsLongLongAndOverflow(index, &overflow);
        Py_DECREF(index);
        if (overflow || number < 0 || number >= (long long)PM_ID_NONE) {
            rc = bad_id(state, (size_t)i, overflow ? (overflow < 0 ? LLONG_MIN : LLONG_MAX) : number);
        } else {
            out[i] = (pm_id)number;
        }
    }
    Py_DECREF(tuple);
    ids->data = out;
    ids->n = (size_t)n;
    return rc;
}

int pmpy_ids_init(pmpy_state *state, pmpy_ids *ids, PyObject *value) {
    ids->own = NULL;
    ids->has_buffer = false;
    ids->data = ids->few;
    ids->n = 0;
    if (PyUnicode_Check(value) || PyBytes_Check(value) || PyByteArray_Check(value)) {
        PyErr_Format(PyExc_TypeError, "ids must be whole numbers, not %R", (PyObject *)Py_TYPE(value));
        return -1;
    }
    int rc = 0;
    if (!PyList_Check(value) && !PyTuple_Check(value) && PyObject_CheckBuffer(value)) {
        rc = try_buffer(state, ids, value);
    }
    rc = rc == 0 ? from_iterable(state, ids, value) : rc;
    if (rc < 0) {
        pmpy_ids_release(ids);
        return -1;
    }
    return 0;
}
