"""ONNX files as methods, through onnxruntime."""
