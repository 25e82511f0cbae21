"""Every kind of input can be read from afar, and of each only what a command needs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import weightarith as wa
from tests import tiny as models
from tests.cli.conftest import Run
from tests.cli.conftest import run as run  # noqa: PLC0414  (a fixture)
from tests.conftest import Tiny
from tests.hubserver import Hub
from tests.streaming import (
    BASE,
    SPAN,
    TUNED,
    cut,
    fetched,
    forget,
    in_small_spans,
    nothing_downloaded,
    sent,
    size,
)
from weightarith.errors import HubError, IncompatibleError, InvalidFileError, UnsupportedError
from weightarith.store import open_source, open_streamed

pytestmark = [pytest.mark.enable_socket, pytest.mark.allow_hosts(["127.0.0.1"])]

Q = "model.layers.0.self_attn.q_proj"


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    in_small_spans(monkeypatch)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def served(hub: Hub, tiny: Tiny) -> Hub:
    hub.add(BASE, tiny.base)
    hub.add(TUNED, tiny.finetuned)
    hub.add("org/adapter", tiny.positive)
    return hub


def body(path: str | Path) -> bytes:
    """Return the tensors of a file: its header says where they came from."""
    content = Path(path).read_bytes()
    return content[8 + int.from_bytes(content[:8], "little") :]


def test_an_adapter_is_read_from_afar(served: Hub, tiny: Tiny, run: Run) -> None:
    assert run("apply", BASE, "org/adapter", "--stream", "-o", "afar").status == 0
    assert nothing_downloaded(served)

    assert run("apply", tiny.base, tiny.positive, "-o", "near").status == 0
    assert body("afar/model.safetensors") == body("near/model.safetensors")
    assert Path("afar/config.json").read_bytes() == Path("near/config.json").read_bytes()


def test_a_vector_is_read_from_afar_alone_or_cut_into_shards(served: Hub, tiny: Tiny, run: Run) -> None:
    assert run("diff", tiny.finetuned, tiny.base, "-o", "v.safetensors").status == 0
    assert run("diff", tiny.finetuned, tiny.base, "--shard-size", "10kB", "-o", "shards").status == 0
    served.add("org/v", {"v.safetensors": Path("v.safetensors").read_bytes()})
    served.add("org/shards", Path("shards"))

    done = run("add", "org/v", "hf://org/shards", "--stream", "-o", "afar.safetensors")

    assert done.status == 0, done.stderr
    assert nothing_downloaded(served)
    assert run("scale", "v.safetensors", "2", "-o", "near.safetensors").status == 0
    assert body("afar.safetensors") == body("near.safetensors")


def test_one_file_of_a_repository_is_streamed_by_its_name(served: Hub, tiny: Tiny) -> None:
    served.add("org/many", {"sub/one.safetensors": (tiny.base / "model.safetensors").read_bytes(),
                            "sub/two.safetensors": b"never looked at", "sub/config.json": b"{}"})  # fmt: skip

    source = open_streamed("hf://org/many/sub/one.safetensors")

    assert source.tensors.keys() == open_source(tiny.base).tensors.keys()
    assert str(source.origin).endswith("/sub/one.safetensors")
    assert source.files[0].afar is not None
    assert not any("two" in one.path for one in served.requests)


def test_alphas_of_a_single_file_are_read_and_nothing_else(served: Hub) -> None:
    random = np.random.default_rng(0)
    factors = {"a": random.standard_normal((2, 1000)), "b": random.standard_normal((1000, 2))}
    models.save(
        Path("x.safetensors"),
        {f"lora_unet_{name}.{key}": value for name in ("to_q", "to_k") for key, value in (
            ("lora_down.weight", factors["a"]), ("lora_up.weight", factors["b"]), ("alpha", np.array(4.0)))},
        dtype="F64",
    )  # fmt: skip
    served.add("org/lora", {"x.safetensors": Path("x.safetensors").read_bytes()})

    source = open_streamed("hf://org/lora/x.safetensors")

    assert {one.scale for one in source.factors.values()} == {2.0}
    assert sent(served) < 1024 + 3 * 8


def test_only_what_a_selection_needs_is_fetched(served: Hub, tiny: Tiny, run: Run) -> None:
    Path("recipe.yaml").write_text(
        "weightarith: 1\n"
        f"inputs: {{base: {BASE}, ft: {TUNED}}}\n"
        'expression: restrict(ft − base, layers=1, role="q")\n',
        encoding="utf-8",
    )
    assert run("merge", "recipe.yaml", "--stream", "-o", "v.safetensors").status == 0

    heads = 2 * int.from_bytes((tiny.base / "model.safetensors").read_bytes()[:8], "little") + 16
    needed = 2 * models.WIDTH * models.WIDTH * 2
    assert sent(served) <= heads + needed
    assert body("v.safetensors") == body_of_q(tiny)


def body_of_q(tiny: Tiny) -> bytes:
    name = "model.layers.1.self_attn.q_proj.weight"
    new, old = (models.load(folder)[name] for folder in (tiny.finetuned, tiny.base))
    return (new - old).astype("<f4").tobytes()


def test_shards_that_are_equal_on_both_sides_are_not_read(hub: Hub, tmp_path: Path, run: Run) -> None:
    weights = models.weights()
    tuned = weights | {f"{Q}.weight": weights[f"{Q}.weight"] + 1}
    folders = [
        cut(tmp_path / name, one, [["model.layers.0"]]) for name, one in (("a", tuned), ("b", weights))
    ]
    for repo, folder in zip((TUNED, BASE), folders, strict=True):
        hub.add(repo, folder)

    done = run("diff", TUNED, BASE, "--stream", "-o", "v.safetensors")

    assert done.status == 0, done.stderr
    assert "12 tensors not read: the files are the same on both sides, and the difference is 0" in done.stderr
    again = [one.headers["range"] for one in fetched(hub) if "00002-of-00002" in one.path]
    assert all(int(one.removeprefix("bytes=").split("-")[0]) < 2000 for one in again)
    assert run("diff", *folders, "-o", "near.safetensors").status == 0
    assert body("v.safetensors") == body("near.safetensors")


@pytest.mark.parametrize("encoding", ["sign", "int8", "sparse"])
def test_what_is_not_read_is_encoded_as_the_zero_it_is(encoding: str, hub: Hub, tiny: Tiny, run: Run) -> None:
    hub.add(BASE, tiny.base)
    hub.add(TUNED, tiny.base)

    diff = ("diff", TUNED, BASE, "--encoding", encoding)
    assert run(*diff, "--stream", "-o", "afar.safetensors").status == 0
    assert run(*diff, "-o", "near.safetensors").status == 0
    assert Path("afar.safetensors").read_bytes() == Path("near.safetensors").read_bytes()


def test_an_equal_shard_that_is_merged_is_read_once(hub: Hub, tiny: Tiny, run: Run) -> None:
    hub.add(BASE, tiny.base)
    hub.add(TUNED, tiny.base)
    Path("recipe.yaml").write_text(
        f"weightarith: 1\ninputs: {{base: {BASE}, ft: {TUNED}}}\nexpression: base + 0.5·(ft − base)\n",
        encoding="utf-8",
    )

    assert run("merge", "recipe.yaml", "--stream", "-o", "afar").status == 0

    assert sent(hub) <= size(tiny.base) + 4096
    found, expected = models.load(Path("afar")), models.load(tiny.base)
    assert {name: one.tobytes() for name, one in found.items()} == {
        name: one.tobytes() for name, one in expected.items()
    }


@pytest.mark.parametrize(
    "rule", ["ties([v, w], density=0.3)", "compress(v + w, rank=2)", 'trim(v, density=0.2, over="model")']
)
def test_operators_read_a_tensor_as_often_as_they_like(rule: str, served: Hub, tiny: Tiny, run: Run) -> None:
    served.add("org/other", tiny.other)
    for place, paths in (
        ("afar", (BASE, TUNED, "org/other")), ("near", (tiny.base, tiny.finetuned, tiny.other))
    ):  # fmt: skip
        Path(f"{place}.yaml").write_text(
            "weightarith: 1\ninputs: {{base: {}, a: {}, b: {}}}\n"
            "let: {{v: a − base, w: b − base}}\nexpression: base + {}\n".format(*paths, rule),
            encoding="utf-8",
        )
        done = run("merge", f"{place}.yaml", "--stream", "-o", place)
        assert done.status == 0, done.stderr
    assert body("afar/model.safetensors") == body("near/model.safetensors")
    assert nothing_downloaded(served)


def test_inspect_and_explain_read_from_afar(served: Hub, tiny: Tiny, run: Run) -> None:
    afar, near = run("inspect", BASE, "--stream", "--json").json, run("inspect", tiny.base, "--json").json
    assert (afar["norms"], afar["tensors"]) == (near["norms"], near["tensors"])
    assert afar["path"].startswith(f"hf://{BASE}@")

    forget(served)
    Path("r.yaml").write_text(
        f"weightarith: 1\ninputs: {{base: {BASE}, ft: {TUNED}}}\nexpression: 0.5·base + 0.5·ft\n",
        encoding="utf-8",
    )
    assert run("explain", "r.yaml", "--stream").status == 0
    assert sent(served) < size(tiny.base) + SPAN
    dry = run("merge", "r.yaml", "--stream", "--dry-run", "--json", "-o", "out").json
    assert dry["hub_bytes"] == dry["read_bytes"] > 0


def test_python_streams_too(served: Hub, tiny: Tiny) -> None:
    difference = wa.Checkpoint.open(TUNED, stream=True) - wa.Checkpoint.open(BASE, stream=True)
    receipt = wa.save(difference + wa.Vector.open("org/adapter", stream=True), "v.safetensors")

    assert nothing_downloaded(served)
    (entry,) = [one for one in receipt["inputs"] if one["label"] == BASE]
    assert entry["hub"] == {"repo": BASE, "commit": served.refs(BASE)["refs/heads/main"]}
    assert len(entry["files"]["model.safetensors"]["sha256"]) == 64
    near = wa.Checkpoint.open(tiny.finetuned, stream=True) - wa.Checkpoint.open(tiny.base)
    wa.save(near + wa.Vector.open(tiny.positive), "w.safetensors")
    assert body("v.safetensors") == body("w.safetensors")


def test_every_header_is_read_before_a_weight_and_a_mismatch_costs_no_weights(
    served: Hub, tiny: Tiny, run: Run
) -> None:
    weights = models.weights()
    weights[f"{Q}.weight"] = np.zeros((3, 3))
    served.add("org/misfit", models.checkpoint(tiny.base.parent / "misfit", weights))

    done = run("diff", "org/misfit", BASE, "--stream", "-o", "v.safetensors")

    assert (done.status, Q in done.stderr) == (IncompatibleError.exit_code, True), done.stderr
    assert all(int(one.headers["range"][6:].split("-")[0]) < 2000 for one in fetched(served))


def test_what_is_in_the_cache_is_read_there(served: Hub, run: Run) -> None:
    assert run("inspect", BASE, "--headers").status == 0
    served.requests.clear()

    source = open_streamed(BASE)

    assert not served.requests
    assert not source.streams


def test_weights_in_a_pickle_only_are_refused_as_without_streaming(served: Hub) -> None:
    served.add("org/old", {"pytorch_model.bin": b"pickle", "config.json": b"{}"})

    with pytest.raises(UnsupportedError, match=r"has its weights in 'pytorch_model\.bin' only"):
        open_streamed("org/old")


def test_a_shard_that_the_index_names_and_the_hub_lacks_is_an_error(hub: Hub, tmp_path: Path) -> None:
    folder = cut(tmp_path / "base", models.weights(), [["model.layers.0"]])
    (folder / "model-00002-of-00002.safetensors").unlink()
    hub.add(BASE, folder)

    with pytest.raises(InvalidFileError, match=r"names 2 files and 1 are missing: 'model-00002-of-00002"):
        open_streamed(BASE)


@pytest.mark.usefixtures("served")
def test_without_a_network_there_is_nothing_to_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)

    with pytest.raises(HubError, match="is not in the Hub's cache"):
        open_streamed(BASE)
