/* train.c - training from files or from an iterator of documents, with progress and Ctrl-C.
 *
 * The whole of pm_train runs without the GIL. It calls back on this thread, twenty times a second for progress and for
 * each group of documents of an iterator; a callback takes the GIL again (the thread state is kept in `run`), and when
 * it leaves with an exception set it tells the library to stop. The library then ends with PM_CANCELLED, releases what
 * it made, and the exception reaches the user as it is. The progress callback is installed always: it is where Ctrl-C
 * is seen. */
#include "binding.h"

#define GROUP_DOCUMENTS 256
#define GROUP_UNITS ((size_t)64 << 10)

typedef struct run {
    pmpy_state *state;
    PyThreadState *thread; /* while the GIL is released */
    PyObject *callback;    /* progress, or NULL */
    PyObject *iterator;    /* documents, or NULL */
    pm_corpus *corpus;
    pmpy_texts group;      /* documents taken from the iterator and not yet given */
    size_t next;
    uint8_t *utf8; /* of the document given last, unless it was UTF-8 already */
    size_t utf8_cap;
    bool ended;
} run;

/* ---- progress ---- */

static PyStructSequence_Field progress_fields[] = {
    {"phase", "what is being done: 'count words', 'merge', ..."},
    {"done", "how much of it, in units"},
    {"total", "of how much; 0 when it is not known"},
    {"unit", "'bytes', 'merges', 'shards', ..."},
    {"seconds", "since the call began"},
    {"memory", "resident bytes now less those at the start of the call; 0 when not known"},
    {NULL, NULL},
};

PyStructSequence_Desc pmpy_progress_desc = {
    "piecemill.Progress",
    "How far a training is: what the callable given as progress= is called with.\n\n"
    ">>> seen = []\n"
    ">>> _ = piecemill.train_from_iterator(['low lower lowest'] * 9, algorithm='bpe', vocab_size=262, "
    "progress=seen.append)\n"
    ">>> isinstance(seen[0].phase, str) and seen[0].seconds >= 0\n"
    "True\n",
    progress_fields,
    6,
};

static PyObject *progress_object(pmpy_state *state, const pm_progress *p) {
    PyObject *items[6] = {
        PyUnicode_FromString(p->phase ? p->phase : ""),
        PyLong_FromUnsignedLongLong(p->done),
        PyLong_FromUnsignedLongLong(p->total),
        PyUnicode_FromString(p->unit ? p->unit : ""),
        PyFloat_FromDouble(p->seconds),
        PyLong_FromUnsignedLongLong(p->memory),
    };
    PyObject *object = PyStructSequence_New(state->progress);
    bool complete = object != NULL;
    for (Py_ssize_t i = 0; i < 6; i++) {
        complete = complete && items[i];
    }
    for (Py_ssize_t i = 0; i < 6; i++) {
        if (complete) {
            PyStructSequence_SetItem(object, i, items[i]);
        } else {
            Py_XDECREF(items[i]);
        }
    }
    if (!complete) {
        Py_CLEAR(object);
    }
    return object;
}

/* Calls the user's progress. -1: an exception is set. Holds the GIL. */
static int report(run *r, const pm_progress *progress) {
    if (PyErr_Occurred() || PyErr_CheckSignals() < 0) {
        return -1;
    }
    if (!r->callback) {
        return 0;
    }
    PyObject *object = progress_object(r->state, progress);
    PyObject *answer = object ? PyObject_CallFunctionObjArgs(r->callback, object, NULL) : NULL;
    Py_XDECREF(object);
    Py_XDECREF(answer);
    return answer ? 0 : -1;
}

static int on_progress(void *user, const pm_progress *progress) {
    run *r = user;
    PyEval_RestoreThread(r->thread);
    int rc = report(r, progress);
    r->thread = PyEval_SaveThread();
    return rc;
}

/* ---- documents ---- */

