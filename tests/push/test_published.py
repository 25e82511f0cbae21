"""What must not be published: paths, names and secrets of a machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from weightarith.errors import InvalidFileError
from weightarith.publish import leaks
from weightarith.publish.published import plain_text, published_receipt, published_recipe

TOKEN = "hf_canaryCANARYcanary0123456789abcdef"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("/home/max/models/base differs", "base differs"),
        ("'/home/max/models/base/' and '~/x/y.safetensors'", "'base' and 'y.safetensors'"),
        ("../../secret/ft is not ./v", "ft is not v"),
        ("base + 1/3·v", "base + 1/3·v"),
        ("org/name at hf://org/name@v1/file", "org/name at hf://org/name@v1/file"),
        ("https://x.example/a/b and 5/7", "https://x.example/a/b and 5/7"),
        ("model.layers.0.mlp.up_proj.weight", "model.layers.0.mlp.up_proj.weight"),
    ],
)
def test_of_a_path_the_last_part_is_left(text: str, found: str) -> None:
    assert plain_text(text) == found


def test_a_recipe_keeps_everything_but_its_paths() -> None:
    text = (
        "# mine\nweightarith: 1\ninputs:\n"
        "  base: /home/max/models/base   # where it lies\n"
        "  ft: {model: '../runs/ft', minus: base}\n"
        '  v: {vector: "runs/deep/v.safetensors"}\n'
        "  near: ./near\n  there: org/name@v1\n  u: hf://org/u\n"
        "expression: base + 1.5·ft − v\noutput: {path: /scratch/out/, dtype: bfloat16}\n"
    )
    assert published_recipe(text) == (
        "# mine\nweightarith: 1\ninputs:\n"
        '  base: "./base"   # where it lies\n'
        '  ft: {model: "./ft", minus: base}\n'
        '  v: {vector: "./v.safetensors"}\n'
        "  near: ./near\n  there: org/name@v1\n  u: hf://org/u\n"
        'expression: base + 1.5·ft − v\noutput: {path: "./out", dtype: bfloat16}\n'
    )


def test_a_recipe_that_is_published_twice_stays_the_same() -> None:
    once = published_recipe("weightarith: 1\ninputs: {a: /x/y/a, b: 'b'}\nexpression: a\n")
    assert published_recipe(once) == once


def test_a_published_receipt_holds_no_path_and_every_hash() -> None:
    receipt: dict[str, Any] = {
        "kind": "vector", "recipe": "inputs: {a: /home/max/a}\n",
        "inputs": [
            {"label": "a", "kind": "checkpoint", "path": "/home/max/a", "files": {}},
            {"label": "b", "kind": "checkpoint", "path": "/cache/models--org--b/snapshots/x", "files": {},
             "hub": {"repo": "org/b", "commit": "c" * 40}},
        ],
        "files": {"v.safetensors": 5}, "headers": {"v.safetensors": "f" * 64},
        "warnings": ["'/home/max/a' is odd"], "beside": {},
    }  # fmt: skip
    weights = {"vector.safetensors": ("v.safetensors", 5, "a" * 64)}
    found = published_receipt(receipt, weights, {"training.json": (3, "b" * 64)})
    assert "max" not in json.dumps(found)
    assert [one["path"] for one in found["inputs"]] == ["a", "hf://org/b@" + "c" * 40]
    assert found["files"] == {"vector.safetensors": 5}
    assert found["headers"] == {"vector.safetensors": "f" * 64}
    assert found["sha256"] == {"vector.safetensors": "a" * 64}
    assert found["beside"] == {"training.json": {"bytes": 3, "sha256": "b" * 64}}
    assert found["warnings"] == ["'a' is odd"]
    assert receipt["files"] == {"v.safetensors": 5}


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (f'{{"token": "{TOKEN}"}}', "a token of the Hugging Face Hub"),
        ("x api_org_" + "a" * 30, "a token of the Hugging Face Hub"),
        ("ghp_" + "A" * 36, "a token of GitHub"),
        ("AKIA" + "A" * 16, "a key of a cloud"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----", "a private key"),
    ],
)
def test_a_file_with_a_secret_is_refused_and_the_secret_not_shown(content: str, what: str) -> None:
    with pytest.raises(InvalidFileError, match=f"'config.json' holds what looks like {what}") as caught:
        leaks.check("config.json", content.encode(), ())
    assert content not in str(caught.value)


@pytest.mark.parametrize(
    "content", ['"/home/somebody/model"', '"/Users/somebody/x"', '"{folder}/model"', '"{folder}"']
)
def test_a_file_with_a_path_of_this_machine_is_refused(content: str, tmp_path: Path) -> None:
    text = content.replace("{folder}", str(tmp_path)).encode()
    with pytest.raises(InvalidFileError, match=r"'config\.json' holds the path of a folder on this machine"):
        leaks.check("config.json", text, leaks.places(tmp_path))
    leaks.check("tokenizer.json", text, leaks.places(tmp_path))


@pytest.mark.parametrize(
    "content", ["https://huggingface.co/home/max/x", "</srv>", "hf_short", "/homely/x", "a/home/b", "/srv"]
)
def test_a_file_without_one_is_fine(content: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/srv")
    leaks.check("config.json", content.encode(), leaks.places())


def test_a_home_of_one_part_is_told_by_what_lies_in_it() -> None:
    with pytest.raises(InvalidFileError):
        leaks.check("config.json", b'"/srv/models/x"', (Path("/srv"),))
