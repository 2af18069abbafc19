"""Lesions of the phantom: drawn once per abnormal patient, put into each of the patient's slices."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from phantom_anatomy import SIZE, Array, Slice, cover, paint, smooth_noise

CLASSES: Final = ("subtle", "moderate", "clear")


@dataclass(frozen=True)
class Kind:
    """What a kind of lesion looks like: how strong and how large it is, and where it can be."""

    strengths: Mapping[str, tuple[float, float]]
    """Gray levels by contrast class; what counts as clear depends on the kind, for small spots vanish more easily."""
    radii: tuple[float, float]
    """Smallest and largest radius in pixels."""
    distances: tuple[float, float]
    """How far from the centre of the head, in head coordinates."""
    push: float
    """How far the tissue around it is displaced, as a part of its radius."""
    draw: Callable[[Place, Lesion], tuple[Array, Array]]
    """Returns the change in gray levels and how much of each pixel the lesion covers."""


@dataclass(frozen=True)
class Lesion:
    """One patient's lesion."""

    kind: str
    contrast_class: str
    strength: float
    radius: float
    angle: float
    distance: float
    stretch: float
    turn: float
    ragged: Array
    spots: Array


@dataclass(frozen=True)
class Place:
    """The surroundings of a lesion in one slice, as seen from its centre."""

    tissue: Slice
    right: Array
    back: Array
    away: Array
    """Distance from the centre in pixels, along the lesion's stretched axes."""


@dataclass(frozen=True)
class Finding:
    """A slice with its lesion."""

    image: Array
    mask: npt.NDArray[np.bool_]
    contrast: float
    """Mean absolute change in gray levels within the mask."""


def bleed(place: Place, lesion: Lesion) -> tuple[Array, Array]:
    """Bright blood with a ragged border, and a thin dark rim around it."""
    inside = lesion.radius * (1.0 + 0.22 * lesion.ragged) - place.away
    blood = cover(inside / 2.0)
    rim = cover((inside + 2.5) / 2.0) - blood
    return lesion.strength * blood - 0.22 * lesion.strength * rim, blood


def infarct(place: Place, lesion: Lesion) -> tuple[Array, Array]:
    """A dark area that reaches the surface, widest there; gray and white matter become alike in it."""
    outward = place.right * np.cos(lesion.angle) + place.back * np.sin(lesion.angle)
    across = place.back * np.cos(lesion.angle) - place.right * np.sin(lesion.angle)
    half_width = lesion.radius * (0.62 + 0.35 * lesion.stretch * outward / lesion.radius)
    inside = np.minimum(half_width - np.abs(across), outward + lesion.radius) + 2.2 * lesion.ragged
    area = cover(inside / 3.0)
    target = place.tissue.white + 0.35 * (place.tissue.image - place.tissue.white) - lesion.strength
    return area * np.minimum(target - place.tissue.image, 0.0), area


def tumour(place: Place, lesion: Lesion) -> tuple[Array, Array]:
    """A dark core in a bright ring of uneven thickness, within dark swollen tissue."""
    inside = lesion.radius * (1.0 + 0.12 * lesion.ragged) - place.away
    thickness = 2.0 + 0.10 * lesion.radius + 0.6 * lesion.ragged
    whole, core = cover(inside / 1.3), cover((inside - thickness) / 1.3)
    swollen = cover((inside + 0.45 * lesion.radius * (1.0 + 0.45 * lesion.ragged)) / 3.0)
    change = lesion.strength * (whole - core) - 0.55 * lesion.strength * core - 0.40 * lesion.strength * (swollen - whole)
    return change, swollen


def calcification(place: Place, lesion: Lesion) -> tuple[Array, Array]:
    """A cluster of very small bright spots."""
    change = np.zeros_like(place.away)
    for right, back, size, weight in lesion.spots:
        away = np.hypot(place.right - right * lesion.radius, place.back - back * lesion.radius)
        change = np.maximum(change, lesion.strength * weight * np.exp(-((away / size) ** 2)))
    return change, np.clip(change / (0.6 * lesion.strength), 0.0, 1.0)


KINDS: Final[Mapping[str, Kind]] = {
    "bleed": Kind({"subtle": (14, 20), "moderate": (33, 45), "clear": (50, 70)}, (4.5, 13.5), (0.26, 0.55), 0.20, bleed),
    "infarct": Kind({"subtle": (11, 16), "moderate": (24, 32), "clear": (34, 46)}, (8.0, 17.0), (0.50, 0.62), 0.0, infarct),
    "tumour": Kind({"subtle": (17, 24), "moderate": (40, 54), "clear": (56, 76)}, (5.0, 13.0), (0.27, 0.50), 0.28, tumour),
    "calcification": Kind(
        {"subtle": (36, 48), "moderate": (76, 96), "clear": (110, 140)}, (2.5, 9.0), (0.15, 0.60), 0.0, calcification
    ),
}


