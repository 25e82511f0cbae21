"""Which tensors of a vector file are encoded displacements: the header says so, and the file must agree.

https://arxiv.org/abs/2402.10193 (BitDelta) is the first of them; `tensorfile.encoded` has the table.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from weightarith.errors import InvalidFileError, quoted
from weightarith.tensorfile.encoded import KEY, MARK, PARTS, Encoded, check_parts, read_encodings, tensor_name
from weightarith.tensorfile.model import Stored
from weightarith.tensorfile.sniff import shown


def split_encoded(
    path: Path, stored: Mapping[str, Stored], metadata: Mapping[str, str]
) -> tuple[dict[str, Stored], dict[str, Encoded]]:
    """Return the tensors among `stored` that are not encoded, and the displacements that are.

    Raises:
        InvalidFileError: the header and the tensors do not agree: a part is missing, or of another dtype or
            shape than its kind needs, or a name is also there in another form.
    """
    text = metadata.get(KEY)
    if text is None:
        return dict(stored), {}
    encoded: dict[str, Encoded] = {}
    taken: set[str] = set()
    for name, (kind, shape) in read_encodings(text, shown(path)).items():
        names = {part: tensor_name(name, part) for part in PARTS[kind]}
        missing = next((one for one in names.values() if one not in stored), None)
        if missing is not None:
            raise InvalidFileError(
                f"{shown(path)} lacks {quoted(missing)}, and {KEY} in its header says that {quoted(name)} is "
                f"stored as {kind}"
            )
        encoded[name] = Encoded(name, kind, shape, {part: stored[one] for part, one in names.items()})
        check_parts(encoded[name])
        taken |= set(names.values())
    rest = {name: one for name, one in stored.items() if name not in taken}
    for name in rest:
        plain = name.partition(MARK)[0]
        if plain in encoded:
            raise InvalidFileError(
                f"{shown(path)} holds {quoted(name)} besides {quoted(plain)} as {encoded[plain].kind}: "
                "one displacement twice"
            )
    return rest, encoded
