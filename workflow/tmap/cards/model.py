"""A model card: where a model comes from, how to prompt it, and what it needs."""

from __future__ import annotations

import re
import shlex
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from tmap.artifacts.rules import RULES, TIMED
from tmap.artifacts.secrets import learn_command
from tmap.cards.base import Ending, FilledPath, JsonValue, Name, Section
from tmap.cards.judge import PORT, LimitSection, bare_address
from tmap.errors import nearest


class ModelSource(Section):
    """A hub model, a local folder or a package: safetensors, or one GGUF file."""

    hub: Name | None = Field(default=None, description="model id on the hub")
    revision: Name = Field(default="main", description="resolved to a commit at fetch")
    path: FilledPath | None = Field(
        default=None, description="local folder; relative to the working directory"
    )
    package: Name | None = Field(
        default=None, description="installed Python package that ships the model"
    )
    gguf: Name | None = Field(
        default=None,
        description="GGUF file of the folder, hub model or package; dequantised once. A "
        "package with a single model needs no name",
    )
    trust_remote_code: bool = Field(
        default=False, description="run code that comes with the model"
    )

    @field_validator("gguf")
    @classmethod
    def _is_gguf(cls, gguf: str | None) -> str | None:
        if gguf is not None and not gguf.lower().endswith(".gguf"):
            raise ValueError(f"'{gguf}' is not the name of a file *.gguf")
        return gguf

    @model_validator(mode="after")
    def _one_place(self) -> ModelSource:
        if [self.hub, self.path, self.package].count(None) != 2:
            raise ValueError("name exactly one of hub, path or package")
        return self


class PromptSection(Section):
    """How questions and demonstrations become tokens, the same wherever they are used."""

    template: Literal["chat", "plain", "urial"] = Field(
        default="chat",
        description="chat: the model's own chat template; plain: Question, Answer; "
        "urial: the paper's Table 10, for base models",
    )
    fenced: bool = Field(default=False, description="urial: bodies in backtick fences")
    system: str | None = Field(default=None, description="chat: system prompt")
    stop: list[Ending] = Field(
        default=[],
        description="texts that end an answer, in addition to the template's",
    )


class PlaceSection(Section):
    """Where to compute, and with which precision."""

    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        default="auto", description="auto: bfloat16 on a GPU, float32 on a CPU"
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        default="auto", description="auto: a GPU if there is one"
    )
    quantization: Literal["nf4"] | None = Field(
        default=None,
        description="nf4: frozen weights in 4 bits (QLoRA, arXiv 2305.14314), on a GPU; "
        "computes in dtype",
    )
    device_map: Literal["auto", "balanced", "balanced_low_0", "sequential"] | None = (
        Field(
            default=None,
            description="spread layers over all GPUs of the job, as accelerate does; "
            "without it the model is on one",
        )
    )

    @model_validator(mode="after")
    def _has_gpus(self) -> PlaceSection:
        for key in ("quantization", "device_map"):
            if getattr(self, key) and self.device == "cpu":
                raise ValueError(
                    f"{key} '{getattr(self, key)}' needs a GPU, and device is cpu; remove "
                    "one of them"
                )
        return self


class LaunchSection(Section):
    """A server that is started for a job and stopped with it."""

    command: str = Field(
        description="as in a shell, but run without one; {path}: the model's folder; "
        "{port}: a free port, also in `url:`"
    )
    wait: float = Field(
        default=900.0,
        gt=0,
        le=1_000_000,
        exclude=True,
        description="seconds to wait for an answer",
    )

    @field_validator("command")
    @classmethod
    def _starts_something(cls, command: str) -> str:
        learn_command(command)  # even if refused: errors quote it
        try:
            words = shlex.split(command)
        except ValueError as fault:
            raise ValueError(
                f"the command has {str(fault).lower()}; close every quote, as in a shell"
            ) from None
        if not words or not words[0].strip():
            raise ValueError(
                "the command must name a program, such as vllm serve {path} --port {port}"
            )
        return command


