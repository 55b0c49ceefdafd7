"""What an export makes of its records: the form of the files, and the steps an image goes through before.

The service ignores arguments it does not know, and may leave an image as it is without a word. So all of them are
checked here: their names, their types, and the words that some of them choose from.

Source: the service's export pages and its processing modules; color tables as in the series `jsoc.Color_Tables`.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from numbers import Integral, Real
from typing import Any

import attrs

from aurora_async.errors import InvalidInput, InvalidQuery
from aurora_async.jsoc.recordset import Duration
from aurora_async.jsoc.times import TaiTime

__all__ = ["COLOR_TABLES", "PROTOCOLS", "SCALINGS", "STEPS", "Protocol", "Step", "refuse_unsafe", "steps_of"]

PROTOCOLS = ("as-is", "fits", "jpg", "mpg", "mp4", "png")
COLOR_TABLES = (
    "HMI_mag.lut", "aia_131.lut", "aia_1600.lut", "aia_1700.lut", "aia_171.lut", "aia_193.lut", "aia_211.lut",
    "aia_304.lut", "aia_335.lut", "aia_4500.lut", "aia_94.lut", "aia_mixed", "bb.sao", "grey.sao", "heat.sao",
)  # fmt: skip
SCALINGS = ("LOG", "MINMAX", "MINMAXGIVEN", "SQRT", "mag")

_COMPRESSIONS = {"": "", "compress rice": ",compress Rice", "**none**": ",**NONE**"}
_IMAGES = frozenset({"jpg", "mpg", "mp4", "png"})

Printer = Callable[[str, Any], str]


def refuse_unsafe(field: str, text: str) -> str:
    """Return a text, or refuse what the service takes for an attack on its database in any parameter."""
    if ";" in text or text.count("'") % 2:
        raise InvalidQuery(field, f"{text!r} holds a semicolon or an open quote, which the service refuses anywhere")
    return text


# Arguments: each takes the name and the value, and prints the value as the service reads it ---------------------------


def _number(field: str, value: Any) -> str:
    if isinstance(value, str):
        try:
            return value.strip() if math.isfinite(float(value)) else _number(field, float(value))
        except ValueError:
            raise InvalidQuery(field, f"{value!r} is not a number") from None
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
        raise InvalidQuery(field, f"{value!r} is not a number")
    return str(int(value)) if isinstance(value, Integral) else repr(float(value))


def _above_zero(field: str, value: Any) -> str:
    text = _number(field, value)
    if not float(text) > 0:
        raise InvalidQuery(field, f"{value!r} is not above 0")
    return text


def _whole(field: str, value: Any) -> str:
    number = float(_number(field, value))
    if number % 1:
        raise InvalidQuery(field, f"{value!r} is not a whole number")
    return str(int(number))


def _factor(field: str, value: Any) -> str:
    text = _whole(field, value)
    if int(text) < 1:
        raise InvalidQuery(field, f"{value!r} is not 1 or more")
    return text


def _flag(field: str, value: Any) -> str:
    text = str(int(value)) if isinstance(value, bool | Integral) else value
    if text not in ("0", "1"):
        raise InvalidQuery(field, f"{value!r} is neither True nor False")
    return str(text)


def _time(field: str, value: Any) -> str:
    try:
        when = TaiTime.of(value)
    except InvalidInput as error:
        raise InvalidQuery(field, error.reason) from error
    return _text(field, value.strip()) if isinstance(value, str) else when.text("ISO", 3)


def _text(field: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip() or not {",", "|", "="}.isdisjoint(value):
        raise InvalidQuery(field, f"{value!r} is not a text without commas, bars and equals signs")
    return refuse_unsafe(field, value.strip())


def _duration(field: str, value: Any) -> str:
    try:
        length = Duration.of(value)
    except InvalidInput as error:
        raise InvalidQuery(field, error.reason) from error
    if length.seconds is None:
        raise InvalidQuery(field, f"{value!r} counts slots; give a time, such as 45s")
    return str(length)


def _binning(field: str, value: Any) -> str:
    text = _factor(field, value)
    if text not in ("1", "2", "4", "8"):
        raise InvalidQuery(field, f"{value!r} is none of 1, 2, 4, 8: so many times smaller the image gets")
    return text


def _one_of(*words: str) -> Printer:
    canonical = {word.lower(): word for word in words}

    def chosen(field: str, value: Any) -> str:
        word = canonical.get(value.lower()) if isinstance(value, str) else None
        if word is None:
            raise InvalidQuery(field, f"{value!r} is none of {', '.join(words)}")
        return word

    return chosen


PROJECTIONS = (
    "carree", "Cassini", "Mercator", "cyleqa", "sineqa", "gnomonic", "Postel", "stereographic", "orthographic",
    "Lambert",
)  # fmt: skip
"""The map projections of `Maproj`, as the service's documentation of that program names them."""

