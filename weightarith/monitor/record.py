"""What a monitor found, as a JSON file; what is not such a file is never replaced."""

from __future__ import annotations

import json
from pathlib import Path

from weightarith.errors import TargetError, WeightArithError, quoted
from weightarith.monitor.watching import Monitored
from weightarith.store.stage import check_target, disk_error, write_small
from weightarith.tensorfile.jsonfile import CONFIG_LIMIT, read_object

KEY, FORMAT = "weightarith_monitor", 1


def check_record(path: Path, *, overwrite: bool) -> None:
    """Refuse a place that a record must not be written to, before anything is looked at.

    Raises:
        TargetError: something stands there; without `overwrite`, or it is no such record.
        StorageError: its folder does not exist or cannot be written.
    """
    if path.is_symlink() or not path.is_file():
        check_target(path, (), overwrite=False)
        return
    try:
        ours = read_object(path, CONFIG_LIMIT).get(KEY) == FORMAT
    except WeightArithError:
        ours = False
    if not (ours and overwrite):
        raise TargetError(
            f"{quoted(str(path))} exists" + ("" if ours else ", and is not what monitor writes"),
            hint="choose another file" + (", or add --overwrite" if ours else ""),
        )


def write_record(found: Monitored, path: Path) -> None:
    """Write what a monitor found; an earlier record stays whole until the new one is.

    Raises:
        StorageError: the disk said no.
    """
    content = {KEY: FORMAT, **found.to_json()}
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    beside = path.with_name(f".{path.name}.partial")
    try:
        beside.unlink(missing_ok=True)
        write_small(beside, text.encode())
        beside.replace(path)
    except OSError as error:
        raise disk_error(error, path) from error
