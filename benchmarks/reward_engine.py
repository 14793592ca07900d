"""Seconds per reward: shared prefixes against plain `generate`, on random weights.

Prints JSON. `ratio_vs_naive`: one question at a time; `ratio_vs_sorted_batch`: batches
of similar length, padded on the left, prefix read anew for every row;
`ratio_early_stop`: what is gained where answers end before the limit. Times are per
row, of processor time on a CPU. Needs torch, transformers, numpy.

    OMP_NUM_THREADS=1 python benchmarks/reward_engine.py --quick
"""

from __future__ import annotations

import argparse
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


class NoText:
    """Stands for a tokenizer: ids are all there is."""

    eos_token_id = None

    def decode(self, ids: list[int], **_: Any) -> str:
        return ""


def build(args: argparse.Namespace) -> Any:
    """The model of the published figures (26.4 M parameters) or a smaller one."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(args.seed)
    config = LlamaConfig(
        vocab_size=4096,
        hidden_size=args.hidden,
        intermediate_size=args.hidden * 43 // 16,
        num_hidden_layers=args.layers,
        num_attention_heads=args.hidden // 64,
        num_key_value_heads=max(1, args.hidden // 256),
        max_position_embeddings=2048,
        initializer_range=0.06,
        tie_word_embeddings=False,
        eos_token_id=None,
    )
    with torch.device(args.device):
        model = LlamaForCausalLM(config)
    return model.to(getattr(torch, args.dtype)).eval()


def workload(args: argparse.Namespace) -> tuple[list[list[int]], list[list[int]]]:
    """Prefixes near `--prefix` tokens, questions near `--question`."""
    rng = np.random.default_rng(args.seed)
    spread = args.prefix // 15
    widths = args.prefix + rng.integers(-spread, spread + 1, args.groups)
    normal = rng.normal(args.question, args.question / 4, args.questions)
    lengths = np.clip(normal, args.question // 2, args.question * 7 // 4).astype(int)
    prefixes = [rng.integers(10, 4096, n).tolist() for n in widths]
    return prefixes, [rng.integers(10, 4096, n).tolist() for n in lengths]


def sorted_batches(
    model: Any, prefix: list[int], questions: list[list[int]], new: int
) -> list[list[int]]:
    """Plain `generate` over 25 rows of similar length at a time."""
    order = sorted(range(len(questions)), key=lambda i: len(questions[i]))
    answers: list[list[int]] = [[] for _ in questions]
    for batch in (order[i : i + 25] for i in range(0, len(order), 25)):
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
    """(time, result): processor time on a CPU, which other jobs disturb less."""
    clock = time.process_time if device == "cpu" else time.perf_counter
    if device != "cpu":
        torch.cuda.synchronize()
    start = clock()
    result = work()
    if device != "cpu":
        torch.cuda.synchronize()
    return clock() - start, result


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
        args.device, lambda: sorted_batches(model, prefixes[0], questions, new)
    )
    fast = PrefixCache(model, NoText(), batch_size=args.batch_size)
    shared, answers = seconds(
        args.device, lambda: fast.generate(prefixes, questions, max_new_tokens=new)
    )
    fast.eos = common_ends(answers, new)
    early, short = seconds(
        args.device, lambda: fast.generate(prefixes, questions, max_new_tokens=new)
    )
    cut = [[until(answer, fast.eos) for answer in group] for group in answers]
    kept = sum(len(answer) for group in cut for answer in group)
    equal = naive_answers == answers[0][: len(few)] and batch_answers == answers[0]
    per_row = shared / n
    return {
        "ratio_vs_naive": naive / len(few) / per_row,
        "ratio_vs_sorted_batch": batch / len(questions) / per_row,
        "ratio_early_stop": shared / early,
        "tokens_equal": equal and short == cut,
        "seconds_per_iteration": shared,
        "seconds_per_row": per_row,
        "new_tokens_per_second": n * new / shared,
        "share_of_tokens_with_early_stop": kept / (n * new),
        "device": args.device,
        "dtype": args.dtype,
        "sharing": type(fast.prefixes).__name__,
        "arguments": vars(args),
    }


def common_ends(answers: list[list[list[int]]], new: int) -> frozenset[int]:
    """Tokens that, taken as ends, halve the answers about (as real ones end early)."""
    flat = [answer for group in answers for answer in group]
    rng = np.random.default_rng(0)
    ends: set[int] = set()
    target = 0.53 * new * len(flat)  # 68 of 128, as measured on real answers
    for token in rng.permutation(4096).tolist():
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
        "hidden": 512,
        "layers": 8,
        "seed": 0,
    }
    for name, value in sizes.items():
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--quick", action="store_true", help="a minute's worth")
    args = parser.parse_args()
    if args.quick:
        small = {"questions": 32, "new_tokens": 32, "naive_rows": 4, "batch_size": 32}
        vars(args).update(small)
    print(json.dumps(measure(args), indent=1))


if __name__ == "__main__":
    main()
