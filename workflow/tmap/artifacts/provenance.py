"""Fingerprints of meaning: which code and which versions made a file.

Snakemake notices an edited library module only through its rule's params, so every rule
has `code=fingerprint(...)`: a hash over the syntax trees of its command module and of every
project module that this imports, transitively. Comments, docstrings and layout do not
count. Card values have params of their own, so cards and other plumbing are left out.

Every start of Snakemake and every job asks for them. Reading all syntax trees takes
seconds, so what a source file means is kept in the user's cache folder under its bytes.
"""

from __future__ import annotations

import ast
import hashlib
import json
import platform
from contextlib import suppress
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from tmap.artifacts.files import cache_folder, write_text
from tmap.errors import TmapError

PACKAGE = Path(__file__).parents[1]
#: Packages whose effect is visible elsewhere (params, schema versions), or that only print.
PLUMBING = frozenset(
    f"tmap.{name}" for name in ("artifacts", "cards", "dag", "jobs", "operations")
)
#: Single modules of the same kind; the rest of their packages counts.
FACES = frozenset(
    {"tmap", "tmap.cli", "tmap.commands", "tmap.errors", "tmap.indicators"}
)
PACKAGES = (
    "numpy scipy scikit-learn scikit-optimize pandas pyarrow girth torch "
    "transformers peft trl lm_eval accelerate POT snakemake"
).split()


@cache
def _path(module: str) -> Path | None:
    base = PACKAGE.joinpath(*module.split(".")[1:])
    path = base / "__init__.py" if base.is_dir() else base.with_suffix(".py")
    return path if path.is_file() else None


def _is_plumbing(module: str) -> bool:
    return module in FACES or ".".join(module.split(".")[:2]) in PLUMBING


class _Meaning(NamedTuple):
    """Of a source file: 16 hex digits of its code, and the project modules it imports."""

    code: str
    imports: tuple[str, ...]


@cache
def _meaning(path: Path, module: str) -> _Meaning:
    """Of a module; what a package ships beside its modules counts as its code."""
    is_package = path.name == "__init__.py"
    source = path.read_bytes()
    assets = sorted((path.parent / "assets").glob("*")) if is_package else []
    shipped = [(asset.name.encode(), asset.read_bytes()) for asset in assets]
    package = module if is_package else module.rpartition(".")[0]
    key = hashlib.sha256(repr((package, source, shipped)).encode()).hexdigest()
    kept = _kept()
    if key not in kept:
        tree = ast.parse(source)
        found = hashlib.sha256(repr(normal(tree)).encode())
        for name, data in shipped:
            found.update(name + data)
        imports = tuple(sorted(_imports(tree, package)))
        kept[key] = _Meaning(found.hexdigest()[:16], imports)
        _UNWRITTEN.add(key)
    return kept[key]


def _imports(tree: ast.Module, package: str) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")
            root = parts[: len(parts) - node.level + 1] if node.level else []
            origin = ".".join(root + ([node.module] if node.module else []))
            found |= {origin, *(f"{origin}.{alias.name}" for alias in node.names)}
    return {name for name in found if name.split(".")[0] == "tmap"}


#: Found by this process and not in the cache file yet.
_UNWRITTEN: set[str] = set()
#: More source files than this are of old versions: the cache file begins anew.
MOST_KEPT = 5000


def _cache_file() -> Path:
    """Another version of this module, or of Python, reads and writes another file."""
    reader = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:16]
    version = ".".join(platform.python_version_tuple()[:2])
    return cache_folder() / f"code-{reader}-{version}.json"


@cache
def _kept() -> dict[str, _Meaning]:
    """Meanings by key; none if the file is missing or anything but what is written here."""
    try:
        found = json.loads(_cache_file().read_text(encoding="utf-8"))
        return {
            str(key): _Meaning(str(code), tuple(map(str, imports)))
            for key, (code, imports) in found.items()
        }
    except (OSError, RuntimeError, ValueError, TypeError, AttributeError):
        return {}


def _keep() -> None:
    """Add what was found to the file. A cache that cannot be written costs only time."""
    if not _UNWRITTEN:
        return
    kept = _kept()
    if len(kept) > MOST_KEPT:
        for key in kept.keys() - _UNWRITTEN:
            del kept[key]
    _UNWRITTEN.clear()
    # A full or read-only disk, a file in the folder's place; no home folder.
    with suppress(OSError, TmapError, RuntimeError):
        write_text(_cache_file(), json.dumps(kept))


def closure(*modules: str) -> dict[str, Path]:
    """The modules and every project module that they import, without plumbing."""
    seen: dict[str, Path] = {}
    queue = list(modules)
    while queue:
        module = queue.pop()
        path = _path(module)
        if path is None or module in seen or _is_plumbing(module):
            continue
        seen[module] = path
        queue += _meaning(path, module).imports
    return dict(sorted(seen.items()))


def normal(node: object) -> object:
    """A syntax tree as nested tuples that do not differ between Python minors.

    `ast.dump` changes its text between minors (new fields, hidden defaults), so empty
    fields are dropped, as are docstrings and positions.
    """
    if isinstance(node, ast.AST):
        fields = []
        for name, value in ast.iter_fields(node):
            if name in ("kind", "type_comment", "ctx") or value in (None, []):
                continue
            if name == "body" and isinstance(value, list):
                value = [item for item in value if not _is_docstring(item)]
            fields.append((name, normal(value)))
        return (type(node).__name__, *fields)
    if isinstance(node, list):
        return tuple(normal(item) for item in node)
    return f"{type(node).__name__}:{node!r}"


def _is_docstring(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


@cache
def fingerprint(*modules: str) -> str:
    """16 hex digits over the code of these modules and all that they import.

    A bare name is a rule: `fingerprint("fit_irt")` starts at `tmap.commands.fit_irt`.
    """
    text = "".join(f"{name} {code}\n" for name, code in codes(*modules).items())
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def codes(*modules: str) -> dict[str, str]:
    """16 hex digits over the code of each of these modules and all that they import."""
    roots = [name if "." in name else f"tmap.commands.{name}" for name in modules]
    missing = [name for name in roots if _path(name) is None]
    if missing:
        raise LookupError(f"no such module: {', '.join(missing)}")
    found = {name: _meaning(path, name).code for name, path in closure(*roots).items()}
    _keep()
    return found


@cache
def versions() -> dict[str, str]:
    """Versions of Python and of the packages that can change a number."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
