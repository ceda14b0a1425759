/* counts.c - Counts: a count file that is read word by word.
 *
 * An iterator over a pm_counts. The words of a block are read without the GIL only as far as the library's file reads go, which are short; so the
 * GIL is kept, and free-threaded Python takes the object's own lock. */
#include "binding.h"

#ifndef Py_BEGIN_CRITICAL_SECTION /* before 3.13, and in the stable ABI: the GIL is there */
#define Py_BEGIN_CRITICAL_SECTION(op) {
#define Py_END_CRITICAL_SECTION() }
#endif

typedef struct pmpy_counts {
    PyObject_HEAD pm_counts *counts;
    bool documents;
} pmpy_counts;

static PyObject *counts_new(PyTypeObject *type, PyObject *args, PyObject *keywords) {
    static char *names[] = {"path", NULL};
    PyObject *path;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "O&:Counts", names, PyUnicode_FSConverter, &path)) {
        return NULL;
    }
    allocfunc alloc = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    pmpy_counts *self = (pmpy_counts *)alloc(type, 0);
    if (self) {
        pm_error err;
        if (pm_counts_open(&self->counts, PyBytes_AsString(path), &err) == PM_OK) {
            self->documents = pm_counts_get_totals(self->counts).has_documents;
        } else {
            pmpy_raise(pmpy_state_of((PyObject *)self), &err);
            Py_CLEAR(self);
        }
    }
    Py_DECREF(path);
    return (PyObject *)self;
}

static void counts_dealloc(PyObject *op) {
    PyTypeObject *type = Py_TYPE(op);
    pm_counts_free(((pmpy_counts *)op)->counts);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(op);
    Py_DECREF(type);
}

static PyObject *word_tuple(const pmpy_counts *self, const pm_counted_word *w) {
    const char *text = (const char *)w->text.data;
    Py_ssize_t len = (Py_ssize_t)w->text.len;
    return self->documents ? Py_BuildValue("(y#KK)", text, len, (unsigned long long)w->count, (unsigned long long)w->documents)
                           : Py_BuildValue("(y#K)", text, len, (unsigned long long)w->count);
}

static PyObject *counts_next(PyObject *op) {
    pmpy_counts *self = (pmpy_counts *)op;
    PyObject *tuple = NULL;
    pm_counted_word word;
    pm_error err;
    bool more;
    Py_BEGIN_CRITICAL_SECTION(op);
    if (pm_counts_next(self->counts, &word, &more, &err) != PM_OK) {
        pmpy_raise(pmpy_state_of(op), &err);
    } else if (more) {
        tuple = word_tuple(self, &word);
    }
    Py_END_CRITICAL_SECTION();
    return tuple;
}

/* The value of a setting, whose lines from the second on begin with a tab that is not its own. */
static PyObject *value_of(const char *at, size_t len) {
    char *text = PyMem_Malloc(len + 1);
    size_t n = 0;
    if (!text) {
        return PyErr_NoMemory();
    }
    for (size_t i = 0; i < len; i++) {
        text[n++] = at[i];
        i += at[i] == '\n';
    }
    PyObject *value = PyUnicode_DecodeUTF8(text, (Py_ssize_t)n, "replace");
    PyMem_Free(text);
    return value;
}

/* Sets dict[key]; a regex is appended to the list there. */
static int add_setting(PyObject *dict, PyObject *key, PyObject *value) {
    if (PyUnicode_CompareWithASCIIString(key, "regex") != 0) {
        return PyDict_SetItem(dict, key, value);
    }
    PyObject *list = PyDict_GetItemWithError(dict, key);
    if (list) {
        return PyList_Append(list, value);
    }
    list = PyErr_Occurred() ? NULL : PyList_New(0);
    int rc = list && PyList_Append(list, value) == 0 ? PyDict_SetItem(dict, key, list) : -1;
    Py_XDECREF(list);
    return rc;
}

static PyObject *counts_settings(PyObject *op, void *unused) {
    (void)unused;
    const char *line = pm_counts_settings(((pmpy_counts *)op)->counts);
    PyObject *dict = PyDict_New();
    while (dict && *line) {
        size_t key_len = strcspn(line, "="), len = strcspn(line, "\n");
        while (line[len] == '\n' && line[len + 1] == '\t') {
            len += 1 + strcspn(line + len + 1, "\n");
        }
        PyObject *key = PyUnicode_DecodeUTF8(line, (Py_ssize_t)key_len, "replace");
        PyObject *value = value_of(line + key_len + 1, len - key_len - 1);
        if (!key || !value || add_setting(dict, key, value) < 0) {
            Py_CLEAR(dict);
        }
        Py_XDECREF(key);
        Py_XDECREF(value);
        line += len + (line[len] == '\n');
    }
    return dict;
}

enum { DOCUMENTS, BYTES, WORDS, DISTINCT };

static PyObject *counts_number(PyObject *op, void *which) {
    pm_counts_totals t = pm_counts_get_totals(((pmpy_counts *)op)->counts);
    const uint64_t numbers[] = {t.documents, t.bytes, t.words, t.distinct};
    return PyLong_FromUnsignedLongLong(numbers[(size_t)which]);
}

static PyObject *counts_has_documents(PyObject *op, void *unused) {
    (void)unused;
    return PyBool_FromLong(((pmpy_counts *)op)->documents);
}

static PyGetSetDef getset[] = {
    {"settings", counts_settings, NULL,
     PyDoc_STR("What decided which words were counted, a new dict of str to str; 'regex' is a list of them."), NULL},
    {"documents", counts_number, NULL, PyDoc_STR("The number of documents that were read."), (void *)DOCUMENTS},
    {"bytes", counts_number, NULL, PyDoc_STR("The bytes of text that were read."), (void *)BYTES},
    {"words", counts_number, NULL, PyDoc_STR("The sum of all counts."), (void *)WORDS},
    {"distinct", counts_number, NULL, PyDoc_STR("The number of words: so many tuples come."), (void *)DISTINCT},
    {"has_documents", counts_has_documents, NULL, PyDoc_STR("Whether the number of documents is counted for each word."), NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static const char counts_doc[] =
    "Counts(path)\n--\n\n"
    "A count file (count_corpus, merge_counts), read from front to back: an iterator over (word, count), or (word, count,\n"
    "documents) where documents were counted too, in the order of the words' bytes. A word is bytes.\n\n"
    "It ends only when the whole file was found to be undamaged; FormatError tells where it is not.\n\n"
    ">>> import os, tempfile\n"
    ">>> folder = tempfile.mkdtemp()\n"
    ">>> with open(os.path.join(folder, 'a.txt'), 'w') as f:\n"
    "...     _ = f.write('low lower low')\n"
    ">>> path = os.path.join(folder, 'a.counts')\n"
    ">>> piecemill.count_corpus(f.name, path, pattern='gpt2')['distinct']\n"
    "3\n"
    ">>> list(piecemill.Counts(path))\n"
    "[(b' low', 1), (b' lower', 1), (b'low', 1)]\n"
    ">>> piecemill.Counts(path).settings['pattern']\n"
    "'gpt2'\n";

static PyType_Slot slots[] = {
    {Py_tp_doc, (void *)counts_doc}, {Py_tp_new, counts_new},       {Py_tp_dealloc, counts_dealloc},
    {Py_tp_iter, PyObject_SelfIter}, {Py_tp_iternext, counts_next}, {Py_tp_getset, getset},
    {0, NULL},
};

PyType_Spec pmpy_counts_spec = {
    .name = "piecemill.Counts",
    .basicsize = sizeof(pmpy_counts),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = slots,
};
