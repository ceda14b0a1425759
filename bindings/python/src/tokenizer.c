/* tokenizer.c - Tokenizer: an immutable pm_tokenizer, a few idle encoders for its threads, and what its training saw.
 *
 * pm_tokenizer may be used by any number of threads, a pm_encoder by one at a time and is worth keeping. A call takes an idle
 * encoder by an atomic exchange of its slot with NULL (or makes one when all slots are empty) and puts it back the same way, so
 * this needs neither the GIL nor a lock, and the Tokenizer has no other state that changes. */
#include "binding.h"

#define N_IDLE 8

typedef struct pmpy_tokenizer {
    PyObject_HEAD
    pm_tokenizer *tok;
    pm_encoder *idle[N_IDLE];
    pm_train_summary summary;
    bool trained;
    PyObject *weakrefs;
} pmpy_tokenizer;

/* ---- life ---- */

PyObject *pmpy_tokenizer_wrap(pmpy_state *state, pm_tokenizer *tok, const pm_train_summary *summary) {
    allocfunc alloc = (allocfunc)PyType_GetSlot(state->tokenizer, Py_tp_alloc);
    pmpy_tokenizer *self = (pmpy_tokenizer *)alloc(state->tokenizer, 0); /* zeroed */
    if (!self) {
        pm_tokenizer_free(tok);
        return NULL;
    }
    self->tok = tok;
    if (summary) {
        self->summary = *summary;
        self->trained = true;
    }
    return (PyObject *)self;
}

static void tokenizer_dealloc(PyObject *op) {
    pmpy_tokenizer *self = (pmpy_tokenizer *)op;
    PyTypeObject *type = Py_TYPE(op);
    if (self->weakrefs) {
        PyObject_ClearWeakRefs(op);
    }
    for (size_t i = 0; i < N_IDLE; i++) {
        pm_encoder_free(self->idle[i]);
    }
    pm_tokenizer_free(self->tok);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(op);
    Py_DECREF(type);
}

static pm_status take_encoder(pmpy_tokenizer *self, pm_encoder **encoder, pm_error *err) {
    for (size_t i = 0; i < N_IDLE; i++) {
        if (__atomic_load_n(&self->idle[i], __ATOMIC_RELAXED)) {
            *encoder = __atomic_exchange_n(&self->idle[i], NULL, __ATOMIC_ACQUIRE);
            if (*encoder) {
                return PM_OK;
            }
        }
    }
    return pm_encoder_new(encoder, self->tok, err);
}

static void give_encoder(pmpy_tokenizer *self, pm_encoder *encoder) {
    for (size_t i = 0; encoder && i < N_IDLE; i++) {
        pm_encoder *empty = NULL;
        if (__atomic_compare_exchange_n(&self->idle[i], &empty, encoder, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED)) {
            return;
        }
    }
    pm_encoder_free(encoder);
}

/* ---- load and save ---- */

static int parse_format(pmpy_state *state, PyObject *value, pm_format *format) {
    *format = PM_FORMAT_AUTO;
    if (!value || value == Py_None) {
        return 0;
    }
    pmpy_strings name;
    if (pmpy_strings_init(&name, value, "format", false) < 0) {
        return -1;
    }
    bool known = name.n == 1 && pm_format_from_name(name.c[0], format);
    pmpy_strings_release(&name);
    if (!known) {
        pmpy_raise_status(state, PM_INVALID_ARGUMENT, PM_NO_OFFSET,
                          "unknown format; the formats are native, tiktoken, hf and bytepiece");
        return -1;
    }
    return 0;
}

typedef struct load_arguments {
    PyObject *path; /* bytes */
    pmpy_strings patterns;
    pmpy_special_tokens special;
    pm_load_options options;
} load_arguments;

static void load_arguments_release(load_arguments *a) {
    Py_CLEAR(a->path);
    pmpy_strings_release(&a->patterns);
    pmpy_special_tokens_release(&a->special);
}

static int load_arguments_init(pmpy_state *state, load_arguments *a, PyObject **values) {
    memset(a, 0, sizeof *a);
    a->options = (pm_load_options)PM_LOAD_OPTIONS_INIT;
    if (!PyUnicode_FSConverter(values[0], &a->path) || pmpy_strings_init(&a->patterns, values[1], "pattern", false) < 0 ||
        pmpy_special_tokens_init(state, &a->special, values[2]) < 0 ||
        parse_format(state, values[3], &a->options.format) < 0) {
        load_arguments_release(a);
        return -1;
    }
    a->options.patterns = a->patterns.c;
    a->options.n_patterns = a->patterns.n;
    a->options.special_tokens = a->special.tokens;
    a->options.n_special_tokens = a->special.n;
    return 0;
}

PyDoc_STRVAR(load_doc,
             "load($type, path, /, pattern=None, special_tokens=None, format=None)\n--\n\n"
             "Loads a tokenizer from a file.\n\n"
             "path: str or os.PathLike. format: 'native', 'tiktoken', 'hf' or 'bytepiece'; None looks at the content.\n"
             "pattern and special_tokens are for formats that lack them (.tiktoken): pattern is a name ('o200k_base'),\n"
             "a regex or a list of regexes applied in turn; special_tokens a dict of str to id, or a collection of str that\n"
             "get the next free ids. They are added to what the file has.\n\n"
             "Raises NotFoundError (also a FileNotFoundError), FileError (an OSError), FormatError with the byte's .offset,\n"
             "PatternError, InvalidArgumentError.\n\n"
             ">>> import os, tempfile\n"
             ">>> path = os.path.join(tempfile.mkdtemp(), 'low.piecemill')\n"
             ">>> tok.save(path)\n"
             ">>> piecemill.Tokenizer.load(path).encode('low') == tok.encode('low')\n"
             "True\n");

