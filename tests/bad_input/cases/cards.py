"""Cards: values that do not exist, do not fit, or contradict one another."""

from __future__ import annotations

from functools import partial

from cases import Case, Room
from tmap import cards, dag

BASES = {
    "datasets": {
        "task": "task: generation",
        "pool": "pool: {path: pool.jsonl}",
        "questions": "questions: {path: q.jsonl}",
    },
    "models": {"source": "source: {path: m}"},
    "methods": {"weights": "weights: random"},
    "judges": {
        "version": "version: 1",
        "model": "model: gpt2",
        "forms": 'forms: {quality: {template: "{instruction} {response}"}}',
    },
}


def load(room: Room, kind: str, text: str, name: str = "mine") -> None:
    room.write(f"cards/{kind}/{name}.yaml", text)
    cards.load(kind, name)


def card(kind: str, *lines: str):
    """A good card with some of its keys replaced."""
    kept = BASES[kind] | {line.split(":")[0]: line for line in lines}
    return partial(load, kind=kind, text="\n".join(kept.values()))


def circle(room: Room) -> None:
    room.write("cards/datasets/b.yaml", "extends: a\n")
    load(room, "datasets", "extends: b\n", "a")


def experiment(kind: str, datasets: str = "arith", **more: str):
    """An experiment over these methods, with the keys that its kind needs."""
    values = {"methods": "[tmap]", **more}
    lines = [f"kind: {kind}", f"datasets: [{datasets}]", "models: [tiny]"]
    lines += [f"{key}: {value}" for key, value in values.items()]

    def do(room: Room) -> None:
        load(room, "experiments", "\n".join(lines))
        dag.experiments.of("mine")

    return do


def certifying(methods: str, certify: str):
    """What the Snakefile does with a config's `certify:`."""

    def do(room: Room) -> None:
        dag.certificate.certified(methods.split(), certify.split())

    return do


