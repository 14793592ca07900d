"""Gradients from a model to files: warm-up, store, resume, order."""

import json
import tracemalloc

import numpy as np
import pytest
import torch

from tmap.artifacts import tables
from tmap.cards.dataset import GradientSection
from tmap.cards.model import PlaceSection, PromptSection, TrainSection
from tmap.gradients import measure, sample_gradients, warmup
from tmap.gradients.proxy import Proxy
from tmap.store.shards import Share
from tmap.store.vectors import VectorStore
from tmap.training.rows import Row

PLAIN = PromptSection(template="plain")
PLACE = PlaceSection(dtype="float32", device="cpu")
TRAIN = TrainSection(
    rank=2,
    alpha=4,
    learning_rate=1e-2,
    batch_size=2,
    micro_batch_size=2,
    max_length=96,
    gradient_checkpointing="off",
)
HOW = GradientSection(dim=64, nonzeros=4)
CHATS = [
    [
        ("user", f"Sara has {i} coins and {'buys more, ' * (i % 4)}how many?"),
        ("assistant", f"#### {i + 1}"),
    ]
    for i in range(9)
]
IDS = [f"s{i}" for i in range(9)]


@pytest.fixture(scope="module")
def warm(tiny_llama, tmp_path_factory):
    folder = tmp_path_factory.mktemp("warm")
    settings = TRAIN.model_copy(update={"epochs": 2.0})
    report = warmup.warm_up(
        tiny_llama,
        PLAIN,
        PLACE,
        settings,
        CHATS[:4],
        seed=0,
        output=folder / "warmup.safetensors",
        scratch=folder / "checkpoints",
    )
    return folder / "warmup.safetensors", report


def proxy(record, warm=""):
    return Proxy(record, PLAIN, PLACE, TRAIN, HOW, warm)


def take(model, ids, chats, *, adam, store):
    given = measure.encode(model, chats)
    keys = measure.measure(model, given, adam=adam, store=store)
    return measure.gather(given, ids, keys, model.projection.dim, store)


def measured(found):
    array = np.zeros(found.shape, dtype=np.float16)
    for number, rows, vectors in found.parts:
        array[number, rows] = vectors
    return found.table, array


@pytest.fixture
def store(tmp_path):
    return VectorStore("gradients", tmp_path / "store")


def test_a_warm_up_keeps_a_checkpoint_per_epoch_and_its_mean_rate(warm):
    path, report = warm
    points = warmup.read(path)
    assert report["n_samples"] == 4
    assert [p.rate for p in points] == [e["learning_rate"] for e in report["epochs"]]
    # Cosine after one warm-up step of four: 0, 1, 3/4 and 1/4 of the card's 0.01.
    assert [p.rate for p in points] == pytest.approx([0.005, 0.005])
    names = set(points[0].weights)
    assert names == set(points[0].first) == set(points[1].second)
    assert any(
        not torch.equal(points[0].weights[n], points[1].weights[n]) for n in names
    )
    assert not (path.parent / "checkpoints").exists()


def test_the_moments_are_adams_own(tiny_llama, tmp_path):
    """After one step from zero: m = (1 - b1) g and v = (1 - b2) g^2, so m^2/v = 10."""
    settings = TRAIN.model_copy(update={"epochs": 1.0})
    out = tmp_path / "w.safetensors"
    given = (tiny_llama, PLAIN, PLACE, settings, CHATS[:1])
    warmup.warm_up(*given, seed=0, output=out, scratch=tmp_path / "c")
    (point,) = warmup.read(out)
    seen = 0
    for name, first in point.first.items():
        strong = first.abs() > 1e-7
        ratio = first[strong].square() / point.second[name][strong]
        assert torch.allclose(ratio, torch.full_like(ratio, 10.0), rtol=1e-3), name
        seen += int(strong.sum())
    assert seen > 100


