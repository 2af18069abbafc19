"""Healthy anatomy of the phantom: a head is drawn once per patient and rendered at any level between base and top.

Everything here is used alike for normal and abnormal patients, so that a lesion is the only difference between them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Array = npt.NDArray[np.float64]

SIZE: Final = 128
"""Width and height of a slice in pixels."""


@dataclass(frozen=True)
class Tube:
    """A stretch of a fluid space: a tapered rod in head coordinates, thickest at one level and gone at a distance from it."""

    start: tuple[float, float]
    end: tuple[float, float]
    radii: tuple[float, float]
    level: float
    reach: float


@dataclass(frozen=True)
class Nucleus:
    """A deep gray nucleus: centre and half axes in head coordinates, and the level above which it is gone."""

    centre: tuple[float, float]
    axes: tuple[float, float]
    top: float


# Head coordinates: x to the right, y to the back, the skin at radius 1. Each entry stands for a pair, left and right.
VENTRICLES: Final = (
    Tube((0.05, -0.08), (0.09, -0.27), (0.038, 0.062), 0.22, 0.42),  # frontal horn
    Tube((0.09, -0.27), (0.19, -0.40), (0.062, 0.046), 0.22, 0.42),  # its tip
    Tube((0.05, -0.28), (0.14, -0.02), (0.052, 0.067), 0.55, 0.28),  # body, front
    Tube((0.14, -0.02), (0.19, 0.26), (0.067, 0.072), 0.55, 0.28),  # body, back
    Tube((0.19, 0.20), (0.29, 0.36), (0.067, 0.074), 0.34, 0.32),  # trigone
    Tube((0.29, 0.36), (0.25, 0.54), (0.072, 0.038), 0.34, 0.28),  # occipital horn
)
CISTERNS: Final = (
    Tube((0.0, -0.04), (0.0, 0.14), (0.032, 0.034), 0.10, 0.26),  # third ventricle
    Tube((0.0, 0.27), (0.10, 0.22), (0.055, 0.030), 0.02, 0.28),  # quadrigeminal cistern
    Tube((0.74, -0.12), (0.58, -0.10), (0.042, 0.036), 0.08, 0.42),  # Sylvian fissure
    Tube((0.58, -0.10), (0.50, 0.00), (0.036, 0.032), 0.08, 0.42),  # insula, front
    Tube((0.50, 0.00), (0.53, 0.14), (0.032, 0.024), 0.08, 0.42),  # insula, back
)
NUCLEI: Final = (
    Nucleus((0.12, 0.08), (0.085, 0.13), 0.34),  # thalamus
    Nucleus((0.31, -0.07), (0.075, 0.16), 0.34),  # lentiform nucleus
    Nucleus((0.20, -0.25), (0.045, 0.10), 0.45),  # caudate head
)


@dataclass(frozen=True)
class Head:
    """All that makes one patient's head different from another's."""

    half_width: float
    half_height: float
    tilt: float
    shift: tuple[float, float]
    bumps: Array
    scalp: float
    bone: float
    gap: float
    sulcus: float
    ribbon: float
    ventricle: float
    lopsided: float
    bow: float
    white: float
    gray: float
    fluid: float
    hard: float
    bias: Array
    pineal: float
    choroid: float
    fields: Array


@dataclass(frozen=True)
class Slice:
    """A noise-free slice, and what a lesion has to know about the place."""

    image: Array
    x: Array
    y: Array
    radius: float
    depth: Array
    brain: Array
    """How much of each pixel is brain tissue, 0 to 1; fluid and bone are not."""
    fields: Array
    gray: float
    white: float


def smooth(field: Array, sigma: float) -> Array:
    """Return the field after a Gaussian filter."""
    return np.asarray(ndimage.gaussian_filter(field, sigma, mode="wrap"), dtype=np.float64)


def smooth_noise(rng: np.random.Generator, sigma: float) -> Array:
    """Return a random field of unit variance whose structures are about ``sigma`` pixels wide."""
    field = smooth(rng.standard_normal((SIZE, SIZE)), sigma)
    return np.asarray(field / field.std())


def cover(distance: Array) -> Array:
    """Return how much of each pixel lies inside, from its signed distance to the border: the anti-aliased edge."""
    return np.clip(0.5 + distance, 0.0, 1.0)


def paint(image: Array, coverage: Array, value: Array | float) -> Array:
    """Return the image with a layer of one gray value, or of an image, on top."""
    return image + coverage * (value - image)


def draw_head(rng: np.random.Generator) -> Head:
    """Draw a patient."""
    atrophy = rng.uniform(0.0, 1.0) ** 1.5  # brains with wide sulci mostly have wide ventricles as well
    gray = rng.uniform(126.0, 132.0)
    return Head(
        half_width=rng.normal(45.5, 0.6),
        half_height=rng.normal(54.5, 0.7),
        tilt=rng.normal(0.0, 0.022),
        shift=(rng.normal(0.0, 0.45), rng.normal(0.0, 0.45)),
        bumps=rng.normal(0.0, 1.0, (4, 2)) * np.array([[0.0028], [0.0024], [0.0020], [0.0012]]),
        scalp=rng.uniform(2.5, 3.3),
        bone=rng.uniform(3.8, 4.7),
        gap=0.5 + 0.7 * atrophy,
        sulcus=0.32 + 0.36 * atrophy,
        ribbon=rng.uniform(5.6, 7.4),
        ventricle=0.80 + 0.55 * atrophy + rng.normal(0.0, 0.08),
        lopsided=rng.normal(0.0, 0.07),
        bow=rng.normal(0.0, 0.008),
        white=gray - rng.uniform(22.0, 28.0),
        gray=gray,
        fluid=rng.uniform(46.0, 54.0),
        hard=rng.uniform(208.0, 216.0),
        bias=rng.normal(0.0, 0.014, 3),
        pineal=float(rng.uniform() < 0.4) * rng.uniform(25.0, 70.0),
        choroid=float(rng.uniform() < 0.35) * rng.uniform(30.0, 80.0),
        fields=np.stack([smooth_noise(rng, sigma) for sigma in (3.0, 3.0, 3.0, 3.0, 7.0, 7.0, 2.0, 2.0)]),
    )


def level_fields(head: Head, level: float) -> Array:
    """Return the head's four random fields at a level; they change slowly from slice to slice, as tissue does."""
    angle = 1.2 * level
    return np.asarray(np.cos(angle) * head.fields[0::2] + np.sin(angle) * head.fields[1::2])


