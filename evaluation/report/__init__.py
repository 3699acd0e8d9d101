"""What was measured, as results, report and model card."""
