"""`tmap check`: its findings before any job, on files worked out by hand."""

import json
import shutil
import socket
from types import SimpleNamespace

import huggingface_hub
import numpy as np
import pandas as pd
import pytest
import torch
from huggingface_hub import errors

from project import ROOT
from scripted import Scripted
from tmap import cards, engines
from tmap.cards.model import EngineSection, ModelCard, ModelSource, ResourceSection
from tmap.commands import check
from tmap.errors import TmapError
from tmap.operations import preflight
from tmap.operations.preflight import columns, memory, prompts, target
from tmap.prompts import conversation
from tmap.prompts.renderer import Renderer
from tmap.training import rows
from tmap.worlds import word_problems

TINY = ROOT / "resources" / "models" / "tiny"
#: Control characters: clear the screen, reverse the text, a NUL.
HOSTILE = "\x1b[2J\u202eevil\x00 [bold]{x}"
POOL = [
    {"q": "One and one?", "a": "#### 2", "topic": "sums"},
    {"q": "Two and two make how many?", "a": "Two more.\n#### 4", "topic": "sums"},
    {"q": "One and one?", "a": "#### 2", "topic": "again"},
    {"q": "Four?", "a": "", "topic": "sums"},
    {"q": "Five?", "a": " ", "topic": "sums"},
    {"q": "What is question one?", "a": "#### 1", "topic": "leaked"},
    {"q": f"{HOSTILE}?", "a": "word " * 600, "topic": "long"},
]
QUESTIONS = [
    {"question": f"What is question {n}?", "answer": f"#### {value}"}
    for value, n in enumerate(("one", *range(2, 41)), 1)
]
DATASET = """\
task: generation
pool: {path: pool.jsonl, columns: {instruction: q, response: a}, licence: MIT}
questions: {path: questions.jsonl}
reward_share: 0.5
tiny: {n_anchors: 4, n_confirm: 4}
"""
MODEL = """\
source: {path: model}
prompt: {template: plain}
engine: {device: cpu, dtype: float32}
train: {max_length: 100, micro_batch_size: 2, batch_size: 2}
resources: {gpu: 0, mem_mb: 2000}
"""


@pytest.fixture
def room(tmp_path, monkeypatch):
    """Cards `mine`, their files, and no network."""
    for kind, text in (("datasets", DATASET), ("models", MODEL)):
        (tmp_path / "cards" / kind).mkdir(parents=True)
        (tmp_path / "cards" / kind / "mine.yaml").write_text(text)
    lines = [json.dumps(row) for row in POOL] + ["{broken"]
    (tmp_path / "pool.jsonl").write_text("\n".join(lines))
    asked = "\n".join(json.dumps(row) for row in QUESTIONS)
    (tmp_path / "questions.jsonl").write_text(asked)
    shutil.copytree(TINY, tmp_path / "model")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMAP_CARDS", str(tmp_path / "cards"))

    def refuse(*address):
        raise AssertionError("the network was asked for")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    return tmp_path


def change(room, kind, old, new):
    path = room / "cards" / kind / "mine.yaml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def test_rows_are_counted_by_what_became_of_them(room):
    found = preflight.look("mine").pool
    assert found.columns == [("instruction", "q"), ("response", "a")]
    assert (found.format, found.unread) == ("qa", {"topic": 3})
    assert (found.n_rows, len(found.kept), found.n_rejected) == (8, 3, 5)
    assert found.reasons == {
        "empty response": (2, ["line 3", "line 4"]),
        "contains benchmark question": (1, ["line 5, mine-00000"]),
        "duplicate": (1, ["line 2, of line 0"]),
        "invalid JSON": (1, [found.reasons["invalid JSON"][1][0]]),
    }
    assert found.overlap == pytest.approx(1 / 4)  # one of four otherwise good rows
    assert found.n_chosen == 1  # 0.30 x 3


def test_questions_are_counted_on_both_sides(room):
    found = preflight.look("mine").questions
    assert found.columns == [("question", "question"), ("gold", "answer")]
    assert found.n_reward + found.n_test == len(QUESTIONS)


