"""Operators on vectors and models: pure functions of one tensor's operands, the same on every device."""
