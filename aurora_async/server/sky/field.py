"""The Earth's magnetic field at a date: IGRF inside, Tsyganenko 89c outside, and the GSM frame that joins them.

Vectors are `(3, n)` float64 arrays, one column a point, in Earth radii of 6371.2 km and nanotesla. The main field
works in Earth-fixed geocentric (GEO) coordinates, the external one in geocentric solar magnetospheric (GSM) ones.
"""

from __future__ import annotations

import datetime as dt
import math

import attrs
import numpy as np
from numpy.typing import NDArray

from aurora_async.server.data import gauss_coefficients, t89c_parameters
from aurora_async.server.sky.sun import sun_direction

__all__ = [
    "EARTH_RADIUS_KM",
    "ExternalField",
    "GsmFrame",
    "MainField",
    "Vectors",
    "decimal_year",
    "gsm_frame",
    "main_field",
]

EARTH_RADIUS_KM = 6371.2

Vectors = NDArray[np.float64]

# Room beside the harmonics for one degree's worth of intermediate products.
_SPARE_ROWS = 32


def decimal_year(day: dt.date) -> float:
    """Return noon of a day as a year with fraction."""
    start, end = dt.date(day.year, 1, 1), dt.date(day.year + 1, 1, 1)
    return day.year + ((day - start).days + 0.5) / (end - start).days


class MainField:
    """The internal field of one date: a Schmidt semi-normalised spherical harmonic series, summed in Cartesian form.

    Every solid harmonic is built from its two predecessors (Cunningham 1970), and the gradient of one degree is a
    combination of harmonics of the next, so the whole field is one matrix product and has no singular pole.
    The harmonics are kept monic (leading coefficient 1): a degree then costs two products and a difference.

    Compared with ppigrf 2.1.0 (IGRF-14) at 2,000 random points from 1 to 10 Earth radii: 1e-10 nT at most.
    """

    def __init__(self, year: float) -> None:
        table = gauss_coefficients()
        if not table.epochs[0] <= year <= table.epochs[-1]:
            msg = f"IGRF covers {table.epochs[0]:.0f} to {table.epochs[-1]:.0f}, not {year:.2f}"
            raise ValueError(msg)
        self.year = year
        later = int(np.clip(np.searchsorted(table.epochs, year, side="right"), 1, len(table.epochs) - 1))
        share = (year - table.epochs[later - 1]) / (table.epochs[later] - table.epochs[later - 1])
        g = (1.0 - share) * table.g[later - 1] + share * table.g[later]
        h = (1.0 - share) * table.h[later - 1] + share * table.h[later]
        self._degree: int = g.shape[0] - 1
        self._weights = _gradient_weights(g, h)
        self._recursion = [_recursion_factors(n) for n in range(self._degree + 2)]
        axis = -np.array([g[1, 1], h[1, 1], g[1, 0]])
        #: Unit vector (GEO) to the northern geomagnetic pole, the axis of the centred dipole.
        self.dipole_axis: NDArray[np.float64] = axis / np.linalg.norm(axis)

    def degree_for(self, radius: float) -> int:
        """Return a degree that leaves out less than 0.1 nT at a distance in Earth radii (measured, 1.1 to 25 radii).

        At the ground the terms of degree n stay below 30,000 * 0.45**(n - 1) nT and fall off as radius**-(n + 2).
        """
        for degree in range(1, self._degree):
            if 30000.0 * 0.45**degree * radius ** -(degree + 3) < 1e-2:
                return degree
        return self._degree

    def scratch(self, n_points: int) -> NDArray[np.float64]:
        """Return room for the harmonics of `n_points` points, for a caller that comes back often."""
        return np.empty(((self._degree + 2) ** 2 + _SPARE_ROWS, n_points))

    def __call__(
        self, position: Vectors, *, degree: int | None = None, scratch: NDArray[np.float64] | None = None
    ) -> Vectors:
        """Return the field at Earth-fixed positions; `degree` shortens the series."""
        top = (degree or self._degree) + 1
        n_points = position.shape[1]
        if scratch is None:
            scratch = self.scratch(n_points)
        # The beginning of it, as one piece: rows of a wider array would share their places in the processor's caches.
        scratch = scratch.ravel()[: len(scratch) * n_points].reshape(len(scratch), n_points)
        rows, spare = scratch[:-_SPARE_ROWS], scratch[-_SPARE_ROWS:]
        inverse = 1.0 / np.sqrt(np.einsum("in,in->n", position, position))
        x, y, z = position * inverse
        # Degree n takes rows n*n .. n*n + 2n: sine parts of order n .. 1, the zonal one, cosine parts of order 1 .. n.
        # They are those of the unit sphere; the powers of the radius follow in the sum below.
        rows[0] = 1.0
        for n in range(1, top + 1):
            start, before = n * n, (n - 1) ** 2
            np.multiply(rows[before:start], z, out=rows[start + 1 : start + 2 * n])
            if n > 1:
                # Order n - 1 has no predecessor two degrees down.
                earlier = np.multiply(rows[(n - 2) ** 2 : before], self._recursion[n], out=spare[: 2 * n - 3])
                rows[start + 2 : start + 2 * n - 1] -= earlier
                sine, cosine = rows[before], rows[start - 1]
                np.add(x * sine, y * cosine, out=rows[start])
                np.subtract(x * cosine, y * sine, out=rows[start + 2 * n])
            else:
                rows[1], rows[3] = y, x
        field = self._weights[:, top * top : (top + 1) ** 2] @ rows[top * top : (top + 1) ** 2]
        for n in range(top - 1, 1, -1):
            field *= inverse
            field += self._weights[:, n * n : (n + 1) ** 2] @ rows[n * n : (n + 1) ** 2]
        field *= inverse * inverse * inverse
        return np.asarray(field)


