/* cli.h - the `piecemill` command as a function, for the program and for the Python package. */
#ifndef PM_CLI_H
#define PM_CLI_H

/* Runs the command and returns its exit code. Prints to stdout and stderr. */
int pm_cli_main(int argc, char **argv);

#endif