def head_coordinates(head: Head, level: float) -> tuple[Array, Array, float]:
    """Return x and y of every pixel in head coordinates, and the pixels of one unit."""
    rows, columns = np.mgrid[0:SIZE, 0:SIZE] - (SIZE - 1) / 2
    right, back = columns - head.shift[0], rows - head.shift[1]
    cosine, sine = np.cos(head.tilt), np.sin(head.tilt)
    scale = 1.0 - 0.13 * level**2  # the skull closes towards the top
    x = (cosine * right + sine * back) / (head.half_width * scale)
    y = (cosine * back - sine * right) / (head.half_height * scale)
    return x, y, scale * (head.half_width + head.half_height) / 2


def skin_depth(head: Head, x: Array, y: Array, radius: float) -> Array:
    """Return how many pixels below the skin each pixel lies; negative outside the head."""
    angle = np.arctan2(y, x)
    outline = 1.0 - 0.030 * np.cos(2 * angle) * (y < 0) * np.abs(np.sin(angle)) + 0.012 * np.sin(angle)
    for order, (cosine, sine) in enumerate(head.bumps, start=2):
        outline = outline + cosine * np.cos(order * angle) + sine * np.sin(order * angle)
    return np.asarray((outline - np.hypot(x, y)) * radius)


def bone_thickness(head: Head, x: Array, y: Array) -> Array:
    """Return the thickness of the skull in each direction: thicker in front and at the back."""
    angle = np.arctan2(y, x)
    return np.asarray(head.bone * (1.0 - 0.18 * np.cos(2 * angle) + 0.10 * np.cos(3 * angle + head.bow * 100)))


def shell(head: Head, depth: Array, bone: Array) -> Array:
    """Return the head with scalp, skull and nothing but fluid inside."""
    image = paint(np.full_like(depth, 2.0), cover(depth), 58.0)
    image = paint(image, cover(depth - head.scalp), head.hard)
    marrow = np.exp(-(((depth - head.scalp - bone / 2) / (0.22 * bone)) ** 2))
    image = image - 34.0 * marrow
    return paint(image, cover(depth - head.scalp - bone), head.fluid)


def tube_distance(tube: Tube, x: Array, y: Array, level: float, width: float) -> Array:
    """Return the signed distance to a tube at a level, positive inside, in head coordinates."""
    (x0, y0), (x1, y1) = tube.start, tube.end
    along = ((x - x0) * (x1 - x0) + (y - y0) * (y1 - y0)) / ((x1 - x0) ** 2 + (y1 - y0) ** 2)
    along = np.clip(along, 0.0, 1.0)
    fade = 1.0 - (abs(level - tube.level) / tube.reach) ** 2
    thickness = width * fade * (tube.radii[0] + along * (tube.radii[1] - tube.radii[0]))
    away = np.hypot(x - x0 - along * (x1 - x0), y - y0 - along * (y1 - y0))
    return np.asarray(thickness - 0.012 - away)  # less than about half a pixel is not seen


