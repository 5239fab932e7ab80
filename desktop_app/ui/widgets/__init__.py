"""Pieces that at least two tabs draw."""
