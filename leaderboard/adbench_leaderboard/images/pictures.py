"""Thumbnails of images, made from the dataset's files as a run prepares them."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from adbench_harness.api import AdbenchError
from adbench_harness.home import Home

from ..names import slug

if TYPE_CHECKING:
    from adbench_harness.api import Sample
    from adbench_harness.data.listing import Listing

SIZE: Final = 128
"""Pixels, both ways."""
QUALITY: Final = 85
"""Of JPEG."""


@dataclass(frozen=True)
class Source:
    """A dataset's files, as they lie on this machine."""

    listing: Listing
    samples: Mapping[str, Sample]
    """By id."""

    @classmethod
    def of(cls, dataset: str, home: Home) -> Source:
        """The files of a dataset.

        Raises:
            AdbenchError: if no plugin has that name, or the files are not here.
        """
        # Hashing every file's code is slow to load, and hardly any site has pictures.
        from adbench_harness import registry
        from adbench_harness.data.listing import listing

        found = listing(registry.dataset(dataset).spec, home)
        return cls(found, {sample.id: sample for sample in found.samples})

    def thumbnails(self, fingerprint: str, images: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """Id and JPEG of each of the images; of none if the files are in another state than that of the fingerprint.

        Raises:
            DataError: naming the file, if one can't be read.
        """
        if fingerprint != self.listing.fingerprint:
            return
        for image in sorted(set(images) & set(self.samples)):
            yield image, self._thumbnail(self.samples[image])

    def _thumbnail(self, sample: Sample) -> bytes:
        from PIL import Image

        from adbench_harness.api import FitRules
        from adbench_harness.data.decode import decode

        pixels = decode(self.listing.root / sample.path, [sample.box], FitRules(image_size=SIZE))[0]
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, "JPEG", quality=QUALITY)
        return stream.getvalue()


def sources(datasets: Iterable[str], home: Home) -> Mapping[str, Source]:
    """The files of those of the datasets whose files can be had; the publisher is told of the others when images are asked for."""
    found: dict[str, Source] = {}
    for name in sorted(datasets):
        with suppress(AdbenchError):
            found[name] = Source.of(name, home)
    return found


def picture_path(dataset: str, fingerprint: str, image: str) -> str:
    """Where the picture of an image lies in the site."""
    key = f"{fingerprint}\n{image}".encode("utf-8", "surrogatepass")
    return f"picture/{slug(dataset)}/{hashlib.sha256(key).hexdigest()[:16]}.jpg"
