"""ONNX files, float and quantised, as a Graph."""

from thimble.frontend.onnx.importer import load_bytes, load_onnx

__all__ = ["load_bytes", "load_onnx"]
