"""CORnet-S and CORnet-RT: Kubilius et al. 2018, CORnet: modeling the neural mechanisms of core object recognition;
Kubilius et al. 2019, Brain-like object recognition with high-performing shallow recurrent ANNs.

Four areas, V1 to IT. An area's module `output` is called once a time step: `V4.output#t` is its output at step t.
"""
import math
from collections import OrderedDict

import torch
from torch import nn


class Output(nn.Module):
    """Names what an area gives. A view, because tracing forgets modules that hand on their very input."""
    def forward(self, x):
        return x.view_as(x)


class SteppedConv(nn.Conv2d):
    """A convolution with a stride of 2 in the first time step and of 1 in the later ones."""
    def forward(self, x, stride: int):
        return nn.functional.conv2d(x, self.weight, None, [stride, stride], [1, 1])


class AreaS(nn.Module):
    """A bottleneck whose output is its input of the next step; steps share weights, but not normalisations."""
    def __init__(self, channels_in, channels, times):
        super().__init__()
        inside = 4 * channels
        self.times = times
        self.conv_input = nn.Conv2d(channels_in, channels, 1, bias=False)
        self.skip = nn.Conv2d(channels, channels, 1, stride=2, bias=False)
        self.norm_skip = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, inside, 1, bias=False)
        self.nonlin1 = nn.ReLU()
        self.conv2 = SteppedConv(inside, inside, 3, padding=1, bias=False)
        self.nonlin2 = nn.ReLU()
        self.conv3 = nn.Conv2d(inside, channels, 1, bias=False)
        self.nonlin3 = nn.ReLU()
        self.output = Output()
        for t in range(times):
            setattr(self, f"norm1_{t}", nn.BatchNorm2d(inside))
            setattr(self, f"norm2_{t}", nn.BatchNorm2d(inside))
            setattr(self, f"norm3_{t}", nn.BatchNorm2d(channels))

    def forward(self, x):
        x = self.conv_input(x)
        for t in range(self.times):
            kept = self.norm_skip(self.skip(x)) if t == 0 else x
            x = self.nonlin1(getattr(self, f"norm1_{t}")(self.conv1(x)))
            x = self.nonlin2(getattr(self, f"norm2_{t}")(self.conv2(x, 2 if t == 0 else 1)))
            x = getattr(self, f"norm3_{t}")(self.conv3(x))
            x = self.output(self.nonlin3(x + kept))
        return x


def cornet_s(classes=None):
    v1 = nn.Sequential(OrderedDict([
        ("conv1", nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)), ("norm1", nn.BatchNorm2d(64)),
        ("nonlin1", nn.ReLU()), ("pool", nn.MaxPool2d(3, stride=2, padding=1)),
        ("conv2", nn.Conv2d(64, 64, 3, padding=1, bias=False)), ("norm2", nn.BatchNorm2d(64)), ("nonlin2", nn.ReLU()),
        ("output", Output())]))
    network = nn.Sequential(OrderedDict([
        ("V1", v1), ("V2", AreaS(64, 128, 2)), ("V4", AreaS(128, 256, 4)), ("IT", AreaS(256, 512, 2)),
        ("decoder", decoder(classes or 1000))]))
    for module in network.modules():  # He et al.: else activations of random weights die out over the steps
        if isinstance(module, nn.Conv2d):
            nn.init.normal_(module.weight, std=math.sqrt(2 / (module.kernel_size[0] ** 2 * module.out_channels)))
    network.prefer_trace = True  # areas pick a step's normalisation by name
    return network


def decoder(classes):
    return nn.Sequential(OrderedDict([("avgpool", nn.AdaptiveAvgPool2d(1)), ("flatten", nn.Flatten()),
                                      ("linear", nn.Linear(512, classes))]))


class AreaRT(nn.Module):
    """What comes from below and the area's own state of the step before are added, then convolved."""
    def __init__(self, channels_in, channels, kernel, stride, side):
        super().__init__()
        self.side = side
        self.conv_input = nn.Conv2d(channels_in, channels, kernel, stride=stride, padding=kernel // 2)
        self.norm_input = nn.GroupNorm(32, channels)
        self.nonlin_input = nn.ReLU()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm1 = nn.GroupNorm(32, channels)
        self.nonlin1 = nn.ReLU()
        self.output = Output()

    def start(self, image):
        """State before the first step: zeros, of the size that this area has for such an image."""
        rows, columns = image.size(2), image.size(3)
        for _ in range(self.side):
            rows, columns = (rows + 1) // 2, (columns + 1) // 2
        return torch.zeros([image.size(0), self.conv1.out_channels, rows, columns], dtype=image.dtype,
                           device=image.device)

    def step(self, x):
        return self.output(self.nonlin1(self.norm1(self.conv1(x))))

    def forward(self, below, state):
        return self.step(self.nonlin_input(self.norm_input(self.conv_input(below))) + state)


class CORnetRT(nn.Module):
    """Biological unrolling: within a step every area sees what the area below gave in the step before.

    Written out for the sake of scripting: a trace forgets the last outputs of V1, V2 and V4, which nothing uses.
    """
    def __init__(self, classes, times=5):
        super().__init__()
        self.times = times
        self.V1 = AreaRT(3, 64, 7, 4, 2)
        self.V2 = AreaRT(64, 128, 3, 2, 3)
        self.V4 = AreaRT(128, 256, 3, 2, 4)
        self.IT = AreaRT(256, 512, 3, 2, 5)
        self.decoder = decoder(classes)

    def forward(self, image):
        v1 = self.V1(image, self.V1.start(image))
        v2 = self.V2.step(self.V2.start(image))  # nothing has come up yet
        v4 = self.V4.step(self.V4.start(image))
        it = self.IT.step(self.IT.start(image))
        for _ in range(1, self.times):
            v1, v2, v4, it = self.V1(image, v1), self.V2(v1, v2), self.V4(v2, v4), self.IT(v4, it)
        return self.decoder(it)


def cornet_rt(classes=None):
    return CORnetRT(classes or 1000)
