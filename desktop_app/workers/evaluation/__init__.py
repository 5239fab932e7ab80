"""How models are measured and compared; `workers/evaluate.py` is the job that does it."""
