"""The merge methods of mergekit 0.1.5, in one literal table: what each takes, and what it is called here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

REQUIRED = None
"""The default of a parameter that has none."""

INERT = "int8_mask"
"""What any method may be given: the type mergekit keeps masks in, which changes its memory and no result."""

YES_NO = ("true", "false")


@dataclass(frozen=True)
class Parameter:
    """One parameter of a method.

    Attributes:
        name: what mergekit calls it.
        default: what holds where it is not given, as text; `REQUIRED` if it must be.
        kind: `number` (may vary from tensor to tensor), `whole` or `flag`.
        each: whether every model has its own.
        option: what it is called here, where that is another name.
        words: what true and false of a flag are here.
        only: the one value that is supported, where there is one; it is left unsaid.
        alike: whether it is one number for all models here, though each has its own in mergekit.
    """

    name: str
    default: str | None = REQUIRED
    kind: Literal["number", "whole", "flag"] = "number"
    each: bool = False
    option: str = ""
    words: tuple[str, str] = YES_NO
    only: str = ""
    alike: bool = False

    @property
    def keyword(self) -> str:
        """The option of the operator it becomes."""
        return self.option or self.name


@dataclass(frozen=True)
class Method:
    """A merge method.

    Attributes:
        name: what mergekit calls it.
        operator: the function of our expressions.
        base: whether models are measured from a base; `none`: it only gives config and tokenizer.
        parameters: what can be set.
        fewest, most: models beside the base; most = 0 is any number.
        anchored: whether the base is the first operand itself, and not what the others are measured from.
        spread: whether operands stand in a row, and not in a list.
        fixed: options that are always the same.
    """

    name: str
    operator: str
    base: Literal["needed", "optional", "none"]
    parameters: tuple[Parameter, ...] = ()
    fewest: int = 1
    most: int = 0
    anchored: bool = False
    spread: bool = False
    fixed: tuple[tuple[str, str], ...] = ()

    def parameter(self, name: str) -> Parameter | None:
        """Return the parameter called `name`, or None."""
        return next((each for each in self.parameters if each.name == name), None)


WEIGHT = Parameter("weight", each=True, option="weights")
DENSITY = Parameter("density", "1", each=True)
EPSILON = Parameter("epsilon", "0.15", each=True, alike=True)
GAMMA = Parameter("gamma", "0.01", each=True)
LAMBDA = Parameter("lambda", "1")
THEIRS = ("compat", '"mergekit"')
SEED = ("seed", "0")


def _flag(name: str, default: str, option: str = "", words: tuple[str, str] = YES_NO) -> Parameter:
    return Parameter(name, default, "flag", option=option, words=words)


def _family(
    name: str, *trimming: Parameter, normalize: str, rescale: Parameter, random: bool = False
) -> Method:
    """Return one of the methods that trim task vectors and add them up, lambda times the whole."""
    parameters = (WEIGHT, *trimming, _flag("normalize", normalize), rescale, LAMBDA)
    fixed = (SEED, THEIRS) if random else (THEIRS,)
    return Method(name, name, "needed", parameters, fixed=fixed)


RESCALE, NO_RESCALE = (_flag("rescale", default, words=('"l1"', '"none"')) for default in YES_NO)

METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method("linear", "linear", "none", (WEIGHT, _flag("normalize", "true"))),
        Method("passthrough", "passthrough", "none", (Parameter("scale", "1", each=True),), most=1),
        Method("task_arithmetic", "task_arithmetic", "needed", (WEIGHT, _flag("normalize", "false"), LAMBDA)),
        _family("ties", DENSITY, normalize="true", rescale=NO_RESCALE),
        _family("dare_linear", DENSITY, normalize="false", rescale=RESCALE, random=True),
        _family("dare_ties", DENSITY, normalize="false", rescale=RESCALE, random=True),
        _family("della", DENSITY, EPSILON, normalize="true", rescale=RESCALE, random=True),
        _family("della_linear", DENSITY, EPSILON, normalize="false", rescale=RESCALE, random=True),
        _family("breadcrumbs", DENSITY, GAMMA, normalize="false", rescale=NO_RESCALE),
        _family("breadcrumbs_ties", DENSITY, GAMMA, normalize="false", rescale=NO_RESCALE),
        Method("sce", "sce", "needed", (Parameter("select_topk", "1"),), fixed=(("normalize", "true"),)),
        Method("ram", "ram", "needed", (Parameter("epsilon", "1e-5"),)),
        Method(
            "ramplus_tl", "ramplus", "needed",
            (Parameter("epsilon", "1e-5"), Parameter("r", "0.1"), Parameter("alpha", "0.2")),
        ),
        Method(
            "model_stock", "model_stock", "needed",
            (_flag("filter_wise", "false", "per", ('"row"', '"tensor"')),), fewest=2, fixed=(THEIRS,),
        ),
        Method("nearswap", "nearswap", "needed", (Parameter("t"),), most=1, spread=True, fixed=(THEIRS,)),
        Method(
            "slerp", "slerp", "needed", (Parameter("t"),), most=1, anchored=True, spread=True, fixed=(THEIRS,)
        ),
        Method(
            "nuslerp", "nuslerp", "optional",
            (WEIGHT, _flag("nuslerp_flatten", "true"), _flag("nuslerp_row_wise", "false")),
            fewest=2, most=2, spread=True, fixed=(THEIRS,),
        ),
        Method(
            "multislerp", "multislerp", "optional",
            (WEIGHT, _flag("normalize_weights", "true", "normalize"), Parameter("eps", "1e-8", only="1e-8")),
            fewest=2, fixed=(THEIRS,),
        ),
        Method(
            "karcher", "karcher", "none",
            (Parameter("max_iter", "10", "whole"), Parameter("tol", "1e-5")), fewest=2,
        ),
        Method("arcee_fusion", "arcee_fusion", "needed", most=1, anchored=True, spread=True),
    )
}  # fmt: skip

ALL_PARAMETERS = sorted({each.name for method in METHODS.values() for each in method.parameters} | {INERT})


def takers(parameter: str) -> list[str]:
    """Return the methods that take a parameter of this name."""
    return [method.name for method in METHODS.values() if method.parameter(parameter)]
