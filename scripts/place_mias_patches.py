"""Where the patches of the normal MIAS films lie: writes mias_normal_patches.tsv.

    python scripts/place_mias_patches.py FOLDER [--output FILE] [--sheet OUT.png]

FOLDER holds Info.txt and the films. A normal film has no annotated place to cut a patch from. If its patch came from
anywhere in the breast, position alone would tell normal from abnormal, so each normal film takes over the position of
a lesion:

1. Breast. The film is averaged over blocks of 8 x 8 pixels. Blocks of at least 20 grey levels are opened with a square
   of 5 x 5 blocks, which cuts off labels and scratches; the largest connected component, its holes filled, is the breast.
2. Pectoral muscle. A straight line from the breast's top to the chest wall cuts it off; of all such lines the one along
   which the grey level drops most consistently towards the skin is taken (see find_pectoral).
3. Position of a lesion patch. Depth is the distance of its centre from the breast's edge at the chest wall, as a
   fraction of the breast's width in that row; height is the centre's row as a fraction of the way from the breast's
   top to its bottom. The chest wall is on the right of films with an odd number and on the left of the others.
   Lesions whose stated centre is outside the breast are left out.
4. Transfer. The same depth and height in the normal film give the centre of its patch, mirrored where needed, and
   shifted to lie inside the film as a lesion's patch is.
5. Acceptance. The shares of breast in the two patches may differ by at most 5 % of the patch, and so may the shares of
   pectoral muscle.
6. Order. Normal films come in the order of the SHA-256 of their id. Each tries the lesions in the order of how often
   they were taken so far, then of the SHA-256 of "FILM LESION", and takes the first that is accepted.

All arithmetic is on integers, so every machine writes the same table.
"""

from __future__ import annotations

import argparse
import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw
from scipy import ndimage
from sklearn.metrics import roc_auc_score

from adbench_datasets import mias_annotations, mias_patches
from adbench_datasets.mias_patches import PATCH_SIZE
from adbench_harness.api import Box

TABLE: Final = Path(mias_patches.__file__).with_name(mias_patches.NORMAL_TABLE)
BLOCK: Final = 8
TISSUE_LEVEL: Final = 20
OPENING: Final = 5
PECTORAL_WIDTH: Final = 6
PECTORAL_HEIGHT: Final = 20
"""The least extent of the pectoral muscle in blocks."""
TOLERANCE: Final = PATCH_SIZE * PATCH_SIZE // 20

