"""The shared-prefix engine against `generate` and full logits, in float32."""

from __future__ import annotations

import ast
import copy
import gc
import logging
import sys
import weakref
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tmap import engines
from tmap.cards.model import EngineSection
from tmap.engines import shared_prefix
from tmap.engines.attention import Shared
from tmap.engines.base import Spent, cut
from tmap.engines.expanded_prefix import ExpandedPrefixes
from tmap.engines.likelihood import Head, budget_batches
from tmap.engines.prefix_cache import PrefixCache
from tmap.engines.reference import Reference
from tmap.engines.shared_prefix import SharedPrefixes
from tmap.errors import TmapError

SIZES = dict(vocab_size=300, hidden_size=32, num_hidden_layers=2, initializer_range=0.3)


def ids(*lengths: int, seed: int = 0) -> list[list[int]]:
    """Random token ids, none of them special."""
    rng = np.random.default_rng(seed)
    return [rng.integers(5, 300, n).tolist() for n in lengths]


@pytest.fixture(scope="module")
def pair(tiny_llama):
    """(reference, shared prefix with batches of three) of the same weights."""
    return (
        engines.load(tiny_llama, EngineSection(name="reference")),
        engines.load(tiny_llama, EngineSection(batch_size=3)),
    )


def test_the_default_engine_shares_prefixes_of_a_llama(pair):
    assert isinstance(pair[1].prefixes, SharedPrefixes)


@pytest.mark.parametrize("prefix_lengths", [(40,), (30, 7, 51), (0,), (0, 1, 20)])
@pytest.mark.parametrize("stop", [(), ("e",), ("\n", "th", "0")])
def test_tokens_equal_those_of_generate(pair, prefix_lengths, stop):
    prefixes, questions = ids(*prefix_lengths), ids(1, 9, 4, 9, 17, 2, 30, seed=1)
    slow, fast = (
        lm.generate(prefixes, questions, max_new_tokens=16, stop=stop) for lm in pair
    )
    assert slow == fast
    assert {len(answers) for answers in fast} == {7}


def test_some_answers_end_at_a_stop_text_and_some_at_the_limit(pair):
    answers = pair[1].generate(
        ids(20), ids(*range(1, 20)), max_new_tokens=12, stop=["e", "a"]
    )[0]
    texts = [pair[1].tokenizer.decode(answer) for answer in answers]
    stopped = [cut(text, ["e", "a"]) != text for text in texts]
    assert any(stopped) and not all(stopped)
    assert all(s or len(a) == 12 for s, a in zip(stopped, answers, strict=True))


def test_an_end_token_ends_the_answer_and_is_left_out(tiny_llama):
    slow = engines.load(tiny_llama, EngineSection(name="reference"))
    fast = engines.load(tiny_llama, EngineSection(batch_size=4))
    prefixes, questions = ids(12), ids(3, 5, 8, 13, seed=2)
    free = fast.generate(prefixes, questions, max_new_tokens=10)[0]
    end = free[0][4]
    for lm in (slow, fast):
        lm.eos = frozenset({end})
        if lm is slow:
            lm.model.generation_config.eos_token_id = [end]
    expected = [a[: a.index(end)] if end in a else a for a in free]
    assert fast.generate(prefixes, questions, max_new_tokens=10)[0] == expected
    assert slow.generate(prefixes, questions, max_new_tokens=10)[0] == expected


def test_batch_size_does_not_change_tokens_in_float32(tiny_llama, pair):
    one = engines.load(tiny_llama, EngineSection(batch_size=1))
    given = (ids(25), ids(*range(1, 12), seed=3))
    assert one.generate(*given, max_new_tokens=9) == pair[1].generate(
        *given, max_new_tokens=9
    )


def test_answers_are_cut_at_the_end_of_the_context(pair):
    prefixes, questions = ids(480), ids(20, 3)
    slow, fast = (lm.generate(prefixes, questions, max_new_tokens=64) for lm in pair)
    assert slow == fast
    assert [len(a) for a in fast[0]] == [512 - 500, 512 - 483]


