"""The small real data set behind the local services, read lazily."""

from aurora_async.server.data._loaders import (
    ElementSet,
    GaussCoefficients,
    Station,
    data_sources,
    element_sets,
    gauss_coefficients,
    metadata_schemas,
    source_texts,
    station_of_identifier,
    t89c_parameters,
)

__all__ = [
    "ElementSet",
    "GaussCoefficients",
    "Station",
    "data_sources",
    "element_sets",
    "gauss_coefficients",
    "metadata_schemas",
    "source_texts",
    "station_of_identifier",
    "t89c_parameters",
]