def test_the_loss_mask_covers_the_answer_and_its_end(room):
    found = preflight.look("mine", "mine").rows
    shortest = found.shown[0]
    assert [(piece.text, piece.trained) for piece in shortest.pieces] == [
        ("<bos>Question: One and one?\nAnswer:", False),
        (" #### 2<eos>", True),
    ]
    assert shortest.n_tokens == sum(piece.n_tokens for piece in shortest.pieces)
    assert shortest.n_loss_tokens == shortest.pieces[1].n_tokens


def test_what_is_cut_is_what_training_cuts(room):
    found = preflight.look("mine", "mine")
    renderer = Renderer(
        target.tokenizer(found.model), preflight.cards.load("models", "mine").prompt
    )
    chats = [conversation.turns_of(row) for row in found.pool.kept.to_dict("records")]
    trained = rows.encode(renderer, chats, 100, "key")
    assert (found.rows.truncated, found.rows.dropped) == (1, 0)
    assert (trained.truncated, trained.dropped) == (1, 0)
    assert found.rows.longest == 100
    assert max(len(row.input_ids) for row in trained.rows) == 100
    assert [n for n in found.notes if "33.3% of the rows do not fit into 100" in n]


def test_the_shorter_of_card_and_context_limits_a_row():
    model = target.ModelFindings("x", TINY, False, 1, 1, 64, None)
    settings = ModelCard(source=ModelSource(path="x")).train
    assert target.max_length(model, settings) == (64, "the model's context")
    model.context = 4096
    assert target.max_length(model, settings) == (2048, "`train.max_length`")


def test_of_a_large_pool_an_even_sample_is_rendered(room, monkeypatch):
    monkeypatch.setattr(prompts, "SAMPLE", 2)
    found = preflight.look("mine", "mine").rows
    assert (found.n_rows, found.n_pool) == (2, 3)
    assert {row.sample_id for row in found.shown} == {"mine-0000000", "mine-0000006"}


def test_memory_of_an_eight_billion_model_as_worked_by_hand():
    llama = memory.Shape(8_030_000_000, 32, 4096, 1024, 14336, 128_256)
    assert memory.weights(llama, 2, None) == 16_060_000_000
    assert memory.weights(llama, 2, "nf4") == pytest.approx(6.03e9, rel=1e-3)
    assert memory.answering(llama, 2, 100, 1000) == 32 * 2 * 1024 * 2 * 100_000
    adapter = 16 * 32 * 81_920 * 16
    logits = 16_000 * 128_256 * 10
    kept, layer = 32 * 4096 * 2 * 16_000, 92_160 * 2 * 16_000
    fixed = adapter + logits
    assert memory.training(llama, 2, 16, 16_000, True) == fixed + kept + layer
    assert memory.training(llama, 2, 16, 16_000, False) == fixed + 32 * layer


def test_the_shape_is_read_from_configs_that_name_it_otherwise():
    from transformers import GPT2Config

    found = memory.shape(GPT2Config(n_embd=96, n_layer=3, n_head=4, vocab_size=50), 7)
    assert found == memory.Shape(7, 3, 96, 96, 384, 50)


def a_gpu(monkeypatch, gigabytes):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gigabytes is not None)
    about = SimpleNamespace(total_memory=int((gigabytes or 0) * 1e9))
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: about)


@pytest.mark.parametrize(
    ("gigabytes", "fits", "told"),
    [
        (80, True, "fits into the 80.0 GB of the GPU"),
        (24, False, "does NOT fit into the 24.0 GB of the GPU"),
        (None, None, "no GPU is visible here"),
    ],
)
def test_whether_a_model_fits_the_gpu(room, monkeypatch, capsys, gigabytes, fits, told):
    a_gpu(monkeypatch, gigabytes)
    change(room, "models", "{device: cpu, dtype: float32}", "{}")
    change(room, "models", "{gpu: 0, mem_mb: 2000}", "{gpu: 1}")
    monkeypatch.setattr(memory, "shape", lambda *a: memory.Shape(15 * 10**9, *[1] * 5))
    found = preflight.look("mine", "mine")
    assert found.needs.dtype == "bfloat16"
    assert found.needs.answering == pytest.approx(30e9, rel=0.01)
    assert found.needs.fits is fits
    assert bool(found.missing) == (fits is False)
    preflight_shown(found)
    assert told in " ".join(capsys.readouterr().out.split())


