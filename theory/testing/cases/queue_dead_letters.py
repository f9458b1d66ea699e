"""What every store of messages promises of those that nobody could process, over the wire."""

import asyncio

from theory.core.errors import AlreadyExists, Invalid, NotFound, TheoryError
from theory.testing.case import Target, case
from theory.testing.cases.queue_topic import Topic, end
from theory.testing.refusals import refusal, refused


@case()
async def a_message_dies_after_so_many_deliveries(target: Target) -> None:
    """After exactly `max_receives` deliveries it comes no more, and is read among the dead letters (I-41)."""
    topic = Topic(target)
    message_id = await topic.publish(b"poison", max_receives=3)
    for count in (1, 2, 3):
        message = await topic.only(visibility_timeout_s=1)
        assert message.receive_count == count
        assert await topic.is_empty(dead_letters=True)
        if count == 2:
            await target.advance(1.1)
        else:
            await topic.nack(message)
    assert await topic.is_empty()
    dead = await topic.only(dead_letters=True)
    assert (dead.message_id, dead.body, dead.publish_time) == (message_id, b"poison", message.publish_time)
    assert dead.receive_count in {1, 4}
    assert await topic.is_empty()


@case()
async def a_timeout_counts_like_a_message_given_back(target: Target) -> None:
    """A message whose last delivery nobody settled dies, too, once its timeout has passed (I-41)."""
    topic = Topic(target)
    await topic.publish(max_receives=1)
    await topic.only(visibility_timeout_s=3)
    await target.advance(1)
    assert await topic.is_empty()
    assert await topic.is_empty(dead_letters=True)
    await target.advance(2.1 + target.slack_s)
    assert await topic.is_empty()
    await topic.only(dead_letters=True)


@case()
async def a_dead_letter_is_in_nobodys_way(target: Target) -> None:
    """What was published behind messages that die is delivered, by the same consume (I-41)."""
    topic = Topic(target)
    await topic.publish_all(*[b"poison"] * 5, max_receives=1)
    for each in await topic.taken(5):
        await topic.nack(each)
    await topic.publish(b"sound")
    assert (await topic.only()).body == b"sound"
    assert await topic.is_empty()
    assert {each.body for each in await topic.taken(5, dead_letters=True)} == {b"poison"}


@case()
async def an_acknowledged_message_is_no_dead_letter(target: Target) -> None:
    """An ack of the last delivery that there may be is an ack (I-41, I-37)."""
    topic = Topic(target)
    await topic.publish(max_receives=1)
    await topic.ack(await topic.only(visibility_timeout_s=1))
    await target.advance(1.1)
    assert await topic.is_empty()
    assert await topic.is_empty(dead_letters=True)


@case()
async def without_a_limit_a_message_never_dies(target: Target) -> None:
    """Where the first publish gave no `max_receives`, or 0, it is delivered again and again (I-41)."""
    topic = Topic(target)
    for place, most in ((topic, None), (topic.elsewhere(), 0)):
        await place.publish(max_receives=most)
        for count in range(1, 8):
            message = await place.only()
            assert message.receive_count == count
            await place.nack(message)
        assert await place.is_empty(dead_letters=True)


@case()
async def the_first_publish_fixes_the_limit_of_a_topic(target: Target) -> None:
    """Another figure later is `AlreadyExists TOPIC_TAKEN` and publishes nothing; the same, or none, is fine (I-100)."""
    topic, open_ended = Topic(target), Topic(target)
    await topic.publish(b"1", max_receives=2)
    await topic.publish(b"2", max_receives=2)
    await topic.publish(b"3")
    await open_ended.publish(b"1")
    await open_ended.publish(b"2", max_receives=0)
    for place, figures, stands in ((topic, (0, 1, 3), "2"), (open_ended, (1, 2), "0")):
        for figure in figures:
            error = await refusal(place.publish(b"no", max_receives=figure), AlreadyExists, "TOPIC_TAKEN")
            assert error.metadata == {"max_receives": stands}
    assert sorted(each.body for each in await topic.taken(3)) == [b"1", b"2", b"3"]
    assert sorted(each.body for each in await open_ended.taken(2)) == [b"1", b"2"]
    await topic.beside(name="other").publish(max_receives=3)
    await topic.elsewhere().publish(max_receives=3)


@case()
async def a_limit_of_deliveries_has_limits(target: Target) -> None:
    """Less than 0 and more than 1,000 are `Invalid MAX_RECEIVES_INVALID`, and make no topic (I-89)."""
    topic = Topic(target)
    for figure in (-1, 1_001, 1 << 30):
        error = await refusal(topic.publish(max_receives=figure), Invalid, "MAX_RECEIVES_INVALID")
        assert error.metadata == {"min": "0", "max": "1000"}
    await topic.publish(max_receives=1_000)


@case()
async def a_dead_letter_is_settled_like_any_other(target: Target) -> None:
    """Its handle hides it, gives it back and removes it, where it is (I-41)."""
    topic = Topic(target)
    first = await topic.dead(b"poison")
    await topic.extend(first, 60)
    assert await topic.is_empty(dead_letters=True)
    await topic.nack(first)
    again = await topic.only(dead_letters=True)
    assert (again.message_id, again.receive_count) == (first.message_id, first.receive_count + 1)
    await topic.ack(again)
    assert await topic.is_empty(dead_letters=True)
    assert await topic.is_empty()