def test_candidates_take_adams_form_and_questions_do_not(tiny_llama, warm, store):
    model = proxy(tiny_llama, warm[0])
    assert sum(model.rates()) == pytest.approx(1) and len(model.rates()) == 2
    _, vectors = measured(take(model, IDS, CHATS, adam=True, store=store))
    assert vectors.shape == (2, 9, 64)
    assert np.linalg.norm(vectors.astype(float), axis=2) == pytest.approx(1, abs=2e-3)
    _, plain = measured(take(model, IDS, CHATS, adam=False, store=store))
    assert np.abs(vectors.astype(float) - plain).max() > 0.05
    model.set(1)
    row = model.row(CHATS[2])[0]
    raw = {}
    sample_gradients.each(model.model, [row], lambda name, g: raw.update({name: g}))
    norm = sum(float(g.square().sum()) for g in raw.values()) ** 0.5
    again = take(model, IDS, CHATS, adam=False, store=store).table
    assert again["norm"][2][1] == pytest.approx(norm, rel=1e-4)


def test_without_a_warm_up_both_have_the_plain_gradient(tiny_llama, store):
    model = proxy(tiny_llama)
    one, other = (
        measured(take(model, IDS, CHATS, adam=adam, store=store))[1]
        for adam in (True, False)
    )
    assert one.shape == (1, 9, 64) and np.array_equal(one, other)


def test_what_is_stored_is_not_measured_again(tiny_llama, store, monkeypatch):
    model = proxy(tiny_llama)
    first = measured(take(model, IDS[:6], CHATS[:6], adam=True, store=store))
    passes = []
    each = sample_gradients.each
    monkeypatch.setattr(
        sample_gradients,
        "each",
        lambda m, rows, consume: (passes.append(len(rows)), each(m, rows, consume)),
    )
    fresh = VectorStore("gradients", store.folder.parent)
    again = measured(take(model, IDS[:6], CHATS[:6], adam=True, store=fresh))
    assert passes == [] and np.array_equal(first[1], again[1])
    turned = take(model, IDS[5::-1], CHATS[5::-1], adam=True, store=fresh)
    assert passes == [] and np.array_equal(measured(turned)[1][:, ::-1], first[1])
    take(model, IDS, CHATS, adam=True, store=fresh)
    assert sum(passes) == 3  # only those that were added


def test_a_kill_costs_a_chunk_and_changes_no_bit(
    tiny_llama, store, tmp_path, monkeypatch
):
    monkeypatch.setattr(measure, "CHUNK", 3)
    model = proxy(tiny_llama)
    whole = measured(take(model, IDS, CHATS, adam=True, store=store))[1]
    other = VectorStore("gradients", tmp_path / "other")
    put, calls = other.put, []

    def dies(*given):
        if len(calls) == 2:
            raise KeyboardInterrupt
        calls.append(put(*given))

    monkeypatch.setattr(other, "put", dies)
    with pytest.raises(KeyboardInterrupt):
        take(model, IDS, CHATS, adam=True, store=other)
    resumed = VectorStore("gradients", tmp_path / "other")
    found = take(model, IDS, CHATS, adam=True, store=resumed)
    assert np.array_equal(measured(found)[1], whole)


def test_jobs_that_share_the_rows_give_the_bits_of_one(
    tiny_llama, store, tmp_path, monkeypatch
):
    monkeypatch.setattr(measure, "CHUNK", 2)
    model = proxy(tiny_llama)
    whole = measured(take(model, IDS, CHATS, adam=True, store=store))[1]
    given = measure.encode(model, CHATS)
    for k in (2, 0, 1):
        measure.measure(
            model,
            given,
            adam=True,
            store=VectorStore("gradients", tmp_path / "other"),
            share=Share(k, 3),
        )
    other = VectorStore("gradients", tmp_path / "other")
    monkeypatch.setattr(sample_gradients, "each", None)  # nothing is left to measure
    assert np.array_equal(
        measured(take(model, IDS, CHATS, adam=True, store=other))[1], whole
    )


