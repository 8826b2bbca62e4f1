"""A watch, look by look: whatever way files grow, the store is at the end as one reading of them leaves it."""

import contextlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import test_codex
from claude_sessions import agent, call, echo, prompt, reply, result, write
from conftest import full_except
from databases import ONE_SPAN
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal
from sqlalchemy import event

from tokenvis import BadOption, IngestError, Store, StoreError, expand_data, ingest, load_spans, load_traces
from tokenvis.formats.sessions.claude_code import lines as claude_lines
from tokenvis.ingestion.watch.watch import Watch
from tokenvis.store.maintenance import verify

some = settings(max_examples=max(settings.default.max_examples // 3, 1))  # each of them is many looks

TASK = [
    prompt(0, "find it"),
    reply(2, "m1", call("t1", "Task", subagent_type="Explore", prompt="look")),
    result(20, "t1", "found"),
    reply(22, "m4", "done", usage=(5, 50)),
]
WORK = [prompt(3, "look — ü"), reply(6, "m2", call("t2", "Grep", pattern="x")), result(8, "t2"), reply(9, "m3", "found €")]


def told(changes):
    return [tuple(change) for change in changes]


def files_below(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(Path(folder).rglob("*")) if path.is_file()}


def put(folder, name, content, mode="wb"):
    path = Path(folder, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open(mode) as file:
        file.write(content)


def assert_same(store, folder):
    """The store is as one reading of the files into an empty one leaves it."""
    fresh = Store(f"{store}-fresh.db")
    for trace in load_traces(store=fresh)["id"]:
        fresh.delete_trace(trace)
    ingest(folder, store=fresh)
    assert_frame_equal(load_traces(store=store), load_traces(store=fresh))
    assert_frame_equal(load_spans(store=store), load_spans(store=fresh))


def grown(tmp, pieces, *, restart=(), **options):
    """A folder to which pieces are added, with a look after each, by a new watch where that is asked for."""
    folder, watch = Path(tmp, "grown"), None
    folder.mkdir()
    for number, (name, content) in enumerate(pieces):
        put(folder, name, content, "ab")
        if watch is None or number in restart:
            watch = Watch(folder, store=Path(tmp, "watched.db"), **options)
        watch.look()
        if number + 1 in restart:
            watch.close()
    while watch.look():
        pass
    return folder, Path(tmp, "watched.db")


@st.composite
def growth(draw, files, most=3):
    """The pieces of files, cut at any bytes, in any order that keeps each file's own; and where the watch starts again."""
    queues = []
    for name, content in files.items():
        cuts = sorted(draw(st.lists(st.integers(0, len(content)), max_size=most)))
        queues.append([(name, content[a:b]) for a, b in zip([0, *cuts], [*cuts, len(content)], strict=True)])
    turns = draw(st.permutations([number for number, queue in enumerate(queues) for _ in queue]))
    pieces = [queues[number].pop(0) for number in turns]
    return pieces, set(draw(st.lists(st.integers(1, len(pieces)), max_size=2)))


# The law.


def simple():
    write("made/s1.jsonl", *TASK)
    agent("a1", *WORK, folder="made/s1/subagents", meta={"agentType": "Explorer"})


def intricate():
    """All that files say of each other: echoes, names that come late, lines and calls that stand in two files, sidechains."""
    side = [{**line, "isSidechain": True, "uuid": f"agent-a1-{number}", "agentId": "a1"} for number, line in enumerate(WORK)]
    title = {"type": "ai-title", "aiTitle": "The title"}
    write("made/s1.jsonl", TASK[0], *side, TASK[1], echo(4, "b1", "t9"), reply(9, "m9", call("t9", "Agent")), *TASK[2:], title)
    agent("a1", *WORK, reply(12, "m1", "again"), folder="made/s1/subagents")
    agent("b1", TASK[0], *WORK[:1], reply(13, "m5", call("t2", "Bash"), call("t5")), folder="made")
    agent("c1", reply(14, "m6", call("t1", "Task")), result(16, "t1"), {"type": "summary", "summary": "S"}, folder="made")
    write(
        "made/deep/s2.jsonl",
        {**TASK[0], "sessionId": "s1"},
        TASK[1],
        {"type": "mode"},
        "{",
        b"\xff",
        reply(5, "m8"),
        session="s2",
    )
    write("made/other.jsonl", '{"a": 1}', '{"b": 2}')


def threads():
    threads_of_a_folder("made/sessions/2026/06/21")


def threads_of_a_folder(folder):
    """A family of threads, each of whose files ends with a line break."""
    test_codex.family(folder)
    for path in Path(folder).glob("*.jsonl"):
        path.write_bytes(path.read_bytes() + b"\n")


def lone_threads():
    """A thread that copied two turns of its parent, whose file is not there; and one whose last line has no line break."""
    c = test_codex
    copied = [c.meta(19), c.turn(19, "t1"), c.call(19, "c1"), c.turn(19, "t2"), c.assistant(19, "x")]
    c.write_file(
        "made/x-1.jsonl", c.meta(19.5, c.CHILD, c.ROOT), *copied, c.turn(20, "t9"), c.user(20, "look"), c.assistant(22, "y")
    )
    c.write_file("made/x-2.jsonl", *c.BASIC[:-2])


@pytest.mark.parametrize("make", full_except([simple, intricate, threads, lone_threads], intricate, threads))
@some
@given(data=st.data())
def test_however_files_grow_the_store_ends_as_one_reading_leaves_it(make, data, tmp_path_factory):
    tmp = tmp_path_factory.mktemp("growth")
    os.chdir(tmp)
    make()
    pieces, restart = data.draw(growth(files_below("made")))
    folder, store = grown(tmp, pieces, restart=set() if make is not simple else restart)
    assert_same(store, folder)


def test_a_thread_that_turns_out_to_be_of_another_trace_is_not_left_where_it_was():
    """The file of a thread's parent comes after its own: until then, its trace is taken for the parent's."""
    test_codex.family("made")
    pieces = sorted(files_below("made").items(), reverse=True)
    Path("grown").mkdir()
    watch = Watch("grown", store="watched.db")
    for trace, piece in zip([test_codex.CHILD, test_codex.ROOT, test_codex.ROOT], pieces, strict=True):
        put("grown", *piece)
        watch.look()
        assert load_traces(store=watch.store)["id"].tolist() == [trace]
    assert_same(Path("watched.db"), "grown")


def test_spans_that_another_program_adds_stay_where_a_watch_takes_its_own_back():
    """The other program adds one before each transaction of the watch, as late as it can."""
    test_codex.family("made")
    first, second, *_ = sorted(files_below("made").items(), reverse=True)
    put("grown", *first)
    watch, recorder, added = Watch("grown", store="watched.db"), Store("watched.db"), []
    watch.look()

    def add(*given):
        if given[2].startswith("BEGIN"):
            added.append(f"from-a-recorder-{len(added)}")
            recorder.add_spans(test_codex.CHILD, [{**ONE_SPAN, "id": added[-1]}])

    event.listen(watch.store.engine, "before_cursor_execute", add)
    put("grown", *second)
    watch.look()
    event.remove(watch.store.engine, "before_cursor_execute", add)
    assert len(added) > 1
    assert load_spans(test_codex.CHILD, store="watched.db")["id"].tolist() == sorted(added)


# Each line once.


@pytest.fixture
def lines(monkeypatch):
    """How often each line was parsed for what it says, by its text."""
    counts = {}
    add_line = claude_lines.add_transcript_line

    def counted(session, line):
        counts[line["uuid"]] = counts.get(line["uuid"], 0) + 1
        add_line(session, line)

    monkeypatch.setattr(claude_lines, "add_transcript_line", counted)
    return counts


def test_each_line_is_read_once_while_a_watch_runs(lines, tmp_path):
    simple()
    contents = files_below("made")
    pieces = [(name, content[at : at + 150]) for name, content in contents.items() for at in range(0, len(content), 150)]
    folder, store = grown(tmp_path, sorted(pieces, key=lambda piece: piece[0] != "s1.jsonl"))
    assert set(lines.values()) == {1}
    assert len(lines) == 8
    assert_same(store, folder)


def test_files_that_were_taken_in_are_not_read_again_by_the_next_watch(lines):
    simple()
    with Watch("made") as watch:
        assert told(watch.look()) == [("s1", "find it", 6, 0, 0, 6, 0)]
        assert watch.look() == []
    lines.clear()
    with Watch("made") as watch:
        assert watch.look() == []
        assert lines == {}
        put("made", "s1.jsonl", (json.dumps({**prompt(30, "more"), "uuid": "x", "sessionId": "s1"}) + "\n").encode(), "ab")
        assert watch.look() == []  # a prompt is no span
    assert set(lines.values()) == {1}  # once more, from its start
    assert len(lines) == 9


def test_what_came_while_no_watch_ran_is_taken_in():
    write("made/s1.jsonl", *TASK[:2])
    with Watch("made") as watch:
        assert told(watch.look()) == [("s1", "find it", 2, 0, 0, 2, 1)]
    write("made/s1.jsonl", *TASK)
    agent("a1", *WORK, folder="made/s1/subagents")
    write("made/s2.jsonl", *TASK, session="s2")
    with Watch("made") as watch:
        assert sorted(told(watch.look())) == [("s1", "find it", 4, 1, 0, 6, 0), ("s2", "find it", 3, 0, 0, 3, 0)]
    assert_same(Path("sqlite.db"), "made")


@pytest.mark.parametrize("damage", [None, b"", b"{", b"[]", b'{"version": 1, "files": [], "sessions": {}}', b"\xff\xfe"])
def test_where_the_record_is_lost_all_is_read_again_and_nothing_is_twice(damage, lines):
    simple()
    with Watch("made") as watch:
        watch.look()
    lines.clear()
    path = Path("sqlite.db-watched.json")
    path.unlink() if damage is None else path.write_bytes(damage)
    with Watch("made") as watch:
        assert watch.look() == []
    assert len(lines) == 8
    assert_same(Path("sqlite.db"), "made")


@pytest.mark.parametrize("loss", ["the database", "a trace", "spans"])
def test_what_the_database_has_no_more_is_read_again(loss):
    simple()
    with Watch("made") as watch:
        watch.look()
    if loss == "the database":
        for path in Path.cwd().glob("sqlite.db*"):
            if not path.name.endswith(".json"):
                path.unlink()
    elif loss == "a trace":
        Store().delete_trace("s1")
    else:
        Store().write_trace("s1", load_spans("s1").iloc[:2])
    with Watch("made") as watch:
        watch.look()
    assert_same(Path("sqlite.db"), "made")


def test_spans_that_went_from_the_database_meanwhile_come_back_with_the_next_growth():
    write("made/s1.jsonl", *TASK[:2])
    watch = Watch("made")
    watch.look()
    watch.store.delete_trace("s1")
    write("made/s1.jsonl", *TASK)
    watch.look()
    assert_same(Path("sqlite.db"), "made")


# Files that do not just grow.


def test_a_file_that_is_replaced_is_read_anew_and_what_it_said_stays():
    write("made/s1.jsonl", *TASK)
    watch = Watch("made")
    watch.look()
    write("new.jsonl", *TASK[:2], reply(40, "m7", "other")).replace("made/s1.jsonl")
    assert told(watch.look()) == [("s1", "find it", 1, 1, 0, 3, 1)]
    assert set(load_spans("s1")["id"]) == {"s1/m1", "s1/t1", "s1/m4", "s1/m7"}


@pytest.mark.parametrize("more", [0, 5_000], ids=["shorter", "longer than before"])
def test_a_file_that_is_cut_and_written_anew_is_read_anew(more):
    write("made/s1.jsonl", *TASK)
    watch = Watch("made")
    watch.look()
    with Path("made/s1.jsonl").open("r+b") as file:  # the same file, by its number
        file.truncate()
        file.write((json.dumps({**reply(50, "m9", "x" * more), "uuid": "n1", "sessionId": "s1"}) + "\n").encode())
    assert told(watch.look()) == [("s1", "s1", 1, 0, 0, 1, 0)]
    assert len(load_spans("s1")) == 4


def test_a_file_that_is_gone_takes_nothing_away_and_may_come_back():
    simple()
    watch = Watch("made")
    watch.look()
    before = load_spans("s1")
    content = Path("made/s1.jsonl").read_bytes()
    Path("made/s1.jsonl").unlink()
    assert watch.look() == []
    assert_frame_equal(load_spans("s1"), before)
    put("made", "s1.jsonl", content)
    assert watch.look() == []
    assert watch.problems == []
    assert_frame_equal(load_spans("s1"), before)


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize(
    "new", full_except(["another session", "a new subagent", "a subagent's copy", "a subagent that grows"], "a new subagent")
)
def test_files_whose_own_session_is_gone_tell_nothing_new_until_it_is_back(new, restart):
    simple()
    agent("b1", prompt(12, "look again"), reply(13, "m8", call("t8", "Bash")), folder="made")
    watch = Watch("made")
    assert told(watch.look()) == [("s1", "find it", 8, 0, 0, 8, 1)]
    before, content = load_spans("s1"), Path("made/s1.jsonl").read_bytes()
    if restart:
        watch.close()
    Path("made/s1.jsonl").unlink()
    if restart:
        watch = Watch("made")
    assert watch.look() == []
    if new == "another session":
        write("made/s2.jsonl", prompt(0, "plan it"), *TASK[1:], session="s2")
    elif new == "a new subagent":
        agent("a2", *WORK, folder="made/s1/subagents")
    elif new == "a subagent's copy":
        put("made", "new.jsonl", Path("made/s1/subagents/agent-a1.jsonl").read_bytes())
    else:
        agent("a1", *WORK, reply(30, "m9", "more"), folder="made/s1/subagents")
    for _ in range(2):
        assert {change.trace_id for change in watch.look()} <= {"s2"}
        assert load_traces().set_index("id")["name"]["s1"] == "find it"
        assert_frame_equal(load_spans("s1"), before)
    put("made", "s1.jsonl", content)
    Path("made/new.jsonl").unlink(missing_ok=True)
    watch.look()
    assert watch.problems == []
    assert_same(Path("sqlite.db"), "made")


@pytest.mark.parametrize("place", full_except(["made", f"made/rollout-3-{test_codex.GRANDCHILD}.jsonl"], "made"))
@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("gone", ["rollout-1", "rollout-2"])
def test_threads_below_one_whose_file_is_gone_tell_nothing_new_until_it_is_back(gone, restart, place):
    threads_of_a_folder("made")
    watch = Watch(place)
    watch.look()
    watch.look()
    before = load_spans()
    [path] = Path("made").glob(f"{gone}*")
    content = path.read_bytes()
    if restart:
        watch.close()
    path.unlink()
    if restart:
        watch = Watch(place)
    assert watch.look() == []
    more = json.dumps(test_codex.call(40, "c9")).encode() + b"\n"
    put("made", f"rollout-3-{test_codex.GRANDCHILD}.jsonl", more, "ab")
    test_codex.write_file("made/new.jsonl", test_codex.meta(1, "new"))
    for _ in range(2):
        assert watch.look() == []
        assert_frame_equal(load_spans(), before)
    path.write_bytes(content)
    assert [change.trace_id for change in watch.look()] == [test_codex.ROOT]
    assert load_spans()["parent_id"].notna().sum() == before["parent_id"].notna().sum() + 1
    if place == "made":
        assert_same(Path("sqlite.db"), "made")


def test_a_thread_goes_on_though_the_file_of_one_below_it_is_gone():
    threads_of_a_folder("made")
    watch = Watch("made")
    watch.look()
    before = load_spans()
    next(Path("made").glob("rollout-2-*")).unlink()
    assert watch.look() == []
    root = f"rollout-1-{test_codex.ROOT}.jsonl"
    put("made", root, json.dumps(test_codex.assistant(50, "more")).encode() + b"\n", "ab")
    [change] = watch.look()
    assert (change.trace_id, change.name, change.added, change.removed) == (test_codex.ROOT, "go", 1, 0)
    for _ in range(2):  # the next watch knows of those that are gone
        assert load_traces()["id"].tolist() == [test_codex.ROOT]
        assert len(load_spans()) == len(before) + 1
        watch.close()
        Path("made", root).unlink(missing_ok=True)
        watch = Watch("made")
        assert watch.look() == []


def test_a_last_line_that_is_not_whole_waits_and_one_that_is_does_not():
    write("made/s1.jsonl", *TASK[:2])
    watch = Watch("made")
    watch.look()
    line = json.dumps({**reply(9, "m5", "€ {"), "uuid": "n1", "sessionId": "s1"}, ensure_ascii=False).encode()
    for at in range(0, len(line), 7):
        put("made", "s1.jsonl", line[at : at + 7], "ab")
        changes = told(watch.look())
        assert changes == ([] if at + 7 < len(line) else [("s1", "find it", 1, 0, 0, 3, 1)])
    put("made", "s1.jsonl", b" \n", "ab")
    assert watch.look() == []
    put("made", "s1.jsonl", line.replace(b"m5", b"m6").replace(b"n1", b"n2"), "ab")
    assert told(watch.look()) == [("s1", "find it", 1, 0, 0, 4, 1)]
    put("made", "s1.jsonl", b"}\n", "ab")  # so it was no line of JSON after all
    assert told(watch.look()) == [("s1", "find it", 0, 0, 1, 3, 1)]
    assert [str(problem) for problem in watch.problems] == ["s1.jsonl, line 4: not JSON from character 256 on."]


def test_files_that_come_later_are_found():
    write("made/s1.jsonl", *TASK)
    watch = Watch("made")
    watch.look()
    path = agent("a1", *WORK, folder="made/s1/subagents")
    assert told(watch.look()) == [("s1", "find it", 3, 1, 0, 6, 0)]
    path.with_suffix(".meta.json").write_text('{"agentType": "Explorer"}')
    assert told(watch.look()) == [("s1", "find it", 0, 4, 0, 6, 0)]
    write("made/deep/s2.jsonl", *TASK, session="s2")
    assert told(watch.look()) == [("s2", "find it", 3, 0, 0, 3, 0)]
    assert set(load_spans("s1")["agent_id"]) == {"main", "Explorer"}


# What is watched.


def test_a_file_is_followed_with_what_belongs_to_it_and_nothing_else():
    write("made/s1.jsonl", *TASK)
    write("made/s2.jsonl", *TASK, session="s2")
    watch = Watch("made/s1.jsonl")
    assert [change.trace_id for change in watch.look()] == ["s1"]
    agent("a1", *WORK, folder="made/s1/subagents")
    agent("b1", *WORK, folder="made", session="s2")
    assert told(watch.look()) == [("s1", "find it", 3, 1, 0, 6, 0)]


def test_files_of_other_formats_are_passed_by(monkeypatch):
    write("made/other.jsonl", *['{"a": 1}'] * 30)
    put("made", "table.csv", b"a,b\n1,2\n")
    put("made", "young.jsonl", b'{"type": "mode", "x"')
    watch = Watch("made")
    assert watch.look() == []
    assert watch.problems == []
    write("made/young.jsonl", {"type": "mode"}, *TASK)
    assert len(watch.look()) == 1


def test_of_a_folder_only_what_is_young_enough_or_grows():
    for name in ("old", "new"):
        write(f"made/{name}.jsonl", *TASK[:2], session=name)
    os.utime("made/old.jsonl", (1e9, 1e9))
    watch = Watch("made", since="1d")
    assert [change.trace_id for change in watch.look()] == ["new"]
    write("made/old.jsonl", *TASK, session="old")
    assert told(watch.look()) == [("old", "find it", 3, 0, 0, 3, 0)]


def test_without_a_path_it_is_where_agents_keep_their_sessions(monkeypatch):
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", "claude")
    monkeypatch.setenv("CODEX_HOME", "codex")
    watch = Watch()
    assert watch.look() == []
    write("claude/projects/p/s1.jsonl", *TASK)
    test_codex.family("codex/sessions/2026/06/21")
    assert sorted(change.trace_id for change in watch.look()) == [test_codex.ROOT, "s1"]


def test_another_choice_of_texts_reads_all_again():
    simple()
    with Watch("made") as watch:
        watch.look()
    with Watch("made", content="none") as watch:
        assert told(watch.look()) == [("s1", "s1", 0, 6, 0, 6, 0)]
        assert watch.look() == []
    assert "look" not in "".join(load_spans("s1")["data"])


def test_rules_for_agents_and_locations():
    simple()
    with Watch("made", agent=lambda span: None if span["agent_id"] == "Explorer" else "boss", location="kind") as watch:
        watch.look()
    spans = load_spans("s1")
    assert set(spans["agent_id"]) == {"boss"}  # which the others inherit
    assert set(spans["location_id"]) == {"model", "tool"}


def test_a_rule_for_waits_reads_the_sessions_again():
    simple()
    with Watch("made") as watch:
        watch.look()
    with Watch("made", waits_for="gen_ai.tool.name") as watch:
        watch.look()
        assert watch.look() == []
    spans = expand_data(load_spans("s1"), ["waits_for", "gen_ai.tool.name"])
    assert spans["waits_for"].dropna().tolist() == spans["gen_ai.tool.name"].dropna().tolist() != []


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Watch("nix"), IngestError, r"^There is no file or folder nix\.$"),
        (
            lambda: Watch("x.csv").look(),
            IngestError,
            "^x.csv is not a session of Claude Code or Codex: it looks like a table",
        ),
        (lambda: Watch(".", content="some"), BadOption, "^content='some' is not one of "),
        (lambda: Watch(".", since="ever"), BadOption, "^since='ever' is neither an age"),
    ],
)
def test_errors(make, error, message):
    put(".", "x.csv", b"a,b\n1,2\n")
    with pytest.raises(error, match=message):
        make()


