"""`python -m weightarith`."""

from weightarith.cli import main

main()
