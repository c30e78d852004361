"""What is told of an operation that a device or a precision lacks."""

import pytest
import torch

from deblurbench.backends import own_python_main
from deblurbench.backends.base import FailedElsewhere
from deblurbench.backends.failures import describe_failure

ADVICE = "unsupported on this device with this precision; try --precision fp32 or another --device."


@pytest.mark.parametrize(
    "error",
    [
        NotImplementedError("\"cdist\" not implemented for 'Half'"),
        NotImplementedError("Could not run 'aten::lu' with arguments from the 'CUDA' backend. This could be because"),
        NotImplementedError("The operator 'aten::lu' is not currently implemented for the MPS device."),
        RuntimeError("Unsupported dtype BFloat16"),
    ],
)
def test_what_a_device_or_a_precision_lacks_is_told_with_what_to_try(error):
    found = describe_failure(error)
    assert found["kind"] == "unsupported" == own_python_main.describe(error)["kind"]
    assert found["reason"] == f"{type(error).__name__}: {error}: {ADVICE}"


def test_what_torch_itself_says_of_half_precision_is_known():
    with pytest.raises(RuntimeError) as raised:
        torch.fft.rfft2(torch.zeros(2, 2, dtype=torch.float16))
    raised.value.add_note("frame 000003")
    found = describe_failure(raised.value)
    assert found["kind"] == "unsupported" and found["reason"].startswith("frame 000003: RuntimeError: ")
    assert f"test_failures.py:{raised.tb.tb_lineno}" in found["reason"] and found["reason"].endswith(ADVICE)


def test_from_another_process_it_is_told_alike_and_only_its_first_line():
    told = own_python_main.describe(
        NotImplementedError("Could not run 'aten::lu' with arguments\nCPU: registered at ...")
    )
    found = describe_failure(FailedElsewhere(told["kind"], told["reason"], told["traceback"]))
    assert found["kind"] == "unsupported"
    assert found["reason"] == f"NotImplementedError: Could not run 'aten::lu' with arguments: {ADVICE}"


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("\"bitwise_and\" not implemented for 'Long'"),
        NotImplementedError("Plugin has no restore: write it"),
        ValueError("\"cdist\" not implemented for 'Half'"),
    ],
)
def test_other_faults_are_the_methods_own(error):
    assert describe_failure(error)["kind"] == "raised" == own_python_main.describe(error)["kind"]


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("CUDA error: out of memory")])
def test_running_out_of_memory_stays_what_it_is(error):
    assert describe_failure(error)["kind"] == "out of memory" == own_python_main.describe(error)["kind"]
