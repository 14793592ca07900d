"""Serve a GGUF file with llama.cpp's own server, as the wheel xllamacpp ships it.

    pip install --no-deps xllamacpp==2026.10.11549
    python benchmarks/llama_server.py FILE.gguf --port 8080 --slots 8

It speaks the OpenAI interface at http://127.0.0.1:PORT/v1 until it is ended. Each slot
answers one request at a time and has `--context` tokens. `--exact` computes attention as
transformers does in float32: without flash attention, and with keys and values in float32,
where llama.cpp's default is float16. The wheel is built for any processor with AVX2;
llama.cpp compiled on a machine may be faster there.
"""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
from pathlib import Path
from typing import Any


def section(
    gguf: Path,
    *,
    python: str = sys.executable,
    slots: int = 1,
    exact: bool = False,
    **how: int,
) -> dict[str, Any]:
    """`engine: server:` of a model card that launches this program.

    Parameters
    ----------
    python : one that has xllamacpp
    how : `threads`, `context`
    """
    words = [python, __file__, str(gguf), "--port", "{port}", "--slots", str(slots)]
    words += [word for name, n in how.items() for word in (f"--{name}", str(n))]
    return {
        "url": "http://127.0.0.1:{port}/v1",
        "model": gguf.stem,
        "prompts": "ids",
        "launch": {"command": shlex.join(words + ["--exact"] * exact)},
        "limits": {"concurrency": slots},
    }


def main() -> None:
    """Serve until a signal."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("gguf")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--slots", type=int, default=1)
    parser.add_argument("--context", type=int, default=2048)
    parser.add_argument("--exact", action="store_true")
    given = parser.parse_args()

    import xllamacpp

    how = xllamacpp.CommonParams()
    how.model.path = given.gguf
    how.port = given.port
    how.n_parallel = given.slots
    how.n_ctx = given.context * given.slots
    how.cpuparams.n_threads = how.cpuparams_batch.n_threads = given.threads
    how.fit_params = False  # would change the context to what memory allows
    if given.exact:
        attention = xllamacpp.llama_flash_attn_type
        how.flash_attn_type = attention.LLAMA_FLASH_ATTN_TYPE_DISABLED
        how.cache_type_k = how.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    server = xllamacpp.Server(how)
    print(f"xllamacpp {xllamacpp.__version__}: {server.listening_address}", flush=True)
    print(xllamacpp.get_system_info(), flush=True)
    signal.pause()


if __name__ == "__main__":
    main()