_AIA_SCALE: Mapping[str, Printer] = {
    "mpt": _text, "xc": _number, "yc": _number, "wide": _above_zero, "high": _above_zero
}  # fmt: skip
STEPS: Mapping[str, Mapping[str, Printer]] = {
    "im_patch": {
        "t_start": _time, "t_stop": _time, "t": _flag, "r": _flag, "c": _flag, "cadence": _duration,
        "locunits": _one_of("arcsec", "pixels", "stony", "carrlong"),
        "boxunits": _one_of("arcsec", "pixels", "degrees"),
        "t_ref": _time, "car_rot": _whole, "x": _number, "y": _number, "width": _above_zero, "height": _above_zero,
    },
    "resize": {
        "regrid": _flag, "do_stretchmarks": _flag, "center_to": _flag, "rescale": _flag, "scale_to": _above_zero,
        "c": _flag,
    },
    "rebin": {
        "A": _flag, "c": _flag, "u": _flag, "scale": _above_zero, "method": _one_of("boxcar", "gaussian"),
        "FWHM": _above_zero, "nvector": _number,
    },
    "aia_scale_orig": _AIA_SCALE, "aia_scale_aialev1": _AIA_SCALE, "aia_scale_other": _AIA_SCALE,
    "HmiB2ptr": {"l": _flag, "ambweak": _whole},
    "Maproj": {
        "map": _one_of(*PROJECTIONS), "grid": _text, "clon": _number, "clat": _number, "scale": _above_zero,
        "cols": _factor, "rows": _factor, "A": _flag,
    },
}  # fmt: skip
"""The arguments of each step, and what prints them."""

_OTHER_NAMES = {"to_ptr": "HmiB2ptr", "map_proj": "Maproj", "map_project": "Maproj"}
_STEP_NAMES = {name.lower(): name for name in STEPS} | _OTHER_NAMES | {"no_op": "no_op"}
_NEEDED = {"im_patch": ("x", "y", "width", "height")}


@attrs.frozen
class Step:
    """One processing step, its arguments printed as the service reads them, in the order they were given."""

    name: str
    arguments: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, name: str, arguments: Mapping[str, Any]) -> Step:
        """Check the arguments of a step.

        Raises:
            InvalidQuery: There is no such step or argument, one that is needed is missing, or a value is wrong.
        """
        known = _STEP_NAMES.get(name.lower()) if isinstance(name, str) else None
        if known is None:
            raise InvalidQuery("process", f"{name!r} is no step; there are {', '.join([*STEPS, *_OTHER_NAMES])}")
        field = f"process.{known}"
        if not isinstance(arguments, Mapping):
            raise InvalidQuery(field, f"{arguments!r} is not a mapping of arguments to values")
        printers = STEPS.get(known, {})
        for argument in arguments:
            if argument not in printers:
                raise InvalidQuery(f"{field}.{argument}", f"is unknown{_instead(argument, printers)}")
        for argument in _NEEDED.get(known, ()):
            if argument not in arguments:
                raise InvalidQuery(f"{field}.{argument}", "is missing")
        if arguments.get("locunits") == "carrlong" and "car_rot" not in arguments:
            raise InvalidQuery(f"{field}.car_rot", "is missing: a Carrington longitude needs its rotation")
        return cls(known, tuple((one, printers[one](f"{field}.{one}", value)) for one, value in arguments.items()))

    def __str__(self) -> str:
        return ",".join([self.name, *(f"{name}={value}" for name, value in self.arguments)])


