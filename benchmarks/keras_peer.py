"""Compare a step of HandLatent-v0 with the paper's way, in Keras, which rebuilds the model in every epoch.

    pip install -c constraints.txt -e ".[bench]"
    python benchmarks/keras_peer.py [--rounds 15] [--threads 2]          # 2 minutes on 2 idle cores

Mutzig 2024 ("Issues and Solutions") cannot change the latents of a compiled Keras model. So every epoch builds a new
model: the shift is a constant in its graph, the weights come from the last model, and compile() and fit() follow.

Here both sides train on the same 8 pictures of 64 x 64 (N = B = 8: an epoch is a step) with the same shifts. Layers,
number of parameters, loss, clipping, AdamW and number of threads are the same too. All ways take turns within one run.
A round's ratio is its time divided by the time of that round's HandLatent-v0 step. Prints medians and the ratio's
quartiles.

- rebuilt: as above, with Keras' default settings (on a CPU: fit() runs a TensorFlow graph, without XLA);
- rebuilt, optimiser built: its variables are created before fit(), which then traces the graph once, not twice;
- rebuilt, eager: compile(run_eagerly=True), without a graph; the fastest way to build a model for a single step;
- one model kept: compiled once, its shift never changed, train_on_batch(): the library alone, without the rebuilding.

Keras' side leaves out some work, which makes it faster: averaged weights, the next latents (the paper calls
`encoder.predict`), and keeping the optimiser's moments. Old models are freed between turns, and pictures are already
floats. HandLatent-v0's step averages weights, encodes the next latents and converts uint8 to floats. Its augmentation
is off, so that both sides see the same pictures.

Use an idle machine: torch's threads wait for each other. On cores that other programs use, a step of HandLatent-v0
takes 3 to 80 times as long. Keras' tracing, on one thread, takes hardly twice as long. The load is printed.
"""

import argparse
import gc
import os
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hand_env import HandLatentEnv
from vae.images.synthetic import generate_hands
from vae.model import LOG_VAR_RANGE
from vae.optim import VARIANCE_DECAY
from vae.training_config import TrainingConfig

if __name__ == "__main__":  # before TensorFlow is imported, which --help does not need
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    ARGS = parser.parse_args()

os.environ["KERAS_BACKEND"] = "tensorflow"  # whatever ~/.keras says
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
try:
    import tensorflow as tf
except ModuleNotFoundError as error:
    raise SystemExit(
        "benchmarks/keras_peer.py needs TensorFlow, which is not installed. "
        'Install the extra: pip install -c constraints.txt -e ".[bench]"'
    ) from error
import keras
from keras import layers, ops

Array = NDArray[np.float32]

N = 8  # pictures, and a minibatch
SIZE = 64
LATENT = 300
KAPPA = 0.1  # `delta_scale`
VALUES = 3 * SIZE**2  # colour values of a picture
CHANNELS = (32, 64, 96, 128)  # of `VAEConfig(width="small")`; the parameters are compared below
BLOCK = 10  # steps timed together, where a step is short
NORMAL = keras.initializers.VarianceScaling(1.0, "fan_in", "untruncated_normal")  # as `build_vae`


class PixelShuffle(layers.Layer):  # type: ignore[misc]  # Keras has no types
    """Move 2 x 2 blocks of pixels into channels, or back; shapes are (batch, height, width, channel)."""

    def __init__(self, *, up: bool) -> None:
        """Choose the direction."""
        super().__init__()
        self.move = ops.depth_to_space if up else ops.space_to_depth

    def call(self, x: Any) -> Any:
        """Return the same values in another shape."""
        return self.move(x, 2)


def convolution(x: Any, channels: int, stride: int = 1, initializer: Any = NORMAL) -> Any:
    """Apply a 3 x 3 convolution."""
    return layers.Conv2D(channels, 3, strides=stride, padding="same", kernel_initializer=initializer)(x)


