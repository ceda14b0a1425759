/* array.c - Array: the flat results of a batch (uint32 ids, uint64 offsets) as buffers that numpy and torch use in
 * place.
 *
 * ids and offsets of one batch share the library's memory; a counter releases it with the last Array. An Array knows
 * its own stretch of that memory, so a slice is an Array too and copies nothing. */
#include "binding.h"

typedef struct memory {
    size_t users;
    pm_batch batch;
} memory;

typedef struct pmpy_array {
    PyObject_HEAD memory *memory;
    void *data;
    Py_ssize_t n;
    Py_ssize_t size; /* bytes an item: 4 or 8 */
    PyObject *weakrefs;
} pmpy_array;

static PyObject *array_new(PyTypeObject *type, memory *shared, void *data, Py_ssize_t n, Py_ssize_t size) {
    static uint64_t nothing; /* the address of an empty array; nobody reads or writes it */
    allocfunc alloc = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    pmpy_array *self = (pmpy_array *)alloc(type, 0);
    if (self) {
        __atomic_add_fetch(&shared->users, 1, __ATOMIC_RELAXED);
        self->memory = shared;
        self->data = n ? data : &nothing;
        self->n = n;
        self->size = size;
    }
    return (PyObject *)self;
}

static void memory_drop(memory *shared) {
    if (__atomic_sub_fetch(&shared->users, 1, __ATOMIC_ACQ_REL) == 0) {
        pm_batch_release(&shared->batch);
        free(shared);
    }
}

PyObject *pmpy_batch_result(pmpy_state *state, pm_batch *batch) {
    memory *shared = malloc(sizeof *shared);
    if (!shared) {
        pm_batch_release(batch);
        return PyErr_NoMemory();
    }
    *shared = (memory){1, *batch};
    size_t n = batch->n_docs;
    PyObject *result = PyStructSequence_New(state->batch);
    PyObject *ids = array_new(state->array, shared, batch->ids, (Py_ssize_t)batch->offsets[n], 4);
    PyObject *offsets = array_new(state->array, shared, batch->offsets, (Py_ssize_t)n + 1, 8);
    PyObject *special = PyLong_FromUnsignedLongLong(batch->documents_with_special);
    memory_drop(shared);
    if (!result || !ids || !offsets || !special) {
        Py_XDECREF(result);
        Py_XDECREF(ids);
        Py_XDECREF(offsets);
        Py_XDECREF(special);
        return NULL;
    }
    PyStructSequence_SetItem(result, 0, ids);
    PyStructSequence_SetItem(result, 1, offsets);
    PyStructSequence_SetItem(result, 2, special);
    return result;
}

static void array_dealloc(PyObject *op) {
    pmpy_array *self = (pmpy_array *)op;
    PyTypeObject *type = Py_TYPE(op);
    if (self->weakrefs) {
        PyObject_ClearWeakRefs(op);
    }
    memory_drop(self->memory);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(op);
    Py_DECREF(type);
}

static int array_getbuffer(PyObject *op, Py_buffer *view, int flags) {
    pmpy_array *self = (pmpy_array *)op;
    static const char *const uint64_format = sizeof(long) == 8 ? "L" : "Q";
    (void)flags; /* contiguous and writable: every request can be met */
    view->obj = Py_NewRef(op);
    view->buf = self->data;
    view->len = self->n * self->size;
    view->readonly = 0;
    view->itemsize = self->size;
    view->format = (flags & PyBUF_FORMAT) ? (char *)(self->size == 4 ? "I" : uint64_format) : NULL;
    view->ndim = 1;
    view->shape = (flags & PyBUF_ND) == PyBUF_ND ? &self->n : NULL;
    view->strides = (flags & PyBUF_STRIDES) == PyBUF_STRIDES ? &self->size : NULL;
    view->suboffsets = NULL;
    view->internal = NULL;
    return 0;
}

static Py_ssize_t array_length(PyObject *op) { return ((pmpy_array *)op)->n; }

static uint64_t value_at(const pmpy_array *self, Py_ssize_t i) {
    return self->size == 4 ? ((const uint32_t *)self->data)[i] : ((const uint64_t *)self->data)[i];
}

static PyObject *array_item(PyObject *op, Py_ssize_t i) {
    pmpy_array *self = (pmpy_array *)op;
    if (i < 0 || i >= self->n) {
        PyErr_SetString(PyExc_IndexError, "index out of range");
        return NULL;
    }
    return PyLong_FromUnsignedLongLong(value_at(self, i));
}

static PyObject *array_slice(pmpy_array *self, PyObject *key) {
    Py_ssize_t start, stop, step;
    if (PySlice_Unpack(key, &start, &stop, &step) < 0) {
        return NULL;
    }
    Py_ssize_t n = PySlice_AdjustIndices(self->n, &start, &stop, step);
    if (step != 1) {
        PyErr_SetString(PyExc_ValueError,
                        "an Array is sliced with step 1 only; memoryview(array) or numpy.asarray(array) "
                        "take other steps");
        return NULL;
    }
    return array_new(Py_TYPE((PyObject *)self), self->memory, (char *)self->data + start * self->size, n, self->size);
}

static PyObject *array_subscript(PyObject *op, PyObject *key) {
    pmpy_array *self = (pmpy_array *)op;
    if (PySlice_Check(key)) {
        return array_slice(self, key);
    }
    Py_ssize_t i = PyNumber_AsSsize_t(key, PyExc_IndexError);
    if (i == -1 && PyErr_Occurred()) {
        return NULL;
    }
    return array_item(op, i < 0 ? i + self->n : i);
}

