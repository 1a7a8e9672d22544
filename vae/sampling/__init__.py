"""Samplers over the latent space: standard normal, mixture, learned flow. Decoding is `vae.model`."""
