"""A merge of three models by the CPU and by a GPU: the same bytes, and how near to what the bus can carry.

    python -m tests.benchmarks.gpu_merge --folder /dev/shm/merge

makes three models of random bfloat16 numbers in the shapes of Llama-3.2-1B (2.5 GB each) and merges them by
each device in turn, round after round. Where the folder lies in memory no disk is measured; it needs room for
five models. Needs torch, Numba and xxhash, and no network. On a machine without a GPU: `--devices cpu,torch`.
"""

from __future__ import annotations

import argparse
import filecmp
import resource
import shutil
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

import numpy as np
import torch

from weightarith.algebra import Checkpoint, Sum, collect
from weightarith.engine.build import build_plan
from weightarith.engine.devices import cores, execute
from weightarith.engine.settings import Output
from weightarith.tensorfile.dtypes import DTYPES
from weightarith.tensorfile.layout import lay_out

WIDTH, INNER, KEYS, VOCABULARY = 2048, 8192, 512, 128_256  # Llama-3.2-1B, whose head is tied
LAYER = {
    "input_layernorm": (WIDTH,),
    "mlp.down_proj": (WIDTH, INNER),
    "mlp.gate_proj": (INNER, WIDTH),
    "mlp.up_proj": (INNER, WIDTH),
    "post_attention_layernorm": (WIDTH,),
    "self_attn.k_proj": (KEYS, WIDTH),
    "self_attn.o_proj": (WIDTH, WIDTH),
    "self_attn.q_proj": (WIDTH, WIDTH),
    "self_attn.v_proj": (KEYS, WIDTH),
}
COPIED = 1 << 28


def shapes(layers: int, vocabulary: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield the name and the shape of every tensor."""
    yield "model.embed_tokens.weight", (vocabulary, WIDTH)
    yield "model.norm.weight", (WIDTH,)
    for layer in range(layers):
        for name, shape in LAYER.items():
            yield f"model.layers.{layer}.{name}.weight", shape


def write_model(path: Path, layers: int, vocabulary: int, seed: int) -> None:
    """Write random bfloat16 numbers from 2⁻¹⁵ to 2⁻⁷, of both signs."""
    layout = lay_out({name: (DTYPES["BF16"], shape) for name, shape in shapes(layers, vocabulary)}, {})
    random = np.random.default_rng(seed)
    left = layout.size - len(layout.header)
    with path.open("xb") as file:
        file.write(layout.header)
        while left > 0:
            bits = random.integers(0, 1 << 64, min(left, 1 << 26) // 8, np.uint64).view(np.uint16)
            bits &= 0x83FF
            bits |= 0x3800
            file.write(bits.data)
            left -= bits.nbytes


def copy_rates() -> tuple[float, float]:
    """Return the GB/s of copies from page-locked memory to the GPU and back, the best of five."""
    host = torch.ones(COPIED, dtype=torch.uint8, pin_memory=True)
    device = torch.empty_like(host, device="cuda")
    rates = []
    for source, target in ((host, device), (device, host)):
        seconds = []
        for _ in range(5):
            torch.cuda.synchronize()
            begun = perf_counter()
            target.copy_(source, non_blocking=True)
            torch.cuda.synchronize()
            seconds.append(perf_counter() - begun)
        rates.append(COPIED / min(seconds) / 1e9)
    return rates[0], rates[1]


def merge(total: Sum, folder: Path, device: str, threads: int) -> tuple[float, float, float]:
    """Merge into an empty folder; return wall seconds, CPU seconds and the gigabytes read and written."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    plan = build_plan(total, Output(folder / "model.safetensors"))
    before, begun = resource.getrusage(resource.RUSAGE_SELF), perf_counter()
    execute(plan, folder, device=device, threads=threads, progress=lambda _moved: None)
    wall, after = perf_counter() - begun, resource.getrusage(resource.RUSAGE_SELF)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, spent, (plan.read_bytes + plan.write_bytes) / 1e9


def three_models(folder: Path, layers: int, vocabulary: int) -> Sum:
    """Make three models in `folder`, where they are not there yet, and return their merge."""
    opened = []
    for seed, name in enumerate(("base", "a", "b")):
        path = folder / f"{name}-{layers}-{vocabulary}.safetensors"
        if not path.exists():
            write_model(path, layers, vocabulary, seed)
        opened.append(Checkpoint.open(path, label=name))
    base, a, b = opened
    return collect((base + 0.6 * (a - base) + 0.4 * (b - base)).terms)


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, required=True, help="where models and merges are written")
    parser.add_argument("--devices", default="cpu,cuda", help="the first one's bytes are the reference")
    parser.add_argument("--layers", type=int, default=16)
    parser.add_argument("--vocabulary", type=int, default=VOCABULARY)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=cores())
    return parser.parse_args()


def main() -> None:
    chosen = options()
    chosen.folder.mkdir(parents=True, exist_ok=True)
    devices = chosen.devices.split(",")
    small = three_models(chosen.folder, 1, 100)
    for device in devices:  # compilation and the start of the GPU are not what is measured
        merge(small, chosen.folder / f"by-{device}", device, chosen.threads)
    total = three_models(chosen.folder, chosen.layers, chosen.vocabulary)
    for number in range(chosen.rounds):
        for device in devices:
            wall, spent, moved = merge(total, chosen.folder / f"by-{device}", device, chosen.threads)
            rate = moved / wall
            print(f"round {number + 1}  {device:6} {wall:7.3f} s  {spent:7.2f} CPU s  {rate:6.1f} GB/s moved")
    names = [chosen.folder / f"by-{device}" / "model.safetensors" for device in devices]
    for device, path in zip(devices[1:], names[1:], strict=True):
        same = filecmp.cmp(names[0], path, shallow=False)
        print(f"{device}: {'the same bytes as' if same else 'NOT the bytes of'} {devices[0]}")
    if "cuda" in devices:
        there, back = copy_rates()
        floor = moved * 3 / 4 / there  # three models in, while the result of earlier spans goes out
        print(f"{torch.cuda.get_device_name()}, page-locked: in {there:.1f} GB/s, out {back:.1f} GB/s")
        print(f"the bus alone takes {floor:.3f} s for this merge: {moved / floor:.1f} GB/s moved")


if __name__ == "__main__":
    main()
