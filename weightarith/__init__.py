"""Arithmetic on the weights of language models."""
