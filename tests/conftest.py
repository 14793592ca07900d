"""What several test modules share."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

# One thread per worker, as every job of the workflow has; before torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

#: Files whose workflow tests take minutes.
LONG = ("test_embedded", "test_docs", "test_resume", "test_workflow", "test_planted")

ROOT = Path(__file__).resolve().parents[1]

#: A chat template of the usual shape; it writes the BOS itself.
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}"
    "<|turn|>{{ m['role'] }}\n{{ m['content'] | trim }}<|end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|turn|>assistant\n{% endif %}"
)
CORPUS = [
    "Question: Sara has 6 coins. A friend gives Sara 34 coins. How many coins now?",
    "Answer: Sara has 6+34=40 coins.\n#### 40\n\n",
    "user assistant system # Query: # Answer: (A) (B) 0123456789 the of and to in is",
]


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real benchmark files and trained models; `TMAP_SHARED` names another place."""
    folder = Path(os.environ.get("TMAP_SHARED") or ROOT.parent / "shared")
    if not (folder / "data").is_dir():
        pytest.skip(
            "no benchmark files: set TMAP_SHARED, or put them in ../shared/data"
        )
    return folder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first: parallel workers take files in order, so the end is short."""
    items.sort(key=lambda item: item.path.stem not in LONG)


@pytest.fixture(scope="session")
def finished_clone(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A copy of the project that has built the small world's target (minutes).

    Parallel workers build it once; each has a copy of its own, which tests may edit.
    """
    from clones import finished

    own = tmp_path_factory.mktemp("finished") / "clone"
    return finished(tmp_path_factory.getbasetemp(), own)


@pytest.fixture(scope="session")
def tiny_llama(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A random two-layer Llama with tokenizer, on disk; as `fetch_model` records it."""
    folder = tmp_path_factory.mktemp("tiny_llama")
    tokenizer = write_tokenizer(folder)
    write_llama(folder, len(tokenizer))
    return {
        "model": "tiny_llama",
        "source": str(folder),
        "revision": "0" * 40,
        "path": str(folder),
        "trust_remote_code": False,
    }


@pytest.fixture
def serve() -> Iterator[Any]:
    """Start an HTTP server from a script `(number, body) -> status, headers, answer`."""
    from judging import OK, FakeServer

    running = []

    def start(script: Any = lambda number, body: OK) -> Any:
        server = FakeServer(script)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        running.append(server)
        return server

    yield start
    for server in running:
        server.shutdown()
        server.server_close()


def write_tokenizer(folder: Path) -> Any:
    """A byte-level BPE of some 400 tokens, made on the spot; ids 0-2 pad, BOS, EOS."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<pad>", "<bos>", "<eos>", "<|turn|>", "<|end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(CORPUS * 3, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="<pad>",
        bos_token="<bos>",
        eos_token="<eos>",
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    tokenizer.save_pretrained(folder)
    return tokenizer


def write_llama(folder: Path, vocab_size: int, seed: int = 0) -> None:
    """Random weights, wide enough apart that greedy choices are not near ties."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=vocab_size,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        initializer_range=0.2,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
