"""Why some models of anomalib are not here: looked at, not supposed. If one of these fails, anomalib has mended it, and it may come in."""

from __future__ import annotations

import torch


def test_the_score_of_cflow_depends_on_the_batch() -> None:
    from anomalib.models.image.cflow.torch_model import CflowModel

    torch.manual_seed(0)
    model = CflowModel(backbone="resnet18", layers=("layer2", "layer3"), pre_trained=False, coupling_blocks=1).eval()
    images = torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        together = model(images).pred_score
        alone = torch.cat([model(image[None]).pred_score for image in images])
    assert float((together - alone).abs().max()) > 0.1 * float(together.max() - together.min())


def test_the_score_of_dfkde_is_the_same_for_all_that_is_far() -> None:
    from anomalib.models.image.dfkde.torch_model import DfkdeModel

    torch.manual_seed(0)
    model = DfkdeModel("resnet18", ["layer4"], pre_trained=False).train()
    images = torch.rand(32, 1, 64, 64, generator=torch.Generator().manual_seed(1)).expand(-1, 3, -1, -1) * 0.1 + 0.3
    abnormal = images[:4].clone()
    for number in range(4):
        abnormal[number, :, 20 : 30 + 5 * number, 20:40] = 1
    with torch.no_grad():
        model(images)
        model.fit()
        assert model.eval()(abnormal).pred_score.tolist() == [1, 1, 1, 1]
