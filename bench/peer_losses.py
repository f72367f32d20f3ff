"""Trains again in PyTorch what solobox has trained, and compares loss, gradient norm and rate of every step.

    python3 bench/peer_losses.py RUN [--steps N] [--tolerance T]

RUN is a directory written by bench/training_losses.cpp. From it come the first weights, the batches in their order and
the configuration; model, loss, optimizer groups, schedule and clipping are PyTorch's and torchvision's own, in the
precision of the run. Exit 1 when a loss of the first N steps differs by more than T, relatively. A run in float32 is also
trained in float64, from the same weights: whose rounding is it?
"""
import argparse
import csv
import json
import os
import sys
import warnings

import numpy
import torch
from torch import nn
from torch.nn import functional
from torch.optim import lr_scheduler
from torchvision.ops import box_convert, complete_box_iou_loss


def read_safetensors(path):
    with open(path, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        data = file.read()
    types = {"F32": numpy.float32, "F64": numpy.float64, "I64": numpy.int64}
    metadata = header.pop("__metadata__")
    return {name: torch.from_numpy(numpy.frombuffer(data[slice(*t["data_offsets"])], types[t["dtype"]])
                                   .reshape(t["shape"]).copy()) for name, t in header.items()}, metadata


class Tiny(nn.Module):
    def __init__(self, norm, groups, image, hidden):
        super().__init__()
        layers, channels = [], 3
        for width in (16, 32, 64, 128, 256):
            layers += [nn.Conv2d(channels, width, 3, padding=1, bias=False),
                       nn.GroupNorm(groups, width) if norm == "group" else nn.BatchNorm2d(width),
                       nn.LeakyReLU(0.1), nn.MaxPool2d(2)]
            channels = width
        self.feat = nn.Sequential(*layers)
        self.fc = nn.Sequential(nn.Flatten(), nn.Linear(channels * (image // 32) ** 2, hidden), nn.LeakyReLU(0.1),
                                nn.Linear(hidden, 4))

    def forward(self, x):
        return self.fc(self.feat(x)).sigmoid()


def loss_of(box, target, weights):
    ciou = complete_box_iou_loss(*(box_convert(b, "cxcywh", "xyxy") for b in (box, target)), reduction="mean")
    return (weights["coord"] * functional.smooth_l1_loss(box[:, :2], target[:, :2])
            + weights["wh"] * functional.smooth_l1_loss(box[:, 2:], target[:, 2:]) + weights["iou"] * ciou)


def groups_of(model, decay):
    kept = [p for m in model.modules() if isinstance(m, (nn.Conv2d, nn.Linear)) for p in [m.weight]]
    others = [p for p in model.parameters() if all(p is not k for k in kept)]
    return [{"params": kept, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]


def expect(config, **wanted):
    for key, value in wanted.items():
        if config[key] != value:
            sys.exit(f"peer-losses: {key}={config[key]}: this script knows {value} only")


def train(run, steps, dtype=None):
    tensors, metadata = read_safetensors(os.path.join(run, "recording.safetensors"))
    config = {k[len("config."):]: v for k, v in metadata.items() if k.startswith("config.")}
    number = lambda key: float(config[key])
    expect(config, model="tiny", decode="sigmoid", loss="box", iou_type="ciou", optimizer="AdamW", schedule="cosine",
           dropout="0", accumulate="1", warmup_epochs="0")
    weights = {name[len("model."):]: t for name, t in tensors.items() if name.startswith("model.")}
    dtype = dtype or weights["fc.1.weight"].dtype
    model = Tiny(config["norm"], int(config["groups"]), int(config["image"]), int(config["hidden"])).to(dtype)
    model.load_state_dict(weights)
    optimizer = torch.optim.AdamW(groups_of(model, number("weight_decay")), lr=number("lr0"),
                                  betas=(number("momentum"), number("beta2")), eps=1e-8)
    total = int(config["epochs"]) * int(metadata["batches_per_epoch"])
    warmup = int(config["warmup_steps"])
    assert 1 < warmup < total
    schedule = lr_scheduler.SequentialLR(
        optimizer, [lr_scheduler.LinearLR(optimizer, 1 / warmup, 1, warmup - 1),
                    lr_scheduler.CosineAnnealingLR(optimizer, total - warmup, number("lr0") * number("lrf"))], [warmup])
    rows = []
    for k in range(min(steps, int(metadata["steps"]))):
        optimizer.zero_grad()
        images = tensors[f"batch.{k}.images"].permute(0, 3, 1, 2).to(dtype)
        loss = loss_of(model(images), tensors[f"batch.{k}.boxes"].to(dtype),
                       {"coord": number("lambda_coord"), "wh": number("lambda_wh"), "iou": number("lambda_iou")})
        loss.backward()
        norm = nn.utils.clip_grad_norm_(model.parameters(), number("clip"))
        rows.append({"loss": loss.item(), "grad_norm": norm.item(), "lr": optimizer.param_groups[0]["lr"]})
        optimizer.step()
        schedule.step()
    return rows, config, str(dtype).split(".")[1]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--tolerance", type=float, default=1e-9)
    a = parser.parse_args()
    warnings.filterwarnings("ignore", message="The epoch parameter in `scheduler.step")  # SequentialLR's own affair
    torch.set_num_threads(2)
    theirs, config, dtype = train(a.run, 2 * a.steps)
    exact = train(a.run, 2 * a.steps, torch.float64)[0] if dtype == "float32" else theirs
    with open(os.path.join(a.run, "steps.csv"), newline="") as file:
        ours = [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]
    if len(theirs) != min(len(ours), 2 * a.steps) or len(theirs) < a.steps:
        sys.exit(f"peer-losses: {len(ours)} steps in the table, {len(theirs)} in the recording, {a.steps} to compare")
    ours = ours[:len(theirs)]

    def difference(key, left, right):
        return [abs(o[key] - t[key]) / max(abs(t[key]), 1e-12) for o, t in zip(left, right)]

    loss, norm, rate = (difference(key, ours, theirs) for key in ("loss", "grad_norm", "lr"))
    ours_exact, theirs_exact = difference("loss", ours, exact), difference("loss", theirs, exact)
    print(f"tiny, norm={config['norm']}, {dtype}, lr0={config['lr0']}, warm-up of {config['warmup_steps']} steps, "
          f"clip={config['clip']}; relative differences to PyTorch" + (", and of both to float64" if dtype == "float32" else ""))
    print(f"{'step':>5} {'rate':>10} {'loss, solobox':>20} {'loss, PyTorch':>20} {'loss':>9} {'grad norm':>10} {'rate':>9}"
          + (f"  | {'solobox':>9} {'PyTorch':>9}" if dtype == "float32" else ""))
    for k, (o, t) in enumerate(zip(ours, theirs)):
        if k < 10 or (k + 1) % 10 == 0:
            print(f"{k + 1:>5} {o['lr']:>10.3e} {o['loss']:>20.15f} {t['loss']:>20.15f} {loss[k]:>9.1e} {norm[k]:>10.1e} "
                  f"{rate[k]:>9.1e}" + (f"  | {ours_exact[k]:>9.1e} {theirs_exact[k]:>9.1e}" if dtype == "float32" else ""))
    clipped = sum(t["grad_norm"] > float(config["clip"]) for t in theirs[:a.steps])
    worst, worst_rate = max(loss[:a.steps]), max(rate)
    passed = worst <= a.tolerance and worst_rate <= 1e-12
    print(f"{'ok' if passed else 'FAILED'}: over {a.steps} steps, {clipped} of them clipped, losses differ by at most "
          f"{worst:.1e} (allowed {a.tolerance:.0e}), gradient norms by {max(norm[:a.steps]):.1e}; rates over all "
          f"{len(ours)} by {worst_rate:.1e}; loss {ours[0]['loss']:.4f} -> {ours[-1]['loss']:.4f}\n", flush=True)
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