static PyObject *tokenizer_load(PyObject *class, PyObject *const *args, Py_ssize_t n_args, PyObject *keywords) {
    static const char *const names[] = {"path", "pattern", "special_tokens", "format"};
    pmpy_state *state = PyType_GetModuleState((PyTypeObject *)class);
    PyObject *values[4];
    load_arguments a;
    if (!state || pmpy_arguments("load", args, n_args, keywords, names, 4, 4, 1, values) < 0 ||
        load_arguments_init(state, &a, values) < 0) {
        return NULL;
    }
    pm_tokenizer *tok = NULL;
    pm_error err = {0};
    const char *path = PyBytes_AsString(a.path);
    pm_status status;
    Py_BEGIN_ALLOW_THREADS
    status = pm_tokenizer_load(&tok, path, &a.options, &err);
    Py_END_ALLOW_THREADS
    load_arguments_release(&a);
    return status == PM_OK ? pmpy_tokenizer_wrap(state, tok, NULL) : pmpy_raise(state, &err);
}

PyDoc_STRVAR(save_doc,
             "save($self, path, /, format=None)\n--\n\n"
             "Writes the tokenizer to a file, which appears whole or not at all.\n\n"
             "format: 'native', 'tiktoken', 'hf' or 'bytepiece'; None goes by the ending: .piecemill, .tiktoken,\n"
             "tokenizer.json, .model. Any other ending needs the format.\n\n"
             "Raises InvalidArgumentError, UnsupportedError (the format cannot carry this tokenizer), FileError.\n\n"
             ">>> import os, tempfile\n"
             ">>> tok.save(os.path.join(tempfile.mkdtemp(), 'tokenizer.json'))\n");

static PyObject *tokenizer_save(PyObject *op, PyObject *const *args, Py_ssize_t n_args, PyObject *keywords) {
    static const char *const names[] = {"path", "format"};
    pmpy_tokenizer *self = (pmpy_tokenizer *)op;
    pmpy_state *state = pmpy_state_of(op);
    PyObject *values[2], *path = NULL;
    pm_format format;
    if (pmpy_arguments("save", args, n_args, keywords, names, 2, 2, 1, values) < 0 ||
        !PyUnicode_FSConverter(values[0], &path)) {
        return NULL;
    }
    if (parse_format(state, values[1], &format) < 0) {
        Py_DECREF(path);
        return NULL;
    }
    pm_error err = {0};
    const char *name = PyBytes_AsString(path);
    pm_status status;
    Py_BEGIN_ALLOW_THREADS
    status = pm_tokenizer_save(self->tok, name, format, &err);
    Py_END_ALLOW_THREADS
    Py_DECREF(path);
    return status == PM_OK ? Py_NewRef(Py_None) : pmpy_raise(state, &err);
}

/* ---- options of encoding ---- */

typedef struct encode_arguments {
    pm_encode_options options;
    pmpy_strings allowed, disallowed;
} encode_arguments;

static void encode_arguments_release(encode_arguments *a) {
    pmpy_strings_release(&a->allowed);
    pmpy_strings_release(&a->disallowed);
}

/* value: NULL or None (default), "all", or a collection of special tokens' texts. */
static int parse_special_set(PyObject *value, const char *name, pmpy_strings *strings, pm_special_mode *mode) {
    *mode = PM_SPECIAL_DEFAULT;
    if (!value || value == Py_None) {
        return 0;
    }
    if (PyUnicode_Check(value)) {
        if (PyUnicode_CompareWithASCIIString(value, "all") != 0) {
            PyErr_Format(PyExc_TypeError, "%s must be 'all' or a collection of str, not the str %R", name, value);
            return -1;
        }
        *mode = PM_SPECIAL_ALL;
        return 0;
    }
    if (PyBytes_Check(value) || pmpy_strings_init(strings, value, name, true) < 0) {
        if (!PyErr_Occurred()) {
            PyErr_Format(PyExc_TypeError, "%s must be 'all' or a collection of str", name);
        }
        return -1;
    }
    *mode = strings->n ? PM_SPECIAL_LIST : PM_SPECIAL_NONE;
    return 0;
}

/* A seed from Python's random module, so that random.seed() makes draws repeatable. */
static int draw_seed(uint64_t *seed) {
    PyObject *module = PyImport_ImportModule("random");
    PyObject *number = module ? PyObject_CallMethod(module, "getrandbits", "i", 64) : NULL;
    Py_XDECREF(module);
    if (!number) {
        return -1;
    }
    *seed = PyLong_AsUnsignedLongLongMask(number);
    Py_DECREF(number);
    return 0;
}

static int parse_sampling(pmpy_state *state, PyObject *alpha, PyObject *seed, pm_encode_options *options) {
    if (!alpha || alpha == Py_None) {
        return 0;
    }
    options->alpha = PyFloat_AsDouble(alpha);
    if (options->alpha == -1.0 && PyErr_Occurred()) {
        return -1;
    }
    if (!(options->alpha >= 0)) {
        pmpy_raise_status(state, PM_INVALID_ARGUMENT, PM_NO_OFFSET, "alpha must be 0 or more");
        return -1;
    }
    if (!seed || seed == Py_None) {
        return draw_seed(&options->seed);
    }
    return pmpy_unsigned(state, seed, "seed", UINT64_MAX, &options->seed);
}

