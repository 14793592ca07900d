"""Checkpoints: folders that transformers loads, as another model or never to the end."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from cases import Case
from cases.models import changed, hub_page

Change = Callable[[Path], Any]
PLAIN = "tmap answers and trains with plain ones"


def case(name: str, change: Change, wrong: str, right: str, fix: str) -> Case:
    """A change to a copy of a good model."""
    return Case(name, partial(changed, change), wrong, right, fix)


def edited(name: str, **keys: Any) -> Change:
    """Add keys to a JSON file."""

    def edit(folder: Path) -> None:
        path = folder / name
        path.write_text(json.dumps(json.loads(path.read_text()) | keys))

    return edit


def beside(name: str, text: str = "{}") -> Change:
    return lambda folder: (folder / name).write_text(text)


def packed(name: str, **about: Any) -> Case:
    told = about.get("quant_method", "unknown method")
    return case(
        f"weights quantised by {name}",
        edited("config.json", quantization_config=about),
        f"'model' has weights that are quantised already ({told}",
        PLAIN,
        "set `engine: {quantization: nf4}`",
    )


def quantised(name: str, change: Change, told: str) -> Case:
    fix = "Name the model that it was made from"
    return case(name, change, f"quantised already ({told}", PLAIN, fix)


def adapted(name: str) -> Case:
    return case(
        f"{name} next to the model's weights",
        beside(name),
        f"a model's weights and files of an adapter ({name})",
        "a folder with the base model alone",
        "Remove the adapter's files",
    )


def larger(name: str, change: Change, told: str) -> Case:
    return case(
        name,
        change,
        f"that the model has no vector for, such as {told}",
        "resize_token_embeddings",
        "remove the tokens from the tokenizer",
    )


def more_tokens(*tokens: str, template: str = "", **roles: str) -> Change:
    """Tokens that the tokenizer has and the model does not."""

    def add(folder: Path) -> None:
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(folder)
        tokenizer.add_tokens(list(tokens), special_tokens=bool(roles or template))
        for role, token in roles.items():
            setattr(tokenizer, role, token)
        tokenizer.chat_template = template or tokenizer.chat_template
        tokenizer.save_pretrained(folder)

    return add


def only_adapter(base: str) -> Change:
    def become(folder: Path) -> None:
        (folder / "model.safetensors").rename(folder / "adapter_model.safetensors")
        about = {"base_model_name_or_path": base}
        (folder / "adapter_config.json").write_text(json.dumps(about))

    return become


def packed_tensor(name: str) -> Change:
    def pack(folder: Path) -> None:
        import torch
        from safetensors.torch import load_file, save_file

        whole = load_file(folder / "model.safetensors")
        whole[name] = torch.zeros(2, 2, dtype=torch.int32)
        save_file(whole, folder / "model.safetensors")

    return pack


def parts_without_index(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "model-00001-of-00001.safetensors")


def shrink(folder: Path) -> None:
    """Cut the table of token vectors."""
    from safetensors.torch import load_file, save_file

    whole = load_file(folder / "model.safetensors")
    name = next(name for name in whole if name.endswith("embed_tokens.weight"))
    whole[name] = whole[name][:-20].clone()
    save_file(whole, folder / "model.safetensors")


def in_type(name: str) -> Change:
    """All matrices in another type of numbers."""

    def change(folder: Path) -> None:
        import torch
        from safetensors.torch import load_file, save_file

        whole = load_file(folder / "model.safetensors")
        kind = getattr(torch, name)
        new = {k: v.to(kind) if v.ndim > 1 else v for k, v in whole.items()}
        save_file(new, folder / "model.safetensors")

    return change


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"


def pointer(name: str) -> Case:
    return case(
        f"{name} as a pointer of Git LFS",
        beside(name, POINTER),
        f"'model/{name}' is a pointer of Git LFS",
        "the file's content, which is needed",
        "Run `git lfs pull`",
    )


def foreign(whose: str, name: str) -> Case:
    def change(folder: Path) -> None:
        (folder / "model.safetensors").unlink()
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()

    return case(
        f"weights of {whose}",
        change,
        f"'model' has its weights in the form of {whose} ({name})",
        "safetensors are needed",
        "Convert them with that program",
    )


def renamed(name: str) -> Case:
    return case(
        f"weights named {name}",
        lambda folder: (folder / "model.safetensors").rename(folder / name),
        f"'model' has its weights as {name}",
        "a name under which transformers does not look",
        "Rename a single file to model.safetensors",
    )


def moved_into(inner: str) -> Case:
    """A folder that holds a model one or two folders below."""

    def move(folder: Path) -> None:
        files = list(folder.iterdir())
        (folder / inner).mkdir(parents=True)
        for path in files:
            path.rename(folder / inner / path.name)

    return case(
        f"a model in {inner}",
        move,
        "'model' has no config.json",
        "a folder that save_pretrained wrote",
        f"such as 'model/{inner}'",
    )


ONE_MORE = "<|turn|>{{ messages[0].content }}<|tool|>"

CASES = [
    adapted("adapter_config.json"),
    adapted("adapter_model.safetensors"),
    adapted("adapter_model.bin"),
    case(
        "an adapter with a model's configuration",
        only_adapter("org/base"),
        "'model' is a LoRA adapter, not a model",
        "the base model ('org/base')",
        "merge the adapter into it first",
    ),
    case(
        "an adapter that names no base",
        only_adapter(""),
        "'model' is a LoRA adapter, not a model",
        "Name the base model, or",
        "merge the adapter into it first",
    ),
    Case(
        "an adapter on the hub",
        lambda room: hub_page(room, "adapter_config.json", "adapter_model.bin"),
        "'org/name' is a LoRA adapter, not a model",
        "Name the base model",
        "name the folder under `path:`",
    ),
    case(
        "weights in parts and no index",
        parts_without_index,
        "'model' has 1 weight files in parts and no model.safetensors.index.json",
        "which says what is where",
        "Copy or download",
    ),
    packed("bitsandbytes", quant_method="bitsandbytes", load_in_4bit=True),
    packed("GPTQ", quant_method="gptq", bits=4, group_size=128),
    packed("AWQ", quant_method="awq", bits=4, version="gemm"),
    packed("compressed-tensors", quant_method="compressed-tensors"),
    packed("FP8", quant_method="fp8", activation_scheme="dynamic"),
    packed("MXFP4", quant_method="mxfp4"),
    packed("HQQ", quant_method="hqq", quant_config={}),
    packed("a program that does not say its name", load_in_8bit=True),
    quantised(
        "quantised weights of an older form",
        edited("config.json", compression_config={"quant_method": "sparse"}),
        "sparse",
    ),
    quantised(
        "quantised weights of a model that sees",
        edited("config.json", text_config={"quantization_config": {"bits": 4}}),
        "unknown method, 4 bits",
    ),
    quantised("AutoGPTQ's own file", beside("quantize_config.json"), "quantize_config"),
    quantised("AutoAWQ's own file", beside("quant_config.json"), "quant_config.json"),
    quantised(
        "packed tensors of GPTQ that no file names",
        packed_tensor("model.layers.0.mlp.up_proj.qweight"),
        "model.layers.0.mlp.up_proj.qweight",
    ),
    quantised(
        "packed tensors of bitsandbytes that no file names",
        packed_tensor("model.layers.0.mlp.up_proj.weight.absmax"),
        "model.layers.0.mlp.up_proj.weight.absmax",
    ),
    quantised(
        "quantised weights of MLX",
        edited("config.json", quantization={"group_size": 64, "bits": 4}),
        "unknown method, 4 bits",
    ),
    quantised("ModelOpt's own file", beside("hf_quant_config.json"), "hf_quant_config"),
    quantised("weights in eight bits", in_type("int8"), "most are of type I8"),
    quantised("weights in FP8", in_type("float8_e4m3fn"), "most are of type F8_E4M3"),
    pointer("model.safetensors"),
    pointer("tokenizer.json"),
    pointer("config.json"),
    foreign("TensorFlow", "tf_model.h5"),
    foreign("Flax", "flax_model.msgpack"),
    foreign("ONNX", "model.onnx"),
    foreign("FSDP", "pytorch_model_fsdp_0/__0_0.distcp"),
    foreign("DeepSpeed", "global_step10/mp_rank_00_model_states.pt"),
    renamed("model.fp16.safetensors"),
    renamed("weights.safetensors"),
    moved_into("checkpoint-10"),
    moved_into("snapshots/abc"),
    larger("a token that the model lacks", more_tokens("<tool_call>"), "'<tool_call>'"),
    larger("two tokens that it lacks", more_tokens("<a>", "<b>"), "'<a>'"),
    larger(
        "an end token that the model lacks",
        more_tokens("<|stop|>", eos_token="<|stop|>"),
        "'<|stop|>'",
    ),
    larger(
        "a mark of the template that the model lacks",
        more_tokens("<|tool|>", template=ONE_MORE),
        "'<|tool|>'",
    ),
    larger("a table of vectors that was cut", shrink, "'"),
    case(
        "an attention that is not installed",
        edited("config.json", _attn_implementation="flash_attention_3"),
        "'model' asks for the attention 'flash_attention_3'",
        "needs the package flash_attn_interface",
        "Install it, or remove the key",
    ),
]
