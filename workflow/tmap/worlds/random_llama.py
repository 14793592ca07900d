"""A Llama that was never trained: two layers of random numbers and a real tokenizer.

It loads like any Transformers model and exercises every code path in seconds. Its answers
are noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tmap.worlds import byte_pair

VOCABULARY = 512
MAX_POSITIONS = 1024


def write(folder: Path, texts: Sequence[str], seed: int) -> None:
    """Save model (safetensors) and fast tokenizer as Transformers does.

    Parameters
    ----------
    folder : an existing folder
    texts : training texts of the byte-pair tokenizer
    seed : of the weights; the same seed gives the same bytes
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM
    from transformers.utils import logging as messages

    quiet: Any = messages.disable_progress_bar  # it has no types
    quiet()
    tokenizer = train_tokenizer(texts)
    tokenizer.save_pretrained(folder)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=MAX_POSITIONS,
        # Ten times the usual spread: with less, every prompt gets the same answer.
        initializer_range=0.2,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        dtype="float32",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config)
    model.save_pretrained(folder)


def train_tokenizer(texts: Sequence[str]) -> Any:
    """A byte-level BPE tokenizer of at most 512 tokens; every digit its own token.

    It puts <bos> before a text, as Llama's does.
    """
    from tokenizers import pre_tokenizers

    cuts = [
        pre_tokenizers.Digits(individual_digits=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False),
    ]
    return byte_pair.train(
        texts, cuts, largest=VOCABULARY, max_positions=MAX_POSITIONS, adds_bos=True
    )
