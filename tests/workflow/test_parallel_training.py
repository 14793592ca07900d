"""One adapter trained by several processes: how they start, and the result."""

import json
from itertools import pairwise

import numpy as np
import pytest
from pydantic import ValidationError
from safetensors.numpy import load_file

from tmap.cards.model import EngineSection, ModelCard, TrainSection
from tmap.engines.weights import Weights
from tmap.errors import OutOfMemory, TmapError
from tmap.jobs import attempts
from tmap.training import launch, train
from tmap.training.arguments import sft_config

ONE = "results/demo/random_llama/random/s0"
CARD = """\
extends: random_llama
train: {processes: 2, micro_batch_size: 4}
"""


DIES = """
import os, signal, time
if os.environ["RANK"] == "1":
    os.kill(os.getpid(), signal.SIGKILL)
time.sleep(60)
"""


def options(command):
    """`--name value` pairs of a command line, up to the module."""
    words = command[: command.index("--module")]
    return {a: b for a, b in pairwise(words) if a.startswith("--")}


def test_each_gpu_gets_a_process_that_runs_the_same_command():
    card = TrainSection(processes=4, micro_batch_size=4)
    command = launch.command(card, ["train-adapter", "llama3", "--seed", "1"])
    assert command[1:3] == ["-m", "accelerate.commands.launch"]
    assert options(command)["--num_processes"] == "4"
    assert "--multi_gpu" in command and "--use_fsdp" not in command
    end = ["--module", "tmap", "train-adapter", "llama3", "--seed", "1"]
    assert command[-6:] == end


def test_accelerate_knows_every_option_of_a_model_in_parts():
    from accelerate.commands.launch import launch_command_parser

    card = TrainSection(processes=2, micro_batch_size=8, parallel="fsdp")
    command = launch.command(card, ["train-adapter", "llama3"])
    parsed = launch_command_parser().parse_args(command[3:])
    assert parsed.use_fsdp and not parsed.multi_gpu
    assert (parsed.num_processes, parsed.main_process_port) == (2, 0)
    assert parsed.fsdp_sharding_strategy == "FULL_SHARD"
    assert parsed.fsdp_state_dict_type == "FULL_STATE_DICT"
    assert parsed.module and parsed.training_script == "tmap"
    assert parsed.training_script_args == ["train-adapter", "llama3"]


def test_processes_share_a_batch(tmp_path):
    card = TrainSection(batch_size=32, micro_batch_size=4, processes=4)
    about = {"seed": 0, "device": "cpu", "dtype": "float32", "folder": tmp_path}
    config = sft_config(card, 320, **about)
    assert config.gradient_accumulation_steps == 2  # 4 processes x 4 rows x 2
    assert config.max_steps == 10


def test_a_batch_that_processes_cannot_share_is_refused():
    with pytest.raises(ValidationError, match="micro_batch_size 16 x processes 2"):
        TrainSection(processes=2)


@pytest.mark.parametrize(
    ("processes", "gpu", "asked"), [(1, 1, 1), (1, 3, 3), (2, 1, 2), (2, 0, 0)]
)
def test_a_training_has_a_gpu_for_each_process_and_other_jobs_as_the_card_says(
    processes, gpu, asked
):
    card = ModelCard(
        source={"path": "x"},
        train={"processes": processes, "micro_batch_size": 8},
        resources={"gpu": gpu},
    )
    assert (card.gpus_to_train(), card.resources.gpu) == (asked, gpu)