/* Takes the next documents from the iterator, so that small ones do not cost a change of the GIL each. Holds the GIL.
 */
static int fill_group(run *r) {
    pmpy_texts_clear(&r->group);
    r->next = 0;
    if (PyErr_Occurred() || PyErr_CheckSignals() < 0) {
        return -1;
    }
    while (!r->ended && r->group.n < GROUP_DOCUMENTS && r->group.total < GROUP_UNITS) {
        PyObject *document = PyIter_Next(r->iterator);
        if (!document) {
            if (PyErr_Occurred()) {
                return -1;
            }
            r->ended = true;
            break;
        }
        int rc = pmpy_texts_add(&r->group, document, true);
        Py_DECREF(document);
        if (rc < 0) {
            return -1;
        }
    }
    return 0;
}

/* The group's document i as UTF-8. Does not touch Python. */
static pm_status document_utf8(run *r, size_t i, pm_bytes *document, pm_error *err) {
    pm_text text = r->group.items[i];
    size_t n;
    pm_status status;
    if (text.form == PM_TEXT_UTF8) {
        *document = (pm_bytes){text.data, text.len};
        return PM_OK;
    }
    while ((status = pm_text_to_utf8(text, r->utf8, r->utf8_cap, &n, err)) == PM_NO_SPACE || n > r->utf8_cap) {
        free(r->utf8);
        r->utf8_cap = n + n / 2;
        r->utf8 = malloc(r->utf8_cap);
        if (!r->utf8) {
            r->utf8_cap = 0;
            *err = (pm_error){.status = PM_NO_MEMORY, .offset = PM_NO_OFFSET, .message = "out of memory"};
            return PM_NO_MEMORY;
        }
    }
    *document = (pm_bytes){r->utf8, n};
    return status;
}

/* Sets the exception for the group's document i, which could not be given. */
static void refuse(run *r, size_t i, const pm_error *err) {
    PyEval_RestoreThread(r->thread);
    if (err->status == PM_BAD_INPUT) {
        pmpy_texts_raise(&r->group, i, r->group.held[i]);
    } else {
        pmpy_raise(r->state, err);
    }
    r->thread = PyEval_SaveThread();
}

static int on_next(void *user, pm_bytes *document) {
    run *r = user;
    if (r->next == r->group.n && !r->ended) {
        PyEval_RestoreThread(r->thread);
        int rc = fill_group(r);
        r->thread = PyEval_SaveThread();
        if (rc < 0) {
            return -1;
        }
    }
    if (r->next == r->group.n) {
        return 0;
    }
    pm_error err = {0};
    if (document_utf8(r, r->next, document, &err) != PM_OK) {
        refuse(r, r->next, &err);
        return -1;
    }
    r->next++;
    return 1;
}

/* ---- arguments ---- */

enum {
    FILES,
    DOCUMENTS,
    ALGORITHM,
    VOCAB_SIZES,
    PATTERN,
    SPECIAL_TOKENS,
    THREADS,
    MEMORY_LIMIT,
    MIN_COUNT,
    NGRAM_ORDER,
    MAX_PIECE_LENGTH,
    ENSURE_UNICODE,
    ISOLATE_DIGITS,
    SPLIT_SCRIPTS,
    EXTEND,
    REQUIRED_PIECES,
    EXCLUDED_PIECES,
    MAX_WORDS,
    UTF8_BOUNDARIES,
    LEVEL,
    CHARACTER_COVERAGE,
    TEMPERATURE,
    TEMPERATURE_BY,
    SPLIT,
    FIELD,
    LAYOUT,
    RESERVE,
    ROUND_TO,
    MAX_WINDOW,
    WEIGHTS,
    SAMPLE_PPM,
    SAMPLE_BYTES,
    SEED,
    REMOVE_DUPLICATES,
    COUNTS,
    MIN_DOCUMENTS,
    MAX_COUNT_PER_DOCUMENT,
    OUT,             /* counting: the count file */
    COUNT_DOCUMENTS, /* counting */
    NGRAMS,          /* counting: the count file that pieces are cut by */
    TMPDIR,
    CHECKPOINT,
    PROGRESS,
    N_ARGUMENTS
};