/* values: allowed_special, disallowed_special, add_special_tokens, alpha, seed, normalize. */
static int encode_arguments_init(pmpy_state *state, encode_arguments *a, PyObject **values) {
    a->options = (pm_encode_options)PM_ENCODE_OPTIONS_INIT;
    a->allowed = (pmpy_strings){0};
    a->disallowed = (pmpy_strings){0};
    int add = values[2] ? PyObject_IsTrue(values[2]) : 0;
    int normalize = values[5] ? PyObject_IsTrue(values[5]) : 1;
    if (add < 0 || normalize < 0 ||
        parse_special_set(values[0], "allowed_special", &a->allowed, &a->options.allowed) < 0 ||
        parse_special_set(values[1], "disallowed_special", &a->disallowed, &a->options.disallowed) < 0 ||
        parse_sampling(state, values[3], values[4], &a->options) < 0) {
        encode_arguments_release(a);
        return -1;
    }
    a->options.allowed_list = a->allowed.bytes;
    a->options.n_allowed = a->allowed.n;
    a->options.disallowed_list = a->disallowed.bytes;
    a->options.n_disallowed = a->disallowed.n;
    a->options.add_special_tokens = add;
    a->options.no_normalize = !normalize;
    return 0;
}

/* ---- encode ---- */

/* The ids of one document: in `few`, or in memory of their own when there are more. */
typedef struct result {
    pm_id *ids, *own;
    size_t n, cap;
    pm_id few[768];
} result;

/* No Python inside: runs with or without the GIL. */
static pm_status encode_into(pm_encoder *encoder, pm_bytes text, const pm_encode_options *options, result *r,
                             pm_error *err) {
    r->cap = sizeof r->few / sizeof r->few[0];
    r->ids = r->few;
    r->own = NULL;
    size_t want = text.len > SIZE_MAX / 8 ? SIZE_MAX / 8 : text.len + 2;
    for (;;) {
        if (want > r->cap) {
            free(r->own);
            r->ids = r->own = malloc(want * sizeof *r->own);
            r->cap = want;
            if (!r->own) {
                *err = (pm_error){.status = PM_NO_MEMORY, .offset = PM_NO_OFFSET, .message = "out of memory"};
                return PM_NO_MEMORY;
            }
        }
        pm_status status = pm_encode(encoder, text, options, r->ids, r->cap, &r->n, err);
        if (status != PM_NO_SPACE || r->n <= r->cap) {
            return status;
        }
        want = r->n; /* normalization made the text longer than any bound by its length */
    }
}

static PyObject *list_of_ids(const pm_id *ids, size_t n) {
    PyObject *list = PyList_New((Py_ssize_t)n);
    for (size_t i = 0; list && i < n; i++) {
        PyObject *id = PyLong_FromUnsignedLong(ids[i]);
        if (!id) {
            Py_CLEAR(list);
            break;
        }
        PMPY_LIST_SET(list, (Py_ssize_t)i, id);
    }
    return list;
}

/* Converts the one document of `texts` (*converted tells whether that went well; if not, there is nothing else) and encodes it. */
static pm_status run_encode(pmpy_tokenizer *self, pmpy_texts *texts, bool *converted, size_t *bad,
                            const pm_encode_options *options, result *r, pm_error *err) {
    pm_encoder *encoder = NULL;
    r->own = NULL;
    *converted = pmpy_texts_convert(texts, bad) == 0;
    if (!*converted) {
        return PM_OK;
    }
    pm_status status = take_encoder(self, &encoder, err);
    if (status == PM_OK) {
        status = encode_into(encoder, texts->items[0], options, r, err);
    }
    give_encoder(self, encoder);
    return status;
}

PyDoc_STRVAR(encode_doc,
             "encode($self, text, /, *, allowed_special=(), disallowed_special='all', add_special_tokens=False, alpha=None,\n"
             "       seed=None, normalize=True)\n--\n\n"
             "The ids of one document as a list of int.\n\n"
             "text: str, bytes or any contiguous buffer; bytes that are not UTF-8 are kept and split as U+FFFD would.\n"
             "allowed_special: special tokens matched in the text, a collection of str or 'all'.\n"
             "disallowed_special: special tokens that are an error when the text holds them, a collection or 'all' (all but\n"
             "the allowed ones); () takes them as ordinary text.\n"
             "add_special_tokens: BytePiece's <bos> and <eos> around the ids.\n"
             "alpha, seed: BytePiece draws a segmentation instead of the best one, each piece's log-probability times\n"
             "alpha; without a seed it is drawn from the module random. normalize=False: no NFC (BytePiece).\n\n"
             "Raises SpecialTokenError with the .offset in bytes, LimitError when a regex of the user passes its limit,\n"
             "UnicodeEncodeError for a lone surrogate.\n\n"
             ">>> tok.decode(tok.encode('slow and lower'))\n"
             "'slow and lower'\n");

