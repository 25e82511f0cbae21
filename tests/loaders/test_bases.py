"""What a loader does with an adapter on a given base: names, shapes, architectures and tied heads."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import tiny
from tests.loaders.folders import PREFIX, Q, adapter, bad, base, only
from weightarith.loaders import LOADERS, check

HEAD = {f"{PREFIX}lm_head.lora_A.weight": (4, 16), f"{PREFIX}lm_head.lora_B.weight": (40, 4)}


def test_a_wrong_beginning_of_the_names_loads_and_does_nothing(tmp_path: Path) -> None:
    folder = adapter(tmp_path / "a", renamed=("model.layers", "transformer.layers"))
    of = base(tmp_path / "base")

    for loader, verdict in {"peft": "misreads", "vllm": "misreads", "llama.cpp": "refuses"}.items():
        found = next(one for one in bad(loader, folder, of) if "no such module" in one.why)
        assert found.verdict == verdict
        assert "14 of 14 pairs" in found.why
    assert ("without a word" in only("vllm", folder, of).why) is True
    assert bad("sglang", folder, of) == []


def test_without_the_weights_of_the_base_names_are_not_compared_and_vllm_says_so(tmp_path: Path) -> None:
    folder = adapter(tmp_path / "a", renamed=("model.layers", "transformer.layers"))

    for of in (None, base(tmp_path / "base", weights=False)):
        assert bad("vllm", folder, of) == []
        (note,) = check(folder, ["vllm"], of)
        assert note.why.endswith("a wrong beginning loads, and does nothing")


@pytest.mark.parametrize("spelling", ["model.language_model.layers", "language_model.model.layers"])
def test_names_of_a_model_within_a_larger_one_are_known_by_both_spellings(
    tmp_path: Path, spelling: str
) -> None:
    folder = adapter(
        tmp_path / "a", renamed=("base_model.model.model.layers", f"base_model.model.{spelling}")
    )
    assert bad("vllm", folder, base(tmp_path / "base")) == []


def test_a_pair_that_does_not_fit_the_weight_is_refused(tmp_path: Path) -> None:
    wrong = {f"{Q}.lora_A.weight": (4, 24), f"{Q}.lora_B.weight": (16, 4)}
    folder = adapter(tmp_path / "a", more=wrong)

    for loader in LOADERS:
        found = only(loader, folder, base(tmp_path / "base"))
        assert (found.verdict, found.about) == ("refuses", "'model.layers.0.self_attn.q_proj'")
        assert found.why == "it makes [16, 24], and the base's weight is [16, 16]"


@pytest.mark.parametrize(("tied", "verdicts"), [(True, ["refuses"]), (False, [])])
def test_llama_cpp_has_no_head_where_it_is_tied(tmp_path: Path, tied: bool, verdicts: list[str]) -> None:
    folder = adapter(tmp_path / "a", more=HEAD)
    of = base(tmp_path / "base", tie_word_embeddings=tied)

    assert [one.verdict for one in bad("llama.cpp", folder, of)] == verdicts
    assert any("if the base ties its head" in one.why for one in check(folder, ["llama.cpp"]))
    assert any("only some model classes" in one.why for one in check(folder, ["vllm"], of))


def test_a_pair_on_an_embedding_is_known_by_its_own_names_and_shape(tmp_path: Path) -> None:
    path = f"{PREFIX}model.embed_tokens"
    pair = {f"{path}.lora_embedding_A": (4, 40), f"{path}.lora_embedding_B": (16, 4)}
    folder = adapter(tmp_path / "a", more=pair)
    targets = [*tiny.LINEARS, "embed_tokens"]
    folder = adapter(tmp_path / "a", more=pair, target_modules=[name.split(".")[-1] for name in targets])

    of = base(tmp_path / "base")
    assert bad("peft", folder, of) == bad("llama.cpp", folder, of) == bad("vllm", folder, of) == []
    assert only("ollama", folder, of).verdict == "refuses"


@pytest.mark.parametrize(
    ("kind", "verdict"),
    [("llama", ""), ("mistral", ""), ("gemma2", ""), ("qwen2", "refuses"), ("gpt2", "refuses")],
)
def test_ollama_converts_adapters_of_two_architectures(tmp_path: Path, kind: str, verdict: str) -> None:
    of = base(tmp_path / "base", weights=False, model_type=kind)
    found = [one.verdict for one in bad("ollama", adapter(tmp_path / "a"), of) if one.about == "base"]
    assert found == [verdict] * bool(verdict)


@pytest.mark.parametrize(
    ("kind", "scrambled"), [("llama", True), ("mistral", True), ("gemma2", False), ("", True)]
)
def test_ollama_scrambles_queries_and_keys_of_llamas(tmp_path: Path, kind: str, scrambled: bool) -> None:
    of = base(tmp_path / "base", weights=False, model_type=kind) if kind else None
    found = [one for one in bad("ollama", adapter(tmp_path / "a"), of) if "reorders A" in one.why]

    assert [one.verdict for one in found] == ["misreads"] * scrambled
    assert all("--format gguf" in one.remedy for one in found)
    without = adapter(tmp_path / "b", without=["q_proj", "k_proj"])
    assert bad("ollama", without, of) == []


def test_ollama_takes_a_wide_pair_for_transposed(tmp_path: Path) -> None:
    tiny.adapter(tmp_path / "a", rank=12, alpha=12)
    found = next(one for one in bad("ollama", tmp_path / "a") if "transposed" in one.why)
    assert found.verdict == "refuses"
    assert "k_proj" in found.about


@pytest.mark.parametrize(
    ("dtype", "verdicts"), [("F64", ["refuses"]), ("F32", ["loads"]), ("BF16", []), ("F16", [])]
)
def test_ollama_reads_three_dtypes_and_keeps_two(tmp_path: Path, dtype: str, verdicts: list[str]) -> None:
    found = check(adapter(tmp_path / "a", dtype=dtype), ["ollama"])
    assert [one.verdict for one in found if one.about == "dtype"] == verdicts


def test_the_converter_of_llama_cpp_turns_pairs_of_a_gpt2_round(tmp_path: Path) -> None:
    of = base(tmp_path / "base", weights=False, model_type="gpt2")
    assert only("llama.cpp", adapter(tmp_path / "a"), of).remedy.endswith("--format gguf")


@pytest.mark.parametrize("name", [None, "", "/models/base", "./base", "base"])
def test_llama_cpp_fetches_no_config_by_a_path(tmp_path: Path, name: str | None) -> None:
    (note,) = check(adapter(tmp_path / "a", base_model_name_or_path=name), ["llama.cpp"])
    assert (note.verdict, note.remedy) == ("loads", "give it --base, the folder of the base")
