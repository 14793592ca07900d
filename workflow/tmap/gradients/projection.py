"""A sparse Johnson-Lindenstrauss projection of long vectors to short ones.

Each coordinate is added, with a random sign, to one random place in each of s blocks of
the result, divided by sqrt(s). Inner products are unbiased over seeds, and

    variance of <Px, Py>  <=  2 |x|^2 |y|^2 / dim

so that, with eps = 0.05 and dim = 8192, at most one pair in ten is off by more than
eps |x| |y| (Chebyshev; far fewer in measurements). With s = dim, every block is one place
and this is the dense Rademacher projection of TRAK and LESS, at dim / s times the cost.

Signs and places are drawn from seed, name and position, block by block. So nothing of the
size of the matrix is in memory, and parts of a vector may come in any order and grouping.
Draws are kept on the vectors' device for later vectors, up to `KEPT` bytes.

Source: Kane & Nelson 2014, arXiv:1012.1577 (block construction); Park et al. 2023,
arXiv:2303.14186 (TRAK); Xia et al. 2024, arXiv:2402.04333 (LESS, 8192 dimensions).
"""

from __future__ import annotations

import zlib

import numpy as np
import torch

#: Coordinates whose signs and places are drawn at a time.
WIDTH = 2**16
#: Bytes of signs and places that are kept: 5 per coordinate and place, 26 million
#: coordinates at 8 places.
KEPT = 2**30

#: Places and signs, (s, n) each.
Drawn = tuple[torch.Tensor, torch.Tensor]


class Projection:
    """Projects vectors that come in named parts.

    Parameters
    ----------
    dim : of the result
    nonzeros : s; dim must be a multiple of it
    seed : another seed gives another projection
    """

    def __init__(self, dim: int, nonzeros: int, seed: int) -> None:
        if dim % nonzeros:
            raise ValueError(f"dim {dim} is not a multiple of nonzeros {nonzeros}")
        self.dim, self.nonzeros, self.seed = dim, nonzeros, seed
        self._kept: dict[tuple[str, int, torch.device], Drawn] = {}
        self._bytes = 0

    def add(self, total: torch.Tensor, name: str, part: torch.Tensor) -> None:
        """Add the projection of one part.

        Parameters
        ----------
        total : (n, dim) float32, changed in place
        name : of the part; the same part has the same name in every vector
        part : (n, n_coordinates) float32
        """
        scale = self.nonzeros**-0.5
        for start in range(0, part.shape[1], WIDTH):
            piece = part[:, start : start + WIDTH]
            drawn = self._drawn(name, start, piece.shape[1], piece.device)
            for place, sign in zip(*drawn, strict=True):
                total.index_add_(1, place, piece * (sign * scale).to(piece))

    def _drawn(self, name: str, start: int, n: int, device: torch.device) -> Drawn:
        """The draws for these coordinates, which always come in the same widths."""
        key = (name, start, device)
        found = self._kept.get(key)
        if found is None:
            places, signs = self._draw(zlib.crc32(name.encode()), start, n)
            found = places.to(device), signs.to(device)
            size = sum(part.nbytes for part in found)
            # No eviction: parts come in a cycle, so the least recently used part would be
            # evicted just before it is needed.
            if self._bytes + size <= KEPT:
                self._kept[key] = found
                self._bytes += size
        return found

    def _draw(self, name: int, start: int, n: int) -> Drawn:
        """Draw places and signs, (s, n) each, for n coordinates from `start` on."""
        rng = np.random.default_rng([self.seed, name, start])
        shape = (self.nonzeros, n)
        width = self.dim // self.nonzeros
        first = np.arange(self.nonzeros, dtype=np.int32)[:, None] * width
        places = rng.integers(0, width, shape, dtype=np.int32) + first
        signs = rng.integers(0, 2, shape, dtype=np.int8) * 2 - 1
        return torch.from_numpy(places), torch.from_numpy(signs)
