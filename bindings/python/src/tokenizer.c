/* tokenizer.c - Tokenizer: its life, its files, its vocabulary. Encoding and decoding are in codec.c.
 *
 * A pm_tokenizer never changes; beside it the object has what its training saw. */
#include "binding.h"

#include <stdlib.h>

/* ---- life ---- */

PyObject *pmpy_tokenizer_wrap(pmpy_state *state, pm_tokenizer *tok, const pm_train_summary *summary, PyObject *sources) {
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
    Py_XINCREF(sources);
    self->sources = sources;
    return (PyObject *)self;
}

static void tokenizer_dealloc(PyObject *op) {
    pmpy_tokenizer *self = (pmpy_tokenizer *)op;
    PyTypeObject *type = Py_TYPE(op);
    if (self->weakrefs) {
        PyObject_ClearWeakRefs(op);
    }
    Py_CLEAR(self->sources);
    pm_tokenizer_free(self->tok);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(op);
    Py_DECREF(type);
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
                          "unknown format; the formats are native, tiktoken, hf, hf-vocab, bert, sentencepiece, bytepiece, tekken, llama2c and gguf");
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
    if (!PyUnicode_FSConverter(values[0], &a->path) ||
        pmpy_strings_init(&a->patterns, values[1], "pattern", false) < 0 ||
        pmpy_special_tokens_init(state, &a->special, values[2]) < 0 ||
        parse_format(state, values[3], &a->options.format) < 0) {
        load_arguments_release(a);
        return -1;
    }
    int any_unicode = values[4] ? PyObject_IsTrue(values[4]) : 0;
    if (any_unicode < 0) {
        load_arguments_release(a);
        return -1;
    }
    a->options.flags = any_unicode ? PM_LOAD_ANY_UNICODE : 0;
    a->options.patterns = a->patterns.c;
    a->options.n_patterns = a->patterns.n;
    a->options.special_tokens = a->special.tokens;
    a->options.n_special_tokens = a->special.n;
    return 0;
}

PyDoc_STRVAR(
    load_doc,
    "load($type, path, /, pattern=None, special_tokens=None, format=None, *, any_unicode=False)\n--\n\n"
    "Loads a tokenizer from a file.\n\n"
    "path: str or os.PathLike. format: 'native', 'tiktoken', 'hf', 'hf-vocab', 'bert', 'sentencepiece', 'bytepiece', 'tekken', 'llama2c'\n"
    "or 'gguf'; None looks at the content.\n"
    "pattern and special_tokens are for formats that lack them (.tiktoken): pattern is a name ('o200k_base'),\n"
    "a regex or a list of regexes applied in turn; special_tokens a dict of str to id, or a collection of str that\n"
    "get the next free ids. They are added to what the file has.\n"
    "any_unicode: take a native file whose regex was made for another version of Unicode than that of PCRE2 here,\n"
    "which is an UnsupportedError otherwise: characters that are new in one of them may be split differently.\n\n"
    "Raises NotFoundError (also a FileNotFoundError), FileError (an OSError), FormatError with the byte's .offset,\n"
    "VersionError, UnsupportedError, PatternError, InvalidArgumentError.\n\n"
    ">>> import os, tempfile\n"
    ">>> path = os.path.join(tempfile.mkdtemp(), 'low.piecemill')\n"
    ">>> tok.save(path)\n"
    ">>> piecemill.Tokenizer.load(path).encode('low') == tok.encode('low')\n"
    "True\n");

static PyObject *tokenizer_load(PyObject *class, PyObject *const *args, Py_ssize_t n_args, PyObject *keywords) {
    static const char *const names[] = {"path", "pattern", "special_tokens", "format", "any_unicode"};
    pmpy_state *state = PyType_GetModuleState((PyTypeObject *)class);
    PyObject *values[5];
    load_arguments a;
    if (!state || pmpy_arguments("load", args, n_args, keywords, names, 5, 4, 1, values) < 0 ||
        load_arguments_init(state, &a, values) < 0) {
        return NULL;
    }
    pm_tokenizer *tok = NULL;
    pm_error err = {0};
    const char *path = PyBytes_AsString(a.path);
    PyThreadState *thread = PyEval_SaveThread();
    pm_status status = pm_tokenizer_load(&tok, path, &a.options, &err);
    PyEval_RestoreThread(thread);
    load_arguments_release(&a);
    return status == PM_OK ? pmpy_tokenizer_wrap(state, tok, NULL, NULL) : pmpy_raise(state, &err);
}

