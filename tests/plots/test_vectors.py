"""Pictures of vectors, and the files they go to."""

from __future__ import annotations

from pathlib import Path

import pytest

from weightarith.errors import RecipeError, StorageError, TargetError
from weightarith.plots.save import check_picture, write_picture
from weightarith.plots.vectors import kept_shares, layer_norms


def test_layers_are_drawn_in_order_and_what_is_outside_is_left_aside() -> None:
    norms = {"v": {"10": 1.0, "9": 2.0, "outside": 50.0}, "w": {"outside": 1.0}}

    picture = layer_norms(norms)

    assert picture == layer_norms({"v": {"9": 2.0, "10": 1.0}})
    with pytest.raises(RecipeError, match="there are no layers to draw"):
        layer_norms({"w": norms["w"]})


def test_shares_are_drawn_up_to_the_last_direction() -> None:
    many = [1 - 0.9**place for place in range(1, 500)]

    assert kept_shares({"v": many, "none": []}).svg.count("<use") < 200
    with pytest.raises(RecipeError, match="there is no matrix to draw"):
        kept_shares({"none": []})


def test_a_picture_replaces_pictures_only(tmp_path: Path) -> None:
    place = tmp_path / "layers.png"
    picture = layer_norms({"v": {"0": 1.0, "1": 2.0}})
    check_picture(place, overwrite=False)
    write_picture(picture, place)
    assert place.read_bytes() == picture.png

    check_picture(place, overwrite=True)
    with pytest.raises(TargetError, match="exists"):
        check_picture(place, overwrite=False)
    place.write_bytes(b"notes")
    with pytest.raises(TargetError, match="is no picture"):
        check_picture(place, overwrite=True)
    link = tmp_path / "link.svg"
    link.symlink_to(place)
    with pytest.raises(TargetError, match="symbolic link"):
        check_picture(link, overwrite=True)
    with pytest.raises(StorageError, match="does not exist"):
        check_picture(tmp_path / "none" / "a.svg", overwrite=False)
