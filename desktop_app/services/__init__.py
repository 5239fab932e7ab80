"""Attached helpers of the window, without torch."""