def draw_spots(rng: np.random.Generator) -> Array:
    """Draw the spots of a cluster, each with its place within the unit disc, its size in pixels and its weight."""
    count = int(rng.integers(4, 10))
    angles, distances = rng.uniform(0.0, 2 * np.pi, count), np.sqrt(rng.uniform(0.0, 1.0, count))
    weights = rng.uniform(0.7, 1.0, count)
    weights[0] = 1.0
    return np.stack([distances * np.cos(angles), distances * np.sin(angles), rng.uniform(1.0, 1.9, count), weights], axis=1)


def draw_lesion(kind: str, contrast_class: str, size: float, rng: np.random.Generator) -> Lesion:
    """Draw a lesion of a kind and contrast class; ``size`` from 0 to 1 is how large it is for its kind."""
    look = KINDS[kind]
    return Lesion(
        kind=kind,
        contrast_class=contrast_class,
        strength=rng.uniform(*look.strengths[contrast_class]),
        radius=look.radii[0] + size * (look.radii[1] - look.radii[0]),
        angle=rng.uniform(-1.15, 1.15) + np.pi * float(rng.integers(0, 2)),  # in one hemisphere
        distance=rng.uniform(*look.distances),
        stretch=rng.uniform(0.75, 1.3),
        turn=rng.uniform(0.0, np.pi),
        ragged=np.clip(smooth_noise(rng, 4.0), -1.8, 1.8),
        spots=draw_spots(rng),
    )


def vary(lesion: Lesion, rng: np.random.Generator) -> Lesion:
    """Return the lesion as it appears in one slice: the same place, a little different in extent and strength."""
    return replace(
        lesion,
        strength=lesion.strength * rng.uniform(0.92, 1.08),
        radius=lesion.radius * rng.uniform(0.78, 1.08),
        angle=lesion.angle + rng.normal(0.0, 0.06),
        distance=lesion.distance + rng.normal(0.0, 0.015),
        ragged=np.roll(lesion.ragged, int(rng.integers(0, 4)), axis=0),
    )


def look_around(tissue: Slice, lesion: Lesion) -> Place:
    """Return the slice as seen from the lesion's centre."""
    right = (tissue.x - lesion.distance * np.cos(lesion.angle)) * tissue.radius
    back = (tissue.y - lesion.distance * np.sin(lesion.angle)) * tissue.radius
    cosine, sine = np.cos(lesion.turn), np.sin(lesion.turn)
    away = np.hypot((cosine * right + sine * back) * lesion.stretch, (cosine * back - sine * right) / lesion.stretch)
    return Place(tissue, right, back, away)


def displaced(field: Array, place: Place, lesion: Lesion) -> Array:
    """Return a field pushed away from the lesion; the skull does not yield, and far away nothing moves."""
    distance = np.hypot(place.right, place.back) + 1e-6
    beyond = np.maximum(distance / lesion.radius - 1.0, 0.0)
    push = KINDS[lesion.kind].push * lesion.radius * np.minimum(distance / lesion.radius, 1.0) * np.exp(-0.8 * beyond)
    push = push * np.clip(place.tissue.depth / 8.0, 0.0, 1.0)
    rows, columns = np.mgrid[0:SIZE, 0:SIZE]
    # The head is hardly tilted, so its axes stand for the image's.
    origin = [rows - push * place.back / distance, columns - push * place.right / distance]
    return np.asarray(ndimage.map_coordinates(field, origin, order=1, mode="nearest"), dtype=np.float64)


def squeezed(place: Place, lesion: Lesion) -> Place:
    """Return the surroundings of a mass: pushed away, and without fluid where the mass itself is."""
    image, brain = (displaced(field, place, lesion) for field in (place.tissue.image, place.tissue.brain))
    solid = cover(lesion.radius * (1.0 + 0.12 * lesion.ragged) - place.away) * cover(place.tissue.depth - 2.0)
    image = paint(image, solid * (1.0 - brain), place.tissue.white)
    return replace(place, tissue=replace(place.tissue, image=image, brain=np.maximum(brain, solid)))


def insert(tissue: Slice, lesion: Lesion) -> Finding:
    """Return the slice with the lesion in it: only brain changes, but for the fluid that a mass pushes aside."""
    kind, place = KINDS[lesion.kind], look_around(tissue, lesion)
    if kind.push > 0:
        place = squeezed(place, lesion)
    change, area = kind.draw(place, lesion)
    change = change * place.tissue.brain
    mask = area * place.tissue.brain > 0.5
    contrast = float(np.abs(change[mask]).mean()) if mask.any() else 0.0
    return Finding(place.tissue.image + change, mask, contrast)
