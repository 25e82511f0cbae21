"""Adapters in a single file, of kohya's trainers, ComfyUI and diffusers, read as displacements.

The scale of a pair is alpha over the rank, alpha a tensor beside the factors or, in diffusers' files, a
setting in the header. A pair without one counts as it is: kohya's tools put the rank in the place of a
missing alpha and ComfyUI puts 1 in the place of the scale, and both come to 1.

Names stay those of the file; `mapping` finds the base's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from weightarith.adapter.alphas import read_alphas
from weightarith.adapter.config import Settings
from weightarith.adapter.diffusers import KEY, settings_by_component
from weightarith.adapter.spelling import component_of, taken_apart, variant
from weightarith.adapter.trained import PREFIX, summable
from weightarith.errors import InvalidFileError, UnsupportedError, quoted
from weightarith.tensorfile.factored import Factored, Matrix
from weightarith.tensorfile.model import Stored, TensorFile
from weightarith.tensorfile.sniff import shown

_HEADER_ALPHAS = ("ss_network_alpha", "lora_alpha", "network_alpha", "alpha")
_ELSEWHERE = "apply it once with the program it was made for, and use that checkpoint minus the base"


@dataclass(frozen=True, eq=False)
class SingleFile:
    """What a single-file adapter adds to weights, under the file's own names: `<module>.weight`, `.bias`."""

    factors: Mapping[str, Factored]
    dense: Mapping[str, Stored]


@dataclass
class _Module:
    """The names of all that one module has."""

    pairs: dict[str, dict[str, str]] = field(default_factory=dict)  # by style, then by side
    others: dict[str, str] = field(default_factory=dict)  # by role


def read_single_file(file: TensorFile) -> SingleFile:
    """Return the displacements in a single-file adapter: its header is read, and alphas of 8 bytes at most.

    Raises:
        InvalidFileError: a factor or an alpha stands alone, two do not fit, something is there twice, an
            alpha is no finite number, or the scale stands in an adapter_config.json and not in the file.
        UnsupportedError: a convolution, a variant of LoRA, or a tensor that is not understood.
    """
    modules = _sort(file)
    settings = settings_by_component(file)
    _refuse_bare(file, modules, settings)
    stored_alphas = {path: one.others["alpha"] for path, one in modules.items() if "alpha" in one.others}
    alphas = read_alphas(file, stored_alphas)
    factors, dense = {}, {}
    for path, module in modules.items():
        if module.pairs:
            down, up = _pair(file, module)
            component, inner = component_of(path)
            scale = _scale(file, down, alphas.get(path), settings.get(component), inner)
            factors[f"{path}.weight"] = Factored(Matrix(up[1]), Matrix(down[1]), scale)
        for role in ("weight", "bias"):
            if role in module.others:
                dense[f"{path}.{role}"] = summable(file, module.others[role])
        _expect_use(file, module)
    return SingleFile(factors, dense)


def _sort(file: TensorFile) -> dict[str, _Module]:
    modules: dict[str, _Module] = {}
    for name in file.tensors:
        spelt = taken_apart(name)
        if spelt is None:
            what = variant(name)
            raise UnsupportedError(
                f"{shown(file.path)} holds {quoted(name)}, "
                + (f"which is {what}" if what else "which is no part of a LoRA that is known here"),
                hint=_ELSEWHERE,
            )
        module = modules.setdefault(spelt.module, _Module())
        place = module.pairs.setdefault(spelt.style, {}) if spelt.style else module.others
        place[spelt.role] = name
    return modules


def _refuse_bare(file: TensorFile, modules: Mapping[str, _Module], settings: Mapping[str, Settings]) -> None:
    """Refuse factors saved by PEFT without its settings: their scale is anybody's guess."""
    told = bool(settings) or any("alpha" in module.others for module in modules.values())
    for path, module in modules.items():
        pair = module.pairs.get("peft")
        if pair and (path.startswith(PREFIX) or not (told or component_of(path)[0])):
            raise InvalidFileError(
                f"{shown(file.path)} holds the LoRA factor {quoted(min(pair.values()))}: "
                "its scale stands in adapter_config.json",
                hint=f"give the adapter's folder, which holds both: {shown(file.path.parent)}",
            )


