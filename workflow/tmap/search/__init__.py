"""Search indicator weights: reward, demonstrations, optimiser, choice."""
