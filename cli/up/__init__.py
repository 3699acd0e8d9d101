"""`facewarden up`: the whole system on one machine."""
