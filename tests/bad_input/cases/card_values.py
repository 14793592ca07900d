"""Values of cards that a job would refuse late, or that would make results meaningless."""

from __future__ import annotations

from functools import partial

from cases import Case, Room
from cases.card_text import config
from cases.cards import DATASET, JUDGE, METHOD, MODEL, experiment
from tmap import dag

TRUTH = "has true or false where none belongs"
TWICE = "keep one of them"
FINITE = "finite number"
FILLED = "must not be empty"
COLUMN = ("weights: learned", "indicators: [ifd]")
EXPERIMENT = partial(experiment, "accuracy")


def used(text: str):
    """A dataset card with these options of indicators, used by `snakemake -n`."""

    def do(room: Room) -> None:
        DATASET(f"indicators: {{{text}}}")(room)
        dag.targets.check("results/mine/tiny/metrics.json")

    return do


def named(*lines: str):
    """What `tmap check` looks up of a dataset card."""

    def do(room: Room) -> None:
        DATASET(*lines)(room)
        dag.indicators.check_cards("mine")

    return do


def served(url: str = "http://a:1/v1", **more: str):
    """A model behind this address."""
    given = ", ".join([f'url: "{url}"', "model: x", *map(": ".join, more.items())])
    return MODEL(f"engine: {{name: server, server: {{{given}}}}}")


def option(name: str, text: str, wrong: str, right: str, what: str) -> Case:
    fix = f"`indicators: {name}:` in the dataset card"
    return Case(what, used(f"{name}: {{{text}}}"), wrong, right, fix)


def value(what: str, do, wrong: str, right: str) -> Case:
    return Case(what, do, wrong, right, "Fix the")


def twice(source: str, first: str, second: str) -> Case:
    """A column that is read as two parts of a row."""
    path = f"{source}: {{path: x.jsonl, columns: {{{first}: q, {second}: q}}}}"
    return value(
        f"one column as {first} and {second} of {source}",
        DATASET(path),
        f"reads 'q' as {first} and as {second}",
        "different texts; name another column for one",
    )


