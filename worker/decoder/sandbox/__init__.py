"""What the decoder process gives up before it looks at a stranger's file."""
