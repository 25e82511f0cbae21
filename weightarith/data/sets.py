"""Sets of prompts that ship with the package, each a folder with its list, its JSON Lines and its suite.

A set is `sets/NAME/`. Its `set.yaml` lists every file of JSON Lines in it, with its rows and its hash:

    weightarith_set: 1                        # number of this format
    name: sycophancy                          # the folder's name
    version: 1.0.0                            # numbers found with another version are not to be compared
    licence: CC0-1.0                          # or Apache-2.0
    description: agreeing with a user whatever he says
    training: {claims: claims.jsonl}          # name: a file of pairs or chats; left out where there is none
    evaluation: [plain.jsonl]                 # files that no training reads
    files:
      claims.jsonl: {rows: 160, sha256: "…", what: a user's claim about a simple fact}
      plain.jsonl: {rows: 120, sha256: "…", what: other facts, no claim}

`suite.yaml` beside it, where there is one, says what is measured with the files, `suite-WORD.yaml` what else
can be. Suites are no files of the list.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from weightarith.errors import RecipeError, quoted
from weightarith.recipe.caret import listed, nearest
from weightarith.recipe.fields import listing, mapping, table, text, wrong
from weightarith.recipe.strictyaml import Entry, decoded, read_yaml

FORMAT = "1"
LIST, TRAIT = "set.yaml", "trait.yaml"
_REQUIRED = ("weightarith_set", "name", "version", "licence", "description", "evaluation", "files")


@dataclass(frozen=True)
class SetFile:
    """What a set's list says of one of its files."""

    rows: int
    sha256: str  # of its bytes, in hexadecimal
    what: str


@dataclass(frozen=True)
class ShippedSet:
    """A set of prompts.

    Attributes:
        folder: where its files are.
        training: what a vector can be trained on, by name: files of pairs or of chats.
        evaluation: files that are only measured with; no fact, entity or wording of theirs is trained on.
        files: every file of JSON Lines, by name.
    """

    name: str
    version: str
    licence: str
    description: str
    folder: Path
    training: dict[str, Path]
    evaluation: tuple[Path, ...]
    files: dict[str, SetFile]

    @property
    def suite(self) -> Path:
        """The suite that measures this set's behaviour.

        Raises:
            RecipeError: the set has none, because it serves the suites of others.
        """
        if "" not in self.suites:
            raise RecipeError(
                f"the set {quoted(self.name)} has no suite", hint="suites of other sets use its files"
            )
        return self.suites[""]

    @property
    def suites(self) -> dict[str, Path]:
        """Every suite of the set by its word: that of `suite-cues.yaml` is "cues", of `suite.yaml` none."""
        found = sorted(self.folder.glob("suite*.yaml"))
        return {path.stem.removeprefix("suite").removeprefix("-"): path for path in found}

    def suite_of(self, word: str) -> Path:
        """Return a suite by its word.

        Raises:
            RecipeError: the set has no such suite; the error names the nearest one.
        """
        if not word:
            return self.suite
        words = tuple(filter(None, self.suites))
        return self.suites[_known(word, words, f"further suite of the set {quoted(self.name)}")]

    def path(self, file: str) -> Path:
        """Return where a file of the set is.

        Raises:
            RecipeError: the set has no such file; the error names the nearest one.
        """
        return self.folder / _known(file, tuple(self.files), f"file of the set {quoted(self.name)}")

    @property
    def trait(self) -> Path | None:
        """Where the set describes its behaviour, for `generate` and for system prompts; None: nowhere."""
        found = self.folder / TRAIT
        return found if found.is_file() else None

    def trained_on(self, name: str = "") -> Path:
        """Return where the file of a training is; without a name that of the only one.

        Raises:
            RecipeError: the set has no training of that name, and the error names the nearest one; or none is
                named where there is not exactly one.
        """
        known = tuple(self.training)
        if not known:
            raise RecipeError(f"the set {quoted(self.name)} has no training: its files are measured with")
        if name:
            return self.training[_known(name, known, f"training of the set {quoted(self.name)}")]
        if len(known) > 1:
            raise RecipeError(
                f"the set {quoted(self.name)} has more than one training: {listed(known)}",
                hint=f"{self.name}:{known[0]}",
            )
        return self.training[known[0]]


def shipped() -> tuple[str, ...]:
    """Return the names of the sets that ship with the package, in order."""
    return tuple(sorted(folder.parent.name for folder in _home().glob(f"*/{LIST}")))


def open_set(name: str) -> ShippedSet:
    """Return the set of a name.

    Raises:
        RecipeError: none has this name; the error names the nearest one.
    """
    return read_set(_home() / _known(name, shipped(), "set of prompts"))


def read_set(folder: Path) -> ShippedSet:
    """Return the set in a folder; its list is read strictly, its files are neither opened nor hashed.

    Raises:
        RecipeError: there is no list, or it says something that is no list, with line and column.
    """
    source = folder / LIST
    try:
        data = source.read_bytes()
    except OSError as error:
        raise RecipeError(f"cannot read {quoted(str(source))}: {error.strerror}") from None
    node = read_yaml(decoded(data, str(source)), str(source))
    entries = table(node, "a set", (*_REQUIRED, "training"), _REQUIRED)
    words = {key: text(entries[key].value, key) for key in _REQUIRED[:5]}
    _check_header(words, entries, folder)
    files = {file: _file(entry) for file, entry in mapping(entries["files"].value, "files").items()}
    training = mapping(entries["training"].value, "training") if "training" in entries else {}
    return ShippedSet(
        words["name"], words["version"], words["licence"], words["description"], folder,
        {key: folder / _listed_file(entry, files) for key, entry in training.items()},
        tuple(
            folder / _listed_file(Entry(item.place, item), files)
            for item in listing(entries["evaluation"].value, "evaluation")
        ),
        files,
    )  # fmt: skip


def _home() -> Path:
    return Path(str(resources.files("weightarith.data"))) / "sets"


def _known(word: str, known: tuple[str, ...], what: str) -> str:
    if word in known:
        return word
    raise RecipeError(
        f"no {what} is called {quoted(word)}; there are {listed(known) or 'none'}", hint=nearest(word, known)
    )


def _check_header(words: dict[str, str], entries: dict[str, Entry], folder: Path) -> None:
    if words["weightarith_set"] != FORMAT:
        raise wrong(entries["weightarith_set"].value, f"format {FORMAT} of sets, the only one there is")
    if words["name"] != folder.name:
        raise wrong(entries["name"].value, f"the folder's name, {folder.name}")


def _file(entry: Entry) -> SetFile:
    keys = ("rows", "sha256", "what")
    entries = table(entry.value, "a file", keys, keys)
    rows, digest, what = (text(entries[key].value, key) for key in keys)
    if not (rows.isascii() and rows.isdigit() and int(rows) > 0):
        raise wrong(entries["rows"].value, "a number of rows")
    if len(digest) != 64 or not set(digest) <= set("0123456789abcdef"):
        raise wrong(entries["sha256"].value, "64 hexadecimal digits")
    return SetFile(int(rows), digest, what)


def _listed_file(entry: Entry, files: dict[str, SetFile]) -> str:
    name = text(entry.value, "a file")
    if name not in files:
        raise entry.value.place.error(
            f"{quoted(name)} is not listed under files", hint=nearest(name, files) or "list it there"
        )
    return name
