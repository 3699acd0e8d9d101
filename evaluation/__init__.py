"""What a detector reaches: clips whose truth is known, screened by the worker's own pipeline."""
