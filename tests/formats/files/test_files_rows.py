import pandas as pd
from files import reading_of, write_file

from tokenvis.formats.files.reading import Reading
from tokenvis.formats.files.rows import table_rows
from tokenvis.formats.files.sources import Source


def test_the_rows_of_every_kind_of_table():
    frame = pd.DataFrame({"who": ["ann", None], "n": [1, 2]})
    frame.to_parquet("x.parquet")
    frame.to_csv("x.csv", index=False)
    write_file("x.jsonl", {"who": "ann", "n": 1}, {"who": None, "n": 2})
    write_file("x.json", [{"who": "ann", "n": 1}, {"who": None, "n": 2}])
    expected = [{"who": "ann", "n": 1}, {"who": None, "n": 2}]
    for path in ("x.parquet", "x.jsonl", "x.json"):
        assert [row for _, row in table_rows(reading_of(path))] == expected
    assert [row for _, row in table_rows(reading_of("x.csv"))] == [{"who": "ann", "n": "1"}, {"who": None, "n": "2"}]
    source = Source(write_file("nothing", ""), "the DataFrame", "DataFrame", frame=frame)
    assert list(table_rows(Reading(source))) == list(enumerate(expected))
