"""Tables as drms gives them: pandas, which is imported when the first is made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from aurora_async.errors import MissingExtra

if TYPE_CHECKING:
    import pandas

__all__ = ["frame", "import_pandas", "named_frame", "numbers"]


def import_pandas() -> Any:
    """Return pandas, as `Any`: whether its types are known depends on what else is installed."""
    try:
        import pandas
    except ImportError as error:
        raise MissingExtra("pandas", "pandas") from error
    return pandas


def frame(columns: Mapping[str, Any], *, index: Any = None) -> pandas.DataFrame:
    """Return a table, with numbered rows or rows by name."""
    pd = import_pandas()
    # Without a row there is nothing to tell a type by.
    made: pandas.DataFrame = pd.DataFrame(dict(columns), dtype=None if any(map(len, columns.values())) else object)
    if index is not None:
        made.index = pd.Index(index)
    return made


def named_frame(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> pandas.DataFrame:
    """Return a table of what has a `name`, by which its rows are found; what a row leaves out is None."""
    pd = import_pandas()
    given = list(rows)
    index = pd.Index([row["name"] for row in given], name="name", dtype=None if given else object)
    made: pandas.DataFrame = pd.DataFrame(
        {column: pd.Series([row.get(column) for row in given], index=index, dtype=None if given else object)
         for column in columns}, columns=list(columns), index=index,
    )  # fmt: skip
    return made


def numbers(texts: Sequence[Any], *, whole: bool) -> Any:
    """Return a column of numbers, NaN where there is none; `whole` ones may be hexadecimal."""
    pd = import_pandas()
    read = [_read_hexadecimal(text) for text in texts] if whole else texts
    return pd.to_numeric(pd.Series(read), errors="coerce")


def _read_hexadecimal(text: Any) -> Any:
    if isinstance(text, str) and text[:2].lower() == "0x":
        try:
            return int(text, 16)
        except ValueError:
            return None
    return text
