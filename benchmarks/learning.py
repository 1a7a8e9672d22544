"""Test whether an agent learns in HandLatent-v0: train SAC on photographs of hands, and compare it with baselines.

    python benchmarks/learning.py settings --data 11k-hands [--workers 16] --out settings.json
    python benchmarks/learning.py steps    --data 11k-hands [--workers 16] --out steps.json
    python benchmarks/learning.py study    --data 11k-hands [--workers 16] --out study.json

Each run is one process with one thread and takes 1 to 4 minutes; docs/loss.md reports the results.

The score is the counterfactual: the nats per picture by which an agent's shift lowers the loss, with the same weights
and noise. It is 0 for no action, by definition. There are three regimes:

- frozen: a VAE is trained without an agent for `PRETRAINING` steps, half of its schedule, and then no further;
- training: each episode starts from that VAE and trains it for an epoch while the agent acts. The learning rate is
  `GENTLE`, a tenth of the default: at the default, the first steps of a new AdamW move a trained VAE too far;
- scratch: one long episode from new weights. The agent learns while the VAE trains. It is scored while it acts, over
  the last quarter of the episode.
"""

import argparse
import hashlib
import json
import multiprocessing
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from learning_tables import tables
from numpy.typing import NDArray
from safetensors.torch import load_file
from stable_baselines3 import SAC
from torch import Tensor

from agents import GradientSteps, NoAction, RandomAction, RowPolicy, make_sac
from hand_env import REWARDS, HandLatentVectorEnv, Visit
from vae import VAE, Trainer, TrainingConfig, VAEConfig, build_vae
from vae.files import save_tensors
from vae.images import SPLIT_SEED, load_images, split_by_group

SIZE, ROWS, PRETRAINING, EVALUATED = 32, 16, 400, 30  # pixels, B, optimiser steps, environment steps
GENTLE = 5e-5
EPOCHS = {80: 80, 800: 12}  # of a whole training, in the regime "scratch"
Agent = Any  # with Stable-Baselines3's predict
Result = dict[str, dict[str, float]]


@dataclass(frozen=True)
class Run:
    """Describe a run; the defaults were chosen by `settings`."""

    label: str = "chosen"
    n: int = 80
    regime: str = "frozen"
    reward: str = "counterfactual"
    reward_scale: float = 0.1
    delta_scale: float = 0.1
    target_entropy: float | str = 0.0
    ent_coef: str = "auto_0.1"
    gamma: float = 0.0
    gradient_steps: int = 4
    learning_rate: float = 3e-4
    width: int = 256
    samples: int = 6_400
    policy: str = "rows"  # the vector form; or the single form with "RowPolicy", or with "flat" networks
    step_size: float = 0.4  # of the gradient steps
    rivals: bool = False  # whether to score the baselines too
    seed: int = 0

    @property
    def name(self) -> str:
        """Name of the run, the same for all seeds."""
        return f"{self.label}, N = {self.n}, {self.regime}"


def settings() -> Iterator[Run]:
    """Return the runs that chose the settings: one change at a time, three seeds each."""
    base = Run(samples=4_800)
    variants = [
        base,
        replace(base, label="target entropy -D/2", target_entropy=-150.0),
        replace(base, label="target entropy -D", target_entropy="auto"),
        replace(base, label="first temperature 0.01", ent_coef="auto_0.01"),
        replace(base, label="first temperature 1", ent_coef="auto_1.0"),
        replace(base, label="kappa 0.03", delta_scale=0.03),
        replace(base, label="kappa 0.3", delta_scale=0.3),
        replace(base, label="kappa 1", delta_scale=1.0),
        replace(base, label="lambda 0.01, temperature too", reward_scale=0.01, ent_coef="auto_0.01"),
        replace(base, label="lambda 1, temperature too", reward_scale=1.0, ent_coef="auto_1.0"),
        replace(base, label="gamma 0.99", gamma=0.99),
        replace(base, label="1 update a step", gradient_steps=1),
        replace(base, label="12 updates a step", gradient_steps=12),
        replace(base, label="learning rate 1e-3", learning_rate=1e-3),
        replace(base, label="width 64", width=64),
    ]
    return (replace(variant, seed=seed) for variant in variants for seed in range(3))


