"""The files beside the weights that make a folder a model: config, tokenizer, chat template.

They are data to us: copied as they are, never run. Only files known to be harmless are taken, so no Python
file travels from one model to another. What cannot be a copy is written: see `config` and `chat`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Literal

from weightarith.algebra import Checkpoint, Leaf, Sum
from weightarith.engine.chat import AUTO, FILE, INSIDE, KEY, elected, template_of
from weightarith.engine.config import result_config, to_json
from weightarith.engine.frame import Frame, leaves_read
from weightarith.engine.plan import Job
from weightarith.engine.settings import Output
from weightarith.engine.tokenizers import Tokenizer
from weightarith.engine.vocabularies import check_tokens, folders_of
from weightarith.errors import RecipeError, quoted
from weightarith.tensorfile.jsonfile import CONFIG_LIMIT, read_object

CONFIG = "config.json"
TEMPLATES = "chat_template*"
OF_TOKENIZER = (
    "tokenizer*.json", "special_tokens_map.json", "added_tokens.json", "vocab.json", "vocab.txt",
    "merges.txt", "*.model", "*.tiktoken", TEMPLATES,
)  # fmt: skip
OF_MODEL = (
    CONFIG, "generation_config.json", "preprocessor_config.json", "processor_config.json",
    "video_preprocessor_config.json", "LICENSE*", "NOTICE*",
)  # fmt: skip
"""Names of the files that are copied beside a checkpoint."""


@dataclass(frozen=True)
class Beside:
    """The files beside the weights: those copied, the content of those written by name, and warnings."""

    copies: tuple[Path, ...] = ()
    written: Mapping[str, bytes] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def sidecars(total: Sum, output: Output, frame: Frame, jobs: Iterable[Job]) -> Beside:
    """Return the files to put beside the weights of a result; small files are read, no weight is.

    Raises:
        RecipeError: `like` or `tokenizer` names no checkpoint, or no model has the template asked for.
        IncompatibleError: the config of `like` contradicts the result.
        UnsupportedError: the tokens of the models merged are not those of `tokenizer`.
    """
    model = frame.model
    if total.kind == "vector" or model is None:
        return Beside(warnings=tuple(_left_out(output, "a vector")))
    model = _named("like", output.like, total, output) or model
    reader = _named("tokenizer", output.tokenizer, total, output) or model
    folders, alone = folders_of(leaves_read(total)), output.path.suffix == ".safetensors"
    warnings = tuple(_tokens(reader, folders, jobs, asked=bool(output.tokenizer) and not alone))
    if alone:
        return Beside(warnings=(*_left_out(output, "a single file"), *warnings))
    config, unsure = result_config(model, frame, asked=bool(output.like))
    written = {CONFIG: to_json(config)} if config is not None else {}
    copies = [
        *(path for path in _files(model.source.folder, OF_MODEL) if path.name not in written),
        *_files(reader.source.folder, OF_TOKENIZER),
    ]
    missing = _missing(model, reader, {path.name for path in copies} | written.keys())
    if template := _template(output.chat_template, folders, reader.source.folder):
        copies, instead = _with_template(copies, template)
        written |= instead
    copies.sort(key=lambda path: path.name)
    return Beside(tuple(copies), written, (*missing, *unsure, *warnings))


def _left_out(output: Output, what: str) -> Iterator[str]:
    asked = [key for key in ("tokenizer", "chat_template") if getattr(output, key)]
    if asked:
        yield f"{' and '.join(asked)} left out: {what} has no other files beside it"


def _named(key: Literal["like", "tokenizer"], label: str, total: Sum, output: Output) -> Leaf | None:
    """Return the checkpoint an output names, if it names one: an input of the sum, or another one."""
    inputs = (leaf for term in total.terms for leaf in term.leaf.leaves)
    leaves = {leaf.label: leaf for leaf in (*inputs, *output.others) if isinstance(leaf, Checkpoint)}
    if label and label not in leaves:
        raise RecipeError(
            f"output: {key}: {quoted(label)} is no model of this sum; it has {', '.join(sorted(leaves))}"
        )
    if key == "tokenizer" and label and leaves[label].source.folder is None:
        raise RecipeError(f"output: {key}: {quoted(label)} is a single file, and has no tokenizer beside it")
    return leaves[label] if label else None


def _tokens(reader: Leaf, folders: Mapping[Path, str], jobs: Iterable[Job], *, asked: bool) -> Iterator[str]:
    folder = reader.source.folder
    if folder is not None:
        label = reader.label if asked else folders.get(folder, reader.label)
        yield from check_tokens(jobs, folders, Tokenizer(label, folder), asked=asked)


def _files(folder: Path | None, patterns: Iterable[str]) -> list[Path]:
    inside = folder.iterdir() if folder is not None else ()
    return [path for path in inside if any(fnmatch(path.name, each) for each in patterns) and path.is_file()]


def _missing(model: Leaf, reader: Leaf, names: Iterable[str]) -> Iterator[str]:
    """Yield warnings about what a folder of transformers has, and the result has not."""
    folder = model.source.folder
    if folder is None:
        lost = [] if CONFIG in names else ["no config"]
        lost += ["no tokenizer"] if reader.source.folder is None else []
        if lost:
            yield f"{model.label} is a single file, so {' and '.join(lost)} is copied beside the weights"
        return
    if CONFIG not in names:
        yield f"{model.label} holds no {CONFIG} to copy"
    code = sorted(path.name for path in folder.glob("*.py"))
    if code:
        yield f"{model.label} comes with code of its own ({', '.join(code)}), which is not copied"


def _template(asked: str, folders: Iterable[Path], reader: Path | None) -> str:
    """Return the template to write, nothing where the files that are copied have it already."""
    if asked != AUTO:
        return asked
    chosen = elected(folders, reader)
    return "" if reader is not None and template_of(reader) == chosen else chosen


def _with_template(copies: Iterable[Path], template: str) -> tuple[list[Path], dict[str, bytes]]:
    """Return what is copied, and what is written, so that `template` is the only one."""
    written = {FILE: template.encode()}
    kept = []
    for path in copies:
        if fnmatch(path.name, TEMPLATES):
            continue
        content = read_object(path, CONFIG_LIMIT) if path.name in INSIDE else {}
        if content.pop(KEY, None) is None:
            kept.append(path)
        else:
            written[path.name] = to_json(content)
    return kept, written
