"""Buckets of S3 as a source."""
