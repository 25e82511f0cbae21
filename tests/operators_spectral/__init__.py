"""Operators on matrices as matrices: their spectra, their factors, their rows."""
