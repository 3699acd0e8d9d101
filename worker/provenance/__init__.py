"""What a file says about where it comes from."""
