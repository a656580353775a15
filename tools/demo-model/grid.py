"""The grid of q8_0, on which the matrices stand that ship in it: at the end of the training, and in what is exported."""

import torch


def on_grid(weight):
    """The nearest values that q8_0 stores: 32 whole numbers to 127 along a row share a scale in f16."""
    blocks = weight.reshape(-1, 32)
    scale = blocks.abs().amax(1, keepdim=True) / 127
    whole = torch.where(scale > 0, blocks / scale, 0.0).round()
    return (whole * scale.half().float()).view_as(weight)


def matrices(model):
    """The parameters that ship in q8_0."""
    left_out = ("_head.", "patch_conv", "pos_embed", "query", "place_proj")
    return [p for name, p in model.named_parameters() if p.ndim == 2 and not any(part in name for part in left_out)]


@torch.no_grad()
def put_on_grid(parameters):
    for p in parameters:
        p.copy_(on_grid(p))


class OnGrid:
    """Matrices that ship in q8_0 stand on its grid while a batch goes through; the step is taken by what they were."""

    def __init__(self, model):
        self.matrices = matrices(model)

    def __enter__(self):
        self.kept = [p.detach().clone() for p in self.matrices]
        put_on_grid(self.matrices)

    @torch.no_grad()
    def __exit__(self, *_):
        for p, kept in zip(self.matrices, self.kept):
            p.copy_(kept)
