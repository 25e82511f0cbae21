"""What a kernel keeps of a block besides its bytes: the sums behind realised-versus-intended change.

d is the change a sum asks for, y the change that is left after rounding.
"""

INTENDED, REALISED, CROSS, CHANGED, NONFINITE = range(5)
"""Places in an account: Σd², Σy², Σd·y, elements changed, elements not finite."""

ACCOUNTS = 5
"""Numbers in an account."""
