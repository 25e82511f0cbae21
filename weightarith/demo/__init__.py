"""The whole line on a small real model, without a network."""
