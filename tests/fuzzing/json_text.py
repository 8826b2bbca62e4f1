"""JSON texts with parts that `json` neither reads nor writes: numbers, nestings and keys of any spelling at any place."""

import copy
import json
from dataclasses import dataclass
from typing import Any

from damage import value_paths

PAST_HEAD_BYTES = 1_200_000  # more than is read to recognise a format


@dataclass
class Document:
    """The values of a JSON text, and whether it has a value on each line.

    ``spelled`` maps a text, among the values or their keys, to the bytes that are written in its place.
    """

    values: list[Any]
    has_lines: bool
    spelled: dict[str, bytes]

    @classmethod
    def parsed(cls, text):
        """The document of a text, None if it is no JSON."""
        for lines in (text.splitlines(), [text]):
            try:
                return cls([json.loads(line) for line in lines if line.strip()], len(lines) > 1, {})
            except (ValueError, RecursionError):
                continue
        return None

    def written(self):
        """The text."""
        text = b"\n".join(json.dumps(value).encode() for value in self.values)
        for mark, spelling in self.spelled.items():
            text = text.replace(json.dumps(mark).encode(), spelling)
        return text

    def mark(self, spelling):
        """A text that is written as these bytes."""
        mark = f"@spelled {len(self.spelled)}@"
        self.spelled[mark] = spelling
        return mark

    def paths(self):
        """The path of each value."""
        return list(value_paths(self.values))

    def place_of(self, path):
        """The container and the key of a value."""
        container = self.values
        for key in path[:-1]:
            container = container[key]
        return container, path[-1]

    def objects(self):
        """All objects."""
        values = (self.values, *(container[key] for container, key in map(self.place_of, self.paths())))
        return [value for value in values if isinstance(value, dict)]

    def records(self):
        """The list that contains the records: the lines, or the longest list of objects."""
        if self.has_lines:
            return self.values
        values = (container[key] for container, key in map(self.place_of, self.paths()))
        lists = [value for value in values if isinstance(value, list) and any(isinstance(item, dict) for item in value)]
        return max(lists, key=len, default=self.values)

    def grow(self, size):
        """Repeat the records in front, so that the last of them begin after these many bytes."""
        records = self.records()
        repeated = copy.deepcopy(records)
        n_bytes = len(json.dumps(repeated)) or 1
        records[:0] = repeated * (size // n_bytes + 1)
