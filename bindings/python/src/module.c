/* module.c - the module `piecemill._piecemill`: its state, its types, its few functions. */
#include "binding.h"

#include <unistd.h>

#ifndef PMPY_NO_COMMAND
int pm_cli_main(int argc, char **argv); /* cli/cli.h */
#endif

pmpy_state *pmpy_module_state(PyObject *module) { return PyModule_GetState(module); }

pmpy_state *pmpy_state_of(PyObject *self) { return PyType_GetModuleState(Py_TYPE(self)); }

/* Whether multiprocessing started this process; asks only if that module is loaded. Asked at each call, as a spawned
 * worker imports its modules before multiprocessing knows its parent. */
static bool is_worker(void) {
    PyObject *modules = PyImport_GetModuleDict();
    PyObject *module = PyDict_GetItemString(modules, "multiprocessing.process");
    PyObject *parent = module ? PyObject_CallMethod(module, "parent_process", NULL) : NULL;
    bool worker = parent && parent != Py_None;
    Py_XDECREF(parent);
    PyErr_Clear();
    return worker;
}

unsigned pmpy_threads(const pmpy_state *state, unsigned asked) {
    if (asked) {
        return asked;
    }
    return getpid() != state->pid || is_worker() ? 1 : 0;
}

#ifndef PMPY_NO_COMMAND
PyDoc_STRVAR(cli_main_doc,
             "cli_main(arguments, /)\n--\n\n"
             "Runs the command with these arguments (bytes or str, the program's name first); returns its exit code.");

static PyObject *cli_main(PyObject *module, PyObject *value) {
    (void)module;
    pmpy_strings arguments;
    if (pmpy_strings_init(&arguments, value, "an argument", false) < 0) {
        return NULL;
    }
    PyThreadState *thread = PyEval_SaveThread();
    int code = pm_cli_main((int)arguments.n, (char **)arguments.c); /* calloc'ed one longer: ends with NULL */
    PyEval_RestoreThread(thread);
    pmpy_strings_release(&arguments);
    return PyLong_FromLong(code);
}
#endif

PyDoc_STRVAR(text_scripts_doc, "text_scripts(text, /)\n--\n\nThe bytes of a text (bytes) by script, as a dict of those that occur, in the order of their numbers.");

static PyObject *text_scripts(PyObject *module, PyObject *value) {
    uint64_t bytes[PM_SCRIPTS_MAX] = {0};
    char *data;
    Py_ssize_t len;
    (void)module;
    if (PyBytes_AsStringAndSize(value, &data, &len) < 0) {
        return NULL;
    }
    pm_text_scripts((pm_bytes){(const uint8_t *)data, (size_t)len}, bytes);
    PyObject *dict = PyDict_New();
    for (unsigned s = 0; dict && pm_script_name(s); s++) {
        PyObject *n = bytes[s] ? PyLong_FromUnsignedLongLong(bytes[s]) : NULL;
        if (bytes[s] && (!n || PyDict_SetItemString(dict, pm_script_name(s), n) < 0)) {
            Py_CLEAR(dict);
        }
        Py_XDECREF(n);
    }
    return dict;
}

/* Words separated by spaces as a frozenset. */
static PyObject *set_of_words(const char *words) {
    PyObject *text = PyUnicode_FromString(words);
    PyObject *list = text ? PyUnicode_Split(text, NULL, -1) : NULL;
    PyObject *set = list ? PyFrozenSet_New(list) : NULL;
    Py_XDECREF(text);
    Py_XDECREF(list);
    return set;
}

/* The names of the patterns that the library knows, as a tuple. */
static PyObject *pattern_names(void) {
    size_t n = pm_n_pattern_names();
    PyObject *list = PyList_New(0);
    for (size_t i = 0; list && i < n; i++) {
        PyObject *name = PyUnicode_FromString(pm_pattern_name(i));
        if (!name || PyList_Append(list, name) < 0) {
            Py_CLEAR(list);
        }
        Py_XDECREF(name);
    }
    PyObject *tuple = list ? PyList_AsTuple(list) : NULL;
    Py_XDECREF(list);
    return tuple;
}

/* Adds a value, which is consumed, under a name. */
static int add(PyObject *module, const char *name, PyObject *value) {
    int rc = value ? PyModule_AddObjectRef(module, name, value) : -1;
    Py_XDECREF(value);
    return rc;
}

