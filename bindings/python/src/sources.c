/* sources.c - what was taken of a corpus, from the library's rows to a summary's lists and dicts.
 *
 * A Tokenizer keeps the rows as they are here, and shows them to nobody; training_summary makes new lists and dicts of
 * them each time. */
#include "binding.h"

static const char *const row_keys[] = {"name",        "weight",    "documents", "bytes", "taken_documents",
                                       "taken_bytes", "duplicates", "share"};

enum { N_KEYS = sizeof row_keys / sizeof *row_keys };

/* The names of files are bytes; what is no UTF-8 in them comes as os.fsdecode gives it. */
static PyObject *row_tuple(const pm_source_report *row, double all) {
    PyObject *name = PyUnicode_DecodeFSDefault(row->name);
    double share = all > 0 ? (double)row->taken_bytes * row->weight / all : 0;
    return name ? Py_BuildValue("(NkKKKKKd)", name, (unsigned long)row->weight, (unsigned long long)row->documents,
                                (unsigned long long)row->bytes, (unsigned long long)row->taken_documents,
                                (unsigned long long)row->taken_bytes, (unsigned long long)row->duplicates, share)
                : NULL;
}

/* Appends the new item to the list. -1: an exception is set. */
static int append(PyObject *list, PyObject *item) {
    int rc = item ? PyList_Append(list, item) : -1;
    Py_XDECREF(item);
    return rc;
}

static PyObject *rows(const pm_corpus *corpus) {
    pm_source_report row;
    double all = 0; /* bytes of all sources, with their weights */
    for (size_t i = 0; pm_corpus_source(corpus, i, &row); i++) {
        all += (double)row.taken_bytes * row.weight;
    }
    PyObject *list = PyList_New(0);
    for (size_t i = 0; list && pm_corpus_source(corpus, i, &row); i++) {
        if (append(list, row_tuple(&row, all)) < 0) {
            Py_CLEAR(list);
        }
    }
    return list;
}

static PyObject *scripts(const pm_corpus *corpus) {
    const uint64_t *bytes = pm_corpus_scripts(corpus);
    if (!bytes) {
        Py_RETURN_NONE;
    }
    PyObject *list = PyList_New(0);
    for (unsigned s = 0; list && pm_script_name(s); s++) {
        if (bytes[s] && append(list, Py_BuildValue("(sK)", pm_script_name(s), (unsigned long long)bytes[s])) < 0) {
            Py_CLEAR(list);
        }
    }
    return list;
}

PyObject *pmpy_corpus_report(const pm_corpus *corpus) {
    if (!corpus) {
        return PyTuple_New(0);
    }
    PyObject *sources = rows(corpus), *bytes = sources ? scripts(corpus) : NULL;
    PyObject *report = bytes ? PyTuple_Pack(2, sources, bytes) : NULL;
    Py_XDECREF(sources);
    Py_XDECREF(bytes);
    return report;
}

static PyObject *row_dict(PyObject *row) {
    PyObject *dict = PyDict_New();
    for (int i = 0; dict && i < N_KEYS; i++) {
        if (PyDict_SetItemString(dict, row_keys[i], PyTuple_GetItem(row, i)) < 0) {
            Py_CLEAR(dict);
        }
    }
    return dict;
}

static PyObject *row_dicts(PyObject *sources) {
    PyObject *list = PyList_New(0);
    for (Py_ssize_t i = 0; list && i < PyList_Size(sources); i++) {
        if (append(list, row_dict(PyList_GetItem(sources, i))) < 0) {
            Py_CLEAR(list);
        }
    }
    return list;
}

static PyObject *script_dict(PyObject *bytes) {
    PyObject *dict = PyDict_New();
    if (dict && PyDict_MergeFromSeq2(dict, bytes, 1) < 0) {
        Py_CLEAR(dict);
    }
    return dict;
}

/* Sets the new value. -1: an exception is set. */
static int set(PyObject *dict, const char *key, PyObject *value) {
    int rc = value ? PyDict_SetItemString(dict, key, value) : -1;
    Py_XDECREF(value);
    return rc;
}

int pmpy_report_into(PyObject *dict, PyObject *report) {
    if (!report || PyTuple_Size(report) == 0) {
        return PyDict_SetItemString(dict, "sources", Py_None) < 0 ? -1 : PyDict_SetItemString(dict, "scripts", Py_None);
    }
    PyObject *bytes = PyTuple_GetItem(report, 1);
    if (set(dict, "sources", row_dicts(PyTuple_GetItem(report, 0))) < 0) {
        return -1;
    }
    return bytes == Py_None ? PyDict_SetItemString(dict, "scripts", Py_None) : set(dict, "scripts", script_dict(bytes));
}
