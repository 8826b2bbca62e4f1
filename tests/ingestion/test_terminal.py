import io
from pathlib import Path

import pytest
from claude_sessions import call, prompt, reply, result, write

from tokenvis import StoreError
from tokenvis.ingestion.watch import terminal
from tokenvis.ingestion.watch.terminal import Terminal, change_line, follow_in_terminal
from tokenvis.ingestion.watch.watch import Change, Watch

LINES = [prompt(0, "go"), reply(2, "m1", call("t1")), result(5, "t1"), reply(6, "m2", "done")]


def change(trace="s1", name="go", added=1, updated=0, removed=0, n_spans=5, n_open=0):
    return Change(trace, name, added, updated, removed, n_spans, n_open)


@pytest.fixture
def clock(monkeypatch):
    """A clock that only a pause moves on; what happens in each pause can be told."""

    class Clock:
        now, pauses, events = 0.0, [], []

        def monotonic(self):
            return self.now

        def sleep(self, seconds):
            self.pauses.append(seconds)
            self.now += seconds
            if not self.events:
                raise KeyboardInterrupt
            self.events.pop(0)()

    clock = Clock()
    clock.pauses, clock.events = [], []
    monkeypatch.setattr(terminal, "time", clock)
    return clock


def test_the_line_of_a_session():
    assert (
        change_line(change(name="fix\nit\x1b", updated=1_000, n_open=2))
        == "fix it�: 1 span added, 1,000 updated, 2 open; 5 in all"
    )
    assert change_line(change(added=0, removed=3)) == "go: 0 spans added, 0 updated, 3 removed; 5 in all"


def test_in_a_terminal_the_last_line_is_written_over(capsys, clock):
    printed = Terminal(rewrites=True)
    printed.print_changes([change()])
    printed.print_changes([change(added=2, n_spans=7)])
    printed.print_changes([change("s2", "other")])
    printed.print_changes([change()])  # which had a line a moment ago
    clock.now = 60
    printed.print_changes([])
    printed.print_text("end")
    assert capsys.readouterr().out.replace("\r\x1b[K", "<") == (
        "<go: 1 span added, 0 updated; 5 in all<go: 3 spans added, 0 updated; 7 in all\n"
        "<other: 1 span added, 0 updated; 5 in all\n"
        "<go: 1 span added, 0 updated; 5 in all\n"
        "end\n"
    )


def test_in_a_log_a_session_has_a_line_now_and_then(capsys, clock):
    printed = Terminal(rewrites=False)
    for _ in range(90):
        printed.print_changes([change()])
        clock.now += 1
    printed.print_changes([], force=True)
    assert capsys.readouterr().out.splitlines() == [
        "go: 1 span added, 0 updated; 5 in all",
        "go: 30 spans added, 0 updated; 5 in all",
        "go: 30 spans added, 0 updated; 5 in all",
        "go: 29 spans added, 0 updated; 5 in all",
    ]


def test_many_sessions_at_once_are_summed_up(capsys):
    Terminal(rewrites=False).print_changes([change(f"s{number}", f"s{number}") for number in range(20)])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 13
    assert lines[-1] == "and 8 more sessions: 8 spans added"


def test_following_until_it_is_interrupted(capsys, clock):
    write("in/s1.jsonl", *LINES[:2])
    clock.events = [lambda: write("in/s1.jsonl", *LINES, "{"), lambda: None]
    with Watch("in") as watch:
        follow_in_terminal(watch, every=2)
    said = capsys.readouterr()
    assert said.out.splitlines() == [
        f"Database: {Path('sqlite.db').absolute()}",
        f"Watching: {Path('in').absolute()}",
        "Press Ctrl-C to stop.",
        "go: 2 spans added, 0 updated, 1 open; 2 in all",
        "go: 1 span added, 1 updated; 3 in all",
        "Stopped. Run the same command to continue.",
    ]
    assert said.err.splitlines() == ["Problem: s1.jsonl, line 5: not JSON from character 2 on."]
    assert clock.pauses == [2, 2, 2]


def test_a_database_that_cannot_be_written_is_waited_for(capsys, clock, monkeypatch):
    write("in/s1.jsonl", *LINES)
    watch, changes = Watch("in"), Watch.changes

    def refuse(self):
        raise StoreError("It is locked.")

    monkeypatch.setattr(Watch, "changes", refuse)
    clock.events = [lambda: None, lambda: None, lambda: monkeypatch.setattr(Watch, "changes", changes)]
    follow_in_terminal(watch)
    said = capsys.readouterr()
    assert said.err.splitlines() == [
        "tokenvis: It is locked. Retrying until it works; no span is lost.",
        "The database can be written again.",
    ]
    assert "go: 3 spans added, 0 updated; 3 in all" in said.out.splitlines()


def test_the_pause_grows_with_the_look(clock, monkeypatch):
    def slow(self):
        clock.now += 3
        return []

    Path("in").mkdir()
    monkeypatch.setattr(Watch, "changes", slow)
    follow_in_terminal(Watch("in"), every=1)
    assert clock.pauses == [12]


def test_a_narrow_terminal_cuts_the_line(monkeypatch):
    out = io.StringIO()
    monkeypatch.setattr("sys.stdout", out)
    monkeypatch.setenv("COLUMNS", "12")
    Terminal(rewrites=True).print_changes([change()])
    assert out.getvalue() == "\r\x1b[Kgo: 1 span "


def test_a_long_look_tells_what_it_finds_meanwhile(capsys, clock, monkeypatch):
    told = []

    def slow(self):
        for number in range(3):
            clock.now += 1.5
            yield change(f"s{number}", f"s{number}")
            told.append(len(capsys.readouterr().out.splitlines()))

    Path("in").mkdir()
    monkeypatch.setattr(Watch, "changes", slow)
    follow_in_terminal(Watch("in"), once=True)
    assert told == [2, 2, 0]  # the two lines at the head, none, and then those of two sessions
    assert capsys.readouterr().out == "s2: 1 span added, 0 updated; 5 in all\n"
