import os
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import fs

from tokenvis import BadOption, FleetError
from tokenvis.fleet.sources.places import Place, as_fleet_error, place_of, reason_of, without_password


def message(*arguments):
    with pytest.raises(BadOption) as caught:
        place_of(*arguments)
    return str(caught.value)


def test_a_path_is_on_this_machine():
    assert (place_of("spans/").local, str(place_of("spans/"))) == (Path("spans"), "spans/")
    assert place_of("~/spans").local == Path.home() / "spans"
    assert place_of(Path("spans").absolute().as_uri()).local == Path("spans").absolute()
    assert place_of("spans", fs.LocalFileSystem()).local == Path("spans")


def test_a_name_that_is_not_unicode_is_listed_and_opened():
    folder = Path(os.fsdecode(b"\xff"))
    folder.mkdir()
    (folder / "a.parquet").write_bytes(b"x")
    place = place_of(folder)
    assert (place.names(), str(place)) == ({"a.parquet": False}, "\\udcff")
    with place.opened("a.parquet") as file:
        assert file.read() == b"x"


def test_a_file_system_has_folders_too():
    Path("bucket/spans/more").mkdir(parents=True)
    Path("bucket/spans/a.parquet").write_bytes(b"x")
    place = place_of("spans", fs.SubTreeFileSystem(str(Path("bucket").absolute()), fs.LocalFileSystem()))
    assert (place.local, place.names()) == (None, {"a.parquet": False, "more": True})
    with place.opened("a.parquet") as file:
        assert file.read() == b"x"
    file = Place("spans/a.parquet", "spans/a.parquet", place.filesystem)
    assert file.names() is None
    assert file.parent() == (Place("spans", "spans", place.filesystem), "a.parquet")


def test_what_cannot_be_listed_is_named():
    for path in ("no", "no/spans"):
        with pytest.raises(FleetError) as caught:
            place_of(path).names()
        assert str(caught.value) == f"There is no folder {path}. export(source, folder, format='fleet') writes one."


def test_a_password_is_not_shown():
    assert without_password("s3://key:secret@bucket/spans?region=x") == "s3://bucket/spans"
    assert without_password("s3://bucket/of@ann") == "s3://bucket/of@ann"


@pytest.mark.parametrize("secret", ["sec ret", "sec  ret", "sec/ret", "sec#ret", "sec?ret", "sec@ret", "[secret"])
@pytest.mark.parametrize("scheme", ["s3", "ftp2"])
def test_a_password_is_not_shown_if_the_url_is_wrong(secret, scheme):
    text = message(f"{scheme}://key:{secret}@bucket/spans?bad=1")
    assert text.startswith(f"path='{scheme}://bucket/spans' is not a URL of an Arrow file system: ")
    assert "ret" not in text.partition("system: ")[2]
    assert "key" not in text


def test_whether_a_folder_exists_is_an_error_if_it_is_not_known():
    class Unreachable(fs.FileSystemHandler):
        def get_file_info(self, paths):
            raise OSError("no connection.")

    Unreachable.__abstractmethods__ = frozenset()
    place = place_of("spans", fs.PyFileSystem(Unreachable()))
    with pytest.raises(FleetError) as caught:
        place.exists()
    assert str(caught.value) == "spans cannot be listed: no connection."
    assert not place_of("spans").exists()
    assert not place_of("spans", fs.SubTreeFileSystem(str(Path.cwd()), fs.LocalFileSystem())).exists()


def test_other_values_are_refused():
    assert message(None) == "path=None is not a path."
    assert message(b"spans") == "path=b'spans' is not a path."
    assert message("a\0") == "path='a\\x00' contains a null character, which is not allowed in a path."
    assert message("~no-such-user/spans").startswith("path='~no-such-user/spans': ")
    assert message("ftp2://u:secret@host/x").startswith(
        "path='ftp2://host/x' is not a URL of an Arrow file system: Unrecognized filesystem type"
    )
    assert message("spans", 5) == "filesystem=5 is not a file system of pyarrow.fs or fsspec."


def test_errors_of_a_file_are_named():
    with pytest.raises(FleetError) as caught, as_fleet_error(place_of("spans"), "a.parquet"):
        raise pa.ArrowInvalid("two\nlines.")
    assert str(caught.value) == (
        "'a.parquet' in spans is damaged, or no Parquet file (two lines). Restore it, or remove it and export its traces again."
    )
    assert reason_of(ValueError()) == "ValueError"
