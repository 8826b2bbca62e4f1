import json
import struct

import numpy as np
import pytest

from tokenvis.explorer.wire import Message, rows_in


def column(*values, ascending=False):
    message = Message({})
    message.add("it", np.array(values, dtype=np.int64), ascending=ascending)
    [spec] = message.header["columns"]
    return spec["type"], spec["n_wide"], list(message.buffers[0])


def test_a_column_takes_the_fewest_bytes():
    assert column(0, 1, 254) == ("u8", 0, [0, 1, 254])
    assert column(*[0] * 20, 300) == ("u8", 1, [*[0] * 20, 255])  # a wide value costs 12 bytes, another width 21
    assert column(0, 300)[:2] == ("u16", 0)
    assert column(0, 70_000)[:2] == ("u32", 0)
    assert column(0, 2**40)[:2] == ("u8", 1)


def test_the_highest_number_of_a_width_is_a_wide_value_like_one_below_0():
    assert column(255, *[0] * 20)[:2] == ("u8", 1)
    assert column(-1)[:2] == ("u8", 1)


def test_numbers_that_ascend_are_steps():
    assert column(5, 5, 9, 200, ascending=True) == ("u8", 0, [5, 0, 4, 191])


def test_no_values_are_a_column_too():
    assert column() == ("u8", 0, [])
    assert column(ascending=True) == ("u8", 0, [])


def test_a_message_is_one_piece():
    message = Message({"what": "é"})
    message.add("it", np.array([1, 2, 3]))
    whole = message.whole()
    [length] = struct.unpack("<I", whole[:4])
    header = json.loads(whole[4 : 4 + length])
    assert (header["what"], header["sizes"], whole[4 + length :]) == ("é", [3], b"\1\2\3")


@pytest.mark.parametrize("rows", [[], [0], [0, 2, 9]])
def test_rows_are_read_as_numbers_and_as_bits(rows):
    bits = np.zeros(10, dtype=bool)
    bits[rows] = True
    assert rows_in({"as": "rows"}, np.array(rows, dtype="<u4").tobytes(), 10).tolist() == rows
    assert rows_in({"as": "bits"}, memoryview(np.packbits(bits).tobytes()), 10).tolist() == rows
