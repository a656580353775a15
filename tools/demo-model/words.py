"""Texts: words of the Debian word list, everyday words, made-up words, numbers, dates, codes and prices."""

import re
from functools import cache
from pathlib import Path

EVERYDAY = """open closed exit entry push pull sale today only please keep right left off on no parking bus stop school
road street lane avenue park garden river bridge hill station market bakery coffee tea bread milk butter cheese apple
orange banana tomato potato onion rice pasta sugar salt juice water soup salad pizza burger cake cookie fish chicken
beef egg honey pepper lemon cream paper pen book lamp soap towel brush cable battery shirt shoes hat glove sock name
date city address phone email age total cash card change thank you welcome hours monday tuesday wednesday thursday
friday saturday sunday january february march april may june july august september october november december morning
evening night day week month year north south east west first second third floor room door gate platform train ticket
office desk help info danger caution warning wet floor quiet library museum hotel cafe bar shop store bank post police
hospital pharmacy clinic school music dance film lost found dog cat reward meeting club class lesson free new old hot
cold fresh daily special menu lunch dinner breakfast price order number visitor member staff private public service
repair rent house car bike boat taxi fire water gas power light""".split()
FIRST = """Anna Ben Clara David Emma Felix Grace Henry Iris Jack Kate Leo Maria Nina Oscar Paul Rosa Sam Tom Vera Will Zoe
Alan Beth Carl Dora Eric Fay Glen Hope Ivan Jane Karl Lily Mark Nora Owen Peter Ruth Simon Tina Victor""".split()
LAST = """Baker Carter Dixon Evans Fisher Grant Hughes Irwin Jones Kelly Lewis Moore Nolan Owens Palmer Quinn Reed Smith
Turner Underwood Vance Walker Young Adams Brown Clark Davis Ellis Ford Green Hill King Lane Mills Novak Price Scott
Stone Ward Wood""".split()
MONTHS = "January February March April May June July August September October November December".split()
ROADS = "Street Road Lane Avenue Drive Way Place Square Hill Court".split()
SHOPS = "Market Store Bakery Cafe Shop Deli Foods Books Garden Corner".split()
SIGNS = "".join(chr(c) for c in range(33, 127))
VOWELS, ENDS = "aeiou", ["", "", "n", "r", "s", "l", "t", "m", "x", "d", "k"]
STARTS = "b c d f g h j k l m n p r s t v w z br cr dr fl gr pl pr sl st tr ch sh th qu".split()


@cache
def listed():
    words = Path("/usr/share/dict/words").read_text().split()
    return [word for word in words if re.fullmatch("[a-z]{2,10}", word)]


def made_up(rng):
    parts = (rng.choice(STARTS) + rng.choice(VOWELS) + rng.choice(ENDS) for _ in range(rng.randint(1, 3)))
    return "".join(parts)


def word(rng):
    kind = rng.random()
    if kind < 0.45:
        return rng.choice(EVERYDAY)
    return rng.choice(listed()) if kind < 0.85 else made_up(rng)


def price(rng, most=60):
    return f"{rng.randint(0, most - 1)}.{rng.choice(('00', '50', '95', '99', f'{rng.randint(0, 99):02}'))}"


def number(rng):
    kind = rng.randrange(7)
    if kind == 0:
        return str(rng.randint(1, 99999))
    if kind == 1:
        return f"{rng.randint(0, 23):02}:{rng.randint(0, 59):02}"
    if kind == 2:
        return f"{rng.randint(1, 28)} {rng.choice(MONTHS)} {rng.randint(1950, 2030)}"
    if kind == 3:
        return "".join(rng.choice("ABCDEFGHKLMNPRSTUVXYZ") for _ in range(2)) + f"-{rng.randint(10, 9999)}"
    if kind == 4:
        return f"{rng.randint(10, 999)} {rng.randint(1000, 9999)}"
    if kind == 5:
        return f"${price(rng, 200)}"
    return f"{rng.randint(1, 12)}/{rng.randint(1, 28)}/{rng.randint(1990, 2030)}"


def cased(rng, text):
    kind = rng.random()
    if kind < 0.35:
        return text
    if kind < 0.6:
        return text[:1].upper() + text[1:]
    return text.title() if kind < 0.8 else text.upper()


def phrase(rng, longest=26):
    """One line of at most so many characters."""
    for _ in range(20):
        if rng.random() < 0.15:
            text = number(rng)
        else:
            text = cased(rng, " ".join(word(rng) for _ in range(rng.choice((1, 1, 2, 2, 3, 3, 4)))))
            if rng.random() < 0.12:
                text += rng.choice(".!?:,") if rng.random() < 0.6 else f" {rng.randint(1, 99)}"
            if rng.random() < 0.06:
                text = rng.choice(("({})", '"{}"', "- {}", "* {}", "#{}", "{}/{}"[:2])).format(text)
        if len(text) <= longest:
            return text
    return text[:longest].strip() or "ok"


def person(rng):
    return f"{rng.choice(FIRST)} {rng.choice(LAST)}"


def place(rng):
    name = rng.choice(LAST) if rng.random() < 0.4 else word(rng).capitalize()
    return f"{name} {rng.choice(ROADS)}"


def shop(rng):
    name = rng.choice(LAST) if rng.random() < 0.4 else word(rng).capitalize()
    return f"{name} {rng.choice(SHOPS)}"
