"""The repository that is written to: whether it is there, what it holds, its branches and tags."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from weightarith.errors import TargetError, quoted
from weightarith.hub.address import DEFAULT_REVISION, Address
from weightarith.hub.listing import Listing, listing
from weightarith.hub.session import api, patiently, talking


@dataclass(frozen=True)
class There:
    """A repository that exists.

    Attributes:
        private: whether only its owners see it.
        listed: its files; None where it has no such branch.
    """

    private: bool
    listed: Listing | None


def look(repo: str, revision: str = DEFAULT_REVISION) -> There | None:
    """Return what stands at a branch of a repository, None where there is none that this account may see.

    Raises:
        HubError: the Hub did not answer.
    """
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    with talking(f"looking at {repo}"):
        try:
            info = patiently(lambda: api().model_info(repo))
        except GatedRepoError:
            raise
        except RepositoryNotFoundError:
            return None
    is_there = revision == DEFAULT_REVISION or _branch(revision) in names(repo)
    return There(bool(info.private), listing(Address(repo, revision)) if is_there else None)


def create(repo: str, revision: str, there: There | None, *, private: bool) -> Listing:
    """Return what a branch of a repository holds, both made where they are missing.

    Raises:
        HubError: the Hub did not answer, or the account has no right to.
    """
    if there is None:
        with talking(f"creating {repo}"):
            patiently(lambda: api().create_repo(repo, private=private, exist_ok=True))
    if revision != DEFAULT_REVISION and (there is None or there.listed is None):
        with talking(f"creating the branch {quoted(revision)} of {repo}"):
            patiently(lambda: api().create_branch(repo, branch=revision, exist_ok=True))
    return listing(Address(repo, revision))


def names(repo: str) -> dict[str, str]:
    """Return the commits of a repository that have a name: `refs/heads/…`, `refs/tags/…`, `refs/pr/…`.

    Raises:
        HubError: the Hub did not answer.
    """
    with talking(f"listing the branches of {repo}"):
        found = patiently(lambda: api().list_repo_refs(repo, include_pull_requests=True))
    every = (*found.branches, *found.tags, *(found.pull_requests or ()))
    return {one.ref: one.target_commit for one in every}


def _branch(revision: str) -> str:
    return revision if revision.startswith("refs/") else f"refs/heads/{revision}"


def tag(repo: str, name: str, commit: str) -> None:
    """Give a commit a name; one that it has already is fine.

    Raises:
        HubError: the Hub did not answer.
        TargetError: another commit has that name.
    """
    there = names(repo).get(f"refs/tags/{name}")
    if there not in (None, commit):
        raise taken(repo, name, there)
    if there is None:
        with talking(f"tagging {repo}"):
            patiently(lambda: api().create_tag(repo, tag=name, revision=commit, exist_ok=True))


def taken(repo: str, name: str, commit: str) -> TargetError:
    """Return the error that says that a tag is another commit's."""
    return TargetError(
        f"{repo} has a tag {quoted(name)}, of commit {commit[:12]}",
        hint="choose another: people rely on what a tag means",
    )


def content(listed: Listing, name: str) -> bytes:
    """Return a small file of a repository, at its commit.

    Raises:
        HubError: the Hub did not deliver.
    """
    from huggingface_hub import constants

    with talking(f"reading {name} of {listed.address.repo}"):
        path = patiently(
            lambda: api().hf_hub_download(
                listed.address.repo, name, revision=listed.commit, cache_dir=constants.HF_HUB_CACHE
            )
        )
    return Path(path).read_bytes()
