"""A model as one ONNX graph with 8-bit weights: the export, the check of it, and a model that runs it."""
