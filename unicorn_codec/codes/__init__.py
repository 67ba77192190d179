"""Pictures' quantised latents and the bytes that they take: an integer context model before the coder."""
