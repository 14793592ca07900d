"""Which probe reacts to what training reacts to, by planted faults.

Few-shot accuracy may not see what training sees: wrong answers in demonstrations hardly
matter to some models. So faults are planted in rows that are right: worked answers to
reward questions that no group is asked. Each probe measures every group of such rows with
and without each fault::

    swapped      the answer belongs to another row
    truncated    two thirds of the answer are missing
    shuffled     the words of the answer are in random order

The reaction is the mean of the differences, divided by its standard error (t). A probe
sees a fault if a one-sided t test over groups says so at 1 %. The short training is the
measure of what training reacts to; `choose` takes the cheapest probe that sees all that it
sees. Rows of the pool would not do: where most of them are wrong, a fault may even help.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

from tmap.groups.budget import FAULTS, GROUPS
from tmap.groups.design import Deck
from tmap.groups.probe import Group, Probe
from tmap.prompts.conversation import Turn
from tmap.prompts.renderer import Demo
from tmap.search.demonstrations import Texts

logger = logging.getLogger(__name__)
#: Chance of seeing a fault that makes no difference.
ALPHA = 0.01
#: Words from which an answer is cut and shuffled by words, not by characters.
WORDS = 3


class Worked(Sequence[Demo]):
    """Reward questions with their right answers, as rows.

    Parameters
    ----------
    rows : question and answer of each
    """

    def __init__(self, rows: Sequence[Demo]) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, row: Any) -> Any:
        return self.rows[row]

    def chat(self, row: int) -> list[Turn]:
        """The row as a conversation."""
        question, answer = self.rows[row]
        return [Turn("user", question), Turn("assistant", answer)]


class Planted(Sequence[Demo]):
    """Right rows, and after them the same rows with each fault.

    Row i with fault k has the number i + (k + 1) N.

    Parameters
    ----------
    texts : the N right rows
    seed : of the partners whose answers are swapped, and of shuffled words
    """

    def __init__(self, texts: Worked | Texts, seed: int) -> None:
        self.texts, self.seed = texts, seed
        order = np.random.default_rng([seed, 4]).permutation(len(texts))
        # The next row in a random order: no row is its own partner.
        self.partner = np.empty(len(texts), dtype=int)
        self.partner[order] = np.roll(order, -1)

    def __len__(self) -> int:
        return len(self.texts) * (1 + len(FAULTS))

    def __getitem__(self, row: Any) -> Any:
        number, fault = self._split(row)
        demo = self.texts[number]
        return demo._replace(answer=self._answer(number, fault, demo.answer))

    def chat(self, row: int) -> list[Turn]:
        """The row as a conversation; a fault is in its last answer."""
        number, fault = self._split(row)
        *before, last = self.texts.chat(number)
        answer = self._answer(number, fault, last.content)
        return [*before, last._replace(content=answer)]

    def _split(self, row: int) -> tuple[int, str]:
        fault, number = divmod(int(row), len(self.texts))
        return number, ("", *FAULTS)[fault]

    def _answer(self, row: int, fault: str, answer: str) -> str:
        if fault == "swapped":
            return str(self.texts[int(self.partner[row])].answer)
        if fault:
            return damaged(answer, fault, np.random.default_rng([self.seed, row]))
        return answer


def damaged(answer: str, fault: str, rng: np.random.Generator) -> str:
    """An answer cut to its first third, or with its words in random order.

    An answer of fewer than three words is cut or shuffled by characters.
    """
    words = answer.split()
    by_words = len(words) >= WORDS
    parts = words if by_words else list(answer.strip())
    if fault == "truncated":
        parts = parts[: max(1, len(parts) // 3)]
    else:
        parts = [parts[i] for i in rng.permutation(len(parts))]
    return (" " if by_words else "").join(parts)


def compare(
    probes: Sequence[Probe], sizes: Mapping[str, int], n_rows: int, seed: int
) -> dict[str, Any]:
    """Measure every probe's reaction to every fault: the content of probes.json.

    Parameters
    ----------
    probes : over the rows of `Planted`
    sizes : probe -> rows of a group; at most half of the N are taken
    n_rows : N
    seed : of groups

    Returns
    -------
    `chosen` and `reason`; `probes`: name -> unit, n_groups, tokens (read, written and
    trained on, see `Probe.tokens`), and for each fault `reaction` (mean difference, in the
    probe's unit), `error`, `t`, `p` and `sees`
    """
    found = {
        probe.name: _reactions(probe, sizes[probe.name], n_rows, seed)
        for probe in probes
    }
    chosen, reason = choose(found)
    logger.info("probe %s: %s", chosen, reason)
    return {"chosen": chosen, "reason": reason, "faults": list(FAULTS), "probes": found}


def _reactions(probe: Probe, size: int, n_rows: int, seed: int) -> dict[str, Any]:
    size = min(size, n_rows // 2)  # else all groups would be of the same rows
    rng = np.random.default_rng([seed, 5])
    deck = Deck(np.arange(n_rows), rng)
    questions = Deck(np.arange(len(probe.questions)), rng)
    n_asked = len(probe.questions) if probe.asks_all else 1
    clean = [
        Group(tuple(deck.deal(size).tolist()), tuple(questions.deal(n_asked).tolist()))
        for _ in range(GROUPS[probe.name])
    ]
    values, tokens = {"": probe.ask(clean).mean(axis=1)}, probe.tokens(clean)
    for k, fault in enumerate(FAULTS):
        moved = (k + 1) * n_rows
        faulty = [
            group._replace(rows=tuple(row + moved for row in group.rows))
            for group in clean
        ]
        values[fault] = probe.ask(faulty).mean(axis=1)
        tokens += probe.tokens(faulty)
    about: dict[str, Any] = {
        "unit": probe.unit,
        "rows": size,
        "n_groups": len(clean),
        "n_questions": n_asked,
        "tokens": tokens,
        "faults": {f: reaction(values[""] - values[f]) for f in FAULTS},
    }
    for fault in FAULTS:
        logger.info("%s, %s: t %+.1f", probe.name, fault, about["faults"][fault]["t"])
    return about


def reaction(differences: np.ndarray) -> dict[str, Any]:
    """One-sided t test that (G,) values without a fault are above those with it.

    Worked example: differences 1, 2, 3 have mean 2, error 0.577, t 3.46 and p 0.037.
    """
    n, mean = len(differences), float(differences.mean())
    error = float(differences.std(ddof=1) / n**0.5)
    if error == 0:
        t = 0.0 if mean == 0 else float(np.sign(mean)) * 1e3
    else:
        t = mean / error
    p = float(stats.t.sf(t, n - 1))
    return {"reaction": mean, "error": error, "t": t, "p": p, "sees": p <= ALPHA}


def choose(found: Mapping[str, Mapping[str, Any]]) -> tuple[str, str]:
    """The cheapest probe that sees every fault that the short training sees, and why.

    Cost is what a probe takes until it is as sure as another one: tokens over t squared,
    for the fault that it sees worst. Tokens are the same on every machine; seconds are not.
    """
    seen = {
        name: [f for f, r in about["faults"].items() if r["sees"]]
        for name, about in found.items()
    }
    wanted = seen["sft"]
    if not wanted:
        return "icl", (
            "a short training reacts to none of the planted faults, so nothing says that "
            "training reacts to what another probe sees"
        )
    able = [name for name in found if set(wanted) <= set(seen[name])]

    def cost(name: str) -> tuple[float, int]:
        worst = min(found[name]["faults"][f]["t"] for f in wanted)
        return found[name]["tokens"] / worst**2, list(GROUPS).index(name)

    chosen = min(able, key=cost)
    blind = [name for name in found if name not in able]
    told = f"; {' and '.join(blind)} {'do' if len(blind) > 1 else 'does'} not" * bool(
        blind
    )
    return chosen, (
        f"training reacts to answers that are {' and '.join(wanted)}; {chosen} is the "
        f"cheapest probe that does so, too{told}"
    )
