"""Pictures of hands: photographs from 11k Hands or any folder, split by person, augmented on the device."""

from vae.images.augmentation import augment, random_affine, warp
from vae.images.crop import crop_to_hand
from vae.images.decode import PictureError, decode_picture
from vae.images.folder import load_folder, load_images
from vae.images.hands11k import load_hands11k
from vae.images.image_set import ImageSet, Problem, to_float, to_uint8
from vae.images.overview import save_overview
from vae.images.split import SPLIT_SEED, Split, split_by_group

__all__ = [
    "SPLIT_SEED",
    "ImageSet",
    "PictureError",
    "Problem",
    "Split",
    "augment",
    "crop_to_hand",
    "decode_picture",
    "load_folder",
    "load_hands11k",
    "load_images",
    "random_affine",
    "save_overview",
    "split_by_group",
    "to_float",
    "to_uint8",
    "warp",
]
