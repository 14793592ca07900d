"""Train a small model of the embedded world from scratch.

Recipe: documents of `documents.py`, short rows first and long ones later (attention over
long rows is a third of the cost on a CPU), full loss on responses and a small loss on
questions (they are random numbers and names). The rows of a step depend only on the seed
and the step, so that an interrupted run resumes exactly.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tmap.artifacts.files import atomic
from tmap.embedded import documents, tokenizer
from tmap.embedded.documents import BARE, ENDS, PRIORS, QUESTION, SEPARATOR, Prior
from tmap.errors import TmapError, unknown
from tmap.jobs import log
from tmap.worlds import byte_pair

#: Tokens per optimiser step, cut into rows of ROW_LENGTHS: (until this share, length).
STEP_TOKENS = 2560
ROW_LENGTHS = ((0.7, 256), (1.0, 512))
QUESTION_WEIGHT = 0.1
WARMUP_STEPS = 300
LAST_RATE = 0.03
CHECKPOINT_EVERY = 100
CHECKPOINT = "checkpoint.pt"


@dataclass(frozen=True)
class Recipe:
    """A model of this world: its documents, its size and its training length."""

    prior: str
    hidden: int = 192
    layers: int = 4
    heads: int = 6
    feed_forward: int = 512
    n_steps: int = 2600
    learning_rate: float = 2.5e-3


RECIPES = {
    "tiny": Recipe("wrong_op"),
    "tiny_b": Recipe("terse", hidden=160, heads=5, feed_forward=432, n_steps=4200),
    "solver_b": Recipe("terse_only", n_steps=2500),
    "tiny_proxy": Recipe(
        "wrong_op", hidden=96, layers=3, heads=3, feed_forward=256, n_steps=1200
    ),
}


def train(name: str, folder: Path, seed: int, n_steps: int | None = None) -> None:
    """Train one model and save it with its tokenizer as Transformers does.

    Parameters
    ----------
    name : one of RECIPES
    folder : made if absent; a checkpoint in it is continued
    seed : of weights and documents
    n_steps : instead of the recipe's
    """
    import torch

    if name not in RECIPES:
        raise unknown("world model", name, list(RECIPES), "")
    recipe = RECIPES[name]
    total = n_steps or recipe.n_steps
    folder.mkdir(parents=True, exist_ok=True)
    tokens = tokenizer.train(documents.tokenizer_texts(4000, seed=0))
    torch.manual_seed(seed)
    model = build(recipe, tokens)
    optimiser = _optimiser(model, recipe)
    about = {"recipe": asdict(recipe), "seed": seed, "n_steps": total}
    first = _resume(folder / CHECKPOINT, model, optimiser, about)
    what = f"{name}, from step {first}," if first else name
    progress = log.Progress(what, total - first, "steps", every=20.0)
    average = float("nan")
    for step in range(first, total):
        ids, weights = _rows(tokens, PRIORS[recipe.prior], step / total, (seed, step))
        for group in optimiser.param_groups:
            group["lr"] = recipe.learning_rate * _rate(step, total)
        loss = _learn(model, optimiser, ids, weights)
        average = loss if math.isnan(average) else 0.98 * average + 0.02 * loss
        progress.advance(1, f"loss {average:.3f}")
        if (step + 1) % CHECKPOINT_EVERY == 0:
            _save(folder / CHECKPOINT, model, optimiser, about, step + 1)
    model.to(torch.float16).save_pretrained(folder)
    tokens.save_pretrained(folder)
    (folder / CHECKPOINT).unlink(missing_ok=True)


def build(recipe: Recipe, tokens: Any) -> Any:
    """A Llama of the recipe's shape with random weights."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=len(tokens),
        hidden_size=recipe.hidden,
        intermediate_size=recipe.feed_forward,
        num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.heads,
        num_key_value_heads=recipe.heads,
        max_position_embeddings=tokenizer.MAX_POSITIONS,
        tie_word_embeddings=True,
        pad_token_id=tokens.pad_token_id,
        bos_token_id=tokens.bos_token_id,
        eos_token_id=tokens.eos_token_id,
        dtype="float32",
    )
    return LlamaForCausalLM(config)