def test_four_bits_and_a_device_map_are_counted(room, monkeypatch):
    a_gpu(monkeypatch, 24)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    change(room, "models", "device: cpu, dtype: float32", "quantization: nf4")
    change(room, "models", "{gpu: 0, mem_mb: 2000}", "{gpu: 3}")
    monkeypatch.setattr(memory, "shape", lambda *a: memory.Shape(32 * 10**9, *[1] * 5))
    found = preflight.look("mine", "mine").needs
    assert found.answering == pytest.approx(18e9, rel=0.01)  # 4.5 bits each
    assert (found.available, found.fits) == (24e9, True)
    change(room, "models", "nf4", "nf4, device_map: auto")
    preflight.cards._load.cache_clear()
    assert preflight.look("mine", "mine").needs.available == 72e9


def preflight_shown(found):
    from tmap.jobs import console
    from tmap.operations.preflight import show

    show.show(found, console.console())


def test_on_a_cpu_the_memory_is_what_the_card_asks_for():
    card = ModelCard(
        source=ModelSource(path="x"),
        engine=EngineSection(batch_size=1, max_new_tokens=1),
        resources=ResourceSection(gpu=0, mem_mb=100),
    )
    big = memory.Shape(25_000_000, 1, 1, 1, 1, 1)  # 100 MB in float32
    model = target.ModelFindings("x", TINY, False, 25_000_000, 1, None, big)
    found = target.needs(card, model, longest=1)
    assert (found.device, found.dtype, found.fits) == ("cpu", "float32", False)
    with pytest.raises(TmapError, match=r"0.1 GB, but `resources.mem_mb` requests 0.1"):
        target.check_needs(found)


def test_everything_is_shown_and_nothing_has_power_over_the_terminal(room, capsys):
    check.run("mine", "mine")
    out = capsys.readouterr().out
    assert "\x1b" not in out and "\x00" not in out and "\u202e" not in out
    assert r"<bos>Question: \x1b[2J\u202eevil\x00 [bold]{x}?" in out
    assert "Answer:⟦ #### 2<eos>⟧" in out
    assert "rejected  5 of 8 (62.5%)" in out
    assert "truncated  1 of 3 (33.3%)" in out
    assert "25.0% contain a benchmark question" in out
    assert not [line for line in out.splitlines() if line != line.rstrip()]


def tear_tokenizer(room):
    (room / "model" / "tokenizer.json").write_text("{}")


def other_config(room):
    (room / "model" / "config.json").write_text('{"model_type": "novel"}')


FAULTS = [
    (lambda room: (room / "pool.jsonl").unlink(), "No file 'pool.jsonl'"),
    (lambda room: (room / "questions.jsonl").unlink(), "No file 'questions.jsonl'"),
    (lambda room: change(room, "datasets", "a}", "b}"), "The pool has no column 'b'"),
    (
        lambda room: change(room, "datasets", "confirm: 4", "confirm: 400"),
        "tiny.n_confirm (400)",
    ),
    (lambda room: shutil.rmtree(room / "model"), "No folder 'model'"),
    (
        lambda room: (room / "model" / "model.safetensors").unlink(),
        "'model' has no weights",
    ),
    (tear_tokenizer, "The tokenizer of 'model' does not load"),
    (other_config, "transformers does not know the model 'model'"),
    (lambda room: change(room, "models", "plain", "chat"), "no chat template"),
]


@pytest.mark.parametrize(("spoil", "told"), FAULTS)
def test_every_fault_is_one_sentence_and_the_rest_is_still_looked_at(
    room, spoil, told, capsys
):
    spoil(room)
    with pytest.raises(TmapError, match=r"A job would fail; .* \(1\)"):
        check.run("mine", "mine")
    out = " ".join(capsys.readouterr().out.split())
    assert told in out.partition(" missing - ")[2]
    assert "pool pool.jsonl" in out or "model model" in out


def test_a_misspelt_card_is_told_with_the_nearest(room):
    with pytest.raises(TmapError, match="Did you mean 'mine'"):
        check.run("mina")


def test_without_questions_the_overlap_is_not_claimed(room):
    (room / "questions.jsonl").unlink()
    found = preflight.look("mine")
    assert found.pool.overlap is None
    assert len(found.pool.kept) == 4


