/* replay.c - runs one fuzz entry without a fuzzing engine: over its seeds and a fixed number of mutations of them.
 *
 * Linked with one fuzz_NAME.c, which gives LLVMFuzzerTestOneInput. The seeds are the files of tests/fuzz/seeds/fuzz_NAME and those that a
 * fuzzer once found a fault with. An entry that finds a difference aborts; so the last line is printed only when all went well. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_SEED = 1 << 16, MUTATIONS = 200 };

static uint64_t next(uint64_t *state) {
    uint64_t z = (*state += UINT64_C(0x9E3779B97F4A7C15));
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

/* Runs the entry on a copy of exactly this size, so that a read past the end is seen by a sanitizer. */
static void run(const uint8_t *data, size_t size) {
    uint8_t *copy = malloc(size + (size == 0));
    if (!copy) {
        abort();
    }
    memcpy(copy, data, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

/* Changes a few bytes, or removes or doubles a stretch. Returns the new size, at most 2 * MAX_SEED. */
static size_t mutate(uint8_t *data, size_t size, uint64_t *state) {
    for (uint64_t changes = 1 + next(state) % 4; changes > 0 && size > 0; changes--) {
        size_t at = next(state) % size;
        size_t len = 1 + next(state) % 16;
        len = len < size - at ? len : size - at;
        switch (next(state) % 4) {
        case 0: data[at] = (uint8_t)next(state); break;
        case 1: data[at] ^= (uint8_t)(1u << next(state) % 8); break;
        case 2:
            memmove(data + at, data + at + len, size - at - len);
            size -= len;
            break;
        default:
            if (size + len <= 2 * MAX_SEED) {
                memmove(data + at + len, data + at, size - at);
                size += len;
            }
        }
    }
    return size;
}

static size_t run_seed(const char *path, uint64_t *state) {
    static uint8_t seed[MAX_SEED], changed[2 * MAX_SEED];
    FILE *f = fopen(path, "rb");
    if (!f) {
        perror(path);
        exit(1);
    }
    size_t size = fread(seed, 1, sizeof seed, f);
    fclose(f);
    run(seed, size);
    for (int i = 0; i < MUTATIONS; i++) {
        memcpy(changed, seed, size);
        run(changed, mutate(changed, size, state));
    }
    return 1 + MUTATIONS;
}

int main(int argc, char **argv) {
    const char *source = getenv("PM_SOURCE");
    const char *name = strrchr(argv[0], '/') ? strrchr(argv[0], '/') + 1 : argv[0];
    char folder[4096], path[8192];
    uint64_t state = 1;
    size_t runs = 0, seeds = 0;

    name = strncmp(name, "lt-", 3) == 0 ? name + 3 : name;
    snprintf(folder, sizeof folder, "%s/tests/fuzz/seeds/fuzz_%s", source ? source : ".",
             strncmp(name, "replay_", 7) == 0 ? name + 7 : name);
    DIR *dir = opendir(argc > 1 ? argv[1] : folder);
    if (!dir) {
        perror(argc > 1 ? argv[1] : folder);
        return 1;
    }
    run((const uint8_t *)"", 0);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (entry->d_name[0] != '.') {
            snprintf(path, sizeof path, "%s/%s", argc > 1 ? argv[1] : folder, entry->d_name);
            runs += run_seed(path, &state);
            seeds++;
        }
    }
    closedir(dir);
    printf("%zu seeds, %zu inputs\n%s: %d passed, %d failed\n", seeds, runs, name, seeds > 0, seeds == 0);
    return seeds == 0;
}