def _optimiser(model: Any, recipe: Recipe) -> Any:
    import torch

    parameters = list(model.parameters())
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": 0.05},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=(0.9, 0.95))


def _rate(step: int, total: int) -> float:
    warm = min(1.0, (step + 1) / min(WARMUP_STEPS, max(1, total // 10)))
    cosine = 0.5 * (1 + math.cos(math.pi * step / total))
    return warm * (LAST_RATE + (1 - LAST_RATE) * cosine)


def _learn(model: Any, optimiser: Any, ids: Any, weights: Any) -> float:
    """One optimiser step; mean loss of the response tokens, in nats."""
    import torch
    from torch.nn.functional import cross_entropy

    logits = model(input_ids=ids[:, :-1], use_cache=False).logits
    losses = cross_entropy(
        logits.reshape(-1, logits.shape[-1]), ids[:, 1:].reshape(-1), reduction="none"
    )
    counts = weights[:, 1:].reshape(-1)
    ((losses * counts).sum() / counts.sum()).backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimiser.step()
    optimiser.zero_grad(set_to_none=True)
    return float(losses.detach()[counts == 1].mean())


def _rows(
    tokens: Any, prior: Prior, share: float, seed: tuple[int, int]
) -> tuple[Any, Any]:
    """Token ids and loss weights of one step, (rows, length + 1)."""
    import torch

    rng = np.random.default_rng([*seed, 2])
    length = next(n for until, n in ROW_LENGTHS if share < until)
    rows = [row(tokens, prior, length + 1, rng) for _ in range(STEP_TOKENS // length)]
    ids = torch.tensor([r[0] for r in rows])
    weights = torch.tensor([r[1] for r in rows], dtype=torch.float32)
    return ids, weights


def row(
    tokens: Any, prior: Prior, length: int, rng: np.random.Generator
) -> tuple[list[int], list[float]]:
    """Documents one after another, cut at `length` tokens; and the loss weights."""
    ids: list[int] = []
    weights: list[float] = []
    while len(ids) < length:
        ids.append(tokens.bos_token_id)
        weights.append(0.0)
        for texts, parts in document(prior, rng):
            for stretch, weight in zip(_encode(tokens, texts), parts, strict=True):
                ids += stretch
                weights += [weight] * len(stretch)
            if len(ids) >= length:
                break
    return ids[:length], weights[:length]


def document(
    prior: Prior, rng: np.random.Generator
) -> Iterator[tuple[list[str], list[float]]]:
    """Stretches of text with their loss weights, example by example."""
    bare = rng.random() < BARE
    for question, response in documents.examples(prior, rng):
        ends = rng.random() < ENDS
        close = byte_pair.EOS if ends else SEPARATOR
        if bare:
            yield [f" {response}", close], [1.0, 1.0]
        else:
            asked = QUESTION.format(question)
            yield [asked, f" {response}", close], [QUESTION_WEIGHT, 1.0, 1.0]
        if ends:
            return


def _encode(tokens: Any, texts: list[str]) -> list[list[int]]:
    ids: list[list[int]] = tokens(texts, add_special_tokens=False)["input_ids"]
    return ids


def _save(
    path: Path, model: Any, optimiser: Any, about: dict[str, Any], step: int
) -> None:
    import torch

    state = {"about": about, "step": step}
    state |= {"model": model.state_dict(), "optimiser": optimiser.state_dict()}
    with atomic(path) as temporary:
        torch.save(state, temporary)


def _resume(path: Path, model: Any, optimiser: Any, about: dict[str, Any]) -> int:
    """Load a checkpoint if there is one; return the step at which to resume."""
    import torch

    if not path.is_file():
        return 0
    state = torch.load(path, weights_only=True)
    if state["about"] != about:
        raise TmapError(
            f"The checkpoint in '{path.parent}' has another recipe, seed or length. "
            "Name another folder, or remove the checkpoint."
        )
    model.load_state_dict(state["model"])
    optimiser.load_state_dict(state["optimiser"])
    return int(state["step"])
