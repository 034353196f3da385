"""Pictures of trained models: learning curves while they grow, filters, Grad-CAM, a clip's probabilities over time."""
