"""What was done to a model, told from its weights: tensors that changed, edits that do not fit the rest."""

from weightarith.audit.auditing import RATE, Audit, audit
from weightarith.audit.finding import KINDS, PLANTED, Finding
from weightarith.audit.known import Match, find_known
from weightarith.audit.look import Look
from weightarith.audit.written import picture

__all__ = ["KINDS", "PLANTED", "RATE", "Audit", "Finding", "Look", "Match", "audit", "find_known", "picture"]
