"""inspect: what is in a file or folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Mapping

    from weightarith.measure import Norm
    from weightarith.store import Source


@click.command()
@click.argument("thing", metavar="X")
@click.option("--headers", is_flag=True, help="Read headers only: no norms.")
@click.option("--tensors", is_flag=True, help="One line a tensor.")
@click.option("--threads", type=click.IntRange(0, 256), default=0, help="Worker threads; 0 is one a core.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def inspect(thing: str, headers: bool, tensors: bool, threads: int, as_json: bool) -> None:
    """Print what X holds: dtypes, shapes, norms by layer and role, and where it comes from.

    X is a model, a vector or an adapter. Norms read every weight once; --headers does without.
    """
    import json

    from weightarith.cli.opening import opened
    from weightarith.provenance import space_of

    source = opened(thing, thing).source
    measured = {} if headers else _norms(source, threads)
    found: dict[str, Any] = {
        "path": str(source.path),
        "kind": source.kind,
        "files": {file.path.name: file.stamp.size for file in source.files},
        "dtypes": _dtypes(source),
        "tensors": _tensors(source, measured),
        "space": space_of(source),
        "provenance": _provenance(source),
    }
    if measured:
        found["norms"] = _summaries(measured)
    if as_json:
        click.echo(json.dumps(found, indent=1, ensure_ascii=False))
    else:
        _print(found, each=tensors)


def _norms(source: Source, threads: int) -> dict[str, Norm]:
    from weightarith.cli.talk import progress
    from weightarith.engine.devices import cores
    from weightarith.measure import norms

    with progress(sum(file.stamp.size for file in source.files)) as moved:
        return norms(source, threads=threads or cores(), progress=moved)


def _summaries(measured: dict[str, Norm]) -> dict[str, Any]:
    from weightarith.measure import by_layer, by_role, total

    return {"total": total(measured.values()), "by_layer": by_layer(measured), "by_role": by_role(measured)}


def _dtypes(source: Source) -> dict[str, int]:
    found: dict[str, int] = {}
    for file in source.files:
        for info in file.tensors.values():
            found[info.dtype.code] = found.get(info.dtype.code, 0) + 1
    return dict(sorted(found.items()))


def _tensors(source: Source, measured: Mapping[str, Norm]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, stored in {**source.tensors, **source.replaced}.items():
        found[name] = {"dtype": stored.info.dtype.code, "shape": list(stored.info.shape)}
        if name in source.replaced:
            found[name]["replaces"] = True
    for name, factored in source.factors.items():
        lowrank = {"rank": factored.rank, "dtype": factored.left.stored.info.dtype.code}
        found[name] = {**found.get(name, {}), "shape": list(factored.shape), **lowrank}
    for name, norm in measured.items():
        found[name] |= {"norm": norm.norm, "largest": norm.largest, "nonfinite": norm.nonfinite}
    return found


def _provenance(source: Source) -> dict[str, str]:
    if source.kind == "adapter" and source.config is not None:
        keys = ("base_model_name_or_path", "revision", "r", "lora_alpha", "use_rslora", "modules_to_save")
        return {key: str(source.config[key]) for key in keys if source.config.get(key)}
    known = source.metadata or (source.files[0].metadata if len(source.files) == 1 else {})
    return {key.removeprefix("weightarith."): value for key, value in sorted(known.items())}


def _print(found: dict[str, Any], *, each: bool) -> None:
    from weightarith.cli.talk import size
    from weightarith.errors import quoted

    files = found["files"]
    click.echo(f"{found['path']}: {found['kind']}, {len(found['tensors'])} tensors, "
               f"{size(sum(files.values()))} in {len(files)} file{'s' * (len(files) != 1)}")  # fmt: skip
    click.echo("  stored as  " + ", ".join(f"{code} ×{count}" for code, count in found["dtypes"].items()))
    for key, value in found["provenance"].items():
        click.echo(f"  {key:<9}  {quoted(value)[1:-1]}")
    if norms := found.get("norms"):
        click.echo(f"  norm       {norms['total']:.6g}")
        for title, key in (("role", "by_role"), ("layer", "by_layer")):
            click.echo(f"  by {title}")
            for group, norm in norms[key].items():
                click.echo(f"    {group:>9}  {norm:.6g}")
    if each:
        for name, tensor in found["tensors"].items():
            rank = f" rank {tensor['rank']}" if "rank" in tensor else ""
            norm = f"  norm {tensor['norm']:.6g}" if "norm" in tensor else ""
            click.echo(f"  {quoted(name)[1:-1]}  {tensor['dtype']} {tensor['shape']}{rank}{norm}")