static PyObject *tokenizer_encode(PyObject *op, PyObject *const *args, Py_ssize_t n_args, PyObject *keywords) {
    static const char *const names[] = {"text",  "allowed_special", "disallowed_special", "add_special_tokens",
                                        "alpha", "seed",            "normalize"};
    pmpy_tokenizer *self = (pmpy_tokenizer *)op;
    pmpy_state *state = pmpy_state_of(op);
    PyObject *values[7];
    encode_arguments a;
    if (pmpy_arguments("encode", args, n_args, keywords, names, 7, 1, 1, values) < 0 ||
        encode_arguments_init(state, &a, values + 1) < 0) {
        return NULL;
    }
    pmpy_texts texts;
    pmpy_texts_init(&texts);
    if (pmpy_texts_add(&texts, values[0], false) < 0) {
        encode_arguments_release(&a);
        return NULL;
    }
    result r;
    size_t bad;
    bool converted;
    pm_error err = {0};
    pm_status status;
    if (texts.total < PMPY_RELEASE_ABOVE) {
        status = run_encode(self, &texts, &converted, &bad, &a.options, &r, &err);
    } else {
        Py_BEGIN_ALLOW_THREADS
        status = run_encode(self, &texts, &converted, &bad, &a.options, &r, &err);
        Py_END_ALLOW_THREADS
    }
    PyObject *list = !converted        ? pmpy_texts_raise(&texts, bad, values[0])
                     : status != PM_OK ? pmpy_raise(state, &err)
                                       : list_of_ids(r.ids, r.n);
    free(r.own);
    pmpy_texts_release(&texts);
    encode_arguments_release(&a);
    return list;
}

PyDoc_STRVAR(encode_batch_doc,
             "encode_batch($self, documents, /, threads=0, *, allowed_special=(), disallowed_special=(),\n"
             "             add_special_tokens=False, alpha=None, seed=None, normalize=True)\n--\n\n"
             "The ids of many documents as BatchResult (ids, offsets): document i has ids[offsets[i]:offsets[i + 1]].\n\n"
             "documents: an iterable of str, bytes or buffers. threads: 0 takes as many as the machine gives (1 in a worker\n"
             "process). ids is an Array of uint32, offsets of uint64 and one longer than the documents; both are buffers that\n"
             "numpy.asarray uses without a copy. The other arguments are those of encode, but the text of a special token\n"
             "is ordinary text here unless it is allowed or disallowed; the result's documents_with_special counts such\n"
             "documents. The GIL is released during the work, and the result does not depend on threads.\n\n"
             ">>> ids, offsets = tok.encode_batch(['low', 'lower'])\n"
             ">>> ids[:offsets[1]].tolist() == tok.encode('low')\n"
             "True\n");

/* All documents of the tuple as UTF-8 in texts->items; holds the GIL on entry and exit. */
static int read_documents(pmpy_texts *texts, PyObject *tuple) {
    Py_ssize_t n = PyTuple_Size(tuple);
    for (Py_ssize_t i = 0; i < n; i++) {
        if (pmpy_texts_add(texts, PyTuple_GetItem(tuple, i), false) < 0) {
            return -1;
        }
    }
    size_t bad;
    int rc;
    Py_BEGIN_ALLOW_THREADS
    rc = pmpy_texts_convert(texts, &bad);
    Py_END_ALLOW_THREADS
    if (rc < 0) {
        pmpy_texts_raise(texts, bad, bad < (size_t)n ? PyTuple_GetItem(tuple, (Py_ssize_t)bad) : NULL);
    }
    return rc;
}

static PyObject *batch_of_tuple(PyObject *op, PyObject *tuple, const pm_encode_options *options) {
    pmpy_tokenizer *self = (pmpy_tokenizer *)op;
    pmpy_state *state = pmpy_state_of(op);
    pmpy_texts texts;
    pmpy_texts_init(&texts);
    PyObject *answer = NULL;
    if (read_documents(&texts, tuple) == 0) {
        pm_batch batch = {0};
        pm_error err = {0};
        pm_status status;
        Py_BEGIN_ALLOW_THREADS
        status = pm_encode_batch(self->tok, texts.items, texts.n, options, &batch, &err);
        Py_END_ALLOW_THREADS
        answer = status == PM_OK ? pmpy_batch_result(state, &batch) : pmpy_raise(state, &err);
    }
    pmpy_texts_release(&texts);
    return answer;
}

static PyObject *tokenizer_encode_batch(PyObject *op, PyObject *const *args, Py_ssize_t n_args, PyObject *keywords) {
    static const char *const names[] = {"documents",          "threads", "allowed_special", "disallowed_special",
                                        "add_special_tokens", "alpha",   "seed",            "normalize"};
    pmpy_state *state = pmpy_state_of(op);
    PyObject *values[8];
    encode_arguments a;
    uint64_t threads = 0;
    if (pmpy_arguments("encode_batch", args, n_args, keywords, names, 8, 2, 1, values) < 0) {
        return NULL;
    }
    if (PyUnicode_Check(values[0]) || PyBytes_Check(values[0])) {
        PyErr_SetString(PyExc_TypeError, "encode_batch() takes a collection of documents; for one document use encode()");
        return NULL;
    }
    if ((values[1] && pmpy_unsigned(state, values[1], "threads", 4096, &threads) < 0) ||
        encode_arguments_init(state, &a, values + 2) < 0) {
        return NULL;
    }
    a.options.threads = pmpy_threads(state, (unsigned)threads);
    PyObject *tuple = PySequence_Tuple(values[0]); /* the documents stay alive and in place while the GIL is released */
    PyObject *answer = tuple ? batch_of_tuple(op, tuple, &a.options) : NULL;
    Py_XDECREF(tuple);
    encode_arguments_release(&a);
    return answer;
}

