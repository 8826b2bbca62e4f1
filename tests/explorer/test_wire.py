import json
import struct

import numpy as np
import pytest

from tokenvis.explorer.wire import Message, rows_from_page


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


def test_the_maximum_of_a_type_and_negative_numbers_are_wide_values():
    assert column(255, *[0] * 20)[:2] == ("u8", 1)
    assert column(-1)[:2] == ("u8", 1)


def test_ascending_numbers_are_differences():
    assert column(5, 5, 9, 200, ascending=True) == ("u8", 0, [5, 0, 4, 191])


def test_a_column_can_be_empty():
    assert column() == ("u8", 0, [])
    assert column(ascending=True) == ("u8", 0, [])


def test_a_message_fits_in_one_buffer():
    message = Message({"what": "é"})
    message.add("it", np.array([1, 2, 3]))
    whole = message.to_bytes()
    [length] = struct.unpack("<I", whole[:4])
    header = json.loads(whole[4 : 4 + length])
    assert (header["what"], header["sizes"], whole[4 + length :]) == ("é", [3], b"\1\2\3")


@pytest.mark.parametrize("rows", [[], [0], [0, 2, 9]])
def test_rows_are_decoded_from_numbers_and_from_bits(rows):
    bits = np.zeros(10, dtype=bool)
    bits[rows] = True
    assert rows_from_page({"as": "rows"}, np.array(rows, dtype="<u4").tobytes(), 10).tolist() == rows
    assert rows_from_page({"as": "bits"}, memoryview(np.packbits(bits).tobytes()), 10).tolist() == rows