def residual(x: Any) -> Any:
    """Add the output of two convolutions; the second starts at zero. As `vae.model.Residual`."""
    change = convolution(layers.Activation("silu")(x), x.shape[-1])
    return layers.Add()([x, convolution(layers.Activation("silu")(change), x.shape[-1], initializer="zeros")])


def build_encoder() -> keras.Model:
    """Mirror `vae.model.Encoder`: (batch, 64, 64, 3) in [0, 1] to (batch, 2 latent)."""
    images = keras.Input((SIZE, SIZE, 3))
    x = PixelShuffle(up=False)(layers.Rescaling(2.0, -1.0)(images))
    x = residual(convolution(x, CHANNELS[0]))
    for channels in CHANNELS[1:]:
        x = residual(convolution(x, channels, stride=2))
    x = layers.Flatten()(layers.Activation("silu")(x))
    return keras.Model(images, layers.Dense(2 * LATENT, kernel_initializer=NORMAL)(x))


def build_decoder() -> keras.Model:
    """Mirror `vae.model.Decoder`: (batch, latent) to (batch, 64, 64, 3)."""
    latents = keras.Input((LATENT,))
    grid = SIZE // 2 ** len(CHANNELS)
    x = layers.Dense(grid**2 * CHANNELS[-1], kernel_initializer=NORMAL)(latents)
    x = residual(layers.Reshape((grid, grid, CHANNELS[-1]))(x))
    for channels in CHANNELS[-2::-1]:
        x = residual(PixelShuffle(up=True)(convolution(x, 4 * channels)))
    x = PixelShuffle(up=True)(convolution(layers.Activation("silu")(x), 3 * 2**2))
    return keras.Model(latents, layers.Rescaling(1.0, 0.5)(x))


class KerasVAE(keras.Model):  # type: ignore[misc]  # Keras has no types
    """Hold an encoder, a decoder and a shift of the latents that is part of the model, as in the paper."""

    def __init__(self, shift: Array, seed: int) -> None:
        """Build the layers.

        Args:
            shift: (batch, latent) float32, kappa * delta; a constant of the graph.
            seed: >= 0, for the latent noise.
        """
        super().__init__()
        self.encoder, self.decoder, self.shift = build_encoder(), build_decoder(), shift
        self.log_variance = self.add_weight(initializer=keras.initializers.Constant(-2.0), trainable=False)
        self.noise = keras.random.SeedGenerator(seed)
        self.built = True

    def train_step(self, data: Any) -> dict[str, Any]:
        """Take one optimiser step; return the objective, nats per colour value. As `vae.training.Trainer.step`."""
        images, _, _ = keras.utils.unpack_x_y_sample_weight(data)
        with tf.GradientTape() as tape:
            mean, log_var = ops.split(self.encoder(images), 2, axis=1)
            mean, log_var = mean + self.shift, ops.clip(log_var, *LOG_VAR_RANGE)
            noise = keras.random.normal(ops.shape(mean), seed=self.noise)
            decoded = self.decoder(mean + ops.exp(0.5 * log_var) * noise)
            squared = ops.sum(ops.square(decoded - images), axis=(1, 2, 3))
            constant = VALUES * (float(np.log(2 * np.pi)) + self.log_variance)
            reconstruction = 0.5 * (constant + squared * ops.exp(-self.log_variance))
            kl = 0.5 * ops.sum(ops.square(mean) + ops.exp(log_var) - log_var - 1.0, axis=1)
            objective = ops.mean(reconstruction + kl) / VALUES
        gradients = tape.gradient(objective, self.trainable_variables)
        self.optimizer.apply(gradients, self.trainable_variables)
        error = ops.mean(squared) / VALUES
        variance = (1 - VARIANCE_DECAY) * error + VARIANCE_DECAY * ops.exp(self.log_variance)
        self.log_variance.assign(ops.log(ops.maximum(variance, 1e-6)))
        return {"objective": objective}


