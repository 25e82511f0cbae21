"""How a plan is made and run."""