/* ---- decode ---- */

/* The bytes of ids, in memory that the caller frees unless it is `few`. */
typedef struct decoded {
    uint8_t *data, *own;
    size_t n, cap;
    uint8_t few[1024];
} decoded;

static pm_status decode_into(const pm_tokenizer *tok, const pmpy_ids *ids, decoded *d, pm_error *err) {
    d->data = d->few;
    d->cap = sizeof d->few;
    d->own = NULL;
    size_t want = ids->n > SIZE_MAX / 16 ? SIZE_MAX / 2 : ids->n * 6; /* a guess that usually spares the second pass */
    for (;;) {
        if (want > d->cap) {
            free(d->own);
            d->data = d->own = malloc(want);
            d->cap = want;
            if (!d->own) {
                *err = (pm_error){.status = PM_NO_MEMORY, .offset = PM_NO_OFFSET, .message = "out of memory"};
                return PM_NO_MEMORY;
            }
        }
        pm_status status = pm_decode(tok, ids->data, ids->n, d->data, d->cap, &d->n, err);
        if (status != PM_NO_SPACE || d->n <= d->cap) {
            return status;
        }
        want = d->n;
    }
}

/* Decodes the ids in `value` into *d; -1: an exception was set, nothing to free. */
static int decode_value(PyObject *op, PyObject *value, decoded *d) {
    pmpy_tokenizer *self = (pmpy_tokenizer *)op;
    pmpy_state *state = pmpy_state_of(op);
    pmpy_ids ids;
    if (pmpy_ids_init(state, &ids, value) < 0) {
        return -1;
    }
    pm_error err = {0};
    pm_status status;
    if (ids.n < PMPY_RELEASE_ABOVE / 4) {
        status = decode_into(self->tok, &ids, d, &err);
    } else {
        Py_BEGIN_ALLOW_THREADS
        status = decode_into(self->tok, &ids, d, &err);
        Py_END_ALLOW_THREADS
    }
    pmpy_ids_release(&ids);
    if (status != PM_OK) {
        free(d->own);
        pmpy_raise(state, &err);
        return -1;
    }
    return 0;
}

PyDoc_STRVAR(decode_doc, "decode($self, ids, /, errors='replace')\n--\n\n"
                         "The text of ids: decode_bytes(ids).decode('utf-8', errors).\n\n"
                         "ids: a list of int, any iterable of int, or a one-dimensional buffer of whole numbers (numpy, Array).\n"
                         "Control ids and reserved slots give nothing, special tokens their text.\n\n"
                         "Raises BadIdError (a ValueError) whose .offset is the index of the id, UnicodeDecodeError with\n"
                         "errors='strict'.\n\n"
                         ">>> tok.decode([])\n"
                         "''\n");

static PyObject *tokenizer_decode(PyObject *op, PyObject *const *args, Py_ssize_t n_args, PyObject *keywords) {
    static const char *const names[] = {"ids", "errors"};
    PyObject *values[2];
    pmpy_strings errors;
    decoded d;
    if (pmpy_arguments("decode", args, n_args, keywords, names, 2, 2, 1, values) < 0 ||
        pmpy_strings_init(&errors, values[1], "errors", false) < 0) {
        return NULL;
    }
    PyObject *text = NULL;
    if (decode_value(op, values[0], &d) == 0) {
        text = PyUnicode_DecodeUTF8((const char *)d.data, (Py_ssize_t)d.n, errors.n ? errors.c[0] : "replace");
        free(d.own);
    }
    pmpy_strings_release(&errors);
    return text;
}

PyDoc_STRVAR(decode_bytes_doc, "decode_bytes($self, ids, /)\n--\n\n"
                               "The bytes of ids, exactly. Arguments and errors as decode.\n\n"
                               ">>> tok.decode_bytes(tok.encode(b'\\xff\\x00low'))\n"
                               "b'\\xff\\x00low'\n");

static PyObject *tokenizer_decode_bytes(PyObject *op, PyObject *value) {
    decoded d;
    if (decode_value(op, value, &d) < 0) {
        return NULL;
    }
    PyObject *bytes = PyBytes_FromStringAndSize((const char *)d.data, (Py_ssize_t)d.n);
    free(d.own);
    return bytes;
}

/* ---- the vocabulary ---- */

static PyObject *bytes_object(pm_bytes bytes) {
    return PyBytes_FromStringAndSize((const char *)bytes.data, (Py_ssize_t)bytes.len);
}

/* An id from a Python int; a number that can be no id is PM_ID_NONE, which no vocabulary has. */
static int parse_id(PyObject *value, pm_id *id) {
    PyObject *index = PyNumber_Index(value);
    if (!index) {
        return -1;
    }
    int overflow;
    long long number = PyLong_AsLongLongAndOverflow(index, &overflow);
    Py_DECREF(index);
    *id = overflow || number < 0 || number > (long long)PM_ID_NONE ? PM_ID_NONE : (pm_id)number;
    return 0;
}

