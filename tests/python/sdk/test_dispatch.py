"""Which lane of a map gets which items, and which result is next."""

from __future__ import annotations

import random

import pytest

from remotemedia.core.dispatch import BATCH_MAX, Dispatch


def filled(dispatch: Dispatch) -> int:
    """Add items as long as the dispatch wants some; returns their number."""
    before = dispatch.given
    while dispatch.room:
        dispatch.add(dispatch.given)
    return dispatch.given - before


@pytest.mark.parametrize("is_ordered", [True, False])
@pytest.mark.parametrize("batch", [None, 1, 5])
@pytest.mark.parametrize("seed", range(20))
def test_every_item_has_one_result_whatever_the_order_of_lanes(
    is_ordered: bool, batch: int | None, seed: int
) -> None:
    chance = random.Random(seed)
    dispatch = Dispatch(chance.randint(1, 4), is_ordered, batch)
    working: list[list[tuple[int, int]]] = []
    results: list[int] = []
    while len(results) < 300:
        if dispatch.given < 300 and dispatch.room:
            dispatch.note_source(chance.choice([0.0, 1.0]))
            dispatch.add(dispatch.given)
        elif dispatch.has_work and len(working) < dispatch.lanes and chance.random() < 0.5:
            working.append(dispatch.take())
        elif working and chance.random() < 0.5:
            taken = working.pop(chance.randrange(len(working)))
            dispatch.finish([(number, item) for number, item in taken], chance.random() / 100)
        elif dispatch.is_ready:
            results += dispatch.pass_on()
        at_once = dispatch.lanes * max(dispatch.batch_size, BATCH_MAX if batch is None else 0)
        assert dispatch.given - len(results) <= 2 * at_once
    assert (results if is_ordered else sorted(results)) == list(range(300))
    assert dispatch.is_idle
    assert not dispatch.has_work


def test_a_result_that_is_ready_does_not_wait_for_a_slow_source() -> None:
    dispatch = Dispatch(2)
    filled(dispatch)
    dispatch.finish([(number, 0) for number, _ in dispatch.take()], 1.0)
    dispatch.note_source(0.5)
    assert not dispatch.room
    dispatch.pass_on()
    assert filled(dispatch) == 1


def test_a_quick_source_is_asked_although_results_are_ready() -> None:
    dispatch = Dispatch(2)
    filled(dispatch)
    dispatch.finish([(number, 0) for number, _ in dispatch.take()], 1.0)
    dispatch.finish([(number, 0) for number, _ in dispatch.take()], 1.0)
    dispatch.finish([(number, 0) for number, _ in dispatch.take()], 1.0)
    dispatch.pass_on()
    dispatch.note_source(0.0)
    assert dispatch.room


def test_batches_grow_where_items_are_quick_and_shrink_where_they_are_slow() -> None:
    dispatch = Dispatch(1)
    sizes = []
    for seconds in (0.00001, 0.00001, 1.0):
        filled(dispatch)
        taken = dispatch.take()
        sizes.append(len(taken))
        dispatch.finish([(number, 0) for number, _ in taken], seconds * len(taken))
        while dispatch.is_ready:
            dispatch.pass_on()
    assert sizes[0] == 1
    assert sizes[1] == BATCH_MAX
    assert dispatch.batch_size == 1


def test_a_lane_leaves_the_others_their_share() -> None:
    dispatch = Dispatch(4)
    dispatch.finish([], 0.0)
    for number in range(8):
        dispatch.add(number)
    dispatch.finish([(-1, None)], 0.000001)
    assert len(dispatch.take()) == 2


def test_a_result_without_a_lane_keeps_its_place() -> None:
    dispatch = Dispatch(1)
    dispatch.add("first")
    dispatch.add_done("second")
    assert not dispatch.is_ready
    dispatch.finish([(0, "one")], 0.1)
    assert dispatch.pass_on() + dispatch.pass_on() == ["one", "second"]
