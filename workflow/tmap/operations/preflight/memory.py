"""Memory that a model needs, estimated from its shape.

Weights; for answering, the keys and values of every token in a batch; for LoRA, the
adapter with its optimiser, and the activations and logits of one micro-batch. Worked
example, 8.03 B parameters (32 layers, hidden 4096, key-value width 1024, intermediate
14336, vocabulary 128256) in bfloat16:

    weights                 8.03e9 x 2                                16.1 GB
    weights in nf4          2 x 4096 x 128256 x 2, the rest 9/16       6.0 GB
    answering, 100 x 1000   32 layers x 2 x 1024 x 2 x 100,000        13.1 GB
    adapter of rank 16      16 x 32 x 81,920 = 41.9 M, 16 bytes each   0.7 GB
    logits, 16 x 1000       16,000 x 128,256 x (2 + 8)                20.5 GB
    activations, 16 x 1000  kept 32 x 4096 x 2 x 16,000                4.2 GB
                            one layer (8 x 4096 + 2 x 1024
                            + 4 x 14336) x 2 x 16,000                  2.9 GB

It is an estimate: attention kernels and the allocator use more or less than that.
"""

from __future__ import annotations

from typing import Any, NamedTuple

#: Per adapter parameter: float32 value, gradient and AdamW's two moments.
ADAPTER_BYTES = 16
#: Per logit, in addition to its own width: softmax in float32, and its gradient.
LOGIT_BYTES = 8


class Shape(NamedTuple):
    """The sizes that memory depends on; `kv` is the width of a layer's keys or values."""

    n_parameters: int
    layers: int
    hidden: int
    kv: int
    intermediate: int
    vocabulary: int


def shape(config: Any, n_parameters: int) -> Shape | None:
    """The shape of a decoder from its transformers config; None if it is unusual."""
    hidden = getattr(config, "hidden_size", None)
    layers = getattr(config, "num_hidden_layers", None)
    heads = getattr(config, "num_attention_heads", None)
    if not hidden or not layers or not heads:
        return None
    head = getattr(config, "head_dim", None) or hidden // heads
    kv_heads = getattr(config, "num_key_value_heads", None) or heads
    wide = getattr(config, "intermediate_size", None) or 4 * hidden
    return Shape(n_parameters, layers, hidden, kv_heads * head, wide, config.vocab_size)


def weights(model: Shape, width: int, quantization: str | None) -> int:
    """Bytes of the weights.

    Parameters
    ----------
    width : bytes of a number
    quantization : nf4: 4 bits and a float32 factor for every 64 weights (4.5 bits in
        all); embeddings and the output layer keep their width
    """
    if quantization is None:
        return model.n_parameters * width
    wide = min(2 * model.vocabulary * model.hidden, model.n_parameters)
    return wide * width + (model.n_parameters - wide) * 9 // 16


def answering(model: Shape, width: int, batch: int, tokens: int) -> int:
    """Bytes of keys and values of `batch` texts of `tokens` tokens, without the weights.

    Parameters
    ----------
    width : bytes of a number
    """
    return model.layers * 2 * model.kv * width * batch * tokens


def training(
    model: Shape, width: int, rank: int, tokens: int, checkpointing: bool
) -> int:
    """Bytes of adapter, activations and logits, without the weights.

    Parameters
    ----------
    width : bytes of a number
    rank : of the adapter, on every linear layer
    tokens : of one micro-batch, padding included
    checkpointing : whether only the inputs of layers, and one full layer, are kept
    """
    h, kv, wide = model.hidden, model.kv, model.intermediate
    linears = 4 * h + 2 * (h + kv) + 3 * (h + wide)  # in + out of q, o; k, v; the MLP
    adapter = rank * model.layers * linears * ADAPTER_BYTES
    layer = (8 * h + 2 * kv + 4 * wide) * width * tokens
    kept = model.layers * h * width * tokens
    activations = kept + layer if checkpointing else model.layers * layer
    logits = tokens * model.vocabulary * (width + LOGIT_BYTES)
    return adapter + activations + logits