static int parse_known_id(PyObject *op, PyObject *value, pm_id *id) {
    char sentence[96];
    const pm_tokenizer *tok = ((pmpy_tokenizer *)op)->tok;
    if (parse_id(value, id) < 0) {
        return -1;
    }
    if (pm_tokenizer_kind(tok, *id) == PM_KIND_HOLE) {
        snprintf(sentence, sizeof sentence, "no token has this id; vocab_size is %lu",
                 (unsigned long)pm_tokenizer_vocab_size(tok));
        pmpy_raise_status(pmpy_state_of(op), PM_BAD_ID, PM_NO_OFFSET, sentence);
        return -1;
    }
    return 0;
}

static PyObject *tokenizer_id_to_piece(PyObject *op, PyObject *value) {
    pm_id id;
    if (parse_known_id(op, value, &id) < 0) {
        return NULL;
    }
    return bytes_object(pm_tokenizer_piece(((pmpy_tokenizer *)op)->tok, id));
}

static PyObject *tokenizer_piece_count(PyObject *op, PyObject *value) {
    pm_id id;
    if (parse_known_id(op, value, &id) < 0) {
        return NULL;
    }
    return PyLong_FromUnsignedLongLong(pm_tokenizer_count(((pmpy_tokenizer *)op)->tok, id));
}

static PyObject *tokenizer_kind(PyObject *op, PyObject *value) {
    static const char *const kinds[] = {"hole", "piece", "special", "control", "reserved"};
    pm_id id;
    if (parse_id(value, &id) < 0) {
        return NULL;
    }
    unsigned kind = (unsigned)pm_tokenizer_kind(((pmpy_tokenizer *)op)->tok, id);
    return PyUnicode_FromString(kind < 5 ? kinds[kind] : "unknown");
}

static PyObject *tokenizer_piece_to_id(PyObject *op, PyObject *value) {
    pmpy_strings piece;
    if (!PyUnicode_Check(value) && !PyBytes_Check(value)) {
        PyErr_Format(PyExc_TypeError, "a piece must be bytes or str, not %R", (PyObject *)Py_TYPE(value));
        return NULL;
    }
    if (pmpy_strings_init(&piece, value, "a piece", true) < 0) {
        return NULL;
    }
    pm_id id = pm_tokenizer_find(((pmpy_tokenizer *)op)->tok, piece.bytes[0]);
    pmpy_strings_release(&piece);
    return id == PM_ID_NONE ? Py_NewRef(Py_None) : PyLong_FromUnsignedLong(id);
}

/* pieces[id] as a bytes object made once; borrowed. */
static PyObject *shared_piece(const pm_tokenizer *tok, PyObject **pieces, pm_id id) {
    if (!pieces[id]) {
        pieces[id] = bytes_object(pm_tokenizer_piece(tok, id));
    }
    return pieces[id];
}

static PyObject *merge_pair(const pm_tokenizer *tok, PyObject **pieces, uint32_t i) {
    pm_id left, right, joined;
    if (!pm_tokenizer_merge(tok, i, &left, &right, &joined)) {
        return PyErr_Format(PyExc_SystemError, "merge %lu is missing", (unsigned long)i);
    }
    PyObject *a = shared_piece(tok, pieces, left);
    PyObject *b = a ? shared_piece(tok, pieces, right) : NULL;
    return b ? PyTuple_Pack(2, a, b) : NULL;
}

static PyObject *tokenizer_merges(PyObject *op, void *unused) {
    (void)unused;
    const pm_tokenizer *tok = ((pmpy_tokenizer *)op)->tok;
    uint32_t n = pm_tokenizer_n_merges(tok), n_ids = pm_tokenizer_vocab_size(tok);
    PyObject **pieces = PyMem_Calloc((size_t)n_ids + 1, sizeof(PyObject *));
    PyObject *list = pieces ? PyList_New((Py_ssize_t)n) : PyErr_NoMemory();
    for (uint32_t i = 0; list && i < n; i++) {
        PyObject *pair = merge_pair(tok, pieces, i);
        if (!pair) {
            Py_CLEAR(list);
            break;
        }
        PMPY_LIST_SET(list, (Py_ssize_t)i, pair);
    }
    for (uint32_t i = 0; pieces && i < n_ids; i++) {
        Py_XDECREF(pieces[i]);
    }
    PyMem_Free((void *)pieces);
    return list;
}

static PyObject *tokenizer_special_tokens(PyObject *op, void *unused) {
    (void)unused;
    const pm_tokenizer *tok = ((pmpy_tokenizer *)op)->tok;
    PyObject *dict = PyDict_New();
    size_t n = pm_tokenizer_n_special_tokens(tok);
    for (size_t i = 0; dict && i < n; i++) {
        pm_special_token token = pm_tokenizer_special_token(tok, i);
        PyObject *text = PyUnicode_DecodeUTF8((const char *)token.text.data, (Py_ssize_t)token.text.len, "surrogateescape");
        PyObject *id = PyLong_FromUnsignedLong(token.id);
        if (!text || !id || PyDict_SetItem(dict, text, id) < 0) {
            Py_CLEAR(dict);
        }
        Py_XDECREF(text);
        Py_XDECREF(id);
    }
    return dict;
}

