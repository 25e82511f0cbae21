"""The safetensors file format: headers read and laid out, bytes read where they lie. No torch, no mmap."""
