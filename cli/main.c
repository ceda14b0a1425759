/* main.c - the program. */
#include "cli.h"

int main(int argc, char **argv) { return pm_cli_main(argc, argv); }
