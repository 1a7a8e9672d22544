"""Variational autoencoder (VAE) for pictures of hands: data, model, training, samplers; no reinforcement learning."""

from vae.evaluation import Losses, encode_all
from vae.loss import gaussian_reconstruction, kl_to_standard_normal
from vae.model import VAE, VAEConfig, build_vae, check_contract
from vae.sampling.mixture import Mixture
from vae.sampling.sampler import Pool, Sampler, StandardNormal
from vae.training import Trainer, TrainingConfig

__all__ = [
    "VAE",
    "Losses",
    "Mixture",
    "Pool",
    "Sampler",
    "StandardNormal",
    "Trainer",
    "TrainingConfig",
    "VAEConfig",
    "build_vae",
    "check_contract",
    "encode_all",
    "gaussian_reconstruction",
    "kl_to_standard_normal",
]