static const char *const argument_names[N_ARGUMENTS] = {
    [FILES] = "files",
    [DOCUMENTS] = "documents",
    [ALGORITHM] = "algorithm",
    [VOCAB_SIZES] = "vocab_sizes",
    [PATTERN] = "pattern",
    [SPECIAL_TOKENS] = "special_tokens",
    [THREADS] = "threads",
    [MEMORY_LIMIT] = "memory_limit",
    [MIN_COUNT] = "min_count",
    [NGRAM_ORDER] = "ngram_order",
    [MAX_PIECE_LENGTH] = "max_piece_length",
    [ENSURE_UNICODE] = "ensure_unicode",
    [ISOLATE_DIGITS] = "isolate_digits",
    [SPLIT_SCRIPTS] = "split_scripts",
    [EXTEND] = "extend",
    [REQUIRED_PIECES] = "required_pieces",
    [EXCLUDED_PIECES] = "excluded_pieces",
    [MAX_WORDS] = "max_words",
    [UTF8_BOUNDARIES] = "utf8_boundaries",
    [LEVEL] = "level",
    [CHARACTER_COVERAGE] = "character_coverage",
    [TEMPERATURE] = "temperature",
    [TEMPERATURE_BY] = "temperature_by",
    [SPLIT] = "split",
    [FIELD] = "field",
    [LAYOUT] = "layout",
    [RESERVE] = "reserve",
    [ROUND_TO] = "round_to",
    [MAX_WINDOW] = "max_window",
    [WEIGHTS] = "weights",
    [SAMPLE_PPM] = "sample_ppm",
    [SAMPLE_BYTES] = "sample_bytes",
    [SEED] = "seed",
    [REMOVE_DUPLICATES] = "remove_duplicates",
    [COUNTS] = "counts",
    [MIN_DOCUMENTS] = "min_documents",
    [MAX_COUNT_PER_DOCUMENT] = "max_count_per_document",
    [OUT] = "out",
    [COUNT_DOCUMENTS] = "count_documents",
    [NGRAMS] = "ngrams",
    [TMPDIR] = "tmpdir",
    [CHECKPOINT] = "checkpoint",
    [PROGRESS] = "progress",
};

typedef struct arguments {
    pmpy_strings files, patterns, field, tmpdir, checkpoint, required, excluded, counts, out, ngrams;
    pmpy_special_tokens special;
    uint32_t *sizes;
    uint32_t *weights; /* of the files; NULL: all 1 */
    pm_train_options options;
    pm_corpus_options corpus;
    pm_train_summary summary;
    bool count_documents;
} arguments;

static void arguments_release(arguments *a) {
    pmpy_strings_release(&a->files);
    pmpy_strings_release(&a->patterns);
    pmpy_strings_release(&a->field);
    pmpy_strings_release(&a->tmpdir);
    pmpy_strings_release(&a->checkpoint);
    pmpy_strings_release(&a->required);
    pmpy_strings_release(&a->excluded);
    pmpy_strings_release(&a->counts);
    pmpy_strings_release(&a->out);
    pmpy_strings_release(&a->ngrams);
    pmpy_special_tokens_release(&a->special);
    PyMem_Free(a->sizes);
    PyMem_Free(a->weights);
}

static bool given(PyObject *value) { return value && value != Py_None; }

