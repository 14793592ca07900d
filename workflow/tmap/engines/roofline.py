"""Lower bounds for the time that a device needs: calculated, not measured.

Every matrix parameter takes two operations per token; every decoding step reads all
weights once, each prefix once, and each row's own keys and values.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

#: Dense 16-bit operations and bytes per second, from the makers' data sheets (SXM).
DEVICES = {
    "H200": (989e12, 4.8e12),
    "H100": (989e12, 3.35e12),
    "A100": (312e12, 2.04e12),
}


class Roofline:
    """Lower bounds for one model on its device.

    NaN if the device is not in `DEVICES`, or the weights are quantized.
    """

    def __init__(self, model: Any) -> None:
        device = torch.device(model.device)
        known = device.type == "cuda" and not getattr(model, "is_quantized", False)
        name = torch.cuda.get_device_name(device) if known else ""
        self.peaks = next((DEVICES[key] for key in DEVICES if key in name), None)
        config = model.config.get_text_config(decoder=True)
        size = model.dtype.itemsize
        tables = [
            m.weight for m in model.modules() if isinstance(m, torch.nn.Embedding)
        ]
        head = model.get_output_embeddings().weight
        tied = any(table is head for table in tables)
        n = sum(p.numel() for p in model.parameters()) - sum(t.numel() for t in tables)
        self.decoding = n + (head.numel() if tied else 0)
        self.reading = self.decoding - head.numel()
        self.weights = self.decoding * size
        heads = getattr(config, "num_key_value_heads", None)
        heads = heads or config.num_attention_heads
        width = getattr(config, "head_dim", None)
        width = width or config.hidden_size // config.num_attention_heads
        self.kv = 2 * config.num_hidden_layers * heads * width * size

    def read(self, n_tokens: int) -> float:
        """Seconds to read prompts with this many tokens in total."""
        if self.peaks is None:
            return float("nan")
        return 2 * self.reading * n_tokens / self.peaks[0]

    def write(
        self, prefixes: Sequence[int], questions: Sequence[int], new: Sequence[int]
    ) -> float:
        """Seconds to write the answers of one batch.

        Parameters
        ----------
        prefixes : lengths of the prefixes that are shared
        questions, new : tokens of every row's question and answer
        """
        if self.peaks is None:
            return float("nan")
        operations, bandwidth = self.peaks
        steps = max(new, default=0)
        own = sum(n * q + n * (n + 1) // 2 for q, n in zip(questions, new, strict=True))
        moved = steps * self.weights + (own + steps * sum(prefixes)) * self.kv
        return max(2 * self.decoding * sum(new) / operations, moved / bandwidth)