def steps_of(process: Mapping[str, Mapping[str, Any]] | Iterable[Step] | None) -> tuple[Step, ...]:
    """Return the steps that a mapping of names to arguments means, checked; what is given stays as it is."""
    if process is None:
        return ()
    if isinstance(process, Mapping):
        steps: Sequence[Step] = [Step.of(name, arguments) for name, arguments in process.items()]
    else:
        steps = list(process)
        if not all(isinstance(step, Step) for step in steps):
            raise InvalidQuery("process", f"{process!r} is not a mapping of steps to their arguments")
    for number, step in enumerate(steps):
        if any(other.name == step.name for other in steps[:number]):
            raise InvalidQuery("process", f"{step.name} is there twice")
    return tuple(step for step in steps if step.name != "no_op")


def _instead(name: object, known: Iterable[str]) -> str:
    names = list(known)
    if not names:
        return "; the step takes no arguments"
    near = difflib.get_close_matches(str(name), names, 1)
    return f"; did you mean {near[0]}?" if near else f"; there are {', '.join(names)}"


# The form of the files ------------------------------------------------------------------------------------------------

_DEFAULTS = {"CT": "grey.sao", "scaling": "MINMAX", "size": "1"}
_OPTIONS: Mapping[str, Printer] = {
    "CT": _one_of(*COLOR_TABLES),
    "scaling": _one_of(*SCALINGS),
    "size": _binning,
    "min": lambda field, value: f"{float(_number(field, value)):g}",
    "max": lambda field, value: f"{float(_number(field, value)):g}",
}


@attrs.frozen
class Protocol:
    """A form of files: `name` is one of `PROTOCOLS`; `str` prints it with its options."""

    name: str
    options: str = ""

    @classmethod
    def of(cls, protocol: str | Protocol, arguments: Mapping[str, Any] | None = None) -> Protocol:
        """Return the form that a text means, with the options of images: `ct`, `scaling`, `size`, `min`, `max`.

        The text may hold the options itself, as the service's pages write them: `jpg,CT=grey.sao,size=2`, and for FITS
        files the compression: `fits,compress Rice`, or `fits,**NONE**` for none.

        Raises:
            InvalidQuery: There is no such form or option, or a value is wrong.
        """
        if arguments is not None and not isinstance(arguments, Mapping):
            raise InvalidQuery("protocol_args", f"{arguments!r} is not a mapping of options to values")
        if isinstance(protocol, Protocol):
            if arguments:
                raise InvalidQuery("protocol_args", "the protocol has its options already")
            return protocol
        name, _, rest = protocol.partition(",") if isinstance(protocol, str) else (str(protocol), "", "")
        name = name.strip().lower()
        if name in _IMAGES:
            return cls(name, _image_options(_options_in(rest) | dict(arguments or {})))
        options = _COMPRESSIONS.get(rest.strip().lower())
        if name not in PROTOCOLS or options is None or (options and name != "fits"):
            raise InvalidQuery("protocol", f"{protocol!r} is none of {', '.join(PROTOCOLS)}")
        if arguments:
            raise InvalidQuery("protocol_args", f"{name} files have none; {', '.join(sorted(_IMAGES))} have")
        return cls(name, options)

    @property
    def is_movie(self) -> bool:
        """Whether the records become one movie."""
        return self.name in ("mpg", "mp4")

    def __str__(self) -> str:
        return f"{self.name}{self.options}"


def _options_in(text: str) -> dict[str, Any]:
    pairs = (part.partition("=") for part in text.split(",") if part.strip())
    return {name.strip(): value.strip() for name, _, value in pairs}


def _image_options(arguments: Mapping[str, Any]) -> str:
    canonical = {name.lower(): name for name in _OPTIONS}
    options = dict(_DEFAULTS)
    for given, value in arguments.items():
        name = canonical.get(str(given).lower())
        if name is None:
            raise InvalidQuery(f"protocol_args.{given}", f"is unknown{_instead(given, _OPTIONS)}")
        if value is not None:
            options[name] = _OPTIONS[name](f"protocol_args.{given}", value)
    if "min" in options and "max" in options and float(options["min"]) >= float(options["max"]):
        raise InvalidQuery("protocol_args.min", f"{options['min']} is not below max, {options['max']}")
    return "".join(f",{name}={value}" for name, value in options.items())
