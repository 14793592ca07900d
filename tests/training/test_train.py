"""Fine-tuning: what the model sees, what is written, and how a run resumes."""

import json
import math

import pytest

from tmap.cards.model import EngineSection
from tmap.engines.weights import load_tokenizer, load_weights
from tmap.errors import TmapError
from tmap.prompts.conversation import turns_of
from tmap.prompts.renderer import Renderer
from tmap.training import checkpoints
from tmap.training.arguments import (
    checkpoints_gradients,
    lora_config,
    one_gpu,
    sft_config,
    total_steps,
)
from tmap.training.rows import IGNORED, encode
from tmap.training.train import train
from training import CHATS, ENGINE, PLAIN, settings


def fit(record, folder, *, chats=CHATS, seed=0, keep=False, **changes):
    report = train(
        record,
        PLAIN,
        ENGINE,
        settings(**changes),
        chats,
        seed=seed,
        adapter=folder / "adapter",
        scratch=folder / "checkpoints",
        keep_checkpoints=keep,
    )
    return report, (folder / "adapter" / "adapter_model.safetensors").read_bytes()


@pytest.fixture(scope="module")
def fitted(tiny_llama, tmp_path_factory):
    """One uninterrupted run: its report, its adapter's bytes, its folder."""
    folder = tmp_path_factory.mktemp("fitted")
    return *fit(tiny_llama, folder), folder


# Card values


def test_the_loss_is_the_mean_over_counted_tokens_of_the_batch(tiny_llama, tmp_path):
    import torch

    model = load_weights(tiny_llama, ENGINE).model.eval()
    rows = encode(Renderer(load_tokenizer(tiny_llama), PLAIN), CHATS, 512, "key")
    total = 0.0
    for row in rows.rows:
        with torch.no_grad():
            logits = model(torch.tensor([row.input_ids])).logits[0, :-1]
        labels = torch.tensor(row.labels[1:])
        total += torch.nn.functional.cross_entropy(
            logits, labels, ignore_index=IGNORED, reduction="sum"
        ).item()

    report, _ = fit(tiny_llama, tmp_path, batch_size=12, dropout=0, max_steps=1)

    assert report["loss"][0][1] == pytest.approx(total / rows.n_loss_tokens, rel=1e-5)


@pytest.mark.parametrize(
    ("n_rows", "epochs", "max_steps", "steps"),
    [
        (12, 2, None, 6),
        (13, 1, None, 4),
        (12, 0.5, None, 2),
        (1, 0.1, None, 1),
        (12, 2, 5, 5),
        (12, 2, 50, 6),
    ],
)
def test_steps_follow_from_rows_epochs_and_the_early_end(
    n_rows, epochs, max_steps, steps
):
    assert total_steps(settings(epochs=epochs, max_steps=max_steps), n_rows) == steps


@pytest.mark.parametrize(
    ("dtype", "bf16", "fp16"),
    [("float32", False, False), ("bfloat16", True, False)],
)
def test_arithmetic_follows_the_dtype_and_not_trls_default(dtype, bf16, fp16, tmp_path):
    args = sft_config(
        settings(), 12, seed=0, device="cpu", dtype=dtype, folder=tmp_path
    )

    assert (args.bf16, args.fp16) == (bf16, fp16)


def test_one_process_trains_on_one_gpu_of_several(tmp_path):
    args = sft_config(
        settings(), 12, seed=0, device="cpu", dtype="float32", folder=tmp_path
    )
    args._n_gpu = 4  # as transformers reports if it sees four
    rows = args.per_device_train_batch_size
    assert args.train_batch_size == 4 * rows
    one_gpu(args)
    assert args.train_batch_size == rows


def test_adapters_are_float32_also_where_the_model_is_not(tiny_llama, tmp_path):
    from safetensors.torch import load_file

    half = EngineSection(name="reference", device="cpu", dtype="bfloat16")
    folder = tmp_path / "adapter"
    card = settings(max_steps=1)

    train(
        tiny_llama, PLAIN, half, card, CHATS, seed=0, adapter=folder, scratch=tmp_path
    )

    tensors = load_file(folder / "adapter_model.safetensors").values()
    assert {str(tensor.dtype) for tensor in tensors} == {"torch.float32"}


