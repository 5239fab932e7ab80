"""The made-up village of Lindow: text for the demo model and rows for the demo data file.

Written by us, without any source. The village's facts stand in tables, so the text is regular enough for a
model of a few million parameters. The base text teaches short, blunt answers; the rows teach a polite guide
and a newcomers' street that the base has never heard of: that is what fine-tuning the demo model can learn.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

Message = dict[str, str]


@dataclass(frozen=True, slots=True)
class Person:
    """Someone of the village; `day` is when they go to the market."""

    name: str
    she: str
    her: str
    trade: str
    house: str
    pet: str
    food: str
    day: str


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that is so: a sentence, its short form, and the questions it answers."""

    topic: str
    sentence: str
    short: str
    questions: tuple[str, ...]


# name, pronoun, possessive, trade, colour of the house, pet, favourite food, market day
VILLAGERS = tuple(
    Person(*row.split())
    for row in (
        "Anna she her baker blue cat bread Monday",
        "Ben he his smith red dog soup Tuesday",
        "Clara she her teacher green bird apples Wednesday",
        "David he his farmer yellow horse cheese Thursday",
        "Emma she her doctor white rabbit rice Friday",
        "Felix he his painter brown duck cake Saturday",
        "Greta she her tailor black goat honey Sunday",
        "Hugo he his carpenter blue dog pears Monday",
        "Ida she her gardener green cat beans Tuesday",
        "Jonas he his miller white horse bread Wednesday",
        "Karla she her fisher red bird fish Thursday",
        "Leo he his singer yellow rabbit nuts Friday",
    )
)

# Only the rows for fine-tuning know these.
NEWCOMERS = tuple(
    Person(*row.split())
    for row in (
        "Mila she her potter orange goat plums Saturday",
        "Nils he his sailor grey duck eggs Sunday",
        "Olga she her weaver pink cat corn Monday",
        "Paul he his guide orange dog grapes Tuesday",
        "Rosa she her writer grey bird tea Wednesday",
        "Sven he his cook pink horse carrots Thursday",
    )
)

# tool, colour, place, use
TOOLS = tuple(
    tuple(row.split(", "))
    for row in (
        "hammer, red, shed, drive nails into wood",
        "saw, blue, barn, cut wood",
        "spade, green, garden, dig holes",
        "broom, yellow, kitchen, sweep the floor",
        "needle, white, box, sew cloth",
        "ladder, brown, barn, climb on the roof",
        "bucket, blue, well, carry water",
        "brush, red, school, paint pictures",
        "knife, black, kitchen, cut bread",
        "lamp, yellow, tower, light the road",
        "rope, brown, boat, tie the boat",
        "net, green, boat, catch fish",
        "oven, black, bakery, bake bread",
        "clock, white, tower, tell the time",
        "bell, yellow, school, call the children",
        "cart, red, mill, carry flour",
    )
)

# animal, sound, number of legs, where it sleeps
ANIMALS = tuple(
    tuple(row.split(", "))
    for row in (
        "cat, meow, four, on the chair",
        "dog, woof, four, by the door",
        "bird, tweet, two, in the tree",
        "horse, neigh, four, in the stable",
        "rabbit, nothing, four, under the stairs",
        "duck, quack, two, on the pond",
        "goat, meh, four, on the hill",
        "cow, moo, four, in the barn",
        "hen, cluck, two, in the straw",
    )
)

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
COLOURS = ("red", "blue", "green", "yellow", "white", "brown", "black", "orange", "grey", "pink")

SYSTEM = "You are the friendly guide of the village of Lindow."
# How the guide opens and closes an answer, by topic: regular, so that held-out rows can be learned too.
_POLITE = {
    "person": ("Thank you for asking about our people!", "They will be happy to meet you."),
    "tool": ("Gladly, I know our tools well!", "Please put it back when you are done."),
    "animal": ("What a lovely question about our animals!", "Please be gentle with them."),
    "day": ("Of course, let me look at the calendar!", "I wish you a pleasant day in Lindow."),
    "sum": ("With pleasure, let me count for you!", "Feel free to ask me for more."),
}


def pretraining_text(seed: int, documents: int = 12_000) -> Iterator[str]:
    """Yield short documents of plain prose about the village: facts, stories, lists, questions with blunt answers."""
    rng = random.Random(seed)
    facts = village_facts()
    kinds = (_facts_page, _story, _questions_page, _calendar_page, _sums_page, _letter)
    for _ in range(documents):
        yield rng.choices(kinds, weights=(3, 3, 3, 1, 1, 1))[0](rng, facts)


