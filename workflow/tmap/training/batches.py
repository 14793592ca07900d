"""Rows of a batch as tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from tmap.training.rows import IGNORED, Row


def padded(
    rows: Sequence[Row], device: Any
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Ids, mask and labels, (n_rows, longest), padded on the right."""
    width = max(len(row.input_ids) for row in rows)
    shape = (len(rows), width)
    ids = torch.zeros(shape, dtype=torch.long)
    mask = torch.zeros(shape, dtype=torch.long)
    labels = torch.full(shape, IGNORED, dtype=torch.long)
    for at, row in enumerate(rows):
        n = len(row.input_ids)
        ids[at, :n] = torch.tensor(row.input_ids)
        labels[at, :n] = torch.tensor(row.labels)
        mask[at, :n] = 1
    return ids.to(device), mask.to(device), labels.to(device)
