"""What earlier versions called settings is still read, with a warning that says the new name."""

import pytest

from agents.runs.renamed import FLAGS, KEYS, WORDS, with_new_agent, with_new_flags, with_new_keys


@pytest.mark.parametrize("old", FLAGS)
def test_an_old_flag_is_read_and_said_to_have_another_name_now(old):
    with pytest.warns(FutureWarning, match=f"{old} is now called {FLAGS[old]}"):
        assert with_new_flags(["refine", old, "2.5", f"{old}=3"]) == ["refine", FLAGS[old], "2.5", f"{FLAGS[old]}=3"]


@pytest.mark.parametrize(("flag", "old"), WORDS)
def test_an_old_word_is_read_behind_its_flag_alone_and_said_to_have_another_name_now(flag, old):
    words = ["curriculum", flag, "prior", old, "--out", old]
    with pytest.warns(FutureWarning, match=f"{old} is now called {WORDS[flag, old]}"):
        assert with_new_flags(words) == ["curriculum", flag, "prior", WORDS[flag, old], "--out", old]
    with pytest.warns(FutureWarning, match=f"{old} is now called {WORDS[flag, old]}"):
        assert with_new_flags([f"{flag}={old}"]) == [f"{flag}={WORDS[flag, old]}"]


def test_words_behind_two_dashes_are_left_alone():
    words = ["judge", "--", "--passes", "--samplers", "settled"]
    assert with_new_flags(words) == words


@pytest.mark.parametrize("old", KEYS)
def test_an_old_key_is_read_at_any_depth_and_said_to_have_another_name_now(old):
    with pytest.warns(FutureWarning, match=f"'a.json' is from an earlier version: '{old}' is now called '{KEYS[old]}'"):
        assert with_new_keys({"settings": [{old: 1}]}, "a.json") == {"settings": [{KEYS[old]: 1}]}


def test_new_names_are_left_alone_without_a_word():
    assert with_new_flags(["generate", "--refine-below", "inf"]) == ["generate", "--refine-below", "inf"]
    assert with_new_keys({"refine_below": "inf", "list": [1, None]}, "a.json") == {
        "refine_below": "inf",
        "list": [1, None],
    }


def test_only_a_run_from_before_the_trained_agent_means_the_flat_one_by_sac():
    with pytest.warns(FutureWarning, match=r"'a.json' is from an earlier version: its agent 'sac' is now called"):
        assert with_new_agent({"settings": {"agent": "sac"}}, "a.json") == {"settings": {"agent": "sac-flat"}}
    for settings in ({"agent": "sac", "agent_weights": None}, {"agent": "none"}, {"images": 3}):
        assert with_new_agent({"settings": settings}, "a.json") == {"settings": settings}
