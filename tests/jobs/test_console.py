"""Tables for other programs."""

import pytest

from tmap.jobs.console import tsv


def test_lines_have_one_tab_between_cells_whatever_a_cell_contains():
    rows = [{"a": "x\ty\n z", "b": None}, {"a": 0.5, "b": 3}]
    assert tsv(rows) == "a\tb\nx y z\t\n0.5\t3\n"


@pytest.mark.parametrize("end", ["\u2028", "\x85", "\x0b", "\r"])
def test_no_line_end_of_any_script_is_left_in_a_cell(end):
    assert len(tsv([{"a": f"x{end}y"}]).splitlines()) == 2


def test_without_records_nothing_is_printed():
    assert tsv([]) == ""
