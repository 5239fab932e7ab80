"""Models on this computer, by their headers alone."""
