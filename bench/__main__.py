"""Every benchmark behind the README's numbers, one after the other."""

import runpy

_OF_PARTS = ("codecs", "xor", "host_speed", "codec_table", "kernels")
_OF_NETWORKS = ("networks", "tflite_models", "onnx_models", "mlperf_tiny")

for name in (*_OF_PARTS, *_OF_NETWORKS):
    print(f"\n== python -m bench.{name}")
    runpy.run_module(f"bench.{name}", run_name="__main__")
