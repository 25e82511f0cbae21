"""Outputs held against their receipts: verified as they lie, rebuilt to the same bytes, fetched whole."""

from weightarith.proof.account import Account, account_of, read_receipt, receipts_of
from weightarith.proof.difference import Difference, Verdict
from weightarith.proof.outputs import pull_output, repository_named, reproduce_output, verify_output
from weightarith.proof.pull import Wanted, check, check_out, copy_out, fetched, wanted
from weightarith.proof.rebuild import reproduce, reproduce_published
from weightarith.proof.remote import Published, on_the_hub, published, verify_published
from weightarith.proof.verify import bytes_to_read, verify
from weightarith.proof.versions import other_versions

__all__ = [
    "Account",
    "Difference",
    "Published",
    "Verdict",
    "Wanted",
    "account_of",
    "bytes_to_read",
    "check",
    "check_out",
    "copy_out",
    "fetched",
    "on_the_hub",
    "other_versions",
    "published",
    "pull_output",
    "read_receipt",
    "receipts_of",
    "repository_named",
    "reproduce",
    "reproduce_output",
    "reproduce_published",
    "verify",
    "verify_output",
    "verify_published",
    "wanted",
]
