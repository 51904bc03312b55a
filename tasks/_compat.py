"""torchvision, importable beside a torch that its compiled extension was not built for.

With such a pair (typically a CPU torch) `import torchvision` dies with "operator torchvision::nms does not
exist". Declaring the two operators cures the import; data sets, transforms and models then work, `ops.nms`
and `io.decode_image` still raise. Importing this module takes a second, so do it inside the one function that
needs it:

    from tasks._compat import torchvision
"""

import torch

try:
    import torchvision as torchvision  # type: ignore[import-untyped]
except RuntimeError as error:
    # A matching extension opens the namespace itself and a namespace can be opened once, so the plain import
    # goes first.
    if "torchvision::" not in str(error):
        raise
    # The declarations last as long as this object.
    _library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
    for _operator in ("nms", "qnms"):  # with nms alone the import fails on qnms
        _library.define(  # type: ignore[no-untyped-call]
            f"{_operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
        )
    import torchvision as torchvision