@pytest.fixture
def fake_hub(room, monkeypatch):
    """A hub that has `model` and states its number of parameters."""
    fake = SimpleNamespace(raises=None, asked=[])

    def model_info(self, name, *, revision, files_metadata):
        if fake.raises:
            raise fake.raises
        files = [
            SimpleNamespace(rfilename=path.name, size=path.stat().st_size)
            for path in (room / "model").iterdir()
        ]
        size = SimpleNamespace(total=8_000_000_000)
        return SimpleNamespace(sha="c0ffee", siblings=files, safetensors=size)

    def snapshot_download(name, *, local_files_only=False, **how):
        fake.asked.append(how["allow_patterns"])
        return str(room / "model")

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", model_info)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    change(room, "models", "{path: model}", "{hub: org/name}")
    return fake


def test_of_a_hub_model_only_the_small_files_are_fetched(fake_hub):
    found = preflight.look("mine", "mine")
    assert found.model.n_parameters == 8_000_000_000
    assert found.rows.n_rows == 3
    assert "*.json" in fake_hub.asked[0]
    assert "*.safetensors" not in fake_hub.asked[0]


def test_without_network_the_cached_copy_of_a_hub_model_is_measured(fake_hub):
    fake_hub.raises = errors.OfflineModeIsEnabled("offline")
    layer = 4 * 192 * 192 + 3 * 192 * 512 + 2 * 192
    expected = 597 * 192 + 4 * layer + 192
    assert preflight.look("mine", "mine").model.n_parameters == expected


def test_a_gated_model_is_named_before_any_job(fake_hub):
    import httpx2

    request = httpx2.Request("GET", "https://huggingface.co/api")
    reply = httpx2.Response(403, request=request)
    fake_hub.raises = errors.GatedRepoError("no", response=reply)
    (told,) = preflight.look("mine", "mine").missing
    assert "'org/name' is gated" in told


@pytest.mark.parametrize(
    ("modules", "ok"),
    [
        ("all-linear", True),
        ("[q_proj, nope]", True),
        ("'.*(q|v)_proj'", True),
        ("[nope]", False),
        ("q_proj", False),  # PEFT: a text is a pattern of the whole name
    ],
)
def test_layers_that_the_model_lacks_are_reported(room, modules, ok):
    change(
        room, "models", "max_length: 100", f"max_length: 100, target_modules: {modules}"
    )
    missing = [
        m for m in preflight.look("mine", "mine").missing if "target_modules" in m
    ]
    assert bool(missing) != ok
    if missing:
        assert "names no layer of 'model'" in missing[0]
        assert "q_proj" in missing[0].partition("It has")[2]


def test_cards_and_options_that_do_not_exist_are_reported(room):
    added = "indicators: {ifd: {proxy: nobody}, output_length: {count: [a]}}\n"
    change(room, "datasets", "reward_share", added + "reward_share")
    told = " ".join(preflight.look("mine").missing)
    assert "No model card 'nobody'" in told
    assert "Option 'count' of indicator 'output_length' is ['a']" in told


def frame(*responses):
    rows = {
        "sample_id": [f"r{i}" for i in range(len(responses))],
        "response": responses,
        "instruction": "Ask",
        "input": "",
        "turns": None,
    }
    return pd.DataFrame(rows)


LENGTH = "output_length"


def column(found, name):
    return next(one for one in found if one.name == name)


def test_columns_that_need_no_model_are_measured(room):
    found = columns.look("mine", frame("abc", "one\ntwo\nthree\n#### 3", "", "12345"))

    assert [one.name for one in found] == ["output_length", "reason_steps"]
    length = column(found, "output_length")
    assert length.quantiles == [3, 5, 20]  # of 3, 20 and 5 characters
    assert (length.n_scored, length.n_rows, length.marks) == (3, 4, [])
    assert column(found, "reason_steps").quantiles == [1, 1, 3]


def test_the_row_that_flattens_a_column_is_named(room):
    short = [f"{'a' * (5 + i % 7)}" for i in range(30)]
    found = columns.look("mine", frame(*short[:9], "b" * 5000, *short[9:]))

    (told,) = column(found, "output_length").marks
    # Without it, 5 to 11 of 5 to 5000 characters: 6 / 4995.
    assert told.startswith("output_length: row 'r9' (5000) leaves all other rows 0.1%")
    assert "`normalise: rank` or `normalise: robust`" in told


