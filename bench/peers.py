"""Training steps of solobox and of PyTorch on the same models, interleaved: who is faster here, and by how much.

    python3 bench/peers.py SOLOBOX [--rounds N] [--steps K] [--threads T] [--clip NORM] [WORKLOAD ...]

PyTorch runs four ways: contiguous and channels_last, each with the C library's default allocator and with an allocator
that never gives memory back (MALLOC_MMAP_THRESHOLD_ and MALLOC_TRIM_THRESHOLD_ at 64 GiB), its best setting on a CPU.
Both clip the gradient's norm as `solobox train` does by default; with --clip 0 neither does, and solobox moves parameters
inside backward. Every measurement is a process of its own; rounds interleave them, so that a busy minute hits all alike. Prints medians
over rounds, the ratios of solobox to PyTorch's default and to the best of the four, and the peak memory of both.
"""
import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time

WORKLOADS = ["tiny-gn", "tiny-bn", "toy-quarter", "resnet18", "resnet50", "toy448"]
SETTINGS = [(layout, tuned) for layout in ("contiguous", "channels_last") for tuned in (False, True)]
PLENTY = str(64 << 30)


def norm_layer(nn, kind, channels):
    return {"group": lambda: nn.GroupNorm(8, channels), "batch": lambda: nn.BatchNorm2d(channels)}[kind]()


def tiny(nn, kind):
    layers, channels = [], 3
    for width in (16, 32, 64, 128, 256):
        layers += [nn.Conv2d(channels, width, 3, padding=1, bias=False), norm_layer(nn, kind, width),
                   nn.LeakyReLU(0.1, inplace=True), nn.MaxPool2d(2)]
        channels = width
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(256 * 4 * 4, 256), nn.LeakyReLU(0.1), nn.Linear(256, 4))


# (output channels, kernel, stride) of the 24 convolutions of YOLOv1; None is a 2x2 pool.
TOY = ([(192, 7, 2), None, (256, 3, 1), None, (128, 1, 1), (256, 3, 1), (256, 1, 1), (512, 3, 1), None]
       + [(256, 1, 1), (512, 3, 1)] * 4 + [(512, 1, 1), (1024, 3, 1), None] + [(512, 1, 1), (1024, 3, 1)] * 2
       + [(1024, 3, 1), (1024, 3, 2), (1024, 3, 1), (1024, 3, 1)])


def toy(nn, width, image, kind, hidden):
    layers, channels, side = [], 3, image
    for entry in TOY:
        if entry is None:
            layers.append(nn.MaxPool2d(2))
            side //= 2
            continue
        out, kernel, stride = max(8, int(entry[0] * width)), entry[1], entry[2]
        layers.append(nn.Conv2d(channels, out, kernel, stride, kernel // 2, bias=kind == "none"))
        if kind != "none":
            layers.append(norm_layer(nn, kind, out))
        layers.append(nn.LeakyReLU(0.1, inplace=True))
        channels, side = out, (side + stride - 1) // stride
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(channels * side * side, hidden), nn.LeakyReLU(0.1),
                         nn.Linear(hidden, 4))


def run_torch(workload, steps, threads, layout, clip):
    import torch
    import torch.nn.functional as functional
    import torchvision
    nn = torch.nn
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    boxes = not workload.startswith("resnet")
    batch, image = (8, {"toy448": 448, "toy-quarter": 224}.get(workload, 128)) if boxes else (
        32, 64 if workload == "resnet18" else 224)
    model = {"tiny-gn": lambda: tiny(nn, "group"), "tiny-bn": lambda: tiny(nn, "batch"),
             "toy-quarter": lambda: toy(nn, 0.25, 224, "group", 512), "toy448": lambda: toy(nn, 1, 448, "none", 4096),
             "resnet18": lambda: torchvision.models.resnet18(num_classes=5),
             "resnet50": lambda: torchvision.models.resnet50(num_classes=5)}[workload]()
    memory_format = getattr(torch, "channels_last" if layout == "channels_last" else "contiguous_format")
    model = model.to(memory_format=memory_format)
    x = torch.randn(batch, 3, image, image).to(memory_format=memory_format)
    target = torch.rand(batch, 4) * 0.5 + 0.25 if boxes else torch.randint(0, 5, (batch,))
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9, weight_decay=1e-4)

    def corners(box):
        return torch.cat([box[:, :2] - box[:, 2:] / 2, box[:, :2] + box[:, 2:] / 2], 1)

    def loss_of(output):
        if not boxes:
            return functional.cross_entropy(output, target)
        box = output.sigmoid()
        ciou = torchvision.ops.complete_box_iou_loss(corners(box), corners(target), reduction="mean")
        return (5 * functional.smooth_l1_loss(box[:, :2], target[:, :2])
                + 5 * functional.smooth_l1_loss(box[:, 2:], target[:, 2:]) + 3 * ciou)

    times = []
    for _ in range(steps + 2):
        start = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        loss_of(model(x)).backward()
        if clip > 0:
            torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()
        times.append(time.perf_counter() - start)
    rss_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(json.dumps({"step_s": statistics.median(times[2:]), "rss_mb": rss_mb}))