/* The index of a word among `words`; -1: an exception was set. */
static int parse_word(pmpy_state *state, PyObject *value, const char *name, const char *const *words, int n) {
    char sentence[128];
    for (int i = 0; PyUnicode_Check(value) && i < n; i++) {
        if (PyUnicode_CompareWithASCIIString(value, words[i]) == 0) {
            return i;
        }
    }
    if (n == 2) {
        snprintf(sentence, sizeof sentence, "%s must be '%s' or '%s'", name, words[0], words[1]);
    } else {
        snprintf(sentence, sizeof sentence, "%s must be '%s', '%s' or '%s'", name, words[0], words[1], words[2]);
    }
    pmpy_raise_status(state, PM_INVALID_ARGUMENT, PM_NO_OFFSET, sentence);
    return -1;
}

static int parse_words(pmpy_state *state, arguments *a, PyObject **values) {
    static const char *const algorithms[] = {"bytepiece", "bpe"};
    static const char *const splits[] = {"line", "paragraph", "document"};
    static const char *const layouts[] = {"default", "hf"};
    static const char *const levels[] = {"byte", "char"};
    static const char *const languages[] = {"file", "folder"};
    int algorithm = parse_word(state, values[ALGORITHM] ? values[ALGORITHM] : Py_None, "algorithm", algorithms, 2);
    int split = given(values[SPLIT]) ? parse_word(state, values[SPLIT], "split", splits, 3) : 0;
    int layout = given(values[LAYOUT]) ? parse_word(state, values[LAYOUT], "layout", layouts, 2) : 0;
    int level = given(values[LEVEL]) ? parse_word(state, values[LEVEL], "level", levels, 2) : 0;
    int by = given(values[TEMPERATURE_BY]) ? parse_word(state, values[TEMPERATURE_BY], "temperature_by", languages, 2) : 0;
    if (algorithm < 0 || split < 0 || layout < 0 || level < 0 || by < 0) {
        return -1;
    }
    a->options.algorithm = algorithm ? PM_ALGORITHM_BPE : PM_ALGORITHM_BYTEPIECE;
    a->corpus.temperature_by_folder = by;
    a->options.layout = layout ? PM_LAYOUT_HF : PM_LAYOUT_DEFAULT;
    a->options.level = level ? PM_LEVEL_CHARACTER : PM_LEVEL_BYTE;
    a->corpus.split = split == 0 ? PM_SPLIT_LINE : split == 1 ? PM_SPLIT_PARAGRAPH : PM_SPLIT_DOCUMENT;
    return 0;
}

static int parse_sizes(pmpy_state *state, arguments *a, PyObject *value) {
    PyObject *tuple = PySequence_Tuple(value);
    if (!tuple) {
        return -1;
    }
    Py_ssize_t n = PyTuple_Size(tuple);
    a->sizes = PyMem_Calloc((size_t)n + 1, sizeof *a->sizes);
    int rc = 0;
    if (!a->sizes) {
        PyErr_NoMemory();
        rc = -1;
    }
    for (Py_ssize_t i = 0; rc == 0 && i < n; i++) {
        uint64_t size;
        rc = pmpy_unsigned(state, PyTuple_GetItem(tuple, i), "vocab_size", UINT32_MAX - 1, &size);
        a->sizes[i] = rc == 0 ? (uint32_t)size : 0;
    }
    Py_DECREF(tuple);
    a->options.vocab_sizes = a->sizes;
    a->options.n_vocab_sizes = (size_t)n;
    return rc;
}

/* A fraction, 0 where none is given; what is 0 comes as -1, since 0 is the default there. */
static int parse_fraction(PyObject *value, double *out) {
    *out = given(value) ? PyFloat_AsDouble(value) : 0;
    if (*out == -1 && PyErr_Occurred()) {
        return -1;
    }
    *out = given(value) && *out == 0 ? -1 : *out;
    return 0;
}

