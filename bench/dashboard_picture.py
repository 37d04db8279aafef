"""What the dashboard's panels showed, drawn without Grafana: `python -m bench.dashboard_picture DATA PICTURE`.

DATA is what `bench.five_numbers --panels DATA` wrote: the answers to every query of every panel, which are put where the
dashboard has them. matplotlib comes with the extra `bench`: `.venv/bin/pip install -r infra/python/bench.lock`.
"""

import io
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import matplotlib as mpl
import typer
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from bench.five_numbers_panels import STEP_SECONDS, Captured

mpl.use("Agg")
COLUMN_INCHES: Final = 0.7
ROW_INCHES: Final = 0.25
DOTS_PER_INCH: Final = 72
HEAD_ROWS: Final = 2
FOOT_ROWS: Final = 1
COLOURS: Final = 96
TITLE: Final = (
    "tokenflow: what the panels' queries returned during a run of bench/five_numbers.py (minutes; drawn without Grafana)"
)
MARGINS: Final = {"stat": (0.4, 0.3, 0.4, 1.3), "timeseries": (0.8, 1.9, 0.5, 1.4)}
"""Columns and rows between a panel's border and its axes: left, below, right, above."""
FACTORS: Final = {"percentunit": 100.0, "bytes": 2**-20}
MOST_NAMES: Final = 4
"""With more series than that, those that are always 0 have no name in the legend."""
TEN: Final = 10
BLUE: Final = "#1f77b4"


def draw(captured: Sequence[Captured], path: Path) -> None:
    """Draw the panels at their places."""
    rows = max(each["top"] + each["height"] for each in captured) + HEAD_ROWS + FOOT_ROWS
    figure = Figure(figsize=(24 * COLUMN_INCHES, rows * ROW_INCHES), dpi=DOTS_PER_INCH, facecolor="white")
    figure.text(0.5, 1 - 0.8 / rows, TITLE, ha="center", va="center", fontsize=12)
    last = max(point[0] for each in captured for series in each["series"] for point in series["points"])
    for each in captured:
        left, bottom, right, top = MARGINS[each["kind"]]
        inside = (
            (each["left"] + left) / 24,
            (rows - HEAD_ROWS - each["top"] - each["height"] + bottom) / rows,
            (each["width"] - left - right) / 24,
            (each["height"] - bottom - top) / rows,
        )
        _draw_panel(figure.add_axes(inside), each, last / 60)
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png")
    Image.open(drawn).convert("RGB").quantize(COLOURS).save(path, optimize=True)


def _draw_panel(axes: Axes, panel: Captured, minutes: float) -> None:
    axes.set_title(f"{panel['title']}  [{_unit(panel['unit'])}]", fontsize=10, loc="left", pad=4)
    axes.set_xlim(0, minutes)
    if panel["kind"] == "stat":
        _draw_number(axes, panel)
        return
    moving = [series["name"] for series in panel["series"] if any(value for _, value in series["points"])]
    named = moving if moving and len(panel["series"]) > MOST_NAMES else [series["name"] for series in panel["series"]]
    for series in panel["series"]:
        moments, values = _with_gaps(series["points"], FACTORS.get(panel["unit"], 1))
        axes.plot(moments, values, linewidth=1.4, label=series["name"] if series["name"] in named else None)
    axes.set_ylim(bottom=0)
    axes.grid(visible=True, color="#dddddd", linewidth=0.6)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    if panel["series"]:
        axes.legend(
            loc="upper left",
            bbox_to_anchor=(-0.02, -0.13),
            borderaxespad=0,
            fontsize=7.5,
            ncols=max(2, panel["width"] // 3),
            frameon=False,
            handlelength=1,
            columnspacing=1,
        )
    else:
        axes.text(0.5, 0.5, "no data", transform=axes.transAxes, ha="center", color="grey")


def _draw_number(axes: Axes, panel: Captured) -> None:
    """Draw the value in the middle of the time, large, over its course."""
    axes.set_axis_off()
    for series in panel["series"]:
        moments, values = _with_gaps(series["points"], FACTORS.get(panel["unit"], 1))
        axes.fill_between(moments, values, color=BLUE, alpha=0.18, linewidth=0)
        middle = values[len(values) // 2]
        text = f"{middle:,.{_digits(middle, panel['unit'])}f} {_unit(panel['unit'])}"
        axes.text(0.5, 0.45, text, transform=axes.transAxes, ha="center", va="center", fontsize=19)
    axes.set_ylim(bottom=0)


def _with_gaps(points: Sequence[Sequence[float]], factor: float) -> tuple[list[float], list[float]]:
    """Return minutes and values, with a break in the line where Prometheus had no number."""
    minutes: list[float] = []
    values: list[float] = []
    before = points[0][0]
    for moment, value in points:
        if moment - before > STEP_SECONDS * 1.5:
            minutes.append(moment / 60)
            values.append(math.nan)
        minutes.append(moment / 60)
        values.append(value * factor)
        before = moment
    return minutes, values


def _unit(unit: str) -> str:
    named = {"s": "s", "percentunit": "%", "bytes": "MiB", "reqps": "requests/s", "ops": "a second"}
    return named.get(unit, unit.removeprefix("suffix: "))


def _digits(value: float, unit: str) -> int:
    return 1 if unit == "percentunit" else 2 if unit == "s" and value < TEN else 0


def main(
    data: Annotated[Path, typer.Argument(help="What bench.five_numbers --panels wrote.")],
    picture: Annotated[Path, typer.Argument(help="The PNG to write.")],
) -> None:
    """Draw the dashboard's panels."""
    draw(json.loads(data.read_text("utf-8")), picture)


if __name__ == "__main__":
    typer.run(main)