def study() -> Iterator[Run]:
    """Yield the runs of the study: the chosen settings, the baselines, the paper's reward, and the single form.

    The paper's reward is B / N of a change. So lambda is multiplied by N / B, to weigh a step against the entropy as
    much as a counterfactual does.
    """
    for n in (80, 800):
        for regime in ("frozen", "training"):
            yield from (Run(n=n, regime=regime, seed=seed) for seed in range(5))
            yield from (Run(n=n, regime=regime, rivals=True, samples=0, seed=seed) for seed in range(5))
    for n in (80, 800):
        paper = Run("paper's reward", n, "training", "loss_change", 0.1 * n / ROWS)
        yield from (replace(paper, seed=seed) for seed in range(5))
    for policy in ("RowPolicy", "flat"):
        yield from (Run(f"single form, {policy}", policy=policy, seed=seed) for seed in range(5))
    for n in (80, 800):
        yield from (Run(n=n, regime="scratch", rivals=True, seed=seed) for seed in range(5))


def steps_study() -> Iterator[Run]:
    """Yield the runs that chose the size of the gradient steps, without SAC."""
    for size in (0.05, 0.1, 0.2, 0.4, 1.0):
        yield from (Run(f"step size {size}", rivals=True, step_size=size, samples=0, seed=seed) for seed in range(3))


def pictures(data: Path, run: Run) -> tuple[Tensor, Tensor]:
    """Read N photographs of training people, chosen by the seed, and all photographs of validation people."""
    images = load_images(data, SIZE)
    split = split_by_group(images.groups, images.all_groups, seed=SPLIT_SEED)
    chosen = np.random.default_rng(run.seed).permutation(split.train)[: run.n]
    return images.pixels[chosen], images.pixels[split.validation]