static PyObject *tokenizer_pattern(PyObject *op, void *unused) {
    (void)unused;
    const pm_tokenizer *tok = ((pmpy_tokenizer *)op)->tok;
    size_t n = pm_tokenizer_n_patterns(tok);
    if (n == 0) {
        return pm_tokenizer_algorithm(tok) == PM_ALGORITHM_BPE ? PyUnicode_FromString("") : Py_NewRef(Py_None);
    }
    if (n == 1) {
        return PyUnicode_FromString(pm_tokenizer_pattern(tok, 0));
    }
    PyObject *list = PyList_New(0);
    for (size_t i = 0; list && i < n; i++) {
        PyObject *regex = PyUnicode_FromString(pm_tokenizer_pattern(tok, i));
        if (!regex || PyList_Append(list, regex) < 0) {
            Py_CLEAR(list);
        }
        Py_XDECREF(regex);
    }
    return list;
}

static PyObject *tokenizer_pattern_name(PyObject *op, void *unused) {
    (void)unused;
    const char *name = pm_tokenizer_pattern_name(((pmpy_tokenizer *)op)->tok);
    return name && name[0] ? PyUnicode_FromString(name) : Py_NewRef(Py_None);
}

static PyObject *tokenizer_settings(PyObject *op, void *unused) {
    (void)unused;
    const char *line = pm_tokenizer_settings(((pmpy_tokenizer *)op)->tok);
    PyObject *dict = PyDict_New();
    while (dict && line && *line) {
        const char *end = strchr(line, '\n');
        end = end ? end : line + strlen(line);
        const char *equals = memchr(line, '=', (size_t)(end - line));
        if (equals) {
            PyObject *key = PyUnicode_DecodeUTF8(line, equals - line, "replace");
            PyObject *value = PyUnicode_DecodeUTF8(equals + 1, end - equals - 1, "replace");
            if (!key || !value || PyDict_SetItem(dict, key, value) < 0) {
                Py_CLEAR(dict);
            }
            Py_XDECREF(key);
            Py_XDECREF(value);
        }
        line = *end ? end + 1 : end;
    }
    return dict;
}

static PyObject *tokenizer_summary(PyObject *op, void *unused) {
    (void)unused;
    const pmpy_tokenizer *self = (pmpy_tokenizer *)op;
    const pm_train_summary *s = &self->summary;
    if (!self->trained) {
        Py_RETURN_NONE;
    }
    return Py_BuildValue("{s:K,s:K,s:K,s:K,s:K,s:k,s:N,s:N,s:d}", "documents", (unsigned long long)s->documents, "bytes",
                         (unsigned long long)s->bytes, "words", (unsigned long long)s->words, "distinct",
                         (unsigned long long)s->distinct, "documents_with_special",
                         (unsigned long long)s->documents_with_special, "vocab_size", (unsigned long)s->vocab_size,
                         "smaller_than_asked", PyBool_FromLong(s->smaller_than_asked), "lines_split",
                         PyBool_FromLong(s->lines_split), "seconds", s->seconds);
}

static PyObject *tokenizer_vocab_size(PyObject *op, void *unused) {
    (void)unused;
    return PyLong_FromUnsignedLong(pm_tokenizer_vocab_size(((pmpy_tokenizer *)op)->tok));
}

static const char *algorithm_name(const pm_tokenizer *tok) {
    switch (pm_tokenizer_algorithm(tok)) {
    case PM_ALGORITHM_BYTEPIECE: return "bytepiece";
    case PM_ALGORITHM_BPE: return "bpe";
    default: return "unknown";
    }
}

static PyObject *tokenizer_algorithm(PyObject *op, void *unused) {
    (void)unused;
    return PyUnicode_FromString(algorithm_name(((pmpy_tokenizer *)op)->tok));
}

static PyObject *tokenizer_lossless(PyObject *op, void *unused) {
    (void)unused;
    return PyBool_FromLong(pm_tokenizer_lossless(((pmpy_tokenizer *)op)->tok));
}

static PyObject *tokenizer_hash(PyObject *op, void *unused) {
    (void)unused;
    char hex[33];
    pm_tokenizer_hash(((pmpy_tokenizer *)op)->tok, hex);
    return PyUnicode_FromString(hex);
}

static PyObject *tokenizer_repr(PyObject *op) {
    const pm_tokenizer *tok = ((pmpy_tokenizer *)op)->tok;
    const char *name = pm_tokenizer_pattern_name(tok);
    bool named = name && name[0];
    return PyUnicode_FromFormat("<piecemill.Tokenizer %s, vocab_size %lu%s%s>", algorithm_name(tok),
                                (unsigned long)pm_tokenizer_vocab_size(tok), named ? ", pattern " : "", named ? name : "");
}

/* ---- copies ---- */

static PyObject *tokenizer_copy(PyObject *op, PyObject *unused) {
    (void)unused;
    return Py_NewRef(op);
}

static PyObject *tokenizer_reduce(PyObject *op, PyObject *unused) {
    (void)op;
    (void)unused;
    PyErr_SetString(PyExc_TypeError, "a Tokenizer cannot be pickled yet; save() it and load() it in the other process, or "
                                     "let workers be forked: they share its memory");
    return NULL;
}

#define KEYWORDS (METH_FASTCALL | METH_KEYWORDS)

