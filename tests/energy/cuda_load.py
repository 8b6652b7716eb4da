"""A process that uses a GPU through the driver's own library: holds memory, and fills it again and again if asked to.

``python cuda_load.py BYTES [load]``; prints the UUID of its GPU when it holds the memory; ends with standard input.
"""

import ctypes
import select
import sys
import uuid


def check(code: int) -> None:
    if code:
        raise SystemExit(f"CUDA error {code}")


def main() -> None:
    size, load = int(sys.argv[1]), "load" in sys.argv[2:]
    cuda = ctypes.CDLL("libcuda.so.1")
    device, context, memory = ctypes.c_int(), ctypes.c_void_p(), ctypes.c_uint64()
    raw = (ctypes.c_char * 16)()
    check(cuda.cuInit(0))
    check(cuda.cuDeviceGet(ctypes.byref(device), 0))
    check(cuda.cuDeviceGetUuid_v2(ctypes.byref(raw), device))
    check(cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), device))
    check(cuda.cuCtxSetCurrent(context))
    check(cuda.cuMemAlloc_v2(ctypes.byref(memory), ctypes.c_size_t(size)))
    print(f"GPU-{uuid.UUID(bytes=bytes(raw))}", flush=True)
    while not select.select([0], [], [], 0.0 if load else None)[0]:
        for _ in range(100):
            check(cuda.cuMemsetD32_v2(memory, ctypes.c_uint(7), ctypes.c_size_t(size // 4)))
        check(cuda.cuCtxSynchronize())


if __name__ == "__main__":
    main()
