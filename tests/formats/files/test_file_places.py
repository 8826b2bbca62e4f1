from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenvis.formats.files.file_places import FilePlace, common_place, file_place, has_id, is_own_name, place_text

UUID = "0b1c2d3e-4f5a-6b7c-8d9e-0f1a2b3c4d5e"
ROLLOUT = f"rollout-2026-06-21T10-00-00-{UUID}"


@pytest.mark.parametrize(
    ("path", "text", "head"),
    [
        ("/data/runs/seed-3/trace.jsonl", "data/runs/seed-3/trace", "seed-3"),
        ("/data/runs/run-07.csv", "data/runs/run-07", "run-07"),
        ("/data/v1/run-1.jsonl.gz", "data/v1/run-1", "run-1"),
        ("/data/seed-3/logs/spans.otlp.json", "data/seed-3/logs/spans", "seed-3"),
        ("/data/x/my.run-0.1.jsonl", "data/x/my.run-0.1", "my.run-0.1"),
        ("/data/x/run.dat", "data/x/run", "x"),
        (f"/data/bench/{UUID}.jsonl", f"data/bench/{UUID}", "bench"),
        ("/data/bench/trace-0af7651916cd43dd.json", "data/bench/trace-0af7651916cd43dd", "bench"),
        ("/data/bench/2025-05-12T20-27-36-04-00_trace.json", "data/bench/2025-05-12T20-27-36-04-00_trace", "bench"),
        ("/data/bench/20250512_202736.log", "data/bench/20250512_202736", "bench"),
        ("/x/2025-05-12T20-27-36-04-00_web.eval", "x/2025-05-12T20-27-36-04-00_web", "2025-05-12T20-27-36-04-00_web"),
        (f"/x/sessions/2026/06/21/{ROLLOUT}.jsonl", f"x/sessions/2026/06/21/{ROLLOUT}", "x"),
        ("/data/seed-3/part-0001.parquet", "data/seed-3/part-0001", "seed-3"),
        ("/data/seeds/3/trace.json", "data/seeds/3/trace", "3"),
        ("/data/shop/../office/trace.json", "data/office/trace", "office"),
        ("/data/runs.zip/seed-3/trace.json", "data/runs/seed-3/trace", "seed-3"),
        ("/data/bundle.zip/trace.json", "data/bundle/trace", "bundle"),
        ("C:/data/run-1.csv", "data/run-1", "run-1"),
        ("/data/トレース/trace.json", "data/トレース/trace", "トレース"),
        ("/a/b/c/d/run-1.csv", "c/d/run-1", "run-1"),
        ("stream run-07.csv", "run-07", "run-07"),
        ("stream runs.zip/seed-3/trace.json", "runs/seed-3/trace", "seed-3"),
    ],
)  # fmt: skip
def test_the_place_of_a_file_and_the_name_by_which_people_know_it(path, text, head):
    assert place_text(path) == text
    place = file_place(text)
    assert (place.parts[place.head], place.is_common) == (head, False)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/data/traces/trace.jsonl", "trace"),
        (f"/data/.claude/projects/-home-ann-shop/{UUID}.jsonl", UUID),
        ("stream <stdin>", "<stdin>"),
    ],
)
def test_a_place_that_says_nothing_is_common(path, text):
    assert place_text(path) == text
    assert file_place(text) == FilePlace((text,), 0, is_common=True)


def test_what_is_no_file_has_no_place(monkeypatch):
    assert [place_text(origin) for origin in ("DataFrame", "stream stream", "", "/")] == [None] * 4


def test_the_folders_of_a_home_directory_do_not_count(monkeypatch):
    monkeypatch.setattr(Path, "home", lambda: Path("/Users/ann"))
    paths = "/Users/ann/run.json", "/Users/ann/shop/run.json", "/Users/anna/run.json"
    assert [place_text(path) for path in paths] == ["run", "shop/run", "Users/anna/run"]

    def no_home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", no_home)
    assert place_text("/Users/ann/run.json") == "Users/ann/run"


def test_a_temporary_folder_does_not_count(monkeypatch):
    monkeypatch.setattr("tokenvis.formats.files.file_places.gettempdir", lambda: "/var/folders/zz/T")
    paths = (
        "/var/folders/zz/T/tmpejatv_n4/otlp.json",
        "/var/folders/zz/T/tmpejatv_n4/run-1.json",
        "/data/tmpejatv_n4/x/otlp.json",
    )
    assert [place_text(path) for path in paths] == ["otlp", "tmpejatv_n4/run-1", "data/tmpejatv_n4/x/otlp"]


def test_names_that_say_which_run_it_is():
    own = "seed-3", "run-07", "1", "gpt-5", "trace_of_ann", "v1", "browser-2025-05-12", "decade", "ラン", "2024-05"
    common = "trace", "Spans", "", "2024-05-01", "20240501", "1714557600", UUID, "3f2a9c1b", "session-3f2a9c1b", "page-2", ".x"
    assert [name for name in own if not is_own_name(name)] == []
    assert [name for name in common if is_own_name(name)] == []
    assert [name for name in (*own, *common) if has_id(name)] == ["1714557600", UUID, "3f2a9c1b", "session-3f2a9c1b"]


def test_a_long_name_is_cut_and_a_control_character_is_escaped():
    assert place_text(f"/data/{'x' * 999}.json") == f"data/{'x' * 100}…"
    assert place_text("/data/run\x1b[31m.json") == r"data/run\x1b[31m"


def test_the_folder_that_places_have_in_common():
    places = [file_place(f"runs/seed-3/{name}") for name in ("batch-1", "batch-2")]
    assert common_place(places) == file_place("runs/seed-3")
    assert common_place(places[:1]) == places[0]
    assert common_place([*places, file_place("x")]) is None


@pytest.mark.laws
@given(
    st.lists(st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1), min_size=1, max_size=6)
)
def test_any_path_has_a_place_that_is_part_of_it(names):
    text = place_text("/" + "/".join(names))
    if text is not None:
        place = file_place(text)
        assert text == "/".join(place.parts)
        assert 1 <= len(place.parts) <= len(names)
        assert place.is_common or (is_own_name(place.parts[place.head]) and place.head <= 2)