PyDoc_STRVAR(save_doc,
             "save($self, path, /, format=None, *, lossy=False, tables=False)\n--\n\n"
             "Writes the tokenizer to a file, which appears whole or not at all. Only what gives the same ids for every text is written.\n\n"
             "format: 'native', 'tiktoken', 'hf', 'hf-vocab', 'bert', 'sentencepiece', 'bytepiece', 'llama2c' or 'gguf'; None goes by the ending:\n"
             ".piecemill, .tiktoken, tokenizer.json, .model, .gguf. Any other ending needs the format.\n"
             "lossy: go on where the format cannot hold all, as far as its writer knows how; a list of sentences that say what was lost is\n"
             "returned then, else None.\n"
             "tables: native only: with the encoder's tables ready-made, so that loading takes milliseconds and processes share their memory; the file\n"
             "is several times as large. Byte-level BPE.\n\n"
             "Raises InvalidArgumentError, UnsupportedError (the format cannot carry this tokenizer), FileError.\n\n"
             ">>> import os, tempfile\n"
             ">>> tok.save(os.path.join(tempfile.mkdtemp(), 'tokenizer.json'))\n"
             ">>> tok.save(os.path.join(tempfile.mkdtemp(), 'tokenizer.json'), lossy=True)\n"
             "[]\n");

/* Sentences that tell what is lost, gathered without the GIL: joined by NUL bytes. */
typedef struct sentences {
    char *text;
    size_t len;
    bool failed;
} sentences;

static void keep_sentence(void *user, const char *what) {
    sentences *s = user;
    size_t n = strlen(what) + 1;
    char *grown = s->failed ? NULL : realloc(s->text, s->len + n);
    s->failed = !grown;
    if (grown) {
        s->text = grown;
        memcpy(grown + s->len, what, n);
        s->len += n;
    }
}

static PyObject *sentences_list(const sentences *s) {
    PyObject *list = s->failed ? PyErr_NoMemory() : PyList_New(0);
    for (size_t at = 0; list && at < s->len; at += strlen(s->text + at) + 1) {
        PyObject *text = PyUnicode_DecodeUTF8(s->text + at, (Py_ssize_t)strlen(s->text + at), "replace");
        if (!text || PyList_Append(list, text) < 0) {
            Py_CLEAR(list);
        }
        Py_XDECREF(text);
    }
    return list;
}

static PyObject *tokenizer_save(PyObject *op, PyObject *const *args, Py_ssize_t n_args, PyObject *keywords) {
    static const char *const names[] = {"path", "format", "lossy", "tables"};
    pmpy_tokenizer *self = (pmpy_tokenizer *)op;
    pmpy_state *state = pmpy_state_of(op);
    PyObject *values[4], *path = NULL;
    pm_save_options o = PM_SAVE_OPTIONS_INIT;
    sentences lost = {0};
    if (pmpy_arguments("save", args, n_args, keywords, names, 4, 2, 1, values) < 0 || parse_format(state, values[1], &o.format) < 0) {
        return NULL;
    }
    int lossy = values[2] ? PyObject_IsTrue(values[2]) : 0;
    int tables = values[3] ? PyObject_IsTrue(values[3]) : 0;
    if (lossy < 0 || tables < 0 || !PyUnicode_FSConverter(values[0], &path)) {
        return NULL;
    }
    o.flags = (lossy ? PM_SAVE_LOSSY : 0u) | (tables ? PM_SAVE_TABLES : 0u);
    o.lost = keep_sentence;
    o.lost_user = &lost;
    pm_error err = {0};
    const char *name = PyBytes_AsString(path);
    PyThreadState *thread = PyEval_SaveThread();
    pm_status status = pm_tokenizer_save_with(self->tok, name, &o, &err);
    PyEval_RestoreThread(thread);
    Py_DECREF(path);
    PyObject *result = status != PM_OK ? pmpy_raise(state, &err) : lossy ? sentences_list(&lost) : Py_NewRef(Py_None);
    free(lost.text);
    return result;
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
    static const char *const kinds[] = {"hole", "piece", "special", "control", "reserved", "byte"};
    pm_id id;
    if (parse_id(value, &id) < 0) {
        return NULL;
    }
    unsigned kind = (unsigned)pm_tokenizer_kind(((pmpy_tokenizer *)op)->tok, id);
    return PyUnicode_FromString(kind < sizeof kinds / sizeof *kinds ? kinds[kind] : "unknown");
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
        PyObject *text =
            PyUnicode_DecodeUTF8((const char *)token.text.data, (Py_ssize_t)token.text.len, "surrogateescape");
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
    PyObject *dict =
        Py_BuildValue("{s:K,s:K,s:K,s:K,s:K,s:k,s:N,s:N,s:d}", "documents", (unsigned long long)s->documents,
                         "bytes", (unsigned long long)s->bytes, "words", (unsigned long long)s->words, "distinct",
                         (unsigned long long)s->distinct, "documents_with_special",
                         (unsigned long long)s->documents_with_special, "vocab_size", (unsigned long)s->vocab_size,
                         "smaller_than_asked", PyBool_FromLong(s->smaller_than_asked), "lines_split",
                         PyBool_FromLong(s->lines_split), "seconds", s->seconds);
    if (dict && pmpy_report_into(dict, self->sources) < 0) {
        Py_CLEAR(dict);
    }
    return dict;
}

