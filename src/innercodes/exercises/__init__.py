"""Exercises that check themselves, by chapter. A notebook calls `exercises.check_<key>(answer)` and shows what comes back.

    from innercodes import exercises
    exercises.check_dividends(dividends)

The checks are tests of properties on fresh random input. `EXERCISES` holds the tasks, stubs, hints and solutions.
"""

from collections.abc import Callable
from typing import Any

from innercodes.exercises import lenses, sparse, spectra, symbols, telescope
from innercodes.exercises.protocol import DIFFICULTIES, EDITIONS, Exercise, Mistake, Verdict

EXERCISES: dict[str, tuple[Exercise, ...]] = {
    room.CHAPTER: room.EXERCISES for room in (symbols, sparse, telescope, spectra, lenses)
}
"""Chapter to its exercises, in the order of the page."""

BY_KEY = {exercise.key: exercise for chapter in EXERCISES.values() for exercise in chapter}


def _checker(key: str) -> Callable[..., Verdict]:
    exercise = BY_KEY[key]

    def check(answer: Any, seed: int | None = None) -> Verdict:
        return exercise.check(answer, seed)

    check.__name__ = check.__qualname__ = f"check_{key}"
    check.__doc__ = (
        f"Check `{exercise.name}` of “{exercise.title}” on fresh random input; the same `seed` gives the same."
    )
    return check


check_map_by_hand = _checker("map_by_hand")
check_pool_cells = _checker("pool_cells")
check_surrogate = _checker("surrogate")
check_symbol_score = _checker("symbol_score")
check_chance_level = _checker("chance_level")
check_attack_or_error = _checker("attack_or_error")

check_dividends_by_hand = _checker("dividends_by_hand")
check_dividends = _checker("dividends")
check_or_as_ands = _checker("or_as_ands")
check_forced_zeros = _checker("forced_zeros")
check_exponent = _checker("exponent")
check_short_list = _checker("short_list")

check_torus_by_hand = _checker("torus_by_hand")
check_torus_distance = _checker("torus_distance")
check_participation_ratio = _checker("participation_ratio")
check_som_step = _checker("som_step")
check_relative_spread = _checker("relative_spread")
check_richer_code = _checker("richer_code")

check_pack_by_hand = _checker("pack_by_hand")
check_dropout_layers = _checker("dropout_layers")
check_spectrum_slope = _checker("spectrum_slope")
check_many_pictures = _checker("many_pictures")
check_mean_action = _checker("mean_action")
check_hidden_redundancy = _checker("hidden_redundancy")

check_holm_by_hand = _checker("holm_by_hand")
check_partial = _checker("partial")
check_exchanged_p = _checker("exchanged_p")
check_gain = _checker("gain")
check_first_to_warn = _checker("first_to_warn")
check_part_units = _checker("part_units")

__all__ = ["BY_KEY", "DIFFICULTIES", "EDITIONS", "EXERCISES", "Exercise", "Mistake", "Verdict"]
__all__ += [name for name in globals() if name.startswith("check_")]
