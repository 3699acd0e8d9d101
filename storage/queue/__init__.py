"""The review queue: what is asked for, and the statements that answer it fast."""