def halfway(images: Tensor, seed: int) -> VAE:
    """Train a VAE alone for the first half of its schedule, or load it from the temporary folder."""
    batch = 32
    config = TrainingConfig(2 * PRETRAINING // -(-len(images) // batch), batch)
    made_of = f"{VAEConfig(SIZE)} {config} {seed} {PRETRAINING} {torch.__version__} {commit()}".encode()
    name = hashlib.sha256(made_of + images.numpy().tobytes()).hexdigest()[:16]
    path = Path(tempfile.gettempdir()) / f"handlatent-learning-{name}.safetensors"
    vae = build_vae(VAEConfig(SIZE), seed)
    if not path.exists():
        trainer = Trainer(vae, images, config, seed)
        for _ in range(PRETRAINING):
            trainer.step()
        save_tensors(path, vae.state_dict())
    vae.load_state_dict(load_file(path))
    return vae


def commit() -> str:
    """Return the commit of the repository."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True).stdout.strip() or "unknown"


class Watched:
    """Pay the reward of a name, and record the counterfactual of each step."""

    needs_without_shift = True

    def __init__(self, name: str) -> None:
        """Look up the reward."""
        self.reward, self.seen = REWARDS[name], list[float]()

    def __call__(self, visit: Visit) -> NDArray[np.float64]:
        """Return the reward."""
        self.seen.append(float(REWARDS["counterfactual"](visit).mean()))
        return self.reward(visit)


def environment(run: Run, images: Tensor, vae: VAE | None, mode: str) -> HandLatentVectorEnv:
    """Build the vector form for a regime; its reward is a `Watched`."""
    return HandLatentVectorEnv(
        ROWS,
        images=images,
        vae=vae,
        reward=Watched(run.reward),
        reward_scale=run.reward_scale,
        delta_scale=run.delta_scale,
        epochs_per_episode=EPOCHS[run.n] if run.regime == "scratch" else 1,
        training={"frozen": {"learning_rate": 0.0}, "training": {"learning_rate": GENTLE}}.get(run.regime, {}),
        autoreset_mode=mode,
    )


def sac(run: Run, device: str, env: HandLatentVectorEnv) -> SAC:
    """Build stock SAC with the run's settings; each update sees 256 latents in every form.

    In the single form a step's reward is the mean over B rows, but its entropy is their sum. So the temperature is
    divided by B.
    """
    temperature = float(run.ent_coef.removeprefix("auto_"))
    settings: dict[str, Any] = {
        "gamma": run.gamma,
        "gradient_steps": run.gradient_steps,
        "learning_rate": run.learning_rate,
        "target_entropy": run.target_entropy,
    }
    if run.policy == "rows":
        networks: dict[str, Any] = {"net_arch": [run.width] * 2}
        return make_sac(env, run.seed, device, ent_coef=run.ent_coef, policy_kwargs=networks, **settings)
    settings |= {"batch_size": 256 // ROWS, "learning_starts": 100 // ROWS, "train_freq": 1}
    settings["ent_coef"] = f"auto_{temperature / ROWS}"
    if run.policy == "flat":
        return make_sac(env.env, run.seed, device, policy_kwargs={"net_arch": [run.width] * 2}, **settings)
    networks = {"net_arch": [run.width], "features_extractor_kwargs": {"features_dim": run.width}}
    return make_sac(env.env, run.seed, device, RowPolicy, policy_kwargs=networks, **settings)


def rivals(run: Run, env: HandLatentVectorEnv) -> dict[str, Agent]:
    """Return the baselines, which do not learn."""
    gradient = (1,) if run.regime == "scratch" else (1, 3, 13)
    space = env.action_space
    assert isinstance(space, spaces.Box)
    return {
        "none": NoAction(space),
        "random": RandomAction(space, run.seed),
        "constant": Constant(space, run.seed),
    } | {f"gradient {k}": GradientSteps(env, k, run.step_size, seed=run.seed) for k in gradient}


class Constant:
    """Shift every latent the same way: to a corner of the action space that the seed chose."""

    def __init__(self, action_space: spaces.Box, seed: int) -> None:
        """Choose the corner."""
        signs = np.random.default_rng(seed).choice([-1.0, 1.0], action_space.shape[-1])
        self.action = np.broadcast_to(signs.astype(np.float32), action_space.shape)

    def predict(self, observation: NDArray[np.float32], deterministic: bool = True) -> tuple[NDArray[np.float32], None]:
        """Return the corner for each row, and no state."""
        return self.action, None


def from_a_checkpoint(run: Run, device: str, images: Tensor, others: Tensor) -> Result:
    """Train SAC on episodes that start from one VAE; score it and the baselines on episodes with other seeds."""
    vae = halfway(images, run.seed)
    result: Result = {}
    env = environment(run, images, vae, "Disabled")
    if run.samples:
        model = sac(run, device, environment(run, images, vae, "SameStep"))
        before = time.perf_counter()
        model.learn(run.samples if run.policy == "rows" else run.samples // ROWS)
        learning = time.perf_counter() - before
        result["SAC"] = evaluate(env, model, others, 1000 + run.seed) | {"seconds to learn": learning}
        if run.regime == "frozen":
            strangers = evaluate(environment(run, others, vae, "Disabled"), model, others, 1000 + run.seed)
            result["SAC"]["on other people's"] = strangers["counterfactual"]
    if run.rivals:
        result |= {name: evaluate(env, rival, others, 1000 + run.seed) for name, rival in rivals(run, env).items()}
    return result


def evaluate(env: HandLatentVectorEnv, agent: Agent, others: Tensor, seed: int) -> dict[str, float]:
    """Run whole episodes, with seeds from `seed` upwards, for `EVALUATED` steps or more."""
    watched = env.env.reward
    assert isinstance(watched, Watched)
    watched.seen.clear()
    seconds, losses = 0.0, list[float]()
    while len(watched.seen) < EVALUATED:
        observation, _ = env.reset(seed=seed + len(losses))
        ended = False
        while not ended:
            before = time.perf_counter()
            action, _ = agent.predict(observation, deterministic=True)
            seconds += time.perf_counter() - before
            observation, _, _, truncated, _ = env.step(action)
            ended = bool(truncated.any())
        losses.append(float(env.env.trainer.measure(others).total.mean()))
    return {
        "counterfactual": float(np.mean(watched.seen)),
        "validation loss": float(np.mean(losses)),
        "ms to predict": 1e3 * seconds / len(watched.seen),
    }


def from_scratch(run: Run, device: str, images: Tensor, others: Tensor) -> Result:
    """Train a VAE while SAC learns, and one with each baseline; score the last quarter."""
    result = {}
    env = environment(run, images, None, "Disabled")
    for name in ("SAC", *(rivals(run, env) if run.rivals else ())):
        env = environment(run, images, None, "SameStep")
        env.reset(seed=run.seed)
        steps = env.env.trainer.total_steps - 1  # one more would start another VAE
        if name == "SAC":
            sac(run, device, env).learn(steps * ROWS)
        else:
            agent = rivals(run, env)[name]
            observation, _ = env.reset(seed=run.seed)
            for _ in range(steps):
                observation = env.step(agent.predict(observation)[0])[0]
        watched, trainer = env.env.reward, env.env.trainer
        assert isinstance(watched, Watched)
        seen = watched.seen
        assert trainer.steps_done == len(seen) == steps, "the VAE did not diverge"
        result[name] = {
            "counterfactual": float(np.mean(seen[-(len(seen) // 4) :])),
            "validation loss": float(trainer.measure(others).total.mean()),
            "training loss": float(trainer.measure().total.mean()),
        }
    return result


def carry_out(job: tuple[Path, str, Run]) -> dict[str, Any]:
    """Do one run with one thread; record which code did it."""
    data, device, run = job
    torch.set_num_threads(1)
    images, others = pictures(data, run)
    begun = time.perf_counter()
    result = (from_scratch if run.regime == "scratch" else from_a_checkpoint)(run, device, images, others)
    print(
        f"{run.name}, seed {run.seed}: "
        f"{ {name: round(measures['counterfactual'], 1) for name, measures in result.items()} } nats, "
        f"{time.perf_counter() - begun:.0f} s",
        flush=True,
    )
    made_by = {"commit": commit(), "torch": torch.__version__, "device": device}
    return {"run": asdict(run), "made by": made_by, "result": result}


def main() -> None:
    """Do a set of runs in parallel, write each result when it is there, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("settings", "steps", "study"))
    parser.add_argument("--data", type=Path, required=True, help="the 11k Hands folder")
    parser.add_argument("--out", type=Path, required=True, help="a JSON file; runs that are in it are not repeated")
    parser.add_argument("--only", default="", help="do only the runs whose name, 'label, N = n, VAE', contains this")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--device", default="cpu", help="for the agent's networks; the VAE is on the CPU, in float32")
    args = parser.parse_args()
    records: list[dict[str, Any]] = json.loads(args.out.read_text()) if args.out.exists() else []
    done = [record["run"] for record in records]
    runs = {"settings": settings, "steps": steps_study, "study": study}[args.what]()
    jobs = [(args.data, args.device, run) for run in runs if asdict(run) not in done and args.only in run.name]
    with multiprocessing.get_context("spawn").Pool(args.workers, maxtasksperchild=1) as pool:
        for record in pool.imap_unordered(carry_out, jobs):
            records.append(record)
            args.out.write_text(json.dumps(records, indent=1))
    print(tables(records))


if __name__ == "__main__":
    main()
