"""Builds the files that `write_page` reads: a pool of any size with subsets of it."""

import numpy as np
import pandas as pd

import finished_runs
from tmap.artifacts import tables
from tmap.artifacts.files import write_json
from tmap.cards.model import PromptSection
from tmap.page import document, html
from tmap.prompts.renderer import Renderer
from tmap.selection import subset
from tmap.selection.features import Features, normalised

COLUMNS = ("ifd", "output_length", "perplexity")
METHODS = ("base", "random", "uniform", "tmap")
FRACTION = 0.3
WORDS = (
    "apples boxes cards every first gives half he how in many more of pens she shows "
    "stones sum takes the then there total twice with 4 12 37 108"
).split()


def text(rng, n):
    return " ".join(rng.choice(WORDS, n))


def pool(n, seed=0, words=60, texts=None, prefix="row"):
    """Table 'pool'; `texts` replaces instruction and response of the first rows."""
    rng = np.random.default_rng(seed)
    lengths = np.maximum(3, rng.lognormal(np.log(words), 0.5, n)).astype(int)
    frame = pd.DataFrame(
        {
            "sample_id": [f"{prefix}-{i:06d}" for i in range(n)],
            "instruction": [text(rng, length // 2) for length in lengths],
            "input": "",
            "response": [text(rng, length) for length in lengths],
            "turns": None,
            "source": "made",
            "text_hash": [f"{value:016x}" for value in rng.integers(0, 2**62, n)],
        }
    )
    for i, hostile in enumerate(texts or []):
        frame.loc[i, ["instruction", "response"]] = hostile
    return frame


def columns(frame, seed=0):
    """Raw scores by indicator; perplexity has one row that flattens the others."""
    rng = np.random.default_rng([seed, 1])
    n = len(frame)
    found = {
        "ifd": rng.beta(4, 3, n),
        "output_length": frame["response"].str.len().to_numpy(dtype=float),
        "perplexity": rng.lognormal(2, 0.6, n),
    }
    found["perplexity"][n // 2] = 4e7
    found["ifd"][1] = np.nan
    return found


def write(
    folder,
    n=400,
    n_questions=60,
    texts=None,
    questions=None,
    words=60,
    methods=METHODS,
    normalise="minmax",
    prefix="row",
):
    """Write everything below `folder`; return metrics and `document.Files`.

    Parameters
    ----------
    texts, questions : of the first rows and questions, instead of made ones
    """
    room = folder / finished_runs.ROOM
    measured = finished_runs.table(folder, n_questions, methods)
    named = list(measured)
    frame = pool(n, words=words, texts=texts, prefix=prefix)
    raw = columns(frame)
    tables.write("pool", frame, room.parent / "pool.parquet", code="c")
    for name, score in raw.items():
        path = room / "indicators" / f"{name}.parquet"
        status = np.where(np.isnan(score), "failed", "ok")
        table = pd.DataFrame(
            {"sample_id": frame["sample_id"], "score": score, "status": status}
        )
        tables.write("indicator", table, path, code="c")
        named.append(str(path))
    matrix = np.stack([normalised(raw[name], normalise) for name in COLUMNS], axis=1)
    features = Features(list(COLUMNS), matrix, [], {})
    for method, s, weights in (
        ("random", 0, None),
        ("random", 1, None),
        ("uniform", 0, np.ones(3)),
        ("tmap", 0, np.array([0.2, 0.4, 0.8])),
    ):
        if method in methods:
            path = _subset(room, frame, features, method, s, weights, normalise)
            named.append(path)
    asked = finished_runs.question_ids(n_questions)
    wording = [f"What is {i} and {i}?" for i in range(n_questions)]
    wording[: len(questions or [])] = questions or []
    table = pd.DataFrame({"question_id": asked, "question": wording})
    table["choices"] = table["permutation"] = None
    table["gold"], table["row"] = "1", range(n_questions)
    tables.write("questions", table, room.parent / "questions_test.parquet", code="c")
    rejected = pd.DataFrame(
        {"line": [3, 9, 12], "reason": ["no response", "text '<b>x'", "text 'y'"]}
    )
    tables.write(
        "pool_rejected", rejected, room.parent / "pool.rejected.parquet", code="c"
    )
    metrics = finished_runs.collect(measured, n_questions)
    write_json(room / "metrics.json", metrics)
    return metrics, document.Files(
        room.parent / "pool.parquet",
        room.parent / "pool.rejected.parquet",
        room.parent / "questions_test.parquet",
        named,
    )


def _subset(room, frame, features, method, s, weights, normalise):
    given = None if weights is None else features
    chosen = subset.choose(frame, given, weights, FRACTION, s)
    kind = {"random": "random", "uniform": "uniform", "tmap": "learned"}[method]
    card = {
        "weights": kind,
        "indicators": [] if weights is None else list(COLUMNS),
        "normalise": normalise,
        "max_unscored": 0.02,
    }
    path = room / method / f"s{s}" / "subset.parquet"
    tables.write(
        "subset",
        chosen,
        path,
        code="c",
        seed=s,
        indicators=card["indicators"],
        fraction=FRACTION,
        weights=None if weights is None else weights.tolist(),
        warnings=[],
        filter={"below": {}, "diversity": None, "dropped": {}},
        made={
            "rule": "select_subset",
            "names": {"dataset": "toy", "method": method},
            "card": card,
            "modules": {},
            "inputs": {},
        },
    )
    return str(path)


def page(folder, tokenizer, limit=512, **how):
    """The page of a made comparison: its path and its document."""
    metrics, files = write(folder, **how)
    renderer = Renderer(tokenizer, PromptSection(template="plain"))
    found = document.build(metrics, files, renderer, limit)
    path = folder / finished_runs.ROOM / "report.html"
    path.write_text(html.render(found), encoding="utf-8")
    return path, found
