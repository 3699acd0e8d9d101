"""What a video costs beside looking at it: the queue, the database, the object store."""
