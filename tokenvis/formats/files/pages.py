"""Pages: whether the answers of an API that were given are all of a query, or only some of its pages.

An answer says it beside its records: with the number of its page and of all pages, or with a cursor or token of the next page.
Pages that are read together are judged together. A list without such an envelope says nothing; if it has exactly as many
records as a client returns by default, more may exist.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tokenvis.errors import plural, quoted
from tokenvis.formats.files.documents import document_envelopes
from tokenvis.formats.files.reading import Reading, ResultPage

NEXT_KEYS = ("next_cursor", "nextCursor", "next_page_token", "nextPageToken", "next", "cursor")
MORE_KEYS = ("has_more", "hasMore")
GROUP_KEYS = ("meta", "pagination", "cursors", "links")  # of objects that contain the others
NUMBER_KEYS = ("page", "totalPages", "totalItems", "limit")
ENVELOPE_KEYS = (*NEXT_KEYS, *MORE_KEYS, *GROUP_KEYS, *NUMBER_KEYS)


def note_pages(reading: Reading, prefix: str = "", first_id: str | None = None) -> None:
    """Note what the objects around the records of a document, or around those under a path, say about pages."""
    envelopes = document_envelopes(reading, prefix, ENVELOPE_KEYS)
    reading.pages += [page for envelope in envelopes if (page := page_of(envelope, first_id))]


def page_of(envelope: Mapping[str, Any], first_id: str | None = None) -> ResultPage | None:
    """What an envelope says; None if it says nothing about pages."""
    said = dict(envelope)
    for key in GROUP_KEYS:
        if isinstance(nested := envelope.get(key), dict):
            said |= nested
    number, n_pages, n_items, limit = (value if type(value := said.get(key)) is int else None for key in NUMBER_KEYS)
    following = next((said[key] for key in NEXT_KEYS if said.get(key)), None)
    following = following if following is None or isinstance(following, str | int) else True
    if following is None and any(said.get(key) is True for key in MORE_KEYS):
        following = True
    if number is not None and n_pages is not None:
        return ResultPage(number, n_pages, n_items, limit)
    says_anything = "meta" in said or said.keys() & {*NEXT_KEYS, *MORE_KEYS}
    return ResultPage(following=following, first_id=first_id) if says_anything else None


def missing_pages(readings: Iterable[Reading]) -> Iterator[tuple[Reading, str]]:
    """Each reading, of those of one format, after which pages are missing, or may be, and the reason as a problem."""
    readings = list(readings)
    yield from missing_numbers(readings)
    yield from missing_ends(readings)
    unpaged = [reading for reading in readings if reading.default_limits and not reading.pages]
    if all(reading.n_records in reading.default_limits for reading in unpaged):
        for reading in unpaged:
            limit, client = reading.n_records, reading.default_limits[reading.n_records]
            more = "more may exist. If so, request them with a higher limit, or page by page"
            yield reading, f"has exactly {limit:,} records, the default limit of {client}; {more}"


def missing_numbers(readings: list[Reading]) -> Iterator[tuple[Reading, str]]:
    """The first reading of each query whose pages have numbers and are not all there."""
    queries: dict[tuple[int | None, ...], dict[int, list[Reading]]] = {}
    for reading in readings:
        for page in reading.pages:
            if page.number is not None and page.n_pages is not None:
                pages = queries.setdefault((page.n_pages, page.n_items, page.limit), {})
                pages.setdefault(page.number, []).append(reading)
    for (n_pages, n_items, _), pages in queries.items():
        first = min(1, *pages)  # a few interfaces count from 0
        n_missing = (n_pages or 0) - sum(first <= number < first + (n_pages or 0) for number in pages)
        if n_missing > 0:
            given = ", ".join(str(number) for number in sorted(pages)[:8]) + (", …" if len(pages) > 8 else "")
            distinct = {id(reading): reading for found in pages.values() for reading in found}
            n_records = sum(reading.n_records for reading in distinct.values())
            of_all = f"{n_records:,} of {n_items:,} records" if n_items is not None else f"{n_records:,} records"
            yield (
                next(iter(distinct.values())),
                f"is incomplete: page {given} of {n_pages:,} ({of_all}), {plural(n_missing, 'page')} missing. Request the "
                "rest, and ingest all pages together, in one folder",
            )


def missing_ends(readings: list[Reading]) -> Iterator[tuple[Reading, str]]:
    """The readings with a cursor of a next page that is not there.

    A cursor that is the id of a record names the page that begins with it; of any other cursor only the last page, which has
    none, can be recognised.
    """
    paged = [(reading, page) for reading in readings for page in reading.pages if page.number is None]
    first_ids = {page.first_id for _, page in paged if page.first_id}
    has_end = any(page.following is None for _, page in paged)
    for reading, page in paged:
        found = page.following in first_ids if page.first_id else has_end
        if page.following is not None and not found:
            cursor = "" if page.following is True else f" with the cursor {quoted(page.following)}"
            yield (
                reading,
                f"is incomplete: it says that more records follow{cursor}. Request the next pages until none follows, "
                "and ingest all pages together, in one folder",
            )