CASES = [
    value(
        "a method that selects nothing",
        METHOD("weights: random", "fraction: 0"),
        "fraction: Input should be greater than 0",
        "(got 0)",
    ),
    twice("pool", "instruction", "response"),
    twice("pool", "instruction", "input"),
    twice("pool", "response", "system"),
    twice("pool", "question", "gold"),
    twice("questions", "question", "gold"),
    twice("questions", "question", "context"),
    # true, false and null
    value("seeds: true", config("seeds: true"), "`seeds:`", TRUTH),
    value("model: no", JUDGE("model: no"), "`model:`", TRUTH),
    value("judge: no", DATASET("distil: {judge: no}"), "distil: `judge:`", TRUTH),
    value(
        "bounds: [no, yes]", METHOD(*COLUMN, "bounds: [no, yes]"), "`bounds:`", TRUTH
    ),
    value("a weight of yes", METHOD("weights: {ifd: yes}"), "`weights:`", TRUTH),
    value(
        "methods: [base, null]",
        config("methods: [base, null]"),
        "methods.1",
        "valid string",
    ),
    value("stop: [null]", MODEL("prompt: {stop: [null]}"), "prompt.stop.0", "string"),
    value("no section", DATASET("pool: null"), "got None", "valid dictionary"),
    value("a number as text", DATASET("description: 5"), "got 5", "put it in quotes"),
    # names and paths
    value("an empty name", JUDGE("model: ''"), "model: a name", FILLED),
    value("a name of spaces", config("methods: [' ']"), "methods.0: a name", FILLED),
    value(
        "a name of two lines",
        MODEL('source: {hub: "a\\nb"}'),
        "source.hub",
        "must be on one line",
    ),
    value(
        "a path of 5,000 characters",
        DATASET("pool: {path: " + "a" * 5000 + "}"),
        "pool.path",
        "at most 4000 bytes, and 255 between two slashes",
    ),
    value("an empty path", MODEL("source: {path: ''}"), "source.path", FILLED),
    value(
        "a path of spaces",
        DATASET("pool: {path: ' '}"),
        "pool.path",
        "must not be only spaces",
    ),
    value("an empty folder of cards", config("cards: ['']"), "cards.0", FILLED),
    value(
        "an empty column",
        DATASET("pool: {path: a, columns: {id: ''}}"),
        "pool.columns.id",
        FILLED,
    ),
    value(
        "a checksum that is none",
        DATASET("pool: {url: 'https://a/b.json', sha256: abc}"),
        "pool.sha256",
        "[0-9a-fA-F]{64}",
    ),
    # what is listed twice
    value(
        "a method twice", config("methods: [base, base]"), "names 'base' twice", TWICE
    ),
    value("certify twice", config("certify: [a, a]"), "`certify:` names 'a'", TWICE),
    value("a dataset twice", EXPERIMENT("arith, arith"), "`datasets:`", TWICE),
    value(
        "two methods with one label",
        EXPERIMENT(methods="[tmap, random]", labels="{tmap: A, random: A}"),
        "`labels:` names 'A' twice",
        TWICE,
    ),
    value(
        "a label that is another method",
        EXPERIMENT(methods="[tmap, random]", labels="{tmap: random}"),
        "`labels:` names 'random' twice",
        TWICE,
    ),
    value(
        "a method minus itself",
        EXPERIMENT(delta="[tmap, tmap]"),
        "takes tmap from itself",
        "name two methods",
    ),
    # ends of answers
    value(
        "stop: [' ']",
        MODEL("prompt: {stop: [' ']}"),
        "prompt.stop.0",
        "must not be empty or only spaces",
    ),
    value(
        "stop: ['']",
        JUDGE('forms: {accuracy: {template: "{instruction} {response}", stop: [""]}}'),
        "forms.accuracy.stop.0",
        "must not be empty or only spaces",
    ),
    # numbers
    value("epochs: .inf", MODEL("train: {epochs: .inf}"), "train.epochs", FINITE),
    value("epochs: 1e300", MODEL("train: {epochs: 1.0e+300}"), "1e+300", "10000"),
    value("a rate of nan", MODEL("train: {learning_rate: .nan}"), "got nan", FINITE),
    value("dimensions: [0]", DATASET("irt: {dimensions: [0]}"), "dimensions.0", "to 1"),
    value("dimensions: [-3]", DATASET("irt: {dimensions: [-3]}"), "got -3", "to 1"),
    value("a million", DATASET("irt: {dimensions: [1000000]}"), "1000000", "to 64"),
    value("tiny: {seed: -1}", DATASET("tiny: {seed: -1}"), "tiny.seed", "equal to 0"),
    value("irt: {seed: -1}", DATASET("irt: {seed: -1}"), "irt.seed", "equal to 0"),
    value(
        "a seed of 34 bits",
        DATASET("gradients: {seed: 9999999999}"),
        "gradients.seed",
        "4294967295",
    ),
    value("a million seeds", config("seeds: 1000000"), "got 1000000", "equal to 1000"),
    value(
        "no minutes",
        MODEL("resources: {runtime: {search_weights: 0}}"),
        "0 min",
        "1 to",
    ),
    value(
        "minutes below zero",
        MODEL("resources: {runtime: {train_adapter: -5}}"),
        "train_adapter: -5 minutes",
        "1 to 527040",
    ),
    value("a million cores", MODEL("resources: {threads: 1000000}"), "threads", "4096"),
    value("weights: {}", METHOD("weights: {}"), "`weights:`", "at least one indicator"),
    value(
        "weights of zero",
        METHOD("weights: {ifd: 0, less: 0.0}"),
        "a weight other than 0",
        "{output_length: 1.0}",
    ),
    value("an infinite weight", METHOD("weights: {ifd: .inf}"), "weights.ifd", FINITE),
    value(
        "a null weight", METHOD("weights: {ifd: null}"), "weights.ifd", "valid number"
    ),
    value(
        "bounds of 1e308", METHOD(*COLUMN, "bounds: [0, 1.0e+308]"), "1e+308", "1000000"
    ),
    value(
        "an infinite bound", METHOD(*COLUMN, "bounds: [0, .inf]"), "bounds.1", FINITE
    ),
    value("no shots", experiment("shots", shots="[0]"), "shots.0", "equal to 1"),
    value("limits without end", JUDGE("limits: {timeout: .inf}"), "timeout", FINITE),
    # layers
    value(
        "no layers",
        MODEL("train: {target_modules: []}"),
        "train.target_modules",
        "name at least one layer",
    ),
    value(
        "an empty layer",
        MODEL("train: {target_modules: ['']}"),
        "(got [''])",
        "name at least one layer",
    ),
    value(
        "layers by a pattern that is none",
        MODEL("train: {target_modules: '(('}"),
        "missing ), unterminated subpattern",
        "a text is a regular expression",
    ),
    # servers
    *(
        value(f"an address {what}", served(url), "engine.server.url", right)
        for what, url, right in [
            ("of two lines", "http://a:9/v1\\r\\nX: 1", "no spaces, line ends"),
            ("with a space", "http://a b/v1", "must have no spaces"),
            ("with a long host", f"http://{'a' * 300}/v1", "at most 253"),
            ("with an empty part", "http://a..b/v1", "1 to 63 between its dots"),
            ("with port 99999", "http://a:99999/v1", "up to 65535"),
            ("with a word as port", "http://a:x/v1", "a port is a number"),
            ("with a fragment", "http://a/v1#x", "has no '#'"),
            ("with half a bracket", "http://[::1/v1", "Invalid IPv6 URL"),
        ]
    ),
    value(
        "a command that is empty",
        served(launch="{command: ''}"),
        "launch.command",
        "must name a program",
    ),
    value(
        "a command of an empty word",
        served(launch="{command: \"''\"}"),
        "got \"''\"",
        "must name a program",
    ),
    value(
        "a command with half a quote",
        served("http://a:{port}/v1", launch='{command: "vllm \'{port}"}'),
        "has no closing quotation",
        "close every quote, as in a shell",
    ),
    value(
        "a command that ends in a backslash",
        served(launch="{command: 'vllm \\'}"),
        "has no escaped character",
        "close every quote, as in a shell",
    ),
    value(
        "a field of a request that is nan",
        served(extra="{top_p: [.nan]}"),
        "engine.server.extra.top_p",
        FINITE,
    ),
    # options of indicators
    option("output_length", "count: 5", "'output_length' is 5", "be text", "count: 5"),
    option(
        "reason_steps", "answer_mark: [a]", "is ['a']", "be text", "a mark in a list"
    ),
    option("output_length", "count: {a: 1}", "is {'a': 1}", "be text", "a mapping"),
    option("reason_steps", "rule: null", "'rule'", "must be text", "rule: null"),
    option("output_length", "count: wrds", "'wrds'", "characters, tokens", "wrds"),
    option("ifd", "template: 1", "'template'", "must be true or false", "a truth of 1"),
    option("ifd", "proxy: ''", "'proxy'", "must name a card", "an empty proxy"),
    option("data_whisperer", "n_demos: yes", "True", "a whole number", "yes samples"),
    option("data_whisperer", "n_demos: 2.5", "2.5", "a whole number", "half samples"),
    option("data_whisperer", "rounds: 0", "`rounds: 0`", "at least 1", "no rounds"),
    option("data_whisperer", "layer: -1", "`layer: -1`", "at least 0", "layer -1"),
    option("nuggets", "seed: -1", "`seed: -1`", "at least 0", "a seed below zero"),
    option("evoselect", "mu: .nan", "is nan", "must be a number", "mu: .nan"),
    option("evoselect", "mu: 1e-3", "is '1e-3'", "write 1e-3 as 1.0e-3", "mu: 1e-3"),
    option("evoselect", "steps: 9" + "0" * 14, "'steps'", "whole number", "all steps"),
    option("miwv", "pooling: meen", "'meen'", "Did you mean 'mean'", "pooling: meen"),
    Case(
        "options of an indicator that does not exist",
        used("nope: {}"),
        "Dataset card 'mine': No indicator 'nope'",
        "Known: alpagasus",
        "To add one, write",
    ),
    Case(
        "a judge that does not exist",
        named("indicators: {alpagasus: {judge: nobody}}"),
        "No judge card 'nobody'",
        "Known: deepseek",
        "To add one, write judges/nobody.yaml",
    ),
    Case(
        "a proxy that does not exist",
        named("gradients: {proxy: nobody}"),
        "No model card 'nobody'",
        "Known: bge_large",
        "To add one, write models/nobody.yaml",
    ),
    Case(
        "a teacher without the form",
        named("distil: {judge: phi4}"),
        "Judge card 'phi4' has no form 'reasoning'",
        "it has accuracy",
        "Add `forms: {reasoning: {template: ...}}`",
    ),
]