Pixels = npt.NDArray[np.uint8]
Blocks = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Breast:
    """The breast in a film, in blocks."""

    mask: Mask
    pectoral: Mask
    chest_wall_right: bool

    def height_range(self) -> tuple[int, int]:
        """First and last pixel row of the breast."""
        rows = np.flatnonzero(self.mask.any(axis=1))
        return int(rows[0]) * BLOCK, int(rows[-1]) * BLOCK + BLOCK - 1

    def edges(self, row: int) -> tuple[int, int] | None:
        """Pixel column of the chest wall and of the skin in a pixel row; None if the row has no breast."""
        columns = np.flatnonzero(self.mask[row // BLOCK])
        if not columns.size:
            return None
        first, last = int(columns[0]) * BLOCK, int(columns[-1]) * BLOCK + BLOCK - 1
        return (last, first) if self.chest_wall_right else (first, last)


@dataclass(frozen=True)
class Place:
    """A patch and the breast it lies in."""

    breast: Breast
    box: Box

    def transfer(self, other: Breast) -> Box | None:
        """The patch at the same depth and height in another breast; None where that row has no breast."""
        column, row = centre(self.box)
        top, bottom = self.breast.height_range()
        other_top, other_bottom = other.height_range()
        other_row = other_top + (row - top) * (other_bottom - other_top) // (bottom - top)
        edges, other_edges = self.breast.edges(row), other.edges(other_row)
        if edges is None or other_edges is None:
            return None
        (wall, skin), (other_wall, other_skin) = edges, other_edges
        # The differences change sign together where one film is the mirror image of the other.
        other_column = other_wall + (column - wall) * (other_skin - other_wall) // (skin - wall)
        return mias_annotations.centred_box(other_column, other_row, PATCH_SIZE)

    def depth_and_height(self) -> tuple[float, float]:
        """Position in the breast: 0 at the chest wall to 1 at the skin, and 0 at its top to 1 at its bottom."""
        column, row = centre(self.box)
        top, bottom = self.breast.height_range()
        wall, skin = self.breast.edges(row) or (0, mias_annotations.FILM_SIZE)
        return (column - wall) / (skin - wall), (row - top) / (bottom - top)

    def count(self, mask: Mask) -> int:
        """How many pixels of the patch belong to a mask in blocks."""
        rows = np.arange(self.box.top, self.box.bottom) // BLOCK
        columns = np.arange(self.box.left, self.box.right) // BLOCK
        return int(np.count_nonzero(mask[np.ix_(rows, columns)]))

    def resembles(self, other: Place) -> bool:
        """Step 5 of the rule."""
        breast = abs(self.count(self.breast.mask) - other.count(other.breast.mask))
        pectoral = abs(self.count(self.breast.pectoral) - other.count(other.breast.pectoral))
        return max(breast, pectoral) <= TOLERANCE


def centre(box: Box) -> tuple[int, int]:
    """Column and row in the middle of a patch."""
    return box.left + PATCH_SIZE // 2, box.top + PATCH_SIZE // 2


def read_film(folder: Path, film: str) -> Pixels:
    """The pixels of a film."""
    with Image.open(folder / mias_annotations.film_path(film)) as image:
        return np.asarray(image, dtype=np.uint8)


def find_breast(pixels: Pixels, film: str) -> Breast:
    """Steps 1 and 2 of the rule."""
    side = mias_annotations.FILM_SIZE // BLOCK
    blocks: Blocks = pixels.reshape(side, BLOCK, side, BLOCK).sum(axis=(1, 3), dtype=np.int64) // BLOCK**2
    bright = ndimage.binary_opening(blocks >= TISSUE_LEVEL, np.ones((OPENING, OPENING), dtype=bool))
    labels, _ = ndimage.label(bright)
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    mask: Mask = ndimage.binary_fill_holes(labels == sizes.argmax())
    right = int(film.removeprefix("mdb")) % 2 == 1
    if right:
        return Breast(mask, find_pectoral(blocks[:, ::-1], mask[:, ::-1])[:, ::-1], right)
    return Breast(mask, find_pectoral(blocks, mask), right)


def find_pectoral(blocks: Blocks, mask: Mask) -> Mask:
    """The pectoral muscle of a film whose chest wall is on the left; empty if no line has a positive sum of ``edge_gain``."""
    rows = np.flatnonzero(mask.any(axis=1))
    top = int(rows[0])
    wall = int(np.median(mask[rows].argmax(axis=1)))
    gain = edge_gain(blocks[top:, wall:])
    best_sum, best_line = 0, np.zeros(0, dtype=np.int64)
    for width in range(PECTORAL_WIDTH, int(np.count_nonzero(mask[top + 1])) + 1):
        for height in range(PECTORAL_HEIGHT, len(gain) - BLOCK):
            steps = np.arange(height)
            line = width * (height - steps) // height
            # The last steps are too close to the chest wall to have two blocks of muscle beside them.
            inside = (line >= 2) & (line < gain.shape[1])
            total = int(gain[steps[inside], line[inside]].sum())
            if total > best_sum:
                best_sum, best_line = total, line
    pectoral = np.zeros_like(mask)
    for step, column in enumerate(best_line):
        pectoral[top + step, wall : wall + column] = True
    return pectoral & mask


def edge_gain(blocks: Blocks) -> Blocks:
    """What a block adds to a line through it: the drop of the grey level across it, cut off at 12, less 4.

    So a long line that is an edge nearly everywhere wins over a short sharp one. A drop to less than 35 is the skin's.
    """
    padded = np.pad(blocks, ((0, 0), (2, 2)), mode="edge")
    inner = (padded[:, :-4] + padded[:, 1:-3]) // 2
    outer = (padded[:, 3:-1] + padded[:, 4:]) // 2
    gain: Blocks = np.where(outer < 35, -4, np.minimum(inner - outer, 12) - 4)
    return gain


def lesion_places(folder: Path) -> dict[str, Place]:
    """Every lesion patch by id."""
    places = {}
    for rows in mias_annotations.read_annotations(folder).values():
        for patch_id, lesion in mias_patches.located_lesions(rows):
            breast = find_breast(read_film(folder, lesion.film), lesion.film)
            places[patch_id] = Place(breast, mias_patches.lesion_box(lesion))
    return places


def normal_films(folder: Path) -> list[str]:
    """The normal films, in the order of step 6."""
    films = mias_annotations.read_annotations(folder)
    return sorted((film for film, rows in films.items() if not rows[0].is_lesion), key=digest)


def digest(text: str) -> str:
    """SHA-256 of a text: an order that has nothing to do with the content."""
    return hashlib.sha256(text.encode()).hexdigest()


def place_normal(film: str, breast: Breast, lesions: Mapping[str, Place], taken: Mapping[str, int]) -> tuple[str, Place]:
    """Steps 4 to 6 of the rule for one film; ``taken`` counts how often each lesion was taken before."""
    usable = lesions.keys() - mias_patches.OUTSIDE_BREAST
    for lesion in sorted(usable, key=lambda patch_id: (taken[patch_id], digest(f"{film} {patch_id}"))):
        box = lesions[lesion].transfer(breast)
        if box is not None and Place(breast, box).resembles(lesions[lesion]):
            return lesion, Place(breast, box)
    raise SystemExit(f"{film}: no lesion's position is accepted in this film")


def place_normals(folder: Path, lesions: Mapping[str, Place], limit: int | None = None) -> dict[str, tuple[str, Place]]:
    """Lesion and patch of the first ``limit`` normal films, or of all."""
    taken: Counter[str] = Counter()
    normals = {}
    for film in normal_films(folder)[:limit]:
        breast = find_breast(read_film(folder, film), film)
        normals[film] = place_normal(film, breast, lesions, taken)
        taken[normals[film][0]] += 1
    return normals


def write_table(path: Path, normals: Mapping[str, tuple[str, Place]]) -> None:
    """The patches as tab-separated values, sorted by film."""
    lines = ["film\tleft\ttop\tlesion"]
    lines += [f"{film}\t{place.box.left}\t{place.box.top}\t{lesion}" for film, (lesion, place) in sorted(normals.items())]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


def cut(folder: Path, patch_id: str, box: Box) -> Pixels:
    """The pixels of a patch."""
    return read_film(folder, patch_id.partition("-")[0])[box.top : box.bottom, box.left : box.right]


def report_shortcuts(folder: Path, lesions: Mapping[str, Place], normals: Mapping[str, tuple[str, Place]]) -> None:
    """Print how well trivial scores alone tell lesion patches (1) from normal ones (0)."""
    names = ("mean grey level", "standard deviation", "share of breast", "share of pectoral muscle", "depth", "height")
    inside = {patch_id: place for patch_id, place in lesions.items() if patch_id not in mias_patches.OUTSIDE_BREAST}
    places = inside | {film: place for film, (_, place) in normals.items()}
    scores = []
    for patch_id, place in places.items():
        pixels = cut(folder, patch_id, place.box)
        shares = place.count(place.breast.mask), place.count(place.breast.pectoral)
        scores.append((pixels.mean(), pixels.std(), *shares, *place.depth_and_height()))
    labels = [1] * len(inside) + [0] * len(normals)
    print(f"{len(inside)} lesion patches with their centre in the breast, {len(normals)} normal patches")
    for name, values in zip(names, np.array(scores).T, strict=True):
        print(f"AUC of {name}: {roc_auc_score(labels, values):.3f}")
    taken = Counter(lesion for lesion, _ in normals.values())
    print("lesions by how often they were taken:", dict(sorted(Counter(taken[lesion] for lesion in inside).items())))


def draw_sheet(
    folder: Path, lesions: Mapping[str, Place], normals: Mapping[str, tuple[str, Place]], columns: int = 8
) -> Image.Image:
    """A contact sheet: each normal patch, and to its right the lesion patch whose position it has."""
    width, height = 2 * PATCH_SIZE + 8, PATCH_SIZE + 14
    sheet = Image.new("L", (columns * width, -(-len(normals) // columns) * height))
    draw = ImageDraw.Draw(sheet)
    for index, (film, (lesion, place)) in enumerate(sorted(normals.items())):
        x, y = index % columns * width, index // columns * height
        sheet.paste(Image.fromarray(cut(folder, film, place.box)), (x, y + 12))
        sheet.paste(Image.fromarray(cut(folder, lesion, lesions[lesion].box)), (x + PATCH_SIZE + 2, y + 12))
        draw.text((x, y), film, fill=255)
        draw.text((x + PATCH_SIZE + 2, y), lesion, fill=255)
    return sheet


def main() -> None:
    """Write the table, and the contact sheet if asked for."""
    parser = argparse.ArgumentParser(description="Place the patches of the normal MIAS films.")
    parser.add_argument("folder", type=Path, help="folder of Info.txt and the films")
    parser.add_argument("--output", type=Path, default=TABLE, help="the table to write (default: the one in the package)")
    parser.add_argument("--sheet", type=Path, help="a contact sheet to write")
    arguments = parser.parse_args()
    lesions = lesion_places(arguments.folder)
    normals = place_normals(arguments.folder, lesions)
    write_table(arguments.output, normals)
    report_shortcuts(arguments.folder, lesions, normals)
    if arguments.sheet:
        draw_sheet(arguments.folder, lesions, normals).save(arguments.sheet)


if __name__ == "__main__":
    main()
