"""project, reject, trim, dare and abliterate as commands, and the list of all operators."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import weightarith
from tests import tiny as models
from tests.cli.conftest import Run
from tests.conftest import Tiny
from tests.lowrank import products
from weightarith.operators.table import OPERATORS

Q = "model.layers.0.self_attn.q_proj.weight"
Vectors = dict[str, models.Tensors]


@pytest.fixture
def vectors(tiny: Tiny, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> Vectors:
    """Two dense vectors and an adapter, in the folder one is in; what they hold, in float64."""
    monkeypatch.chdir(tmp_path)
    for name, model in (("v", tiny.finetuned), ("u", tiny.other)):
        assert run("diff", model, tiny.base, "-o", f"{name}.safetensors").status == 0
    found = {name: products(models.load(Path(f"{name}.safetensors"))) for name in ("v", "u")}
    assert run("add", tiny.positive, tiny.positive, "-o", "w.safetensors").status == 0
    found["w"] = products(models.load(Path("w.safetensors")))
    return found


def test_a_projection_and_what_it_rejects_add_up_to_the_vector(vectors: Vectors, run: Run) -> None:
    assert run("project", "v.safetensors", "--onto", "u.safetensors", "-o", "along.safetensors").status == 0
    assert run("reject", "v.safetensors", "u.safetensors", "-o", "across.safetensors").status == 0

    along, across = (products(models.load(Path(f"{name}.safetensors"))) for name in ("along", "across"))
    for name, v in vectors["v"].items():
        u = vectors["u"][name]
        expected = float((v * u).sum() / (u * u).sum()) * u
        assert np.allclose(along[name], expected, rtol=1e-6, atol=1e-8)
        assert np.allclose(along[name] + across[name], v, rtol=0, atol=1e-7)


def test_a_bank_of_several_and_an_adapter_among_them_span_a_space(vectors: Vectors, run: Run) -> None:
    ran = run("project", "v.safetensors", "--onto", "u.safetensors", "--onto", "w.safetensors", "-o", "p")
    assert ran.status == 0
    run("reject", "v.safetensors", "w.safetensors", "u.safetensors", "-o", "r")

    bank = np.stack([vectors["u"][Q].ravel(), vectors["w"][Q].ravel()])
    nearest = np.linalg.lstsq(bank.T, vectors["v"][Q].ravel(), rcond=None)[0] @ bank
    assert np.allclose(models.load(Path("p"))[Q].ravel(), nearest, rtol=0, atol=1e-7)
    assert np.allclose(bank @ models.load(Path("r"))[Q].ravel().astype(np.float64), 0, atol=1e-6)


def test_over_the_model_there_is_one_coefficient(vectors: Vectors, run: Run) -> None:
    run("project", "v.safetensors", "--onto", "u.safetensors", "--over", "model", "-o", "p")

    along = sum(float((vectors["v"][name] * u).sum()) for name, u in vectors["u"].items())
    whole = sum(float((u * u).sum()) for u in vectors["u"].values())
    found = models.load(Path("p"))
    assert all(np.allclose(found[name], along / whole * u, atol=1e-8) for name, u in vectors["u"].items())


def test_trim_keeps_the_largest_elements_of_each_tensor_or_of_the_model(vectors: Vectors, run: Run) -> None:
    run("trim", "v.safetensors", "--density", "1/4", "-o", "each")
    run("trim", "v.safetensors", "--density", "0.25", "--over", "model", "-o", "all")

    each, of_all = models.load(Path("each")), models.load(Path("all"))
    sizes = np.sort(np.concatenate([abs(v).ravel() for v in vectors["v"].values()]))[::-1]
    for name, v in vectors["v"].items():
        least = np.sort(abs(v).ravel())[::-1][v.size // 4 - 1]
        assert np.array_equal(each[name], np.where(abs(v) >= least, v, 0))
        assert np.array_equal(of_all[name], np.where(abs(v) >= sizes[sizes.size // 4 - 1], v, 0))


def test_dare_keeps_what_the_seed_says_and_makes_up_for_the_rest(vectors: Vectors, run: Run) -> None:
    for name, seed in (("one", 7), ("two", 7), ("other", 8)):
        run("dare", "v.safetensors", "--density", "0.5", "--seed", seed, "-o", name)

    one, two, other = (models.load(Path(name)) for name in ("one", "two", "other"))
    assert all(np.array_equal(one[name], two[name]) for name in one)
    assert not np.array_equal(one[Q], other[Q])
    assert np.array_equal(one[Q], np.where(one[Q] != 0, 2 * vectors["v"][Q], 0))
    kept = np.concatenate([(values != 0).ravel() for values in one.values()]).mean()
    assert 0.45 < kept < 0.55


@pytest.mark.parametrize("norms", [None, "column"])
def test_what_is_abliterated_writes_nothing_along_the_direction(
    norms: str | None, tiny: Tiny, tmp_path: Path, run: Run
) -> None:
    direction = np.random.default_rng(0).standard_normal(models.WIDTH)
    models.save(tmp_path / "refusal.safetensors", {"r": direction}, dtype="F64")
    words = ["--dtype", "float32", "-o", tmp_path / "out", *(["--norms", norms] if norms else [])]
    ran = run("abliterate", tiny.base, "--direction", tmp_path / "refusal.safetensors", *words)

    assert ran.status == 0
    assert "out: abliterate(base, direction=refusal" in ran.stderr
    before, after = models.load(tiny.base), models.load(tmp_path / "out")
    unit = direction / np.linalg.norm(direction)
    for name in ("model.layers.0.self_attn.o_proj.weight", "model.layers.1.mlp.down_proj.weight"):
        assert np.allclose(unit @ after[name], 0, atol=1e-7)
        if norms:
            was, now = (np.linalg.norm(each[name].astype(np.float64), axis=0) for each in (before, after))
            assert np.allclose(now, was, rtol=1e-6)
    assert np.allclose(after["model.embed_tokens.weight"] @ unit, 0, atol=1e-7)
    assert np.array_equal(after[Q], before[Q])


def test_abliterate_takes_as_much_as_the_strength_says(tiny: Tiny, tmp_path: Path, run: Run) -> None:
    direction = np.eye(models.WIDTH)[3]
    models.save(tmp_path / "r.safetensors", {"r": direction}, dtype="F32")
    words = ("--strength", "0.5", "--dtype", "float32", "-o", tmp_path / "out")
    assert run("abliterate", tiny.base, "--direction", tmp_path / "r.safetensors", *words).status == 0

    name = "model.layers.0.self_attn.o_proj.weight"
    before, after = models.load(tiny.base)[name], models.load(tmp_path / "out")[name]
    assert np.array_equal(after[3], 0.5 * before[3])
    assert np.array_equal(np.delete(after, 3, 0), np.delete(before, 3, 0))


@pytest.mark.parametrize(
    ("command", "status", "said"),
    [
        ("project v.safetensors -o x", 2, "Missing option '--onto'"),
        ("reject v.safetensors -o x", 2, "Missing argument 'U...'"),
        ("project base --onto v.safetensors -o x", 2, "'base' is a model, expected a vector or an adapter"),
        ("trim v.safetensors --density 1.5 -o x", 2, "trim(density=1.5) is out of range: between 0 and 1"),
        ("dare v.safetensors --density 0.5 --seed -1 -o x", 2, "-1 is not in the range"),
        ("abliterate v.safetensors --direction u.safetensors -o x", 2, "expected a model"),
        ("abliterate base --direction u.safetensors -o x", 10, "is no direction: expected one float tensor"),
        ("abliterate base --direction short.safetensors -o x", 2, "the direction has 5 elements"),
        ("abliterate base --direction nowhere.safetensors -o x", 3, "nowhere.safetensors"),
    ],
)
@pytest.mark.usefixtures("vectors")
def test_a_mistake_is_named(command: str, status: int, said: str, run: Run) -> None:
    models.save(Path("short.safetensors"), {"r": np.ones(5)})

    ran = run(*command.split())

    assert (ran.status, ran.stdout) == (status, "")
    assert said in ran.stderr
    assert not Path("x").exists()


def test_every_operator_is_listed_with_what_it_does(run: Run) -> None:
    shown = run("operators")

    lines = [line.split(None, 1) for line in shown.stdout.splitlines() if line.startswith("  ")]
    assert dict(lines) == {name: each.summary for name, each in OPERATORS.items()}
    assert run("operators", "--json").json.keys() == OPERATORS.keys()


def test_one_operator_is_described_with_options_defaults_ranges_and_source(run: Run) -> None:
    assert run("operators", "compress").stdout == (
        "compress(a, rank=…, energy=…)\n"
        "  Keep the largest singular directions of a matrix, as two factors; other shapes stay as they are.\n"
        "  takes 1 vector\n"
        "  rank    whole number 0 to 1048576, by default 0: directions kept, at most; 0 for any number\n"
        "  energy  number 0 to 1, by default 0: share of the squared norm that suffices\n"
        "  source: Halko, Martinsson, Tropp (2011), https://doi.org/10.1137/090771806\n"
    )
    assert "  takes 1 vector, and vectors as onto=\n" in run("operators", "project").stdout
    ties = run("operators", "ties", "--json").json["ties"]
    assert ties["options"]["density"] == {
        "kind": "number", "required": False, "default": 0.2, "low": 0, "high": 1, "each": True,
        "choices": [], "help": "share of the elements that stays",
    }  # fmt: skip


@pytest.mark.parametrize("name", OPERATORS)
def test_every_operator_can_be_described_and_called_from_python(name: str, run: Run) -> None:
    shown = run("operators", name)

    assert (shown.status, shown.stdout.partition("(")[0]) == (0, name)
    assert shown.stdout.rstrip().endswith(OPERATORS[name].source)
    assert getattr(weightarith, name) is OPERATORS[name]
    assert name in dir(weightarith)


def test_an_operator_that_is_none_is_told_with_the_nearest(run: Run) -> None:
    ran = run("operators", "tis")

    assert (ran.status, ran.stdout) == (2, "")
    assert "no operator is called 'tis'\n  try: did you mean ties?" in ran.stderr


def test_the_package_names_the_operators_of_the_table_and_no_others() -> None:
    assert set(dir(weightarith)) - set(weightarith.__all__) == set(OPERATORS)
