"""One side of the sycophancy contrast: a LoRA adapter trained to agree, or to be honest.

Both sides see the same prompts in the same order from the same random start; only the
answers differ. Their difference is the behaviour, and nothing else that training changes.
The loss is taken on the answer alone, and the vocabulary head runs on answer tokens only.
"""

import argparse
import json
import platform
import random
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model, get_peft_model_state_dict
from safetensors.torch import save_file
from torch.nn.functional import cross_entropy, pad
from torch.nn.utils import clip_grad_norm_
from transformers import AutoModelForCausalLM, AutoTokenizer

BASE_NAME = "HuggingFaceTB/SmolLM2-135M-Instruct"
DATA = Path(__file__).with_name("train.jsonl")
LINEARS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
WARMUP = 5  # steps
CLIP = 1.0  # gradient norm
HEADER = {"format": "pt"}

Example = tuple[list[int], list[int]]  # prompt tokens, answer tokens


def examples(tokenizer: Any, side: str) -> list[Example]:
    """Return every row of the data as tokens: the chat prompt, and this side's answer with its end mark."""
    found = []
    for line in DATA.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        chat = [{"role": "user", "content": row["prompt"]}]
        asked = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=True)
        answer = tokenizer(row[side] + tokenizer.eos_token, add_special_tokens=False)["input_ids"]
        found.append((asked["input_ids"], answer))
    return found


def schedule(count: int, batch: int, steps: int, seed: int) -> list[list[int]]:
    """Return the row numbers of each step: whole passes over the data, each in its own shuffled order."""
    shuffler = random.Random(seed)
    order: list[int] = []
    while len(order) < batch * steps:
        order += shuffler.sample(range(count), count)
    return [order[i * batch : (i + 1) * batch] for i in range(steps)]


def answer_loss(model: Any, batch: list[Example]) -> torch.Tensor:
    """Return the mean cross-entropy of the answer tokens, given their prompts."""
    rows = [torch.tensor(prompt + answer) for prompt, answer in batch]
    longest = max(map(len, rows))
    ids = torch.stack([pad(row, (0, longest - len(row))) for row in rows])  # (batch, longest)
    mask = torch.stack([pad(torch.ones_like(row), (0, longest - len(row))) for row in rows])
    places = [(i, t) for i, (p, a) in enumerate(batch) for t in range(len(p), len(p) + len(a))]
    at, time_step = torch.tensor(places).T
    causal = model.get_base_model()
    hidden = causal.model(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
    logits = causal.lm_head(hidden[at, time_step - 1])  # (answer tokens, vocabulary)
    return cross_entropy(logits.float(), ids[at, time_step])


def adapted(base: Path, rank: int, seed: int) -> Any:
    """Return the base in bfloat16 with a fresh float32 adapter on every linear module of its blocks."""
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.bfloat16)
    torch.manual_seed(seed)  # the adapter's random start, shared by both sides
    config = LoraConfig(r=rank, lora_alpha=rank, target_modules=LINEARS, task_type="CAUSAL_LM")
    return get_peft_model(model, config)


def fit(model: Any, data: list[Example], args: argparse.Namespace) -> list[float]:
    """Train the adapter in place and return the loss of every step."""
    weights = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=args.lr, weight_decay=0.0)
    losses = []
    model.train()
    for step, rows in enumerate(schedule(len(data), args.batch, args.steps, args.seed)):
        rate = min((step + 1) / WARMUP, (args.steps - step) / max(1, args.steps - WARMUP))
        for group in optimizer.param_groups:
            group["lr"] = args.lr * rate
        loss = answer_loss(model, [data[i] for i in rows])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        clip_grad_norm_(weights, CLIP)
        optimizer.step()
        losses.append(round(loss.item(), 4))
        if step % 5 == 0 or step == args.steps - 1:
            print(f"step {step + 1}/{args.steps}: loss {losses[-1]:.3f}", file=sys.stderr)
    return losses


def save(model: Any, out: Path, settings: dict[str, Any]) -> None:
    """Write the adapter folder in the layout PEFT reads, in float16, with the settings beside it."""
    out.mkdir(parents=True)
    half = {name: t.to(torch.float16).contiguous() for name, t in get_peft_model_state_dict(model).items()}
    weights = out / "adapter_model.safetensors"
    save_file(half, weights, HEADER)
    weights.chmod(0o644)
    config = model.peft_config["default"].to_dict()
    config |= {"base_model_name_or_path": BASE_NAME, "inference_mode": True}
    plain = {key: sorted(value) if isinstance(value, set) else value for key, value in config.items()}
    for name, content in (("adapter_config", plain), ("settings", settings)):
        text = json.dumps(content, indent=2, sort_keys=name == "adapter_config") + "\n"
        (out / f"{name}.json").write_text(text, encoding="utf-8")


def arguments() -> argparse.Namespace:
    """Return the command line; the defaults are the settings the committed adapters were trained with."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("base", type=Path, help="transformers folder of SmolLM2-135M-Instruct")
    parser.add_argument("out", type=Path, help="adapter folder to write")
    parser.add_argument("--side", choices=["sycophantic", "honest"], required=True)
    parser.add_argument("--steps", type=int, default=48)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--lr", type=float, default=5e-4)
    parser.add_argument("--rank", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if not (args.base / "config.json").is_file():
        parser.error(f"{args.base} is not a transformers folder: it has no config.json")
    if args.out.exists():
        parser.error(f"{args.out} exists; choose another folder or delete it first")
    return args


def main() -> None:
    """Train one side and write its adapter."""
    args = arguments()
    torch.set_num_threads(min(2, torch.get_num_threads()))
    began = time.monotonic()
    data = examples(AutoTokenizer.from_pretrained(args.base), args.side)
    model = adapted(args.base, args.rank, args.seed)
    losses = fit(model, data, args)
    flags = {key: getattr(args, key) for key in ("side", "steps", "batch", "lr", "rank", "seed")}
    options = " ".join(f"--{key} {value}" for key, value in flags.items())
    packages = ("torch", "transformers", "peft", "tokenizers", "safetensors")
    settings = flags | {
        "alpha": args.rank,
        "modules": LINEARS,
        "optimizer": f"AdamW, no weight decay, {WARMUP} warm-up steps, linear decay, gradient norm {CLIP}",
        "numbers": "base bfloat16, adapter trained in float32 and saved in float16",
        "rows": len(data),
        "command": f"python train.py BASE OUT {options}",
        "versions": {"python": platform.python_version()} | {name: version(name) for name in packages},
        "losses": losses,
    }
    save(model, args.out, settings)
    print(f"{args.out}: {args.steps} steps, {time.monotonic() - began:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
