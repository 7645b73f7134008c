"""The images that both run on, and what their logits have in common.

usage: compare.py images FOLDER OUT.npy N MEAN STD     the first N CIFAR-10 test images, normalised (MEAN, STD: a,b,c)
       compare.py logits Q.onnx IMAGES.npy OURS.npy    counts; exit status 1 when two values are more than 2 steps of an int8 value apart
"""
import lzma
import pathlib
import sys

import numpy


def images(folder, out, n, mean, std):
    path = pathlib.Path(folder) / "test_batch.bin"
    raw = path.read_bytes() if path.exists() else lzma.open(f"{path}.xz").read()
    pixels = numpy.frombuffer(raw, numpy.uint8).reshape(-1, 3073)[:int(n), 1:].reshape(-1, 3, 32, 32)
    mean, std = (numpy.array(t.split(","), numpy.float32).reshape(1, -1, 1, 1) for t in (mean, std))
    numpy.save(out, ((pixels / numpy.float32(255) - mean) / std).astype(numpy.float32))


def logits(network, images_file, ours_file):
    import onnxruntime
    x, ours = numpy.load(images_file), numpy.load(ours_file)
    ours = ours.reshape(len(x), -1)
    theirs = {}
    for name, level in (("on", onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL), ("off", onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL)):
        o = onnxruntime.SessionOptions()
        o.graph_optimization_level = level
        o.intra_op_num_threads = 1
        s = onnxruntime.InferenceSession(network, o, providers=["CPUExecutionProvider"])
        theirs[name] = s.run(None, {s.get_inputs()[0].name: x})[0].reshape(len(x), -1)
    values = numpy.unique(numpy.concatenate([ours, *theirs.values()]))
    gaps = numpy.diff(values)
    step = gaps[gaps > 1e-4 * numpy.abs(values).max() / 255].min()  # values are whole steps of the last scale
    worst = 0
    for name, other in theirs.items():
        off = numpy.abs(numpy.rint((ours - other) / step)).astype(int)
        worst = max(worst, off.max())
        same = (ours.argmax(1) == other.argmax(1)).mean()
        counts = ", ".join(f"{(off == k).sum()} {'equal' if k == 0 else f'{k} apart'}" for k in range(off.max() + 1))
        print(f"machine's rule, ONNX Runtime {onnxruntime.__version__} optimizations {name}: {counts} of {off.size} logits ({100 * (off == 0).mean():.1f} % equal); same class on {100 * same:.1f} %")
    off = numpy.abs(numpy.rint((theirs["on"] - theirs["off"]) / step)).astype(int)
    print(f"ONNX Runtime optimizations on, off: {(off == 0).sum()} equal of {off.size} ({100 * (off == 0).mean():.1f} %), at most {off.max()} apart")
    return worst <= 2


if __name__ == "__main__":
    if sys.argv[1] == "images":
        images(*sys.argv[2:])
    else:
        sys.exit(not logits(*sys.argv[2:]))
