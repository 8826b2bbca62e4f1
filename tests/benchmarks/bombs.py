"""Time and memory of hostile inputs: ``npm run benchmarks:bombs -- otlp table``, or other formats.

Each bomb of tests/fuzzing that has a size is read at that size and at four times it, in a child process. Time and memory should
be linear functions of the size of the file: the last two columns, seconds per megabyte and bytes per byte at the larger size
compared with the smaller one, should not be above 1. Memory is the peak resident set of the process above that before. Rows are
sorted by the growth of time; bombs that take less than a tenth of a second are left out.
"""

import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS.parent), str(TESTS), str(TESTS / "formats")]

from fuzzing.bombs import BOMBS, MEGABYTE  # noqa: E402
from fuzzing.inputs import bomb_bytes, write_examples  # noqa: E402
from fuzzing.parent import Campaign, Limits, Outcome  # noqa: E402
from test_damage import examples  # noqa: E402

FACTOR = 4
MIN_SIZE = 50_000
MIN_SECONDS = 0.1
LIMITS = Limits(seconds=120, waiting_seconds=600, resident_bytes=6 << 30)


def growth_row(name: str, n_bytes: list[int], outcomes: list[Outcome]) -> tuple[float, str] | None:
    """The growth of time and the row of the table; None if the bomb takes hardly any time."""
    small, large = outcomes
    if large.failure:
        return float("inf"), f"| {name} | {n_bytes[1] / 1e6:,.1f} MB | {large.failure} | | | |"
    if large.seconds < MIN_SECONDS:
        return None
    memory = [max(outcome.peak - outcome.before, MEGABYTE) for outcome in outcomes]
    per_byte = [outcome.seconds / size for outcome, size in zip(outcomes, n_bytes, strict=True)]
    time_growth = per_byte[1] / per_byte[0]
    memory_growth = memory[1] / n_bytes[1] / (memory[0] / n_bytes[0])
    cells = [f"{n_bytes[1] / 1e6:,.1f} MB", f"{large.seconds:.2f} s", f"{memory[1] / 1e6:,.0f} MB"]
    return time_growth, f"| {' | '.join([name, *cells, f'{time_growth:.1f}', f'{memory_growth:.1f}'])} |"


def main() -> None:
    """Print the table."""
    bombs = [name for name, bomb in BOMBS.items() if bomb.size >= MIN_SIZE and not bomb.is_long]
    names = [f"{target}/{bomb}/{variant}" for target in sys.argv[1:] or ["otlp"] for bomb in bombs for variant in (0, 3)]
    with TemporaryDirectory() as folder:
        os.chdir(folder)
        write_examples(Path.cwd(), examples())
        campaign = Campaign("fuzzing.inputs:prepared", Path.cwd(), limits=LIMITS, jobs=1)
        rows = []
        for name in names:
            target, bomb, variant = name.split("/")
            sizes = [BOMBS[bomb].size, BOMBS[bomb].size * FACTOR]
            outcomes = campaign.run([f"{name}/{size}" for size in sizes])
            n_bytes = [len(bomb_bytes(target, bomb, int(variant), size)) for size in sizes]
            rows.append(growth_row(name, n_bytes, outcomes))
        os.chdir(TESTS)
    print("| bomb | file | time | memory | time per byte | memory per byte |\n| --- | --- | --- | --- | --- | --- |")
    print("\n".join(row for _, row in sorted(filter(None, rows), reverse=True)))


if __name__ == "__main__":
    main()
