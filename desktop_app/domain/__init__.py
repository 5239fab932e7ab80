"""Plain facts of the program, without input or output."""
