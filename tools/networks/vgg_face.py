"""VGG-Face: Parkhi, Vedaldi & Zisserman 2015, Deep face recognition: VGG-16 (configuration D) for 2,622 people.

Takes RGB pixels from 0 to 255 less the mean of the training faces.
"""
from collections import OrderedDict

from torch import nn

WIDTHS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


class VGGFace(nn.Module):
    """Modules lie flat, named as in the paper's table."""
    def __init__(self, classes):
        super().__init__()
        parts, channels = OrderedDict(), 3
        for block, widths in enumerate(WIDTHS, 1):
            for number, width in enumerate(widths, 1):
                parts[f"conv{block}_{number}"] = nn.Conv2d(channels, width, 3, padding=1)
                parts[f"relu{block}_{number}"] = nn.ReLU()
                channels = width
            parts[f"pool{block}"] = nn.MaxPool2d(2)
        self.order = list(parts)
        parts["fc6"] = nn.Linear(512 * 7 * 7, 4096)
        parts["relu6"] = nn.ReLU()
        parts["dropout6"] = nn.Dropout(0.5)
        parts["fc7"] = nn.Linear(4096, 4096)
        parts["relu7"] = nn.ReLU()
        parts["dropout7"] = nn.Dropout(0.5)
        parts["fc8"] = nn.Linear(4096, classes)
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x):
        for name in self.order:
            x = getattr(self, name)(x)
        x = self.dropout6(self.relu6(self.fc6(x.flatten(1))))
        return self.fc8(self.dropout7(self.relu7(self.fc7(x))))


def vgg_face(classes=None):
    return VGGFace(classes or 2622)