FIX = "Fix the card"
TAKE_OUT = "Remove it from `methods:`"
DATASET, MODEL = partial(card, "datasets"), partial(card, "models")
METHOD, JUDGE = partial(card, "methods"), partial(card, "judges")
CASES = [
    Case(
        "a key that does not exist",
        DATASET("fractoin: 0.3"),
        "no key 'fractoin'",
        "Did you mean 'fraction'",
        FIX,
        typo=True,
    ),
    Case(
        "a key of a section that does not exist",
        DATASET("tiny: {n_anchor: 3}"),
        "no key 'tiny.n_anchor'",
        "Did you mean 'n_anchors'",
        FIX,
        typo=True,
    ),
    Case(
        "a card that does not exist",
        lambda room: cards.load("models", "lama3"),
        "No model card 'lama3'",
        "Did you mean 'llama3'",
        "To add one, write models/lama3.yaml",
        typo=True,
    ),
    Case(
        "a share above one",
        DATASET("fraction: 2"),
        "(got 2)",
        "less than or equal to 1",
        FIX,
    ),
    Case(
        "a metric of the other task",
        DATASET("metric: acc"),
        "metric 'acc' does not fit task 'generation'",
        "generation takes strict, flexible, numeric or math_verify",
        FIX,
    ),
    Case(
        "a metric in place of a reader",
        DATASET("reader: math_verify"),
        "'math_verify' is a metric",
        "write `metric: math_verify`",
        FIX,
    ),
    Case(
        "a reader in place of a metric",
        DATASET("metric: letter"),
        "'letter' is a reader",
        "write `reader: letter`",
        FIX,
    ),
    Case(
        "a reader of the other task",
        DATASET("reader: letter"),
        "reader 'letter' does not fit task 'generation'",
        "generation takes number",
        FIX,
    ),
    Case(
        "two places for one pool",
        DATASET("pool: {path: a, hub: b}"),
        "there is path and hub",
        "name exactly one of path, hub, url or world",
        FIX,
    ),
    Case(
        "no place for the pool",
        DATASET("pool: {licence: MIT}"),
        "there is none",
        "name exactly one of path, hub, url or world",
        FIX,
    ),
    Case(
        "an address without checksum",
        DATASET("pool: {url: 'https://x/a.json'}"),
        "a url needs its sha256",
        "64 hex digits",
        "sha256sum FILE",
    ),
    Case(
        "a column that pools do not have",
        DATASET("pool: {path: a, columns: {response: b, answer: c}}"),
        "pool.columns.answer",
        "'instruction', 'input', 'response'",
        FIX,
    ),
    Case(
        "a file type as format",
        DATASET("pool: {path: a, format: parquet}"),
        "(got 'parquet')",
        "'auto', 'alpaca', 'messages'",
        FIX,
    ),
    Case(
        "a seed for rows that are not drawn",
        DATASET("pool: {path: a, seed: 3}"),
        "`seed:`",
        "needs `world:`",
        FIX,
    ),
    Case(
        "a hub history without its models",
        DATASET("responses: {hub: o, format: leaderboard_v1}"),
        "responses: `subjects:`",
        "it names the models to read",
        FIX,
    ),
    Case(
        "models of a history that is a file",
        DATASET("responses: {path: o, subjects: [a/b]}"),
        "format: leaderboard_v1 with hub: go together",
        "it names the models",
        FIX,
    ),
    Case(
        "a list where a section belongs",
        DATASET("questions: [1, 2]"),
        "got [1, 2]",
        "valid dictionary",
        FIX,
    ),
    Case(
        "keys that are missing",
        partial(load, kind="datasets", text="task: generation\n"),
        "'pool' is missing",
        "key 'questions'",
        FIX,
    ),
    Case(
        "text that is no YAML",
        DATASET("task: ["),
        "is not valid YAML",
        "expected ',' or ']'",
        "Fix the file",
    ),
    Case(
        "a card that is a list",
        partial(load, kind="datasets", text="- a\n- b\n"),
        "not a list",
        "must be a mapping of keys to values",
        "Write lines `key: value`",
    ),
    Case(
        "cards that extend one another",
        circle,
        "circle (a -> b -> a)",
        "goes in a circle",
        "Remove `extends:` from one of them",
    ),
    Case(
        "a name that cannot be part of a path",
        partial(load, kind="models", text="source: {path: m}", name="With-Dash"),
        "'With-Dash' cannot name a card",
        "lower-case letters, digits and underscores",
        "rename the file",
    ),
    Case(
        "a batch that its parts do not fill",
        MODEL("train: {batch_size: 10, micro_batch_size: 4}"),
        "batch_size 10",
        "must be a multiple of micro_batch_size 4",
        FIX,
    ),
    Case(
        "four bits on a CPU",
        MODEL("engine: {quantization: nf4, device: cpu}"),
        "quantization 'nf4' needs a GPU, and device is cpu",
        "remove one of them",
        FIX,
    ),
    Case(
        "layers spread over no GPUs",
        MODEL("engine: {device_map: auto}", "resources: {gpu: 0}"),
        "engine.device_map is 'auto', and resources.gpu is 0",
        "request at least one GPU",
        FIX,
    ),
    Case(
        "a search over no columns",
        METHOD("weights: learned"),
        "weights: learned",
        "needs `indicators:`",
        FIX,
    ),
    Case(
        "bounds the wrong way round",
        METHOD("weights: learned", "indicators: [ifd]", "bounds: [1, 0]"),
        "`bounds:` [1.0, 0.0]",
        "must be [low, high] with low < high",
        FIX,
    ),
    Case(
        "weights of a method that searches for none",
        METHOD("weights: learned", "indicators: [ifd]", "weights_of: uniform"),
        "`weights_of: uniform`",
        "uniform has no search of its own",
        "Name a method that searches weights",
    ),
    Case(
        "weights of a search over other columns",
        METHOD("weights: learned", "indicators: [ifd]", "weights_of: tmap"),
        "`weights_of: tmap`",
        "tmap differs in `indicators`",
        "Make this card extend tmap, and leave `indicators` as it is",
    ),
    Case(
        "borrowed weights that are none",
        METHOD("weights: random", "weights_of: tmap"),
        "`weights_of:`",
        "needs weights: learned, best_single, consensus",
        FIX,
    ),
    Case(
        "a safe method that does not exist",
        METHOD("certificate: {safe: randon}"),
        "No method card 'randon'",
        "Did you mean 'random'",
        "Fix `certificate: safe:`",
        typo=True,
    ),
    Case(
        "an experiment on a dataset that does not exist",
        experiment("accuracy", datasets="arithh"),
        "No dataset card 'arithh'",
        "Did you mean 'arith'",
        "To add one, write datasets/arithh.yaml",
        typo=True,
    ),
    Case(
        "a table of weights with a method that searches for none",
        experiment("weights", methods="[tmap, uniform]"),
        "names method 'uniform'",
        "needs methods with searched weights",
        TAKE_OUT,
    ),
    Case(
        "contributions of a search over several models",
        experiment("contributions", methods="[consensus]"),
        "names method 'consensus'",
        "a search of their own on one model",
        TAKE_OUT,
    ),
    Case(
        "the overlap of a method without a subset",
        experiment("overlap", methods="[random, base]"),
        "names method 'base'",
        "a table of kind `overlap` needs methods with a subset",
        TAKE_OUT,
    ),
    Case(
        "a curve of a method without a subset",
        experiment("curve", methods="[base]", fractions="[0.1]"),
        "names method 'base'",
        "needs methods with a subset of one pool",
        TAKE_OUT,
    ),
    Case(
        "shots from the pools of several rounds",
        experiment("shots", methods="[random_rounds]", shots="[8]"),
        "names method 'random_rounds'",
        "needs methods with a subset of one pool",
        TAKE_OUT,
    ),
    Case(
        "a certificate of a method that is not measured",
        certifying("base random", "tmap"),
        "`certify:` names 'tmap', which is not among `methods:`",
        "(base, random)",
        "Add it there",
    ),
    Case(
        "a certificate without a search",
        certifying("base random tmap", "random"),
        "'random', which has no search of its own",
        "tmap can be certified",
        "Fix `certify:`",
    ),
    Case(
        "a certificate of borrowed weights",
        certifying("tmap tmap_diversity", "tmap_diversity"),
        "'tmap_diversity', which has no search of its own",
        "tmap can be certified",
        "Fix `certify:`",
    ),
    Case(
        "a judge that does not see the answer",
        JUDGE('forms: {quality: {template: "{instruction}"}}'),
        "forms.quality.template",
        "must contain {response}",
        FIX,
    ),
]
