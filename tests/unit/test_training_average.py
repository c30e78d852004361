"""The moving average of weights, with and without batch normalisation's counters."""

import torch
from torch import nn

from deblurbench.training.average import Average


def test_the_average_follows_weights_and_takes_counters_as_they_are():
    network = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    average = Average(network, decay=0.5)
    for step in range(20):
        network(torch.randn(4, 2))
        average.update(network, step)
    assert int(average.weights["1.num_batches_tracked"]) == 20
    assert torch.allclose(average.weights["1.running_var"], network.state_dict()["1.running_var"], rtol=0.5)


def test_inside_the_network_has_the_average_and_gets_its_own_weights_back():
    network = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(network.weight)
    average = Average(network, decay=0.9)
    nn.init.ones_(network.weight)
    average.update(network, step=0)  # the decay starts at 0.1
    with average.inside(network):
        assert torch.allclose(network.weight, torch.tensor(0.9))
    assert torch.equal(network.weight, torch.ones(1, 1))