def test_a_prompt_that_fills_the_context_is_an_error(pair):
    for lm in pair:
        with pytest.raises(TmapError, match=r"prompt of 520 .* context of 512"):
            lm.generate(ids(500), ids(20), max_new_tokens=4)


def test_option_likelihoods_equal_those_of_full_logits(pair):
    prefixes, questions = ids(30, 0), ids(6, 2, 11, seed=4)
    options = [ids(1, 4, 2, seed=s) for s in range(2)] + [ids(3, seed=9)]
    slow, fast = (lm.option_nll(prefixes, questions, options) for lm in pair)
    assert [[len(n) for n in group] for group in fast] == [[3, 3, 1]] * 2
    for prefix, question in np.ndindex(2, 3):
        a, b = slow[prefix][question], fast[prefix][question]
        np.testing.assert_allclose(a, b, rtol=1e-5)


def test_answer_likelihoods_equal_those_of_full_logits(pair):
    prompts = [*ids(12, 3, 40, 1), [], []]
    answers = [*ids(5, 9, 1, 30, 6, seed=5), [7]]
    slow, fast = (lm.answer_nll(prompts, answers) for lm in pair)
    np.testing.assert_allclose(slow[0], fast[0], rtol=1e-5)
    assert fast[1].tolist() == slow[1].tolist() == [5, 9, 1, 30, 5, 0]
    assert np.isnan(fast[0][5])


def test_likelihood_of_one_token_is_the_log_softmax_of_its_logit(pair):
    prompt, answer = ids(6)[0], [42]
    with torch.inference_mode():
        logits = pair[1].model(input_ids=torch.tensor([prompt])).logits[0, -1].double()
    expected = -float(logits[42] - torch.logsumexp(logits, 0))
    assert pair[1].answer_nll([prompt], [answer])[0][0] == pytest.approx(expected)


def test_digit_log_probabilities_equal_those_of_full_logits(pair):
    prompts = ids(3, 20, 8)
    slow, fast = (lm.digit_logits(prompts, [10, 11, 12]) for lm in pair)
    np.testing.assert_allclose(slow, fast, rtol=1e-5)
    assert fast.shape == (3, 3) and (fast < 0).all()


def test_rows_beyond_the_context_are_refused(pair):
    with pytest.raises(TmapError, match="600 tokens is longer"):
        pair[1].answer_nll(ids(500), ids(100))


def test_the_same_call_gives_the_same_bits(pair):
    given = (ids(12, 3, 40), ids(5, 9, 1, seed=5))
    first, second = pair[1].answer_nll(*given)[0], pair[1].answer_nll(*given)[0]
    assert first.tobytes() == second.tobytes()


def architectures():
    """Small random models: attention everywhere, windows, caps, learned positions."""
    import transformers as t

    llama = dict(
        SIZES, intermediate_size=64, num_attention_heads=4, num_key_value_heads=2
    )
    gemma = dict(llama, head_dim=8, sliding_window=8, initializer_range=0.1)
    gpt = dict(vocab_size=300, n_embd=32, n_layer=2, n_head=4, initializer_range=0.3)
    return {
        "qwen2": (t.Qwen2Config(**llama), SharedPrefixes),
        "gpt2": (t.GPT2Config(**gpt, n_positions=128), SharedPrefixes),
        "granite": (t.GraniteConfig(**llama, logits_scaling=3.0), SharedPrefixes),
        "mistral": (t.MistralConfig(**llama, sliding_window=8), ExpandedPrefixes),
        "gemma2": (t.Gemma2Config(**gemma), ExpandedPrefixes),
    }


