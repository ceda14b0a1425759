/* cli.c - the table of commands. */
#include "cli.h"

#include <stdio.h>
#include <string.h>

#include "common.h"

static const cli_command commands[] = {
    {"train", "make a vocabulary from text", cmd_train},
    {"encode", "turn text into ids", cmd_encode},
    {"decode", "turn ids into text", cmd_decode},
    {"count", "count the words of text, for training elsewhere or later", cmd_count},
    {"merge", "add up files that count made", cmd_merge},
    {"convert", "write a tokenizer in another format", cmd_convert},
    {"inspect", "tell what a tokenizer file holds", cmd_inspect},
};

enum { N_COMMANDS = sizeof commands / sizeof *commands };

static void list_commands(FILE *to) {
    for (int i = 0; i < N_COMMANDS; i++) {
        fprintf(to, "  %-10s %s\n", commands[i].name, commands[i].summary);
    }
}

static int help(void) {
    printf("usage: piecemill COMMAND [OPTION]... [FILE]...\n\n"
           "Train tokenizer vocabularies and tokenize text. Commands:\n\n");
    list_commands(stdout);
    printf("\n`piecemill COMMAND --help` tells the options of a command; the manual is piecemill(1).\n");
    return CLI_OK;
}

static int version(void) {
    const char *cpu = pm_processor();
    printf("piecemill %s (%s cpu=%s)\n", pm_version(), pm_features(), cpu ? cpu : "?");
    return CLI_OK;
}

/* printf keeps what it cannot write, or drops it when its buffer is full; a full disk or a closed pipe shows here. */
static int finish(int code) {
    bool lost = fflush(stdout) != 0 || ferror(stdout);
    clearerr(stdout);
    if (lost && code == CLI_OK) {
        cli_say("standard output: cannot write");
        return CLI_MACHINE;
    }
    return code;
}

static int run(int argc, char **argv) {
    if (argc < 2) {
        fprintf(stderr, "piecemill: a command is missing; there are:\n");
        list_commands(stderr);
        return CLI_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        return help();
    }
    if (strcmp(argv[1], "--version") == 0) {
        return version();
    }
    for (int i = 0; i < N_COMMANDS; i++) {
        if (strcmp(argv[1], commands[i].name) == 0) {
            return commands[i].run(argc - 1, argv + 1);
        }
    }
    cli_say("\"%s\" is not a command; there are:", argv[1]);
    list_commands(stderr);
    return CLI_USAGE;
}

int pm_cli_main(int argc, char **argv) { return finish(run(argc, argv)); }
