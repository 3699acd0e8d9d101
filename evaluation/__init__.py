"""Measures a detector on clips with known labels, screened by the worker's own pipeline."""
