"""Names: who owns each, and what happens when two want the same."""

import pytest

from latentry.errors import DuplicateName, PluginError, UnknownName
from latentry.registry import Registry
from latentry.specs import SamplerSpec, SchedulerSpec


def sampler(name: str, *aliases: str) -> SamplerSpec:
    return SamplerSpec(name, lambda denoise, x, sigmas: x, aliases=aliases)


def registry(owner: str = "one", *specs: SamplerSpec) -> Registry:
    return Registry().merged(owner, {"register_samplers": specs})


def test_a_spec_is_found_by_its_name_and_by_its_aliases_in_any_case() -> None:
    table = registry("one", sampler("euler_a", "euler a", "K_Euler_A")).samplers
    assert table.find("euler_a") is table.find("Euler a") is table.find("k_euler_a") is table.find("EULER_A")
    assert table.owners == {"euler_a": "one"}


def test_an_unknown_name_lists_the_legal_ones() -> None:
    with pytest.raises(UnknownName, match="unknown sampler 'x'; known: a, b"):
        registry("one", sampler("b"), sampler("a")).samplers.find("x")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (sampler("a"), sampler("a")),
        (sampler("a", "z"), sampler("z")),
        (sampler("a"), sampler("b", "a")),
        (sampler("a", "z"), sampler("b", "z")),
        (sampler("a", "Z"), sampler("b", "z")),
    ],
    ids=["names", "alias and name", "name and alias", "aliases", "aliases in another case"],
)
def test_a_duplicate_names_both_owners(first: SamplerSpec, second: SamplerSpec) -> None:
    with pytest.raises(DuplicateName) as caught:
        registry("one", first).merged("two", {"register_samplers": [second]})
    assert "'one'" in str(caught.value)
    assert "'two'" in str(caught.value)


def test_one_plugin_cannot_give_a_name_twice() -> None:
    with pytest.raises(DuplicateName):
        registry("one", sampler("a"), sampler("a"))


def test_kinds_have_names_of_their_own() -> None:
    schedule = SchedulerSpec("a", lambda steps, levels: (1.0, 0.0))
    both = registry("one", sampler("a")).merged("two", {"register_schedulers": [schedule]})
    assert (set(both.samplers), set(both.schedulers)) == ({"a"}, {"a"})


def test_a_merge_that_fails_changes_nothing() -> None:
    before = registry("one", sampler("a"))
    schedule = SchedulerSpec("s", lambda steps, levels: (1.0, 0.0))
    with pytest.raises(DuplicateName):
        before.merged("two", {"register_schedulers": [schedule], "register_samplers": [sampler("a")]})
    assert set(before.samplers) == {"a"}
    assert set(before.schedulers) == set()


@pytest.mark.parametrize("name", ["", "A", "a b", "../a", "-a", ".a", "a\n", "ä", "a" * 65, None, 3, "a/b"])
def test_a_spec_with_a_bad_name_cannot_be_made(name: object) -> None:
    with pytest.raises(PluginError, match="is no name for a SamplerSpec"):
        sampler(name)  # type: ignore[arg-type]