def _pair(file: TensorFile, module: _Module) -> tuple[tuple[str, Stored], tuple[str, Stored]]:
    """Return name and tensor of the down (rank, in) and of the up (out, rank) factor of a module."""
    names = sorted(name for pair in module.pairs.values() for name in pair.values())
    pair, *more = module.pairs.values()
    if more or "weight" in module.others:
        second = module.others.get("weight", names[-1])
        raise InvalidFileError(
            f"{shown(file.path)} moves one weight twice, by {quoted(names[0])} and by {quoted(second)}"
        )
    if len(pair) < 2:
        raise InvalidFileError(f"{shown(file.path)} holds {quoted(names[0])} without its other factor")
    down, up = (_matrix(file, pair[side]) for side in ("down", "up"))
    (rank, _), (_, inner) = down.info.shape, up.info.shape
    if rank != inner:
        raise InvalidFileError(
            f"{shown(file.path)}: {quoted(pair['down'])} is {list(down.info.shape)} and {quoted(pair['up'])} "
            f"is {list(up.info.shape)}, expected (rank, in) and (out, rank)"
        )
    return (pair["down"], down), (pair["up"], up)


def _matrix(file: TensorFile, name: str) -> Stored:
    stored = summable(file, name)
    shape = stored.info.shape
    if len(shape) > 2:
        raise UnsupportedError(
            f"{shown(file.path)}: the factor {quoted(name)} is {list(shape)}, expected a matrix: "
            "LoRA on convolutions is not supported",
            hint=_ELSEWHERE,
        )
    if len(shape) < 2 or 0 in shape:
        raise InvalidFileError(
            f"{shown(file.path)}: the factor {quoted(name)} is {list(shape)}, expected a matrix"
        )
    return stored


def _scale(
    file: TensorFile, down: tuple[str, Stored], alpha: float | None, settings: Settings | None, module: str
) -> float:
    name, (rank, _) = down[0], down[1].info.shape
    if settings is None:
        if alpha is None:
            _expect_no_alpha_elsewhere(file, name, rank)
        return 1.0 if alpha is None else alpha / rank
    if settings.rank_at(module) != rank:
        raise InvalidFileError(
            f"{shown(file.path)}: {quoted(name)} is of the rank {rank}, and {KEY} in the header gives this "
            f"module the rank {settings.rank_at(module)}"
        )
    scale = settings.scale_at(module)
    if alpha is not None and alpha / rank != scale:
        raise InvalidFileError(
            f"{shown(file.path)} scales {quoted(name)} by {alpha / rank:g} in its alpha tensor and by "
            f"{scale:g} in {KEY} of its header",
            hint="remove one of the two: diffusers refuses such a file as well",
        )
    return scale


def _expect_no_alpha_elsewhere(file: TensorFile, name: str, rank: int) -> None:
    """Refuse an alpha in the header alone: some readers go by it and others do not."""
    for key in _HEADER_ALPHAS:
        said = file.metadata.get(key)
        if said is not None and said not in (str(rank), f"{rank}.0"):
            raise UnsupportedError(
                f"{shown(file.path)} has no alpha tensor beside {quoted(name)}, and its header says "
                f"{quoted(key)} is {quoted(said)}: readers differ on whether that counts",
                hint=f"store the alpha as a tensor, {quoted(name.partition('.lora')[0] + '.alpha')}",
            )


def _expect_use(file: TensorFile, module: _Module) -> None:
    if "alpha" in module.others and not module.pairs:
        raise InvalidFileError(
            f"{shown(file.path)} holds {quoted(module.others['alpha'])} without factors to scale"
        )