def _recursion_factors(n: int) -> NDArray[np.float64]:
    """Column of ((n-1)^2 - m^2) / ((2n-1)(2n-3)) for orders -(n-2) .. n-2 of degree n."""
    m = np.arange(-(n - 2), n - 1)
    return np.asarray((((n - 1) ** 2 - m**2) / ((2 * n - 1) * (2 * n - 3)))[:, None], dtype=np.float64)


def _leading(n: int, m: int) -> float:
    """Factor between the classical solid harmonic of degree n, order m and its monic form: (2n-1)!! / (n-m)!."""
    return math.prod(range(1, 2 * n, 2)) / math.factorial(n - m)


def _gradient_weights(g: NDArray[np.float64], h: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return `(3, n_rows)` weights so that weights @ harmonics = minus the gradient of the potential.

    The derivatives of a solid harmonic of degree n, order m are those of degree n + 1, orders m - 1, m, m + 1
    (Cunningham 1970; Montenbruck and Gill 2000, section 3.2.5, for the Earth's gravity).
    """
    degree = g.shape[0] - 1
    weights = np.zeros((3, (degree + 2) ** 2))

    def add(axis: int, n: int, m: int, of_cosine: float, of_sine: float) -> None:
        centre = n * n + n
        weights[axis, centre + m] += of_cosine * _leading(n, m)
        if m:
            weights[axis, centre - m] += of_sine * _leading(n, m)

    for n in range(1, degree + 1):
        for m in range(n + 1):
            schmidt = math.sqrt((2.0 if m else 1.0) * math.factorial(n - m) / math.factorial(n + m))
            c, s = g[n, m] * schmidt, h[n, m] * schmidt
            add(2, n + 1, m, (n - m + 1) * c, (n - m + 1) * s)
            if m == 0:
                add(0, n + 1, 1, c, 0.0)
                add(1, n + 1, 1, 0.0, c)
                continue
            raised = 0.5 * (n - m + 2) * (n - m + 1)
            add(0, n + 1, m + 1, 0.5 * c, 0.5 * s)
            add(0, n + 1, m - 1, -raised * c, -raised * s)
            add(1, n + 1, m + 1, -0.5 * s, 0.5 * c)
            add(1, n + 1, m - 1, -raised * s, raised * c)
    return weights


def main_field(day: dt.date) -> MainField:
    """Return IGRF-14 at noon of a day."""
    return MainField(decimal_year(day))


@attrs.frozen(eq=False)
class GsmFrame:
    """The GSM frame at `n` instants: x to the Sun, the dipole axis in the x-z plane.

    `rotation` is `(3, 3, n)` float64 with the GSM unit vectors in GEO as rows, `tilt` `(n,)` the dipole tilt in
    radians, positive when the northern pole leans to the Sun.

    Compared with geopack 1.0.13 (`recalc`, `geogsm`) at 500 instants of 2008 to 2024: 0.002 degrees at most.
    """

    rotation: NDArray[np.float64]
    tilt: NDArray[np.float64]

    def to_gsm(self, vectors: Vectors) -> Vectors:
        """Turn GEO vectors into GSM."""
        return np.asarray(np.einsum("ijn,jn->in", self.rotation, vectors))

    def to_geo(self, vectors: Vectors) -> Vectors:
        """Turn GSM vectors into GEO."""
        return np.asarray(np.einsum("jin,jn->in", self.rotation, vectors))

    def take(self, which: NDArray[np.bool_] | NDArray[np.intp]) -> GsmFrame:
        """Return the frame of some of the instants."""
        return GsmFrame(self.rotation[:, :, which], self.tilt[which])


def gsm_frame(field: MainField, jd: NDArray[np.float64]) -> GsmFrame:
    """Return the GSM frame at Julian dates (UTC), after Hapgood (1992)."""
    sun = sun_direction(jd)
    axis = field.dipole_axis[:, None]
    dawn_to_dusk = np.cross(axis, sun, axis=0)
    dawn_to_dusk /= np.linalg.norm(dawn_to_dusk, axis=0)
    rotation = np.stack((sun, dawn_to_dusk, np.cross(sun, dawn_to_dusk, axis=0)))
    return GsmFrame(rotation, np.arcsin(np.sum(axis * sun, axis=0)))


class ExternalField:
    """Tsyganenko's 1989 model of the field from outside the Earth, revision c.

    N. A. Tsyganenko, A magnetospheric magnetic field model with a warped tail current sheet, Planet. Space Sci. 37,
    5-20, 1989: ring current, warped tail sheet with two radial profiles, its closure currents, and the magnetopause
    together with the average Birkeland currents. Parameter numbers in the code are those of the published table.
    Its parameter 27 is zero at every level, so the flaring of the tail it scales is left out.

    Compared with geopack 1.0.13 (`t89.t89`) at 3,000 points within 60 Earth radii, tilts of -34 to 34 degrees and all
    seven levels: 3e-13 nT at most.
    """

    def __init__(self, iopt: int = 4) -> None:
        self._a = (math.nan, *t89c_parameters(iopt))  # 1-based, as in the paper

    def __call__(self, position: Vectors, tilt: NDArray[np.float64]) -> Vectors:
        """Return the external field (GSM) at positions (GSM) for dipole tilts in radians."""
        sin_tilt = np.sin(tilt)
        cos_tilt = np.cos(tilt)
        field = self._sheets(position, sin_tilt, cos_tilt)
        self._add_closure(field, position, sin_tilt)
        self._add_magnetopause(field, position, sin_tilt, cos_tilt)
        return field

    def _sheets(self, position: Vectors, sin_tilt: NDArray[np.float64], cos_tilt: NDArray[np.float64]) -> Vectors:
        """Ring and tail current: both are thick discs about the warped surface z = height, in solar magnetic (SM) axes.

        For a disc of half thickness d(x, y), with zeta = z - height, t = sqrt(zeta^2 + d^2), b = a + t and
        s = sqrt(x^2 + y^2 + b^2), the field of the vector potential is
        (x, y) * zeta / t * w * k in the plane and, along z,
        w * l + (x w_x + y w_y) * m + w / t * (zeta (x height_x + y height_y) - d (x d_x + y d_y)) * k,
        with a radial profile (k, l, m) and an edge factor w(x, y).
        """
        a = self._a
        x_gsm, y, z_gsm = position
        x = x_gsm * cos_tilt - z_gsm * sin_tilt
        z = x_gsm * sin_tilt + z_gsm * cos_tilt
        y_squared = y * y
        rho_squared = x * x + y_squared

        # The neutral sheet: hinged at x = -a22, sagging towards the flanks.
        beyond = x + a[22]
        root = np.sqrt(beyond * beyond + 16.0)
        hinge = 0.5 * (sin_tilt / cos_tilt) * (beyond - root)
        y_fourth = y_squared * y_squared
        flank = 1.0 / (y_fourth + 1.0e4)
        zeta = z - hinge + a[23] * sin_tilt * y_fourth * flank
        # x height_x + y height_y
        slope = -hinge / root * x - (4.0e4 * a[23]) * sin_tilt * y_fourth * flank * flank

        # Ring current.
        inner = x * x + 25.0
        inner_root = np.sqrt(inner)
        thickness = a[20] + 0.5 * a[21] * (1.0 + x / inner_root)
        t = np.sqrt(zeta * zeta + thickness * thickness)
        b = a[19] + t
        b_squared = b * b
        s_squared = b_squared + rho_squared
        ring = a[5] / (s_squared * s_squared * np.sqrt(s_squared))
        pull = 3.0 * b * ring / t
        planar = pull * zeta
        along = ring * (2.0 * b_squared - rho_squared) + pull * (
            zeta * slope - thickness * (12.5 * a[21]) * x / (inner * inner_root)
        )

        # Tail sheet: its thickness grows sunward and towards the flanks, its strength ends at the inner edge.
        inward = 1.0 / (x * x + 40.0)
        inward_root = np.sqrt(inward)
        thickness = a[20] + a[26] * y_squared + (0.5 * a[29]) * (1.0 + x * inward_root)
        spread = (2.0 * a[26]) * y_squared + (20.0 * a[29]) * x * inward * inward_root  # x d_x + y d_y
        t = np.sqrt(zeta * zeta + thickness * thickness)
        edge = x - a[28]
        edge_inverse = 1.0 / (edge * edge + 170.0)
        edge_root = np.sqrt(edge_inverse)
        narrow = 1.0 / (1.0 + y_squared / (a[25] * a[25]))
        w = 0.5 * (1.0 - edge * edge_root) * narrow
        # x w_x + y w_y
        w_slope = -85.0 * x * edge_inverse * edge_root * narrow - (2.0 / (a[25] * a[25])) * w * narrow * y_squared
        b = a[24] + t
        s = np.sqrt(b * b + rho_squared)
        over_s = 1.0 / s
        over_sum = 1.0 / (s + b)
        tilt_squared = np.arcsin(sin_tilt) ** 2
        first = a[1] + a[16] * tilt_squared
        second = a[2] + a[17] * tilt_squared
        k1 = over_s * over_sum
        k2 = over_s * over_s * over_s
        k = (first * k1 + second * k2) * w / t
        planar += k * zeta
        along += (
            w * (first * over_s + second * b * k2)
            + w_slope * (first * over_sum + second * k1)
            + k * (zeta * slope - thickness * spread)
        )
        radial = planar * x
        return np.stack((radial * cos_tilt + along * sin_tilt, planar * y, along * cos_tilt - radial * sin_tilt))

    def _add_closure(self, field: Vectors, position: Vectors, sin_tilt: NDArray[np.float64]) -> None:
        """Closure currents: sheets at z = 30 and z = -30 that carry the tail current back."""
        a = self._a
        x, y, z = position
        edge = x - 4.0
        edge_inverse = 1.0 / (edge * edge + 50.0)
        edge_root = np.sqrt(edge_inverse)
        narrow = 1.0 / (1.0 + y * y / (a[30] * a[30]))
        w = 0.5 * (1.0 - edge * edge_root) * narrow
        w_slope = -25.0 * x * edge_inverse * edge_root * narrow - (2.0 / (a[30] * a[30])) * w * narrow * y * y
        rho_squared = x * x + y * y
        for side, amplitude in ((1.0, a[3] + a[4] * sin_tilt), (-1.0, a[3] - a[4] * sin_tilt)):
            height = 30.0 + side * z
            s = np.sqrt(height * height + rho_squared)
            over_sum = amplitude / (s + height)
            strength = w / s
            planar = side * strength * over_sum
            field[0] += planar * x
            field[1] += planar * y
            field[2] += amplitude * strength + w_slope * over_sum

    def _add_magnetopause(
        self, field: Vectors, position: Vectors, sin_tilt: NDArray[np.float64], cos_tilt: NDArray[np.float64]
    ) -> None:
        """Magnetopause and Birkeland currents: exp(x / a18) times polynomials, the z ones fixed by div B = 0."""
        a = self._a
        x, y, z = position
        yy, zz = y * y, z * z
        # Far up-Sun, where the model means nothing, the exponential would overflow.
        growth = np.exp(np.minimum(x / a[18], 20.0))
        even, odd = growth * cos_tilt, growth * sin_tilt
        field[0] += even * (a[6] * z) + odd * (a[7] + a[8] * yy + a[9] * zz)
        field[1] += y * (even * (a[10] * z) + odd * (a[11] + a[12] * yy + a[13] * zz))
        field[2] += even * (a[14] + a[15] * yy - 0.5 * (a[6] / a[18] + a[10]) * zz) - odd * z * (
            a[7] / a[18] + a[11] + (a[8] / a[18] + 3.0 * a[12]) * yy + (a[9] / a[18] + a[13]) / 3.0 * zz
        )
