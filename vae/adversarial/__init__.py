"""Adversarial VAE training: critics and a perceptual distance. Plain training is `vae.training`."""

from vae.adversarial.batches import Batches
from vae.adversarial.training import AdversarialConfig, AdversarialTrainer

__all__ = ["AdversarialConfig", "AdversarialTrainer", "Batches"]