static int parse_numbers(pmpy_state *state, arguments *a, PyObject **values) {
    static const struct {
        int argument;
        uint64_t max;
    } numbers[] = {{THREADS, 4096},           {MEMORY_LIMIT, UINT64_MAX},     {MIN_COUNT, UINT64_MAX - 1},
                   {NGRAM_ORDER, UINT32_MAX}, {MAX_PIECE_LENGTH, UINT32_MAX}, {RESERVE, UINT32_MAX - 1},
                   {ROUND_TO, UINT32_MAX - 1}, {MAX_WINDOW, UINT64_MAX},     {SAMPLE_PPM, UINT32_MAX},
                   {SAMPLE_BYTES, UINT64_MAX}, {SEED, UINT64_MAX},           {MAX_WORDS, UINT32_MAX},
                   {MIN_DOCUMENTS, UINT64_MAX}, {MAX_COUNT_PER_DOCUMENT, UINT64_MAX}};
    uint64_t got[N_ARGUMENTS] = {0};
    got[MIN_COUNT] = PM_MIN_COUNT_DEFAULT;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        int k = numbers[i].argument;
        if (given(values[k]) && pmpy_unsigned(state, values[k], argument_names[k], numbers[i].max, &got[k]) < 0) {
            return -1;
        }
    }
    if (parse_fraction(values[CHARACTER_COVERAGE], &a->options.character_coverage) < 0 ||
        parse_fraction(values[TEMPERATURE], &a->corpus.temperature) < 0) {
        return -1;
    }
    int unicode = given(values[ENSURE_UNICODE]) ? PyObject_IsTrue(values[ENSURE_UNICODE]) : 1;
    int once = given(values[REMOVE_DUPLICATES]) ? PyObject_IsTrue(values[REMOVE_DUPLICATES]) : 0;
    int digits = given(values[ISOLATE_DIGITS]) ? PyObject_IsTrue(values[ISOLATE_DIGITS]) : 0;
    int scripts = given(values[SPLIT_SCRIPTS]) ? PyObject_IsTrue(values[SPLIT_SCRIPTS]) : 0;
    int documents = given(values[COUNT_DOCUMENTS]) ? PyObject_IsTrue(values[COUNT_DOCUMENTS]) : 0;
    int boundaries = given(values[UTF8_BOUNDARIES]) ? PyObject_IsTrue(values[UTF8_BOUNDARIES]) : 0;
    a->options.threads = pmpy_threads(state, (unsigned)got[THREADS]);
    a->options.memory_limit = got[MEMORY_LIMIT];
    a->options.min_count = got[MIN_COUNT];
    a->options.ngram_order = (uint32_t)got[NGRAM_ORDER];
    a->options.max_piece_length = (uint32_t)got[MAX_PIECE_LENGTH];
    a->options.reserve = (uint32_t)got[RESERVE];
    a->options.round_to = (uint32_t)got[ROUND_TO];
    a->corpus.max_window = got[MAX_WINDOW];
    a->corpus.sample_ppm = (uint32_t)got[SAMPLE_PPM];
    a->corpus.sample_bytes = got[SAMPLE_BYTES];
    a->corpus.seed = got[SEED];
    a->corpus.remove_duplicates = once > 0;
    a->corpus.count_scripts = once > 0 || got[SAMPLE_PPM] || got[SAMPLE_BYTES] || given(values[WEIGHTS]) || a->corpus.temperature != 0;
    a->options.ensure_unicode = unicode > 0;
    a->options.isolate_digits = digits > 0;
    a->options.split_scripts = scripts > 0;
    a->options.max_words = (uint32_t)got[MAX_WORDS];
    a->options.utf8_boundaries = boundaries > 0;
    a->options.min_documents = got[MIN_DOCUMENTS];
    a->options.max_count_per_document = got[MAX_COUNT_PER_DOCUMENT];
    a->count_documents = documents > 0;
    return documents < 0 || unicode < 0 || digits < 0 || scripts < 0 || boundaries < 0 ? -1 : 0;
}