def fluid_spaces(head: Head, x: Array, y: Array, level: float, radius: float) -> Array:
    """Return how much of each pixel is fluid of ventricles and cisterns."""
    sided = np.where(x > 0, 1.0 + head.lopsided, 1.0 - head.lopsided)
    mirrored = np.abs(x)
    nearest = np.full_like(x, -1.0)
    for tube in VENTRICLES:
        wide = tube_distance(tube, mirrored / (1.0 + 0.3 * (head.ventricle - 1.0)), y, level, head.ventricle)
        nearest = np.maximum(nearest, wide + 0.03 * (sided - 1.0))
    for tube in CISTERNS:
        nearest = np.maximum(nearest, tube_distance(tube, mirrored, y, level, 0.5 + 0.5 * head.ventricle))
    return cover(nearest * radius)


def midline(head: Head, image: Array, x: Array, y: Array, level: float, radius: float) -> Array:
    """Return the image with the fissure between the hemispheres and the falx in it."""
    reach = 0.52 - 0.75 * max(0.0, level - 0.35)  # the corpus callosum closes the fissure in lower slices
    inside = cover((np.abs(y + 0.03) - reach) * radius / 2)
    aside = np.abs(x) * radius
    image = paint(image, inside * np.clip(1.6 + head.gap / 2 - aside, 0.0, 1.0), head.fluid + 14.0)
    return paint(image, inside * 0.75 * np.clip(1.1 - aside, 0.0, 1.0), head.gray + 22.0)


def tissue(head: Head, depth: Array, fields: Array) -> tuple[Array, Array]:
    """Return gray and white matter as if there were no fluid, and how much of each pixel is brain rather than sulcus."""
    below = depth - head.gap + 0.5 * fields[2]
    white = cover((below - head.ribbon - 2.2 * fields[1]) / 1.6)
    matter = head.gray + (head.white - head.gray) * white + 2.2 * fields[3]
    fold = cover((head.sulcus - 3.0 * np.abs(fields[0])) / 1.2) * np.clip((11.0 - below) / 5.0, 0.0, 0.85)
    return matter, cover(below) * (1.0 - fold)


def nuclei(head: Head, image: Array, x: Array, y: Array, level: float) -> Array:
    """Return the image with the deep gray nuclei in it."""
    for nucleus in NUCLEI:
        away = np.hypot((np.abs(x) - nucleus.centre[0]) / nucleus.axes[0], (y - nucleus.centre[1]) / nucleus.axes[1])
        present = np.clip((nucleus.top - level) / 0.15, 0.0, 1.0)
        image = paint(image, present * np.clip((1.15 - away) / 0.3, 0.0, 1.0), head.gray + 1.0)
    return image


def harmless_calcium(head: Head, x: Array, y: Array, level: float, radius: float) -> Array:
    """Return the calcifications that healthy people have: pineal gland and choroid plexus."""
    pineal = np.exp(-((np.hypot(x, y - 0.20) * radius / 1.3) ** 2)) * head.pineal * (level < 0.25)
    plexus = np.exp(-((np.hypot(np.abs(x) - 0.22, y - 0.28) * radius / 1.5) ** 2)) * head.choroid * (0.25 < level < 0.55)
    return np.asarray(pineal + plexus)


def render(head: Head, level: float) -> Slice:
    """Render the head at a level, 0 the base to 1 the top, without lesion, blur and noise."""
    x, y, radius = head_coordinates(head, level)
    fields = level_fields(head, level)
    depth = skin_depth(head, x, y, radius)
    bone = bone_thickness(head, x, y)
    inner = depth - head.scalp - bone
    middle = x - head.bow * np.cos(1.5 * y)
    matter, brain = tissue(head, inner, fields)
    matter = midline(head, nuclei(head, matter, middle, y, level), middle, y, level, radius)
    crooked = 0.014 * fields[2]
    fluid = fluid_spaces(head, middle + crooked, y + np.roll(crooked, SIZE // 2, axis=0), level, radius)
    brain = brain * (1.0 - fluid)
    image = paint(shell(head, depth, bone), brain, matter) + harmless_calcium(head, middle, y, level, radius)
    return Slice(image, x, y, radius, inner, brain, fields, head.gray, head.white)


def acquire(head: Head, clean: Array, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Return the slice as a scanner would: blurred, with uneven brightness and noise, in 8 bits."""
    rows, columns = np.mgrid[0:SIZE, 0:SIZE] / (SIZE - 1) - 0.5
    shading = 1.0 + head.bias[0] * rows + head.bias[1] * columns + head.bias[2] * (rows**2 + columns**2 - 0.15)
    noise = smooth(rng.standard_normal((SIZE, SIZE)), 0.55)
    grain = 4.2 / noise.std() * noise * np.clip(clean / 60.0, 0.0, 1.0)  # air has none
    exposed = smooth(clean, 0.6) * shading + grain
    return np.asarray(np.clip(np.rint(exposed), 0, 255), dtype=np.uint8)
