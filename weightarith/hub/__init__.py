"""The Hugging Face Hub, and its cache here: the only part that talks to it, by huggingface_hub."""

from weightarith.hub.address import DEFAULT_REVISION, SCHEME, Address
from weightarith.hub.fetch import locate, place_of

__all__ = ["DEFAULT_REVISION", "SCHEME", "Address", "locate", "place_of"]
