import torch

from vae.evaluation import encode_all
from vae.model import VAEConfig, build_vae


def test_encode_all_is_encode_a_few_at_a_time(tiny_images):
    vae = build_vae(VAEConfig(32, 6), 0)
    mean, log_var = encode_all(vae, tiny_images, batch_size=7)
    expected = vae.encode(tiny_images.float() / 255)
    torch.testing.assert_close(mean, expected[0])
    torch.testing.assert_close(log_var, expected[1])


def test_encode_all_gives_float32_of_an_encoder_that_answers_in_bfloat16(tiny_images):
    vae = build_vae(VAEConfig(32, 6), 0)
    encode = vae.encode
    vae.encode = lambda images: tuple(x.bfloat16() for x in encode(images))
    assert [x.dtype for x in encode_all(vae, tiny_images)] == [torch.float32, torch.float32]
