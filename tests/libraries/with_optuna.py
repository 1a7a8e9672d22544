"""Search for a learning rate of SAC with Optuna, with HandLatent-v0 in its vector form; poor trials are pruned."""

import gymnasium as gym
import optuna
from hands import HANDS, SEEN, ran

from agents import make_sac


def objective(trial: optuna.Trial) -> float:
    """Train SAC on rows for two episodes, and return the VAE's last loss in nats per image."""
    rate = trial.suggest_float("learning_rate", 1e-4, 1e-2, log=True)
    env = gym.make_vec("HandLatent-v0", num_envs=4, autoreset_mode="SameStep", **HANDS)
    agent = make_sac(env, seed=0, learning_rate=rate, learning_starts=8, batch_size=8)
    for _ in range(2):
        agent.learn(6 * 4, reset_num_timesteps=False)
        last: float = SEEN.losses[-1]
        trial.report(last, agent.num_timesteps)
        if trial.should_prune():
            raise optuna.TrialPruned
    return last


if __name__ == "__main__":
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0), pruner=optuna.pruners.MedianPruner(1))
    study.optimize(objective, n_trials=2)
    assert len(study.get_trials(states=[optuna.trial.TrialState.COMPLETE])) >= 1
    SEEN.check(18)
    ran("a search over SAC's learning rate, with pruning: rows")
