"""The tabs of the window, one module each with `draw(state)`."""
