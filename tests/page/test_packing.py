"""What the page's script unpacks."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tmap.page import packing

single = st.floats(width=32, allow_infinity=False, allow_subnormal=False)


def read_floats(text):
    """The same steps as `unpackFloats` in packed.js."""
    planes = np.frombuffer(packing.unpack(text), dtype=np.uint8).reshape(3, -1)
    bits = sum(
        plane.astype(np.uint32) << (24 - 8 * i) for i, plane in enumerate(planes)
    )
    return np.asarray(bits, dtype=np.uint32).view(np.float32)


@given(st.lists(single.filter(lambda v: abs(v) < 1e38), min_size=1))
def test_floats_keep_four_digits_and_what_is_missing(values):
    found = read_floats(packing.floats(np.array(values)))

    assert np.array_equal(np.isnan(found), np.isnan(values))
    known = ~np.isnan(found)
    np.testing.assert_allclose(found[known], np.array(values)[known], rtol=2**-14)


def test_floats_by_hand():
    assert read_floats(packing.floats(np.array([0.0, 1.0, -2.5, np.nan]))).tolist()[
        :3
    ] == [0.0, 1.0, -2.5]


def test_bits_and_integers_by_hand():
    marks = packing.bits(np.array([1, 0, 0, 0, 0, 0, 0, 0, 1], dtype=bool))
    assert packing.unpack(marks) == bytes([1, 1])
    assert packing.unpack(packing.integers(np.array([1, 258]))) == bytes(
        [0, 0, 0, 0, 0, 1, 1, 2]
    )


def test_chunks_end_where_the_room_ends():
    values = [{"i": i, "noise": f"{i * 7919 % 10007:05d}"} for i in range(100)]
    whole = packing.until_full(values, 10**6, 10)
    half = packing.until_full(values, sum(map(len, whole[:5])) + 3, 10)

    assert half == whole[:5]
    assert [row for part in whole for row in json.loads(packing.unpack(part))] == values


@pytest.mark.parametrize("room", [0, -1])
def test_without_room_there_is_no_chunk(room):
    assert packing.until_full(["text"], room) == []
