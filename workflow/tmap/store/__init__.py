"""What models and judges said, kept on disk and never asked twice."""