def test_a_column_that_the_users_methods_scale_by_rank_is_not_flattened(room):
    short = [f"{'a' * (5 + i % 7)}" for i in range(30)]
    own = room / "cards/methods"
    own.mkdir()
    card = "extends: tmap\nindicators: [output_length, reason_steps]\nnormalise: "
    (own / "mine.yaml").write_text(f"{card}rank\n")
    assert not column(columns.look("mine", frame(*short, "b" * 5000)), LENGTH).marks

    (own / "other.yaml").write_text(f"{card}minmax\n")
    assert column(columns.look("mine", frame(*short, "b" * 5000)), LENGTH).marks


def test_a_constant_column_and_one_of_ties_are_marked(room):
    answers = ["one line"] * 91 + [f"one\n{'x' * i}" for i in range(1, 10)]
    found = columns.look("mine", frame(*answers))
    (told,) = column(found, "reason_steps").marks
    assert told.startswith("reason_steps: 91.0% of the scored rows have the value 1")
    assert column(columns.look("mine", frame(*answers[:90])), "reason_steps").marks == [
        "reason_steps: all scored rows are equal (minmax); the column is 0 and its weight "
        "has no effect."
    ]
    assert column(columns.look("mine", frame(*answers[2:])), "reason_steps").marks
    assert not column(columns.look("mine", frame(*answers[20:])), "reason_steps").marks


def test_of_a_very_large_pool_an_even_sample_is_measured(room, monkeypatch):
    monkeypatch.setattr(columns, "MOST_ROWS", 3)
    found = columns.look("mine", frame("a", "bb", "ccc", "dddd", "eeeee"))
    assert column(found, "output_length").quantiles == [1, 3, 5]


@pytest.mark.parametrize("installed", [True, False])
def test_a_pool_too_large_for_all_pairs_without_faiss_is_told(
    room, monkeypatch, installed
):
    monkeypatch.setattr("tmap.embeddings.index.EXACT", 1)
    found = object() if installed else None
    monkeypatch.setattr("tmap.operations.preflight.data.find_spec", lambda name: found)

    told = [note for note in preflight.look("mine").notes if "faiss" in note]

    assert len(told) == (not installed)
    assert installed or "above 1, column miwv" in told[0]


def test_a_column_whose_tokens_another_model_counts_is_not_measured(room):
    change(
        room,
        "datasets",
        "reward_share",
        "indicators: {output_length: {count: tokens, tokenizer: gpt2}}\nreward_share",
    )
    (found,) = (
        one for one in columns.look("mine", frame("a")) if one.name == "output_length"
    )
    assert (found.quantiles, found.skipped) == ([], "it counts tokens of 'gpt2'")


def test_marks_and_ranges_are_printed(room, capsys):
    lines = [json.dumps({"q": f"Is it {i}?", "a": "a" * (5 + i)}) for i in range(9)]
    lines.append(json.dumps({"q": "Long?", "a": "b" * 5000}))
    (room / "pool.jsonl").write_text("\n".join(lines))
    check.run("mine")
    said = " ".join(capsys.readouterr().out.split())
    assert "output_length 5 to 5,000, median 9.5 (characters); see the notes" in said
    assert "- output_length: row 'mine-0000009' (5000) leaves all other rows" in said


@pytest.fixture
def answering(room, monkeypatch):
    """The model of card `mine` writes these texts."""

    def answers(*texts):
        made = []

        def load(record, engine):
            made.append(Scripted(engines.load_tokenizer(record), [list(texts)]))
            return made[-1]

        monkeypatch.setattr(engines, "load", load)
        return made

    return answers


def test_a_few_reward_questions_are_asked_as_the_search_asks_them(room, answering):
    reward = preflight.data.read_questions("mine").reward
    n = len(reward)
    golds = [reward["gold"].iloc[i] for i in (0, round((n - 1) / 2), n - 1)]
    made = answering(f"#### {golds[0]}", "#### 999", "I do not know")
    found = preflight.look("mine", "mine", ask=3)

    asked = found.asked
    assert (asked.n, asked.n_right, asked.n_unread, asked.guessed) == (3, 1, 1, 0)
    assert asked.unread == ["I do not know"]
    (told,) = asked.doubts
    assert told.startswith("33.3% of 3 answers contain nothing that the reader")
    assert told in found.notes
    (lm,) = made
    first = reward["question"].iloc[0]
    assert f"Question: {first}\nAnswer:" in lm.tokenizer.decode(lm.prompts[0])


