#!/usr/bin/env python3
"""Peer for scripts/bench: the same subnets in plain PyTorch, timed on this machine.

Needs Debian's python3-torch (`apt-get install python3-torch`), or any PyTorch. Usage:
    /usr/bin/python3 torch_train_step.py [--batch 32] [--size 64] [--classes 100] [--threads 2] [--repeat 5] [--only step|eval|block]
With --serve it answers requests instead, a line of JSON each ({"work": "step", "format": "channels_last", "subnet": "random0", "k": 3}),
with {"ms": median of --repeat runs}: so that another process can take turns with it. Otherwise prints one JSON document: median
milliseconds for
  step   one training step of a subnet of the OFA MobileNetV3 space, width 1.0: forward in training mode, cross entropy with
         label smoothing 0.1 plus soft-label cross entropy against given teacher logits (weight 1.0), backward, SGD with
         momentum 0.9 (Nesterov) and weight decay 3e-5 on all parameters;
  eval   forward in inference mode, batch 100;
  block  one inverted residual block, forward + backward, batch 64, 24 -> 96 -> 24 channels, 32x32, hard-swish, no SE;
each for both memory formats. Subnets: largest (k7 e6 d4), smallest (k3 e3 d2), and 8 drawn by the fixed table below.
"""
import argparse, json, sys, time, platform
import torch, torch.nn as nn, torch.nn.functional as F


