"""Visual towers of CLIP: Radford et al. 2021, Learning transferable visual models from natural language supervision.

The ResNet (section 2.4): a stem of three convolutions, average pooling before every strided convolution
(anti-aliasing), and attention in place of the last pooling: the mean over positions asks, all positions answer. The
transformer: ViT (Dosovitskiy et al. 2021) with a layer norm before the first block. Outputs are embeddings, not scores
of classes.
"""
import math
from collections import OrderedDict

import torch
from torch import nn

EXPANSION = 4  # of channels, from inside a bottleneck to its output


class Bottleneck(nn.Module):
    def __init__(self, channels_in, channels, stride):
        super().__init__()
        channels_out = channels * EXPANSION
        self.conv1 = nn.Conv2d(channels_in, channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.relu2 = nn.ReLU()
        self.avgpool = nn.AvgPool2d(stride) if stride > 1 else nn.Identity()
        self.conv3 = nn.Conv2d(channels, channels_out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(channels_out)
        self.relu3 = nn.ReLU()
        self.downsample = nn.Identity()
        if stride > 1 or channels_in != channels_out:
            self.downsample = nn.Sequential(OrderedDict([
                ("-1", nn.AvgPool2d(stride)), ("0", nn.Conv2d(channels_in, channels_out, 1, bias=False)),
                ("1", nn.BatchNorm2d(channels_out))]))

    def forward(self, x):
        y = self.relu1(self.bn1(self.conv1(x)))
        y = self.avgpool(self.relu2(self.bn2(self.conv2(y))))
        return self.relu3(self.bn3(self.conv3(y)) + self.downsample(x))


def attend(query, key, value, heads: int):
    """(batch, tokens, width) each → the same for the tokens that ask."""
    batch, asking, width = query.shape[0], query.shape[1], query.shape[2]
    each = width // heads
    q = query.view(batch, asking, heads, each).transpose(1, 2)
    k = key.view(batch, key.shape[1], heads, each).transpose(1, 2)
    v = value.view(batch, value.shape[1], heads, each).transpose(1, 2)
    weights = torch.softmax(q @ k.transpose(2, 3) / math.sqrt(each), dim=-1)
    return (weights @ v).transpose(1, 2).reshape(batch, asking, width)


class AttentionPool(nn.Module):
    def __init__(self, positions, width, heads, width_out):
        super().__init__()
        self.positional_embedding = nn.Parameter(torch.randn(positions + 1, width) / width ** 0.5)
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(width, width)
        self.v_proj = nn.Linear(width, width)
        self.c_proj = nn.Linear(width, width_out)
        self.heads = heads

    def forward(self, x):
        x = x.flatten(2).transpose(1, 2)
        x = torch.cat([x.mean(dim=1, keepdim=True), x], dim=1) + self.positional_embedding
        y = attend(self.q_proj(x[:, :1]), self.k_proj(x), self.v_proj(x), self.heads)
        return self.c_proj(y).squeeze(1)


class ResNetTower(nn.Module):
    def __init__(self, depths, width, width_out, size=224):
        super().__init__()
        half = width // 2
        self.conv1 = nn.Conv2d(3, half, 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(half)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(half, half, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(half)
        self.relu2 = nn.ReLU()
        self.conv3 = nn.Conv2d(half, width, 3, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(width)
        self.relu3 = nn.ReLU()
        self.avgpool = nn.AvgPool2d(2)
        channels_in = width
        for stage, depth in enumerate(depths):
            channels, blocks = width * 2 ** stage, []
            for block in range(depth):
                blocks.append(Bottleneck(channels_in, channels, 2 if stage > 0 and block == 0 else 1))
                channels_in = channels * EXPANSION
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
        self.attnpool = AttentionPool((size // 32) ** 2, channels_in, channels_in // 64, width_out)

    def forward(self, x):
        x = self.relu1(self.bn1(self.conv1(x)))
        x = self.relu2(self.bn2(self.conv2(x)))
        x = self.avgpool(self.relu3(self.bn3(self.conv3(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.attnpool(x)


class QuickGELU(nn.Module):
    """The sigmoid approximation of GELU that CLIP was trained with."""
    def forward(self, x):
        return x * torch.sigmoid(1.702 * x)


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.in_proj_weight = nn.Parameter(torch.randn(3 * width, width) * width ** -0.5)
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)
        self.heads = heads

    def forward(self, x):
        q, k, v = nn.functional.linear(x, self.in_proj_weight, self.in_proj_bias).chunk(3, dim=-1)
        return self.out_proj(attend(q, k, v, self.heads))


class TransformerBlock(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.attn = Attention(width, heads)
        self.ln_1 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(OrderedDict([
            ("c_fc", nn.Linear(width, 4 * width)), ("gelu", QuickGELU()), ("c_proj", nn.Linear(4 * width, width))]))
        self.ln_2 = nn.LayerNorm(width)

    def forward(self, x):
        x = x + self.attn(self.ln_1(x))
        return x + self.mlp(self.ln_2(x))


class Transformer(nn.Module):
    def __init__(self, width, depth, heads):
        super().__init__()
        self.resblocks = nn.Sequential(*[TransformerBlock(width, heads) for _ in range(depth)])

    def forward(self, x):
        return self.resblocks(x)


class ViTTower(nn.Module):
    """Tokens: the class token, then patches row by row."""
    def __init__(self, patch, width, depth, width_out, size=224):
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, patch, stride=patch, bias=False)
        self.class_embedding = nn.Parameter(torch.randn(width) * width ** -0.5)
        self.positional_embedding = nn.Parameter(torch.randn((size // patch) ** 2 + 1, width) * width ** -0.5)
        self.ln_pre = nn.LayerNorm(width)
        self.transformer = Transformer(width, depth, width // 64)
        self.ln_post = nn.LayerNorm(width)
        self.proj = nn.Parameter(torch.randn(width, width_out) * width ** -0.5)

    def forward(self, x):
        x = self.conv1(x).flatten(2).transpose(1, 2)
        cls = self.class_embedding.expand(x.shape[0], 1, x.shape[2])
        x = self.ln_pre(torch.cat([cls, x], dim=1) + self.positional_embedding)
        return self.ln_post(self.transformer(x)[:, 0]) @ self.proj


# `classes`: width of the embedding, where it is not CLIP's.
def rn50(classes=None):
    return ResNetTower((3, 4, 6, 3), 64, classes or 1024)


def rn101(classes=None):
    return ResNetTower((3, 4, 23, 3), 64, classes or 512)


def vit_b_32(classes=None):
    return ViTTower(32, 768, 12, classes or 512)


def vit_b_16(classes=None):
    return ViTTower(16, 768, 12, classes or 512)


def vit_l_14(classes=None):
    return ViTTower(14, 1024, 24, classes or 768)