static int parse_strings(pmpy_state *state, arguments *a, PyObject **values) {
    if (pmpy_strings_init(&a->files, values[FILES], "a file", false) < 0 ||
        pmpy_strings_init(&a->patterns, values[PATTERN], "pattern", false) < 0 ||
        pmpy_strings_init(&a->field, values[FIELD], "field", false) < 0 ||
        pmpy_strings_init(&a->tmpdir, values[TMPDIR], "tmpdir", false) < 0 ||
        pmpy_strings_init(&a->counts, values[COUNTS], "a count file", false) < 0 ||
        pmpy_strings_init(&a->out, values[OUT], "out", false) < 0 ||
        pmpy_strings_init(&a->checkpoint, values[CHECKPOINT], "checkpoint", false) < 0 ||
        pmpy_strings_init(&a->ngrams, values[NGRAMS], "pieces", false) < 0 ||
        pmpy_strings_init(&a->required, values[REQUIRED_PIECES], "a required piece", true) < 0 ||
        pmpy_strings_init(&a->excluded, values[EXCLUDED_PIECES], "an excluded piece", true) < 0 ||
        pmpy_special_tokens_init(state, &a->special, values[SPECIAL_TOKENS]) < 0) {
        return -1;
    }
    a->options.patterns = a->patterns.c;
    a->options.n_patterns = a->patterns.n;
    a->options.counts = a->counts.c;
    a->options.n_counts = a->counts.n;
    a->options.required_pieces = a->required.bytes;
    a->options.n_required_pieces = a->required.n;
    a->options.excluded_pieces = a->excluded.bytes;
    a->options.n_excluded_pieces = a->excluded.n;
    a->options.special_tokens = a->special.tokens;
    a->options.n_special_tokens = a->special.n;
    a->options.tmpdir = a->tmpdir.n ? a->tmpdir.c[0] : NULL;
    a->options.checkpoint = a->checkpoint.n ? a->checkpoint.c[0] : NULL;
    a->corpus.field = a->field.n ? a->field.c[0] : NULL;
    return 0;
}

/* One for each file. */
static int parse_weights(pmpy_state *state, arguments *a, PyObject *value) {
    if (!given(value)) {
        return 0;
    }
    a->weights = PyMem_Calloc(a->files.n + 1, sizeof *a->weights);
    if (!a->weights) {
        PyErr_NoMemory();
        return -1;
    }
    for (size_t i = 0; i < a->files.n; i++) {
        PyObject *item = PySequence_GetItem(value, (Py_ssize_t)i);
        uint64_t weight = 0;
        int rc = item ? pmpy_unsigned(state, item, "the weight of a file", UINT32_MAX, &weight) : -1;
        Py_XDECREF(item);
        if (rc < 0) {
            return -1;
        }
        a->weights[i] = (uint32_t)weight;
    }
    return 0;
}

/* A Tokenizer that lives as long as the arguments do. */
static int parse_extend(pmpy_state *state, arguments *a, PyObject *value) {
    if (!given(value)) {
        return 0;
    }
    if (!PyObject_TypeCheck(value, state->tokenizer)) {
        PyErr_Format(PyExc_TypeError, "extend must be a Tokenizer or a path, not %R", (PyObject *)Py_TYPE(value));
        return -1;
    }
    a->options.extend = ((pmpy_tokenizer *)value)->tok;
    return 0;
}

static int arguments_init(pmpy_state *state, arguments *a, PyObject **values) {
    memset(a, 0, sizeof *a);
    a->options = (pm_train_options)PM_TRAIN_OPTIONS_INIT;
    a->corpus = (pm_corpus_options)PM_CORPUS_OPTIONS_INIT;
    a->options.summary = &a->summary;
    if (parse_words(state, a, values) < 0 || parse_numbers(state, a, values) < 0 ||
        parse_strings(state, a, values) < 0 || parse_weights(state, a, values[WEIGHTS]) < 0 ||
        parse_extend(state, a, values[EXTEND]) < 0 ||
        parse_sizes(state, a, values[VOCAB_SIZES] ? values[VOCAB_SIZES] : Py_None) < 0) {
        arguments_release(a);
        return -1;
    }
    return 0;
}

