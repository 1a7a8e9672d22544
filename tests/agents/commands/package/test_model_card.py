"""The model card."""

from hub_server import read_card

from agents.commands.package.model_card import model_card

SINCE = {"features_side": 192, "falling_deltas": 0.0, "prior_from": 0.65, "candidates": 100_000, "accept": 0.2}
SETTINGS = {"data": "11k-hands", "seed": 3, "steps": 7000, "size": 128, "latent_dim": 300, "batch": 160, **SINCE}
LEARNED = {
    "critic_epochs": 4,
    "samples": 30_000,
    "rows": 512,
    "width": 512,
    "delta_scale": 0.5,
    "refine_below": "2.5",
    "seed": 3,
}
REPORT = {"pictures": {"photographs": 1396, "drawn": 12000}}
DRAWN = {"pictures": {"photographs": 0, "drawn": 12000}}


def rates(correct, anatomical):
    pairs = {"correct": correct, "anatomical": anatomical}
    return {
        "reporting_judge": {
            name: {"share": share, "low": share - 0.02, "high": share + 0.01} for name, share in pairs.items()
        }
    }


def test_it_says_what_was_learned_from_how_and_what_was_measured(monkeypatch):
    monkeypatch.setattr("sys.argv", ["/somewhere/bin/handlatent"])  # nobody else's path
    held_out = {"latents": 1000, "rounds": 2, "before": rates(0.5, 0.625), "after": rates(0.75, 0.875)}
    card = model_card(SETTINGS, REPORT, {"held_out": held_out, "settings": LEARNED})
    assert "license: other\nlicense_name: 11k-hands-academic-use\nlicense_link: https://" in card
    assert "datasets:" not in card
    assert "1,396 photographs and 12,000 synthetic hands" in card
    assert "`handlatent recipe --data path/to/11k-hands --steps 7000 --seed 3`, then `handlatent package RUN`." in card
    assert "`handlatent generate path/to/this/folder --n 20" in card
    assert "on 1,000 latents" in card
    assert "| as drawn from the prior | 50.0% (48.0 to 51.0) | 62.5% (60.5 to 63.5) |" in card
    assert "| as corrected by the agent in 2 rounds | 75.0% (73.0 to 76.0) | 87.5% (85.5 to 88.5) |" in card


def test_a_refiner_of_its_own_is_trained_in_a_run_without_one(monkeypatch):
    monkeypatch.setattr("sys.argv", ["/somewhere/bin/handlatent"])
    held_out = {"latents": 1000, "rounds": 2, "before": rates(0.5, 0.625), "after": rates(0.75, 0.875)}
    before = {name: value for name, value in LEARNED.items() if name != "critic_epochs"}  # as earlier versions wrote
    for learned, flags in ((before, "--critic-epochs 0"), ({**LEARNED, "reward": "verdict"}, "--reward verdict")):
        card = model_card(SETTINGS, REPORT, {"held_out": held_out, "settings": learned})
        assert "--steps 7000 --refine-samples 0 --seed 3`, then `handlatent refine RUN --samples 30000 " in card
        assert flags in card


def test_it_names_a_classifier_where_there_is_one():
    for rejection, said in (
        (
            {"accept": 0.25, "areas": {"correct": 0.9}, "accepted": 0.25},
            "and no agent. A classifier accepts 25% of the prior's latents.",
        ),
        ({"accept": 0.25, "missing": "Nothing to learn."}, "a learned prior, and no agent.\n"),
        ({}, "a learned prior, and no agent.\n"),
    ):
        assert said in model_card(SETTINGS, {**REPORT, "rejection": rejection}, None)
    assert " --steps 7000 --accept 0.25 --seed 3`" in model_card({**SETTINGS, "accept": 0.25}, REPORT, None)


def test_a_run_of_an_earlier_version_is_repeated_with_what_it_did():
    card = model_card({name: value for name, value in SETTINGS.items() if name not in SINCE}, REPORT, None)
    flags = "--steps 7000 --features-side 128 --prior-from 1.0 --candidates 0 --accept 1.0 --seed 3"
    assert f"`handlatent recipe --data path/to/11k-hands {flags}`" in card


def test_huggingface_hub_reads_the_rates_with_the_metric_s_name_and_the_number_of_hands():
    held_out = {"latents": 1000, "rounds": 2, "before": rates(0.5, 0.625), "after": rates(0.75, 0.875)}
    card = read_card(model_card(SETTINGS, REPORT, {"held_out": held_out, "settings": LEARNED}))
    assert (card.data.license, card.data.license_name) == ("other", "11k-hands-academic-use")
    assert (card.data.model_name, card.data.datasets) == ("Hands, from photographs", None)
    found = read_card(str(card)).data.eval_results  # after a round trip, in which the hub's library merges some
    assert [(each.dataset_name, each.dataset_args, each.metric_type, each.metric_value) for each in found] == [
        ("1,000 hands as drawn from the prior", {"hands": 1000}, "correct", 50.0),
        ("1,000 hands as drawn from the prior", {"hands": 1000}, "anatomical", 62.5),
        ("1,000 hands as corrected by the agent in 2 rounds", {"hands": 1000}, "correct", 75.0),
        ("1,000 hands as corrected by the agent in 2 rounds", {"hands": 1000}, "anatomical", 87.5),
    ]
    assert found[0].metric_name == "correct hands by the reporting judge, % of 1,000"
    assert found[0].metric_args == {"low_95": 48.0, "high_95": 51.0}


def test_without_a_refiner_it_measures_nothing_and_without_photographs_it_is_free():
    card = model_card({**SETTINGS, "data": "synthetic", "seed": 0, "steps": 8000}, DRAWN, None)
    assert "`handlatent recipe`, then" in card
    assert "license: mit" in card
    assert "datasets:" not in card
    assert "12,000 synthetic hands. Neither VAE nor prior learned from a photograph" in card
    assert "no agent" in card
    assert "judge paid the agent" not in card
    selected = model_card({**SETTINGS, "data": "synthetic"}, {**DRAWN, "rejection": {"accepted": 0.2}}, None)
    assert "rewarding judge selected latents that the sampler learned from. That judge did learn from" in selected
    held_out = {"latents": 1000, "rounds": 2, "before": rates(0.5, 0.625), "after": rates(0.75, 0.875)}
    refined = model_card({**SETTINGS, "data": "synthetic"}, DRAWN, {"held_out": held_out, "settings": LEARNED})
    assert "licence. The package's rewarding judge paid the agent, and it is asked again for each" in refined
    assert "Nothing: there is no refiner." in card
    assert read_card(card).data.eval_results is None


def test_a_refiner_that_is_not_the_recipe_s_own_is_named():
    held_out = {"latents": 1000, "rounds": 2, "before": rates(0.5, 0.625), "after": rates(0.75, 0.875)}
    card = model_card(
        SETTINGS, REPORT, {"held_out": held_out, "settings": {**LEARNED, "seed": 4, "refine_below": "inf"}}
    )
    first = "`handlatent recipe --data path/to/11k-hands --steps 7000 --refine-samples 0 --seed 3`"
    assert f"{first}, then `handlatent refine RUN" in card
    assert " --refine-below inf --delta-scale 0.5 --width 512 --seed 4`, then `handlatent package RUN`." in card
