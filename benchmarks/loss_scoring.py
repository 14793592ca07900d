"""Losses of given answers: this engine against batches of 16 in the order of arrival.

Prints JSON. `ratio_vs_batch16`: how many times faster than padded batches of 16 with
logits over whole texts; `nll_max_abs_diff`: largest difference in nats from one row at a
time; `peak_memory_fraction`: memory above the loaded model's, of that of full logits at
a vocabulary of 128,256. Random weights; lengths are log-normal. Times are of processor
time on a CPU. Needs torch, transformers, numpy; the memory part needs Linux.

    OMP_NUM_THREADS=1 python benchmarks/loss_scoring.py
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "workflow"))
from tmap.engines.prefix_cache import PrefixCache
from tmap.engines.reference import Reference

Pair = tuple[list[int], list[int]]


class NoText:
    """Stands for a tokenizer: ids are all there is."""

    eos_token_id = None

    def decode(self, ids: list[int], **_: Any) -> str:
        return ""


def build(args: argparse.Namespace, vocabulary: int, layers: int) -> Any:
    """A Llama with random weights."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(args.seed)
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=args.hidden,
        intermediate_size=args.hidden * 43 // 16,
        num_hidden_layers=layers,
        num_attention_heads=args.hidden // 64,
        num_key_value_heads=max(1, args.hidden // 256),
        max_position_embeddings=2048,
        initializer_range=0.06,
        tie_word_embeddings=True,
        eos_token_id=None,
    )
    with torch.device(args.device):
        model = LlamaForCausalLM(config)
    return model.to(getattr(torch, args.dtype)).eval()


def workload(args: argparse.Namespace, vocabulary: int) -> list[Pair]:
    """Prompts and answers, about as long; together near `--tokens`, a few much longer."""
    rng = np.random.default_rng(args.seed)
    drawn = rng.lognormal(0.0, 0.6, args.rows)
    widths = np.clip(drawn / drawn.mean() * args.tokens, 16, 2000).astype(int)
    ids = [rng.integers(10, vocabulary, n).tolist() for n in widths]
    return [(row[: len(row) // 2], row[len(row) // 2 :]) for row in ids]


@torch.inference_mode()
def batches_of_16(model: Any, pairs: list[Pair]) -> np.ndarray:
    """Summed losses from full logits, padded on the right, in the order of arrival."""
    found = []
    for start in range(0, len(pairs), 16):
        batch = pairs[start : start + 16]
        width = max(len(p) + len(a) for p, a in batch)
        ids, labels, seen = (np.full((len(batch), width), v) for v in (0, -100, 0))
        for row, (prompt, answer) in enumerate(batch):
            end = len(prompt) + len(answer)
            ids[row, :end] = prompt + answer
            labels[row, len(prompt) : end] = answer
            seen[row, :end] = 1
        rows = (torch.tensor(x, device=model.device) for x in (ids, seen, labels))
        ids_, seen_, labels_ = rows
        logits = model(input_ids=ids_, attention_mask=seen_).logits.float()
        losses = torch.nn.functional.cross_entropy(
            logits[:, :-1].transpose(1, 2), labels_[:, 1:], reduction="none"
        )
        found += losses.double().sum(dim=1).tolist()
    return np.array(found)


def seconds(device: str, work: Callable[[], Any]) -> tuple[float, Any]:
    """(time, result): processor time on a CPU, which other jobs disturb less."""
    clock = time.process_time if device == "cpu" else time.perf_counter
    if device != "cpu":
        torch.cuda.synchronize()
    start = clock()
    result = work()
    if device != "cpu":
        torch.cuda.synchronize()
    return clock() - start, result


def speed(args: argparse.Namespace) -> dict[str, Any]:
    """Time against batches of 16, and losses against one row at a time."""
    model = build(args, args.vocabulary, args.layers)
    pairs = workload(args, args.vocabulary)
    prompts, answers = (list(side) for side in zip(*pairs, strict=True))
    slow, fast = Reference(model, NoText()), PrefixCache(model, NoText())
    fast.answer_nll(prompts[:4], answers[:4])  # warm

    plain, batched = seconds(args.device, lambda: batches_of_16(model, pairs))
    ours, (found, count) = seconds(
        args.device, lambda: fast.answer_nll(prompts, answers)
    )
    single, (expected, _) = seconds(
        args.device, lambda: slow.answer_nll(prompts, answers)
    )
    tokens = sum(len(p) + len(a) for p, a in pairs)
    difference = np.abs(found / count - expected / count).max()
    return {
        "ratio_vs_batch16": plain / ours,
        "ratio_vs_batch1": single / ours,
        "nll_max_abs_diff": float(difference),
        "nll_max_abs_diff_of_batch16": float(np.abs(batched - expected).max()),
        "tokens_per_second": tokens / ours,
        "tokens": tokens,
    }


def memory(args: argparse.Namespace) -> dict[str, Any]:
    """Peaks of both ways, each in a process of its own."""
    peaks = {}
    for way in ("full", "chunked"):
        command = [sys.executable, __file__, *sys.argv[1:], "--peak-of", way]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        peaks[way] = int(done.stdout)
    return {
        "peak_memory_fraction": peaks["chunked"] / peaks["full"],
        "peak_bytes_full_logits": peaks["full"],
        "peak_bytes": peaks["chunked"],
    }


def peak(args: argparse.Namespace) -> int:
    """Bytes above the loaded model's that one way takes at a vocabulary of 128,256."""
    model = build(args, 128_256, layers=2)
    rng = np.random.default_rng(args.seed)
    ids = [
        rng.integers(10, 128_256, args.memory_tokens // 16).tolist() for _ in "0" * 16
    ]
    pairs = [(row[: len(row) // 2], row[len(row) // 2 :]) for row in ids]
    engine = PrefixCache(model, NoText())
    work: dict[str, Callable[[list[Pair]], Any]] = {
        "full": lambda some: batches_of_16(model, some),
        "chunked": lambda some: engine.answer_nll(*zip(*some, strict=True)),
    }
    work[args.peak_of]([([1, 2], [3, 4])])  # warm
    if args.device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        work[args.peak_of](pairs)
        return int(torch.cuda.max_memory_allocated()) - before
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak of loading
    before = resident("VmRSS")
    work[args.peak_of](pairs)
    return resident("VmHWM") - before


def resident(field: str) -> int:
    """Bytes of this process: VmRSS, now; VmHWM, at the most."""
    lines = Path("/proc/self/status").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith(f"{field}:")]
    return int(line.split()[1]) * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    sizes = {
        "rows": 192,
        "tokens": 190,
        "vocabulary": 4096,
        "hidden": 512,
        "layers": 8,
        "memory-tokens": 4096,
        "seed": 0,
    }
    for name, value in sizes.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--quick", action="store_true", help="under a minute")
    parser.add_argument(
        "--peak-of", choices=["full", "chunked"], help=argparse.SUPPRESS
    )
    args = parser.parse_args()
    if args.quick:
        vars(args).update({"rows": 64, "layers": 4})
    if args.peak_of:
        print(peak(args))
        return
    threads = torch.get_num_threads()
    about = {"device": args.device, "dtype": args.dtype, "threads": threads}
    sizes_used = {
        name.replace("-", "_"): getattr(args, name.replace("-", "_")) for name in sizes
    }
    print(
        json.dumps(
            {**speed(args), **memory(args), **about, "sizes": sizes_used}, indent=1
        )
    )


if __name__ == "__main__":
    main()
