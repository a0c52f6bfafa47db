"""Images wait here, and leave for the model in batches."""