@pytest.mark.parametrize("name", ["qwen2", "gpt2", "granite", "mistral", "gemma2"])
def test_other_architectures_agree_with_generate(name, tiny_llama):
    from transformers import AutoModelForCausalLM

    config, sharing = architectures()[name]
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config)
    tokenizer = engines.load_tokenizer(tiny_llama)
    slow = Reference(copy.deepcopy(model), tokenizer)
    fast = PrefixCache(model, tokenizer, batch_size=3)
    prefixes, questions = ids(21, 0), ids(5, 9, 5, 12, 1)
    assert isinstance(fast.prefixes, sharing)
    assert slow.generate(prefixes, questions, max_new_tokens=12) == fast.generate(
        prefixes, questions, max_new_tokens=12
    )
    answers = ids(4, 1, 3, 8, 2, seed=6)
    np.testing.assert_allclose(
        slow.answer_nll(questions, answers)[0],
        fast.answer_nll(questions, answers)[0],
        rtol=1e-4,
    )
    options = [[answer, answer[:1]] for answer in answers]
    np.testing.assert_allclose(
        slow.option_nll(prefixes, questions, options),
        fast.option_nll(prefixes, questions, options),
        rtol=1e-4,
    )


def test_a_model_that_does_not_hand_the_prefix_on_gets_copies(pair):
    model = copy.deepcopy(pair[0].model)
    inner = model.model.forward
    model.model.forward = lambda **given: inner(
        **{name: value for name, value in given.items() if name != "shared_prefix"}
    )
    fast = PrefixCache(model, pair[0].tokenizer)
    assert isinstance(fast.prefixes, ExpandedPrefixes)
    given = (ids(20), ids(4, 6, 4))
    expected = pair[0].generate(*given, max_new_tokens=8)
    assert fast.generate(*given, max_new_tokens=8) == expected


def test_a_model_with_logits_of_its_own_kind_is_refused(pair):
    model = copy.deepcopy(pair[0].model)
    plain = model.forward
    model.forward = lambda **options: SimpleNamespace(
        logits=plain(**options).logits ** 3
    )
    with pytest.raises(TmapError, match="engine does not know"):
        Head(model)


def test_sampling_settings_of_a_model_do_not_matter(tiny_llama, pair):
    from transformers import GenerationConfig

    model = copy.deepcopy(pair[0].model)
    model.generation_config = GenerationConfig(
        do_sample=True, temperature=2.0, repetition_penalty=3.0, eos_token_id=2
    )
    slow = Reference(model, pair[0].tokenizer)
    given = (ids(10), ids(4, 6))
    expected = pair[0].generate(*given, max_new_tokens=16)
    assert slow.generate(*given, max_new_tokens=16) == expected


def test_batches_keep_to_the_token_budget():
    lengths = [5, 90, 10, 10, 30, 200]
    batches = budget_batches(lengths, 100)
    assert batches == [[5], [1], [4, 2, 3], [0]]


def test_rows_that_do_not_fit_the_memory_are_halved_and_none_is_lost(
    pair, monkeypatch, caplog
):
    prompts, answers = ids(9, 30, 4, 17, 25, 8, 12), ids(5, 2, 9, 3, 7, 1, 6, seed=3)
    expected = pair[0].answer_nll(prompts, answers)
    fast = PrefixCache(copy.deepcopy(pair[1].model), pair[1].tokenizer)
    read, tried = fast.model.base_model.forward, []

    def small(input_ids, **how):
        tried.append(input_ids.numel())
        if input_ids.numel() > 60:
            raise torch.OutOfMemoryError("out of memory")
        return read(input_ids, **how)

    fast.model.base_model.forward = small
    with caplog.at_level(logging.WARNING, logger="tmap"):
        found = fast.answer_nll(prompts, answers)

    np.testing.assert_allclose(found[0], expected[0], rtol=1e-4)
    np.testing.assert_array_equal(found[1], expected[1])
    assert max(tried) > 60
    assert "Out of memory: continuing with" in caplog.text
    n = len(tried)
    fast.answer_nll(prompts, answers)
    assert max(tried[n:]) <= 60  # the smaller budget stays


def test_a_row_that_alone_does_not_fit_the_memory_is_an_error(pair):
    fast = PrefixCache(copy.deepcopy(pair[1].model), pair[1].tokenizer)

    def none(*_, **__):
        raise torch.OutOfMemoryError("out of memory")

    fast.model.base_model.forward = none
    with pytest.raises(TmapError, match="A single row of 12 tokens does not fit"):
        fast.answer_nll(ids(7, 3), ids(5, 4))


