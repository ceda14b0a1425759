/* codec.c - the methods of Tokenizer that encode and decode.
 *
 * pm_tokenizer may be used by any number of threads, a pm_encoder by one at a time: each call takes one, which the
 * library keeps for the next when it is freed. Short texts are encoded into the stack and with the GIL held; a longer
 * one releases it. */
#include "binding.h"

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

/* Bytes of UTF-8, and so ids, that a unit can give. */
static size_t bytes_a_unit(pm_text_form form) {
    return form == PM_TEXT_UTF8 ? 1 : form == PM_TEXT_LATIN1 ? 2 : form == PM_TEXT_UCS2 ? 3 : 4;
}

/* No Python inside: runs with or without the GIL. */
static pm_status encode_into(pm_encoder *encoder, pm_text text, const pm_encode_options *options, result *r,
                             pm_error *err) {
    r->cap = sizeof r->few / sizeof r->few[0];
    r->ids = r->few;
    size_t want = text.len > SIZE_MAX / 32 ? SIZE_MAX / 8 : text.len * bytes_a_unit(text.form) + 2;
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
        pm_status status = pm_encode_text(encoder, text, options, r->ids, r->cap, &r->n, err);
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

static pm_status run_encode(const pm_tokenizer *tok, pm_text text, const pm_encode_options *options, result *r,
                            pm_error *err) {
    pm_encoder *encoder;
    r->own = NULL;
    pm_status status = pm_encoder_new(&encoder, tok, err);
    if (status == PM_OK) {
        status = encode_into(encoder, text, options, r, err);
        pm_encoder_free(encoder);
    }
    return status;
}

const char pmpy_encode_doc[] = PyDoc_STR(
    "encode($self, text, /, *, allowed_special=(), disallowed_special='all', add_special_tokens=False, alpha=None,\n"
    "       seed=None, normalize=True)\n--\n\n"
    "The ids of one document as a list of int.\n\n"
    "text: str, bytes or any contiguous buffer; bytes that are not UTF-8 are kept and split as U+FFFD would.\n"
    "allowed_special: special tokens matched in the text, a collection of str or 'all'.\n"
    "disallowed_special: special tokens that are an error when the text holds them, a collection or 'all' (all but\n"
    "the allowed ones); () takes them as ordinary text.\n"
    "add_special_tokens: BytePiece's <bos> and <eos> around the ids.\n"
    "alpha, seed: BytePiece draws a segmentation instead of the best one, with probability in proportion to\n"
    "exp(alpha * score) (see nbest); without a seed it is drawn from the module random. normalize=False: no NFC\n"
    "(BytePiece).\n\n"
    "Raises SpecialTokenError with the .offset in bytes, LimitError when a regex of the user passes its limit,\n"
    "UnicodeEncodeError for a lone surrogate.\n\n"
    ">>> tok.decode(tok.encode('slow and lower'))\n"
    "'slow and lower'\n");

PyObject *pmpy_encode(PyObject *op, PyObject *const *args, Py_ssize_t n_args, PyObject *keywords) {
    static const char *const names[] = {"text", "allowed_special", "disallowed_special", "add_special_tokens", "alpha",
                                        "seed", "normalize"};
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
    pm_error err = {0};
    pm_status status;
    if (texts.total < PMPY_RELEASE_ABOVE) {
        status = run_encode(self->tok, texts.items[0], &a.options, &r, &err);
    } else {
        PyThreadState *thread = PyEval_SaveThread();
        status = run_encode(self->tok, texts.items[0], &a.options, &r, &err);
        PyEval_RestoreThread(thread);
    }
    PyObject *list = status == PM_OK          ? list_of_ids(r.ids, r.n)
                     : status == PM_BAD_INPUT ? pmpy_texts_raise(&texts, 0, values[0])
                                              : pmpy_raise(state, &err);
    free(r.own);
    pmpy_texts_release(&texts);
    encode_arguments_release(&a);
    return list;
}

const char pmpy_encode_batch_doc[] = PyDoc_STR(
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

static int read_documents(pmpy_texts *texts, PyObject *tuple) {
    Py_ssize_t n = PyTuple_Size(tuple);
    if (pmpy_texts_reserve(texts, (size_t)n) < 0) {
        return -1;
    }
    for (Py_ssize_t i = 0; i < n; i++) {
        if (pmpy_texts_add(texts, PyTuple_GetItem(tuple, i), false) < 0) {
            return -1;
        }
    }
    return 0;
}

/* The exception for the first document that has no UTF-8. */
static PyObject *raise_surrogate(const pmpy_texts *texts, PyObject *tuple) {
    for (size_t i = 0; i < texts->n; i++) {
        size_t n;
        if (pm_text_to_utf8(texts->items[i], NULL, 0, &n, NULL) != PM_OK) {
            return pmpy_texts_raise(texts, i, PyTuple_GetItem(tuple, (Py_ssize_t)i));
        }
    }
    PyErr_SetString(PyExc_UnicodeError, "a document changed while it was read");
    return NULL;
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
        PyThreadState *thread = PyEval_SaveThread();
        pm_status status = pm_encode_batch_texts(self->tok, texts.items, texts.n, options, &batch, &err);
        PyEval_RestoreThread(thread);
        answer = status == PM_OK          ? pmpy_batch_result(state, &batch)
                 : status == PM_BAD_INPUT ? raise_surrogate(&texts, tuple)
                                          : pmpy_raise(state, &err);
    }
    pmpy_texts_release(&texts);
    return answer;
}

PyObject *pmpy_encode_batch(PyObject *op, PyObject *const *args, Py_ssize_t n_args, PyObject *keywords) {
    static const char *const names[] = {
        "documents", "threads", "allowed_special", "disallowed_special", "add_special_tokens",
        "alpha",     "seed",    "normalize"};
    pmpy_state *state = pmpy_state_of(op);
    PyObject *values[8];
    encode_arguments a;
    uint64_t threads = 0;
    if (pmpy_arguments("encode_batch", args, n_args, keywords, names, 8, 2, 1, values) < 0) {
        return NULL;
    }
    if (PyUnicode_Check(values[0]) || PyBytes_Check(values[0])) {
        PyErr_SetString(PyExc_TypeError,
                        "encode_batch() takes a collection of documents; for one document use encode()");
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

/* ---- n-best and marginals ---- */

/* What an alternative is asked of: one text, and options of encoding without sampling. */
typedef struct question {
    encode_arguments a;
    pmpy_texts texts;
} question;

static void question_release(question *q) {
    pmpy_texts_release(&q->texts);
    encode_arguments_release(&q->a);
}

/* special: allowed_special, disallowed_special, add_special_tokens, normalize. */
static int question_init(pmpy_state *state, question *q, PyObject *text, PyObject *alpha, PyObject **special) {
    PyObject *no_seed = PyLong_FromLong(0); /* nothing is drawn */
    PyObject *values[] = {special[0], special[1], special[2], alpha, no_seed, special[3]};
    int status = no_seed ? encode_arguments_init(state, &q->a, values) : -1;
    Py_XDECREF(no_seed);
    if (status < 0) {
        return -1;
    }
    pmpy_texts_init(&q->texts);
    if (pmpy_texts_add(&q->texts, text, false) < 0) {
        question_release(q);
        return -1;
    }
    return 0;
}

static PyObject *raise_question(pmpy_state *state, question *q, PyObject *text, const pm_error *err) {
    return err->status == PM_BAD_INPUT ? pmpy_texts_raise(&q->texts, 0, text) : pmpy_raise(state, err);
}

static PyObject *list_of_best(const pm_batch *best, const double *scores) {
    PyObject *list = PyList_New((Py_ssize_t)best->n_docs);
    for (size_t i = 0; list && i < best->n_docs; i++) {
        PyObject *ids = list_of_ids(best->ids + best->offsets[i], (size_t)(best->offsets[i + 1] - best->offsets[i]));
        PyObject *pair = ids ? Py_BuildValue("(Nd)", ids, scores[i]) : NULL;
        if (!pair) {
            Py_CLEAR(list);
            break;
        }
        PMPY_LIST_SET(list, (Py_ssize_t)i, pair);
    }
    return list;
}

const char pmpy_nbest_doc[] = PyDoc_STR(
    "nbest($self, text, /, n, *, allowed_special=(), disallowed_special='all', add_special_tokens=False,\n"
    "      normalize=True)\n--\n\n"
    "The n best segmentations of one document under a BytePiece model, or all if there are fewer: a list of\n"
    "(ids, score), best first. A score is the sum of the natural logarithms of the pieces' probabilities; the first\n"
    "ids are those of encode. The other arguments and errors are those of encode; ValueError when n is 0 or the\n"
    "tokenizer is BPE. The GIL is released.\n\n"
    ">>> bp = piecemill.train_from_iterator(['low lower lowest'], algorithm='bytepiece', vocab_size=300)\n"
    ">>> [ids for ids, score in bp.nbest('low lower', 2)][0] == bp.encode('low lower')\n"
    "True\n");

PyObject *pmpy_nbest(PyObject *op, PyObject *const *args, Py_ssize_t n_args, PyObject *keywords) {
    static const char *const names[] = {"text", "n", "allowed_special", "disallowed_special", "add_special_tokens", "normalize"};
    const pm_tokenizer *tok = ((pmpy_tokenizer *)op)->tok;
    pmpy_state *state = pmpy_state_of(op);
    PyObject *values[6];
    question q;
    uint64_t n;
    if (pmpy_arguments("nbest", args, n_args, keywords, names, 6, 2, 2, values) < 0 ||
        pmpy_unsigned(state, values[1], "n", PY_SSIZE_T_MAX / sizeof(double), &n) < 0 ||
        question_init(state, &q, values[0], NULL, values + 2) < 0) {
        return NULL;
    }
    double *scores = malloc((n ? (size_t)n : 1) * sizeof *scores);
    if (!scores) {
        question_release(&q);
        return PyErr_NoMemory();
    }
    pm_batch best = {0};
    pm_error err = {0};
    pm_encoder *encoder;
    PyThreadState *thread = PyEval_SaveThread();
    pm_status status = pm_encoder_new(&encoder, tok, &err);
    if (status == PM_OK) {
        status = pm_encode_nbest(encoder, q.texts.items[0], (size_t)n, &q.a.options, &best, scores, &err);
        pm_encoder_free(encoder);
    }
    PyEval_RestoreThread(thread);
    PyObject *list = status == PM_OK ? list_of_best(&best, scores) : raise_question(state, &q, values[0], &err);
    pm_batch_release(&best);
    free(scores);
    question_release(&q);
    return list;
}

static PyObject *list_of_marginals(const pm_marginals *m) {
    PyObject *list = PyList_New((Py_ssize_t)m->n);
    for (size_t i = 0; list && i < m->n; i++) {
        const pm_marginal *e = &m->items[i];
        PyObject *row = Py_BuildValue("(KKkd)", (unsigned long long)e->begin, (unsigned long long)e->end, (unsigned long)e->id,
                                      e->probability);
        if (!row) {
            Py_CLEAR(list);
            break;
        }
        PMPY_LIST_SET(list, (Py_ssize_t)i, row);
    }
    return list;
}

const char pmpy_marginals_doc[] = PyDoc_STR(
    "marginals($self, text, /, alpha=1.0, *, allowed_special=(), disallowed_special='all', normalize=True)\n--\n\n"
    "How probable each piece is in segmentations of one document that encode draws with this alpha (BytePiece): a list\n"
    "of (begin, end, id, probability) for all pieces that can be in one, by end, then from the shortest. begin and end\n"
    "are bytes of the text's UTF-8 after normalization; the pieces that cover a byte sum to 1. The other arguments and\n"
    "errors are those of encode; ValueError when the tokenizer is BPE. The GIL is released.\n\n"
    ">>> bp = piecemill.train_from_iterator(['low lower lowest'], algorithm='bytepiece', vocab_size=300)\n"
    ">>> rows = bp.marginals('low', alpha=0.5)\n"
    ">>> round(sum(probability for begin, end, id, probability in rows if begin <= 1 < end), 9)\n"
    "1.0\n");

PyObject *pmpy_marginals(PyObject *op, PyObject *const *args, Py_ssize_t n_args, PyObject *keywords) {
    static const char *const names[] = {"text", "alpha", "allowed_special", "disallowed_special", "normalize"};
    const pm_tokenizer *tok = ((pmpy_tokenizer *)op)->tok;
    pmpy_state *state = pmpy_state_of(op);
    PyObject *values[5];
    question q;
    if (pmpy_arguments("marginals", args, n_args, keywords, names, 5, 2, 1, values) < 0) {
        return NULL;
    }
    PyObject *special[] = {values[2], values[3], NULL, values[4]};
    if (question_init(state, &q, values[0], values[1], special) < 0) {
        return NULL;
    }
    pm_marginals m = {0};
    pm_error err = {0};
    pm_encoder *encoder;
    PyThreadState *thread = PyEval_SaveThread();
    pm_status status = pm_encoder_new(&encoder, tok, &err);
    if (status == PM_OK) {
        status = pm_encode_marginals(encoder, q.texts.items[0], &q.a.options, &m, &err);
        pm_encoder_free(encoder);
    }
    PyEval_RestoreThread(thread);
    PyObject *list = status == PM_OK ? list_of_marginals(&m) : raise_question(state, &q, values[0], &err);
    pm_marginals_release(&m);
    question_release(&q);
    return list;
}

/* ---- offsets ---- */

/* Turns places in bytes of the text's UTF-8 into characters. A str's alone: in bytes a character is a byte. */
static int count_characters(const pm_text *text, pm_tokens *tokens) {
    size_t n, *before, characters = 0;
    if (text->form == PM_TEXT_UTF8) {
        return 0;
    }
    if (pm_text_to_utf8(*text, NULL, 0, &n, NULL) != PM_OK || n == SIZE_MAX) {
        return -1;
    }
    uint8_t *utf8 = malloc(n + 1);
    before = malloc((n + 1) * sizeof *before);
    if (!utf8 || !before || pm_text_to_utf8(*text, utf8, n, &n, NULL) != PM_OK) {
        free(utf8);
        free(before);
        return -1;
    }
    for (size_t i = 0; i < n; i++) { /* characters that begin before byte i */
        before[i] = characters;
        characters += (utf8[i] & 0xC0) != 0x80;
    }
    before[n] = characters;
    for (size_t i = 0; i < tokens->n; i++) {
        tokens->items[i].begin = before[tokens->items[i].begin];
        tokens->items[i].end = before[tokens->items[i].end];
    }
    free(utf8);
    free(before);
    return 0;
}

static PyObject *lists_of_tokens(const pm_tokens *tokens) {
    PyObject *ids = PyList_New((Py_ssize_t)tokens->n), *places = PyList_New((Py_ssize_t)tokens->n);
    for (size_t i = 0; ids && places && i < tokens->n; i++) {
        const pm_token *t = &tokens->items[i];
        PyObject *id = PyLong_FromUnsignedLong(t->id);
        PyObject *place = Py_BuildValue("(KK)", (unsigned long long)t->begin, (unsigned long long)t->end);
        if (!id || !place) {
            Py_XDECREF(id);
            Py_XDECREF(place);
            Py_CLEAR(ids);
            break;
        }
        PMPY_LIST_SET(ids, (Py_ssize_t)i, id);
        PMPY_LIST_SET(places, (Py_ssize_t)i, place);
    }
    if (!ids || !places) {
        Py_XDECREF(ids);
        Py_XDECREF(places);
        return NULL;
    }
    return Py_BuildValue("(NN)", ids, places);
}

const char pmpy_encode_with_offsets_doc[] = PyDoc_STR(
    "encode_with_offsets($self, text, /, *, allowed_special=(), disallowed_special='all', add_special_tokens=False,\n"
    "                    normalize=True)\n--\n\n"
    "The ids of one document and where each is from: (ids, offsets), two lists of one length. An offset is (begin, end),\n"
    "characters of the str, or bytes where text is bytes; whole characters, so several ids may have the same, and\n"
    "begin == end for what was added. They are those in the text as it was given, also where it is normalized, and\n"
    "agree with the library that the tokenizer is from. The other arguments and errors are those of encode. The GIL is\n"
    "released.\n\n"
    ">>> ids, offsets = tok.encode_with_offsets('slow and lower')\n"
    ">>> ['slow and lower'[begin:end] for begin, end in offsets][0][0]\n"
    "'s'\n");

PyObject *pmpy_encode_with_offsets(PyObject *op, PyObject *const *args, Py_ssize_t n_args, PyObject *keywords) {
    static const char *const names[] = {"text", "allowed_special", "disallowed_special", "add_special_tokens", "normalize"};
    const pm_tokenizer *tok = ((pmpy_tokenizer *)op)->tok;
    pmpy_state *state = pmpy_state_of(op);
    PyObject *values[5];
    question q;
    if (pmpy_arguments("encode_with_offsets", args, n_args, keywords, names, 5, 1, 1, values) < 0 ||
        question_init(state, &q, values[0], NULL, values + 1) < 0) {
        return NULL;
    }
    pm_tokens tokens = {0};
    pm_error err = {0};
    pm_encoder *encoder;
    int counted = 0;
    PyThreadState *thread = PyEval_SaveThread();
    pm_status status = pm_encoder_new(&encoder, tok, &err);
    if (status == PM_OK) {
        status = pm_encode_offsets(encoder, q.texts.items[0], &q.a.options, &tokens, &err);
        pm_encoder_free(encoder);
        counted = status == PM_OK ? count_characters(&q.texts.items[0], &tokens) : 0;
    }
    PyEval_RestoreThread(thread);
    PyObject *lists = status != PM_OK ? raise_question(state, &q, values[0], &err) : counted < 0 ? PyErr_NoMemory() : lists_of_tokens(&tokens);
    pm_tokens_release(&tokens);
    question_release(&q);
    return lists;
}

/* ---- decode ---- */

/* The bytes of ids: in `few`, or in an object of their own that is exactly as large. */
typedef struct decoded {
    PyObject *bytes; /* NULL: few has them */
    size_t n;
    uint8_t few[1024];
} decoded;

/* pm_decode, without the GIL where that is worth it. */
static pm_status decode_ids(const pm_tokenizer *tok, const pmpy_ids *ids, uint8_t *out, size_t cap, size_t *n, pm_error *err) {
    if (ids->n < PMPY_RELEASE_ABOVE / 4) {
        return pm_decode(tok, ids->data, ids->n, out, cap, n, err);
    }
    PyThreadState *thread = PyEval_SaveThread();
    pm_status status = pm_decode(tok, ids->data, ids->n, out, cap, n, err);
    PyEval_RestoreThread(thread);
    return status;
}

/* Cuts an object that nobody else has seen yet to n bytes. -1: no memory, and *bytes is NULL. */
static int cut_bytes(PyObject **bytes, size_t n) {
#ifdef Py_LIMITED_API
    PyObject *whole = *bytes;
    *bytes = PyBytes_FromStringAndSize(PyBytes_AsString(whole), (Py_ssize_t)n);
    Py_DECREF(whole);
    return *bytes ? 0 : -1;
#else
    return _PyBytes_Resize(bytes, (Py_ssize_t)n);
#endif
}

/* Into d->few when they fit. Else into an object of about the right size, which is cut to length: the end of a large block
 * costs nothing until it is written to. When the guess was too small the number is known. */
static pm_status decode_into(const pm_tokenizer *tok, const pmpy_ids *ids, decoded *d, pm_error *err) {
    size_t cap = sizeof d->few, guess = ids->n > PY_SSIZE_T_MAX / 8 ? PY_SSIZE_T_MAX / 8 : ids->n * 6;
    uint8_t *out = d->few;
    d->bytes = NULL;
    for (;;) {
        if (guess > cap) {
            Py_XDECREF(d->bytes);
            d->bytes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)guess);
            if (!d->bytes) {
                break;
            }
            out = (uint8_t *)PyBytes_AsString(d->bytes);
            cap = guess;
        }
        pm_status status = decode_ids(tok, ids, out, cap, &d->n, err);
        if (status == PM_NO_SPACE && d->n > cap) {
            guess = d->n;
            continue;
        }
        if (status != PM_OK) {
            Py_CLEAR(d->bytes);
            return status;
        }
        if (!d->bytes || d->n == cap || cut_bytes(&d->bytes, d->n) == 0) {
            return PM_OK;
        }
        break;
    }
    PyErr_Clear();
    *err = (pm_error){.status = PM_NO_MEMORY, .offset = PM_NO_OFFSET, .message = "out of memory"};
    return PM_NO_MEMORY;
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
    pm_status status = decode_into(self->tok, &ids, d, &err);
    pmpy_ids_release(&ids);
    if (status != PM_OK) {
        pmpy_raise(state, &err);
        return -1;
    }
    return 0;
}

const char pmpy_decode_doc[] =
    PyDoc_STR("decode($self, ids, /, errors='replace')\n--\n\n"
              "The text of ids: decode_bytes(ids).decode('utf-8', errors).\n\n"
              "ids: a list of int, any iterable of int, or a one-dimensional buffer of whole numbers (numpy, Array).\n"
              "Control ids and reserved slots give nothing, special tokens their text.\n\n"
              "Raises BadIdError (a ValueError) whose .offset is the index of the id, UnicodeDecodeError with\n"
              "errors='strict'.\n\n"
              ">>> tok.decode([])\n"
              "''\n");

PyObject *pmpy_decode(PyObject *op, PyObject *const *args, Py_ssize_t n_args, PyObject *keywords) {
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
        const char *data = d.bytes ? PyBytes_AsString(d.bytes) : (const char *)d.few;
        text = PyUnicode_DecodeUTF8(data, (Py_ssize_t)d.n, errors.n ? errors.c[0] : "replace");
        Py_XDECREF(d.bytes);
    }
    pmpy_strings_release(&errors);
    return text;
}

const char pmpy_decode_bytes_doc[] = PyDoc_STR("decode_bytes($self, ids, /)\n--\n\n"
                                               "The bytes of ids, exactly. Arguments and errors as decode.\n\n"
                                               ">>> tok.decode_bytes(tok.encode(b'\\xff\\x00low'))\n"
                                               "b'\\xff\\x00low'\n");

PyObject *pmpy_decode_bytes(PyObject *op, PyObject *value) {
    decoded d;
    if (decode_value(op, value, &d) < 0) {
        return NULL;
    }
    return d.bytes ? d.bytes : PyBytes_FromStringAndSize((const char *)d.few, (Py_ssize_t)d.n);
}
