"""Entropy coding of pictures' quantised latents: an autoregressive context model in integers, and rANS."""
