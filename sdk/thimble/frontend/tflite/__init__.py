"""``.tflite`` files, read without TensorFlow."""