/* ---- the call ---- */

/* Without the GIL. The corpus stays for its report. */
static pm_status open_corpus(run *r, arguments *a, pm_error *err) {
    pm_status status = pm_corpus_new(&r->corpus, &a->corpus, err);
    for (size_t i = 0; status == PM_OK && i < a->files.n; i++) {
        status = pm_corpus_add_file_weighted(r->corpus, a->files.c[i], a->weights ? a->weights[i] : 1, err);
    }
    if (status == PM_OK && r->iterator) {
        status = pm_corpus_add_callback(r->corpus, on_next, r, err);
    }
    return status;
}

/* Without the GIL. */
static pm_status train_tokenizers(run *r, arguments *a, pm_tokenizer **toks, pm_error *err) {
    pm_status status = a->counts.n ? PM_OK : open_corpus(r, a, err);
    if (status == PM_OK) {
        a->options.progress = on_progress;
        a->options.progress_user = r;
        status = pm_train(toks, a->options.n_vocab_sizes, r->corpus, &a->options, err);
    }
    return status;
}

/* A list of Tokenizers that takes all of toks over, on failure too. */
static PyObject *wrap_tokenizers(run *r, const arguments *a, pm_tokenizer **toks) {
    size_t n = a->options.n_vocab_sizes;
    PyObject *sources = r->corpus ? pmpy_corpus_report(r->corpus) : NULL;
    PyObject *list = sources || !r->corpus ? PyList_New((Py_ssize_t)n) : NULL;
    for (size_t i = 0; i < n; i++) {
        pm_train_summary summary = a->summary;
        if (i > 0) { /* the library's summary speaks of the first */
            summary.vocab_size = pm_tokenizer_vocab_size(toks[i]);
            summary.smaller_than_asked = summary.vocab_size < a->sizes[i];
        }
        PyObject *tok = list ? pmpy_tokenizer_wrap(r->state, toks[i], &summary, sources) : NULL;
        if (!list) {
            pm_tokenizer_free(toks[i]);
        } else if (!tok) {
            Py_CLEAR(list);
        } else {
            PMPY_LIST_SET(list, (Py_ssize_t)i, tok);
        }
    }
    Py_XDECREF(sources);
    return list;
}

static PyObject *run_train(run *r, arguments *a) {
    pm_error err = {0};
    size_t n = a->options.n_vocab_sizes;
    pm_tokenizer **toks = PyMem_Calloc(n + 1, sizeof *toks);
    if (!toks) {
        return PyErr_NoMemory();
    }
    r->thread = PyEval_SaveThread();
    pm_status status = train_tokenizers(r, a, toks, &err);
    PyEval_RestoreThread(r->thread);
    PyObject *list = NULL;
    if (PyErr_Occurred() ||
        PyErr_CheckSignals() < 0) { /* the user's own exception goes first, even when training got through */
        for (size_t i = 0; status == PM_OK && i < n; i++) {
            pm_tokenizer_free(toks[i]);
        }
    } else {
        list = status == PM_OK ? wrap_tokenizers(r, a, toks) : pmpy_raise(r->state, &err);
    }
    pm_corpus_free(r->corpus);
    PyMem_Free(toks);
    return list;
}

const char pmpy_train_doc[] =
    "Trains tokenizers: the inside of piecemill.train, which checks and documents the arguments.";

