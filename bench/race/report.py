"""Tables on standard output, JSON, and an SVG of the panels: one bar an engine, logarithmic, no library."""

import html
import json
import math

COLOURS = {"freshet": "#0b6e99", "duckdb": "#e0a100", "chdb": "#b03a2e", "questdb": "#6b4fa0"}


def geometric_mean(values):
    values = [value for value in values if value > 0]
    return math.exp(sum(map(math.log, values)) / len(values)) if values else 0.0


def print_table(head, rows):
    """The first column left, the others right; numbers come as text."""
    widths = [max(len(str(row[index])) for row in [head, *rows]) for index in range(len(head))]
    for row in [head, *rows]:
        print("  ".join(str(value).ljust(width) if index == 0 else str(value).rjust(width)
                        for index, (value, width) in enumerate(zip(row, widths))))


def print_panels(panels, peers):
    """panels: [{"panel", "ms": {engine: median CPU ms}, "wall_ms", "rows"}]; "by the clock" is Freshet's wall time; the ratio is peer / Freshet: above 1 Freshet is faster."""
    head = ["panel", "rows", "by the clock", "freshet ms", *(f"{peer} ms" for peer in peers), *(f"{peer}/freshet" for peer in peers)]
    rows = []
    for panel in panels:
        ms = panel["ms"]
        rows.append([panel["panel"], panel["rows"], f"{panel['wall_ms']['freshet']:.1f}", f"{ms['freshet']:.2f}", *(f"{ms[peer]:.2f}" for peer in peers),
                     *(f"{ms[peer] / ms['freshet']:.2f}" for peer in peers)])
    means = {peer: geometric_mean([panel["ms"][peer] / panel["ms"]["freshet"] for panel in panels]) for peer in peers}
    if peers:
        rows.append(["geometric mean of ratios", "", "", "", *("" for _ in peers), *(f"{means[peer]:.2f}" for peer in peers)])
    print_table(head, rows)
    return means


def print_variants(panels, variants):
    """Freshet with other settings beside Freshet as it was asked; the ratio is as asked / variant: above 1 the variant is faster."""
    for variant in variants:
        print(f"\nFreshet with {variant}, in the same runs\n")
        head = ["panel", "CPU ms", "with it", "ratio", "by the clock", "with it", "ratio"]
        ratios = {clock: [panel[clock]["freshet"] / panel[clock][variant] for panel in panels] for clock in ("ms", "wall_ms")}
        rows = []
        for index, panel in enumerate(panels):
            cells = ((f"{panel[clock]['freshet']:.2f}", f"{panel[clock][variant]:.2f}", f"{ratios[clock][index]:.2f}") for clock in ratios)
            rows.append([panel["panel"], *(cell for three in cells for cell in three)])
        means = [f"{geometric_mean(values):.2f}" for values in ratios.values()]
        print_table(head, [*rows, ["geometric mean of ratios", "", "", means[0], "", "", means[1]]])


def write_svg(path, title, panels, engines):
    left, right, bar, gap, top = 290, 90, 13, 12, 56
    width = 960
    row = bar * len(engines) + gap
    height = top + row * len(panels) + 30
    low = min(min(panel["ms"].values()) for panel in panels) * 0.7
    high = max(max(panel["ms"].values()) for panel in panels)
    span = math.log(high / low)

    def x(value):
        return left + (width - left - right) * math.log(max(value, low) / low) / span

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
           'font-family="sans-serif" font-size="12">', f'<rect width="{width}" height="{height}" fill="white"/>',
           f'<text x="10" y="20" font-size="15">{html.escape(title)}</text>']
    for index, engine in enumerate(engines):
        out.append(f'<rect x="{left + 110 * index}" y="30" width="11" height="11" fill="{COLOURS[engine]}"/>'
                   f'<text x="{left + 110 * index + 16}" y="40">{engine}</text>')
    decade = 10 ** math.ceil(math.log10(low))
    while decade <= high:
        out.append(f'<line x1="{x(decade):.1f}" x2="{x(decade):.1f}" y1="{top - 6}" y2="{height - 24}" stroke="#ddd"/>'
                   f'<text x="{x(decade):.1f}" y="{height - 8}" text-anchor="middle" fill="#666">{decade:g} ms</text>')
        decade *= 10
    for number, panel in enumerate(panels):
        y = top + row * number
        out.append(f'<text x="{left - 8}" y="{y + row / 2}" text-anchor="end">{html.escape(panel["panel"])}</text>')
        for index, engine in enumerate(engines):
            value = panel["ms"][engine]
            out.append(f'<rect x="{left}" y="{y + bar * index}" width="{max(x(value) - left, 1):.1f}" height="{bar - 2}" '
                       f'fill="{COLOURS[engine]}"/><text x="{x(value) + 4:.1f}" y="{y + bar * index + 10}" font-size="10">{value:.1f}</text>')
    out.append("</svg>")
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(out) + "\n")


def write_json(path, result):
    with open(path, "w", encoding="utf-8") as file:
        json.dump(result, file, indent=1)
        file.write("\n")
