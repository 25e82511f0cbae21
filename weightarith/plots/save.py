"""A picture as a file: SVG or PNG, by how its name ends; what is no picture is never replaced."""

from __future__ import annotations

from pathlib import Path

from weightarith.errors import RecipeError, TargetError, quoted
from weightarith.plots.picture import Picture
from weightarith.store.stage import check_target, disk_error, write_small

SUFFIXES = (".png", ".svg")
_STARTS = {".png": (b"\x89PNG\r\n\x1a\n",), ".svg": (b"<?xml", b"<svg")}


def check_picture(path: Path, *, overwrite: bool) -> None:
    """Refuse a place that a picture must not be written to, before it is drawn.

    Raises:
        RecipeError: the name ends otherwise than .png or .svg.
        TargetError: something stands there; without `overwrite`, or it is no picture.
        StorageError: its folder does not exist or cannot be written.
    """
    if path.suffix not in SUFFIXES:
        raise RecipeError(
            f"{quoted(str(path))} names no picture", hint=f"let it end in {' or '.join(SUFFIXES)}"
        )
    if path.is_symlink() or not path.is_file():
        check_target(path, (), overwrite=False)
        return
    with path.open("rb") as file:
        ours = file.read(8).startswith(_STARTS[path.suffix])
    if not (ours and overwrite):
        raise TargetError(
            f"{quoted(str(path))} exists" + ("" if ours else ", and is no picture"),
            hint="choose another file" + (", or add --overwrite" if ours else ""),
        )


def write_picture(picture: Picture, path: Path) -> None:
    """Write a picture in the form that its name ends in.

    Raises:
        StorageError: the disk said no.
    """
    content = picture.png if path.suffix == ".png" else picture.svg.encode()
    beside = path.with_name(f".{path.name}.partial")
    try:
        beside.unlink(missing_ok=True)
        write_small(beside, content)
        beside.replace(path)
    except OSError as error:
        raise disk_error(error, path) from error
