/* text.c - documents from Python objects to what the library takes.
 *
 * A str keeps its characters in units of 1, 2 or 4 bytes, the width of its largest one; if all are ASCII the units are
 * UTF-8 already. PyUnicode_AsUTF8AndSize would give UTF-8 for every str but leaves a second copy inside the object,
 * which doubles a data set's memory, and holds the GIL meanwhile. So the units are lent to the library as they lie, as
 * a pm_text, and it converts each document on the thread that encodes it. A lone surrogate has no UTF-8: the library
 * says PM_BAD_INPUT, and the UnicodeEncodeError that str.encode would raise is raised here. */
#include "binding.h"

void pmpy_texts_init(pmpy_texts *texts) {
    memset(texts, 0, sizeof *texts);
    texts->items = &texts->item0;
    texts->held = &texts->held0;
    texts->cap = 1;
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
}

void pmpy_texts_release(pmpy_texts *texts) {
    drop_objects(texts);
    PyMem_Free(texts->buffers);
    if (texts->items != &texts->item0) {
        PyMem_Free(texts->items);
        PyMem_Free((void *)texts->held);
    }
    pmpy_texts_init(texts);
}

int pmpy_texts_reserve(pmpy_texts *texts, size_t cap) {
    if (cap <= texts->cap) {
        return 0;
    }
    bool first = texts->items == &texts->item0;
    pm_text *items = cap > SIZE_MAX / sizeof *items ? NULL : PyMem_Malloc(cap * sizeof *items);
    PyObject **held = items ? PyMem_Malloc(cap * sizeof(PyObject *)) : NULL;
    if (!held) {
        PyMem_Free(items);
        PyErr_NoMemory();
        return -1;
    }
    memcpy(items, texts->items, texts->n * sizeof *items);
    memcpy((void *)held, (void *)texts->held, texts->n * sizeof(PyObject *));
    if (!first) {
        PyMem_Free(texts->items);
        PyMem_Free((void *)texts->held);
    }
    texts->items = items;
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
static int view_str(PyObject *str, pm_text *item, PyObject **keep) {
    *keep = NULL;
#ifdef Py_LIMITED_API
    PyObject *bytes = PyUnicode_AsUTF8String(str);
    char *data;
    Py_ssize_t len;
    if (!bytes || PyBytes_AsStringAndSize(bytes, &data, &len) < 0) {
        Py_XDECREF(bytes);
        return -1;
    }
    *keep = bytes;
    *item = (pm_text){data, (size_t)len, PM_TEXT_UTF8};
#else
#if PY_VERSION_HEX < 0x030c0000
    if (PyUnicode_READY(str) < 0) {
        return -1;
    }
#endif
    static const pm_text_form forms[] = {[PyUnicode_1BYTE_KIND] = PM_TEXT_LATIN1,
                                         [PyUnicode_2BYTE_KIND] = PM_TEXT_UCS2,
                                         [PyUnicode_4BYTE_KIND] = PM_TEXT_UTF32};
    pm_text_form form = PyUnicode_IS_ASCII(str) ? PM_TEXT_UTF8 : forms[PyUnicode_KIND(str)];
    *item = (pm_text){PyUnicode_DATA(str), (size_t)PyUnicode_GET_LENGTH(str), form};
#endif
    return 0;
}

static int view_buffer(pmpy_texts *texts, PyObject *object, pm_text *item) {
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
    *item = (pm_text){buffer->buf, (size_t)buffer->len, PM_TEXT_UTF8};
    return 0;
}

int pmpy_texts_add(pmpy_texts *texts, PyObject *document, bool hold) {
    if (texts->n == texts->cap && pmpy_texts_reserve(texts, texts->cap < 64 ? 64 : texts->cap * 2) < 0) {
        return -1;
    }
    pm_text item = {NULL, 0, PM_TEXT_UTF8};
    PyObject *keep = NULL;
    if (PyUnicode_Check(document)) {
        if (view_str(document, &item, &keep) < 0) {
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
        item = (pm_text){data, (size_t)len, PM_TEXT_UTF8};
    } else if (view_buffer(texts, document, &item) < 0) {
        return -1;
    }
    if (hold && !keep) {
        keep = Py_NewRef(document);
    }
    texts->items[texts->n] = item;
    texts->held[texts->n] = keep;
    texts->n++;
    texts->total += item.len;
    return 0;
}

PyObject *pmpy_texts_raise(const pmpy_texts *texts, size_t i, PyObject *document) {
    PyObject *bytes = PyUnicode_AsUTF8String(document); /* raises what the user knows from str.encode */
    if (bytes) {
        Py_DECREF(bytes);
        PyErr_SetString(PyExc_UnicodeError, "a document changed while it was read");
    } else if (texts->before + texts->n > 1) {
        add_note(texts->before + i);
    }
    return NULL;
}
