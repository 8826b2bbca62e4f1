import matplotlib as mpl

from tokenvis import theme


def test_a_theme_has_settings_for_matplotlib():
    before = dict(mpl.rcParams)
    with mpl.rc_context(theme()):
        assert mpl.rcParams["text.parse_math"] is False
    assert dict(mpl.rcParams) == before
