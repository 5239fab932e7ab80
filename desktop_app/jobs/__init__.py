"""Run workers: supervisor, recovery, and what clients call to submit."""