def test_logits_are_held_a_few_positions_at_a_time(pair, monkeypatch):
    monkeypatch.setattr("tmap.engines.likelihood.MAX_LOGITS", {"cpu": 1000})
    head = Head(pair[1].model)
    seen, layer = [], head._layer
    head._layer = torch.nn.Identity()
    head._layer.weight = layer.weight
    head._layer.forward = lambda hidden: seen.append(len(hidden)) or layer(hidden)
    hidden = torch.randn(23, layer.weight.shape[1])

    head.log_p(hidden, [1] * 23)

    assert sum(seen) == 23
    assert max(seen) * layer.weight.shape[0] <= 1000


def test_the_engines_import_nothing_but_torch_transformers_and_numpy():
    found = set()
    served = {
        "server.py",
        "launch.py",
        "client.py",
        "complaints.py",
    }  # these load no model
    for path in Path(engines.__file__).parent.glob("*.py"):
        if path.name in served:
            continue
        for node in ast.parse(path.read_text()).body:  # top level: peft waits for use
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                found.add(node.module.split(".")[0])
    foreign = found - set(sys.stdlib_module_names)
    assert foreign == {"torch", "transformers", "numpy", "tmap"}


def test_memory_that_runs_out_halves_the_batch_and_repeats_nothing(
    tiny_llama, pair, monkeypatch, caplog
):
    lm = engines.load(tiny_llama, EngineSection())
    start, sizes = lm.prefixes.start, []

    def small(prefixes, rows, room):
        if len(rows) > 7:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        sizes.append(len(rows))
        return start(prefixes, rows, room)

    monkeypatch.setattr(lm.prefixes, "start", small)
    lm.batch_size = 24
    given = (ids(20, 9), ids(*range(2, 14), seed=7))
    expected = pair[0].generate(*given, max_new_tokens=6)
    assert lm.generate(*given, max_new_tokens=6) == expected
    assert lm.batch_size == 6
    assert sum(sizes) == 24
    assert "from here on, 6 rows at once" in caplog.text


def test_memory_that_runs_out_under_a_fixed_batch_is_an_error(tiny_llama, monkeypatch):
    lm = engines.load(tiny_llama, EngineSection(batch_size=4))

    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(lm.prefixes, "start", full)
    with pytest.raises(TmapError, match=r"4 rows at once.*batch_size: auto"):
        lm.generate(ids(5), ids(3), max_new_tokens=2)


def test_a_prefix_that_does_not_fit_halves_the_batch_and_with_it_the_prefixes_held(
    tiny_llama, pair, monkeypatch
):
    lm = engines.load(tiny_llama, EngineSection())
    prefill, held = lm.prefixes.prefill, []

    def small(prefixes):
        if len(prefixes) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        held.append(len(prefixes))
        return prefill(prefixes)

    monkeypatch.setattr(lm.prefixes, "prefill", small)
    lm.batch_size = 12
    given = (ids(20, 9, 14), ids(3, 4, 5, 6, seed=7))
    expected = pair[0].generate(*given, max_new_tokens=6)
    assert lm.generate(*given, max_new_tokens=6) == expected
    assert (lm.batch_size, held) == (6, [1, 1, 1])


def test_options_that_do_not_fit_the_memory_are_halved_and_none_is_read_twice(
    tiny_llama, pair, monkeypatch
):
    lm = engines.load(tiny_llama, EngineSection())
    hidden, sizes = lm.prefixes.hidden, []

    def small(prefixes, rows):
        if len(rows) > 5:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        sizes.append(len(rows))
        return hidden(prefixes, rows)

    monkeypatch.setattr(lm.prefixes, "hidden", small)
    lm.batch_size = 16
    options = [ids(1, 4, seed=s) for s in range(4)]
    given = (ids(30, 8), ids(6, 2, 11, 3, seed=4), options)
    np.testing.assert_allclose(
        lm.option_nll(*given), pair[0].option_nll(*given), rtol=1e-5
    )
    assert lm.batch_size == 4
    assert sum(sizes) == 2 * 4 * 2


