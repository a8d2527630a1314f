"""A storm as a picture: seats taken, line length and answers a second over time, as SVG."""

from __future__ import annotations

from pathlib import Path

WIDTH, HEIGHT, LEFT, TOP = 720, 180, 70, 50


def draw(path: Path, title: str, seen: list[tuple[float, int, int]], came: list[float], seats: int) -> None:
    """Write three graphs, one below the other, over the seconds since the start."""
    end = max([*came, 0.1])
    step = max(end / 60, 0.05)
    rate = [(i * step, sum(i * step <= t < (i + 1) * step for t in came) / step) for i in range(int(end / step) + 1)]
    graphs = [
        (f"seats taken (of {seats})", "#2a7", [(t, float(s)) for t, s, _ in seen], float(seats)),
        ("in line", "#c80", [(t, float(w)) for t, _, w in seen], None),
        ("answers a second", "#36c", rate, None),
    ]
    parts = [f'<text x="{LEFT}" y="28" font-size="18">{title}</text>']
    for i, (name, color, points, mark) in enumerate(graphs):
        parts.append(_graph(TOP + i * (HEIGHT + 50), name, color, points, end, mark))
    size = f'width="{WIDTH + LEFT + 30}" height="{TOP + 3 * (HEIGHT + 50)}"'
    style = 'font-family="sans-serif" font-size="13" style="background:white"'
    path.write_text(f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>{"".join(parts)}</svg>\n')


def _graph(top: int, name: str, color: str, points: list[tuple[float, float]], end: float, mark: float | None) -> str:
    most = max([value for _, value in points] + [mark or 0, 1])

    def at(t: float, value: float) -> tuple[float, float]:
        return LEFT + t / end * WIDTH, top + 20 + HEIGHT * (1 - value / most)

    line = " ".join("{:.1f},{:.1f}".format(*at(t, value)) for t, value in points)
    bottom = top + 20 + HEIGHT
    parts = [
        f'<text x="{LEFT}" y="{top + 12}">{name}</text>',
        f'<path d="M{LEFT},{top + 20} V{bottom} H{LEFT + WIDTH}" fill="none" stroke="#888"/>',
        f'<text x="{LEFT - 8}" y="{top + 26}" text-anchor="end">{most:.0f}</text>',
        f'<text x="{LEFT - 8}" y="{bottom}" text-anchor="end">0</text>',
        f'<text x="{LEFT + WIDTH}" y="{bottom + 18}" text-anchor="end">{end:.1f} s</text>',
        f'<polyline points="{line}" fill="none" stroke="{color}" stroke-width="2"/>',
    ]
    if mark:
        y = at(0, mark)[1]
        parts.append(f'<line x1="{LEFT}" x2="{LEFT + WIDTH}" y1="{y}" y2="{y}" stroke="{color}" stroke-dasharray="4"/>')
    return "".join(parts)
