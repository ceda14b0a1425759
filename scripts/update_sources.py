#!/usr/bin/env python3
"""Write the lists of sources in Makefile.am anew from the tree: lib/, cli/, tests/unit/, tests/oracle/.

usage: update_sources.py [--check]      --check: change nothing, fail when the lists are not those of the tree

A list is the run of lines behind "NAME = \\" up to the first that does not end in a backslash. Rooms keep the order of the design.
"""
import os
import sys

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
ROOMS = ["base", "text", "corpus", "pretok", "model", "count", "encode", "train", "format"]


def files(folder, endings=(".c", ".h")):
    path = os.path.join(ROOT, folder)
    return sorted(folder + "/" + f for f in os.listdir(path) if f.endswith(endings))


LISTS = {
    "libpiecemill_all_la_SOURCES": [f for room in ROOMS for f in files("lib/" + room)],
    "cli_sources": [f for f in files("cli") if f != "cli/main.c"],
    "unit_SOURCES": files("tests/unit") + files("tests/oracle"),
}


def replace(lines, name, names):
    begin = lines.index(name + " = \\")
    end = begin + 1
    while lines[end].endswith("\\"):
        end += 1
    lines[begin + 1 : end + 1] = [f"\t{f} \\" for f in names[:-1]] + [f"\t{names[-1]}"]


path = os.path.join(ROOT, "Makefile.am")
with open(path) as f:
    old = f.read()
lines = old.split("\n")
for name, names in LISTS.items():
    replace(lines, name, names)
new = "\n".join(lines)
if new != old:
    if "--check" in sys.argv[1:]:
        sys.exit("the lists of sources in Makefile.am are not those of the tree: run scripts/update_sources.py")
    with open(path, "w") as f:
        f.write(new)
