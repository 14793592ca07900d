"""A tokenizer for the embedded world: every word one token, every digit its own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

#: Special tokens and their ids, in this order.
PAD, BOS, EOS = "<pad>", "<bos>", "<eos>"
#: More than the world's words need; training stops by itself when all are whole.
LARGEST = 1024
MAX_POSITIONS = 1024

#: A word or digit with the space before it, `####`, a full stop that ends a line (one
#: token: it comes once per step), line breaks, any other sign. Seams between question
#: and answer, and between examples, are borders here, so that demonstrations, prompts
#: and training rows cut a text alike.
PIECES = r" ?[A-Za-z]+| ?[0-9]| ?#+|\.\n(?!\n)|\n+| ?[^A-Za-z0-9\s]|\s+"


def train(texts: Iterable[str]) -> Any:
    """Byte-level BPE over `texts`; what they lack falls back to bytes.

    It adds no BOS: whoever lays out a prompt does.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from tokenizers.trainers import BpeTrainer
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PIECES), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = BpeTrainer(
        vocab_size=LARGEST,
        special_tokens=[PAD, BOS, EOS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    fast: Any = PreTrainedTokenizerFast  # its constructor has no types
    return fast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        bos_token=BOS,
        eos_token=EOS,
        model_max_length=MAX_POSITIONS,
        clean_up_tokenization_spaces=False,
    )
