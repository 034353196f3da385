"""Search over parameters: a grid or random draws, each a DVC experiment, ranked on the validation side."""
