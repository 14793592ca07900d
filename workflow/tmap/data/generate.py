"""Candidates that a generator writes from worked examples, then verified.

A request shows `n_shots` reward questions with their answers and asks for one more. All
requests are greedy. They differ in their examples, which are drawn from seed, round and
number, so every method that makes the same requests gets the same candidates from the
store.

    Question: Sara has 6 coins. ...
    Answer: Sara has 6+34=40 coins.
    #### 40

A candidate is kept if it has both parts, if the dataset's reader can read its answer
(`#### N` in the last line; `(B)`), if it does not repeat an earlier one, and if it does not
contain a benchmark question, because generators repeat what they are shown. Whether the
answer is correct is not checked; the selection has to find that out.

Source: EvoSelect's loop; prompt and checks are ours (docs/explanation/paper.md).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from tmap.data.formats import Candidate
from tmap.data.overlap import OverlapIndex
from tmap.data.pool import OVERLAP, text_hash
from tmap.errors import TmapError
from tmap.judges import Judge

PAIR = re.compile(
    r"\A\s*(?:Question:)?\s*(?P<question>\S.*?)\s*^Answer:\s*(?P<answer>\S.*?)\s*"
    r"(?:^Question:.*)?\Z",
    re.MULTILINE | re.DOTALL,
)
#: Pattern of an answer's last line, by the dataset's reader.
ENDS = {
    "number": re.compile(r"#### [-+]?\$?\d[\d,]*(?:\.\d+)?"),
    "letter": re.compile(r".*\([A-Z]\)\.?"),
    "option": re.compile(r".*\S.*"),
}


class Round(NamedTuple):
    """Results of a round: tables 'pool' and 'pool_rejected', and counts of reasons."""

    kept: pd.DataFrame
    rejected: pd.DataFrame
    reasons: dict[str, int]


def examples(
    targets: pd.DataFrame, n: int, n_shots: int, seed: int, number: int
) -> list[dict[str, Any]]:
    """The examples of each of n requests, as rows for a judge's form.

    Parameters
    ----------
    targets : table 'targets'
    n_shots : questions per request; all of them if there are fewer
    seed, number : of the draw, and of the round
    """
    rng = np.random.default_rng([seed, number])
    texts = [
        f"Question: {question.strip()}\nAnswer: {answer.strip()}"
        for question, answer in zip(targets["question"], targets["answer"], strict=True)
    ]
    found = []
    for _ in range(n):
        shown = rng.choice(len(texts), min(n_shots, len(texts)), replace=False)
        text = "\n\n".join(texts[i] for i in shown)
        last = targets["answer"].iloc[shown[-1]]
        found.append(
            {"instruction": text, "input": "", "response": last, "turns": None}
        )
    return found


def generate(
    judge: Judge,
    requests: Sequence[dict[str, Any]],
    *,
    reader: str,
    overlap: OverlapIndex,
    seen: set[str],
    number: int,
    source: str,
) -> Round:
    """Ask for candidates, then keep or reject each reply.

    Parameters
    ----------
    judge : the generator, with its form `candidate`
    requests : from `examples`
    reader : of the dataset card
    overlap : index of the benchmark's questions
    seen : text hashes of earlier rounds' candidates
    number : of the round; part of the sample ids
    source : the rows' value in column `source`

    Raises
    ------
    TmapError
        If no candidate is left.
    """
    seen = set(seen)
    kept, rejected = [], []
    for line, reply in enumerate(judge.ask(requests, "text")):
        found, reason = _verified(reply, reader, overlap)
        digest = text_hash(found) if found else ""
        if found and digest in seen:
            reason = "duplicate"
        if reason or found is None:
            rejected.append({"line": line, "reason": reason})
            continue
        seen.add(digest)
        kept.append(
            {
                "sample_id": f"r{number}-{line:06d}",
                "instruction": found.instruction,
                "input": "",
                "response": found.response,
                "turns": None,
                "source": source,
                "text_hash": digest,
            }
        )
    reasons = Counter(str(row["reason"]).partition(":")[0] for row in rejected)
    if not kept:
        told = ", ".join(f"{reason} {n}" for reason, n in reasons.most_common())
        raise TmapError(
            f"None of {len(requests)} candidates of round {number} can be used ({told}); "
            "at least one is needed. Fix the form `candidate` of the generator's card, or "
            "name another generator."
        )
    return Round(
        pd.DataFrame(kept),
        pd.DataFrame(rejected, columns=["line", "reason"]),
        dict(sorted(reasons.items())),
    )


def _verified(
    reply: Any, reader: str, overlap: OverlapIndex
) -> tuple[Candidate | None, str]:
    """A candidate, or the reason why there is none."""
    if reply.raw is None:
        return None, f"no reply: {reply.status}"
    parts = PAIR.match(reply.raw["text"])
    if parts is None:
        return None, "not in the form: no question with an answer"
    asked = parts["question"]
    found = Candidate(asked, "", parts["answer"], None, (asked,))
    if not ENDS[reader].fullmatch(found.response.splitlines()[-1].strip()):
        return None, "not in the form: its last line is no answer"
    copied = overlap.find(found.asked)
    return (None, f"{OVERLAP}: {copied}") if copied else (found, "")
