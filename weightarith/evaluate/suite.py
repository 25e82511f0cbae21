"""A suite: what is measured, which number is the behaviour, and which ones are its costs.

    weightarith_suite: 1                      # number of this format
    name: sycophancy
    version: 1.0.0                            # numbers found with another version are not to be compared
    behaviour: claims.trait                   # METRIC.OUTCOME that a positive strength raises
    cost: divergence.response                 # what methods are matched on: an outcome of a divergence
    capability: [facts.correct]               # what is to be kept
    panel: [agreement.trait, text.perplexity] # what nobody asked to change; left out where there is nothing
    metrics:
      claims: {kind: preference, data: claims.jsonl}
      facts: {kind: preference, data: facts.jsonl, correct: negative}
      …

Paths are relative to the suite. Other keys of a metric are the options of its kind.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from weightarith.data.sets import open_set, shipped
from weightarith.errors import RecipeError, quoted
from weightarith.evaluate.kinds import KINDS, Kind
from weightarith.evaluate.outcome import Metric, Relative
from weightarith.recipe.caret import listed, nearest
from weightarith.recipe.document import read_text
from weightarith.recipe.fields import choice, listing, mapping, table, text, wrong
from weightarith.recipe.strictyaml import Entry, Listing, Node, Place, Scalar, read_yaml

FORMAT = "1"
SUFFIXES = (".yaml", ".yml")
_HEADER = ("weightarith_suite", "name", "version")
_REQUIRED = (*_HEADER, "behaviour", "cost", "capability", "metrics")


@dataclass(frozen=True)
class Spec:
    """A metric as a suite describes it.

    Attributes:
        kind: a name in `KINDS`.
        data: the file it asks from; None where it needs none.
        options: everything else, as texts and lists and tables of them.
        place: where it stands.
    """

    kind: str
    data: Path | None
    options: Mapping[str, object]
    place: Place

    @property
    def known(self) -> Kind:
        """What is known of its kind."""
        return KINDS[self.kind]

    def make(self) -> Metric | Relative:
        """Return the metric.

        Raises:
            RecipeError: an option is unknown, or means nothing; the error says where the metric stands.
            InvalidFileError: its data are not what it reads.
        """
        try:
            return self.known.make(self.data, self.options)
        except RecipeError as error:
            raise self.place.error(error.message, hint=error.hint) from None


@dataclass(frozen=True)
class Suite:
    """Metrics, and the part that each of their outcomes plays.

    Attributes:
        path: its file.
        behaviour: METRIC.OUTCOME that a positive strength raises.
        cost: METRIC.OUTCOME that methods are matched on.
        capability: METRIC.OUTCOME that are to be kept.
        panel: METRIC.OUTCOME that nobody asked to change.
        metrics: by name, in the order of the file.
    """

    path: Path
    name: str
    version: str
    behaviour: str
    cost: str
    capability: tuple[str, ...]
    panel: tuple[str, ...]
    metrics: dict[str, Spec]

    @property
    def label(self) -> str:
        """Name and version."""
        return f"{self.name} {self.version}"

    @property
    def named(self) -> tuple[str, ...]:
        """Every METRIC.OUTCOME that plays a part, once."""
        return tuple(dict.fromkeys((self.behaviour, self.cost, *self.capability, *self.panel)))

    @property
    def files(self) -> tuple[Path, ...]:
        """The suite's own file and all its data, once: what its numbers depend on."""
        data = [spec.data for spec in self.metrics.values() if spec.data is not None]
        return (self.path, *dict.fromkeys(data))

    def chosen(self, only: Collection[str] | None) -> dict[str, Spec]:
        """Return some metrics, all without `only`, in the order of the file.

        Raises:
            RecipeError: there is no metric of such a name; the error names the nearest one.
        """
        for name in only or ():
            if name not in self.metrics:
                raise RecipeError(
                    f"the suite {quoted(self.name)} has no metric {quoted(name)}; "
                    f"it has {listed(self.metrics)}",
                    hint=nearest(name, self.metrics),
                )
        return {name: spec for name, spec in self.metrics.items() if only is None or name in only}


