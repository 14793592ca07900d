"""Columns as a user asks for them: edited code, edited prompts, several jobs, a key."""

from __future__ import annotations

import re
import threading

import pytest

from clones import Clone
from judging import FakeServer, chat_answer
from project import ROOT
from tmap.artifacts import tables

pytestmark = pytest.mark.workflow

KEY = "sk-this-must-stay-secret-4711"
JUDGE = """
version: 1
server: {{url: "{url}", model: some-model}}
limits: {{key_env: A_JUDGES_KEY, attempts: 3, max_wait: 0.1, timeout: 30}}
forms: {{accuracy: {{template: "{{instruction}}\\n{{response}}\\n{words}:\\n"}}}}
"""
DATASET = """
extends: demo
max_unscored: 1.0
indicators:
  ifd: {proxy: random_llama}
  alpagasus: {judge: served}
"""
ROOM = "results/rated/indicators"
RATED, IFD = f"{ROOM}/alpagasus.parquet", f"{ROOM}/ifd.parquet"
MODULES = "workflow/tmap/indicators"
SAID = []  # what snakemake printed


class Script:
    """Fails on two rows of three when it first sees them, and prints the key."""

    def __init__(self):
        self.met = {}

    def __call__(self, number, body):
        text = str(body["messages"])
        again = text in self.met
        kind = 2 if again else self.met.setdefault(text, len(self.met)) % 3
        if kind == 0:
            return 500, {}, {"error": f"you sent {KEY}"}
        if kind == 1:
            return 200, {}, f"no JSON {KEY}".encode()
        return 200, {}, chat_answer(f"{len(text) % 5}.5")


@pytest.fixture(scope="module")
def server():
    server = FakeServer(Script())
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def clone(tmp_path_factory, server):
    clone = Clone.make(tmp_path_factory.mktemp("columns") / "clone")
    clone.run("tmap", "make-world", "world")
    cards = clone.path / "world/cards"
    (cards / "judges").mkdir()
    (cards / "judges/served.yaml").write_text(JUDGE.format(url=server.url, words="Say"))
    (cards / "datasets/rated.yaml").write_text(DATASET)
    build(clone, RATED, IFD)
    return clone


def build(clone, *targets, check=True):
    said = clone.snakemake("--", *targets, cores=1, check=check, A_JUDGES_KEY=KEY)
    SAID.append(said)
    return said


def column(clone, path):
    return tables.read("indicator", clone.path / path)


def log(clone, name):
    return (clone.path / f"results/logs/score_indicator/rated/{name}.log").read_text()


def edit(clone, path, old, new):
    file = clone.path / path
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def test_another_parser_or_formula_gives_new_scores_and_asks_nobody(clone, server):
    rated, ifd, asked = column(clone, RATED), column(clone, IFD), len(server.seen)
    edit(clone, f"{MODULES}/alpagasus.py", "return value if LOW", "return 1 if LOW")
    edit(clone, f"{MODULES}/ifd.py", "np.exp(given - bare)", "np.exp(bare - given)")

    build(clone, RATED, IFD)

    assert len(server.seen) == asked
    assert re.search(r"judge: 0 to ask, \d\d+ stored", log(clone, "alpagasus"))
    assert re.findall(r"nll: (\d+) to measure", log(clone, "ifd")) == ["0", "0"]
    assert "model random_llama on" not in log(clone, "ifd")  # weights are not loaded
    ok = rated["status"] == "ok"
    assert set(column(clone, RATED)["score"][ok]) == {1.0}
    again = column(clone, IFD)["score"] * ifd["score"]
    assert again[ifd["status"] == "ok"].between(1 - 1e-9, 1 + 1e-9).all()


def test_another_prompt_asks_everything_again(clone, server):
    asked, n = len(server.seen), (column(clone, RATED)["status"] == "ok").sum()
    card = clone.path / "world/cards/judges/served.yaml"
    card.write_text(JUDGE.format(url=server.url, words="Judge"))

    build(clone, RATED)

    fresh = [str(body) for _, body in server.seen[asked:]]
    assert len(set(fresh)) >= n
    assert all("Judge:" in text for text in fresh)


def test_a_new_indicator_is_one_file_and_one_line_in_a_method_card(clone):
    page = ROOT / "docs/how-to/indicator.md"
    (code,) = re.findall(r"```python \S+\n(.*?)```", page.read_text(), re.S)
    (clone.path / MODULES / "question_marks.py").write_text(code)
    methods = clone.path / "world/cards/methods"
    (methods / "asked.yaml").write_text("weights: {question_marks: -1.0}\n")

    build(clone, "results/rated/random_llama/asked/s0/subset.parquet")

    subset = clone.path / "results/rated/random_llama/asked/s0/subset.parquet"
    assert tables.metadata(subset)["indicators"] == ["question_marks"]
    assert len(tables.read("subset", subset))


def test_three_jobs_make_the_bytes_that_one_makes(clone):
    target = "results/rated/random_llama/indicators/perplexity.parquet"
    build(clone, target)
    alone = (clone.path / target).read_bytes()
    card = clone.path / "world/cards/datasets/rated.yaml"
    card.write_text(DATASET + "shards: 3\n")
    (clone.path / target).unlink()
    edit(
        clone,
        "workflow/tmap/store/caching_engine.py",
        "PIECE_TOKENS = 512, ",
        "PIECE_TOKENS = 8, ",
    )
    env = {"TMAP_STORE": str(clone.path / "results/another"), "A_JUDGES_KEY": KEY}

    said = clone.snakemake("--", target, cores=1, **env)

    jobs = sorted(clone.path.glob("results/logs/measure_shard/**/perplexity/*.log"))
    measured = [re.findall(r"nll: (\d+) to measure", job.read_text()) for job in jobs]
    assert len(jobs) == 3, said
    assert all(int(n) > 0 for (n,) in measured)
    gather = "results/logs/score_indicator/rated/random_llama/perplexity.log"
    assert "nll: 0 to measure" in (clone.path / gather).read_text()
    found = column(clone, target)
    assert len(found) == sum(found["status"] == "ok")
    assert not list(clone.path.glob("results/rated/**/shard-*.json"))
    card.write_text(DATASET)
    single = {**env, "TMAP_STORE": str(clone.path / "results/single")}
    (clone.path / target).rename(clone.path / "sharded.parquet")
    clone.snakemake("--", target, cores=1, **single)
    assert (clone.path / target).read_bytes() == (
        clone.path / "sharded.parquet"
    ).read_bytes()
    assert len(alone) > 0


def test_the_key_is_in_no_log_artifact_part_ledger_or_error(clone, server):
    server.script = lambda number, body: (401, {}, {"error": f"wrong key {KEY}"})
    (clone.path / RATED).unlink()
    (clone.path / "world/cards/judges/served.yaml").write_text(
        JUDGE.format(url=server.url, words="Once more")
    )
    refused = build(clone, RATED, check=False)
    assert "refuses, status 401" in refused

    told = [headers.get("Authorization") for headers in server.headers_seen]
    assert set(told) == {f"Bearer {KEY}"}
    for said in SAID:
        assert KEY not in said
    files = [path for path in clone.path.rglob("*") if path.is_file()]
    kinds = {path.suffix for path in files}
    assert {".log", ".parquet", ".json", ".yaml"} <= kinds
    assert any("store" in path.parts for path in files)
    for path in files:
        assert KEY.encode() not in path.read_bytes(), path
