import pytest
import torch

from vae.images.synthetic import DEFECTS, render
from vae.images.synthetic.labels import masks
from vae.images.synthetic.scene import draw_scene


@pytest.mark.parametrize("defect", ["none", *DEFECTS])
@pytest.mark.parametrize("size", [64, 128])
def test_rendering_stays_on_the_device_that_was_asked_for(size, defect):
    """The device "meta" computes nothing but refuses, as a GPU does, to mix its tensors with the CPU's."""
    scene = draw_scene(range(4), size, 0, defect, rings=True, sleeves=True)
    skin, picture = render._expose(scene, size, "meta")
    ghosts = torch.nonzero(scene.ghost >= 0)[:, 0]
    assert len(ghosts) == (4 if defect == "ghost_digit" else 0)
    if len(ghosts):
        render._fade(picture, scene, ghosts, size, "meta")
    developed = render._develop(picture[..., :size, :size], scene.look, scene.noise.to("meta"))
    seen = [developed, *masks(skin, scene.skeleton)]
    assert {tensor.device.type for tensor in seen} == {"meta"}


def test_the_device_meta_does_refuse_to_mix():
    with pytest.raises((RuntimeError, NotImplementedError)):
        (torch.zeros(2, device="meta") + torch.zeros(2)).sum()
