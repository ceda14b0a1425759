/* arguments.c - from Python values to what <piecemill.h> takes. */
#include "binding.h"

static Py_ssize_t find_name(PyObject *keyword, const char *const *names, Py_ssize_t n_names) {
    for (Py_ssize_t i = 0; i < n_names; i++) {
        if (PyUnicode_CompareWithASCIIString(keyword, names[i]) == 0) {
            return i;
        }
    }
    return -1;
}

int pmpy_arguments(const char *function, PyObject *const *args, Py_ssize_t n_args, PyObject *keywords,
                   const char *const *names, Py_ssize_t n_names, Py_ssize_t n_positional, Py_ssize_t n_required,
                   PyObject **values) {
    if (n_args > n_positional) {
        PyErr_Format(PyExc_TypeError, "%s() takes at most %zd arguments by position, %zd were given", function,
                     n_positional, n_args);
        return -1;
    }
    for (Py_ssize_t i = 0; i < n_names; i++) {
        values[i] = i < n_args ? args[i] : NULL;
    }
    Py_ssize_t n_keywords = keywords ? PyTuple_Size(keywords) : 0;
    for (Py_ssize_t k = 0; k < n_keywords; k++) {
        PyObject *keyword = PyTuple_GetItem(keywords, k);
        Py_ssize_t i = find_name(keyword, names, n_names);
        if (i < 0) {
            PyErr_Format(PyExc_TypeError, "%s() got an unexpected argument %R", function, keyword);
            return -1;
        }
        if (values[i]) {
            PyErr_Format(PyExc_TypeError, "%s() got argument '%s' twice", function, names[i]);
            return -1;
        }
        values[i] = args[n_args + k];
    }
    for (Py_ssize_t i = 0; i < n_required; i++) {
        if (!values[i]) {
            PyErr_Format(PyExc_TypeError, "%s() needs the argument '%s'", function, names[i]);
            return -1;
        }
    }
    return 0;
}

int pmpy_unsigned(pmpy_state *state, PyObject *value, const char *name, uint64_t max, uint64_t *out) {
    char sentence[160];
    PyObject *number = PyNumber_Index(value);
    if (!number) {
        PyErr_Format(PyExc_TypeError, "%s must be a whole number, not %R", name, (PyObject *)Py_TYPE(value));
        return -1;
    }
    unsigned long long n = PyLong_AsUnsignedLongLong(number);
    Py_DECREF(number);
    bool overflow = n == (unsigned long long)-1 && PyErr_Occurred();
    if (overflow || n > max) {
        PyErr_Clear();
        snprintf(sentence, sizeof sentence, "%s must be from 0 to %llu", name, (unsigned long long)max);
        pmpy_raise_status(state, PM_INVALID_ARGUMENT, PM_NO_OFFSET, sentence);
        return -1;
    }
    *out = n;
    return 0;
}

void pmpy_strings_release(pmpy_strings *strings) {
    Py_CLEAR(strings->owner);
    PyMem_Free((void *)strings->c);
    PyMem_Free(strings->bytes);
    memset(strings, 0, sizeof *strings);
}

/* The bytes of a str or bytes, as an object of its own: nothing stays cached in the str. */
static PyObject *bytes_of(PyObject *value, const char *what) {
    if (PyUnicode_Check(value)) {
        return PyUnicode_AsUTF8String(value);
    }
    if (PyBytes_Check(value)) {
        return Py_NewRef(value);
    }
    PyErr_Format(PyExc_TypeError, "%s must be str, not %R", what, (PyObject *)Py_TYPE(value));
    return NULL;
}

