"""Puts what was measured where people read it: between two marks of a page, so that nobody types a figure."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def between(page, mark, text):
    """Replaces what stands between `<!-- MARK begin -->` and `<!-- MARK end -->` in a page of the project."""
    path = ROOT / page
    before = path.read_text()
    marks = re.compile(rf"(<!-- {mark} begin[^\n]*-->\n).*?(<!-- {mark} end -->)", re.DOTALL)
    after, number = marks.subn(lambda found: found[1] + text.rstrip() + "\n" + found[2], before)
    if number != 1:
        raise ValueError(f"{page} has {number} places marked '{mark}', not one")
    path.write_text(after)


def picture(name, svg):
    (ROOT / name).write_text(svg)