/* Sorts the arguments and runs `work` with them. */
static PyObject *call(PyObject *module, const char *name, PyObject *const *args, Py_ssize_t n_args, PyObject *keywords,
                      PyObject *(*work)(run *, arguments *)) {
    pmpy_state *state = pmpy_module_state(module);
    PyObject *values[N_ARGUMENTS];
    arguments a;
    run r = {.state = state};
    if (pmpy_arguments(name, args, n_args, keywords, argument_names, N_ARGUMENTS, 0, 0, values) < 0 ||
        arguments_init(state, &a, values) < 0) {
        return NULL;
    }
    r.callback = given(values[PROGRESS]) ? values[PROGRESS] : NULL;
    r.iterator = given(values[DOCUMENTS]) ? PyObject_GetIter(values[DOCUMENTS]) : NULL;
    pmpy_texts_init(&r.group);
    PyObject *result = given(values[DOCUMENTS]) && !r.iterator ? NULL : work(&r, &a);
    pmpy_texts_release(&r.group);
    free(r.utf8);
    Py_XDECREF(r.iterator);
    arguments_release(&a);
    return result;
}

PyObject *pmpy_train(PyObject *module, PyObject *const *args, Py_ssize_t n_args, PyObject *keywords) {
    return call(module, "train", args, n_args, keywords, run_train);
}

/* ---- counting ---- */

static pm_counts_options counts_options(run *r, arguments *a) {
    pm_counts_options o = PM_COUNTS_OPTIONS_INIT;
    o.patterns = a->options.patterns;
    o.n_patterns = a->options.n_patterns;
    o.split_scripts = a->options.split_scripts;
    o.documents = a->count_documents;
    o.max_count_per_document = a->options.max_count_per_document;
    o.algorithm = a->options.algorithm;
    o.ngrams = a->ngrams.n ? a->ngrams.c[0] : NULL;
    o.ngram_order = a->options.ngram_order;
    o.isolate_digits = a->options.isolate_digits;
    o.min_count = a->options.min_count;
    o.ensure_unicode = a->options.ensure_unicode;
    o.threads = a->options.threads;
    o.memory_limit = a->options.memory_limit;
    o.tmpdir = a->options.tmpdir;
    o.progress = on_progress;
    o.progress_user = r;
    o.summary = &a->summary;
    return o;
}

static PyObject *summary_dict(run *r, const pm_train_summary *s) {
    PyObject *sources = r->corpus ? pmpy_corpus_report(r->corpus) : NULL;
    PyObject *dict = Py_BuildValue("{s:K,s:K,s:K,s:K,s:N,s:d}", "documents", (unsigned long long)s->documents, "bytes",
                                   (unsigned long long)s->bytes, "words", (unsigned long long)s->words, "distinct",
                                   (unsigned long long)s->distinct, "lines_split", PyBool_FromLong(s->lines_split), "seconds", s->seconds);
    if (dict && r->corpus && (!sources || pmpy_report_into(dict, sources) < 0)) {
        Py_CLEAR(dict);
    }
    Py_XDECREF(sources);
    return dict;
}

/* From a corpus, or (with count files) a merge. */
static PyObject *run_count(run *r, arguments *a) {
    pm_counts_options o = counts_options(r, a);
    pm_error err = {0};
    r->thread = PyEval_SaveThread();
    pm_status status = a->counts.n ? PM_OK : open_corpus(r, a, &err);
    if (status == PM_OK) {
        status = a->counts.n ? pm_counts_merge(a->out.c[0], a->counts.c, a->counts.n, &o, &err) : pm_count(a->out.c[0], r->corpus, &o, &err);
    }
    PyEval_RestoreThread(r->thread);
    PyObject *summary = NULL;
    if (!PyErr_Occurred() && PyErr_CheckSignals() == 0) {
        summary = status == PM_OK ? summary_dict(r, &a->summary) : pmpy_raise(r->state, &err);
    }
    pm_corpus_free(r->corpus);
    return summary;
}

const char pmpy_count_doc[] = "Counts words or merges counts: the inside of piecemill.count_corpus and merge_counts, which check the arguments.";

PyObject *pmpy_count(PyObject *module, PyObject *const *args, Py_ssize_t n_args, PyObject *keywords) {
    return call(module, "count", args, n_args, keywords, run_count);
}
