/* kinds.c - the tables of kinds.h. */
#include "pretok/kinds.h"

#include "pretok/kinds_table.h"