def test_what_cannot_be_written_now_is_written_later(monkeypatch):
    write("made/s1.jsonl", *TASK[:2])
    watch = Watch("made")
    with monkeypatch.context() as patch:
        patch.setattr(Store, "add_traces", lambda *_: (_ for _ in ()).throw(StoreError("It is locked.")))
        for _ in range(2):
            with pytest.raises(StoreError, match=r"^It is locked\.$"):
                watch.look()
    write("made/s1.jsonl", *TASK)
    assert told(watch.look()) == [("s1", "find it", 3, 0, 0, 3, 0)]
    assert_same(Path("sqlite.db"), "made")


def test_a_database_that_another_holds_is_written_when_it_lets_go(monkeypatch):
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *given, **options: connect(*given, **{**options, "timeout": 0.05}))
    for name in ("s1", "s2"):
        write(f"made/{name}.jsonl", *TASK, session=name)
    watch = Watch("made")
    with watch.store.engine.connect().execution_options(immediate=True) as connection:
        connection.begin()
        with pytest.raises(StoreError, match="database is locked"):
            watch.look()
    assert [change.trace_id for change in watch.look()] == ["s1", "s2"]
    assert watch.look() == []


def test_problems_are_told_once():
    write("made/s1.jsonl", *TASK, "{")
    watch = Watch("made")
    watch.look()
    assert [str(problem) for problem in watch.problems] == ["s1.jsonl, line 5: not JSON from character 2 on."]
    write("made/s2.jsonl", *TASK, session="s2")
    watch.look()
    assert watch.problems == []


