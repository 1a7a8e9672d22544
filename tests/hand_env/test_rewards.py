import numpy as np
import pytest
import torch

from hand_env import REWARDS, HandLatentVectorEnv, Visit
from hand_env.checks import copied
from hand_env.drawn_score import wrong_together
from hand_env.rewards import anatomy
from hand_env.scoring import judge_pictures
from vae.sampling import Gaussian, LocalGaussians

ZEROS, ONES = np.zeros((4, 6), np.float32), np.ones((4, 6), np.float32)


def run(env, action, steps, seed=0):
    env.reset(seed=seed)
    return [env.step(action) for _ in range(steps)]


@pytest.fixture
def validation_images():
    return torch.randint(0, 256, (6, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def brightness(pictures):
    return pictures.mean((1, 2, 3))


def test_the_rewards_are_what_their_formulas_say():
    loss, before, without, anatomy = np.array([[3.0, 5.0], [4.0, 9.0], [2.0, 8.0], [0.5, -0.25]])
    visit = Visit(loss, before, without, anatomy, share=0.5, validation_change=-7.0, drawn_change=-0.25)
    assert REWARDS["drawn_change"](visit).tolist() == [0.25, 0.25]
    assert REWARDS["anatomy"](visit).tolist() == [0.5, -0.25]
    assert REWARDS["loss_change"](visit).tolist() == [0.5, 2.0]
    assert REWARDS["counterfactual"](visit).tolist() == [-1.0, 3.0]
    assert REWARDS["validation_loss_change"](visit).tolist() == [7.0, 7.0]


def test_counterfactual_pays_nothing_for_zeros_and_something_for_the_rest(make_env):
    unpaid = [step[1] for step in run(make_env(reward="counterfactual"), ZEROS, 8)]
    assert unpaid == pytest.approx([0.0] * 8, abs=1e-5)  # float32 rounding of losses around a thousand
    paid = [step[1] for step in run(make_env(reward="counterfactual", delta_scale=1.0), ONES, 8)]
    assert all(abs(reward) > 1e-3 for reward in paid)


def test_counterfactual_is_the_loss_of_the_same_step_without_the_shift(make_env):
    shifted, plain = make_env(reward="counterfactual", delta_scale=1.0, reward_scale=2.0), make_env()
    with_shift, without = run(shifted, ONES, 1)[0], run(plain, ZEROS, 1)[0]
    expected = -2.0 * (with_shift[4]["loss_nats"] - without[4]["loss_nats"])
    assert with_shift[1] == pytest.approx(expected, rel=1e-6)
    assert with_shift[4]["counterfactual_nats"] == pytest.approx(-expected / 2.0)


def test_what_is_paid_for_does_not_change_the_training(make_env, validation_images):
    ends = []
    for reward in REWARDS:
        env = make_env(reward=reward, validation_images=validation_images, judge=brightness)
        run(env, ONES, 12)
        ends.append([p.detach().clone() for p in env.trainer.vae.parameters()])
    for other in ends[1:]:
        assert all(torch.equal(a, b) for a, b in zip(ends[0], other, strict=True))


def test_validation_loss_change_pays_at_the_ends_of_epochs_from_the_second(make_env, validation_images):
    env = make_env(reward="validation_loss_change", validation_images=validation_images, reward_scale=0.5)
    env.reset(seed=0)
    rewards, measured = [], []
    for _ in range(15):  # three epochs of five steps
        rewards.append(env.step(ONES)[1])
        measured.append(env.trainer.measure(validation_images).total.double().mean().item())
    first, second, third = measured[4], measured[9], measured[14]
    expected = [0.0] * 9 + [-0.5 * (second - first)] + [0.0] * 4 + [-0.5 * (third - second)]
    assert rewards == pytest.approx(expected, rel=1e-9)
    assert rewards[9] != 0


def test_validation_loss_change_pays_the_only_epoch_against_the_loss_at_reset(make_env, validation_images):
    env = make_env(reward="validation_loss_change", validation_images=validation_images, epochs_per_episode=1)
    env.reset(seed=0)
    before = env.trainer.measure(validation_images).total.double().mean().item()
    rewards = [env.step(ONES)[1] for _ in range(5)]
    after = env.trainer.measure(validation_images).total.double().mean().item()
    assert rewards == pytest.approx([0.0] * 4 + [-0.01 * (after - before)], rel=1e-9)


def test_a_state_carries_the_validation_loss(make_env, validation_images):
    settings = {"reward": "validation_loss_change", "validation_images": validation_images}
    env = make_env(**settings)
    run(env, ONES, 7)
    state = env.state_dict()
    expected = [env.step(ONES)[1:] for _ in range(8)]
    resumed = make_env(**settings)
    resumed.reset(options={"state": state})
    assert [resumed.step(ONES)[1:] for _ in range(8)] == expected


def test_a_function_of_the_visit_is_paid_its_mean_times_lambda(make_env):
    seen = []

    def reward(visit):
        seen.append(visit)
        return np.array([1.0, 2.0, 3.0, 6.0])

    env = make_env(reward=reward, reward_scale=0.5)
    assert [step[1] for step in run(env, ONES, 2)] == [1.5, 1.5]
    assert seen[0].loss.shape == (4,)
    assert seen[0].loss_without is None
    assert seen[0].share == 4 / 20
    assert np.array_equal(seen[0].loss, seen[0].loss_before)


def test_a_function_may_ask_for_the_losses_without_the_shift(make_env):
    def reward(visit):
        return visit.loss_without

    reward.needs_without_shift = True  # type: ignore[attr-defined]  # a function may carry attributes
    assert run(make_env(reward=reward, reward_scale=1.0), ONES, 1)[0][1] > 0


def test_anatomy_pays_lambda_times_the_change_of_the_judge_s_score(make_env):
    seen = []

    def judge(pictures):
        seen.append(pictures)
        return brightness(pictures).numpy()

    env = make_env(reward="anatomy", judge=judge, delta_scale=1.0, reward_scale=3.0)
    _, reward, _, _, info = run(env, ONES, 1)[0]
    assert seen[0].shape == (8, 3, 32, 32)
    assert 0 <= seen[0].min() <= seen[0].max() <= 1
    shifted, unshifted = seen[0].mean((1, 2, 3)).double().reshape(2, 4).mean(1)
    assert reward == pytest.approx(3.0 * (shifted - unshifted).item(), rel=1e-5)
    assert info["anatomy_change"] == pytest.approx(reward / 3.0)
    assert reward != 0


def test_anatomy_pays_nothing_for_zeros(make_env):
    rewards = [step[1] for step in run(make_env(reward="anatomy", judge=brightness), ZEROS, 6)]
    assert rewards == pytest.approx([0.0] * 6, abs=1e-6)


def test_a_judge_that_does_not_give_a_number_for_each_picture_is_an_error(make_env):
    env = make_env(reward="anatomy", judge=lambda pictures: pictures.mean())
    env.reset(seed=0)
    with pytest.raises(ValueError, match=r"judge must give finite numbers of shape \(8,\)"):
        env.step(ZEROS)


def test_a_diverged_vae_is_not_shown_to_the_judge(make_env):
    env = make_env(reward="anatomy", judge=brightness)
    env.reset(seed=0)
    next(env.trainer.vae.decoder.parameters()).data.fill_(float("nan"))
    assert env.step(ZEROS)[1:3] == (env.DIVERGENCE_REWARD, True)


@pytest.mark.parametrize("wrong", [0.0, np.zeros(3), np.full(4, np.nan)])
def test_a_function_that_does_not_give_a_number_for_each_row_is_an_error(make_env, wrong):
    env = make_env(reward=lambda visit: wrong)
    env.reset(seed=0)
    with pytest.raises(ValueError, match=r"reward must give finite numbers of shape \(4,\), one for each row"):
        env.step(ZEROS)


def test_an_unknown_name_and_missing_validation_pictures_are_errors(make_env):
    with pytest.raises(ValueError, match=r"reward must be one of .*'loss_change', .* got 'beauty'"):
        make_env(reward="beauty")
    with pytest.raises(ValueError, match="'anatomy' needs a judge"):
        make_env(reward="anatomy")
    with pytest.raises(ValueError, match="'validation_loss_change' needs validation_images"):
        make_env(reward="validation_loss_change")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("counterfactual", "counterfactual needs the loss without the shift: set needs_without_shift = True"),
        ("anatomy", "anatomy needs a judge"),
        ("validation_loss_change", "validation_loss_change needs validation_images"),
    ],
)
def test_a_function_that_builds_on_a_reward_is_told_what_that_needs(make_env, name, message):
    env = make_env(reward=lambda visit: 2 * REWARDS[name](visit))
    env.reset(seed=0)
    with pytest.raises(ValueError, match=message):
        env.step(ZEROS)


