import pytest
import torch

from vae.evaluation import decode_all, decode_chunks, encode_all, measure
from vae.loss import gaussian_reconstruction, kl_to_standard_normal
from vae.model import VAEConfig, build_vae


@torch.no_grad()
def test_a_measurement_draws_latents_from_the_posteriors(tiny_images):
    vae, pictures = build_vae(VAEConfig(32, 6), 0), tiny_images.float() / 255
    found = measure(vae, tiny_images, torch.Generator().manual_seed(3))
    mean, log_var = vae.encode(pictures)
    noise = torch.randn(mean.shape, generator=torch.Generator().manual_seed(3))
    expected = gaussian_reconstruction(vae.decode(mean + log_var.exp().sqrt() * noise), pictures, vae.log_variance)
    torch.testing.assert_close(found.reconstruction, expected, rtol=1e-6, atol=1e-3)
    torch.testing.assert_close(found.kl, kl_to_standard_normal(mean, log_var))


def test_pictures_of_a_decoder_without_a_bound_are_clipped(quick_vae):
    latents = 20 * torch.randn(8, 4, generator=torch.Generator().manual_seed(0))
    pictures = torch.cat(list(decode_chunks(quick_vae(0), latents, 4)))
    assert (float(pictures.min()), float(pictures.max())) == (0, 1)


def test_encode_all_is_encode_a_few_at_a_time(tiny_images):
    vae = build_vae(VAEConfig(32, 6), 0)
    mean, log_var = encode_all(vae, tiny_images, batch_size=7)
    expected = vae.encode(tiny_images.float() / 255)
    torch.testing.assert_close(mean, expected[0])
    torch.testing.assert_close(log_var, expected[1])


def test_encode_all_gives_float32_of_an_encoder_that_answers_in_bfloat16(tiny_images, monkeypatch):
    vae = build_vae(VAEConfig(32, 6), 0)
    encode = vae.encode
    monkeypatch.setattr(vae, "encode", lambda images: tuple(x.bfloat16() for x in encode(images)))
    assert [x.dtype for x in encode_all(vae, tiny_images)] == [torch.float32, torch.float32]


def test_latents_that_no_picture_belongs_to_are_refused(quick_vae):
    vae = quick_vae(0)
    with pytest.raises(ValueError, match=r"latents must have the shape \(n, 4\), got \(2, 5\)"):
        decode_all(vae, torch.zeros(2, 5))
    with pytest.raises(ValueError, match="latents must be finite, got NaN or infinity"):
        decode_all(vae, torch.tensor([[0.0, 1.0, 2.0, torch.nan]]))


def test_no_pictures_cannot_be_encoded(quick_vae, tiny_images):
    with pytest.raises(ValueError, match="images must hold at least 1 picture to encode, got 0"):
        encode_all(quick_vae(0), tiny_images[:0])
