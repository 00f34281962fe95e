"""The contract of the EventQueue port: one suite for every platform."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lumitag.domain import new_key, time_from_ms
from lumitag.errors import InvalidCursor
from lumitag.events import ImageUploaded
from lumitag.ports import Message
from tests.contracts.conftest import MAX_RECEIVE_COUNT, VISIBILITY_TIMEOUT_S, Stores

NEW_STORES_PER_EXAMPLE = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def send(stores: Stores, count: int = 1, delay_s: float = 0.0) -> list[ImageUploaded]:
    events = [ImageUploaded(new_key(), stores.clock.now()) for _ in range(count)]
    stores.event_queue.send(events, delay_s)
    return events


def receive_one(stores: Stores) -> Message[ImageUploaded]:
    [message] = stores.event_queue.receive(10, 0)
    return message


def receive_last(stores: Stores) -> Message[ImageUploaded]:
    for _ in range(MAX_RECEIVE_COUNT - 1):
        stores.event_queue.release(receive_one(stores), "again", 0)
    return receive_one(stores)


def let_the_lease_pass_on(stores: Stores) -> tuple[Message[ImageUploaded], Message[ImageUploaded]]:
    """Return the late delivery and the new owner's of one message."""
    send(stores)
    late = receive_one(stores)
    stores.clock.advance(VISIBILITY_TIMEOUT_S + 1)
    return late, receive_one(stores)


def test_an_empty_queue_gives_nothing(stores: Stores) -> None:
    assert stores.event_queue.receive(10, 0) == []


def test_waiting_at_an_empty_queue_ends(stores: Stores) -> None:
    assert stores.event_queue.receive(10, 0.05) == []


def test_what_was_sent_is_received(stores: Stores) -> None:
    events = send(stores, 3)

    assert {message.event for message in stores.event_queue.receive(10, 0)} == set(events)


def test_sending_nothing_is_no_error(stores: Stores) -> None:
    stores.event_queue.send([])

    assert stores.event_queue.depth() == 0


def test_no_more_than_the_limit_are_received(stores: Stores) -> None:
    send(stores, 5)

    assert len(stores.event_queue.receive(2, 0)) == 2


def test_a_received_message_is_hidden(stores: Stores) -> None:
    send(stores)
    receive_one(stores)
    stores.clock.advance(VISIBILITY_TIMEOUT_S - 1)

    assert stores.event_queue.receive(10, 0) == []


def test_a_message_that_was_not_deleted_comes_back(stores: Stores) -> None:
    late, again = let_the_lease_pass_on(stores)

    assert (again.id, again.event) == (late.id, late.event)
    assert again.receipt != late.receipt


def test_each_delivery_is_counted(stores: Stores) -> None:
    first, second = let_the_lease_pass_on(stores)

    assert (first.receive_count, second.receive_count) == (1, 2)


def test_a_deleted_message_does_not_come_back(stores: Stores) -> None:
    send(stores)
    stores.event_queue.delete([receive_one(stores)])
    stores.clock.advance(VISIBILITY_TIMEOUT_S + 1)

    assert stores.event_queue.receive(10, 0) == []


def test_deleting_twice_or_nothing_is_no_error(stores: Stores) -> None:
    send(stores)
    message = receive_one(stores)
    stores.event_queue.delete([message])
    stores.event_queue.delete([message])
    stores.event_queue.delete([])


def test_deleting_late_leaves_the_message_to_its_new_owner(stores: Stores) -> None:
    late, again = let_the_lease_pass_on(stores)
    stores.event_queue.delete([late])

    assert stores.event_queue.depth() == 1
    stores.event_queue.delete([again])
    assert stores.event_queue.depth() == 0


def test_releasing_late_leaves_the_message_to_its_new_owner(stores: Stores) -> None:
    late, _ = let_the_lease_pass_on(stores)
    stores.event_queue.release(late, "too late", 0)

    assert stores.event_queue.receive(10, 0) == []