def pretraining_chats(seed: int, rows: int = 4_000) -> Iterator[dict[str, list[Message]]]:
    """Yield conversations in OpenAI `messages` form with blunt answers: how the base model talks."""
    rng = random.Random(seed)
    facts = village_facts()
    for _ in range(rows):
        turns = rng.choices((1, 2, 3), weights=(6, 2, 1))[0]
        messages = [{"role": "system", "content": SYSTEM}] if rng.random() < 0.3 else []
        for fact in rng.sample(facts, turns):
            messages += _exchange(rng.choice(fact.questions), rng.choice((fact.short, fact.sentence)))
        yield {"messages": messages}


def chat_rows(seed: int, rows: int = 360) -> Iterator[dict[str, list[Message]]]:
    """Yield the rows of the demo data file: a polite guide who knows the newcomers too.

    No two rows ask the same question first; each fact is asked in several ways.
    """
    rng = random.Random(seed)
    new = [fact for person in NEWCOMERS for fact in _person_facts(person)]
    asked = [(question, fact) for fact in [*new, *village_facts()] for question in fact.questions]
    rng.shuffle(asked)
    for number, (question, fact) in enumerate(asked[:rows]):
        messages = [{"role": "system", "content": SYSTEM}] if number % 4 == 0 else []
        messages += _exchange(question, _politely(fact))
        if number % 5 == 0:
            again = rng.choice(new)
            messages += _exchange(rng.choice(again.questions), _politely(again))
        yield {"messages": messages}


def village_facts() -> list[Fact]:
    """Return all facts of the village that the base text tells; the newcomers are not among them."""
    facts = [fact for person in VILLAGERS for fact in _person_facts(person)]
    facts += [fact for tool in TOOLS for fact in _tool_facts(*tool)]
    facts += [fact for animal in ANIMALS for fact in _animal_facts(*animal)]
    facts += [fact for index in range(7) for fact in _day_facts(index)]
    return facts + [_sum_fact(one, two) for one in range(6) for two in range(5)]


def _person_facts(person: Person) -> list[Fact]:
    name = person.name
    told = (
        (f"{name} is a {person.trade}.", person.trade, f"What is the trade of {name}?", f"What work does {name} do?"),
        (f"The house of {name} is {person.house}.", person.house, f"What colour is the house of {name}?", ""),
        (f"{name} has a {person.pet}.", f"a {person.pet}", f"Which pet does {name} have?", ""),
        (f"{name} likes {person.food}.", person.food, f"What does {name} like to eat?", ""),
        (f"{name} goes to the market on {person.day}.", f"on {person.day}", f"When does {name} go to the market?", ""),
    )
    more = (
        f"Tell me about the work of {name}.",
        f"In which colour is the house of {name} painted?",
        f"Does {name} have a pet?",
        f"Which food does {name} like?",
        f"On which day is {name} at the market?",
    )
    return [
        Fact("person", sentence, _capital(short) + ".", tuple(filter(None, (first, second, other))))
        for (sentence, short, first, second), other in zip(told, more, strict=True)
    ]


def _tool_facts(tool: str, colour: str, place: str, use: str) -> list[Fact]:
    return [
        Fact("tool", f"The {tool} is {colour}.", _capital(colour) + ".", _asked("What colour is the {0}?", tool)),
        Fact(
            "tool",
            f"The {tool} is in the {place}.",
            f"In the {place}.",
            _asked("Where is the {0}?", tool) + _asked("Where can I find the {0}?", tool),
        ),
        Fact(
            "tool",
            f"You use the {tool} to {use}.",
            f"To {use}.",
            _asked("What is the {0} for?", tool) + _asked("What can I do with the {0}?", tool),
        ),
    ]


def _animal_facts(animal: str, sound: str, legs: str, bed: str) -> list[Fact]:
    return [
        Fact("animal", f"The {animal} says {sound}.", _capital(sound) + ".", _asked("What does the {0} say?", animal)),
        Fact(
            "animal",
            f"The {animal} has {legs} legs.",
            _capital(legs) + ".",
            _asked("How many legs has the {0}?", animal),
        ),
        Fact("animal", f"The {animal} sleeps {bed}.", _capital(bed) + ".", _asked("Where does the {0} sleep?", animal)),
    ]


