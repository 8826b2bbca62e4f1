"""The columns of a table of samples or events, and its times: steps, numbers, dates, ISO 8601 or durations, as int64 µs."""

import warnings
from datetime import date

import numpy as np
import pandas as pd

from tokenvis.errors import BadOption, BadSpan, MissingColumn, listed, quoted
from tokenvis.spans.bad_rows import ISO_DATE
from tokenvis.spans.columns import as_text, infer_integers
from tokenvis.spans.integers import Int64Array

FIRST_YEAR, LAST_YEAR = 2001, 2100  # numbers that are dates of these years in s, ms or ns are probably no steps
SECONDS_PER_YEAR = 31_556_952
PER_SECOND = {"seconds": 1, "milliseconds": 1_000, "nanoseconds": 1_000_000_000}
UNITS_IN_US = {"seconds": "step_us=1_000_000", "milliseconds": "step_us=1_000", "nanoseconds": "divide them by 1_000"}
ZONE_AT_END = r"[T ]\d\d.*?(?:[Zz]|[+-]\d\d(?::?\d\d)?)\s*$"


def check_step_length(step_us: object) -> None:
    """Raise `BadOption` unless ``step_us`` is a positive integer."""
    if not isinstance(step_us, int) or isinstance(step_us, bool) or step_us < 1:
        raise BadOption(f"step_us={quoted(step_us)} is not a positive integer of µs.")


def values_of(table: pd.DataFrame, name: str, rows: str) -> pd.Series:
    """The values of a column, or of an index level; ``rows`` is what the table contains ("samples", "events")."""
    levels = [level for level in table.index.names if level is not None]
    if name in levels and name not in table.columns:
        level = table.index.get_level_values(name)
        return pd.Series(level.array, name=name, dtype=level.dtype)
    if name not in table.columns:
        raise MissingColumn(f"The {rows} have no column {quoted(name)}. They have: {listed([*table.columns, *levels])}.")
    if isinstance(table[name], pd.DataFrame):
        raise BadSpan(f"The {rows} have several columns {quoted(name)}. Drop all but one.")
    return pd.Series(table[name].array, name=name, dtype=table[name].dtype)


def name_values(table: pd.DataFrame, name: str, rows: str) -> pd.Series:
    """The values of a column of names; integers that pandas stored as floats because some are missing lose their ".0".

    `BadSpan` if a text cannot be encoded as UTF-8.
    """
    values = values_of(table, name, rows)
    if values.dtype == object:
        return as_text(values)
    floats = getattr(values.dtype, "kind", "O") == "f"
    return values.astype("Int64") if floats and (values.dropna() % 1 == 0).all() else values


def check_complete(values: pd.Series, rows: str) -> None:
    """Raise `BadSpan` if a value is missing."""
    if values.isna().any():
        raise BadSpan(f"{values.name} is missing in row {first_row(values.isna())} of the {rows}.")


def times_in_us(values: pd.Series, step_us: int, rows: str) -> Int64Array:
    """Times as int64 µs: numbers times ``step_us``; dates, ISO 8601 (UTC without a zone) and durations as they are."""
    check_complete(values, rows)
    values = infer_integers(values.astype(object) if isinstance(values.dtype, pd.CategoricalDtype) else values)
    if not pd.api.types.is_numeric_dtype(values.dtype) and getattr(values.dtype, "kind", "O") not in "Mm":
        values = dates_of(values) if (numbers := parsed_numbers(values)) is None else numbers
    kind = getattr(values.dtype, "kind", "O")
    if kind in "Mm":
        if step_us != 1:
            raise BadOption(f"step_us={step_us} is the length of a step, but {values.name} contains dates. Leave step_us= out.")
        dated = values if kind == "m" else pd.to_datetime(values, utc=True)
        return np.asarray(dated.dt.as_unit("us").astype("int64"), dtype=np.int64)
    if kind not in "iuf":
        raise BadSpan(f"{values.name} has type {values.dtype}, which is no time. Pass numbers, dates, or texts in ISO 8601.")
    warn_of_unit(values, step_us, stacklevel=5)  # the caller of spans_from_events
    return scaled(values, step_us)


