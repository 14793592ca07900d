"""Byte-pair tokenizers for generated models."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

#: Special tokens and their ids, in this order.
PAD, BOS, EOS = "<pad>", "<bos>", "<eos>"


def train(
    texts: Iterable[str],
    cuts: Sequence[Any],
    *,
    largest: int,
    max_positions: int,
    adds_bos: bool,
) -> Any:
    """A byte-level BPE over `texts`; text that they lack falls back to bytes.

    Parameters
    ----------
    texts : training texts
    cuts : pre-tokenizers of the tokenizers library, which cut a text before merging
    largest : most tokens of the vocabulary
    max_positions : of the model
    adds_bos : put <bos> before a text, as Llama's tokenizer does

    Returns
    -------
    A fast tokenizer of transformers.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from tokenizers.trainers import BpeTrainer
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(list(cuts))
    tokenizer.decoder = decoders.ByteLevel()
    trainer = BpeTrainer(
        vocab_size=largest,
        special_tokens=[PAD, BOS, EOS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    if adds_bos:
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{BOS} $A", special_tokens=[(BOS, tokenizer.token_to_id(BOS))]
        )
    fast: Any = PreTrainedTokenizerFast  # its constructor has no types
    return fast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        bos_token=BOS,
        eos_token=EOS,
        model_max_length=max_positions,
        clean_up_tokenization_spaces=False,
    )
