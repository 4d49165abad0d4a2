"""Calling the user's backward of a step, or of all steps, with what its signature asks for."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any

from ...errors import Uncheckable
from ..layers.arguments import parameters, takes_any_keyword


def one_step(f: Callable[..., Any], states: dict[str, Any], params: dict[str, Any], back: dict[str, Any]) -> Any:
    """Call a backward of one step."""
    named = {**params, **back}
    try:
        inspect.signature(f).bind(*states.values(), **named)
    except TypeError as error:
        raise Uncheckable(f"check_backward: {_name(f)}: {error}; it is called as {_called(f, states, named)}") from None
    except ValueError:  # no signature to read: the call will tell
        pass
    return f(*states.values(), **named)


def over_time(f: Callable[..., Any], states: dict[str, Any], params: dict[str, Any], back: dict[str, Any]) -> Any:
    """Call a backward over time with what its signature asks for; it may leave out dh and dc."""
    wanted = parameters(f)
    have = {**states, **({"params": params} if "params" in wanted else params), **back}
    anything, star = takes_any_keyword(f), any(part.kind is part.VAR_POSITIONAL for part in wanted.values())
    first = next(iter(wanted))
    if first not in have and not star:
        have = {first: have.pop("xs"), **have}
    taken = list(states) if star else []  # by position
    ahead = [have.pop(name) for name in taken]
    stars = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    plain = {n: p for n, p in wanted.items() if p.kind not in stars and n not in taken}
    missing = [n for n, p in plain.items() if p.default is p.empty and n not in have]
    lost = [n for n in have if n not in wanted and n not in back and not anything]
    if missing or lost:
        why = f"wants {', '.join(missing)}" if missing else f"does not take {', '.join(lost)}"
        call = _called(f, states, {**params, **back})
        raise Uncheckable(f"check_backward: {_name(f)} {why}; over time it is called as {call}")
    ahead += [have.pop(n) for n, p in plain.items() if p.kind is p.POSITIONAL_ONLY]
    return f(*ahead, **{n: x for n, x in have.items() if n in wanted or anything})


def _name(f: Callable[..., Any]) -> str:
    return getattr(f, "__name__", "backward")


def _called(f: Callable[..., Any], states: Iterable[str], named: Iterable[str]) -> str:
    return f"{_name(f)}({', '.join(states)}, *, {', '.join(named)})"
