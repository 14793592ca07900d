"""What the page says, against numbers worked by hand or by another way."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from scipy.stats import hypergeom

import finished_pages
from project import ROOT
from tmap import dag
from tmap.artifacts import tables
from tmap.engines.weights import load_tokenizer
from tmap.page import (
    columns,
    document,
    html,
    packing,
    rejected,
    results,
    subsets,
    verdict,
)


@pytest.fixture(scope="module")
def tokenizer():
    path = str(ROOT / "resources/models/tiny")
    return load_tokenizer({"path": path, "source": path, "trust_remote_code": False})


@pytest.fixture(scope="module")
def made(tmp_path_factory, tokenizer):
    """(folder, path of the page, its document) of a pool of 400 rows."""
    folder = tmp_path_factory.mktemp("page")
    return folder, *finished_pages.page(folder, tokenizer)


def texts_of(found):
    return {
        t["i"]: t
        for c in found["samples"]["texts"]
        for t in json.loads(packing.unpack(c))
    }


def test_a_flattened_and_a_constant_column_are_marked():
    rng = np.random.default_rng(0)
    spread, peak = rng.random(500), rng.random(500)
    peak[7] = 1e6

    def marked(raw):
        known = raw[~np.isnan(raw)]
        return columns.marks(raw, (raw - known.min()) / (np.ptp(known) or 1))

    assert marked(spread) == []
    assert marked(peak)[0].startswith("flattened: 99% of the rows are within 0.0%")
    assert marked(np.full(9, 3.0))[0].startswith("constant")
    assert columns.marks(np.full(3, np.nan), np.zeros(3)) == ["no row is scored"]


def test_chance_is_the_hypergeometric_distribution():
    mean, spread = subsets.by_chance(30, 12, 100)
    assert mean == pytest.approx(hypergeom(100, 30, 12).mean())
    assert spread == pytest.approx(hypergeom(100, 30, 12).std())


@pytest.mark.parametrize(
    ("sentence", "parts"),
    [
        (
            "Better than random (+3.0 points, +1.0 to +5.0); no harm (+1.0 points).",
            (
                "Better than random",
                "+3.0 points, +1.0 to +5.0",
                "No harm (+1.0 points).",
            ),
        ),
        (
            "A random subset, the yardstick.",
            ("A random subset, the yardstick.", "", ""),
        ),
    ],
)
def test_a_verdict_is_split_into_words_and_numbers(sentence, parts):
    assert verdict.split(sentence) == parts


def test_reasons_that_differ_in_what_they_quote_count_together(tmp_path):
    frame = pd.DataFrame({"line": [1, 2, 5], "reason": ["has 'a'", "has 'b'", "none"]})
    tables.write("pool_rejected", frame, tmp_path / "r.parquet", code="c")

    found = rejected.look(tmp_path / "r.parquet")

    assert [(r["kind"], r["n"]) for r in found["reasons"]] == [
        ("has …", 2),
        ("none", 1),
    ]


def test_ranks_of_the_whole_pool_agree_with_the_subset(made):
    folder, _, found = made
    for subset in found["samples"]["subsets"]:
        bits = np.frombuffer(packing.unpack(subset["chosen"]), dtype=np.uint8)
        chosen = np.flatnonzero(np.unpackbits(bits, bitorder="little")[:400])
        assert len(chosen) == subset["size"] == 120
        path = folder / "results/toy/small" / subset["method"] / f"s{subset['s']}"
        kept = tables.read("subset", path / "subset.parquet")
        assert {f"row-{i:06d}" for i in chosen} == set(kept["sample_id"])
        if subset["rank"]:
            planes = np.frombuffer(packing.unpack(subset["rank"]), np.uint8).reshape(
                4, -1
            )
            rank = sum(p.astype(int) << (24 - 8 * i) for i, p in enumerate(planes))
            assert sorted(rank) == list(range(400))
            by_rank = [f"row-{i:06d}" for i in np.argsort(rank)[:120]]
            assert by_rank == kept["sample_id"].tolist()


def test_the_page_names_the_intervals_of_differences():
    ends = {"difference": 0.1, "p_holm": None, "interval": [0.0, 0.2]}
    first = verdict._difference(ends)
    later = verdict._difference(ends | {"verdict_interval": [-0.1, 0.3]})
    assert (first["level"], first["interval"]) == ("95 % interval", [0.0, 0.2])
    assert (later["level"], later["interval"]) == (
        "interval of the verdict",
        [-0.1, 0.3],
    )


def test_the_page_is_about_the_searched_method_and_warns_of_the_flattened_column(made):
    _, _, found = made
    assert found["verdict"]["method"] == "tmap"
    grave = [w["text"] for w in found["verdict"]["warnings"] if w["grave"]]
    assert any("perplexity: flattened" in text for text in grave)


def test_texts_are_what_is_trained_on(made, tokenizer):
    _, _, found = made
    pool = finished_pages.pool(400)
    whole = [(i, text) for i, text in texts_of(found).items() if text["n"] <= 512]
    assert len(whole) > 300
    for i, text in whole[:20]:
        said = "".join(part for part, kind in text["p"] if kind == 1)
        assert said.replace("<eos>", "").split() == pool["response"][i].split()
        row = "".join(part for part, _ in text["p"])
        assert len(tokenizer(row, add_special_tokens=False)["input_ids"]) == text["n"]


def test_a_row_beyond_the_limit_shows_what_is_cut(tmp_path, tokenizer):
    _, found = finished_pages.page(tmp_path, tokenizer, limit=40, n=120)
    cut = [text for text in texts_of(found).values() if text["n"] > 40]
    assert cut and all(text["p"][-1][1] == 2 for text in cut)


def test_the_cut_the_top_and_outliers_come_before_the_others(made):
    folder, _, _ = made
    metrics, files = finished_pages.write(folder)
    asked = tables.read("questions", files.questions)["question_id"]
    found = results.load(metrics, files.pool, asked, files.named)
    order = document.samples.priority(found, "tmap", [200]).tolist()

    subset = found.subset("tmap")
    around = np.argsort(subset.order)[20:220]
    assert sorted(order) == list(range(400))
    assert set(around) <= set(order[:350])
    assert 200 in order[:380]


def test_what_does_not_fit_is_left_out_within_the_room(
    tmp_path, tokenizer, monkeypatch
):
    monkeypatch.setattr(document, "ROWS", 90_000)
    monkeypatch.setattr(document, "QUESTIONS", 2_000)
    _, found = finished_pages.page(tmp_path, tokenizer, n=3000)

    packed = json.dumps(found["samples"])
    assert len(packed) < 95_000
    assert 0 < len(texts_of(found)) < found["samples"]["n"] <= 3000
    assert sum(map(len, found["questions"]["texts"])) <= 2_000


def test_a_comparison_that_selects_nothing_has_a_page_too(tmp_path, tokenizer):
    path, found = finished_pages.page(tmp_path, tokenizer, n=50, methods=("base",))

    assert found["verdict"]["method"] == "base"
    assert found["subsets"]["names"] == found["searches"] == []
    assert len(texts_of(found)) == 50
    assert "The target model as it is" in path.read_text()


def test_the_page_needs_no_column_of_a_method_with_rounds():
    files = dag.comparison.shown("gsm8k", "llama3", ["evoselect_rounds", "random"], 3)
    assert not [path for path in files if "/indicators/" in path]
    assert files[-1] == "results/gsm8k/llama3/random/s2/subset.parquet"


def test_data_cannot_end_the_script_that_holds_it():
    hostile = [
        "</script><script>alert(1)</script>",
        "<!--",
        "]]>",
        "\u2028\u2029",
        "{{ 7 }}",
    ]
    text = html.as_data({"a": hostile})

    assert not set(text) & set("<>&\u2028\u2029")
    assert json.loads(text) == {"a": hostile}


def test_the_page_allows_only_its_own_script_and_no_request(made):
    _, path, _ = made
    text = path.read_text()
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text)[1]

    assert policy.startswith("default-src &#39;none&#39;")
    assert "unsafe" not in policy
    assert text.count("<script") == 2
    assert not re.search(r'(?:src|href)="https?:', text)


def test_assets_are_all_used_and_put_no_markup_on_the_page():
    scripts = {path.name for path in html.ASSETS.glob("*.js")}
    used = {f"{n}.js" for k in (html.RESULT, html.COMPARISON) for n in k.scripts}
    assert scripts == used
    for name in scripts:
        text = (html.ASSETS / name).read_text(encoding="utf-8")
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(", text
        )
        assert len(text.splitlines()) < 300
