/* binding.h - what the files of the Python extension `piecemill._piecemill` share.
 *
 * One file a Python type: tokenizer.c (Tokenizer; its encoding and decoding in codec.c), array.c (Array and the batch's
 * memory), counts.c (Counts); beside them text.c (str, bytes and buffers as pm_bytes), ids.c (lists and buffers as pm_id), train.c
 * (training, progress, iterators), arguments.c, error.c, module.c.
 *
 * The extension uses <piecemill.h> only (and pm_cli_main), so it links to an installed library as well. It has no
 * global state: types and exception classes live in the module's state, which every type finds through Py_TYPE(self),
 * as all types are final. It compiles in two ways. By default it is made for one version of Python and reads the
 * characters of a str where they lie; with Py_LIMITED_API (0x030b0000) it is made for the stable ABI and a non-ASCII
 * str is copied by Python first. */
#ifndef PMPY_BINDING_H
#define PMPY_BINDING_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <piecemill.h>

#define PMPY_N_STATUS 16 /* PM_OK .. PM_NO_SPACE */

typedef struct pmpy_state {
    PyTypeObject *tokenizer, *array, *counts; /* Tokenizer, Array, Counts */
    PyTypeObject *batch, *progress;  /* BatchResult, Progress: struct sequences */
    PyObject *errors[PMPY_N_STATUS]; /* the exception class of each status */
    long pid;                        /* of the process that imported the module */
} pmpy_state;

pmpy_state *pmpy_module_state(PyObject *module);
/* The state behind an object of one of the module's types. */
pmpy_state *pmpy_state_of(PyObject *self);

/* `asked`, or when that is 0: 1 in a worker process of multiprocessing and in a process that was forked after import,
 * else 0 (the library's choice). Holds the GIL. */
unsigned pmpy_threads(const pmpy_state *state, unsigned asked);

/* A list or tuple that was made here and that nobody else has seen yet. */
#ifdef Py_LIMITED_API
#define PMPY_LIST_SET(list, i, item) PyList_SetItem(list, i, item)
#else
#define PMPY_LIST_SET(list, i, item) PyList_SET_ITEM(list, i, item)
#endif

#define PMPY_METHOD(function) ((PyCFunction)(void (*)(void))(function))
#define PMPY_RELEASE_ABOVE 2048 /* bytes of work above which the GIL is released */

/* ---- error.c ---- */

/* Sets the exception that belongs to err->status and returns NULL. */
PyObject *pmpy_raise(pmpy_state *state, const pm_error *err);
/* Sets the exception of `status` with a sentence of the binding's own and returns NULL. */
PyObject *pmpy_raise_status(pmpy_state *state, pm_status status, uint64_t offset, const char *sentence);

/* ---- arguments.c ---- */

/* Sorts the arguments of a METH_FASTCALL | METH_KEYWORDS function into values[n_names] (borrowed; NULL where not
 * given). The first n_positional names may be given by position, the first n_required must be given. -1: TypeError was
 * set. */
int pmpy_arguments(const char *function, PyObject *const *args, Py_ssize_t n_args, PyObject *keywords,
                   const char *const *names, Py_ssize_t n_names, Py_ssize_t n_positional, Py_ssize_t n_required,
                   PyObject **values);

/* A whole number 0 .. max. TypeError when it is not one, ValueError (PM_INVALID_ARGUMENT) out of range. */
int pmpy_unsigned(pmpy_state *state, PyObject *value, const char *name, uint64_t max, uint64_t *out);

/* Strings for the library, with the objects that own their bytes. {0} is empty. */
typedef struct pmpy_strings {
    PyObject *owner; /* a list of bytes */
    const char **c;  /* NUL-terminated */
    pm_bytes *bytes;
    size_t n;
} pmpy_strings;
void pmpy_strings_release(pmpy_strings *strings);
/* value: None or NULL (n is 0), a str or bytes (n is 1), or a collection of them. `what` names it in errors. A NUL
 * inside is an error unless nul_allowed. */
int pmpy_strings_init(pmpy_strings *strings, PyObject *value, const char *what, bool nul_allowed);

typedef struct pmpy_special_tokens {
    pmpy_strings texts;
    pm_special_token *tokens;
    size_t n;
} pmpy_special_tokens;
void pmpy_special_tokens_release(pmpy_special_tokens *special);
/* value: None or NULL, a dict of str (or bytes) to id, or a collection of str. */
int pmpy_special_tokens_init(pmpy_state *state, pmpy_special_tokens *special, PyObject *value);

/* ---- text.c ---- */

/* Documents on their way from Python to the library: str, bytes, or any object with a contiguous buffer, all borrowed
 * where they lie. */