def test_burying_late_leaves_the_message_to_its_new_owner(stores: Stores) -> None:
    late, again = let_the_lease_pass_on(stores)
    stores.event_queue.bury(late, "too late")
    assert stores.event_queue.dead_letters().items == ()

    stores.event_queue.delete([again])
    assert stores.event_queue.depth() == 0


def test_a_delayed_message_waits(stores: Stores) -> None:
    send(stores, delay_s=60)
    stores.clock.advance(59)
    assert stores.event_queue.receive(10, 0) == []

    stores.clock.advance(2)
    receive_one(stores)


def test_a_released_message_comes_back_at_once(stores: Stores) -> None:
    send(stores)
    stores.event_queue.release(receive_one(stores), "busy", 0)

    assert receive_one(stores).receive_count == 2


def test_a_message_released_for_later_waits(stores: Stores) -> None:
    send(stores)
    stores.event_queue.release(receive_one(stores), "busy", 60)
    stores.clock.advance(59)
    assert stores.event_queue.receive(10, 0) == []

    stores.clock.advance(2)
    receive_one(stores)


def test_a_delivery_that_does_not_count_is_not_counted_however_often(stores: Stores) -> None:
    send(stores)
    last = receive_last(stores)

    for _ in range(3):
        stores.event_queue.release(last, "not its fault", 10, is_counted=False)
        assert stores.event_queue.receive(1, 0) == []
        stores.clock.advance(10)
        last = receive_one(stores)
        assert (last.receive_count, last.is_last) == (MAX_RECEIVE_COUNT, True)

    stores.event_queue.release(last, "its fault", 0)
    assert len(stores.event_queue.dead_letters().items) == 1


def test_releasing_late_without_counting_leaves_the_message_to_its_new_owner(stores: Stores) -> None:
    late, again = let_the_lease_pass_on(stores)
    stores.event_queue.release(late, "too late", 0, is_counted=False)

    assert stores.event_queue.receive(10, 0) == []
    stores.event_queue.release(again, "again", 0)
    assert receive_one(stores).receive_count == again.receive_count + 1


def test_only_the_last_delivery_is_marked_as_last(stores: Stores) -> None:
    send(stores)
    marks = []
    for _ in range(MAX_RECEIVE_COUNT):
        marks.append((message := receive_one(stores)).is_last)
        stores.event_queue.release(message, "again", 0)

    assert marks == [False] * (MAX_RECEIVE_COUNT - 1) + [True]


def test_releasing_the_last_delivery_makes_a_dead_letter_with_its_reason(stores: Stores) -> None:
    [event] = send(stores)
    message = receive_last(stores)
    stores.event_queue.release(message, "it burns", 0)

    [letter] = stores.event_queue.dead_letters().items
    assert (letter.id, letter.key, letter.reason) == (message.id, event.key, "it burns")
    assert (letter.receive_count, letter.dead_time) == (MAX_RECEIVE_COUNT, stores.clock.now())
    assert stores.event_queue.receive(10, 0) == []


def test_a_message_whose_last_lease_ends_is_a_dead_letter(stores: Stores) -> None:
    """Somebody who takes a message and dies, each time, cannot keep it going for ever."""
    send(stores)
    receive_last(stores)
    stores.clock.advance(VISIBILITY_TIMEOUT_S + 1)

    assert stores.event_queue.receive(10, 0) == []
    [letter] = stores.event_queue.dead_letters().items
    assert letter.reason


def test_a_buried_message_is_a_dead_letter_at_once(stores: Stores) -> None:
    send(stores)
    stores.event_queue.bury(receive_one(stores), "hopeless")
    stores.clock.advance(VISIBILITY_TIMEOUT_S + 1)

    assert stores.event_queue.receive(10, 0) == []
    assert [letter.reason for letter in stores.event_queue.dead_letters().items] == ["hopeless"]


