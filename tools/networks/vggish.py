"""VGGish: Hershey et al. 2017, CNN architectures for large-scale audio classification; VGG-11 (configuration A) less
its last block, for log-mel examples of 96 frames x 64 bands, with an embedding of 128 units.
"""
from torch import nn


class VGGish(nn.Module):
    def __init__(self, width):
        super().__init__()
        parts, channels = [], 1
        for block in ((64,), (128,), (256, 256), (512, 512)):
            for out in block:
                parts += [nn.Conv2d(channels, out, 3, padding=1), nn.ReLU()]
                channels = out
            parts.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*parts)
        self.embeddings = nn.Sequential(nn.Linear(512 * 6 * 4, 4096), nn.ReLU(), nn.Linear(4096, 4096), nn.ReLU(),
                                        nn.Linear(4096, width), nn.ReLU())

    def forward(self, x):
        # Flattened with the channel running fastest, as the weights, which come from TensorFlow, expect.
        return self.embeddings(self.features(x).permute(0, 2, 3, 1).flatten(1))


def vggish(classes=None):
    return VGGish(classes or 128)
