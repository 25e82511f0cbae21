"""The token is sent to the Hub, and to be seen nowhere else: not even where all that can be logged is."""

from __future__ import annotations

import getpass
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hubserver import Hub
from tests.push import things

pytestmark = [pytest.mark.enable_socket, pytest.mark.allow_hosts(["127.0.0.1"])]
REPO = "me/thing"
LOUD = {"HF_DEBUG": "1", "HF_HUB_VERBOSITY": "debug", "PYTHONWARNINGS": "default"}


def push(hub: Hub, path: Path, **more: str) -> subprocess.CompletedProcess[str]:
    environment = hub.environment() | LOUD | more | {"PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(
        [sys.executable, "-m", "weightarith", "push", str(path), REPO],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip


def left_behind(folder: Path) -> dict[Path, bytes]:
    """Return every file but the one that the login keeps."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != "token"}


@pytest.mark.parametrize("by", ["file", "environment"])
def test_the_token_is_in_no_output_and_no_file(any_hub: Hub, tmp_path: Path, by: str) -> None:
    things.parents(any_hub, tmp_path)
    more = {"HF_TOKEN": any_hub.token} if by == "environment" else {}
    if by == "environment":
        (any_hub.home / "token").unlink()
    done = push(any_hub, things.vector(tmp_path), **more)
    assert done.returncode == 0, done.stderr
    assert REPO in any_hub.repositories
    assert any_hub.token not in done.stdout + done.stderr
    for path, content in left_behind(tmp_path).items():
        assert any_hub.token.encode() not in content, path


def test_the_token_is_in_nothing_that_a_merge_to_the_hub_leaves(any_hub: Hub, tmp_path: Path) -> None:
    things.parents(any_hub, tmp_path)
    (tmp_path / "r.yaml").write_text(
        "weightarith: 1\ninputs: {a: hf://org/base, b: hf://org/tuned}\nexpression: mean(a, b)\n"
        f"output: {{hub: {REPO}, shard_size: 5kB}}\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "weightarith", "merge", str(tmp_path / "r.yaml"), "--json"],
        env=any_hub.environment() | LOUD | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert any_hub.token not in done.stdout + done.stderr
    for name, content in (*left_behind(tmp_path).items(), *any_hub.files(REPO).items()):
        assert any_hub.token.encode() not in content, name
        assert name not in any_hub.files(REPO) or str(tmp_path).encode() + b"/" not in content, name


@pytest.mark.parametrize(("how", "said"), [("500", "the Hub failed"), ("drop", "broke")])
def test_the_token_is_in_no_error(hub: Hub, tmp_path: Path, how: str, said: str) -> None:
    things.parents(hub, tmp_path)
    path = things.vector(tmp_path)
    hub.fail(lambda request: "/commit/" in request.path, how, times=10**6)  # type: ignore[arg-type]
    hub.fail(lambda request: "/preupload/" in request.path, "500", times=1)
    # One attempt and no pause, so that the test does not wait.
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text("import time\ntime.sleep = lambda _seconds: None\n")
    sys.path.insert(0, str(site))
    try:
        done = push(hub, path)
    finally:
        sys.path.remove(str(site))
    assert done.returncode == 8
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert hub.token not in done.stdout + done.stderr


def test_a_login_that_is_refused_is_said_without_the_token(hub: Hub, tmp_path: Path) -> None:
    things.parents(hub, tmp_path)
    path = things.vector(tmp_path)
    wrong = "hf_wrongWRONGwrong0123456789abcdef"
    done = push(hub, path, HF_TOKEN=wrong)
    assert done.returncode == 8
    assert "hf auth login" in done.stderr
    assert wrong not in done.stdout + done.stderr


def test_nothing_published_names_this_machine(hub: Hub, tmp_path: Path) -> None:
    things.parents(hub, tmp_path)
    path = things.vector(tmp_path)
    assert push(hub, path).returncode == 0
    for name, content in hub.files(REPO).items():
        for word in (str(Path.home()), str(tmp_path), str(hub.home), os.fspath(Path.cwd())):
            assert word.encode() + b"/" not in content, (name, word)
    texts = b"".join(hub.files(REPO)[name] for name in ("README.md", "weightarith.json", "meta.yaml"))
    assert socket.gethostname().encode() not in texts
    if len(getpass.getuser()) > 4:
        assert getpass.getuser().encode() not in texts
