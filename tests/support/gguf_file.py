"""Write the small Llama of the tests as GGUF, as llama.cpp's converter does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

#: gguf's names of a block's weights, by transformers' names.
BLOCK = {
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
WHOLE = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
}


def write_gguf(
    llama: str,
    file: Path,
    *,
    stored: str = "F32",
    architecture: str = "llama",
    without: str = "",
    **fields: str | int,
) -> None:
    """The model in folder `llama` as one GGUF file.

    Parameters
    ----------
    stored : type of the matrices: F32, or Q8_0 where rows are multiples of 32
    without : leave out weights with this in their name
    fields : more fields, with `__` for a dot
    """
    from gguf import GGMLQuantizationType, GGUFWriter, quantize
    from safetensors.numpy import load_file

    folder = Path(llama)
    config = json.loads((folder / "config.json").read_text())
    writer = GGUFWriter(file, architecture)
    writer.add_name("tiny")
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(config["vocab_size"])
    for key, value in fields.items():
        add = writer.add_uint32 if isinstance(value, int) else writer.add_string
        add(key.replace("__", "."), value)
    _add_tokenizer(writer, folder)
    kind = GGMLQuantizationType[stored]
    for name, values in load_file(folder / "model.safetensors").items():
        label = _label(name)
        if without and without in label:
            continue
        if "attn_q." in label or "attn_k." in label:
            key = "num_attention_heads" if "_q" in label else "num_key_value_heads"
            values = permuted(values, config[key])
        if values.ndim == 2:
            writer.add_tensor(label, quantize(values, kind), raw_dtype=kind)
        else:
            writer.add_tensor(label, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def permuted(values: Any, n_heads: int) -> Any:
    """Rows of a projection in llama.cpp's order: its rotary pairs are neighbours."""
    n, width = values.shape
    pairs = values.reshape(n_heads, 2, n // n_heads // 2, width)
    return pairs.swapaxes(1, 2).reshape(n, width).copy()


def _label(name: str) -> str:
    if name in WHOLE:
        return WHOLE[name]
    _, _, block, rest = name.split(".", 3)
    return f"blk.{block}.{BLOCK[rest.removesuffix('.weight')]}.weight"


def _add_tokenizer(writer: Any, folder: Path) -> None:
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    tokens = dict(tokenizer["model"]["vocab"])
    special = {part["content"]: part["id"] for part in tokenizer["added_tokens"]}
    ordered = sorted((tokens | special).items(), key=lambda item: item[1])
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list([token for token, _ in ordered])
    writer.add_token_types([3 if token in special else 1 for token, _ in ordered])
    merges = tokenizer["model"]["merges"]
    pairs = [m if isinstance(m, str) else " ".join(m) for m in merges]
    writer.add_token_merges(pairs)
    writer.add_pad_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_chat_template((folder / "chat_template.jinja").read_text())
