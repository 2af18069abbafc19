"""What a run says of itself: what it is a measurement of, and everything about how it was made."""

from __future__ import annotations

from typing import Final

from pydantic import BaseModel, ConfigDict, JsonValue

FORMAT: Final = 1


class Cell(BaseModel):
    """What a run is a measurement of."""

    model_config = ConfigDict(frozen=True)

    model: str
    options: dict[str, JsonValue]
    dataset: str
    protocol: str
    fit_digest: str
    split: int
    seed: int
    trained_on: str | None = None
    """The dataset that the detector learnt from, if it is another than the one it is tested on."""


class Received(BaseModel):
    """Where a run came from that was not made here; written once, when it is imported."""

    model_config = ConfigDict(frozen=True)

    bundle: str
    """SHA-256 of the bundle's file."""
    imported: str
    """UTC, ISO 8601."""
    signer: str | None = None
    """Who signed the bundle, by the list of signers that it was checked against; None if nobody is known to have."""
    key: str | None = None
    """Fingerprint of the key it was signed with; None if it is not signed, or that was not checked."""


class PixelEstimate(BaseModel):
    """A figure over pixels with its 95 % interval, and what maps of noise give."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    value: float
    low: float | None = None
    high: float | None = None
    method: str | None = None
    """How the interval was made; None where there is none."""
    random: float


class Pixels(BaseModel):
    """How well the detector's anomaly maps point, on test images whose lesions have masks; see ``metrics.pixels``."""

    model_config = ConfigDict(frozen=True)

    pixel_roc_auc: PixelEstimate
    aupro: PixelEstimate
    normal: int
    """Images without a lesion."""
    abnormal: int
    """Images with a mask."""
    left_out: int
    """Test images that were not looked at: abnormal ones without a mask, or too many to look at."""
    regions: int
    inside: int
    """Pixels in masks."""
    outside: int
    image_size: int
    """Height and width of maps and masks."""
    masks: str
    """Digest of which images these are and of their masks."""


class Manifest(BaseModel):
    """Everything about a run but its scores and curves."""

    model_config = ConfigDict(frozen=True)

    format: int = FORMAT
    run_id: str
    cell: Cell
    variant: str
    """The model's name with the options that differ from its defaults."""
    command: str
    created: str
    """UTC, ISO 8601."""
    protocol: dict[str, JsonValue]
    """Name, version, title, fit rules, evaluation rules, digests, overrides."""
    dataset: dict[str, JsonValue]
    """Data card: title, modality, organ, licence, citation, counts, tasks, fingerprint, edition or how a partial copy differs."""
    model: dict[str, JsonValue]
    """Title, family, paper, phases and options in words, number of learnt values, what it was given, whether transductive."""
    plugins: dict[str, JsonValue]
    compute: dict[str, JsonValue]
    environment: dict[str, str]
    timings: dict[str, float]
    """Seconds a stage."""
    training: dict[str, JsonValue]
    """Images, steps, images presented, epochs a phase, times resumed."""
    files: dict[str, str]
    """SHA-256 of the other files of the folder, by path with forward slashes."""
    pixels: Pixels | None = None
    """None where there are no masks, or the detector makes no maps; and for a run of before this was looked at."""
    received: Received | None = None
    """None for a run that was made here."""

    @property
    def unranked(self) -> str | None:
        """Why the run is shown but compared with nothing; None if it may be ranked."""
        reasons = []
        overrides = self.protocol.get("overrides")
        changed = dict(overrides) if isinstance(overrides, dict) else {}
        if size := changed.pop("train_size", None):
            reasons.append(f"learning curve: {size} training images")
        if changed:
            reasons.append(f"off protocol: {', '.join(f'{name}={value}' for name, value in changed.items())}")
        if self.cell.trained_on is not None:
            reasons.append(f"transfer: trained on {self.cell.trained_on}, {self.dataset.get('transfer', 'tested elsewhere')}")
        if partial := self.dataset.get("partial"):
            reasons.append(f"partial copy of the dataset: {partial}")
        if transductive := self.model.get("transductive"):
            reasons.append(f"transductive: {transductive}")
        return "; ".join(reasons) or None
