import pytest

from vae.training_config import TrainingConfig


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epochs": 0}, "TrainingConfig.epochs must be at least 1, got 0"),
        ({"learning_rate": float("nan")}, "TrainingConfig.learning_rate must be a finite number, got nan"),
        ({"gradient_norm": 0}, "TrainingConfig.gradient_norm must be a finite number above 0, got 0"),
        ({"kl_weight": -1.0}, "TrainingConfig.kl_weight must be at least 0, got -1.0"),
        ({"kl_weight": float("nan")}, "TrainingConfig.kl_weight must be a finite number, got nan"),
        ({"averaging": 1.0}, r"TrainingConfig.averaging must lie in \[0, 1\), got 1.0"),
    ],
)
def test_training_config_raises_when_a_field_is_out_of_range(settings, message):
    with pytest.raises(ValueError, match=message):
        TrainingConfig(**settings)


@pytest.mark.parametrize("name", ["augment", "graphed", "compiled"])
def test_what_is_neither_true_nor_false_is_refused(name):
    with pytest.raises(TypeError, match=f"TrainingConfig.{name} must be True or False, got 'no'"):
        TrainingConfig(**{name: "no"})