static PyObject *array_tolist(PyObject *op, PyObject *unused) {
    (void)unused;
    pmpy_array *self = (pmpy_array *)op;
    PyObject *list = PyList_New(self->n);
    for (Py_ssize_t i = 0; list && i < self->n; i++) {
        PyObject *item = PyLong_FromUnsignedLongLong(value_at(self, i));
        if (!item) {
            Py_CLEAR(list);
            break;
        }
        PMPY_LIST_SET(list, i, item);
    }
    return list;
}

static PyObject *array_richcompare(PyObject *op, PyObject *other, int operator) {
    pmpy_array *a = (pmpy_array *)op, *b = (pmpy_array *)other;
    if ((operator!= Py_EQ && operator!= Py_NE) || Py_TYPE(op) != Py_TYPE(other)) {
        Py_RETURN_NOTIMPLEMENTED;
    }
    bool equal = a->n == b->n;
    for (Py_ssize_t i = 0; equal && i < a->n; i++) {
        equal = value_at(a, i) == value_at(b, i);
    }
    return PyBool_FromLong(equal == (operator== Py_EQ));
}

static PyObject *array_repr(PyObject *op) {
    pmpy_array *self = (pmpy_array *)op;
    const char *type = self->size == 4 ? "uint32" : "uint64";
    PyObject *list = PyList_New(0);
    for (Py_ssize_t i = 0; list && i < self->n && i < 8; i++) {
        PyObject *item = PyLong_FromUnsignedLongLong(value_at(self, i));
        if (!item || PyList_Append(list, item) < 0) {
            Py_CLEAR(list);
        }
        Py_XDECREF(item);
    }
    PyObject *repr = !list          ? NULL
                     : self->n <= 8 ? PyUnicode_FromFormat("<piecemill.Array %s[%zd] %R>", type, self->n, list)
                                    : PyUnicode_FromFormat("<piecemill.Array %s[%zd] %R...>", type, self->n, list);
    Py_XDECREF(list);
    return repr;
}

static PyObject *array_itemsize(PyObject *op, void *unused) {
    (void)unused;
    return PyLong_FromSsize_t(((pmpy_array *)op)->size);
}

static PyObject *array_nbytes(PyObject *op, void *unused) {
    (void)unused;
    return PyLong_FromSsize_t(((pmpy_array *)op)->n * ((pmpy_array *)op)->size);
}

static PyObject *array_dtype(PyObject *op, void *unused) {
    (void)unused;
    return PyUnicode_FromString(((pmpy_array *)op)->size == 4 ? "uint32" : "uint64");
}

static PyMethodDef methods[] = {
    {"tolist", array_tolist, METH_NOARGS,
     PyDoc_STR("tolist($self, /)\n--\n\n"
               "The numbers as a list of int.\n\n"
               ">>> ids, offsets = tok.encode_batch([\"low\", \"lower\"])\n"
               ">>> offsets.tolist()[0]\n"
               "0\n")},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef getset[] = {
    {"itemsize", array_itemsize, NULL, PyDoc_STR("Bytes a number: 4 or 8."), NULL},
    {"nbytes", array_nbytes, NULL, PyDoc_STR("Bytes of all numbers."), NULL},
    {"dtype", array_dtype, NULL, PyDoc_STR("'uint32' or 'uint64', as numpy names it."), NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(pmpy_array, weakrefs), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

PyDoc_STRVAR(array_doc,
             "Unsigned numbers in one flat block of memory: the ids (uint32) or offsets (uint64) of a batch.\n\n"
             "An Array has the buffer protocol, one dimension, writable: numpy.asarray(array), memoryview(array)\n"
             "and torch.from_numpy(numpy.asarray(array)) use the memory where it lies. It has len(), indexing\n"
             "(negative too), slices with step 1 that share the memory, iteration, == and tolist(). It is made\n"
             "by Tokenizer.encode_batch and cannot be made directly.\n\n"
             ">>> ids, offsets = tok.encode_batch([\"low\", \"lower\"])\n"
             ">>> len(offsets), offsets[0], offsets[-1] == len(ids)\n"
             "(3, 0, True)\n"
             ">>> tok.decode(ids[offsets[1]:offsets[2]])\n"
             "'lower'\n");

static PyType_Slot slots[] = {
    {Py_tp_doc, (void *)array_doc},
    {Py_tp_dealloc, array_dealloc},
    {Py_tp_repr, array_repr},
    {Py_tp_richcompare, array_richcompare},
    {Py_tp_hash, PyObject_HashNotImplemented},
    {Py_tp_methods, methods},
    {Py_tp_getset, getset},
    {Py_tp_members, members},
    {Py_tp_iter, PySeqIter_New},
    {Py_sq_length, array_length},
    {Py_sq_item, array_item},
    {Py_mp_length, array_length},
    {Py_mp_subscript, array_subscript},
    {Py_bf_getbuffer, array_getbuffer},
    {0, NULL},
};

PyType_Spec pmpy_array_spec = {
    .name = "piecemill.Array",
    .basicsize = sizeof(pmpy_array),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = slots,
};

static PyStructSequence_Field batch_fields[] = {
    {"ids", "Array of uint32: the ids of all documents, one behind the other"},
    {"offsets", "Array of uint64, one more than documents: document i has ids[offsets[i]:offsets[i + 1]]"},
    {"documents_with_special", "how many documents held the text of a special token that was treated as ordinary text"},
    {NULL, NULL},
};

PyStructSequence_Desc pmpy_batch_desc = {
    "piecemill.BatchResult",
    "What Tokenizer.encode_batch returns: a pair (ids, offsets) that knows documents_with_special too.\n\n"
    ">>> ids, offsets = tok.encode_batch([\"low\", \"lower\"])\n"
    ">>> tok.encode_batch([\"low\", \"lower\"]).documents_with_special\n"
    "0\n",
    batch_fields,
    2,
};