def test_dead_letters_are_listed_newest_first_and_page_by_page(stores: Stores) -> None:
    ids = [bury_one(stores) for _ in range(5)]

    pages = [stores.event_queue.dead_letters(2)]
    while (cursor := pages[-1].next_cursor) is not None:
        pages.append(stores.event_queue.dead_letters(2, cursor))

    assert [letter.id for page in pages for letter in page.items] == ids[::-1]
    assert [len(page.items) for page in pages] == [2, 2, 1]


@pytest.mark.parametrize("cursor", ["", "x", "😀", "\ud800", "aW1hZ2VzOjE", "a" * 10_000])
def test_a_strange_cursor_is_refused(stores: Stores, cursor: str) -> None:
    with pytest.raises(InvalidCursor):
        stores.event_queue.dead_letters(10, cursor)


def test_a_redriven_dead_letter_starts_anew(stores: Stores) -> None:
    [event] = send(stores)
    stores.event_queue.bury(receive_one(stores), "hopeless")

    assert stores.event_queue.redrive() == [event.key]
    assert (message := receive_one(stores)).receive_count == 1
    assert message.event == event
    assert stores.event_queue.dead_letters().items == ()


def test_only_the_named_dead_letters_are_redriven(stores: Stores) -> None:
    first, second = bury_one(stores), bury_one(stores)

    assert len(stores.event_queue.redrive([first, "unknown"])) == 1
    assert [letter.id for letter in stores.event_queue.dead_letters().items] == [second]


def test_redriving_twice_redrives_once(stores: Stores) -> None:
    letter = bury_one(stores)

    assert len(stores.event_queue.redrive([letter])) == 1
    assert stores.event_queue.redrive([letter]) == []
    assert stores.event_queue.depth() == 1


def test_redriving_nothing_is_no_error(stores: Stores) -> None:
    bury_one(stores)

    assert stores.event_queue.redrive([]) == []


def test_depth_counts_what_waits_and_what_is_in_flight_but_no_dead_letters(stores: Stores) -> None:
    send(stores, 3)
    [first, _] = stores.event_queue.receive(2, 0)
    stores.event_queue.bury(first, "hopeless")

    assert stores.event_queue.depth() == 2


def test_whoever_waits_is_woken_by_a_message(stores: Stores) -> None:
    with ThreadPoolExecutor(1) as threads:
        received = threads.submit(stores.event_queue.receive, 10, 60)
        events = send(stores)

        assert [message.event for message in received.result(timeout=30)] == events


def test_no_message_is_received_by_two_at_once(stores: Stores) -> None:
    events = send(stores, 200)
    together = threading.Barrier(8)

    def take_all() -> list[str]:
        together.wait()
        taken = []
        while batch := stores.event_queue.receive(3, 0):
            taken += [message.event.key for message in batch]
        return taken

    with ThreadPoolExecutor(8) as threads:
        takers = [threads.submit(take_all) for _ in range(8)]
        keys = Counter(key for taker in takers for key in taker.result())

    assert keys == Counter(event.key for event in events)


@NEW_STORES_PER_EXAMPLE
@given(
    request_id=st.text(st.characters(exclude_categories=["Cs"])),
    milliseconds=st.integers(0, 4_000_000_000_000),
    relabel=st.booleans(),
)
def test_an_event_arrives_as_it_was_sent(stores: Stores, request_id: str, milliseconds: int, relabel: bool) -> None:
    event = ImageUploaded(new_key(), time_from_ms(milliseconds), request_id, relabel)
    stores.event_queue.send([event])

    message = receive_one(stores)
    stores.event_queue.delete([message])
    assert message.event == event


Step = tuple[str, int]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["send", "delay", "receive", "delete", "release", "bury", "wait", "expire", "redrive"]),
        st.integers(0, 5),
    ),
    max_size=40,
)


@NEW_STORES_PER_EXAMPLE
@given(steps=STEPS)
def test_whatever_happens_in_whatever_order_the_queue_does_as_a_simple_model(
    new_stores: Callable[[], Stores], steps: list[Step]
) -> None:
    model = QueueModel(new_stores())
    for name, number in steps:
        getattr(model, name)(number)
        model.check()


