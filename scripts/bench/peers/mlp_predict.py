"""
The forward pass of a perceptron with NumPy and with PyTorch, where it is there, for scripts/bench/predictors.ts.

mlp_predict.py FOLDER ROWS INPUTS WIDTH LAYERS THREADS: reads float32 files x.f32 and w0.f32, b0.f32, ...; writes y.f32 (NumPy's
result); prints one JSON line {"numpy": version, "torch": version or null}; then for each line on stdin, "numpy" or "torch", runs once
and prints {"ms": ...}.
"""
import json
import os
import sys
import time

folder = sys.argv[1]
rows, inputs, width, layers, threads = map(int, sys.argv[2:7])
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = str(threads)

import numpy as np  # noqa: E402: after the number of threads

try:
    import torch
except ImportError:
    torch = None


def read(name, *shape):
    return np.fromfile(os.path.join(folder, name), dtype=np.float32).reshape(shape)


x = read("x.f32", rows, inputs)
weights = [read(f"w{i}.f32", inputs if i == 0 else width, width) for i in range(layers)]
biases = [read(f"b{i}.f32", width) for i in range(layers)]
output = read("output.f32", width, 1)


def with_numpy():
    y = x
    for w, b in zip(weights, biases):
        y = y @ w
        y += b
        np.maximum(y, 0, out=y)
    return y @ output


if torch is not None:
    torch.set_num_threads(threads)
    tensors = [(torch.from_numpy(w.T.copy()), torch.from_numpy(b)) for w, b in zip(weights, biases)]
    x_torch, output_torch = torch.from_numpy(x), torch.from_numpy(output.T.copy())


def with_torch():
    with torch.no_grad():
        y = x_torch
        for w, b in tensors:
            y = torch.nn.functional.linear(y, w, b).relu_()
        return torch.nn.functional.linear(y, output_torch)


with_numpy().astype(np.float32).tofile(os.path.join(folder, "y.f32"))
print(json.dumps({"numpy": np.__version__, "torch": torch.__version__ if torch is not None else None}), flush=True)
for line in sys.stdin:
    run = with_torch if line.strip() == "torch" else with_numpy
    start = time.perf_counter()
    run()
    print(json.dumps({"ms": 1000 * (time.perf_counter() - start)}), flush=True)
