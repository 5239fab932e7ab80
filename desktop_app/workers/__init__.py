"""The only place that may import torch: one program per kind of job."""
