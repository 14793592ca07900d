"""The two figures next to metrics.json: accuracy by method, reward by iteration."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tmap.artifacts.files import atomic
from tmap.comparison.looks import UNTOUCHED, YARDSTICK
from tmap.comparison.runs import Runs, Search

#: Okabe and Ito's colours, distinguishable with every common colour blindness.
BLUE, ORANGE, GREEN, PINK, SKY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9"
GREY = "#555555"
SEED_COLOURS = (BLUE, ORANGE, GREEN, PINK, SKY)


def accuracy(metrics: dict[str, Any], path: str | Path) -> None:
    """Draw mean accuracy with its interval per method, and a small dot per run.

    Parameters
    ----------
    metrics : from `metrics.collect`
    path : of the PNG
    """
    methods: dict[str, Any] = metrics["methods"]
    figure = Figure(figsize=(7.5, 1.3 + 0.48 * len(methods)), layout="constrained")
    axes = figure.add_subplot()
    for row, (name, found) in enumerate(methods.items()):
        _interval(axes, row, name, found)
    base = methods.get(UNTOUCHED)
    if base:
        axes.axvline(100 * base["accuracy"], color=GREY, linestyle="--", linewidth=1)
    axes.set_yticks(range(len(methods)), list(methods))
    axes.set_ylim(len(methods) - 0.5, -0.5)
    axes.set_xlabel(
        f"accuracy on {metrics['n_questions']} test questions, % ({metrics['metric']})"
        "; bar: 95 % interval, small dots: runs" + (", dashed: base" if base else "")
    )
    axes.set_title(f"{metrics['dataset']}, {metrics['model']}", loc="left")
    _tidy(axes, grid="x")
    _save(figure, path)


def _interval(axes: Axes, row: int, name: str, found: dict[str, Any]) -> None:
    colour = {UNTOUCHED: GREY, YARDSTICK: ORANGE}.get(name, BLUE)
    low, high = (100 * bound for bound in found["interval"])
    axes.plot([low, high], [row, row], color=colour, linewidth=2.5, alpha=0.45)
    runs = [100 * run["accuracy"] for run in found["runs"]]
    if len(runs) > 1:
        heights = np.full(len(runs), row + 0.22)
        axes.plot(runs, heights, ".", color=colour, alpha=0.7, markersize=5)
    mean = 100 * found["accuracy"]
    axes.plot(mean, row, "o", color=colour, markersize=8)
    axes.annotate(
        f"{mean:.1f}",
        (mean, row),
        xytext=(0, 7),
        textcoords="offset points",
        ha="center",
        fontsize=9,
        color=colour,
        bbox={"color": "white", "pad": 0.5},
    )


def search(runs: Runs, path: str | Path) -> None:
    """Draw reward by iteration with the best so far, one panel per learned method.

    The band is one standard error over exemplar groups around the best reward. The best
    of many noisy values is too high; the confirmed reward, from other questions, is not.
    """
    methods = list(dict.fromkeys(found.method for found in runs.searches))
    figure = Figure(figsize=(7.5, 3.2 * max(1, len(methods))), layout="constrained")
    if not methods:
        figure.set_size_inches(7.5, 1.2)
        text = "No method here searches for weights, so there is no reward to show."
        figure.text(0.5, 0.5, text, ha="center", va="center")
    for i, method in enumerate(methods):
        axes = figure.add_subplot(len(methods), 1, i + 1)
        searches = runs.searches_of(method)
        if searches[0].weights.get("groups"):
            _columns(axes, method, searches)
        else:
            _panel(axes, method, searches)
    _save(figure, path)


def _panel(axes: Axes, method: str, searches: list[Search]) -> None:
    for i, found in enumerate(searches):
        colour = SEED_COLOURS[i % len(SEED_COLOURS)]
        _points(axes, found.trace, colour, explain=i == 0)
        which = f", search s{found.s}" if len(searches) > 1 else ""
        _best(axes, found.trace, colour, f"best so far{which}")
        _level(axes, found.weights.get("reward"), colour, "-.", f"confirmed{which}")
    rewards = (found.weights.get("uniform_reward") for found in searches)
    for i, uniform in enumerate(
        sorted({reward for reward in rewards if reward is not None})
    ):
        label = "_hidden" if i else "equal weights, confirmed"
        _level(axes, uniform, GREY, ":", label)
    axes.set_title(f"{method} (confirmed: on other questions)", loc="left")
    axes.set_xlabel("iteration")
    axes.set_ylabel("reward: estimated accuracy, %")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _tidy(axes, grid="y")
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False, fontsize=9)


def _columns(axes: Axes, method: str, searches: list[Search]) -> None:
    """Weights of a group search relative to the largest, with 90 % intervals."""
    for i, found in enumerate(searches):
        colour = SEED_COLOURS[i % len(SEED_COLOURS)]
        weights = found.weights["weights_relative"]
        heights = np.arange(len(weights)) + 0.18 * i
        if found.weights["interval"] is not None:
            low, high = np.array(found.weights["interval"]).T
            axes.hlines(heights, low, high, color=colour, linewidth=3, alpha=0.45)
        which = f"search s{found.s}" if len(searches) > 1 else None
        axes.plot(weights, heights, "o", color=colour, label=which)
    about = searches[0].weights["groups"]
    low, high = about["r2_interval"]
    axes.set_yticks(range(len(about["indicators"])), about["indicators"])
    axes.invert_yaxis()
    axes.set_xlabel("weight relative to the largest; bar: 90 % interval")
    verdict = "abstains" if searches[0].weights["abstains"] else "learns"
    axes.set_title(
        f"{method}: {about['n_groups']} groups asked; held-out R2 {about['r2']:.2f} "
        f"[{low:.2f}, {high:.2f}], p {about['p']:.3f}: {verdict}",
        loc="left",
        fontsize=10,
    )
    _tidy(axes, grid="x")
    if len(searches) > 1:
        axes.legend(frameon=False, fontsize=9)


def _points(axes: Axes, trace: pd.DataFrame, colour: str, explain: bool) -> None:
    raced = trace["raced"].to_numpy(dtype=bool)
    marks = (("o", ~raced, "one evaluation"), ("x", raced, "stopped early"))
    for marker, chosen, label in marks:
        if chosen.any():
            axes.plot(
                trace["iteration"][chosen],
                100 * trace["reward"][chosen],
                marker,
                color=colour,
                markersize=3.5,
                alpha=0.5,
                label=label if explain else None,
            )


def _best(axes: Axes, trace: pd.DataFrame, colour: str, label: str) -> None:
    reward = 100 * trace["reward"].to_numpy(dtype=float)
    error = 100 * trace["reward_se_groups"].fillna(0.0).to_numpy(dtype=float)
    best = incumbents(reward, trace["raced"].to_numpy(dtype=bool))
    known = best >= 0
    x = trace["iteration"].to_numpy()[known]
    height, spread = reward[best[known]], error[best[known]]
    axes.step(x, height, where="post", color=colour, linewidth=1.8, label=label)
    low, high = height - spread, height + spread
    axes.fill_between(x, low, high, step="post", color=colour, alpha=0.15, linewidth=0)


def _level(
    axes: Axes, value: float | None, colour: str, style: str, label: str
) -> None:
    if value is not None:
        height = 100 * value
        axes.axhline(height, color=colour, linestyle=style, linewidth=1.2, label=label)


def incumbents(reward: np.ndarray, raced: np.ndarray) -> np.ndarray:
    """(n,) row of the best reward so far, without raced rows; -1 before the first."""
    best = np.full(len(reward), -1)
    leader = -1
    for i, value in enumerate(reward):
        if not raced[i] and (leader < 0 or value > reward[leader]):
            leader = i
        best[i] = leader
    return best


def _tidy(axes: Axes, grid: Literal["x", "y"]) -> None:
    axes.grid(axis=grid, color="#DDDDDD", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _save(figure: Figure, path: str | Path) -> None:
    with atomic(path) as temporary:
        figure.savefig(temporary, format="png", dpi=150)