def test_a_constant_schedule_keeps_its_warm_up(tmp_path):
    card = settings(schedule="constant", warmup_share=0.5)

    args = sft_config(card, 12, seed=0, device="cpu", dtype="float32", folder=tmp_path)

    assert (args.lr_scheduler_type.value, args.warmup_steps) == (
        "constant_with_warmup",
        3,
    )


def test_the_adapter_has_the_shape_of_the_card():
    config = lora_config(settings(rank=3, alpha=5, target_modules=["q_proj"]))

    assert (config.r, config.lora_alpha, config.target_modules) == (3, 5, {"q_proj"})


@pytest.mark.parametrize(
    ("asked", "device", "recomputes"),
    [
        ("auto", "cpu", False),
        ("auto", "cuda", True),
        ("on", "cpu", True),
        ("off", "cuda", False),
    ],
)
def test_activations_are_recomputed_on_a_gpu_or_where_the_card_says_so(
    asked, device, recomputes
):
    card = settings(gradient_checkpointing=asked)

    assert checkpoints_gradients(card, device) == recomputes


def test_recomputing_activations_changes_no_byte(fitted, tiny_llama, tmp_path):
    _, adapter = fit(tiny_llama, tmp_path, gradient_checkpointing="on")

    assert adapter == fitted[1]


# Runs


def test_two_runs_write_the_same_bytes(fitted, tiny_llama, tmp_path):
    report, adapter = fit(tiny_llama, tmp_path)

    assert (report, adapter) == fitted[:2]


def test_another_seed_is_another_adapter(fitted, tiny_llama, tmp_path):
    _, adapter = fit(tiny_llama, tmp_path, seed=1)

    assert adapter != fitted[1]


def stop_after(monkeypatch, n_steps):
    """Let the process die in the forward pass after `n_steps` optimiser steps."""
    from trl import SFTTrainer

    whole = SFTTrainer.training_step

    def dying(self, *args, **kwargs):
        if self.state.global_step >= n_steps:
            raise KeyboardInterrupt
        return whole(self, *args, **kwargs)

    monkeypatch.setattr(SFTTrainer, "training_step", dying)


@pytest.mark.parametrize("n_steps", [2, 3, 5])
def test_a_killed_run_goes_on_to_the_same_bytes(
    n_steps, fitted, tiny_llama, tmp_path, monkeypatch, caplog
):
    caplog.set_level("INFO", logger="tmap")
    with monkeypatch.context() as patch:
        stop_after(patch, n_steps)
        with pytest.raises(KeyboardInterrupt):
            fit(tiny_llama, tmp_path)
    saved = sorted(p.name for p in tmp_path.glob("checkpoints/*/checkpoint-*"))
    assert saved[-1] == f"checkpoint-{n_steps}"

    report, adapter = fit(tiny_llama, tmp_path)

    assert f"resuming from {tmp_path}" in caplog.text
    assert (report, adapter) == fitted[:2]
    assert not (tmp_path / "checkpoints").exists()


def test_kept_checkpoints_stay_and_training_again_takes_no_step(
    fitted, tiny_llama, tmp_path, monkeypatch
):
    first = fit(tiny_llama, tmp_path, keep=True)
    assert list(tmp_path.glob("checkpoints/*/checkpoint-6"))
    stop_after(monkeypatch, 0)

    assert fit(tiny_llama, tmp_path) == first == fitted[:2]
    assert not (tmp_path / "checkpoints").exists()


def test_a_checkpoint_of_other_settings_is_left_alone(
    tiny_llama, fitted, tmp_path, monkeypatch
):
    with monkeypatch.context() as patch:
        stop_after(patch, 3)
        with pytest.raises(KeyboardInterrupt):
            fit(tiny_llama, tmp_path, learning_rate=2e-2)

    _, adapter = fit(tiny_llama, tmp_path)

    assert adapter == fitted[1]


