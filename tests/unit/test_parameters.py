"""Networks that a method keeps outside `self.network`: found, counted, and refused where they are random."""

import pytest
import torch

from deblurbench.backends.load import MethodJob, count_parameters, is_random, load_method, random_outside
from deblurbench.checks.method import check_method
from deblurbench.errors import UsageError
from deblurbench.methods.base import FrameMethod
from deblurbench.methods.parameters import differ, in_training, parameters_outside, put_into_evaluation
from tests.conftest import write_plugin

CODE = """
import torch
from deblurbench.methods.base import FrameMethod


class Plugin(FrameMethod):
    def __init__(self):
        {made}

    def restore_frame(self, frame):
        return frame
"""
CONV = "torch.nn.Conv2d(3, 3, 1)"
FIXED = f"self.blur = {CONV}; torch.nn.init.ones_(self.blur.weight); torch.nn.init.zeros_(self.blur.bias)"


def job(name, **more):
    return MethodJob(
        id=name, name=name, variant="default", output="", dataset="", data_root=None, split="", metrics=[],
        device="cpu", precision="fp32", tile=None, seed=0, **({"weights": None} | more),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("made", "place"),
    [
        (f"self.net = {CONV}", "self.net"),
        (f"self.nets = [None, {CONV}]", "self.nets[1]"),
        (f"self.nets = ({CONV},)", "self.nets[0]"),
        (f"self.nets = {{'a': {CONV}}}", "self.nets['a']"),
        ("self.shift = torch.nn.Parameter(torch.randn(3, 1, 1))", "self.shift"),
        (f"self.network = {CONV}; self.other = {CONV}", "self.other"),
    ],
)
def test_random_parameters_outside_the_network_are_refused(plugin_folder, made, place):
    write_plugin(plugin_folder, "hides", CODE.format(made=made))
    with pytest.raises(UsageError) as told:
        load_method(job("hides"), "cpu")
    assert f"hides: parameters in {place}, outside self.network" in str(told.value)
    assert "Store the network as self.network" in str(told.value) and "--random-weights" in str(told.value)
    found = {label: (state, detail) for label, state, detail in check_method("hides")}
    assert found["weights load strictly"][0] == "FAILED" and place in found["weights load strictly"][1]


def test_with_permission_they_run_and_are_marked_and_counted(plugin_folder):
    write_plugin(plugin_folder, "hides", CODE.format(made=f"self.net = {CONV}"))
    allowed = job("hides", random_weights=True)
    method, _ = load_method(allowed, "cpu")
    assert count_parameters(method) == 12 and random_outside(allowed, method) == ["self.net"]
    assert not is_random(allowed, method)


def test_what_is_always_the_same_is_counted_and_not_refused(plugin_folder):
    write_plugin(plugin_folder, "fixed", CODE.format(made=FIXED))
    method, _ = load_method(job("fixed"), "cpu")
    assert count_parameters(method) == 12
    assert {state for _, state, _ in check_method("fixed")} == {"ok", "skipped"}


def test_parts_of_the_network_and_of_the_training_are_not_outside():
    class Whole(FrameMethod):
        def __init__(self):
            self.network = torch.nn.Sequential(torch.nn.Conv2d(3, 3, 1), torch.nn.ReLU())
            self.first, self.rest = self.network[0], [self.network[1]]
            self.training_only = torch.nn.Linear(2, 2)
            self.judge = self.training_only

    assert parameters_outside(Whole()) == {} and count_parameters(Whole()) == 12


def test_a_method_that_is_a_module_itself_is_told_so(plugin_folder):
    code = CODE.format(made=f"super().__init__(); self.network = {CONV}")
    write_plugin(plugin_folder, "module", code.replace("(FrameMethod)", "(FrameMethod, torch.nn.Module)"))
    with pytest.raises(UsageError, match=r"parameters in self, .*not from torch\.nn\.Module as well"):
        load_method(job("module"), "cpu")


def test_tensors_that_differ_are_told():
    one = {"a": torch.ones(2)}
    assert not differ(one, {"a": torch.ones(2)})
    assert differ(one, {"a": torch.zeros(2)}) and differ(one, {}) and differ(one, {"a": torch.ones(3)})


def test_what_restores_is_put_into_evaluation_wherever_it_is():
    class Whole(FrameMethod):
        def __init__(self):
            self.network, self.net = torch.nn.Sequential(torch.nn.Dropout()), torch.nn.Dropout()
            self.nets, self.training_only = [None, torch.nn.Dropout()], torch.nn.Dropout()

    method = Whole()
    places = {"self.network.", "self.network.0", "self.net.", "self.nets[1]."}
    assert in_training(method) == dict.fromkeys(places, True)
    put_into_evaluation(method)
    assert in_training(method) == dict.fromkeys(places, False) and method.training_only.training


def test_a_module_whose_mode_is_fixed_stays_as_it_is():
    class Exported(torch.nn.Module):
        def eval(self):
            raise NotImplementedError("Calling eval() is not supported yet.")

    class Whole(FrameMethod):
        net = Exported()

    put_into_evaluation(Whole())
