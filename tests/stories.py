"""Stories, as tables of blocks and as spans.

Those of the graph-drawing literature come with their minimum numbers of crossings; others are random.
"""

import json
import os
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tokenvis.layout.storylines.blocks import LayerTable, blocks_by_group, layer_changes
from tokenvis.spans.columns import as_spans, in_frame_order

FEWEST_CROSSINGS = {
    "Inception": 35,
    "Inception, broken": 27,
    "StarWars": 39,
    "StarWars, broken": 37,
    "TheMatrix": 12,
    "TheMatrix, broken": 10,
    "Frozen": 2,
    "Minions": 2,
    "Redcap": 0,
    "Naruto": 6,
    "NaniaTune": 5,
    "LetBulletFlyTune": 15,
    "MatrixTune": 12,
    "huck": 39,
    "anna 1": 20,
    "anna 2": 12,
    "anna 3": 0,
    "anna 4": 20,
}

REAL_TRACES_ROOT = os.environ.get("TOKENVIS_REAL_TRACES")
needs_stories = pytest.mark.skipif(not REAL_TRACES_ROOT, reason="TOKENVIS_REAL_TRACES names no folder of real traces")

Visit = tuple[str, str, int, int]  # agent, session, start, end


def story(name: str) -> LayerTable:
    """A story as blocks; "broken": lines end while a character is in no session."""
    return blocks_in(visits_of(name), broken=name.endswith("broken"))


def spans_of_story(name: str) -> pd.DataFrame:
    """A story as spans, with a column ``session``; of two sessions at once, the one listed later starts last."""
    return spans_in(visits_of(name), name)


def spans_in(visits: list[Visit], name: str) -> pd.DataFrame:
    """Visits as spans."""
    columns = {
        "id": [f"{number:06}" for number in range(len(visits))],
        "trace_id": name,
        "agent_id": [visit[0] for visit in visits],
        "location_id": [visit[1] for visit in visits],
        "start_time": np.array([visit[2] for visit in visits], dtype=np.int64),
        "end_time": np.array([visit[3] for visit in visits], dtype=np.int64),
    }
    spans = as_spans(pd.DataFrame(columns)).assign(session=columns["location_id"])
    return in_frame_order(spans).reset_index(drop=True)


def random_visits(seed: int, *, n_agents: int = 8, n_scenes: int = 40, n_locations: int = 4) -> list[Visit]:
    """The visits of a random story: from scene to scene some agents go to another location, and some to none."""
    random = np.random.default_rng(seed)
    location = random.integers(0, n_locations, n_agents)
    visits = []
    for scene in range(n_scenes):
        moves = random.random(n_agents) < 0.25
        location = np.where(moves, random.integers(-1, n_locations, n_agents), location)
        visits += [
            (f"agent {agent}", f"{location_number}", scene, scene + 1)
            for agent, location_number in enumerate(location.tolist())
            if location_number >= 0
        ]
    return visits


def visits_of(name: str) -> list[Visit]:
    """The visits of a story: agent, session, start, end."""
    folder = Path(REAL_TRACES_ROOT or ".", "storyline")
    title, _, part = name.partition(" ")
    title = title.rstrip(",")
    film = folder / "tanahashi" / f"{title}_interaction_sessions.txt"
    istoryline = folder / "istoryline" / f"{title}.json"
    if film.exists():
        return film_visits(film.read_text())
    if istoryline.exists():
        return istoryline_visits(istoryline.read_text())
    return book_visits((folder / "sgb" / f"{title}.dat").read_text(), part)


def film_visits(text: str) -> list[Visit]:
    sessions = re.findall(r"Start\s*:\s*(\d+)\s*End\s*:\s*(\d+)\s*Members\s*:\s*\[([^\]]*)\]", text)
    return [
        (agent.strip(), str(number), int(start), int(end))
        for number, (start, end, members) in enumerate(sessions)
        for agent in members.split(",")
    ]


def istoryline_visits(text: str) -> list[Visit]:
    characters = json.loads(text)["Story"]["Characters"]
    return [
        (agent, str(visit["Session"]), visit["Start"], visit["End"]) for agent, visits in characters.items() for visit in visits
    ]


def book_visits(text: str, part: str) -> list[Visit]:
    chapters = re.findall(r"^(\d[\d.]*):(.*)$", text, flags=re.MULTILINE)
    chosen = [scenes for chapter, scenes in chapters if not part or chapter.split(".")[0] == part]
    scenes = [scene.split(",") for scenes in chosen for scene in scenes.split(";") if "," in scene]
    return [(agent, str(number), number, number + 1) for number, scene in enumerate(scenes) for agent in scene]


def blocks_in(visits: list[Visit], *, broken: bool) -> LayerTable:
    """Layers between all starts and ends; of two sessions at once, the later one counts."""
    agents = {agent: number for number, agent in enumerate(dict.fromkeys(visit[0] for visit in visits))}
    sessions = {session: number for number, session in enumerate(dict.fromkeys(visit[1] for visit in visits))}
    times = sorted({time for visit in visits for time in visit[2:]})
    session_table = np.full((len(times) - 1, len(agents)), -1, dtype=np.int32)
    for agent, session, start, end in sorted(visits, key=lambda visit: visit[2]):
        session_table[times.index(start) : times.index(end), agents[agent]] = sessions[session]
    is_present = session_table >= 0
    continuous = np.maximum.accumulate(is_present) & np.maximum.accumulate(is_present[::-1])[::-1]
    blocks = blocks_by_group(session_table, is_present if broken else continuous)
    return blocks[layer_changes(blocks)]
