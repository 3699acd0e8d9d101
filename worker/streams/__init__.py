"""Live streams: fetched in pieces, each decoded in a sandbox, scored face by face in a rolling window."""