def build_keras(shift: Array, seed: int, weights: list[Array] | None = None, **settings: Any) -> KerasVAE:
    """Build and compile a model, with the weights of another model if given."""
    model = KerasVAE(shift, seed)
    if weights is not None:
        model.set_weights(weights)
    ours = TrainingConfig()
    optimizer = keras.optimizers.AdamW(  # torch's defaults where `Trainer` leaves them
        ours.learning_rate, weight_decay=0.01, beta_1=0.9, beta_2=0.99, epsilon=1e-8, global_clipnorm=ours.gradient_norm
    )
    model.compile(optimizer=optimizer, **settings)
    return model


class Kept:
    """Train one Keras model, compiled once; its shift never changes."""

    def __init__(self, images: Array) -> None:
        """Take the pictures, (image, 64, 64, 3) float32 in [0, 1]."""
        self.images, self.model = images, build_keras(np.zeros((N, LATENT), np.float32), 0)
        self.losses: list[float] = []

    def epoch(self, shift: Array) -> None:
        """Take a step; the shift is ignored."""
        self.losses.append(float(self.model.train_on_batch(self.images, return_dict=True)["objective"]))

    def weights(self) -> list[Array]:
        """Copy the model's parameters."""
        return [ops.convert_to_numpy(variable).copy() for variable in self.model.trainable_variables]


class Rebuilt(Kept):
    """Train the paper's way: every epoch in a new model."""

    def __init__(self, images: Array, *, optimizer_first: bool = False, **settings: Any) -> None:
        """Take the pictures, (image, 64, 64, 3) float32 in [0, 1], and the arguments of compile()."""
        super().__init__(images)
        self.optimizer_first, self.settings = optimizer_first, settings

    def epoch(self, shift: Array) -> None:
        """Build a model with this shift and the current weights, and fit it for one epoch of one minibatch."""
        self.model = build_keras(shift, len(self.losses), self.model.get_weights(), **self.settings)
        if self.optimizer_first:
            self.model.optimizer.build(self.model.trainable_variables)
        # not shuffled: a row of the shift belongs to its picture
        history = self.model.fit(self.images, batch_size=N, epochs=1, shuffle=False, verbose=0)
        self.losses.append(history.history["objective"][0])


class Ours:
    """Train with HandLatent-v0."""

    def __init__(self, images: torch.Tensor) -> None:
        """Take the pictures, (image, 3, 64, 64) uint8."""
        self.env = HandLatentEnv(
            images,
            batch_size=N,
            latent_dim=LATENT,
            epochs_per_episode=100_000,
            delta_scale=KAPPA,
            training={"augment": False},
        )
        self.env.reset(seed=0)
        self.losses: list[float] = []

    def epoch(self, shift: Array) -> None:
        """Take a step of the environment."""
        info = self.env.step(np.clip(shift / np.float32(KAPPA), -1, 1))[-1]
        self.losses.append(info["loss_nats"] / VALUES)

    def weights(self) -> list[Array]:
        """Copy the VAE's parameters."""
        return [p.detach().numpy().copy() for p in self.env.trainer.vae.parameters()]


def timed(epoch: Callable[[Array], None], shifts: list[Array]) -> float:
    """Time an epoch for each shift; return seconds per epoch."""
    gc.collect()  # frees old models outside the timing
    start = time.perf_counter()
    for shift in shifts:
        epoch(shift)
    return (time.perf_counter() - start) / len(shifts)


def check_shift_counts(images: Array) -> None:
    """Assert that the shift changes the loss, with the same weights and noise, and that the same shift does not."""
    shift = np.random.default_rng(0).uniform(-KAPPA, KAPPA, (N, LATENT)).astype(np.float32)
    first = build_keras(shift, 0)
    weights = first.get_weights()

    def loss(model: KerasVAE) -> float:
        return float(model.fit(images, batch_size=N, shuffle=False, verbose=0).history["objective"][0])

    this, same, other = loss(first), loss(build_keras(shift, 0, weights)), loss(build_keras(2 * shift, 0, weights))
    assert abs(this - same) < 1e-5, f"one shift, two losses: {this}, {same}"
    assert abs(this - other) > 1e-4, f"two shifts, one loss: {this}, {other}"


