"""Compare the distribution of pictures with that of photographs: kernel distance, coverage, density."""

from vae.distribution.coverage import coverage_and_density
from vae.distribution.features import MEASURES, NETWORKS, TRAINS, PictureFeatures, check_extra, feature_weights
from vae.distribution.half_samples import Estimate, estimate_over_halves, halves
from vae.distribution.kernel import kernel_distance

__all__ = [
    "MEASURES",
    "NETWORKS",
    "TRAINS",
    "Estimate",
    "PictureFeatures",
    "check_extra",
    "coverage_and_density",
    "estimate_over_halves",
    "feature_weights",
    "halves",
    "kernel_distance",
]
