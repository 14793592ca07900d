"""Tokens per second of engines on one set of prompts, side by side in one run.

    python benchmarks/engines.py                             # the embedded world's model
    python benchmarks/engines.py --model FOLDER --gguf FILE --llama-python PYTHON

Prompts are those of a search: groups of worked word problems, and questions behind each.
Every engine answers all of them greedily, without an end, so each writes the same number of
tokens:

* `tmap`: ours, which reads each prefix once;
* `sorted_batches`: plain `generate` over rows of similar length;
* `continuous`: transformers' continuous batching (`generate_batch`);
* `llama_cpp`: llama.cpp's server with the GGUF file as it is, one question after the other
  (its cache keeps the prefix). PYTHON is one that has llama-cpp-python with its server.

JSON goes to stdout: tokens per second, the ratio of `tmap` to each, and the share of
answers that are those of `sorted_batches`, token by token (of llama.cpp: by letter).
Nothing else should run.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from reward_engine import NoText, seconds, sorted_batches

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "workflow"))
from tmap.engines.prefix_cache import PrefixCache  # noqa: E402  # found there
from tmap.worlds import word_problems  # noqa: E402

Rows = list[list[int]]
Answers = list[Rows]


def load(folder: Path, device: str, dtype: str) -> tuple[Any, Any]:
    """The model, without an end of answers, and its tokenizer."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model = AutoModelForCausalLM.from_pretrained(
        folder, local_files_only=True, dtype=getattr(torch, dtype)
    )
    model.config.eos_token_id = None
    model.generation_config.eos_token_id = None
    model.generation_config.pad_token_id = 0
    return model.to(device).eval(), tokenizer


def prompts(tokenizer: Any, groups: int, questions: int) -> tuple[Rows, Rows]:
    """Token ids of the prefixes and of the questions."""
    rng = np.random.default_rng(0)
    start = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]

    def ids(text: str) -> list[int]:
        return tokenizer(text, add_special_tokens=False)["input_ids"]

    def worked() -> str:
        problem = word_problems.make(rng, 3)
        return f"Question: {problem.question}\nAnswer: {problem.solution}\n\n"

    prefixes = [start + ids(worked() + worked() + worked()) for _ in range(groups)]
    asked = [word_problems.make(rng, 3).question for _ in range(questions)]
    return prefixes, [ids(f"Question: {text}\nAnswer:") for text in asked]


def batched(
    model: Any, prefixes: Rows, questions: Rows, new: int, size: int
) -> Answers:
    """Plain `generate`, group by group."""
    return [sorted_batches(model, p, questions, new, size) for p in prefixes]


def continuous(model: Any, prefixes: Rows, questions: Rows, new: int) -> Answers:
    """transformers' own scheduler over all prompts."""
    from transformers import GenerationConfig

    rows = [p + q for p in prefixes for q in questions]
    how = GenerationConfig(
        do_sample=False, max_new_tokens=new, eos_token_id=-1, pad_token_id=0
    )
    found = model.generate_batch(rows, generation_config=how)
    answers = [out.generated_tokens for out in found.values()]
    n = len(questions)
    return [answers[i : i + n] for i in range(0, len(answers), n)]


@contextmanager
def served(python: str, gguf: str, threads: int) -> Iterator[str]:
    """llama.cpp's server; its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [python, "-m", "llama_cpp.server", "--model", gguf, "--n_ctx", "2048"]
    command += ["--n_threads", str(threads), "--port", str(port)]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    url = f"http://127.0.0.1:{port}/v1"
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{url}/models").close()
                break
            except OSError:
                time.sleep(0.2)
        yield url
    finally:
        process.kill()
        process.wait()


def by_server(
    url: str, tokenizer: Any, prefixes: Rows, questions: Rows, new: int
) -> list[list[str]]:
    """Answers as text."""

    def answer(ids: list[int]) -> str:
        body = {"prompt": tokenizer.decode(ids), "max_tokens": new, "temperature": 0}
        request = urllib.request.Request(
            f"{url}/completions",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request) as reply:
            return json.load(reply)["choices"][0]["text"]

    start = int(prefixes[0][0] == tokenizer.bos_token_id)  # the server puts it in front
    return [[answer(p[start:] + q) for q in questions] for p in prefixes]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=ROOT / "resources/models/tiny")
    parser.add_argument("--gguf", default="", help="the same model for llama.cpp")
    parser.add_argument("--llama-python", default=sys.executable)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--groups", type=int, default=4)
    parser.add_argument("--questions", type=int, default=24)
    parser.add_argument("--new-tokens", type=int, default=48)
    parser.add_argument("--batch-size", type=int, default=96)
    parser.add_argument("--plain-batch", type=int, default=24)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    model, tokenizer = load(given.model, given.device, given.dtype)
    prefixes, questions = prompts(tokenizer, given.groups, given.questions)
    new, n = given.new_tokens, given.groups * given.questions
    # Of its own, as it computes attention in another way.
    shared, _ = load(given.model, given.device, given.dtype)
    ours = PrefixCache(shared, NoText(), batch_size=given.batch_size)
    ways: dict[str, Callable[[], Any]] = {
        "sorted_batches": lambda: batched(
            model, prefixes, questions, new, given.plain_batch
        ),
        "tmap": lambda: ours.generate(prefixes, questions, max_new_tokens=new),
        "continuous": lambda: continuous(model, prefixes, questions, new),
    }
    found: dict[str, Any] = {}
    reference: Answers = []
    for name, way in ways.items():
        way()  # kernels and buffers are made at the first call
        spent, answers = seconds(given.device, way)
        if any(len(answer) != new for group in answers for answer in group):
            raise SystemExit(f"{name}: not every answer has {new} tokens")
        reference = reference or answers
        found[name] = rate(spent, n * new, answers, reference)
    if given.gguf:
        texts = [[tokenizer.decode(a) for a in group] for group in reference]
        with served(given.llama_python, given.gguf, given.threads) as url:
            spent, said = seconds(
                "cpu", lambda: by_server(url, tokenizer, prefixes, questions, new)
            )
        found["llama_cpp"] = rate(spent, n * new, said, texts)
    for one in found.values():
        one["ratio_of_tmap"] = round(one["seconds"] / found["tmap"]["seconds"], 2)
    print(
        json.dumps({"arguments": vars(given), "engines": found}, indent=1, default=str)
    )


def rate(spent: float, tokens: int, answers: Any, reference: Any) -> dict[str, Any]:
    """Speed, and how many answers are those of the reference."""
    pairs = [
        list(a) == list(b)
        for left, right in zip(answers, reference, strict=True)
        for a, b in zip(left, right, strict=True)
    ]
    return {
        "seconds": round(spent, 2),
        "new_tokens_per_second": round(tokens / spent, 1),
        "share_of_equal_answers": round(float(np.mean(pairs)), 3),
    }


if __name__ == "__main__":
    main()
