"""The encoder: head picture in, unit-length embedding out; its training, distillation and export."""
