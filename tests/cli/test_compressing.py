"""compress: vectors, adapters and GGUF files with fewer numbers, what they keep, and what is said of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import tiny as models
from tests.cli.conftest import Run
from tests.conftest import Tiny
from tests.export.models import gpt2, llama, logits, seeded
from tests.lowrank import changes, energies, pairs, products, saved, truncated, vector
from tests.reference import snapshot

Q, K, UP = (
    f"model.layers.0.{name}.weight" for name in ("self_attn.q_proj", "self_attn.k_proj", "mlp.up_proj")
)
NORM, EMBED, HEAD = "model.norm.weight", "model.embed_tokens.weight", "lm_head.weight"


@pytest.fixture
def dense(tiny: Tiny, tmp_path: Path) -> Path:
    """A vector of rank 2 on every matrix and noise, with every norm moved."""
    return vector(tmp_path / "v.safetensors", changes(models.load(tiny.base), 2, noise=0.2))


@pytest.mark.oracle
@pytest.mark.parametrize("make", [llama, gpt2])
def test_peft_adds_the_residual_and_the_adapter_to_what_was_compressed(
    make: Any, tmp_path: Path, run: Run
) -> None:
    import torch
    from peft import PeftModel

    base = saved(seeded(make), tmp_path / "base")
    given = changes(base, 3, noise=0.3)
    vector(tmp_path / "v.safetensors", given)
    words = ("--rank", 3, "--format", "peft", "--base", tmp_path / "base", "-o", tmp_path / "adapter")
    assert run("compress", tmp_path / "v.safetensors", *words).status == 0
    residual = tmp_path / "adapter-residual.safetensors"
    run("apply", tmp_path / "base", residual, "-o", tmp_path / "half")

    carried = json.loads((tmp_path / "adapter" / "weightarith.json").read_text())["tensors"]
    model, start = seeded(make), logits(seeded(make))
    with torch.no_grad():
        for name, change in given.items():
            kept = truncated(change, 3) if name in carried else change
            model.get_parameter(name).add_(torch.from_numpy(kept).to(torch.float32))
    meant = logits(model)
    found = logits(
        PeftModel.from_pretrained(type(model).from_pretrained(tmp_path / "half"), tmp_path / "adapter")
    )

    assert not set(carried) & set(models.load(residual))
    assert set(carried) | set(models.load(residual)) == set(given)
    assert np.linalg.norm(found - meant) < 1e-4 * np.linalg.norm(meant - start)


def test_base_adapter_and_residual_are_the_fine_tune_where_it_is_of_low_rank(
    tiny: Tiny, tmp_path: Path, run: Run
) -> None:
    base = models.load(tiny.base)
    given = changes(base, 2)
    vector(tmp_path / "v.safetensors", given)

    words = ("--energy", 1, "--format", "peft", "--base", tiny.base, "-o", tmp_path / "adapter")
    ran = run("compress", tmp_path / "v.safetensors", *words)
    both = run("add", tmp_path / "adapter", tmp_path / "adapter-residual.safetensors", "-o", tmp_path / "sum")

    assert (ran.status, both.status) == (0, 0)
    found = products(models.load(tmp_path / "sum"))
    assert all(np.allclose(found[name], given[name], rtol=0, atol=1e-6) for name in given)


def test_the_report_has_the_energies_of_a_float64_decomposition(
    tiny: Tiny, dense: Path, tmp_path: Path, run: Run
) -> None:
    words = ("--rank", 2, "--format", "peft", "--base", tiny.base, "-o", tmp_path / "adapter", "--json")
    found = run("compress", dense, *words).json

    given = models.load(dense)
    squares = {name: float((change.astype(np.float64) ** 2).sum()) for name, change in given.items()}
    kept = {name: squares[name] * energies(given[name])[1] for name in found["tensors"]}
    for name, one in found["tensors"].items():
        lost = np.linalg.norm(given[name] - truncated(given[name], 2))
        assert one["energy"] == pytest.approx(energies(given[name])[1], rel=1e-5)
        assert (one["norm"], one["error"]) == pytest.approx((squares[name] ** 0.5, lost), rel=1e-5)
        assert (one["rank"], one["exact"], one["excess"]) == (2, False, 0)
    rest = {name: squares[name] for name in given if name not in kept}
    whole = sum(squares.values())
    assert found["adapter_energy"] == pytest.approx(sum(kept.values()) / whole, rel=1e-5)
    assert found["energy"] == pytest.approx((sum(kept.values()) + sum(rest.values())) / whole, rel=1e-5)
    assert found["residual"]["tensors"].keys() == rest.keys()
    assert found["residual"]["share"] == pytest.approx(sum(rest.values()) / whole, rel=1e-5)
    assert found["residual"]["tensors"][NORM]["why"] == "a norm"
    assert found["residual"]["tensors"][EMBED]["why"] == "an embedding"
    assert found["residual"]["tensors"][HEAD]["why"] == "the output head"
    assert found["residual"]["tensors"][NORM]["share"] == pytest.approx(squares[NORM] / whole, rel=1e-5)
    receipt = json.loads((tmp_path / "adapter" / "weightarith.json").read_text())
    assert receipt == {key: value for key, value in found.items() if key != "output"}


def test_an_energy_takes_the_fewest_directions_and_what_it_does_not_shrink_stays_whole(
    tiny: Tiny, tmp_path: Path, run: Run
) -> None:
    given = changes(models.load(tiny.base), 2, noise=0.2)
    given[UP] = np.random.default_rng(5).standard_normal(given[UP].shape).astype(np.float32)
    path = vector(tmp_path / "v.safetensors", given)
    ran = run("compress", path, "--energy", "0.95", "-o", tmp_path / "c.safetensors", "--json")

    written = models.load(tmp_path / "c.safetensors")
    for name, change in given.items():
        fewest = int((energies(change) < 0.95).sum()) + 1 if change.ndim == 2 else 0
        if change.ndim == 1 or fewest * sum(change.shape) >= change.size:
            assert np.array_equal(written[name], change)
        else:
            assert written[f"{name}::A"].shape == (fewest, change.shape[1])
            assert ran.json["tensors"][name]["rank"] == fewest
            assert np.allclose(products(written)[name], truncated(change, fewest), rtol=0, atol=1e-5)
    assert UP in ran.json["no_low_rank_form"]
    assert f"no low-rank form: {len(ran.json['no_low_rank_form'])} matri" in ran.stderr


def test_max_rank_holds_an_energy_down(dense: Path, tmp_path: Path, run: Run) -> None:
    words = ("--energy", "0.999", "--max-rank", 3, "-o", tmp_path / "c.safetensors", "--json")

    assert {one["rank"] for one in run("compress", dense, *words).json["tensors"].values()} == {3}


def test_a_difference_of_adapters_stays_to_the_bit_where_the_rank_allows_it(
    tiny: Tiny, tmp_path: Path, run: Run
) -> None:
    run("diff", tiny.positive, tiny.negative, "-o", tmp_path / "d.safetensors")
    ran = run("compress", tmp_path / "d.safetensors", "--rank", 8, "-o", tmp_path / "c.safetensors")

    before, after = models.load(tmp_path / "d.safetensors"), models.load(tmp_path / "c.safetensors")
    assert before.keys() == after.keys()
    assert all(np.array_equal(before[name], after[name]) for name in before)
    assert "14 tensors in factors of rank 8, just as they came; " in ran.stderr
    assert "energy kept: 1 of the squared norm" in ran.stderr


def test_a_lower_rank_of_factors_is_their_best_approximation(tiny: Tiny, tmp_path: Path, run: Run) -> None:
    run("diff", tiny.positive, tiny.negative, "-o", tmp_path / "d.safetensors")
    words = ("--rank", 3, "--format", "peft", "--base", tiny.base, "-o", tmp_path / "adapter", "--json")
    found = run("compress", tmp_path / "d.safetensors", *words)

    before, after = (
        products(models.load(tmp_path / "d.safetensors")),
        pairs(models.load(tmp_path / "adapter")),
    )
    assert all(np.allclose(after[name], truncated(before[name], 3), rtol=0, atol=1e-6) for name in before)
    assert found.json["tensors"][Q]["energy"] == pytest.approx(energies(before[Q])[2], rel=1e-5)
    assert (found.json["rank"], found.json["residual"]) == (3, None)


@pytest.mark.parametrize(
    ("output", "words"), [("a", "--format peft --rank 2"), ("a.gguf", "--format gguf --energy 0.8"),
                          ("a.safetensors", "--energy 0.8")],
)  # fmt: skip
def test_neither_threads_nor_a_second_run_change_a_byte(
    output: str, words: str, tiny: Tiny, dense: Path, tmp_path: Path, run: Run
) -> None:
    more = [] if output.endswith("rs") else ["--base", tiny.base]
    left = []
    for place, threads in (("one", 1), ("two", 4)):
        (tmp_path / place).mkdir()
        ran = run(
            "compress", dense, *words.split(), *more, "-o", tmp_path / place / output, "--threads", threads
        )
        assert ran.status == 0
        left.append(snapshot(tmp_path / place))
    assert left[0] == left[1]
    assert not any(name.startswith(".") for name in left[0])


def test_every_loader_but_ollama_reads_the_folder(tiny: Tiny, dense: Path, tmp_path: Path, run: Run) -> None:
    words = ("--rank", 2, "--format", "peft", "--base", tiny.base, "-o", tmp_path / "adapter")
    assert run("compress", dense, *words).status == 0

    ran = run("check", tmp_path / "adapter", "--base", tiny.base)

    verdicts = {
        line.split()[0]: line.split()[1] for line in ran.stdout.splitlines() if not line.startswith(" ")
    }
    assert verdicts.pop("ollama") == "MISREADS"  # of a Llama it reorders the wrong factor: --format gguf
    assert verdicts == dict.fromkeys(["peft", "vllm", "sglang", "llama.cpp"], "loads")


def test_a_gguf_file_holds_what_the_adapter_does(tiny: Tiny, dense: Path, tmp_path: Path, run: Run) -> None:
    from gguf import GGUFReader

    for words in (("peft", tmp_path / "a"), ("gguf", tmp_path / "a.gguf")):
        ran = run("compress", dense, "--rank", 2, "--format", words[0], "--base", tiny.base, "-o", words[1],
                  "--overwrite", "--json")  # fmt: skip
        assert ran.status == 0
    found = {tensor.name: tensor.data for tensor in GGUFReader(tmp_path / "a.gguf").tensors}
    meant = pairs(models.load(tmp_path / "a"))
    up = found["blk.0.ffn_up.weight.lora_b"].astype(np.float64) @ found["blk.0.ffn_up.weight.lora_a"]
    assert np.allclose(up, meant[UP], rtol=0, atol=1e-12)
    assert ran.json["files"] == {"a.gguf": sum(data.nbytes for data in found.values())}
    assert json.loads((tmp_path / "a.weightarith.json").read_text())["format"] == "gguf"
    assert (tmp_path / "a-residual.safetensors").is_file()


def test_a_dry_run_finds_the_same_and_leaves_nothing(
    tiny: Tiny, dense: Path, tmp_path: Path, run: Run
) -> None:
    words = ("--rank", 2, "--format", "peft", "--base", tiny.base, "-o", tmp_path / "adapter")
    before = snapshot(tmp_path)
    planned, shown = (
        run("compress", dense, *words, "--dry-run", "--json"),
        run("compress", dense, *words, "--dry-run"),
    )

    assert snapshot(tmp_path) == before
    assert shown.stdout.startswith(f"would write {tmp_path / 'adapter'}: compress(v, rank=2)\n")
    done = run("compress", dense, *words, "--json")
    written = ("beside", "checksums")  # what identifies files that are there
    assert {key: value for key, value in done.json.items() if key not in written} == planned.json
    assert shown.stdout.removeprefix("would write ") in done.stderr


def test_little_energy_is_warned_of_and_written_all_the_same(
    tiny: Tiny, dense: Path, tmp_path: Path, run: Run
) -> None:
    words = ("--rank", 2, "--format", "peft", "--base", tiny.base, "-o", tmp_path / "adapter")
    ran = run("compress", dense, *words)

    assert ran.status == 0
    assert "Warning: the adapter alone holds 0." in ran.stderr
    assert "; the rest is in adapter-residual.safetensors" in ran.stderr
    assert "least kept: model.layers." in ran.stderr
    ran = run("compress", dense, "--rank", 1, "-o", tmp_path / "c.safetensors")
    assert "Warning: only 0." in ran.stderr
    assert "of the squared norm of the change is kept: more rank keeps more" in ran.stderr


def test_a_residual_of_an_earlier_run_is_told_apart(
    tiny: Tiny, dense: Path, tmp_path: Path, run: Run
) -> None:
    words = ("--rank", 2, "--format", "peft", "--base", tiny.base, "-o", tmp_path / "adapter")
    run("compress", dense, *words)

    again = run("compress", dense, *words)
    ran = run("compress", tiny.positive, *words, "--overwrite")

    assert (again.status, ran.status) == (5, 0)
    assert "adapter-residual.safetensors' is of an earlier run, and no part of this adapter" in ran.stderr