class AnsweringSection(Section):
    """An OpenAI-compatible server of this model, and how to send requests to it."""

    url: str = Field(description="base address, e.g. http://127.0.0.1:8000/v1")
    model: Name = Field(description="the server's name for the model")
    prompts: Literal["text", "ids"] = Field(
        default="text",
        description="ids: token ids, if the server accepts them (vLLM, llama.cpp)",
    )
    prompts_per_request: int = Field(
        default=1,
        ge=1,
        le=100_000,
        description="above 1 if the server accepts lists (vLLM, llama.cpp)",
    )
    extra: dict[str, JsonValue] = Field(
        default={}, description="more fields of every request, e.g. {seed: 0}"
    )
    launch: LaunchSection | None = None
    # Excluded: limits change no answer, so they re-run nothing.
    limits: LimitSection = Field(default=LimitSection(), exclude=True)

    _bare = field_validator("url")(bare_address)

    @model_validator(mode="after")
    def _one_port(self) -> AnsweringSection:
        launched = self.launch is not None and PORT in self.launch.command
        if launched != (PORT in self.url):
            raise ValueError("{port} goes into both `url:` and `launch: command:`")
        return self

    def identity(self) -> dict[str, Any]:
        """Everything that can change an answer; the address, which may vary, cannot."""
        found = self.model_dump(mode="json", exclude={"url"})
        port = re.search(r":(\d+)(?:/|$)", self.url)
        if port and self.launch:
            number = rf"(?<!\d){port[1]}(?!\d)"
            found["launch"]["command"] = re.sub(number, PORT, self.launch.command)
        return found


class EngineSection(PlaceSection):
    """Which engine computes, where and how."""

    name: Literal["reference", "transformers", "server"] = Field(
        default="transformers",
        description="transformers: in this process; reference: the same question by "
        "question, slow, for tests; server: an OpenAI-compatible server",
    )
    server: AnsweringSection | None = Field(
        default=None,
        description="name: server: the server that answers in searches and as base",
    )
    max_new_tokens: int = Field(
        default=512,
        ge=1,
        le=1_000_000,
        description="of an answer, in reward and evaluation",
    )
    batch_size: Annotated[int, Field(ge=1, le=1_000_000)] | Literal["auto"] = Field(
        default="auto",
        description="rows decoded at once, from several groups if whole groups fit; "
        "auto: what memory allows, sized once per search and kept in its ledger",
    )
    data_parallel: int = Field(
        default=1,
        ge=1,
        le=1024,
        description="processes that each hold the model, one per GPU, and share the "
        "groups or questions of a search or an evaluation",
    )

    @model_validator(mode="after")
    def _served(self) -> EngineSection:
        if (self.name == "server") != (self.server is not None):
            raise ValueError("name: server and a `server:` section go together")
        return self

    @model_validator(mode="after")
    def _whole_on_each(self) -> EngineSection:
        if self.data_parallel > 1 and (self.server or self.device_map):
            other = "a server has processes of its own"
            if self.device_map:
                other = "device_map spreads one model over all GPUs"
            raise ValueError(
                f"data_parallel is {self.data_parallel}, and {other}; remove one of them"
            )
        return self

    def in_process(self) -> EngineSection:
        """The engine for what a server cannot do: likelihoods, and models with adapters."""
        if self.name != "server":
            return self
        return self.model_copy(update={"name": "transformers", "server": None})


class TrainSection(Section):
    """LoRA fine-tuning (defaults ours; the paper is silent)."""

    rank: int = Field(default=16, ge=1, le=65_536, description="LoRA r")
    alpha: int = Field(default=32, ge=1, le=1_000_000, description="LoRA alpha")
    dropout: float = Field(default=0.0, ge=0, lt=1, description="LoRA dropout")
    target_modules: str | list[str] = Field(
        default="all-linear", description="layers that get LoRA weights, as PEFT has it"
    )
    learning_rate: float = Field(
        default=1e-4, gt=0, le=100, description="at its highest"
    )
    schedule: Literal["cosine", "linear", "constant"] = Field(
        default="cosine", description="of the learning rate, after the warm-up"
    )
    warmup_share: float = Field(default=0.03, ge=0, lt=1, description="of all steps")
    weight_decay: float = Field(default=0.0, ge=0, le=100, description="of AdamW")
    epochs: float = Field(
        default=1.0, gt=0, le=10_000, description="passes over the subset"
    )
    max_steps: int | None = Field(
        default=None, ge=1, le=1_000_000_000, description="ends training early"
    )
    batch_size: int = Field(
        default=16, ge=1, le=1_000_000, description="rows per optimiser step"
    )
    micro_batch_size: int = Field(default=16, ge=1, description="rows per forward pass")
    processes: int = Field(
        default=1,
        ge=1,
        le=1024,
        description="processes that train together, one per GPU; each takes its share of "
        "a batch",
    )
    parallel: Literal["ddp", "fsdp"] = Field(
        default="ddp",
        description="several processes: each holds the whole model (ddp) or a part (fsdp)",
    )
    max_length: int = Field(
        default=2048,
        ge=8,
        le=100_000_000,
        description="tokens; longer rows are cut and counted",
    )
    gradient_checkpointing: Literal["auto", "on", "off"] = Field(
        default="auto", description="auto: on if there is a GPU"
    )

    @field_validator("target_modules")
    @classmethod
    def _names_layers(cls, named: str | list[str]) -> str | list[str]:
        each = [named] if isinstance(named, str) else named
        if not each or not all(name.strip() for name in each):
            raise ValueError(
                "name at least one layer, such as [q_proj, v_proj], or all-linear"
            )
        if isinstance(named, str):
            try:
                re.compile(named)
            except (re.error, RecursionError, OverflowError) as fault:
                raise ValueError(
                    f"a text is a regular expression, and this one is none ({fault}); "
                    "write a list of layers, or all-linear"
                ) from None
        return named

    @model_validator(mode="after")
    def _divides(self) -> TrainSection:
        if self.batch_size % (self.micro_batch_size * self.processes):
            raise ValueError(
                f"batch_size {self.batch_size} must be a multiple of "
                f"micro_batch_size {self.micro_batch_size}"
                + f" x processes {self.processes}"
                * (self.processes > 1)
            )
        return self


