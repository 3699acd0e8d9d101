"""What is shown of videos: one view for command line, API and pages."""