@pytest.mark.parametrize(
    ("texts", "where"), [("{gold}", "ceiling"), ("#### 12345", "floor")]
)
def test_a_model_at_the_floor_or_the_ceiling_is_told(room, answering, texts, where):
    reward = preflight.data.read_questions("mine").reward
    answering(*(texts.format(gold=f"#### {gold}") for gold in reward["gold"]))
    found = preflight.look("mine", "mine", ask=1000)

    assert found.asked.n == len(reward)
    assert [text for text in found.notes if f"at the {where}" in text]


def test_the_models_own_columns_are_measured_on_telling_rows(room):
    own = room / "cards/methods"
    own.mkdir()
    card = "extends: tmap\nindicators: [perplexity, output_length]\n"
    (own / "mine.yaml").write_text(card)
    rng = np.random.default_rng(0)
    problems = [word_problems.make(rng, 2) for _ in range(150)]
    pool = [{"q": one.question, "a": one.solution} for one in problems]
    pool[70]["a"] = "e"  # which a model of sums does not expect
    (room / "pool.jsonl").write_text("\n".join(map(json.dumps, pool)))
    found = preflight.look("mine", "mine", ask=1)

    (scored,) = found.asked.columns
    assert (scored.name, scored.n_rows) == ("perplexity", 1 + 32 + 8)
    (told,) = scored.marks
    assert told.startswith("perplexity: row 'mine-0000070'") and told in found.notes
    (own / "mine.yaml").write_text(f"{card}normalise: rank\n")
    cards._load.cache_clear()
    assert preflight.look("mine", "mine", ask=1).asked.columns[0].marks == []
    (own / "mine.yaml").write_text("extends: tmap\nindicators: [output_length]\n")
    cards._load.cache_clear()
    assert preflight.look("mine", "mine", ask=1).asked.columns == []


def test_rows_that_the_template_writes_otherwise_are_told(room):
    change(room, "models", "template: plain", "template: chat")
    (room / "model" / "chat_template.jinja").write_text(
        "{% for m in messages %}[{{ m.role }}] {{ m.content }}"
        "{% if 'Two' in m.content %} (quiet){% endif %}{% endfor %}"
    )
    found = preflight.look("mine", "mine")
    (told,) = [note for note in found.notes if "The chat template" in note]
    assert "writes 1 of 3 rows otherwise than they are trained, such as 'mine-" in told
    assert found.rows.rewritten == ["mine-0000001"]


def test_rows_that_no_search_could_show_are_told(room):
    """40 of 100 answers are longer than a third of the context."""
    answers = ["#### 1"] * 60 + ["word " * 900] * 40
    rows = [{"q": f"What is {i}?", "a": text} for i, text in enumerate(answers)]
    (room / "pool.jsonl").write_text("\n".join(map(json.dumps, rows)))
    found = preflight.look("mine", "mine")
    (told,) = [note for note in found.notes if "never shows them" in note]
    assert told.startswith("40.0% of the rows have more than ")
    assert "too long for 3 demonstrations and a question" in told
    assert found.rows.most > 900 > found.rows.median


def test_telling_rows_are_the_shortest_the_longest_and_others():
    pool = frame(*("a" * n for n in range(400, 0, -1)))
    rows, n_short = columns.telling(pool)
    lengths = rows["response"].str.len().tolist()
    assert n_short == 4 and lengths == sorted(lengths, reverse=True)
    assert lengths[:8] == list(range(400, 392, -1)) and lengths[-4:] == [4, 3, 2, 1]
    assert len(lengths) == 4 + 32 + 8
    assert len(columns.telling(pool[:1])[0]) == 1


def test_nothing_is_asked_while_something_is_missing(room):
    (room / "pool.jsonl").unlink()
    found = preflight.look("mine", "mine", ask=3)
    assert found.asked is None
    assert "Nothing was asked (`--ask`): first fix what is missing." in found.notes


def test_a_question_needs_a_model_to_ask(room):
    with pytest.raises(TmapError, match="Name one: --model CARD"):
        check.run("mine", ask=20)


def test_unread_answers_are_printed_as_text(room, capsys, answering):
    answering("#### 1", "\x1b[J nothing")
    check.run("mine", "mine", ask=2)
    said = " ".join(capsys.readouterr().out.split())
    assert "unread 1 of 2 (50.0%)" in said
    assert "\x1b" not in said