@case()
async def a_dead_letter_is_hidden_while_it_is_read(target: Target) -> None:
    """For its visibility timeout nobody else gets it, and then it comes again (I-41, I-36)."""
    topic = Topic(target)
    await topic.nack(await topic.dead())
    await topic.only(dead_letters=True, visibility_timeout_s=3)
    await target.advance(1)
    assert await topic.is_empty(dead_letters=True)
    await target.advance(2.1)
    await topic.only(dead_letters=True)


@case()
async def one_batch_may_settle_both_sides(target: Target) -> None:
    """Handles of deliveries and of dead letters may be acknowledged together, in any order (I-41, I-86)."""
    topic = Topic(target)
    dead = await topic.dead()
    await topic.publish_all(b"1", b"2")
    one, two = await topic.taken(2)
    handles = [each.receipt_handle for each in (one, dead, two)]
    assert await topic.queue.ack_many(topic.plan_id, topic.name, handles) == [None] * 3
    assert await topic.is_empty()
    assert await topic.is_empty(dead_letters=True)


@case()
async def a_dead_letter_that_is_brought_back_counts_anew(target: Target) -> None:
    """It is visible at once, with a receive count of 1, no longer dead, and may die again (I-101)."""
    topic = Topic(target)
    await topic.publish(b"poison", max_receives=2)
    for _ in range(2):
        for count in (1, 2):
            message = await topic.only()
            assert (message.body, message.receive_count) == (b"poison", count)
            await topic.nack(message)
        assert await topic.is_empty()
        assert await topic.redrive(await topic.only(dead_letters=True)) == [None]
    assert await topic.is_empty(dead_letters=True)
    assert (await topic.only()).receive_count == 1


@case()
async def only_a_dead_letter_is_brought_back(target: Target) -> None:
    """The handle of an ordinary delivery is `Invalid RECEIPT_INVALID`, and stops no other item (I-101, I-86)."""
    topic = Topic(target)
    dead = await topic.dead()
    await topic.publish()
    living = await topic.only()
    answers = await topic.redrive(living, dead)
    refused(answers[0], Invalid, "RECEIPT_INVALID")
    assert answers[1] is None
    await topic.ack(living)


@case()
async def handles_from_before_do_not_touch_what_was_moved(target: Target) -> None:
    """Neither a dead letter, nor one that was brought back, obeys a handle of an earlier delivery (I-101, I-38)."""
    topic = Topic(target)
    await topic.publish(max_receives=1)
    living = await topic.only()
    await topic.nack(living)
    assert await topic.is_empty()
    await topic.settled(living.receipt_handle)
    dead = await topic.only(dead_letters=True)
    assert await topic.redrive(dead) == [None]
    new = await topic.only()
    for old in (living, dead):
        await topic.settled(old.receipt_handle)
    assert await topic.is_empty()
    await topic.ack(new)


@case("FENCED_HANDLES")
async def handles_from_before_are_refused(target: Target) -> None:
    """After a move they name nothing: `RECEIPT_SUPERSEDED` or `MESSAGE_UNKNOWN`, for redrive, too (I-101, I-38)."""
    topic = Topic(target)
    await topic.publish(max_receives=1)
    living = await topic.only()
    await topic.nack(living)
    assert await topic.is_empty()
    for answer in await topic.settled(living.receipt_handle):
        refused(answer, NotFound, "MESSAGE_UNKNOWN")
    dead = await topic.only(dead_letters=True)
    assert await topic.redrive(dead) == [None]
    await topic.only()
    for answer in [*await topic.settled(living.receipt_handle), *await topic.settled(dead.receipt_handle)]:
        _refused_as_old(answer)
    _refused_as_old((await topic.redrive(dead))[0])


@case("DEAD_LETTERS")
async def a_message_is_on_one_side_only_under_any_concurrency(target: Target) -> None:
    """Consumers at once hand each message out once and find each once among the dead letters (I-41)."""
    topic, count = Topic(target), 40
    ids = await topic.publish_all(*[b""] * count, max_receives=1)
    for each in await topic.taken(count):
        await topic.nack(each)
    assert await asyncio.gather(*(topic.consume(10) for _ in range(8))) == [[]] * 8
    dead = await asyncio.gather(*(topic.consume(10, dead_letters=True) for _ in range(8)))
    found = [each for messages in dead for each in messages]
    assert sorted(each.message_id for each in found) == sorted(ids)
    halves = found[: count // 2], found[count // 2 :]
    await asyncio.gather(*(topic.redrive(*half) for half in halves))
    assert sorted(each.message_id for each in await topic.taken(count)) == sorted(ids)
    assert await topic.is_empty(dead_letters=True)


@case()
async def dead_letters_are_of_their_plan_and_end_with_it(target: Target) -> None:
    """They are neither in another topic nor in another plan, and gone when their plan has ended (I-33, I-34)."""
    topic = Topic(target)
    await topic.nack(await topic.dead())
    for other in (topic.elsewhere(), topic.beside(name="other")):
        assert await other.is_empty(dead_letters=True)
    dead = await topic.only(dead_letters=True)
    await end(target, topic.plan_id)
    assert await topic.is_empty(dead_letters=True)
    for answer in await topic.redrive(dead):
        refused(answer, NotFound, "MESSAGE_UNKNOWN")


def _refused_as_old(answer: object) -> None:
    assert isinstance(answer, TheoryError), f"an old handle was obeyed: {answer!r}"
    assert answer.reason in {"RECEIPT_SUPERSEDED", "MESSAGE_UNKNOWN"}, f"an old handle was answered {answer!r}"
