/** The ONNX protocol buffers. onnx-proto is CommonJS without named exports that Node.js could see: imported here, once. */
import proto from 'onnx-proto';

export const onnx = proto.onnx;
export type { onnx as Onnx } from 'onnx-proto';
