"""Still pictures and animations that Pillow opens."""
