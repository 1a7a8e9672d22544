"""Samplers over the latent space: standard normal, fitted ones, learned flow, rejection. Decoding is `vae.model`."""

from vae.sampling.flow import FlowPrior
from vae.sampling.flow_fit import fit_flow
from vae.sampling.gaussian import Gaussian
from vae.sampling.local_gaussians import LocalGaussians
from vae.sampling.mixture import Mixture
from vae.sampling.reencoded import Reencoded
from vae.sampling.rejection import LatentClassifier, RejectionSampler
from vae.sampling.rejection_fit import fit_classifier
from vae.sampling.sampler import Pool, Sampler, StandardNormal

__all__ = [
    "FlowPrior",
    "Gaussian",
    "LatentClassifier",
    "LocalGaussians",
    "Mixture",
    "Pool",
    "Reencoded",
    "RejectionSampler",
    "Sampler",
    "StandardNormal",
    "fit_classifier",
    "fit_flow",
]
