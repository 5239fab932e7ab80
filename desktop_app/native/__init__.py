"""The native window: the process it lives in, its place on the screen, and that there is only one."""
