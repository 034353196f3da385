"""Names are found at their places, whatever they are made of."""

from hypothesis import given
from hypothesis import strategies as st

from pipeline.store.names import Names

WORDS = st.lists(
    st.text(st.characters(codec="utf-8"), max_size=4) | st.sampled_from(["\0", "a\0", "\udcff", "a" * 999])
)


@given(WORDS, WORDS)
def test_a_name_is_found_where_it_first_is_and_no_other(names, wanted):
    expected = [names.index(name) if name in names else -1 for name in wanted + names]
    assert Names(iter(names)).find(wanted + names).tolist() == expected