def test_drawn_change_adds_up_to_the_episode_s_whole_gain(make_env):
    env = make_env(reward="drawn_change", judge=brightness, n_drawn=5, reward_scale=10.0, delta_scale=1.0)
    env.reset(seed=0)
    drawn = env._scorer.drawn_wrong
    rewards, wrong = [], [drawn()]
    for step in range(1, 16):  # three epochs of five steps
        _, reward, terminated, truncated, info = env.step(ONES)
        rewards.append(reward)
        assert info["drawn_change"] == pytest.approx(-reward / 10.0)
        assert (terminated, truncated) == (False, step == 15)
        if step % 5 == 0:
            wrong.append(drawn())
            assert reward == pytest.approx(-10.0 * (wrong[-1] - wrong[-2]))
            assert reward != 0
        else:
            assert reward == 0
    assert sum(rewards) == pytest.approx(-10.0 * (wrong[-1] - wrong[0]))


@pytest.mark.parametrize(("drawn_every", "paid"), [(1, [5, 10, 15]), (2, [10, 15]), (3, [15]), (9, [15])])
@pytest.mark.parametrize("drawn_from", ["gaussian", "mixture"])
def test_drawn_change_adds_up_to_the_same_gain_however_seldom_it_is_measured(
    make_env, quick_vae, drawn_every, paid, drawn_from
):
    env = make_env(
        vae=quick_vae,
        reward="drawn_change",
        judge=brightness,
        n_drawn=5,
        reward_scale=10.0,
        drawn_every=drawn_every,
        drawn_from=drawn_from,
    )
    env.reset(seed=0)
    drawn = env._scorer.drawn_wrong
    before = drawn()
    rewards = [env.step(np.ones((4, 4), np.float32))[1] for _ in range(15)]  # three epochs of five steps
    assert [step for step, reward in enumerate(rewards, 1) if reward] == paid
    assert sum(rewards) == pytest.approx(-10.0 * (drawn() - before))


