"""A backfill of a bucket with very many keys: memory, rate, and what kills leave undone."""