def read_suite(name_or_path: str | Path) -> Suite:
    """Return a suite: that of a shipped set by its NAME, or NAME:WORD, or of a file that ends in .yaml.

    Raises:
        RecipeError: there is none, or it means nothing; the error names line, key and the nearest name.
        InvalidFileError: a file of data is not there.
    """
    path = Path(name_or_path)
    if path.suffix not in SUFFIXES and not path.is_file():
        name, _, word = str(name_or_path).partition(":")
        if name not in shipped():
            raise RecipeError(
                f"no suite is called {quoted(str(name_or_path))}; there are {listed(shipped()) or 'none'}",
                hint=nearest(name, shipped()) or "a file of your own ends in .yaml",
            )
        path = open_set(name).suite_of(word)
    entries = table(read_yaml(read_text(path), str(path)), "a suite", (*_REQUIRED, "panel"), _REQUIRED)
    if text(entries["weightarith_suite"].value, "weightarith_suite") != FORMAT:
        raise wrong(entries["weightarith_suite"].value, f"format {FORMAT} of suites, the only one there is")
    metrics = {
        name: _spec(name, entry, path.parent)
        for name, entry in mapping(entries["metrics"].value, "metrics").items()
    }
    if not metrics:
        raise entries["metrics"].value.place.error("no metrics, expected at least one")
    return Suite(
        path, text(entries["name"].value, "name"), text(entries["version"].value, "version"),
        _outcome(entries["behaviour"].value, "behaviour", metrics), _cost(entries["cost"].value, metrics),
        _outcomes(entries["capability"], "capability", metrics),
        _outcomes(entries["panel"], "panel", metrics) if "panel" in entries else (), metrics,
    )  # fmt: skip


def _spec(name: str, entry: Entry, folder: Path) -> Spec:
    if "." in name or "," in name or not name.strip():
        raise entry.place.error(f"{quoted(name)} cannot name a metric", hint="use words without . and ,")
    given = mapping(entry.value, f"the metric {name}")
    if "kind" not in given:
        raise entry.value.place.error(f"the metric {name} needs the key kind", hint=f"one of {listed(KINDS)}")
    kind = choice(given["kind"].value, f"kind of the metric {name}", tuple(KINDS))
    data = folder / text(given["data"].value, "data") if "data" in given else None
    if data is not None and not data.is_file():
        raise given["data"].value.place.error(
            f"no file {quoted(str(data))}", hint="paths are relative to the suite"
        )
    options = {key: _plain(one.value) for key, one in given.items() if key not in ("kind", "data")}
    return Spec(kind, data, options, entry.place)


def _plain(node: Node) -> object:
    """Return the texts of a node without their places."""
    if isinstance(node, Scalar):
        return node.text
    if isinstance(node, Listing):
        return [_plain(item) for item in node.items]
    return {key: _plain(entry.value) for key, entry in node.entries.items()}


def _outcomes(entry: Entry, what: str, metrics: Mapping[str, Spec]) -> tuple[str, ...]:
    return tuple(_outcome(node, what, metrics) for node in listing(entry.value, what))


def _outcome(node: Node, what: str, metrics: Mapping[str, Spec]) -> str:
    """Return METRIC.OUTCOME where there is such a metric, and its kind finds such an outcome."""
    word = text(node, what)
    metric, dot, outcome = word.partition(".")
    if not dot or not outcome:
        raise wrong(node, f"{what}, METRIC.OUTCOME")
    if metric not in metrics:
        raise node.place.error(
            f"{what} names the metric {quoted(metric)}; there are {listed(metrics)}",
            hint=nearest(metric, metrics),
        )
    known = metrics[metric].known.outcomes
    if known and outcome not in known:
        raise node.place.error(
            f"{what} names the outcome {quoted(outcome)}; a {metrics[metric].kind} has {listed(known)}",
            hint=nearest(outcome, known),
        )
    return word


def _cost(node: Node, metrics: Mapping[str, Spec]) -> str:
    word = _outcome(node, "cost", metrics)
    if not metrics[word.partition(".")[0]].known.is_relative:
        relative = [kind for kind, known in KINDS.items() if known.is_relative]
        raise wrong(node, f"cost, an outcome of a {' or '.join(relative)}", hint="it must be 0 at strength 0")
    return word
