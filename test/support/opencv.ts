/**
 * OpenCV's DNN module, a second runtime for exported files: through a Python that has cv2 (`OFAKIT_OPENCV_PYTHON`, else
 * `python3`). Tests that need it skip where there is none; CI tries to make one.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Tensor } from '../../src/util/tensor.js';

const python = process.env['OFAKIT_OPENCV_PYTHON'] ?? 'python3';
const probe = spawnSync(python, ['-c', 'import cv2; cv2.dnn; print(cv2.__version__)'], { encoding: 'utf8' });

/** Version, or undefined where there is no OpenCV. */
export const openCvVersion = probe.status === 0 ? probe.stdout.trim() : undefined;

const SCRIPT = `
import sys, json, numpy, cv2
request = json.load(sys.stdin)
x = numpy.fromfile(request["input"], numpy.float32).reshape(request["shape"])
net = cv2.dnn.readNetFromONNX(request["model"])
net.setInput(x)
net.forward().astype(numpy.float32).tofile(request["output"])
`;

/** Logits of an exported model in OpenCV. Throws with OpenCV's words where it cannot read or run the file. */
export function openCvLogits(model: Uint8Array, images: Tensor): Float32Array {
  const folder = mkdtempSync(join(tmpdir(), 'ofakit-opencv-'));
  const path = (name: string): string => join(folder, name);
  try {
    writeFileSync(path('model.onnx'), model);
    writeFileSync(path('input'), images.data);
    const request = {
      model: path('model.onnx'),
      input: path('input'),
      output: path('output'),
      shape: images.shape,
    };
    execFileSync(python, ['-c', SCRIPT], { input: JSON.stringify(request), stdio: 'pipe' });
    return Float32Array.from(new Float32Array(new Uint8Array(readFileSync(path('output'))).buffer));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
