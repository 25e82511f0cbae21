"""How to use what is published, with the programs that take it, and how to check it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator

from weightarith.card.facts import Facts
from weightarith.card.markdown import block, code

CUT = "\n\n"


def usage(facts: Facts) -> str:
    """Return the section on how to use it."""
    ways = {"vector": _vector, "adapter": _adapter, "checkpoint": _checkpoint, "recipe": _recipe}
    return CUT.join(["## Use", *ways[facts.kind](facts)])


def _vector(facts: Facts) -> Iterator[str]:
    base, repo = shlex.quote(facts.base or "BASE"), facts.repo
    yield "Added to the model it was measured from; a negative strength does the opposite:"
    yield block(f"weightarith apply {base} hf://{repo} --strength 1 -o steered", "bash")
    yield block(
        "import weightarith as wa\nfrom weightarith.hub import locate\n\n"
        f"base = wa.Checkpoint.open(locate({json.dumps(facts.base or 'BASE')}))\n"
        f'vector = wa.Vector.open(locate("hf://{repo}"))\n'
        'wa.save(base + 1.0 * vector, "steered")',
        "python",
    )
    yield "As an adapter for PEFT, vLLM and SGLang, and as one for llama.cpp and Ollama:"
    yield block(
        f"weightarith compress hf://{repo} --rank 32 --format peft --base {base} -o adapter\n"
        f"weightarith compress hf://{repo} --rank 32 --format gguf --base {base} -o adapter.gguf",
        "bash",
    )


def _gguf(facts: Facts) -> Iterator[str]:
    (name, *_), repo = facts.files, facts.repo
    yield f"It goes on a GGUF file of {code(facts.base or 'its model')}. With llama.cpp:"
    yield block(
        f"hf download {repo} {shlex.quote(name)} --local-dir .\n"
        f"llama-cli --model model.gguf --lora {shlex.quote(name)}",
        "bash",
    )
    yield "With Ollama, in a Modelfile:"
    yield block(f"FROM ./model.gguf\nADAPTER ./{name}", "text")


def _adapter(facts: Facts) -> Iterator[str]:
    if facts.is_gguf:
        yield from _gguf(facts)
        return
    base, repo = shlex.quote(facts.base or "BASE"), facts.repo
    if "peft" in facts.loaders:
        yield "With PEFT:"
        yield block(
            "from peft import PeftModel\nfrom transformers import AutoModelForCausalLM\n\n"
            f"base = AutoModelForCausalLM.from_pretrained({json.dumps(facts.base or 'BASE')})\n"
            f'model = PeftModel.from_pretrained(base, "{repo}")',
            "python",
        )
    if "vllm" in facts.loaders:
        name, rank = repo.partition("/")[2], facts.config.get("r")
        limit = f" --max-lora-rank {rank}" if isinstance(rank, int) else ""
        yield "With vLLM:"
        yield block(f"vllm serve {base} --enable-lora{limit} --lora-modules {name}={repo}", "bash")
    if "llama.cpp" in facts.loaders:
        yield "With llama.cpp, whose converter makes a GGUF adapter of it:"
        yield block(
            f"hf download {repo} --local-dir adapter\n"
            f"python convert_lora_to_gguf.py --base-model-id {base} adapter",
            "bash",
        )
    yield "With weightarith, at any strength:"
    yield block(f"weightarith apply {base} hf://{repo} --strength 1 -o merged", "bash")


def _checkpoint(facts: Facts) -> Iterator[str]:
    repo = facts.repo
    if facts.config and facts.is_causal:
        yield "With transformers:"
        yield block(
            "from transformers import AutoModelForCausalLM, AutoTokenizer\n\n"
            f'model = AutoModelForCausalLM.from_pretrained("{repo}")\n'
            f'tokenizer = AutoTokenizer.from_pretrained("{repo}")',
            "python",
        )
        yield "With vLLM, and with llama.cpp, whose converter makes a GGUF file of it:"
        yield block(f"vllm serve {repo}", "bash")
        yield block(f"hf download {repo} --local-dir model\npython convert_hf_to_gguf.py model", "bash")
    yield "With weightarith, as an input of further sums:"
    yield block(f"weightarith inspect hf://{repo}", "bash")


def _recipe(facts: Facts) -> Iterator[str]:
    yield "The repository holds no weights: whoever runs the recipe makes them."
    yield block(
        f"hf download {facts.repo} --local-dir recipe\n"
        "weightarith merge recipe/recipe.yaml" + (" --locked" if "recipe.lock" in facts.files else "")
        + " -o merged",
        "bash",
    )  # fmt: skip


def checking(facts: Facts) -> str:
    """Return the section on how to verify and to reproduce it."""
    lines = ["## Verify and reproduce"]
    if facts.kind == "recipe":
        return CUT.join([*lines, _locked(facts)])
    lines += [
        "Every file is compared with the receipt, `weightarith.json`, which holds a checksum of each tensor "
        "and the SHA-256 of each file:",
        block(f"weightarith verify {facts.repo}", "bash"),
    ]
    if facts.receipt.get("recipe"):
        lines += ["Made again from its inputs, and compared with it:", block(_again(facts), "bash")]
        missing = _missing(facts)
        if missing:
            lines.append(f"These inputs are not on the Hub, and have to be given: {', '.join(missing)}.")
    else:
        lines.append(
            "It was trained, or is a sum that no recipe says, and cannot be made again from the receipt"
            + ("; `training.json` tells how it was trained." if facts.training else ".")
        )
    return CUT.join(lines)


def _missing(facts: Facts) -> list[str]:
    return [code(one.label) for one in facts.parents if one.label and not one.repo]


def _again(facts: Facts) -> str:
    given = [one for one in facts.parents if one.label and not one.repo]
    return f"weightarith reproduce {facts.repo}" + "".join(
        f" --input {shlex.quote(one.label + '=PATH')}" for one in given
    )


def _locked(facts: Facts) -> str:
    if "recipe.lock" in facts.files:
        return "`recipe.lock` pins the bytes of every input; `merge --locked` refuses any other."
    return "The recipe names its inputs; to pin their bytes: `weightarith lock recipe/recipe.yaml`."
