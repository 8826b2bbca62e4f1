import matplotlib.pyplot as plt
import numpy as np
from conftest import spans_of
from matplotlib.transforms import Bbox

from tokenvis import storyline
from tokenvis.layout.storylines.geometry import storyline_geometry
from tokenvis.plot.artists.storylines.pixels import OccupiedPixels, text_box
from tokenvis.plot.artists.storylines.room_names import RoomLabels, are_near, places_at_box
from tokenvis.plot.artists.text import text_width

EM = 10.0


def labels_of(spans, *, size=(8, 3)):
    """The names of the rooms of a story, and its boxes in pixels."""
    found = storyline_geometry(storyline(spans, budget=0).lines, "location_id", lambda times: times.astype(float))
    _, ax = plt.subplots(figsize=size)
    ax.set_xlim(found.edges[0], found.edges[-1])
    ax.set_ylim(found.bottom + 1, -1)
    occupied = OccupiedPixels(ax, found)
    boxes = found.group_boxes()
    rooms = RoomLabels(boxes, found.groups, occupied, lambda text: text_width(text, EM), em=EM, size=EM)
    return list(rooms.chosen()), {found.groups[box.group]: occupied.visible_levels(box) for box in boxes}


def test_a_name_is_above_or_below_its_box():
    [label], boxes = labels_of(spans_of("ann 0 90 desk"))
    [box] = boxes["desk"]
    assert (label.text, label.x) == ("desk", box.x0)
    assert label.y in (box.y1 + EM, box.y0 - EM)


def test_between_the_lines_is_a_place_too():
    spans = spans_of("ann 0 90 desk", "bob 0 90 desk")
    found, boxes = labels_of(spans, size=(8, 2))
    [box] = boxes["desk"]
    assert [place.is_inside for place in places_at_box([box], EM)][:3] == [False, False, True]
    assert len(found) == 1


def test_a_name_that_is_wider_than_its_box_does_not_reach_over_a_neighbour():
    long = "a-room-with-a-name-of-many-letters"
    found, boxes = labels_of(spans_of(f"ann 0 10 {long}", "ann 10 90 lab"))
    texts = {label.text: label for label in found}
    assert "lab" in texts
    assert long not in texts
    [cut] = [label for label in found if label.text != "lab"]
    assert cut.text.startswith("a-")
    assert cut.x + text_width(cut.text, EM) <= boxes["lab"][0].x0


def test_no_name_is_cut_so_that_it_could_be_another_one():
    names = ["Dorm for Oak Hill College: room", "Dorm for Oak Hill Colleges: room"]
    found, _ = labels_of(spans_of("ann 0 10 a", "ann 10 20 b", "ann 20 90 lab").assign(location_id=[*names, "lab"]))
    assert [label.text for label in found] == ["lab"]


def test_each_room_of_a_series_has_a_name_again():
    rows = [f"ann {step * 10} {step * 10 + 10} {'desk' if step % 2 else 'lab'}" for step in range(6)]
    found, _ = labels_of(spans_of(*rows))
    assert sorted(label.text for label in found) == ["desk"] * 3 + ["lab"] * 3


def test_a_name_is_nearest_to_its_own_box():
    rows = [f"agent{number} 0 90 room{number}" for number in range(6)]
    found, boxes = labels_of(spans_of(*rows), size=(8, 2.5))
    assert found
    for label in found:
        y = {room: min(abs(label.y - level.y0) for level in levels) for room, levels in boxes.items()}
        y = {room: min(y[room], *(abs(label.y - level.y1) for level in levels)) for room, levels in boxes.items()}
        assert min(y, key=y.get) == label.text


def test_near_and_far():
    box = Bbox([[0, 0], [10, 10]])
    assert are_near(box, Bbox([[12, 0], [20, 10]]), 3)
    assert not are_near(box, Bbox([[14, 0], [20, 10]]), 3)
    assert np.allclose(text_box(10, 5, 4, 2, "right").extents, (6, 4, 10, 6))
    assert places_at_box([], EM) == []
