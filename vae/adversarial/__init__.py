"""Adversarial VAE training: critics and a perceptual distance. Plain training is `vae.training`."""