static int append_string(pmpy_strings *strings, PyObject *value, const char *what, bool nul_allowed) {
    PyObject *bytes = bytes_of(value, what);
    char *data;
    Py_ssize_t len;
    if (!bytes || PyBytes_AsStringAndSize(bytes, &data, &len) < 0 || PyList_Append(strings->owner, bytes) < 0) {
        Py_XDECREF(bytes);
        return -1;
    }
    Py_DECREF(bytes); /* the list keeps it */
    if (!nul_allowed && memchr(data, 0, (size_t)len)) {
        PyErr_Format(PyExc_ValueError, "%s holds a NUL character", what);
        return -1;
    }
    strings->c[strings->n] = data;
    strings->bytes[strings->n] = (pm_bytes){(const uint8_t *)data, (size_t)len};
    strings->n++;
    return 0;
}

static int strings_from_tuple(pmpy_strings *strings, PyObject *tuple, const char *what, bool nul_allowed) {
    Py_ssize_t n = PyTuple_Size(tuple);
    strings->owner = PyList_New(0);
    strings->c = PyMem_Calloc((size_t)n + 1, sizeof *strings->c);
    strings->bytes = PyMem_Calloc((size_t)n + 1, sizeof *strings->bytes);
    if (!strings->owner || !strings->c || !strings->bytes) {
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t i = 0; i < n; i++) {
        if (append_string(strings, PyTuple_GetItem(tuple, i), what, nul_allowed) < 0) {
            return -1;
        }
    }
    return 0;
}

int pmpy_strings_init(pmpy_strings *strings, PyObject *value, const char *what, bool nul_allowed) {
    memset(strings, 0, sizeof *strings);
    if (!value || value == Py_None) {
        return 0;
    }
    bool single = PyUnicode_Check(value) || PyBytes_Check(value);
    PyObject *tuple = single ? PyTuple_Pack(1, value) : PySequence_Tuple(value);
    int rc = tuple ? strings_from_tuple(strings, tuple, what, nul_allowed) : -1;
    Py_XDECREF(tuple);
    if (rc < 0) {
        pmpy_strings_release(strings);
    }
    return rc;
}

void pmpy_special_tokens_release(pmpy_special_tokens *special) {
    pmpy_strings_release(&special->texts);
    PyMem_Free(special->tokens);
    memset(special, 0, sizeof *special);
}

/* ids: a list as long as the texts, or NULL. */
static int fill_special_tokens(pmpy_state *state, pmpy_special_tokens *special, PyObject *ids) {
    special->n = special->texts.n;
    special->tokens = PyMem_Calloc(special->n + 1, sizeof *special->tokens);
    if (!special->tokens) {
        PyErr_NoMemory();
        return -1;
    }
    for (size_t i = 0; i < special->n; i++) {
        uint64_t id = PM_ID_NONE;
        if (ids && pmpy_unsigned(state, PyList_GetItem(ids, (Py_ssize_t)i), "the id of a special token", PM_ID_NONE - 1,
                                 &id) < 0) {
            return -1;
        }
        special->tokens[i] = (pm_special_token){special->texts.bytes[i], (pm_id)id};
    }
    return 0;
}

int pmpy_special_tokens_init(pmpy_state *state, pmpy_special_tokens *special, PyObject *value) {
    memset(special, 0, sizeof *special);
    if (!value || value == Py_None) {
        return 0;
    }
    if (PyUnicode_Check(value) || PyBytes_Check(value)) {
        PyErr_SetString(PyExc_TypeError,
                        "special_tokens must be a collection of str or a dict of str to id, not one str");
        return -1;
    }
    bool dict = PyDict_Check(value);
    PyObject *texts = dict ? PyDict_Keys(value) : Py_NewRef(value);
    PyObject *ids = dict ? PyDict_Values(value) : NULL;
    int rc = -1;
    if (texts && (ids || !dict) && pmpy_strings_init(&special->texts, texts, "a special token", true) == 0) {
        rc = fill_special_tokens(state, special, ids);
    }
    Py_XDECREF(texts);
    Py_XDECREF(ids);
    if (rc < 0) {
        pmpy_special_tokens_release(special);
    }
    return rc;
}
