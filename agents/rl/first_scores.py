"""Teach the critics of `RefinePolicy` the scores of latents that a judge has scored already, before SAC starts."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from agents.rl.picture_policy import PictureCritic, PictureExtractor, RefinePolicy, shifted, shown_side
from hand_env.refinement import CHUNK
from vae.progress import in_chunks, progress_bar
from vae.seeds import seeded

BATCH = 512
RATE = 1e-3  # the highest learning rate of Adam


def teach_scores(policy: RefinePolicy, latents: Tensor, scores: Tensor, low: Tensor, epochs: int, seed: int) -> None:
    """Let both outputs of each critic predict the score of a picture; the actor's eyes start as the first critic's.

    A critic values a correction by f(picture after) - g(picture before), and the reward is the difference of the
    scores. So critics that know scores know rewards, of corrections too that nobody has tried. SAC then starts
    there. Half of a minibatch comes from the low scores, which are rare, and matter most.

    Args:
        policy: Its environment has episodes of one step. Its critics and its actor's extractor are changed.
        latents: (n, D) float32 on the CPU.
        scores: (n,) float32 on the CPU, in the unit of the reward.
        low: (n,) bool on the CPU, the latents that SAC will learn from; at least one.
        epochs: As many samples as this number of passes over the latents, >= 0; at least one minibatch, if it is not 0.
        seed: Seed of the minibatches, >= 0.
    """
    critic, extractor = policy.critic, policy.actor.features_extractor
    assert isinstance(critic, PictureCritic), "RefinePolicy makes one"
    assert isinstance(extractor, PictureExtractor), "RefinePolicy makes one"
    if not epochs:
        return
    device = next(critic.parameters()).device
    with torch.no_grad():
        pictures = torch.empty(len(latents), 3, *[shown_side(policy.sight.vae)] * 2, dtype=torch.uint8, device=device)
        places = torch.split(pictures, CHUNK[device.type])
        for place, rows in zip(places, in_chunks(latents, CHUNK[device.type], "Decoding"), strict=True):
            place.copy_((policy.sight.pictures(rows.to(device)) * 255).round())
    scores = scores.to(device)
    groups = [rows for rows in (torch.nonzero(each)[:, 0] for each in (low, ~low)) if len(rows)]
    steps, generator, moves = max(epochs * len(latents) // BATCH, 1), seeded(seed), seeded(seed, device)
    optimizer = torch.optim.Adam(critic.parameters(), RATE, fused=device.type == "cuda")
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=max(steps, 2))
    for _ in progress_bar(range(steps), "Teaching the critics scores", unit="minibatches"):
        parts = [group[torch.randint(len(group), (BATCH // len(groups),), generator=generator)] for group in groups]
        rows = torch.cat(parts).to(device)
        shown = shifted(pictures[rows], moves).float() / 255
        known = scores[rows, None].expand(-1, 2)  # (batch, 2): as the picture after, and before
        loss = torch.stack([F.mse_loss(critic.scores(shown, number), known) for number in range(critic.n_critics)])
        optimizer.zero_grad()
        loss.sum().backward()
        optimizer.step()
        schedule.step()
    first: Any = critic.q_networks[0]
    extractor.look.load_state_dict(first["look"].state_dict())