# Real sessions, and real processes.

REAL = os.environ.get("TOKENVIS_REAL_TRACES")


@pytest.mark.real
@pytest.mark.skipif(not REAL, reason="TOKENVIS_REAL_TRACES names no folder of real traces")
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", ["claude_code", "codex"])
def test_real_sessions_that_grow_in_pieces(kind, seed, tmp_path):
    chance, queues = random.Random(seed), []
    for name, content in files_below(Path(REAL, kind)).items():
        cuts = sorted(chance.randrange(len(content)) for _ in range(5))
        queues.append([(name, content[a:b]) for a, b in zip([0, *cuts], [*cuts, len(content)], strict=True)])
    turns = [number for number, queue in enumerate(queues) for _ in queue]
    chance.shuffle(turns)
    pieces = [queues[number].pop(0) for number in turns]
    folder, store = grown(tmp_path, pieces, restart={len(pieces) // 3})
    assert_same(store, folder)


KILLS = int(os.environ.get("TOKENVIS_KILLS", "20"))


def long_session():
    """Lines of a session and of its subagent, in the order in which they are written."""
    lines = []
    for number in range(150):
        time = 10 * number
        mine = [
            reply(time + 2, f"m{number}", "text — " * 50, call(f"t{number}", "Task")),
            result(time + 9, f"t{number}", "r" * 500),
        ]
        work = [prompt(time + 3, f"look {number}"), reply(time + 8, f"w{number}", "found €")]
        lines += [("s1.jsonl", mine[0]), *(("s1/subagents/agent-a1.jsonl", line) for line in work), ("s1.jsonl", mine[1])]
    own = {"s1.jsonl": {"isSidechain": False}, "s1/subagents/agent-a1.jsonl": {"isSidechain": True, "agentId": "a1"}}
    for number, (name, line) in enumerate(lines):
        yield name, json.dumps({"sessionId": "s1", **own[name], "uuid": f"u{number}", **line}).encode() + b"\n"


@pytest.mark.full
@pytest.mark.skipif(os.name != "posix", reason="kills of POSIX")
def test_a_watch_that_is_killed_again_and_again_misses_nothing():
    chance, done = random.Random(1), threading.Event()
    Path("made").mkdir()
    command = [sys.executable, "-m", "tokenvis", "watch", "made", "--every", "0.05", "--database", "sqlite.db"]

    def append():
        for name, line in long_session():
            cut = chance.randrange(len(line))
            put("made", name, line[:cut], "ab")
            put("made", name, line[cut:], "ab")
            done.wait(0.1)

    writer = threading.Thread(target=append)
    writer.start()
    kept = 0
    for _ in range(KILLS):
        watch = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        with contextlib.suppress(subprocess.TimeoutExpired):
            watch.wait(chance.uniform(0.5, 4))
        watch.kill()
        assert watch.communicate()[1] == b""
        assert watch.returncode == -signal.SIGKILL
        if Path("sqlite.db").exists() and Path("sqlite.db").stat().st_size:
            there = set(load_spans()["id"])
            assert len(there) >= kept
            kept = len(there)
    done.set()
    writer.join()
    last = subprocess.run([*command, "--once"], capture_output=True, text=True, check=True)
    assert last.stderr == ""
    assert_same(Path("sqlite.db"), "made")
    assert verify("sqlite.db").findings == []