/* A type made from its spec, added to the module; the state keeps a reference too. */
static int add_type(PyObject *module, PyType_Spec *spec, PyTypeObject **type) {
    *type = (PyTypeObject *)PyType_FromModuleAndSpec(module, spec, NULL);
    return *type ? PyModule_AddType(module, *type) : -1;
}

static int add_sequence(PyObject *module, PyStructSequence_Desc *desc, PyTypeObject **type) {
    *type = PyStructSequence_NewType(desc);
    return *type ? PyModule_AddType(module, *type) : -1;
}

/* piecemill._errors.by_status is a tuple of classes; index 0 (PM_OK) is Error itself. */
static int find_errors(pmpy_state *state) {
    PyObject *module = PyImport_ImportModule("piecemill._errors");
    PyObject *classes = module ? PyObject_GetAttrString(module, "by_status") : NULL;
    int rc = classes && PyTuple_Check(classes) && PyTuple_Size(classes) == PMPY_N_STATUS ? 0 : -1;
    for (Py_ssize_t i = 0; rc == 0 && i < PMPY_N_STATUS; i++) {
        state->errors[i] = Py_NewRef(PyTuple_GetItem(classes, i));
    }
    if (rc < 0 && !PyErr_Occurred()) {
        PyErr_SetString(PyExc_ImportError, "piecemill._errors does not fit piecemill._piecemill");
    }
    Py_XDECREF(classes);
    Py_XDECREF(module);
    return rc;
}

static int module_exec(PyObject *module) {
    pmpy_state *state = pmpy_module_state(module);
    state->pid = getpid();
    if (find_errors(state) < 0 || add_type(module, &pmpy_tokenizer_spec, &state->tokenizer) < 0 ||
        add_type(module, &pmpy_array_spec, &state->array) < 0 ||
        add_type(module, &pmpy_counts_spec, &state->counts) < 0 ||
        add_sequence(module, &pmpy_batch_desc, &state->batch) < 0 ||
        add_sequence(module, &pmpy_progress_desc, &state->progress) < 0) {
        return -1;
    }
    if (add(module, "features", set_of_words(pm_features())) < 0 || add(module, "pattern_names", pattern_names()) < 0 ||
        add(module, "version", PyUnicode_FromString(pm_version())) < 0) {
        return -1;
    }
    return 0;
}

static int module_traverse(PyObject *module, visitproc visit, void *arg) {
    pmpy_state *state = pmpy_module_state(module);
    Py_VISIT(state->tokenizer);
    Py_VISIT(state->array);
    Py_VISIT(state->counts);
    Py_VISIT(state->batch);
    Py_VISIT(state->progress);
    for (size_t i = 0; i < PMPY_N_STATUS; i++) {
        Py_VISIT(state->errors[i]);
    }
    return 0;
}

static int module_clear(PyObject *module) {
    pmpy_state *state = pmpy_module_state(module);
    Py_CLEAR(state->tokenizer);
    Py_CLEAR(state->array);
    Py_CLEAR(state->counts);
    Py_CLEAR(state->batch);
    Py_CLEAR(state->progress);
    for (size_t i = 0; i < PMPY_N_STATUS; i++) {
        Py_CLEAR(state->errors[i]);
    }
    return 0;
}

static void module_free(void *module) { module_clear(module); }

static PyMethodDef functions[] = {
    {"text_scripts", text_scripts, METH_O, text_scripts_doc},
    {"train", PMPY_METHOD(pmpy_train), METH_FASTCALL | METH_KEYWORDS, pmpy_train_doc},
    {"count", PMPY_METHOD(pmpy_count), METH_FASTCALL | METH_KEYWORDS, pmpy_count_doc},
#ifndef PMPY_NO_COMMAND
    {"cli_main", cli_main, METH_O, cli_main_doc},
#endif
    {NULL, NULL, 0, NULL},
};

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, module_exec},
#if !defined(Py_LIMITED_API) && PY_VERSION_HEX >= 0x030c0000
    {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
#if !defined(Py_LIMITED_API) && PY_VERSION_HEX >= 0x030d0000
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "piecemill._piecemill",
    .m_doc = "The C side of piecemill; use the package piecemill.",
    .m_size = sizeof(pmpy_state),
    .m_methods = functions,
    .m_slots = module_slots,
    .m_traverse = module_traverse,
    .m_clear = module_clear,
    .m_free = module_free,
};

PyMODINIT_FUNC PyInit__piecemill(void);
PyMODINIT_FUNC PyInit__piecemill(void) { return PyModuleDef_Init(&definition); }
