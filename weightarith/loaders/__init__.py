"""What the programs that serve adapters will do with a folder, and why: rules, read from their sources."""

from weightarith.loaders.check import LOADERS, as_json, check, table, verdicts
from weightarith.loaders.finding import Finding, Verdict, worst

__all__ = ["LOADERS", "Finding", "Verdict", "as_json", "check", "table", "verdicts", "worst"]
