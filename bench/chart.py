"""Charts as SVG, written by hand: readable on light and on dark, without a dependency."""

from html import escape

STYLE = """<style>
text { font: 12px system-ui, sans-serif; fill: #1f2328 } .soft { fill: #59636e } .title { font-weight: 600; font-size: 14px }
.ground { fill: #ffffff } .grid { stroke: #d1d9e0 } .bar { fill: #2f6fdb } .range { stroke: #1f2328; stroke-width: 1.5 }
.line0 { stroke: #2f6fdb; fill: none } .line1 { stroke: #bc4c00; fill: none } .line2 { stroke: #1a7f37; fill: none }
.dot0 { fill: #2f6fdb } .dot1 { fill: #bc4c00 } .dot2 { fill: #1a7f37 } polyline { stroke-width: 2 }
@media (prefers-color-scheme: dark) {
text { fill: #f0f6fc } .soft { fill: #9198a1 } .ground { fill: #0d1117 } .grid { stroke: #3d444d } .bar { fill: #4c8bf5 }
.range { stroke: #f0f6fc } .line0 { stroke: #4c8bf5 } .line1 { stroke: #f0883e } .line2 { stroke: #3fb950 }
.dot0 { fill: #4c8bf5 } .dot1 { fill: #f0883e } .dot2 { fill: #3fb950 } }
</style>"""


def document(width, height, parts):
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">'
    ground = f'<rect class="ground" width="{width}" height="{height}" rx="6"/>'
    return "\n".join([head, STYLE, ground, *parts, "</svg>"]) + "\n"


def text(x, y, words, kind="", anchor="start"):
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{escape(words)}</text>'


def line(x1, y1, x2, y2, kind):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


def bars(title, note, rows):
    """`rows` are (name, median, low, high, words) with shares from 0 to 1."""
    left, row_px, width, right = 250, 24, 860, 160
    bottom = 60 + row_px * len(rows)
    # One that is far over the minimum must not press the others together.
    top_share = min(max([1.0, *(high for _, _, _, high, _ in rows)]), 1.25)
    at = lambda share: left + (width - left - right) * min(share, top_share) / top_share
    parts = [text(16, 26, title, "title")]
    for share in (0, 0.25, 0.5, 0.75, 1):
        parts.append(line(at(share), 44, at(share), bottom, "grid"))
        parts.append(text(at(share), bottom + 16, f"{share:.0%}", "soft", "middle"))
    for index, (name, median, low, high, words) in enumerate(rows):
        y = 50 + row_px * index
        parts.append(text(left - 8, y + 13, name, anchor="end"))
        parts.append(f'<rect class="bar" x="{left}" y="{y}" width="{at(median) - left:.1f}" height="{row_px - 7}" rx="2"/>')
        parts.append(line(at(low), y + 8.5, at(high), y + 8.5, "range"))
        parts.append(text(at(max(high, median)) + 8, y + 13, words))
    parts.append(text(16, bottom + 40, note, "soft"))
    return document(width, bottom + 56, parts)


def lines(title, x_name, series, *, logarithmic=True):
    """`series` are (name, [(x, y)]): how a cost grows, each beside the others."""
    import math

    left, width, height, top = 60, 440, 260, 50
    xs = sorted({x for _, points in series for x, _ in points})
    scale = (lambda x: math.log(max(x, 1e-9))) if logarithmic else float
    low, high = scale(xs[0]), scale(xs[-1])
    peak = max(y for _, points in series for _, y in points) or 1.0
    at_x = lambda x: left + (width - left - 20) * ((scale(x) - low) / (high - low) if high > low else 0.5)
    at_y = lambda y: height - 50 - (height - 50 - top) * y / peak
    parts = [text(16, 24, title, "title")]
    for part in (0, 0.5, 1):
        parts.append(line(left, at_y(part * peak), width - 20, at_y(part * peak), "grid"))
        parts.append(text(left - 6, at_y(part * peak) + 4, f"{part * peak:.3g}", "soft", "end"))
    for x in xs:
        parts.append(text(at_x(x), height - 34, f"{x:g}" if x < 1e4 else f"{x / 1e3:g}k", "soft", "middle"))
    parts.append(text(width - 20, height - 16, x_name, "soft", "end"))
    for number, (name, points) in enumerate(series):
        path = " ".join(f"{at_x(x):.1f},{at_y(y):.1f}" for x, y in points)
        parts.append(f'<polyline class="line{number}" points="{path}"/>')
        parts += [f'<circle class="dot{number}" cx="{at_x(x):.1f}" cy="{at_y(y):.1f}" r="3"/>' for x, y in points]
        parts.append(text(16 + 138 * number, 42, f"● {name}", f"dot{number}"))
    return width, height, parts


def grid(charts, columns=2):
    """Several of [`lines`] in one picture."""
    width, height = charts[0][0], charts[0][1]
    parts = []
    for index, (_, _, inner) in enumerate(charts):
        x, y = width * (index % columns), height * (index // columns)
        parts.append(f'<g transform="translate({x},{y})">' + "\n".join(inner) + "</g>")
    return document(width * min(columns, len(charts)), height * -(-len(charts) // columns), parts)
