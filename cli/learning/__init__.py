"""Commands that train, measure and describe a detector."""
