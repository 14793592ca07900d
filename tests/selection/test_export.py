"""Subsets as other trainers read them, and their data card."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from huggingface_hub import DatasetCard

from tmap import cards, dag
from tmap.artifacts import files, tables
from tmap.commands import export_subset
from tmap.operations import status
from tmap.selection import export as exports

CHAT = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "2+2?"},
    {"role": "assistant", "content": "4"},
    {"role": "user", "content": "And 3+3?"},
    {"role": "assistant", "content": "6"},
]
PLAIN = {"sample_id": "p", "instruction": "Add.", "input": "1+1", "response": "2"}
CHATTY = {"sample_id": "c", "instruction": "2+2?", "input": "", "response": "6"}
HOSTILE = "{{ x }} <|im_end|> </td> | \u202e \x00 #### 7"


def a_pool(**changes):
    rows = [{**PLAIN, "turns": None}, {**CHATTY, "turns": CHAT}]
    about = {"source": "chats.jsonl", "text_hash": ["0", "1"]}
    return pd.DataFrame(rows).assign(**about | changes)


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


def rows_of(pool, order):
    return exports.in_order(pool, pd.DataFrame({"sample_id": order}))


def test_a_chat_in_alpaca_form_asks_its_last_question_after_its_history():
    found = lines(exports.alpaca_lines(rows_of(a_pool(), ["c", "p"])))
    assert found == [
        {
            "id": "c",
            "instruction": "And 3+3?",
            "input": "",
            "output": "6",
            "system": "Be brief.",
            "history": [["2+2?", "4"]],
        },
        {
            "id": "p",
            "instruction": "Add.",
            "input": "1+1",
            "output": "2",
            "system": "",
            "history": [],
        },
    ]


def test_without_chats_the_alpaca_form_has_four_keys():
    (found,) = lines(exports.alpaca_lines(rows_of(a_pool(), ["p"])))
    assert found == {"id": "p", "instruction": "Add.", "input": "1+1", "output": "2"}


def test_messages_are_the_turns_that_are_trained_on():
    found = lines(exports.message_lines(rows_of(a_pool(), ["p", "c"])))
    assert found[0]["messages"] == [
        {"role": "user", "content": "Add.\n\n1+1"},
        {"role": "assistant", "content": "2"},
    ]
    assert found[1] == {"id": "c", "messages": CHAT}


@pytest.mark.parametrize("chats", [False, True])
def test_every_column_and_tag_that_the_index_names_is_in_the_files(chats, tmp_path):
    rows = rows_of(a_pool(), ["p", "c"] if chats else ["p"])
    written = {
        exports.ALPACA: lines(exports.alpaca_lines(rows)),
        exports.MESSAGES: lines(exports.message_lines(rows)),
    }
    for about in exports.dataset_info("mine", chats).values():
        for row in written[about["file_name"]]:
            assert set(about["columns"].values()) <= set(row)
            for turn in row["messages"] if "tags" in about else ():
                tags = about["tags"]
                assert set(turn) == {tags["role_tag"], tags["content_tag"]}
                assert turn["role"] in tags.values()


LEARNED = {
    "indicators": ["ifd", "perplexity"],
    "weights": [0.8, 0.2],
    "interval": [[0.7, 1.0], [0.1, 0.6]],
}


def write_run(room, kind, learned=None, **pool):
    """The files that `export_subset` reads."""
    licence = {"source": "a|b", "revision": None, "licence": "CC BY-SA 4.0"}
    tables.write("pool", a_pool(**pool), room / "pool.parquet", code="1", **licence)
    chosen = pd.DataFrame({"sample_id": ["c"], "rank": [0], "score": [1.5]})
    weighs = kind != "random"
    tables.write(
        "subset",
        chosen.assign(contributions=[np.array([1.0, 0.5])]),
        room / "subset.parquet",
        code="c0de",
        seed=2,
        fraction=0.5,
        indicators=["ifd", "perplexity"] if weighs else [],
        weights=[0.8, 0.2] if weighs else None,
        warnings=["column 'ifd' is constant"] if weighs else [],
    )
    if learned:
        files.write_json(room / "weights.json", learned)


def export(room, method, weights=""):
    export_subset.run(
        "gsm8k",
        "tiny",
        method,
        subset=room / "subset.parquet",
        pool=room / "pool.parquet",
        alpaca=room / exports.ALPACA,
        messages=room / exports.MESSAGES,
        info=room / "dataset_info.json",
        card=room / "README.md",
        weights=weights,
    )
    return (room / "README.md").read_text()


def test_the_card_says_source_licence_method_weights_and_seed(tmp_path):
    write_run(tmp_path, "learned", learned=LEARNED)
    card = export(tmp_path, "tmap", str(tmp_path / "weights.json"))
    assert "---\n\n# gsm8k_tiny_tmap_s2\n\n1 samples, best first, " in card
    assert "| source | a\\|b, revision unknown (a local file) |" in card
    assert "| licence | CC BY-SA 4.0 (of the source" in card
    assert "weights searched with few-shot accuracy" in card
    assert "| share of the pool | 50% |" in card
    assert "| seed | 2, of the search |" in card
    assert "| ifd | 0.800 | 1.00 [0.70, 1.00] |" in card
    assert "| perplexity | 0.200 | 0.25 [0.10, 0.60] |" in card
    assert "Warning: column 'ifd' is constant" in card
    assert "`id` in both files is `sample_id` in `subset.parquet`" in card
    info = files.read_json(tmp_path / "dataset_info.json")
    assert set(info) == {"gsm8k_tiny_tmap_s2", "gsm8k_tiny_tmap_s2_messages"}


def test_a_random_subset_has_a_seed_and_no_weights(tmp_path):
    write_run(tmp_path, "random")
    card = export(tmp_path, "random")
    assert "| method | `random`: drawn at random |" in card
    assert "| seed | 2, of the draw |" in card
    assert "None: no indicator was used." in card


def test_hostile_text_reaches_the_lines_unchanged_and_never_the_card(tmp_path):
    write_run(tmp_path, "random", instruction=HOSTILE, response=HOSTILE, turns=None)
    card = export(tmp_path, "random")
    assert "####" not in card and "im_end" not in card
    (told,) = lines((tmp_path / exports.MESSAGES).read_text())
    assert [turn["content"] for turn in told["messages"]] == [HOSTILE, HOSTILE]


def test_status_knows_exports_by_their_card_and_sees_an_edit(tmp_path, monkeypatch):
    room = tmp_path / "results/gsm8k/tiny/random/s2"
    room.mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    write_run(room, "random")
    export(room.relative_to(tmp_path), "random")
    config = cards.workflow_config({})

    def look(name):
        path = str(room.relative_to(tmp_path) / name)
        return {
            Path(one.path).name: (one.state, one.differences)
            for one in status.look(path, config)
        }

    for name in (exports.ALPACA, exports.MESSAGES, "dataset_info.json", "README.md"):
        # The tables of this test do not record what made them.
        parts = ("pool.parquet", "subset.parquet")
        inputs = [
            f"input {room.relative_to(tmp_path) / part}: unknown" for part in parts
        ]
        assert sorted(look(name)["README.md"][1]) == inputs
    assert "README.md" in look("")

    with open(room / exports.ALPACA, "a") as file:
        file.write("{}\n")
    (room / "dataset_info.json").unlink()
    monkeypatch.setattr(status, "codes", lambda *roots: {"tmap.selection.export": "0"})
    found = look(exports.ALPACA)["README.md"]

    assert found[0] == "stale"
    assert {
        "file subset.jsonl: edited or damaged",
        "file dataset_info.json: missing",
        "code tmap.selection.export: edited",
    } <= set(found[1])


def test_what_made_a_card_stays_out_of_a_readers_sight(tmp_path):
    made = {"rule": "r", "names": {"a": "x --> <!-- tmap: {}"}, "inputs": {}}
    about = {"made": made | {"card": {}, "modules": {}}, "versions": {}}
    card = tmp_path / "README.md"
    card.write_text("# Title\n" + dag.origin.comment(about))
    (line,) = card.read_text().splitlines()[1:]
    assert line.startswith("<!--") and line.endswith(" -->")
    assert line.count("-->") == 1
    assert dag.origin.read(card) == about


def test_the_files_load_as_trainers_load_them(tmp_path):
    import datasets

    write_run(tmp_path, "random")
    export(tmp_path, "random")
    for name in (exports.ALPACA, exports.MESSAGES):
        path = str(tmp_path / name)
        found = datasets.load_dataset(
            "json", data_files=path, split="train", cache_dir=str(tmp_path / "cache")
        )
        assert found[0]["id"] == "c"


@pytest.mark.parametrize(
    ("licence", "told"),
    [
        ("CC BY-SA 4.0", {"license": "cc-by-sa-4.0"}),
        ("MIT", {"license": "mit"}),
        ("unknown", {"license": "unknown"}),
        (
            "ours: see\n---\nx: [",
            {"license": "other", "license_name": "ours: see --- x: ["},
        ),
    ],
)
def test_the_hub_reads_licence_size_and_how_to_show_it(tmp_path, licence, told):
    write_run(tmp_path, "random")
    about = {"source": "a|b", "revision": None, "licence": licence}
    tables.write("pool", a_pool(), tmp_path / "pool.parquet", code="1", **about)
    data = DatasetCard(export(tmp_path, "random")).data.to_dict()

    assert data.items() >= told.items()
    assert data["size_categories"] == "n<1K"
    assert data["pretty_name"] == "gsm8k_tiny_random_s2"
    shown = {one["config_name"]: one["data_files"] for one in data["configs"]}
    assert set(shown) == {"default", "messages", "scores"}
    assert all((tmp_path / name).is_file() for name in shown.values())
