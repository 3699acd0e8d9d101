"""The review queue: its filters, and the statements that answer them fast."""
