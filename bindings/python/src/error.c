/* error.c - from a pm_error to a Python exception. The classes themselves are Python: piecemill/_errors.py. */
#include "binding.h"

PyObject *pmpy_raise(pmpy_state *state, const pm_error *err) {
    unsigned status = (unsigned)err->status < PMPY_N_STATUS ? (unsigned)err->status : PM_INVALID_ARGUMENT;
    PyObject *class = state->errors[status];
    /* a sentence that was cut to fit may end inside a character */
    PyObject *message = PyUnicode_DecodeUTF8(err->message, (Py_ssize_t)strlen(err->message), "replace");
    PyObject *file = err->file[0] ? PyUnicode_DecodeFSDefault(err->file) : Py_NewRef(Py_None);
    PyObject *offset =
        err->offset == PM_NO_OFFSET ? Py_NewRef(Py_None) : PyLong_FromUnsignedLongLong((unsigned long long)err->offset);
    if (message && file && offset) {
        PyObject *exception = PyObject_CallFunction(class, "OiOO", message, (int)err->status, offset, file);
        if (exception) {
            PyErr_SetObject(class, exception);
            Py_DECREF(exception);
        }
    }
    Py_XDECREF(message);
    Py_XDECREF(file);
    Py_XDECREF(offset);
    return NULL;
}

PyObject *pmpy_raise_status(pmpy_state *state, pm_status status, uint64_t offset, const char *sentence) {
    pm_error err = {.status = status, .offset = offset};
    size_t len = strlen(sentence);
    len = len < sizeof err.message ? len : sizeof err.message - 1;
    memcpy(err.message, sentence, len);
    return pmpy_raise(state, &err);
}
