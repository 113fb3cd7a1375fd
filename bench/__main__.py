"""Every benchmark behind the README's numbers, one after the other."""

import runpy

for name in ("codecs", "xor", "host_speed", "codec_table", "kernels", "networks", "tflite_models", "mlperf_tiny"):
    print(f"\n== python -m bench.{name}")
    runpy.run_module(f"bench.{name}", run_name="__main__")