#: A year; more is a mistake in the unit.
MOST_MINUTES = 527_040


class ResourceSection(Section):
    """Resources that one job with this model requests from the scheduler."""

    gpu: int = Field(
        default=1,
        ge=0,
        le=1024,
        description="GPUs per job; 0 on a CPU; a training requests train.processes, a "
        "search and an evaluation engine.data_parallel",
    )
    threads: int = Field(
        default=1, ge=1, le=4096, description="processor cores per job"
    )
    mem_mb: int = Field(
        default=64_000, ge=100, le=100_000_000, description="main memory per job, MB"
    )
    runtime: dict[str, int] = Field(
        default={}, description=f"minutes per rule: {', '.join(TIMED)}"
    )

    @field_validator("runtime")
    @classmethod
    def _rules(cls, runtime: dict[str, int]) -> dict[str, int]:
        for name, minutes in runtime.items():
            if not 1 <= minutes <= MOST_MINUTES:
                raise ValueError(
                    f"{name}: {minutes} minutes; a job needs 1 to {MOST_MINUTES} (a year)"
                )
            if name not in TIMED:
                raise ValueError(
                    f"no minutes can be set for '{name}'.{nearest(name, TIMED)} "
                    f"Known: {', '.join(TIMED)}"
                )
        return runtime

    def minutes(self, rule: str) -> int:
        """Run time to request, in minutes."""
        usual = RULES[rule].minutes
        missing = f"workflow/tmap/artifacts/rules.py: give {rule} its minutes"
        assert usual is not None, missing
        return self.runtime.get(rule, usual)


class ModelCard(Section):
    """Keys of config/models/NAME.yaml."""

    description: str = Field(default="", description="one line for readers")
    source: ModelSource
    prompt: PromptSection = PromptSection()
    engine: EngineSection = EngineSection()
    train: TrainSection = TrainSection()
    resources: ResourceSection = ResourceSection()
    aliases: list[Name] = Field(
        default=[],
        description="names of this model and its derivatives in histories (shell "
        "patterns): the search refuses a history that contains them",
    )

    def gpus_to_answer(self) -> int:
        """GPUs of a search or an evaluation: one per process if there are several."""
        return self._gpus(self.engine.data_parallel)

    def gpus_to_train(self) -> int:
        """GPUs of a training: one per process if there are several; none on a CPU."""
        return self._gpus(self.train.processes)

    def _gpus(self, n_processes: int) -> int:
        several = n_processes > 1 and self.resources.gpu
        return n_processes if several else self.resources.gpu

    @model_validator(mode="after")
    def _one_gpu_each(self) -> ModelCard:
        n = self.train.processes
        if n > 1 and self.engine.device_map:
            raise ValueError(
                f"train.processes is {n}, and engine.device_map spreads one process over "
                "all GPUs; remove one of them"
            )
        return self

    @model_validator(mode="after")
    def _asks_for_gpus(self) -> ModelCard:
        for key in ("quantization", "device_map"):
            value = getattr(self.engine, key)
            if value and self.resources.gpu == 0:
                raise ValueError(
                    f"engine.{key} is '{value}', and resources.gpu is 0; request at "
                    f"least one GPU, or remove engine.{key}"
                )
        return self