def test_a_checkpoint_that_was_torn_by_the_kill_is_passed_over(tmp_path):
    for step, state in [(3, '{"global_step": 3}'), (12, '{"global_st')]:
        (tmp_path / f"checkpoint-{step}").mkdir()
        (tmp_path / f"checkpoint-{step}" / "trainer_state.json").write_text(state)
    (tmp_path / "checkpoint-15").mkdir()

    assert checkpoints.latest(tmp_path) == tmp_path / "checkpoint-3"


def test_a_loss_that_is_no_number_stops_the_run_with_a_cure(tiny_llama, tmp_path):
    with pytest.raises(TmapError, match=r"became (nan|inf) in training step"):
        fit(tiny_llama, tmp_path, learning_rate=1e30, warmup_share=0)

    assert not (tmp_path / "adapter").exists()


def test_progress_is_told_with_loss_and_rate(tiny_llama, tmp_path, caplog, capfd):
    caplog.set_level("INFO", logger="tmap")

    fit(tiny_llama, tmp_path, max_steps=2)

    assert "train 2/2 steps" in caplog.text and "tokens/s" in caplog.text
    assert "it/s" not in capfd.readouterr().err


# What is written


def test_plain_peft_loads_the_adapter_and_it_changes_the_model(fitted, tiny_llama):
    import torch
    from peft import PeftModel

    base = load_weights(tiny_llama, ENGINE).model
    ids = torch.tensor([[1, 5, 6, 7]])
    with torch.no_grad():
        before = base(ids).logits
        after = PeftModel.from_pretrained(base, str(fitted[2] / "adapter"))(ids).logits

    assert (after - before).abs().max() > 1e-3


def test_the_configuration_names_the_source_and_not_its_place_here(
    tiny_llama, tmp_path
):
    record = {**tiny_llama, "source": "org/model"}

    fit(record, tmp_path, max_steps=1)

    text = (tmp_path / "adapter" / "adapter_config.json").read_text()
    assert json.loads(text)["base_model_name_or_path"] == "org/model"
    assert tiny_llama["path"] not in text
    assert sorted(p.name for p in (tmp_path / "adapter").iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
    ]


def test_the_report_counts_rows_and_steps_and_holds_no_clock(fitted):
    report = fitted[0]

    assert (report["n_samples"], report["steps"], report["dropped"]) == (12, 6, 0)
    assert [step for step, _ in report["loss"]] == [1, 2, 3, 4, 5, 6]
    assert report["final_loss"] == report["loss"][-1][1]
    assert math.isfinite(report["final_loss"])
    assert not {"seconds", "time"} & set(report)


@pytest.mark.data
def test_a_trained_model_learns_from_real_rows(shared, tmp_path):
    import pandas as pd

    folder = shared / "models" / "tiny"
    record = {
        "model": "tiny",
        "source": "tiny",
        "revision": None,
        "path": str(folder),
        "trust_remote_code": False,
    }
    rows = pd.read_parquet(shared / "data" / "gsm8k_train.parquet")
    rows = rows.loc[rows["answer"].str.len().nsmallest(24).index]
    chats = [
        turns_of({"instruction": q, "input": "", "response": a, "turns": None})
        for q, a in zip(rows["question"], rows["answer"], strict=True)
    ]

    report, _ = fit(record, tmp_path, chats=chats, batch_size=4)

    losses = [loss for _, loss in report["loss"]]
    assert sum(losses[-4:]) < 0.95 * sum(losses[:4])


# Time limits


def test_a_training_in_many_attempts_ends_in_the_bytes_of_one(
    tiny_llama, fitted, tmp_path, monkeypatch
):
    from tmap.jobs import attempts

    report, whole, _ = fitted
    record = tmp_path / "t0.attempts.json"
    for number in range(1, 30):
        # No time at all: each attempt saves after its first step, and stops.
        attempt = attempts.Attempt(record, number, 1e-6)
        monkeypatch.setattr(attempts, "_current", attempt)
        try:
            resumed, weights = fit(tiny_llama, tmp_path)
            break
        except TmapError as fault:
            assert "Time is up" in str(fault)
            attempts.ended(str(fault))
    assert number == report["steps"]
    assert weights == whole
    assert resumed["loss"] == report["loss"]