typedef struct pmpy_texts {
    pm_text *items;
    PyObject **held; /* what must live as long as the items; entries may be NULL */
    size_t n, cap;
    size_t total;  /* units added */
    size_t before; /* documents that pmpy_texts_clear has forgotten, for the number in a note on an exception */
    Py_buffer *buffers;
    size_t n_buffers, cap_buffers;
    pm_text item0; /* the arrays of a single document, so that a short call allocates nothing */
    PyObject *held0;
} pmpy_texts;

void pmpy_texts_init(pmpy_texts *texts);
void pmpy_texts_release(pmpy_texts *texts);
/* Forgets the documents and keeps the memory. */
void pmpy_texts_clear(pmpy_texts *texts);
/* Room for `cap` documents. -1: an exception was set. */
int pmpy_texts_reserve(pmpy_texts *texts, size_t cap);
/* hold: keep a reference to `document`; else the caller keeps it alive. -1: an exception was set. */
int pmpy_texts_add(pmpy_texts *texts, PyObject *document, bool hold);
/* The exception for document i, a str of which the library said PM_BAD_INPUT. Returns NULL. */
PyObject *pmpy_texts_raise(const pmpy_texts *texts, size_t i, PyObject *document);

/* ---- ids.c ---- */

/* Ids on their way to the library. */
typedef struct pmpy_ids {
    const pm_id *data;
    size_t n;
    Py_buffer buffer; /* held when data is the caller's memory: a contiguous buffer of native uint32 */
    bool has_buffer;
    pm_id *own; /* else, unless few has them */
    pm_id few[128];
} pmpy_ids;
void pmpy_ids_release(pmpy_ids *ids);
/* value: any one-dimensional buffer of whole numbers (Array, numpy, array.array, ...), or an iterable of int. A number
 * that can be no id is the error of an unknown id (PM_BAD_ID) with its index. */
int pmpy_ids_init(pmpy_state *state, pmpy_ids *ids, PyObject *value);

/* ---- array.c ---- */

extern PyType_Spec pmpy_array_spec;
/* BatchResult(ids, offsets) that takes the batch over, on failure too. */
PyObject *pmpy_batch_result(pmpy_state *state, pm_batch *batch);

/* ---- tokenizer.c ---- */

typedef struct pmpy_tokenizer {
    PyObject_HEAD pm_tokenizer *tok;
    pm_train_summary summary;
    bool trained;
    PyObject *sources; /* what the corpus told (pmpy_corpus_report), or NULL */
    PyObject *weakrefs;
} pmpy_tokenizer;

extern PyType_Spec pmpy_tokenizer_spec;
/* A Tokenizer that takes `tok` over, on failure too. summary and sources (borrowed) may be NULL. */
PyObject *pmpy_tokenizer_wrap(pmpy_state *state, pm_tokenizer *tok, const pm_train_summary *summary, PyObject *sources);

/* ---- sources.c ---- */

/* What was taken of a corpus (NULL: none was read): a tuple that a summary is made of, ... */
PyObject *pmpy_corpus_report(const pm_corpus *corpus);
/* ... which gives the dict its "sources" and "scripts". report NULL: both None. -1: an exception is set. */
int pmpy_report_into(PyObject *dict, PyObject *report);

/* ---- codec.c: methods of Tokenizer ---- */

PyObject *pmpy_encode(PyObject *self, PyObject *const *args, Py_ssize_t n_args, PyObject *keywords);
PyObject *pmpy_encode_batch(PyObject *self, PyObject *const *args, Py_ssize_t n_args, PyObject *keywords);
PyObject *pmpy_nbest(PyObject *self, PyObject *const *args, Py_ssize_t n_args, PyObject *keywords);
PyObject *pmpy_encode_with_offsets(PyObject *self, PyObject *const *args, Py_ssize_t n_args, PyObject *keywords);
PyObject *pmpy_marginals(PyObject *self, PyObject *const *args, Py_ssize_t n_args, PyObject *keywords);
PyObject *pmpy_decode(PyObject *self, PyObject *const *args, Py_ssize_t n_args, PyObject *keywords);
PyObject *pmpy_decode_bytes(PyObject *self, PyObject *value);
extern const char pmpy_encode_doc[], pmpy_encode_batch_doc[], pmpy_nbest_doc[], pmpy_marginals_doc[], pmpy_encode_with_offsets_doc[], pmpy_decode_doc[], pmpy_decode_bytes_doc[];

/* ---- counts.c ---- */

extern PyType_Spec pmpy_counts_spec;

/* ---- train.c ---- */

PyObject *pmpy_train(PyObject *module, PyObject *const *args, Py_ssize_t n_args, PyObject *keywords);
extern const char pmpy_train_doc[];
PyObject *pmpy_count(PyObject *module, PyObject *const *args, Py_ssize_t n_args, PyObject *keywords);
extern const char pmpy_count_doc[];
extern PyStructSequence_Desc pmpy_progress_desc, pmpy_batch_desc;

#endif
