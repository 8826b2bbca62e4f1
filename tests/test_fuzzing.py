"""Fuzzed inputs in child processes; and the harness itself, on inputs that fail in known ways.

``TOKENVIS_FUZZ`` is the number of inputs for each reader; from 10,000 on, each reader also gets all variants of all bombs.
``TOKENVIS_FUZZ_KEEP`` names a folder for the inputs that were not survived.
"""

import os
from contextlib import chdir
from pathlib import Path

import pytest
from fuzzing.bombs import BOMBS, N_VARIANTS
from fuzzing.inputs import TARGETS, bomb_names, prepared, write_examples
from fuzzing.json_text import Document
from fuzzing.parent import Campaign, Limits
from test_damage import examples

from tokenvis.formats.registry import FORMATS

COUNT = int(os.environ.get("TOKENVIS_FUZZ", "200"))
LONG_RUN = 10_000
posix = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
MEGABYTE = 1 << 20

FAULTS = """
import ctypes, os, time
seen = []
def survives(): return 7
def raises(): raise KeyError("\\ud800")
def panics(): raise BaseException("at the disco")
def dies(): ctypes.string_at(0)
def aborts(): os.abort()
def exits(): os._exit(3)
def hangs(): time.sleep(60)
def works():
    while True: pass
def grows(): seen.append(b"x" * 300_000_000); time.sleep(60)
def touches(): len(b"x" * 300_000_000)
def spoils(): seen.append("spoilt")
def dies_if_spoilt(): return ctypes.string_at(0) if seen else None
def dawdles(): seen or time.sleep(0.1)
def dawdles_if_spoilt(): time.sleep(60 if seen else 0)
def prepared(name, folder):
    (folder / "source").write_text(name)
    return globals()[name.split("/")[0]]
"""


@pytest.fixture
def faulty(monkeypatch):
    """Runs inputs that do what their names tell, and returns each with its failure."""
    Path("faults.py").write_text(FAULTS)
    monkeypatch.syspath_prepend(str(Path.cwd()))
    campaign = Campaign(
        "faults:prepared", Path.cwd(), Path("kept"), Limits(seconds=1, waiting_seconds=2, resident_bytes=200 * MEGABYTE)
    )
    return lambda *names: campaign.run(names)


def failures(outcomes):
    return {outcome.name: outcome.failure for outcome in outcomes}


@posix
def test_a_crash_is_found_and_the_other_inputs_are_run(faulty):
    before, crash, after = faulty("survives/1", "dies", "survives/2")
    assert (before.failure, before.result, after.failure, after.result) == (None, 7, None, 7)
    assert crash.failure == "crash"
    assert crash.detail.startswith("The process ended with SIGSEGV.\nFatal Python error: Segmentation fault")
    assert "in string_at\n" in crash.detail
    assert Path("kept/dies/source").read_text() == "dies"
    assert Path("kept/dies/failure.txt").read_text().startswith("dies\nThe process ended with SIGSEGV.")
    assert not list(Path().glob("child-*"))


@posix
@pytest.mark.full
def test_each_kind_of_failure_is_found(faulty):
    names = ["raises", "panics", "aborts", "exits", "hangs", "works", "grows", "touches", "survives"]
    found = faulty(*names)
    assert failures(found) == dict(
        zip(names, ["error", "error", "crash", "crash", "hang", "hang", "memory", "memory", None], strict=True)
    )
    details = {outcome.name: outcome.detail for outcome in found}
    assert details["raises"].endswith("KeyError: '\\ud800'\n")
    assert details["panics"].endswith("BaseException: at the disco\n")
    assert details["exits"] == "The process ended with code 3."
    assert details["hangs"].startswith("After 2 s, 0 s of them of the processor, it still runs.")
    assert details["works"].startswith("After ")
    assert "in hangs\n" in details["hangs"]
    assert details["touches"].startswith("It took more than 209,715,200 bytes.")
    assert sorted(path.name for path in Path("kept").iterdir()) == sorted(set(names) - {"survives"})


@posix
@pytest.mark.full
def test_an_input_that_fails_only_after_others_is_told_apart(faulty):
    assert failures(faulty("spoils", "dawdles_if_spoilt", "survives")) == dict.fromkeys(
        ["spoils", "dawdles_if_spoilt", "survives"]
    )
    *_, crash = faulty("survives", "spoils", "dies_if_spoilt")
    assert crash.failure == "crash"
    assert crash.detail.startswith("Only after the 2 inputs before it.\nThe process ended with SIGSEGV.")


def test_a_child_that_does_not_start_is_an_error_of_the_harness(faulty):
    with pytest.raises(RuntimeError, match=r"^The child does not start:\n[\s\S]*No module named 'missing'"):
        Campaign("missing:prepared", Path.cwd()).run(["a"])


def test_the_same_name_makes_the_same_input():
    write_examples(Path.cwd(), examples())
    for name in (*(f"{target}/{number}" for target in TARGETS for number in range(3)), "otlp/digits-4301/1", "table/key-1MB/2"):
        folders = [Path(str(attempt), name) for attempt in range(2)]
        for folder in folders:
            folder.mkdir(parents=True)
            prepared(name, folder)
        first, second = ([path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()] for folder in folders)
        assert first == second


def test_a_value_is_written_as_it_is_spelled():
    document = Document.parsed(b'{"a": [{"b": 1}]}')
    document.values[0]["a"][0]["b"] = document.mark(b"1e400")
    document.values[0][document.mark(b'"a"')] = 2
    assert document.written() == b'{"a": [{"b": 1e400}], "a": 2}'


def test_records_grow_in_front():
    document = Document.parsed(b'{"version": 1, "spans": [{"id": 1}, {"id": 2}]}')
    document.grow(100)
    [value] = document.values
    assert value["spans"] == [{"id": 1}, {"id": 2}] * 6
    assert [value["version"], len(document.written()) > 100] == [1, True]


@pytest.fixture(scope="module")
def campaign(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzzing")
    with chdir(folder):  # the examples are written there
        write_examples(folder, examples())
    return Campaign("fuzzing.inputs:prepared", folder, Path(os.environ.get("TOKENVIS_FUZZ_KEEP", folder / "kept")))


def names_for(target):
    """The names of the inputs for a target: all bombs in a long run, else each bomb for one reader."""
    bombs = bomb_names(target)
    if COUNT < LONG_RUN and target in FORMATS:
        place = list(FORMATS).index(target)
        chosen = [name for name, bomb in BOMBS.items() if not bomb.is_long][place :: len(FORMATS)]
        bombs = [f"{target}/{name}/{number % N_VARIANTS}" for number, name in enumerate(chosen, place)]
    return [*(f"{target}/{number}" for number in range(COUNT)), *bombs]


@posix
@pytest.mark.full
@pytest.mark.parametrize("target", TARGETS)
def test_fuzzed_inputs_and_bombs_are_survived(campaign, target):
    outcomes = campaign.run(names_for(target))
    failed = [str(outcome) for outcome in outcomes if outcome.failure]
    assert not failed, f"{len(failed)} of {len(outcomes)} inputs failed:\n\n" + "\n\n".join(failed[:20])
    assert sum(bool(outcome.result) for outcome in outcomes) > COUNT / 5, "many inputs should still give spans"
