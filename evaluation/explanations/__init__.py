"""How far explanations hold: fit, agreement over seeds, deletion and insertion, on flagged fakes."""