def test_hands_are_drawn_from_a_gaussian_or_from_a_gaussian_for_each_group_of_pictures(make_env):
    envs = [make_env(reward="drawn_change", judge=brightness, drawn_from=name) for name in ("gaussian", "mixture")]
    for env in envs:
        env.reset(seed=0)
    scores = [env._scorer.drawn_wrong.__self__ for env in envs]
    assert torch.equal(scores[0].noise, scores[1].noise)
    assert torch.equal(scores[0].picks, scores[1].picks)
    assert [pictures.shape for pictures in (score.draw() for score in scores)] == [(64, 3, 32, 32)] * 2
    mean, log_var = scores[0].posteriors
    assert torch.equal(scores[0]._place(mean, log_var), Gaussian.fit(mean, log_var).place(scores[0].noise))
    local, own = LocalGaussians.fit(mean, log_var, scores[1].starts), scores[1]
    assert torch.equal(own._place(mean, log_var), local.place(own.picks, own.weights, own.noise))


def test_hands_of_several_vaes_are_measured_together_as_each_alone(make_env):
    envs = [make_env(reward="drawn_change", judge=brightness, n_drawn=5) for _ in range(3)]
    for seed, env in enumerate(envs):
        env.reset(seed=seed)
    scores = [env._scorer.drawn_wrong.__self__ for env in envs]
    alone = [score.wrong() for score in scores]
    assert wrong_together(scores) == alone
    assert len(set(alone)) == 3


def test_drawn_change_s_noise_comes_from_the_seed_and_stays(make_env):
    first, same, other = (make_env(reward="drawn_change", judge=brightness) for _ in range(3))
    for env, seed in ((first, 0), (same, 0), (other, 1)):
        env.reset(seed=seed)
    noise = [env._scorer.drawn_wrong.__self__.noise.clone() for env in (first, same, other)]
    assert torch.equal(noise[0], noise[1])
    assert not torch.equal(noise[0], noise[2])
    for _ in range(5):
        first.step(ONES)
    assert torch.equal(first._scorer.drawn_wrong.__self__.noise, noise[0])


def test_drawn_change_resumes_exactly_and_judges_no_minibatch(make_env):
    judged = []

    def counting(pictures):
        judged.append(len(pictures))
        return brightness(pictures)

    env, resumed = (make_env(reward="drawn_change", judge=counting, n_drawn=7) for _ in range(2))
    env.reset(seed=0)
    for _ in range(7):
        env.step(ONES)
    assert judged == [7, 7]  # at reset, and after the first epoch
    resumed.reset(options={"state": env.state_dict()})
    for _ in range(8):
        assert env.step(ONES)[1] == resumed.step(ONES)[1]