def measure(command, more_environment):
    done = subprocess.run(command, env={**os.environ, **more_environment}, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"bench-peers: {' '.join(command)} failed:\n{done.stderr}")
    result = json.loads(done.stdout.splitlines()[-1])
    return result["step_s"] * 1e3, result["rss_mb"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("solobox")
    parser.add_argument("workloads", nargs="*", metavar="WORKLOAD", help=", ".join(WORKLOADS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--clip", type=float, default=5, help="largest gradient norm of both; 0: off")
    parser.add_argument("--torch", choices=["contiguous", "channels_last"], help=argparse.SUPPRESS)
    a = parser.parse_intermixed_args()
    for name in a.workloads:
        if name not in WORKLOADS:
            parser.error(f"unknown workload '{name}': expected {', '.join(WORKLOADS)}")
    if a.torch:
        return run_torch(a.workloads[0], a.steps, a.threads, a.torch, a.clip)
    titles = [layout + (" tuned" if tuned else "") for layout, tuned in SETTINGS]
    print(f"{'workload':<12}" + "".join(f"{t:>21}" for t in titles) + f"{'solobox':>10}  to default  to best  (ms a step)  MB: default  solobox  ratio")
    for name in a.workloads or WORKLOADS[:4]:
        torch_ms, own_ms = {s: [] for s in SETTINGS}, []
        torch_mb = own_mb = 0
        for _ in range(a.rounds):
            for layout, tuned in SETTINGS:
                malloc = {"MALLOC_MMAP_THRESHOLD_": PLENTY, "MALLOC_TRIM_THRESHOLD_": PLENTY} if tuned else {}
                command = [sys.executable, __file__, "-", name, "--steps", str(a.steps), "--threads", str(a.threads),
                           "--clip", str(a.clip), "--torch", layout]
                ms, mb = measure(command, {"OMP_NUM_THREADS": str(a.threads), **malloc})
                torch_ms[layout, tuned].append(ms)
                if (layout, tuned) == SETTINGS[0]:
                    torch_mb = max(torch_mb, mb)
            ms, mb = measure([a.solobox, "bench", name, "--json", "--steps", str(a.steps), "--threads",
                              str(a.threads), "--clip", str(a.clip)], {})
            own_ms.append(ms)
            own_mb = max(own_mb, mb)
        medians = [statistics.median(torch_ms[s]) for s in SETTINGS]
        own = statistics.median(own_ms)
        print(f"{name:<12}" + "".join(f"{m:>21.1f}" for m in medians)
              + f"{own:>10.1f}  {own / medians[0]:>10.2f}  {own / min(medians):>7.2f}"
              + f"{torch_mb:>25}  {own_mb:>7}  {own_mb / torch_mb:>5.2f}", flush=True)


if __name__ == "__main__":
    main()