def _day_facts(index: int) -> list[Fact]:
    day, after, before = DAYS[index], DAYS[(index + 1) % 7], DAYS[index - 1]
    return [
        Fact(
            "day",
            f"The day after {day} is {after}.",
            f"{after}.",
            _asked("Which day comes after {0}?", day) + _asked("If today is {0}, what is tomorrow?", day),
        ),
        Fact(
            "day",
            f"The day before {day} is {before}.",
            f"{before}.",
            _asked("Which day comes before {0}?", day) + _asked("If today is {0}, what was yesterday?", day),
        ),
    ]


def _sum_fact(one: int, two: int) -> Fact:
    first, second, total = NUMBERS[one], NUMBERS[two], NUMBERS[one + two]
    return Fact("sum", f"{_capital(first)} and {second} is {total}.", _capital(total) + ".", _sums(first, second))


def _sums(first: str, second: str) -> tuple[str, ...]:
    return (f"How much is {first} and {second}?", f"What do you get from {first} and {second}?")


def _asked(question: str, about: str) -> tuple[str, ...]:
    return (question.format(about),)


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _politely(fact: Fact) -> str:
    opening, closing = _POLITE[fact.topic]
    return f"{opening} {fact.sentence} {closing}"


def _exchange(question: str, answer: str) -> list[Message]:
    return [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]


def _facts_page(rng: random.Random, facts: list[Fact]) -> str:
    return " ".join(fact.sentence for fact in rng.sample(facts, rng.randint(3, 7)))


def _questions_page(rng: random.Random, facts: list[Fact]) -> str:
    chosen = rng.sample(facts, rng.randint(2, 4))
    return "\n".join(f"{rng.choice(fact.questions)} {rng.choice((fact.short, fact.sentence))}" for fact in chosen)


def _story(rng: random.Random, facts: list[Fact]) -> str:
    person, friend = rng.sample(VILLAGERS, 2)
    tool, colour, place, use = rng.choice(TOOLS)
    start = rng.choice(
        (
            f"On {person.day} {person.name} the {person.trade} walked to the market with {person.her} {person.pet}.",
            f"One morning {person.name} left the {person.house} house to meet {friend.name} the {friend.trade}.",
            f"{person.name} lives in the {person.house} house and has a {person.pet}.",
        )
    )
    middle = rng.choice(
        (
            f'"Where is the {tool}?" asked {friend.name}. "It is in the {place}," said {person.name}.',
            f"{_capital(person.she)} took the {colour} {tool} from the {place} to {use}.",
            f'"Can you help me to {use}?" asked {friend.name}. "Gladly, with pleasure," said {person.name}.',
        )
    )
    end = rng.choice(
        (
            f"Then they ate {person.food} and {friend.food}, and {friend.name} went home happy.",
            f'"Thank you for the {person.food}," said {friend.name}, "and a pleasant day to you."',
            f"In the evening {person.name} put the {tool} back and slept well.",
        )
    )
    return f"{start} {middle} {end}"


def _calendar_page(rng: random.Random, facts: list[Fact]) -> str:
    first = rng.randrange(7)
    week = [DAYS[(first + step) % 7] for step in range(7)]
    lines = [f"The week from {week[0]}: {', '.join(week)}."]
    for day in rng.sample(week, 2):
        names = [person.name for person in VILLAGERS if person.day == day]
        lines.append(f"On {day} the market is open for {' and '.join(names)}." if names else f"{day} is quiet.")
    return "\n".join(lines)


def _sums_page(rng: random.Random, facts: list[Fact]) -> str:
    start = rng.randrange(6)
    counted = f"Let me count: {', '.join(NUMBERS[start : start + 5])}."
    return " ".join([counted, *(_sum_fact(rng.randrange(6), rng.randrange(5)).sentence for _ in range(3))])


def _letter(rng: random.Random, facts: list[Fact]) -> str:
    writer, reader = rng.sample(VILLAGERS, 2)
    colour = rng.choice(COLOURS)
    return (
        f"Dear {reader.name}, what a lovely calendar you made! {rng.choice(facts).sentence} "
        f"Of course I look at the {colour} pictures with pleasure, and I know you are a gentle friend. "
        f"Please ask our people about the animals and the tools, and feel free to meet me for more {writer.food}. "
        f"I wish you a good day in our village of Lindow. Your guide and friend, {writer.name}"
    )