def test_what_did_not_fit_is_let_go_before_the_batch_is_halved(tiny_llama, monkeypatch):
    lm = engines.load(tiny_llama, EngineSection())
    lm.batch_size, alive = 8, []

    class Tensor:
        """Represents what the failed pass held in memory."""

    def work():
        held = Tensor()
        alive.append(weakref.ref(held))
        if len(alive) == 1:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        assert held is not None

    halve = lm._halve_batch
    monkeypatch.setattr(
        lm, "_halve_batch", lambda words: alive.append(alive[0]()) or halve(words)
    )
    lm.within_memory(work)
    assert alive[1] is None and lm.batch_size == 4


def test_the_buffers_of_a_batch_go_when_the_batch_is_done(pair, monkeypatch):
    lm, buffers = pair[1], []
    start = lm.prefixes.start

    def spy(prefixes, rows, room):
        started, states = start(prefixes, rows, room)
        buffers.extend(weakref.ref(layer.keys) for layer in started.cache.layers)
        buffers.append(weakref.ref(prefixes.keys[0]))
        return started, states

    monkeypatch.setattr(lm.prefixes, "start", spy)
    gc.collect()
    gc.disable()
    try:
        lm.generate(ids(20, 9), ids(3, 4, 5, 6), max_new_tokens=6)
        assert buffers and not any(buffer() is not None for buffer in buffers)
    finally:
        gc.enable()


@pytest.mark.parametrize(
    ("groups", "lines"), [([0, 1, 2, 0], 3), ([1, 1], 1), ([2, 1], 2), ([0, 2], 3)]
)
def test_attention_is_computed_for_prefixes_that_the_batch_has(groups, lines, pair):
    prefixes = pair[1].prefixes.prefill(ids(9, 30, 4))
    shared = Shared.of(prefixes, groups)
    n = prefixes.keys[0].shape[0] // 3
    first = min(groups)
    assert shared.table.shape[0] == len(shared.prefixes.lengths) == lines
    expected = prefixes.keys[1][first * n : (first + lines) * n]
    assert torch.equal(shared.prefixes.keys[1], expected)
    assert shared.prefixes.keys[1].data_ptr() == expected.data_ptr()  # a view
    rows = torch.arange(len(groups)).view(-1, 1, 1, 1).expand(-1, 2, 1, 3)
    assert torch.equal(shared.take(shared.lay(rows)), rows)


def test_rows_are_read_together_as_long_as_the_table_of_their_scores_fits(
    pair, monkeypatch
):
    # 4 heads x width 10 x (prefix 20 + 10) = 1200 scores for a seat in the table.
    prefixes = pair[1].prefixes.prefill(ids(20, 20, 20))
    heads = pair[1].config.num_attention_heads
    monkeypatch.setattr(shared_prefix, "MAX_SCORES", {"cpu": heads * 10 * 30 * 6})

    def sizes(groups):
        rows = [(group, [7] * 10) for group in groups]
        found = shared_prefix.parts(pair[1].model, prefixes, rows)
        return [part.stop - part.start for part in found]

    assert sizes([0, 1, 2] * 3) == [6, 3]  # two seats for each of three
    assert sizes([1] * 9) == [6, 3]  # one line
    assert sizes([0, 0, 0, 2, 2, 2]) == [3, 3]  # three lines of three would be nine


def test_what_was_spent_is_counted(pair):
    before = copy.copy(pair[1].spent)
    answers = pair[1].generate(ids(30, 20), ids(4, 6, 3), max_new_tokens=5)
    spent = pair[1].spent.since(before)
    assert spent.prompt_tokens == 30 + 20 + 2 * (4 + 6 + 3)
    assert spent.new_tokens == sum(len(a) for group in answers for a in group)
    assert spent.prefill_seconds > 0 and spent.decode_seconds > 0
    assert np.isnan(spent.floor_seconds)  # this processor is unknown


