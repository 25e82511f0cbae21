"""Where a model lay on the machine it was merged on: no file beside the result says it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.speaking import edit_json, model, planned
from weightarith.engine.config import without_place
from weightarith.saving import carry_out


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    model(tmp_path / "a", depth=3)
    return tmp_path


@pytest.mark.parametrize("said", ["/scratch/jo/models/a", "./a", "~/a", "C:\\models\\a", "a/b/c"])
def test_no_file_beside_the_weights_says_where_a_model_lay(folder: Path, said: str) -> None:
    edit_json(folder / "a" / "config.json", _name_or_path=said, text_config={"_name_or_path": said, "x": 1})
    edit_json(folder / "a" / "tokenizer_config.json", name_or_path=said)
    plan = planned(folder, "a", "dtype: float32")

    carry_out(plan)
    told = json.loads((folder / "out" / "config.json").read_text())

    expected = json.loads((folder / "a" / "config.json").read_text())
    assert told["text_config"] == {"x": 1}
    assert {**told, "text_config": expected["text_config"], "_name_or_path": said}.keys() == expected.keys()
    assert "name_or_path" not in json.loads((folder / "out" / "tokenizer_config.json").read_text())


@pytest.mark.parametrize("said", ["org/name", "gpt2"])
def test_an_id_of_the_hub_beside_the_weights_stays_and_so_do_the_bytes(folder: Path, said: str) -> None:
    edit_json(folder / "a" / "config.json", _name_or_path=said)
    carry_out(planned(folder, "a"))
    assert (folder / "out" / "config.json").read_bytes() == (folder / "a" / "config.json").read_bytes()


@pytest.mark.parametrize("content", [b"no json", b"[1]", b'{"_name_or_path": 7}', b"{}"])
def test_what_says_nothing_of_it_is_left_as_it_is(content: bytes) -> None:
    assert without_place(content) == content
