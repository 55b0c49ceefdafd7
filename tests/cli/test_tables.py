"""`--format csv` and `--format parquet`: tables from the command line."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pandas as pd
import pytest

if TYPE_CHECKING:
    from conftest import Here, Shell

PRODUCTS = {
    "start": "2020-01-01T00:00:00",
    "end": "2020-01-01T23:59:59",
    "data_sources": {"programs": ["trex"], "platforms": ["fort smith"], "instrument_types": ["RGB ASI"]},
    "data_product_type_filters": [],
}


@pytest.mark.parametrize(("format", "read"), [("csv", pd.read_csv), ("parquet", pd.read_parquet)])
def test_a_table_can_be_a_file_or_go_to_stdout(
    shell: Shell, here: Here, local_url: str, format: str, read: type[pd.DataFrame]
) -> None:
    """Named after the request and the form, or piped into the next command."""
    query = shell.write("q.json", PRODUCTS)
    search = ("data-products", "search", query, "--base-url", local_url, "--format", format)
    ran = here(*search)
    assert ran.code == 0
    name = ran.stdout.decode().strip()
    assert name.endswith(f"_data.{format}")
    assert len(read(shell.folder / name)) == 66
    assert len(read(io.BytesIO(shell.run(*search, "--out", "-").stdout))) == 66
