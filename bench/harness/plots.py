"""The plots, as PNG beside the results. matplotlib comes with the extra `bench`."""

from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from bench.harness.bench import Picture

mpl.use("Agg")
FOLDER = Path(__file__).parents[1] / "plots"


def draw(name: str, picture: Picture) -> None:
    """Draw one."""
    FOLDER.mkdir(exist_ok=True)
    figure = Figure(figsize=(6, 3.4), dpi=90, layout="constrained")
    axes = figure.add_subplot()
    for label, points in picture.lines.items():
        axes.plot(*zip(*points, strict=True), label=label, marker="o" if len(points) <= MARKED else None, linewidth=1.5)
    axes.set(title=picture.title, xlabel=picture.x, ylabel=picture.y)
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    figure.savefig(FOLDER / f"{name}.png")


def drawn() -> list[str]:
    """Name the plots that there are."""
    return sorted(path.stem for path in FOLDER.glob("*.png"))


MARKED = 20
"""A line of so few points shows them."""