static PyObject *tokenizer_vocab_size(PyObject *op, void *unused) {
    (void)unused;
    return PyLong_FromUnsignedLong(pm_tokenizer_vocab_size(((pmpy_tokenizer *)op)->tok));
}

static const char *algorithm_name(const pm_tokenizer *tok) {
    switch (pm_tokenizer_algorithm(tok)) {
    case PM_ALGORITHM_BYTEPIECE: return "bytepiece";
    case PM_ALGORITHM_BPE: return "bpe";
    case PM_ALGORITHM_UNIGRAM: return "unigram";
    case PM_ALGORITHM_WORDPIECE: return "wordpiece";
    case PM_ALGORITHM_WORDLEVEL: return "wordlevel";
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
    char hex[PM_HASH_HEX];
    pm_tokenizer_hash(((pmpy_tokenizer *)op)->tok, hex);
    return PyUnicode_FromString(hex);
}

static PyObject *tokenizer_repr(PyObject *op) {
    const pm_tokenizer *tok = ((pmpy_tokenizer *)op)->tok;
    const char *name = pm_tokenizer_pattern_name(tok);
    bool named = name && name[0];
    return PyUnicode_FromFormat("<piecemill.Tokenizer %s, vocab_size %lu%s%s>", algorithm_name(tok),
                                (unsigned long)pm_tokenizer_vocab_size(tok), named ? ", pattern " : "",
                                named ? name : "");
}

/* ---- copies ---- */

static PyObject *tokenizer_copy(PyObject *op, PyObject *unused) {
    (void)unused;
    return Py_NewRef(op);
}

static PyObject *tokenizer_reduce(PyObject *op, PyObject *unused) {
    (void)op;
    (void)unused;
    PyErr_SetString(PyExc_TypeError,
                    "a Tokenizer cannot be pickled yet; save() it and load() it in the other process, or "
                    "let workers be forked: they share its memory");
    return NULL;
}

#define KEYWORDS (METH_FASTCALL | METH_KEYWORDS)

static PyMethodDef methods[] = {
    {"load", PMPY_METHOD(tokenizer_load), KEYWORDS | METH_CLASS, load_doc},
    {"save", PMPY_METHOD(tokenizer_save), KEYWORDS, save_doc},
    {"encode", PMPY_METHOD(pmpy_encode), KEYWORDS, pmpy_encode_doc},
    {"encode_batch", PMPY_METHOD(pmpy_encode_batch), KEYWORDS, pmpy_encode_batch_doc},
    {"encode_with_offsets", PMPY_METHOD(pmpy_encode_with_offsets), KEYWORDS, pmpy_encode_with_offsets_doc},
    {"nbest", PMPY_METHOD(pmpy_nbest), KEYWORDS, pmpy_nbest_doc},
    {"marginals", PMPY_METHOD(pmpy_marginals), KEYWORDS, pmpy_marginals_doc},
    {"decode", PMPY_METHOD(pmpy_decode), KEYWORDS, pmpy_decode_doc},
    {"decode_bytes", pmpy_decode_bytes, METH_O, pmpy_decode_bytes_doc},
    {"id_to_piece", tokenizer_id_to_piece, METH_O,
     PyDoc_STR("id_to_piece($self, id, /)\n--\n\n"
               "The bytes of an id: a piece, a special token's text, a control's name, b'' for a reserved slot.\n\n"
               "Raises BadIdError (a ValueError) when no token has this id.\n\n"
               ">>> tok.id_to_piece(tok.piece_to_id(b'low'))\n"
               "b'low'\n")},
    {"piece_to_id", tokenizer_piece_to_id, METH_O,
     PyDoc_STR("piece_to_id($self, piece, /)\n--\n\n"
               "The id of a piece (bytes, or a str as UTF-8), else of a special token or control with this text, else "
               "None.\n\n"
               ">>> tok.piece_to_id('not in here') is None\n"
               "True\n")},
    {"piece_count", tokenizer_piece_count, METH_O,
     PyDoc_STR("piece_count($self, id, /)\n--\n\n"
               "How often a piece was counted in training: BytePiece's weight; for BPE the pair's count when it was "
               "merged; 0\n"
               "when the file does not say. Raises BadIdError.\n\n"
               ">>> tok.piece_count(tok.piece_to_id(b'low')) > 0\n"
               "True\n")},
    {"kind", tokenizer_kind, METH_O,
     PyDoc_STR("kind($self, id, /)\n--\n\n"
               "What an id is: 'piece', 'special', 'control', 'reserved', or 'hole' when no token has it.\n\n"
               ">>> tok.kind(0), tok.kind(10 ** 9)\n"
               "('piece', 'hole')\n")},
    {"__copy__", tokenizer_copy, METH_NOARGS,
     PyDoc_STR("__copy__($self, /)\n--\n\nThe tokenizer itself: it never changes.")},
    {"__deepcopy__", tokenizer_copy, METH_O,
     PyDoc_STR("__deepcopy__($self, memo, /)\n--\n\nThe tokenizer itself: it never changes.")},
    {"__reduce__", tokenizer_reduce, METH_NOARGS,
     PyDoc_STR("__reduce__($self, /)\n--\n\nRaises TypeError: save() and load() instead.")},
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
     PyDoc_STR("The splitting regex, a list of several applied in turn, '' for none; None for BytePiece, which has no "
               "pattern."),
     NULL},
    {"pattern_name", tokenizer_pattern_name, NULL,
     PyDoc_STR("The pattern's name ('o200k_base'), None when it has none."), NULL},
    {"special_tokens", tokenizer_special_tokens, NULL,
     PyDoc_STR("The special tokens, a new dict of str to id, in order of id."), NULL},
    {"lossless", tokenizer_lossless, NULL, PyDoc_STR("Whether decode_bytes(encode(x)) == x for any bytes x."), NULL},
    {"settings", tokenizer_settings, NULL,
     PyDoc_STR("The training settings that the model recorded, a new dict of str to str."), NULL},
    {"hash", tokenizer_hash, NULL,
     PyDoc_STR("32 hexadecimal digits, equal for tokenizers that give the same ids, whatever file they came from."),
     NULL},
    {"training_summary", tokenizer_summary, NULL,
     PyDoc_STR("What the training that made this tokenizer saw, a new dict: documents, bytes, words, distinct,\n"
               "documents_with_special, vocab_size, smaller_than_asked, lines_split, seconds; sources (a dict for each "
               "file: name,\nweight, documents and bytes read, taken_documents, taken_bytes, duplicates left out) and "
               "scripts (bytes taken by\nscript; None unless mix, sample or remove_duplicates chose). None for a loaded "
               "tokenizer.\n\n"
               ">>> tok.training_summary['documents']\n"
               "9\n"),
     NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMemberDef members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(pmpy_tokenizer, weakrefs), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

PyDoc_STRVAR(
    tokenizer_doc,
    "A vocabulary and its rules: text to ids and back. Made by Tokenizer.load, train and train_from_iterator.\n\n"
    "It never changes: any number of threads may use one at once, and forked workers share its memory.\n\n"
    ">>> import piecemill\n"
    ">>> tok = piecemill.train_from_iterator(['low lower lowest'] * 9, algorithm='bpe', vocab_size=262, "
    "pattern='gpt2')\n"
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