def divisible(v, d=8):
    n = max(d, int(v + d / 2) // d * d)
    return n + d if n < 0.9 * v else n


class SE(nn.Module):
    def __init__(self, c):
        super().__init__()
        m = divisible(c // 4)
        self.a, self.b = nn.Conv2d(c, m, 1), nn.Conv2d(m, c, 1)

    def forward(self, x):
        y = x.mean((2, 3), keepdim=True)
        return x * F.relu6(self.b(F.relu(self.a(y))) + 3.0) / 6.0


def conv_bn(i, o, k=1, s=1, g=1, act=None):
    layers = [nn.Conv2d(i, o, k, s, k // 2, groups=g, bias=False), nn.BatchNorm2d(o)]
    if act:
        layers.append(nn.Hardswish() if act == 'h_swish' else nn.ReLU())
    return nn.Sequential(*layers)


class Block(nn.Module):
    def __init__(self, i, o, k, s, e, act, se):
        super().__init__()
        m = divisible(round(i * e))
        parts = [] if e == 1 else [conv_bn(i, m, act=act)]
        parts.append(conv_bn(m, m, k, s, m, act))
        if se:
            parts.append(SE(m))
        parts.append(conv_bn(m, o))
        self.body, self.skip = nn.Sequential(*parts), s == 1 and i == o

    def forward(self, x):
        y = self.body(x)
        return x + y if self.skip else y


STAGES = [(24, 2, 'relu', False), (40, 2, 'relu', True), (80, 2, 'h_swish', False), (112, 1, 'h_swish', True), (160, 2, 'h_swish', True)]


class Net(nn.Module):
    """Static subnet. ks, e: 20 values (5 stages x 4 positions); d: 5 depths. Dropout left out."""

    def __init__(self, ks, e, d, classes):
        super().__init__()
        layers = [conv_bn(3, 16, 3, 2, act='h_swish'), Block(16, 16, 3, 1, 1, 'relu', False)]
        c = 16
        for s, (o, stride, act, se) in enumerate(STAGES):
            for j in range(d[s]):
                layers.append(Block(c, o, ks[4 * s + j], stride if j == 0 else 1, e[4 * s + j], act, se))
                c = o
        layers.append(conv_bn(160, 960, act='h_swish'))
        self.features = nn.Sequential(*layers)
        self.mix = nn.Sequential(nn.Conv2d(960, 1280, 1, bias=False), nn.Hardswish())
        self.head = nn.Linear(1280, classes)

    def forward(self, x):
        x = self.features(x).mean((2, 3), keepdim=True)
        return self.head(self.mix(x).flatten(1))


def subnets():
    out = [('largest', [7] * 20, [6] * 20, [4] * 5), ('smallest', [3] * 20, [3] * 20, [2] * 5)]
    s = 12345
    def draw(choices):
        nonlocal s
        s = (s * 1103515245 + 12345) & 0x7FFFFFFF
        return choices[(s >> 16) % len(choices)]
    for n in range(8):
        out.append((f'random{n}', [draw([3, 5, 7]) for _ in range(20)], [draw([3, 4, 6]) for _ in range(20)], [draw([2, 3, 4]) for _ in range(5)]))
    return out


def median_ms(f, repeat):
    f(); f()
    t = []
    for _ in range(repeat):
        a = time.perf_counter(); f(); t.append((time.perf_counter() - a) * 1e3)
    return sorted(t)[len(t) // 2]


FORMATS = {'contiguous_format': torch.contiguous_format, 'channels_last': torch.channels_last}


def measure(a, work, fmt, subnet=None, k=None):
    """Median milliseconds of one piece of work in one memory format."""
    if work == 'block':
        b = Block(24, 24, k, 1, 4, 'h_swish', False).to(memory_format=fmt)
        x = torch.randn(64, 24, 32, 32).contiguous(memory_format=fmt).requires_grad_()
        g = torch.randn(64, 24, 32, 32).contiguous(memory_format=fmt)
        return median_ms(lambda: torch.autograd.grad(b(x), [x] + list(b.parameters()), g), a.repeat)
    _, ks, e, d = next(s for s in subnets() if s[0] == subnet)
    net = Net(ks, e, d, a.classes).to(memory_format=fmt)
    if work == 'eval':
        net.eval()
        xe = torch.randn(100, 3, a.size, a.size).contiguous(memory_format=fmt)
        with torch.no_grad():
            return median_ms(lambda: net(xe), a.repeat)
    opt = torch.optim.SGD(net.parameters(), 0.01, 0.9, weight_decay=3e-5, nesterov=True)
    x = torch.randn(a.batch, 3, a.size, a.size).contiguous(memory_format=fmt)
    y = torch.randint(a.classes, (a.batch,))
    soft = F.softmax(torch.randn(a.batch, a.classes), 1)
    net.train()

    def step():
        opt.zero_grad()
        o = net(x)
        loss = F.cross_entropy(o, y, label_smoothing=0.1) - (soft * F.log_softmax(o, 1)).sum(1).mean()
        loss.backward()
        opt.step()

    return median_ms(step, a.repeat)


def serve(a):
    print(json.dumps({'torch': torch.__version__, 'threads': a.threads}), flush=True)
    for line in sys.stdin:
        r = json.loads(line)
        print(json.dumps({'ms': measure(a, r['work'], FORMATS[r['format']], r.get('subnet'), r.get('k'))}), flush=True)


def main():
    p = argparse.ArgumentParser()
    for k, v in dict(batch=32, size=64, classes=100, threads=2, repeat=5).items():
        p.add_argument('--' + k, type=int, default=v)
    p.add_argument('--only', choices=['step', 'eval', 'block'])
    p.add_argument('--serve', action='store_true')
    a = p.parse_args()
    torch.set_num_threads(a.threads)
    torch.manual_seed(0)
    if a.serve:
        return serve(a)
    res = dict(torch=torch.__version__, cpu=platform.processor(), threads=a.threads, batch=a.batch, size=a.size, step={}, eval={}, block={})
    for name, fmt in FORMATS.items():
        for work in ('step', 'eval'):
            if a.only in (None, work):
                res[work][name] = {tag: round(measure(a, work, fmt, tag), 2) for tag, *_ in subnets()}
        if a.only in (None, 'block'):
            res['block'][name] = {f'k{k}': round(measure(a, 'block', fmt, k=k), 2) for k in (3, 5, 7)}
    print(json.dumps(res, indent=1))


main()
