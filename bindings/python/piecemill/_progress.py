"""A text progress bar for a long call: what progress=True shows on standard error."""

import sys
from typing import Optional, TextIO

from ._piecemill import Progress

_WIDTH = 24


def _scaled(n: float) -> str:
    for letter in ("", "K", "M", "G"):
        if n < 1024:
            return f"{n:.0f}{letter}" if n >= 100 or not letter else f"{n:.1f}{letter}"
        n /= 1024
    return f"{n:.1f}T"


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


class Bar:
    """Draws one line that is redrawn, or, when the stream is no terminal, one line a phase.

    >>> import sys
    >>> bar = Bar(sys.stdout)
    >>> bar(piecemill.Progress(("merge", 0, 100, "merges", 1.0, 0)))
    piecemill: merge
    >>> bar.close()
    """

    def __init__(self, stream: Optional[TextIO] = None) -> None:
        self.stream = sys.stderr if stream is None else stream
        self.terminal = self.stream is not None and self.stream.isatty()
        self.phase = ""
        self.began = 0.0
        self.done = 0  # when the phase began: it may go on where it was before
        self.width = 0

    def __call__(self, progress: Progress) -> None:
        if self.stream is None:  # pythonw and the like have no standard error
            return
        if progress.phase != self.phase:
            self.phase = progress.phase
            self.began = progress.seconds
            self.done = progress.done
            if not self.terminal:
                print(f"piecemill: {progress.phase}", file=self.stream, flush=True)
        if self.terminal:
            self._draw(self.line(progress))

    def line(self, progress: Progress) -> str:
        """The line for one report: phase, share, rate, time left, memory."""
        spent = progress.seconds - self.began
        rate = (progress.done - self.done) / spent if spent > 0 else 0.0
        unit = "B" if progress.unit == "bytes" else " " + progress.unit
        parts = [progress.phase]
        if progress.total:
            share = min(1.0, progress.done / progress.total)
            full = int(share * _WIDTH)
            parts.append(f"[{'#' * full}{'.' * (_WIDTH - full)}] {share:4.0%}")
        elif progress.done:
            parts.append(f"{_scaled(progress.done)}{unit}")
        if rate:
            parts.append(f"{_scaled(rate)}{unit}/s")
        parts.append(_clock(progress.seconds))
        if progress.total and rate:
            parts.append(f"ETA {_clock((progress.total - min(progress.done, progress.total)) / rate)}")
        if progress.memory:
            parts.append(f"{_scaled(progress.memory)}B memory")
        return "  ".join(parts)

    def _draw(self, line: str) -> None:
        self.stream.write("\r" + line + " " * (self.width - len(line)))
        self.stream.flush()
        self.width = len(line)

    def close(self) -> None:
        """Ends the line."""
        if self.terminal and self.width:
            self.stream.write("\n")
            self.stream.flush()
            self.width = 0