def test_a_state_without_w_is_refused_where_w_pays(make_env):
    plain = make_env()
    plain.reset(seed=0)
    drawn = make_env(reward="drawn_change", judge=brightness, n_drawn=2)
    with pytest.raises(ValueError, match="its reward needs no drawn hands"):
        drawn.reset(options={"state": plain.state_dict()})


def test_drawn_change_pays_every_row_alike_in_the_vector_form(tiny_images):
    settings = {"images": tiny_images, "latent_dim": 6, "reward": "drawn_change", "judge": brightness, "n_drawn": 4}
    env = HandLatentVectorEnv(4, epochs_per_episode=2, **settings)
    env.reset(seed=0)
    for step in range(1, 11):
        _, rewards, _, _, infos = env.step(ONES)
        assert len(set(rewards.tolist())) == 1
        assert (rewards[0] != 0) == (step % 5 == 0)
        assert infos["drawn_change"].shape == (4,)


def test_hands_that_cannot_be_drawn_end_the_episode(make_env):
    env = make_env(reward="drawn_change", judge=brightness, n_drawn=3)
    env.reset(seed=0)
    for _ in range(4):
        env.step(ZEROS)
    with torch.no_grad():
        for parameter in env.trainer.averaged_vae.parameters():
            parameter.fill_(torch.nan)
    _, reward, terminated, _, info = env.step(ZEROS)
    assert (reward, terminated, info["drawn_change"]) == (env.DIVERGENCE_REWARD, True, 0.0)


@pytest.mark.parametrize(("drawn_from", "mean", "log_var"), [("mixture", 1.0, 100.0), ("gaussian", 1e15, 0.0)])
def test_posteriors_that_no_sampler_fits_end_the_episode(make_env, drawn_from, mean, log_var):
    images, posterior = (
        torch.zeros(5, 3, 32, 32, dtype=torch.uint8),
        (mean * torch.randn(5, 6), torch.full((5, 6), log_var)),
    )
    env = make_env(images=images, reward="drawn_change", judge=brightness, drawn_from=drawn_from)
    env.reset(seed=0)
    env.step(ZEROS)
    env.trainer.averaged_vae.encode = lambda pictures: posterior
    _, reward, terminated, _, info = env.step(ZEROS)
    assert (reward, terminated, info["drawn_change"]) == (env.DIVERGENCE_REWARD, True, 0.0)


def test_a_number_of_drawn_hands_below_one_is_refused(make_env):
    with pytest.raises(ValueError, match="n_drawn must be at least 1, got 0"):
        make_env(n_drawn=0)


def test_a_wrong_time_or_source_of_drawn_hands_is_refused(make_env):
    with pytest.raises(ValueError, match="drawn_every must be at least 1, got 0"):
        make_env(drawn_every=0)
    with pytest.raises(ValueError, match=r"drawn_from must be one of 'gaussian', 'mixture', got 'prior'"):
        make_env(drawn_from="prior")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.int64, torch.bool])
def test_a_judge_s_scores_may_have_any_real_type_and_no_graph_is_built(dtype):
    weight = torch.ones(1, requires_grad=True)
    graphs: list[bool] = []

    def judge(pictures):
        scores = pictures.mean((1, 2, 3)) * weight
        graphs.append(scores.requires_grad)
        return scores.to(dtype)

    assert judge_pictures(judge, torch.ones(2, 3, 4, 4)).tolist() == [1.0, 1.0]
    assert graphs == [False]


@pytest.mark.parametrize("wrong", ["text", {"a": 1}, torch.ones(2, dtype=torch.complex64), [1.0, np.inf], [1.0]])
def test_scores_that_are_no_finite_numbers_are_one_sentence(wrong):
    with pytest.raises(ValueError, match="judge must give finite numbers of shape"):
        judge_pictures(lambda _: wrong, torch.ones(2, 3, 4, 4))


def test_a_reward_of_one_s_own_that_lacks_the_judge_s_scores_is_told_what_to_set(make_env):
    class Both:
        needs_drawn = True

        def __call__(self, visit):
            return anatomy(visit) + visit.loss

    env = make_env(reward=Both(), judge=lambda pictures: pictures.mean((1, 2, 3)))
    env.reset(seed=0)
    with pytest.raises(ValueError, match="needs_without_shift = True"):
        env.step(np.zeros((4, 6), np.float32))


def test_pictures_may_be_flipped_views(tiny_images):
    flipped = tiny_images.numpy()[..., ::-1]
    assert np.array_equal(copied("images", flipped), flipped)
