"""Seconds per reward: shared prefixes against plain `generate`, on random weights.

Prints JSON. `ratio_vs_naive`: one question at a time; `ratio_vs_sorted_batch`: batches
of similar length, padded on the left, prefix read anew for every row;
`ratio_early_stop`: what is gained where answers end before the limit. All seconds
are of the wall clock, so nothing else should run. Needs torch, transformers, numpy.

    OMP_NUM_THREADS=1 python benchmarks/reward_engine.py --quick
    python benchmarks/reward_engine.py --llama3-8b > reward_engine_h100.json

`--llama3-8b` is one reward of the paper's size on a GPU: random bfloat16 weights of that
shape, 5 groups, 100 questions. `floor_seconds` is the device's roofline.
"""

from __future__ import annotations

import argparse
import copy
import json
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

#: Ids that prompts are made of.
VOCABULARY = 4096


class NoText:
    """Stands for a tokenizer: ids are all there is."""

    eos_token_id = None

    def decode(self, ids: list[int], **_: Any) -> str:
        return ""


def build(args: argparse.Namespace) -> Any:
    """The model of the published figures (26.4 M parameters) or a smaller one."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(args.seed)
    big = args.llama3_8b
    config = LlamaConfig(
        vocab_size=128_256 if big else VOCABULARY,
        hidden_size=args.hidden,
        intermediate_size=14_336 if big else args.hidden * 43 // 16,
        num_hidden_layers=args.layers,
        num_attention_heads=args.hidden // (128 if big else 64),
        num_key_value_heads=max(1, args.hidden // (512 if big else 256)),
        max_position_embeddings=2048,
        initializer_range=0.06,
        tie_word_embeddings=False,
        eos_token_id=None,
    )
    usual = torch.get_default_dtype()
    torch.set_default_dtype(getattr(torch, args.dtype))
    try:
        with torch.device(args.device):
            return LlamaForCausalLM(config).eval()
    finally:
        torch.set_default_dtype(usual)


def workload(args: argparse.Namespace) -> tuple[list[list[int]], list[list[int]]]:
    """Prefixes near `--prefix` tokens, questions near `--question`."""
    rng = np.random.default_rng(args.seed)
    spread = args.prefix // 15
    widths = args.prefix + rng.integers(-spread, spread + 1, args.groups)
    normal = rng.normal(args.question, args.question / 4, args.questions)
    lengths = np.clip(normal, args.question // 2, args.question * 7 // 4).astype(int)
    prefixes = [rng.integers(10, VOCABULARY, n).tolist() for n in widths]
    return prefixes, [rng.integers(10, VOCABULARY, n).tolist() for n in lengths]


def sorted_batches(
    model: Any, prefix: list[int], questions: list[list[int]], new: int, size: int
) -> list[list[int]]:
    """Plain `generate` over `size` rows of similar length at a time."""
    order = sorted(range(len(questions)), key=lambda i: len(questions[i]))
    answers: list[list[int]] = [[] for _ in questions]
    for batch in (order[i : i + size] for i in range(0, len(order), size)):
        rows = [prefix + questions[i] for i in batch]
        width = max(map(len, rows))
        ids = torch.tensor([[0] * (width - len(row)) + row for row in rows])
        seen = torch.tensor([[0] * (width - len(r)) + [1] * len(r) for r in rows])
        out = model.generate(
            ids.to(model.device),
            attention_mask=seen.to(model.device),
            do_sample=False,
            max_new_tokens=new,
        )
        for i, row in zip(batch, out[:, width:].tolist(), strict=True):
            answers[i] = row
    return answers


def seconds(device: str, work: Callable[[], Any]) -> tuple[float, Any]:
    """(seconds of the wall clock, which engines count by too; result)."""
    if device != "cpu":
        torch.cuda.synchronize()
    start = time.monotonic()
    result = work()
    if device != "cpu":
        torch.cuda.synchronize()
    return time.monotonic() - start, result


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """All ratios, and whether every way gives the same tokens."""
    model = build(args)
    slow = Reference(model, NoText())
    prefixes, questions = workload(args)
    few, n = questions[: args.naive_rows], len(prefixes) * len(questions)
    new = args.new_tokens

    naive, naive_answers = seconds(
        args.device, lambda: slow.generate(prefixes[:1], few, max_new_tokens=new)[0]
    )
    batch, batch_answers = seconds(
        args.device,
        lambda: sorted_batches(model, prefixes[0], questions, new, args.plain_batch),
    )
    fast = PrefixCache(model, NoText(), batch_size=args.batch_size)
    if args.device != "cpu":  # kernels are chosen at the first calls
        fast.generate(prefixes, questions, max_new_tokens=4)
    before = copy.copy(fast.spent)
    shared, answers = seconds(
        args.device, lambda: fast.generate(prefixes, questions, max_new_tokens=new)
    )
    spent = fast.spent.since(before)
    fast.eos = common_ends(answers, new)
    early, short = seconds(
        args.device, lambda: fast.generate(prefixes, questions, max_new_tokens=new)
    )
    cut = [[until(answer, fast.eos) for answer in group] for group in answers]
    kept = sum(len(answer) for group in cut for answer in group)
    equal = naive_answers == answers[0][: len(few)] and batch_answers == answers[0]
    alike = [a == b for a, b in zip(batch_answers, answers[0], strict=True)]
    per_row = shared / n
    return {
        "ratio_vs_naive": naive / len(few) / per_row,
        "ratio_vs_sorted_batch": batch / len(questions) / per_row,
        "ratio_early_stop": shared / early,
        "tokens_equal": equal and short == cut,
        "share_of_rows_equal_to_sorted_batch": float(np.mean(alike)),
        "clock": "wall",
        "seconds_per_iteration": shared,
        "prefill_seconds": spent.prefill_seconds,
        "decode_seconds": spent.decode_seconds,
        "floor_seconds": known(spent.floor_seconds),
        "times_floor": known(shared / spent.floor_seconds),
        "below_the_papers_180_seconds": 180 / shared if args.llama3_8b else None,
        "seconds_per_row": per_row,
        "new_tokens_per_second": n * new / shared,
        "share_of_tokens_with_early_stop": kept / (n * new),
        "device": torch.cuda.get_device_name() if args.device != "cpu" else "cpu",
        "dtype": args.dtype,
        "sharing": type(fast.prefixes).__name__,
        "arguments": vars(args),
    }


def known(value: float) -> float | None:
    """JSON has no NaN."""
    return None if np.isnan(value) else value


def common_ends(answers: list[list[list[int]]], new: int) -> frozenset[int]:
    """Tokens that, taken as ends, halve the answers about (as real ones end early)."""
    flat = [answer for group in answers for answer in group]
    rng = np.random.default_rng(0)
    ends: set[int] = set()
    target = 0.53 * new * len(flat)  # 68 of 128, as measured on real answers
    said = sorted({token for answer in flat for token in answer})
    for token in rng.permutation(said).tolist():
        ends.add(token)
        if sum(len(until(answer, frozenset(ends))) for answer in flat) <= target:
            break
    return frozenset(ends)


def until(answer: list[int], ends: frozenset[int]) -> list[int]:
    """The answer up to its first end."""
    stops = [place for place, token in enumerate(answer) if token in ends]
    return answer[: stops[0]] if stops else answer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    sizes = {
        "groups": 1,
        "questions": 100,
        "prefix": 450,
        "question": 80,
        "new-tokens": 128,
        "batch-size": 100,
        "naive-rows": 12,
        "plain-batch": 25,
        "hidden": 512,
        "layers": 8,
        "seed": 0,
    }
    for name, value in sizes.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--quick", action="store_true", help="a minute's worth")
    parser.add_argument("--llama3-8b", action="store_true", help="needs a GPU of 80 GB")
    args = parser.parse_args()
    if args.llama3_8b:
        big = {"hidden": 4096, "layers": 32, "groups": 5, "batch_size": 500}
        big |= {"naive_rows": 4, "plain_batch": 100}
        vars(args).update(big, device="cuda", dtype="bfloat16")
    if args.quick:
        small = {"questions": 32, "new_tokens": 32, "naive_rows": 4, "batch_size": 32}
        vars(args).update(small)
    print(json.dumps(measure(args), indent=1))


if __name__ == "__main__":
    main()
