"""Variational autoencoder (VAE) for pictures of hands: data, model, training, samplers; no reinforcement learning."""

import vae.torch_modes  # noqa: F401 - lets forked processes compute
from vae.evaluation import Losses, decode_all, encode_all
from vae.loss import gaussian_reconstruction, kl_to_standard_normal
from vae.model import VAE, VAEConfig, build_vae, check_contract
from vae.progress import show_progress
from vae.sampling.flow import FlowPrior
from vae.sampling.flow_fit import fit_flow
from vae.sampling.gaussian import Gaussian
from vae.sampling.mixture import Mixture
from vae.sampling.reencoded import Reencoded
from vae.sampling.sampler import Pool, Sampler, StandardNormal
from vae.training import Trainer
from vae.training_config import TrainingConfig

__all__ = [
    "VAE",
    "FlowPrior",
    "Gaussian",
    "Losses",
    "Mixture",
    "Pool",
    "Reencoded",
    "Sampler",
    "StandardNormal",
    "Trainer",
    "TrainingConfig",
    "VAEConfig",
    "build_vae",
    "check_contract",
    "decode_all",
    "encode_all",
    "fit_flow",
    "gaussian_reconstruction",
    "kl_to_standard_normal",
    "show_progress",
]