def parsed_numbers(values: pd.Series) -> pd.Series | None:
    """Texts of numbers as numbers; None if one is another text, or no text."""
    if not len(values) or not isinstance(values[0], str) or ISO_DATE.match(values[0]):
        return None
    if values.dtype != "str" and not all(isinstance(value, str) for value in values):
        return None
    numbers = pd.to_numeric(values, errors="coerce")
    return None if numbers.isna().any() else numbers


def dates_of(values: pd.Series) -> pd.Series:
    """Dates and texts in ISO 8601 as dates in UTC; `BadSpan` if one is neither, or only some have a zone."""
    if values.dtype != "str":
        is_date = values.map(may_be_date)
        if not is_date.all():
            wrong = values[~is_date].iloc[0]
            raise BadSpan(f"{values.name} contains {quoted(wrong)} in row {first_row(~is_date)}, which is no time.")
    texts = values if values.dtype == "str" else values.map(iso_text).astype("str")
    has_zone = texts.str.contains(ZONE_AT_END)
    if has_zone.any() and not has_zone.all():
        with_zone, without = first_row(has_zone), first_row(~has_zone)
        raise BadSpan(
            f"{values.name} has a time zone in row {with_zone}, {quoted(texts[with_zone])}, but none in row {without}, "
            f"{quoted(texts[without])}. Give every time its zone."
        )
    dates = pd.to_datetime(texts, utc=True, format="ISO8601", errors="coerce")
    if dates.isna().any():
        row = first_row(dates.isna())
        raise BadSpan(f"{values.name} contains {quoted(values[row])} in row {row}, which is no time.")
    return dates


def may_be_date(value: object) -> bool:
    """Whether a value is a date, or a text that may be one."""
    return value.isascii() if isinstance(value, str) else isinstance(value, date | np.datetime64)


def iso_text(value: str | date) -> str:
    """A text, or a date in ISO 8601."""
    return value if isinstance(value, str) else str(pd.Timestamp(value).isoformat())


def scaled(numbers: pd.Series, step_us: int) -> Int64Array:
    """Numbers times ``step_us``, rounded to whole µs; `BadSpan` if fractions have no unit, or a time is too large."""
    if getattr(numbers.dtype, "kind", "O") == "f":
        values = numbers.to_numpy(dtype=np.float64)
        wrong = ~np.isfinite(values) | ((values != np.rint(values)) & (step_us == 1))
        if wrong.any():
            value = values[wrong][0]
            raise BadSpan(
                f"{numbers.name} contains {value}, which is no whole number of µs. If the times are seconds: step_us=1_000_000."
            )
        products = np.rint(values * step_us)
        if len(products) and np.abs(products).max() >= 2.0**63:
            refuse_large(values[np.abs(products).argmax()], step_us)
        whole: Int64Array = products.astype(np.int64)
        return whole
    for outermost in (numbers.min(), numbers.max()) if len(numbers) else ():
        if not -(2**63) <= int(outermost) * step_us < 2**63:
            refuse_large(outermost, step_us)
    return np.asarray(numbers, dtype=np.int64) * step_us


def warn_of_unit(numbers: pd.Series, step_us: int, stacklevel: int) -> None:
    """Warn of numbers that would all be dates between `FIRST_YEAR` and `LAST_YEAR` in another unit than µs."""
    if step_us != 1 or not len(numbers):
        return
    lowest, highest = float(numbers.min()), float(numbers.max())
    for unit, advice in UNITS_IN_US.items():
        per_year = SECONDS_PER_YEAR * PER_SECOND[unit]
        if (FIRST_YEAR - 1970) * per_year <= lowest and highest < (LAST_YEAR - 1970) * per_year:
            year = 1970 + int(lowest / per_year)
            warnings.warn(
                f"{numbers.name} contains {numbers.min()}, read as µs or steps; in {unit} it is the year {year}: {advice}.",
                stacklevel=stacklevel,
            )


def refuse_large(step: object, step_us: int) -> None:
    """Raise `BadSpan` for a step outside the range of int64 microseconds."""
    raise BadSpan(f"Step {step} times step_us={step_us} does not fit into a 64-bit integer.")


def first_row(mask: pd.Series) -> int:
    """Position of the first row where the mask is true."""
    return int(mask.to_numpy(dtype=bool).argmax())
