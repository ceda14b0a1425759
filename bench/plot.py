#!/usr/bin/env python3
"""Draw how time and memory of training grow with the text, from the rows of RESULTS.md, as training.svg (BPE) and bytepiece.svg beside it.

usage: plot.py [RESULTS.md]      bench.py --record does this by itself

Four fields: Chinese and English side by side, seconds above, memory below; both axes by powers of ten or two, so that growth in proportion to the text is a
straight line of one slope. No library: an SVG is lines of text.
"""
import math
import os
import re
import sys
from xml.sax.saxutils import escape

WORK = "train BPE 32,000, 2 threads"
BYTEPIECE = {threads: f"train BytePiece 16,000, {threads} thread{'s' * (threads > 1)}" for threads in (1, 2)}
# Of each file: the works that are drawn, with what stands behind the library's name, and the title.
CHARTS = {
    "training.svg": ({WORK: ""}, f"{WORK}: both axes logarithmic; the same merges but for sentencepiece, which has rules of its own"),
    "bytepiece.svg": ({BYTEPIECE[1]: "", BYTEPIECE[2]: ", 2 threads"}, "train BytePiece 16,000: both axes logarithmic; the same models where both were trained"),
}
FIELDS = [("zh", "Chinese", "seconds"), ("en", "English", "seconds"), ("zh", "Chinese", "memory MB"), ("en", "English", "memory MB")]
COLOURS = {"piecemill": "#c0262d", "gigabpe": "#1f77b4", "rustbpe": "#2f8f4e", "tokenizers": "#8a5fbf", "sentencepiece": "#b07d12",
           "piecemill, 2 threads": "#e08a4f", "bytepiece": "#1f77b4"}
WIDTH, HEIGHT, LEFT, TOP, GAP_X, GAP_Y = 340, 220, 60, 50, 150, 70


def points(rows, works):
    """(text's kind, measure) -> library -> {MB: value}, from rows [work, text, measure, ours, peer, its, ...]. works: as in CHARTS."""
    found = {}
    for work, text, measure, ours, peer, its, *_ in rows:
        name = re.fullmatch(r"([a-z]+)-(\d+)MB\.txt", text)
        if work in works and name:
            field = found.setdefault((name[1], measure), {})
            for library, value in (("piecemill", ours), (peer, its)):
                if library:
                    field.setdefault(library + works[work], {})[int(name[2])] = float(value)
    return found


def ticks(low, high):
    """1, 2, 5, 10, ... from at most low to at least high."""
    steps = [m * 10.0**e for e in range(-3, 7) for m in (1, 2, 5)]
    first = max(i for i, s in enumerate(steps) if s <= low)
    last = min(i for i, s in enumerate(steps) if s >= high)
    return steps[first : last + 1]


def spread(wanted, gap):
    """Heights for labels near the wanted ones, none nearer than gap to the next."""
    placed = {}
    previous = -math.inf
    for name, y in sorted(wanted.items(), key=lambda item: item[1]):
        previous = placed[name] = max(y, previous + gap)
    return placed


def field(series, title, unit, x0, y0):
    """One field as SVG elements; nothing where nothing was measured."""
    if not series:
        return
    sizes = sorted({mb for values in series.values() for mb in values})
    heights = [v for values in series.values() for v in values.values() if v > 0]
    x_ticks, y_ticks = ticks(sizes[0], sizes[-1]), ticks(min(heights), max(heights))

    def at(ticks_, value, length):
        return length * math.log(value / ticks_[0]) / math.log(ticks_[-1] / ticks_[0]) if len(ticks_) > 1 else length / 2

    def place(mb, value):
        return x0 + at(x_ticks, mb, WIDTH), y0 + HEIGHT - at(y_ticks, value, HEIGHT)

    yield f'<text x="{x0}" y="{y0 - 14}" font-weight="bold">{escape(title)}, {escape(unit)}</text>'
    for value in y_ticks:
        _, y = place(x_ticks[0], value)
        yield f'<line x1="{x0}" x2="{x0 + WIDTH}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/><text x="{x0 - 6}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>'
    for mb in x_ticks:
        x, _ = place(mb, y_ticks[0])
        yield f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{y0}" y2="{y0 + HEIGHT}" stroke="#ddd"/><text x="{x:.1f}" y="{y0 + HEIGHT + 16}" text-anchor="middle">{mb:g} MB</text>'
    ends = {}
    for library, values in series.items():
        colour = COLOURS.get(library, "#555")
        line = [place(mb, v) for mb, v in sorted(values.items()) if v > 0]
        yield f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in line)}"/>'
        yield "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in line)
        if line:
            ends[library] = line[-1][1]
    for library, y in spread(ends, 14).items():
        yield f'<text x="{x0 + WIDTH + 8}" y="{y + 4:.1f}" fill="{COLOURS.get(library, "#555")}">{escape(library)}</text>'


def svg(rows, works, title):
    found = points(rows, works)
    width, height = LEFT + 2 * (WIDTH + GAP_X), TOP + 2 * (HEIGHT + GAP_Y)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">',
             f'<rect width="{width}" height="{height}" fill="white"/>',
             f'<text x="{LEFT}" y="18">{escape(title)}</text>']
    for i, (kind, name, measure) in enumerate(FIELDS):
        parts += field(found.get((kind, measure), {}), name, measure, LEFT + (i % 2) * (WIDTH + GAP_X), TOP + (i // 2) * (HEIGHT + GAP_Y))
    return "\n".join(parts) + "\n</svg>\n"


def draw(rows, folder):
    for name, (works, title) in CHARTS.items():
        if points(rows, works):
            with open(os.path.join(folder, name), "w") as f:
                f.write(svg(rows, works, title))


if __name__ == "__main__":
    import bench

    results = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "RESULTS.md")
    with open(results) as f:
        draw(bench.read_table(f.read(), len(bench.COLUMNS)), os.path.dirname(os.path.abspath(results)))
