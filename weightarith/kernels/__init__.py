"""Pure maths on blocks of numbers: no names, no files, no state."""
