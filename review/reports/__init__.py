"""What can be exported: the evidence report of a video, and lists of the queue."""