def check_trained(label: str, losses: list[float], before: list[Array], after: list[Array]) -> None:
    """Assert that a way trained: the loss fell, and every kernel moved."""
    assert np.isfinite(losses).all(), f"{label}: the loss is not finite: {losses}"
    assert losses[-1] < losses[0], f"{label}: the loss did not fall: {losses}"
    kernels = [(a, b) for a, b in zip(before, after, strict=True) if a.ndim > 1]
    assert all((a != b).any() for a, b in kernels), f"{label}: some weights did not move"


def main(args: argparse.Namespace) -> None:
    """Measure and print."""
    torch.set_num_threads(args.threads)
    tf.config.threading.set_intra_op_parallelism_threads(args.threads)
    tf.config.threading.set_inter_op_parallelism_threads(args.threads)
    tf.get_logger().setLevel("ERROR")  # it warns about rebuilding models in a loop, which is what we measure
    ways = make_ways()
    counts = {label: sum(w.size for w in way.weights()) for label, way in ways.items()}
    assert len(set(counts.values())) == 1, f"the models differ in their number of parameters: {counts}"
    load = os.getloadavg()[0]
    seconds = measure(ways, args.rounds)
    print(
        f"{N} pictures of {SIZE} x {SIZE}, N = B = {N}; {counts['Keras, rebuilt']:,} parameters on both sides; "
        f"{args.threads} CPU threads; {args.rounds} rounds; load before {load:.2f}, after {os.getloadavg()[0]:.2f}\n"
        f"torch {torch.__version__}, tensorflow {tf.__version__}, keras {keras.__version__}, numpy {np.__version__}"
    )
    base = seconds["HandLatent-v0 step"]
    for label, times in seconds.items():
        low, middle, high = np.quantile(times / base, [0.25, 0.5, 0.75])
        print(f"{label:>32}: {np.median(times):7.4f} s; ratio {middle:6.2f} (quartiles {low:.2f} to {high:.2f})")


def make_ways() -> dict[str, Any]:
    """Build every way to train on the same pictures; the first is the one that the others are compared with."""
    pictures = generate_hands(N, SIZE, seed=0).images
    images = pictures.permute(0, 2, 3, 1).numpy().astype(np.float32) / np.float32(255)
    check_shift_counts(images)
    return {
        "HandLatent-v0 step": Ours(pictures),
        "Keras, rebuilt": Rebuilt(images),
        "Keras, rebuilt, optimiser built": Rebuilt(images, optimizer_first=True),
        "Keras, rebuilt, eager": Rebuilt(images, run_eagerly=True),
        "Keras, one model kept": Kept(images),
    }


def measure(ways: dict[str, Any], rounds: int) -> dict[str, NDArray[np.float64]]:
    """Let the ways take turns; return the seconds of an epoch in each round, and assert that all of them trained."""
    before = {label: way.weights() for label, way in ways.items()}
    seconds: dict[str, list[float]] = {label: [] for label in ways}
    rng = np.random.default_rng(0)
    for turn in range(rounds + 2):
        shifts = list(rng.uniform(-KAPPA, KAPPA, (BLOCK, N, LATENT)).astype(np.float32))
        for label, way in list(ways.items())[:: 1 if turn % 2 else -1]:
            seconds[label].append(timed(way.epoch, shifts[:1] if isinstance(way, Rebuilt) else shifts))
    for label, way in ways.items():
        check_trained(label, way.losses, before[label], way.weights())
    return {label: np.array(times[2:]) for label, times in seconds.items()}  # the first two warm up


if __name__ == "__main__":
    main(ARGS)