def test_what_options_took_is_counted_too(pair):
    prefixes, questions = ids(30, 20), ids(4, 6)
    options = [ids(1, 3), ids(2)]
    shared = 30 + 20 + 2 * (2 * 4 + 1 + 3 + 6 + 2)
    anew = sum(p + q for p in (30, 20) for q in (4 + 1, 4 + 3, 6 + 2))
    for lm, n in zip(pair[::-1], (shared, anew), strict=True):
        before = copy.copy(lm.spent)
        lm.option_nll(prefixes, questions, options)
        spent = lm.spent.since(before)
        assert (spent.prompt_tokens, spent.new_tokens) == (n, 0)
        assert spent.prefill_seconds > 0 and spent.decode_seconds == 0


def test_parts_of_what_was_spent_sum_to_it():
    parts = Spent(3.0, 1.5, 100, 7, 0.3).parts(3)
    assert [(part.prompt_tokens, part.new_tokens) for part in parts] == [
        (33, 2),
        (33, 2),
        (34, 3),
    ]
    assert [part.prefill_seconds for part in parts] == [1.0] * 3


def test_the_floor_of_an_8b_model_on_an_h100_is_the_hand_worked_one():
    # 7.50 B parameters in matrices, 15.0 GB; 128 KiB of keys and values per token.
    from transformers import LlamaConfig, LlamaForCausalLM

    from tmap.engines.roofline import DEVICES, Roofline

    config = LlamaConfig(
        vocab_size=128256,
        hidden_size=4096,
        intermediate_size=14336,
        num_hidden_layers=32,
        num_attention_heads=32,
        num_key_value_heads=8,
    )
    with torch.device("meta"):
        floor = Roofline(LlamaForCausalLM(config).to(torch.bfloat16))
    assert floor.weights == pytest.approx(15.0e9, rel=0.01)
    assert floor.kv == 128 * 1024
    assert np.isnan(floor.read(100))
    floor.peaks = DEVICES["H100"]
    read = floor.read(5 * 450 + 500 * 80)
    write = floor.write([450] * 5, [80] * 500, [128] * 500)
    assert read == pytest.approx(2 * 6.98e9 * 42_250 / 989e12, rel=0.01)
    kv = (500 * (128 * 80 + 128 * 129 / 2) + 128 * 2250) * 131_072
    moved = (128 * 15.01e9 + kv) / 3.35e12
    computed = 2 * 7.505e9 * 500 * 128 / 989e12  # a little more than moving takes
    assert write == pytest.approx(max(moved, computed), rel=0.01)
    assert read + write == pytest.approx(1.6, abs=0.05)  # research note 2.3


@pytest.mark.data
def test_tokens_equal_those_of_generate_on_a_trained_model(shared):
    from tmap.cards.model import PromptSection
    from tmap.prompts.renderer import Demo, Renderer

    record = {
        "model": "tiny",
        "source": "tiny",
        "revision": "local",
        "path": str(shared / "models" / "tiny"),
        "trust_remote_code": False,
    }
    slow = engines.load(record, EngineSection(name="reference"))
    fast = engines.load(record, EngineSection(batch_size=4))
    renderer = Renderer(slow.tokenizer, PromptSection(template="plain", stop=["\n\n"]))
    demo = Demo(
        "Sara has 6 coins. Sara finds 4. How many coins does Sara have now?",
        "Sara has 6+4=10 coins.\n#### 10",
    )
    questions = [
        f"Tom has {n} pens. Tom loses 2. How many pens does Tom have now?"
        for n in range(5, 11)
    ]
    prefixes = [renderer.render("", [demo] * n).prefix for n in (0, 1, 3)]
    asked = [renderer.render(question).question for question in questions]
    answers = fast.generate(prefixes, asked, max_new_tokens=40, stop=renderer.stop)
    assert answers == slow.generate(
        prefixes, asked, max_new_tokens=40, stop=renderer.stop
    )
    assert "#### 8" in renderer.read(answers[2][5])
