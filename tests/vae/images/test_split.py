import pytest

from vae.images import split_by_group

PEOPLE = [f"person {n}" for n in range(100)]


def sides(groups, all_groups, seed=0, **kwargs):
    split = split_by_group(groups, all_groups, seed=seed, **kwargs)
    return [part.tolist() for part in (split.train, split.validation, split.test)]


def test_split_has_its_fractions_of_the_groups_and_loses_none():
    parts = sides(PEOPLE, PEOPLE)
    assert [len(part) for part in parts] == [80, 10, 10]
    assert sorted(index for part in parts for index in part) == list(range(100))


def test_split_never_parts_a_group():
    groups = [PEOPLE[n % 50] for n in range(300)]
    parts = [{groups[index] for index in part} for part in sides(groups, PEOPLE)]
    assert sum(len(part) for part in parts) == 50


def test_split_depends_on_the_seed_and_not_on_the_order_of_groups():
    assert sides(PEOPLE, PEOPLE) == sides(PEOPLE, PEOPLE[::-1])
    assert sides(PEOPLE, PEOPLE) != sides(PEOPLE, PEOPLE, seed=1)


def test_split_is_the_same_in_every_version():
    assert sides(PEOPLE[:40], PEOPLE[:40])[2] == [3, 6, 13, 25]


@pytest.mark.parametrize("n", [1, 2, 3, 4, 8, 9])
def test_tiny_source_still_trains_and_from_three_on_fills_every_side(n):
    train, validation, test = sides(PEOPLE[:n], PEOPLE[:n])
    assert len(train) >= 1
    assert (len(validation) > 0) == (len(test) > 0) == (n >= 3)


def test_choice_that_would_leave_nothing_to_train_on_trains_on_one_group():
    held_out = [PEOPLE[index] for part in sides(PEOPLE, PEOPLE)[1:] for index in part]
    train, validation, test = sides(held_out, PEOPLE)
    assert len(train) == 1
    assert sorted(train + validation + test) == list(range(20))


def test_split_of_nothing_is_an_error():
    with pytest.raises(ValueError, match="groups must name at least one"):
        split_by_group([], PEOPLE, seed=0)


def test_group_outside_the_source_is_an_error():
    with pytest.raises(ValueError, match="groups must all be in all_groups, got 'nobody'"):
        split_by_group(["nobody"], PEOPLE, seed=0)


@pytest.mark.parametrize("fractions", [(0.5, 0.1, 0.1), (0.0, 0.5, 0.5), (1.2, -0.1, -0.1)])
def test_fractions_that_are_no_shares_are_an_error(fractions):
    with pytest.raises(ValueError, match="fractions must be shares that add up to 1"):
        split_by_group(PEOPLE, PEOPLE, seed=0, fractions=fractions)


@pytest.mark.parametrize(("fractions", "counts"), [((0.1, 0.0, 0.9), (10, 0, 90)), ((0.3, 0.7, 0.0), (30, 70, 0))])
def test_fractions_may_be_large(fractions, counts):
    groups = [str(number) for number in range(100)]
    assert tuple(len(side) for side in sides(groups, groups, fractions=fractions)) == counts
