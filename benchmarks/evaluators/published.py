"""The extractors that torch-fidelity registers, declared as evaluators; torch is not imported here.

Their weights do not ship. Each is declared with the whole SHA-256 of the published file, of which torch-fidelity's own
file names hold a part or all (DINOv2's hold none), and is loaded from a file with that hash or not at all.
"""

from __future__ import annotations

from genbench import EvaluatorSpec

MODULE = "genbench_benchmarks.evaluators.published_extractors"
BATCH = 8
"""Images a pass, which decides the last bits; few, as the last pass is filled up, and on a CPU more are no faster."""

INCEPTION = EvaluatorSpec(
    name="inception-v3-compat",
    factory=f"{MODULE}:Inception",
    weights="",
    sha256="6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
    features="2048",
    logits="logits_unbiased",
    dims=2048,
    shape=(),
    levels=256,
    batch_size=BATCH,
    summary="Inception-v3 of the original FID, trained on ImageNet; what FID means where no evaluator is named",
    rgb=True,
    url="https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth",
    file="weights-inception-2015-12-05-6726825d.pth",
)

VGG16 = EvaluatorSpec(
    name="vgg16",
    factory=f"{MODULE}:VGG16",
    weights="",
    sha256="397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
    features="fc2_relu",
    logits=None,
    dims=4096,
    shape=(),
    levels=256,
    batch_size=BATCH,
    summary="VGG-16 of torchvision, trained on ImageNet; of the original precision and recall",
    rgb=True,
    url="https://download.pytorch.org/models/vgg16-397923af.pth",
    file="vgg16-397923af.pth",
)

CLIP: dict[str, tuple[str, int, str]] = {
    "clip-rn50": ("RN50", 1024, "afeb0e10f9e5a86da6080e35cf09123aca3b358a0c3e3b6c78a7b63bc04b6762"),
    "clip-rn101": ("RN101", 512, "8fa8567bab74a42d41c5915025a8e4538c3bdbe8804a470a72f30b0d94fab599"),
    "clip-rn50x4": ("RN50x4", 640, "7e526bd135e493cef0776de27d5f42653e6b4c8bf9e0f653bb11773263205fdd"),
    "clip-rn50x16": ("RN50x16", 768, "52378b407f34354e150460fe41077663dd5b39c54cd0bfd2b27167a4a06ec9aa"),
    "clip-rn50x64": ("RN50x64", 1024, "be1cfb55d75a9666199fb2206c106743da0f6468c9d327f3e0d0a543a9919d9c"),
    "clip-vit-b-32": ("ViT-B-32", 512, "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af"),
    "clip-vit-b-16": ("ViT-B-16", 512, "5806e77cd80f8b59890b7e101eabd078d9fb84e6937f9e85e4ecb61988df416f"),
    "clip-vit-l-14": ("ViT-L-14", 768, "b8cca3fd41ae0c99ba7e8951adf17d267cdb84cd88be6f7c2e0eca1737a03836"),
    "clip-vit-l-14-336px": ("ViT-L-14-336px", 768, "3035c92b350959924f9f00213499208652fc7ea050643e8b385c2dac08641f02"),
}
"""Name to file, features and hash."""

DINOV2: dict[str, tuple[str, int, str]] = {
    "dinov2-vit-s-14": ("vits14", 384, "b938bf1bc15cd2ec0feacfe3a1bb553fe8ea9ca46a7e1d8d00217f29aef60cd9"),
    "dinov2-vit-b-14": ("vitb14", 768, "0b8b82f85de91b424aded121c7e1dcc2b7bc6d0adeea651bf73a13307fad8c73"),
    "dinov2-vit-l-14": ("vitl14", 1024, "d5383ea8f4877b2472eb973e0fd72d557c7da5d3611bd527ceeb1d7162cbf428"),
    "dinov2-vit-g-14": ("vitg14", 1536, "baf8467e50af277596bbbafa06887c177ee899ab46033649c383577d7e9309d3"),
}
"""Name to model, features and hash."""


def published_evaluators() -> list[EvaluatorSpec]:
    """One declaration for each extractor that torch-fidelity 0.4 registers, under the same name."""
    return [
        INCEPTION,
        VGG16,
        *(_clip(name, *row) for name, row in CLIP.items()),
        *(_dinov2(name, *row) for name, row in DINOV2.items()),
    ]


def _clip(name: str, model: str, dims: int, sha256: str) -> EvaluatorSpec:
    return EvaluatorSpec(
        name=name,
        factory=f"{MODULE}:CLIP",
        weights="",
        sha256=sha256,
        features="clip",
        logits=None,
        dims=dims,
        shape=(),
        levels=256,
        batch_size=BATCH,
        summary=f"image tower of CLIP {model} (Radford et al., arXiv:2103.00020)",
        rgb=True,
        url=f"https://openaipublic.azureedge.net/clip/models/{sha256}/{model}.pt",
        file=f"{name}-{sha256}.pt",
    )


def _dinov2(name: str, model: str, dims: int, sha256: str) -> EvaluatorSpec:
    return EvaluatorSpec(
        name=name,
        factory=f"{MODULE}:DINOv2",
        weights="",
        sha256=sha256,
        features="dinov2",
        logits=None,
        dims=dims,
        shape=(),
        levels=256,
        batch_size=BATCH,
        summary=f"DINOv2 {model}, class token (Oquab et al., arXiv:2304.07193)",
        rgb=True,
        url=f"https://dl.fbaipublicfiles.com/dinov2/dinov2_{model}/dinov2_{model}_pretrain.pth",
        file=f"dinov2_{model}_pretrain.pth",
    )
