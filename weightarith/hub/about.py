"""What the Hub says of a repository without its files: who may see it, and the front matter of its card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from weightarith.errors import HubError, InvalidFileError
from weightarith.hub import cached
from weightarith.hub.address import Address
from weightarith.hub.failures import harmless
from weightarith.hub.session import api, online, patiently, talking

CARD = "README.md"
_LARGEST = 1 << 20  # characters of a card that are looked at


@dataclass(frozen=True)
class About:
    """A repository, as the account that is logged in sees it.

    Attributes:
        card: the front matter of its card, such as `license`.
        private: None where the Hub was not asked.
        gated: None where the Hub was not asked.
        seen: whether the Hub shows it to this account at all.
    """

    card: Mapping[str, Any] = field(default_factory=dict)
    private: bool | None = None
    gated: bool | None = None
    seen: bool = True


def about(address: Address) -> About:
    """Return what the Hub says of a repository; offline, what the card in its cache says.

    One request; a second where the revision is gone.

    Raises:
        HubError: the Hub did not answer.
    """
    if not online():
        return About(_cached_card(address))
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    with talking(f"asking the Hub about {address.repo}"):
        try:
            info = patiently(lambda: api().model_info(address.repo, revision=address.revision))
        except GatedRepoError:
            return About(_cached_card(address), gated=True)
        except RepositoryNotFoundError:
            return About(_cached_card(address), seen=False)
        except RevisionNotFoundError:
            info = patiently(lambda: api().model_info(address.repo))
        card = info.card_data.to_dict() if info.card_data else {}  # type: ignore[no-untyped-call]
        return About(card, bool(info.private), bool(info.gated))


def _cached_card(address: Address) -> dict[str, Any]:
    try:
        path = cached.snapshot(address).folder / CARD
        return front_matter(path.read_text(encoding="utf-8", errors="replace")[:_LARGEST])
    except (HubError, InvalidFileError, OSError):  # not there: nothing is known of it
        return {}


def front_matter(text: str) -> dict[str, Any]:
    """Return the front matter of a card; of one that cannot be read nothing.

    https://huggingface.co/docs/hub/model-cards#model-card-metadata
    """
    import yaml

    begin, _, rest = text.removeprefix("\ufeff").lstrip().partition("\n")
    if begin.strip() != "---":
        return {}
    try:
        found = yaml.safe_load(f"\n{rest}".split("\n---", 1)[0])
    except (yaml.YAMLError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def check_card(text: str) -> None:
    """Read a card as huggingface_hub does, which needs no network.

    Raises:
        InvalidFileError: its front matter is none.
    """
    import logging

    from huggingface_hub import ModelCard

    log = logging.getLogger("huggingface_hub.repocard")
    before = log.level
    log.setLevel(logging.ERROR)  # what it warns of is checked here
    try:
        found = ModelCard(text).data.to_dict()  # type: ignore[no-untyped-call]
    except Exception as error:  # yaml's errors, ValueError, TypeError: whatever its classes raise
        raise InvalidFileError(f"the card is not valid: {harmless(str(error))}") from error
    finally:
        log.setLevel(before)
    if found != front_matter(text) or not found:
        raise InvalidFileError("the card is not valid: huggingface_hub reads other metadata in it")


def check_card_there(text: str) -> None:
    """Have the Hub check the front matter of a card.

    Raises:
        InvalidFileError: the Hub does not take it.
        HubError: the Hub did not answer.
    """
    from huggingface_hub import constants
    from huggingface_hub.errors import BadRequestError
    from huggingface_hub.utils import get_session, hf_raise_for_status  # type: ignore[attr-defined]

    def ask() -> None:  # `ModelCard.validate` of huggingface_hub 1 knows no HF_ENDPOINT
        answer = get_session().post(
            f"{constants.ENDPOINT}/api/validate-yaml", json={"repoType": "model", "content": text},
            headers={"Accept": "text/plain"},
        )  # fmt: skip
        try:
            hf_raise_for_status(answer)
        except BadRequestError:
            raise InvalidFileError(f"the Hub does not take the card: {harmless(answer.text)}") from None

    with talking("having the Hub check the card"):
        patiently(ask)
