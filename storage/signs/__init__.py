"""What a process shows of itself: whether it lives, whether it can work, and what it has counted."""
