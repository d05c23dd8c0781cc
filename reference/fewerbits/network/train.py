"""Train one of the course's float CNNs on all 60,000 images: `python -m fewerbits.network.train vgg32`.

SGD with Nesterov momentum, a one-cycle learning rate, label smoothing, random flips and shifts of up to
two pixels. The random numbers are seeded; the last digits still depend on the CPU and the thread count.
"""

from __future__ import annotations

import argparse
import os
import platform
from pathlib import Path
from typing import TextIO

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from fewerbits import data
from fewerbits.network.architecture import ARCHITECTURES
from fewerbits.network.model import SmallCNN, save_weights

BATCH = 128
PEAK_LEARNING_RATE = 0.1
WEIGHT_DECAY = 5e-4
LABEL_SMOOTHING = 0.05
MAX_SHIFT = 2


def augment(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Flip each image left to right with probability ½ and shift it by up to two pixels; (N, 1, 28, 28)."""
    count = len(images)
    flipped = torch.where(torch.rand(count, 1, 1, 1, generator=generator) < 0.5, images.flip(3), images)
    padded = nn.functional.pad(flipped, (MAX_SHIFT,) * 4)
    rows, columns = torch.randint(0, 2 * MAX_SHIFT + 1, (2, count, 1), generator=generator) + torch.arange(28)
    return padded[torch.arange(count)[:, None, None], 0, rows[:, :, None], columns[:, None, :]][:, None]


@torch.inference_mode()
def accuracy(model: nn.Module, images: torch.Tensor, labels: torch.Tensor, batch: int = 500) -> float:
    """Share of `images` (N, 1, 28, 28) whose largest logit is at the label (N,); `model` in evaluation mode."""
    hits = sum(int((model(x).argmax(1) == y).sum()) for x, y in zip(images.split(batch), labels.split(batch)))
    return hits / len(labels)


def train(name: str, epochs: int, seed: int, bfloat16: bool, log: TextIO) -> SmallCNN:
    """Train the named network and return it in evaluation mode; one line per epoch goes to `log`.

    `bfloat16` runs the layers in bfloat16 (twice as fast on CPUs with AVX512-BF16 or AMX); parameters
    and updates stay float32. Test accuracy is logged after the last epoch only: it chooses nothing.
    """
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    train_set, test_set = data.load_fashion_mnist("train"), data.load_fashion_mnist("test")
    images = torch.from_numpy(data.to_float(train_set.images))
    labels = torch.from_numpy(train_set.labels.astype(np.int64))

    model = SmallCNN(name).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(
        model.parameters(), lr=PEAK_LEARNING_RATE, momentum=0.9, weight_decay=WEIGHT_DECAY, nesterov=True
    )
    steps = len(images) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, PEAK_LEARNING_RATE, total_steps=epochs * steps, pct_start=0.2
    )
    loss_of = nn.CrossEntropyLoss(label_smoothing=LABEL_SMOOTHING)
    with tqdm(total=epochs * steps, unit="batch", mininterval=1) as progress:
        for epoch in range(1, epochs + 1):
            model.train()
            total, hits = 0.0, 0
            for chosen in torch.randperm(len(images), generator=generator)[: steps * BATCH].view(steps, BATCH):
                x = augment(images[chosen], generator).contiguous(memory_format=torch.channels_last)
                with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bfloat16):
                    logits = model(x)
                    loss = loss_of(logits, labels[chosen])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
                total += float(loss)
                hits += int((logits.argmax(1) == labels[chosen]).sum())
                progress.update()
            line = f"epoch {epoch:2d}  loss {total / steps:.4f}  training accuracy {hits / (steps * BATCH):.4f}"
            progress.set_postfix_str(line)
            print(line, file=log, flush=True)
    model.eval()
    test_images = torch.from_numpy(data.to_float(test_set.images))
    test_labels = torch.from_numpy(test_set.labels.astype(np.int64))
    print(f"test accuracy {accuracy(model, test_images, test_labels):.4f}", file=log, flush=True)
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description="Train a float CNN of the course on Fashion-MNIST.")
    parser.add_argument("name", nargs="?", default="vgg32", choices=sorted(ARCHITECTURES))
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--bfloat16", action="store_true", help="compute in bfloat16, where the CPU is fast at it")
    parser.add_argument("--output", type=Path, default=Path("work/weights"), help="folder for NAME.npz and NAME.log")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    with open(options.output / f"{options.name}.log", "w") as log:
        print(f"network {options.name}, {options.epochs} epochs, seed {options.seed}", file=log)
        arithmetic = "bfloat16 autocast" if options.bfloat16 else "float32"
        machine = f"{platform.machine()}, {torch.get_num_threads()} threads"
        print(f"torch {torch.__version__}, {arithmetic}, {machine}", file=log)
        model = train(options.name, options.epochs, options.seed, options.bfloat16, log)
    save_weights(model, options.output / f"{options.name}.npz")
    print((options.output / f"{options.name}.log").read_text().splitlines()[-1])
    print(f"Weights written to {options.output / options.name}.npz")


if __name__ == "__main__":
    main()