static PyMethodDef methods[] = {
    {"load", PMPY_METHOD(tokenizer_load), KEYWORDS | METH_CLASS, load_doc},
    {"save", PMPY_METHOD(tokenizer_save), KEYWORDS, save_doc},
    {"encode", PMPY_METHOD(tokenizer_encode), KEYWORDS, encode_doc},
    {"encode_batch", PMPY_METHOD(tokenizer_encode_batch), KEYWORDS, encode_batch_doc},
    {"decode", PMPY_METHOD(tokenizer_decode), KEYWORDS, decode_doc},
    {"decode_bytes", tokenizer_decode_bytes, METH_O, decode_bytes_doc},
    {"id_to_piece", tokenizer_id_to_piece, METH_O,
     PyDoc_STR("id_to_piece($self, id, /)\n--\n\n"
               "The bytes of an id: a piece, a special token's text, a control's name, b'' for a reserved slot.\n\n"
               "Raises BadIdError (a ValueError) when no token has this id.\n\n"
               ">>> tok.id_to_piece(tok.piece_to_id(b'low'))\n"
               "b'low'\n")},
    {"piece_to_id", tokenizer_piece_to_id, METH_O,
     PyDoc_STR("piece_to_id($self, piece, /)\n--\n\n"
               "The id of a piece (bytes, or a str as UTF-8), else of a special token or control with this text, else None.\n\n"
               ">>> tok.piece_to_id('not in here') is None\n"
               "True\n")},
    {"piece_count", tokenizer_piece_count, METH_O,
     PyDoc_STR("piece_count($self, id, /)\n--\n\n"
               "How often a piece was counted in training: BytePiece's weight; for BPE the pair's count when it was merged; 0\n"
               "when the file does not say. Raises BadIdError.\n\n"
               ">>> tok.piece_count(tok.piece_to_id(b'low')) > 0\n"
               "True\n")},
    {"kind", tokenizer_kind, METH_O,
     PyDoc_STR("kind($self, id, /)\n--\n\n"
               "What an id is: 'piece', 'special', 'control', 'reserved', or 'hole' when no token has it.\n\n"
               ">>> tok.kind(0), tok.kind(10 ** 9)\n"
               "('piece', 'hole')\n")},
    {"__copy__", tokenizer_copy, METH_NOARGS, PyDoc_STR("__copy__($self, /)\n--\n\nThe tokenizer itself: it never changes.")},
    {"__deepcopy__", tokenizer_copy, METH_O, PyDoc_STR("__deepcopy__($self, memo, /)\n--\n\nThe tokenizer itself: it never changes.")},
    {"__reduce__", tokenizer_reduce, METH_NOARGS, PyDoc_STR("__reduce__($self, /)\n--\n\nRaises TypeError: save() and load() instead.")},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef getset[] = {
    {"vocab_size", tokenizer_vocab_size, NULL, PyDoc_STR("The highest id + 1."), NULL},
    {"algorithm", tokenizer_algorithm, NULL, PyDoc_STR("'bytepiece' or 'bpe'."), NULL},
    {"merges", tokenizer_merges, NULL,
     PyDoc_STR("BPE: the merges in rank order, a new list of (left bytes, right bytes); empty for BytePiece.\n\n"
               ">>> tok.merges[0]\n"
               "(b'l', b'o')\n"),
     NULL},
    {"pattern", tokenizer_pattern, NULL,
     PyDoc_STR("The splitting regex, a list of several applied in turn, '' for none; None for BytePiece, which has no pattern."),
     NULL},
    {"pattern_name", tokenizer_pattern_name, NULL, PyDoc_STR("The pattern's name ('o200k_base'), None when it has none."), NULL},
    {"special_tokens", tokenizer_special_tokens, NULL, PyDoc_STR("The special tokens, a new dict of str to id, in order of id."), NULL},
    {"lossless", tokenizer_lossless, NULL, PyDoc_STR("Whether decode_bytes(encode(x)) == x for any bytes x."), NULL},
    {"settings", tokenizer_settings, NULL, PyDoc_STR("The training settings that the model recorded, a new dict of str to str."), NULL},
    {"hash", tokenizer_hash, NULL,
     PyDoc_STR("32 hexadecimal digits, equal for tokenizers that give the same ids, whatever file they came from."), NULL},
    {"training_summary", tokenizer_summary, NULL,
     PyDoc_STR("What the training that made this tokenizer saw, a new dict: documents, bytes, words, distinct,\n"
               "documents_with_special, vocab_size, smaller_than_asked, lines_split, seconds. None for a loaded tokenizer.\n\n"
               ">>> tok.training_summary['documents']\n"
               "9\n"),
     NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(pmpy_tokenizer, weakrefs), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

PyDoc_STRVAR(tokenizer_doc,
             "A vocabulary and its rules: text to ids and back. Made by Tokenizer.load, train and train_from_iterator.\n\n"
             "It never changes: any number of threads may use one at once, and forked workers share its memory.\n\n"
             ">>> import piecemill\n"
             ">>> tok = piecemill.train_from_iterator(['low lower lowest'] * 9, algorithm='bpe', vocab_size=262, pattern='gpt2')\n"
             ">>> tok.decode(tok.encode('lower'))\n"
             "'lower'\n");

static PyType_Slot slots[] = {
    {Py_tp_doc, (void *)tokenizer_doc},
    {Py_tp_dealloc, tokenizer_dealloc},
    {Py_tp_repr, tokenizer_repr},
    {Py_tp_methods, methods},
    {Py_tp_getset, getset},
    {Py_tp_members, members},
    {0, NULL},
};

PyType_Spec pmpy_tokenizer_spec = {
    .name = "piecemill.Tokenizer",
    .basicsize = sizeof(pmpy_tokenizer),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
    .slots = slots,
};
