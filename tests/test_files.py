import stat
from pathlib import Path

import pytest

from tokenvis import BadOption
from tokenvis.files import place_of, replacing


def test_a_file_is_there_once_all_went_well():
    with replacing(place_of("a.txt")) as file:
        file.write(b"whole")
        assert not Path("a.txt").exists()
    assert Path("a.txt").read_bytes() == b"whole"
    assert [path.name for path in Path().iterdir()] == ["a.txt"]


def test_an_error_leaves_what_was_there():
    Path("a.txt").write_text("before")
    Path("a.txt").chmod(0o600)
    with pytest.raises(TypeError), replacing(Path("a.txt")) as file:
        file.write("no bytes")
    assert (Path("a.txt").read_text(), [path.name for path in Path().iterdir()]) == ("before", ["a.txt"])
    with replacing(Path("a.txt")) as file:
        file.write(b"after")
    assert (Path("a.txt").read_text(), stat.S_IMODE(Path("a.txt").stat().st_mode)) == ("after", 0o600)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (5, "path=5 is no path of a file."),
        (".", "path='.' is a folder."),
        ("no/a", "path='no/a': there is no folder 'no'. Make it first."),
        ("a\0", "path='a\\x00' holds a null character, which no name of a file can."),
    ],
)
def test_a_place_where_no_file_can_be_is_refused(path, message):
    with pytest.raises(BadOption) as raised:
        place_of(path)
    assert str(raised.value) == message


def test_a_place_that_cannot_be_written_is_refused():
    with pytest.raises(BadOption, match=r"^path='/proc/a' cannot be written: "), replacing(Path("/proc/a")):
        pass
