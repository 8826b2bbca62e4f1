"""The parts of a fleet, answered in this process or in others."""

import builtins
import importlib
import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest
from conftest import spans_of
from fleets import TableSource, table_of

import tokenvis as tv
from tokenvis.fleet.processes import job_in

SPANS = spans_of(*(f"ann {number} {number + 5} desk t{number}" for number in range(9)))
FLEET = tv.Fleet(TableSource(table_of(SPANS), n_spans=2))


def process_ids(spans):
    """The process that answers each trace."""
    return spans[["trace_id"]].assign(process=os.getpid())


def test_one_process_is_this_one():
    assert set(FLEET.map(process_ids, workers=1)["process"]) == {os.getpid()}


@pytest.mark.full
def test_several_processes_give_the_same_answers():
    answers = [FLEET.map(tv.summary, workers=workers) for workers in (1, 2, 3, None)]
    assert all(answer.equals(answers[0]) for answer in answers)
    assert os.getpid() not in set(FLEET.map(process_ids, workers=2)["process"])


@pytest.mark.full
def test_a_function_of_a_notebook_is_sent_to_the_processes():
    scope = {}
    exec("limit = 3\ndef late(spans):\n    return spans.loc[spans['start_time'] > limit, ['trace_id', 'id']]", scope)
    assert len(FLEET.map(scope["late"], workers=2)) == 5


@pytest.mark.full
def test_a_killed_process_is_an_error_and_the_next_call_works():
    def killed(spans):
        if len(spans) and spans["trace_id"].iloc[0] == "t4":
            os.kill(os.getpid(), signal.SIGKILL)
        return tv.summary(spans)

    with pytest.raises(tv.FleetError) as error:
        FLEET.map(killed, workers=2)
    message = str(error.value)
    assert message.startswith("A process was killed, perhaps for lack of memory, while it answered parts of the fleet (")
    assert "spans of the traces from 't" in message
    assert message.endswith("Fewer processes need less memory: workers=1.")
    assert len(FLEET.map(tv.summary, workers=2)) == 9


@pytest.mark.full
def test_a_call_that_is_interrupted_leaves_no_busy_process():
    def endless(spans):
        while len(spans):
            time.sleep(1)
        return tv.summary(spans)

    interrupt = threading.Timer(3, os.kill, (os.getpid(), signal.SIGINT))
    interrupt.start()
    with pytest.raises(KeyboardInterrupt):
        FLEET.map(endless, workers=2)
    assert len(FLEET.map(tv.summary, workers=2)) == 9


def test_without_loky_one_process_answers_and_says_so(monkeypatch):
    original = builtins.__import__

    def without_loky(name, *args, **kwargs):
        if name == "loky":
            raise ImportError(name)
        return original(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_loky)
    hint = r"Several processes need loky: pip install 'tokenvis\[fleet\]'\.$"
    with pytest.warns(UserWarning, match=rf"^One process answers\. {hint}") as warned:
        assert set(FLEET.map(process_ids)["process"]) == {os.getpid()}
    assert warned[0].filename == __file__
    with pytest.raises(tv.FleetError, match=rf"^{hint}"):
        FLEET.map(tv.summary, workers=2)


@pytest.mark.parametrize("workers", [0, -1, 1.5, "2", True])
def test_workers_is_a_number_of_processes(workers):
    with pytest.raises(tv.BadOption) as error:
        FLEET.map(tv.summary, workers=workers)
    assert str(error.value) == f"workers={workers!r} is not a positive number of processes."


def test_a_long_call_shows_its_progress(monkeypatch, capsys):
    monkeypatch.setattr("tokenvis.fleet.processes.BAR_DELAY_S", 0)
    monkeypatch.setitem(sys.modules, "ipykernel", sys)
    FLEET.map(tv.summary, workers=1)
    shown = capsys.readouterr().err
    assert "Answering" in shown
    assert "9.00/9.00" in shown


@pytest.mark.full
def test_processes_of_another_folder_or_of_an_edited_module_are_not_used_again(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    tv.export(SPANS, "spans", format="fleet")
    fleet = tv.Fleet("spans")
    monkeypatch.chdir("/")
    assert len(fleet.map(tv.summary)) == 9
    module = tmp_path / "questions_of_a_user.py"
    for limit in (1, 22):
        module.write_text(f"def limits(spans):\n    return spans[['trace_id']].assign(limit={limit})\n")
        os.utime(module, (limit, limit))
        sys.modules.pop(module.stem, None)
        importlib.invalidate_caches()
        limits = importlib.import_module(module.stem).limits
        assert set(FLEET.map(limits, workers=2)["limit"]) == {limit}


@pytest.mark.full
def test_an_interrupt_ends_the_processes_and_the_next_call_works():
    def interrupted(spans):
        if len(spans):
            raise KeyboardInterrupt
        return tv.summary(spans)

    first = set(FLEET.map(process_ids, workers=2)["process"])
    with pytest.raises(KeyboardInterrupt):
        FLEET.map(interrupted, workers=2)
    assert not first & set(FLEET.map(process_ids, workers=2)["process"])


@pytest.mark.full
def test_a_function_that_cannot_be_sent_is_an_error_that_names_it():
    lock = threading.Lock()

    def locked(spans):
        with lock:
            return tv.summary(spans)

    with pytest.raises(tv.FleetError) as error:
        FLEET.map(locked, workers=2)
    assert str(error.value) == (
        "'locked' cannot be sent to other processes: TypeError: cannot pickle '_thread.lock' object. Make in the function what "
        "cannot be sent, such as a lock or a connection; or answer in this process: workers=1."
    )
    assert len(FLEET.map(locked, workers=1)) == 9


def test_a_function_that_a_process_cannot_load_is_an_error():
    Path("job").write_bytes(b"cmissing_module\nfunction\n.")
    with pytest.raises(tv.FleetError) as error:
        job_in("job")
    assert str(error.value) == (
        "Other processes cannot load the question: ModuleNotFoundError: No module named 'missing_module'. They import its "
        "modules again: put these on the path, or answer in this process: workers=1."
    )
