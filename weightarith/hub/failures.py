"""What went wrong at the Hub: each error of its client as one of ours, and whether to ask again is worth it.

Nothing that a server says is trusted: it is cut to a line, and what looks like a token is left out.
"""

from __future__ import annotations

import errno
import re
import time
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from json import JSONDecodeError

from weightarith.errors import HubError, InvalidFileError, StorageError, WeightArithError, quoted

LOG_IN = "hf auth login"
BUSY = (408, 429, 500, 502, 503, 504)
_SECRET = re.compile(r"hf_[A-Za-z0-9]{6,}|(?<=//)[^/\s@]+@|(?i:bearer)\s+\S+")
_LEFT = re.compile(r"\br=(\d+)")
_RESET = re.compile(r"\bt=(\d+)")
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NO_DISK = (*_FULL, errno.EACCES, errno.EROFS, errno.EPERM, errno.EIO)


def explained(error: BaseException, what: str) -> WeightArithError | None:
    """Return `error` as one that says what failed and what to try, or None if it is none of the Hub's."""
    found = next((one for link in chain(error) if (one := _known(link, what)) is not None), None)
    if found is None and _of_xet(error):
        return HubError(f"{what}: the Hub's storage failed: {harmless(str(error))}", hint="run it again")
    return found


def chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what it was raised from: the client wraps some, and the root says most."""
    seen: BaseException | None = error
    for _ in range(10):
        if seen is None:
            return
        yield seen
        seen = seen.__cause__ or seen.__context__


def harmless(text: str) -> str:
    """Return what a server said as one quoted line, without what looks like a token or a password."""
    return quoted(_SECRET.sub("…", " ".join(text.split())))


def pause_of(error: BaseException) -> float | None:
    """Return the seconds after which to ask again: 0 if the server names none; None if that is of no use."""
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled
    from huggingface_hub.utils import httpx  # type: ignore[attr-defined]  # 1 and 2 differ

    for link in chain(error):
        if isinstance(link, (OfflineModeIsEnabled, httpx.ProxyError, httpx.UnsupportedProtocol)):
            return None
        if isinstance(link, (HfHubHTTPError, httpx.HTTPStatusError)):
            response = getattr(link, "response", None)
            if response is None or response.status_code not in BUSY:
                return None
            return _asked(response.headers)
        if isinstance(link, httpx.TransportError):
            return 0.0
    return None


def _asked(headers: Mapping[str, str]) -> float:
    """Return the pause that `Retry-After` or `RateLimit` asks for, in seconds.

    https://www.rfc-editor.org/rfc/rfc9110#field.retry-after and
    https://www.ietf.org/archive/id/draft-ietf-httpapi-ratelimit-headers-09.html
    """
    after = headers.get("Retry-After", "").strip()
    if after.isdigit():
        return float(after)
    if after:
        try:
            return max(parsedate_to_datetime(after).timestamp() - time.time(), 0.0)
        except (ValueError, OverflowError):
            return 0.0
    limit = headers.get("RateLimit", "")
    left, reset = _LEFT.search(limit), _RESET.search(limit)
    return float(reset[1]) if left and reset and left[1] == "0" else 0.0


def _known(error: BaseException, what: str) -> WeightArithError | None:
    from huggingface_hub import errors
    from huggingface_hub.utils import httpx  # type: ignore[attr-defined]  # 1 and 2 differ

    if isinstance(error, errors.OfflineModeIsEnabled):
        return HubError(
            f"{what}: HF_HUB_OFFLINE is set, and the Hub is not asked", hint="unset HF_HUB_OFFLINE"
        )
    if isinstance(error, errors.LocalTokenNotFoundError):
        return HubError(f"{what}: not logged in", hint=LOG_IN)
    if isinstance(error, errors.HFValidationError):
        return InvalidFileError(f"{what}: no name of a repository: {harmless(str(error))}")
    if isinstance(error, (errors.HfHubHTTPError, httpx.HTTPStatusError)):
        return _refused(error, what)
    if isinstance(error, httpx.TimeoutException):
        return HubError(f"{what}: {_host()} does not answer", hint="check the network, and run it again")
    if isinstance(error, httpx.ConnectError):
        return HubError(
            f"{what}: cannot connect to {_host()}",
            hint="check the network; HF_HUB_OFFLINE=1 uses only what is in the cache",
        )
    if isinstance(error, httpx.HTTPError):
        return HubError(
            f"{what}: the connection to {_host()} broke ({type(error).__name__})",
            hint="run it again; what is done is not done twice",
        )
    if isinstance(error, (JSONDecodeError, errors.FileMetadataError)):
        return HubError(
            f"{what}: {_host()} does not answer as the Hub does", hint="check HF_ENDPOINT and the proxy"
        )
    return _of_disk(error, what)


def _of_disk(error: BaseException, what: str) -> WeightArithError | None:
    if not isinstance(error, OSError):
        return None
    if "onsistency check failed" in str(error):
        return HubError(f"{what}: a file came incomplete", hint="run it again")
    if error.errno not in _NO_DISK or _of_xet(error):
        return None
    where = f" at {quoted(str(error.filename))}" if error.filename else ""
    hint = (
        "make room, or put the cache elsewhere: HF_HUB_CACHE=DIR" if error.errno in _FULL
        else "put the cache where it may be written: HF_HUB_CACHE=DIR"
    )  # fmt: skip
    return StorageError(f"{what}: {error.strerror}{where}", hint=hint)


def _refused(error: BaseException, what: str) -> HubError:
    from huggingface_hub import errors

    response = getattr(error, "response", None)
    status = response.status_code if response is not None else 0
    if isinstance(error, errors.GatedRepoError):  # before its base class: that there is no such one
        return HubError(
            f"{what}: the repository is gated, and access to it must be asked for",
            hint=f"ask on its page of the Hub; then {LOG_IN}",
        )
    if isinstance(error, errors.DisabledRepoError):
        return HubError(f"{what}: the Hub has disabled the repository")
    if isinstance(error, errors.RepositoryNotFoundError):
        return HubError(
            f"{what}: the Hub knows no such repository, or it is private",
            hint=f"check the name; to see a private one: {LOG_IN}",
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return HubError(f"{what}: the repository has no such revision", hint="check its branches and tags")
    if isinstance(error, errors.EntryNotFoundError):
        return HubError(f"{what}: the repository has no such file at that revision")
    return _by_status(status, what, harmless(getattr(error, "server_message", None) or ""))


def _by_status(status: int, what: str, said: str) -> HubError:
    also = f": {said}" if said != "''" else ""
    if status == 401:
        return HubError(f"{what}: the Hub does not know who asks{also}", hint=LOG_IN)
    if status == 403:
        return HubError(
            f"{what}: the Hub refuses it{also}",
            hint=f"check the rights of your account and its token; {LOG_IN}",
        )
    if status == 412:
        return HubError(
            f"{what}: somebody else has committed to it meanwhile",
            hint="look at what changed, and run it again",
        )
    if status == 429:
        return HubError(
            f"{what}: too many requests for the Hub{also}", hint="wait five minutes, and run it again"
        )
    if status >= 500:
        return HubError(f"{what}: the Hub failed ({status}){also}", hint="run it again in a while")
    return HubError(f"{what}: the Hub answered {status}{also}")


def _of_xet(error: BaseException) -> bool:
    """Return whether the Xet client raised this: its errors are Python's own, most of them bare."""
    return type(error).__module__ == "hf_xet" or (
        isinstance(error, (RuntimeError, OSError, ValueError))
        and re.search(r"\b(?:xet|cas)\b", str(error), re.I) is not None
    )


def _host() -> str:
    from urllib.parse import urlsplit

    from huggingface_hub import constants

    return urlsplit(constants.ENDPOINT).hostname or "the Hub"
