"""From frames to a verdict."""