@pytest.mark.parametrize(
    ("parallel", "rank", "place", "loaded"),
    [
        ("fsdp", "0", {}, ("cpu", "bfloat16")),
        ("fsdp", "1", {"dtype": "float16"}, ("cpu", "float16")),
        ("fsdp", "0", {"quantization": "nf4"}, ("auto", "auto")),
        ("ddp", "0", {}, ("auto", "auto")),
        ("fsdp", None, {}, ("auto", "auto")),  # a single process has nothing to share
    ],
)
def test_a_model_in_parts_is_whole_on_no_gpu(
    monkeypatch, parallel, rank, place, loaded
):
    import torch

    asked = []

    def load(record, place):
        asked.append((place.device, place.dtype))
        return Weights("model", place.device, place.dtype)

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(train, "load_weights", load)
    if rank:
        monkeypatch.setenv("RANK", rank)
        monkeypatch.setenv("LOCAL_RANK", rank)
    card = TrainSection(processes=2, micro_batch_size=8, parallel=parallel)
    found = train.load_to_train({}, EngineSection(**place), card)
    assert asked == [loaded]
    if loaded[0] == "cpu":  # and trains on the GPU, in its precision
        assert (found.device, found.dtype) == ("cuda", loaded[1])


def test_a_failed_process_is_quoted(monkeypatch, capsys):
    said = 'print("hello"); print("error: The loss became nan."); raise SystemExit(1)'
    monkeypatch.setattr(launch, "command", lambda *_: ["python", "-c", said])
    with pytest.raises(TmapError, match="The loss became nan"):
        launch.run(TrainSection(processes=2, micro_batch_size=8), [])
    assert capsys.readouterr().err == "hello\n"


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        ("E1 api.py:1002] failed (exitcode: -9) local_rank: 1 (pid: 7)", OutOfMemory),
        ("error: RuntimeError: DefaultCPUAllocator: not enough memory", OutOfMemory),
        # The launcher ends the others once one has failed, by force if necessary.
        ("failed (exitcode: 1) local_rank: 1\\n  exitcode  : -9 (pid: 8)", TmapError),
    ],
)
def test_a_killed_process_ran_out_of_memory(monkeypatch, said, fault):
    script = f'print("{said}"); raise SystemExit(1)'
    monkeypatch.setattr(launch, "command", lambda *_: ["python", "-c", script])
    with pytest.raises(TmapError) as found:
        launch.run(TrainSection(processes=2, micro_batch_size=8), [])
    assert type(found.value) is fault


@pytest.mark.workflow
def test_the_launcher_tells_that_a_process_was_killed(monkeypatch, tmp_path):
    (tmp_path / "dies.py").write_text(DIES)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    card = TrainSection(processes=2, micro_batch_size=8)
    command = ["dies" if word == "tmap" else word for word in launch.command(card, [])]
    monkeypatch.setattr(launch, "command", lambda *_: command)
    with pytest.raises(OutOfMemory, match="ended without a message"):
        launch.run(card, [])


@pytest.mark.workflow
def test_two_processes_train_what_one_trains_and_stop_in_time(finished_clone):
    clone = finished_clone
    (clone.path / "world/cards/models/random_two.yaml").write_text(CARD)

    def trained(*job):
        return clone.run(
            *("tmap", "--job", "two/t0.log", *job, "train-adapter", "random_two"),
            *(
                "--subset",
                f"{ONE}/subset.parquet",
                "--pool",
                "results/demo/pool.parquet",
            ),
            *("--model-file", "results/models/random_llama.json"),
            *("--adapter", "two/adapter/adapter_model.safetensors"),
            *("--report", "two/train.json"),
            check=False,
            TMAP_CARDS="world/cards",
        )

    out = trained("1", "0.00001")
    assert "error: Time is up" in out
    record = clone.path / "two/t0.attempts.json"
    assert [one["kept"] for one in attempts.history(record)] == [True], out
    out = trained("2", "60")
    report = json.loads((clone.path / "two/train.json").read_text())
    alone = json.loads((clone.path / ONE / "t0/train.json").read_text())
    losses = np.array(report["loss"]), np.array(alone["loss"])
    np.testing.assert_allclose(*losses, rtol=1e-4)
    weights, expected = (
        load_file(folder / "adapter_model.safetensors")
        for folder in (clone.path / "two/adapter", clone.path / ONE / "t0/adapter")
    )
    assert set(weights) == set(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(weights[name], values, atol=1e-5, err_msg=name)
