"""A random two-layer Llama with a tokenizer, on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

#: A chat template of the usual shape; it writes the BOS itself.
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}"
    "<|turn|>{{ m['role'] }}\n{{ m['content'] | trim }}<|end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|turn|>assistant\n{% endif %}"
)
CORPUS = [
    "Question: Sara has 6 coins. A friend gives Sara 34 coins. How many coins now?",
    "Answer: Sara has 6+34=40 coins.\n#### 40\n\n",
    "user assistant system # Query: # Answer: (A) (B) 0123456789 the of and to in is",
]


def write_tokenizer(folder: Path) -> Any:
    """A byte-level BPE of some 400 tokens, made on the spot; ids 0-2 pad, BOS, EOS."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<pad>", "<bos>", "<eos>", "<|turn|>", "<|end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(CORPUS * 3, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="<pad>",
        bos_token="<bos>",
        eos_token="<eos>",
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    tokenizer.save_pretrained(folder)
    return tokenizer


def write_llama(folder: Path, vocab_size: int, seed: int = 0) -> None:
    """Random weights, wide enough apart that greedy choices are not near ties."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=vocab_size,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        initializer_range=0.2,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
