"""Files behind the certificate of a search."""

from __future__ import annotations

from collections.abc import Sequence

from tmap import cards
from tmap.artifacts.files import read_document
from tmap.dag.methods import agreed, asking_groups, searched
from tmap.dag.tiny import tiny_file
from tmap.errors import TmapError


def certifiable(methods: list[str]) -> list[str]:
    """Those of `methods` that search weights on their own, with one model or several."""
    return [m for m in methods if m in (*searched(methods), *agreed(methods))]


def asked_file(dataset: str, model: str, method: str, seed: str) -> str:
    """The table of the questions that the search asked."""
    if asking_groups([method]):
        return f"results/{dataset}/{model}/{method}/s{seed}/groups.parquet"
    return tiny_file(dataset, method, "tiny")


def sentinel_runs(
    dataset: str, model: str, method: str, seed: str, chosen: str = ""
) -> list[str]:
    """Answers after training on each sentinel, the seeds of one sentinel together.

    Parameters
    ----------
    chosen : sentinels.json, which may have none; "": as many as the method card says
    """
    how = cards.load("methods", method).certificate
    n = (
        len(read_document("sentinels", chosen)["sentinels"])
        if chosen
        else how.n_sentinels
    )
    return [
        f"results/{dataset}/{model}/{method}/s{seed}/k{k}/t{t}/predictions.parquet"
        for k in range(n)
        for t in range(how.n_seeds)
    ]


def certified(methods: Sequence[str], certify: Sequence[str]) -> list[str]:
    """The methods under `certify:` of a config, each of which must have a search.

    Raises
    ------
    TmapError : one is not a row of the table, or has no search
    """
    for method in certify:
        if method not in methods:
            raise TmapError(
                f"`certify:` names '{method}', which is not among `methods:` "
                f"({', '.join(methods)}). Add it there, or take it out of `certify:`."
            )
        if not certifiable([method]):
            able = ", ".join(certifiable(list(methods))) or "none of these"
            raise TmapError(
                f"`certify:` names '{method}', which has no search of its own. "
                f"Of `methods:`, {able} can be certified. Fix `certify:` in the config."
            )
    return list(certify)