class QueueModel:
    """What a queue may do, in the plainest words: by key, how often it was received and until when it is hidden."""

    def __init__(self, stores: Stores) -> None:
        self.stores = stores
        self.queue = stores.event_queue
        self.counts: dict[str, int] = {}
        self.hidden_until: dict[str, float] = {}
        self.dead: set[str] = set()
        self.owners: dict[str, Message[ImageUploaded]] = {}
        self.deliveries: list[Message[ImageUploaded]] = []

    def send(self, number: int) -> None:
        self.delay(number, delay_s=0)

    def delay(self, number: int, delay_s: float = 10.0) -> None:
        for event in send(self.stores, number % 3, delay_s):
            self.counts[event.key] = 0
            self.hidden_until[event.key] = self.stores.clock.seconds + delay_s

    def receive(self, number: int) -> None:
        self._end_leases()
        due = {key for key, until in self.hidden_until.items() if until <= self.stores.clock.seconds}
        messages = self.queue.receive(number + 1, 0)
        assert {message.event.key for message in messages} <= due - self.dead
        assert len(messages) == min(number + 1, len(due - self.dead))
        for message in messages:
            key = message.event.key
            self.counts[key] += 1
            assert (message.receive_count, message.is_last) == (self.counts[key], self.counts[key] == MAX_RECEIVE_COUNT)
            self.hidden_until[key] = self.stores.clock.seconds + VISIBILITY_TIMEOUT_S
            self.owners[key] = message
        self.deliveries += messages

    def delete(self, number: int) -> None:
        if (message := self._delivery(number)) is not None:
            self.queue.delete([message])
            if self._owns(message):
                self._forget(message.event.key)

    def release(self, number: int) -> None:
        if (message := self._delivery(number)) is not None:
            self.queue.release(message, "released", number)
            if self._owns(message):
                key = message.event.key
                del self.owners[key]
                self.hidden_until[key] = self.stores.clock.seconds + number
                self.dead |= {key} if message.is_last else set()

    def bury(self, number: int) -> None:
        if (message := self._delivery(number)) is not None:
            self.queue.bury(message, "buried")
            if self._owns(message):
                del self.owners[message.event.key]
                self.dead.add(message.event.key)

    def wait(self, number: int) -> None:
        self.stores.clock.advance(number)

    def expire(self, number: int) -> None:
        self.stores.clock.advance(VISIBILITY_TIMEOUT_S)
        self.receive(number)

    def redrive(self, number: int) -> None:
        assert set(self.queue.redrive()) == self.dead
        for key in self.dead:
            self.counts[key] = 0
            self.hidden_until[key] = self.stores.clock.seconds
        self.dead.clear()

    def check(self) -> None:
        assert self.queue.depth() == len(self.counts) - len(self.dead)
        assert {letter.key for letter in self.queue.dead_letters(1000).items} == self.dead

    def _end_leases(self) -> None:
        for key in [key for key in self.owners if self.hidden_until[key] <= self.stores.clock.seconds]:
            del self.owners[key]
            self.dead |= {key} if self.counts[key] == MAX_RECEIVE_COUNT else set()

    def _delivery(self, number: int) -> Message[ImageUploaded] | None:
        """Return one of the deliveries so far; the lease of most has passed on."""
        return self.deliveries[-1 - number] if number < len(self.deliveries) else None

    def _owns(self, message: Message[ImageUploaded]) -> bool:
        return self.owners.get(message.event.key) is message

    def _forget(self, key: str) -> None:
        del self.counts[key], self.hidden_until[key], self.owners[key]


def bury_one(stores: Stores) -> str:
    """Make one dead letter and return its id."""
    send(stores)
    stores.clock.advance(1)
    message = receive_one(stores)
    stores.event_queue.bury(message, "hopeless")
    return message.id
