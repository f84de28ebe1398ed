"""Each knob of the page for teachers turns: its run ends without an error, and with the value that was asked for."""

import pytest
from teaching import knobs

from innercodes import exercises

KNOBS = [(chapter, number) for chapter in exercises.EXERCISES for number in range(len(knobs(chapter)[1]))]


@pytest.mark.nightly
@pytest.mark.parametrize(("chapter", "number"), KNOBS)
def test_a_knob_runs(papermill, chapter, number):
    small, changes = knobs(chapter)
    done, results = papermill(chapter, **small, **changes[number])
    assert done.returncode == 0, done.stderr[-3000:]
    (name,) = changes[number]
    assert str(results["parameters"][name]) == changes[number][name]
