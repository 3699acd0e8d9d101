"""What leaves the service: evidence of a verdict, exports of the queue."""
