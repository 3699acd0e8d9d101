"""From a file to frames, in a child process that cannot do harm."""
