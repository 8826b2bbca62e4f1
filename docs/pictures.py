"""Draws the pictures of the documentation: ``npm run pictures``."""

from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib as mpl

import tokenvis as tv

IMAGES = Path(__file__).parent / "images"


def main() -> None:
    """Draw each picture from the demo traces, in a database of its own."""
    mpl.use("agg")
    IMAGES.mkdir(exist_ok=True)
    with TemporaryDirectory() as folder:
        store = tv.Store(Path(folder) / "sqlite.db")
        tv.seed_demo(store=store)
        spans = tv.load_spans("multi-agent-workflow", store=store)
    pictures = {
        "timeline": tv.plot_timeline(spans),
        "timeline-by-agent": tv.plot_timeline(spans, by="agent_id", hue="location_id"),
    }
    for name, ax in pictures.items():
        ax.figure.savefig(IMAGES / f"{name}.png", dpi=140, metadata={"Software": None})


if __name__ == "__main__":
    main()