def test_vectors_of_a_model_without_a_card_are_nobodys(tiny_llama, store, monkeypatch):
    from tmap.operations import store_gc

    monkeypatch.chdir(store.folder.parents[1])  # no model is fetched there
    monkeypatch.setenv("TMAP_STORE", str(store.folder.parent))
    take(proxy(tiny_llama), IDS, CHATS, adam=True, store=store)
    take(proxy(tiny_llama | {"model": "tiny"}), IDS, CHATS, adam=False, store=store)
    (found,) = store_gc.survey()
    assert (found.rows, sum(found.gone.values())) == (18, 9)
    store_gc.remove([found])
    (left,) = store_gc.survey()
    assert (left.rows, left.gone, left.torn) == (9, {}, [])


def test_rows_without_an_answer_and_rows_that_are_cut_say_so(tiny_llama, store):
    chats = [
        [("user", "How many?"), ("assistant", "12 " * 60)],
        [("user", "How many? " * 60), ("assistant", "12")],
        CHATS[0],
    ]
    found = take(proxy(tiny_llama), IDS[:3], chats, adam=True, store=store)
    table, vectors = measured(found)
    assert table["status"].tolist() == ["truncated", "empty", "ok"]
    assert not vectors[:, 1].any() and vectors[:, 0].any()


def test_the_file_is_the_array(tiny_llama, store, tmp_path):
    found = take(proxy(tiny_llama), IDS, CHATS, adam=True, store=store)
    found.write(tmp_path / "v.npy")
    again = take(proxy(tiny_llama), IDS, CHATS, adam=True, store=store)
    array = np.load(tmp_path / "v.npy")
    assert array.dtype == np.float16 and np.array_equal(array, measured(again)[1])


def test_gathering_reads_every_part_once_and_holds_one_at_a_time(tmp_path, monkeypatch):
    """Parts are sorted by length, the pool is not: a part's rows are all over the file."""
    n, dim, points = 2000, 512, 2
    rng = np.random.default_rng(0)
    ids = [f"s{i}" for i in range(n)]
    rows = [Row([1] * length, [1] * length) for length in rng.integers(2, 90, n)]
    order = sorted(range(n), key=lambda i: (-len(rows[i].input_ids), ids[i]))
    vectors = rng.standard_normal((points, n, dim)).astype(np.float16)
    norms = np.ones(n)
    norms[[3, 700]] = 0.0, np.nan
    store = VectorStore("gradients", tmp_path / "store")
    keys = [[f"{c}{'0' * 7}{i:032d}" for i in range(n)] for c in range(points)]
    for c in range(points):
        for start in range(0, n, measure.CHUNK):
            piece = order[start : start + measure.CHUNK]
            named = [keys[c][i] for i in piece]
            store.put(named, vectors[c, piece], norms[piece], {})
    n_parts = len(list((tmp_path / "store").rglob("part-*.parquet")))
    read, given = [], measure.Encoded(rows, np.array(["ok"] * n, object), order)
    real = tables.column
    monkeypatch.setattr(
        tables,
        "column",
        lambda kind, path, name: (read.append((path, name)), real(kind, path, name))[1],
    )
    fresh = VectorStore("gradients", tmp_path / "store")
    found = measure.gather(given, ids, keys, dim, fresh)
    tracemalloc.start()
    found.write(tmp_path / "v.npy")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert n_parts == 16 and sorted(read) == sorted(set(read))
    assert len(read) == 3 * n_parts  # keys, norms, vectors
    array = np.load(tmp_path / "v.npy")
    bad = [3, 700]
    assert not array[:, bad].any() and set(found.table["status"][bad]) == {"failed"}
    good = np.setdiff1d(np.arange(n), bad)
    assert np.array_equal(array[:, good], vectors[:, good])
    assert peak < array.nbytes / 4  # a part is a sixteenth of all


def test_a_batch_holds_no_more_tokens_than_asked():
    assert measure.batches([50, 40, 10, 5], 100) == [range(0, 2), range(2, 4)]
    assert measure.batches([500, 40], 100) == [range(0, 1), range(1, 2)]


def test_the_warm_up_says_which_tensors_it_holds(warm):
    from safetensors import safe_open

    with safe_open(warm[0], framework="pt") as file:
        assert len(json.loads(file.metadata()["rates"])) == 2
        assert all(key.split("/")[2] in warmup.PARTS for key in file.keys())
