"""The classifiers of experiments/ in PyTorch, to compare solobox with: the same recipe, the same pictures.

usage: peer_classify.py smoke DIR [SEED]     experiments/smoke-test.yaml: ResNet-50, one epoch, 224 px, every validation
       peer_classify.py train DIR [SEED]     experiments/tiny-imagenet-20.yaml: ResNet-18, 64 px
       peer_classify.py load DIR FILE        a state_dict of ours in torchvision with strict=True

DIR is a tiny-imagenet-200 tree. Prints one JSON line. Debian's python3-torch and python3-torchvision.
"""
import copy
import json
import math
import os
import sys
import time

import torch
import torch.nn as nn
import torchvision
from PIL import Image
from torchvision import transforms as T

from peer_losses import read_safetensors

start = time.time()
NORMALISE = [T.ToTensor(), T.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))]


def tree(root):
    """Training and validation pictures as (path, class)."""
    wnids = sorted(open(os.path.join(root, "wnids.txt")).read().split())
    train, val = [], []
    for k, wnid in enumerate(wnids):
        folder = os.path.join(root, "train", wnid, "images")
        train += [(os.path.join(folder, f), k) for f in sorted(os.listdir(folder))]
    for line in open(os.path.join(root, "val", "val_annotations.txt")):
        name, wnid = line.split("\t")[:2]
        val.append((os.path.join(root, "val", "images", name), wnids.index(wnid)))
    return train, val, len(wnids)


class Pictures(torch.utils.data.Dataset):
    def __init__(self, rows, transform):
        self.images = [Image.open(p).convert("RGB") for p, _ in rows]
        self.labels = [k for _, k in rows]
        self.transform = transform

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        return self.transform(self.images[i]), self.labels[i]


def loaders(root, side, batch, drop_last, crop_min, jitter):
    train, val, classes = tree(root)
    steps = [T.RandomResizedCrop(side, scale=(crop_min, 1)), T.RandomHorizontalFlip()]
    if jitter:
        steps.append(T.ColorJitter(jitter, jitter, jitter))
    a = Pictures(train, T.Compose(steps + NORMALISE))
    b = Pictures(val, T.Compose([T.Resize(side * 256 // 224), T.CenterCrop(side)] + NORMALISE))
    load = torch.utils.data.DataLoader
    return load(a, batch, shuffle=True, drop_last=drop_last), load(b, 32), classes


@torch.no_grad()
def validate(net, loader, smoothing=0.0):
    net.eval()
    loss = right = seen = 0
    for x, y in loader:
        out = net(x)
        loss += nn.functional.cross_entropy(out, y, label_smoothing=smoothing).item() * len(y)
        right += (out.argmax(1) == y).sum().item()
        seen += len(y)
    net.train()
    return loss / seen, 100 * right / seen


def smoke(root, seed):
    torch.manual_seed(seed)
    train, val, classes = loaders(root, 224, 32, True, 0.08, 0)
    net = torchvision.models.resnet50(weights=None, num_classes=classes)
    opt = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)
    looks = [validate(net, val)]
    losses = []
    for i, (x, y) in enumerate(train):
        loss = nn.functional.cross_entropy(net(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        losses.append(loss.item())
        if (i + 1) % 3 == 0:
            looks.append(validate(net, val))
    looks.append(validate(net, val))
    torch.save({"net": net.state_dict(), "opt": opt.state_dict()}, "/tmp/peer_classify.pt")
    os.remove("/tmp/peer_classify.pt")
    return {"losses": losses, "val": looks}


def train(root, seed, epochs=20, lr=1e-3):
    torch.manual_seed(seed)
    train, val, classes = loaders(root, 64, 32, False, 0.25, 0.2)
    net = torchvision.models.resnet18(weights=None, num_classes=classes)
    average = copy.deepcopy(net)
    weights = [p for p in net.parameters() if p.dim() > 1]
    others = [p for p in net.parameters() if p.dim() <= 1]
    opt = torch.optim.AdamW([{"params": weights, "weight_decay": 0.05}, {"params": others, "weight_decay": 0}], lr=lr)
    total, warm, step, best = epochs * len(train), 2 * len(train), 0, 0
    for _ in range(epochs):
        net.train()
        for x, y in train:
            share = (step + 1) / warm if step < warm else 0.01 + 0.99 * 0.5 * (
                1 + math.cos(math.pi * (step - warm) / (total - warm)))
            for g in opt.param_groups:
                g["lr"] = lr * share
            loss = nn.functional.cross_entropy(net(x), y, label_smoothing=0.1)
            opt.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 5.0)
            opt.step()
            step += 1
            with torch.no_grad():
                for a, b in zip(average.state_dict().values(), net.state_dict().values()):
                    a.lerp_(b, 0.01) if a.is_floating_point() else a.copy_(b)
        last = validate(average, val, 0.1)
        best = max(best, last[1])
    return {"acc1": last[1], "best_acc1": best, "val_loss": last[0], "epochs": epochs}


def load(root, file):
    net = torchvision.models.resnet18(weights=None, num_classes=tree(root)[2])
    tensors, _ = read_safetensors(file)
    net.load_state_dict({k: torch.as_tensor(v) for k, v in tensors.items()}, strict=True)
    return {"loaded": file}


if __name__ == "__main__":
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))
    what, root = sys.argv[1:3]
    if what == "load":
        result = load(root, sys.argv[3])
    else:
        result = {"smoke": smoke, "train": train}[what](root, int(sys.argv[3]) if len(sys.argv) > 3 else 0)
    print(json.dumps({"what": what, **result, "seconds": round(time.time() - start, 1)}))
