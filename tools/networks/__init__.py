"""Networks that torchvision does not have, for tools/export_network.py.

Written after the papers. Their parameters are named as in the public checkpoints, so that those load:

  clip_*      visual towers of CLIP             openai/CLIP's .pt files (prefix visual.), open_clip's state dicts
  cornet_s    CORnet-S                          dicarlolab/CORnet (prefix module.)
  cornet_rt   CORnet-RT                         dicarlolab/CORnet (prefix module.)
  vgg_face    VGG-Face                          vgg_face_dag.pth of albanie/pytorch-mcn, DNNBrain's vgg_face
  vggish      VGGish                            harritaylor/torchvggish, DNNBrain's vggish

To add one: a maker(classes=…) and a row in NETWORKS. A maker gives a torch.nn.Module whose forward takes one batch of
inputs and keeps the batch as the first axis of everything it computes.
"""
from . import clip, cornet, vggish, vgg_face

IMAGE = (3, 224, 224)

NETWORKS = {  # name: (maker, shape of one input)
    "clip_rn50": (clip.rn50, IMAGE),
    "clip_rn101": (clip.rn101, IMAGE),
    "clip_vit_b_32": (clip.vit_b_32, IMAGE),
    "clip_vit_b_16": (clip.vit_b_16, IMAGE),
    "clip_vit_l_14": (clip.vit_l_14, IMAGE),
    "cornet_s": (cornet.cornet_s, IMAGE),
    "cornet_rt": (cornet.cornet_rt, IMAGE),
    "vgg_face": (vgg_face.vgg_face, IMAGE),
    "vggish": (vggish.vggish, (1, 96, 64)),
}
